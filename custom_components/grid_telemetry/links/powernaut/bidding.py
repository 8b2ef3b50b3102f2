"""Bids: what a standing bid offers when, and the bounds that no bid may leave. Pure, no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Any, Final

from .const import (
    CONF_BIDS_PER_DAY,
    CONF_CURVE,
    CONF_END_TIME,
    CONF_HORIZON_H,
    CONF_MAX_POWER_W,
    CONF_MAX_SOC,
    CONF_MIN_POWER_W,
    CONF_MIN_PRICE,
    CONF_MIN_SOC,
    CONF_RESOURCE_ID,
    CONF_START_TIME,
    CONF_TEMPLATE,
    CONF_WEEKDAYS,
)
from .rest_payload import QUARTER, QUARTER_S

LEAD: Final = timedelta(minutes=2)
"""A quarter-hour that begins sooner is left alone: a bid may be accepted the moment it is there."""

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

type Curve = Sequence[tuple[float, float | None]]
"""Points of watts and the price from which each is offered; None is any price."""


class OutOfBounds(StrEnum):
    """Which bound a bid would leave."""

    POWER = "power"
    PRICE = "price"
    COUNT = "count"


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What the user allows for a resource, whoever bids; None is no bound."""

    min_watts: float | None = None
    max_watts: float | None = None
    min_price: float | None = None
    """A point without a price, which is offered at any, is below every one."""
    per_day: int | None = None
    """So many quarter-hours of one local day."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Bounds:
        """Return the bounds in the data of a resource's subentry."""
        per_day = data.get(CONF_BIDS_PER_DAY)
        return cls(
            min_watts=data.get(CONF_MIN_POWER_W),
            max_watts=data.get(CONF_MAX_POWER_W),
            min_price=data.get(CONF_MIN_PRICE),
            per_day=None if per_day is None else int(per_day),
        )

    def left_by(self, curve: Curve, others_that_day: int) -> OutOfBounds | None:
        """Return which bound a bid would leave; the others of its day are other quarter-hours."""
        for watts, price in curve:
            if self.min_watts is not None and watts < self.min_watts:
                return OutOfBounds.POWER
            if self.max_watts is not None and watts > self.max_watts:
                return OutOfBounds.POWER
            if self.min_price is not None and (price is None or price < self.min_price):
                return OutOfBounds.PRICE
        if self.per_day is not None and others_that_day >= self.per_day:
            return OutOfBounds.COUNT
        return None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A standing bid: a curve for every quarter-hour of a schedule."""

    resource_id: str
    curve: Curve
    start: time
    end: time
    """Of the local day; not after the start is the next day's, equal to it the whole day."""
    weekdays: frozenset[int]
    """0 is Monday; of the quarter-hour itself."""
    horizon: timedelta
    """So far ahead bids are placed; so long they stand, should we be gone."""
    template: str | None
    min_soc: float | None
    max_soc: float | None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Offer:
        """Return the offer in the data of its subentry."""
        return cls(
            resource_id=data[CONF_RESOURCE_ID],
            curve=curve_of(data[CONF_CURVE]),
            start=time.fromisoformat(data[CONF_START_TIME]),
            end=time.fromisoformat(data[CONF_END_TIME]),
            weekdays=frozenset(WEEKDAYS.index(day) for day in data[CONF_WEEKDAYS]),
            horizon=timedelta(hours=data[CONF_HORIZON_H]),
            template=data.get(CONF_TEMPLATE) or None,
            min_soc=data.get(CONF_MIN_SOC),
            max_soc=data.get(CONF_MAX_SOC),
        )

    def quarters(self, now: datetime, zone: tzinfo) -> Iterator[datetime]:
        """Yield the starts, in UTC, of the quarter-hours that are to be offered now."""
        earliest = (now + LEAD).timestamp()
        start = datetime.fromtimestamp(-(-earliest // QUARTER_S) * QUARTER_S, tz=now.tzinfo)
        while start < now + self.horizon:
            if self._covers(start.astimezone(zone)):
                yield start
            start += QUARTER

    def _covers(self, local: datetime) -> bool:
        if local.weekday() not in self.weekdays:
            return False
        at = local.time()
        if self.start == self.end:
            return True
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    def allows_soc(self, percent: float) -> bool:
        """Return whether the state of charge is within the limits of the offer."""
        return (self.min_soc is None or percent >= self.min_soc) and (
            self.max_soc is None or percent <= self.max_soc
        )


def curve_of(rows: Sequence[Mapping[str, Any]]) -> Curve:
    """Return the curve of rows with `watts` and perhaps `price`."""
    return [(row["watts"], row.get("price")) for row in rows]
