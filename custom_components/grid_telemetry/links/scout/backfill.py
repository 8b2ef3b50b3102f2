"""Samples of the past, from the recorder: its history, or hourly statistics where that is gone."""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
import math

from homeassistant.components.recorder import history
from homeassistant.components.recorder.db_schema import RecorderRuns, States
from homeassistant.components.recorder.statistics import get_metadata, statistics_during_period
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.recorder import get_instance, session_scope
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ...outbox.store import Lane, Record
from ...points.averages import taken_from
from ...points.point import Point, Take, convert, entity_id_of, read, unit_in
from ...vocabulary.aggregate import Aggregate
from .payload import metric_records

_HOUR_S = 3600
_WINDOW_S = 6 * _HOUR_S  # bounds what one query holds in memory


@dataclass(kw_only=True)
class PointResult:
    """What was found of one point."""

    from_history: int = 0
    from_statistics: int = 0
    problem: str | None = None
    """Why nothing was found, or not all of it."""


@dataclass(kw_only=True)
class BackfillResult:
    """How many samples were queued, and from where."""

    from_history: int = 0
    from_statistics: int = 0
    points: dict[str, dict[str, PointResult]] = field(default_factory=dict, compare=False)
    """By device and code."""


type _Values = dict[float, dict[str, float]]  # slot (epoch seconds) → code → value


