"""Looking for meters: who is there, what it is, and adding several at once."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
import contextlib
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.components.modbus.connection import ModbusConnectionInfo
from homeassistant.config_entries import SOURCE_USER, SubentryFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import (
    EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE,
    FlowResultType,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from modbus_connection import (
    GatewayTargetError,
    IllegalDataAddressError,
    IllegalFunctionError,
    ModbusConnectionError,
    ModbusDesyncError,
    ModbusProtocolError,
    ModbusTcpParams,
    ModbusTimeoutError,
    ServerDeviceBusyError,
)
from modbus_connection.encode import encode_float32
from modbus_connection.mock import MockModbusConnection, MockModbusUnit
from modbus_connection.tmodbus import ModbusConnection
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.modbus import detection
from custom_components.grid_telemetry.links.modbus.line import Line
from custom_components.grid_telemetry.links.modbus.timed_unit import Reads
from custom_components.grid_telemetry.links.modbus.transport import modbus_params
from custom_components.grid_telemetry.links.modbus.unit_access import async_look
from custom_components.grid_telemetry.meters import RegisterMap, load_register_maps
from simulators.house import House
from simulators.meters import Meter, MeterServer, SimulatedMeter
from simulators.sunspec import SunSpecDevice, meter_points, solar_device

from .conftest import LINK, link_entry, meter, start, state, write_sdm630
from .test_sunspec import load

SEARCH = {
    "first_unit_id": 1,
    "last_unit_id": 4,
    "usual_unit_ids": False,
    "timeout_s": 1,
    "fast_interval_s": 2,
    "slow_interval_s": 20,
}

NOTHING = detection.Results(found=[], unknown=[])


@pytest.fixture
def silent(line: MockModbusConnection) -> MockModbusConnection:
    """Return a line at which nobody answers."""
    for unit_id in (*range(1, 17), 71, 126, 200, 240, 247):
        line.for_unit(unit_id).fail_requests(ModbusTimeoutError())
        line.for_unit(unit_id).set_response("read_device_identification", {})
    return line


def answering(line: MockModbusConnection, unit_id: int) -> MockModbusUnit:
    """Let somebody answer as a unit."""
    unit = line.for_unit(unit_id)
    unit.fail_requests(None)
    return unit


def sdm630(line: MockModbusConnection, unit_id: int, **values: float) -> MockModbusUnit:
    """Put an Eastron SDM630 on the line."""
    unit = answering(line, unit_id)
    write_sdm630(unit, voltage_l1=230.2, voltage_l2=229.9, frequency=50.01, **values)
    unit.holding[0xFC00] = [0, unit_id]
    return unit


def shipped(*keys: str) -> dict[str, RegisterMap]:
    """Return some of the maps that there are."""
    known = load_register_maps(Path("/none")).maps
    return {key: known[key] for key in keys}


async def search(
    line: MockModbusConnection,
    *keys: str,
    maps: Mapping[str, RegisterMap] | None = None,
    unit_ids: range = range(1, 5),
    known: Collection[str] = (),
    turns: Line | None = None,
    timeout_s: float = 1,
) -> list[tuple[int, str]]:
    """Search a line for some maps; return the unit ids and the maps that were found."""

    @asynccontextmanager
    async def get_unit(unit_id: int) -> AsyncIterator[Reads]:
        yield Reads(line.for_unit(unit_id), unit_id, turns)

    results = await detection.search(
        line.for_unit(1),
        get_unit,
        unit_ids,
        maps or shipped(*keys),
        timeout_s=timeout_s,
        known=known,
        progress=lambda _: None,
    )
    return [(meter.unit_id, meter.map.key) for meter in results.found]


# --- who is there, and what it is


async def test_meters_are_recognised_where_they_answer(silent: MockModbusConnection) -> None:
    sdm630(silent, 2)
    sdm630(silent, 4)

    assert await search(silent, "eastron_sdm630") == [(2, "eastron_sdm630"), (4, "eastron_sdm630")]


async def test_nobody_is_recognised_on_an_empty_line(silent: MockModbusConnection) -> None:
    assert await search(silent, "eastron_sdm630") == []


async def test_a_meter_of_another_family_is_not_recognised(silent: MockModbusConnection) -> None:
    answering(silent, 1)

    assert await search(silent, "eastron_sdm630", "eastron_sdm120") == []


async def test_a_gateway_that_answers_for_silent_meters_is_asked_once_for_each(
    silent: MockModbusConnection,
) -> None:
    for unit_id in (2, 3):
        silent.for_unit(unit_id).fail_requests(GatewayTargetError())
    sdm630(silent, 4)

    assert await search(silent, "eastron_sdm630") == [(4, "eastron_sdm630")]
    assert len(silent.for_unit(2).read_events) == 1


async def test_a_meter_that_refuses_what_is_asked_first_is_there(
    silent: MockModbusConnection,
) -> None:
    unit = sdm630(silent, 2)
    unit.fail_read(0, IllegalDataAddressError(), register_type="holding")

    assert await search(silent, "eastron_sdm630") == [(2, "eastron_sdm630")]


async def test_a_meter_that_ignores_what_it_does_not_know_is_there(
    silent: MockModbusConnection,
) -> None:
    unit = sdm630(silent, 2)
    for address in (0, 40000, 50000):
        unit.fail_read(address, ModbusTimeoutError(), register_type="holding")

    assert await search(silent, "eastron_sdm630") == [(2, "eastron_sdm630")]


async def test_a_late_answer_of_another_meter_is_none(silent: MockModbusConnection) -> None:
    silent.for_unit(2).fail_requests(ModbusDesyncError("unit 1"))

    assert await search(silent, "eastron_sdm630") == []
    # Both spaces, and in the closer look what the map asks first.
    assert len(silent.for_unit(2).read_events) == 3


async def test_garbled_answers_are_nobody_that_could_be_read(silent: MockModbusConnection) -> None:
    silent.for_unit(2).fail_requests(ModbusProtocolError("crc"))

    assert await search(silent, "eastron_sdm630") == []


async def test_a_meter_that_goes_away_meanwhile_is_left_out(silent: MockModbusConnection) -> None:
    unit = sdm630(silent, 2)
    read = unit.read_input_registers

    async def answer(address: int, count: int) -> list[int]:
        # What it is read by is wider than what it is recognised by.
        if count > 2:
            unit.fail_requests(ModbusTimeoutError())
        return await read(address, count)

    with patch.object(unit, "read_input_registers", answer):
        assert await search(silent, "eastron_sdm630") == []


async def test_maps_are_no_longer_tried_on_a_meter_that_ignores_them(
    silent: MockModbusConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection, "_SILENCE_S", 0.5)
    unit = answering(silent, 2)
    unit.fail_read(0, ModbusTimeoutError(), register_type="input")

    assert await search(silent, "eastron_sdm630", "schneider_iem3000") == []
    assert [event.address for event in unit.read_events if event.count == 2][-1] == 0


async def test_a_meter_that_refuses_all_of_a_map_is_none_of_it(
    silent: MockModbusConnection, tmp_path: Path
) -> None:
    (tmp_path / "acme.yaml").write_text(
        "manufacturer: Acme\nmodels: [One]\nsource: none\nregister_space: holding\n"
        "type: uint16\nrecognise:\n  - {address: 0, equals: 0}\n"
        "quantities:\n  power: {address: 9}\n"
    )
    answering(silent, 2).fail_read(9, IllegalDataAddressError())
    register_map = load_register_maps(tmp_path).maps["acme"]

    assert await search(silent, maps={"acme": register_map}) == []


async def test_a_dropped_line_ends_the_search(silent: MockModbusConnection) -> None:
    answering(silent, 2).fail_read(0, ModbusConnectionError("gone"), register_type="input")

    with pytest.raises(ModbusConnectionError):
        await search(silent, "eastron_sdm630")


async def test_a_line_that_cannot_be_opened_ends_the_search(silent: MockModbusConnection) -> None:
    silent.for_unit(1).fail_requests(ModbusConnectionError("refused"))

    with pytest.raises(ModbusConnectionError):
        await search(silent, "eastron_sdm630")


async def test_a_line_that_drops_between_meters_ends_the_search(
    silent: MockModbusConnection,
) -> None:
    silent.for_unit(3).fail_requests(ModbusConnectionError("gone"))

    with pytest.raises(ModbusConnectionError):
        await search(silent, "eastron_sdm630")


async def test_meters_that_are_set_up_are_left_out(silent: MockModbusConnection) -> None:
    sdm630(silent, 2)
    load(answering(silent, 3), solar_device(3, House()))

    assert await search(silent, "eastron_sdm630", known={"2", "3_103_0"}) == [
        (3, "sunspec_203"),
        (3, "sunspec_802"),
    ]


async def test_the_same_meter_under_several_unit_ids_is_found_once(
    silent: MockModbusConnection,
) -> None:
    for unit_id in (1, 2, 3):
        sdm630(silent, unit_id).holding[0xFC00] = [0, 4711]

    assert await search(silent, "eastron_sdm630") == [(1, "eastron_sdm630")]


@pytest.mark.parametrize("known", [1, 3, 9])
async def test_a_meter_that_is_set_up_is_not_found_under_other_unit_ids(
    silent: MockModbusConnection, known: int
) -> None:
    for unit_id in (1, 2, 3, 9):
        sdm630(silent, unit_id).holding[0xFC00] = [0, 4711]
    sdm630(silent, 4)

    assert await search(silent, "eastron_sdm630", "eastron_sdm54", known={str(known)}) == [
        (4, "eastron_sdm630"),
        (4, "eastron_sdm54"),
    ]


async def test_a_sunspec_model_that_is_set_up_is_not_found_under_other_unit_ids(
    silent: MockModbusConnection,
) -> None:
    for unit_id in (1, 2):
        load(answering(silent, unit_id), solar_device(1, House()))

    assert await search(silent, "eastron_sdm630", known={"1_103_0", "1_802_0"}) == [
        (1, "sunspec_203")
    ]


async def test_a_meter_that_is_set_up_is_not_asked_while_nothing_new_is_found(
    silent: MockModbusConnection,
) -> None:
    unit = sdm630(silent, 9)

    assert await search(silent, "eastron_sdm630", known={"9"}) == []
    assert unit.read_events == []


@pytest.mark.parametrize("error", [ModbusTimeoutError(), IllegalDataAddressError()])
async def test_a_meter_that_is_set_up_but_does_not_answer_hides_nothing(
    silent: MockModbusConnection, error: Exception
) -> None:
    sdm630(silent, 2)
    silent.for_unit(9).fail_requests(error)

    assert await search(silent, "eastron_sdm630", known={"9"}) == [(2, "eastron_sdm630")]


async def test_a_line_that_drops_at_a_meter_that_is_set_up_ends_the_search(
    silent: MockModbusConnection,
) -> None:
    sdm630(silent, 2)
    silent.for_unit(9).fail_requests(ModbusConnectionError("gone"))

    with pytest.raises(ModbusConnectionError):
        await search(silent, "eastron_sdm630", known={"9"})


async def test_a_meter_without_serial_number_is_known_by_what_it_counted(
    silent: MockModbusConnection,
) -> None:
    for unit_id, energy in ((1, 8100.5), (2, 8100.75), (3, 12.5), (4, 0.0)):
        unit = sdm630(silent, unit_id, energy_import=energy)
        unit.fail_read(0xFC00, IllegalDataAddressError())

    assert [unit_id for unit_id, _ in await search(silent, "eastron_sdm630")] == [1, 3, 4]


async def test_new_meters_without_serial_number_are_taken_for_different_ones(
    silent: MockModbusConnection,
) -> None:
    for unit_id in (1, 2):
        sdm630(silent, unit_id).fail_read(0xFC00, IllegalDataAddressError())

    assert len(await search(silent, "eastron_sdm630")) == 2


async def test_look_alikes_are_all_found(silent: MockModbusConnection) -> None:
    sdm630(silent, 2)

    assert {key for _, key in await search(silent, "eastron_sdm630", "eastron_sdm54")} == {
        "eastron_sdm630",
        "eastron_sdm54",
    }


async def test_the_map_with_the_most_telling_checks_comes_first(
    silent: MockModbusConnection, tmp_path: Path
) -> None:
    for name, check in (
        ("a_range", "between: [1, 9]"),
        ("b_code", "equals: 7"),
        ("c_codes", "equals: [6, 7]}\n  - {address: 1, between: [0, 1]"),
    ):
        (tmp_path / f"{name}.yaml").write_text(
            "manufacturer: Acme\nmodels: [One]\nsource: none\nregister_space: holding\n"
            f"type: uint16\nrecognise:\n  - {{address: 0, {check}}}\n"
            "quantities:\n  power: {address: 2}\n"
        )
    answering(silent, 1).holding[0] = 7

    maps = load_register_maps(tmp_path).maps
    found = await search(
        silent,
        maps={key: maps[key] for key in ("a_range", "b_code", "c_codes")},
        unit_ids=range(1, 2),
    )

    assert [key for _, key in found] == ["c_codes", "b_code", "a_range"]


# --- what a meter is by its own word


def own_maps(folder: Path, **maps: str) -> Mapping[str, RegisterMap]:
    """Return maps that differ in how they are told apart."""
    for name, checks in maps.items():
        (folder / f"{name}.yaml").write_text(
            "manufacturer: Acme\nmodels: [One]\nsource: none\nregister_space: holding\n"
            f"type: uint16\n{checks}\nquantities:\n  power: {{address: 2}}\n"
        )
    known = load_register_maps(folder).maps
    return {key: known[key] for key in maps}


RANGE = "recognise:\n  - {address: 0, between: [1, 9]}"


async def test_an_exact_id_decides_against_look_alikes(
    silent: MockModbusConnection, tmp_path: Path
) -> None:
    maps = own_maps(tmp_path, by_range=RANGE, by_id="identify:\n  - {address: 1, equals: [71, 72]}")
    answering(silent, 1).holding[0] = [7, 72]
    answering(silent, 2).holding[0] = [7, 73]

    assert await search(silent, maps=maps) == [(1, "by_id"), (2, "by_range")]


async def test_an_id_that_another_register_has_by_chance_hides_nothing(
    silent: MockModbusConnection, tmp_path: Path
) -> None:
    maps = own_maps(tmp_path, by_range=RANGE, by_id="identify:\n  - {address: 1, equals: [71, 72]}")
    quantity = maps["by_id"].quantities["power"]
    elsewhere = replace(maps["by_id"], quantities={"power": replace(quantity, address=9)})
    unit = answering(silent, 1)
    unit.holding[0] = [7, 72]
    unit.fail_read(9, IllegalDataAddressError())

    assert await search(silent, maps={**maps, "by_id": elsewhere}) == [(1, "by_range")]


async def test_a_meter_is_known_by_its_device_identification(
    silent: MockModbusConnection, tmp_path: Path
) -> None:
    maps = own_maps(
        tmp_path,
        by_range=RANGE,
        by_name="identify:\n"
        "  - {object: vendor_name, equals: Acme}\n  - {object: product_code, starts_with: M1}",
    )
    for unit_id, objects in (
        (1, {0: b"Acme", 1: b"M100\0"}),
        (2, {0: b"Acme", 1: b"N100"}),
        (3, {0: b"Other", 1: b"M100"}),
        (4, {}),
    ):
        unit = answering(silent, unit_id)
        unit.holding[0] = 7
        unit.set_response("read_device_identification", objects)

    assert await search(silent, maps=maps) == [
        (1, "by_name"),
        (2, "by_range"),
        (3, "by_range"),
        (4, "by_range"),
    ]


async def test_a_device_that_refuses_to_identify_itself_is_known_by_ranges(
    silent: MockModbusConnection, tmp_path: Path
) -> None:
    maps = own_maps(tmp_path, by_range=RANGE, by_name="identify: [{object: revision, equals: '1'}]")

    def refuse() -> None:
        raise IllegalFunctionError

    unit = answering(silent, 1)
    unit.holding[0] = 7
    unit.set_response("read_device_identification", refuse)

    assert await search(silent, maps=maps) == [(1, "by_range")]


EM24 = {0x00: [2302, 0], 0x0B: [71], 0x28: [100, 0], 0x33: [500], 0x37: [500], 0x3E: [10, 0]}


async def test_an_em24_with_a_power_factor_of_a_half_is_no_e1(
    silent: MockModbusConnection,
) -> None:
    answering(silent, 1).input.update(EM24)

    assert await search(silent, "carlo_gavazzi_em24", "carlo_gavazzi_em24_e1") == [
        (1, "carlo_gavazzi_em24")
    ]


async def test_an_sdm630_with_its_code_is_no_look_alike(silent: MockModbusConnection) -> None:
    for unit_id, code in ((1, 0x70), (2, 0)):
        sdm630(silent, unit_id).holding[0xFC02] = code
    keys = ("eastron_sdm630", "eastron_sdm54", "eastron_sdm72_v2", "eastron_smart_x96")

    found = await search(silent, *keys)

    assert [key for unit_id, key in found if unit_id == 1] == ["eastron_sdm630"]
    assert {key for unit_id, key in found if unit_id == 2} == set(keys)


# --- meters that say nothing where they have no registers


async def test_a_meter_that_is_silent_on_what_it_does_not_have_is_found(
    silent: MockModbusConnection,
) -> None:
    unit = silent.for_unit(3)
    unit.fail_requests(None)
    have = {
        register.address
        for register in shipped("siemens_pac2200")["siemens_pac2200"].quantities.values()
    }
    read = unit.read_input_registers

    async def read_input(address: int, count: int) -> list[int]:
        if address not in have:
            raise ModbusTimeoutError
        return await read(address, count)

    async def read_holding(address: int, count: int) -> list[int]:
        raise ModbusTimeoutError

    for address in (1, 55):
        unit.input[address] = encode_float32(50 if address == 55 else 230)
    with (
        patch.object(unit, "read_input_registers", read_input),
        patch.object(unit, "read_holding_registers", read_holding),
    ):
        assert await search(silent, "siemens_pac2200", "eastron_sdm630") == [(3, "siemens_pac2200")]


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (IllegalDataAddressError(), False),
        (GatewayTargetError(), False),
        (ModbusDesyncError("late"), False),
        (None, True),
    ],
)
async def test_what_answers_in_the_closer_look_is_asked_all(
    silent: MockModbusConnection, error: Exception | None, found: bool
) -> None:
    unit = sdm630(silent, 2)
    for space in ("input", "holding"):
        read = getattr(unit, f"read_{space}_registers")

        async def answer(address: int, count: int, read: Any = read) -> list[int]:
            if count == 1:
                raise ModbusTimeoutError
            if error is not None:
                raise error
            words: list[int] = await read(address, count)
            return words

        setattr(unit, f"read_{space}_registers", answer)

    assert bool(await search(silent, "eastron_sdm630")) is found


async def test_a_line_that_drops_in_the_closer_look_ends_the_search(
    silent: MockModbusConnection,
) -> None:
    unit = silent.for_unit(2)
    unit.fail_requests(None)
    unit.fail_read(0, ModbusTimeoutError(), register_type="holding")
    answers = iter([ModbusTimeoutError(), ModbusConnectionError("gone")])

    async def answer(address: int, count: int) -> list[int]:
        raise next(answers)

    with (
        patch.object(unit, "read_input_registers", answer),
        pytest.raises(ModbusConnectionError),
    ):
        await search(silent, "eastron_sdm630")


async def test_a_line_that_drops_at_the_identification_ends_the_search(
    silent: MockModbusConnection,
) -> None:
    def drop() -> None:
        raise ModbusConnectionError("gone")

    answering(silent, 2).set_response("read_device_identification", drop)

    with pytest.raises(ModbusConnectionError):
        await search(silent, "eastron_sdm630")


async def test_a_meter_that_is_busy_where_it_has_no_registers_is_found(
    silent: MockModbusConnection,
) -> None:
    unit = sdm630(silent, 2, power=1234.5, energy_import=8100.5)
    have = {0, 1, 2, 3, 0x34, 0x35, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B}
    read = unit.read_input_registers

    async def read_input(address: int, count: int) -> list[int]:
        if not set(range(address, address + count)) <= have:
            raise ServerDeviceBusyError
        return await read(address, count)

    async def read_holding(address: int, count: int) -> list[int]:
        raise ServerDeviceBusyError

    with (
        patch.object(unit, "read_input_registers", read_input),
        patch.object(unit, "read_holding_registers", read_holding),
    ):
        assert await search(silent, "eastron_sdm630") == [(2, "eastron_sdm630")]


# --- in turn with the others on the line


async def test_the_turn_of_others_is_not_taken_for_silence(silent: MockModbusConnection) -> None:
    """A search waits for the polls on its line, however long they take."""
    load(answering(silent, 3), solar_device(3, House()))
    sdm630(silent, 2)
    turns = Line()

    async def poll() -> None:
        while True:
            async with turns.turn():
                await asyncio.sleep(0.03)

    polls = asyncio.create_task(poll())
    found = await search(
        silent, "eastron_sdm630", unit_ids=range(2, 4), turns=turns, timeout_s=0.01
    )
    polls.cancel()

    assert [key for unit_id, key in found if unit_id == 2] == ["eastron_sdm630"]
    assert [key for unit_id, key in found if unit_id == 3] == [
        "sunspec_103",
        "sunspec_203",
        "sunspec_802",
    ]


async def test_a_meter_is_found_after_a_request_that_it_left_without_an_answer(
    silent: MockModbusConnection,
) -> None:
    """Where frames have no number, the line is left alone for a while; that is no silence."""
    unit = sdm630(silent, 2)
    read = unit.read_holding_registers

    async def answer(address: int, count: int) -> list[int]:
        if address == 0:
            await asyncio.Event().wait()
        return await read(address, count)

    with patch.object(unit, "read_holding_registers", answer):
        found = await search(
            silent,
            "eastron_sdm630",
            unit_ids=range(2, 3),
            turns=Line(numbered=False, late_s=0.1),
            timeout_s=0.05,
        )

    assert found == [(2, "eastron_sdm630")]


async def test_leaving_the_line_alone_counts_as_waiting_for_a_silent_meter(
    silent: MockModbusConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a line with many silent unit ids would be searched for far too long."""
    monkeypatch.setattr(detection, "_CLOSER_LOOK_S", 2.0)
    unit = silent.for_unit(2)

    async def nothing(address: int, count: int) -> list[int]:
        await asyncio.Event().wait()
        raise AssertionError

    with (
        patch.object(unit, "read_holding_registers", wraps=nothing) as holding,
        patch.object(unit, "read_input_registers", wraps=nothing) as inputs,
    ):
        found = await search(
            silent,
            maps=load_register_maps(Path("/none")).maps,
            unit_ids=range(2, 3),
            turns=Line(numbered=False, late_s=0.5),
            timeout_s=0.01,
        )

    assert found == []
    # Two to find out whether anybody is there; each of the others may take 0.51 s.
    assert holding.call_count + inputs.call_count == 2 + 4


