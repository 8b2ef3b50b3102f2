"""The actions of configuration as data; for administrators, as they change everything."""

from typing import Any, Final

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
from homeassistant.helpers.start import async_at_started
import voluptuous as vol

from ..const import DOMAIN
from ..entry_store import EntryStore, entry_store
from .const import RECORD_KEY, RECORD_VERSION

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
    async_at_started(hass, async_watch_owned_entries)


async def async_watch_owned_entries(hass: HomeAssistant) -> None:
    """Tell of changes by hand of what a file owns; imports nothing where no file was applied."""
    store: EntryStore[dict[str, Any]] = entry_store(hass, RECORD_VERSION, RECORD_KEY)
    if await store.async_load() is not None:
        drift = await async_import_module(hass, f"{__package__}.drift")
        await drift.async_watch(hass)


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
