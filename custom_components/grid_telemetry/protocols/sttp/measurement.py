"""A measurement, and the form that many of them have between the parts of the publisher.

A frame holds a column for each of what measurements consist of: to work on a column at once takes
a fraction of what to work on as many objects does.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import inf
from operator import itemgetter
import struct
from typing import Final, NamedTuple, Self
from uuid import UUID

# Frames with fewer measurements are put together before they are encoded.
_SMALL: Final = 64

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


class Frame:
    """Measurements that were checked: a column of signal indexes, ticks, state flags and values.

    `time` is the ticks of all where they share them, else None, and `state` likewise for flags;
    `values` are float32 in the byte order of the network.
    """

    __slots__ = ("_bits", "_index_bytes", "flags", "indexes", "state", "time", "times", "values")

    def __init__(
        self,
        indexes: tuple[int, ...],
        times: tuple[int, ...],
        flags: tuple[int, ...],
        values: bytes,
    ) -> None:
        """Take columns of one length, which is not 0; indexes are compared by identity first."""
        count = len(indexes)
        self.indexes, self.times, self.flags, self.values = indexes, times, flags, values
        self.time = times[0] if times.count(times[0]) == count else None
        self.state = flags[0] if flags.count(flags[0]) == count else None
        self._bits: tuple[int, ...] | None = None
        self._index_bytes: bytes | None = None

    def __len__(self) -> int:
        """Return the number of measurements."""
        return len(self.indexes)

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Self:
        """Make a frame of samples, of one at least."""
        indexes, times, flags, bits = zip(*samples, strict=True)
        return cls(indexes, times, flags, struct.pack(f">{len(bits)}I", *bits))

    @property
    def bits(self) -> tuple[int, ...]:
        """The bits of the values."""
        if self._bits is None:
            self._bits = struct.unpack(f">{len(self.indexes)}I", self.values)
        return self._bits

    @property
    def index_bytes(self) -> bytes:
        """The signal indexes as signed 32-bit numbers in the byte order of the network."""
        if self._index_bytes is None:
            self._index_bytes = struct.pack(f">{len(self.indexes)}i", *self.indexes)
        return self._index_bytes

    def samples(self) -> Iterable[Sample]:
        """Return the measurements one by one."""
        return zip(self.indexes, self.times, self.flags, self.bits, strict=True)

    def part(self, positions: Sequence[int]) -> Frame:
        """Return some of the measurements, of one at least."""
        if len(positions) == 1:
            (at,) = positions
            return Frame(
                (self.indexes[at],),
                (self.times[at],),
                (self.flags[at],),
                self.values[4 * at : 4 * at + 4],
            )
        pick = itemgetter(*positions)
        values = struct.pack(f">{len(positions)}I", *pick(self.bits))
        return Frame(pick(self.indexes), pick(self.times), pick(self.flags), values)


def joined(frames: Sequence[Frame]) -> list[Frame]:
    """Put small frames that follow each other together."""
    if len(frames) < 2:
        return [*frames]
    result: list[Frame] = []
    small: list[Frame] = []
    for frame in (*frames, None):
        if frame is not None and len(frame) < _SMALL:
            small.append(frame)
            continue
        if small:
            result.append(small[0] if len(small) == 1 else _one(small))
            small.clear()
        if frame is not None:
            result.append(frame)
    return result


def _one(frames: Sequence[Frame]) -> Frame:
    """Make one frame of several."""
    return Frame(
        tuple(chain.from_iterable([frame.indexes for frame in frames])),
        tuple(chain.from_iterable([frame.times for frame in frames])),
        tuple(chain.from_iterable([frame.flags for frame in frames])),
        b"".join([frame.values for frame in frames]),
    )


class Framer:
    """Makes frames of measurements; knows the signals of the frame before, which often come again.

    The signal indexes go by the integer of the signal ID: to look up a UUID itself takes three
    times as long, for its hash is written in Python.
    """

    def __init__(self) -> None:
        self._ids: tuple[UUID, ...] = ()
        self._indexes: tuple[int, ...] = ()

    def forget(self) -> None:
        """Look all signals up anew, for their indexes may be others."""
        self._ids = self._indexes = ()

    def frame(
        self, measurements: Iterable[Measurement], indexes: Mapping[int, int]
    ) -> Frame | None:
        """Return a frame of measurements, None of none.

        Raises KeyError for a signal that has no index, ValueError for a value, timestamp or flags
        that no packet can carry: the caller hears of it, and no encoder gets to see it.
        """
        batch = list(measurements)
        if not batch:
            return None
        ids, values, times, flags = zip(*batch, strict=True)
        # To compare tuples is quick where their items are the very same; UUIDs that are only equal
        # would be compared in Python.
        if not self._ids or ids[0] is not self._ids[0] or ids != self._ids:
            self._indexes = tuple([indexes[signal_id.int] for signal_id in ids])
            self._ids = ids
        return checked_frame(self._indexes, values, times, flags)


def checked_frame(
    indexes: tuple[int, ...],
    values: Sequence[float],
    times: tuple[int, ...],
    flags: tuple[int, ...],
) -> Frame:
    """Return a frame of columns; raises ValueError for what no packet can carry."""
    count = len(indexes)
    try:
        times = _checked(times, count, "Q")
        flags = _checked(flags, count, "I")
        try:
            packed = struct.pack(f">{count}f", *values)
        except OverflowError:
            packed = struct.pack(f">{count}f", *map(_saturated, values))
    except struct.error as err:
        raise ValueError(f"Not a measurement: {err}") from err
    return Frame(indexes, times, flags, packed)


def _checked(column: tuple[int, ...], count: int, kind: str) -> tuple[int, ...]:
    """Return a column of unsigned numbers of a size; raises struct.error where it is no such.

    Most columns have the same number throughout, and need only one look.
    """
    first = column[0]
    if column.count(first) == count:
        struct.pack(kind, first)
        # What is equal may be of another type.
        return (first,) * count
    struct.pack(f"<{count}{kind}", *column)
    return column


def _saturated(value: float) -> float:
    """Return a value, or the infinity beside it where float32 has no room."""
    try:
        struct.pack("<f", value)
    except OverflowError:
        return inf if value > 0 else -inf
    return value
