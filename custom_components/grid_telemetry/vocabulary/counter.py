"""Counters: what they advance by, and which of their readings is believed.

A counter only counts up, in theory. In practice one reading is 0 or garbage, an integration shows 0
for some seconds after a restart, a meter is replaced, its register rolls over, and a counter of the
day begins anew at midnight. `Counter` tells these apart by what the meter can have counted, and by
whether the next readings agree.

Times are seconds of `clock.elapsed_s`; values are in the counter's own unit.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from enum import Enum, auto
import math
from typing import Any, Final, Self

CONFIRMED_BY_REPORTS: Final = 3
CONFIRMED_OVER_S: Final = 60.0
"""A fall or a leap is believed after so many reports that agree, over so long."""

# A counter may grow this much faster than its rating, or than it ever did, before it is doubted.
_MARGIN: Final = 2.0
# Growth that is never doubted where a rating is known: covers the steps that a meter counts in.
_STEP: Final = 1.0
# A first value that the meter's rating could not have counted in so long is none: a register that
# is something else, or a number that is not available.
_LONGEST_LIFE_H: Final = 50 * 365 * 24
# Where no rating is known, the greatest speed so far tells, once there were some advances. So many
# seconds more are granted, as reports and the steps that a meter counts in come when they come.
_ADVANCES_TO_LEARN: Final = 10
_GRANTED_S: Final = 60.0
# A leap that is confirmed is energy, unless not even this many times the speed explains it.
_OTHER_METER: Final = 100.0
# Nothing being known of the speed: a counter that starts below this part of what it showed starts
# from zero, and one that comes back within this part above it is the one that was there before.
_NEAR: Final = 0.01


class Verdict(Enum):
    """What a reading was taken for."""

    FIRST = auto()
    ADVANCED = auto()
    HELD = auto()
    """Doubted: nothing is believed or counted until more readings agree."""
    RESET = auto()
    """The counter began from zero, and what it shows was counted since."""
    REPLACED = auto()
    """Another meter; what it showed at first was counted before it was ours."""
    ROLLED_OVER = auto()
    RETURNED = auto()
    """The counter that seemed reset or replaced is back."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CounterRules:
    """By what a counter is judged."""

    rated_per_hour: float | None = None
    """What the meter can count at most in an hour; None learns from what it did."""
    reports: int = CONFIRMED_BY_REPORTS
    """So many readings that agree, the first included, confirm a fall or a leap."""
    over_s: float = CONFIRMED_OVER_S
    """The time that there must be between the first of them and the last."""
    widths: tuple[float, ...] = ()
    """Where the register may begin from 0 again, as values of the counter."""


COMMON_WIDTHS_KILO: Final = tuple(
    sorted(
        {
            *(2.0**bits * scale for bits in (31, 32) for scale in (0.001, 0.01, 0.1, 1.0)),
            *(10.0**digits for digits in range(4, 10)),
        }
    )
)
"""Where counters in kWh and its kin roll over: registers of 31 and 32 bits, and decimal displays.

One of them is only taken for a rollover where the meter can have counted what is between.
"""


@dataclass(frozen=True, slots=True)
class _Reading:
    value: float
    at: float


@dataclass(slots=True)
class _Doubt:
    first: _Reading
    last: _Reading
    reports: int = 1


@dataclass(frozen=True, slots=True)
class _Earlier:
    """Where a counter was before it fell, should it come back."""

    reading: _Reading
    total: float


