"""The publisher's end of TSSC."""

from collections.abc import Iterable, Iterator
from typing import Final

from ..constants import MAX_PACKET
from ..measurement import Sample
from ..ticks import VALUE_MASK
from .state import (
    END,
    HEADER,
    MAX_COUNT,
    POINT_ID_FORMS,
    STATE_FLAGS,
    STATE_FLAGS_2,
    TIME_DELTA_FORWARD,
    TIME_DELTA_REVERSE,
    TIME_XOR,
    TIMESTAMP_2,
    VALUE_1,
    VALUE_2,
    VALUE_3,
    VALUE_FORMS,
    VALUE_ZERO,
    VERSION,
    Point,
    Times,
)

type _Entry = tuple[int, int, int, bytes]
"""Code word; bits that go with it and how many they are (0 or 4); bytes that follow."""

# A block is closed when fewer bytes than this are left in it; the longest measurement needs less.
_RESERVE: Final = 100
# Bits wait in an integer until bytes follow; more than this would make the integer slow.
_MANY_BITS: Final = 40


class TsscEncoder:
    """One for all subscribers who get the same blocks."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the state: any decoder can start with the next block, whose sequence is 0."""
        self._sequence = 0
        self._points: dict[int, Point] = {}
        self._last = Point(0)
        self._times = Times()

    def encode(
        self, samples: Iterable[Sample], limit: int = MAX_PACKET
    ) -> Iterator[tuple[bytes, int]]:
        """Yield blocks of at most limit bytes, header included, each with its number of samples."""
        source = iter(samples)
        while True:
            block = _Block(HEADER.pack(VERSION, self._sequence))
            if not (count := self._fill(block, source, limit - _RESERVE)):
                return
            self._sequence = self._sequence % 0xFFFF + 1
            yield block.close(self._last), count

    def _fill(self, block: _Block, source: Iterator[Sample], room: int) -> int:
        """Put samples into a block until it is full, at room bytes; return how many."""
        points, times, last = self._points, self._times, self._last
        put, data = block.put, block.data
        count = 0
        for index, time, flags, value in source:
            if (point := points.get(index)) is None:
                point = points[index] = Point(index + 1)
            if last.next_id != index or times.last != time or point.flags1 != flags:
                for entry in _changes(last, index, times, time, point, flags):
                    put(last, *entry)
            put(last, *_value(point, value))
            last = point
            count += 1
            if len(data) > room or count == MAX_COUNT:
                break
        self._last = last
        return count


class _Block:
    """Bytes, and the bit stream between them.

    A byte of the bit stream stands where its first bit came up, before the bytes that followed.
    """

    __slots__ = ("_bits", "_length", "_slot", "data")

    def __init__(self, header: bytes) -> None:
        self.data = bytearray(header)
        self._bits = self._length = 0
        self._slot = -1

    def put(self, last: Point, code: int, bits: int, length: int, tail: bytes) -> None:
        """Append an entry in the words of the measurement before."""
        word, word_length = last.words[code]
        last.count(code)
        self._bits = (self._bits << word_length | word) << length | bits
        self._length += word_length + length
        if tail:
            self._drain()
            self.data += tail
        elif self._length > _MANY_BITS:
            self._drain()

    def _drain(self) -> None:
        """Write the bits that wait; the first eight into the slot kept for them."""
        data, length, slot = self.data, self._length, self._slot
        if length and slot < 0:
            slot = len(data)
            data.append(0)
        while length > 7:
            length -= 8
            data[slot] = self._bits >> length & 255
            if length:
                slot = len(data)
                data.append(0)
            else:
                slot = -1
        self._bits &= (1 << length) - 1
        self._length = length
        self._slot = slot

    def close(self, last: Point) -> bytes:
        """Return the block; a code word tells the end where bits would be left in a byte."""
        self._drain()
        if self._length:
            self.put(last, END, 0, 0, b"")
            padding = -self._length % 8
            self._bits <<= padding
            self._length += padding
            self._drain()
        return bytes(self.data)


def _value(point: Point, value: int) -> _Entry:
    """Tell a value by those before it."""
    if not (difference := value ^ point.value1):
        return VALUE_1, 0, 0, b""
    if value == point.value2:
        point.swap_values()
        return VALUE_2, 0, 0, b""
    third = point.value3
    point.take_value(value)
    if value == third:
        return VALUE_3, 0, 0, b""
    if not value:
        return VALUE_ZERO, 0, 0, b""
    return _difference(VALUE_FORMS, difference)


def _difference(forms: tuple[tuple[int, bool, int], ...], difference: int) -> _Entry:
    """Tell a difference in half bytes, as few as it needs."""
    code, nibble, size = forms[difference.bit_length()]
    if nibble:
        return code, difference & 15, 4, (difference >> 4).to_bytes(size, "little")
    return code, 0, 0, difference.to_bytes(size, "little")


def _changes(
    last: Point, index: int, times: Times, time: int, point: Point, flags: int
) -> Iterator[_Entry]:
    """Tell signal, time and state flags where they differ from what was expected."""
    if difference := last.next_id ^ index:
        last.next_id = index
        yield _difference(POINT_ID_FORMS, difference)
    # Leap second flags have no place among distances.
    if (time := time & VALUE_MASK) != times.last:
        yield _time(times, time)
        times.move(time)
    if point.flags1 != flags:
        if point.flags2 == flags:
            yield STATE_FLAGS_2, 0, 0, b""
        else:
            yield STATE_FLAGS, 0, 0, _seven_bits(flags, 4)
        point.take_flags(flags)


def _time(times: Times, time: int) -> _Entry:
    """Tell another timestamp: the second last, one of four distances, or which bits differ."""
    distance = time - times.last
    if time == times.second:
        return TIMESTAMP_2, 0, 0, b""
    if abs(distance) in times.deltas:
        code = TIME_DELTA_FORWARD if distance > 0 else TIME_DELTA_REVERSE
        return code + times.deltas.index(abs(distance)), 0, 0, b""
    return TIME_XOR, 0, 0, _seven_bits(time ^ times.last, 8)


def _seven_bits(value: int, most: int) -> bytes:
    """Encode in bytes of seven bits, low ones first; after as many as most a whole byte follows."""
    data = bytearray()
    while value > 127 and len(data) < most:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)
