"""Repair flows: what the user may do about an issue."""

from homeassistant.components.repairs import RepairsFlow
from homeassistant.core import HomeAssistant

from .outbox.repairs import RefusedMessagesFlow
from .points.repairs import PointsFlow


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow of a fixable issue: entities that are gone, or refused messages."""
    data = data or {}
    if "points" in data:
        return PointsFlow(data)
    return RefusedMessagesFlow(str(data["entry_id"]))
