"""What points were over an interval: mean, minimum and maximum of the states of their entities."""

from collections.abc import Iterable
from copy import copy

from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event

from ..vocabulary.aggregate import Aggregate, Aggregated
from ..vocabulary.clock import elapsed_s
from .point import Point, Take, entity_id_of, moves_one_of, read

type AverageKey = tuple[str, str | None, float]
"""What points share that are one value, taken in several ways: entity, unit, factor."""


def average_key(point: Point) -> AverageKey:
    """Return what points share that are one value."""
    return point.entity, point.unit, point.factor


def taken_from(result: Aggregated, take: Take) -> float:
    """Return the one number that a point takes of an interval."""
    match take:
        case Take.MINIMUM:
            return result.minimum
        case Take.MAXIMUM:
            return result.maximum
        case _:
            return result.mean


class Averages:
    """Follows the states of the points that are not taken at an instant."""

    def __init__(self, hass: HomeAssistant, points: Iterable[Point]) -> None:
        """Prepare; points at an instant are left out."""
        self._hass = hass
        self._points: dict[AverageKey, Point] = {
            average_key(point): point for point in points if point.take is not Take.INSTANT
        }
        self._aggregates: dict[AverageKey, Aggregate] = {}
        self._followed: dict[str, list[AverageKey]] = {}
        self._unlisten: list[CALLBACK_TYPE] = []

    @callback
    def start(self) -> None:
        """Begin the first interval with the present values."""
        if not self._points:
            return
        now = elapsed_s()
        self._aggregates = {key: Aggregate(now) for key in self._points}
        self._follow()

    @callback
    def stop(self) -> None:
        """End; may be called again."""
        while self._unlisten:
            self._unlisten.pop()()

    def take(self) -> dict[AverageKey, Aggregated]:
        """Return what each value was since the last call; what had none is left out."""
        now = elapsed_s()
        results = {key: aggregate.take(now) for key, aggregate in self._aggregates.items()}
        return {key: result for key, result in results.items() if result is not None}

    def present(self, point: Point) -> Aggregated | None:
        """Return what a value was since the last `take` so far; None where it had none."""
        return copy(self._aggregates[average_key(point)]).take(elapsed_s())

    @callback
    def _follow(self, _: object = None) -> None:
        """Listen to the entities under their present names."""
        self.stop()
        self._followed = {}
        now = elapsed_s()
        for key, point in self._points.items():
            entity_id = entity_id_of(self._hass, point)
            state = None if entity_id is None else self._hass.states.get(entity_id)
            self._aggregates[key].set(read(state, point), now)
            if entity_id is not None:
                self._followed.setdefault(entity_id, []).append(key)
        self._unlisten = [
            async_track_state_change_event(self._hass, self._followed, self._changed),
            self._hass.bus.async_listen(
                er.EVENT_ENTITY_REGISTRY_UPDATED, self._follow, self._concerns_us
            ),
        ]

    @callback
    def _concerns_us(self, event_data: er.EventEntityRegistryUpdatedData) -> bool:
        return moves_one_of(
            event_data,
            self._followed,
            all_there=len(self._followed) == len({point.entity for point in self._points.values()}),
        )

    @callback
    def _changed(self, event: Event[EventStateChangedData]) -> None:
        now = elapsed_s()
        state = event.data["new_state"]
        for key in self._followed[event.data["entity_id"]]:
            self._aggregates[key].set(read(state, self._points[key]), now)
