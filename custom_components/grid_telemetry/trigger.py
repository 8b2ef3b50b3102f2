"""Triggers for automations, brought by the links."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.trigger import Trigger

from .links.registry import LINKS


async def async_get_triggers(hass: HomeAssistant) -> dict[str, type[Trigger]]:
    """Return the triggers by their names."""
    return {name: trigger for module in LINKS.values() for name, trigger in module.triggers.items()}
