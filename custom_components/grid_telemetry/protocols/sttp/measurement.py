"""A measurement, and its form between the parts of the publisher."""

from collections.abc import Iterable, Mapping
from math import inf
import struct
from typing import NamedTuple
from uuid import UUID

type Sample = tuple[int, int, int, int]
"""Signal index, ticks, state flags, value as the bits of its float32: checked, ready to encode."""


class Measurement(NamedTuple):
    """One value of one signal.

    A value travels as IEEE 754 float32: 16,777,217 arrives as 16,777,216 and 1e39 as infinity.
    """

    signal_id: UUID
    value: float
    timestamp: int
    """Ticks, see ticks.py."""
    flags: int = 0
    """StateFlags."""


def samples(measurements: Iterable[Measurement], indexes: Mapping[int, int]) -> list[Sample]:
    """Turn measurements into samples; the signal indexes go by the integer of the signal ID.

    (To look up a UUID itself takes three times as long: its hash is written in Python.)
    Raises KeyError for a signal that has no index, ValueError for a value, timestamp
    or flags that no packet can carry: the caller hears of it, and no encoder gets to see it.
    """
    batch = list(measurements)
    if not batch:
        return []
    ids, values, times, flags = zip(*batch, strict=True)
    count = len(batch)
    try:
        struct.pack(f"<{count}Q", *times)
        struct.pack(f"<{count}I", *flags)
        try:
            packed = struct.pack(f"<{count}f", *values)
        except OverflowError:
            packed = struct.pack(f"<{count}f", *map(_saturated, values))
    except struct.error as err:
        raise ValueError(f"Not a measurement: {err}") from err
    bits = struct.unpack(f"<{count}I", packed)
    return list(zip([indexes[signal_id.int] for signal_id in ids], times, flags, bits, strict=True))


def _saturated(value: float) -> float:
    """Return a value, or the infinity beside it where float32 has no room."""
    try:
        struct.pack("<f", value)
    except OverflowError:
        return inf if value > 0 else -inf
    return value
