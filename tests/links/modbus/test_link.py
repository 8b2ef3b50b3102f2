"""A Modbus link in Home Assistant: sensors, silence, refusals, glitches, restarts."""

from datetime import timedelta
import gc
import itertools
import logging
from pathlib import Path
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.util import dt as dt_util
from modbus_connection import (
    IllegalDataAddressError,
    ModbusConnectionError,
    ModbusProtocolError,
    ModbusTimeoutError,
)
from modbus_connection.mock import MockModbusConnection, MockModbusUnit
import pytest
from pytest_homeassistant_custom_component.common import mock_restore_cache_with_extra_data
from syrupy.assertion import SnapshotAssertion

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.links.modbus.timed_unit import LEAST_PATIENCE_S

from .conftest import LINK, after, fail_once, link_entry, meter, start, state, write_sdm630

LOGGER = f"{LINK}.client"
SILENT = ModbusTimeoutError("no response")


@pytest.fixture
def unit(line: MockModbusConnection) -> MockModbusUnit:
    """Return a meter that answers."""
    unit = line.for_unit(1)
    write_sdm630(
        unit,
        voltage_l1=230.2,
        current_l1=1.5,
        power=-1234.5,
        frequency=49.99,
        energy_import=8100.25,
        energy_export=400.0,
        energy_sum=8500.25,
    )
    unit.holding[0xFC00] = [0x0160, 0xC911]
    return unit


def said(caplog: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    """Return what the integration logged."""
    return [
        f"{record.levelname} {record.getMessage()}"
        for record in caplog.records
        if record.name.startswith("custom_components.grid_telemetry") and record.levelno >= level
    ]


def reads(unit: MockModbusUnit) -> int:
    """Return the number of requests since the last call."""
    count = len(unit.read_events)
    unit.read_events.clear()
    return count


@pytest.mark.parametrize(
    "register_map",
    ["eastron_sdm630", "eastron_sdm120", "carlo_gavazzi_em24_e1", "circutor_cem_c31"],
)
@pytest.mark.usefixtures("every_sensor_enabled", "line")
async def test_the_sensors_of_each_family(
    hass: HomeAssistant,
    entity_registry: er.EntityRegistry,
    snapshot: SnapshotAssertion,
    register_map: str,
) -> None:
    entry = link_entry(meter(register_map=register_map))
    await start(hass, entry)

    sensors = er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    assert {
        sensor.unique_id.removeprefix("meter_1_"): {
            "entity_id": sensor.entity_id,
            "name": sensor.original_name,
            "unit": sensor.unit_of_measurement,
            "device_class": sensor.original_device_class,
            "state_class": (sensor.capabilities or {}).get("state_class"),
            "translation_key": sensor.translation_key,
        }
        for sensor in sensors
    } == snapshot


async def test_less_used_sensors_are_disabled(
    hass: HomeAssistant, unit: MockModbusUnit, snapshot: SnapshotAssertion
) -> None:
    await start(hass, link_entry(meter()))

    assert sorted(hass.states.async_entity_ids("sensor")) == snapshot


async def test_values_and_units_reach_the_states(hass: HomeAssistant, unit: MockModbusUnit) -> None:
    await start(hass, link_entry(meter()))

    assert state(hass, "voltage_l1") == "230.2"
    assert state(hass, "power") == "-1234.5"
    assert state(hass, "energy_import") == "8100.25"
    power = hass.states.get("sensor.main_meter_active_power")
    assert power is not None
    assert power.attributes["unit_of_measurement"] == "W"
    assert power.attributes["friendly_name"] == "Main meter Active power"


async def test_a_meter_is_a_device_below_its_subentry(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    device_registry: dr.DeviceRegistry,
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)

    device = device_registry.async_get_device_by_identifier((DOMAIN, "meter_1"), entry.entry_id)
    assert device is not None
    assert device.name == "Main meter"
    assert device.manufacturer == "Eastron"
    assert device.model == "SDM630"
    assert device.serial_number == "23120145"


async def test_each_group_is_read_in_its_interval(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))
    # The shown values may stay for a while.
    await after(hass, freezer, 25)
    await after(hass, freezer, 32)
    write_sdm630(unit, power=500, energy_import=8100.5)

    await after(hass, freezer, 5)
    assert state(hass, "power") == "500.0"
    assert state(hass, "energy_import") == "8100.25"

    await after(hass, freezer, 27)
    assert state(hass, "energy_import") == "8100.5"


