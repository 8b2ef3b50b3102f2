"""What the actions of the STTP links do."""

from typing import Any

from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.exceptions import ServiceValidationError

from ...action import link_for
from ...const import DOMAIN
from ...protocols.sttp import MetadataSource
from .actions import ATTR_SUBSCRIBER
from .link import SttpPublisherLink


async def async_refresh_metadata(call: ServiceCall) -> ServiceResponse:
    """Send or ask for the metadata anew, and count them."""
    metadata = await link_for(call, MetadataSource).async_refresh_metadata()
    return {"devices": len(metadata.devices), "signals": len(metadata.measurements)}


async def async_list_subscribers(call: ServiceCall) -> ServiceResponse:
    """Return who is connected to a publisher."""
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


async def async_disconnect(call: ServiceCall) -> ServiceResponse:
    """Disconnect a subscriber."""
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
