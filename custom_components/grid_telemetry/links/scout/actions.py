"""Actions of the Scout link; each answers with what it queued."""

from functools import partial
import math
from typing import Any, Final

from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from ...action import ENTRY_FIELD, Action, subentry_choices
from .const import (
    CONF_CUSTOM_NAME,
    CONF_EVENT_TYPE,
    CONF_GATEWAY_DEVICE_ID,
    SUBENTRY_DEVICE,
)
from .payload import CODE_PATTERN, DEVICE_ID_PATTERN, MAIN_DEVICE, NO_INDEX, EventStatus

ATTR_STATUS: Final = "status"
ATTR_INDEX: Final = "index"
ATTR_INFO: Final = "info"
ATTR_ID: Final = "id"
ATTR_TIMESTAMP: Final = "timestamp"
ATTR_GATEWAY_ATTRIBUTES: Final = "gateway_attributes"
ATTR_DEVICE_ATTRIBUTES: Final = "device_attributes"
ATTR_METRICS: Final = "metrics"
ATTR_DATA: Final = "data"
ATTR_FILE: Final = "file"
ATTR_START_AT: Final = "start_at"
ATTR_FIRST_EVENT: Final = "first_event_ts"
ATTR_SAMPLE_RATE: Final = "sample_rate"
ATTR_CHANNELS: Final = "channels"
ATTR_NAME: Final = "name"
ATTR_SAMPLE_FACTOR: Final = "sample_factor"
ATTR_SAMPLES: Final = "samples"
ATTR_START: Final = "start"
ATTR_END: Final = "end"
ATTR_TABLE: Final = "table"


def _finite(value: Any) -> float:
    """Return a number that JSON can carry."""
    try:
        number = float(value)
    except TypeError as err:
        raise vol.Invalid("a finite number is expected") from err
    if isinstance(value, bool) or not math.isfinite(number):
        raise vol.Invalid("a finite number is expected")
    return number


_MAX_NESTED: Final = 256  # numbers of one code, such as harmonics
_CODE = vol.All(cv.string, vol.Match(rf"^{CODE_PATTERN.pattern}\Z"))
_NUMBERS = vol.All({vol.Coerce(str): _finite}, vol.Length(min=1, max=_MAX_NESTED))


def _metric(value: Any) -> float | dict[str, float]:
    """Return a number, or several by name, as codes of type JSON have them."""
    if not isinstance(value, dict):
        return _finite(value)
    numbers: dict[str, float] = _NUMBERS(value)
    return numbers


_DEVICE_ID = vol.All(cv.string, vol.Match(rf"^{DEVICE_ID_PATTERN.pattern}\Z"))
_ATTRIBUTES = vol.Schema({_CODE: cv.string})
_DEVICE: dict[vol.Marker, Any] = {
    **ENTRY_FIELD,
    vol.Optional(CONF_GATEWAY_DEVICE_ID, default=MAIN_DEVICE): _DEVICE_ID,
}

_EVENT_SCHEMA = vol.Schema(
    {
        **_DEVICE,
        vol.Required(CONF_EVENT_TYPE): _CODE,
        vol.Optional(ATTR_STATUS, default=EventStatus.INFO): vol.All(
            cv.string, vol.Upper, vol.Coerce(EventStatus)
        ),
        vol.Optional(ATTR_INDEX, default=NO_INDEX): vol.Any(int, cv.string),
        vol.Optional(ATTR_INFO, default=dict): dict,
        vol.Optional(CONF_CUSTOM_NAME): cv.string,
        vol.Optional(ATTR_ID): cv.string,
        vol.Optional(ATTR_TIMESTAMP): cv.datetime,
    }
)
_ATTRIBUTES_SCHEMA = vol.Schema(
    {
        **ENTRY_FIELD,
        vol.Optional(ATTR_GATEWAY_ATTRIBUTES): _ATTRIBUTES,
        vol.Optional(ATTR_DEVICE_ATTRIBUTES): vol.Schema({_DEVICE_ID: _ATTRIBUTES}),
    }
)
_METRICS_SCHEMA = vol.Schema(
    {
        **_DEVICE,
        vol.Required(ATTR_METRICS): vol.All(
            cv.ensure_list,
            vol.Length(min=1, max=10_000),
            [
                {
                    vol.Optional(ATTR_TIMESTAMP): cv.datetime,
                    vol.Required(ATTR_DATA): vol.All({_CODE: _metric}, vol.Length(min=1)),
                }
            ],
        ),
    }
)
_WAVEFORM_SCHEMA = vol.Schema(
    {
        **_DEVICE,
        vol.Optional(ATTR_ID): cv.string,
        vol.Exclusive(ATTR_FILE, "source"): cv.string,
        vol.Exclusive(ATTR_CHANNELS, "source"): vol.All(
            cv.ensure_list,
            vol.Length(min=1),
            [
                {
                    vol.Required(ATTR_NAME): _CODE,
                    vol.Required(ATTR_SAMPLE_FACTOR): _finite,
                    vol.Required(ATTR_SAMPLES): vol.All(
                        vol.Length(min=1), [vol.ExactSequence([int, int])]
                    ),
                }
            ],
        ),
        vol.Optional(ATTR_START_AT): cv.datetime,
        vol.Optional(ATTR_FIRST_EVENT): cv.datetime,
        vol.Optional(ATTR_SAMPLE_RATE): vol.All(_finite, vol.Range(min=0, min_included=False)),
    }
)
_BACKFILL_SCHEMA = vol.Schema(
    {
        **ENTRY_FIELD,
        vol.Optional(CONF_GATEWAY_DEVICE_ID): _DEVICE_ID,
        vol.Required(ATTR_START): cv.datetime,
        vol.Optional(ATTR_END): cv.datetime,
    }
)

_CHOICES: Final = {
    CONF_GATEWAY_DEVICE_ID: partial(
        subentry_choices, subentry_type=SUBENTRY_DEVICE, key=CONF_GATEWAY_DEVICE_ID
    )
}

ACTIONS: Final = (
    Action(
        name="scout_send_event", schema=_EVENT_SCHEMA, handler="async_send_event", choices=_CHOICES
    ),
    Action(
        name="scout_send_attributes", schema=_ATTRIBUTES_SCHEMA, handler="async_send_attributes"
    ),
    Action(
        name="scout_send_metrics",
        schema=_METRICS_SCHEMA,
        handler="async_send_metrics",
        choices=_CHOICES,
    ),
    Action(
        name="scout_send_waveform",
        schema=_WAVEFORM_SCHEMA,
        handler="async_send_waveform",
        choices=_CHOICES,
    ),
    Action(
        name="scout_import_codes",
        schema=vol.Schema({vol.Required(ATTR_TABLE): vol.All(cv.string, vol.Length(max=500_000))}),
        handler="async_import_codes",
    ),
    Action(
        name="scout_backfill",
        schema=_BACKFILL_SCHEMA,
        handler="async_backfill_points",
        choices=_CHOICES,
    ),
)
