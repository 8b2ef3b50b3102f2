"""The same signals frame after frame, encoded together.

Once a frame follows one of the same signals, every signal is the one that was expected, at the time
and with the state flags of the first: only values are to be told. Their history is kept in columns
then, and code words are counted when a signal is due to adapt to them, not one by one.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import ne, xor
from typing import Final

from ..measurement import Frame
from .block import Block
from .state import SECOND_VALUE, THIRD_VALUE, TOLD_CODES, ZERO_VALUE, Point, Times

# No value is told in more bytes than this, nor what comes before the first of a frame.
VALUE_BYTES: Final = 6
CHANGE_BYTES: Final = 32
# A signal adapts after so many code words at the latest.
_HISTORY: Final = 101
_CODES: Final = bytes(TOLD_CODES).ljust(256, b"\0")


class Row:
    """Takes over what is remembered of its signals, until `leave` gives it back."""

    def __init__(self, indexes: tuple[int, ...], points: Sequence[Point], state: int) -> None:
        self.indexes = indexes
        self.state = state
        self._points = points
        self._first: Sequence[int] = [point.value1 for point in points]
        self._second: Sequence[int] = [point.value2 for point in points]
        self._third: Sequence[int] = [point.value3 for point in points]
        # The last signal counts by itself: more than a value may follow it.
        self._words = [point.value_words for point in points[:-1]]
        self._frame = 0
        self._history: list[bytes] = []
        self._history_from = 0
        self._counted_to = [0] * len(points)
        self._due: defaultdict[int, list[int]] = defaultdict(list)
        for position in range(len(points) - 1):
            self._schedule(position)

    def fits(self, frame: Frame) -> bool:
        """Return whether a frame can be encoded here."""
        return (
            frame.indexes is self.indexes
            and frame.time is not None
            and frame.state is not None
            and frame.state == self.state
        )

    def leave(self) -> None:
        """Give back what is remembered of the signals."""
        columns = zip(self._points, self._first, self._second, self._third, strict=True)
        for point, first, second, third in columns:
            point.value1, point.value2, point.value3 = first, second, third
        self._count(range(len(self._points) - 1))

    def encode(self, block: Block, last: Point, times: Times, frame: Frame) -> Point:
        """Write a frame after a signal; return its last one."""
        told, differences = self._told_by(frame.bits)
        first = self._points[0]
        block.put_changes(last, self.indexes[0], times, frame.times[0], first, self.state)
        block.put_value(last, told[0], differences[0])
        block.put_values(self._words, told[1:], differences[1:])
        self._frame += 1
        self._history.append(bytes(told[1:]).translate(_CODES))
        self._count(self._due.pop(self._frame, ()))
        if len(self._history) > 2 * _HISTORY:
            del self._history[:-_HISTORY]
            self._history_from = self._frame - _HISTORY
        return self._points[-1]

    def _schedule(self, position: int) -> None:
        """Have the code words of a signal counted when it has to adapt to them."""
        point = self._points[position]
        self._due[self._frame + point.adapt_at - len(point.codes)].append(position)

    def _count(self, positions: Iterable[int]) -> None:
        """Count the code words of some signals since the last time."""
        width = len(self._words)
        since: dict[int, bytes] = {}
        for position in positions:
            begin = self._counted_to[position]
            if (codes := since.get(begin)) is None:
                codes = since[begin] = b"".join(self._history[begin - self._history_from :])
            point = self._points[position]
            point.codes += codes[position::width]
            self._counted_to[position] = self._frame
            if len(point.codes) == point.adapt_at:
                point.adapt()
                self._words[position] = point.value_words
            self._schedule(position)

    def _told_by(self, bits: Sequence[int]) -> tuple[list[int], list[int]]:
        """Remember values; return by what each is told, and its difference to the one before."""
        first, second, third = self._first, self._second, self._third
        differences = list(map(xor, bits, first, strict=True))
        if (
            all(differences)
            and all(bits)
            and all(map(ne, bits, second, strict=True))
            and all(map(ne, bits, third, strict=True))
        ):
            self._third, self._second, self._first = second, first, bits
            return list(map(int.bit_length, differences)), differences
        columns = zip(bits, differences, first, second, third, strict=True)
        told, *values = zip(*[_told_by(*item) for item in columns], strict=True)
        self._first, self._second, self._third = values
        return list(told), differences


def _told_by(
    value: int, difference: int, first: int, second: int, third: int
) -> tuple[int, int, int, int]:
    """Return by what a value is told, and the three values to remember."""
    if not difference:
        return 0, first, second, third
    if value == second:
        return SECOND_VALUE, value, first, third
    if value == third:
        key = THIRD_VALUE
    elif value:
        key = difference.bit_length()
    else:
        key = ZERO_VALUE
    return key, value, first, second


def told_by(points: Iterable[Point], bits: Iterable[int]) -> tuple[list[int], list[int]]:
    """Remember values of signals; return by what each is told, and its difference."""
    told: list[int] = []
    differences: list[int] = []
    for point, value in zip(points, bits, strict=True):
        first, second = point.value1, point.value2
        if not (difference := value ^ first):
            key = 0
        elif value == second:
            point.value1, point.value2 = value, first
            key = SECOND_VALUE
        else:
            third = point.value3
            point.value1, point.value2, point.value3 = value, first, second
            if value == third:
                key = THIRD_VALUE
            else:
                key = difference.bit_length() if value else ZERO_VALUE
        told.append(key)
        differences.append(difference)
    return told, differences
