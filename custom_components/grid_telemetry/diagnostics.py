"""Diagnostics of one link or one of its devices, without their secrets."""

from typing import Any, Final

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import DeviceEntry

from .link import GridTelemetryConfigEntry
from .links.registry import link_module

SECRETS: Final = frozenset({"login", "password", "serial_number", "token"})
"""What no kind of link shows; each adds its own."""


def _redacted(entry: GridTelemetryConfigEntry, data: dict[str, Any]) -> dict[str, Any]:
    return async_redact_data(data, SECRETS | link_module(entry).secrets)


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: GridTelemetryConfigEntry
) -> dict[str, Any]:
    """Return the entry, its subentries and what the link says of itself."""
    return _redacted(
        entry,
        {
            "entry": dict(entry.data),
            "subentries": [
                {"type": subentry.subentry_type, "title": subentry.title, **subentry.data}
                for subentry in entry.subentries.values()
            ],
            "state": entry.state.value,
            "error": entry.error_reason_translation_key,
            # They are asked for above all when the link does not come up.
            "link": (
                entry.runtime_data.diagnostics() if entry.state is ConfigEntryState.LOADED else None
            ),
        },
    )


async def async_get_device_diagnostics(
    hass: HomeAssistant, entry: GridTelemetryConfigEntry, device: DeviceEntry
) -> dict[str, Any]:
    """Return the same with the device and the states of its entities in front.

    The device of a link, and so its entities' ids, can be named after what is secret.
    """
    return _redacted(
        entry,
        {
            "device": {
                "manufacturer": device.manufacturer,
                "model": device.model,
                "model_id": device.model_id,
                "serial_number": device.serial_number,
                "sw_version": device.sw_version,
                "hw_version": device.hw_version,
            },
            "entities": [
                {
                    "domain": entity.domain,
                    "key": entity.translation_key,
                    "name": entity.original_name,
                    "disabled_by": entity.disabled_by,
                    "state": None if state is None else state.state,
                    "last_reported": None if state is None else state.last_reported.isoformat(),
                }
                for entity in er.async_entries_for_device(
                    er.async_get(hass), device.id, include_disabled_entities=True
                )
                for state in (hass.states.get(entity.entity_id),)
            ],
            **await async_get_config_entry_diagnostics(hass, entry),
        },
    )
