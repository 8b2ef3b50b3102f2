"""The clock by which records age: it follows the monotonic clock, not the time of day."""

from collections.abc import Callable
from typing import Final

_TOLERANCE_S: Final = 2.0
_SLEW: Final = 500e-6  # what NTP may steer a clock by, which is no jump
_TRUSTED_AFTER_S: Final = 3600.0
_RESTART_S: Final = 60.0  # a clock that agrees so well with that of the run before needs no hour
_PLAUSIBLE_S: Final = 1_735_689_600.0  # 2025: an earlier time of day was never set


class AgeClock:
    """Counts the seconds that pass, whatever is done to the time of day.

    While it runs it counts by the monotonic clock. How long it was off only the time of day can
    tell, and that is believed after it has agreed with the monotonic clock, to two seconds, for an
    hour. Until then the time it was off does not count.
    """

    def __init__(
        self, wall: Callable[[], float], monotonic: Callable[[], float], *, now_s: float
    ) -> None:
        """Begin at a reading; `wall` and `monotonic` return seconds."""
        self._wall = wall
        self._monotonic = monotonic
        self._started = self._seen = self._agreed_since = monotonic()
        self._offset = wall() - self._started
        self._base_s = now_s
        # The time of day when it stopped, while what passed since is not counted yet.
        self._stopped_at: float | None = None
        # A time of day that was believed, and the reading of the monotonic clock with it.
        self._reference = (wall(), self._started)

    def resume(self, now_s: float, wall_s: float) -> None:
        """Go on from a reading and the time of day at which it was taken."""
        self._started = self._monotonic()
        self._base_s = now_s
        if abs(self._wall() - wall_s) > _RESTART_S:
            self._stopped_at = wall_s
        self._reference = (wall_s, self._started)

    def now_s(self) -> float:
        """Return the reading, in seconds; to be called now and then, to notice jumps."""
        monotonic = self._monotonic()
        offset = self._wall() - monotonic
        if abs(offset - self._offset) > _TOLERANCE_S + _SLEW * (monotonic - self._seen):
            self._agreed_since = monotonic
        self._offset, self._seen = offset, monotonic
        if monotonic - self._agreed_since >= _TRUSTED_AFTER_S:
            wall = offset + monotonic
            if self._stopped_at is not None:
                off_s = wall - self._stopped_at - (monotonic - self._started)
                if self._stopped_at >= _PLAUSIBLE_S:
                    self._base_s += max(0.0, off_s)
                self._stopped_at = None
            self._reference = (wall, monotonic)
        return self._base_s + monotonic - self._started

    def wall_s(self) -> float:
        """Return the time of day as far as it is believed, to be kept with the reading."""
        wall, monotonic = self._reference
        return wall + self._monotonic() - monotonic
