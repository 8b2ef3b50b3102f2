"""Payloads of Sparkplug B, against bytes that others made and against damage."""

from contextlib import suppress
import math

from hypothesis import given, strategies as st
import pytest

from custom_components.grid_telemetry.protocols.sparkplug import (
    DataType,
    MalformedPayload,
    Metric,
    Property,
    Value,
    as_type,
    decode_payload,
    encode_metric,
    encode_payload,
)
from custom_components.grid_telemetry.protocols.sparkplug.payload import interpreted

# Made by sparkplug-payload 1.0.3 (npm, the reference implementation for JavaScript), from metrics
# of every type of a single value.
OF_THE_REFERENCE = bytes.fromhex(
    "08fba0f1c2b13412150a04696e74381880a0f1c2b134200150f8ffffff0f12160a05696e7431361880a0f1c2"
    "b134200250f0ffffff0f12160a05696e7433321880a0f1c2b1342003508080808008121b0a05696e74363418"
    "80a0f1c2b13420045881808080808080f0ff0112130a0575696e74381880a0f1c2b134200550ff0112150a06"
    "75696e7431361880a0f1c2b134200650ffff0312170a0675696e7433321880a0f1c2b134200758ffffffff0f"
    "121a0a0675696e7436341880a0f1c2b134200858ffffffffffffff0f12150a05666c6f61741880a0f1c2b134"
    "2009650000c03f122e0a06646f75626c651880a0f1c2b134200a28014a100a07656e67556e69741205080c42"
    "0156692ce7a65bf3c36cc012140a07626f6f6c65616e1880a0f1c2b134200b7001121a0a06737472696e6718"
    "80a0f1c2b134200c7a075ac3a4686c6572121a0a086461746574696d651880a0f1c2b134200d5880a0f1c2b1"
    "3418c801"
)
ITS_METRICS: list[tuple[str, DataType, Value]] = [
    ("int8", DataType.INT8, -8),
    ("int16", DataType.INT16, -16),
    ("int32", DataType.INT32, -2_147_483_648),
    ("int64", DataType.INT64, -9_007_199_254_740_991),
    ("uint8", DataType.UINT8, 255),
    ("uint16", DataType.UINT16, 65_535),
    ("uint32", DataType.UINT32, 4_294_967_295),
    ("uint64", DataType.UINT64, 9_007_199_254_740_991),
    ("float", DataType.FLOAT, 1.5),
    ("double", DataType.DOUBLE, -230.123456789),
    ("boolean", DataType.BOOLEAN, True),
    ("string", DataType.STRING, "Zähler"),
    ("datetime", DataType.DATE_TIME, 1_800_000_000_000),
]

INTEGERS = {
    DataType.INT8: (-(2**7), 2**7 - 1),
    DataType.INT16: (-(2**15), 2**15 - 1),
    DataType.INT32: (-(2**31), 2**31 - 1),
    DataType.INT64: (-(2**63), 2**63 - 1),
    DataType.UINT8: (0, 2**8 - 1),
    DataType.UINT16: (0, 2**16 - 1),
    DataType.UINT32: (0, 2**32 - 1),
    DataType.UINT64: (0, 2**64 - 1),
    DataType.DATE_TIME: (0, 2**64 - 1),
}


def values() -> st.SearchStrategy[tuple[DataType, Value]]:
    """Return a data type with a value of it."""
    numbers = [
        st.tuples(st.just(data_type), st.integers(low, high))
        for data_type, (low, high) in INTEGERS.items()
    ]
    finite = {"allow_nan": False, "allow_infinity": False}
    return st.one_of(
        *numbers,
        st.tuples(st.just(DataType.DOUBLE), st.floats(**finite)),
        st.tuples(st.just(DataType.FLOAT), st.floats(width=32, **finite)),
        st.tuples(st.just(DataType.BOOLEAN), st.booleans()),
        st.tuples(
            st.sampled_from([DataType.STRING, DataType.TEXT, DataType.UUID]),
            st.text(st.characters(codec="utf-8")),
        ),
    )


def metric_of(data_type: DataType, value: Value | None, **more: object) -> Metric:
    return Metric(name="m", alias=7, timestamp_ms=1, data_type=data_type, value=value, **more)


def test_what_the_reference_implementation_made_is_read() -> None:
    payload = decode_payload(OF_THE_REFERENCE)
    assert (payload.timestamp_ms, payload.seq) == (1_800_000_000_123, 200)
    assert [(m.name, m.data_type, m.value) for m in payload.metrics] == ITS_METRICS
    assert payload.metrics[9].properties == {
        "engUnit": Property(data_type=DataType.STRING, value="V")
    }
    assert payload.metrics[9].is_historical


