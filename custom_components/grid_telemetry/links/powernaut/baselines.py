"""Baselines that are kept ahead: sent every quarter-hour, while the user has them turned on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast

from homeassistant.components.recorder.statistics import statistics_during_period
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import ATTR_ENTITY_ID, STATE_UNAVAILABLE, Platform, UnitOfPower
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.recorder import get_instance
from homeassistant.util import dt as dt_util

from ...connection.errors import LinkError
from ...connection.issues import Issues
from ...points.point import entity_id_behind
from .api import PowernautApi, RequestRefused
from .baseline import calendar_values, forecast_points, like_days, quarter_values
from .bid_desk import BidDesk
from .const import (
    CONF_ATTRIBUTE,
    CONF_ENTITY,
    CONF_HORIZON_H,
    CONF_INVERT,
    CONF_OTHERWISE_W,
    CONF_SOURCE,
    CONF_TARGET_ID,
    CONF_UNIT,
    CONF_WEEKS,
    BaselineSource,
)
from .rest_payload import QUARTER, PowerType, baseline_body, present_quarter
from .standing import InputMissing, Standing, StandingStatus

_RETRY_AFTER: Final = timedelta(minutes=5)
LEAST_QUARTERS: Final = 4
"""The platform wants an hour ahead at least."""


@dataclass(kw_only=True)
class Baseline(Standing):
    """One baseline that is kept ahead."""

    data: Mapping[str, Any]
    due: datetime | None = None
    """Not before then it is sent again."""
    start: datetime | None = None
    """Of what was sent last."""
    end: datetime | None = None


class Baselines:
    """The baselines of an entry."""

    def __init__(
        self,
        hass: HomeAssistant,
        api: PowernautApi,
        desk: BidDesk,
        issues: Issues,
        site_id: str,
        subentries: Iterable[ConfigSubentry],
    ) -> None:
        """Prepare."""
        self._hass = hass
        self._api = api
        self._desk = desk
        self._issues = issues
        self._site_id = site_id
        self.baselines = {
            subentry.subentry_id: Baseline(
                subentry_id=subentry.subentry_id, name=subentry.title, data=subentry.data
            )
            for subentry in subentries
        }

    @callback
    def load(self) -> None:
        """Take up which were turned on."""
        for baseline in self.baselines.values():
            baseline.turn(baseline.subentry_id in self._desk.enabled)

    @callback
    def enable(self, baseline: Baseline) -> None:
        """Begin or end with one that was turned on or off."""
        baseline.due = None
        if not baseline.enabled:
            self._issues.set(False, "powernaut_baseline_input", baseline.subentry_id)

    async def async_update(self) -> None:
        """Send what is due."""
        now = dt_util.utcnow()
        for baseline in self.baselines.values():
            if baseline.enabled and (baseline.due is None or now >= baseline.due):
                await self._send(baseline, now)

    async def _send(self, baseline: Baseline, now: datetime) -> None:
        start = present_quarter(now) + QUARTER
        missing: str | None = None
        try:
            values = await self._values(baseline, start)
            if not baseline.enabled:
                return  # it was turned off while the recorder was asked
            await self._post(baseline.data[CONF_TARGET_ID], start, values)
        except InputMissing as err:
            missing = str(err)
            baseline.due = now + _RETRY_AFTER
            baseline.show(StandingStatus.INPUT_MISSING, missing)
        except RequestRefused as err:
            baseline.due = start
            baseline.show(StandingStatus.REFUSED, err.message)
        except LinkError as err:
            baseline.due = now + _RETRY_AFTER
            baseline.show(StandingStatus.UNREACHABLE, str(err))
        else:
            baseline.due = start
            baseline.start, baseline.end = start, start + len(values) * QUARTER
            baseline.show(StandingStatus.SENT)
        self._issues.set(
            missing is not None and baseline.enabled,
            "powernaut_baseline_input",
            baseline.subentry_id,
            name=baseline.name,
            detail=missing or "",
        )

    async def _post(self, target_id: str, start: datetime, values: list[float]) -> None:
        # What is activated keeps the baseline that it was activated against.
        body = baseline_body(start, values, PowerType.ACTIVE, skip_activated=True)
        kind: Literal["sites", "resources"] = "sites" if target_id == self._site_id else "resources"
        await self._api.set_baseline(kind, target_id, body)

    async def _values(self, baseline: Baseline, start: datetime) -> list[float]:
        """Return the values from a quarter-hour on; raises `InputMissing`."""
        data = baseline.data
        count = data[CONF_HORIZON_H] * 4
        entity_id = entity_id_behind(self._hass, data[CONF_ENTITY])
        if entity_id is None:
            raise InputMissing(f"{data[CONF_ENTITY]} is missing")
        sign = -1.0 if data[CONF_INVERT] else 1.0
        zone = dt_util.get_default_time_zone()
        match data[CONF_SOURCE]:
            case BaselineSource.HISTORY:
                hourly = await self._hourly(entity_id, start, data[CONF_WEEKS])
                watts = like_days(hourly, start, count, data[CONF_WEEKS], zone)
            case BaselineSource.CALENDAR:
                events = await self._events(entity_id, start, start + count * QUARTER)
                try:
                    watts = calendar_values(events, start, count, data[CONF_OTHERWISE_W], zone)
                except ValueError as err:
                    raise InputMissing(f"{entity_id}: {err}") from err
            case _:
                factor = 1000.0 if data[CONF_UNIT] == UnitOfPower.KILO_WATT else 1.0
                try:
                    points = forecast_points(self._forecast(entity_id, data[CONF_ATTRIBUTE]), zone)
                except ValueError as err:
                    raise InputMissing(f"{data[CONF_ATTRIBUTE]} of {entity_id}: {err}") from err
                watts = quarter_values(points, start, count, factor)
        values = [sign * value for value in watts]
        if len(values) < LEAST_QUARTERS:
            raise InputMissing(f"{entity_id} reaches {len(values)} quarter-hours ahead")
        return values

    def _forecast(self, entity_id: str, attribute: str) -> object:
        state = self._hass.states.get(entity_id)
        if state is None or attribute not in state.attributes:
            raise InputMissing(f"{entity_id} has no attribute {attribute}")
        return state.attributes[attribute]

    async def _events(
        self, entity_id: str, start: datetime, end: datetime
    ) -> list[Mapping[str, Any]]:
        """Return the events of a calendar that touch the time between two instants."""
        state = self._hass.states.get(entity_id)
        if state is None or state.state == STATE_UNAVAILABLE:
            raise InputMissing(f"{entity_id} is not available")
        try:
            answer = await self._hass.services.async_call(
                Platform.CALENDAR,
                "get_events",
                {
                    ATTR_ENTITY_ID: entity_id,
                    "start_date_time": start.isoformat(),
                    "end_date_time": end.isoformat(),
                },
                blocking=True,
                return_response=True,
            )
        except HomeAssistantError as err:
            raise InputMissing(f"{entity_id}: {err}") from err
        calendars = cast("Mapping[str, Mapping[str, Any]]", answer)
        return cast("list[Mapping[str, Any]]", calendars[entity_id]["events"])

    async def _hourly(self, entity_id: str, start: datetime, weeks: int) -> dict[datetime, float]:
        """Return the mean power of each hour of the weeks before, in watts."""
        begin = start - timedelta(weeks=weeks, hours=1)
        rows = await get_instance(self._hass).async_add_executor_job(
            statistics_during_period,
            self._hass,
            begin,
            start,
            {entity_id},
            "hour",
            {"power": UnitOfPower.WATT},
            {"mean"},
        )
        return {
            dt_util.utc_from_timestamp(row["start"]): mean
            for row in rows.get(entity_id, ())
            if (mean := row.get("mean")) is not None
        }
