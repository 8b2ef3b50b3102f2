"""The steps of a publisher's entry, as a user goes through them."""

from pathlib import Path
import socket
from typing import Any
from unittest.mock import patch

from homeassistant.components.network.models import Adapter
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from simulators.certificates import Authority
from simulators.programs import free_port
from tests.links.flows import begin_link

pytestmark = pytest.mark.usefixtures("socket_enabled", "no_setup")

type Result = dict[str, Any]

LISTENER = "custom_components.grid_telemetry.forms.listener"
LISTEN: dict[str, Any] = {
    "host": "127.0.0.1",
    "allowed_networks": ["127.0.0.0/8", " 192.168.1.0/24"],
    "max_subscribers": 16,
    "tls": {},
}


async def answer(hass: HomeAssistant, flow_id: str, **changes: Any) -> Result:
    result = await hass.config_entries.flow.async_configure(flow_id, {**LISTEN, **changes})
    return dict(result)


async def test_an_address_that_can_be_listened_on_makes_an_entry(hass: HomeAssistant) -> None:
    port = free_port()
    result = await answer(hass, await begin_link(hass, "sttp_publisher"), port=port)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == f"STTP 127.0.0.1:{port}"
    assert result["data"] == {
        CONF_KIND: "sttp_publisher",
        "host": "127.0.0.1",
        "port": port,
        "allowed_networks": ["127.0.0.0/8", "192.168.1.0/24"],
        "max_subscribers": 16,
    }


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"host": "meter"}, {"host": "invalid_address"}),
        ({"host": "192.0.2.1"}, {"host": "foreign_address"}),
        ({"allowed_networks": ["192.168.1.0/8"]}, {"allowed_networks": "invalid_network"}),
        ({"tls": {"key": "/nowhere/key.pem"}}, {"base": "certificate_missing"}),
        ({"tls": {"certificate": "/nowhere/certificate.pem"}}, {"base": "certificate_file"}),
        ({"dialing": {"targets": ["two words"]}}, {"base": "sttp_invalid_target"}),
        ({"dialing": {"fingerprints": ["ab"]}}, {"base": "sttp_invalid_fingerprint"}),
        ({"dialing": {"fingerprints": ["ab" * 32]}}, {"base": "sttp_fingerprint_without_tls"}),
    ],
)
async def test_what_cannot_be_is_told_and_can_be_corrected(
    hass: HomeAssistant, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    flow_id = await begin_link(hass, "sttp_publisher")
    port = free_port()
    result = await answer(hass, flow_id, port=port, **changes)
    assert result["errors"] == errors
    result = await answer(hass, flow_id, port=port)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_the_addresses_of_the_machine_are_proposed(hass: HomeAssistant) -> None:
    lan = Adapter(
        name="eth0",
        index=2,
        enabled=True,
        auto=True,
        default=True,
        ipv4=[{"address": "192.168.1.5", "network_prefix": 24}],
        ipv6=[],
    )
    with patch(f"{LISTENER}.async_get_adapters", return_value=[lan]):
        result = await hass.config_entries.flow.async_configure(
            await begin_link(hass, "sttp_publisher")
        )
    assert result["data_schema"] is not None
    offered = {
        str(key): [option["label"] for option in field.config["options"]]
        for key, field in result["data_schema"].schema.items()
        if str(key) in ("host", "allowed_networks")
    }
    assert offered == {
        "host": [
            "127.0.0.1 (this machine only)",
            "192.168.1.5 (eth0)",
            "0.0.0.0 (all addresses, IPv4)",
            ":: (all addresses)",
        ],
        "allowed_networks": ["127.0.0.0/8 (this machine only)", "192.168.1.0/24 (eth0)"],
    }


async def test_a_port_in_use_is_told(hass: HomeAssistant) -> None:
    flow_id = await begin_link(hass, "sttp_publisher")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = await answer(hass, flow_id, port=port)
    assert result["errors"] == {"port": "port_in_use"}
    assert (await answer(hass, flow_id, port=port))["type"] is FlowResultType.CREATE_ENTRY


async def test_other_troubles_are_told_in_the_words_of_the_system(hass: HomeAssistant) -> None:
    flow_id = await begin_link(hass, "sttp_publisher")
    with patch(
        "custom_components.grid_telemetry.forms.listener.bound_socket",
        side_effect=PermissionError(13, "Permission denied"),
    ):
        result = await answer(hass, flow_id, port=80)
    assert result["errors"] == {"base": "cannot_listen"}
    assert result["description_placeholders"] == {"error": "Permission denied"}


async def test_certificates_are_read(hass: HomeAssistant, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("home")
    tls = {
        "certificate": str(certificate),
        "key": str(key),
        "client_ca": str(authority.ca_file),
    }
    result = await answer(
        hass, await begin_link(hass, "sttp_publisher"), host="::1", port=free_port(), tls=tls
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"].startswith("STTP [::1]:")
    assert result["data"].items() >= tls.items()


def entry_of(hass: HomeAssistant, port: int, **changes: Any) -> MockConfigEntry:
    data = {key: value for key, value in LISTEN.items() if key != "tls"}
    entry = MockConfigEntry(
        domain=DOMAIN,
        title=f"STTP 127.0.0.1:{port}",
        unique_id=f"sttp_publisher/127.0.0.1:{port}",
        data={CONF_KIND: "sttp_publisher", **data, "port": port, **changes},
    )
    entry.add_to_hass(hass)
    return entry


async def test_an_address_is_listened_on_by_one_entry(hass: HomeAssistant) -> None:
    port = free_port()
    entry_of(hass, port)
    result = await answer(hass, await begin_link(hass, "sttp_publisher"), port=port)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_reconfigure_does_not_mind_the_port_that_the_entry_has(hass: HomeAssistant) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        entry = entry_of(hass, port, certificate="/gone.pem")
        entry.mock_state(hass, ConfigEntryState.LOADED)
        result = await entry.start_reconfigure_flow(hass)
        assert result["step_id"] == "sttp_publisher"
        section = result["data_schema"].schema["tls"].schema.schema
        assert [(key.description or {}).get("suggested_value") for key in section] == [
            "/gone.pem",
            None,
            None,
        ]
        changed = await answer(hass, result["flow_id"], port=port, max_subscribers=5)
    assert changed["reason"] == "reconfigure_successful"
    assert entry.data["max_subscribers"] == 5
    assert "certificate" not in entry.data


async def test_reconfigure_does_not_take_another_entrys_address(hass: HomeAssistant) -> None:
    taken = free_port()
    entry_of(hass, taken)
    entry = entry_of(hass, free_port())
    result = await entry.start_reconfigure_flow(hass)
    changed = await answer(hass, result["flow_id"], port=taken)
    assert changed["reason"] == "already_configured"


async def test_reconfigure_tries_another_port(hass: HomeAssistant) -> None:
    entry = entry_of(hass, free_port())
    entry.mock_state(hass, ConfigEntryState.LOADED)
    result = await entry.start_reconfigure_flow(hass)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = await answer(hass, result["flow_id"], port=port)
        assert refused["errors"] == {"port": "port_in_use"}
    changed = await answer(hass, result["flow_id"], port=port)
    assert changed["reason"] == "reconfigure_successful"
    assert entry.unique_id == f"sttp_publisher/127.0.0.1:{port}"
    assert entry.title == f"STTP 127.0.0.1:{port}"


async def test_reconfigure_keeps_a_name_that_the_user_gave(hass: HomeAssistant) -> None:
    entry = entry_of(hass, free_port())
    hass.config_entries.async_update_entry(entry, title="Substation")
    result = await entry.start_reconfigure_flow(hass)
    changed = await answer(hass, result["flow_id"], port=free_port())
    assert changed["reason"] == "reconfigure_successful"
    assert entry.title == "Substation"


async def test_subscribers_to_dial_are_kept(hass: HomeAssistant) -> None:
    dialled = {"targets": ["historian.example.com", "[fe80::1]:7175"], "fingerprints": []}
    result = await answer(
        hass, await begin_link(hass, "sttp_publisher"), port=free_port(), dialing=dialled
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"]["targets"] == dialled["targets"]
    assert "fingerprints" not in result["data"]