def test_what_is_written_is_what_the_reference_implementation_writes() -> None:
    """Byte by byte, also for numbers with a sign."""
    read = decode_payload(OF_THE_REFERENCE)
    again = encode_payload(read.timestamp_ms, read.seq, map(encode_metric, read.metrics))
    assert again == OF_THE_REFERENCE


@given(values())
def test_a_value_comes_back_as_it_was(typed: tuple[DataType, Value]) -> None:
    metric = metric_of(*typed)
    [read] = decode_payload(encode_payload(1, 2, [encode_metric(metric)])).metrics
    assert read == metric


@given(values())
def test_a_command_is_read_as_the_type_of_the_birth(typed: tuple[DataType, Value]) -> None:
    """A command need not tell the type, and its numbers have no sign then."""
    data_type, value = typed
    [told] = decode_payload(
        encode_payload(None, None, [encode_metric(metric_of(data_type, value))])
    ).metrics
    assert told.value is not None
    assert interpreted(data_type, told.value) == value


def test_null_is_told_as_such() -> None:
    [read] = decode_payload(
        encode_payload(1, 2, [encode_metric(metric_of(DataType.DOUBLE, None))])
    ).metrics
    assert read.value is None


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(MalformedPayload):
        decode_payload(data)


@given(st.data())
def test_a_damaged_payload_is_read_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(OF_THE_REFERENCE)
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] = data.draw(st.integers(0, 255))
    with suppress(MalformedPayload):
        decode_payload(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        (DataType.INT8, 128.0),
        (DataType.UINT8, 300),
        (DataType.INT32, 1.5),
        (DataType.INT32, "1"),
        (DataType.INT32, True),
        (DataType.BOOLEAN, 1),
        (DataType.STRING, 1),
        (DataType.DOUBLE, math.nan),
        (DataType.DOUBLE, b"data set"),
    ],
)
def test_a_value_of_another_type_is_refused(data_type: DataType, value: Value) -> None:
    with pytest.raises(ValueError, match=r"is no|range|single"):
        interpreted(data_type, value)


@pytest.mark.parametrize(
    ("data_type", "number", "expected"),
    [
        (DataType.DOUBLE, 230.5, 230.5),
        (DataType.FLOAT, 1e300, None),
        (DataType.FLOAT, 0.1, 0.1),
        (DataType.INT32, 2.6, 3),
        (DataType.INT32, 2**31, None),
        (DataType.UINT8, -1, None),
        (DataType.BOOLEAN, 0.0, False),
        (DataType.STRING, 2.5, "2.5"),
        (DataType.DOUBLE, math.inf, None),
    ],
)
def test_a_number_is_brought_to_its_type(
    data_type: DataType, number: float, expected: Value | None
) -> None:
    """What does not fit is null, never another number."""
    assert as_type(data_type, number) == expected


def test_what_has_no_type_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="data type"):
        encode_metric(Metric(name="m", value=1))
    with pytest.raises(TypeError, match="bytes"):
        encode_metric(metric_of(DataType.DOUBLE, b"1"))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x0a", id="ends within a length"),
        pytest.param(b"\x12\x05\x0a", id="ends within a metric"),
        pytest.param(b"\x0b", id="group"),
        pytest.param(b"\x00\x00", id="field 0"),
        pytest.param(b"\x08" + b"\xff" * 11, id="endless number"),
        pytest.param(b"\x0a\x00", id="text for the time"),
        pytest.param(b"\x10\x00", id="number for a metric"),
        pytest.param(b"\x12\x03\x0a\x01\xff", id="not UTF-8"),
        pytest.param(b"\x12\x04\x62\x02ab", id="float of two bytes"),
        pytest.param(b"\x12\x05\x4a\x03\x0a\x01a", id="key without a value"),
    ],
)
def test_what_is_no_payload_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedPayload):
        decode_payload(data)


def test_what_is_no_single_value_is_passed_over() -> None:
    """A data set, a property list and a type that is not known make no value."""
    [metric] = decode_payload(
        b"\x12\x15"  # a metric of 21 bytes
        b"\x0a\x01m\x20\x10"  # m, data type 16
        b"\x4a\x09\x0a\x01p\x12\x04\x08\x14\x4a\x00"  # p, a property set
        b"\x8a\x01\x00\x38\x00"  # an empty data set, not null
    ).metrics
    assert metric.data_type is None
    assert metric.value == b""
    assert metric.properties == {}
