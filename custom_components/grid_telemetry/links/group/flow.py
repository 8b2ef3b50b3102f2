"""Config steps of meter groups: an entry for all of them, and a subentry for each."""

from collections.abc import Mapping
from dataclasses import replace
import re
from typing import Any, Final, override

from homeassistant.config_entries import (
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers.selector import (
    DeviceSelector,
    DeviceSelectorConfig,
    EntityFilterSelectorConfig,
    SelectSelector,
    SelectSelectorConfig,
)
import voluptuous as vol

from ...const import CONF_KIND
from ...forms.written import Written, one_form
from ...points.table import (
    CONF_DEVICES,
    CONF_ENTITY,
    CONF_FACTOR,
    CONF_MISSING_AS_ZERO,
    ENTITY_COLUMN,
    FACTOR_COLUMN,
    MISSING_AS_ZERO_COLUMN,
    PointsSubentryFlow,
    PointsTable,
    written_points,
)
from .const import (
    CONF_GROUP_KIND,
    CONF_MAIN_DEVICE,
    CONF_NAME,
    CONF_QUANTITY,
    KIND,
    SUBENTRY_GROUP,
    GroupKind,
)
from .mapping import QUANTITIES_OF_GROUPS, check_rows, suggest_rows

_TITLE: Final = "Meter groups"
_NAME: Final = re.compile(r".{1,64}")
_FIELDS: Final[Mapping[vol.Marker, Any]] = {
    vol.Required(CONF_GROUP_KIND, default=GroupKind.TOTAL): SelectSelector(
        SelectSelectorConfig(options=list(GroupKind), translation_key="group_kind")
    ),
    vol.Optional(CONF_MAIN_DEVICE): DeviceSelector(
        DeviceSelectorConfig(entity=[EntityFilterSelectorConfig(domain=[Platform.SENSOR])])
    ),
}


def _table(kind: GroupKind = GroupKind.TOTAL, main_device: str | None = None) -> PointsTable:
    return PointsTable(
        subentry_type=SUBENTRY_GROUP,
        id_field=CONF_NAME,
        id_pattern=_NAME,
        more_fields=_FIELDS,
        columns={
            CONF_ENTITY: ENTITY_COLUMN,
            CONF_QUANTITY: {
                "selector": {"select": {"options": QUANTITIES_OF_GROUPS, "mode": "dropdown"}}
            },
            CONF_FACTOR: FACTOR_COLUMN,
            CONF_MISSING_AS_ZERO: MISSING_AS_ZERO_COLUMN,
        },
        translation_key="group_member",
        suggest=lambda hass, entity_ids: suggest_rows(hass, entity_ids, kind, main_device),
        check=lambda hass, rows, _: check_rows(hass, rows, kind),
    )


class GroupSubentryFlow(PointsSubentryFlow):
    """Choose the meters, then what of them is added up."""

    @classmethod
    @override
    def written(cls) -> Written:
        """Return how a group is written in a file; the main meter's row says that it is that."""
        more = {marker: value for marker, value in _FIELDS.items() if marker != CONF_MAIN_DEVICE}
        return written_points(replace(cls.table, more_fields=more))

    table = _table()

    @callback
    @override
    def async_remove(self) -> None:
        """Leave no entry without a group: it is made before its first one is asked for."""
        entry = self.hass.config_entries.async_get_entry(self._entry_id)
        if entry is not None and not entry.subentries and not self.hass.is_stopping:
            self.hass.async_create_task(
                self.hass.config_entries.async_remove(entry.entry_id), "remove an empty group"
            )

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the meters; the main one is the first of them."""
        if user_input is not None:
            user_input = dict(user_input)
            main_device = user_input.pop(CONF_MAIN_DEVICE, None)
            if main_device is not None:
                others = [device for device in user_input[CONF_DEVICES] if device != main_device]
                user_input[CONF_DEVICES] = [main_device, *others]
            self.table = _table(GroupKind(user_input[CONF_GROUP_KIND]), main_device)
        return await super().async_step_user(user_input)


SUBENTRY_FLOWS: dict[str, type[ConfigSubentryFlow]] = {SUBENTRY_GROUP: GroupSubentryFlow}


class GroupFlow(ConfigFlow):
    """The step that makes the entry of all groups."""

    @classmethod
    def written(cls) -> Written:
        """Return how the entry of the groups is written in a file: it has nothing to say."""
        return Written(schemas=one_form({}))

    async def async_step_group(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Make the entry; there is nothing to ask."""
        await self.async_set_unique_id(KIND)
        self._abort_if_unique_id_configured()
        return self.async_create_entry(title=_TITLE, data={CONF_KIND: KIND})

    async def async_step_group_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that there is nothing to change but the groups themselves."""
        return self.async_abort(reason="group_has_nothing_to_change")


FLOW: Final = GroupFlow
