"""Devices that tell the network that they are there: offered, left alone or followed."""

from ipaddress import ip_address
import json
from pathlib import Path

from homeassistant.config_entries import (
    SOURCE_DHCP,
    SOURCE_ZEROCONF,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.dhcp import DhcpServiceInfo
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from modbus_connection import ModbusConnectionError
from modbus_connection.mock import MockModbusConnection
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN

from .conftest import TCP_DATA, link_entry, meter, start, state

NAME = "ModbusTCP Slave 9F8124._modbus._tcp.local."
MAC = "0019ee123456"
MANIFEST = Path(__file__).parents[3] / "custom_components" / DOMAIN / "manifest.json"


async def announced(hass: HomeAssistant, host: str, *, port: int | None = 502) -> ConfigFlowResult:
    """Let a device announce Modbus TCP."""
    return await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_ZEROCONF},
        data=ZeroconfServiceInfo(
            ip_address=ip_address(host),
            ip_addresses=[ip_address(host)],
            port=port,
            hostname="whatwatt-9F8124.local.",
            type="_modbus._tcp.local.",
            name=NAME,
            properties={},
        ),
    )


async def seen(hass: HomeAssistant, host: str, hostname: str = "em24") -> ConfigFlowResult:
    """Let a device ask for an address."""
    return await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_DHCP},
        data=DhcpServiceInfo(ip=host, hostname=hostname, macaddress=MAC),
    )


async def confirm(hass: HomeAssistant, result: ConfigFlowResult) -> ConfigFlowResult:
    """Confirm that a device shall be read."""
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "modbus_discovered"
    return await hass.config_entries.flow.async_configure(result["flow_id"], {})


async def test_an_announced_device_is_offered(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    result = await announced(hass, "192.0.2.7")

    assert result["description_placeholders"] == {
        "name": "ModbusTCP Slave 9F8124",
        "address": "192.0.2.7:502",
    }
    result = await confirm(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "192.0.2.7:502"
    assert result["result"].unique_id == "tcp:192.0.2.7:502"
    assert result["data"] == {
        "kind": "modbus",
        "transport": "tcp",
        "host": "192.0.2.7",
        "port": 502,
        "announced_as": NAME,
    }


async def test_a_device_without_a_port_has_the_usual_one(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    result = await confirm(hass, await announced(hass, "192.0.2.7", port=None))

    assert result["data"]["port"] == 502


@pytest.mark.parametrize(("hostname", "name"), [("em24", "em24"), ("", "192.0.2.8")])
async def test_a_device_of_a_maker_of_meters_is_offered(
    hass: HomeAssistant, line: MockModbusConnection, hostname: str, name: str
) -> None:
    result = await seen(hass, "192.0.2.8", hostname)

    assert result["description_placeholders"]["name"] == name
    result = await confirm(hass, result)
    assert result["data"]["announced_as"] == "00:19:ee:12:34:56"
    assert (result["data"]["host"], result["data"]["port"]) == ("192.0.2.8", 502)


async def test_adding_meters_follows(hass: HomeAssistant, line: MockModbusConnection) -> None:
    result = await confirm(hass, await announced(hass, "192.0.2.7"))

    _, flow_id = result["next_flow"]
    assert hass.config_entries.subentries.async_get(flow_id)["step_id"] == "user"


async def test_a_device_that_does_not_speak_modbus_is_not_offered(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    line.for_unit(1).fail_requests(ModbusConnectionError("refused"))
    result = await seen(hass, "192.0.2.8")

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "no_modbus"


async def test_a_device_is_offered_once(hass: HomeAssistant, line: MockModbusConnection) -> None:
    await seen(hass, "192.0.2.7")
    result = await announced(hass, "192.0.2.7")

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_in_progress"


@pytest.mark.parametrize("host", ["192.0.2.1", "whatwatt-9F8124.local"])
async def test_a_device_that_is_set_up_is_not_offered(
    hass: HomeAssistant, line: MockModbusConnection, host: str
) -> None:
    entry = MockConfigEntry(
        domain=DOMAIN, unique_id=f"tcp:{host}:502", data={**TCP_DATA, "host": host}
    )
    await start(hass, entry)
    result = await announced(hass, "192.0.2.1")

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"
    assert entry.data["host"] == host


async def test_entries_of_other_kinds_and_ports_are_no_obstacle(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    for number, data in enumerate(
        (
            {"kind": "scout"},
            {**TCP_DATA, "transport": "udp"},
            {**TCP_DATA, "port": 503},
            {**TCP_DATA, "host": "192.0.2.9"},
        )
    ):
        MockConfigEntry(domain=DOMAIN, unique_id=str(number), data=data).add_to_hass(hass)

    assert (await announced(hass, "192.0.2.1"))["type"] is FlowResultType.FORM


async def test_a_device_is_followed_to_its_new_address(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)
    link = entry.runtime_data

    # The first time that it is seen, it is where it was set up by hand.
    assert (await seen(hass, "192.0.2.1"))["reason"] == "already_configured"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.runtime_data is link
    assert (await seen(hass, "192.0.2.99"))["reason"] == "already_configured"
    await hass.async_block_till_done(wait_background_tasks=True)

    assert entry.data["host"] == "192.0.2.99"
    assert entry.unique_id == "tcp:192.0.2.99:502"
    assert entry.title == "192.0.2.99:502"
    assert entry.runtime_data is not link
    assert state(hass, "power") == "0.0"


async def test_a_name_that_the_user_gave_stays(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = MockConfigEntry(
        domain=DOMAIN,
        unique_id="tcp:192.0.2.1:502",
        title="Cellar",
        data={**TCP_DATA, "announced_as": NAME},
    )
    entry.add_to_hass(hass)
    await announced(hass, "192.0.2.99", port=1502)

    assert entry.title == "Cellar"
    assert (entry.data["host"], entry.data["port"]) == ("192.0.2.99", 1502)


def test_the_manifest_matches_what_the_steps_are_for() -> None:
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))

    assert manifest["zeroconf"] == ["_modbus._tcp.local."]
    assert manifest["dhcp"] == [{"macaddress": "000E6B*"}, {"macaddress": "0019EE*"}]
