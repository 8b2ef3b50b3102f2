"""Repair flows: what the user may do about an issue."""

from homeassistant.components.repairs import RepairsFlow
from homeassistant.core import HomeAssistant

from .configuration.repairs import DriftFlow, PlanFlow, SecretsFlow
from .outbox.repairs import RefusedMessagesFlow, SetAsideFlow
from .points.repairs import PointsFlow


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow of a fixable issue, which its data tells."""
    data = data or {}
    if "site_entry" in data:
        return SecretsFlow(data)
    if "site_plan" in data:
        return PlanFlow(data)
    if "drifted" in data:
        return DriftFlow(data)
    if "points" in data:
        return PointsFlow(data)
    if "set_aside" in data:
        return SetAsideFlow(str(data["entry_id"]), str(data["set_aside"]))
    return RefusedMessagesFlow(str(data["entry_id"]))
