"""Actions of the Scout link; each answers with what it queued."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
import math
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

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
import voluptuous as vol

from ...action_target import ENTRY_FIELD, link_for
from ...const import DOMAIN
from ...outbox.actions import outbox_errors
from ...outbox.store import Record
from .backfill import async_backfill
from .const import CONF_CUSTOM_NAME, CONF_EVENT_TYPE, CONF_GATEWAY_DEVICE_ID
from .link import ScoutLink
from .payload import (
    CODE_PATTERN,
    DEVICE_ID_PATTERN,
    MAIN_DEVICE,
    MAX_WAVEFORM_BYTES,
    NO_INDEX,
    Channel,
    EventStatus,
    WaveformTooLargeError,
    attributes_record,
    event_record,
    metric_records,
    waveform_record,
)
from .waveform import Waveform, WaveformFileError, read_comtrade

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


def _finite(value: Any) -> float:
    """Return a number that JSON can carry."""
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise vol.Invalid("a finite number is expected")
    return number


_CODE = vol.All(cv.string, vol.Match(rf"^{CODE_PATTERN.pattern}\Z"))
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
                    vol.Required(ATTR_DATA): vol.All({_CODE: _finite}, vol.Length(min=1)),
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


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions."""
    for name, handler, schema in (
        ("scout_send_event", _async_send_event, _EVENT_SCHEMA),
        ("scout_send_attributes", _async_send_attributes, _ATTRIBUTES_SCHEMA),
        ("scout_send_metrics", _async_send_metrics, _METRICS_SCHEMA),
        ("scout_send_waveform", _async_send_waveform, _WAVEFORM_SCHEMA),
        ("scout_backfill", _async_backfill, _BACKFILL_SCHEMA),
    ):
        hass.services.async_register(
            DOMAIN, name, handler, schema, supports_response=SupportsResponse.OPTIONAL
        )


def _epoch_ms(instant: datetime | None) -> int:
    """Return a time of a call as epoch milliseconds; without a zone it is local, None is now."""
    if instant is None:
        instant = dt_util.utcnow()
    return round(dt_util.as_utc(instant).timestamp() * 1000)


@contextmanager
def _as_json(field: str) -> Iterator[None]:
    """Tell the user what JSON cannot carry."""
    try:
        yield
    except (TypeError, ValueError) as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="not_json",
            translation_placeholders={"field": field, "error": str(err)},
        ) from err


async def _async_queue(link: ScoutLink, records: Sequence[Record]) -> None:
    with outbox_errors():
        await link.async_queue(records)


async def _async_send_event(call: ServiceCall) -> ServiceResponse:
    data = call.data
    event_id = data.get(ATTR_ID) or str(uuid4())
    info = dict(data[ATTR_INFO])
    if CONF_CUSTOM_NAME in data:
        info["EVENT_CUSTOM_NAME"] = data[CONF_CUSTOM_NAME]
    with _as_json("event"):
        record = event_record(
            data[CONF_GATEWAY_DEVICE_ID],
            _epoch_ms(data.get(ATTR_TIMESTAMP)),
            event_type=data[CONF_EVENT_TYPE],
            status=data[ATTR_STATUS],
            index=data[ATTR_INDEX],
            info=info,
            event_id=event_id,
        )
    await _async_queue(link_for(call, ScoutLink), [record])
    return {"id": event_id, "queued": 1}


async def _async_send_attributes(call: ServiceCall) -> ServiceResponse:
    link = link_for(call, ScoutLink)
    gateway = call.data.get(ATTR_GATEWAY_ATTRIBUTES)
    devices = call.data.get(ATTR_DEVICE_ATTRIBUTES)
    if gateway is None and devices is None:
        gateway, devices = link.gateway.attributes(), link.device_attributes()
    with _as_json("attributes"):
        record = attributes_record(_epoch_ms(None), gateway or {}, devices or {})
    await _async_queue(link, [record])
    return {ATTR_GATEWAY_ATTRIBUTES: gateway, ATTR_DEVICE_ATTRIBUTES: devices, "queued": 1}


