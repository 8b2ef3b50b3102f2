"""Mean, minimum and maximum of a value over an interval, weighted by time."""

from dataclasses import dataclass
import math


@dataclass(frozen=True, kw_only=True, slots=True)
class Aggregated:
    """What a value was over an interval."""

    mean: float
    minimum: float
    maximum: float
    coverage: float
    """The part of the interval in which there was a value, 0 to 1."""


class Aggregate:
    """Follows a value that holds until the next one, and sums it up interval by interval.

    While there is no value the interval has a gap, which neither counts as zero nor as the last
    value: mean, minimum and maximum are of the rest. How often an unchanged value is reported makes
    no difference. Times are seconds of one clock that only goes forward.
    """

    __slots__ = ("_began_at", "_covered_s", "_integral", "_maximum", "_minimum", "_since", "_value")

    def __init__(self, at: float) -> None:
        """Begin an interval without a value."""
        self._value: float | None = None
        self._since = at
        self._restart(at)

    @property
    def value(self) -> float | None:
        """The value that holds now."""
        return self._value

    def set(self, value: float | None, at: float) -> None:
        """Take the value from a time on, None where there is none."""
        self._count_until(at)
        self._value = value

    def take(self, at: float) -> Aggregated | None:
        """Return what the value was until a time and begin anew; None where it never was."""
        self._count_until(at)
        result = self._result(at)
        self._restart(at)
        return result

    def _restart(self, at: float) -> None:
        self._began_at = at
        self._integral = 0.0
        self._covered_s = 0.0
        self._minimum, self._maximum = math.inf, -math.inf

    def _count_until(self, at: float) -> None:
        """Count the present value for the time that it held; for none at all it is not counted."""
        held_s, self._since = at - self._since, at
        if self._value is None or held_s <= 0:
            return
        self._integral += self._value * held_s
        self._covered_s += held_s
        self._minimum = min(self._minimum, self._value)
        self._maximum = max(self._maximum, self._value)

    def _result(self, at: float) -> Aggregated | None:
        if self._covered_s <= 0:
            return None
        # The rounding of a quotient may lead out of what there was.
        mean = min(max(self._integral / self._covered_s, self._minimum), self._maximum)
        return Aggregated(
            mean=mean,
            minimum=self._minimum,
            maximum=self._maximum,
            coverage=min(1.0, self._covered_s / (at - self._began_at)),
        )
