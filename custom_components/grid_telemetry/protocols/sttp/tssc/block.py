"""A block of TSSC on its way: bytes, and the bits between them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from ..ticks import VALUE_MASK
from .state import (
    END,
    POINT_ID_FORMS,
    STATE_FLAGS,
    STATE_FLAGS_2,
    TIME_DELTA_FORWARD,
    TIME_DELTA_REVERSE,
    TIME_XOR,
    TIMESTAMP_2,
    TOLD_CODES,
    Point,
    Times,
    Word,
)

type _Entry = tuple[int, int, int, bytes]
"""Code word; bits that go with it and how many they are (0 or 4); bytes that follow."""

# Bits wait in an integer until bytes follow; more than this would make the integer slow.
_MANY_BITS: Final = 40


class Block:
    """Bytes, and the bit stream between them.

    A byte of the bit stream stands where its first bit came up, before the bytes that followed.
    """

    __slots__ = ("bits", "count", "data", "length", "slot")

    def __init__(self, header: bytes) -> None:
        self.data = bytearray(header)
        self.count = 0
        """Of measurements; kept by the encoder."""
        self.bits = self.length = 0
        """Bits that wait for their byte to be full."""
        self.slot = -1
        """Where their byte stands; -1 where it has no place yet."""

    def put(self, last: Point, code: int, bits: int, length: int, tail: bytes) -> None:
        """Append an entry in the words of the measurement before."""
        word, word_length = last.words[code]
        last.count(code)
        self.bits = (self.bits << word_length | word) << length | bits
        self.length += word_length + length
        if tail:
            self.drain()
            self.data += tail
        elif self.length > _MANY_BITS:
            self.drain()

    def put_changes(
        self, last: Point, index: int, times: Times, time: int, point: Point, flags: int
    ) -> None:
        """Tell signal, time and state flags where they differ from what was expected."""
        for entry in _changes(last, index, times, time, point, flags):
            self.put(last, *entry)

    def put_value(self, last: Point, told: int, difference: int) -> None:
        """Tell a value."""
        word, length, mask, nibble, size = last.value_words[told]
        last.count(TOLD_CODES[told])
        self.bits = self.bits << length | word | difference & mask
        self.length += length
        if size:
            self.drain()
            self.data += (difference >> nibble).to_bytes(size, "little")
        elif self.length > _MANY_BITS:
            self.drain()

    def put_values(
        self,
        words: Iterable[Sequence[Word]],
        told: Iterable[int],
        differences: Iterable[int],
    ) -> None:
        """Tell values, each in the words of the signal before; they are counted elsewhere.

        As `put_value` does it, but in one piece: to call a function costs more than the rest of it.
        """
        data, waiting, pending, slot = self.data, self.bits, self.length, self.slot
        for forms, key, difference in zip(words, told, differences, strict=True):
            word, length, mask, nibble, size = forms[key]
            waiting = waiting << length | word | difference & mask
            pending += length
            if size:
                if slot < 0:
                    slot = len(data)
                    data.append(0)
                while pending > 7:
                    pending -= 8
                    data[slot] = waiting >> pending & 255
                    slot = -1
                    if pending:
                        slot = len(data)
                        data.append(0)
                waiting &= 255
                data += (difference >> nibble).to_bytes(size, "little")
        self.bits, self.length, self.slot = waiting, pending, slot
        self.drain()

    def drain(self) -> None:
        """Write the bits that wait; the first eight into the slot kept for them."""
        data = self.data
        if self.length and self.slot < 0:
            self.slot = len(data)
            data.append(0)
        whole, rest = divmod(self.length, 8)
        if whole:
            written = (self.bits >> rest & (1 << 8 * whole) - 1).to_bytes(whole)
            data[self.slot] = written[0]
            data += written[1:]
            self.slot = -1
            if rest:
                self.slot = len(data)
                data.append(0)
        self.bits &= 255
        self.length = rest

    def close(self, last: Point) -> bytes:
        """Return the block; a code word tells the end where bits would be left in a byte."""
        self.drain()
        if self.length:
            self.put(last, END, 0, 0, b"")
            padding = -self.length % 8
            self.bits <<= padding
            self.length += padding
            self.drain()
        return bytes(self.data)


def _difference(forms: tuple[tuple[int, bool, int], ...], difference: int) -> _Entry:
    """Tell a difference in half bytes, as few as it needs."""
    code, nibble, size = forms[difference.bit_length()]
    if nibble:
        return code, difference & 15, 4, (difference >> 4).to_bytes(size, "little")
    return code, 0, 0, difference.to_bytes(size, "little")


def _changes(
    last: Point, index: int, times: Times, time: int, point: Point, flags: int
) -> Iterator[_Entry]:
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
