"""What our own Modbus link reads of a virtual meter is what the states say."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from homeassistant.components.modbus import async_get_temporary_unit
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
from modbus_connection import ModbusTcpParams
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.modbus.sunspec import find_models
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES

from .conftest import AddEntry, Line, meter, point

WITHIN_S = 30
VALUES: Mapping[str, float] = {
    "voltage_l1": 230.1,
    "voltage_l2": 231.2,
    "voltage_l3": 229.9,
    "current_l1": 6.25,
    "power": -4321.0,
    "power_l1": -1437.0,
    "apparent_power": 4400.0,
    "reactive_power": 120.0,
    "power_factor": 0.98,
    "frequency": 49.98,
    "energy_import": 8123.4,
    "energy_export": 412.7,
}


def fill(hass: HomeAssistant, quantities: Mapping[str, float]) -> list[dict[str, Any]]:
    """Show values as other integrations do, and return the points that take them."""
    for key, value in quantities.items():
        unit = QUANTITIES[key].unit
        attributes = {} if unit is None else {"unit_of_measurement": unit}
        hass.states.async_set(f"sensor.source_{key}", str(value), attributes)
    return [point(f"sensor.source_{key}", key, unit=QUANTITIES[key].unit) for key in quantities]


async def serve(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)


async def until_read(hass: HomeAssistant, reader: MockConfigEntry) -> dict[str, float]:
    """Set our own link up and return what its meter's sensors show, once they all do."""
    reader.add_to_hass(hass)
    assert await hass.config_entries.async_setup(reader.entry_id)
    registry = er.async_get(hass)
    sensors = {
        known.entity_id: known.translation_key
        for known in er.async_entries_for_config_entry(registry, reader.entry_id)
        if known.translation_key in VALUES and not known.disabled
    }
    values: dict[str, float] = {}
    complete = asyncio.Event()

    def take(entity_id: str) -> None:
        if (state := hass.states.get(entity_id)) is None:
            return
        try:
            value = float(state.state)
        except ValueError:
            return
        key = sensors[entity_id]
        assert key is not None
        values[key] = value
        if len(values) == len(sensors):
            complete.set()

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        take(event.data["entity_id"])

    stop = async_track_state_change_event(hass, sensors, changed)
    for entity_id in sensors:
        take(entity_id)
    async with asyncio.timeout(WITHIN_S):
        await complete.wait()
    stop()
    assert await hass.config_entries.async_unload(reader.entry_id)
    return values


def reader_of(data: dict[str, Any], **changes: Any) -> MockConfigEntry:
    return MockConfigEntry(
        domain=DOMAIN,
        title="Reader",
        data={"kind": "modbus", **data},
        subentries_data=[
            ConfigSubentryData(
                subentry_id="reader",
                subentry_type="meter",
                title="Reader",
                unique_id="1",
                data={
                    "unit_id": 1,
                    "register_map": "eastron_sdm630",
                    "fast_interval_s": 1,
                    "slow_interval_s": 1,
                    **changes,
                },
            )
        ],
    )


@pytest.mark.parametrize("transport", ["tcp", "rtu_over_tcp"])
async def test_our_link_reads_an_sdm630_over_the_network(
    hass: HomeAssistant, add_entry: AddEntry, transport: str
) -> None:
    entry = add_entry(meter(*fill(hass, VALUES)), transport=transport)
    await serve(hass, entry)
    port = entry.data["port"]
    values = await until_read(
        hass, reader_of({"transport": transport, "host": "127.0.0.1", "port": port})
    )
    assert {key: VALUES[key] for key in values} == values
    assert values.keys() >= {"power", "voltage_l3", "energy_export"}


async def test_our_link_reads_an_sdm630_on_a_serial_line(
    hass: HomeAssistant, add_entry: AddEntry, line: Line
) -> None:
    settings = {"baudrate": 115200, "parity": "none", "stopbits": 1}
    entry = add_entry(
        meter(*fill(hass, VALUES)), transport="serial", device=line.served, **settings
    )
    await serve(hass, entry)
    reader = reader_of({"transport": "serial", "device": line.client, "bytesize": 8, **settings})
    values = await until_read(hass, reader)
    assert {key: VALUES[key] for key in values} == values
    clients = hass.states.get("sensor.virtual_meter_clients")
    assert clients is not None
    assert clients.state == "1"
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("model", [203, 213])
async def test_our_link_finds_and_reads_sunspec(
    hass: HomeAssistant, add_entry: AddEntry, model: int
) -> None:
    entry = add_entry(meter(*fill(hass, VALUES), profile=f"sunspec_{model}"))
    await serve(hass, entry)
    port = entry.data["port"]
    async with async_get_temporary_unit(
        hass, ModbusTcpParams(host="127.0.0.1", port=port), 1
    ) as unit:
        (found,) = await find_models(unit)
    assert (found.model, found.manufacturer) == (model, "Grid Telemetry")
    assert found.product == f"SunSpec {model}"
    reader = reader_of(
        {"transport": "tcp", "host": "127.0.0.1", "port": port},
        register_map=f"sunspec_{model}",
        sunspec=asdict(found),
    )
    values = await until_read(hass, reader)
    # Counters are float32 of Wh in model 213: seven digits.
    assert values == pytest.approx({key: VALUES[key] for key in values}, rel=1e-7)
    assert values.keys() >= {"power", "voltage_l3", "energy_export"}
