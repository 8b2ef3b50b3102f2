"""Payloads of Sparkplug B as bytes: what an edge node sends, and what it is sent.

Pure translation, no I/O. Source: Eclipse Sparkplug 3.0.0 (ISO/IEC 20237:2023), chapter 6, whose
schema is one of Protocol Buffers; the encoding of that is public too (varints, fixed width numbers
and length-delimited fields, each behind its number and kind). Data sets, templates, arrays and
metadata are not sent; what comes of them is passed over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
import math
import struct
from typing import Final

type Value = bool | int | float | str | bytes
"""What a metric can be; bytes are what no single value is, and only ever come in."""


class MalformedPayload(Exception):  # noqa: N818 - named after what happened
    """What came is no payload of Sparkplug B."""


class DataType(IntEnum):
    """The data types of single values."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATE_TIME = 13
    TEXT = 14
    UUID = 15


class Quality(IntEnum):
    """What the property `Quality` of a metric can be."""

    BAD = 0
    GOOD = 192
    STALE = 500


QUALITY: Final = "Quality"

_SIGNED: Final = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_UNSIGNED: Final = {
    DataType.UINT8: 8,
    DataType.UINT16: 16,
    DataType.UINT32: 32,
    DataType.UINT64: 64,
    DataType.DATE_TIME: 64,
}
_TEXTS: Final = frozenset({DataType.STRING, DataType.TEXT, DataType.UUID})
_LONG: Final = frozenset(
    # The reference implementation has UInt32 there too, the text of the standard has not.
    {DataType.INT64, DataType.UINT32, DataType.UINT64, DataType.DATE_TIME}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """One property of a metric."""

    data_type: DataType
    value: Value


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """One metric of a payload; with aliases its name stands in the births only."""

    name: str | None = None
    alias: int | None = None
    timestamp_ms: int | None = None
    """When the value was measured, in epoch milliseconds."""
    data_type: DataType | None = None
    """Of one that came: None also for a type that is not a single value."""
    value: Value | None = None
    """None is null."""
    is_historical: bool = False
    properties: Mapping[str, Property] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Payload:
    """What one message carries."""

    timestamp_ms: int | None
    """When it was sent, in epoch milliseconds."""
    seq: int | None = None
    metrics: tuple[Metric, ...] = ()


def as_type(data_type: DataType, number: float) -> Value | None:
    """Return a number as a data type has it; None where it is out of its range, or no number."""
    if not math.isfinite(number):
        return None
    if data_type is DataType.BOOLEAN:
        return number != 0
    if data_type in _TEXTS:
        return f"{number:g}" if isinstance(number, float) else str(number)
    if data_type is DataType.DOUBLE:
        return float(number)
    if data_type is DataType.FLOAT:
        try:
            struct.pack("<f", number)
        except OverflowError:
            return None
        return float(number)
    whole = round(number)
    return whole if _in_range(data_type, whole) else None


def _in_range(data_type: DataType, number: int) -> bool:
    if (bits := _SIGNED.get(data_type)) is not None:
        return -(1 << bits - 1) <= number < 1 << bits - 1
    return 0 <= number < 1 << _UNSIGNED[data_type]


def interpreted(data_type: DataType, value: Value) -> Value:
    """Return a value that came as the data type of the birth has it; raises ValueError.

    Whole numbers come without a sign, as two's complement of 32 or 64 bits, or of their own width.
    """
    if isinstance(value, bytes):
        raise ValueError("not a single value")  # noqa: TRY004 - of what came, not of the program
    if data_type in _TEXTS or isinstance(value, str):
        if data_type not in _TEXTS or not isinstance(value, str):
            raise ValueError(f"{value!r} is no {data_type.name}")
        return value
    if data_type is DataType.BOOLEAN or isinstance(value, bool):
        if data_type is not DataType.BOOLEAN or not isinstance(value, bool):
            raise ValueError(f"{value!r} is no {data_type.name}")
        return value
    if data_type in (DataType.FLOAT, DataType.DOUBLE):
        if not math.isfinite(value):
            raise ValueError(f"{value!r} is no number")
        return float(value)
    if isinstance(value, float):
        raise ValueError(f"{value!r} is no {data_type.name}")  # noqa: TRY004
    number = _with_sign(data_type, value)
    if not _in_range(data_type, number):
        raise ValueError(f"{value!r} is out of the range of {data_type.name}")
    return number


def _with_sign(data_type: DataType, number: int) -> int:
    if (own := _SIGNED.get(data_type)) is None:
        return number
    for bits in (own, 32, 64):
        if 1 << bits - 1 <= number < 1 << bits:
            return number - (1 << bits)
    return number


# --- encoding

_VARINT: Final = 0
_FIXED_64: Final = 1
_LENGTH: Final = 2
_FIXED_32: Final = 5


@lru_cache(maxsize=4096)  # timestamps and aliases come again and again
def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _delimited(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


_PAYLOAD_TIMESTAMP: Final = _tag(1, _VARINT)
_PAYLOAD_METRIC: Final = _tag(2, _LENGTH)
_PAYLOAD_SEQ: Final = _tag(3, _VARINT)
_METRIC_NAME: Final = _tag(1, _LENGTH)
_METRIC_ALIAS: Final = _tag(2, _VARINT)
_METRIC_TIMESTAMP: Final = _tag(3, _VARINT)
_METRIC_DATA_TYPE: Final = _tag(4, _VARINT)
_METRIC_IS_HISTORICAL: Final = _tag(5, _VARINT) + b"\x01"
_METRIC_IS_NULL: Final = _tag(7, _VARINT) + b"\x01"
_METRIC_PROPERTIES: Final = _tag(9, _LENGTH)
_METRIC_VALUES: Final = 10  # the number of `int_value`; the other kinds of value follow
_SET_KEY: Final = _tag(1, _LENGTH)
_SET_VALUE: Final = _tag(2, _LENGTH)
_PROPERTY_TYPE: Final = _tag(1, _VARINT)
_PROPERTY_VALUES: Final = 3

_INT, _LONG_INT, _FLOAT, _DOUBLE, _BOOLEAN, _STRING = range(6)
_DOUBLE_TAG: Final = _tag(_METRIC_VALUES + _DOUBLE, _FIXED_64)


def _value(first: int, data_type: DataType, value: Value) -> bytes:
    """Return the field with a value; `first` is the number of the first kind of value."""
    if isinstance(value, bytes):
        raise TypeError("bytes are not sent")
    if isinstance(value, str):
        return _delimited(_tag(first + _STRING, _LENGTH), value.encode())
    match data_type:
        case DataType.DOUBLE:
            return _tag(first + _DOUBLE, _FIXED_64) + struct.pack("<d", value)
        case DataType.FLOAT:
            return _tag(first + _FLOAT, _FIXED_32) + struct.pack("<f", value)
        case DataType.BOOLEAN:
            return _tag(first + _BOOLEAN, _VARINT) + (b"\x01" if value else b"\x00")
        case _:
            pass
    number = int(value)
    if data_type in _LONG:
        return _tag(first + _LONG_INT, _VARINT) + _varint(number & 0xFFFF_FFFF_FFFF_FFFF)
    return _tag(first + _INT, _VARINT) + _varint(number & 0xFFFF_FFFF)


def _properties(properties: Mapping[str, Property]) -> bytes:
    keys = b"".join(_delimited(_SET_KEY, key.encode()) for key in properties)
    values = b"".join(
        _delimited(
            _SET_VALUE,
            _PROPERTY_TYPE
            + _varint(each.data_type)
            + _value(_PROPERTY_VALUES, each.data_type, each.value),
        )
        for each in properties.values()
    )
    return _delimited(_METRIC_PROPERTIES, keys + values)


_QUALITIES: Final = {
    quality: _properties({QUALITY: Property(data_type=DataType.INT32, value=int(quality))})
    for quality in Quality
}


def encode_metric(metric: Metric) -> bytes:
    """Return a metric as a field of a payload; one with a value needs its data type."""
    encoded = bytearray()
    if metric.name is not None:
        encoded += _delimited(_METRIC_NAME, metric.name.encode())
    if metric.alias is not None:
        encoded += _METRIC_ALIAS + _varint(metric.alias)
    if metric.timestamp_ms is not None:
        encoded += _METRIC_TIMESTAMP + _varint(metric.timestamp_ms)
    if metric.data_type is not None:
        encoded += _METRIC_DATA_TYPE + _varint(metric.data_type)
    if metric.is_historical:
        encoded += _METRIC_IS_HISTORICAL
    if metric.value is None:
        encoded += _METRIC_IS_NULL
    if metric.properties:
        encoded += _properties(metric.properties)
    if metric.value is not None:
        if metric.data_type is None:
            raise ValueError("a value without a data type")
        encoded += _value(_METRIC_VALUES, metric.data_type, metric.value)
    return _delimited(_PAYLOAD_METRIC, bytes(encoded))


@lru_cache(maxsize=16_384)
def _alias(alias: int) -> bytes:
    return _METRIC_ALIAS + _varint(alias)


def encode_data_metric(
    alias: int,
    data_type: DataType,
    value: Value | None,
    timestamp_ms: int,
    *,
    is_historical: bool,
    quality: Quality | None,
) -> bytes:
    """Return a metric of NDATA or DDATA as a field of a payload; its alias is its name.

    `quality` is None where it need not be said.
    """
    encoded = _alias(alias) + _METRIC_TIMESTAMP + _varint(timestamp_ms)
    if is_historical:
        encoded += _METRIC_IS_HISTORICAL
    if value is None:
        encoded += _METRIC_IS_NULL
    if quality is not None:
        encoded += _QUALITIES[quality]
    if value is not None:
        if data_type is DataType.DOUBLE:
            encoded += _DOUBLE_TAG + struct.pack("<d", value)
        else:
            encoded += _value(_METRIC_VALUES, data_type, value)
    return _PAYLOAD_METRIC + _varint(len(encoded)) + encoded


def encode_payload(timestamp_ms: int | None, seq: int | None, metrics: Iterable[bytes]) -> bytes:
    """Return a payload of metrics that are encoded already."""
    return b"".join(
        (
            b"" if timestamp_ms is None else _PAYLOAD_TIMESTAMP + _varint(timestamp_ms),
            *metrics,
            b"" if seq is None else _PAYLOAD_SEQ + _varint(seq),
        )
    )


# --- decoding


class _Fields:
    """The fields of one message, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __iter__(self) -> Iterator[tuple[int, int | bytes]]:
        """Yield number and content of each field; fixed width numbers are bytes."""
        while self._at < len(self._data):
            tag = self._varint()
            number, kind = tag >> 3, tag & 7
            if not 0 < number < 1 << 29:
                raise MalformedPayload(f"a field has the number {number}")
            match kind:
                case 0:
                    yield number, self._varint()
                case 1:
                    yield number, self._take(8)
                case 2:
                    yield number, self._take(self._varint())
                case 5:
                    yield number, self._take(4)
                case _:
                    raise MalformedPayload(f"a field is of kind {kind}")

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise MalformedPayload("a field goes beyond the end")
        self._at += count
        return self._data[self._at - count : self._at]

    def _varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._take(1)[0]
            number |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return number & 0xFFFF_FFFF_FFFF_FFFF
        raise MalformedPayload("a number has more than ten bytes")


def _number(content: int | bytes) -> int:
    if isinstance(content, bytes):
        raise MalformedPayload("a number is expected")
    return content


def _bytes(content: int | bytes) -> bytes:
    if isinstance(content, int):
        raise MalformedPayload("a text, or a message, is expected")
    return content


def _text(content: int | bytes) -> str:
    try:
        return _bytes(content).decode()
    except UnicodeDecodeError as err:
        raise MalformedPayload("a text is not UTF-8") from err


def _real(content: int | bytes) -> float:
    raw = _bytes(content)
    if len(raw) not in (4, 8):
        raise MalformedPayload("a number of fixed width is expected")
    number: float = struct.unpack("<f" if len(raw) == 4 else "<d", raw)[0]
    return number


def _data_type(content: int | bytes) -> DataType | None:
    try:
        return DataType(_number(content))
    except ValueError:
        return None


def _value_of(kind: int, content: int | bytes) -> Value:
    """Return a value of one of the kinds that metrics and properties have."""
    if kind in (_INT, _LONG_INT):
        return _number(content)
    if kind in (_FLOAT, _DOUBLE):
        return _real(content)
    if kind == _BOOLEAN:
        return bool(_number(content))
    if kind == _STRING:
        return _text(content)
    return _bytes(content)


def _typed(data_type: DataType | None, value: Value | None) -> Value | None:
    """Return a value as its own data type has it, as it came where that cannot be."""
    if data_type is None or value is None:
        return value
    try:
        return interpreted(data_type, value)
    except ValueError:
        return value


def decode_payload(data: bytes) -> Payload:
    """Return what a message carries; raises `MalformedPayload`.

    A metric without a data type has its whole numbers as they came, see `interpreted`.
    """
    timestamp_ms = seq = None
    metrics: list[Metric] = []
    for number, content in _Fields(data):
        match number:
            case 1:
                timestamp_ms = _number(content)
            case 2:
                metrics.append(_decode_metric(_bytes(content)))
            case 3:
                seq = _number(content)
            case _:
                pass
    return Payload(timestamp_ms=timestamp_ms, seq=seq, metrics=tuple(metrics))


def _decode_metric(data: bytes) -> Metric:
    name = alias = timestamp_ms = data_type = value = None
    is_historical = is_null = False
    properties: dict[str, Property] = {}
    for number, content in _Fields(data):
        match number:
            case 1:
                name = _text(content)
            case 2:
                alias = _number(content)
            case 3:
                timestamp_ms = _number(content)
            case 4:
                data_type = _data_type(content)
            case 5:
                is_historical = bool(_number(content))
            case 7:
                is_null = bool(_number(content))
            case 9:
                properties = _decode_properties(_bytes(content))
            case _ if _METRIC_VALUES <= number < _METRIC_VALUES + 10:
                value = _value_of(number - _METRIC_VALUES, content)
            case _:
                pass
    return Metric(
        name=name,
        alias=alias,
        timestamp_ms=timestamp_ms,
        data_type=data_type,
        value=None if is_null else _typed(data_type, value),
        is_historical=is_historical,
        properties=properties,
    )


def _decode_properties(data: bytes) -> dict[str, Property]:
    keys: list[str] = []
    values: list[Property | None] = []
    for number, content in _Fields(data):
        if number == 1:
            keys.append(_text(content))
        elif number == 2:
            values.append(_decode_property(_bytes(content)))
    if len(keys) != len(values):
        raise MalformedPayload(f"{len(keys)} keys of {len(values)} properties")
    return {key: value for key, value in zip(keys, values, strict=True) if value is not None}


def _decode_property(data: bytes) -> Property | None:
    """Return a property; None for one that is null, or no single value."""
    data_type = value = None
    for number, content in _Fields(data):
        if number == 1:
            data_type = _data_type(content)
        elif _PROPERTY_VALUES <= number < _PROPERTY_VALUES + 6:
            value = _value_of(number - _PROPERTY_VALUES, content)
    typed = _typed(data_type, value)
    if data_type is None or typed is None:
        return None
    return Property(data_type=data_type, value=typed)
