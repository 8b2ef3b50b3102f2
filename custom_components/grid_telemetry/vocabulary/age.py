"""How old a value is, and how old it may be. Times are seconds of `clock.elapsed_s`."""

from collections import deque
from copy import copy
import math
from statistics import median
from typing import Final, Self

FLOW_LIMIT_S: Final = 30.0
"""So old a value that flows (power, voltage …) may be, unless its source reports more seldom."""
MISSED_REPORTS: Final = 2.5
"""A source may be silent for so many of its own intervals: one lost report says nothing yet."""
WHILE_AVAILABLE: Final = math.inf
"""The limit of what stays valid for as long as its entity is available, as counters do."""

_INTERVALS: Final = 7


class Age:
    """The age of one value, from the reports of its source.

    The limit is what was chosen; without a choice a counter has none, and what flows has that of
    its kind, but never less than `MISSED_REPORTS` of the intervals at which its source reports. An
    interval is the median of the last few, so that one outage does not stretch it.
    """

    __slots__ = (
        *("_chosen_s", "_counter", "_intervals", "_kind_s", "_looked_at", "_reported_at"),
        "_stamp",
    )

    def __init__(
        self,
        *,
        counter: bool = False,
        limit_s: float | None = None,
        kind_limit_s: float = FLOW_LIMIT_S,
    ) -> None:
        """Take what is measured, the limit that was chosen, and that of its kind if it flows."""
        self._counter = counter
        self._chosen_s = limit_s
        self._kind_s = kind_limit_s
        self._reported_at: float | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        self._stamp: float | None = None
        self._looked_at: float | None = None

    def __copy__(self) -> Self:
        """Return one that may be asked without this one taking note."""
        other = object.__new__(type(self))
        for name in self.__slots__:
            setattr(other, name, copy(getattr(self, name)))
        return other

    @property
    def reported_at(self) -> float | None:
        """When the source last reported; None before the first report."""
        return self._reported_at

    @property
    def limit_s(self) -> float:
        """How old the value may be."""
        if self._chosen_s is not None:
            return self._chosen_s
        if self._counter:
            return WHILE_AVAILABLE
        if not self._intervals:
            return self._kind_s
        return max(self._kind_s, MISSED_REPORTS * median(self._intervals))

    def report(self, at: float) -> None:
        """Take note of a report; one of before the last is none."""
        if self._reported_at is not None:
            if at <= self._reported_at:
                return
            self._intervals.append(at - self._reported_at)
        self._reported_at = at

    def look(self, stamp: float, wall_now: float, now: float) -> bool:
        """Take note of the time stamp of the last report; return whether it is another one.

        Stamps are of the wall clock, which may have been set since. One that is new since the last
        look was given after that look, whatever the wall clock says; only the first is believed.
        """
        is_new = stamp != self._stamp
        if is_new:
            ago_s = max(0.0, wall_now - stamp)
            if self._looked_at is not None:
                ago_s = min(ago_s, now - self._looked_at)
            self.report(now - ago_s)
            self._stamp = stamp
        self._looked_at = now
        return is_new

    def age_s(self, now: float) -> float:
        """Return the age, infinite before the first report."""
        return math.inf if self._reported_at is None else max(0.0, now - self._reported_at)

    def is_stale(self, now: float) -> bool:
        """Return whether the value is too old, or nothing was ever reported."""
        return self._reported_at is None or self.age_s(now) > self.limit_s
