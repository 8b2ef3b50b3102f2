"""What is easily read wrongly: look-alikes, kW for W, Wh for kWh, swapped words, no value."""

from collections.abc import Mapping
from pathlib import Path
import struct

from modbus_connection.mock import MockModbusUnit
import pytest

from custom_components.grid_telemetry.links.modbus.register_reader import (
    RegisterReader,
    read_register,
)
from custom_components.grid_telemetry.meters import load_register_maps
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES

MAPS = load_register_maps(Path("/none")).maps

type Words = Mapping[int, list[int]]


def float32(value: float) -> list[int]:
    return list(struct.unpack(">2H", struct.pack(">f", value)))


def write(unit: MockModbusUnit, name: str, words: Words) -> None:
    """Write words into the space that a map reads."""
    (space,) = {register.space for register in MAPS[name].quantities.values()}
    getattr(unit, space).update(words)


async def read(unit: MockModbusUnit, name: str, *quantities: str) -> dict[str, float]:
    return await RegisterReader(unit, MAPS[name]).read(quantities)


async def recognised(unit: MockModbusUnit) -> set[str]:
    """Return the maps of which every check holds."""
    return {
        name
        for name, register_map in MAPS.items()
        if register_map.recognise
        and all(
            [
                check.holds(await read_register(unit, check.register))
                for check in register_map.recognise
            ]
        )
    }


# --- the two EM24

EM24 = {
    0x00: [2302, 0],
    0x32: [950, 960, 970, 955],  # power factors of the phases, then of all
    0x37: [500],
    0x0B: [71],
    0x3E: [0x6602, 0x000C],  # the counter of all phases, 81254.6 kWh
    0x42: [12, 0],  # the one that can be reset
    0x46: [100, 0],
}
EM24_E1 = {
    0x00: [2302, 0],
    0x2E: [950, 960, 970, 955],
    0x33: [500],
    0x34: [0x6602, 0x000C],
    0x3E: [100, 0],  # nothing that is public
}


async def test_the_older_em24_has_its_counters_elsewhere(mock_modbus_unit: MockModbusUnit) -> None:
    write(mock_modbus_unit, "carlo_gavazzi_em24", EM24)

    values = await read(
        mock_modbus_unit,
        "carlo_gavazzi_em24",
        *("energy_import", "energy_import_l1", "frequency", "power_factor"),
    )

    assert values == {
        "energy_import": 81254.6,
        "energy_import_l1": 10,
        "frequency": 50,
        "power_factor": 0.955,
    }


async def test_the_map_of_the_other_em24_reads_something_else(
    mock_modbus_unit: MockModbusUnit,
) -> None:
    write(mock_modbus_unit, "carlo_gavazzi_em24_e1", EM24_E1)
    right = await read(mock_modbus_unit, "carlo_gavazzi_em24_e1", "energy_import")
    wrong = await read(mock_modbus_unit, "carlo_gavazzi_em24", "energy_import")

    assert right == {"energy_import": 81254.6}
    assert wrong == {"energy_import": 10}


@pytest.mark.parametrize(
    ("words", "name"), [(EM24, "carlo_gavazzi_em24"), (EM24_E1, "carlo_gavazzi_em24_e1")]
)
async def test_each_em24_is_recognised_as_itself(
    mock_modbus_unit: MockModbusUnit, words: Words, name: str
) -> None:
    write(mock_modbus_unit, name, words)

    # Later meters of the maker have the registers of the E1 too, and an own number each.
    found = await recognised(mock_modbus_unit)
    assert found & {"carlo_gavazzi_em24", "carlo_gavazzi_em24_e1"} == {name}


# --- what one source had wrong and others right


