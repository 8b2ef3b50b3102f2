"""Conditions for automations, brought by the links."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.condition import Condition

from .links.registry import LINKS


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions by their names."""
    return {
        name: condition
        for module in LINKS.values()
        for name, condition in module.conditions.items()
    }
