"""Baselines from what a home knows: a forecast, like days, a calendar. Pure, no I/O.

A baseline says what a resource or the site will draw without activations, in watts for each
quarter-hour, + is consumption.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
import re
from statistics import fmean
from typing import Any, Final, cast

from .payload import MAX_WATTS
from .rest_payload import MAX_QUARTERS, QUARTER

MAX_STEP: Final = timedelta(hours=2)
"""A value of a forecast holds until the next one, and for so long at most."""

_POWER: Final = re.compile(r"(?<![\w.,])([+\-\N{MINUS SIGN}]?\d+(?:[.,]\d+)?)\s*(k|M)?W(?!\w)")
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


def calendar_values(
    events: Iterable[Mapping[str, Any]],
    start: datetime,
    count: int,
    otherwise_w: float,
    zone: tzinfo,
) -> list[float]:
    """Return the mean watts of each quarter-hour by the events of a calendar.

    An event names its power in its title, such as "Heat pump 2.5 kW" or "-800 W"; those at the
    same time add up. While there is none `otherwise_w` holds. A start or end that is a day is the
    local midnight. Raises ValueError for an event whose title names no power.
    """
    planned = [
        (
            _instant(event["start"], zone),
            _instant(event["end"], zone),
            _power_in(str(event.get("summary", ""))),
        )
        for event in events
    ]
    return [
        _mean_w(planned, begin, begin + QUARTER, otherwise_w)
        for begin in (start + number * QUARTER for number in range(min(count, MAX_QUARTERS)))
    ]


def _power_in(title: str) -> float:
    match [*_POWER.finditer(title)]:
        case [found]:
            number = float(found[1].replace(",", ".").replace("\N{MINUS SIGN}", "-"))
            return _number(number * {None: 1.0, "k": 1e3, "M": 1e6}[found[2]])
        case found:
            raise ValueError(
                f"the event {title!r} names {'no' if not found else 'more than one'} power"
            )


def _mean_w(
    planned: Iterable[tuple[datetime, datetime, float]],
    begin: datetime,
    end: datetime,
    otherwise_w: float,
) -> float:
    """Return the mean between two instants, to the moment that an event begins or ends."""
    within = [
        (max(since, begin), min(until, end), watts)
        for since, until, watts in planned
        if since < end and until > begin
    ]
    edges = sorted({begin, end, *(at for since, until, _ in within for at in (since, until))})
    energy = 0.0
    for since, until in pairwise(edges):
        powers = [watts for first, last, watts in within if first <= since and until <= last]
        energy += (sum(powers) if powers else otherwise_w) * ((until - since) / (end - begin))
    return energy
