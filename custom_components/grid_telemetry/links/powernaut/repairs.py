"""When a Powernaut entry has something for the user to set right."""

from datetime import datetime, timedelta
from typing import Final

from homeassistant.util import dt as dt_util

from ...connection.issues import Issues
from .coordinator import View
from .stream import Sent

NOT_SEEN_AFTER: Final = timedelta(minutes=10)
STILL_SENDING: Final = timedelta(minutes=1)
MAX_CLOCK_ERROR_S: Final = 30
"""Half of the minute after which the platform discards."""


def not_seen(last_seen: datetime | None, sent: Sent | None, now: datetime) -> bool:
    """Return whether the platform has seen nothing for long, though we have sent all the while."""
    if sent is None or now.timestamp() - sent.last > STILL_SENDING.total_seconds():
        return False
    begun = dt_util.utc_from_timestamp(sent.since)
    return now - max(begun, last_seen or begun) > NOT_SEEN_AFTER


def judge_clock(issues: Issues, view: View) -> None:
    """Tell the user about a clock that is wrong."""
    seconds = str(abs(round(view.clock_ahead_s)))
    ahead_s = view.clock_ahead_s
    issues.set(ahead_s > MAX_CLOCK_ERROR_S, "powernaut_clock_ahead", seconds=seconds)
    issues.set(ahead_s < -MAX_CLOCK_ERROR_S, "powernaut_clock_behind", seconds=seconds)
