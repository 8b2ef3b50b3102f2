"""The past, from the recorder, with its own times."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
import json
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder.models import StatisticMeanType, StatisticMetaData
from homeassistant.components.recorder.statistics import async_import_statistics
from homeassistant.components.recorder.util import end_incomplete_runs
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.recorder import get_instance, session_scope
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.grid_telemetry.links.scout.backfill import (
    BackfillResult,
    PointResult,
    async_backfill,
)
from custom_components.grid_telemetry.links.scout.link import ScoutLink
from custom_components.grid_telemetry.outbox.store import Lane, Record
from custom_components.grid_telemetry.points.point import Point, Take
from simulators.scout import ScoutServer

from .conftest import AddEntry, device
from .test_actions import WITHIN_S, call

POINTS = (
    Point(entity="sensor.power", name="P", unit="W"),
    Point(entity="sensor.energy", name="E", unit="Wh"),
)


class Collector:
    """A queue that only collects."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def queue(self, records: Sequence[Record]) -> None:
        self.records += records

    @property
    def values(self) -> dict[str, dict[str, float]]:
        """What was queued: time → code → value."""
        assert {record.lane for record in self.records} <= {Lane.HISTORY}
        loaded = [json.loads(record.body) for record in self.records]
        return {each["ts"]: each["data"] for each in loaded}


async def backfill(
    hass: HomeAssistant, start: datetime, end: datetime, interval_s: int = 60
) -> tuple[dict[str, dict[str, float]], BackfillResult]:
    collector = Collector()
    result = await async_backfill(
        hass,
        collector.queue,
        {"MAIN": POINTS},
        start=start,
        end=end,
        interval_s=interval_s,
    )
    return collector.values, result


def stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.fixture(autouse=True)
def custom_integrations(recorder_db_url: str, enable_custom_integrations: None) -> None:
    """Let the recorder have its database before there is a Home Assistant."""


@pytest.fixture
def noon(freezer: FrozenDateTimeFactory) -> datetime:
    """Let the clock stand at a full hour before the recorder starts."""
    freezer.move_to("2026-10-20T12:00:00+00:00")
    return dt_util.utcnow()


