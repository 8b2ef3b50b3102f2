"""What the actions of the Powernaut link do."""

from collections.abc import Awaitable
from datetime import datetime
from http import HTTPStatus
from typing import cast

from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonValueType

from ...action import link_for
from ...connection.errors import CredentialsRefused, LinkError
from ...const import DOMAIN
from .actions import (
    ATTR_BID_ID,
    ATTR_COUNT,
    ATTR_CURVE,
    ATTR_END,
    ATTR_EVENT_TYPE,
    ATTR_EXPIRES_AT,
    ATTR_MODEL_ID,
    ATTR_POWER_TYPE,
    ATTR_SKIP_ACTIVATED,
    ATTR_START,
    ATTR_STATUS,
    ATTR_WATTS,
)
from .api import Forbidden, RateLimited, RequestRefused
from .bidding import curve_of
from .const import CONF_RESOURCE_ID, reported_signal
from .link import PowernautLink
from .rest_payload import (
    MAX_QUARTERS,
    QUARTER,
    baseline_body,
    event_body,
    forecast_body,
    is_quarter,
    present_quarter,
)


def _resource(call: ServiceCall, link: PowernautLink) -> str:
    """Return the resource that a call is for; it may be left out where there is only one."""
    resource_id: str | None = call.data.get(CONF_RESOURCE_ID)
    if resource_id is None and len(link.resource_ids) == 1:
        return link.resource_ids[0]
    if resource_id not in link.resource_ids:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="powernaut_unknown_resource",
            translation_placeholders={
                "resource": resource_id or "-",
                "known": ", ".join(link.resource_ids) or "-",
            },
        )
    return resource_id


def _quarter(moment: datetime) -> datetime:
    """Return a time of a call in UTC; without a zone it is local. It has to be a quarter-hour."""
    if not is_quarter(moment := dt_util.as_utc(moment)):
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="powernaut_no_quarter",
            translation_placeholders={"time": moment.isoformat()},
        )
    return moment


async def _ask[T](request: Awaitable[T]) -> T:
    """Return what the platform answers, or raise what went wrong in the user's words."""
    try:
        return await request
    except Forbidden as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="powernaut_forbidden",
            translation_placeholders={"error": err.message},
        ) from err
    except RateLimited as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="powernaut_rate_limited",
            translation_placeholders={"error": err.detail},
        ) from err
    except CredentialsRefused as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key="powernaut_login_refused"
        ) from err
    except RequestRefused as err:
        # A conflict is nobody's mistake: the bid was accepted meanwhile, a window activated.
        kind = HomeAssistantError if err.status == HTTPStatus.CONFLICT else ServiceValidationError
        raise kind(
            translation_domain=DOMAIN,
            translation_key="powernaut_request_refused",
            translation_placeholders={"error": err.message},
        ) from err
    except LinkError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="powernaut_unreachable",
            translation_placeholders={"error": str(err)},
        ) from err


async def async_get_activations(call: ServiceCall) -> ServiceResponse:
    """Return the activations of a resource."""
    link = link_for(call, PowernautLink)
    start, end = call.data.get(ATTR_START), call.data.get(ATTR_END)
    found = await _ask(
        link.api.activations(
            _resource(call, link), start and dt_util.as_utc(start), end and dt_util.as_utc(end)
        )
    )
    return {"activations": cast("list[JsonValueType]", found)}


async def async_set_baseline(call: ServiceCall) -> ServiceResponse:
    """Set the baseline of a resource, or of the site where none is named."""
    link = link_for(call, PowernautLink)
    values: list[float] = call.data[ATTR_WATTS]
    now = dt_util.utcnow()
    start = _quarter(call.data.get(ATTR_START, present_quarter(now)))
    earliest = present_quarter(now)
    if not earliest <= start <= earliest + MAX_QUARTERS * QUARTER:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="powernaut_baseline_start",
            translation_placeholders={"time": start.isoformat()},
        )
    body = baseline_body(
        start,
        values,
        call.data[ATTR_POWER_TYPE],
        skip_activated=call.data[ATTR_SKIP_ACTIVATED],
    )
    if CONF_RESOURCE_ID in call.data:
        target = _resource(call, link)
        await _ask(link.api.set_baseline("resources", target, body))
    else:
        target = link.site_id
        await _ask(link.api.set_baseline("sites", target, body))
    return {
        "id": target,
        "start": start.isoformat(),
        "end": (start + len(values) * QUARTER).isoformat(),
        "watts": cast("list[JsonValueType]", values),
    }


