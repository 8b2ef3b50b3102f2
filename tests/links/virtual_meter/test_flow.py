"""The steps of a virtual meter's entry, as a user goes through them."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import pty
import socket
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from simulators.programs import free_port

pytestmark = pytest.mark.usefixtures("socket_enabled", "no_setup")

type Result = dict[str, Any]

LISTEN: dict[str, Any] = {
    "host": " 127.0.0.1",
    "allowed_networks": ["127.0.0.0/8", " 192.168.1.0/24"],
    "max_clients": 4,
}
LINE: dict[str, Any] = {"baudrate": "19200", "parity": "even", "stopbits": "1"}


@contextmanager
def line() -> Iterator[str]:
    """Return a serial port that nobody has open."""
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    os.close(theirs)
    yield name
    os.close(ours)


async def begin(hass: HomeAssistant, transport: str = "tcp") -> str:
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    for answer_of_step in (
        {"next_step_id": "virtual_meter"},
        {"master": "other"},
        {"next_step_id": f"virtual_meter_{transport}"},
    ):
        result = await hass.config_entries.flow.async_configure(result["flow_id"], answer_of_step)
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == f"virtual_meter_{transport}"
    return result["flow_id"]


async def answer(hass: HomeAssistant, flow_id: str, **changes: Any) -> Result:
    filled = changes if "device" in changes else {**LISTEN, **changes}
    return dict(await hass.config_entries.flow.async_configure(flow_id, filled))


@pytest.mark.parametrize(
    ("master", "step"),
    [
        ("fronius_tcp", "virtual_meter_tcp"),
        ("huawei", "virtual_meter_rs485"),
        ("other", "virtual_meter_transport"),
    ],
)
async def test_who_reads_the_meter_decides_how(hass: HomeAssistant, master: str, step: str) -> None:
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    for answer_of_step in ({"next_step_id": "virtual_meter"}, {"master": master}):
        result = await hass.config_entries.flow.async_configure(result["flow_id"], answer_of_step)
    assert result["step_id"] == step


async def test_who_reads_the_meter_is_kept(hass: HomeAssistant) -> None:
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    for answer_of_step in ({"next_step_id": "virtual_meter"}, {"master": "evcc"}):
        result = await hass.config_entries.flow.async_configure(result["flow_id"], answer_of_step)
    made = await answer(hass, result["flow_id"], port=free_port())
    assert made["data"]["master"] == "evcc"


async def test_reconfigure_keeps_who_reads_the_meter(hass: HomeAssistant) -> None:
    entry = port_entry(hass, free_port())
    hass.config_entries.async_update_entry(entry, data={**entry.data, "master": "evcc"})
    result = await entry.start_reconfigure_flow(hass)
    await answer(hass, result["flow_id"], port=free_port())
    assert entry.data["master"] == "evcc"


@pytest.mark.parametrize("transport", ["tcp", "rtu_over_tcp"])
async def test_a_port_that_can_be_had_makes_an_entry(hass: HomeAssistant, transport: str) -> None:
    port = free_port()
    result = await answer(hass, await begin(hass, transport), port=port)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == f"Virtual meter 127.0.0.1:{port}"
    assert result["data"] == {
        CONF_KIND: "virtual_meter",
        "master": "other",
        "transport": transport,
        "host": "127.0.0.1",
        "port": port,
        "allowed_networks": ["127.0.0.0/8", "192.168.1.0/24"],
        "max_clients": 4,
    }


async def test_at_first_it_is_for_this_machine_only(hass: HomeAssistant) -> None:
    port = free_port()
    flow_id = await begin(hass)
    result = await hass.config_entries.flow.async_configure(flow_id, {"port": port})
    assert result["data"]["host"] == "127.0.0.1"
    assert result["data"]["allowed_networks"] == ["127.0.0.0/8"]


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"host": "meter"}, {"host": "invalid_address"}),
        ({"host": "192.0.2.1"}, {"host": "foreign_address"}),
        ({"allowed_networks": ["192.168.1.0/8"]}, {"allowed_networks": "invalid_network"}),
    ],
)
async def test_what_cannot_be_is_told_and_can_be_corrected(
    hass: HomeAssistant, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    flow_id = await begin(hass)
    port = free_port()
    result = await answer(hass, flow_id, port=port, **changes)
    assert result["errors"] == errors
    result = await answer(hass, flow_id, port=port)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_port_in_use_is_told(hass: HomeAssistant) -> None:
    flow_id = await begin(hass)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = await answer(hass, flow_id, port=port)
    assert result["errors"] == {"port": "port_in_use"}
    assert (await answer(hass, flow_id, port=port))["type"] is FlowResultType.CREATE_ENTRY


async def test_other_troubles_are_told_in_the_words_of_the_system(hass: HomeAssistant) -> None:
    flow_id = await begin(hass)
    with patch(
        "custom_components.grid_telemetry.forms.listener.bound_socket",
        side_effect=PermissionError(13, "Permission denied"),
    ):
        result = await answer(hass, flow_id, port=502)
    assert result["errors"] == {"base": "cannot_listen"}
    assert result["description_placeholders"] == {"error": "Permission denied"}


async def test_a_serial_port_is_opened(hass: HomeAssistant, tmp_path: Path) -> None:
    flow_id = await begin(hass, "serial")
    result = await answer(hass, flow_id, device="/dev/nowhere", **LINE)
    assert result["errors"] == {"base": "cannot_open"}
    assert result["description_placeholders"] == {"error": "No such file or directory"}
    file = tmp_path / "file"
    file.touch()
    result = await answer(hass, flow_id, device=str(file), **LINE)
    assert result["errors"] == {"base": "cannot_open"}
    with line() as device:
        result = await answer(hass, flow_id, device=device, **LINE)
        assert result["type"] is FlowResultType.CREATE_ENTRY
        assert result["title"] == f"Virtual meter {device}"
        assert result["data"] == {
            CONF_KIND: "virtual_meter",
            "master": "other",
            "transport": "serial",
            "device": device,
            "baudrate": 19200,
            "parity": "even",
            "stopbits": 1,
        }


def entry_of(hass: HomeAssistant, place: str, **data: Any) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN,
        title=f"Virtual meter {place}",
        unique_id=f"virtual_meter/{place}",
        data={CONF_KIND: "virtual_meter", **data},
    )
    entry.add_to_hass(hass)
    return entry


def port_entry(hass: HomeAssistant, port: int) -> MockConfigEntry:
    return entry_of(
        hass, f"127.0.0.1:{port}", transport="tcp", **LISTEN | {"host": "127.0.0.1", "port": port}
    )


async def test_a_port_is_served_by_one_entry(hass: HomeAssistant) -> None:
    port = free_port()
    port_entry(hass, port)
    result = await answer(hass, await begin(hass), port=port)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_reconfigure_does_not_mind_the_port_that_the_entry_has(hass: HomeAssistant) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        entry = port_entry(hass, port)
        entry.mock_state(hass, ConfigEntryState.LOADED)
        result = await entry.start_reconfigure_flow(hass)
        assert result["step_id"] == "virtual_meter_tcp"
        changed = await answer(hass, result["flow_id"], port=port, max_clients=5)
    assert changed["reason"] == "reconfigure_successful"
    assert entry.data["max_clients"] == 5


async def test_reconfigure_does_not_take_another_entrys_port(hass: HomeAssistant) -> None:
    taken = free_port()
    port_entry(hass, taken)
    entry = port_entry(hass, free_port())
    result = await entry.start_reconfigure_flow(hass)
    changed = await answer(hass, result["flow_id"], port=taken)
    assert changed["reason"] == "already_configured"


async def test_reconfigure_tries_another_port(hass: HomeAssistant) -> None:
    entry = port_entry(hass, free_port())
    entry.mock_state(hass, ConfigEntryState.LOADED)
    result = await entry.start_reconfigure_flow(hass)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = await answer(hass, result["flow_id"], port=port)
        assert refused["errors"] == {"port": "port_in_use"}
    changed = await answer(hass, result["flow_id"], port=port)
    assert changed["reason"] == "reconfigure_successful"
    assert entry.unique_id == f"virtual_meter/127.0.0.1:{port}"
    assert entry.title == f"Virtual meter 127.0.0.1:{port}"


async def test_reconfigure_changes_how_the_entrys_line_is_used(hass: HomeAssistant) -> None:
    data = {"device": "/dev/own", "baudrate": 9600, "parity": "none", "stopbits": 1}
    entry = entry_of(hass, "/dev/own", transport="serial", **data)
    entry.mock_state(hass, ConfigEntryState.LOADED)
    result = await entry.start_reconfigure_flow(hass)
    assert result["step_id"] == "virtual_meter_serial"
    suggested = {
        str(key): (key.description or {}).get("suggested_value")
        for key in result["data_schema"].schema
    }
    assert suggested == {
        "device": "/dev/own",
        "baudrate": "9600",
        "parity": "none",
        "stopbits": "1",
        "entry_name": entry.title,
    }
    changed = await answer(hass, result["flow_id"], device="/dev/own", **LINE)
    assert changed["reason"] == "reconfigure_successful"
    assert entry.data["baudrate"] == 19200
