"""Compact measurements: u8 flags, i32 signal index, float32 value, and 0, 2, 4 or 8 bytes of time.

IEEE 2664 COMPACT. Time is the full ticks, or, with the flag for a base-time offset, the distance
from one of two base times: u32 ticks, or u16 milliseconds where the subscriber asked for those.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
import struct
from typing import Final

from .constants import MAX_PACKET
from .frames import SttpError
from .measurement import Frame, Sample
from .ticks import PER_MILLISECOND, PER_SECOND, VALUE_MASK

_BASE_TIME_OFFSET: Final = 0x40
_TIME_INDEX: Final = 0x80
# Compact flag and the state flags that it stands for: range, quality, time quality, system issue,
# calculated, discarded.
_MASKS: Final = (
    (0x01, 0x0000_00FC),
    (0x02, 0x0000_EF03),
    (0x04, 0x00BF_0000),
    (0x08, 0xE000_0000),
    (0x10, 0x0000_1000),
    (0x20, 0x0040_0000),
)

_NO_TIME: Final = struct.Struct(">BiI")
_FULL: Final = struct.Struct(">BiIQ")
_TICKS: Final = struct.Struct(">BiII")
_MILLISECONDS: Final = struct.Struct(">BiIH")
# What comes late still fits below a new base time by this much.
_LATE: Final = 10 * PER_SECOND


class _CompactFlags(dict[int, int]):
    """State flags to compact flags, worked out once for each combination seen."""

    def __missing__(self, flags: int) -> int:
        compact = sum(bit for bit, mask in _MASKS if flags & mask)
        if len(self) < 4096:
            self[flags] = compact
        return compact


_TO_COMPACT: Final = _CompactFlags()
_TO_FULL: Final = [sum(mask for bit, mask in _MASKS if flags & bit) for flags in range(256)]


@dataclass(kw_only=True)
class BaseTimes:
    """The two base times of a compact stream, in ticks; 0 is none (UPDATE BASE TIMES)."""

    index: int = 0
    offsets: tuple[int, int] = (0, 0)

    _DATA = struct.Struct(">IQQ")

    def encode(self) -> bytes:
        """Return the data of UPDATE BASE TIMES."""
        return self._DATA.pack(self.index, *self.offsets)

    @classmethod
    def decode(cls, data: bytes) -> BaseTimes:
        """Read the data of UPDATE BASE TIMES; raises SttpError."""
        if len(data) < cls._DATA.size:
            raise SttpError("Base times cut short")
        index, even, odd = cls._DATA.unpack_from(data)
        return cls(index=1 if index else 0, offsets=(even, odd))

    @property
    def mark(self) -> int:
        """The compact flags of a distance from the base time in force."""
        return _BASE_TIME_OFFSET | (_TIME_INDEX if self.index else 0)

    def follow(self, frames: Iterable[Frame], *, milliseconds: bool) -> bool:
        """Move on to a base time that suits the newest measurement; tell whether it moved."""
        newest = (
            max([max(frame.times) if frame.time is None else frame.time for frame in frames])
            & VALUE_MASK
        )
        if 0 < newest - self.offsets[self.index] <= _span(milliseconds):
            return False
        # On a whole millisecond, so that times on one stay there.
        base = max((newest - _LATE) // PER_MILLISECOND, 1) * PER_MILLISECOND
        if not any(self.offsets):
            self.offsets = (base, base)
        else:
            self.index ^= 1
            self.offsets = (self.offsets[0], base) if self.index else (base, self.offsets[1])
        return True


def _span(milliseconds: bool) -> int:
    """Return how far from its base time, in ticks, a timestamp may be."""
    return 0xFFFE * PER_MILLISECOND if milliseconds else 0xFFFF_FFFE


def encode(
    frames: Iterable[Frame],
    *,
    include_time: bool = True,
    milliseconds: bool = False,
    base_times: BaseTimes | None = None,
    limit: int = MAX_PACKET,
) -> list[tuple[bytes, int]]:
    """Return packets of at most limit bytes, each with its number of measurements."""
    packets: list[tuple[bytes, int]] = []
    same: list[bytearray] = []
    size = 0
    for frame in frames:
        record, times = _times(frame, include_time, milliseconds, base_times)
        if times is None:
            # Some in full and some as a distance: no columns.
            packets += _packets(b"".join(same), size, limit)
            same.clear()
            packets += _mixed(_records(frame, base_times, milliseconds), limit)
            continue
        if record != size:
            packets += _packets(b"".join(same), size, limit)
            same.clear()
            size = record
        mark = 0 if base_times is None or record == _FULL.size else base_times.mark
        same.append(_columns(frame, record, times, mark))
    return packets + _packets(b"".join(same), size, limit)


def _packets(records: bytes, size: int, limit: int) -> list[tuple[bytes, int]]:
    """Cut records of one size into packets."""
    if not records:
        return []
    step = limit // size * size
    return [
        (part, len(part) // size)
        for part in (records[first : first + step] for first in range(0, len(records), step))
    ]


def _mixed(records: Sequence[bytes], limit: int) -> Iterator[tuple[bytes, int]]:
    """Cut records of several sizes into packets."""
    step = limit // _FULL.size
    for first in range(0, len(records), step):
        part = records[first : first + step]
        yield b"".join(part), len(part)


def _times(
    frame: Frame, include_time: bool, milliseconds: bool, base: BaseTimes | None
) -> tuple[int, bytes | None]:
    """Return the size of the records of a frame, and their times; None where the sizes differ."""
    if not include_time:
        return _NO_TIME.size, b""
    count, times = len(frame), frame.times
    if base is not None:
        offset, span = base.offsets[base.index], _span(milliseconds)
        earliest, latest = (
            (min(times), max(times)) if frame.time is None else (frame.time, frame.time)
        )
        if earliest - offset > 0 and latest - offset <= span:
            unit, kind, size = (
                (PER_MILLISECOND, "H", _MILLISECONDS.size)
                if milliseconds
                else (1, "I", _TICKS.size)
            )
            if frame.time is not None:
                return size, struct.pack(f">{kind}", (frame.time - offset) // unit) * count
            return size, struct.pack(
                f">{count}{kind}", *[(time - offset) // unit for time in times]
            )
        if latest - offset > 0 and earliest - offset <= span and frame.time is None:
            return 0, None
    if frame.time is not None:
        return _FULL.size, struct.pack(">Q", frame.time) * count
    return _FULL.size, struct.pack(f">{count}Q", *times)


def _columns(frame: Frame, size: int, times: bytes, mark: int) -> bytearray:
    """Write records of one size, a byte of all of them at a time."""
    count = len(frame)
    records = bytearray(size * count)
    compact = _TO_COMPACT
    if frame.state is not None:
        records[::size] = bytes((compact[frame.state] | mark,)) * count
    else:
        records[::size] = bytes([compact[flags] | mark for flags in frame.flags])
    columns = (frame.index_bytes, frame.values, times)
    position = 1
    for column in columns:
        width = len(column) // count
        for byte in range(width):
            records[position::size] = column[byte::width]
            position += 1
    return records


def _records(frame: Frame, base: BaseTimes | None, milliseconds: bool) -> list[bytes]:
    """Return records with their distance from the base time, or the full time where it is off."""
    if base is None:
        raise ValueError("Only with a base time there are records of two sizes")
    offset, mark = base.offsets[base.index], base.mark
    span = _span(milliseconds)
    short = _MILLISECONDS.pack if milliseconds else _TICKS.pack
    unit = PER_MILLISECOND if milliseconds else 1
    full, compact = _FULL.pack, _TO_COMPACT
    return [
        short(compact[flags] | mark, index, bits, (time - offset) // unit)
        if 0 < time - offset <= span
        else full(compact[flags], index, bits, time)
        for index, time, flags, bits in frame.samples()
    ]


def decode(
    data: bytes,
    count: int,
    *,
    include_time: bool = True,
    milliseconds: bool = False,
    base_times: BaseTimes,
) -> list[Sample]:
    """Read count measurements; the time is 0 where none is sent. Raises SttpError."""
    if count * _NO_TIME.size > len(data):
        raise SttpError("Compact packet cut short")
    samples: list[Sample] = []
    position = 0
    short, unit = (_MILLISECONDS, PER_MILLISECOND) if milliseconds else (_TICKS, 1)
    full, to_full = _FULL, _TO_FULL
    try:
        for _ in range(count):
            flags = data[position]
            if not include_time:
                flags, index, bits = _NO_TIME.unpack_from(data, position)
                time = 0
                position += _NO_TIME.size
            elif flags & _BASE_TIME_OFFSET:
                flags, index, bits, distance = short.unpack_from(data, position)
                time = base_times.offsets[flags >> 7] + distance * unit
                position += short.size
            else:
                flags, index, bits, time = full.unpack_from(data, position)
                position += full.size
            samples.append((index, time, to_full[flags], bits))
    except (struct.error, IndexError) as err:
        raise SttpError("Compact packet cut short") from err
    return samples
