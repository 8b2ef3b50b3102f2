"""Reading one meter in few requests, and finding out what it refuses."""

import asyncio
from datetime import timedelta
from pathlib import Path

from freezegun.api import FrozenDateTimeFactory
from modbus_connection import (
    IllegalDataAddressError,
    IllegalFunctionError,
    ModbusConnectionError,
    ModbusTimeoutError,
    ServerDeviceBusyError,
)
from modbus_connection.encode import encode_float32
from modbus_connection.mock import MockModbusUnit
import pytest

from custom_components.grid_telemetry.links.modbus import timed_unit
from custom_components.grid_telemetry.links.modbus.line import Line
from custom_components.grid_telemetry.links.modbus.register_reader import (
    RegisterReader,
    read_once,
)
from custom_components.grid_telemetry.links.modbus.timed_unit import Reads
from custom_components.grid_telemetry.meters import (
    RegisterMap,
    load_register_maps,
    read_register_map,
)

SDM630 = load_register_maps(Path("/none")).maps["eastron_sdm630"]
REFUSED = IllegalDataAddressError()


def addresses(unit: MockModbusUnit) -> list[tuple[int, int]]:
    """Return address and count of the reads since the last call."""
    reads = [(read.address, read.count) for read in unit.read_events]
    unit.read_events.clear()
    return reads


def voltmeter(folder: Path, *places: int, extra: str = "") -> RegisterMap:
    """Return a map with its first quantities at the addresses given."""
    keys = ["voltage_l1", "voltage_l2", "voltage_l3", "current_l1", "current_l2", "current_l3"]
    path = folder / "voltmeter.yaml"
    path.write_text(
        "manufacturer: Acme\nmodels: [M]\nsource: none\nregister_space: input\ntype: float32\n"
        + extra
        + "quantities:\n"
        + "".join(
            f"  {key}: {{address: {place}}}\n" for key, place in zip(keys, places, strict=False)
        )
    )
    return read_register_map(path)


def refuse(unit: MockModbusUnit, *places: int) -> None:
    for place in places:
        unit.fail_read(place, REFUSED, register_type="input")


def accept(unit: MockModbusUnit, *places: int) -> None:
    for place in places:
        unit.fail_read(place, None, register_type="input")


async def test_all_of_an_sdm630_takes_four_requests(mock_modbus_unit: MockModbusUnit) -> None:
    reader = RegisterReader(mock_modbus_unit, SDM630)

    values = await reader.read(SDM630.quantities)

    assert values.keys() == SDM630.quantities.keys()
    assert addresses(mock_modbus_unit) == [
        *((0x00, 80), (0x50, 28)),
        *((0xC8, 70), (0x14E, 48)),
    ]
    assert reader.reads.count == 4


async def test_only_what_is_asked_for_is_read(mock_modbus_unit: MockModbusUnit) -> None:
    reader = RegisterReader(mock_modbus_unit, SDM630)

    await reader.read(["power", "voltage_l1_l2"])

    assert addresses(mock_modbus_unit) == [(0x34, 2), (0xC8, 2)]


async def test_not_available_is_left_out(mock_modbus_unit: MockModbusUnit, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        "manufacturer: Acme\nmodels: [M]\nsource: none\nregister_space: input\n"
        "quantities:\n"
        "  frequency: {address: 0, type: uint16, scale: 0.1, nan: 0xFFFF}\n"
        "  power: {address: 1, type: int32, nan: [0x7FFFFFFF, 0x80000000]}\n"
        "  voltage: {address: 3, type: float32}\n"
        "  current: {address: 5, type: float32}\n"
        "  power_factor: {address: 7, type: int16, scale: 0.001, nan: 0x7FFF}\n"
    )
    register_map = read_register_map(path)
    mock_modbus_unit.input = {
        0: 0xFFFF,
        1: [0x8000, 0],
        3: [0x7FC0, 0],  # NaN
        5: [0x7F80, 0],  # infinity
        7: 0xFC4A,
    }

    values = await RegisterReader(mock_modbus_unit, register_map).read(register_map.quantities)

    assert values == {"power_factor": -0.95}