async def _async_send_metrics(call: ServiceCall) -> ServiceResponse:
    records = [
        record
        for metric in call.data[ATTR_METRICS]
        for record in metric_records(
            call.data[CONF_GATEWAY_DEVICE_ID],
            _epoch_ms(metric.get(ATTR_TIMESTAMP)),
            metric[ATTR_DATA],
        )
    ]
    await _async_queue(link_for(call, ScoutLink), records)
    return {"queued": sum(record.samples for record in records)}


async def _async_send_waveform(call: ServiceCall) -> ServiceResponse:
    data = call.data
    if ATTR_FILE in data:
        waveform = await _async_read_file(call.hass, data[ATTR_FILE])
    elif missing := [
        key for key in (ATTR_CHANNELS, ATTR_START_AT, ATTR_SAMPLE_RATE) if key not in data
    ]:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="waveform_incomplete",
            translation_placeholders={"missing": ", ".join(missing)},
        )
    else:
        waveform = _waveform_of(data)
    waveform_id = data.get(ATTR_ID) or str(uuid4())
    with _as_json("waveform"):
        try:
            record = waveform_record(
                data[CONF_GATEWAY_DEVICE_ID],
                start_at_ms=waveform.start_at_ms,
                first_event_at_ms=waveform.first_event_at_ms,
                sample_rate=waveform.sample_rate,
                channels=waveform.channels,
                waveform_id=waveform_id,
            )
        except WaveformTooLargeError as err:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="waveform_too_large",
                translation_placeholders={"limit": str(MAX_WAVEFORM_BYTES // 1000)},
            ) from err
    await _async_queue(link_for(call, ScoutLink), [record])
    return {
        "id": waveform_id,
        "channels": [channel.name for channel in waveform.channels],
        "samples": sum(len(channel.samples) for channel in waveform.channels),
        "queued": 1,
    }


def _waveform_of(data: Mapping[str, Any]) -> Waveform:
    start_at_ms = _epoch_ms(data[ATTR_START_AT])
    return Waveform(
        start_at_ms=start_at_ms,
        first_event_at_ms=(
            _epoch_ms(data[ATTR_FIRST_EVENT]) if ATTR_FIRST_EVENT in data else start_at_ms
        ),
        sample_rate=data[ATTR_SAMPLE_RATE],
        channels=[
            Channel(
                name=channel[ATTR_NAME],
                sample_factor=channel[ATTR_SAMPLE_FACTOR],
                samples=channel[ATTR_SAMPLES],
            )
            for channel in data[ATTR_CHANNELS]
        ],
    )


async def _async_read_file(hass: HomeAssistant, name: str) -> Waveform:
    def read() -> Waveform:
        if not hass.config.is_allowed_path(name):
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="path_not_allowed",
                translation_placeholders={"path": name},
            )
        try:
            return read_comtrade(Path(name), dt_util.get_default_time_zone())
        except WaveformFileError as err:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="waveform_file",
                translation_placeholders={"path": name, "error": str(err)},
            ) from err

    return await hass.async_add_executor_job(read)


async def _async_backfill(call: ServiceCall) -> ServiceResponse:
    link = link_for(call, ScoutLink)
    start = dt_util.as_utc(call.data[ATTR_START])
    # What the sampler is about to take is its own; a backfill ends before the present interval.
    latest = datetime.fromtimestamp(link.present_slot(), dt_util.UTC)
    end = min(dt_util.as_utc(call.data.get(ATTR_END, latest)), latest)
    if start >= end:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="empty_period")
    device_id = call.data.get(CONF_GATEWAY_DEVICE_ID)
    devices = link.devices if device_id is None else {device_id: link.devices.get(device_id, ())}
    if not any(devices.values()):
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="unknown_device",
            translation_placeholders={
                "device": device_id or "",
                "known": ", ".join(link.devices) or "none",
            },
        )
    if "recorder" not in call.hass.config.components:
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key="recorder_missing")
    dropped_before = link.outbox.dropped_samples
    result = await async_backfill(
        call.hass,
        link.async_queue_when_running,
        devices,
        start=start,
        end=end,
        interval_s=link.interval_s,
    )
    return {
        "from_history": result.from_history,
        "from_statistics": result.from_statistics,
        "dropped": link.running.outbox.dropped_samples - dropped_before,
        "start": start.isoformat(),
        "end": end.isoformat(),
    }
