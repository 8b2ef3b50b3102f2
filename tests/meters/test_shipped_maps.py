"""The shipped maps, against register words from the manuals and against another Modbus stack."""

import math
from pathlib import Path

from modbus_connection import ModbusTcpParams
from modbus_connection.mock import MockModbusUnit
from modbus_connection.tmodbus import ModbusConnection
import pytest

from custom_components.grid_telemetry.links.modbus.register_reader import RegisterReader
from custom_components.grid_telemetry.meters import RegisterMap, load_register_maps
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES
from simulators.meters import MeterServer, SimulatedMeter

MAPS = load_register_maps(Path("/none")).maps

# Words as they are on the wire, and what they mean, written down from the makers' documents and
# not from our maps.
WORDS: dict[str, tuple[dict[str, dict[int, list[int]]], dict[str, float], str | None]] = {
    "eastron_sdm630": (
        {
            "input": {
                0x0000: [0x4366, 0x3333],  # 230.2
                0x000A: [0x3FC0, 0x0000],  # 1.5
                0x0034: [0xC49A, 0x5000],  # -1234.5
                0x0046: [0x4247, 0xF5C3],  # 49.99
                0x0048: [0x479E, 0xB110],  # 81250.125
                0x00CE: [0x43C7, 0x4CCD],  # 398.6
                0x00E0: [0x3E80, 0x0000],  # 0.25
                0x0164: [0x3F80, 0x0000],  # 1
                0x017C: [0x4000, 0x0000],  # 2
            },
            "holding": {0xFC00: [0x0160, 0xC911]},
        },
        {
            "voltage_l1": 230.2,
            "current_l3": 1.5,
            "power": -1234.5,
            "frequency": 49.99,
            "energy_import": 81250.125,
            "voltage_ll_average": 398.6,
            "current_n": 0.25,
            "energy_export_l3": 1,
            "reactive_energy_sum_l3": 2,
        },
        "23120145",
    ),
    "eastron_sdm120": (
        {
            "input": {
                0x0000: [0x4366, 0x3333],
                0x000C: [0xC49A, 0x5000],
                0x001E: [0xBF73, 0x3333],  # -0.95
                0x004A: [0x3F80, 0x0000],
                0x0158: [0x4000, 0x0000],
            }
        },
        {
            "voltage": 230.2,
            "power": -1234.5,
            "power_factor": -0.95,
            "energy_export": 1,
            "reactive_energy_sum": 2,
        },
        "0",
    ),
    "carlo_gavazzi_em24_e1": (
        {
            "input": {
                0x0000: [2302, 0],
                0x000C: [1500, 0],
                0x0028: [0xCFC7, 0xFFFF],  # -12345, the low word first
                0x0031: [0xFC4A],  # -950
                0x0033: [500],
                0x0034: [0x6602, 0x000C],  # 812546
                0x004E: [10, 0],
                0x5000: [0x4B53, 0x3132, 0x3334, 0x3536, 0x3741, 0x0000, 0x0000],
            }
        },
        {
            "voltage_l1": 230.2,
            "current_l1": 1.5,
            "power": -1234.5,
            "power_factor": -0.95,
            "frequency": 50,
            "energy_import": 81254.6,
            "energy_export": 1,
        },
        "KS1234567A",
    ),
    "circutor_cem_c12": (
        {
            "holding": {
                0x0000: [0, 0x091F],  # the example of the manual: 233.5 V
                0x0002: [0, 150],
                0x0004: [0xFFFF, 0xFF85],  # -123, in steps of 10 W
                0x0012: [0x0012, 0xD687],  # 1234567
                0x005A: [5001],
            }
        },
        {
            "voltage": 233.5,
            "current": 1.5,
            "power": -1230,
            "energy_import": 12345.67,
            "frequency": 50.01,
        },
        None,
    ),
    "circutor_line_cvm_d32": (
        {
            "input": {
                0x0000: [0x4366, 0x3333],  # 230.2
                0x0034: [0x4248, 0x0000],  # 50
                0x0042: [0xC49A, 0x5000],  # -1234.5
                0x0520: [0, 0, 0x04D7, 0xC902],  # 81250562 Wh
                0x0530: [0, 1, 0, 1],
            }
        },
        {
            "voltage_l1": 230.2,
            "frequency": 50,
            "power": -1234.5,
            "energy_import": 81250.562,
            "reactive_energy_inductive": 4294967.297,
        },
        None,
    ),
    "circutor_cem_c31": (
        {
            "holding": {
                0x0000: [0x04D7, 0xC902],  # 81250562 Wh
                0x0002: [0, 1000],
                0x000A: [0, 2500],
                0x0732: [0, 2302],
                0x0738: [0, 150],
                0x074C: [0xFFFF, 0xFB2E],  # -1234
                0x2710: [0x0160, 0xC911],
            }
        },
        {
            "energy_import": 81250.562,
            "energy_export": 1,
            "reactive_energy_q4": 2.5,
            "voltage_l1": 230.2,
            "current_l1": 1.5,
            "power": -1234,
        },
        "23120145",
    ),
}


@pytest.mark.parametrize("name", WORDS)
async def test_words_from_the_manual_become_values(
    name: str, mock_modbus_unit: MockModbusUnit
) -> None:
    words, expected, serial_number = WORDS[name]
    mock_modbus_unit.input.update(words.get("input", {}))
    mock_modbus_unit.holding.update(words.get("holding", {}))
    reader = RegisterReader(mock_modbus_unit, MAPS[name])

    values = await reader.read(MAPS[name].quantities)

    assert {key: values[key] for key in expected} == expected
    assert (await reader.identify()).serial_number == serial_number


def distinct_values(register_map: RegisterMap) -> dict[str, float]:
    """Return another value for each quantity, in the steps of its register."""
    return {
        key: (-1) ** index * (1000 + 7 * index) * float(register.scale)
        if register.type.startswith(("int", "float"))
        else (1000 + 7 * index) * float(register.scale)
        for index, (key, register) in enumerate(register_map.quantities.items())
    }


@pytest.mark.parametrize("name", MAPS)
async def test_another_stack_reads_back_every_quantity(name: str, socket_enabled: None) -> None:
    values = distinct_values(MAPS[name])
    meter = SimulatedMeter(7, name, lambda: values)
    async with MeterServer([meter]) as server:
        connection = ModbusConnection(ModbusTcpParams(host="127.0.0.1", port=server.port))
        reader = RegisterReader(connection.for_unit(7), MAPS[name])
        try:
            read = await reader.read(MAPS[name].quantities)
            # The stand-in refuses what lies between the quantities of a map.
            while reader.searching:
                read |= await reader.read(MAPS[name].quantities)
            identity = await reader.identify()
        finally:
            await connection.close()

    assert read.keys() == values.keys()
    assert all(math.isclose(read[key], values[key], rel_tol=1e-7) for key in values)
    assert identity.serial_number == (meter.serial_number if MAPS[name].serial_number else None)
    assert identity.firmware == (meter.firmware if MAPS[name].firmware else None)


def test_fast_and_slow_quantities_are_both_there() -> None:
    groups = {
        key: {QUANTITIES[quantity].fast for quantity in register_map.quantities}
        for key, register_map in MAPS.items()
    }

    # The energy registers of these are not public, or they keep no counters.
    assert {key for key in groups if groups[key] != {True, False}} == {
        "bg_etech_drs458",
        "camille_bauer_aplus",
        "circutor_cvm_c10",
        "e3dc_hauskraftwerk",
        "selec_mfm384",
        "siemens_pac3100",
        "solarmax_maxstorage",
        "victron_gx",
    }
