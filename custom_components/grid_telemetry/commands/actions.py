"""The action that runs a setup command, as if it had come from outside."""

from typing import Final, Protocol, runtime_checkable

from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_register_admin_service
import voluptuous as vol

from ..action import ENTRY_FIELD, link_for
from ..const import DOMAIN
from .command import Command
from .registry import Registry

ATTR_DESTINATION: Final = "destination"
ATTR_HEADERS: Final = "headers"
ATTR_BODY: Final = "body"
ORIGIN: Final = "action"

_SCHEMA = vol.Schema(
    {
        **ENTRY_FIELD,
        vol.Required(ATTR_DESTINATION): vol.All(cv.string, vol.Length(min=1)),
        vol.Optional(ATTR_HEADERS, default=dict): {cv.string: cv.string},
        vol.Optional(ATTR_BODY): cv.string,
    }
)


@runtime_checkable
class LinkWithCommands(Protocol):
    """A link that takes setup commands."""

    registry: Registry


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the action; it can restart a machine, so only administrators may call it."""
    async_register_admin_service(
        hass,
        DOMAIN,
        "setup_command",
        _async_run,
        _SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )


async def _async_run(call: ServiceCall) -> ServiceResponse:
    """Run a command and return its reply."""
    reply = await link_for(call, LinkWithCommands).registry.run(
        Command(
            destination=call.data[ATTR_DESTINATION],
            headers=call.data[ATTR_HEADERS],
            arg=call.data.get(ATTR_BODY),
            origin=ORIGIN,
        )
    )
    return {"status": reply.status, "message": reply.message, "result": reply.result}
