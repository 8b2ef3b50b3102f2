"""Reads points from the states of their entities: value, age and, of counters, what is believed.

Every link that forwards or serves points reads them here, so that a value is as old, and a counter
as credible, to one platform as to the other.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from enum import StrEnum
import logging
import math
import time
from typing import Any, Final, Protocol, runtime_checkable

from homeassistant.components.sensor import ATTR_STATE_CLASS, SensorStateClass
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..vocabulary.age import FLOW_LIMIT_S, Age
from ..vocabulary.clock import elapsed_s
from ..vocabulary.counter import Counter, CounterRules
from ..vocabulary.quantities import QUANTITIES
from .point import Point, Refusal, entity_id_of, evaluate, moves_an_entity

_LOGGER = logging.getLogger(__name__)

COUNTING: Final = (SensorStateClass.TOTAL, SensorStateClass.TOTAL_INCREASING)
"""The state classes of what counts."""
_RULES: Final = CounterRules()
_STANDING_S: Final = 30.0
"""A state that stands for so long is as good as reported again: some report only changes."""

type OldestReport = Callable[[], float | None]
OLDEST_REPORTS: Final[HassKey[dict[str, OldestReport]]] = HassKey(f"{DOMAIN}.oldest_reports")
"""By the entity_id of what is made of others: when the oldest of them was reported, epoch seconds.

Home Assistant stamps the state of a group when it is written, however old its members are.
"""


def reported_at(hass: HomeAssistant, state: State) -> float:
    """Return when what a state shows was reported, in epoch seconds."""
    oldest = hass.data.get(OLDEST_REPORTS, {}).get(state.entity_id)
    at = None if oldest is None else oldest()
    return state.last_reported_timestamp if at is None else min(at, state.last_reported_timestamp)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a point is worth now."""

    value: float
    reported_at: float
    """When it was reported, in epoch seconds of the wall clock."""
    age_s: float
    """How long ago that was, by a clock that nobody sets."""
    is_stale: bool
    """Whether that is longer than its kind, or the point, allows."""


@dataclass(frozen=True, slots=True)
class PresentPoint:
    """A point with what would go out of it now."""

    point: Point
    entity_id: str | None
    reading: Reading | Refusal


@runtime_checkable
class LinkWithPoints(Protocol):
    """A link that forwards or serves points."""

    def present_points(self) -> Mapping[str, Sequence[PresentPoint]]:
        """Return each point with what would go out of it now, by the id of its subentry.

        Whoever looks changes nothing of what is sent.
        """


class Outcome(StrEnum):
    """What became of a point that was sent to try it."""

    TAKEN = "taken"
    """The platform acknowledged it."""
    WAITING = "waiting"
    """It was not acknowledged in time, and is sent again."""
    REFUSED = "refused"
    NO_VALUE = "no_value"


@dataclass(frozen=True, slots=True)
class TriedPoint:
    """A point that was sent to try it."""

    point: Point
    outcome: Outcome
    value: float | None = None
    why: str | None = None
    """The words of the platform, or the `Refusal` of the state."""


@runtime_checkable
class LinkWithTrial(LinkWithPoints, Protocol):
    """A link that can send its points at once, and hears what becomes of them."""

    async def async_try_points(self) -> Mapping[str, Sequence[TriedPoint]]:
        """Send what there is now and return what became of it, by the id of the subentry.

        Raises a `HomeAssistantError`.
        """


def tried(
    present: PresentPoint,
    destination: str,
    *,
    waiting: Collection[str],
    refused: Mapping[str, str],
) -> TriedPoint:
    """Return what became of a point; `waiting` and `refused`, with the words, are destinations."""
    reading = present.reading
    if isinstance(reading, Refusal):
        return TriedPoint(present.point, Outcome.NO_VALUE, why=reading.value)
    if destination in refused:
        return TriedPoint(present.point, Outcome.REFUSED, reading.value, refused[destination])
    outcome = Outcome.WAITING if destination in waiting else Outcome.TAKEN
    return TriedPoint(present.point, outcome, reading.value)