async def test_a_refused_register_is_found_and_the_rest_goes_on(
    mock_modbus_unit: MockModbusUnit,
) -> None:
    refuse(mock_modbus_unit, 0x3E, 0x3F)  # the power factor
    mock_modbus_unit.input[0x34] = encode_float32(1234.5)
    reader = RegisterReader(mock_modbus_unit, SDM630)

    values = await reader.read(SDM630.quantities)

    assert values.keys() == SDM630.quantities.keys() - {"power_factor"}
    assert values["power"] == 1234.5
    assert reader.refused == {"power_factor"}
    assert not reader.searching
    # From now on two blocks end and begin beside it.
    addresses(mock_modbus_unit)
    await reader.read(SDM630.quantities)
    assert addresses(mock_modbus_unit) == [
        (0x00, 62),
        (0x42, 42),
        (0xC8, 70),
        (0x14E, 48),
    ]


async def test_what_lies_between_quantities_is_read_around(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path
) -> None:
    register_map = voltmeter(tmp_path, 0, 2, 4, 10, 12)
    refuse(mock_modbus_unit, 6)
    reader = RegisterReader(mock_modbus_unit, register_map)

    values = await reader.read(register_map.quantities)

    assert values.keys() == register_map.quantities.keys()
    assert not reader.refused
    addresses(mock_modbus_unit)
    await reader.read(register_map.quantities)
    assert addresses(mock_modbus_unit) == [(0, 6), (10, 4)]


