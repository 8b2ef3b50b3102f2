"""Actions of both STTP links, and on the subscribers of a publisher."""

from typing import Any, Final, Protocol, runtime_checkable
from uuid import UUID

from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
import voluptuous as vol

from ...action_target import ENTRY_FIELD, link_for
from ...const import DOMAIN
from ...protocols.sttp.metadata import Metadata
from .link import SttpPublisherLink

ATTR_SUBSCRIBER: Final = "subscriber_id"

_ENTRY_SCHEMA = vol.Schema(ENTRY_FIELD)
_DISCONNECT_SCHEMA = vol.Schema({**ENTRY_FIELD, vol.Required(ATTR_SUBSCRIBER): vol.Coerce(UUID)})


@runtime_checkable
class LinkWithMetadata(Protocol):
    """A link that has STTP metadata: a publisher its own, a subscriber those of another."""

    async def async_refresh_metadata(self) -> Metadata:
        """Send the metadata anew, or ask for it, and return it."""


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions."""
    optional, only = SupportsResponse.OPTIONAL, SupportsResponse.ONLY
    for name, handler, schema, response in (
        ("sttp_refresh_metadata", _async_refresh_metadata, _ENTRY_SCHEMA, optional),
        ("sttp_list_subscribers", _async_list_subscribers, _ENTRY_SCHEMA, only),
        ("sttp_disconnect_subscriber", _async_disconnect, _DISCONNECT_SCHEMA, optional),
    ):
        hass.services.async_register(DOMAIN, name, handler, schema, supports_response=response)


async def _async_refresh_metadata(call: ServiceCall) -> ServiceResponse:
    metadata = await link_for(call, LinkWithMetadata).async_refresh_metadata()
    return {"devices": len(metadata.devices), "signals": len(metadata.measurements)}


async def _async_list_subscribers(call: ServiceCall) -> ServiceResponse:
    subscribers: list[Any] = [
        {
            ATTR_SUBSCRIBER: str(info.id),
            "address": info.address,
            "port": info.port,
            "since": info.since.isoformat(),
            "version": info.version,
            "agent": info.agent,
            "filter_expression": info.filter_expression,
            "form": info.form,
            "signals": info.signals,
            "measurements": info.measurements,
            "bytes": info.bytes,
            "waiting_bytes": info.waiting_bytes,
        }
        for info in link_for(call, SttpPublisherLink).publisher.subscribers()
    ]
    return {"subscribers": subscribers}


async def _async_disconnect(call: ServiceCall) -> ServiceResponse:
    subscriber_id = call.data[ATTR_SUBSCRIBER]
    link = link_for(call, SttpPublisherLink)
    if not link.publisher.disconnect(subscriber_id):
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="sttp_unknown_subscriber",
            translation_placeholders={
                "subscriber": str(subscriber_id),
                "known": ", ".join(str(info.id) for info in link.publisher.subscribers()) or "-",
            },
        )
    return {"disconnected": str(subscriber_id)}
