"""Triggers for automations, brought by the links."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.trigger import Trigger

from .links.powernaut.automation import TRIGGERS


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers by their names."""
    return TRIGGERS
