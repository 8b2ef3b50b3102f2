"""The section of Home Assistant's page on system health."""

from typing import Any

from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.loader import async_get_integration

from .connection.health import LinkWithHealth
from .const import DOMAIN


@callback
def async_register(hass: HomeAssistant, register: SystemHealthRegistration) -> None:
    """Register the section."""
    register.async_register_info(_async_info)


async def _async_info(hass: HomeAssistant) -> dict[str, Any]:
    """Return what the section shows: how many of the links run, connect, and what waits."""
    integration = await async_get_integration(hass, DOMAIN)
    entries = hass.config_entries.async_entries(
        DOMAIN, include_ignore=False, include_disabled=False
    )
    links = [entry.runtime_data for entry in entries if entry.state is ConfigEntryState.LOADED]
    health = [link.health for link in links if isinstance(link, LinkWithHealth)]
    return {
        "version": str(integration.version),
        "links": f"{len(links)} / {len(entries)}",
        "connected": f"{sum(each.connected for each in health)} / {len(health)}",
        "queued": sum(each.queued for each in health),
        "dropped": sum(each.dropped for each in health),
    }
