"""Repair flows: what the user may do about an issue."""

from homeassistant.components.repairs import RepairsFlow
from homeassistant.core import HomeAssistant
from homeassistant.helpers.importlib import async_import_module


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow of a fixable issue."""
    # Imported when an issue is mended: Home Assistant loads this module in every home, and the
    # flows bring the site file and the outbox's file with them.
    flows = await async_import_module(hass, f"{__package__}.fix_flows")
    flow: RepairsFlow = flows.fix_flow(data or {})
    return flow
