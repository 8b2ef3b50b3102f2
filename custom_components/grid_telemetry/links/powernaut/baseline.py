"""Baselines from what a home knows: forecasts in an attribute, or like days. Pure, no I/O.

A baseline says what a resource or the site will draw without activations, in watts for each
quarter-hour, + is consumption.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from statistics import fmean
from typing import Any, Final, cast

from .payload import MAX_WATTS
from .rest_payload import MAX_QUARTERS, QUARTER

MAX_STEP: Final = timedelta(hours=2)
"""A value of a forecast holds until the next one, and for so long at most."""

_TIMES: Final = ("start", "datetime", "period_start", "time", "from", "timestamp")
_VALUES: Final = ("watts", "power", "value", "pv_estimate", "forecast", "energy")

type Points = Sequence[tuple[datetime, float]]
"""From when on which value holds, in order."""


def forecast_points(forecast: object, zone: tzinfo) -> Points:
    """Return the points of a forecast as integrations have them in an attribute.

    Either a mapping of times to numbers, or a list of mappings that have a time and a number under
    usual names. A time without a zone is local. Raises ValueError for anything else.
    """
    match forecast:
        case Mapping():
            pairs: Iterable[tuple[Any, Any]] = forecast.items()
        case [Mapping() as first, *_]:
            rows = cast("Sequence[Mapping[str, Any]]", forecast)
            time_key, value_key = _known_key(first, _TIMES), _known_key(first, _VALUES)
            pairs = ((row[time_key], row[value_key]) for row in rows)
        case _:
            raise ValueError("it is neither a list nor a mapping")
    try:
        points = [(_instant(at, zone), _number(value)) for at, value in pairs]
    except (KeyError, TypeError) as err:
        raise ValueError(f"a row is incomplete: {err!r}") from err
    return sorted(points)


def _known_key(row: Mapping[str, Any], names: Sequence[str]) -> str:
    for name in names:
        if name in row:
            return name
    raise ValueError(f"no {' or '.join(names)} in {sorted(row)}")


def _instant(at: object, zone: tzinfo) -> datetime:
    moment = at if isinstance(at, datetime) else datetime.fromisoformat(str(at))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _number(value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if not abs(number) <= MAX_WATTS:
        raise ValueError(f"{value!r} is out of range")
    return number


def quarter_values(points: Points, start: datetime, count: int, factor: float) -> list[float]:
    """Return the values from a quarter-hour on, as far as the points reach without a gap.

    Of several points within a quarter-hour the mean counts.
    """
    values: list[float] = []
    for number in range(min(count, MAX_QUARTERS)):
        begin = start + number * QUARTER
        within = [value for at, value in points if begin <= at < begin + QUARTER]
        if not within:
            before = [(at, value) for at, value in points if at <= begin]
            if not before or begin - before[-1][0] >= MAX_STEP:
                break
            within = [before[-1][1]]
        values.append(fmean(within) * factor)
    return values


def like_days(
    hourly: Mapping[datetime, float], start: datetime, count: int, weeks: int, zone: tzinfo
) -> list[float]:
    """Return the mean of the same local hour of the same weekday in the weeks before.

    `hourly` is the mean power by the start of the hour, in UTC. It ends where no week has a value.
    """
    values: list[float] = []
    for number in range(min(count, MAX_QUARTERS)):
        local = (start + number * QUARTER).astimezone(zone)
        hour = local.replace(minute=0, second=0, microsecond=0)
        found = [
            value
            for week in range(1, weeks + 1)
            # Wall-clock arithmetic: the same hour, also over a change of the clocks.
            if (value := hourly.get((hour - timedelta(weeks=week)).astimezone(start.tzinfo)))
            is not None
        ]
        if not found:
            break
        values.append(fmean(found))
    return values
