"""The simulated meters are as strict as real ones and obey physics."""

import asyncio
from collections.abc import AsyncIterator
import math
from pathlib import Path
import signal
import sys

from modbus_connection import ModbusSerialParams
from modbus_connection.tmodbus import ModbusConnection
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.constants import ExcCodes
import pytest

from simulators.house import PHASES, House
from simulators.household import household
from simulators.meters import MeterServer, RawMeter, Request, SimulatedMeter, demo_meters

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("socket_enabled")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def simulated() -> SimulatedMeter:
    return SimulatedMeter(1, "eastron_sdm630", lambda: {"voltage_l1": 230.25, "energy_import": 7})


@pytest.fixture
async def server(simulated: SimulatedMeter) -> AsyncIterator[MeterServer]:
    async with MeterServer([simulated]) as server:
        yield server


@pytest.fixture
async def client(server: MeterServer) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=0.3, retries=0)
    await client.connect()
    yield client
    client.close()


# --- the house


def test_power_is_voltage_times_current_times_power_factor(clock: Clock) -> None:
    house = House(clock=clock)
    for clock.now in range(0, 86400, 3600):
        values = house.grid()
        for phase in PHASES:
            assert math.isclose(
                values[f"power_{phase}"],
                values[f"voltage_{phase}"]
                * values[f"current_{phase}"]
                * values[f"power_factor_{phase}"],
            )
        assert math.isclose(values["power"], sum(values[f"power_{phase}"] for phase in PHASES))


def test_the_house_exports_at_noon_and_imports_at_night(clock: Clock) -> None:
    house = House(clock=clock, starts_at_s=0)
    clock.now = 12 * 3600
    assert house.grid()["power"] < 0
    assert house.solar()["power"] < 0

    clock.now = 23 * 3600
    assert house.grid()["power"] > 0
    assert house.solar()["power"] == 0


def test_counters_are_the_integral_of_power(clock: Clock) -> None:
    house = House(clock=clock, starts_at_s=0)
    before = house.grid()
    energy = 0.0
    for clock.now in range(10, 3610, 10):
        energy += house.grid()["power_l2"] * 10 / 3_600_000
    after = house.grid()

    assert math.isclose(
        after["energy_import_l2"] - before["energy_import_l2"], energy, rel_tol=0.01
    )
    assert after["energy_export_l2"] == before["energy_export_l2"]
    assert math.isclose(after["energy_sum"], after["energy_import"] + after["energy_export"])


def test_a_short_day_does_not_make_the_counters_run_faster(clock: Clock) -> None:
    house = House(clock=clock, day_s=60)
    before = house.grid()["energy_sum"]
    clock.now = 60.0

    assert house.grid()["energy_sum"] - before < 10 * 60 / 3600


# --- the server


async def test_a_meter_answers_its_registers(
    server: MeterServer, client: AsyncModbusTcpClient
) -> None:
    answer = await client.read_input_registers(0, count=2, device_id=1)

    assert client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32) == 230.25
    (request,) = server.requests
    assert request == Request(request.at, unit=1, function=4, address=0, count=2)


async def test_a_part_of_a_value_can_be_read(client: AsyncModbusTcpClient) -> None:
    answer = await client.read_input_registers(1, count=2, device_id=1)

    assert answer.registers == [0x4000, 0]


async def test_reserved_registers_are_zero(client: AsyncModbusTcpClient) -> None:
    answer = await client.read_input_registers(0x24, count=6, device_id=1)

    assert answer.registers == [0] * 6


@pytest.mark.parametrize(
    ("address", "count", "code"),
    [
        (0x180, 2, ExcCodes.ILLEGAL_ADDRESS),
        (0x6A, 4, ExcCodes.ILLEGAL_ADDRESS),
        (0, 81, ExcCodes.ILLEGAL_VALUE),
    ],
)
async def test_what_a_meter_does_not_have_is_refused(
    client: AsyncModbusTcpClient, address: int, count: int, code: ExcCodes
) -> None:
    answer = await client.read_input_registers(address, count=count, device_id=1)

    assert answer.isError()
    assert answer.exception_code == code


async def test_a_meter_cannot_be_written(client: AsyncModbusTcpClient) -> None:
    answer = await client.write_register(0, 1, device_id=1)

    assert answer.exception_code == ExcCodes.ILLEGAL_FUNCTION


async def test_a_space_without_registers_is_an_unknown_function() -> None:
    meter = SimulatedMeter(1, "carlo_gavazzi_em24_e1", dict)

    assert meter.answer(3, 0, 2) is ExcCodes.ILLEGAL_FUNCTION
    assert meter.answer(1, 0, 2) is ExcCodes.ILLEGAL_FUNCTION


async def test_a_refused_quantity(client: AsyncModbusTcpClient, simulated: SimulatedMeter) -> None:
    simulated.refused.add("voltage_l1")

    assert (await client.read_input_registers(0, count=4, device_id=1)).isError()
    assert not (await client.read_input_registers(2, count=2, device_id=1)).isError()


