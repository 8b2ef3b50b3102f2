"""A subscriber that was away asks for what it missed, while the others go on."""

from datetime import datetime, timedelta
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.grid_telemetry.protocols.sttp import ticks

from .conftest import AddEntry, Listen, device, point
from .test_link import POWER, start

STATES = 300


@pytest.fixture(autouse=True)
def custom_integrations(recorder_db_url: str, enable_custom_integrations: None) -> None:
    """Let the recorder have its database before there is a Home Assistant."""


async def test_nothing_that_was_recorded_is_missing_after_an_outage(
    recorder_mock: Any, hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    entry = add_entry(device("METER", point("sensor.power", "P", unit="kW")))
    hass.states.async_set("sensor.power", "0", POWER)
    await start(hass, entry)
    away, steady = await listen(entry), await listen(entry)
    last = await away.newest("P", lambda item: item.value == 0)
    await steady.newest("P", lambda item: item.value == 0)
    await away.stop()

    written: list[tuple[int, float]] = []
    for watts in range(1, STATES + 1):
        hass.states.async_set("sensor.power", str(watts), POWER)
        state = hass.states.get("sensor.power")
        assert state is not None
        written.append((ticks.from_epoch(state.last_updated_timestamp), watts / 1000))
    await async_wait_recording_done(hass)
    hass.states.async_set("sensor.power", "5", POWER)

    back = await listen(entry)
    await back.newest("P", lambda item: item.value == pytest.approx(0.005))
    gap: tuple[datetime, datetime] = (
        ticks.to_datetime(last.timestamp) + timedelta(microseconds=1),
        dt_util.utcnow(),
    )
    asked = await listen(entry, past=gap)
    await asked.until(asked.task.done)
    asked.task.result()

    missed = asked.of(last.signal_id)
    assert [(item.timestamp, item.value) for item in missed[:STATES]] == [
        (at, pytest.approx(value)) for at, value in written
    ]
    # Those that went on have had each of them as it came, and so have the next ones all.
    hass.states.async_set("sensor.power", "7", POWER)
    for listener in (steady, back):
        await listener.newest("P", lambda item: item.value == pytest.approx(0.007))
    values = list(dict.fromkeys(round(item.value * 1000) for item in steady.of(last.signal_id)))
    assert values == list(range(STATES + 1))
