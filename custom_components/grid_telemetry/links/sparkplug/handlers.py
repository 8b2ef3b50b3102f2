"""What the actions of the Sparkplug link do."""

from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.exceptions import HomeAssistantError

from ...action import link_for
from ...const import DOMAIN
from .link import SparkplugLink


async def async_send_births(call: ServiceCall) -> ServiceResponse:
    """Send the births of the node and of its devices again; answer which devices those are."""
    devices = link_for(call, SparkplugLink).send_births()
    if devices is None:
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key="sparkplug_not_connected"
        )
    return {"devices": list(devices)}