@pytest.mark.parametrize(
    ("name", "quantity", "words", "value"),
    [
        # 0x0042 can be reset by the user.
        ("carlo_gavazzi_em24", "energy_import", {0x3E: [1000, 0], 0x42: [7, 0]}, 100),
        ("carlo_gavazzi_em24", "energy_import_resettable", {0x3E: [1000, 0], 0x42: [7, 0]}, 0.7),
        # Where the WS100 has it, and not at 0x118A.
        ("bg_etech_ds100", "energy_export", {0x0118: [0, 4200], 0x118A: [0, 7]}, 42),
        ("siemens_pac2200", "frequency", {55: float32(50.0)}, 50),
        # Numbers from 1: 1127 and 1129; 1131 is the apparent energy.
        ("solaredge_se_mtr_3y", "reactive_energy_net_l2", {1126: float32(2.5)[::-1]}, 2.5),
        ("solaredge_se_mtr_3y", "reactive_energy_net_l3", {1128: float32(3.5)[::-1]}, 3.5),
        ("solaredge_se_mtr_3y", "apparent_energy", {1130: float32(4.5)[::-1]}, 4.5),
        # The one-way type counts its second tariff where the two-way type has the export.
        ("saia_burgess_ale3", "energy_import_t2", {31: [0, 4200]}, 42),
        ("saia_burgess_ale3_bidirectional", "energy_export", {31: [0, 4200]}, 42),
    ],
)
async def test_a_register_is_where_two_sources_have_it(
    mock_modbus_unit: MockModbusUnit, name: str, quantity: str, words: Words, value: float
) -> None:
    write(mock_modbus_unit, name, words)

    assert await read(mock_modbus_unit, name, quantity) == {quantity: value}


def test_the_one_way_ale3_has_no_export() -> None:
    assert "energy_export" not in MAPS["saia_burgess_ale3"].quantities


def test_net_energy_may_fall() -> None:
    keys = {key for key in MAPS["solaredge_se_mtr_3y"].quantities if "energy" in key}

    assert {key for key in keys if not QUANTITIES[key].counter} == {
        f"{kind}_net{phase}"
        for kind in ("energy", "reactive_energy")
        for phase in ("", "_l1", "_l2", "_l3")
    }


# --- one maker, many meters

THREE_PHASES = {0x00: float32(230.0), 0x02: float32(231.0), 0x46: float32(50.0)}
ONE_PHASE = {0x00: float32(230.0), 0x46: float32(50.0)}


async def test_eastron_meters_are_told_apart_by_their_phases(
    mock_modbus_unit: MockModbusUnit,
) -> None:
    write(mock_modbus_unit, "eastron_sdm630", THREE_PHASES)
    three = await recognised(mock_modbus_unit)
    mock_modbus_unit.input.clear()
    write(mock_modbus_unit, "eastron_sdm120", ONE_PHASE)
    one = await recognised(mock_modbus_unit)

    assert three == {
        *("eastron_sdm54", "eastron_sdm630"),
        *("eastron_sdm72_v2", "eastron_smart_x96"),
    }
    assert one == {"eastron_sdm120", "eastron_sdm230", "eastron_sdm320"}


# --- units