async def async_place_bid(call: ServiceCall) -> ServiceResponse:
    """Place a bid for one quarter-hour and return it."""
    link = link_for(call, PowernautLink)
    start = _quarter(call.data[ATTR_START])
    expires_at = call.data.get(ATTR_EXPIRES_AT)
    bid = link.desk.place(
        _resource(call, link),
        start,
        curve_of(call.data[ATTR_CURVE]),
        power_type=call.data[ATTR_POWER_TYPE],
        expires_at=expires_at and dt_util.as_utc(expires_at),
    )
    return {"bid": await _ask(bid)}


async def async_cancel_bid(call: ServiceCall) -> ServiceResponse:
    """Withdraw a bid."""
    bid_id: str = call.data[ATTR_BID_ID]
    await _ask(link_for(call, PowernautLink).desk.cancel(bid_id))
    return {"id": bid_id, "cancelled": True}


async def async_change_bid(call: ServiceCall) -> ServiceResponse:
    """Change an open bid and return it."""
    curve = call.data.get(ATTR_CURVE)
    expires_at = call.data.get(ATTR_EXPIRES_AT)
    if curve is None and expires_at is None:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="powernaut_nothing_to_change"
        )
    change = link_for(call, PowernautLink).desk.change(
        call.data[ATTR_BID_ID],
        None if curve is None else curve_of(curve),
        expires_at and dt_util.as_utc(expires_at),
    )
    return {"bid": await _ask(change)}


async def async_get_baseline(call: ServiceCall) -> ServiceResponse:
    """Return the baseline of the site; the platform does not tell that of a resource."""
    link = link_for(call, PowernautLink)
    start = _quarter(call.data.get(ATTR_START, present_quarter(dt_util.utcnow())))
    values = await _ask(link.api.site_baseline(link.site_id, start, call.data[ATTR_COUNT]))
    return {
        "id": link.site_id,
        "start": start.isoformat(),
        "watts": cast("list[JsonValueType]", values),
    }


async def async_upload_forecast(call: ServiceCall) -> ServiceResponse:
    """Upload a forecast of a resource's power and return how much of it was taken."""
    link = link_for(call, PowernautLink)
    start = _quarter(call.data.get(ATTR_START, present_quarter(dt_util.utcnow()) + QUARTER))
    body = forecast_body(start, call.data[ATTR_WATTS], call.data[ATTR_MODEL_ID])
    return await _ask(link.api.upload_forecast(_resource(call, link), body))


async def async_report_event(call: ServiceCall) -> ServiceResponse:
    """Report an event of a resource."""
    link = link_for(call, PowernautLink)
    resource_id = _resource(call, link)
    start, end = _quarter(call.data[ATTR_START]), _quarter(call.data[ATTR_END])
    if end <= start:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="powernaut_end_before_start"
        )
    event_type = call.data[ATTR_EVENT_TYPE]
    await _ask(link.api.report_event(resource_id, event_body(event_type, start, end)))
    async_dispatcher_send(call.hass, reported_signal(resource_id), event_type, start, end)
    return {"resource_id": resource_id, "event_type": event_type}


async def async_list_bids(call: ServiceCall) -> ServiceResponse:
    """Return the bids of the site."""
    bids = await _ask(link_for(call, PowernautLink).api.bids(call.data.get(ATTR_STATUS)))
    return {"bids": cast("list[JsonValueType]", bids)}
