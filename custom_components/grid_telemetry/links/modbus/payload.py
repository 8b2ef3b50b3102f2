"""From raw register values to the values that are published; no I/O, no Home Assistant."""

from dataclasses import dataclass
from decimal import Decimal
import math
import struct

# A counter may grow this much faster than the meter's rating before it is doubted.
_MARGIN = 2.0
# A first value that the meter's rating could not have counted in so long is none: a register that
# is something else, or a number that is not available.
_LONGEST_LIFE_H = 50 * 365 * 24
# Growth that is never doubted, in the counter's unit: covers the steps that a meter counts in.
_STEP = 1.0


def shortest_float32(value: float) -> float:
    """Return the shortest decimal that is the same float32: 230.2 for 230.1999969482422."""
    packed = struct.pack(">f", value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        if struct.pack(">f", short) == packed:
            return short
    return float(f"{value:.9g}")


def scaled(raw: float, scale: Decimal) -> float | None:
    """Return a raw value times its scale, without the noise of binary fractions.

    None for infinity, which some meters send in place of "not available".
    """
    if not math.isfinite(raw):
        return None
    return raw if scale == 1 else float(Decimal(repr(raw)) * scale)


@dataclass(slots=True)
class _Read:
    value: float
    at: float


class CounterGuard:
    """Keeps a glitched read of a growing counter from being published.

    A value that falls, or grows faster than the meter can count, is held back until the next read
    agrees with it; then it is taken as what the meter says from now on. A first value that a meter
    of its rating cannot have counted in its life is not taken, unless its growth tells that the
    rating is higher. Times are epoch seconds.
    """

    def __init__(self, rated_per_hour: float) -> None:
        self._rated_per_hour = rated_per_hour
        self._good: _Read | None = None
        self._doubted: _Read | None = None

    @property
    def good(self) -> float | None:
        """Return the last value that was believed."""
        return None if self._good is None else self._good.value

    def rate(self, per_hour: float) -> None:
        """Take note of what the meter can count in an hour, if it is more than was known."""
        self._rated_per_hour = max(self._rated_per_hour, per_hour)

    def seed(self, value: float, at: float) -> None:
        """Take over the last value published before a restart."""
        self._good = _Read(value, at)

    def accept(self, value: float, at: float) -> float | None:
        """Return the value to publish for a read; None while there is no good one yet."""
        read = _Read(value, at)
        doubted, self._doubted = self._doubted, None
        if self._plausible(read) or (
            doubted is not None and self._agrees(doubted, read) and not self._beyond_life(read)
        ):
            self._good = read
        else:
            self._doubted = read
        return self.good

    def _plausible(self, read: _Read) -> bool:
        if self._good is None:
            # A counter that starts with 0 is either new or not ready yet.
            return read.value > 0 and not self._beyond_life(read)
        grown = read.value - self._good.value
        return 0 <= grown <= self._most(read.at - self._good.at)

    def _agrees(self, doubted: _Read, read: _Read) -> bool:
        """Return whether a read confirms the doubted one before it.

        The same speed twice tells that the meter counts for larger transformers than its map
        says, so that speed is not doubted again.
        """
        grown = read.value - doubted.value
        if grown < 0:
            return False
        if self._good is None or doubted.value > self._good.value:
            hours = max(read.at - doubted.at, 1.0) / 3600
            self._rated_per_hour = max(self._rated_per_hour, grown / hours)
        return True

    def _beyond_life(self, read: _Read) -> bool:
        return self._good is None and read.value > self._rated_per_hour * _LONGEST_LIFE_H

    def _most(self, elapsed_s: float) -> float:
        return _STEP + _MARGIN * self._rated_per_hour * max(elapsed_s, 0.0) / 3600
