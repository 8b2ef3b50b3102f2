"""A Modbus link of Home Assistant on a line that is only in memory."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from modbus_connection import ModbusUnit
from modbus_connection.encode import encode_float32
from modbus_connection.mock import MockModbusConnection, MockModbusUnit
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.syrupy import HomeAssistantSnapshotExtension
from syrupy.assertion import SnapshotAssertion

from custom_components.grid_telemetry.const import DOMAIN

LINK = "custom_components.grid_telemetry.links.modbus"

TCP_DATA = {"kind": "modbus", "transport": "tcp", "host": "192.0.2.1", "port": 502}


@pytest.fixture(autouse=True)
def custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant load the integration of this checkout."""


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Write snapshots the way Home Assistant's own tests do."""
    return snapshot.use_extension(HomeAssistantSnapshotExtension)


@pytest.fixture
async def line(
    hass: HomeAssistant, mock_modbus_connection: MockModbusConnection
) -> AsyncIterator[MockModbusConnection]:
    """Put a line in memory in place of Home Assistant's shared connection."""

    def get_unit(
        hass: HomeAssistant, entry: ConfigEntry, params: object, unit_id: int
    ) -> MockModbusUnit:
        return mock_modbus_connection.for_unit(unit_id)

    @asynccontextmanager
    async def get_temporary_unit(
        hass: HomeAssistant, params: object, unit_id: int
    ) -> AsyncIterator[ModbusUnit]:
        yield mock_modbus_connection.for_unit(unit_id)

    with (
        patch(f"{LINK}.link.async_get_unit", get_unit),
        patch(f"{LINK}.connection_test.async_get_temporary_unit", get_temporary_unit),
        patch(f"{LINK}.unit_access.async_get_temporary_unit", get_temporary_unit),
        # The time of these tests is frozen, and a sleep would not end.
        patch(f"{LINK}.line.LATE_S", 0),
    ):
        yield mock_modbus_connection
        # What a flow ended with may be on its way yet.
        await hass.async_block_till_done(wait_background_tasks=True)


@pytest.fixture
def every_sensor_enabled() -> Iterator[None]:
    """Enable the sensors that are disabled at first."""
    with patch.object(Entity, "entity_registry_enabled_default", True):
        yield


def meter(
    unit_id: int = 1,
    *,
    register_map: str = "eastron_sdm630",
    title: str = "Main meter",
    fast_interval_s: int = 4,
    slow_interval_s: int = 30,
) -> ConfigSubentryData:
    """Return a meter to be put below an entry; its id is `meter_<unit id>`."""
    return ConfigSubentryData(
        subentry_id=f"meter_{unit_id}",
        subentry_type="meter",
        title=title,
        unique_id=str(unit_id),
        data={
            "unit_id": unit_id,
            "register_map": register_map,
            "fast_interval_s": fast_interval_s,
            "slow_interval_s": slow_interval_s,
            "identity": f"meter_{unit_id}",
        },
    )


def link_entry(*meters: ConfigSubentryData) -> MockConfigEntry:
    """Return a Modbus entry with meters."""
    return MockConfigEntry(
        domain=DOMAIN,
        title="192.0.2.1:502",
        unique_id="tcp:192.0.2.1:502",
        data=TCP_DATA,
        subentries_data=meters,
    )


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set up an entry and wait for its first polls."""
    if hass.config_entries.async_get_entry(entry.entry_id) is None:
        entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def after(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    """Let some time pass at once, with what is due at its end."""
    freezer.tick(timedelta(seconds=seconds))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


def fail_once(monkeypatch: pytest.MonkeyPatch, unit: MockModbusUnit, error: Exception) -> None:
    """Let the next read of input registers fail, and no other."""
    answer = unit.read_input_registers

    async def fail(address: int, count: int) -> list[int]:
        monkeypatch.setattr(unit, "read_input_registers", answer)
        raise error

    monkeypatch.setattr(unit, "read_input_registers", fail)


def write_sdm630(unit: MockModbusUnit, **values: float) -> None:
    """Write quantities of an SDM630, at the addresses of its manual."""
    places = {
        "voltage_l1": 0x00,
        "voltage_l2": 0x02,
        "current_l1": 0x06,
        "power": 0x34,
        "frequency": 0x46,
        "energy_import": 0x48,
        "energy_export": 0x4A,
        "energy_sum": 0x156,
    }
    for key, value in values.items():
        unit.input[places[key]] = encode_float32(value)


def state(hass: HomeAssistant, key: str, unit_id: int = 1) -> str:
    """Return the state of a meter's quantity."""
    entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"meter_{unit_id}_{key}")
    assert entity_id is not None
    found = hass.states.get(entity_id)
    assert found is not None
    return found.state
