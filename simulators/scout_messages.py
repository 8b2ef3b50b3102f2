"""What Scout takes: a strict check of its four kinds of messages, and a book of what came.

The shapes are those of the platform's own page (facts: STOMP protocol description). Where that
page shows one form only, nothing else passes, so that a slip shows in a test and not on the
platform.
"""

import asyncio
from collections.abc import Callable, Mapping, Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
import json
from math import isfinite
import re
from typing import NamedTuple, NoReturn

MAX_MESSAGE_BYTES = 64 * 1024
MAX_WAVEFORM_BYTES = 1024 * 1024  # one message by its nature
EXCHANGES = {
    "metrics": "METRIC",
    "attributes": "ATTRIBUTE",
    "events": "EVENT",
    "waveforms": "WAVEFORM",
}

_REQUIRED_HEADERS = frozenset(
    {
        "myc-version",
        "myc-message-type",
        "myc-fw-version",
        "myc-hw-version",
        "myc-gw-type",
        "myc-serial-number",
    }
)
_OPTIONAL_HEADERS = frozenset({"myc-fw-measure"})
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)")
_CODE = re.compile(r"\S+")

type Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


class Refusal(Exception):  # noqa: N818 - the word of the trade
    """A message that Scout would not take; the text says why."""


class Metric(NamedTuple):
    """One value of one code of one device."""

    device: str
    ts: datetime
    code: str
    value: float | dict[str, float]
    """Several numbers by name where the code is of type JSON."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attributes:
    """Attributes of the gateway and of its devices."""

    gateway: dict[str, str]
    devices: dict[str, dict[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened on a device."""

    device: str
    type: str
    ts: datetime
    status: str
    index: str | int
    id: str | None
    info: dict[str, Json]


@dataclass(frozen=True, kw_only=True, slots=True)
class Waveform:
    """A recording; a sample is [offset, count], the value is the count times the factor."""

    id: str
    device: str
    start_at: datetime
    first_event_at: datetime
    sample_rate: float
    channels: dict[str, tuple[float, list[tuple[int, int]]]]


def _fail(where: str, what: str) -> NoReturn:
    raise Refusal(f"{where}: {what}")


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise Refusal("a key twice in one object")
    return result


def _no_constant(name: str) -> NoReturn:
    raise Refusal(f"{name} is not JSON")


