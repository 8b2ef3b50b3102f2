"""Actions of the Powernaut link: baselines, bids and activations, in watts."""

from functools import partial
import math
from typing import Any, Final
from uuid import UUID

from homeassistant.core import SupportsResponse
from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from ...action import ENTRY_FIELD, Action, subentry_choices
from .const import CONF_RESOURCE_ID, SUBENTRY_RESOURCE
from .payload import MAX_WATTS
from .rest_payload import MAX_CURVE, MAX_QUARTERS, PowerType, ResourceEvent

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
ATTR_COUNT: Final = "count"
ATTR_MODEL_ID: Final = "model_id"
ATTR_EVENT_TYPE: Final = "event_type"


def _finite(value: Any) -> float:
    """Return a number that a decimal string can carry."""
    if isinstance(value, bool):
        raise vol.Invalid("a number is expected")
    number = float(value)
    if not math.isfinite(number) or abs(number) > MAX_WATTS:
        raise vol.Invalid("the number is out of range")
    return int(number) if number == math.trunc(number) else number


def _identifier(value: Any) -> str:
    """Return an id of the platform as it writes it; each is a UUID."""
    try:
        return str(UUID(str(value).strip()))
    except ValueError as err:
        raise vol.Invalid("not an id of the platform, which is a UUID") from err


_POWER_TYPE = vol.All(cv.string, vol.Coerce(PowerType))
_CURVE = vol.All(
    cv.ensure_list,
    vol.Length(min=1, max=MAX_CURVE),
    [{vol.Required(ATTR_WATTS): _finite, vol.Optional(ATTR_PRICE): _finite}],
)
_RESOURCE: dict[vol.Marker, Any] = {**ENTRY_FIELD, vol.Optional(CONF_RESOURCE_ID): _identifier}

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
        vol.Required(ATTR_CURVE): _CURVE,
        vol.Optional(ATTR_POWER_TYPE, default=PowerType.ACTIVE): _POWER_TYPE,
        vol.Optional(ATTR_EXPIRES_AT): cv.datetime,
    }
)
_CANCEL_SCHEMA = vol.Schema({**ENTRY_FIELD, vol.Required(ATTR_BID_ID): _identifier})
_LIST_SCHEMA = vol.Schema({**ENTRY_FIELD, vol.Optional(ATTR_STATUS): vol.In(["open", "accepted"])})

_CHANGE_SCHEMA = vol.Schema(
    {
        **ENTRY_FIELD,
        vol.Required(ATTR_BID_ID): _identifier,
        vol.Optional(ATTR_CURVE): _CURVE,
        vol.Optional(ATTR_EXPIRES_AT): cv.datetime,
    }
)
_GET_BASELINE_SCHEMA = vol.Schema(
    {
        **ENTRY_FIELD,
        vol.Optional(ATTR_START): cv.datetime,
        vol.Optional(ATTR_COUNT, default=96): vol.All(
            vol.Coerce(int), vol.Range(min=1, max=MAX_QUARTERS)
        ),
    }
)
_FORECAST_SCHEMA = vol.Schema(
    {
        **_RESOURCE,
        vol.Optional(ATTR_START): cv.datetime,
        vol.Required(ATTR_WATTS): vol.All(
            cv.ensure_list, vol.Length(min=1, max=MAX_QUARTERS), [_finite]
        ),
        vol.Optional(ATTR_MODEL_ID, default="home-assistant"): vol.All(
            cv.string, vol.Length(min=1, max=100)
        ),
    }
)
_EVENT_SCHEMA = vol.Schema(
    {
        **_RESOURCE,
        vol.Required(ATTR_EVENT_TYPE): vol.All(cv.string, vol.Coerce(ResourceEvent)),
        vol.Required(ATTR_START): cv.datetime,
        vol.Required(ATTR_END): cv.datetime,
    }
)

_CHOICES: Final = {
    CONF_RESOURCE_ID: partial(
        subentry_choices, subentry_type=SUBENTRY_RESOURCE, key=CONF_RESOURCE_ID
    )
}
ACTIONS: Final = (
    Action(
        name="powernaut_get_activations",
        schema=_ACTIVATIONS_SCHEMA,
        handler="async_get_activations",
        choices=_CHOICES,
        response=SupportsResponse.ONLY,
    ),
    Action(
        name="powernaut_set_baseline",
        schema=_BASELINE_SCHEMA,
        handler="async_set_baseline",
        choices=_CHOICES,
    ),
    Action(
        name="powernaut_place_bid", schema=_BID_SCHEMA, handler="async_place_bid", choices=_CHOICES
    ),
    Action(name="powernaut_cancel_bid", schema=_CANCEL_SCHEMA, handler="async_cancel_bid"),
    Action(name="powernaut_change_bid", schema=_CHANGE_SCHEMA, handler="async_change_bid"),
    Action(
        name="powernaut_get_baseline",
        schema=_GET_BASELINE_SCHEMA,
        handler="async_get_baseline",
        response=SupportsResponse.ONLY,
    ),
    Action(
        name="powernaut_upload_forecast",
        schema=_FORECAST_SCHEMA,
        handler="async_upload_forecast",
        choices=_CHOICES,
    ),
    Action(
        name="powernaut_report_event",
        schema=_EVENT_SCHEMA,
        handler="async_report_event",
        choices=_CHOICES,
    ),
    Action(
        name="powernaut_list_bids",
        schema=_LIST_SCHEMA,
        handler="async_list_bids",
        response=SupportsResponse.ONLY,
    ),
)
