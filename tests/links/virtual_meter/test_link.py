"""The link in Home Assistant: what clients read, and how it fares."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
import math
from pathlib import Path
import socket
import time
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.util import dt as dt_util
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.grid_telemetry.connection.traffic import traffic_of
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES
from tests.clock import clocks_ahead

from .conftest import AddEntry, Connect, meter, point
from .test_subentries import OWN_MAP

TYPES = AsyncModbusTcpClient.DATATYPE
WITHIN_S = 20
NOT_AVAILABLE = 0x8000


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> MockConfigEntry:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


def show(hass: HomeAssistant, entity_id: str, value: Any, unit: str | None) -> None:
    attributes = {} if unit is None else {"unit_of_measurement": unit}
    hass.states.async_set(entity_id, str(value), attributes)


async def floats(
    client: AsyncModbusTcpClient, address: int, *, unit: int = 1, holding: bool = False
) -> float:
    """Return the float32 at an address."""
    ask = client.read_holding_registers if holding else client.read_input_registers
    answer = await ask(address, count=2, device_id=unit)
    assert not answer.isError(), answer
    value = client.convert_from_registers(answer.registers, TYPES.FLOAT32)
    assert isinstance(value, float)
    return value


def diagnosed(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    """Return what the diagnostics of a link say."""
    found: dict[str, Any] = entry.runtime_data.diagnostics()
    return found


def shown(hass: HomeAssistant, entry: MockConfigEntry, key: str) -> State:
    """Return the state of a figure."""
    entity_id = er.async_get(hass).async_get_entity_id(
        "sensor", DOMAIN, f"{entry.entry_id}_virtual_meter_{key}"
    )
    assert entity_id is not None
    state = hass.states.get(entity_id)
    assert state is not None
    return state


def figure(hass: HomeAssistant, entry: MockConfigEntry, key: str) -> str:
    return shown(hass, entry, key).state


def read_figures(hass: HomeAssistant) -> None:
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=6))


@contextmanager
def later(seconds: float) -> Iterator[None]:
    """Let states look older than they are; the sockets' own clock runs on."""
    with clocks_ahead() as ahead:
        ahead.seconds = seconds
        yield


async def test_an_sdm630_has_the_states_in_its_registers(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 1.2345, "kW")
    show(hass, "sensor.bought", 8123.4, "kWh")
    show(hass, "sensor.voltage", 230.2, "V")
    entry = await set_up(
        hass,
        add_entry(
            meter(
                point("sensor.grid", "power", unit="W", factor=-1.0),
                point("sensor.bought", "energy_import", unit="kWh"),
                point("sensor.voltage", "voltage_l1", unit="V"),
            )
        ),
    )
    client = await connect(entry)
    assert await floats(client, 0x34) == pytest.approx(-1234.5, rel=1e-6)
    assert await floats(client, 0x48) == pytest.approx(8123.4, rel=1e-6)
    assert await floats(client, 0x00) == pytest.approx(230.2, rel=1e-6)
    # What no sensor fills, and what lies between the quantities.
    assert await floats(client, 0x02) == 0
    assert await floats(client, 0x32) == 0
    serial = await client.read_holding_registers(0xFC00, count=2, device_id=1)
    assert any(serial.registers)

    show(hass, "sensor.grid", 2, "kW")
    assert await floats(client, 0x34) == -2000


