"""Scout's messages: what they carry, how they are addressed and packed.

Source: Circutor's description of Scout over STOMP ("Stomp protocol description", headers, data
format and examples). No I/O and no Home Assistant here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
import json
import re
from typing import Any
from uuid import uuid4

from ...outbox.packet import Packet
from ...outbox.store import Destination, Lane, Mark, Record, StoredRecord

MAX_FRAME_BYTES = 64 * 1024
"""A frame stays below this; brokers of this kind bound frames at 64 KiB and more."""
_MAX_BODY_BYTES = MAX_FRAME_BYTES - 2048  # leaves room for the command, headers and envelope
MAX_WAVEFORM_BYTES = 1_000_000
"""A waveform is one message by its nature; RabbitMQ takes 4 MiB a frame at the least."""
_MAX_CODES_PER_RECORD = 512  # keeps one record of a large device well below a frame

CODE_PATTERN = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
# No control characters, and no lone surrogates: they are not Unicode.
DEVICE_ID_PATTERN = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,128}")
CLAIM_ID_PATTERN = re.compile(r"[A-Za-z0-9]{8}")
MAIN_DEVICE = "MAIN"
NO_INDEX = "NONE"
EXPORT_CONNECTED = "EXPORT_CONNECTED"
KNOWN_EVENT_TYPES = ("ALARM_DEVICE", "REBOOT_MAIN_SUPPLY", "ATTR_CHANGE")


class MessageType(StrEnum):
    """Kinds of message, as the `myc-message-type` header names them."""

    METRIC = "METRIC"
    ATTRIBUTE = "ATTRIBUTE"
    EVENT = "EVENT"
    WAVEFORM = "WAVEFORM"


class EventStatus(StrEnum):
    """What an event says of its condition."""

    INFO = "INFO"
    ON = "ON"
    OFF = "OFF"


_EXCHANGES = {
    MessageType.METRIC: "metrics",
    MessageType.ATTRIBUTE: "attributes",
    MessageType.EVENT: "events",
    MessageType.WAVEFORM: "waveforms",
}


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Who sends: the identity that every message carries in its headers."""

    claim_id: str
    serial_number: str
    gateway_type: str
    firmware_version: str
    hardware_version: str
    firmware_measure: str | None = None
    """Version of the part that measures, where the gateway has one of its own."""

    def destination(self, message_type: MessageType) -> str:
        """Return where messages of a kind go."""
        return f"/exchange/{_EXCHANGES[message_type]}/gateways.{self.claim_id}"

    def headers(self, message_type: MessageType) -> dict[str, str]:
        """Return the headers of a message, in the protocol's version 1.0."""
        measure = self.firmware_measure
        return {
            "myc-version": "1.0",
            "myc-message-type": message_type,
            "myc-fw-version": self.firmware_version,
            "myc-hw-version": self.hardware_version,
            **({} if measure is None else {"myc-fw-measure": measure}),
            "myc-gw-type": self.gateway_type,
            "myc-serial-number": self.serial_number,
            # The broker writes the message to disk before it confirms it.
            "persistent": "true",
            "content-type": "application/json",
        }

    def attributes(self) -> dict[str, str]:
        """Return the gateway's own attributes."""
        measure = self.firmware_measure
        return {
            "SERIAL_NUMBER": self.serial_number,
            "FW_VERSION": self.firmware_version,
            **({} if measure is None else {"FW_MEASURE": measure}),
            "HW_VERSION": self.hardware_version,
            "HW_MODEL": self.gateway_type,
        }


def timestamp(at_ms: int) -> str:
    """Return epoch milliseconds as ISO 8601 in UTC, with milliseconds."""
    instant = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03}Z"


