"""Transformers before a meter, and a meter whose power has the other sign."""

import struct
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_USER, ConfigSubentryData, SubentryFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from modbus_connection import IllegalDataAddressError, ModbusTimeoutError
from modbus_connection.mock import MockModbusConnection, MockModbusUnit
import pytest

from custom_components.grid_telemetry.links.modbus.adjustment import parse_ratio

from .conftest import after, link_entry, meter, start, state, write_sdm630


def float32(value: float) -> list[int]:
    return list(struct.unpack(">2H", struct.pack(">f", value)))


def dtsu666(line: MockModbusConnection, current_ratio: int, voltage_ratio_tenths: int) -> None:
    """Put a DTSU666 on the line that measures 230 V, 2.5 A and 500 W on its own terminals."""
    unit = line.for_unit(1)
    unit.holding[0x0006] = [current_ratio, voltage_ratio_tenths]
    unit.holding[0x2006] = float32(2300)
    unit.holding[0x200C] = float32(2500)
    unit.holding[0x2012] = float32(5000)
    unit.holding[0x202A] = float32(870)
    unit.holding[0x2044] = float32(5000)
    unit.holding[0x101E] = float32(12.5)


def with_data(base: ConfigSubentryData, **data: Any) -> ConfigSubentryData:
    return {**base, "data": {**base["data"], **data}}


def states(hass: HomeAssistant) -> dict[str, float]:
    keys = ("voltage_l1", "current_l1", "power", "power_factor", "frequency", "energy_import")
    return {key: float(state(hass, key)) for key in keys}


@pytest.fixture(autouse=True)
def every_sensor(every_sensor_enabled: None) -> None:
    """Show the quantities that few look at too."""


