"""What the recorder knows of a window of the past; imported where there is a recorder."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Final

from homeassistant.components.recorder import history
from homeassistant.components.recorder.statistics import statistics_during_period
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers.recorder import get_instance
from sqlalchemy.exc import SQLAlchemyError

from ...points.point import Refusal, convert, evaluate
from ...points.table import unit_of
from ...protocols.sttp import Measurement, StateFlags, SttpError, ticks
from .mapping import Signal

_HOUR_S: Final = 3_600


async def async_read_window(
    hass: HomeAssistant, signals: Mapping[str, Signal], begin: float, until: float
) -> list[Measurement]:
    """Return the measurements of a window in the order of their time; raises SttpError."""
    try:
        return await get_instance(hass).async_add_executor_job(
            _read_window, hass, signals, begin, until
        )
    except SQLAlchemyError as err:
        raise SttpError("The recorder could not be read") from err


def _read_window(
    hass: HomeAssistant, signals: Mapping[str, Signal], begin: float, until: float
) -> list[Measurement]:
    """Read states, then statistics of the hours without; in the recorder's executor."""
    states = history.get_significant_states(
        hass,
        # It leaves out what is of the very beginning.
        datetime.fromtimestamp(begin, UTC) - timedelta(milliseconds=1),
        datetime.fromtimestamp(until, UTC),
        list(signals),
        include_start_time_state=False,
        significant_changes_only=False,
    )
    measurements: list[Measurement] = []
    known: set[tuple[str, int]] = set()
    for entity_id, rows in states.items():
        signal = signals[entity_id]
        for row in rows:
            if isinstance(row, State) and begin <= row.last_updated_timestamp < until:
                known.add((entity_id, int(row.last_updated_timestamp) // _HOUR_S))
                measurements.append(_measurement(signal, row))
    measurements += [
        _mean(hass, signals[entity_id], entity_id, at, mean)
        for entity_id, at, mean in _statistics(hass, signals, begin, until)
        if (entity_id, int(at) // _HOUR_S) not in known
    ]
    measurements.sort(key=lambda item: item.timestamp)
    return measurements


def _measurement(signal: Signal, state: State) -> Measurement:
    value = evaluate(state, signal.point)
    at = ticks.from_epoch(state.last_updated_timestamp)
    if isinstance(value, Refusal):
        return Measurement(signal.signal_id, nan, at, int(StateFlags.BAD_DATA))
    return Measurement(signal.signal_id, value, at)


def _mean(
    hass: HomeAssistant, signal: Signal, entity_id: str, at: float, mean: float
) -> Measurement:
    value = convert(mean, unit_of(hass, entity_id), signal.point)
    flags = StateFlags.DOWN_SAMPLED | (StateFlags.BAD_DATA if value is None else 0)
    return Measurement(
        signal.signal_id, nan if value is None else value, ticks.from_epoch(at), int(flags)
    )


def _statistics(
    hass: HomeAssistant, entity_ids: Iterable[str], begin: float, until: float
) -> Iterator[tuple[str, float, float]]:
    """Yield entity, start of the hour and value: the mean, or a counter's reading at its end."""
    rows = statistics_during_period(
        hass,
        datetime.fromtimestamp(begin, UTC),
        datetime.fromtimestamp(until, UTC),
        set(entity_ids),
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
