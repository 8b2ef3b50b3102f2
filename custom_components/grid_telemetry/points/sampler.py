"""The sampler: reads the states of points on a wall-clock grid."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
import logging
import time
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from .issues import PointIssues
from .point import Point, Refusal, entity_id_of, evaluate, moves_an_entity

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


type SampleTaker = Callable[[float, Sequence[Sample]], Coroutine[Any, Any, None]]


class Sampler:
    """Reads the points at every multiple of the interval since the epoch (UTC).

    A slot that went by while the machine slept, the clock was set or the event loop stood still
    is left out and counted in `missed_slots`; the next one is sampled on time. Samples that are
    no numbers are left out and counted in `skipped`. Points that stay without a value raise a
    repair issue (`watch.py`).
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        points: Sequence[Point],
        interval_s: float,
        on_samples: SampleTaker,
    ) -> None:
        """Prepare; `on_samples` gets the slot and its samples, unless there are none."""
        self.skipped: Counter[Refusal] = Counter()
        self.missed_slots = 0
        self._hass = hass
        self._entry = entry
        self._points = points
        self._interval_s = interval_s
        self._on_samples = on_samples
        self._point_issues = PointIssues(hass, entry, points)
        self._entity_ids: list[str | None] | None = None
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._unlisten: CALLBACK_TYPE | None = None

    @callback
    def start(self) -> None:
        """Begin with the next multiple of the interval."""
        self._unlisten = self._hass.bus.async_listen(
            er.EVENT_ENTITY_REGISTRY_UPDATED, self._forget_entity_ids, moves_an_entity
        )
        self._point_issues.start()
        self._arm(time.time())

    @callback
    def stop(self) -> None:
        """End; may be called again, and before `start`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None
        self._point_issues.stop()

    def as_dict(self) -> dict[str, Any]:
        """Return the counters for diagnostics."""
        return {
            "points": len(self._points),
            "interval_s": self._interval_s,
            "missed_slots": self.missed_slots,
            "skipped": {str(reason): count for reason, count in self.skipped.items()},
        }

    @callback
    def _forget_entity_ids(self, _: Event[er.EventEntityRegistryUpdatedData]) -> None:
        """Have the entity_ids resolved anew at the next slot."""
        self._entity_ids = None

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
        if samples := self._read(due):
            self._entry.async_create_task(
                self._hass,
                self._on_samples(due, samples),
                f"{self._entry.title} samples",
            )

    def _read(self, at: float) -> list[Sample]:
        if self._entity_ids is None:
            self._entity_ids = [entity_id_of(self._hass, point) for point in self._points]
        samples: list[Sample] = []
        get = self._hass.states.get
        for point, entity_id in zip(self._points, self._entity_ids, strict=True):
            if entity_id is None or (state := get(entity_id)) is None:
                self.skipped[Refusal.MISSING] += 1
            elif isinstance(value := evaluate(state, point), Refusal):
                self.skipped[value] += 1
            else:
                samples.append(Sample(point, value, at, state.last_reported_timestamp))
        return samples
