"""Actions on the outbox of any forwarder that has one."""

from typing import Final, Protocol, runtime_checkable

from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError
import voluptuous as vol

from ..action import ENTRY_FIELD, link_for
from ..const import DOMAIN
from .delivery import Delivery
from .store import Outbox

ATTR_TIMEOUT: Final = "timeout"

_FLUSH_SCHEMA = vol.Schema(
    {
        **ENTRY_FIELD,
        vol.Optional(ATTR_TIMEOUT, default=60): vol.All(
            vol.Coerce(float), vol.Range(min=0, max=3600)
        ),
    }
)
_CLEAR_SCHEMA = vol.Schema(ENTRY_FIELD)


@runtime_checkable
class DurableForwarder(Protocol):
    """A link whose samples wait in an outbox."""

    outbox: Outbox
    delivery: Delivery


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions."""
    for name, handler, schema in (
        ("flush", _async_flush, _FLUSH_SCHEMA),
        ("clear_outbox", _async_clear, _CLEAR_SCHEMA),
    ):
        hass.services.async_register(
            DOMAIN, name, handler, schema, supports_response=SupportsResponse.OPTIONAL
        )


async def _async_flush(call: ServiceCall) -> ServiceResponse:
    """Try at once to deliver what waits."""
    link = link_for(call, DurableForwarder)
    delivered = await link.delivery.flush(call.data[ATTR_TIMEOUT])
    return {"delivered": delivered, "queued": link.outbox.queued_samples}


async def _async_clear(call: ServiceCall) -> ServiceResponse:
    """Drop what waits."""
    link = link_for(call, DurableForwarder)
    try:
        dropped = await link.outbox.clear()
    except OSError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="outbox_not_cleared",
            translation_placeholders={"error": str(err)},
        ) from err
    link.delivery.wake()
    return {"dropped": dropped}
