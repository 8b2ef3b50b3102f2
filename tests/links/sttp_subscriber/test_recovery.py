"""Outages, recovered from the publisher's past into the statistics."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime, timedelta
from math import nan
from typing import Any
from uuid import UUID

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder.statistics import statistics_during_period
from homeassistant.core import HomeAssistant
from homeassistant.helpers.recorder import get_instance
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.grid_telemetry.links.sttp_subscriber.recovery import (
    HourMean,
    HourMeans,
    Recovery,
    hours_of,
)
from custom_components.grid_telemetry.protocols.sttp import (
    Measurement,
    Publisher,
    StateFlags,
    SubscriberParameters,
    ticks,
)

from .conftest import ALL, detail, metadata, signal_id

NOON = datetime(2026, 11, 20, 12, tzinfo=dt_util.UTC)


def at(seconds: float, value: float, number: int = 1, flags: int = 0) -> Measurement:
    when = ticks.from_datetime(NOON + timedelta(seconds=seconds))
    return Measurement(signal_id(number), value, when, flags)


class Kept:
    """A past in which a value is 1 for the first half hour and 3 for the second."""

    async def read(
        self, signal_ids: Sequence[UUID], start: datetime, stop: datetime
    ) -> AsyncIterator[Sequence[Measurement]]:
        assert (start, stop) == (NOON, NOON + timedelta(hours=1))
        yield [at(0, 1.0), at(0, 7.0, 2), at(1_800, 3.0)]


@pytest.fixture(autouse=True)
def custom_integrations(recorder_db_url: str, enable_custom_integrations: None) -> None:
    """Let the recorder have its database before there is a Home Assistant."""


@pytest.fixture(autouse=True)
def noon(custom_integrations: None, freezer: FrozenDateTimeFactory) -> None:
    """Let the clock stand behind the hour of the outage before the recorder starts."""
    freezer.move_to(NOON + timedelta(hours=1, minutes=6))


@pytest.fixture
async def keeper(socket_enabled: None, request: pytest.FixtureRequest) -> AsyncGenerator[Publisher]:
    """Publish with a past, or without one."""
    publisher = Publisher(port=0, history=getattr(request, "param", Kept()))
    publisher.define_metadata(metadata(detail(1, "FREQ"), detail(2, "FREQ")))
    await publisher.start()
    yield publisher
    await publisher.stop()


def recovery(hass: HomeAssistant, publisher: Publisher) -> Recovery:
    parameters = SubscriberParameters(
        host="127.0.0.1", port=publisher.port, filter_expression=ALL, interval_s=1.0
    )
    return Recovery(hass, parameters, lambda: {signal_id(1): "sensor.frequency"})


async def test_the_hour_of_an_outage_is_written_whole(
    recorder_mock: Any, hass: HomeAssistant, keeper: Publisher
) -> None:
    hass.states.async_set("sensor.frequency", "1", {"unit_of_measurement": "Hz"})
    it = recovery(hass, keeper)
    it.note(NOON + timedelta(minutes=20), NOON + timedelta(minutes=30))
    await it.async_recover()
    assert it.recovered == 1
    await async_wait_recording_done(hass)
    rows = await get_instance(hass).async_add_executor_job(
        statistics_during_period,
        hass,
        NOON,
        None,
        {"sensor.frequency"},
        "hour",
        None,
        {"mean", "min", "max"},
    )
    ((row,),) = rows.values()
    assert (row["start"], row["mean"], row["min"], row["max"]) == (NOON.timestamp(), 2, 1, 3)
    # Once is enough.
    await it.async_recover()
    assert it.recovered == 1


async def test_an_hour_that_is_not_over_waits(
    recorder_mock: Any, hass: HomeAssistant, keeper: Publisher, freezer: FrozenDateTimeFactory
) -> None:
    it = recovery(hass, keeper)
    freezer.move_to(NOON + timedelta(hours=1, minutes=4))
    it.note(NOON, NOON + timedelta(minutes=10))
    await it.async_recover()
    assert it.recovered == 0
    freezer.move_to(NOON + timedelta(hours=1, minutes=5))
    await it.async_recover()
    assert it.recovered == 1


@pytest.mark.parametrize("keeper", [None], indirect=True)
async def test_a_publisher_without_a_past_is_not_asked_again(
    recorder_mock: Any, hass: HomeAssistant, keeper: Publisher
) -> None:
    it = recovery(hass, keeper)
    it.note(NOON, NOON + timedelta(minutes=10))
    await it.async_recover()
    refused = keeper.health.refused
    assert refused == 1
    await it.async_recover()
    assert (it.recovered, keeper.health.refused) == (0, refused)


async def test_a_publisher_that_is_away_is_asked_later(
    recorder_mock: Any, hass: HomeAssistant, keeper: Publisher
) -> None:
    it = recovery(hass, keeper)
    it.note(NOON, NOON + timedelta(minutes=10))
    port = keeper.port
    await keeper.stop()
    await it.async_recover()
    assert it.recovered == 0
    again = Publisher(port=port, history=Kept())
    again.define_metadata(metadata(detail(1, "FREQ")))
    await again.start()
    await it.async_recover()
    await again.stop()
    assert it.recovered == 1


async def test_without_a_recorder_nothing_is_recovered(
    hass: HomeAssistant, keeper: Publisher
) -> None:
    it = recovery(hass, keeper)
    it.note(NOON, NOON + timedelta(minutes=10))
    await it.async_recover()
    assert (it.recovered, keeper.health.refused) == (0, 0)


def test_short_outages_leave_enough_of_an_hour(hass: HomeAssistant, keeper: Publisher) -> None:
    it = recovery(hass, keeper)
    it.note(NOON, NOON + timedelta(seconds=29))
    assert not it._hours
    it.note(NOON - timedelta(days=30), NOON)
    assert len(it._hours) == 7 * 24


def test_an_outage_touches_hours() -> None:
    begin = NOON + timedelta(minutes=59)
    assert hours_of((begin, begin + timedelta(minutes=2))) == [NOON, NOON + timedelta(hours=1)]
    assert hours_of((NOON, NOON + timedelta(hours=1))) == [NOON]


def test_a_mean_is_over_time_and_without_what_is_bad() -> None:
    means = HourMeans(start=NOON)
    means.take([at(-1, 99.0), at(0, 2.0), at(900, nan, flags=int(StateFlags.BAD_DATA))])
    means.take([at(2_700, 4.0), at(3_600, 99.0)])
    (mean,) = means.finish().values()
    assert (mean.mean, mean.least, mean.most, mean.seconds) == (3.0, 2.0, 4.0, 1_800.0)
    assert HourMean(least=5.0, most=5.0).mean == 5.0