async def async_backfill(
    hass: HomeAssistant,
    queue: Callable[[Sequence[Record]], Awaitable[None]],
    devices: Mapping[str, Sequence[Point]],
    *,
    start: datetime,
    end: datetime,
    interval_s: int,
) -> BackfillResult:
    """Queue what each device would have sent from `start` to `end`, with the original times."""
    result = BackfillResult(
        points={
            device_id: {point.name: PointResult() for point in points}
            for device_id, points in devices.items()
        }
    )
    first = _HOUR_S * (int(start.timestamp()) // _HOUR_S)
    for window in range(first, math.ceil(end.timestamp()), _WINDOW_S):
        begin = max(float(window), start.timestamp())
        until = min(float(window + _WINDOW_S), end.timestamp())
        recorder = get_instance(hass)
        slots = await recorder.async_add_executor_job(
            _recorded_slots, hass, begin, until, interval_s
        )
        for device_id, points in devices.items():
            by_entity = _by_entity(hass, points)
            if not by_entity:
                continue
            values = await recorder.async_add_executor_job(
                _read_window,
                hass,
                by_entity,
                begin,
                until,
                interval_s,
                slots,
                result.points[device_id],
            )
            await queue(list(_records(device_id, values)))
    for device_id, points in devices.items():
        for point in points:
            counted = result.points[device_id][point.name]
            result.from_history += counted.from_history
            result.from_statistics += counted.from_statistics
            if entity_id_of(hass, point) is None:
                counted.problem = "entity_removed"
            elif counted.problem is None and not (counted.from_history or counted.from_statistics):
                counted.problem = "nothing_recorded"
    return result


def _records(device_id: str, values: _Values) -> Iterator[Record]:
    for slot in sorted(values):
        yield from metric_records(device_id, round(slot * 1000), values[slot], Lane.HISTORY)


def _by_entity(hass: HomeAssistant, points: Sequence[Point]) -> dict[str, list[Point]]:
    by_entity: dict[str, list[Point]] = {}
    for point in points:
        if (entity_id := entity_id_of(hass, point)) is not None:
            by_entity.setdefault(entity_id, []).append(point)
    return by_entity


def _read_window(
    hass: HomeAssistant,
    by_entity: Mapping[str, Sequence[Point]],
    begin: float,
    until: float,
    interval_s: int,
    slots: Sequence[float],
    results: Mapping[str, PointResult],
) -> _Values:
    """Read one window; in the recorder's executor."""
    values: _Values = {}
    states = history.get_significant_states(
        hass,
        # A mean begins an interval before its slot.
        datetime.fromtimestamp(begin - interval_s, UTC),
        datetime.fromtimestamp(until, UTC),
        list(by_entity),
        significant_changes_only=False,
    )
    known: dict[tuple[str, int], tuple[float, float]] = {}
    """The first and the last slot of an hour that an entity has history for."""
    for entity_id, points in by_entity.items():
        rows = [row for row in states.get(entity_id, ()) if isinstance(row, State)]
        for point in points:
            for slot, value in _from_history(point, rows, slots, interval_s):
                values.setdefault(slot, {})[point.name] = value
                results[point.name].from_history += 1
                hour = (entity_id, int(slot) // _HOUR_S)
                first, last = known.get(hour, (slot, slot))
                known[hour] = (min(first, slot), max(last, slot))
    units = _units(hass, by_entity)
    for row in _statistics(hass, by_entity, begin, until):
        first, last = known.get((row.entity_id, int(row.at) // _HOUR_S), (math.inf, -math.inf))
        if first <= row.at + interval_s and row.at <= last + interval_s:
            continue  # the history has it
        for point in by_entity[row.entity_id]:
            if (taken := row.value_for(point.take)) is None:
                continue
            converted = convert(taken, units.get(row.entity_id), point)
            if converted is None:
                results[point.name].problem = "unit_does_not_fit"
                continue
            values.setdefault(row.at, {})[point.name] = converted
            results[point.name].from_statistics += 1
    return values


def _from_history(
    point: Point, rows: Sequence[State], slots: Sequence[float], interval_s: int
) -> Iterator[tuple[float, float]]:
    """Yield the slots at which a point had a value, as the sampler would have taken it."""
    if point.take is Take.INSTANT:
        times = [row.last_updated_timestamp for row in rows]
        for slot in slots:
            position = bisect_right(times, slot)
            if position and (value := read(rows[position - 1], point)) is not None:
                yield slot, value
        return
    waiting = iter(rows)
    row = next(waiting, None)
    aggregate, began_at = Aggregate(-math.inf), -math.inf
    for slot in slots:
        if (begin := slot - interval_s) != began_at:
            # Another run of Home Assistant, or the first slot: what was before does not count.
            present = aggregate.value
            aggregate = Aggregate(begin)
            aggregate.set(present, begin)
        while row is not None and row.last_updated_timestamp <= slot:
            aggregate.set(read(row, point), max(begin, row.last_updated_timestamp))
            row = next(waiting, None)
        if (result := aggregate.take(slot)) is not None:
            yield slot, taken_from(result, point.take)
        began_at = slot


def _units(hass: HomeAssistant, entity_ids: Collection[str]) -> dict[str, str | None]:
    """Return the units that statistics come in: of the state, or as they are stored."""
    units: dict[str, str | None] = {
        entity_id: metadata["unit_of_measurement"]
        for entity_id, (_, metadata) in get_metadata(hass, statistic_ids=set(entity_ids)).items()
    }
    for entity_id in entity_ids:
        state = hass.states.get(entity_id)
        if state is not None and (unit := unit_in(state)):
            units[entity_id] = unit
    return units


def _recorded_slots(
    hass: HomeAssistant, begin: float, until: float, interval_s: int
) -> list[float]:
    """Return the slots at which Home Assistant ran; a state does not live on while it is off."""
    with session_scope(hass=hass, read_only=True) as session:
        runs = session.execute(
            select(RecorderRuns.start, RecorderRuns.end, RecorderRuns.closed_incorrect).where(
                RecorderRuns.start < datetime.fromtimestamp(until, UTC),
                or_(
                    RecorderRuns.end.is_(None),
                    RecorderRuns.end > datetime.fromtimestamp(begin, UTC),
                ),
            )
        ).all()
        spans: list[tuple[float, float]] = []
        for started, ended, cut_off in runs:
            start = started.replace(tzinfo=UTC).timestamp()
            end = math.inf if ended is None else ended.replace(tzinfo=UTC).timestamp()
            spans.append((start, _last_sign(session, start, end) if cut_off else end))
    first, last = math.ceil(begin / interval_s), math.ceil(until / interval_s)
    slots = [float(number * interval_s) for number in range(first, last)]
    return [slot for slot in slots if any(start <= slot < end for start, end in spans)]


def _last_sign(session: Session, start: float, end: float) -> float:
    """Return when a run that was cut off last recorded a state.

    The recorder gives such a run the start of the next one as its end.
    """
    last: float | None = session.scalar(
        select(func.max(States.last_updated_ts)).where(
            States.last_updated_ts >= start, States.last_updated_ts < end
        )
    )
    return start if last is None else last


@dataclass(frozen=True, kw_only=True, slots=True)
class _Hour:
    """What the statistics have of an hour.

    A measurement is timed at the start of the hour; a counter has the reading at its end.
    """

    entity_id: str
    at: float
    values: Mapping[Take, float | None]

    def value_for(self, take: Take) -> float | None:
        """Return what a point takes of it."""
        return self.values.get(take)


def _statistics(
    hass: HomeAssistant, by_entity: Mapping[str, Sequence[Point]], begin: float, until: float
) -> Iterator[_Hour]:
    """Yield the hourly statistics."""
    rows = statistics_during_period(
        hass,
        datetime.fromtimestamp(begin, UTC),
        datetime.fromtimestamp(until, UTC),
        set(by_entity),
        "hour",
        None,
        {"mean", "min", "max", "state"},
    )
    for entity_id, entries in rows.items():
        for row in entries:
            if (mean := row.get("mean")) is not None:
                values = {
                    Take.INSTANT: mean,
                    Take.MEAN: mean,
                    Take.MINIMUM: row.get("min"),
                    Take.MAXIMUM: row.get("max"),
                }
                yield _Hour(entity_id=entity_id, at=row["start"], values=values)
            elif (state := row.get("state")) is not None and row["end"] <= until:
                yield _Hour(entity_id=entity_id, at=row["end"] - 1, values={Take.INSTANT: state})