async def test_only_what_enabled_sensors_show_is_read(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))
    unit.read_events.clear()

    await after(hass, freezer, 5)

    # One block up to the frequency; distortion and phase to phase voltages are disabled.
    assert [(read.address, read.count) for read in unit.read_events] == [(0, 72)]


async def test_a_group_without_enabled_sensors_is_not_read(
    hass: HomeAssistant, unit: MockModbusUnit, entity_registry: er.EntityRegistry
) -> None:
    entry = link_entry(meter())
    entry.add_to_hass(hass)
    for key in ("energy_import", "energy_export", "energy_sum"):
        entity_registry.async_get_or_create(
            "sensor",
            DOMAIN,
            f"meter_1_{key}",
            config_entry=entry,
            config_subentry_id="meter_1",
            disabled_by=er.RegistryEntryDisabler.USER,
        )
    for key in ("reactive_energy_import", "reactive_energy_export"):
        entity_registry.async_get_or_create(
            "sensor",
            DOMAIN,
            f"meter_1_{key}",
            config_entry=entry,
            config_subentry_id="meter_1",
            disabled_by=er.RegistryEntryDisabler.USER,
        )
    await start(hass, entry)

    assert [read.register_type for read in unit.read_events] == ["input", "holding"]


# --- silence


async def test_the_entry_loads_while_its_meters_are_silent(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    unit.fail_requests(SILENT)
    entry = link_entry(meter())
    await start(hass, entry)

    assert entry.state is ConfigEntryState.LOADED
    assert state(hass, "power") == STATE_UNAVAILABLE

    unit.fail_requests(None)
    await after(hass, freezer, 7)
    assert state(hass, "power") == "-1234.5"
    assert state(hass, "energy_import") == "8100.25"


async def test_a_silent_meter_is_asked_less_and_less_where_others_answer(
    hass: HomeAssistant,
    line: MockModbusConnection,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
) -> None:
    write_sdm630(line.for_unit(2))
    await start(hass, link_entry(meter(), meter(2, title="Other meter")))
    unit.fail_requests(SILENT)
    await after(hass, freezer, 5)
    reads(unit)

    asked = []
    for second in range(1, 1200):
        await after(hass, freezer, 1)
        if reads(unit):
            asked.append(second)

    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert pauses == sorted(pauses)
    assert max(pauses) in range(300, 304)
    assert len(asked) < 12


async def test_a_silent_line_is_tried_every_ten_seconds(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))
    unit.fail_requests(SILENT)
    await after(hass, freezer, 5)
    reads(unit)

    asked = []
    for second in range(1, 300):
        await after(hass, freezer, 1)
        if reads(unit):
            asked.append(second)

    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert pauses == sorted(pauses)
    assert max(pauses) in range(10, 14)
    unit.fail_requests(None)
    await after(hass, freezer, 12)
    assert state(hass, "power") == "-1234.5"


