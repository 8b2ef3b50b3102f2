"""Actions on the outbox of any forwarder that has one."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Protocol, runtime_checkable

from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_register_admin_service
import voluptuous as vol

from ..action import ENTRY_FIELD, link_for
from ..const import DOMAIN
from .delivery import Delivery
from .store import Outbox, OutboxClosedError, OutboxError, RefusedRecord

ATTR_TIMEOUT: Final = "timeout"
ATTR_LIMIT: Final = "limit"
ATTR_IDS: Final = "ids"

_MAX_BODY_CHARS: Final = 2000  # of a refused message, in an answer

_FLUSH_SCHEMA = vol.Schema(
    {
        **ENTRY_FIELD,
        vol.Optional(ATTR_TIMEOUT, default=60): vol.All(
            vol.Coerce(float), vol.Range(min=0, max=3600)
        ),
    }
)
_CLEAR_SCHEMA = vol.Schema(ENTRY_FIELD)
_LIST_SCHEMA = vol.Schema(
    {
        **ENTRY_FIELD,
        vol.Optional(ATTR_LIMIT, default=100): vol.All(vol.Coerce(int), vol.Range(min=1, max=1000)),
    }
)
_RETRY_SCHEMA = vol.Schema(
    {**ENTRY_FIELD, vol.Optional(ATTR_IDS): vol.All(cv.ensure_list, [cv.positive_int])}
)


@runtime_checkable
class DurableForwarder(Protocol):
    """A link whose samples wait in an outbox."""

    outbox: Outbox
    delivery: Delivery


@contextmanager
def outbox_errors() -> Iterator[None]:
    """Tell the user what could not be done to an outbox."""
    try:
        yield
    except OutboxClosedError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key="outbox_closed"
        ) from err
    except OutboxError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="outbox_failed",
            translation_placeholders={"error": str(err)},
        ) from err


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions; all are for administrators, as they send, delete or reveal."""
    optional, only = SupportsResponse.OPTIONAL, SupportsResponse.ONLY
    for name, handler, schema, response in (
        ("flush", _async_flush, _FLUSH_SCHEMA, optional),
        ("clear_outbox", _async_clear, _CLEAR_SCHEMA, optional),
        ("list_refused", _async_list_refused, _LIST_SCHEMA, only),
        ("retry_refused", _async_retry_refused, _RETRY_SCHEMA, optional),
    ):
        async_register_admin_service(hass, DOMAIN, name, handler, schema, response)


async def _async_flush(call: ServiceCall) -> ServiceResponse:
    """Try at once to deliver what waits."""
    link = link_for(call, DurableForwarder)
    delivered = await link.delivery.flush(call.data[ATTR_TIMEOUT])
    return {"delivered": delivered, "queued": link.outbox.queued_samples}


async def _async_clear(call: ServiceCall) -> ServiceResponse:
    """Drop what waits."""
    link = link_for(call, DurableForwarder)
    with outbox_errors():
        dropped = await link.outbox.clear()
    link.delivery.wake()
    return {"dropped": dropped}


async def _async_list_refused(call: ServiceCall) -> ServiceResponse:
    """Answer with the messages that the platform refused."""
    link = link_for(call, DurableForwarder)
    with outbox_errors():
        refused = await link.outbox.refused(call.data[ATTR_LIMIT])
    return {
        "messages": [refused_as_dict(record) for record in refused],
        "total": link.outbox.refused_records,
    }


def refused_as_dict(record: RefusedRecord) -> dict[str, Any]:
    """Return a refused message as the answer of an action; a long body is cut."""
    return {
        "id": record.id,
        "kind": record.destination.kind,
        "device": record.destination.device,
        "at": _iso(record.at_ms),
        "samples": record.samples,
        "refused_at": _iso(record.refused_ms),
        "reason": record.reason,
        "body": record.body[:_MAX_BODY_CHARS],
    }


def _iso(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat()


async def _async_retry_refused(call: ServiceCall) -> ServiceResponse:
    """Queue messages again that the platform refused."""
    link = link_for(call, DurableForwarder)
    with outbox_errors():
        queued = await link.outbox.retry_refused(call.data.get(ATTR_IDS))
    link.delivery.wake()
    return {"queued": queued}
