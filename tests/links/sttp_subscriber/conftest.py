"""A publisher of our own, and an entry that subscribes to it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from homeassistant.core import HomeAssistant, State
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.protocols.sttp import ticks
from custom_components.grid_telemetry.protocols.sttp.measurement import Measurement
from custom_components.grid_telemetry.protocols.sttp.metadata import (
    DeviceDetail,
    MeasurementDetail,
    Metadata,
)
from custom_components.grid_telemetry.protocols.sttp.publisher import Publisher

WITHIN_S = 10
ALL = "FILTER ActiveMeasurements WHERE True"
WHEN = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMESPACE = UUID("0d7f7d0c-7b0c-4a68-9c0a-0e3cf1a8c0f7")

type AddEntry = Callable[..., MockConfigEntry]


def signal_id(number: int) -> UUID:
    return uuid5(NAMESPACE, str(number))


def detail(number: int, kind: str, description: str = "", **more: Any) -> MeasurementDetail:
    return replace(
        MeasurementDetail(
            device_acronym="SHELBY",
            id=f"PPA:{number}",
            signal_id=signal_id(number),
            point_tag=f"SHELBY:{kind}{number}",
            signal_reference=f"SHELBY-AV{number}",
            signal_acronym=kind,
            description=description,
            updated_on=WHEN,
        ),
        **more,
    )


SHELBY = DeviceDetail(
    acronym="SHELBY",
    unique_id=uuid5(NAMESPACE, "SHELBY"),
    updated_on=WHEN,
    name="Shelby",
    vendor_acronym="SEL",
    vendor_device_name="SEL 421",
)


def metadata(*measurements: MeasurementDetail) -> Metadata:
    devices = dict.fromkeys(item.device_acronym for item in measurements)
    return Metadata(
        devices=tuple(
            replace(SHELBY, acronym=acronym, name=acronym.capitalize())
            for acronym in devices
            if acronym not in ("", "LOST")
        ),
        measurements=measurements,
    )


@pytest.fixture
async def publisher(socket_enabled: None) -> AsyncGenerator[Publisher]:
    """Publish a frequency."""
    running = Publisher(port=0, batch_s=0.0)
    running.define_metadata(metadata(detail(1, "FREQ", "Shelby Frequency")))
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
def add_entry(hass: HomeAssistant, publisher: Publisher) -> AddEntry:
    """Return a function that adds an entry for the publisher."""

    def add(**changes: Any) -> MockConfigEntry:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Grid",
            data={
                CONF_KIND: "sttp_subscriber",
                "host": "127.0.0.1",
                "port": publisher.port,
                "filter_expression": ALL,
                "interval_s": 0.1,
                "use_tls": False,
                **changes,
            },
        )
        entry.add_to_hass(hass)
        return entry

    return add


def publish(publisher: Publisher, number: int, value: float, flags: int = 0) -> None:
    at = ticks.from_datetime(dt_util.utcnow())
    publisher.publish([Measurement(signal_id(number), value, at, flags)])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.01)


async def shown(hass: HomeAssistant, name: str, condition: Callable[[State], object]) -> State:
    """Wait until a sensor shows something, and return its state."""

    def found() -> bool:
        state = hass.states.get(f"sensor.{name}")
        return state is not None and bool(condition(state))

    await until(found)
    state = hass.states.get(f"sensor.{name}")
    assert state is not None
    return state


async def start(hass: HomeAssistant, entry: MockConfigEntry, signals: int = 1) -> None:
    """Set the entry up and wait until its signals have sensors."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: len(entry.runtime_data._sensors) == signals)
    await hass.async_block_till_done()


def pass_time(hass: HomeAssistant, seconds: float) -> None:
    """Have timers fire that end within so long, which is less than any socket waits."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=seconds))
