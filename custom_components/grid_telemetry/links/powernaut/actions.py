"""Actions of the Powernaut link: baselines, bids and activations, in watts."""

from collections.abc import Awaitable
from datetime import datetime, timedelta
import math
from typing import Any, Final, cast

from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util
from homeassistant.util.json import JsonValueType
import voluptuous as vol

from ...action_target import ENTRY_FIELD, link_for
from ...connection.errors import LinkError
from ...const import DOMAIN
from .api import RequestRefused
from .const import CONF_RESOURCE_ID
from .link import PowernautLink
from .payload import MAX_WATTS
from .rest_payload import (
    MAX_CURVE,
    MAX_QUARTERS,
    QUARTER_S,
    PowerType,
    baseline_body,
    bid_body,
    is_quarter,
    present_quarter,
)

ATTR_START: Final = "start"
ATTR_END: Final = "end"
ATTR_WATTS: Final = "watts"
ATTR_PRICE: Final = "price"
ATTR_CURVE: Final = "curve"
ATTR_POWER_TYPE: Final = "power_type"
ATTR_SKIP_ACTIVATED: Final = "skip_activated_windows"
ATTR_EXPIRES_AT: Final = "expires_at"
ATTR_BID_ID: Final = "bid_id"
ATTR_STATUS: Final = "status"

_QUARTER: Final = timedelta(seconds=QUARTER_S)
_HTTP_CONFLICT: Final = 409


def _finite(value: Any) -> float:
    """Return a number that a decimal string can carry."""
    if isinstance(value, bool):
        raise vol.Invalid("a number is expected")
    number = float(value)
    if not math.isfinite(number) or abs(number) > MAX_WATTS:
        raise vol.Invalid("the number is out of range")
    return int(number) if number == math.trunc(number) else number


_POWER_TYPE = vol.All(cv.string, vol.Coerce(PowerType))
_RESOURCE: dict[vol.Marker, Any] = {**ENTRY_FIELD, vol.Optional(CONF_RESOURCE_ID): cv.string}

_ACTIVATIONS_SCHEMA = vol.Schema(
    {**_RESOURCE, vol.Optional(ATTR_START): cv.datetime, vol.Optional(ATTR_END): cv.datetime}
)
_BASELINE_SCHEMA = vol.Schema(
    {
        **_RESOURCE,
        vol.Optional(ATTR_START): cv.datetime,
        vol.Required(ATTR_WATTS): vol.All(
            cv.ensure_list, vol.Length(min=1, max=MAX_QUARTERS), [_finite]
        ),
        vol.Optional(ATTR_POWER_TYPE, default=PowerType.ACTIVE): _POWER_TYPE,
        vol.Optional(ATTR_SKIP_ACTIVATED, default=False): cv.boolean,
    }
)
_BID_SCHEMA = vol.Schema(
    {
        **_RESOURCE,
        vol.Required(ATTR_START): cv.datetime,
        vol.Required(ATTR_CURVE): vol.All(
            cv.ensure_list,
            vol.Length(min=1, max=MAX_CURVE),
            [{vol.Required(ATTR_WATTS): _finite, vol.Optional(ATTR_PRICE): _finite}],
        ),
        vol.Optional(ATTR_POWER_TYPE, default=PowerType.ACTIVE): _POWER_TYPE,
        vol.Optional(ATTR_EXPIRES_AT): cv.datetime,
    }
)
_CANCEL_SCHEMA = vol.Schema({**ENTRY_FIELD, vol.Required(ATTR_BID_ID): cv.string})
_LIST_SCHEMA = vol.Schema({**ENTRY_FIELD, vol.Optional(ATTR_STATUS): vol.In(["open", "accepted"])})


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions."""
    for name, handler, schema, supports_response in (
        (
            "powernaut_get_activations",
            _async_get_activations,
            _ACTIVATIONS_SCHEMA,
            SupportsResponse.ONLY,
        ),
        (
            "powernaut_set_baseline",
            _async_set_baseline,
            _BASELINE_SCHEMA,
            SupportsResponse.OPTIONAL,
        ),
        ("powernaut_place_bid", _async_place_bid, _BID_SCHEMA, SupportsResponse.OPTIONAL),
        ("powernaut_cancel_bid", _async_cancel_bid, _CANCEL_SCHEMA, SupportsResponse.OPTIONAL),
        ("powernaut_list_bids", _async_list_bids, _LIST_SCHEMA, SupportsResponse.ONLY),
    ):
        hass.services.async_register(
            DOMAIN, name, handler, schema, supports_response=supports_response
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
    except RequestRefused as err:
        # A conflict is nobody's mistake: the bid was accepted meanwhile, a window activated.
        kind = HomeAssistantError if err.status == _HTTP_CONFLICT else ServiceValidationError
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


async def _async_get_activations(call: ServiceCall) -> ServiceResponse:
    link = link_for(call, PowernautLink)
    start, end = call.data.get(ATTR_START), call.data.get(ATTR_END)
    found = await _ask(
        link.api.activations(
            _resource(call, link), start and dt_util.as_utc(start), end and dt_util.as_utc(end)
        )
    )
    return {"activations": cast("list[JsonValueType]", found)}


async def _async_set_baseline(call: ServiceCall) -> ServiceResponse:
    """Set the baseline of a resource, or of the site where none is named."""
    link = link_for(call, PowernautLink)
    values: list[float] = call.data[ATTR_WATTS]
    now = dt_util.utcnow()
    start = _quarter(call.data.get(ATTR_START, present_quarter(now)))
    earliest = present_quarter(now)
    if not earliest <= start <= earliest + MAX_QUARTERS * _QUARTER:
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
        "end": (start + len(values) * _QUARTER).isoformat(),
        "watts": cast("list[JsonValueType]", values),
    }


async def _async_place_bid(call: ServiceCall) -> ServiceResponse:
    link = link_for(call, PowernautLink)
    start = _quarter(call.data[ATTR_START])
    expires_at = call.data.get(ATTR_EXPIRES_AT)
    body = bid_body(
        start,
        start + _QUARTER,
        [(point[ATTR_WATTS], point.get(ATTR_PRICE)) for point in call.data[ATTR_CURVE]],
        call.data[ATTR_POWER_TYPE],
        expires_at and dt_util.as_utc(expires_at),
    )
    return {"bid": await _ask(link.api.place_bid(_resource(call, link), body))}


async def _async_cancel_bid(call: ServiceCall) -> ServiceResponse:
    bid_id: str = call.data[ATTR_BID_ID]
    await _ask(link_for(call, PowernautLink).api.cancel_bid(bid_id))
    return {"id": bid_id, "cancelled": True}


async def _async_list_bids(call: ServiceCall) -> ServiceResponse:
    bids = await _ask(link_for(call, PowernautLink).api.bids(call.data.get(ATTR_STATUS)))
    return {"bids": cast("list[JsonValueType]", bids)}
