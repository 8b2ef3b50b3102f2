"""Conditions for automations, brought by the links."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.condition import Condition

from .links.powernaut.automation import CONDITIONS


async def async_get_conditions(hass: HomeAssistant) -> dict[str, type[Condition]]:
    """Return the conditions by their names."""
    return CONDITIONS
