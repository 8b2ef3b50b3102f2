"""The sampler: reads points on a wall-clock grid."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
import logging
import time
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback

from ..connection.health import Health
from ..vocabulary.aggregate import Aggregated
from .averages import Averages, average_key, taken_from
from .issues import PointIssues
from .point import Point, Refusal, Take
from .reader import PointReader, PointReaders, PresentPoint, Reading

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of a point at an instant."""

    point: Point
    value: float
    at: float
    """The slot: epoch seconds, a multiple of the interval."""
    measured_at: float
    """When the integration of the entity last reported the value, in epoch seconds."""
    age_s: float = field(default=0.0, compare=False)
    """How long ago that was, by a clock that nobody sets."""
    is_stale: bool = field(default=False, compare=False)
    """Whether that is longer than its kind of value allows, where nobody chose how long."""


type SampleTaker = Callable[[float, Sequence[Sample]], Coroutine[Any, Any, None]]


class Sampler:
    """Reads the points at every multiple of the interval since the epoch (UTC).

    A slot that went by while the machine slept, the clock was set or the event loop stood still
    is left out and counted in `missed_slots`; the next one is sampled on time. Samples that are
    no numbers, or older than their point allows, are left out and counted in `skipped`. Points that
    stay without a value raise a repair issue (`issues.py`).
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        points: Sequence[Point],
        interval_s: float,
        on_samples: SampleTaker,
        *,
        flow_limits: Mapping[Point, float] | None = None,
        health: Health | None = None,
        empty_slots: bool = False,
    ) -> None:
        """Prepare; `on_samples` gets the slot and its samples.

        A slot without any is left out, unless the empty slots are wanted too. What flows and is
        older than its limit in `flow_limits` is left out. The health is told of the points that
        are stale.
        """
        self.skipped: Counter[Refusal] = Counter()
        self.missed_slots = 0
        self.stale: tuple[str, ...] = ()
        """The names of the points that were stale, or without a value, at the last slot."""
        self._hass = hass
        self._entry = entry
        self._health = health
        self._readers = PointReaders(hass, points, flow_limits)
        self._averages = Averages(hass, points)
        self._interval_s = interval_s
        self._on_samples = on_samples
        self._empty_slots = empty_slots
        self._point_issues = PointIssues(hass, entry, points)
        self._due = 0.0
        self._least_coverage = 1.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def readers(self) -> Sequence[PointReader]:
        """The readers of the points."""
        return self._readers.readers

    def present(self, point: Point) -> PresentPoint:
        """Return what would be sampled of one of the points if the slot ended now."""
        reader = self._readers.of[point]
        present = reader.present()
        reading = _sampled(reader, present.reading)
        if point.take is not Take.INSTANT:
            reading = _averaged(point, reading, self._averages.present(point), time.time())
        return replace(present, reading=reading)

    @callback
    def start(self) -> None:
        """Begin with the next multiple of the interval."""
        self._readers.start()
        self._averages.start()
        self._point_issues.start()
        self._arm(time.time())

    @callback
    def stop(self) -> None:
        """End; may be called again, and before `start`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._readers.stop()
        self._averages.stop()
        self._point_issues.stop()

    def as_dict(self) -> dict[str, Any]:
        """Return the counters for diagnostics."""
        return {
            "points": len(self._readers.readers),
            "interval_s": self._interval_s,
            "missed_slots": self.missed_slots,
            "skipped": {str(reason): count for reason, count in self.skipped.items()},
            "stale": list(self.stale),
            "least_coverage": self._least_coverage,
        }

    def _arm(self, now: float) -> None:
        """Wait for the next multiple after a time."""
        self._due = (now // self._interval_s + 1) * self._interval_s
        loop = self._hass.loop
        self._timer = loop.call_at(loop.time() + self._due - now, self._fire)

    @callback
    def _fire(self) -> None:
        now, due = time.time(), self._due
        self._arm(now)
        if now < due:
            return  # a trifle early, or the clock was set back: wait for what is due now
        if now >= due + self._interval_s:
            missed = int((now - due) // self._interval_s) + 1
            self.missed_slots += missed
            _LOGGER.debug("%s: %d slots went by unnoticed", self._entry.title, missed)
            return
        if (samples := self._read(due)) or self._empty_slots:
            self._entry.async_create_task(
                self._hass,
                self._on_samples(due, samples),
                f"{self._entry.title} samples",
            )

    def _read(self, at: float) -> list[Sample]:
        averages = self._averages.take()
        self._least_coverage = min((each.coverage for each in averages.values()), default=1.0)
        samples: list[Sample] = []
        stale: list[str] = []
        for reader in self._readers.readers:
            point, reading = reader.point, reader.read()
            if isinstance(reading, Refusal) or reading.is_stale:
                stale.append(point.name)
            reading = _sampled(reader, reading)
            if point.take is not Take.INSTANT:
                reading = _averaged(point, reading, averages.get(average_key(point)), at)
            if isinstance(reading, Refusal):
                self.skipped[reading] += 1
            else:
                samples.append(
                    Sample(
                        point,
                        reading.value,
                        at,
                        reading.reported_at,
                        reading.age_s,
                        is_stale=reading.is_stale,
                    )
                )
        self.stale = tuple(stale)
        if self._health is not None and self._health.stale != self.stale:
            self._health.stale = self.stale
            self._health.notify()
        return samples


def _sampled(reader: PointReader, reading: Reading | Refusal) -> Reading | Refusal:
    """Return what is sampled of a reading: nothing that is older than somebody chose."""
    if reader.has_limit and not isinstance(reading, Refusal) and reading.is_stale:
        return Refusal.STALE
    return reading


def _averaged(
    point: Point, reading: Reading | Refusal, average: Aggregated | None, at: float
) -> Reading | Refusal:
    """Return what a point was over the interval, also where it has no value any more."""
    if reading is Refusal.STALE:
        return reading
    if average is None:
        return reading if isinstance(reading, Refusal) else Refusal.UNAVAILABLE
    value = taken_from(average, point.take)
    if isinstance(reading, Refusal):
        return Reading(value, at, 0.0, is_stale=False)
    return replace(reading, value=value)