async def test_every_slot_gets_the_state_it_had(
    noon: datetime, recorder_mock: object, hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    for seconds, entity, state, unit in (
        (30, "sensor.power", "1.5", "kW"),
        (90, "sensor.power", "unavailable", "kW"),
        (130, "sensor.energy", "2", "kWh"),
        (150, "sensor.power", "2.5", "kW"),
    ):
        freezer.move_to(noon + timedelta(seconds=seconds))
        hass.states.async_set(entity, state, {"unit_of_measurement": unit})
        await hass.async_block_till_done()
    await async_wait_recording_done(hass)
    freezer.move_to(noon + timedelta(minutes=5))
    values, result = await backfill(hass, noon, noon + timedelta(minutes=5))
    assert values == {
        stamp(noon + timedelta(minutes=1)): {"P": 1500.0},
        stamp(noon + timedelta(minutes=3)): {"P": 2500.0, "E": 2000.0},
        stamp(noon + timedelta(minutes=4)): {"P": 2500.0, "E": 2000.0},
    }
    assert result == BackfillResult(from_history=5, from_statistics=0)


async def end_run(hass: HomeAssistant, at: datetime) -> None:
    """Do what the recorder does at its start with a run that was cut off."""

    def end() -> None:
        with session_scope(hass=hass) as session:
            end_incomplete_runs(session, at)

    await get_instance(hass).async_add_executor_job(end)


async def test_a_power_cut_is_not_filled_with_the_last_state(
    noon: datetime, recorder_mock: object, hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    for minutes, entity in ((5, "sensor.power"), (65, "sensor.other")):
        freezer.move_to(noon + timedelta(minutes=minutes))
        hass.states.async_set(entity, "3", {"unit_of_measurement": "kW"})
        await hass.async_block_till_done()
    await async_wait_recording_done(hass)
    freezer.move_to(noon + timedelta(hours=4))
    await end_run(hass, noon + timedelta(hours=4))
    values, result = await backfill(hass, noon, noon + timedelta(hours=4), 1800)
    assert values == {
        stamp(noon + timedelta(minutes=30)): {"P": 3000.0},
        stamp(noon + timedelta(minutes=60)): {"P": 3000.0},
    }
    assert result == BackfillResult(from_history=2, from_statistics=0)


async def test_a_run_that_was_cut_off_before_any_state_has_no_slots(
    noon: datetime, recorder_mock: object, hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    freezer.move_to(noon + timedelta(hours=1))
    await end_run(hass, noon + timedelta(hours=1))
    values, result = await backfill(hass, noon, noon + timedelta(hours=1), 1800)
    assert (values, result) == ({}, BackfillResult())


async def test_hours_without_history_come_from_statistics(
    noon: datetime, recorder_mock: object, hass: HomeAssistant
) -> None:
    for entity, unit, unit_class, has_sum in (
        ("sensor.power", "kW", "power", False),
        ("sensor.energy", "kWh", "energy", True),
    ):
        hass.states.async_set(entity, "unknown", {"unit_of_measurement": unit})
        async_import_statistics(
            hass,
            StatisticMetaData(
                mean_type=StatisticMeanType.NONE if has_sum else StatisticMeanType.ARITHMETIC,
                has_sum=has_sum,
                name=None,
                source="recorder",
                statistic_id=entity,
                unit_class=unit_class,
                unit_of_measurement=unit,
            ),
            [
                {"start": noon - timedelta(hours=hours), **_row(has_sum, hours)}  # type: ignore[typeddict-item]
                for hours in (3, 2)
            ],
        )
    await async_wait_recording_done(hass)
    values, result = await backfill(hass, noon - timedelta(hours=3), noon)
    assert values == {
        stamp(noon - timedelta(hours=3)): {"P": 3000.0},
        stamp(noon - timedelta(hours=2, seconds=1)): {"E": 97_000.0},
        stamp(noon - timedelta(hours=2)): {"P": 2000.0},
        stamp(noon - timedelta(hours=1, seconds=1)): {"E": 98_000.0},
    }
    assert result == BackfillResult(from_history=0, from_statistics=4)


async def import_power(hass: HomeAssistant, *starts: datetime) -> None:
    """Store hours of statistics of a power."""
    async_import_statistics(
        hass,
        StatisticMetaData(
            mean_type=StatisticMeanType.ARITHMETIC,
            has_sum=False,
            name=None,
            source="recorder",
            statistic_id="sensor.power",
            unit_class="power",
            unit_of_measurement="kW",
        ),
        [{"start": start, "mean": 3, "min": 1, "max": 9} for start in starts],
    )
    await async_wait_recording_done(hass)


async def test_an_entity_without_a_state_has_the_unit_of_its_statistics(
    noon: datetime, recorder_mock: object, hass: HomeAssistant
) -> None:
    await import_power(hass, noon - timedelta(hours=1))
    values, result = await backfill(hass, noon - timedelta(hours=1), noon)
    assert values == {stamp(noon - timedelta(hours=1)): {"P": 3000.0}}
    assert result.points == {
        "MAIN": {
            "P": PointResult(from_statistics=1),
            "E": PointResult(problem="nothing_recorded"),
        }
    }


async def test_the_part_of_an_hour_without_history_comes_from_the_statistics(
    noon: datetime, recorder_mock: object, hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    freezer.move_to(noon + timedelta(minutes=50))
    hass.states.async_set("sensor.power", "5", {"unit_of_measurement": "kW"})
    await hass.async_block_till_done()
    await async_wait_recording_done(hass)
    freezer.move_to(noon + timedelta(hours=1))
    await import_power(hass, noon)
    values, result = await backfill(hass, noon, noon + timedelta(hours=1), 300)
    assert values == {
        stamp(noon): {"P": 3000.0},
        stamp(noon + timedelta(minutes=50)): {"P": 5000.0},
        stamp(noon + timedelta(minutes=55)): {"P": 5000.0},
    }
    assert result == BackfillResult(from_history=2, from_statistics=1)


async def test_the_past_is_taken_as_the_present_is(
    noon: datetime, recorder_mock: object, hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    for seconds, state in ((0, "100"), (120, "200"), (240, "400")):
        freezer.move_to(noon + timedelta(seconds=seconds))
        hass.states.async_set("sensor.power", state, {"unit_of_measurement": "W"})
        await hass.async_block_till_done()
    await async_wait_recording_done(hass)
    freezer.move_to(noon + timedelta(minutes=11))
    collector = Collector()
    result = await async_backfill(
        hass,
        collector.queue,
        {
            "MAIN": [
                Point(entity="sensor.power", name=take, unit="W", take=take)
                for take in (Take.MEAN, Take.MINIMUM, Take.MAXIMUM)
            ]
        },
        start=noon + timedelta(minutes=1),
        end=noon + timedelta(minutes=11),
        interval_s=300,
    )
    first, second = collector.values.values()
    assert first == {"mean": pytest.approx(200), "minimum": 100, "maximum": 400}
    assert second == {"mean": pytest.approx(400), "minimum": 400, "maximum": 400}
    assert result.from_history == 6


def _row(has_sum: bool, hours: int) -> dict[str, float]:
    return {"state": 100 - hours, "sum": 1} if has_sum else {"mean": hours, "min": 0, "max": 9}


async def test_a_device_whose_entities_are_gone_is_passed_over(
    noon: datetime, recorder_mock: object, hass: HomeAssistant
) -> None:
    collector = Collector()
    gone = Point(entity="0" * 32, name="P")
    result = await async_backfill(
        hass,
        collector.queue,
        {"MAIN": [gone]},
        start=noon - timedelta(hours=1),
        end=noon,
        interval_s=60,
    )
    assert collector.records == []
    assert result.points == {"MAIN": {"P": PointResult(problem="entity_removed")}}


async def test_the_action_sends_what_was_recorded(
    recorder_mock: object, hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    hass.states.async_set("sensor.power", "5", {"unit_of_measurement": "W"})
    entry = add_entry(device("MAIN", POINTS[0].as_dict()), device("2", POINTS[1].as_dict()))
    start = dt_util.utcnow()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await server.wait_for(lambda: len(server.metrics) >= 2, WITHIN_S)
    await async_wait_recording_done(hass)
    sent = len(server.metrics)
    response = await call(hass, "scout_backfill", gateway_device_id="MAIN", start=start.isoformat())
    assert response["from_history"] >= 1
    await server.wait_for(lambda: len(server.metrics) > sent, WITHIN_S)
    await hass.config_entries.async_unload(entry.entry_id)


async def test_the_action_says_how_much_the_outbox_dropped_and_live_values_stay(
    recorder_mock: object, hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    hass.states.async_set("sensor.power", "5", {"unit_of_measurement": "W"})
    entry = add_entry(
        device("MAIN", POINTS[0].as_dict(), {"entity": "sensor.none", "name": "X"}),
        max_samples=1,
        interval_s=1,
    )
    await server.stop()
    start = dt_util.utcnow()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await asyncio.sleep(3.5)
    # No sample is due meanwhile, which would take the place of the one before.
    hass.states.async_set("sensor.power", "unavailable")
    await async_wait_recording_done(hass)
    outbox = entry.runtime_data.outbox
    response = await call(hass, "scout_backfill", start=start.isoformat())
    assert response["dropped"] == response["from_history"] >= 2
    assert await outbox.next(10, lane=Lane.HISTORY) == []
    assert len(await outbox.next(10)) == 1
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("comes_back", [True, False])
async def test_a_backfill_goes_on_with_the_link_that_is_reloaded_meanwhile(
    recorder_mock: object,
    hass: HomeAssistant,
    server: ScoutServer,
    add_entry: AddEntry,
    monkeypatch: pytest.MonkeyPatch,
    comes_back: bool,
) -> None:
    """As when a device is changed while hours of the past are read."""
    hass.states.async_set("sensor.power", "5", {"unit_of_measurement": "W"})
    entry = add_entry(device("MAIN", POINTS[0].as_dict()), interval_s=1)
    await server.stop()
    start = dt_util.utcnow()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await asyncio.sleep(2.5)
    hass.states.async_set("sensor.power", "unavailable")
    await async_wait_recording_done(hass)
    first: ScoutLink = entry.runtime_data
    queue, sleep = ScoutLink.async_queue, asyncio.sleep
    attempts = 0

    async def interrupted(link: ScoutLink, records: Sequence[Record]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await hass.config_entries.async_unload(entry.entry_id)
        elif attempts == 3 and comes_back:
            await hass.config_entries.async_setup(entry.entry_id)
        await queue(link, records)

    async def at_once(seconds: float, *result: object) -> object:
        return await sleep(0 if seconds == 1 else seconds, *result)

    monkeypatch.setattr(ScoutLink, "async_queue", interrupted)
    monkeypatch.setattr(asyncio, "sleep", at_once)
    if not comes_back:
        with pytest.raises(HomeAssistantError) as raised:
            await call(hass, "scout_backfill", start=start.isoformat())
        assert raised.value.translation_key == "outbox_closed"
        return
    response = await call(hass, "scout_backfill", start=start.isoformat())
    assert entry.runtime_data is not first
    kept = await entry.runtime_data.outbox.next(10, lane=Lane.HISTORY)
    assert sum(record.samples for record in kept) == response["from_history"] >= 1
    assert response["dropped"] == 0
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize(
    ("data", "error", "key"),
    [
        (
            {"start": "2026-10-20T12:00:00", "end": "2026-10-20T12:00:00"},
            ServiceValidationError,
            "empty_period",
        ),
        (
            {"start": "2026-10-20", "gateway_device_id": "9"},
            ServiceValidationError,
            "unknown_device",
        ),
        ({"start": "2026-10-20"}, HomeAssistantError, "recorder_missing"),
    ],
)
async def test_what_cannot_be_sent_says_why(
    hass: HomeAssistant,
    server: ScoutServer,
    add_entry: AddEntry,
    data: dict[str, Any],
    error: type[HomeAssistantError],
    key: str,
) -> None:
    entry = add_entry(device("MAIN", POINTS[0].as_dict()))
    assert await hass.config_entries.async_setup(entry.entry_id)
    with pytest.raises(error) as raised:
        await call(hass, "scout_backfill", **data)
    assert raised.value.translation_key == key
    await hass.config_entries.async_unload(entry.entry_id)
