from collections.abc import Sequence
import struct
from typing import Any

import pytest

from custom_components.grid_telemetry.protocols.sttp import compact
from custom_components.grid_telemetry.protocols.sttp.compact import BaseTimes
from custom_components.grid_telemetry.protocols.sttp.constants import StateFlags
from custom_components.grid_telemetry.protocols.sttp.frames import SttpError
from custom_components.grid_telemetry.protocols.sttp.measurement import Sample
from custom_components.grid_telemetry.protocols.sttp.ticks import LEAP_SECOND, PER_SECOND

from .samples import NOON, bits, frames_of

SAMPLES: list[Sample] = [(1, NOON, 0, bits(230.5)), (2, NOON + 10, 0, bits(float("nan")))]


def encode(samples: Sequence[Sample], **settings: Any) -> list[tuple[bytes, int]]:
    return compact.encode(frames_of(samples), **settings)


def decoded(packets: list[tuple[bytes, int]], **settings: bool | BaseTimes) -> list[Sample]:
    settings.setdefault("base_times", BaseTimes())
    return [item for data, count in packets for item in compact.decode(data, count, **settings)]


def test_a_measurement_has_the_layout_of_the_standard() -> None:
    (packet,) = encode([(5, NOON, StateFlags.BAD_DATA, bits(1.5))])
    assert packet == (struct.pack(">BifQ", 0x02, 5, 1.5, NOON), 1)


def test_full_times_survive() -> None:
    leap = (3, NOON | LEAP_SECOND, 0, bits(-1.0))
    assert decoded(encode([*SAMPLES, leap])) == [*SAMPLES, leap]


def test_time_can_be_left_out() -> None:
    packets = encode(SAMPLES, include_time=False)
    assert len(packets[0][0]) == 2 * 9
    assert [item[1] for item in decoded(packets, include_time=False)] == [0, 0]


@pytest.mark.parametrize(("milliseconds", "size"), [(False, 13), (True, 11)])
def test_base_times_make_measurements_shorter(milliseconds: bool, size: int) -> None:
    base = BaseTimes()
    assert base.follow(frames_of(SAMPLES), milliseconds=milliseconds)
    packets = encode(SAMPLES, milliseconds=milliseconds, base_times=base)
    assert len(packets[0][0]) == 2 * size
    received = decoded(packets, milliseconds=milliseconds, base_times=base)
    unit = 10_000 if milliseconds else 1
    for (_, sent, _, _), (_, came, _, _) in zip(SAMPLES, received, strict=True):
        assert 0 <= sent - came < unit


def test_what_is_far_from_the_base_time_goes_in_full() -> None:
    base = BaseTimes()
    base.follow(frames_of(SAMPLES), milliseconds=False)
    old = (1, NOON - 3600 * PER_SECOND, 0, bits(1.0))
    leap = (1, NOON | LEAP_SECOND, 0, bits(1.0))
    packets = encode([old, leap], base_times=base)
    assert len(packets[0][0]) == 2 * 17
    assert decoded(packets, base_times=base) == [old, leap]


def test_base_times_take_turns_as_time_goes_on() -> None:
    base = BaseTimes()
    indexes = []
    for second in range(1000):
        sample = (1, NOON + second * PER_SECOND, 0, 0)
        if base.follow(frames_of([sample]), milliseconds=False):
            indexes.append(base.index)
        packets = encode([sample], base_times=base)
        assert len(packets[0][0]) == 13
        assert decoded(packets, base_times=base) == [sample]
    # 4,294,967,295 ticks, less the ten seconds for what is late.
    assert indexes == [0, 1, 0]


def test_whole_milliseconds_stay_whole() -> None:
    base = BaseTimes()
    base.follow(frames_of([(1, NOON + 12_345, 0, 0)]), milliseconds=True)
    sample = (1, NOON + 50_000, 0, bits(1.0))
    packets = encode([sample], milliseconds=True, base_times=base)
    assert decoded(packets, milliseconds=True, base_times=base) == [sample]


def test_base_times_survive() -> None:
    base = BaseTimes(index=1, offsets=(NOON, NOON + 5))
    assert base.encode() == struct.pack(">IQQ", 1, NOON, NOON + 5)
    assert BaseTimes.decode(base.encode()) == base
    with pytest.raises(SttpError):
        BaseTimes.decode(base.encode()[:-1])


@pytest.mark.parametrize(
    ("flags", "received"),
    [
        (StateFlags.NORMAL, 0),
        (StateFlags.OVER_RANGE_ERROR, 0xFC),
        (StateFlags.BAD_DATA, 0xEF03),
        (StateFlags.SUSPECT_TIME, 0x00BF_0000),
        (StateFlags.MEASUREMENT_ERROR, 0xE000_0000),
        (StateFlags.CALCULATED_VALUE, 0x1000),
        (StateFlags.DISCARDED_VALUE, 0x40_0000),
        (StateFlags.BAD_DATA | StateFlags.BAD_TIME, 0x00BF_EF03),
    ],
)
def test_state_flags_are_received_as_their_group(flags: StateFlags, received: int) -> None:
    assert decoded(encode([(1, NOON, flags, 0)])) == [(1, NOON, received, 0)]


def test_packets_end_at_the_limit() -> None:
    samples = [(number, NOON, 0, number) for number in range(5000)]
    packets = encode(samples)
    assert [count for _, count in packets] == [1927, 1927, 1146]
    assert max(len(data) for data, _ in packets) <= 32_768
    assert decoded(packets) == samples


@pytest.mark.parametrize("cut", [1, 9, 16])
def test_a_packet_cut_short_is_refused(cut: int) -> None:
    data, _ = encode(SAMPLES[:1])[0]
    with pytest.raises(SttpError, match="cut short"):
        compact.decode(data[:cut], 1, base_times=BaseTimes())


def test_a_count_that_promises_too_much_is_refused() -> None:
    with pytest.raises(SttpError):
        compact.decode(bytes(17), 0xFFFF_FFFF, base_times=BaseTimes())
    with pytest.raises(SttpError):
        compact.decode(bytes(18), 2, base_times=BaseTimes())
