"""Changes by hand of entries that a file owns: told, so that a person decides which counts."""

from typing import Any

from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.util.hass_dict import HassKey

from ..const import CONF_KIND, DOMAIN
from .apply import drift_issue_id
from .export import known
from .record import async_record
from .site_file import async_written_kinds

_WATCHED: HassKey[bool] = HassKey(f"{DOMAIN}_configuration_watched")


async def async_watch(hass: HomeAssistant) -> None:
    """Tell of changes by hand from now on, and of those that were made before."""
    if hass.data.get(_WATCHED):
        return
    hass.data[_WATCHED] = True
    record = await async_record(hass)

    @callback
    def changed(change: ConfigEntryChange, entry: ConfigEntry[Any]) -> None:
        # What a file changes is remembered when it has been applied.
        if entry.entry_id not in record.entries or record.lock.locked():
            return
        if change is ConfigEntryChange.REMOVED:
            ir.async_delete_issue(hass, DOMAIN, drift_issue_id(entry.entry_id))
        elif change is ConfigEntryChange.UPDATED:
            hass.async_create_task(async_check_drift(hass, entry), "grid_telemetry drift")

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, changed)
    for entry_id in list(record.entries):
        if (entry := hass.config_entries.async_get_entry(entry_id)) is not None:
            await async_check_drift(hass, entry)


async def async_check_drift(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Raise or clear the issue of an entry."""
    record = await async_record(hass)
    kinds = await async_written_kinds(hass)
    remembered = record.entries.get(entry.entry_id)
    if remembered is None:
        return
    present = known(hass, entry, kinds[entry.data[CONF_KIND]])
    if not remembered.owned or present == remembered.written:
        ir.async_delete_issue(hass, DOMAIN, drift_issue_id(entry.entry_id))
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        drift_issue_id(entry.entry_id),
        data={"drifted": entry.entry_id},
        is_fixable=True,
        severity=ir.IssueSeverity.WARNING,
        translation_key="configuration_drift",
        translation_placeholders={"title": entry.title},
    )
