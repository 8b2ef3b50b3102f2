"""Loads the register maps for Home Assistant and tells the user of maps that are broken."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_time_interval

from ...const import DOMAIN, MAP_FOLDER
from ...meters import RegisterMap, load_register_maps
from .const import CONF_REGISTER_MAP

LOOK_AGAIN: Final = timedelta(minutes=1)
"""So often it is seen whether a map that a meter lacks has come, or is valid now."""

_INVALID = "register_map_invalid"
_MISSING = "register_map_missing"


def map_folder(hass: HomeAssistant) -> Path:
    """Return where users keep maps of their own."""
    return Path(hass.config.path(*MAP_FOLDER))


async def async_load_register_maps(
    hass: HomeAssistant, shipped: Collection[str] | None = None
) -> Mapping[str, RegisterMap]:
    """Return the user's maps and the shipped ones, or those of the shipped ones that are named.

    A repair issue stands for each file of the user that cannot be used.
    """
    folder = map_folder(hass)
    loaded = await hass.async_add_executor_job(load_register_maps, folder, shipped)
    _tell(
        hass,
        _INVALID,
        _INVALID,
        {
            file: {"file": file, "folder": str(folder), "error": error}
            for file, error in loaded.errors.items()
        },
    )
    return loaded.maps


@callback
def reload_when_found(
    hass: HomeAssistant, entry: ConfigEntry, meters: Sequence[ConfigSubentry]
) -> None:
    """Look now and then for the maps that meters of an entry lack; reload it with the first."""
    keys = {str(meter.data[CONF_REGISTER_MAP]) for meter in meters}

    async def look(_: datetime) -> None:
        maps = await async_load_register_maps(hass, keys)
        if keys & maps.keys():
            hass.config_entries.async_schedule_reload(entry.entry_id)

    if keys:
        entry.async_on_unload(async_track_time_interval(hass, look, LOOK_AGAIN))


@callback
def tell_missing_maps(
    hass: HomeAssistant, entry: ConfigEntry, meters: Sequence[ConfigSubentry]
) -> None:
    """Raise an issue for each meter of an entry that has no map, and end those of the others."""
    _tell(
        hass,
        _MISSING,
        f"{_MISSING}_{entry.entry_id}",
        {
            meter.subentry_id: {"meter": meter.title, "map": meter.data[CONF_REGISTER_MAP]}
            for meter in meters
        },
    )


def _tell(
    hass: HomeAssistant, translation_key: str, prefix: str, issues: Mapping[str, dict[str, str]]
) -> None:
    """Let there be exactly these issues among those that begin with a prefix."""
    wanted = {f"{prefix}_{name}": placeholders for name, placeholders in issues.items()}
    present = [issue_id for domain, issue_id in ir.async_get(hass).issues if domain == DOMAIN]
    for issue_id in present:
        if issue_id.startswith(f"{prefix}_") and issue_id not in wanted:
            ir.async_delete_issue(hass, DOMAIN, issue_id)
    for issue_id, placeholders in wanted.items():
        ir.async_create_issue(
            hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key=translation_key,
            translation_placeholders=placeholders,
        )