async def test_a_limit_lower_than_the_maps_is_found(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_map = voltmeter(tmp_path, 0, 2, 4, 6)
    read = mock_modbus_unit.read_input_registers

    async def at_most_four(address: int, count: int) -> list[int]:
        words = await read(address, count)
        if count > 4:
            raise REFUSED
        return words

    monkeypatch.setattr(mock_modbus_unit, "read_input_registers", at_most_four)
    reader = RegisterReader(mock_modbus_unit, register_map)

    values = await reader.read(register_map.quantities)

    assert values.keys() == register_map.quantities.keys()
    addresses(mock_modbus_unit)
    await reader.read(register_map.quantities)
    assert addresses(mock_modbus_unit) == [(0, 4), (4, 4)]


async def test_a_long_search_is_spread_over_several_reads(
    mock_modbus_unit: MockModbusUnit,
) -> None:
    every_other = [register.address for register in list(SDM630.quantities.values())[::2]]
    refuse(mock_modbus_unit, *every_other)
    reader = RegisterReader(mock_modbus_unit, SDM630)
    reads = 0
    values: dict[str, float] = {}

    while reads == 0 or reader.searching:
        before = reader.reads.count
        values = await reader.read(SDM630.quantities)
        reads += 1
        assert reader.reads.count - before < 40

    assert reads > 2
    assert len(reader.refused) == len(every_other)
    values = await reader.read(SDM630.quantities)
    assert values.keys() == SDM630.quantities.keys() - reader.refused


async def test_a_meter_that_is_busy_where_it_has_no_registers_is_read_around(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_map = voltmeter(tmp_path, 0, 2, 6)
    read = mock_modbus_unit.read_input_registers

    async def read_input(address: int, count: int) -> list[int]:
        if not {*range(address, address + count)} <= {0, 1, 2, 3}:
            raise ServerDeviceBusyError
        return await read(address, count)

    monkeypatch.setattr(mock_modbus_unit, "read_input_registers", read_input)
    reader = RegisterReader(mock_modbus_unit, register_map)
    keys = list(register_map.quantities)

    values = await reader.read(keys)

    assert values.keys() == set(keys[:2])
    assert reader.refused == {keys[2]}


async def test_a_meter_that_is_silent_beyond_its_registers_is_read_by_runs(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_map = voltmeter(tmp_path, 0, 2, 6, 10, 12)
    have = {0, 1, 2, 3, 10, 11, 12, 13}
    read = mock_modbus_unit.read_input_registers

    async def read_input(address: int, count: int) -> list[int]:
        if not {*range(address, address + count)} <= have:
            mock_modbus_unit.read_events.clear()
            raise ModbusTimeoutError
        return await read(address, count)

    monkeypatch.setattr(mock_modbus_unit, "read_input_registers", read_input)
    reader = RegisterReader(mock_modbus_unit, register_map)
    keys = list(register_map.quantities)
    there = [*keys[:2], *keys[3:]]

    assert (await reader.read(keys)).keys() == set(there)
    assert reader.refused == {keys[2]}
    mock_modbus_unit.read_events.clear()
    assert (await reader.read(keys)).keys() == set(there)
    assert addresses(mock_modbus_unit) == [(0, 4), (10, 4)]


async def test_what_was_silent_is_tried_again_without_harm(
    mock_modbus_unit: MockModbusUnit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    freezer: FrozenDateTimeFactory,
) -> None:
    register_map = voltmeter(tmp_path, 0, 2, 6)
    have = {0, 1, 2, 3}
    read = mock_modbus_unit.read_input_registers

    async def read_input(address: int, count: int) -> list[int]:
        if not {*range(address, address + count)} <= have:
            raise ModbusTimeoutError
        return await read(address, count)

    monkeypatch.setattr(mock_modbus_unit, "read_input_registers", read_input)
    reader = RegisterReader(mock_modbus_unit, register_map)
    keys = list(register_map.quantities)
    await reader.read(keys)
    freezer.tick(61)
    assert (await reader.read(keys)).keys() == set(keys[:2])
    have |= {6, 7}
    freezer.tick(121)

    assert (await reader.read(keys)).keys() == set(keys)


async def test_a_silent_meter_is_asked_for_a_single_register_once_an_hour(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path, freezer: FrozenDateTimeFactory
) -> None:
    register_map = voltmeter(tmp_path, 0, 2, 6)
    mock_modbus_unit.fail_requests(ModbusTimeoutError())
    reader = RegisterReader(mock_modbus_unit, register_map)
    asked = []
    for _ in range(3):
        with pytest.raises(ModbusTimeoutError):
            await reader.read(register_map.quantities)
        asked.append(reader.reads.count)
        freezer.tick(1801)

    assert asked == [2, 3, 5]


async def test_a_meter_that_is_busy_now_and_then_is_asked_once_more(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_map = voltmeter(tmp_path, 0, 100)
    read = mock_modbus_unit.read_input_registers
    # Twice, and in what tells whether it is busy there only.
    busy = iter([True, True, True, True, False])

    async def read_input(address: int, count: int) -> list[int]:
        if next(busy):
            raise ServerDeviceBusyError
        return await read(address, count)

    monkeypatch.setattr(mock_modbus_unit, "read_input_registers", read_input)
    reader = RegisterReader(mock_modbus_unit, register_map)

    with pytest.raises(ServerDeviceBusyError):
        await reader.read(["voltage_l1"])
    assert (await reader.read(["voltage_l1"])).keys() == {"voltage_l1"}
    assert reader.refused == set()


async def test_a_meter_that_is_busy_everywhere_is_asked_again_later(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path
) -> None:
    register_map = voltmeter(tmp_path, 0, 2)
    mock_modbus_unit.fail_requests(ServerDeviceBusyError())
    reader = RegisterReader(mock_modbus_unit, register_map)
    with pytest.raises(ServerDeviceBusyError):
        await reader.read(register_map.quantities)

    mock_modbus_unit.fail_requests(None)

    assert (await reader.read(register_map.quantities)).keys() == register_map.quantities.keys()
    assert reader.refused == set()


async def test_a_search_is_taken_up_again_after_a_timeout(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_map = voltmeter(tmp_path, 0, 2, 4, 6)
    refuse(mock_modbus_unit, 4)
    read = mock_modbus_unit.read_input_registers
    calls = 0

    async def third_is_lost(address: int, count: int) -> list[int]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ModbusTimeoutError
        return await read(address, count)

    monkeypatch.setattr(mock_modbus_unit, "read_input_registers", third_is_lost)
    reader = RegisterReader(mock_modbus_unit, register_map)

    with pytest.raises(ModbusTimeoutError):
        await reader.read(register_map.quantities)
    values = await reader.read(register_map.quantities)

    assert reader.refused == {"voltage_l3"}
    assert values.keys() == register_map.quantities.keys() - {"voltage_l3"}


async def test_a_refused_register_is_tried_again_now_and_then(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path, freezer: FrozenDateTimeFactory
) -> None:
    register_map = voltmeter(tmp_path, 0, 2)
    refuse(mock_modbus_unit, 2)
    reader = RegisterReader(mock_modbus_unit, register_map)
    await reader.read(register_map.quantities)

    tried_after = []
    for minute in range(1, 300):
        freezer.tick(timedelta(minutes=1))
        addresses(mock_modbus_unit)
        await reader.read(register_map.quantities)
        if (2, 2) in addresses(mock_modbus_unit):
            tried_after.append(minute)

    assert tried_after == [1, 3, 7, 15, 31, 63, 123, 183, 243]


async def test_a_register_that_answers_again_brings_the_others_back(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path, freezer: FrozenDateTimeFactory
) -> None:
    register_map = voltmeter(tmp_path, 0, 2, 4, 6, 8, 10)
    refuse(mock_modbus_unit, 2, 4, 6, 8, 10)
    reader = RegisterReader(mock_modbus_unit, register_map)
    await reader.read(register_map.quantities)
    assert len(reader.refused) == 5

    accept(mock_modbus_unit, 2, 4, 6, 8, 10)
    freezer.tick(timedelta(seconds=61))
    values = await reader.read(register_map.quantities)
    assert len(values) == 5
    values = await reader.read(register_map.quantities)
    assert len(values) == 6
    addresses(mock_modbus_unit)
    await reader.read(register_map.quantities)
    assert addresses(mock_modbus_unit) == [(0, 12)]


async def test_a_refused_register_that_falls_silent_does_not_take_the_meter_along(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path, freezer: FrozenDateTimeFactory
) -> None:
    register_map = voltmeter(tmp_path, 0, 2)
    refuse(mock_modbus_unit, 2)
    reader = RegisterReader(mock_modbus_unit, register_map)
    await reader.read(register_map.quantities)
    mock_modbus_unit.fail_read(2, ModbusTimeoutError(), register_type="input")
    freezer.tick(timedelta(seconds=61))

    with pytest.raises(ModbusTimeoutError):
        await reader.read(register_map.quantities)
    assert await reader.read(register_map.quantities) == {"voltage_l1": 0.0}


async def test_a_refused_function_leaves_nothing(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path
) -> None:
    register_map = voltmeter(tmp_path, 0, 2, 4)
    mock_modbus_unit.fail_requests(IllegalFunctionError())
    reader = RegisterReader(mock_modbus_unit, register_map)

    assert await reader.read(register_map.quantities) == {}
    assert reader.refused == register_map.quantities.keys()


@pytest.mark.parametrize("error", [ServerDeviceBusyError(), ModbusTimeoutError()])
async def test_a_busy_meter_refuses_nothing(
    mock_modbus_unit: MockModbusUnit, error: Exception, tmp_path: Path
) -> None:
    register_map = voltmeter(tmp_path, 0, 2)
    mock_modbus_unit.fail_requests(error)
    reader = RegisterReader(mock_modbus_unit, register_map)

    with pytest.raises(type(error)):
        await reader.read(register_map.quantities)

    mock_modbus_unit.fail_requests(None)
    assert len(await reader.read(register_map.quantities)) == 2


async def test_a_meter_that_gets_busy_during_the_search_refuses_nothing_more(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path
) -> None:
    register_map = voltmeter(tmp_path, 0, 2)
    refuse(mock_modbus_unit, 0)
    mock_modbus_unit.fail_read(2, ServerDeviceBusyError(), register_type="input")
    reader = RegisterReader(mock_modbus_unit, register_map)

    with pytest.raises(ServerDeviceBusyError):
        await reader.read(register_map.quantities)

    assert not reader.refused


async def test_a_certificate_that_cannot_be_read_is_a_lost_connection(
    mock_modbus_unit: MockModbusUnit,
) -> None:
    mock_modbus_unit.fail_requests(FileNotFoundError("client.pem"))

    with pytest.raises(ModbusConnectionError, match="client"):
        await RegisterReader(mock_modbus_unit, SDM630).read(["power"])


async def test_a_meter_tells_what_it_is(mock_modbus_unit: MockModbusUnit, tmp_path: Path) -> None:
    register_map = voltmeter(
        tmp_path,
        0,
        extra="serial_number: {address: 100, type: string, length: 3}\n"
        "firmware: {address: 200, type: version, length: 3, register_space: holding}\n",
    )
    mock_modbus_unit.input[100] = [0x4142, 0x4320, 0]
    mock_modbus_unit.holding[200] = [2, 10, 7]

    identity = await RegisterReader(mock_modbus_unit, register_map).identify()

    assert identity.serial_number == "ABC"
    assert identity.firmware == "2.10.7"


@pytest.mark.parametrize(
    ("error", "complete"),
    [(REFUSED, True), (ModbusTimeoutError(), False), (ServerDeviceBusyError(), False)],
)
async def test_a_meter_need_not_tell_what_it_is(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path, error: Exception, complete: bool
) -> None:
    register_map = voltmeter(
        tmp_path,
        0,
        extra="serial_number: {address: 100, type: uint32, nan: 0}\n"
        "firmware: {address: 200, type: version, length: 3}\n",
    )
    mock_modbus_unit.fail_read(200, error, register_type="input")

    identity = await RegisterReader(mock_modbus_unit, register_map).identify()

    assert identity.serial_number is None
    assert identity.firmware is None
    # A refusal is an answer, a lost one is none.
    assert identity.complete is complete


async def test_a_lost_answer_takes_nothing_else_along(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path
) -> None:
    register_map = voltmeter(
        tmp_path,
        0,
        extra="serial_number: {address: 100, type: uint32}\n"
        "firmware: {address: 200, type: version, length: 2}\n",
    )
    mock_modbus_unit.fail_read(100, ModbusTimeoutError(), register_type="input")
    mock_modbus_unit.input[200] = [2, 10]

    identity = await RegisterReader(mock_modbus_unit, register_map).identify()

    assert (identity.serial_number, identity.firmware) == (None, "2.10")
    assert not identity.complete


async def test_the_turn_of_others_is_not_taken_for_a_meter_that_is_silent(
    mock_modbus_unit: MockModbusUnit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at a meter waits for the polls on its line, however long they take."""
    monkeypatch.setattr(timed_unit, "REQUEST_TIMEOUT_S", 0.05)
    unit = mock_modbus_unit
    unit.input[0] = encode_float32(230)
    # The first request opens the connection, which is not waited for in the same way.
    await unit.read_input_registers(0, 2)
    line = Line()
    reads = Reads(unit, 1, line, longest_s=5)
    async with line.turn():
        looking = asyncio.create_task(read_once(reads.unit, voltmeter(tmp_path, 0), ["voltage_l1"]))
        await asyncio.sleep(0.2)

    _, values = await looking

    assert values == {"voltage_l1": 230}
