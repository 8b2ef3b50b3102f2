"""Which entities somebody takes values from: our own links, automations and scripts."""

from collections.abc import Iterator, Mapping
import time
from typing import Any, Final

from homeassistant.components.automation import (
    DOMAIN as AUTOMATION_DOMAIN,
    entities_in_automation,
)
from homeassistant.components.script import DOMAIN as SCRIPT_DOMAIN, entities_in_script
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN

LOOK_AGAIN_S: Final = 30.0
"""So long it may take until a new use of an entity is known."""

_USED: Final[HassKey[tuple[float, frozenset[str]]]] = HassKey(f"{DOMAIN}.used_entities")


@callback
def used_entities(hass: HomeAssistant) -> frozenset[str]:
    """Return the entity ids that an enabled entry of ours, an automation or a script refers to.

    An entry may refer to a device, and so to all of its entities.

    What only a template, a dashboard or a helper of Home Assistant shows is not among them.
    """
    now = time.monotonic()
    known = hass.data.get(_USED)
    if known is None or now - known[0] >= LOOK_AGAIN_S:
        known = hass.data[_USED] = (now, frozenset(_used(hass)))
    return known[1]


def _used(hass: HomeAssistant) -> Iterator[str]:
    registry, devices = er.async_get(hass), dr.async_get(hass)
    for entry in hass.config_entries.async_entries(DOMAIN, include_disabled=False):
        parts = [entry.data, *(subentry.data for subentry in entry.subentries.values())]
        for text in texts_in(parts):
            # An id of a registry, or an entity_id; no other text resolves.
            if (entity_id := er.async_resolve_entity_id(registry, text)) is not None:
                yield entity_id
            elif devices.async_get(text) is not None:
                for entity in er.async_entries_for_device(registry, text):
                    yield entity.entity_id
    for entity_id in hass.states.async_entity_ids(AUTOMATION_DOMAIN):
        yield from entities_in_automation(hass, entity_id)
    for entity_id in hass.states.async_entity_ids(SCRIPT_DOMAIN):
        yield from entities_in_script(hass, entity_id)


def texts_in(value: Any) -> Iterator[str]:
    """Return the texts in the data of a subentry, however deep; one may refer to an entity."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_in(each)
