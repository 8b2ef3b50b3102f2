"""What a strict host application takes from edge nodes of Sparkplug B, and a book of what came.

It has a reader of its own for payloads, so that a slip of the integration's shows. Beside what the
standard asks of hosts it refuses what the standard forbids edge nodes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
import struct

NAMESPACE = "spBv1.0"
REBIRTH = "Node Control/Rebirth"
QUALITIES = frozenset({0, 192, 500})

_OF_NODE = frozenset({"NBIRTH", "NDEATH", "NDATA"})
_OF_DEVICE = frozenset({"DBIRTH", "DDEATH", "DDATA"})
# The data types of single values, and the numbers of the fields that their values stand in.
_INT, _LONG, _FLOAT, _DOUBLE, _BOOLEAN, _STRING = range(10, 16)
_FIELDS = {
    **dict.fromkeys((1, 2, 3, 5, 6), _INT),
    **dict.fromkeys((4, 7, 8, 13), _LONG),
    9: _FLOAT,
    10: _DOUBLE,
    11: _BOOLEAN,
    **dict.fromkeys((12, 14, 15), _STRING),
}
_BITS = {1: 32, 2: 32, 3: 32, 4: 64}  # of those with a sign
INT64, BOOLEAN = 4, 11

type Scalar = int | float | bool | str


class Refusal(Exception):  # noqa: N818 - the word of the trade
    """A message that breaks a rule; the text says which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One value of one metric, as the host takes it."""

    device: str
    name: str
    value: Scalar | None
    timestamp_ms: int
    is_historical: bool
    quality: int
    is_birth: bool


@dataclass(kw_only=True, slots=True)
class ReceivedMetric:
    """One metric as it came."""

    name: str | None = None
    alias: int | None = None
    timestamp_ms: int | None = None
    data_type: int | None = None
    is_historical: bool = False
    is_null: bool = False
    properties: dict[str, tuple[int, Scalar]] = field(default_factory=dict)
    field_number: int | None = None
    raw: Scalar | None = None


@dataclass(kw_only=True, slots=True)
class _Known:
    """A metric as its birth declared it."""

    name: str
    alias: int | None
    data_type: int
    timestamp_ms: int
    quality: int


@dataclass(slots=True)
class _Device:
    metrics: dict[str, _Known]
    by_alias: dict[int, _Known]


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes | int]]:
    """Yield number, kind and content of the fields of a message of Protocol Buffers."""
    at = 0

    def varint() -> int:
        nonlocal at
        number = shift = 0
        while True:
            if at >= len(data):
                raise Refusal("the payload ends within a number")
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return number

    while at < len(data):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            yield tag >> 3, kind, varint()
            continue
        sizes = {1: 8, 5: 4}
        if kind == 2:
            size = varint()
        elif kind in sizes:
            size = sizes[kind]
        else:
            raise Refusal(f"a field of kind {kind}")
        if at + size > len(data):
            raise Refusal("the payload ends within a field")
        yield tag >> 3, kind, data[at : at + size]
        at += size


def _scalar(kind: int, content: bytes | int, number: int) -> Scalar:
    wanted = {_FLOAT: (5, "<f"), _DOUBLE: (1, "<d")}.get(number)
    if isinstance(content, int):
        if wanted is not None or number == _STRING:
            raise Refusal(f"value field {number} as a number")
        return bool(content) if number == _BOOLEAN else content
    if wanted is not None:
        if kind != wanted[0]:
            raise Refusal(f"value field {number} of kind {kind}")
        value: float = struct.unpack(wanted[1], content)[0]
        return value
    if number != _STRING:
        raise Refusal(f"value field {number}, which is not used")
    return content.decode()


def _property(data: bytes) -> tuple[int, Scalar]:
    data_type: int | None = None
    value: Scalar | None = None
    for number, kind, content in _fields(data):
        if number == 1 and isinstance(content, int):
            data_type = content
            continue
        # The fields of its values begin with 3, those of a metric's with 10.
        value = _scalar(kind, content, number + 7)
        if data_type is None or _FIELDS.get(data_type) != number + 7:
            raise Refusal(f"a property of type {data_type} in field {number}")
    if data_type is None or value is None:
        raise Refusal("a property without a type, or without a value")
    return data_type, value


def _properties(data: bytes) -> dict[str, tuple[int, Scalar]]:
    keys: list[str] = []
    values: list[tuple[int, Scalar]] = []
    for number, _, content in _fields(data):
        assert isinstance(content, bytes)
        if number == 1:
            keys.append(content.decode())
            continue
        values.append(_property(content))
    if len(keys) != len(values):
        raise Refusal(f"{len(keys)} keys for {len(values)} properties")
    return dict(zip(keys, values, strict=True))


_NUMBERS = {2: "alias", 3: "timestamp_ms", 4: "data_type", 5: "is_historical", 7: "is_null"}


def _read_metric(data: bytes) -> ReceivedMetric:
    metric = ReceivedMetric()
    for number, kind, content in _fields(data):
        if isinstance(content, int) and number in _NUMBERS:
            setattr(metric, _NUMBERS[number], bool(content) if number > 4 else content)
        elif isinstance(content, bytes) and number == 1:
            metric.name = content.decode()
        elif isinstance(content, bytes) and number == 9:
            metric.properties = _properties(content)
        elif number in _FIELDS.values() and metric.field_number is None:
            metric.field_number = number
            metric.raw = _scalar(kind, content, number)
        else:
            raise Refusal(f"a metric with field {number} of kind {kind}, or with two values")
    if metric.is_null == (metric.field_number is not None):
        raise Refusal("a metric that is null and has a value, or neither")
    return metric


@dataclass(kw_only=True, slots=True)
class ReceivedPayload:
    """One payload as it came."""

    timestamp_ms: int | None = None
    seq: int | None = None
    metrics: list[ReceivedMetric] = field(default_factory=list)


def read_payload(data: bytes) -> ReceivedPayload:
    """Return what the bytes of a payload say; raises `Refusal`."""
    payload = ReceivedPayload()
    for number, _, content in _fields(data):
        if number == 1 and isinstance(content, int):
            payload.timestamp_ms = content
        elif number == 2 and isinstance(content, bytes):
            payload.metrics.append(_read_metric(content))
        elif number == 3 and isinstance(content, int):
            payload.seq = content
        else:
            raise Refusal(f"a payload with field {number}")
    return payload


def _value(data_type: int, metric: ReceivedMetric) -> Scalar | None:
    """Return a value as its type has it; refuses one in another type's field."""
    if metric.is_null:
        return None
    if _FIELDS.get(data_type) != metric.field_number:
        raise Refusal(f"a value of type {data_type} in field {metric.field_number}")
    bits = _BITS.get(data_type)
    if bits is not None and isinstance(metric.raw, int) and metric.raw >= 1 << bits - 1:
        return metric.raw - (1 << bits)
    return metric.raw