@pytest.mark.parametrize(
    ("name", "quantity", "words", "value"),
    [
        # kW, kvar and kVA
        ("orno_we516_we517", "power", {0x1C: float32(1.5)}, 1500),
        ("orno_we516_we517", "apparent_power_l3", {0x32: float32(0.25)}, 250),
        ("inepro_pro380", "power_l1", {0x5014: float32(-1.25)}, -1250),
        ("inepro_pro380", "reactive_power", {0x501A: float32(0.5)}, 500),
        ("wago_879_30xx", "power", {0x5012: float32(1.5)}, 1500),
        ("schneider_iem3000", "power", {0x0BF3: float32(1.5)}, 1500),
        ("saia_burgess_ale3", "power", {50: [123]}, 1230),
        ("saia_burgess_ale3_bidirectional", "power", {50: [0xFF85]}, -1230),
        # W
        ("orno_we514_we515", "power", {0x140: [0, 1500]}, 1500),
        ("janitza_b_series", "power", {0x4A52: float32(1500)}, 1500),
        ("chint_dtsu666", "power", {0x2012: float32(15000)}, 1500),
        ("eastron_sdm630", "power", {0x34: float32(1500)}, 1500),
        # signed
        ("saia_burgess_ale3", "reactive_power", {51: [0xFF85]}, -1230),
        ("saia_burgess_ale3", "reactive_power_l1", {38: [0xFFFF]}, -10),
        # Wh and varh
        ("janitza_b_series", "energy_import", {0x4A7C: float32(1_500_000)}, 1500),
        ("finder_7m38", "energy_import", {2752: float32(1_500_000)}, 1500),
        ("finder_7m24", "reactive_energy_export", {2758: float32(1_500_000)}, 1500),
        ("schneider_iem3000", "energy_import", {0x0C83: [0, 0, 0x0016, 0xE360]}, 1500),
        ("siemens_pac2200", "energy_import", {801: [0x4136, 0xE360, 0, 0]}, 1500),
        ("orno_we504", "energy_sum", {0x07: [0x0016, 0xE360]}, 1500),
        ("circutor_cem_c31", "energy_import", {0x00: [0x0016, 0xE360]}, 1500),
        ("circutor_cvm_c11", "energy_import", {0xDC: [0, 1499, 0, 999]}, 1499.999),
        # kWh
        ("inepro_pro380", "energy_import", {0x600C: float32(1500)}, 1500),
        ("orno_we516_we517", "energy_import", {0x108: float32(1500)}, 1500),
        ("wago_879_30xx", "energy_import", {0x600C: float32(1500)}, 1500),
        ("abb_ab_series", "energy_import", {0x5000: [0, 0, 0x0002, 0x49F0]}, 1500),
        ("lovato_dmg610", "energy_import", {0x1B1F: [0, 0, 0x0002, 0x49F0]}, 1500),
        # the low word first
        ("carlo_gavazzi_em24", "power", {0x28: [0xCFC7, 0xFFFF]}, -1234.5),
        ("carlo_gavazzi_em24_e1", "power", {0x28: [0xCFC7, 0xFFFF]}, -1234.5),
        ("solaredge_se_mtr_3y", "power", {0x3F0: float32(-1234.5)[::-1]}, -1234.5),
        # kWh and Wh, each with its low word first
        ("fronius_smart_meter_ts", "energy_import", {1024: [463, 1, 941, 0]}, 65999.941),
        # W, as a meter said it to its inverter, which others had for kW
        ("huawei_dtsu666_h", "power", {2126: [0x4290, 0x6666]}, 72.2),
        ("huawei_dtsu666_h", "power_l3", {2132: [0xC2C4, 0x999A]}, -98.3),
        # the high word first
        ("circutor_cem_c31", "power", {0x74C: [0xFFFF, 0xFB2E]}, -1234),
    ],
)
async def test_a_value_has_the_unit_of_its_quantity(
    mock_modbus_unit: MockModbusUnit, name: str, quantity: str, words: Words, value: float
) -> None:
    write(mock_modbus_unit, name, words)

    assert await read(mock_modbus_unit, name, quantity) == {quantity: value}


# --- not available


@pytest.mark.parametrize(
    ("name", "quantity", "words"),
    [
        ("abb_ab_series", "voltage_l2", {0x5B02: [0xFFFF, 0xFFFF]}),
        ("abb_ab_series", "power_l2", {0x5B18: [0x7FFF, 0xFFFF]}),
        ("abb_ab_series", "power_factor_l2", {0x5B3C: [0x7FFF]}),
        ("abb_ab_series", "frequency", {0x5B2C: [0xFFFF]}),
        ("abb_ab_series", "energy_export", {0x5004: [0xFFFF] * 4}),
        ("eastron_sdm630", "thd_voltage", {0xF8: [0x7FC0, 0]}),
        ("siemens_pac2200", "power", {65: [0xFFC0, 0]}),
        ("siemens_pac2200", "energy_import", {801: [0x7FF8, 0, 0, 0]}),
    ],
)
async def test_what_a_meter_does_not_have_is_no_value(
    mock_modbus_unit: MockModbusUnit, name: str, quantity: str, words: Words
) -> None:
    write(mock_modbus_unit, name, words)

    assert await read(mock_modbus_unit, name, quantity) == {}


async def test_a_power_near_the_largest_is_still_a_value(mock_modbus_unit: MockModbusUnit) -> None:
    write(mock_modbus_unit, "abb_ab_series", {0x5B18: [0xFFFF, 0xFFFF]})

    assert await read(mock_modbus_unit, "abb_ab_series", "power_l2") == {"power_l2": -0.01}
