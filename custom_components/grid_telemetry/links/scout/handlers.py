"""What the actions of the Scout link do."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.util import dt as dt_util

from ...action import link_for
from ...const import DOMAIN
from ...outbox.actions import outbox_errors
from ...outbox.store import Record
from .actions import (
    ATTR_CHANNELS,
    ATTR_DATA,
    ATTR_DEVICE_ATTRIBUTES,
    ATTR_END,
    ATTR_FILE,
    ATTR_FIRST_EVENT,
    ATTR_GATEWAY_ATTRIBUTES,
    ATTR_ID,
    ATTR_INDEX,
    ATTR_INFO,
    ATTR_METRICS,
    ATTR_NAME,
    ATTR_SAMPLE_FACTOR,
    ATTR_SAMPLE_RATE,
    ATTR_SAMPLES,
    ATTR_START,
    ATTR_START_AT,
    ATTR_STATUS,
    ATTR_TABLE,
    ATTR_TIMESTAMP,
)
from .backfill import async_backfill
from .code_table import CodeTableError, parse_codes
from .codes import async_save_codes
from .const import CONF_CUSTOM_NAME, CONF_EVENT_TYPE, CONF_GATEWAY_DEVICE_ID
from .link import ScoutLink
from .payload import (
    MAX_WAVEFORM_BYTES,
    Channel,
    WaveformTooLargeError,
    attributes_record,
    event_record,
    metric_records,
    waveform_record,
)
from .waveform import Waveform, WaveformFileError, read_comtrade


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


async def async_send_event(call: ServiceCall) -> ServiceResponse:
    """Queue an event and return its id."""
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


async def async_send_attributes(call: ServiceCall) -> ServiceResponse:
    """Queue attributes: those given, or all that are known."""
    link = link_for(call, ScoutLink)
    gateway = call.data.get(ATTR_GATEWAY_ATTRIBUTES)
    devices = call.data.get(ATTR_DEVICE_ATTRIBUTES)
    if gateway is None and devices is None:
        gateway, devices = link.gateway.attributes(), link.device_attributes()
    with _as_json("attributes"):
        record = attributes_record(_epoch_ms(None), gateway or {}, devices or {})
    await _async_queue(link, [record])
    return {ATTR_GATEWAY_ATTRIBUTES: gateway, ATTR_DEVICE_ATTRIBUTES: devices, "queued": 1}


async def async_send_metrics(call: ServiceCall) -> ServiceResponse:
    """Queue metrics and return how many samples they have."""
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


async def async_send_waveform(call: ServiceCall) -> ServiceResponse:
    """Queue a waveform, from a COMTRADE file or as it is given."""
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
            # A recording may have many samples before it is found to be too large.
            record = await call.hass.async_add_executor_job(
                partial(
                    waveform_record,
                    data[CONF_GATEWAY_DEVICE_ID],
                    start_at_ms=waveform.start_at_ms,
                    first_event_at_ms=waveform.first_event_at_ms,
                    sample_rate=waveform.sample_rate,
                    channels=waveform.channels,
                    waveform_id=waveform_id,
                )
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


async def async_backfill_points(call: ServiceCall) -> ServiceResponse:
    """Queue the past of the points from the recorder."""
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
        "points": {
            device: {
                code: {
                    "from_history": found.from_history,
                    "from_statistics": found.from_statistics,
                    **({} if found.problem is None else {"problem": found.problem}),
                }
                for code, found in points.items()
            }
            for device, points in result.points.items()
        },
        "start": start.isoformat(),
        "end": end.isoformat(),
    }


async def async_import_codes(call: ServiceCall) -> ServiceResponse:
    """Take a user's table of codes, in place of the one before; return how many it has."""
    try:
        codes = parse_codes(call.data[ATTR_TABLE])
    except CodeTableError as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key=err.reason,
            translation_placeholders={"row": str(err.row), "value": err.value},
        ) from err
    await async_save_codes(call.hass, codes)
    return {
        "codes": len(codes),
        "with_quantity": sum(code.quantity is not None for code in codes),
    }
