"""What an outage left out of the statistics, from the publisher's past.

The states of an outage cannot be written afterwards, but the hourly statistics can: for each hour
that an outage touches the publisher is asked for the whole of it, once the hour is over.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
import logging
from math import inf
from typing import Final
from uuid import UUID

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from ...protocols.sttp import (
    Measurement,
    SttpError,
    Subscriber,
    SubscriberParameters,
    ticks,
)
from .payload import value_of

_LOGGER: Final = logging.getLogger(__name__)

# Shorter ones leave enough of an hour for its mean.
SHORTEST_GAP: Final = timedelta(seconds=30)
LONGEST_GAP: Final = timedelta(days=7)
# Home Assistant writes its own statistics of an hour within the first minutes of the next.
SETTLED: Final = timedelta(minutes=5)
WITHIN_S: Final = 600.0
"""For one hour of the past."""
_HOUR: Final = timedelta(hours=1)


@dataclass(kw_only=True)
class HourMean:
    """The mean over time, least and most of a signal in an hour; values hold until the next."""

    seconds: float = 0.0
    integral: float = 0.0
    least: float = inf
    most: float = -inf

    def add(self, value: float, seconds: float) -> None:
        """Take a value that held for some seconds."""
        self.seconds += seconds
        self.integral += value * seconds
        self.least, self.most = min(self.least, value), max(self.most, value)

    @property
    def mean(self) -> float:
        """The mean; of a value that held no time at all it is the value."""
        return self.integral / self.seconds if self.seconds else self.least


@dataclass(kw_only=True)
class HourMeans:
    """Means of an hour by signal, from measurements in the order of their time."""

    start: datetime
    by_signal: dict[UUID, HourMean] = field(default_factory=dict)
    _last: dict[UUID, tuple[datetime, float]] = field(default_factory=dict)

    def take(self, measurements: Iterable[Measurement]) -> None:
        """Take measurements; a bad one ends what held before."""
        for measurement in measurements:
            at = ticks.to_datetime(measurement.timestamp)
            if not self.start <= at < self.start + _HOUR:
                continue
            self._hold(measurement.signal_id, at)
            if (value := value_of(measurement)) is not None:
                self._last[measurement.signal_id] = (at, value)

    def finish(self) -> dict[UUID, HourMean]:
        """Let the last values hold to the end of the hour, and return the means."""
        for signal_id in [*self._last]:
            self._hold(signal_id, self.start + _HOUR)
        return self.by_signal

    def _hold(self, signal_id: UUID, until: datetime) -> None:
        if (last := self._last.pop(signal_id, None)) is not None:
            since, value = last
            mean = self.by_signal.setdefault(signal_id, HourMean())
            mean.add(value, (until - since).total_seconds())


def hours_of(gap: tuple[datetime, datetime]) -> list[datetime]:
    """Return the starts of the hours that a gap touches."""
    start, stop = gap
    hour = start.replace(minute=0, second=0, microsecond=0)
    hours = []
    while hour < stop:
        hours.append(hour)
        hour += _HOUR
    return hours


class Recovery:
    """Knows the hours that are to be recovered, and recovers those that are over."""

    def __init__(
        self,
        hass: HomeAssistant,
        parameters: SubscriberParameters,
        entities: Callable[[], Mapping[UUID, str]],
    ) -> None:
        """Take what tells the entity ids of the signals that have mean statistics."""
        self._hass = hass
        self._parameters = parameters
        self._entities = entities
        self._hours: set[datetime] = set()
        self.recovered = 0
        """Hours of signals that were written since it was made."""

    def note(self, start: datetime, stop: datetime) -> None:
        """Note an outage."""
        if stop - start >= SHORTEST_GAP:
            self._hours.update(hours_of((max(start, stop - LONGEST_GAP), stop)))

    async def async_recover(self) -> None:
        """Write the statistics of the hours that are over and settled."""
        if "recorder" not in self._hass.config.components:
            self._hours.clear()
            return
        from .statistics import write_hour  # noqa: PLC0415 (needs what the recorder installs)

        settled = dt_util.utcnow() - SETTLED
        for hour in sorted(hour for hour in self._hours if hour + _HOUR <= settled):
            means = HourMeans(start=hour)
            subscriber = Subscriber(
                replace(self._parameters, past=(hour, hour + _HOUR)), on_measurements=means.take
            )
            try:
                async with asyncio.timeout(WITHIN_S):
                    await subscriber.run()
            except SttpError as err:
                # It keeps no past, or not for us: neither of the other hours.
                _LOGGER.info("The publisher sends nothing of an outage: %s", err)
                self._hours.clear()
                return
            except OSError as err:
                # The next time.
                _LOGGER.debug("An outage cannot be recovered yet: %s", err)
                return
            self._hours.discard(hour)
            entities = self._entities()
            for signal_id, mean in means.finish().items():
                if (entity_id := entities.get(signal_id)) is not None:
                    write_hour(self._hass, entity_id, hour, mean)
                    self.recovered += 1
