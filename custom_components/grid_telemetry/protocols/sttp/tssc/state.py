"""What encoder and decoder of TSSC remember alike, and their code words."""

from functools import cache
import struct
from typing import Final

VERSION: Final = 85
HEADER: Final = struct.Struct(">BH")
# No block holds more; it takes a decoder about as many microseconds.
MAX_COUNT: Final = 65_536

END: Final = 0
POINT_ID_LAST: Final = 7
TIME_DELTA_FORWARD: Final = 8
TIME_DELTA_REVERSE: Final = 12
TIMESTAMP_2: Final = 16
TIME_XOR: Final = 17
STATE_FLAGS_2: Final = 18
STATE_FLAGS: Final = 19
VALUE_1: Final = 20
VALUE_2: Final = 21
VALUE_3: Final = 22
VALUE_ZERO: Final = 23

# By the bit length of a difference: code word, whether its low four bits go into the bit stream,
# and how many bytes the rest is.
POINT_ID_FORMS: Final = (
    *[(1, True, 0)] * 5,
    *[(2, False, 1)] * 4,
    *[(3, True, 1)] * 4,
    *[(4, False, 2)] * 4,
    *[(5, True, 2)] * 4,
    *[(6, False, 3)] * 4,
    *[(7, False, 4)] * 8,
)
VALUE_FORMS: Final = (
    *[(24, True, 0)] * 5,
    *[(25, False, 1)] * 4,
    *[(26, True, 1)] * 4,
    *[(27, False, 2)] * 4,
    *[(28, True, 2)] * 4,
    *[(29, False, 3)] * 4,
    *[(30, True, 3)] * 4,
    *[(31, False, 4)] * 4,
)

# A signal adapts its code words after so many of them: twice early on, then each time.
_ADAPT_AFTER: Final = (6, 21, 101)
_NO_DELTA: Final = (1 << 63) - 1


# What an encoder looks a value up by, beside the bit length of its difference.
SECOND_VALUE: Final = 33
THIRD_VALUE: Final = 34
ZERO_VALUE: Final = 35

type Word = tuple[int, int, int, int, int]
"""How to write a value: its code word, with room for the bits that go with it; the length of both;
a mask of those bits in the difference, how many they are (0 or 4), and how many bytes follow."""

_TOLD: Final = (
    (VALUE_1, False, 0),
    *VALUE_FORMS[1:],
    (VALUE_2, False, 0),
    (VALUE_3, False, 0),
    (VALUE_ZERO, False, 0),
)
TOLD_CODES: Final = tuple(code for code, _, _ in _TOLD)
"""The number of the code word by the bit length of a difference, or by where the value was."""


@cache
def _code_words(short: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Return bits and length of every code word, given those with a short form, best first.

    One has 1, the next 01, the next 001; the others have as many zeros and their five bits.
    """
    words = [(code, 5 + len(short)) for code in range(32)]
    for position, code in enumerate(short, 1):
        words[code] = (1, position)
    return tuple(words)


@cache
def _value_words(short: tuple[int, ...]) -> tuple[Word, ...]:
    """Return how to write a value by the bit length of its difference, 0 to 32, or where it was."""
    words = _code_words(short)
    return tuple(
        (
            words[code][0] << 4 if nibble else words[code][0],
            words[code][1] + (4 if nibble else 0),
            15 if nibble else 0,
            4 if nibble else 0,
            size,
        )
        for code, nibble, size in _TOLD
    )


class Point:
    """What both ends remember of one signal."""

    __slots__ = (
        "adapt_at",
        "codes",
        "flags1",
        "flags2",
        "next_id",
        "short",
        "value1",
        "value2",
        "value3",
        "value_words",
        "words",
    )

    def __init__(self, next_id: int) -> None:
        self.next_id = next_id
        self.flags1 = self.flags2 = 0
        self.value1 = self.value2 = self.value3 = 0
        self.codes = bytearray()
        """Code words that followed this signal since it adapted."""
        self.adapt_at = _ADAPT_AFTER[0]
        self._shorten((VALUE_1, VALUE_2, VALUE_3))

    def _shorten(self, short: tuple[int, ...]) -> None:
        """Give some code words short forms, best first."""
        self.short = short
        self.words = _code_words(short)
        self.value_words = _value_words(short)

    def count(self, code: int) -> None:
        """Count a code word that follows this signal, and adapt to what was counted."""
        self.codes.append(code)
        if len(self.codes) == self.adapt_at:
            self.adapt()

    def adapt(self) -> None:
        """Give the most frequent code words short forms: as many, up to three, as come cheapest."""
        codes = self.codes
        used = sorted([(-codes.count(code), code) for code in set(codes)])
        rest = len(codes)
        best, cheapest = 0, rest * 5
        bits = 0
        for position, (negative, _) in enumerate(used[:3], 1):
            rest += negative
            bits -= negative * position
            if (size := bits + rest * (5 + position)) < cheapest:
                best, cheapest = position, size
        self._shorten(tuple([code for _, code in used[:best]]))
        codes.clear()
        if self.adapt_at != _ADAPT_AFTER[-1]:
            self.adapt_at = _ADAPT_AFTER[_ADAPT_AFTER.index(self.adapt_at) + 1]

    def take_value(self, value: int) -> None:
        """Remember a value and the two before it."""
        self.value3 = self.value2
        self.value2 = self.value1
        self.value1 = value

    def swap_values(self) -> None:
        """Go back to the value before; the one before that stays where it is."""
        self.value1, self.value2 = self.value2, self.value1

    def take_flags(self, flags: int) -> None:
        """Remember state flags and the ones before."""
        self.flags2 = self.flags1
        self.flags1 = flags


class Times:
    """The two timestamps before, and the four smallest distances between timestamps."""

    __slots__ = ("deltas", "last", "second")

    def __init__(self) -> None:
        self.last = self.second = 0
        self.deltas = [_NO_DELTA] * 4

    def move(self, time: int) -> None:
        """Go on to another timestamp."""
        delta = abs(self.last - time)
        if delta < self.deltas[3] and delta not in self.deltas:
            self.deltas[3] = delta
            self.deltas.sort()
        self.second = self.last
        self.last = time
