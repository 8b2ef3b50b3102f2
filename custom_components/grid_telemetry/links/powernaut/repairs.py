"""Repair issues of a Powernaut entry: what only the user can set right."""

from datetime import datetime, timedelta
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from ...const import DOMAIN
from .. import GridTelemetryConfigEntry
from .stream import Sent
from .view import View

NOT_SEEN_AFTER: Final = timedelta(minutes=10)
STILL_SENDING: Final = timedelta(minutes=1)
MAX_CLOCK_ERROR_S: Final = 30
"""Half of the minute after which the platform discards."""


class Issues:
    """The issues of one entry; each is there while its condition holds."""

    def __init__(self, hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
        """Begin with none."""
        self._hass = hass
        self._entry = entry
        self._present: set[str] = set()

    @callback
    def set(self, holds: bool, key: str, about: str = "", **placeholders: str) -> None:
        """Raise or clear the issue of a translation key about one thing."""
        issue_id = f"{key}_{self._entry.entry_id}_{about}"
        if not holds:
            if issue_id in self._present:
                self._present.discard(issue_id)
                ir.async_delete_issue(self._hass, DOMAIN, issue_id)
            return
        self._present.add(issue_id)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key=key,
            translation_placeholders={"title": self._entry.title, **placeholders},
        )

    @callback
    def clear(self) -> None:
        """Clear all of them; those that still hold are raised again after the next start."""
        while self._present:
            ir.async_delete_issue(self._hass, DOMAIN, self._present.pop())


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
