"""Every bid of an entry goes over this desk, whoever places it; it keeps bounds and book."""

from collections import deque
from collections.abc import Mapping
from datetime import date, datetime, timedelta
import logging
from typing import Any, Final, TypedDict

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util

from ...const import DOMAIN
from ...entry_store import EntryStore, async_remove_store, entry_store
from .api import PowernautApi
from .bidding import Bounds, Curve, OutOfBounds
from .repairs import MAX_CLOCK_ERROR_S
from .rest_payload import QUARTER, Json, PowerType, bid_body, bid_change, moment_of

_LOGGER = logging.getLogger(__name__)

_STORAGE_VERSION: Final = 1
_REMEMBERED: Final = 200
"""So many bids are in the diagnostics."""
_KEEP_DAYS: Final = timedelta(days=2)


class StoredBids(TypedDict):
    """What is kept over restarts."""

    quarters: dict[str, list[str]]
    """The quarter-hours that were bid for, by resource."""
    own: dict[str, str]
    """The standing bid behind each bid, by the platform's id of the bid."""
    enabled: list[str]
    """The subentries that are turned on."""


def _store_key(entry_id: str) -> str:
    return f"{DOMAIN}.bids_{entry_id}"


async def async_remove_bids(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the book of an entry."""
    await async_remove_store(hass, _STORAGE_VERSION, _store_key(entry_id))


class BidOutOfBounds(ServiceValidationError):  # noqa: N818 - named after what happened
    """A bid is not placed, for it would leave what the user allows."""

    def __init__(self, bound: OutOfBounds | None, translation_key: str, **values: str) -> None:
        """Take the bound, None for the clock, and the text with its values."""
        super().__init__(
            translation_domain=DOMAIN,
            translation_key=translation_key,
            translation_placeholders=values,
        )
        self.bound = bound


class BidDesk:
    """Places and withdraws bids."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry_id: str,
        api: PowernautApi,
        bounds: Mapping[str, Bounds],
    ) -> None:
        """Take the bounds of each resource."""
        self.own: dict[str, str] = {}
        self.enabled: set[str] = set()
        self.placed: deque[Json] = deque(maxlen=_REMEMBERED)
        """What was placed and withdrawn, the latest last."""
        self._api = api
        self._bounds = bounds
        self._quarters: dict[str, set[datetime]] = {}
        self._store: EntryStore[StoredBids] = entry_store(
            hass, _STORAGE_VERSION, _store_key(entry_id)
        )

    async def async_load(self) -> None:
        """Take up the book."""
        stored = await self._store.async_load()
        if stored is None:
            return
        self.own = dict(stored["own"])
        self.enabled = set(stored["enabled"])
        self._quarters = {
            resource_id: {datetime.fromisoformat(start) for start in starts}
            for resource_id, starts in stored["quarters"].items()
        }

    async def async_save(self) -> None:
        """Return when the book is stored."""
        await self._store.async_save(self._as_stored)

    @property
    def clock_error_s(self) -> float | None:
        """By how much the clock is wrong, where it is too much to bid."""
        ahead_s = self._api.clock_ahead_s or 0.0
        return ahead_s if abs(ahead_s) > MAX_CLOCK_ERROR_S else None

    def bounds(self, resource_id: str) -> Bounds:
        """Return what the user allows for a resource."""
        return self._bounds.get(resource_id, Bounds())

    def _check(self, resource_id: str, start: datetime, curve: Curve, power_type: str) -> None:
        """Raise `BidOutOfBounds` for a bid that must not be placed.

        Var are not watts, so a bid of reactive power keeps the other bounds alone.
        """
        if power_type == PowerType.REACTIVE:
            curve = [(0.0, price) for _, price in curve]
        if (error_s := self.clock_error_s) is not None:
            raise BidOutOfBounds(None, "powernaut_clock_off", seconds=str(abs(round(error_s))))
        bounds = self.bounds(resource_id)
        day = _local_day(start)
        others = sum(
            1
            for quarter in self._quarters.get(resource_id, ())
            if quarter != start and _local_day(quarter) == day
        )
        if (bound := bounds.left_by(curve, others)) is not None:
            raise BidOutOfBounds(
                bound,
                f"powernaut_bound_{bound}",
                min=_shown(bounds.min_watts),
                max=_shown(bounds.max_watts),
                price=_shown(bounds.min_price),
                count=_shown(bounds.per_day),
            )

    async def place(
        self,
        resource_id: str,
        start: datetime,
        curve: Curve,
        *,
        power_type: str = PowerType.ACTIVE,
        expires_at: datetime | None = None,
        standing: str | None = None,
    ) -> Json:
        """Place a bid, or replace the open one for the same time, and return it.

        `standing` is the standing bid that it belongs to; of several bids placed one after the
        other each is stored with the next, and the caller has the last one stored by `async_save`.
        Raises `BidOutOfBounds`, and what the API raises.
        """
        self._check(resource_id, start, curve, power_type)
        # Counted before it is sent: a bid whose answer is lost may stand all the same.
        quarters = self._quarters.setdefault(resource_id, set())
        quarters.add(start)
        self._forget_old(resource_id)
        await self.async_save()
        body = bid_body(start, start + QUARTER, curve, power_type, expires_at)
        bid = await self._api.place_bid(resource_id, body)
        self._note("placed", bid)
        if standing is not None:
            self.own[bid["id"]] = standing
        elif self.own.pop(bid["id"], None) is not None:
            await self.async_save()
        return bid

    async def change(self, bid_id: str, curve: Curve | None, expires_at: datetime | None) -> Json:
        """Change an open bid and return it; raises as `place` does."""
        bid = await self._api.bid(bid_id)
        if curve is not None:
            start = moment_of(bid["start"])
            self._check(bid["resource_id"], start, curve, bid["power_type"])
        changed = await self._api.change_bid(bid_id, bid_change(curve, expires_at))
        self.own.pop(bid_id, None)  # it is the caller's now, not the standing bid's
        self._note("changed", changed)
        await self.async_save()
        return changed

    async def cancel(self, bid_id: str) -> None:
        """Withdraw a bid; raises what the API raises."""
        await self._api.cancel_bid(bid_id)
        self.own.pop(bid_id, None)
        self._note("withdrawn", {"id": bid_id})
        await self.async_save()

    def as_dict(self) -> dict[str, Any]:
        """Return the book for diagnostics."""
        return {
            "placed": list(self.placed),
            "quarters": self._as_stored()["quarters"],
            "own": len(self.own),
        }

    def _note(self, what: str, bid: Json) -> None:
        noted: Json = {
            key: bid[key] for key in ("id", "resource_id", "start", "curve") if key in bid
        }
        self.placed.append({"at": dt_util.utcnow().isoformat(), "what": what, **noted})
        _LOGGER.debug("Bid %s: %s", what, noted)

    def _forget_old(self, resource_id: str) -> None:
        oldest = dt_util.utcnow() - _KEEP_DAYS
        starts = self._quarters[resource_id]
        self._quarters[resource_id] = {start for start in starts if start > oldest}

    def _as_stored(self) -> StoredBids:
        return {
            "quarters": {
                resource_id: sorted(start.isoformat() for start in starts)
                for resource_id, starts in self._quarters.items()
            },
            "own": self.own,
            "enabled": sorted(self.enabled),
        }


def _local_day(moment: datetime) -> date:
    return dt_util.as_local(moment).date()


def _shown(bound: float | None) -> str:
    return "-" if bound is None else f"{bound:g}"
