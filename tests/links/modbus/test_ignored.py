"""A device that was discovered and that the user wants to hear nothing of."""

from homeassistant.config_entries import SOURCE_DHCP, SOURCE_IGNORE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import get_system_health_info
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.grid_telemetry.commands.built_in import BuiltIn
from custom_components.grid_telemetry.commands.command import Command
from custom_components.grid_telemetry.const import DOMAIN


# Home Assistant's own web server.
@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
@pytest.mark.usefixtures("enable_custom_integrations", "socket_enabled", "line")
async def test_an_ignored_device_does_no_harm(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator
) -> None:
    for component in ("config", "system_health"):
        assert await async_setup_component(hass, component, {})
    offered = await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_DHCP},
        data=DhcpServiceInfo(ip="192.0.2.8", hostname="em24", macaddress="0019ee123456"),
    )
    assert offered["type"] is FlowResultType.FORM
    client = await hass_ws_client(hass)

    await client.send_json_auto_id(
        {
            "type": "config_entries/ignore_flow",
            "flow_id": offered["flow_id"],
            "title": "em24",
        }
    )
    assert (await client.receive_json())["success"]
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert (entry.source, dict(entry.data)) == (SOURCE_IGNORE, {})

    # What the frontend's list of all integrations asks for.
    await client.send_json_auto_id({"type": "config_entries/get", "domain": DOMAIN})
    listed = await client.receive_json()
    assert [one["supported_subentry_types"] for one in listed["result"]] == [{}]

    # It is no link that does not work.
    assert (await get_system_health_info(hass, DOMAIN))["links"] == "0 / 0"
    built_in = BuiltIn(hass=hass, latest=lambda _: [], allow_restart=False, allow_reboot=False)
    (ping,) = (one for one in built_in.registrations() if one.pattern == "/setup/network/ping")
    outcome = await ping.handler(
        Command(destination="/setup/network/ping", headers={}, arg=None, origin="test")
    )
    assert outcome is not None
    assert outcome.result is None

    await hass.config_entries.async_remove(entry.entry_id)
    assert hass.config_entries.async_entries(DOMAIN) == []
