"""An entry that fails, stops or is not loaded: nothing is left behind, and help is there."""

import asyncio
from pathlib import Path
import threading
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry import async_remove_config_entry_device
from custom_components.grid_telemetry.config_flow import GridTelemetryConfigFlow
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import (
    async_get_config_entry_diagnostics,
    async_get_device_diagnostics,
)
from custom_components.grid_telemetry.links.scout.link import ScoutLink
from simulators.scout import ScoutServer

from .links.scout.conftest import AddEntry, add_entry, device, server
from .links.scout.test_link import POWER, set_power, start, until

__all__ = ["add_entry", "server"]


def outbox_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("outbox")]


async def test_a_setup_that_fails_leaves_nothing_behind_and_can_be_repeated(
    hass: HomeAssistant,
    enable_custom_integrations: None,
    server: ScoutServer,
    add_entry: AddEntry,
) -> None:
    entry = add_entry(device("MAIN", POWER))
    with patch.object(ScoutLink, "async_start", side_effect=ValueError("a fault of ours")):
        assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert outbox_threads() == []
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert await hass.config_entries.async_unload(entry.entry_id)
    assert outbox_threads() == []


async def test_home_assistant_that_stops_during_a_setup_stops_the_link(
    hass: HomeAssistant,
    enable_custom_integrations: None,
    server: ScoutServer,
    add_entry: AddEntry,
) -> None:
    entry = add_entry(device("MAIN", POWER))
    start_link = ScoutLink.async_start

    async def start_and_stop(link: ScoutLink) -> None:
        hass.set_state(CoreState.stopping)
        hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
        await asyncio.sleep(0)
        await start_link(link)

    with patch.object(ScoutLink, "async_start", autospec=True, side_effect=start_and_stop):
        await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    hass.set_state(CoreState.running)
    assert outbox_threads() == []
    assert server.connections == 0
    await hass.config_entries.async_unload(entry.entry_id)


async def test_what_is_cancelled_elsewhere_does_not_end_the_connection(
    hass: HomeAssistant,
    enable_custom_integrations: None,
    server: ScoutServer,
    add_entry: AddEntry,
) -> None:
    entry = add_entry(device("MAIN", POWER))
    set_power(hass, 1)
    with patch(
        "custom_components.grid_telemetry.links.scout.client.connect",
        side_effect=asyncio.CancelledError,
    ):
        await hass.config_entries.async_setup(entry.entry_id)
        health = entry.runtime_data.health
        await until(lambda: health.last_error == "unexpected_error")
    await until(lambda: entry.runtime_data.outbox.queued_records)
    assert await entry.runtime_data.delivery.flush(10)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_entry_that_is_not_loaded_has_diagnostics_and_its_devices_can_be_deleted(
    hass: HomeAssistant,
    enable_custom_integrations: None,
    server: ScoutServer,
    add_entry: AddEntry,
) -> None:
    entry = add_entry(device("MAIN", POWER))
    await start(hass, entry, server)
    [found] = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert isinstance(found, dr.DeviceEntry)
    assert not await async_remove_config_entry_device(hass, entry, found)
    assert await hass.config_entries.async_unload(entry.entry_id)
    fresh = MockConfigEntry(domain=DOMAIN, data=dict(entry.data))
    fresh.add_to_hass(hass)
    for each in (entry, fresh):
        told = await async_get_config_entry_diagnostics(hass, each)
        assert (told["state"], told["link"]) == ("not_loaded", None)
        assert told["entry"]["token"] == "**REDACTED**"
    assert (await async_get_device_diagnostics(hass, entry, found))["link"] is None
    assert await async_remove_config_entry_device(hass, entry, found)


async def test_what_cannot_be_deleted_keeps_nothing_else_of_a_removed_entry(
    hass: HomeAssistant,
    enable_custom_integrations: None,
    server: ScoutServer,
    add_entry: AddEntry,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = add_entry(device("MAIN"))
    key = f"{DOMAIN}.counters_{entry.entry_id}"
    hass_storage[key] = {"version": 1, "key": key, "data": {"at": 0, "counters": {}}}
    await start(hass, entry, server)
    with patch.object(Path, "unlink", side_effect=OSError("read-only")):
        assert await hass.config_entries.async_remove(entry.entry_id)

    assert "read-only" in caplog.text
    assert key not in hass_storage


def test_a_step_that_no_kind_has_is_none_of_the_flow() -> None:
    flow = GridTelemetryConfigFlow()
    assert hasattr(flow, "async_step_scout_gateway")
    assert not hasattr(flow, "async_step_nothing")