async def test_a_failing_meter(client: AsyncModbusTcpClient, simulated: SimulatedMeter) -> None:
    simulated.failing = ExcCodes.DEVICE_BUSY

    answer = await client.read_input_registers(0, count=4, device_id=1)
    assert answer.exception_code == ExcCodes.DEVICE_BUSY


async def test_a_glitch_comes_once(client: AsyncModbusTcpClient, simulated: SimulatedMeter) -> None:
    simulated.glitches["energy_import"] = 0.0

    first = await client.read_input_registers(0x48, count=2, device_id=1)
    second = await client.read_input_registers(0x48, count=2, device_id=1)

    assert first.registers == [0, 0]
    assert client.convert_from_registers(second.registers, client.DATATYPE.FLOAT32) == 7


@pytest.mark.parametrize("unit", [1, 9], ids=["silent", "absent"])
async def test_silence(
    client: AsyncModbusTcpClient, simulated: SimulatedMeter, server: MeterServer, unit: int
) -> None:
    simulated.silent = True

    with pytest.raises(Exception, match="No response"):
        await client.read_input_registers(0, count=2, device_id=unit)
    assert server.requests[0].unit == unit


async def test_an_answer_can_take_time(client: AsyncModbusTcpClient, server: MeterServer) -> None:
    server.delay_s = 0.05
    loop = asyncio.get_running_loop()
    began = loop.time()

    await client.read_input_registers(0, count=2, device_id=1)

    assert loop.time() - began >= 0.05


async def test_the_demo_serves_two_families() -> None:
    assert {meter.unit: meter.map_name for meter in demo_meters(day_s=600)} == {
        1: "eastron_sdm630",
        2: "eastron_sdm120",
    }


async def test_the_program_serves_until_a_signal_comes() -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "simulators.meters", "--port", "0"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert program.stdout is not None
    async with asyncio.timeout(20):
        ready = (await program.stdout.readline()).decode()
        assert ready.startswith("listening on 127.0.0.1:")
        client = AsyncModbusTcpClient("127.0.0.1", port=int(ready.rpartition(":")[2]))
        await client.connect()
        answer = await client.read_input_registers(0, count=2, device_id=1)
        client.close()
        program.send_signal(signal.SIGTERM)
        assert await program.wait() == 0
    volts = client.convert_from_registers(answer.registers, client.DATATYPE.FLOAT32)
    assert 225 < volts < 237


# --- more than one line


async def test_a_serial_line_needs_no_hardware() -> None:
    meters = [
        SimulatedMeter(1, "eastron_sdm120", lambda: {"voltage": 231.0}),
        SimulatedMeter(2, "eastron_sdm120", lambda: {"voltage": 232.0}),
    ]
    async with MeterServer(meters, transport="serial") as server:
        connection = ModbusConnection(ModbusSerialParams(device=server.device, baudrate=9600))
        try:
            words = [
                await connection.for_unit(unit).read_input_registers(0, 2) for unit in (1, 2, 1)
            ]
        finally:
            await connection.close()

    assert words == [[0x4367, 0], [0x4368, 0], [0x4367, 0]]


async def test_a_serial_line_can_be_opened_again() -> None:
    meter = SimulatedMeter(1, "eastron_sdm120", lambda: {"voltage": 230.0})
    async with MeterServer([meter], transport="serial") as server:
        for _ in range(2):
            connection = ModbusConnection(ModbusSerialParams(device=server.device, baudrate=9600))
            try:
                assert await connection.for_unit(1).read_input_registers(0, 1) == [0x4366]
            finally:
                await connection.close()


async def test_a_meter_of_words_refuses_the_space_it_does_not_have() -> None:
    meter = RawMeter(1, {"input": {0x10: 7}, "holding": {}})

    assert meter.answer(4, 0x0F, 3) == [0, 7, 0]
    assert meter.answer(3, 0x10, 1) is ExcCodes.ILLEGAL_FUNCTION


async def test_the_house_draws_what_its_parts_draw(clock: Clock) -> None:
    part = House(clock=clock, load_w=dict.fromkeys(PHASES, 100.0), evening_w=0, solar_peak_w=0)
    alone, whole = House(clock=clock), House(clock=clock, parts=[part])

    for phase in ("l1", "l3"):
        drawn = part.grid()[f"power_{phase}"]
        assert whole.grid()[f"power_{phase}"] == pytest.approx(
            alone.grid()[f"power_{phase}"] + drawn
        )
    assert part.first_phase()["power"] == pytest.approx(part.grid()["power_l1"])


async def test_the_household_has_ten_meters_of_ten_families_on_three_lines() -> None:
    async with household(day_s=60) as lines:
        meters = [meter for line in lines for meter in line.meters.values()]

    assert [line.step for line in lines] == ["modbus_tcp", "modbus_tcp", "modbus_serial"]
    assert len({meter.map_name for meter in meters}) == len(meters) == 10
