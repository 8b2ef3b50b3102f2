"""The steps of a Modbus entry, over real sockets of this machine."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
from pathlib import Path
import socket
import ssl
import subprocess
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntryState,
    ConfigFlowResult,
    FlowType,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from modbus_connection import ModbusConnectionError, ModbusTimeoutError
from modbus_connection.mock import MockModbusConnection
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.modbus import connection_test
from simulators.house import House
from simulators.meters import MeterServer, SimulatedMeter, Transport
from tests.texts import TEXTS

from .conftest import link_entry, meter, start

SERIAL = {
    "device": "/dev/ttyUSB0",
    "baudrate": "19200",
    "bytesize": "8",
    "parity": "even",
    "stopbits": "1",
}


@contextlib.asynccontextmanager
async def served(
    transport: Transport = "tcp", tls: ssl.SSLContext | None = None
) -> AsyncIterator[MeterServer]:
    """Serve an SDM630 as unit 1."""
    meters = [SimulatedMeter(1, "eastron_sdm630", House().grid)]
    async with MeterServer(meters, transport=transport, tls=tls) as server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for 127.0.0.1, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(path) + ".key", "-out", str(path)),
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + Path(str(path) + ".key").read_text())
    return path


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def form(hass: HomeAssistant, transport: str) -> ConfigFlowResult:
    """Go through the menus to the form of a transport."""
    flows = hass.config_entries.flow
    result = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert result["type"] is FlowResultType.MENU
    result = await flows.async_configure(result["flow_id"], {"next_step_id": "modbus"})
    assert result["type"] is FlowResultType.MENU
    assert result["step_id"] == "modbus"
    result = await flows.async_configure(result["flow_id"], {"next_step_id": f"modbus_{transport}"})
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == f"modbus_{transport}"
    assert not result["errors"]
    return result


async def submit(
    hass: HomeAssistant, result: ConfigFlowResult, data: dict[str, Any]
) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_configure(result["flow_id"], data)


def suggested(result: ConfigFlowResult) -> dict[str, Any]:
    """Return what a form is filled with."""
    assert result["data_schema"] is not None
    return {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description
    }


@pytest.mark.parametrize("transport", ["tcp", "udp", "rtu_over_tcp"])
async def test_a_network_connection_is_opened_and_saved(
    hass: HomeAssistant, socket_enabled: None, transport: Transport
) -> None:
    async with served(transport) as server:
        result = await form(hass, transport)
        result = await submit(hass, result, {"host": "127.0.0.1", "port": server.port})

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == f"127.0.0.1:{server.port}"
    assert result["data"] == {
        "kind": "modbus",
        "transport": transport,
        "host": "127.0.0.1",
        "port": server.port,
    }
    assert server.requests
    entry: MockConfigEntry = result["result"]
    assert entry.state is ConfigEntryState.LOADED
    endpoint = f"socket://127.0.0.1:{server.port}"
    assert entry.unique_id == (
        f"serial:{endpoint}"
        if transport == "rtu_over_tcp"
        else f"{transport}:127.0.0.1:{server.port}"
    )


async def test_a_tls_connection_is_opened_and_saved(
    hass: HomeAssistant, socket_enabled: None, certificate: Path
) -> None:
    async with served("tls", server_tls(certificate)) as server:
        result = await form(hass, "tls")
        result = await submit(
            hass,
            result,
            {
                "host": "127.0.0.1",
                "port": server.port,
                "verify": True,
                "certificates": {
                    "ca_file": str(certificate),
                    "client_cert": str(certificate),
                    "client_key": "",
                },
            },
        )

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == {
        "kind": "modbus",
        "transport": "tls",
        "host": "127.0.0.1",
        "port": server.port,
        "verify": True,
        "ca_file": str(certificate),
        "client_cert": str(certificate),
    }


async def test_a_certificate_can_be_left_unverified(
    hass: HomeAssistant, socket_enabled: None, certificate: Path
) -> None:
    async with served("tls", server_tls(certificate)) as server:
        result = await form(hass, "tls")
        result = await submit(
            hass,
            result,
            {"host": "127.0.0.1", "port": server.port, "verify": False, "certificates": {}},
        )

    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_serial_port_is_opened_and_saved(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    result = await form(hass, "serial")
    result = await submit(hass, result, SERIAL)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "/dev/ttyUSB0"
    assert result["data"] == {
        "kind": "modbus",
        "transport": "serial",
        "device": "/dev/ttyUSB0",
        "baudrate": 19200,
        "bytesize": 8,
        "parity": "even",
        "stopbits": 1,
    }


async def test_adding_the_first_meter_follows(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    result = await form(hass, "serial")
    result = await submit(hass, result, SERIAL)

    kind, flow_id = result["next_flow"]
    assert kind is FlowType.CONFIG_SUBENTRIES_FLOW
    meter_form = hass.config_entries.subentries.async_get(flow_id)
    assert meter_form["handler"] == (result["result"].entry_id, "meter")
    assert meter_form["step_id"] == "user"


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (ModbusTimeoutError("could not connect to 192.0.2.1:502"), "timeout"),
        (ModbusConnectionError("could not connect to 192.0.2.1:502"), "cannot_connect"),
    ],
)
async def test_an_error_is_told_and_can_be_corrected(
    hass: HomeAssistant, line: MockModbusConnection, error: Exception, key: str
) -> None:
    result = await form(hass, "tcp")
    # An error of the connection itself: the line is not open.
    with patch.object(line, "connect", side_effect=error):
        result = await submit(hass, result, {"host": "192.0.2.1", "port": 502})
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"base": key}
    assert result["description_placeholders"] == {"error": "could not connect to 192.0.2.1:502"}
    assert suggested(result) == {"host": "192.0.2.1", "port": 502}

    result = await submit(hass, result, {"host": "192.0.2.1", "port": 502})
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_refused_connection_is_told(hass: HomeAssistant, socket_enabled: None) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        result = await form(hass, "tcp")
        result = await submit(hass, result, {"host": "127.0.0.1", "port": port})

    assert result["errors"] == {"base": "cannot_connect"}
    assert result["description_placeholders"]["error"] == "Connection refused"


async def test_an_unknown_host_is_told(hass: HomeAssistant, socket_enabled: None) -> None:
    with patch("socket.getaddrinfo", side_effect=socket.gaierror(-2, "Name not known")):
        result = await form(hass, "tcp")
        result = await submit(hass, result, {"host": "meter.invalid", "port": 502})

    assert result["errors"] == {"base": "invalid_host"}


async def test_a_certificate_that_is_not_trusted_is_told(
    hass: HomeAssistant, socket_enabled: None, certificate: Path
) -> None:
    # The server runs in the same loop and is told that it was not trusted; that is no fault.
    hass.loop.set_exception_handler(lambda loop, context: None)
    async with served("tls", server_tls(certificate)) as server:
        result = await form(hass, "tls")
        result = await submit(
            hass,
            result,
            {"host": "127.0.0.1", "port": server.port, "verify": True, "certificates": {}},
        )

    assert result["errors"] == {"base": "tls_failed"}
    assert "certificate" in result["description_placeholders"]["error"].lower()


async def test_a_certificate_file_that_is_missing_is_told(
    hass: HomeAssistant, socket_enabled: None, tmp_path: Path
) -> None:
    result = await form(hass, "tls")
    result = await submit(
        hass,
        result,
        {
            "host": "127.0.0.1",
            "port": 802,
            "verify": True,
            "certificates": {"client_cert": str(tmp_path / "none.pem")},
        },
    )

    assert result["errors"] == {"base": "certificate_file"}


async def test_an_open_connection_is_enough_where_unit_1_is_silent(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    line.for_unit(1).fail_requests(ModbusTimeoutError("no response"))
    result = await form(hass, "tcp")
    await line.connect()
    result = await submit(hass, result, {"host": "192.0.2.1", "port": 502})

    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_host_that_swallows_everything_is_told(
    hass: HomeAssistant, line: MockModbusConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_test, "_TEST_S", 0.01)
    result = await form(hass, "tcp")
    with patch.object(line, "connect", asyncio.Event().wait):
        result = await submit(hass, result, {"host": "192.0.2.1", "port": 502})

    assert result["errors"] == {"base": "timeout"}


async def test_a_refusing_unit_is_an_open_connection(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    meters = [SimulatedMeter(1, "carlo_gavazzi_em24_e1", House().grid)]
    async with MeterServer(meters) as server:
        result = await form(hass, "tcp")
        result = await submit(hass, result, {"host": "127.0.0.1", "port": server.port})

    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_line_in_use_with_other_settings_is_told(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    async with served("tcp") as server:
        entry = MockConfigEntry(
            domain=DOMAIN,
            unique_id="other",
            data={
                "kind": "modbus",
                "transport": "tcp",
                "host": "127.0.0.1",
                "port": server.port,
            },
            subentries_data=[meter()],
        )
        await start(hass, entry)
        result = await form(hass, "tls")
        result = await submit(
            hass,
            result,
            {"host": "127.0.0.1", "port": server.port, "verify": False, "certificates": {}},
        )
        assert result["errors"] == {"base": "device_in_use"}
        assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_connection_is_set_up_once(hass: HomeAssistant, line: MockModbusConnection) -> None:
    link_entry().add_to_hass(hass)

    result = await form(hass, "tcp")
    result = await submit(hass, result, {"host": "192.0.2.1", "port": 502})

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


# --- reconfigure


async def test_the_address_of_a_connection_can_be_changed(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)

    result = await entry.start_reconfigure_flow(hass)
    assert result["step_id"] == "modbus_tcp"
    shown = {"host": "192.0.2.1", "port": 502, "entry_name": "192.0.2.1:502"}
    assert suggested(result) == shown
    result = await submit(hass, result, {**shown, "host": "192.0.2.2"})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["host"] == "192.0.2.2"
    assert entry.title == "192.0.2.2:502"
    assert entry.unique_id == "tcp:192.0.2.2:502"
    assert entry.state is ConfigEntryState.LOADED


async def test_an_entry_has_the_name_that_it_is_given(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    result = await form(hass, "tcp")
    typed = {"host": "192.0.2.1", "port": 502, "entry_name": " Cellar "}
    result = await submit(hass, result, typed)
    assert result["title"] == "Cellar"
    assert "entry_name" not in result["data"]
    entry = result["result"]
    await hass.async_block_till_done(wait_background_tasks=True)

    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    assert suggested(result)["entry_name"] == "Cellar"
    result = await submit(hass, result, {**typed, "entry_name": "Attic"})
    assert result["reason"] == "reconfigure_successful"
    assert entry.title == "Attic"


async def test_a_name_that_the_user_gave_stays(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)
    hass.config_entries.async_update_entry(entry, title="Cellar")
    await hass.async_block_till_done(wait_background_tasks=True)

    result = await entry.start_reconfigure_flow(hass)
    await submit(hass, result, {"host": "192.0.2.2", "port": 502})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert entry.title == "Cellar"


async def test_a_connection_cannot_become_another_one_that_is_set_up(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    link_entry().add_to_hass(hass)
    entry = MockConfigEntry(
        domain=DOMAIN,
        unique_id="tcp:192.0.2.9:502",
        data={"kind": "modbus", "transport": "tcp", "host": "192.0.2.9", "port": 502},
    )
    entry.add_to_hass(hass)

    result = await entry.start_reconfigure_flow(hass)
    result = await submit(hass, result, {"host": "192.0.2.1", "port": 502})

    assert result["reason"] == "already_configured"


def serial_entry() -> MockConfigEntry:
    return MockConfigEntry(
        domain=DOMAIN,
        title="/dev/ttyUSB0",
        unique_id="serial:/dev/ttyUSB0",
        data={
            "kind": "modbus",
            "transport": "serial",
            **SERIAL,
            "baudrate": 19200,
            "bytesize": 8,
            "stopbits": 1,
        },
        subentries_data=[meter()],
    )


async def test_the_settings_of_a_port_in_use_can_be_changed(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = serial_entry()
    await start(hass, entry)
    states = []
    entry.async_on_state_change(lambda: states.append(entry.state))

    result = await entry.start_reconfigure_flow(hass)
    assert suggested(result) == {**SERIAL, "entry_name": entry.title}
    result = await submit(hass, result, {**SERIAL, "baudrate": "9600"})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["reason"] == "reconfigure_successful"
    assert entry.data["baudrate"] == 9600
    assert entry.state is ConfigEntryState.LOADED
    # The port was let go before it was opened with the new settings.
    assert ConfigEntryState.NOT_LOADED in states


async def test_a_port_that_fails_with_new_settings_is_used_as_before(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = serial_entry()
    await start(hass, entry)

    result = await entry.start_reconfigure_flow(hass)
    error = ModbusConnectionError("could not open serial port /dev/ttyUSB0")
    with patch.object(line, "connect", side_effect=error):
        result = await submit(hass, result, {**SERIAL, "baudrate": "9600"})
        await hass.async_block_till_done(wait_background_tasks=True)

    assert result["errors"] == {"base": "cannot_connect"}
    assert entry.data["baudrate"] == 19200
    assert entry.state is ConfigEntryState.LOADED


async def test_a_number_that_cannot_be_is_told_by_a_text(hass: HomeAssistant) -> None:
    result = await form(hass, "tcp")
    with pytest.raises(InvalidData) as raised:
        await hass.config_entries.flow.async_configure(
            result["flow_id"], {"host": "127.0.0.1", "port": 70_000}
        )
    assert raised.value.schema_errors == {"port": "number_out_of_range"}
    assert TEXTS["config"]["error"]["number_out_of_range"]
