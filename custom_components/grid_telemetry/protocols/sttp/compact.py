"""Compact measurements: u8 flags, i32 signal index, float32 value, and 0, 2, 4 or 8 bytes of time.

IEEE 2664 COMPACT. Time is the full ticks, or, with the flag for a base-time offset, the distance
from one of two base times: u32 ticks, or u16 milliseconds where the subscriber asked for those.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
import struct
from typing import Final

from .constants import MAX_PACKET
from .frames import SttpError
from .measurement import Sample
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

    def follow(self, samples: Iterable[Sample], *, milliseconds: bool) -> bool:
        """Move on to a base time that suits the newest sample; tell whether it moved."""
        newest = max([sample[1] for sample in samples]) & VALUE_MASK
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
    samples: Sequence[Sample],
    *,
    include_time: bool = True,
    milliseconds: bool = False,
    base_times: BaseTimes | None = None,
    limit: int = MAX_PACKET,
) -> list[tuple[bytes, int]]:
    """Return packets of at most limit bytes, each with its number of measurements."""
    compact = _TO_COMPACT
    size = _FULL.size
    if not include_time:
        pack, size = _NO_TIME.pack, _NO_TIME.size
        records = [pack(compact[flags], index, bits) for index, _, flags, bits in samples]
    elif base_times is None:
        pack = _FULL.pack
        records = [pack(compact[flags], index, bits, time) for index, time, flags, bits in samples]
    else:
        records = _encode_offsets(samples, base_times, milliseconds)
    step = limit // size
    return [
        (b"".join(part), len(part))
        for part in (records[first : first + step] for first in range(0, len(records), step))
    ]


def _encode_offsets(samples: Sequence[Sample], base: BaseTimes, milliseconds: bool) -> list[bytes]:
    """Return records with their distance from the base time, or the full time where it is off."""
    offset = base.offsets[base.index]
    span = _span(milliseconds)
    mark = _BASE_TIME_OFFSET | (_TIME_INDEX if base.index else 0)
    short = _MILLISECONDS.pack if milliseconds else _TICKS.pack
    unit = PER_MILLISECOND if milliseconds else 1
    full, compact = _FULL.pack, _TO_COMPACT
    return [
        short(compact[flags] | mark, index, bits, (time - offset) // unit)
        if 0 < time - offset <= span
        else full(compact[flags], index, bits, time)
        for index, time, flags, bits in samples
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