@pytest.mark.parametrize("error", [SILENT, ModbusProtocolError("noise")], ids=["timeout", "noise"])
async def test_a_lost_answer_is_asked_for_again_at_once(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    await start(hass, link_entry(meter()))
    caplog.clear()
    fail_once(monkeypatch, unit, error)
    await after(hass, freezer, 5)

    assert state(hass, "power") == "-1234.5"
    assert not said(caplog, logging.WARNING)


@pytest.mark.parametrize(
    "error", [SILENT, ModbusConnectionError("refused")], ids=["timeout", "connection"]
)
async def test_one_line_when_lost_and_one_when_back(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    caplog.set_level(logging.INFO)
    entry = link_entry(meter())
    await start(hass, entry)
    caplog.clear()

    unit.fail_requests(error)
    for _ in range(100):
        await after(hass, freezer, 4)
    assert state(hass, "power") == STATE_UNAVAILABLE
    unit.fail_requests(None)
    for _ in range(100):
        await after(hass, freezer, 4)
    assert state(hass, "power") == "-1234.5"

    assert said(caplog) == [
        f"WARNING Main meter does not answer and is tried again: {error}",
        "INFO Main meter answers again",
    ]
    assert entry.state is ConfigEntryState.LOADED


async def test_both_groups_are_back_at_once(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter(slow_interval_s=3600)))
    unit.fail_requests(SILENT)
    # The slow group learns of it when it is due.
    await after(hass, freezer, 3601)
    assert state(hass, "energy_import") == STATE_UNAVAILABLE

    unit.fail_requests(None)
    for _ in range(20):
        await after(hass, freezer, 1)
    assert state(hass, "power") == "-1234.5"
    assert state(hass, "energy_import") == "8100.25"


async def test_a_meter_is_asked_again_what_it_is_when_it_is_back(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
    device_registry: dr.DeviceRegistry,
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)
    unit.fail_requests(SILENT)
    await after(hass, freezer, 5)
    unit.holding[0xFC00] = [0, 4711]
    unit.fail_requests(None)
    await after(hass, freezer, 7)

    device = device_registry.async_get_device_by_identifier((DOMAIN, "meter_1"), entry.entry_id)
    assert device is not None
    assert device.serial_number == "4711"


async def test_a_lost_answer_does_not_make_a_device_forget_what_it_is(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
    device_registry: dr.DeviceRegistry,
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)

    def serial_number() -> str | None:
        device = device_registry.async_get_device_by_identifier((DOMAIN, "meter_1"), entry.entry_id)
        assert device is not None
        return device.serial_number

    unit.holding[0xFC00] = [0, 4711]
    unit.fail_read(0xFC00, SILENT)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert serial_number() == "23120145"

    unit.fail_read(0xFC00, None)
    await after(hass, freezer, 61)
    assert serial_number() == "4711"

    unit.fail_read(0xFC00, IllegalDataAddressError())
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert serial_number() is None


async def test_a_meter_that_never_tells_what_it_is_is_asked_less_and_less(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    unit.fail_read(0xFC00, SILENT)
    await start(hass, link_entry(meter()))
    unit.read_events.clear()

    asked = []
    for minute in range(1, 300):
        await after(hass, freezer, 60)
        asked += [minute] * sum(read.address == 0xFC00 for read in unit.read_events)
        unit.read_events.clear()

    assert asked == [1, 3, 7, 15, 31, 63, 123, 183, 243]
    assert state(hass, "power") == "-1234.5"


async def test_a_silent_meter_leaves_the_others_alone(
    hass: HomeAssistant,
    line: MockModbusConnection,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
) -> None:
    line.for_unit(2).fail_requests(SILENT)
    await start(hass, link_entry(meter(), meter(2, title="Heat pump")))

    for power in range(1, 100):
        write_sdm630(unit, power=power)
        await after(hass, freezer, 12)
        assert state(hass, "power") == f"{power}.0"
    assert state(hass, "power", unit_id=2) == STATE_UNAVAILABLE


async def test_a_silent_meter_is_left_alone_for_longer_where_others_answer(
    hass: HomeAssistant,
    line: MockModbusConnection,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
) -> None:
    silent = line.for_unit(2)
    silent.fail_requests(SILENT)
    await start(hass, link_entry(meter(), meter(2, title="Heat pump")))

    asked = []
    for second in range(200):
        before = len(silent.read_events)
        await after(hass, freezer, 1)
        asked += [second] * (len(silent.read_events) - before)
    # At once and after the pause that any failure has, and then with longer ones.
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert asked[0] <= 6
    assert min(pauses) >= 10 * LEAST_PATIENCE_S
    assert pauses == sorted(pauses)
    assert len(asked) < 6


async def test_a_socket_that_carries_nothing_is_opened_anew(
    hass: HomeAssistant,
    line: MockModbusConnection,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
) -> None:
    await start(hass, link_entry(meter()))
    unit.fail_requests(SILENT)

    with patch.object(line, "disconnect", wraps=line.disconnect) as disconnect:
        unit.disconnect = disconnect
        for _ in range(10):
            await after(hass, freezer, 4)
        assert disconnect.await_count == 1


async def test_a_socket_that_others_use_stays_open(
    hass: HomeAssistant,
    line: MockModbusConnection,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
) -> None:
    await start(hass, link_entry(meter(), meter(2, title="Heat pump")))
    line.for_unit(2).fail_requests(SILENT)

    with patch.object(line.for_unit(2), "disconnect") as disconnect:
        for _ in range(50):
            await after(hass, freezer, 4)
        disconnect.assert_not_awaited()


# --- refusals


async def test_a_refused_register_makes_its_sensor_unavailable_only(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    unit.fail_read(0x46, IllegalDataAddressError(), register_type="input")
    await start(hass, link_entry(meter()))

    assert state(hass, "frequency") == STATE_UNAVAILABLE
    assert state(hass, "power") == "-1234.5"
    for _ in range(5):
        await after(hass, freezer, 4)
    unit.fail_read(0x46, None, register_type="input")
    await after(hass, freezer, 61)
    assert state(hass, "frequency") == "49.99"
    assert said(caplog) == [
        "WARNING Main meter refuses the registers of frequency; they are tried again now and then",
        "INFO Main meter no longer refuses the registers of frequency",
    ]


async def test_a_meter_that_refuses_everything_is_unavailable(
    hass: HomeAssistant, unit: MockModbusUnit
) -> None:
    unit.fail_requests(IllegalDataAddressError())
    entry = link_entry(meter(register_map="eastron_sdm120"))
    await start(hass, entry)

    assert entry.state is ConfigEntryState.LOADED
    assert state(hass, "power") == STATE_UNAVAILABLE
    assert state(hass, "energy_import") == STATE_UNAVAILABLE


# --- counters


@pytest.mark.parametrize("glitch", [0.0, 81250.0])
async def test_a_glitch_of_a_counter_never_reaches_its_state(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory, glitch: float
) -> None:
    await start(hass, link_entry(meter()))

    write_sdm630(unit, energy_import=glitch)
    await after(hass, freezer, 31)
    assert state(hass, "energy_import") == "8100.25"

    write_sdm630(unit, energy_import=8100.5)
    await after(hass, freezer, 31)
    assert state(hass, "energy_import") == "8100.5"


async def test_a_counter_that_was_reset_is_taken_over(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))

    write_sdm630(unit, energy_import=0.0)
    await after(hass, freezer, 31)
    write_sdm630(unit, energy_import=0.25)
    await after(hass, freezer, 31)
    assert state(hass, "energy_import") == "0.25"


def restored(hass: HomeAssistant, value: object, unit: str = "kWh") -> None:
    """Give Home Assistant what the import counter showed before its restart."""
    earlier = dt_util.utcnow() - timedelta(minutes=5)
    mock_restore_cache_with_extra_data(
        hass,
        [
            (
                State("sensor.main_meter_imported_energy", STATE_UNAVAILABLE, last_updated=earlier),
                {"native_value": value, "native_unit_of_measurement": unit},
            )
        ],
    )


async def test_a_counter_is_guarded_across_a_restart(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    restored(hass, 8100.0)
    write_sdm630(unit, energy_import=0.0)
    await start(hass, link_entry(meter()))
    assert state(hass, "energy_import") == "8100.0"

    write_sdm630(unit, energy_import=8100.5)
    await after(hass, freezer, 31)
    await after(hass, freezer, 31)
    assert state(hass, "energy_import") == "8100.5"


async def test_a_counter_is_unavailable_until_its_first_read_after_a_restart(
    hass: HomeAssistant, unit: MockModbusUnit
) -> None:
    restored(hass, 8100.0)
    unit.fail_requests(SILENT)
    entry = link_entry(meter())
    await start(hass, entry)

    assert state(hass, "energy_import") == STATE_UNAVAILABLE


@pytest.mark.parametrize(("value", "of"), [(None, "kWh"), ("8100", "kWh"), (8100.0, "MWh")])
async def test_what_is_no_counter_value_is_not_restored(
    hass: HomeAssistant, unit: MockModbusUnit, value: object, of: str
) -> None:
    restored(hass, value, of)
    write_sdm630(unit, energy_import=3.0)
    await start(hass, link_entry(meter()))

    assert state(hass, "energy_import") == "3.0"


async def test_a_first_zero_is_not_published_before_it_is_confirmed(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    write_sdm630(unit, energy_export=0.0)
    await start(hass, link_entry(meter()))
    assert state(hass, "energy_export") == STATE_UNAVAILABLE

    await after(hass, freezer, 31)
    assert state(hass, "energy_export") == "0.0"


# --- the entry


async def test_a_link_without_meters_loads(hass: HomeAssistant, line: MockModbusConnection) -> None:
    entry = link_entry()
    await start(hass, entry)

    assert entry.state is ConfigEntryState.LOADED


async def test_unloading_ends_the_polls(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    reads(unit)

    await after(hass, freezer, 60)

    assert reads(unit) == 0
    assert unit.required_timeout is None
    assert entry.state is ConfigEntryState.NOT_LOADED


async def test_a_line_that_is_in_use_with_other_settings_is_tried_again(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    entry = link_entry(meter())
    entry.add_to_hass(hass)
    with patch(f"{LINK}.link.async_get_unit", side_effect=HomeAssistantError("9600 against 19200")):
        await hass.config_entries.async_setup(entry.entry_id)

    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert "9600 against 19200" in (entry.reason or "")


async def test_diagnostics_tell_the_state_of_each_meter(
    hass: HomeAssistant,
    line: MockModbusConnection,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
    snapshot: SnapshotAssertion,
) -> None:
    unit.fail_read(0x46, IllegalDataAddressError(), register_type="input")
    line.for_unit(2).fail_requests(SILENT)
    entry = link_entry(meter(), meter(2, register_map="eastron_sdm120", title="Heat pump"))
    await start(hass, entry)
    await after(hass, freezer, 2)

    assert await async_get_config_entry_diagnostics(hass, entry) == snapshot


# --- register maps of the user


def put_map(hass: HomeAssistant, folder: Path, text: str, name: str = "mine.yaml") -> Path:
    """Put a register map where the user would."""
    hass.config.config_dir = str(folder)
    path = folder / "grid_telemetry" / "meters" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


MINE = """\
manufacturer: Acme
models: [Mine]
source: my meter
register_space: holding
type: uint16
quantities:
  power: {address: 7}
  energy_import: {address: 8}
"""


async def test_a_map_of_the_user_is_used(
    hass: HomeAssistant, unit: MockModbusUnit, tmp_path: Path
) -> None:
    put_map(hass, tmp_path, MINE)
    unit.holding[7] = 1500
    await start(hass, link_entry(meter(register_map="mine")))

    assert state(hass, "power") == "1500"


async def test_sensors_that_another_map_had_go_with_it(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    entity_registry: er.EntityRegistry,
    tmp_path: Path,
) -> None:
    put_map(hass, tmp_path, MINE)
    entry = link_entry(meter(), meter(2, title="Other"))
    await start(hass, entry)

    def sensors() -> dict[str, str]:
        entities = er.async_entries_for_config_entry(entity_registry, entry.entry_id)
        return {entity.unique_id: entity.id for entity in entities}

    before = sensors()
    hass.config_entries.async_update_subentry(
        entry,
        entry.subentries["meter_1"],
        data={**entry.subentries["meter_1"].data, "register_map": "mine"},
    )
    await hass.async_block_till_done(wait_background_tasks=True)

    # What both maps have stays what it was, with its history and its settings.
    kept = {"meter_1_power", "meter_1_energy_import"}
    assert sensors() == {
        key: before[key] for key in before if key in kept or key.startswith("meter_2_")
    }


async def test_sensors_stay_while_their_map_is_missing(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    entity_registry: er.EntityRegistry,
    tmp_path: Path,
) -> None:
    path = put_map(hass, tmp_path, MINE)
    entry = link_entry(meter(register_map="mine"))
    await start(hass, entry)
    path.unlink()
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    assert len(er.async_entries_for_config_entry(entity_registry, entry.entry_id)) == 2


async def test_a_broken_map_is_a_repair_issue_until_it_is_mended(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
    tmp_path: Path,
) -> None:
    path = put_map(hass, tmp_path, MINE.replace("address: 7", "adress: 7"))
    entry = link_entry(meter(register_map="mine"), meter(2, title="Other"))
    await start(hass, entry)

    broken = issue_registry.async_get_issue(DOMAIN, "register_map_invalid_mine.yaml")
    assert broken is not None
    assert broken.translation_placeholders is not None
    assert broken.translation_placeholders["error"].startswith(
        "mine.yaml, line 7: quantities.power.adress: not a valid option, did you mean 'address'?"
    )
    missing = issue_registry.async_get_issue(
        DOMAIN, f"register_map_missing_{entry.entry_id}_meter_1"
    )
    assert missing is not None
    assert missing.translation_placeholders == {"meter": "Main meter", "map": "mine"}
    # The other meter does not mind.
    assert state(hass, "power", unit_id=2) == "0.0"

    await after(hass, freezer, 61)
    assert issue_registry.async_get_issue(DOMAIN, "register_map_invalid_mine.yaml")

    # Nobody has to reload anything once it is right.
    path.write_text(MINE)
    await after(hass, freezer, 61)
    assert not [issue for domain, issue in issue_registry.issues if domain == DOMAIN]
    assert state(hass, "power") == "0"


async def test_sensors_stay_while_a_map_in_place_of_a_shipped_one_has_a_mistake(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    entity_registry: er.EntityRegistry,
    issue_registry: ir.IssueRegistry,
    tmp_path: Path,
) -> None:
    own = MINE + "  current_n: {address: 9}\n"
    path = put_map(hass, tmp_path, own, "eastron_sdm120.yaml")
    entry = link_entry(meter(register_map="eastron_sdm120"))
    await start(hass, entry)
    before = er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    assert len(before) == 3

    path.write_text(own.replace("address: 7", "adress: 7"))
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    # The shipped map knows neither its registers nor all of its sensors.
    after_it = er.async_entries_for_config_entry(entity_registry, entry.entry_id)
    assert {sensor.id for sensor in after_it} == {sensor.id for sensor in before}
    assert state(hass, "power") == STATE_UNAVAILABLE
    assert {issue for domain, issue in issue_registry.issues if domain == DOMAIN} == {
        "register_map_invalid_eastron_sdm120.yaml",
        f"register_map_missing_{entry.entry_id}_meter_1",
    }


@pytest.mark.parametrize("what", ["entry", "meter"])
async def test_an_issue_goes_with_what_it_is_about(
    hass: HomeAssistant,
    line: MockModbusConnection,
    issue_registry: ir.IssueRegistry,
    what: str,
) -> None:
    entry = link_entry(meter(register_map="gone"))
    await start(hass, entry)
    issue_id = f"register_map_missing_{entry.entry_id}_meter_1"
    assert issue_registry.async_get_issue(DOMAIN, issue_id)

    if what == "entry":
        await hass.config_entries.async_remove(entry.entry_id)
    else:
        hass.config_entries.async_remove_subentry(entry, "meter_1")
        await hass.async_block_till_done(wait_background_tasks=True)

    assert not issue_registry.async_get_issue(DOMAIN, issue_id)


async def test_the_line_is_asked_for_a_short_timeout(
    hass: HomeAssistant, unit: MockModbusUnit
) -> None:
    await start(hass, link_entry(meter()))

    assert unit.required_timeout == 2.0


async def test_an_entry_that_is_changed_and_removed_at_once_leaves_no_error(
    hass: HomeAssistant, line: MockModbusConnection, caplog: pytest.LogCaptureFixture
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)
    hass.config_entries.async_update_entry(entry, data={**entry.data, "host": "192.0.2.2"})
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    gc.collect()
    assert "UnknownEntry" not in caplog.text
