"""Triggers and conditions on activations, for the automation editor.

They take a target: an entity, or a device, area or label whose entities are looked through.
"""

from typing import ClassVar, override

from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.automation import DomainSpec
from homeassistant.helpers.condition import Condition, EntityStateConditionBase
from homeassistant.helpers.trigger import (
    ENTITY_STATE_TRIGGER_SCHEMA,
    EntityTargetStateTriggerBase,
    EntityTriggerBase,
    StatelessEntityTriggerBase,
    Trigger,
)

from ...const import DOMAIN
from .const import ACTIVATION_KEY, COMMAND_KEY, REPORT_KEY, SETPOINT_KEY


def _ours(hass: HomeAssistant, entity_ids: set[str], translation_key: str) -> set[str]:
    """Return those of the entities that are of this integration and of a kind."""
    registry = er.async_get(hass)
    return {
        entity_id
        for entity_id in entity_ids
        if (entry := registry.async_get(entity_id)) is not None
        and entry.platform == DOMAIN
        and entry.translation_key == translation_key
    }


class _ActivationTrigger(EntityTargetStateTriggerBase):
    _domain_specs = {Platform.BINARY_SENSOR: DomainSpec()}  # noqa: RUF012 - as in the base class

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        return _ours(self._hass, super().entity_filter(entities), ACTIVATION_KEY)


class ActivationStarted(_ActivationTrigger):
    """A setpoint came into force."""

    _to_states = {STATE_ON}  # noqa: RUF012


class ActivationEnded(_ActivationTrigger):
    """The resource follows its baseline again."""

    _to_states = {STATE_OFF}  # noqa: RUF012


class SetpointChanged(EntityTriggerBase):
    """Another setpoint came into force, be it the first one or in place of one."""

    _domain_specs = {Platform.SENSOR: DomainSpec()}  # noqa: RUF012
    _excluded_from_states: ClassVar[frozenset[str]] = frozenset({STATE_UNAVAILABLE})
    _schema = ENTITY_STATE_TRIGGER_SCHEMA

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        return _ours(self._hass, super().entity_filter(entities), SETPOINT_KEY)


class CommandReceived(StatelessEntityTriggerBase):
    """A command came, whether it was acted upon or refused."""

    _domain_specs = {Platform.EVENT: DomainSpec()}  # noqa: RUF012

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        return _ours(self._hass, super().entity_filter(entities), COMMAND_KEY)


class EventReported(StatelessEntityTriggerBase):
    """An event of a resource was reported to the platform."""

    _domain_specs = {Platform.EVENT: DomainSpec()}  # noqa: RUF012

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        return _ours(self._hass, super().entity_filter(entities), REPORT_KEY)


class _ActivationCondition(EntityStateConditionBase):
    _domain_specs = {Platform.BINARY_SENSOR: DomainSpec()}  # noqa: RUF012

    @override
    def entity_filter(self, entities: set[str]) -> set[str]:
        return _ours(self._hass, super().entity_filter(entities), ACTIVATION_KEY)


class ActivationInForce(_ActivationCondition):
    """A setpoint is in force."""

    _states = {STATE_ON}  # noqa: RUF012


class ActivationNotInForce(_ActivationCondition):
    """The resource follows its baseline."""

    _states = {STATE_OFF}  # noqa: RUF012


TRIGGERS: dict[str, type[Trigger]] = {
    "activation_started": ActivationStarted,
    "activation_ended": ActivationEnded,
    "setpoint_changed": SetpointChanged,
    "command_received": CommandReceived,
    "event_reported": EventReported,
}
CONDITIONS: dict[str, type[Condition]] = {
    "activation_is_in_force": ActivationInForce,
    "activation_is_not_in_force": ActivationNotInForce,
}
