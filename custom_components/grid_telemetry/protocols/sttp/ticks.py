"""Ticks, the time of STTP: units of 100 ns since 0001-01-01 00:00 UTC in the low 62 bits.

Bit 63 marks a leap second and bit 62 its direction (set: a second is left out). Integers only:
a float of this size is good for 12.8 µs.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

PER_SECOND: Final = 10_000_000
PER_MILLISECOND: Final = 10_000
UNIX_EPOCH: Final = 621_355_968_000_000_000
VALUE_MASK: Final = (1 << 62) - 1
LEAP_SECOND: Final = 1 << 63
LEAP_SECOND_LEFT_OUT: Final = 1 << 62

_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def from_datetime(when: datetime) -> int:
    """Return the ticks of an aware datetime, exact to its microsecond."""
    return (when - _YEAR_ONE) // _MICROSECOND * 10


def to_datetime(ticks: int) -> datetime:
    """Return the UTC datetime of ticks; the tenth of a microsecond is cut off."""
    return _YEAR_ONE + (ticks & VALUE_MASK) // 10 * _MICROSECOND


def from_epoch(seconds: float) -> int:
    """Return the ticks of seconds since 1970, to the microsecond (what a float of today holds)."""
    return UNIX_EPOCH + round(seconds * 1e6) * 10