async def test_a_dtsu666_behind_200_5_tells_its_ratio_itself(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    dtsu666(line, 40, 10)
    await start(hass, link_entry(meter(register_map="chint_dtsu666")))

    assert states(hass) == {
        "voltage_l1": 230,
        "current_l1": 100,
        "power": 20000,
        "power_factor": 0.87,
        "frequency": 50,
        "energy_import": 500,
    }


async def test_voltage_transformers_count_for_power_as_well(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    dtsu666(line, 40, 1000)
    await start(hass, link_entry(meter(register_map="chint_dtsu666")))

    assert (states(hass)["voltage_l1"], states(hass)["power"]) == (23000, 2000000)


async def test_a_ratio_of_the_user_counts_in_place_of_that_of_the_meter(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    dtsu666(line, 1, 10)
    await start(
        hass, link_entry(with_data(meter(register_map="chint_dtsu666"), current_ratio=40.0))
    )

    assert (states(hass)["current_l1"], states(hass)["power"]) == (100, 20000)


async def test_a_meter_without_a_register_for_its_ratio_is_read_as_it_is(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    dtsu666(line, 40, 10)
    line.for_unit(1).fail_read(0x0006, IllegalDataAddressError())
    await start(hass, link_entry(meter(register_map="chint_dtsu666")))

    assert states(hass)["power"] == 500


async def test_nothing_is_shown_before_the_ratio_is_known(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    dtsu666(line, 40, 10)
    line.for_unit(1).fail_read(0x0006, ModbusTimeoutError())
    await start(hass, link_entry(meter(register_map="chint_dtsu666")))

    assert state(hass, "power") == "unavailable"


async def test_a_ratio_that_is_set_at_the_meter_is_seen_within_the_hour(
    hass: HomeAssistant, line: MockModbusConnection, freezer: FrozenDateTimeFactory
) -> None:
    dtsu666(line, 1, 10)
    await start(hass, link_entry(meter(register_map="chint_dtsu666")))
    before = states(hass)["power"]
    dtsu666(line, 40, 10)
    await after(hass, freezer, 60)
    still = states(hass)["power"]
    await after(hass, freezer, 3600)

    assert (before, still, states(hass)["power"]) == (500, 500, 20000)


async def test_a_ratio_goes_for_every_map(hass: HomeAssistant, line: MockModbusConnection) -> None:
    write_sdm630(line.for_unit(1), voltage_l1=230.5, current_l1=2, power=-100, energy_import=8)
    await start(hass, link_entry(with_data(meter(), current_ratio=40.0)))

    assert {key: states(hass)[key] for key in ("voltage_l1", "current_l1", "power")} == {
        "voltage_l1": 230.5,
        "current_l1": 80,
        "power": -4000,
    }
    assert states(hass)["energy_import"] == 320


async def test_the_sign_of_power_is_turned_and_counters_stay(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    unit = line.for_unit(1)
    write_sdm630(unit, voltage_l1=230, current_l1=2, power=-100, energy_import=8, energy_export=9)
    unit.input[0x3C] = float32(20)
    await start(hass, link_entry(with_data(meter(), turn_sign=True)))

    keys = ("power", "reactive_power", "current_l1", "energy_import", "energy_export")
    assert [float(state(hass, key)) for key in keys] == [100, -20, 2, 8, 9]


# --- the form

METER = {"unit_id": 1, "register_map": "eastron_sdm630", "fast_interval_s": 4}


async def fill_in(
    hass: HomeAssistant, line: MockModbusConnection, **data: Any
) -> SubentryFlowResult:
    unit: MockModbusUnit = line.for_unit(1)
    write_sdm630(unit, voltage_l1=230, current_l1=2, power=-100)
    entry = link_entry()
    await start(hass, entry)
    flows = hass.config_entries.subentries
    result = await flows.async_init((entry.entry_id, "meter"), context={"source": SOURCE_USER})
    result = await flows.async_configure(result["flow_id"], {"next_step_id": "model"})
    return await flows.async_configure(result["flow_id"], {**METER, "slow_interval_s": 30, **data})


async def test_the_values_are_shown_with_the_ratio_and_the_sign(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    result = await fill_in(hass, line, current_ratio="200/5", turn_sign=True)
    assert result["description_placeholders"] is not None
    assert "Active power: 4000.0 W" in result["description_placeholders"]["values"]

    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"next_step_id": "save"}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert {key: result["data"][key] for key in ("current_ratio", "turn_sign")} == {
        "current_ratio": 40.0,
        "turn_sign": True,
    }


@pytest.mark.parametrize("text", ["", "x", "200/0", "0", "-5", "1/2/3", "nan", "1e9", "200/5/"])
async def test_what_is_no_ratio_is_told(
    hass: HomeAssistant, line: MockModbusConnection, text: str
) -> None:
    result = await fill_in(hass, line, voltage_ratio=text)

    assert result["errors"] == {"voltage_ratio": "ratio_invalid"}


@pytest.mark.parametrize(
    ("text", "ratio"), [("200/5", 40), ("40", 40), ("100:5", 20), ("0,5", 0.5), (" 75 / 5 ", 15)]
)
def test_a_ratio_is_written_in_several_ways(text: str, ratio: float) -> None:
    assert parse_ratio(text) == ratio


async def test_a_ratio_is_changed_and_taken_away_again(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    write_sdm630(line.for_unit(1), power=-100)
    entry = link_entry(with_data(meter(), current_ratio=40.0, turn_sign=True))
    await start(hass, entry)
    result = await entry.start_subentry_reconfigure_flow(hass, "meter_1")
    assert result["data_schema"] is not None
    fields = {str(key): key.description for key in result["data_schema"].schema}
    assert fields["current_ratio"] == {"suggested_value": "40"}

    await hass.config_entries.subentries.async_configure(
        result["flow_id"], {**METER, "slow_interval_s": 30, "turn_sign": False}
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    assert not {"current_ratio", "turn_sign"} & entry.subentries["meter_1"].data.keys()
    assert state(hass, "power") == "-100.0"
