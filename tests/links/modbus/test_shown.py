"""What a meter's sensors show of what is read: few rows for the recorder, all for who uses them."""

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import Event, EventStateReportedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_report_event
from homeassistant.setup import async_setup_component
from modbus_connection import ModbusTimeoutError
from modbus_connection.mock import MockModbusConnection, MockModbusUnit
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN

from .conftest import after, link_entry, meter, start, state, write_sdm630

POWER = "sensor.main_meter_active_power"


@pytest.fixture
def unit(line: MockModbusConnection) -> MockModbusUnit:
    """Return a meter that answers."""
    unit = line.for_unit(1)
    write_sdm630(unit, voltage_l1=230.0, power=1000.0, frequency=50.0, energy_import=8100.0)
    return unit


async def settle(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Let what is shown be older than it has to be."""
    for _ in range(3):
        await after(hass, freezer, 31)


async def test_another_value_is_shown_every_ten_seconds_at_most(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))
    await settle(hass, freezer)

    shown = []
    for power in range(1, 8):
        write_sdm630(unit, power=2000.0 + 100 * power)
        await after(hass, freezer, 4)
        shown.append(state(hass, "power"))

    assert shown == [*["2100.0"] * 3, *["2400.0"] * 3, "2700.0"]


async def test_less_than_a_share_is_reported_again_as_it_was(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))
    await settle(hass, freezer)
    reports: list[str] = []

    @callback
    def reported(event: Event[EventStateReportedData]) -> None:
        reports.append(event.data["new_state"].state)

    async_track_state_report_event(hass, [POWER], reported)
    write_sdm630(unit, power=1009.0, voltage_l1=231.0, frequency=50.02)
    await after(hass, freezer, 31)

    assert state(hass, "power") == "1000.0"
    assert state(hass, "voltage_l1") == "230.0"
    assert state(hass, "frequency") == "50.0"
    assert reports == ["1000.0"]


async def test_more_than_a_share_is_shown(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))
    await settle(hass, freezer)

    write_sdm630(unit, power=1010.0, voltage_l1=231.5, frequency=50.03)
    await after(hass, freezer, 31)

    assert state(hass, "power") == "1010.0"
    assert state(hass, "voltage_l1") == "231.5"
    assert float(state(hass, "frequency")) == pytest.approx(50.03)


async def test_power_that_ends_is_shown_however_small_it_was(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    write_sdm630(unit, power=0.05)
    await start(hass, link_entry(meter()))
    await settle(hass, freezer)

    write_sdm630(unit, power=0.0)
    await after(hass, freezer, 31)

    assert state(hass, "power") == "0.0"


async def test_a_counter_shows_each_step_once_a_minute_at_most(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))
    await settle(hass, freezer)

    shown = []
    for step in range(1, 5):
        write_sdm630(unit, energy_import=8100.0 + step / 4)
        await after(hass, freezer, 30)
        shown.append(state(hass, "energy_import"))

    assert shown == ["8100.25", "8100.25", "8100.75", "8100.75"]


async def test_a_value_after_a_silence_is_shown_at_once(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))
    await settle(hass, freezer)
    unit.fail_requests(ModbusTimeoutError("no response"))
    await after(hass, freezer, 5)
    assert state(hass, "power") == STATE_UNAVAILABLE

    unit.fail_requests(None)
    write_sdm630(unit, power=1001.0)
    await after(hass, freezer, 12)

    assert state(hass, "power") == "1001.0"


async def every_read(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> list[str]:
    """Return what is shown of power as it changes a little with each read."""
    # So long it may take until a new use is known.
    await after(hass, freezer, 31)
    shown = []
    for step in range(4):
        write_sdm630(unit, power=2000.0 + step)
        await after(hass, freezer, 4)
        shown.append(state(hass, "power"))
    return shown


async def test_what_a_group_or_a_forwarder_uses_shows_every_read(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))
    entry = er.async_get(hass).async_get(POWER)
    assert entry is not None
    MockConfigEntry(
        domain=DOMAIN,
        data={"kind": "group"},
        subentries_data=[
            {
                "subentry_type": "group",
                "title": "Flats",
                "unique_id": None,
                "data": {
                    "group_name": "Flats",
                    "group_kind": "total",
                    "points": [{"entity": entry.id, "name": "power", "unit": "W", "factor": 1.0}],
                },
            }
        ],
    ).add_to_hass(hass)

    assert await every_read(hass, unit, freezer) == ["2000.0", "2001.0", "2002.0", "2003.0"]


async def test_what_a_server_shows_of_a_whole_device_shows_every_read(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))
    entry = er.async_get(hass).async_get(POWER)
    assert entry is not None
    MockConfigEntry(
        domain=DOMAIN, data={"kind": "setup_server", "devices": [entry.device_id]}
    ).add_to_hass(hass)

    assert await every_read(hass, unit, freezer) == ["2000.0", "2001.0", "2002.0", "2003.0"]


@pytest.mark.parametrize(
    ("domain", "config"),
    [
        (
            "automation",
            {
                "triggers": {"trigger": "numeric_state", "entity_id": POWER, "above": 5000},
                "actions": [],
            },
        ),
        (
            "script",
            {
                "curtail": {
                    "sequence": [{"condition": "numeric_state", "entity_id": POWER, "above": 5000}]
                }
            },
        ),
    ],
)
async def test_what_an_automation_or_a_script_uses_shows_every_read(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
    domain: str,
    config: object,
) -> None:
    await start(hass, link_entry(meter()))
    assert await async_setup_component(hass, domain, {domain: config})

    assert await every_read(hass, unit, freezer) == ["2000.0", "2001.0", "2002.0", "2003.0"]


async def test_what_a_disabled_entry_uses_shows_little(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    await start(hass, link_entry(meter()))
    MockConfigEntry(
        domain=DOMAIN,
        data={"kind": "group"},
        disabled_by=ConfigEntryDisabler.USER,
        subentries_data=[
            {
                "subentry_type": "group",
                "title": "Flats",
                "unique_id": None,
                "data": {"points": [{"entity": POWER, "name": "power"}]},
            }
        ],
    ).add_to_hass(hass)

    assert len(set(await every_read(hass, unit, freezer))) == 1
