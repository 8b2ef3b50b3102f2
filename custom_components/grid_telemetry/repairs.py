"""Repair flows: what the user may do about an issue."""

from homeassistant.components.repairs import RepairsFlow
from homeassistant.core import HomeAssistant

from .outbox.repairs import RefusedMessagesFlow


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow of a fixable issue; there is one kind of them."""
    return RefusedMessagesFlow(str((data or {})["entry_id"]))
