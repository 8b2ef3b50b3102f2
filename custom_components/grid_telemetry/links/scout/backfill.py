"""Samples of the past, from the recorder: its history, or hourly statistics where that is gone."""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
import math

from homeassistant.components.recorder import history
from homeassistant.components.recorder.db_schema import RecorderRuns, States
from homeassistant.components.recorder.statistics import statistics_during_period
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.recorder import get_instance, session_scope
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from ...outbox.store import Lane, Record
from ...points.point import Point, convert, entity_id_of, read
from .payload import metric_records

_HOUR_S = 3600
_WINDOW_S = 6 * _HOUR_S  # bounds what one query holds in memory


@dataclass(kw_only=True)
class BackfillResult:
    """How many samples were queued, and from where."""

    from_history: int = 0
    from_statistics: int = 0


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
    result = BackfillResult()
    first = _HOUR_S * (int(start.timestamp()) // _HOUR_S)
    for window in range(first, math.ceil(end.timestamp()), _WINDOW_S):
        begin = max(float(window), start.timestamp())
        until = min(float(window + _WINDOW_S), end.timestamp())
        for device_id, points in devices.items():
            by_entity = _by_entity(hass, points)
            if not by_entity:
                continue
            values, counted = await get_instance(hass).async_add_executor_job(
                _read_window, hass, by_entity, begin, until, interval_s
            )
            await queue(list(_records(device_id, values)))
            result.from_history += counted.from_history
            result.from_statistics += counted.from_statistics
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
) -> tuple[_Values, BackfillResult]:
    """Read one window; in the recorder's executor."""
    values: _Values = {}
    counted = BackfillResult()
    slots = _recorded_slots(hass, begin, until, interval_s)
    states = history.get_significant_states(
        hass,
        datetime.fromtimestamp(begin, UTC),
        datetime.fromtimestamp(until, UTC),
        list(by_entity),
        significant_changes_only=False,
    )
    hours_known: set[tuple[str, int]] = set()
    for entity_id, points in by_entity.items():
        rows = [row for row in states.get(entity_id, ()) if isinstance(row, State)]
        times = [row.last_updated_timestamp for row in rows]
        for slot in slots:
            if not (position := bisect_right(times, slot)):
                continue
            for point in points:
                if (value := read(rows[position - 1], point)) is not None:
                    values.setdefault(slot, {})[point.name] = value
                    counted.from_history += 1
                    hours_known.add((entity_id, int(slot) // _HOUR_S))
    for entity_id, at, value in _statistics(hass, by_entity, begin, until):
        if (entity_id, int(at) // _HOUR_S) in hours_known:
            continue
        unit = _unit_of(hass, entity_id)
        for point in by_entity[entity_id]:
            if (converted := convert(value, unit, point)) is not None:
                values.setdefault(at, {})[point.name] = converted
                counted.from_statistics += 1
    return values, counted


def _unit_of(hass: HomeAssistant, entity_id: str) -> str | None:
    state = hass.states.get(entity_id)
    unit = None if state is None else state.attributes.get("unit_of_measurement")
    return unit if isinstance(unit, str) else None


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


def _statistics(
    hass: HomeAssistant, by_entity: Mapping[str, Sequence[Point]], begin: float, until: float
) -> Iterator[tuple[str, float, float]]:
    """Yield entity, time and value of the hourly statistics.

    A measurement has its hour's mean, timed at the start of the hour; a counter has the reading
    at the hour's end.
    """
    rows = statistics_during_period(
        hass,
        datetime.fromtimestamp(begin, UTC),
        datetime.fromtimestamp(until, UTC),
        set(by_entity),
        "hour",
        None,
        {"mean", "state"},
    )
    for entity_id, entries in rows.items():
        for row in entries:
            if (mean := row.get("mean")) is not None:
                yield entity_id, row["start"], mean
            elif (state := row.get("state")) is not None and row["end"] <= until:
                yield entity_id, row["end"] - 1, state