async def test_an_sdm120_stands_beside_it_on_the_same_port(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.solar", -640.5, "W")
    entry = add_entry(
        meter(),
        meter(point("sensor.solar", "power", unit="W"), profile="eastron_sdm120", unit=7),
    )
    client = await connect(await set_up(hass, entry))
    assert await floats(client, 0x0C, unit=7) == -640.5
    assert await floats(client, 0x0C, unit=1) == 0
    nobody = await client.read_input_registers(0x0C, count=2, device_id=9)
    assert nobody.exception_code == 11


# Offsets in the model, from its number on, and scale factors.
SUNSPEC_203 = {
    "current_l2": (4, 6, "INT16", 12.34),
    "voltage_l1": (8, 15, "INT16", 230.1),
    "voltage_l3_l1": (14, 15, "INT16", 399.9),
    "frequency": (16, 17, "INT16", 50.02),
    "power": (18, 22, "INT16", -4321.0),
    "apparent_power": (23, 27, "INT16", 5000.0),
    "reactive_power_l3": (31, 32, "INT16", -17.0),
    "power_factor": (33, 37, "INT16", -0.987),
    "energy_export": (38, 54, "UINT32", 123.456),
    "energy_import": (46, 54, "UINT32", 81234.567),
    "reactive_energy_q4": (96, 104, "UINT32", 9.876),
}
# Of SunSpec's units in ours.
SUNSPEC_UNITS = {"energy": 1000, "reactive_energy": 1000, "power_factor": 100}


async def test_sunspec_203_has_integers_and_scale_factors(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    for key, (*_, value) in SUNSPEC_203.items():
        show(hass, f"sensor.{key}", value, QUANTITIES[key].unit)
    points = [point(f"sensor.{key}", key, unit=QUANTITIES[key].unit) for key in SUNSPEC_203]
    entry = await set_up(hass, add_entry(meter(*points, profile="sunspec_203", unit=126)))
    client = await connect(entry)
    header = await client.read_holding_registers(40000, count=4, device_id=126)
    assert header.registers == [0x5375, 0x6E53, 1, 65]
    model = await client.read_holding_registers(40069, count=107, device_id=126)
    assert model.registers[:2] == [203, 105]
    for key, (offset, factor, kind, value) in SUNSPEC_203.items():
        words = model.registers[offset : offset + (2 if kind == "UINT32" else 1)]
        raw = client.convert_from_registers(words, TYPES[kind])
        exponent = client.convert_from_registers([model.registers[factor]], TYPES.INT16)
        assert isinstance(raw, int)
        assert isinstance(exponent, int)
        per_unit = SUNSPEC_UNITS.get(str(QUANTITIES[key].device_class), 1)
        assert raw * 10**exponent == pytest.approx(value * per_unit, abs=10**exponent / 2), key
    # What no sensor fills.
    assert model.registers[3] == NOT_AVAILABLE
    assert model.registers[40:42] == [0, 0]
    end = await client.read_holding_registers(40176, count=2, device_id=126)
    assert end.registers == [0xFFFF, 0]


async def test_a_counter_of_sunspec_never_falls_to_zero(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    """SunSpec has 0 for a counter that is not available, which a master would book."""
    bought = point("sensor.bought", "energy_import", unit="kWh")
    entry = await set_up(hass, add_entry(meter(bought, profile="sunspec_203")))
    client = await connect(entry)

    async def counter() -> int | None:
        answer = await client.read_holding_registers(40069 + 46, count=2, device_id=1)
        if answer.isError():
            return None
        raw = client.convert_from_registers(answer.registers, TYPES.UINT32)
        assert isinstance(raw, int)
        return raw

    assert await counter() is None
    show(hass, "sensor.bought", 8123.4, "kWh")
    shown = await counter()
    assert shown
    for state in ("unknown", "unavailable"):
        show(hass, "sensor.bought", state, "kWh")
        assert await counter() == shown
    show(hass, "sensor.bought", 8123.5, "kWh")
    assert (await counter() or 0) > shown


async def test_sunspec_213_has_floats(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 43210.5, "W")
    show(hass, "sensor.factor", 98.7, "%")
    show(hass, "sensor.sold", 1.5, "MWh")
    entry = add_entry(
        meter(
            point("sensor.grid", "power", unit="W"),
            point("sensor.factor", "power_factor", factor=0.01),
            point("sensor.sold", "energy_export", unit="kWh"),
            profile="sunspec_213",
        )
    )
    client = await connect(await set_up(hass, entry))
    model = await client.read_holding_registers(40069, count=2, device_id=1)
    assert model.registers == [213, 124]
    assert await floats(client, 40069 + 28, holding=True) == 43210.5
    assert await floats(client, 40069 + 52, holding=True) == pytest.approx(0.987)
    assert await floats(client, 40069 + 60, holding=True) == 1_500_000
    assert math.isnan(await floats(client, 40069 + 12, holding=True))
    end = await client.read_holding_registers(40195, count=2, device_id=1)
    assert end.registers == [0xFFFF, 0]


async def test_a_value_that_is_stale_is_not_available_or_refused(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 100, "W")
    grid = point("sensor.grid", "power", unit="W")
    entry = add_entry(
        meter(grid, max_age_s=60),
        meter(grid, profile="sunspec_203", unit=2, max_age_s=60),
        meter(grid, profile="sunspec_213", unit=3, max_age_s=120),
    )
    client = await connect(await set_up(hass, entry))

    async def power_203() -> int:
        answer = await client.read_holding_registers(40087, count=1, device_id=2)
        return int(answer.registers[0])

    with later(59):
        assert await floats(client, 0x34) == 100
        assert await power_203() == 100
    with later(61):
        refused = await client.read_input_registers(0, count=80, device_id=1)
        assert refused.exception_code == 4
        # The others of the meter can still be read.
        assert await floats(client, 0x48) == 0
        assert await power_203() == NOT_AVAILABLE
        assert await floats(client, 40097, unit=3, holding=True) == 100
        read_figures(hass)
        await hass.async_block_till_done()
        assert figure(hass, entry, "stale") == "2"
    with later(121):
        assert math.isnan(await floats(client, 40097, unit=3, holding=True))
        # The same value reported again is a new one.
        hass.states.async_set(
            "sensor.grid", "100", {"unit_of_measurement": "W"}, timestamp=time.time() + 121
        )
        assert await power_203() == 100
    show(hass, "sensor.grid", "unavailable", "W")
    assert await power_203() == NOT_AVAILABLE
    # More than 16 bits hold.
    show(hass, "sensor.grid", 40, "kW")
    assert await power_203() == NOT_AVAILABLE


async def test_a_renamed_entity_is_read_on_and_a_removed_one_is_not(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    registry = er.async_get(hass)
    known = registry.async_get_or_create("sensor", "test", "grid", suggested_object_id="grid")
    show(hass, "sensor.grid", 100, "W")
    entry = add_entry(meter(point(known.id, "power", unit="W")))
    client = await connect(await set_up(hass, entry))
    assert await floats(client, 0x34) == 100
    registry.async_update_entity("sensor.grid", new_entity_id="sensor.house")
    hass.states.async_remove("sensor.grid")
    show(hass, "sensor.house", 200, "W")
    await hass.async_block_till_done()
    assert await floats(client, 0x34) == 200
    registry.async_remove("sensor.house")
    await hass.async_block_till_done()
    assert (await client.read_input_registers(0x34, count=2, device_id=1)).exception_code == 4


@pytest.mark.parametrize(
    ("function", "address", "count", "code"),
    [
        ("read_holding_registers", 0, 2, 2),
        ("read_holding_registers", 0xFC00, 3, 2),
        ("read_input_registers", 0, 81, 3),
        ("read_input_registers", 0x17D, 2, 2),
        ("read_coils", 0, 1, 1),
    ],
)
async def test_what_the_meter_does_not_have_is_refused(
    hass: HomeAssistant,
    add_entry: AddEntry,
    connect: Connect,
    function: str,
    address: int,
    count: int,
    code: int,
) -> None:
    client = await connect(await set_up(hass, add_entry(meter())))
    answer = await getattr(client, function)(address, count=count, device_id=1)
    assert answer.exception_code == code


async def test_nothing_can_be_written(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    client = await connect(await set_up(hass, add_entry(meter(profile="sunspec_213"))))
    assert (await client.write_register(40087, 1, device_id=1)).exception_code == 1
    assert (await client.write_registers(40087, [1, 2], device_id=1)).exception_code == 1


async def test_sunspec_is_not_in_the_input_registers(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    client = await connect(await set_up(hass, add_entry(meter(profile="sunspec_213"))))
    assert (await client.read_input_registers(40000, count=2, device_id=1)).exception_code == 1


async def test_rtu_over_tcp_is_silent_for_other_units(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 100, "W")
    entry = add_entry(
        meter(point("sensor.grid", "power", unit="W"), unit=5), transport="rtu_over_tcp"
    )
    await set_up(hass, entry)
    client = await connect(entry, timeout=0.3)
    with pytest.raises(ModbusIOException):
        await client.read_input_registers(0x34, count=2, device_id=6)
    client = await connect(entry)
    assert await floats(client, 0x34, unit=5) == 100


async def test_the_health_is_shown(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    entry = await set_up(hass, add_entry(meter(point("sensor.gone", "power", unit="W"))))
    assert figure(hass, entry, "clients") == "0"
    assert figure(hass, entry, "last_request") == "unknown"
    assert figure(hass, entry, "last_refusal") == "none"
    client = await connect(entry)
    await floats(client, 0x48)
    await client.read_input_registers(0x34, count=2, device_id=1)
    read_figures(hass)
    await hass.async_block_till_done()
    assert figure(hass, entry, "clients") == "1"
    assert float(figure(hass, entry, "rate")) > 0
    assert figure(hass, entry, "last_request").endswith(":00+00:00")
    assert figure(hass, entry, "refused") == "1"
    assert figure(hass, entry, "stale") == "1"
    assert figure(hass, entry, "last_refusal") == (
        "127.0.0.1: DEVICE_FAILURE: 04 00 34 00 02 of unit 1"
    )
    (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert device.model == "Virtual meter"
    assert shown(hass, entry, "last_request").attributes["requests"] == [
        "127.0.0.1: 04 00 34 00 02 of unit 1"
    ]
    told = await async_get_config_entry_diagnostics(hass, entry)
    assert told["link"] == {
        "clients": 1,
        "requests": 2,
        "refused": 1,
        "expired": 0,
        "asked": {"unit 1, client 1": "04 00 34 00 02"},
        "last_refusal": "127.0.0.1: DEVICE_FAILURE: 04 00 34 00 02 of unit 1",
        "stale": {1: ["power"]},
    }


async def test_a_reload_frees_the_port_at_once_whoever_is_connected(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    entry = await set_up(hass, add_entry(meter()))
    clients = [await connect(entry) for _ in range(3)]
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    assert await floats(await connect(entry), 0) == 0
    assert await hass.config_entries.async_unload(entry.entry_id)
    with socket.create_server(("127.0.0.1", entry.data["port"])):
        pass
    async with asyncio.timeout(WITHIN_S):
        while any(client.connected for client in clients):
            await asyncio.sleep(0.01)


async def test_a_new_meter_is_served_at_once(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    entry = await set_up(hass, add_entry())
    new = meter(unit=3)
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data=MappingProxyType(dict(new["data"])),
            subentry_type=new["subentry_type"],
            title=new["title"],
            unique_id=None,
        ),
    )
    await hass.async_block_till_done()
    assert await floats(await connect(entry), 0, unit=3) == 0


async def test_a_port_in_use_is_tried_again(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry(meter())
    with socket.create_server(("127.0.0.1", entry.data["port"])):
        assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "cannot_listen"
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert await hass.config_entries.async_remove(entry.entry_id)


async def test_strangers_are_not_let_in(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    entry = await set_up(hass, add_entry(meter(), allowed_networks=["192.168.1.0/24"]))
    client = await connect(entry)
    async with asyncio.timeout(WITHIN_S):
        while client.connected:
            await asyncio.sleep(0.01)
    read_figures(hass)
    await hass.async_block_till_done()
    assert figure(hass, entry, "last_refusal") == "127.0.0.1: Not in an allowed network"
    assert figure(hass, entry, "clients") == "0"


async def test_a_counter_holds_its_last_value_and_has_none_before_the_first(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 100, "W")
    entry = add_entry(
        meter(
            point("sensor.grid", "power", unit="W"),
            point("sensor.sold", "energy_export", unit="kWh"),
        )
    )
    client = await connect(await set_up(hass, entry))
    refused = await client.read_input_registers(0x34, count=24, device_id=1)
    assert refused.exception_code == 4
    assert await floats(client, 0x34) == 100
    show(hass, "sensor.sold", 12.5, "kWh")
    assert await floats(client, 0x4A) == 12.5
    with later(400):
        hass.states.async_set(
            "sensor.grid", "90", {"unit_of_measurement": "W"}, timestamp=time.time() + 400
        )
        answer = await client.read_input_registers(0x34, count=24, device_id=1)
        assert not answer.isError()
        assert await floats(client, 0x34) == 90
        assert await floats(client, 0x4A) == 12.5
    show(hass, "sensor.sold", "unavailable", "kWh")
    assert await floats(client, 0x4A) == 12.5


@pytest.mark.parametrize("profile", ["eastron_sdm630", "sunspec_213", "abb_b23"])
async def test_a_counter_is_held_over_a_restart(
    hass: HomeAssistant,
    add_entry: AddEntry,
    connect: Connect,
    hass_storage: dict[str, Any],
    profile: str,
) -> None:
    """Home Assistant shows it as unknown until the integration behind it is up."""
    where = {
        "eastron_sdm630": ("read_input_registers", 0x48, 2),
        "sunspec_213": ("read_holding_registers", 40069 + 68, 2),
        "abb_b23": ("read_holding_registers", 0x5000, 4),
    }
    ask, address, count = where[profile]
    show(hass, "sensor.bought", 500, "kWh")
    entry = add_entry(meter(point("sensor.bought", "energy_import", unit="kWh"), profile=profile))

    async def counted() -> list[int] | None:
        client = await connect(entry)
        answer = await getattr(client, ask)(address, count=count, device_id=1)
        return None if answer.isError() else list(answer.registers)

    await set_up(hass, entry)
    before = await counted()
    assert before is not None
    assert any(before)
    assert await hass.config_entries.async_unload(entry.entry_id)
    show(hass, "sensor.bought", "unknown", "kWh")
    await set_up(hass, entry)
    assert await counted() == before
    # Nothing was kept in order: what was served before is not known, and may have been more.
    key = f"{DOMAIN}.served_{entry.entry_id}"
    assert key not in hass_storage
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert key in hass_storage
    del hass_storage[key]
    await set_up(hass, entry)
    assert await counted() is None
    assert await hass.config_entries.async_remove(entry.entry_id)
    assert key not in hass_storage


async def test_a_counter_without_a_first_value_is_silent_where_the_meter_is(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    bought = point("sensor.bought", "energy_import", unit="kWh")
    entry = await set_up(hass, add_entry(meter(bought, when_old="silence")))
    client = await connect(entry, timeout=0.3, retries=0)
    with pytest.raises(ModbusIOException):
        await client.read_input_registers(0x48, count=2, device_id=1)


async def test_more_than_a_register_holds_is_refused(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 1e12, "W")
    grid = point("sensor.grid", "power", unit="W")
    entry = await set_up(hass, add_entry(meter(grid, profile="carlo_gavazzi_et340")))
    answer = await (await connect(entry)).read_holding_registers(0x28, count=2, device_id=1)
    assert answer.exception_code == 4


async def test_a_net_counter_is_held_too(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.net", 7710.5, "kWh")
    net = point("sensor.net", "energy_net", unit="kWh")
    entry = add_entry(meter(net, profile="solaredge_se_mtr_3y", unit=2))
    client = await connect(await set_up(hass, entry))

    async def counted() -> float:
        answer = await client.read_holding_registers(1000, count=2, device_id=2)
        value = client.convert_from_registers(answer.registers, TYPES.FLOAT32, word_order="little")
        assert isinstance(value, float)
        return value

    assert await counted() == 7710.5
    with later(1000):
        assert await counted() == 7710.5
    show(hass, "sensor.net", "unavailable", "kWh")
    assert await counted() == 7710.5


async def test_a_counter_with_another_factor_begins_anew(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.bought", 500, "kWh")
    bought = point("sensor.bought", "energy_import", unit="kWh")
    entry = await set_up(hass, add_entry(meter(bought)))
    assert await floats(await connect(entry), 0x48) == 500
    (subentry,) = entry.subentries.values()
    show(hass, "sensor.bought", "unknown", "kWh")
    hass.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, "points": [{**bought, "factor": 2.0}]}
    )
    await hass.async_block_till_done()
    answer = await (await connect(entry)).read_input_registers(0x48, count=2, device_id=1)
    assert answer.exception_code == 4


@pytest.mark.parametrize(
    ("when_old", "power"),
    [("exception", 4), ("silence", None), ("zero", 0.0), ("not_available", math.nan)],
)
async def test_a_power_that_is_too_old_is_what_the_master_needs(
    hass: HomeAssistant,
    add_entry: AddEntry,
    connect: Connect,
    when_old: str,
    power: float | None,
) -> None:
    show(hass, "sensor.grid", 100, "W")
    played = meter(
        point("sensor.grid", "power", unit="W"),
        profile="sunspec_213",
        max_age_s=100,
        when_old=when_old,
    )
    entry = await set_up(hass, add_entry(played))
    client = await connect(entry, timeout=0.5)
    with later(50):
        assert await floats(client, 40097, holding=True) == 100
    with later(101):
        if power is None:
            with pytest.raises(ModbusIOException):
                await client.read_holding_registers(40097, count=2, device_id=1)
            assert "NO_ANSWER" in diagnosed(hass, entry)["last_refusal"]
        elif power == 4:
            answer = await client.read_holding_registers(40097, count=2, device_id=1)
            assert answer.exception_code == 4
        else:
            assert await floats(client, 40097, holding=True) == pytest.approx(power, nan_ok=True)


async def test_a_voltage_that_is_too_old_refuses_no_power(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 100, "W")
    show(hass, "sensor.voltage", 230, "V")
    entry = add_entry(
        meter(
            point("sensor.grid", "power", unit="W"),
            point("sensor.voltage", "voltage_l1", unit="V"),
            max_age_s=None,
        )
    )
    client = await connect(await set_up(hass, entry))
    for seconds, voltage in ((200, 230), (301, 0)):
        with later(seconds):
            hass.states.async_set(
                "sensor.grid", "90", {"unit_of_measurement": "W"}, timestamp=time.time() + seconds
            )
            answer = await client.read_input_registers(0, count=0x36, device_id=1)
            assert not answer.isError()
            assert await floats(client, 0) == voltage
            assert await floats(client, 0x34) == 90


async def test_a_meter_of_abb_says_not_available_of_a_power_only(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    """Its largest number is one that a charger may take for a voltage."""
    points = (
        point("sensor.grid", "power", unit="W"),
        point("sensor.voltage", "voltage_l1", unit="V"),
    )
    entry = add_entry(meter(*points, profile="abb_b23", when_old="not_available"))
    client = await connect(await set_up(hass, entry))
    voltage = await client.read_holding_registers(0x5B00, count=2, device_id=1)
    assert voltage.registers == [0, 0]
    power = await client.read_holding_registers(0x5B14, count=2, device_id=1)
    assert power.registers == [0x7FFF, 0xFFFF]


async def test_a_meter_that_is_alone_may_answer_for_every_unit(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 100, "W")
    entry = add_entry(meter(point("sensor.grid", "power", unit="W"), any_unit_id=True))
    client = await connect(await set_up(hass, entry))
    for unit in (0, 1, 3, 240, 255):
        assert await floats(client, 0x34, unit=unit) == 100


async def test_on_a_line_nobody_answers_what_is_for_all_units(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 100, "W")
    grid = point("sensor.grid", "power", unit="W")
    entry = add_entry(meter(grid, any_unit_id=True), transport="rtu_over_tcp")
    client = await connect(await set_up(hass, entry), timeout=0.3, retries=0)
    with pytest.raises(ModbusIOException):
        await floats(client, 0x34, unit=0)
    assert await floats(await connect(entry), 0x34, unit=3) == 100


async def test_a_meter_can_have_the_unit_id_254(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 100, "W")
    entry = add_entry(
        meter(point("sensor.grid", "power", unit="W"), unit=254), transport="rtu_over_tcp"
    )
    client = await connect(await set_up(hass, entry))
    assert await floats(client, 0x34, unit=254) == 100


async def test_the_age_of_the_power_that_is_served_is_shown(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 100, "W")
    entry = await set_up(hass, add_entry(meter(point("sensor.grid", "power", unit="W"))))
    assert figure(hass, entry, "power_age") == "unknown"
    client = await connect(entry)
    with later(200):
        assert await floats(client, 0x34) == 100
    read_figures(hass)
    await hass.async_block_till_done()
    assert 200 <= int(figure(hass, entry, "power_age")) < 300
    assert figure(hass, entry, "expired") == "0"


async def test_nothing_is_answered_after_its_master_gave_up(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    """The inverters of SolarEdge wait for 100 ms."""
    show(hass, "sensor.grid", 100, "W")
    played = meter(point("sensor.grid", "power", unit="W"), profile="solaredge_se_mtr_3y", unit=2)
    entry = await set_up(hass, add_entry(played, transport="rtu_over_tcp"))
    with socket.create_connection(("127.0.0.1", entry.data["port"])) as master:
        await asyncio.sleep(0.1)
        master.sendall(bytes.fromhex("02 03 03f0 0002 c44f"))
        time.sleep(0.12)  # the loop stands still before it is received
        async with asyncio.timeout(WITHIN_S):
            while not diagnosed(hass, entry)["expired"]:
                await asyncio.sleep(0.01)
        assert diagnosed(hass, entry)["requests"] == 0


async def test_a_meter_of_the_users_own_is_played(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect, tmp_path: Path
) -> None:
    hass.config.config_dir = str(tmp_path)
    folder = Path(hass.config.path("grid_telemetry", "meters"))
    folder.mkdir(parents=True)
    (folder / "acme.yaml").write_text(OWN_MAP, encoding="utf-8")
    show(hass, "sensor.grid", 100, "W")
    entry = add_entry(meter(point("sensor.grid", "power", unit="W"), profile="acme_m1"))
    client = await connect(await set_up(hass, entry))
    assert await floats(client, 0x10, holding=True) == 1000
    (folder / "acme.yaml").unlink()
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == "unknown_meter"


async def test_a_sign_can_be_turned(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 100, "W")
    show(hass, "sensor.bought", 500, "kWh")
    points = (
        point("sensor.grid", "power", unit="W"),
        point("sensor.bought", "energy_import", unit="kWh"),
    )
    entry = add_entry(meter(*points, positive_power="export"))
    client = await connect(await set_up(hass, entry))
    assert await floats(client, 0x34) == -100
    assert await floats(client, 0x48) == 500


@pytest.mark.parametrize(
    ("chosen", "after_s", "served"),
    [
        ({}, 29, True),
        ({}, 31, False),
        ({"max_age_s": 10}, 11, False),
        ({"max_age_s": 0}, 9e5, True),
    ],
)
async def test_how_old_a_power_may_be_is_by_point(
    hass: HomeAssistant,
    add_entry: AddEntry,
    connect: Connect,
    chosen: dict[str, Any],
    after_s: float,
    served: bool,
) -> None:
    show(hass, "sensor.grid", 100, "W")
    entry = add_entry(meter(point("sensor.grid", "power", unit="W", **chosen), max_age_s=None))
    client = await connect(await set_up(hass, entry))
    assert await floats(client, 0x34) == 100
    with later(after_s):
        answer = await client.read_input_registers(0x34, count=2, device_id=1)
        assert answer.isError() is not served


async def test_a_sensor_that_reports_every_minute_is_served_between(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 100, "W")
    entry = add_entry(meter(point("sensor.grid", "power", unit="W"), max_age_s=None))
    client = await connect(await set_up(hass, entry))
    with clocks_ahead() as ahead:
        for _ in range(3):
            assert await floats(client, 0x34) == 100
            ahead.seconds += 60
            hass.states.async_set(
                "sensor.grid",
                "100",
                {"unit_of_measurement": "W"},
                timestamp=time.time() + ahead.seconds,
            )
        ahead.seconds += 140
        assert await floats(client, 0x34) == 100
        ahead.seconds += 20
        answer = await client.read_input_registers(0x34, count=2, device_id=1)
        assert answer.exception_code == 4


async def test_a_counter_that_shows_zero_for_a_moment_is_held(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    attributes = {"unit_of_measurement": "kWh", "state_class": "total_increasing"}
    hass.states.async_set("sensor.bought", "500", attributes)
    entry = add_entry(meter(point("sensor.bought", "energy_import", unit="kWh")))
    client = await connect(await set_up(hass, entry))
    assert await floats(client, 0x48) == 500
    hass.states.async_set("sensor.bought", "0", attributes)
    assert await floats(client, 0x48) == 500
    hass.states.async_set("sensor.bought", "500.5", attributes)
    assert await floats(client, 0x48) == 500.5


async def test_what_was_believed_of_a_counter_is_kept_over_a_restart(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect, hass_storage: dict[str, Any]
) -> None:
    attributes = {"unit_of_measurement": "kWh", "state_class": "total_increasing"}
    hass.states.async_set("sensor.bought", "500", attributes)
    entry = add_entry(meter(point("sensor.bought", "energy_import", unit="kWh")))
    client = await connect(await set_up(hass, entry))
    assert await floats(client, 0x48) == 500
    assert await hass.config_entries.async_unload(entry.entry_id)
    # As another integration shows for some seconds after a restart: not nothing, but too little.
    hass.states.async_set("sensor.bought", "3", attributes)
    assert await hass.config_entries.async_setup(entry.entry_id)
    client = await connect(entry)
    assert await floats(client, 0x48) == 500
    key = f"{DOMAIN}.counters_{entry.entry_id}"
    assert len(hass_storage[key]["data"]["counters"]) == 1
    assert await hass.config_entries.async_remove(entry.entry_id)
    assert key not in hass_storage


async def ask_until_stuck(client: AsyncModbusTcpClient, address: int) -> None:
    for _ in range(10):
        answer = await client.read_holding_registers(address, count=1, device_id=1)
        assert answer.exception_code == 2


async def a_minute_later(hass: HomeAssistant) -> None:
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
    await hass.async_block_till_done(wait_background_tasks=True)


@pytest.mark.parametrize(
    ("address", "key", "meters"),
    [
        (2001, "unmet_request", "Huawei DTSU666-H"),
        (54_321, "unmet_request_unknown", ""),
    ],
)
async def test_a_client_that_gets_no_further_is_told_with_the_meter_that_it_wants(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect, address: int, key: str, meters: str
) -> None:
    show(hass, "sensor.grid", 100, "W")
    entry = await set_up(hass, add_entry(meter(point("sensor.grid", "power", unit="W"))))
    client = await connect(entry)
    await ask_until_stuck(client, address)
    await a_minute_later(hass)
    issue_id = f"{key}_{entry.entry_id}_1_127.0.0.1"
    issue = ir.async_get(hass).async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    told = issue.translation_placeholders
    assert told is not None
    assert told["register"] == f"{address} (0x{address:04X})"
    assert (told["client"], told["unit"], told["meter"]) == ("127.0.0.1", "1", "Eastron SDM630")
    assert told["meters"] == meters
    # It gets on.
    assert await floats(client, 0x34) == 100
    await a_minute_later(hass)
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue_id) is None


async def test_a_client_that_scans_and_then_reads_is_not_told(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 100, "W")
    entry = await set_up(hass, add_entry(meter(point("sensor.grid", "power", unit="W"))))
    client = await connect(entry)
    await ask_until_stuck(client, 768)
    assert await floats(client, 0x34) == 100
    await a_minute_later(hass)
    assert not ir.async_get(hass).issues


async def test_what_a_client_was_told_goes_with_its_entry(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    entry = await set_up(hass, add_entry(meter(any_unit_id=True)))
    await ask_until_stuck(await connect(entry), 2001)
    await a_minute_later(hass)
    assert len(ir.async_get(hass).issues) == 1
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert not ir.async_get(hass).issues


async def test_whoever_looks_sees_what_is_read(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect
) -> None:
    show(hass, "sensor.grid", 1000, "W")
    entry = await set_up(hass, add_entry(meter(point("sensor.grid", "power", unit="W"))))
    traffic = traffic_of(hass, entry.entry_id)
    traffic.watch()
    client = await connect(entry)
    await floats(client, 0x34)
    assert (await client.read_input_registers(0x8000, count=2, device_id=1)).isError()
    [read, refused] = traffic.messages.values()
    assert (read.kind, read.about, read.size) == ("0x04", "1: 52 … 53", 4)
    assert read.body == "447a 0000"
    assert refused.refused is not None
