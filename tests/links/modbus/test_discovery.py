"""Devices that tell the network that they are there: offered, left alone or followed."""

from ipaddress import ip_address
import json
from pathlib import Path

from homeassistant.config_entries import (
    SOURCE_DHCP,
    SOURCE_IGNORE,
    SOURCE_USER,
    SOURCE_ZEROCONF,
    ConfigEntry,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.device_registry import format_mac
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
OTHER_MAC = "0019ee654321"
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


async def seen(
    hass: HomeAssistant, host: str, hostname: str = "em24", mac: str = MAC
) -> ConfigFlowResult:
    """Let a device ask for an address."""
    return await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_DHCP},
        data=DhcpServiceInfo(ip=host, hostname=hostname, macaddress=mac),
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


def known_device(hass: HomeAssistant, host: str, mac: str = MAC) -> MockConfigEntry:
    """Add an entry for a device that has been seen before."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        unique_id=f"tcp:{host}:502",
        title=f"{host}:502",
        data={**TCP_DATA, "host": host, "announced_as": format_mac(mac)},
    )
    entry.add_to_hass(hass)
    return entry


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("seen_first", [0, 1])
async def test_two_devices_can_swap_their_addresses(
    hass: HomeAssistant,
    line: MockModbusConnection,
    caplog: pytest.LogCaptureFixture,
    first: int,
    seen_first: int,
) -> None:
    house, car = ("192.0.2.10", MAC), ("192.0.2.11", OTHER_MAC)
    entries = {
        mac: known_device(hass, host, mac) for host, mac in ((house, car), (car, house))[first]
    }
    moves = [("192.0.2.11", MAC), ("192.0.2.10", OTHER_MAC)]
    for host, mac in (moves, moves[::-1])[seen_first]:
        assert (await seen(hass, host, mac=mac))["reason"] == "already_configured"
        await hass.async_block_till_done(wait_background_tasks=True)

    for host, mac in moves:
        assert entries[mac].data["host"] == host
        assert entries[mac].data["announced_as"] == format_mac(mac)
        assert entries[mac].unique_id == f"tcp:{host}:502"
    assert "already in use" not in caplog.text


async def test_a_device_does_not_take_over_the_entry_of_another_one(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = known_device(hass, "192.0.2.10")

    result = await seen(hass, "192.0.2.10", mac=OTHER_MAC)

    assert result["reason"] == "already_configured"
    assert entry.data["announced_as"] == format_mac(MAC)
    # The new one is offered when the other one is elsewhere.
    await seen(hass, "192.0.2.11")
    result = await seen(hass, "192.0.2.10", mac=OTHER_MAC)
    assert result["type"] is FlowResultType.FORM


async def test_a_device_is_followed_to_where_it_is_offered(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = known_device(hass, "192.0.2.10")
    offer = await announced(hass, "192.0.2.11")
    assert offer["type"] is FlowResultType.FORM

    assert (await seen(hass, "192.0.2.11"))["reason"] == "already_configured"
    assert entry.data["host"] == "192.0.2.11"

    # The offer that is left does not replace the entry.
    result = await confirm(hass, offer)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"
    assert hass.config_entries.async_entries(DOMAIN) == [entry]


async def ignore(hass: HomeAssistant, offer: ConfigFlowResult) -> ConfigEntry:
    """Ignore a device that is offered."""
    (flow,) = hass.config_entries.flow.async_progress()
    result = await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_IGNORE},
        data={"unique_id": flow["context"]["unique_id"], "title": "em24"},
    )
    assert flow["flow_id"] == offer["flow_id"]
    entry: ConfigEntry = result["result"]
    return entry


async def test_a_device_that_is_ignored_is_not_offered_again(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    ignored = await ignore(hass, await seen(hass, "192.0.2.8"))

    for result in (await seen(hass, "192.0.2.8"), await announced(hass, "192.0.2.8")):
        assert result["type"] is FlowResultType.ABORT
        assert result["reason"] == "already_configured"
    assert dict(ignored.data) == {}
    assert (await announced(hass, "192.0.2.9"))["type"] is FlowResultType.FORM


async def test_a_device_is_followed_to_an_address_that_is_ignored(
    hass: HomeAssistant, line: MockModbusConnection, caplog: pytest.LogCaptureFixture
) -> None:
    await ignore(hass, await announced(hass, "192.0.2.8"))
    entry = known_device(hass, "192.0.2.1")

    assert (await seen(hass, "192.0.2.8"))["reason"] == "already_configured"

    assert entry.unique_id == "tcp:192.0.2.8:502"
    assert "already in use" not in caplog.text


async def by_hand(hass: HomeAssistant, host: str) -> ConfigFlowResult:
    """Set a device up by hand."""
    flows = hass.config_entries.flow
    result = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    for step in ("modbus", "modbus_tcp"):
        result = await flows.async_configure(result["flow_id"], {"next_step_id": step})
    return await flows.async_configure(result["flow_id"], {"host": host, "port": 502})


async def test_a_device_that_is_offered_can_be_set_up_by_hand(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    offer = await seen(hass, "192.0.2.8")
    result = await by_hand(hass, "192.0.2.8")

    assert result["type"] is FlowResultType.CREATE_ENTRY
    flows = [flow["flow_id"] for flow in hass.config_entries.flow.async_progress()]
    assert offer["flow_id"] not in flows


async def test_a_device_that_is_ignored_can_be_set_up_by_hand(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    await ignore(hass, await seen(hass, "192.0.2.8"))
    result = await by_hand(hass, "192.0.2.8")

    assert result["type"] is FlowResultType.CREATE_ENTRY
    # It takes the place of the ignored one.
    assert hass.config_entries.async_entries(DOMAIN) == [result["result"]]


async def test_an_entry_can_be_changed_to_an_address_that_is_ignored(
    hass: HomeAssistant, line: MockModbusConnection, caplog: pytest.LogCaptureFixture
) -> None:
    await ignore(hass, await seen(hass, "192.0.2.8"))
    entry = known_device(hass, "192.0.2.1", OTHER_MAC)

    result = await entry.start_reconfigure_flow(hass)
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"host": "192.0.2.8", "port": 502}
    )

    assert result["reason"] == "reconfigure_successful"
    assert entry.unique_id == "tcp:192.0.2.8:502"
    assert "already in use" not in caplog.text


@pytest.mark.parametrize(
    ("host", "port", "kept"),
    [("192.0.2.1", 502, True), ("192.0.2.2", 502, False), ("192.0.2.1", 503, False)],
)
async def test_a_device_is_followed_further_where_its_entry_stays(
    hass: HomeAssistant, line: MockModbusConnection, host: str, port: int, kept: bool
) -> None:
    entry = known_device(hass, "192.0.2.1")

    result = await entry.start_reconfigure_flow(hass)
    await hass.config_entries.flow.async_configure(result["flow_id"], {"host": host, "port": port})

    assert (entry.data["host"], entry.data["port"]) == (host, port)
    assert entry.data.get("announced_as") == (format_mac(MAC) if kept else None)


def test_the_manifest_matches_what_the_steps_are_for() -> None:
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))

    assert manifest["zeroconf"] == ["_modbus._tcp.local."]
    assert manifest["dhcp"] == [{"macaddress": "000E6B*"}, {"macaddress": "0019EE*"}]
