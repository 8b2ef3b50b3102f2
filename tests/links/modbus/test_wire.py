"""The link over real sockets, against meters of another Modbus stack."""

import asyncio
from collections.abc import Callable

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.modbus import client, timed_unit
from simulators.house import House
from simulators.meters import MeterServer, SimulatedMeter

from .conftest import meter, state

TIMEOUT_S = 0.2


@pytest.fixture(autouse=True)
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a silent meter hold up the line, and the tests, for less time."""
    monkeypatch.setattr(client, "REQUEST_TIMEOUT_S", TIMEOUT_S)
    monkeypatch.setattr(timed_unit, "REQUEST_TIMEOUT_S", TIMEOUT_S)


async def set_up(hass: HomeAssistant, port: int, *units: int) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN,
        unique_id=f"tcp:127.0.0.1:{port}",
        data={"kind": "modbus", "transport": "tcp", "host": "127.0.0.1", "port": port},
        subentries_data=[
            meter(unit, title=f"Meter {unit}", fast_interval_s=1, slow_interval_s=1)
            for unit in units
        ],
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    return entry


async def until(
    hass: HomeAssistant, key: str, holds: Callable[[str], bool], unit_id: int = 1
) -> None:
    """Wait until a state of a meter is as it should be."""
    entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"meter_{unit_id}_{key}")
    assert entity_id is not None
    reached = asyncio.Event()

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        if (new := event.data["new_state"]) is not None and holds(new.state):
            reached.set()

    stop = async_track_state_change_event(hass, entity_id, changed)
    if not holds(state(hass, key, unit_id)):
        async with asyncio.timeout(20):
            await reached.wait()
    stop()


def available(value: str) -> bool:
    return value != STATE_UNAVAILABLE


async def test_a_dropped_connection_comes_back_without_a_reload(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    meters = [SimulatedMeter(1, "eastron_sdm630", House().grid)]
    async with MeterServer(meters) as server:
        entry = await set_up(hass, server.port, 1)
        link = entry.runtime_data
        await until(hass, "power", available)
    await until(hass, "power", lambda value: not available(value))

    async with MeterServer(meters, port=server.port):
        await until(hass, "power", available)
        await until(hass, "energy_import", available)
        assert entry.runtime_data is link
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_silent_meter_hardly_delays_the_others(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    house = House()
    silent = SimulatedMeter(2, "eastron_sdm630", house.grid)
    async with MeterServer([SimulatedMeter(1, "eastron_sdm630", house.grid), silent]) as server:
        # Unit 3 is not there at all.
        entry = await set_up(hass, server.port, 1, 2, 3)
        await until(hass, "power", available, unit_id=1)
        await until(hass, "power", available, unit_id=2)
        silent.silent = True
        await until(hass, "power", lambda value: not available(value), unit_id=2)
        server.requests.clear()
        async with asyncio.timeout(20):
            while [request.unit for request in server.requests].count(1) < 15:
                await asyncio.sleep(0.05)
        units = [request.unit for request in server.requests]
        silent.silent = False
        await until(hass, "power", available, unit_id=2)
        assert await hass.config_entries.async_unload(entry.entry_id)

    # Five polls of three requests, among a request now and then to see whether the others are back.
    assert units.count(2) <= 3
    assert units.count(3) <= 3
    between = "".join(map(str, units)).split("1")
    assert max(map(len, between)) <= 2


async def test_a_glitch_on_the_wire_never_reaches_a_counter(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    house = House()
    simulated = SimulatedMeter(1, "eastron_sdm630", house.grid)
    seen: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        assert event.data["new_state"] is not None
        seen.append(event.data["new_state"].state)

    async with MeterServer([simulated]) as server:
        entry = await set_up(hass, server.port, 1)
        await until(hass, "energy_import", available)
        stop = async_track_state_change_event(hass, "sensor.meter_1_imported_energy", note)
        simulated.glitches["energy_import"] = 0.0
        async with asyncio.timeout(10):
            while simulated.glitches:
                await asyncio.sleep(0.05)
        asked = len(server.requests)
        async with asyncio.timeout(10):
            while len(server.requests) < asked + 6:
                await asyncio.sleep(0.05)
        stop()
        assert await hass.config_entries.async_unload(entry.entry_id)

    assert all(float(value) >= 8100 for value in seen)