def _load(body: bytes) -> Json:
    try:
        loaded: Json = json.loads(
            body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except ValueError as err:
        raise Refusal(f"not JSON: {err}") from err
    return loaded


def _object(
    value: Json, where: str, required: AbstractSet[str], optional: AbstractSet[str] = frozenset()
) -> dict[str, Json]:
    if not isinstance(value, dict):
        _fail(where, "not an object")
    if missing := required - value.keys():
        _fail(where, f"without {', '.join(sorted(missing))}")
    if unknown := value.keys() - required - optional:
        _fail(where, f"unknown {', '.join(sorted(unknown))}")
    return value


def _list(value: Json, where: str) -> list[Json]:
    if not isinstance(value, list) or not value:
        _fail(where, "not a list with something in it")
    return value


def _text(value: Json, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        _fail(where, "not a text with something in it")
    return value


def _number(value: Json, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        _fail(where, "not a number")
    return value


def _value(value: Json, code: str) -> float | dict[str, float]:
    """Return a number, or the numbers of a code of type JSON such as `HARM_V_AN`."""
    if not isinstance(value, dict):
        return _number(value, code)
    if not value:
        _fail(code, "not an object with something in it")
    return {_text(name, code): _number(number, code) for name, number in value.items()}


def _integer(value: Json, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _fail(where, "not an integer")
    return value


def _timestamp(value: Json, where: str) -> datetime:
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        _fail(where, f"{value!r} is not ISO 8601 with milliseconds and a zone")
    try:
        return datetime.fromisoformat(value)
    except ValueError as err:
        raise Refusal(f"{where}: {err}") from err


def parse_metrics(body: bytes) -> list[Metric]:
    """Return the values of a METRIC message."""
    message = _object(_load(body), "METRIC", {"gateway_device_id", "metrics"})
    device = _text(message["gateway_device_id"], "gateway_device_id")
    found: list[Metric] = []
    for entry in _list(message["metrics"], "metrics"):
        item = _object(entry, "metrics", {"ts", "data"})
        ts = _timestamp(item["ts"], "ts")
        data = item["data"]
        if not isinstance(data, dict) or not data:
            _fail("data", "not an object with something in it")
        for code, value in data.items():
            if not _CODE.fullmatch(code):
                _fail("data", f"{code!r} is not a code")
            found.append(Metric(device, ts, code, _value(value, code)))
    return found


def _texts(value: Json, where: str) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        _fail(where, "not an object with something in it")
    return {_text(name, where): _text(text, f"{where} {name}") for name, text in value.items()}


def parse_attributes(body: bytes) -> Attributes:
    """Return what an ATTRIBUTE message holds."""
    message = _object(_load(body), "ATTRIBUTE", set(), {"gateway_attributes", "device_attributes"})
    if not message:
        _fail("ATTRIBUTE", "nothing in it")
    gateway = message.get("gateway_attributes")
    devices = message.get("device_attributes")
    if "device_attributes" in message and (not isinstance(devices, dict) or not devices):
        _fail("device_attributes", "not an object with something in it")
    return Attributes(
        gateway=_texts(gateway, "gateway_attributes") if "gateway_attributes" in message else {},
        devices={
            _text(device, "device_attributes"): _texts(values, device)
            for device, values in (devices.items() if isinstance(devices, dict) else ())
        },
    )


def parse_events(body: bytes) -> list[Event]:
    """Return the events of an EVENT message."""
    message = _object(_load(body), "EVENT", {"gateway_device_id", "events"})
    device = _text(message["gateway_device_id"], "gateway_device_id")
    return [_event(device, entry) for entry in _list(message["events"], "events")]


def _event(device: str, entry: Json) -> Event:
    item = _object(entry, "events", {"type", "ts", "status"}, {"id", "index", "info"})
    status = item["status"]
    if status not in {"INFO", "ON", "OFF"}:
        _fail("status", f"{status!r} is not INFO, ON or OFF")
    index = item.get("index", "NONE")
    info = item.get("info", {})
    if not isinstance(info, dict):
        _fail("info", "not an object")
    return Event(
        device=device,
        type=_text(item["type"], "type"),
        ts=_timestamp(item["ts"], "ts"),
        status=_text(status, "status"),
        index=_text(index, "index") if isinstance(index, str) else _integer(index, "index"),
        id=_text(item["id"], "id") if "id" in item else None,
        info=info,
    )


def parse_waveform(body: bytes) -> Waveform:
    """Return the recording of a WAVEFORM message."""
    message = _object(
        _load(body),
        "WAVEFORM",
        {
            "id",
            "gateway_device_id",
            "start_at",
            "first_event_ts",
            "sample_rate",
            "channels_analog",
        },
    )
    sample_rate = _number(message["sample_rate"], "sample_rate")
    if sample_rate <= 0:
        _fail("sample_rate", "not above zero")
    channels: dict[str, tuple[float, list[tuple[int, int]]]] = {}
    for entry in _list(message["channels_analog"], "channels_analog"):
        channel = _object(entry, "channels_analog", {"name", "sample_factor", "samples"})
        name = _text(channel["name"], "name")
        if name in channels:
            _fail("channels_analog", f"{name} twice")
        channels[name] = (_number(channel["sample_factor"], "sample_factor"), _samples(channel))
    return Waveform(
        id=_text(message["id"], "id"),
        device=_text(message["gateway_device_id"], "gateway_device_id"),
        start_at=_timestamp(message["start_at"], "start_at"),
        first_event_at=_timestamp(message["first_event_ts"], "first_event_ts"),
        sample_rate=sample_rate,
        channels=channels,
    )


def _samples(channel: dict[str, Json]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for sample in _list(channel["samples"], "samples"):
        if not isinstance(sample, list) or len(sample) != 2:
            _fail("samples", "not a pair of offset and count")
        offset, count = _integer(sample[0], "offset"), _integer(sample[1], "count")
        if offset <= (found[-1][0] if found else -1):
            _fail("samples", "offsets that do not rise from zero")
        found.append((offset, count))
    return found


def check_headers(exchange: str, headers: Mapping[str, str]) -> None:
    """Refuse a message whose headers are not exactly as Scout wants them."""
    own = {name for name in headers if name.lower().startswith("myc")}
    if missing := _REQUIRED_HEADERS - own:
        raise Refusal(f"headers: without {', '.join(sorted(missing))}")
    if unknown := own - _REQUIRED_HEADERS - _OPTIONAL_HEADERS:
        raise Refusal(f"headers: unknown {', '.join(sorted(unknown))}")
    if empty := [name for name in own if not headers[name].strip()]:
        raise Refusal(f"headers: nothing in {', '.join(sorted(empty))}")
    if headers["myc-version"] != "1.0":
        raise Refusal(f"headers: myc-version {headers['myc-version']!r} is not 1.0")
    if headers["myc-message-type"] != EXCHANGES[exchange]:
        raise Refusal(f"headers: {headers['myc-message-type']!r} does not go to /{exchange}")
    if headers.get("content-type") != "application/json":
        raise Refusal("headers: content-type is not application/json")
    if headers.get("persistent", "true") != "true":
        raise Refusal("headers: persistent can only be true")


@dataclass(kw_only=True)
class Ledger:
    """What came, in the order it came."""

    metrics: list[Metric] = field(default_factory=list)
    attributes: list[Attributes] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    waveforms: list[Waveform] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    messages: int = 0
    """Messages taken."""
    duplicates: int = 0
    """Values, events and waveforms that had come before."""
    _seen: set[tuple[object, ...]] = field(default_factory=set, repr=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def take(self, exchange: str, headers: Mapping[str, str], body: bytes, size: int) -> None:
        """Check a message of some size on the wire and enter it.

        Raises Refusal if Scout would not take it.
        """
        limit = MAX_WAVEFORM_BYTES if exchange == "waveforms" else MAX_MESSAGE_BYTES
        if size > limit:
            raise Refusal(f"{size} bytes, more than {limit}")
        check_headers(exchange, headers)
        match exchange:
            case "metrics":
                metrics = parse_metrics(body)
                for metric in metrics:
                    self._see(metric.device, metric.ts, metric.code)
                self.metrics += metrics
            case "attributes":
                self.attributes.append(parse_attributes(body))
            case "events":
                events = parse_events(body)
                for event in events:
                    self._see(event.device, event.ts, event.type, event.status, event.index)
                self.events += events
            case _:
                waveform = parse_waveform(body)
                self._see(waveform.id)
                self.waveforms.append(waveform)
        self.messages += 1
        self.notify()

    def refuse(self, reason: str) -> None:
        """Enter a refusal."""
        self.refusals.append(reason)
        self.notify()

    def notify(self) -> None:
        """Have whoever waits look again."""
        self._changed.set()

    def _see(self, *key: object) -> None:
        if key in self._seen:
            self.duplicates += 1
        self._seen.add(key)

    async def wait_for(self, predicate: Callable[[], bool], timeout: float) -> None:  # noqa: ASYNC109
        """Wait until something holds; it is looked at after every message, refusal and login.

        Raises TimeoutError.
        """
        async with asyncio.timeout(timeout):
            while not predicate():
                self._changed.clear()
                await self._changed.wait()

    def latest(self) -> dict[str, dict[str, Metric]]:
        """Return the newest value by device and code."""
        newest: dict[str, dict[str, Metric]] = {}
        for metric in self.metrics:
            codes = newest.setdefault(metric.device, {})
            known = codes.get(metric.code)
            if known is None or known.ts <= metric.ts:
                codes[metric.code] = metric
        return newest

    def report(self) -> dict[str, Json]:
        """Return a summary, ready for JSON."""
        return {
            "messages": self.messages,
            "values": len(self.metrics),
            "attributes": len(self.attributes),
            "events": len(self.events),
            "waveforms": len(self.waveforms),
            "duplicates": self.duplicates,
            "refusals": list(self.refusals),
            "devices": {
                device: {
                    code: {
                        "ts": metric.ts.isoformat(timespec="milliseconds"),
                        "value": dict(metric.value)
                        if isinstance(metric.value, dict)
                        else metric.value,
                    }
                    for code, metric in codes.items()
                }
                for device, codes in self.latest().items()
            },
        }
