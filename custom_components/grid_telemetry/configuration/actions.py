"""The actions of configuration as data; for administrators, as they change everything."""

from typing import Final

from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.importlib import async_import_module
from homeassistant.helpers.service import async_register_admin_service
import voluptuous as vol

from ..const import DOMAIN

ATTR_CONFIGURATION: Final = "configuration"
_GIVEN: Final = vol.Schema({vol.Optional(ATTR_CONFIGURATION): cv.string})
_ACTIONS: Final = {
    "export": (vol.Schema({}), SupportsResponse.ONLY),
    "plan": (_GIVEN, SupportsResponse.ONLY),
    "apply": (_GIVEN, SupportsResponse.OPTIONAL),
}


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions; what they do is imported when one is first called."""
    for name, (schema, response) in _ACTIONS.items():
        _register(hass, name, schema, response)


@callback
def _register(
    hass: HomeAssistant, name: str, schema: vol.Schema, response: SupportsResponse
) -> None:
    async def handle(call: ServiceCall) -> ServiceResponse:
        handlers = await async_import_module(hass, f"{__package__}.handlers")
        answer: ServiceResponse = await getattr(handlers, f"async_handle_{name}")(call)
        return answer

    async_register_admin_service(
        hass, DOMAIN, f"{name}_configuration", handle, schema, supports_response=response
    )