class PointReader:
    """One point and what is known of its entity."""

    def __init__(
        self,
        hass: HomeAssistant,
        point: Point,
        *,
        flow_limit_s: float | None = None,
        kind_limit_s: float = FLOW_LIMIT_S,
    ) -> None:
        """Prepare; nothing is looked at before the first `read`.

        `flow_limit_s` is how old the value may be if it flows and its point says nothing of it.
        Without that `kind_limit_s` is, and more where its source reports more seldom.
        """
        self.point = point
        self.has_limit = point.max_age_s is not None or flow_limit_s is not None
        """Whether somebody chose how old the value may be."""
        self.flow_limit_s = flow_limit_s
        self._kind_limit_s = kind_limit_s
        self._hass = hass
        is_bare = point.factor == 1.0 and not point.offset
        self._bare = point if is_bare else replace(point, factor=1.0, offset=0.0)
        self._entity_id: str | None = None
        self._resolved = False
        self._age: Age | None = None
        self._counter: Counter | None = None
        self._looked_at = 0.0
        self._has_failed = False

    @property
    def entity_id(self) -> str | None:
        """The present entity_id; None when its registry entry is gone."""
        if not self._resolved:
            self._entity_id = entity_id_of(self._hass, self.point)
            self._resolved = True
        return self._entity_id

    @callback
    def forget_name(self) -> None:
        """Look the entity up anew."""
        self._resolved = False

    def read(self) -> Reading | Refusal:
        """Return what the state of the entity is worth now, or why it is no number."""
        entity_id = self.entity_id
        return self.read_state(None if entity_id is None else self._hass.states.get(entity_id))

    def read_state(self, state: State | None) -> Reading | Refusal:
        """Return what a state of the entity, the present one, is worth now.

        Whatever fails with one entity is its own: the others are read all the same.
        """
        try:
            reading = self._worth(state)
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                _LOGGER.exception("%s cannot be read: %s", self.entity_id, state)
            return Refusal.FAILED
        self._has_failed = False
        return reading

    def _worth(self, state: State | None) -> Reading | Refusal:
        value = evaluate(state, self._bare)
        if state is None or isinstance(value, Refusal):
            return value if isinstance(value, Refusal) else Refusal.MISSING
        now = elapsed_s()
        at = reported_at(self._hass, state)
        age = self._age_of(state)
        is_new = age.look(at, time.time(), now)
        if self._is_guarded(state):
            believed = self._guard(value, now, is_new=is_new)
            if believed is None:
                return Refusal.NOT_CONFIRMED
            value = believed
        value = value * self.point.factor + self.point.offset
        if not math.isfinite(value):
            return Refusal.NOT_FINITE
        return Reading(value, at, age.age_s(now), age.is_stale(now))

    def present(self) -> PresentPoint:
        """Return what `read` would, without taking note of anything."""
        looking = copy(self)
        looking.__dict__.update(_age=copy(self._age), _counter=copy(self._counter))
        return PresentPoint(self.point, self.entity_id, looking.read())

    def _age_of(self, state: State) -> Age:
        if self._age is None:
            quantity = QUANTITIES.get(self.point.name)
            counter = state.attributes.get(ATTR_STATE_CLASS) in COUNTING or (
                quantity is not None and quantity.counter
            )
            limit_s = self.point.max_age_s
            if limit_s is None and not counter:
                limit_s = self.flow_limit_s
            self._age = Age(counter=counter, limit_s=limit_s, kind_limit_s=self._kind_limit_s)
        return self._age

    def _is_guarded(self, state: State) -> bool:
        if self.point.guard is not None:
            return self.point.guard
        return state.attributes.get(ATTR_STATE_CLASS) == SensorStateClass.TOTAL_INCREASING

    def _guard(self, value: float, now: float, *, is_new: bool) -> float | None:
        """Return the value that is believed, None before the first."""
        counter = self._counter
        if counter is None:
            counter = self._counter = Counter(_RULES)
            is_new = True
        if is_new or now - self._looked_at >= _STANDING_S:
            self._looked_at = now
            counter.take(value, now)
        return counter.good

    def counter_as_dict(self, now: float) -> dict[str, Any] | None:
        """Return what a restart must not lose of a guarded counter."""
        return None if self._counter is None else self._counter.as_dict(now)

    def restore_counter(self, data: Mapping[str, Any], now: float) -> None:
        """Go on with what `counter_as_dict` returned; a `now` of less tells how long ago."""
        self._counter = Counter.from_dict(data, now, _RULES)


class PointReaders:
    """The readers of the points of one entry, which follow renamed entities."""

    def __init__(
        self,
        hass: HomeAssistant,
        points: Iterable[Point],
        flow_limits: Mapping[Point, float] | None = None,
        kind_limits: Mapping[Point, float] | None = None,
    ) -> None:
        """Prepare a reader for each point; how old one may be that flows is by point."""
        limits, kinds = flow_limits or {}, kind_limits or {}
        self.readers: tuple[PointReader, ...] = tuple(
            PointReader(
                hass,
                point,
                flow_limit_s=limits.get(point),
                kind_limit_s=kinds.get(point, FLOW_LIMIT_S),
            )
            for point in points
        )
        self.of: Mapping[Point, PointReader] = {reader.point: reader for reader in self.readers}
        self._hass = hass
        self._unlisten: CALLBACK_TYPE | None = None

    @callback
    def start(self) -> None:
        """Follow the registry."""
        self._unlisten = self._hass.bus.async_listen(
            er.EVENT_ENTITY_REGISTRY_UPDATED, self._moved, moves_an_entity
        )

    @callback
    def stop(self) -> None:
        """End; may be called again."""
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None

    @callback
    def _moved(self, _: Event[er.EventEntityRegistryUpdatedData]) -> None:
        for reader in self.readers:
            reader.forget_name()
