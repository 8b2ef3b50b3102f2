"""How long a meter is waited for, and how it is left alone."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from modbus_connection import ModbusProtocolError, ModbusTimeoutError
from modbus_connection.mock import MockModbusConnection, MockModbusUnit
import pytest

from custom_components.grid_telemetry.links.modbus import line as line_module
from custom_components.grid_telemetry.links.modbus.client import Meter, MeterSilentError
from custom_components.grid_telemetry.links.modbus.line import Line
from custom_components.grid_telemetry.links.modbus.timed_unit import Reads
from custom_components.grid_telemetry.meters import load_register_maps

from .conftest import fail_once, write_sdm630

SDM630 = load_register_maps(Path("/none")).maps["eastron_sdm630"]
SILENT = ModbusTimeoutError("silent")


@pytest.fixture
def waits() -> Iterator[list[str]]:
    """Note how the meter is to be waited for."""
    noted: list[str] = []
    with (
        patch.object(line_module, "LATE_S", 0),
        patch.object(Reads, "wait_fully", lambda _: noted.append("fully")),
        patch.object(Reads, "wait_as_usual", lambda _: noted.append("as usual")),
        patch.object(Reads, "wait_longer", lambda _: noted.append("longer")),
        patch.object(Reads, "wait_briefly", lambda _, seconds: noted.append(f"{seconds:g} s")),
    ):
        yield noted


@pytest.fixture
def unit(mock_modbus_connection: MockModbusConnection) -> MockModbusUnit:
    """Return a unit that answers as an SDM630 does."""
    unit = mock_modbus_connection.for_unit(1)
    write_sdm630(unit, power=500)
    return unit


def meter_on(line: Line, unit: MockModbusUnit) -> Meter:
    return Meter(unit, SDM630, name="Meter", first_pause_s=1, line=line)


async def fail(meter: Meter) -> None:
    with pytest.raises(ModbusTimeoutError):
        await meter.read(["power"])


async def test_a_known_meter_is_asked_twice(unit: MockModbusUnit, waits: list[str]) -> None:
    meter = meter_on(Line(), unit)
    assert await meter.read(["power"]) == {"power": 500}
    unit.fail_requests(SILENT)
    await fail(meter)
    assert waits == ["as usual", "as usual", "fully"]
    assert meter.requests == {"values": 2}
    assert not meter.answering


async def test_a_meter_that_was_never_there_is_asked_once(
    unit: MockModbusUnit, waits: list[str]
) -> None:
    meter = meter_on(Line(), unit)
    unit.fail_requests(SILENT)
    await fail(meter)
    assert waits == ["as usual"]
    assert meter.requests == {"values": 1}
    with pytest.raises(MeterSilentError):
        await meter.read(["power"])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SILENT, ["as usual", "fully", "longer"]),
        (ModbusProtocolError("noise"), ["as usual"]),
    ],
)
async def test_a_wait_that_was_too_short_is_longer_from_then_on(
    unit: MockModbusUnit,
    waits: list[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    expected: list[str],
) -> None:
    meter = meter_on(Line(), unit)
    await meter.read(["power"])
    waits.clear()
    fail_once(monkeypatch, unit, error)
    assert await meter.read(["power"]) == {"power": 500}
    assert waits == expected
    assert meter.answering


async def test_a_silent_meter_has_a_tenth_of_its_pauses_where_others_answer(
    mock_modbus_connection: MockModbusConnection,
    unit: MockModbusUnit,
    waits: list[str],
    freezer: FrozenDateTimeFactory,
) -> None:
    line = Line()
    meter = meter_on(line, unit)
    other = mock_modbus_connection.for_unit(2)
    write_sdm630(other)
    neighbour = meter_on(line, other)
    await meter.read(["power"])
    unit.fail_requests(SILENT)

    given, pauses = [], []
    for _ in range(8):
        freezer.tick(0.1)
        waits.clear()
        await fail(meter)
        given.append(waits[-1])
        pauses.append(meter.pause_s)
        freezer.tick(meter.pause_s)
        await neighbour.read(["power"])
    assert pauses == pytest.approx([1, 5, 10, 20, 40, 80, 160, 300])
    assert given == ["fully", "0.1 s", "0.5 s", "1 s", "2 s", "4 s", "8 s", "16 s"]

    unit.fail_requests(None)
    freezer.tick(0.1)
    assert await meter.read(["power"]) == {"power": 500}
    assert meter.answering


@pytest.mark.parametrize(
    ("meters", "expected"), [(1, [1, 2, 4, 8, 10, 10, 10]), (3, [1, 2, 4, 8, 16, 30, 30])]
)
async def test_a_line_without_answers_is_tried_every_ten_seconds(
    unit: MockModbusUnit,
    waits: list[str],
    freezer: FrozenDateTimeFactory,
    meters: int,
    expected: list[int],
) -> None:
    line = Line()
    meter, *_ = [meter_on(line, unit) for _ in range(meters)]
    unit.fail_requests(SILENT)
    pauses = []
    for _ in expected:
        await fail(meter)
        pauses.append(meter.pause_s)
        freezer.tick(meter.pause_s + 0.1)
    assert pauses == pytest.approx(expected)
    assert waits == ["as usual", *["fully"] * (len(expected) - 1)]