# --- the steps


async def begin(hass: HomeAssistant, entry: MockConfigEntry, step: str) -> SubentryFlowResult:
    """Begin to add meters in one of the ways there are."""
    if hass.config_entries.async_get_entry(entry.entry_id) is None:
        await start(hass, entry)
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "meter"), context={"source": SOURCE_USER}
    )
    return await submit(hass, result, {"next_step_id": step})


async def submit(
    hass: HomeAssistant, result: SubentryFlowResult, data: dict[str, Any] | None
) -> SubentryFlowResult:
    """Submit a form and wait for what follows."""
    return await hass.config_entries.subentries.async_configure(result["flow_id"], data)


async def look_for(hass: HomeAssistant, entry: MockConfigEntry, **data: Any) -> SubentryFlowResult:
    """Look for meters and return what is shown then."""
    result = await begin(hass, entry, "search")
    assert result["step_id"] == "search"
    result = await submit(hass, result, SEARCH | data)
    if result["type"] is FlowResultType.SHOW_PROGRESS:
        assert result["progress_action"] == "searching"
        await hass.async_block_till_done(wait_background_tasks=True)
        result = await submit(hass, result, None)
    return result


def offered(result: SubentryFlowResult) -> dict[str, str]:
    """Return the lines of the form with what was found."""
    assert result["step_id"] == "found"
    assert result["data_schema"] is not None
    field = result["data_schema"].schema["meters"]
    return {option["value"]: option["label"] for option in field.config["options"]}


