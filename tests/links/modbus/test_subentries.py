"""The steps of a meter: it is read before it is saved, and can be changed."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import SOURCE_USER, SubentryFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from modbus_connection import (
    GatewayTargetError,
    IllegalDataAddressError,
    ModbusConnectionError,
    ModbusTimeoutError,
)
from modbus_connection.mock import MockModbusConnection, MockModbusUnit
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.texts import TEXTS

from .conftest import LINK, link_entry, meter, start, state, write_sdm630

METER = {
    "unit_id": 3,
    "register_map": "eastron_sdm630",
    "fast_interval_s": 4,
    "slow_interval_s": 30,
}


@pytest.fixture
def unit(line: MockModbusConnection) -> MockModbusUnit:
    """Return a meter that answers as unit 3."""
    unit = line.for_unit(3)
    write_sdm630(
        unit, voltage_l1=230.2, current_l1=1.5, power=-1234.5, frequency=49.99, energy_import=8100.5
    )
    unit.holding[0xFC00] = [0x0160, 0xC911]
    return unit


async def form(hass: HomeAssistant, entry: MockConfigEntry) -> SubentryFlowResult:
    """Begin to add a meter."""
    if hass.config_entries.async_get_entry(entry.entry_id) is None:
        await start(hass, entry)
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "meter"), context={"source": SOURCE_USER}
    )
    assert result["type"] is FlowResultType.MENU
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"next_step_id": "model"}
    )
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "model"
    return result


async def submit(
    hass: HomeAssistant, result: SubentryFlowResult, data: dict[str, Any]
) -> SubentryFlowResult:
    result = await hass.config_entries.subentries.async_configure(result["flow_id"], data)
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


async def test_a_meter_is_shown_before_it_is_saved(
    hass: HomeAssistant, unit: MockModbusUnit
) -> None:
    entry = link_entry()
    result = await submit(hass, await form(hass, entry), METER)

    assert result["type"] is FlowResultType.MENU
    assert result["step_id"] == "confirm"
    assert result["description_placeholders"] == {
        "meter": "Eastron SDM630",
        "unit_id": "3",
        "serial_number": "23120145",
        "unverified": f"\n\n{TEXTS['selector']['register_map']['options']['unverified']}",
        "values": "- Voltage L1: 230.2 V\n"
        "- Current L1: 1.50 A\n"
        "- Active power: -1234.5 W\n"
        "- Frequency: 49.99 Hz\n"
        "- Imported energy: 8100.50 kWh\n"
        "- Exported energy: 0.00 kWh\n"
        "- Total energy: 0.00 kWh",
    }
    assert not entry.subentries

    result = await submit(hass, result, {"next_step_id": "save"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Eastron SDM630"
    assert result["data"] == {**METER, "identity": "eastron_23120145"}
    assert result["unique_id"] == "3"


async def test_another_model_can_be_chosen_once_its_values_were_seen(
    hass: HomeAssistant, unit: MockModbusUnit
) -> None:
    result = await submit(hass, await form(hass, link_entry()), {**METER, "meter_name": "Cellar"})
    result = await submit(hass, result, {"next_step_id": "again"})
    assert result["step_id"] == "model"
    assert result["data_schema"] is not None
    shown = {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description
    }
    assert (shown["unit_id"], shown["meter_name"]) == (3, "Cellar")


async def test_a_look_leaves_no_timeout_behind(hass: HomeAssistant, unit: MockModbusUnit) -> None:
    entry = link_entry(meter(1))
    await submit(hass, await form(hass, entry), METER)

    assert unit.required_timeout is None


async def test_a_new_meter_has_sensors_at_once(hass: HomeAssistant, unit: MockModbusUnit) -> None:
    entry = link_entry()
    result = await submit(hass, await form(hass, entry), {**METER, "meter_name": "Cellar"})
    await submit(hass, result, {"next_step_id": "save"})

    power = hass.states.get("sensor.cellar_active_power")
    assert power is not None
    assert power.state == "-1234.5"


async def test_a_second_meter_of_a_model_gets_another_name(
    hass: HomeAssistant, unit: MockModbusUnit
) -> None:
    entry = link_entry(meter(1, title="Eastron SDM630"))
    result = await submit(hass, await form(hass, entry), METER)
    result = await submit(hass, result, {"next_step_id": "save"})

    assert result["title"] == "Eastron SDM630 3"


async def test_a_meter_without_serial_number_shows_its_values(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    unit = line.for_unit(3)
    unit.fail_read(0x2710, IllegalDataAddressError())
    result = await form(hass, link_entry())
    result = await submit(hass, result, {**METER, "register_map": "circutor_cem_c31"})

    assert result["step_id"] == "confirm"
    assert result["description_placeholders"]["serial_number"] == "-"


async def test_a_meter_with_unusual_quantities_shows_those(
    hass: HomeAssistant, line: MockModbusConnection, tmp_path: Path
) -> None:
    hass.config.config_dir = str(tmp_path)
    folder = tmp_path / "grid_telemetry" / "meters"
    folder.mkdir(parents=True)
    (folder / "angle.yaml").write_text(
        "manufacturer: Acme\nmodels: [Angle]\nsource: none\nregister_space: holding\n"
        "quantities:\n  power_factor_l1: {address: 0, type: int16, scale: 0.001}\n"
    )
    line.for_unit(3).holding[0] = 950
    result = await form(hass, link_entry())
    result = await submit(hass, result, {**METER, "register_map": "angle"})

    assert result["description_placeholders"]["values"] == "- Power factor L1: 0.950"


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (ModbusTimeoutError("no response"), "no_answer"),
        (GatewayTargetError(), "no_answer"),
        (ModbusConnectionError("refused"), "cannot_connect"),
        (IllegalDataAddressError(), "map_mismatch"),
    ],
)
async def test_a_meter_that_cannot_be_read_is_not_saved(
    hass: HomeAssistant, unit: MockModbusUnit, error: Exception, key: str
) -> None:
    unit.fail_requests(error)
    result = await submit(hass, await form(hass, link_entry()), METER)
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "model"
    assert result["errors"] == {"base": key}

    unit.fail_requests(None)
    result = await submit(hass, result, METER)
    assert result["step_id"] == "confirm"


async def test_a_line_in_use_with_other_settings_is_told(
    hass: HomeAssistant, unit: MockModbusUnit
) -> None:
    result = await form(hass, link_entry())
    with patch(
        f"{LINK}.unit_access.async_get_temporary_unit", side_effect=HomeAssistantError("9600")
    ):
        result = await submit(hass, result, METER)

    assert result["errors"] == {"base": "device_in_use"}
    assert result["description_placeholders"] == {"error": "9600"}


async def test_a_unit_id_is_used_once(hass: HomeAssistant, unit: MockModbusUnit) -> None:
    result = await submit(hass, await form(hass, link_entry(meter(3))), METER)

    assert result["errors"] == {"unit_id": "unit_in_use"}


async def test_energy_is_not_read_more_often_than_power(
    hass: HomeAssistant, unit: MockModbusUnit
) -> None:
    result = await submit(
        hass, await form(hass, link_entry()), {**METER, "fast_interval_s": 10, "slow_interval_s": 5}
    )

    assert result["errors"] == {"slow_interval_s": "slow_below_fast"}


async def test_maps_that_nobody_verified_are_told_with_their_values(
    hass: HomeAssistant, unit: MockModbusUnit, tmp_path: Path
) -> None:
    hass.config.config_dir = str(tmp_path)
    folder = tmp_path / "grid_telemetry" / "meters"
    folder.mkdir(parents=True)
    for name, verified in (("seen", "true"), ("unseen", "false")):
        (folder / f"{name}.yaml").write_text(
            f"manufacturer: Acme\nmodels: [{name}]\nsource: none\nregister_space: input\n"
            f"verified: {verified}\nquantities:\n  power: {{address: 0, type: int16}}\n"
        )
    result = await form(hass, link_entry())

    assert result["data_schema"] is not None
    fields = {str(key): value for key, value in result["data_schema"].schema.items()}
    options = fields["register_map"].config["options"]
    labels = {option["value"]: option["label"] for option in options}
    assert labels["seen"] == "Acme seen"
    own, *models = labels.values()
    assert own == "A register map of my own"
    assert models == sorted(models, key=str.casefold)
    told = []
    for model in ("seen", "unseen"):
        step = await submit(hass, result, {**METER, "register_map": model})
        assert step["step_id"] == "confirm"
        told.append((step["description_placeholders"] or {})["unverified"])
        result = await submit(hass, step, {"next_step_id": "again"})
    assert told[0] == ""
    assert "**This map is unverified**" in told[1]


async def test_a_model_is_one_of_the_list(hass: HomeAssistant, unit: MockModbusUnit) -> None:
    result = await form(hass, link_entry())
    result = await submit(hass, result, {**METER, "register_map": "SDM 630"})
    assert result["errors"] == {"register_map": "unknown_model"}


async def test_a_free_unit_id_is_proposed(hass: HomeAssistant, unit: MockModbusUnit) -> None:
    result = await form(hass, link_entry(meter(1), meter(2), meter(4)))
    assert result["data_schema"] is not None
    (unit_id,) = (key for key in result["data_schema"].schema if key == "unit_id")
    assert unit_id.default() == 3


# --- reconfigure


async def reconfigure(hass: HomeAssistant, entry: MockConfigEntry) -> SubentryFlowResult:
    """Begin to change the first meter."""
    if hass.config_entries.async_get_entry(entry.entry_id) is None:
        await start(hass, entry)
    result = await entry.start_subentry_reconfigure_flow(hass, "meter_1")
    if result["type"] is FlowResultType.MENU:  # there are other meters, which may replace it
        result = await hass.config_entries.subentries.async_configure(
            result["flow_id"], {"next_step_id": "change"}
        )
    assert result["step_id"] == "reconfigure"
    return result


async def test_a_form_to_change_a_meter_shows_what_it_is(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    result = await reconfigure(hass, link_entry(meter()))

    assert result["data_schema"] is not None
    assert {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description
    } == {
        "unit_id": 1,
        "register_map": "eastron_sdm630",
        "meter_name": "Main meter",
        "fast_interval_s": 4,
        "slow_interval_s": 30,
    }


async def test_another_unit_keeps_the_sensors(
    hass: HomeAssistant, unit: MockModbusUnit, entity_registry: er.EntityRegistry
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)
    before = {
        sensor.unique_id: sensor.id
        for sensor in er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    }

    result = await reconfigure(hass, entry)
    result = await submit(hass, result, {**METER, "meter_name": "Main meter"})
    assert result["step_id"] == "confirm"
    result = await submit(hass, result, {"next_step_id": "save"})

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    subentry = entry.subentries["meter_1"]
    assert subentry.data == {**METER, "identity": "meter_1"}
    assert subentry.unique_id == "3"
    assert state(hass, "power") == "-1234.5"
    assert before == {
        sensor.unique_id: sensor.id
        for sensor in er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    }


async def test_a_look_leaves_the_timeout_of_a_polled_meter_alone(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = link_entry(meter())
    result = await reconfigure(hass, entry)
    await submit(hass, result, {**METER, "unit_id": 1, "register_map": "eastron_sdm120"})

    assert line.for_unit(1).required_timeout == 2.0


async def test_a_name_can_be_changed_while_the_meter_is_silent(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    line.for_unit(1).fail_requests(ModbusTimeoutError())
    entry = link_entry(meter())

    result = await reconfigure(hass, entry)
    result = await submit(
        hass, result, {**METER, "unit_id": 1, "meter_name": "Cellar", "slow_interval_s": 60}
    )

    assert result["reason"] == "reconfigure_successful"
    assert entry.subentries["meter_1"].title == "Cellar"
    assert entry.subentries["meter_1"].data["slow_interval_s"] == 60


async def test_a_meter_cannot_take_the_unit_id_of_another(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    result = await reconfigure(hass, link_entry(meter(), meter(3, title="Other")))
    result = await submit(hass, result, METER)

    assert result["errors"] == {"unit_id": "unit_in_use"}