class Counter:
    """One counter: `good` is the last reading that is believed, `total` what it advanced by.

    `good` falls at a confirmed reset, replacement or rollover only. `total` never falls. The state
    is a few numbers, however long the counter is followed.
    """

    def __init__(self, rules: CounterRules | None = None) -> None:
        """Begin with a counter of which nothing is known."""
        self._rules = CounterRules() if rules is None else rules
        self._rated_per_hour = self._rules.rated_per_hour
        self._good: _Reading | None = None
        self._doubt: _Doubt | None = None
        self._earlier: _Earlier | None = None
        self._total = 0.0
        # What was learned of the meter: from how many advances, and their greatest speed.
        self._advances = 0
        self._greatest_per_s = 0.0

    def __copy__(self) -> Self:
        """Return one that may take readings without this one taking note."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _doubt=copy(self._doubt))
        return other

    @property
    def good(self) -> float | None:
        """The last reading that is believed; None before the first."""
        return None if self._good is None else self._good.value

    @property
    def total(self) -> float:
        """The sum of all advances since the first reading that was believed."""
        return self._total

    @property
    def is_doubted(self) -> bool:
        """Whether the last reading was held."""
        return self._doubt is not None

    def rate(self, per_hour: float) -> None:
        """Take note of what the meter can count in an hour, if it is more than was known."""
        if self._rated_per_hour is not None:
            self._rated_per_hour = max(self._rated_per_hour, per_hour)

    def seed(self, value: float, at: float) -> None:
        """Go on from a reading that was believed before."""
        self._good = _Reading(value, at)

    def accept(self, value: float, at: float) -> float | None:
        """Take a reading; return the one that is believed by now."""
        self.take(value, at)
        return self.good

    def take(self, value: float, at: float) -> Verdict:
        """Take a reading; return what it was taken for."""
        reading = _Reading(value, at)
        good = self._good
        if good is None:
            # A counter that shows 0 at first is either new or not ready yet.
            if value > 0 and not self._beyond_life(reading):
                return self._begin(reading)
            return self._doubted(reading)
        if self._is_back(good, reading):
            return self._return_to_earlier(reading)
        grown = value - good.value
        if 0 <= grown <= self._most(reading.at - good.at):
            self._learn(grown, reading.at - good.at)
            self._advance(reading, grown)
            return Verdict.ADVANCED
        return self._doubted(reading)

    def _begin(self, reading: _Reading) -> Verdict:
        self._good, self._doubt = reading, None
        return Verdict.FIRST

    def _advance(self, reading: _Reading, by: float) -> None:
        self._good, self._doubt = reading, None
        self._total += by
        if self._earlier is not None and reading.value > self._earlier.reading.value:
            # Counted past where it was before it fell: that one does not come back.
            self._earlier = None

    # What can be

    def _most(self, elapsed_s: float) -> float:
        """Return the greatest advance that is not doubted, infinite before anything is known."""
        elapsed_s = max(elapsed_s, 0.0)
        if self._rated_per_hour is not None:
            return _STEP + _MARGIN * self._rated_per_hour * elapsed_s / 3600
        return self._learned(elapsed_s, _MARGIN)

    def _beyond_life(self, reading: _Reading) -> bool:
        """Return whether no meter of its rating can have counted a reading."""
        rated = self._rated_per_hour
        return rated is not None and reading.value > rated * _LONGEST_LIFE_H

    def _learned(self, elapsed_s: float, margin: float) -> float:
        if self._advances < _ADVANCES_TO_LEARN:
            return math.inf
        return margin * self._greatest_per_s * (elapsed_s + _GRANTED_S)

    def _learn(self, grown: float, elapsed_s: float) -> None:
        if grown <= 0 or elapsed_s <= 0:
            return
        self._advances = min(self._advances + 1, _ADVANCES_TO_LEARN)
        # Reports that follow each other at once say nothing of a speed.
        self._greatest_per_s = max(self._greatest_per_s, grown / max(elapsed_s, 1.0))

    # Falls and leaps

    def _doubted(self, reading: _Reading) -> Verdict:
        """Hold a reading, or confirm those that were held when enough of them agree."""
        doubt = self._doubt
        if doubt is None or not self._agree(doubt.last, reading):
            doubt = self._doubt = _Doubt(reading, reading)
        else:
            if self._good is None or doubt.last.value > self._good.value:
                self._raise_rating(doubt.last, reading)
            doubt.last = reading
            doubt.reports += 1
        if doubt.reports < self._rules.reports or reading.at - doubt.first.at < self._rules.over_s:
            return Verdict.HELD
        if self._good is None and self._beyond_life(reading):
            return Verdict.HELD
        return self._confirm(doubt)

    def _agree(self, before: _Reading, reading: _Reading) -> bool:
        """Return whether a reading can follow another one that is doubted."""
        grown = reading.value - before.value
        if self._rated_per_hour is not None:
            return grown >= 0
        return 0 <= grown <= self._most(reading.at - before.at)

    def _raise_rating(self, before: _Reading, reading: _Reading) -> None:
        """Learn from a speed that was seen twice.

        The meter counts for larger transformers than its map says; that is not doubted again.
        """
        if self._rated_per_hour is not None:
            hours = max(reading.at - before.at, 1.0) / 3600
            self._rated_per_hour = max(self._rated_per_hour, (reading.value - before.value) / hours)

    def _confirm(self, doubt: _Doubt) -> Verdict:
        good, first, last = self._good, doubt.first, doubt.last
        since_first = last.value - first.value
        if good is None:
            self._total += since_first
            return self._begin(last)
        elapsed_s = first.at - good.at
        verdict, by = self._explain(good.value, first.value, elapsed_s)
        if first.value < good.value and verdict is not Verdict.ROLLED_OVER:
            self._earlier = _Earlier(good, self._total)
        else:
            self._earlier = None
        self._learn(since_first, last.at - first.at)
        self._advance(last, by + since_first)
        return verdict

    def _explain(self, good: float, first: float, elapsed_s: float) -> tuple[Verdict, float]:
        """Return what a confirmed fall or leap was, and what was counted until its first reading.

        Where several explanations are possible, the one with the least energy is taken.
        """
        if first >= good:
            leap = first - good
            if leap > self._learned(elapsed_s, _OTHER_METER):
                return Verdict.REPLACED, 0.0
            return Verdict.ADVANCED, leap
        most = self._most(elapsed_s)
        if math.isfinite(most):
            for width in self._rules.widths:
                rest = width - good + first
                if good < width and first >= 0 and rest <= most:
                    return Verdict.ROLLED_OVER, rest
        if 0 <= first <= (most if math.isfinite(most) else _NEAR * good):
            return Verdict.RESET, first
        return Verdict.REPLACED, 0.0

    # A fall that was none

    def _is_back(self, good: _Reading, reading: _Reading) -> bool:
        """Return whether a reading goes on from before a fall rather than from after it."""
        if (earlier := self._earlier) is None:
            return False
        above = reading.value - earlier.reading.value
        most = self._most(reading.at - earlier.reading.at)
        if not 0 <= above <= (most if math.isfinite(most) else _NEAR * earlier.reading.value):
            return False
        most = self._most(reading.at - good.at)
        grown = reading.value - good.value
        return grown > (most if math.isfinite(most) else above + good.value)

    def _return_to_earlier(self, reading: _Reading) -> Verdict:
        if (earlier := self._earlier) is not None:
            total = earlier.total + reading.value - earlier.reading.value
            self._total = max(self._total, total)
        self._good, self._doubt, self._earlier = reading, None, None
        return Verdict.RETURNED

    # Over restarts

    def as_dict(self, now: float) -> dict[str, Any]:
        """Return what a restart must not lose, as plain data, with ages in place of times."""
        good, earlier = self._good, self._earlier
        return {
            "value": None if good is None else good.value,
            "age_s": None if good is None else now - good.at,
            "total": self._total,
            "earlier": None
            if earlier is None
            else [earlier.reading.value, now - earlier.reading.at, earlier.total],
            "learned": [self._advances, self._greatest_per_s],
            "rated_per_hour": self._rated_per_hour,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], now: float, rules: CounterRules) -> Self:
        """Return the counter that `as_dict` wrote; `now` less the time since then went by."""
        counter = cls(rules)
        if data["value"] is not None:
            counter.seed(data["value"], now - data["age_s"])
        counter._total = data["total"]
        if (earlier := data["earlier"]) is not None:
            value, age_s, total = earlier
            counter._earlier = _Earlier(_Reading(value, now - age_s), total)
        counter._advances, counter._greatest_per_s = data["learned"]
        if rules.rated_per_hour is not None and data["rated_per_hour"] is not None:
            counter._rated_per_hour = max(rules.rated_per_hour, data["rated_per_hour"])
        return counter
