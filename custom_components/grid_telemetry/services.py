"""Actions, registered once for the whole integration."""

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, callback
from homeassistant.helpers.service import async_register_admin_service

from .action import Action
from .action_choices import async_offer_choices
from .commands.actions import async_setup_actions as async_setup_command_actions
from .configuration.actions import async_setup_actions as async_setup_configuration_actions
from .const import DOMAIN
from .dashboard import async_setup_actions as async_setup_dashboard_actions
from .link import LinkModule
from .links.registry import LINKS
from .outbox.actions import async_setup_actions as async_setup_outbox_actions


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register what several kinds of links have in common, and the actions of each kind."""
    async_setup_dashboard_actions(hass)
    async_setup_outbox_actions(hass)
    async_setup_command_actions(hass)
    async_setup_configuration_actions(hass)
    for module in LINKS.values():
        for action in module.actions:
            _register(hass, module, action)
    async_offer_choices(hass)


@callback
def _register(hass: HomeAssistant, module: LinkModule, action: Action) -> None:
    """Register an action whose handler is imported when it is first called."""

    async def handle(call: ServiceCall) -> ServiceResponse:
        return await (await module.async_handler(hass, action))(call)

    # Each of them sends, writes, deletes or reveals; automations, which are nobody, may call them.
    async_register_admin_service(
        hass, DOMAIN, action.name, handle, action.schema, supports_response=action.response
    )
