"""The subscriber's end of TSSC."""

from typing import Final

from ..frames import SttpError
from ..measurement import Sample
from .state import (
    END,
    HEADER,
    MAX_COUNT,
    POINT_ID_FORMS,
    POINT_ID_LAST,
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

# More signals than this are no subscription but a try to fill the memory.
_MAX_POINTS: Final = 100_000
_32_BITS: Final = (1 << 32) - 1
_64_BITS: Final = (1 << 64) - 1
_SIGN: Final = 1 << 63
# By code word: whether four bits go with it, and how many bytes.
_FORMS: Final = {code: (nibble, size) for code, nibble, size in POINT_ID_FORMS + VALUE_FORMS}


class TsscDecoder:
    """One for a connection."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._expected = 0
        self._points: dict[int, Point] = {}
        self._last = Point(0)
        self._times = Times()

    def decode(self, data: bytes, count: int) -> list[Sample]:
        """Read a block of count measurements.

        Raises SttpError where the block does not follow the one before, or is damaged; the state
        is of no use then until a block with sequence number 0.
        """
        if len(data) < HEADER.size or count > MAX_COUNT:
            raise SttpError(f"TSSC block of {len(data)} bytes for {count} measurements")
        version, sequence = HEADER.unpack_from(data)
        if version != VERSION:
            raise SttpError(f"Unknown TSSC version {version}")
        if not sequence:
            self._reset()
        if sequence != self._expected:
            raise SttpError(f"TSSC block {sequence} where {self._expected} was expected")
        self._expected = sequence % 0xFFFF + 1
        stream = _Stream(data)
        samples: list[Sample] = []
        try:
            while stream.more() and len(samples) <= count and self._read(stream, samples):
                pass
        except IndexError as err:
            raise SttpError("TSSC block cut short") from err
        if len(samples) != count or not stream.sound():
            raise SttpError(f"{len(samples)} measurements in a TSSC block of {count}")
        return samples

    def _read(self, stream: _Stream, samples: list[Sample]) -> bool:
        """Read one measurement; return False at the end of the block."""
        last, times = self._last, self._times
        code = stream.code(last)
        if code <= POINT_ID_LAST:
            if code == END:
                return False
            last.next_id ^= stream.difference(code)
            code = stream.code(last, TIME_DELTA_FORWARD)
        index = last.next_id
        if (point := self._points.get(index)) is None:
            if len(self._points) == _MAX_POINTS:
                raise SttpError(f"More than {_MAX_POINTS} signals in a TSSC stream")
            point = self._points[index] = Point(index + 1)
        if code <= TIME_XOR:
            times.move(_time(times, code, stream))
            code = stream.code(last, STATE_FLAGS_2)
        if code <= STATE_FLAGS:
            flags = stream.seven_bits(4) if code == STATE_FLAGS else point.flags2
            point.take_flags(flags & _32_BITS)
            code = stream.code(last, VALUE_1)
        if code > VALUE_ZERO:
            point.take_value(point.value1 ^ stream.difference(code))
        elif code == VALUE_2:
            point.swap_values()
        elif code != VALUE_1:
            point.take_value(point.value3 if code == VALUE_3 else 0)
        samples.append((index, times.last & _64_BITS, point.flags1, point.value1))
        self._last = point
        return True


class _Stream:
    """Bytes of a block, and the bits that stand between them."""

    __slots__ = ("_bits", "_data", "_length", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = HEADER.size
        self._bits = self._length = 0

    def more(self) -> bool:
        """Tell whether anything follows."""
        return self._length > 0 or self._position < len(self._data)

    def sound(self) -> bool:
        """Tell whether all that was read was there."""
        return self._position <= len(self._data)

    def _take(self, count: int) -> int:
        """Read up to eight bits; their byte is the next one that no bits or bytes were read of."""
        if self._length < count:
            self._bits = (self._bits & 255) << 8 | self._byte()
            self._length += 8
        self._length -= count
        return self._bits >> self._length & (1 << count) - 1

    def code(self, last: Point, lowest: int = END) -> int:
        """Read a code word of the measurement before; raises SttpError for one out of order."""
        for short in last.short:
            if self._take(1):
                code = short
                break
        else:
            code = self._take(5)
        last.count(code)
        if code < lowest:
            raise SttpError("TSSC code words out of order")
        return code

    def difference(self, code: int) -> int:
        """Read the difference that a code word announces."""
        nibble, size = _FORMS[code]
        low = self._take(4) if nibble else 0
        end = self._position + size
        difference = int.from_bytes(self._data[self._position : end], "little")
        self._position = end
        return difference << 4 | low if nibble else difference

    def seven_bits(self, most: int) -> int:
        """Read a number in bytes of seven bits; after as many as most a whole byte follows."""
        value = 0
        for count in range(most):
            byte = self._byte()
            value |= (byte & 127) << 7 * count
            if byte < 128:
                return value
        return value | self._byte() << 7 * most

    def _byte(self) -> int:
        """Return the next byte that is none of the bit stream."""
        byte = self._data[self._position]
        self._position += 1
        return byte


def _time(times: Times, code: int, stream: _Stream) -> int:
    """Return another timestamp, a signed 64-bit number as in the reference."""
    if code == TIMESTAMP_2:
        return times.second
    if code == TIME_XOR:
        time = times.last ^ stream.seven_bits(8)
    elif code < TIME_DELTA_REVERSE:
        time = times.last + times.deltas[code - TIME_DELTA_FORWARD]
    else:
        time = times.last - times.deltas[code - TIME_DELTA_REVERSE]
    return (time + _SIGN & _64_BITS) - _SIGN
