"""Standing bids: placed, renewed and withdrawn by the link, while the user has them turned on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
import logging
from typing import Final

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import TemplateError
from homeassistant.helpers.template import Template, result_as_boolean
from homeassistant.util import dt as dt_util

from ...connection.errors import LinkError
from ...connection.issues import Issues
from ...points.point import Refusal, entity_id_of, evaluate
from .api import PowernautApi, RequestRefused
from .bid_desk import BidDesk, BidOutOfBounds
from .bidding import Offer
from .rest_payload import QUARTER, Json, moment_of
from .sources import Source
from .standing import InputMissing, Standing, StandingStatus

_LOGGER = logging.getLogger(__name__)

_REFUSED_AGAIN_AFTER: Final = timedelta(hours=1)


@dataclass(kw_only=True)
class StandingBid(Standing):
    """One standing bid and how it fares."""

    offer: Offer
    source: Source | None
    """What measures the resource; None where it is not set up."""
    open: list[datetime] = field(default_factory=list)
    """The starts of the quarter-hours that stand open."""
    refused: dict[datetime, datetime] = field(default_factory=dict)
    """Until when a quarter-hour that was refused is not offered again."""


class StandingBids:
    """The standing bids of an entry."""

    def __init__(
        self,
        hass: HomeAssistant,
        api: PowernautApi,
        desk: BidDesk,
        issues: Issues,
        subentries: Iterable[ConfigSubentry],
        sources: Mapping[str, Source],
    ) -> None:
        """Prepare; `sources` are what measures the resources, by the platform's id."""
        self._hass = hass
        self._api = api
        self._desk = desk
        self._issues = issues
        # The bids that were open when they were listed last, and those that were accepted by then.
        self._open: set[str] | None = None
        self._accepted: list[Json] = []
        self.bids = {
            subentry.subentry_id: StandingBid(
                subentry_id=subentry.subentry_id,
                name=subentry.title,
                offer=(offer := Offer.from_dict(subentry.data)),
                source=sources.get(offer.resource_id),
            )
            for subentry in subentries
        }

    @callback
    def load(self) -> None:
        """Take up which were turned on."""
        for bid in self.bids.values():
            bid.turn(bid.subentry_id in self._desk.enabled)

    @callback
    def enable(self, bid: StandingBid) -> None:
        """Begin or end with one that was turned on or off; what it placed is withdrawn."""
        bid.refused.clear()
        if not bid.enabled:
            self._issues.set(False, "powernaut_bid_input", bid.subentry_id)

    async def async_update(self) -> None:
        """Bring what stands on the platform in line with what is offered now."""
        if not self._desk.own and not any(bid.enabled for bid in self.bids.values()):
            return
        try:
            known = await self._known()
            for bid in self.bids.values():
                await self._update(bid, known)
            for bid_id in [
                bid_id for bid_id, standing in self._desk.own.items() if standing not in self.bids
            ]:
                await self._withdraw(bid_id)  # the standing bid was removed
        except (LinkError, RequestRefused) as err:
            for bid in self.bids.values():
                bid.show(StandingStatus.UNREACHABLE, str(err))

    async def _known(self) -> list[Json]:
        """Return the bids that are open, and those that were accepted and have yet to end.

        The platform lists all that it ever accepted. That is asked for at the start, and when a
        bid is no longer open: accepted, expired or cancelled, which is let go of.
        """
        found = await self._api.bids("open")
        still_open = {item["id"] for item in found}
        own = self._desk.own
        if self._open is None or not self._open | own.keys() <= still_open:
            self._accepted = await self._api.bids("accepted")
        self._open = still_open
        for bid_id in own.keys() - still_open:
            del own[bid_id]
        now = dt_util.utcnow()
        self._accepted = [item for item in self._accepted if moment_of(item["end"]) > now]
        return found + self._accepted

    async def _update(self, bid: StandingBid, known: list[Json]) -> None:
        """Bring what is offered for one resource in line with its standing bid."""
        now = dt_util.utcnow()
        wanted, hindrance = self._intention(bid, now)
        missing = hindrance is not None and hindrance.status is StandingStatus.INPUT_MISSING
        self._issues.set(
            missing,
            "powernaut_bid_input",
            bid.subentry_id,
            name=bid.name,
            detail=(hindrance.detail if hindrance else None) or "",
        )
        here = {
            moment_of(item["start"]): item
            for item in known
            if item["resource_id"] == bid.offer.resource_id
        }
        for start, item in here.items():
            if self._desk.own.get(item["id"]) == bid.subentry_id and start not in wanted:
                await self._withdraw(item["id"])
        placed, refusal = await self._place(
            bid, [start for start in wanted if self._is_due(bid, here.get(start))], now
        )
        bid.open = [start for start in wanted if start in here or start in placed]
        _show(bid, hindrance or refusal)

    def _intention(
        self, bid: StandingBid, now: datetime
    ) -> tuple[list[datetime], _Hindrance | None]:
        """Return the quarter-hours to offer, none where something hinders it."""
        if not bid.enabled:
            return [], None
        try:
            if (hindrance := self._hindrance(bid)) is not None:
                return [], hindrance
            return self._wanted(bid, now), None
        except InputMissing as err:
            return [], _Hindrance(StandingStatus.INPUT_MISSING, str(err))

    def _hindrance(self, bid: StandingBid) -> _Hindrance | None:
        """Return why nothing may be offered, so that what stands is withdrawn too."""
        if bid.source is None:
            raise InputMissing("the resource is not set up")
        if self._desk.clock_error_s is not None:
            return _Hindrance(StandingStatus.CLOCK_OFF)
        bounds = self._desk.bounds(bid.offer.resource_id)
        if (bound := bounds.left_by(bid.offer.curve, others_that_day=-1)) is not None:
            return _Hindrance(StandingStatus.OUT_OF_BOUNDS, bound)
        return None

    def _is_due(self, bid: StandingBid, item: Json | None) -> bool:
        """Return whether a quarter-hour has no bid, or one of ours with another curve."""
        if item is None:
            return True
        curve = [(point["watts"], point["price"]) for point in item["curve"]]
        return self._desk.own.get(item["id"]) == bid.subentry_id and curve != bid.offer.curve

    def _wanted(self, bid: StandingBid, now: datetime) -> list[datetime]:
        """Return the quarter-hours to offer now; raises `InputMissing`."""
        offer = bid.offer
        limited = offer.min_soc is not None or offer.max_soc is not None
        if limited and not offer.allows_soc(self._state_of_charge(bid)):
            return []
        quarters = list(offer.quarters(now, dt_util.get_default_time_zone()))
        if offer.template is None:
            return quarters
        template = Template(offer.template, self._hass)
        return [start for start in quarters if _agrees(template, start)]

    def _state_of_charge(self, bid: StandingBid) -> float:
        """Return the state of charge in percent; raises `InputMissing`."""
        source = bid.source
        if source is None or source.soc is None or not source.capacity_wh:
            raise InputMissing("the resource has no state of charge with a capacity")
        entity_id = entity_id_of(self._hass, source.soc)
        state = None if entity_id is None else self._hass.states.get(entity_id)
        if state is None:
            raise InputMissing(f"{entity_id or source.soc.entity} is missing")
        value = evaluate(state, source.soc)
        if isinstance(value, Refusal):
            raise InputMissing(f"{entity_id} is {state.state}")
        return value / source.capacity_wh * 100

    async def _place(
        self, bid: StandingBid, starts: list[datetime], now: datetime
    ) -> tuple[set[datetime], _Hindrance | None]:
        """Place what is due; return what was placed, and why the rest was not.

        What is refused leaves the others; the bound of a day leaves other days.
        """
        placed: set[datetime] = set()
        hindrance: _Hindrance | None = None
        bid.refused = {start: until for start, until in bid.refused.items() if until > now}
        try:
            for start in starts:
                if start in bid.refused:
                    continue
                try:
                    await self._desk.place(
                        bid.offer.resource_id, start, bid.offer.curve, standing=bid.subentry_id
                    )
                except BidOutOfBounds as err:
                    hindrance = _Hindrance(StandingStatus.OUT_OF_BOUNDS, err.bound)
                except RequestRefused as err:
                    bid.refused[start] = now + _REFUSED_AGAIN_AFTER
                    hindrance = _Hindrance(StandingStatus.REFUSED, err.message)
                    _LOGGER.warning("%s: %s refused: %s", bid.name, start.isoformat(), err.message)
                else:
                    placed.add(start)
        finally:
            if placed:
                await self._desk.async_save()
        return placed, hindrance

    async def _withdraw(self, bid_id: str) -> None:
        try:
            await self._desk.cancel(bid_id)
        except RequestRefused as err:
            if err.status != HTTPStatus.CONFLICT:  # accepted meanwhile
                _LOGGER.warning("A bid cannot be withdrawn: %s", err.message)
            self._desk.own.pop(bid_id, None)


@dataclass(frozen=True, slots=True)
class _Hindrance:
    """Why something is not offered."""

    status: StandingStatus
    detail: str | None = None


def _show(bid: StandingBid, reason: _Hindrance | None) -> None:
    """Show how a standing bid stands, and why it does not offer."""
    if reason is not None:
        bid.show(reason.status, reason.detail)
    elif bid.refused:
        bid.show(StandingStatus.REFUSED, bid.detail)
    else:
        bid.show(StandingStatus.BIDDING if bid.open else StandingStatus.IDLE)


def _agrees(template: Template, start: datetime) -> bool:
    """Return what a template says of a quarter-hour; raises `InputMissing`."""
    local = dt_util.as_local(start)
    try:
        result = template.async_render(
            {"start": local, "end": local + QUARTER}, parse_result=True, strict=True
        )
    except TemplateError as err:
        raise InputMissing(f"the template fails: {err}") from err
    if result is None or result in ("unknown", "unavailable", ""):
        raise InputMissing(f"the template says {result!r}")
    return result_as_boolean(result)