def chosen(result: SubentryFlowResult) -> list[str]:
    """Return what is chosen at first."""
    assert result["data_schema"] is not None
    field, _ = result["data_schema"].schema
    default: list[str] = field.default()
    return default


@pytest.fixture
def only_sdm() -> Iterator[None]:
    """Know two families only, since simulated registers of zero look like many."""
    known = shipped("eastron_sdm630", "eastron_sdm120")
    with (
        patch(f"{LINK}.search_flow.async_load_register_maps", return_value=known),
        patch(f"{LINK}.subentries.async_load_register_maps", return_value=known),
    ):
        yield


async def test_what_was_found_is_shown_with_its_values_and_added(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    sdm630(silent, 2, power=1234.5, energy_import=100.5)
    sdm630(silent, 4, power=-1.5)
    entry = link_entry()

    result = await look_for(hass, entry)
    assert offered(result)["2 eastron_sdm630"] == (
        "2: Eastron SDM630: Voltage L1 230.2 V, Current L1 0.00 A, Active power 1234.5 W, "
        "Frequency 50.01 Hz, Imported energy 100.50 kWh, Exported energy 0.00 kWh, "
        "Total energy 0.00 kWh"
    )
    meters = [key for key in offered(result) if "sdm630" in key]
    result = await submit(hass, result, {"meters": meters})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert {
        subentry.title: (subentry.unique_id, dict(subentry.data))
        for subentry in entry.subentries.values()
    } == {
        title: (
            str(unit_id),
            {
                "unit_id": unit_id,
                "register_map": "eastron_sdm630",
                "fast_interval_s": 2,
                "slow_interval_s": 20,
                "identity": f"eastron_{unit_id}",
            },
        )
        for title, unit_id in (("Eastron SDM630", 2), ("Eastron SDM630 4", 4))
    }
    first, second = (
        hass.states.get(f"sensor.eastron_sdm630_{suffix}active_power") for suffix in ("", "4_")
    )
    assert first is not None
    assert second is not None
    assert (first.state, second.state) == ("1234.5", "-1.5")


async def test_names_are_given_before_entity_ids_are_made(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    sdm630(silent, 2, power=1234.5)
    sdm630(silent, 4, power=-1.5)
    entry = link_entry()

    result = await look_for(hass, entry)
    assert result["data_schema"] is not None
    _, names = result["data_schema"].schema
    assert names.description == {"suggested_value": "2: Eastron SDM630\n4: Eastron SDM630 4"}
    meters = [key for key in offered(result) if "sdm630" in key]
    for wrong in ("5: Cellar", "2 Cellar", "2:"):
        result = await submit(hass, result, {"meters": meters, "names": f"4: Roof\n{wrong}"})
        assert result["errors"] == {"names": "names_invalid"}
        assert (result["description_placeholders"] or {})["row"] == wrong
    result = await submit(hass, result, {"meters": meters, "names": "4: Roof\n\n2: Cellar: left"})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert [subentry.title for subentry in entry.subentries.values()] == ["Roof", "Cellar: left"]
    assert hass.states.get("sensor.roof_active_power") is not None
    assert hass.states.get("sensor.cellar_left_active_power") is not None


async def test_a_name_that_is_left_as_it_is_proposed_stays(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    sdm630(silent, 2, power=1234.5)
    entry = link_entry()

    result = await look_for(hass, entry)
    meters = [key for key in offered(result) if "sdm630" in key]
    await submit(hass, result, {"meters": meters, "names": "2: Eastron SDM630"})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert [subentry.title for subentry in entry.subentries.values()] == ["Eastron SDM630"]


async def test_each_sunspec_model_becomes_a_device(
    hass: HomeAssistant,
    silent: MockModbusConnection,
    only_sdm: None,
    device_registry: dr.DeviceRegistry,
    entity_registry: er.EntityRegistry,
) -> None:
    load(answering(silent, 1), solar_device(1, House()))
    entry = link_entry()

    result = await look_for(hass, entry)
    assert chosen(result) == list(offered(result))
    await submit(hass, result, {"meters": chosen(result)})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert {subentry.unique_id for subentry in entry.subentries.values()} == {
        "1_103_0",
        "1_203_0",
        "1_802_0",
    }
    assert {
        device.name for device in dr.async_entries_for_config_entry(device_registry, entry.entry_id)
    } == {
        "Example SunSpec One (inverter)",
        "Example SunSpec One (meter)",
        "Example SunSpec One (battery)",
    }
    charge = hass.states.get("sensor.example_sunspec_one_battery_state_of_charge")
    assert charge is not None
    assert charge.state == "63.5"
    # What an inverter leaves out is disabled; a counter that has not counted yet is not.
    sensors = {
        sensor.entity_id: sensor.disabled
        for sensor in er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    }
    assert sensors["sensor.example_sunspec_one_inverter_current_dc"] is True
    assert sensors["sensor.example_sunspec_one_inverter_produced_energy"] is False


async def test_several_meters_are_added_with_few_reloads(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    for unit_id in range(1, 13):
        sdm630(silent, unit_id)
    entry = link_entry()
    result = await look_for(hass, entry, last_unit_id=12)

    with patch.object(
        hass.config_entries, "async_reload", wraps=hass.config_entries.async_reload
    ) as reload:
        await submit(hass, result, {"meters": chosen(result)})
        await hass.async_block_till_done(wait_background_tasks=True)

    assert len(entry.subentries) == len(entry.runtime_data.diagnostics()["meters"]) == 12
    assert reload.call_count <= 2


async def test_a_device_that_sleeps_is_shown_by_its_state(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    load(answering(silent, 1), SunSpecDevice(1, [(103, lambda: {"St": 2})]))

    result = await look_for(hass, link_entry())

    assert list(offered(result).values()) == [
        "1: Example SunSpec One (inverter): Operating state Sleeping"
    ]


async def test_progress_is_told(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    sdm630(silent, 2)
    told = async_capture_events(hass, EVENT_DATA_ENTRY_FLOW_PROGRESS_UPDATE)
    await look_for(hass, link_entry())

    assert [event.data["progress"] for event in told] == [0, 0.25, 0.5, 0.75]


async def test_a_search_ends_with_its_form(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def endless(*args: object, **options: object) -> detection.Results:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return NOTHING

    with patch(f"{LINK}.search_flow.search", endless):
        result = await begin(hass, link_entry(), "search")
        result = await submit(hass, result, SEARCH)
        assert result["type"] is FlowResultType.SHOW_PROGRESS
        await asyncio.wait_for(began.wait(), 10)
        # A page that is opened again sees the same progress.
        assert (await submit(hass, result, None))["type"] is FlowResultType.SHOW_PROGRESS
        hass.config_entries.subentries.async_abort(result["flow_id"])
        await asyncio.wait_for(ended.wait(), 10)
    assert silent.for_unit(1).required_timeout is None


async def test_a_search_that_finds_what_is_there_already_says_so(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    sdm630(silent, 2)
    result = await look_for(hass, link_entry(meter(2)))
    assert result["errors"] == {"base": "only_known"}
    assert result["description_placeholders"] == {"error": "2"}


async def test_an_empty_line_is_told_and_can_be_searched_again(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    result = await look_for(hass, link_entry())
    assert result["step_id"] == "search"
    assert result["errors"] == {"base": "nothing_found"}

    sdm630(silent, 2)
    result = await submit(hass, result, SEARCH)
    await hass.async_block_till_done(wait_background_tasks=True)
    result = await submit(hass, result, None)
    assert list(offered(result)) == ["2 eastron_sdm630"]


async def test_the_usual_unit_ids_are_asked_beside_the_range(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    sdm630(silent, 200)
    result = await look_for(hass, link_entry(), usual_unit_ids=True)

    assert list(offered(result)) == ["200 eastron_sdm630"]


async def test_a_device_that_is_not_recognised_is_told_with_what_it_says(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    answering(silent, 3)
    answering(silent, 4).set_response("read_device_identification", {0: b"Acme", 1: b"M100"})

    result = await look_for(hass, link_entry())

    assert result["errors"] == {"base": "not_recognised"}
    assert result["description_placeholders"] == {"error": "3, 4 (Acme M100)"}


async def test_a_device_that_is_not_recognised_is_told_beside_what_was_found(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    sdm630(silent, 2)
    answering(silent, 3)

    result = await look_for(hass, link_entry(meter(1)))

    assert list(offered(result)) == ["2 eastron_sdm630"]
    assert result["description_placeholders"] == {"count": "1", "unknown": "3", "row": ""}


@pytest.mark.parametrize(
    ("error", "key", "detail"),
    [
        (ModbusConnectionError("refused"), "cannot_connect", "refused"),
        (HomeAssistantError("9600"), "device_in_use", "9600"),
    ],
)
async def test_a_line_that_cannot_be_used_is_told(
    hass: HomeAssistant,
    silent: MockModbusConnection,
    only_sdm: None,
    error: Exception,
    key: str,
    detail: str,
) -> None:
    with patch(f"{LINK}.search_flow.search", side_effect=error):
        result = await look_for(hass, link_entry())

    assert result["errors"] == {"base": key}
    assert result["description_placeholders"] == {"error": detail}


async def test_a_range_has_to_go_up(hass: HomeAssistant, silent: MockModbusConnection) -> None:
    result = await look_for(hass, link_entry(), first_unit_id=5)

    assert result["errors"] == {"last_unit_id": "last_below_first"}


async def test_energy_is_not_read_more_often_than_power(
    hass: HomeAssistant, silent: MockModbusConnection
) -> None:
    result = await look_for(hass, link_entry(), slow_interval_s=1)

    assert result["errors"] == {"slow_interval_s": "slow_below_fast"}


async def test_look_alikes_are_left_to_the_user(
    hass: HomeAssistant, silent: MockModbusConnection
) -> None:
    sdm630(silent, 2)
    known = shipped("eastron_sdm630", "eastron_sdm54")
    with patch(f"{LINK}.search_flow.async_load_register_maps", return_value=known):
        result = await look_for(hass, link_entry())

    assert len(offered(result)) == 2
    assert chosen(result) == []
    both = list(offered(result))
    result = await submit(hass, result, {"meters": both})
    assert result["errors"] == {"meters": "several_models"}
    result = await submit(hass, result, {"meters": []})
    assert result["errors"] == {"meters": "nothing_chosen"}
    result = await submit(hass, result, {"meters": both[:1]})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_a_polled_meter_goes_on_meanwhile(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    sdm630(silent, 1, power=5)
    sdm630(silent, 2)
    result = await look_for(hass, link_entry(meter(1)))

    assert list(offered(result)) == ["2 eastron_sdm630"]
    assert state(hass, "power") == "5.0"
    assert silent.for_unit(1).required_timeout == 2.0


@pytest.mark.parametrize(("wait_s", "asked"), [(0.5, 2.0), (5, 5.0)])
@pytest.mark.parametrize("polled", [True, False])
async def test_the_line_waits_as_long_as_the_search_does(
    hass: HomeAssistant,
    silent: MockModbusConnection,
    only_sdm: None,
    wait_s: float,
    asked: float,
    polled: bool,
) -> None:
    unit = sdm630(silent, 1)
    waits = []

    async def no_search(*args: object, **options: object) -> detection.Results:
        waits.append(unit.required_timeout)
        return NOTHING

    with (
        patch(f"{LINK}.search_flow.search", no_search),
        patch.object(unit, "disconnect") as disconnect,
    ):
        await look_for(hass, link_entry(*([meter(1)] if polled else [])), timeout_s=wait_s)

    assert waits == [asked]
    assert unit.required_timeout == (2.0 if polled else None)
    # Only a new connection has the shorter wait again.
    assert disconnect.await_count == (1 if wait_s > 2 else 0)


async def test_a_connection_that_others_hold_is_left_open_after_a_longer_wait(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    unit = sdm630(silent, 1)
    entry = link_entry()
    await start(hass, entry)
    held = ModbusConnectionInfo(
        endpoint=modbus_params(entry.data).endpoint, connected=True, units={"another": [9]}
    )
    with (
        patch(f"{LINK}.transport.async_get_connection_info", return_value=[held]),
        patch(f"{LINK}.search_flow.search", return_value=NOTHING),
        patch.object(unit, "disconnect") as disconnect,
    ):
        await look_for(hass, entry, timeout_s=5)

    disconnect.assert_not_awaited()


# --- SunSpec without a search


async def test_sunspec_can_be_chosen_in_place_of_a_model(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    load(answering(silent, 7), solar_device(7, House()))
    entry = link_entry()
    result = await begin(hass, entry, "model")
    data = {
        "unit_id": 7,
        "register_map": "sunspec",
        "turn_sign": True,
        "fast_interval_s": 3,
        "slow_interval_s": 33,
    }
    result = await submit(hass, result, data)
    assert len(offered(result)) == 3
    result = await submit(hass, result, {"meters": ["7_203_0 sunspec_203"]})

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Example SunSpec One (meter)"
    assert result["unique_id"] == "7_203_0"
    assert result["data"]["turn_sign"] is True
    assert result["data"]["register_map"] == "sunspec_203"
    assert (result["data"]["fast_interval_s"], result["data"]["slow_interval_s"]) == (3, 33)


SUNSPEC_AT_1 = {
    "unit_id": 1,
    "register_map": "sunspec",
    "fast_interval_s": 3,
    "slow_interval_s": 33,
}


async def test_a_silent_unit_is_told(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    result = await submit(hass, await begin(hass, link_entry(), "model"), SUNSPEC_AT_1)

    assert result["step_id"] == "model"
    assert result["errors"] == {"base": "no_answer"}


async def test_the_user_says_where_sunspec_begins(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    load(
        answering(silent, 1),
        SunSpecDevice(1, [(203, lambda: meter_points(House().grid()))], base=0x1000),
    )
    entry = link_entry()
    result = await submit(hass, await begin(hass, entry, "model"), SUNSPEC_AT_1)
    assert result["step_id"] == "sunspec_base"
    assert result["errors"] == {"base": "no_sunspec"}

    for text, error in (
        ("here", "base_invalid"),
        ("65535", "base_invalid"),
        ("-1", "base_invalid"),
    ):
        result = await submit(hass, result, {"sunspec_base": text})
        assert result["errors"] == {"sunspec_base": error}
    result = await submit(hass, result, {"sunspec_base": "8192"})
    assert result["errors"] == {"base": "no_sunspec"}
    result = await submit(hass, result, {"sunspec_base": "0x1000"})
    result = await submit(hass, result, {"meters": list(offered(result))})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["data"]["sunspec"]["base"] == 0x1000
    (subentry_id,) = entry.subentries
    result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    result = await submit(hass, result, {"unit_id": 1, "fast_interval_s": 5, "slow_interval_s": 50})
    assert result["reason"] == "reconfigure_successful"


async def test_a_sunspec_meter_can_be_changed(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    device = SunSpecDevice(1, [(203, lambda: meter_points(House().grid()))])
    load(answering(silent, 1), device)
    entry = link_entry()
    result = await look_for(hass, entry)
    await submit(hass, result, {"meters": chosen(result)})
    await hass.async_block_till_done(wait_background_tasks=True)
    (subentry_id,) = entry.subentries

    result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    assert result["data_schema"] is not None
    assert "register_map" not in [str(key) for key in result["data_schema"].schema]
    intervals = {"fast_interval_s": 5, "slow_interval_s": 50}
    result = await submit(hass, result, {"unit_id": 1, "meter_name": "Grid", **intervals})
    assert result["reason"] == "reconfigure_successful"
    assert entry.subentries[subentry_id].title == "Grid"

    device.inserted.append(123)
    device.base = 50000
    load(answering(silent, 5), device)
    result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    result = await submit(hass, result, {"unit_id": 5, **intervals})
    assert result["step_id"] == "confirm"
    assert result["description_placeholders"]["meter"] == "Example SunSpec One (meter)"
    result = await submit(hass, result, {"next_step_id": "save"})
    await hass.async_block_till_done(wait_background_tasks=True)

    subentry = entry.subentries[subentry_id]
    assert subentry.title == "Example SunSpec One (meter)"
    assert subentry.unique_id == "5_203_0"
    assert subentry.data["sunspec"]["address"] == 50096
    assert subentry.data["fast_interval_s"] == 5


async def test_a_sunspec_model_that_is_not_at_another_unit_stays(
    hass: HomeAssistant, silent: MockModbusConnection, only_sdm: None
) -> None:
    load(answering(silent, 1), solar_device(1, House()))
    load(answering(silent, 5), SunSpecDevice(5, [(124, dict)]))
    entry = link_entry()
    result = await look_for(hass, entry, last_unit_id=1)
    await submit(hass, result, {"meters": ["1_203_0 sunspec_203"]})
    await hass.async_block_till_done(wait_background_tasks=True)
    (subentry_id,) = entry.subentries

    result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    result = await submit(hass, result, {"unit_id": 5, "fast_interval_s": 5, "slow_interval_s": 50})

    assert result["errors"] == {"base": "no_answer"}
    assert "no SunSpec model 203" in result["description_placeholders"]["error"]


# --- over real sockets


async def test_a_gateway_that_takes_its_time_is_waited_for(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                header = await reader.readexactly(7)
                await reader.readexactly(int.from_bytes(header[4:6]) - 1)
                await asyncio.sleep(0.3)
                # The meter behind it does not answer.
                writer.write(header[:4] + b"\0\x03" + header[6:] + b"\x83\x0b")
        writer.close()

    server = await asyncio.start_server(answer_late, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    entry = MockConfigEntry(
        domain=DOMAIN,
        unique_id="gateway",
        data={"kind": "modbus", "transport": "tcp", "host": "127.0.0.1", "port": port},
    )
    entry.add_to_hass(hass)
    with patch(f"{LINK}.unit_access.REQUEST_TIMEOUT_S", 0.1):
        async with server, async_look(hass, entry, 1, timeout_s=5) as unit:
            with pytest.raises(GatewayTargetError):
                await unit.read_holding_registers(0, 1)


async def test_a_house_of_meters_is_found_on_a_real_line(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    house = House()
    meters: list[Meter] = [
        SimulatedMeter(2, "eastron_sdm120", house.solar, serial_number="19070815"),
        SimulatedMeter(3, "carlo_gavazzi_em24_e1", house.grid),
        solar_device(4, house),
    ]
    async with MeterServer(meters) as server:
        entry = MockConfigEntry(
            domain=DOMAIN,
            unique_id=f"tcp:127.0.0.1:{server.port}",
            data={"kind": "modbus", "transport": "tcp", "host": "127.0.0.1", "port": server.port},
        )
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        result = await begin(hass, entry, "search")
        result = await submit(hass, result, SEARCH | {"timeout_s": 0.3})
        async with asyncio.timeout(60):
            while result["type"] is FlowResultType.SHOW_PROGRESS:
                await asyncio.sleep(0.05)
                result = await submit(hass, result, None)
        found = set(offered(result))
        assert {
            "2 eastron_sdm120",
            "3 carlo_gavazzi_em24_e1",
            "4_103_0 sunspec_103",
            "4_203_0 sunspec_203",
            "4_802_0 sunspec_802",
        } <= found
        assert not [key for key in found if key.startswith("1")]
        hass.config_entries.subentries.async_abort(result["flow_id"])
        assert await hass.config_entries.async_unload(entry.entry_id)


def plausible(register_map: RegisterMap, energy: float) -> dict[str, float]:
    """Return what a meter in a house may say of its quantities."""
    starts = {
        "voltage_l1_l2": 400,
        "voltage_l2_l3": 400,
        "voltage_l3_l1": 400,
        "voltage_ll": 400,
        "voltage_dc": 600,
        "voltage_battery": 50,
        "voltage": 230,
        "current": 4,
        "power_factor": 0.95,
        "frequency": 50,
        "energy": energy,
        "state_of_charge": 60,
    }
    return {
        key: next((value for start, value in starts.items() if key.startswith(start)), 20)
        for key in register_map.quantities
    }


async def test_one_meter_of_every_map_is_found(socket_enabled: None) -> None:
    maps = {
        key: register_map
        for key, register_map in load_register_maps(Path("/none")).maps.items()
        if register_map.identify or register_map.recognise
    }
    units = dict(enumerate(maps, 1))
    meters = [
        SimulatedMeter(
            unit_id,
            key,
            partial(plausible, maps[key], 500 * unit_id),
            serial_number=str(23000000 + unit_id),
        )
        for unit_id, key in units.items()
    ]
    async with MeterServer(meters) as server:
        connection = ModbusConnection(ModbusTcpParams(host="127.0.0.1", port=server.port))

        @asynccontextmanager
        async def get_unit(unit_id: int) -> AsyncIterator[Reads]:
            yield Reads(connection.for_unit(unit_id), unit_id)

        try:
            results = await detection.search(
                connection.for_unit(1),
                get_unit,
                list(units),
                maps,
                timeout_s=1,
                known=(),
                progress=lambda _: None,
            )
        finally:
            await connection.close()

    found: dict[int, list[str]] = {unit_id: [] for unit_id in units}
    for candidate in results.found:
        found[candidate.unit_id].append(candidate.map.key)
    assert not results.unknown
    assert {unit_id: key for unit_id, key in units.items() if key not in found[unit_id]} == {}
    # Families that share a map's id are told apart by the user; all others have one candidate.
    several = {
        key: found[unit_id]
        for unit_id, key in units.items()
        if maps[key].identify and len(found[unit_id]) > 1
    }
    assert several == {}
    assert server.served / len(units) < 150


# --- a form that is closed


async def searching(
    hass: HomeAssistant, line: MockModbusConnection, monkeypatch: pytest.MonkeyPatch
) -> tuple[MockConfigEntry, str, list[str]]:
    """Begin a search of which the second unit never answers; return what is noted of that read."""
    unit = line.for_unit(2)
    noted: list[str] = []

    async def hang(*_: object) -> list[int]:
        noted.append("asked")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            noted.append("cancelled")
            raise
        return []

    monkeypatch.setattr(unit, "read_input_registers", hang)
    monkeypatch.setattr(unit, "read_holding_registers", hang)
    entry = link_entry()
    result = await submit(hass, await begin(hass, entry, "search"), SEARCH)
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    async with asyncio.timeout(5):
        while not noted:
            await asyncio.sleep(0)
    return entry, result["flow_id"], noted


async def test_a_search_ends_with_its_form_and_leaves_nothing(
    hass: HomeAssistant,
    silent: MockModbusConnection,
    only_sdm: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry, flow_id, noted = await searching(hass, silent, monkeypatch)

    hass.config_entries.subentries.async_abort(flow_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert noted == ["asked", "cancelled"]
    assert silent.for_unit(2).required_timeout is None
    assert not entry.subentries
    assert not hass.config_entries.subentries.async_progress()


async def test_a_search_ends_with_its_entry(
    hass: HomeAssistant,
    silent: MockModbusConnection,
    only_sdm: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry, _, noted = await searching(hass, silent, monkeypatch)

    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert noted == ["asked", "cancelled"]
    assert not hass.config_entries.subentries.async_progress()
