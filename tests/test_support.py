"""What helps to find a fault: diagnostics of a device, and the page on system health."""

from collections.abc import AsyncGenerator
import json
from pathlib import Path

from homeassistant.const import STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    get_system_health_info,
)

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_device_diagnostics
from simulators.scout import ScoutServer

from .links.scout.conftest import device, entry_data
from .texts import INTEGRATION, TEXTS


@pytest.fixture
async def server(socket_enabled: None) -> AsyncGenerator[ScoutServer]:
    async with ScoutServer(claim_id="QX7ZK2WV", token="not for other eyes") as running:
        yield running


@pytest.fixture
async def entry(
    hass: HomeAssistant,
    enable_custom_integrations: None,
    server: ScoutServer,
    tmp_path: Path,
) -> AsyncGenerator[MockConfigEntry]:
    hass.config.config_dir = str(tmp_path)
    made = MockConfigEntry(
        domain=DOMAIN,
        title="Circutor Scout QX7ZK2WV",
        data=entry_data(server),
        subentries_data=[device("MAIN", {"entity": "sensor.power", "name": "P"})],
    )
    made.add_to_hass(hass)
    assert await hass.config_entries.async_setup(made.entry_id)
    await server.wait_for(lambda: server.attributes, 10)
    yield made
    await hass.config_entries.async_unload(made.entry_id)


async def test_the_diagnostics_of_a_device_show_its_entities_and_no_secret(
    hass: HomeAssistant, entry: MockConfigEntry, server: ScoutServer
) -> None:
    registry = dr.async_get(hass)
    [found] = dr.async_entries_for_config_entry(registry, entry.entry_id)
    found = registry.async_update_device(found.id, serial_number="4711-0815")
    assert found is not None

    told = await async_get_device_diagnostics(hass, entry, found)

    assert told["device"]["serial_number"] == "**REDACTED**"
    states = {(one["domain"], one["key"]): one["state"] for one in told["entities"]}
    assert states["sensor", "health_last_error"] == "none"
    assert ("binary_sensor", "health_connected") in states
    assert told["link"]["points"] == {"MAIN": 1}
    text = json.dumps(told)
    for secret in (server.token, server.claim_id, "4711-0815"):
        assert secret not in text


# Home Assistant's own web server.
@pytest.mark.filterwarnings("ignore:It is recommended to use web.AppKey")
async def test_system_health_counts_links_connections_and_what_waits(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    MockConfigEntry(domain=DOMAIN, data={"kind": "modbus"}).add_to_hass(hass)
    connected = hass.states.get("binary_sensor.circutor_scout_qx7zk2wv_connected")
    while connected is None or connected.state != STATE_ON:
        await hass.async_block_till_done(wait_background_tasks=False)
        connected = hass.states.get("binary_sensor.circutor_scout_qx7zk2wv_connected")
    entry.runtime_data.health.dropped = 7
    assert await async_setup_component(hass, "system_health", {})

    info = await get_system_health_info(hass, DOMAIN)

    manifest = json.loads((INTEGRATION / "manifest.json").read_text(encoding="utf-8"))
    assert info["version"] == manifest["version"]
    assert info["links"] == "1 / 2"
    assert info["connected"] == "1 / 1"
    assert info["queued"] >= 0
    assert info["dropped"] == 7
    assert info.keys() == TEXTS["system_health"]["info"].keys()
