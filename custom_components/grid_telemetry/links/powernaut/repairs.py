"""When a Powernaut entry has something for the user to set right."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ...connection.issues import Issues
from ...points.point import Point, entity_id_of
from .coordinator import View
from .sources import Source
from .stream import Sent

NOT_SEEN_AFTER: Final = timedelta(minutes=10)
STILL_SENDING: Final = timedelta(minutes=1)
SILENT_AFTER_S: Final = 120
"""An entity whose value is outdated for so long is told; it may report changes only."""
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


class SilentEntities:
    """Tells of entities that have a value, and do not report it often enough for the platform."""

    def __init__(self, hass: HomeAssistant, issues: Issues) -> None:
        """Begin with none."""
        self._hass = hass
        self._issues = issues
        self._since: dict[Point, float] = {}
        self._told: set[Point] = set()

    @callback
    def update(self, sources: Iterable[Source], outdated: set[Point], at: float) -> None:
        """Take the points whose values were outdated in the slot of an instant."""
        if not outdated and not self._since:
            return
        self._since = {point: self._since.get(point, at) for point in outdated}
        silent = {point for point, since in self._since.items() if at - since >= SILENT_AFTER_S}
        if silent == self._told:
            return
        self._told = silent
        for source in sources:
            for kind, point in (("power", source.power), ("soc", source.soc)):
                if point is not None:
                    self._issues.set(
                        point in silent,
                        "powernaut_silent",
                        f"{source.platform_id}_{kind}",
                        name=source.name,
                        entity=entity_id_of(self._hass, point) or point.entity,
                        seconds=f"{source.max_age_s:g}",
                    )
