"""Which repair flow mends which issue."""

from collections.abc import Mapping

from homeassistant.components.repairs import RepairsFlow

from .configuration.repairs import DriftFlow, PlanFlow, SecretsFlow
from .outbox.repairs import RefusedMessagesFlow, SetAsideFlow
from .points.repairs import PointsFlow


def fix_flow(data: Mapping[str, str | int | float | None]) -> RepairsFlow:
    """Return the flow of a fixable issue, which its data tells."""
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