def _json(value: Any) -> str:
    """Return a value as JSON; raises `TypeError` or `ValueError` for what JSON cannot carry."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text.encode()  # lone surrogates pass so far
    return text


type Metric = float | Mapping[str, float]
"""A number, or the numbers of a code of type JSON by their name, such as harmonics by order."""


def metric_records(
    device_id: str, at_ms: int, data: Mapping[str, Metric], lane: Lane = Lane.SAMPLES
) -> Iterator[Record]:
    """Return the records that carry the values of one device at one instant."""
    codes = list(data)
    ts = timestamp(at_ms)
    for start in range(0, len(codes), _MAX_CODES_PER_RECORD):
        chunk = {code: data[code] for code in codes[start : start + _MAX_CODES_PER_RECORD]}
        yield Record(
            destination=Destination(MessageType.METRIC, device_id),
            at_ms=at_ms,
            body=_json({"ts": ts, "data": chunk}),
            samples=len(chunk),
            lane=lane,
        )


def event_record(
    device_id: str,
    at_ms: int,
    *,
    event_type: str,
    status: EventStatus,
    index: str | int = NO_INDEX,
    info: Mapping[str, Any] | None = None,
    event_id: str | None = None,
    mark: Mark | None = None,
) -> Record:
    """Return the record of one event; it gets an id of its own where none is given."""
    event = {
        "id": event_id or str(uuid4()),
        "type": event_type,
        "ts": timestamp(at_ms),
        "status": status,
        "index": index,
        "info": dict(info or {}),
    }
    return Record(
        destination=Destination(MessageType.EVENT, device_id),
        at_ms=at_ms,
        body=_json(event),
        samples=1,
        lane=Lane.MESSAGES,
        mark=mark,
    )


def attributes_record(
    at_ms: int,
    gateway: Mapping[str, str],
    devices: Mapping[str, Mapping[str, str]],
) -> Record:
    """Return the record of an attributes message; both parts are optional on the platform."""
    message: dict[str, Any] = {}
    if gateway:
        message["gateway_attributes"] = dict(gateway)
    if devices:
        message["device_attributes"] = {key: dict(value) for key, value in devices.items()}
    return Record(
        destination=Destination(MessageType.ATTRIBUTE),
        at_ms=at_ms,
        body=_json(message),
        samples=1,
        lane=Lane.MESSAGES,
    )


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One analog channel of a waveform; `samples` are [offset, raw value] pairs."""

    name: str
    sample_factor: float
    samples: Sequence[tuple[int, int]]


class WaveformTooLargeError(ValueError):
    """The waveform does not fit into one message."""


def waveform_record(
    device_id: str,
    *,
    start_at_ms: int,
    first_event_at_ms: int,
    sample_rate: float,
    channels: Sequence[Channel],
    waveform_id: str | None = None,
) -> Record:
    """Return the record of one waveform; `sample_rate` in Hz.

    Raises `WaveformTooLargeError` above `MAX_WAVEFORM_BYTES`.
    """
    message = {
        "id": waveform_id or str(uuid4()),
        "gateway_device_id": device_id,
        "start_at": timestamp(start_at_ms),
        "first_event_ts": timestamp(first_event_at_ms),
        "sample_rate": sample_rate,
        "channels_analog": [
            {
                "name": channel.name,
                "sample_factor": channel.sample_factor,
                "samples": channel.samples,
            }
            for channel in channels
        ],
    }
    body = _json(message)
    if len(body.encode()) > MAX_WAVEFORM_BYTES:
        raise WaveformTooLargeError
    return Record(
        destination=Destination(MessageType.WAVEFORM, device_id),
        at_ms=start_at_ms,
        body=body,
        samples=1,
        lane=Lane.MESSAGES,
    )


_LISTS = {MessageType.METRIC: "metrics", MessageType.EVENT: "events"}


def packet_of(record: Record) -> Packet:
    """Return the packet of one record that was never kept."""
    return _packet(record.destination, [record], ())


def pack(records: Iterable[StoredRecord]) -> Iterator[Packet]:
    """Join the records of a device into as few messages as fit below `MAX_FRAME_BYTES`.

    Metrics and events of one device share a message, several timestamps each, in the order
    given; attributes and waveforms are messages of their own.
    """
    open_messages: dict[Destination, list[StoredRecord]] = {}
    sizes: dict[Destination, int] = {}
    for record in records:
        destination = record.destination
        if destination.kind not in _LISTS:
            yield _packet(destination, [record], (record.id,))
            continue
        # Characters above ASCII take up to four bytes; rarely there, so not worth encoding twice.
        size = len(record.body) if record.body.isascii() else 4 * len(record.body)
        if (joined := open_messages.get(destination)) is None:
            open_messages[destination] = [record]
            sizes[destination] = size
        elif sizes[destination] + size < _MAX_BODY_BYTES:
            joined.append(record)
            sizes[destination] += size + 1
        else:
            yield _joined(destination, joined)
            open_messages[destination] = [record]
            sizes[destination] = size
    for destination, joined in open_messages.items():
        yield _joined(destination, joined)


def _joined(destination: Destination, records: Sequence[StoredRecord]) -> Packet:
    return _packet(destination, records, tuple(record.id for record in records))


def _packet(destination: Destination, records: Sequence[Record], ids: tuple[int, ...]) -> Packet:
    body = ",".join(record.body for record in records)
    kind = MessageType(destination.kind)
    if (name := _LISTS.get(kind)) is not None:
        body = f'{{"gateway_device_id":{_json(destination.device)},"{name}":[{body}]}}'
    return Packet(
        ids=ids,
        samples=sum(record.samples for record in records),
        destination=destination,
        body=body.encode(),
        in_order=kind is MessageType.EVENT,
    )
