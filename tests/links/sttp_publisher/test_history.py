"""The past of signals from the recorder, to a temporal subscription."""

from datetime import datetime, timedelta
from math import isnan
from typing import Any
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder.models import StatisticMeanType, StatisticMetaData
from homeassistant.components.recorder.statistics import async_import_statistics
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)
from sqlalchemy.exc import OperationalError

from custom_components.grid_telemetry.links.sttp_publisher.history import RecorderHistory
from custom_components.grid_telemetry.links.sttp_publisher.mapping import Kind, Signal
from custom_components.grid_telemetry.points.point import Point
from custom_components.grid_telemetry.protocols.sttp import (
    Measurement,
    StateFlags,
    SttpError,
    ticks,
)
from tests.protocols.sttp.samples import signal_id

NOON = datetime(2026, 11, 20, 12, tzinfo=dt_util.UTC)
POWER = Signal(
    point=Point(entity="sensor.power", name="POWER", unit="kW"),
    kind=Kind.ALOG,
    phase=None,
    signal_id=signal_id(1),
    number=1,
    max_age_s=300,
)


@pytest.fixture(autouse=True)
def custom_integrations(recorder_db_url: str, enable_custom_integrations: None) -> None:
    """Let the recorder have its database before there is a Home Assistant."""


@pytest.fixture(autouse=True)
def noon(custom_integrations: None, freezer: FrozenDateTimeFactory) -> datetime:
    """Let the clock stand at a full hour before the recorder starts."""
    freezer.move_to(NOON)
    return NOON


async def read(hass: HomeAssistant, start: datetime, stop: datetime) -> list[Measurement]:
    history = RecorderHistory(hass, lambda: [POWER])
    return [
        item
        async for piece in history.read([signal_id(1), signal_id(9)], start, stop)
        for item in piece
    ]


async def record(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, values: dict[int, str]
) -> None:
    """Record states so many seconds after noon."""
    for second, value in values.items():
        freezer.move_to(NOON + timedelta(seconds=second))
        hass.states.async_set("sensor.power", value, {"unit_of_measurement": "W"})
        await hass.async_block_till_done()
    await async_wait_recording_done(hass)


async def test_nothing_that_was_recorded_is_missing(
    recorder_mock: Any, hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    outage = {second: str(1_000 + second) for second in range(600)}
    await record(hass, freezer, outage | {600: "unavailable", 700: "5"})
    found = await read(hass, NOON, NOON + timedelta(seconds=601))
    assert [item.value for item in found[:-1]] == [
        pytest.approx((1_000 + second) / 1000) for second in range(600)
    ]
    assert [item.timestamp for item in found] == [
        ticks.from_datetime(NOON + timedelta(seconds=second)) for second in range(601)
    ]
    assert {item.flags for item in found[:-1]} == {0}
    assert isnan(found[-1].value)
    assert found[-1].flags == StateFlags.BAD_DATA


async def test_an_hour_that_is_gone_comes_from_the_statistics(
    recorder_mock: Any, hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    await record(hass, freezer, {0: "1000"})
    async_import_statistics(
        hass,
        StatisticMetaData(
            mean_type=StatisticMeanType.ARITHMETIC,
            has_sum=False,
            name=None,
            source="recorder",
            statistic_id="sensor.power",
            unit_class="power",
            unit_of_measurement="W",
        ),
        [
            {"start": NOON - timedelta(hours=hours), "mean": 100.0 * hours, "min": 0.0, "max": 0.0}
            for hours in (2, 1, 0)
        ],
    )
    await async_wait_recording_done(hass)
    found = await read(hass, NOON - timedelta(hours=2), NOON + timedelta(minutes=5))
    # Not that of the hour of which a state is recorded.
    assert found == [
        Measurement(
            signal_id(1),
            pytest.approx(0.1 * hours),
            ticks.from_datetime(NOON - timedelta(hours=hours)),
            StateFlags.DOWN_SAMPLED,
        )
        for hours in (2, 1)
    ] + [Measurement(signal_id(1), 1.0, ticks.from_datetime(NOON))]


async def test_a_long_past_is_read_in_windows(
    recorder_mock: Any, hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    await record(hass, freezer, {0: "1", 86_400: "2", 10 * 86_400: "3"})
    found = await read(hass, NOON, NOON + timedelta(days=11))
    assert [item.value for item in found] == [0.001, 0.002, 0.003]
    with (
        patch("custom_components.grid_telemetry.links.sttp_publisher.history._MANY", -1),
        patch("custom_components.grid_telemetry.links.sttp_publisher.history._FEW", 0),
    ):
        assert await read(hass, NOON, NOON + timedelta(minutes=3)) == found[:1]


async def test_without_a_recorder_there_is_no_past(hass: HomeAssistant) -> None:
    with pytest.raises(SttpError, match="has no recorder"):
        await read(hass, NOON, NOON + timedelta(hours=1))


async def test_a_recorder_that_cannot_be_read_is_told(
    recorder_mock: Any, hass: HomeAssistant
) -> None:
    with (
        patch(
            "custom_components.grid_telemetry.links.sttp_publisher.recorded.history"
            ".get_significant_states",
            side_effect=OperationalError("select", {}, Exception("locked")),
        ),
        pytest.raises(SttpError, match="could not be read"),
    ):
        await read(hass, NOON, NOON + timedelta(hours=1))
