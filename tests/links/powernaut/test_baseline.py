"""Baselines: from a forecast or like days, and sent ahead while they are turned on."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.config_entries import SOURCE_USER, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    setup_test_component_platform,
)

from custom_components.grid_telemetry.links.powernaut.baseline import (
    calendar_values,
    forecast_points,
    like_days,
    quarter_values,
)

from .conftest import PACKAGE, AddEntry, FakeApi, FakeBroker, solar_subentry
from .samples import SITE_ID, SOLAR_ID
from .schemas import CREATE_BASELINE

BRUSSELS = ZoneInfo("Europe/Brussels")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "forecast",
    [
        {"2026-03-01T12:00:00+00:00": 1, "2026-03-01T13:00:00+00:00": "2.5"},
        {NOON: 1, NOON + timedelta(hours=1): 2.5},
        [
            {"period_start": NOON, "pv_estimate": 1},
            {"period_start": NOON + timedelta(hours=1), "pv_estimate": 2.5},
        ],
        [
            {"start": "2026-03-01T14:00:00", "value": 2.5, "end": "x"},  # local, in any order
            {"start": "2026-03-01T13:00:00", "value": 1},
        ],
    ],
)
def test_a_forecast_is_read_in_the_forms_that_are_usual(forecast: object) -> None:
    assert list(forecast_points(forecast, BRUSSELS)) == [
        (NOON, 1.0),
        (NOON + timedelta(hours=1), 2.5),
    ]


@pytest.mark.parametrize(
    "forecast",
    [
        None,
        "12",
        [],
        [1, 2],
        [{"when": 1, "value": 2}],
        [{"start": "2026-03-01T12:00:00Z", "much": 2}],
        [{"start": "2026-03-01T12:00:00Z", "value": 2}, {"start": "2026-03-01T12:00:00Z"}],
        {"noon": 1},
        {"2026-03-01T12:00:00Z": "much"},
        {"2026-03-01T12:00:00Z": None},
        {"2026-03-01T12:00:00Z": "nan"},
    ],
)
def test_what_is_no_forecast_is_told(forecast: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        forecast_points(forecast, BRUSSELS)


def test_a_value_holds_until_the_next_one_and_no_longer_than_two_hours() -> None:
    points = [(NOON, 1.0), (NOON + timedelta(minutes=30), 2.0), (NOON + timedelta(minutes=35), 4.0)]
    assert quarter_values(points, NOON, 96, 1000) == [1000, 1000, 3000] + [4000] * 8
    assert quarter_values(points, NOON, 2, -1) == [-1, -1]
    assert quarter_values(points, NOON - timedelta(minutes=15), 5, 1) == []


def test_like_days_are_the_same_hour_of_the_same_weekday() -> None:
    hourly = {
        NOON - timedelta(weeks=1): 100.0,
        NOON - timedelta(weeks=2): 300.0,
        NOON - timedelta(weeks=1) + timedelta(hours=1): 500.0,
        NOON - timedelta(days=1): 9999.0,
    }
    assert like_days(hourly, NOON + timedelta(minutes=30), 96, 2, BRUSSELS) == [
        200,
        200,
        500,
        500,
        500,
        500,
    ]


def test_like_days_go_by_the_clock_on_the_wall() -> None:
    summer = datetime(2026, 3, 30, 6, tzinfo=UTC)  # 8:00 in summer
    winter = datetime(2026, 3, 23, 7, tzinfo=UTC)  # 8:00 in winter, a week before
    assert like_days({winter: 5.0}, summer, 1, 1, BRUSSELS) == [5]


def event(start: str, end: str, title: str) -> dict[str, str]:
    return {"start": start, "end": end, "summary": title}


def test_the_events_of_a_calendar_add_up_to_the_moment() -> None:
    events = [
        event("2026-03-01T13:05:00+01:00", "2026-03-01T13:30:00+01:00", "Heat pump 1.5 kW (low)"),
        event("2026-03-01T12:15:00+00:00", "2026-03-01T12:45:00+00:00", "PV \N{MINUS SIGN}600 W"),
        event("2026-03-02", "2026-03-03", "2,5kW"),  # days are local
    ]
    assert calendar_values(events, NOON, 4, 300, BRUSSELS) == pytest.approx([1100, 900, -600, 300])
    night = datetime(2026, 3, 1, 22, 45, tzinfo=UTC)
    assert calendar_values(events, night, 2, 300, BRUSSELS) == [300, 2500]


@pytest.mark.parametrize(
    ("title", "message"),
    [
        ("Dishwasher", "names no power"),
        ("", "names no power"),
        ("Charge 20 kWh", "names no power"),
        ("2 kW or 3 kW", "names more than one power"),
        ("90000000000 MW", "out of range"),
    ],
)
def test_an_event_whose_power_is_not_certain_is_told(title: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        calendar_values([event("2026-03-01", "2026-03-02", title)], NOON, 4, 0, BRUSSELS)


# --- what is sent


def baseline(**changes: Any) -> ConfigSubentryData:
    data = {
        "target_id": SOLAR_ID,
        "source": "forecast",
        "entity": "sensor.forecast",
        "attribute": "watts",
        "unit": "kW",
        "invert": True,
        "horizon_h": 2,
        **changes,
    }
    return ConfigSubentryData(subentry_type="baseline", title="Sun", unique_id=None, data=data)


async def settle(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    freezer.tick(seconds)
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=False)
    await hass.async_block_till_done(wait_background_tasks=False)


def bodies(api: FakeApi, path: str) -> list[Any]:
    return [data for method, url, data in api.requests if method == "POST" and path in url]


async def started(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=False)


async def switch(hass: HomeAssistant, action: str) -> None:
    await hass.services.async_call(
        "switch", action, {"entity_id": "switch.sun_send"}, blocking=True
    )
    await hass.async_block_till_done(wait_background_tasks=False)


def shown(hass: HomeAssistant, entity_id: str) -> str:
    state = hass.states.get(entity_id)
    assert state is not None
    return state.state


async def test_a_baseline_is_sent_every_quarter_hour_while_it_is_on(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    freezer.move_to("2026-03-01T12:03:00Z")
    api.answer("POST", f"resources/{SOLAR_ID}/baseline", status=201)
    api.answer("GET", "bids", {"total": 0, "items": []})
    forecast = {(NOON + timedelta(hours=hour)).isoformat(): hour for hour in range(5)}
    hass.states.async_set("sensor.forecast", "1", {"watts": forecast})
    await started(hass, add_entry(solar_subentry(), baseline()))
    await settle(hass, freezer, 60)
    assert (bodies(api, "baseline"), shown(hass, "sensor.sun_status")) == ([], "off")
    await switch(hass, "turn_on")
    [body] = bodies(api, "baseline")
    assert CREATE_BASELINE(body) == {
        "start": "2026-03-01T12:15:00Z",
        "power_type": "active",
        "values": ["0.0"] * 3 + ["-1.0"] * 4 + ["-2.0"],
        "skip_activated_windows": True,
    }
    assert shown(hass, "sensor.sun_status") == "sent"
    assert shown(hass, "sensor.sun_sent_until") == "2026-03-01T14:15:00+00:00"
    await settle(hass, freezer, 61)
    assert len(bodies(api, "baseline")) == 1
    for _ in range(11):
        await settle(hass, freezer, 61)
    assert [body["start"][11:16] for body in bodies(api, "baseline")] == ["12:15", "12:30"]
    await switch(hass, "turn_off")
    for _ in range(20):
        await settle(hass, freezer, 61)
    assert len(bodies(api, "baseline")) == 2


async def test_without_its_forecast_nothing_is_sent_and_a_repair_tells(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    freezer.move_to("2026-03-01T12:03:00Z")
    api.answer("POST", f"sites/{SITE_ID}/baseline", status=201)
    entry = add_entry(solar_subentry(), baseline(target_id=SITE_ID))
    await started(hass, entry)
    for attributes, detail in (
        ({}, "no attribute watts"),
        ({"watts": "much"}, "neither a list nor a mapping"),
        ({"watts": {NOON.isoformat(): 1}}, "reaches"),
    ):
        hass.states.async_set("sensor.forecast", "1", attributes)
        await switch(hass, "turn_on")
        assert shown(hass, "sensor.sun_status") == "input_missing" or detail == "reaches"
        if detail != "reaches":
            [issue] = ir.async_get(hass).issues.values()
            assert issue.translation_placeholders is not None
            assert detail in issue.translation_placeholders["detail"]
            assert bodies(api, "baseline") == []
        await switch(hass, "turn_off")
        assert not ir.async_get(hass).issues


@pytest.mark.parametrize(
    ("status", "shown_status"), [(403, "refused"), (409, "refused"), (500, "unreachable")]
)
async def test_a_baseline_that_is_refused_is_told(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
    status: int,
    shown_status: str,
) -> None:
    freezer.move_to("2026-03-01T12:03:00Z")
    api.answer("POST", f"resources/{SOLAR_ID}/baseline", status=status)
    forecast = {(NOON + timedelta(hours=hour)).isoformat(): hour for hour in range(5)}
    hass.states.async_set("sensor.forecast", "1", {"watts": forecast})
    await started(hass, add_entry(solar_subentry(), baseline()))
    await switch(hass, "turn_on")
    assert shown(hass, "sensor.sun_status") == shown_status


async def test_like_days_are_taken_from_the_statistics(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await hass.config.async_set_time_zone("UTC")
    freezer.move_to("2026-03-01T12:03:00Z")
    api.answer("POST", f"resources/{SOLAR_ID}/baseline", status=201)
    hass.states.async_set("sensor.solar", "1", {"unit_of_measurement": "W"})
    week_ago = NOON - timedelta(weeks=1)
    rows = [
        {"start": (week_ago + timedelta(hours=hour)).timestamp(), "mean": 1000.0 * hour}
        for hour in range(3)
    ]
    own = baseline(source="history", entity="sensor.solar", weeks=2)
    await started(hass, add_entry(solar_subentry(), own))

    class Recorder:
        async def async_add_executor_job(self, function: Any, *arguments: Any) -> Any:
            assert arguments[3] == {"sensor.solar"}
            return {"sensor.solar": rows}

    with patch(f"{PACKAGE}.baselines.get_instance", return_value=Recorder()):
        await switch(hass, "turn_on")
    [body] = bodies(api, "baseline")
    assert body["values"] == ["0.0"] * 3 + ["-1.0"] * 4 + ["-2.0"]


class Plan(CalendarEntity):
    """A calendar of a user's own."""

    _attr_name = "Plan"
    planned: tuple[CalendarEvent, ...] = ()

    @property
    def event(self) -> CalendarEvent | None:
        return None

    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        return [own for own in self.planned if own.start < end_date and own.end > start_date]


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
async def test_a_baseline_is_taken_from_a_calendar(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    freezer.move_to("2026-03-01T12:03:00Z")
    api.answer("POST", f"resources/{SOLAR_ID}/baseline", status=201)
    calendar = Plan()
    setup_test_component_platform(hass, "calendar", [calendar])
    assert await async_setup_component(hass, "calendar", {"calendar": {"platform": "test"}})
    await hass.async_block_till_done(wait_background_tasks=False)
    hour = NOON + timedelta(hours=1)
    pump = CalendarEvent(start=hour, end=hour + timedelta(minutes=30), summary="Heat pump 2 kW")
    later = CalendarEvent(start=hour + timedelta(days=1), end=hour + timedelta(days=2), summary="?")
    calendar.planned = (pump, later)
    own = baseline(source="calendar", entity="calendar.plan", otherwise_w=100, invert=False)
    await started(hass, add_entry(solar_subentry(), own))
    await switch(hass, "turn_on")
    [body] = bodies(api, "baseline")
    assert body["values"] == ["0.1"] * 3 + ["2.0"] * 2 + ["0.1"] * 3

    async def missing() -> str:
        await switch(hass, "turn_off")
        await switch(hass, "turn_on")
        assert shown(hass, "sensor.sun_status") == "input_missing"
        [issue] = ir.async_get(hass).issues.values()
        assert issue.translation_placeholders is not None
        return issue.translation_placeholders["detail"]

    calendar.planned = (pump, replace(pump, summary="Guests"))
    assert await missing() == "calendar.plan: the event 'Guests' names no power"
    with patch.object(Plan, "async_get_events", side_effect=HomeAssistantError("no server")):
        assert await missing() == "calendar.plan: no server"
    await calendar.async_remove()
    assert await missing() == "calendar.plan is not available"
    assert len(bodies(api, "baseline")) == 1


@pytest.mark.parametrize("rows", [[1000.0] * 3, []])
async def test_what_is_turned_off_meanwhile_is_shown_as_off(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
    rows: list[float],
) -> None:
    await hass.config.async_set_time_zone("UTC")
    freezer.move_to("2026-03-01T12:03:00Z")
    api.answer("POST", f"resources/{SOLAR_ID}/baseline", status=201)
    hass.states.async_set("sensor.solar", "1", {"unit_of_measurement": "W"})
    week_ago = NOON - timedelta(weeks=1)
    own = baseline(source="history", entity="sensor.solar", weeks=2)
    await started(hass, add_entry(solar_subentry(), own))
    asked, answered = asyncio.Event(), asyncio.Event()

    class Recorder:
        async def async_add_executor_job(self, function: Any, *arguments: Any) -> Any:
            asked.set()
            await answered.wait()
            return {
                "sensor.solar": [
                    {"start": (week_ago + timedelta(hours=hour)).timestamp(), "mean": mean}
                    for hour, mean in enumerate(rows)
                ]
            }

    with patch(f"{PACKAGE}.baselines.get_instance", return_value=Recorder()):
        await switch(hass, "turn_on")
        await asked.wait()
        await switch(hass, "turn_off")
        answered.set()
        await hass.async_block_till_done(wait_background_tasks=False)
    assert shown(hass, "sensor.sun_status") == "off"
    assert not ir.async_get(hass).issues
    assert bodies(api, "baseline") == []


async def test_what_nobody_expected_ends_neither_bids_nor_baselines(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    freezer.move_to("2026-03-01T12:03:00Z")
    api.answer("POST", f"resources/{SOLAR_ID}/baseline", status=201)
    forecast = {(NOON + timedelta(hours=hour)).isoformat(): hour for hour in range(5)}
    hass.states.async_set("sensor.forecast", "1", {"watts": forecast})
    await started(hass, add_entry(solar_subentry(), baseline()))
    with (
        patch(f"{PACKAGE}.baselines.quarter_values", side_effect=RuntimeError("a fault")),
        patch(f"{PACKAGE}.standing_bids.StandingBids.async_update") as update_bids,
    ):
        await switch(hass, "turn_on")
        update_bids.assert_called()
    assert "a fault" in caplog.text
    assert bodies(api, "baseline") == []
    await settle(hass, freezer, 61)
    assert len(bodies(api, "baseline")) == 1


# --- the forms


@pytest.mark.usefixtures("api", "no_setup")
async def test_a_baseline_is_added_and_changed(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry(solar_subentry())
    flows = hass.config_entries.subentries
    result = await flows.async_init((entry.entry_id, "baseline"), context={"source": SOURCE_USER})
    first = {"name": "Sun", "target_id": SOLAR_ID, "source": "forecast"}
    result = await flows.async_configure(result["flow_id"], first)
    own = {
        "entity": "sensor.forecast",
        "attribute": "watts",
        "unit": "kW",
        "invert": True,
        "horizon_h": 24,
    }
    result = await flows.async_configure(result["flow_id"], own)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    [made] = entry.get_subentries_of_type("baseline")
    assert (made.title, made.data) == (
        "Sun",
        {"target_id": SOLAR_ID, "source": "forecast", **own},
    )

    result = await entry.start_subentry_reconfigure_flow(hass, made.subentry_id)
    assert result["step_id"] == "forecast"
    result = await flows.async_configure(result["flow_id"], {**own, "horizon_h": 48})
    assert result["type"] is FlowResultType.ABORT
    [made] = entry.get_subentries_of_type("baseline")
    assert (made.title, made.data["horizon_h"]) == ("Sun", 48)

    result = await flows.async_init((entry.entry_id, "baseline"), context={"source": SOURCE_USER})
    result = await flows.async_configure(result["flow_id"], first)
    assert result["errors"] == {"target_id": "target_taken"}
    site = {"name": "House", "target_id": SITE_ID, "source": "history"}
    result = await flows.async_configure(result["flow_id"], site)
    result = await flows.async_configure(
        result["flow_id"],
        {"entity": "sensor.grid", "weeks": 4, "invert": False, "horizon_h": 24},
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY

    subentry = next(sub for sub in entry.subentries.values() if sub.title == "House")
    hass.config_entries.async_remove_subentry(entry, subentry.subentry_id)
    result = await flows.async_init((entry.entry_id, "baseline"), context={"source": SOURCE_USER})
    plan = {"name": "Plan", "target_id": SITE_ID, "source": "calendar"}
    result = await flows.async_configure(result["flow_id"], plan)
    own = {"entity": "calendar.plan", "otherwise_w": 100, "invert": False, "horizon_h": 24}
    result = await flows.async_configure(result["flow_id"], own)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    made = next(sub for sub in entry.subentries.values() if sub.title == "Plan")
    assert made.data == {"target_id": SITE_ID, "source": "calendar", **own}
