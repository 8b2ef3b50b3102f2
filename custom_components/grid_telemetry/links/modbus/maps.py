"""Loads the register maps for Home Assistant and tells the user of maps that are broken."""

from collections.abc import Mapping
from pathlib import Path

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir

from ...const import DOMAIN
from ...meters import RegisterMap, load_register_maps

_ISSUE = "register_map_invalid_"


async def async_load_register_maps(hass: HomeAssistant) -> Mapping[str, RegisterMap]:
    """Return all maps by name; a repair issue stands for each file that cannot be used."""
    folder = Path(hass.config.path(DOMAIN, "meters"))
    loaded = await hass.async_add_executor_job(load_register_maps, folder)
    mended = {
        issue_id
        for domain, issue_id in ir.async_get(hass).issues
        if domain == DOMAIN
        and issue_id.startswith(_ISSUE)
        and issue_id.removeprefix(_ISSUE) not in loaded.errors
    }
    for issue_id in mended:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
    for file, error in loaded.errors.items():
        ir.async_create_issue(
            hass,
            DOMAIN,
            f"{_ISSUE}{file}",
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key="register_map_invalid",
            translation_placeholders={"file": file, "folder": str(folder), "error": error},
        )
    return loaded.maps
