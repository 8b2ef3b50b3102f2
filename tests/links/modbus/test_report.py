"""The report of a meter: what is in it, what is not, and that it can be played back."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from modbus_connection import IllegalDataAddressError, ModbusTcpParams, ModbusTimeoutError
from modbus_connection.mock import MockModbusConnection
from modbus_connection.tmodbus import ModbusConnection
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import yaml

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.modbus.register_reader import read_once
from custom_components.grid_telemetry.links.modbus.sunspec import find_models
from custom_components.grid_telemetry.meters import load_register_maps
from simulators.house import House
from simulators.meters import MeterServer, SimulatedMeter, reported_meter
from simulators.sunspec import SunSpecDevice

from .conftest import link_entry, meter, start, write_sdm630
from .test_sunspec import INVERTER, load, sunspec_meter


@pytest.fixture(autouse=True)
def config_folder(hass: HomeAssistant, tmp_path: Path) -> None:
    hass.config.config_dir = str(tmp_path)


async def report(hass: HomeAssistant, entry: MockConfigEntry) -> tuple[str, dict[str, Any]]:
    """Make a report of the first meter; return the text of the file and the response."""
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, "meter_1"), entry.entry_id)
    assert device is not None
    response = await hass.services.async_call(
        DOMAIN, "report_meter", {"device_id": device.id}, blocking=True, return_response=True
    )
    assert response is not None
    return Path(str(response["file"])).read_text(encoding="utf-8"), dict(response)


async def test_a_report_has_words_and_values_and_no_serial_number(
    hass: HomeAssistant, line: MockModbusConnection, tmp_path: Path
) -> None:
    unit = line.for_unit(1)
    write_sdm630(unit, voltage_l1=230.5, power=-1234.5)
    unit.holding[0xFC00] = [0x0160, 0xC911, 0x0070]
    unit.fail_read(0x3E, IllegalDataAddressError(), register_type="input")
    entry = link_entry(meter(title="Kitchen"))
    await start(hass, entry)

    text, response = await report(hass, entry)

    found = yaml.safe_load(text)
    assert str(response["file"]).startswith(str(tmp_path / "grid_telemetry" / "reports"))
    assert (found["register_map"], found["meter"]) == ("eastron_sdm630", "Eastron SDM630")
    assert found["values"]["power"] == -1234.5
    assert found["refused"] == response["refused"] == ["power_factor"]
    assert found["registers"]["input"][0].startswith("4366 8000 ")
    # The code is there, the serial number before it is not.
    assert found["registers"]["holding"] == {0xFC02: "0070"}
    for private in ("c911", "23120145", "Kitchen", "192.0.2.1"):
        assert private not in text


async def test_a_report_can_be_played_back(
    hass: HomeAssistant, line: MockModbusConnection, socket_enabled: None
) -> None:
    unit = line.for_unit(1)
    write_sdm630(unit, voltage_l1=230.5, voltage_l2=229, frequency=50, power=7, energy_import=1.5)
    entry = link_entry(meter())
    await start(hass, entry)
    text, response = await report(hass, entry)

    register_map = load_register_maps(Path("/none")).maps["eastron_sdm630"]
    async with MeterServer([reported_meter(9, text)]) as server:
        connection = ModbusConnection(ModbusTcpParams(host="127.0.0.1", port=server.port))
        try:
            _, values = await read_once(
                connection.for_unit(9), register_map, register_map.quantities
            )
        finally:
            await connection.close()

    assert values == response["values"]


async def test_a_sunspec_device_is_reported_without_its_common_block(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    unit = line.for_unit(1)
    load(unit, SunSpecDevice(1, [(103, lambda: INVERTER)], serial_number="SECRET"))
    entry = link_entry(sunspec_meter((await find_models(unit))[0]))
    await start(hass, entry)

    text, response = await report(hass, entry)

    found = yaml.safe_load(text)
    assert found["sunspec"]["model"] == 103
    assert found["firmware"] == "2.4.1"
    assert min(found["registers"]["holding"]) == found["sunspec"]["address"]
    assert response["values"]["power"] == 4900
    assert "SECRET" not in text
    assert b"SECRET".hex(" ", 2) not in text


async def test_a_meter_that_does_not_answer_is_told(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)
    line.for_unit(1).fail_requests(ModbusTimeoutError("late"))

    with pytest.raises(HomeAssistantError) as error:
        await report(hass, entry)
    assert error.value.translation_key == "meter_silent"


async def test_a_report_that_cannot_be_written_is_told(
    hass: HomeAssistant, line: MockModbusConnection, tmp_path: Path
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)
    (tmp_path / "grid_telemetry").write_text("in the way")

    with pytest.raises(HomeAssistantError) as error:
        await report(hass, entry)
    assert error.value.translation_key == "report_not_written"


async def test_only_a_meter_is_reported(hass: HomeAssistant, line: MockModbusConnection) -> None:
    await start(hass, link_entry(meter()))

    with pytest.raises(ServiceValidationError) as error:
        await hass.services.async_call(
            DOMAIN, "report_meter", {"device_id": "none"}, blocking=True, return_response=True
        )
    assert error.value.translation_key == "no_meter"


async def test_a_meter_whose_map_is_gone_is_told(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)

    with (
        patch(
            "custom_components.grid_telemetry.links.modbus.report.async_load_register_maps",
            return_value={},
        ),
        pytest.raises(HomeAssistantError, match="eastron_sdm630"),
    ):
        await report(hass, entry)


def test_a_simulated_meter_can_be_played_back_too() -> None:
    meter = reported_meter(3, "registers: {input: {0: '4366 8000'}, holding: {}}")
    real = SimulatedMeter(3, "eastron_sdm630", lambda: House().grid() | {"voltage_l1": 230.5})

    assert meter.answer(4, 0, 2) == real.answer(4, 0, 2)
    assert meter.answer(4, 2, 2) != real.answer(4, 2, 2)
