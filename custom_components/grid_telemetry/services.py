"""Actions, registered once for the whole integration."""

from homeassistant.core import HomeAssistant, callback

from .commands.actions import async_setup_actions as async_setup_command_actions
from .dashboard import async_setup_actions as async_setup_dashboard_actions
from .forwarding.actions import async_setup_actions as async_setup_outbox_actions
from .links.ardexa.actions import async_setup_actions as async_setup_ardexa_actions
from .links.modbus.actions import async_setup_actions as async_setup_modbus_actions
from .links.powernaut.actions import async_setup_actions as async_setup_powernaut_actions
from .links.scout.actions import async_setup_actions as async_setup_scout_actions
from .links.solarnode.actions import async_setup_actions as async_setup_solarnode_actions
from .links.sttp_publisher.actions import async_setup_actions as async_setup_sttp_actions


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions of the forwarders and of every link."""
    async_setup_dashboard_actions(hass)
    async_setup_outbox_actions(hass)
    async_setup_modbus_actions(hass)
    async_setup_scout_actions(hass)
    async_setup_powernaut_actions(hass)
    async_setup_sttp_actions(hass)
    async_setup_command_actions(hass)
    async_setup_solarnode_actions(hass)
    async_setup_ardexa_actions(hass)