def _quality(metric: ReceivedMetric) -> int | None:
    found = metric.properties.get("Quality")
    if found is None:
        return None
    data_type, value = found
    if data_type != 3 or not isinstance(value, int) or value not in QUALITIES:
        raise Refusal(f"a quality of {value!r}, type {data_type}")
    return value


class Ledger:
    """What one host knows of one edge node, and what it got from it."""

    def __init__(self, group_id: str, node_id: str) -> None:
        """Begin with a node that is not born."""
        self.group_id = group_id
        self.node_id = node_id
        self.refused: list[str] = []
        """What broke a rule, a line each."""
        self.arrivals: list[Arrival] = []
        self.types: list[str] = []
        """The type of each message that came, with its device."""
        self.births = 0
        self.deaths = 0
        self.declared: dict[str, dict[str, tuple[int, dict[str, Scalar]]]] = {}
        """By device and metric: data type and properties of the last birth."""
        self.on_arrival: Callable[[Arrival], None] = lambda arrival: None
        self.on_unknown: Callable[[], None] = lambda: None
        """Hears that something came of a node whose birth was missed while the host was away."""
        self._was_away = False
        self._bd_seq: int | None = None
        self._last_bd_seq: int | None = None
        self._seq: int | None = None
        self._devices: dict[str, _Device] = {}
        self._aliases: dict[int, str] = {}  # whose each is, devices that died included

    @property
    def born(self) -> bool:
        """Whether the node is online."""
        return self._seq is not None

    @property
    def devices(self) -> set[str]:
        """The devices that are online."""
        return set(self._devices)

    def samples(self, device: str, name: str, *, historical: bool | None = None) -> list[Arrival]:
        """Return what came of a metric as data, in order."""
        return [
            arrival
            for arrival in self.arrivals
            if (arrival.device, arrival.name) == (device, name)
            and not arrival.is_birth
            and historical in (None, arrival.is_historical)
        ]

    def alias_of(self, device: str, name: str) -> int:
        """Return the alias that the last birth gave a metric."""
        alias = self._devices[device].metrics[name].alias
        assert alias is not None
        return alias

    def take(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> None:
        """Take a message; what breaks a rule is written down, and not taken."""
        try:
            self._take(topic, payload, qos, retain=retain)
        except Refusal as err:
            self.refused.append(f"{topic}: {err}")

    def _take(self, topic: str, data: bytes, qos: int, *, retain: bool) -> None:
        namespace, *parts = topic.split("/")
        if namespace != NAMESPACE or len(parts) not in (3, 4):
            raise Refusal("not a topic of Sparkplug B")
        group_id, kind, node_id, *device = parts
        if (group_id, node_id) != (self.group_id, self.node_id) or kind in ("NCMD", "DCMD"):
            return  # of another node, or of a host
        if kind not in (_OF_DEVICE if device else _OF_NODE):
            raise Refusal("this kind of message does not go there")
        if retain or qos != (1 if kind == "NDEATH" else 0):
            raise Refusal(f"QoS {qos}, retained: {retain}")
        self.types.append("/".join([kind, *device]))
        payload = read_payload(data)
        if kind == "NDEATH":
            self._node_death(payload)
            return
        if payload.timestamp_ms is None:
            raise Refusal("a payload without a timestamp")
        if kind == "NBIRTH":
            self._node_birth(payload)
        else:
            self._of_device(kind, device, payload)

    def _of_device(self, kind: str, device: list[str], payload: ReceivedPayload) -> None:
        if self._seq is None and self._was_away:
            self.on_unknown()
            return
        if self._seq is None:
            raise Refusal("before the birth of the node")
        was, self._seq = self._seq, payload.seq
        if payload.seq != (was + 1) % 256:
            raise Refusal(f"seq {payload.seq} after {was}")
        [device_id] = device or [""]
        if kind == "DBIRTH":
            self._device_birth(device_id, payload)
        elif kind == "DDEATH":
            if self._devices.pop(device_id, None) is None:
                raise Refusal("the death of a device that was not born")
        else:
            self._data(device_id, payload)

    def lose_touch(self) -> None:
        """Know nothing of the node any more, as a host that was away."""
        self._was_away = True
        self._seq = self._bd_seq = None
        self._devices.clear()
        self._aliases.clear()

    def _node_death(self, payload: ReceivedPayload) -> None:
        if payload.seq is not None:
            raise Refusal("a death of the node with a seq")
        bd_seq = _bd_seq(payload)
        if len(payload.metrics) != 1:
            raise Refusal("a death of the node with more than bdSeq")
        if bd_seq != self._bd_seq:
            return  # of an earlier session; the standard has it passed over
        self.deaths += 1
        self._seq = self._bd_seq = None
        self._devices.clear()

    def _node_birth(self, payload: ReceivedPayload) -> None:
        if payload.seq != 0:
            raise Refusal(f"a birth of the node with seq {payload.seq}")
        bd_seq = _bd_seq(payload)
        last = None if self._was_away else self._last_bd_seq
        if last is not None and self._bd_seq is not None and bd_seq != self._bd_seq:
            raise Refusal(f"bdSeq {bd_seq} while {self._bd_seq} is alive")
        if last is not None and self._bd_seq is None and bd_seq == last:
            raise Refusal(f"bdSeq {bd_seq} again after its death")
        rebirth = [metric for metric in payload.metrics if metric.name == REBIRTH]
        if len(rebirth) != 1 or (rebirth[0].data_type, rebirth[0].raw) != (BOOLEAN, False):
            raise Refusal(f"{REBIRTH} is not there, or not false")
        if any(metric.alias is not None for metric in payload.metrics):
            raise Refusal(f"{REBIRTH} or bdSeq with an alias")
        if any(metric.timestamp_ms is None for metric in payload.metrics):
            raise Refusal("a metric without a timestamp")
        self._bd_seq = self._last_bd_seq = bd_seq
        self._seq = 0
        self._was_away = False
        self._devices.clear()
        self._aliases.clear()
        self.declared.clear()
        self.births += 1

    def _device_birth(self, device_id: str, payload: ReceivedPayload) -> None:
        metrics: dict[str, _Known] = {}
        by_alias: dict[int, _Known] = {}
        latest = 0
        arrivals: list[Arrival] = []
        declared: dict[str, tuple[int, dict[str, Scalar]]] = {}
        for metric in payload.metrics:
            name, data_type = metric.name, metric.data_type
            if not name or name in metrics:
                raise Refusal(f"a metric without a name, or twice: {name}")
            if data_type not in _FIELDS:
                raise Refusal(f"{name}: data type {data_type}")
            if metric.timestamp_ms is None or metric.is_historical:
                raise Refusal(f"{name}: without a timestamp, or historical, in a birth")
            if metric.timestamp_ms < latest:
                raise Refusal(f"{name}: before the metric in front of it")
            latest = metric.timestamp_ms
            quality = _quality(metric)
            known = _Known(
                name=name,
                alias=metric.alias,
                data_type=data_type,
                timestamp_ms=metric.timestamp_ms,
                quality=192 if quality is None else quality,
            )
            if metric.alias is not None:
                if (
                    self._aliases.get(metric.alias, device_id) != device_id
                    or metric.alias in by_alias
                ):
                    raise Refusal(f"{name}: alias {metric.alias} is taken")
                by_alias[metric.alias] = known
            metrics[name] = known
            declared[name] = (
                data_type,
                {key: value for key, (_, value) in metric.properties.items()},
            )
            arrivals.append(_arrival(device_id, known, metric, is_birth=True))
        self._devices[device_id] = _Device(metrics, by_alias)
        self._aliases |= dict.fromkeys(by_alias, device_id)
        self.declared[device_id] = declared
        for arrival in arrivals:
            self._arrived(arrival)

    def _data(self, device_id: str, payload: ReceivedPayload) -> None:
        device = self._devices.get(device_id)
        if device is None:
            raise Refusal("data of a device that is not born")
        if not payload.metrics:
            raise Refusal("data without a metric")
        for metric in payload.metrics:
            self._datum(device_id, device, metric)

    def _datum(self, device_id: str, device: _Device, metric: ReceivedMetric) -> None:
        if metric.name is not None:
            raise Refusal(f"{metric.name}: a name where the alias stands for it")
        known = device.by_alias.get(-1 if metric.alias is None else metric.alias)
        if known is None:
            raise Refusal(f"alias {metric.alias} is unknown")
        if metric.timestamp_ms is None:
            raise Refusal(f"{known.name}: without a timestamp")
        if metric.data_type is not None:
            raise Refusal(f"{known.name}: a data type that the birth has told")
        if not metric.is_historical:
            if metric.timestamp_ms < known.timestamp_ms:
                raise Refusal(f"{known.name}: before what came, and not historical")
            known.timestamp_ms = metric.timestamp_ms
            known.quality = known.quality if (own := _quality(metric)) is None else own
        self._arrived(_arrival(device_id, known, metric, is_birth=False))

    def _arrived(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)
        self.on_arrival(arrival)


def _arrival(device_id: str, known: _Known, metric: ReceivedMetric, *, is_birth: bool) -> Arrival:
    assert metric.timestamp_ms is not None
    own = _quality(metric)
    present = 192 if metric.is_historical else known.quality
    return Arrival(
        device=device_id,
        name=known.name,
        value=_value(known.data_type, metric),
        timestamp_ms=metric.timestamp_ms,
        is_historical=metric.is_historical,
        quality=present if own is None else own,
        is_birth=is_birth,
    )


def _bd_seq(payload: ReceivedPayload) -> int:
    found = [metric for metric in payload.metrics if metric.name == "bdSeq"]
    if len(found) != 1 or found[0].data_type != INT64 or not isinstance(found[0].raw, int):
        raise Refusal("without bdSeq as INT64")
    if not 0 <= found[0].raw <= 255:
        raise Refusal(f"bdSeq {found[0].raw}")
    return found[0].raw


def encode_command(
    timestamp_ms: int,
    value: Scalar,
    data_type: int,
    *,
    name: str | None = None,
    alias: int | None = None,
) -> bytes:
    """Return the payload of an NCMD or DCMD that writes one metric, by its name or its alias."""
    number = _FIELDS[data_type]
    if isinstance(value, str):
        content = _delimited(number, value.encode())
    elif number == _DOUBLE:
        content = _varint(number << 3 | 1) + struct.pack("<d", value)
    elif number == _FLOAT:
        content = _varint(number << 3 | 5) + struct.pack("<f", value)
    else:
        whole = int(value) & ((1 << _BITS.get(data_type, 64)) - 1)
        content = _varint(number << 3) + _varint(whole)
    metric = b"" if name is None else _delimited(1, name.encode())
    metric += b"" if alias is None else _varint(2 << 3) + _varint(alias)
    metric += _varint(3 << 3) + _varint(timestamp_ms) + _varint(4 << 3) + _varint(data_type)
    return _varint(1 << 3) + _varint(timestamp_ms) + _delimited(2, metric + content)


def _delimited(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*encoded, number))
