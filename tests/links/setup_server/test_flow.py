"""The steps of a setup server's entry, as a user goes through them."""

from pathlib import Path
import socket
from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.protocols.stomp import sns
from simulators.certificates import Authority
from simulators.programs import free_port
from tests.links.flows import begin_link, suggested

pytestmark = pytest.mark.usefixtures("socket_enabled", "no_setup")

type Result = dict[str, Any]

PASSWORD = "correct horse"
SERVER: dict[str, Any] = {
    "host": "127.0.0.1",
    "allowed_networks": ["127.0.0.0/8", " 192.168.1.0/24"],
    "login": "solar",
    "password": PASSWORD,
    "allow_restart": False,
    "allow_reboot": True,
    "limits": {"max_connections": 8, "max_body_bytes": 4096},
    "tls": {},
}


@pytest.fixture
def meter(hass: HomeAssistant) -> str:
    """Return the id of a meter's device."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        data={CONF_KIND: "modbus"},
        subentries_data=[{"subentry_type": "meter", "title": "M", "unique_id": None, "data": {}}],
    )
    entry.add_to_hass(hass)
    (subentry,) = entry.subentries
    ids: dict[str, Any] = {"config_entry_id": entry.entry_id, "config_subentry_id": subentry}
    device = dr.async_get(hass).async_get_or_create(
        **ids, identifiers={(DOMAIN, subentry)}, name="House"
    )
    er.async_get(hass).async_get_or_create(
        "sensor",
        DOMAIN,
        "power",
        config_entry=entry,
        config_subentry_id=subentry,
        device_id=device.id,
        translation_key="power",
    )
    return device.id


async def answer(hass: HomeAssistant, flow_id: str, **changes: Any) -> Result:
    given = {key: value for key, value in {**SERVER, **changes}.items() if value is not None}
    return dict(await hass.config_entries.flow.async_configure(flow_id, given))


async def choose(hass: HomeAssistant, result: Result, *rows: dict[str, Any]) -> Result:
    assert result["step_id"] == "setup_server_sources"
    return dict(
        await hass.config_entries.flow.async_configure(result["flow_id"], {"sources": list(rows)})
    )


async def test_a_server_is_set_up(hass: HomeAssistant, meter: str) -> None:
    port = free_port()
    result = await answer(hass, await begin_link(hass, "setup_server"), port=port, login=" solar ")
    assert suggested(result) == [{"device": meter, "source_id": "House"}]
    result = await choose(hass, result, {"device": meter, "source_id": " /HA/1 "})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == f"Setup server 127.0.0.1:{port}"
    data = dict(result["data"])
    password_hash = data.pop("password_hash")
    assert sns.hash_password(PASSWORD, sns.salt_of(password_hash)) == password_hash
    assert data == {
        CONF_KIND: "setup_server",
        "host": "127.0.0.1",
        "port": port,
        "allowed_networks": ["127.0.0.0/8", "192.168.1.0/24"],
        "login": "solar",
        "allow_restart": False,
        "allow_reboot": True,
        "max_connections": 8,
        "max_body_bytes": 4096,
        "sources": [{"device": meter, "source_id": "/HA/1"}],
    }
    assert PASSWORD not in str(result)


async def test_without_a_password_one_is_made_up_and_shown_once(hass: HomeAssistant) -> None:
    flow_id = await begin_link(hass, "setup_server")
    result = await answer(hass, flow_id, port=free_port(), password=None, login="sun")
    assert result["step_id"] == "setup_server_password"
    shown = result["description_placeholders"]
    assert shown["login"] == "sun"
    assert len(shown["password"]) == 20
    result = await hass.config_entries.flow.async_configure(flow_id, {})
    result = await choose(hass, result)
    password_hash = result["data"]["password_hash"]
    salt = sns.salt_of(password_hash)
    assert sns.hash_password(shown["password"], salt) == password_hash
    assert shown["password"] not in str(result)


async def test_the_id_of_the_node_is_kept(hass: HomeAssistant) -> None:
    flow_id = await begin_link(hass, "setup_server")
    result = await answer(hass, flow_id, port=free_port(), node_id=123)
    assert (await choose(hass, result))["data"]["node_id"] == 123


async def test_without_an_id_a_source_has_the_name_of_its_device(
    hass: HomeAssistant, meter: str
) -> None:
    dr.async_get(hass).async_update_device(meter, name_by_user="Old, [main] *meter*")
    result = await answer(hass, await begin_link(hass, "setup_server"), port=free_port())
    result = await choose(hass, result, {"device": meter}, {"device": "gone", "source_id": "x"})
    assert result["data"]["sources"] == [{"device": meter, "source_id": "Old main meter"}]


@pytest.mark.parametrize("same", ["device", "source_id"])
async def test_a_source_stands_once(hass: HomeAssistant, meter: str, same: str) -> None:
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    other = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, "other")}, name="Other"
    )
    first = {"device": meter, "source_id": "1"}
    second = {"device": other.id, "source_id": "2"}
    result = await answer(hass, await begin_link(hass, "setup_server"), port=free_port())
    result = await choose(hass, result, first, {**second, same: first[same]})
    assert result["errors"] == {"base": "setup_source_twice"}
    assert (await choose(hass, result, first, second))["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"host": "meter"}, {"host": "invalid_address"}),
        ({"host": "192.0.2.1"}, {"host": "foreign_address"}),
        ({"allowed_networks": ["192.168.1.0/8"]}, {"allowed_networks": "invalid_network"}),
        ({"login": "a,b"}, {"login": "setup_invalid_login"}),
        ({"login": " "}, {"login": "setup_invalid_login"}),
        ({"password": "eleven char"}, {"password": "setup_password_too_short"}),
        ({"password": "ü" * 37}, {"password": "setup_password_too_long"}),
        ({"password": "a\0b"}, {"password": "setup_password_too_long"}),
        ({"tls": {"key": "/nowhere/key.pem"}}, {"base": "certificate_missing"}),
        ({"tls": {"certificate": "/nowhere/certificate.pem"}}, {"base": "certificate_file"}),
    ],
)
async def test_what_cannot_be_is_told_and_can_be_corrected(
    hass: HomeAssistant, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    flow_id = await begin_link(hass, "setup_server")
    port = free_port()
    result = await answer(hass, flow_id, port=port, **changes)
    assert result["errors"] == errors
    (password,) = (key for key in result["data_schema"].schema if key == "password")
    assert password.description is None
    result = await choose(hass, await answer(hass, flow_id, port=port))
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_port_in_use_is_told(hass: HomeAssistant) -> None:
    flow_id = await begin_link(hass, "setup_server")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = await answer(hass, flow_id, port=taken.getsockname()[1])
    assert result["errors"] == {"port": "port_in_use"}
    assert (await answer(hass, flow_id, port=free_port()))["step_id"] == "setup_server_sources"


async def test_a_server_for_others_without_tls_has_to_be_confirmed(hass: HomeAssistant) -> None:
    result = await answer(
        hass, await begin_link(hass, "setup_server"), host="0.0.0.0", port=free_port()
    )
    assert result["step_id"] == "setup_server_plain"
    back = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": "setup_server"}
    )
    assert back["step_id"] == "setup_server"
    assert back["data_schema"] is not None
    shown = {str(key): key.description for key in back["data_schema"].schema}
    assert shown["host"] == {"suggested_value": "0.0.0.0"}
    assert shown["password"] is None
    await answer(hass, result["flow_id"], host="0.0.0.0", port=free_port())
    result = dict(
        await hass.config_entries.flow.async_configure(
            result["flow_id"], {"next_step_id": "setup_server_sources"}
        )
    )
    assert (await choose(hass, result))["data"]["host"] == "0.0.0.0"


async def test_certificates_are_read(hass: HomeAssistant, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("home")
    tls = {
        "certificate": str(certificate),
        "key": str(key),
        "client_ca": str(authority.ca_file),
    }
    result = await answer(
        hass, await begin_link(hass, "setup_server"), host="0.0.0.0", port=free_port(), tls=tls
    )
    assert (await choose(hass, result))["data"].items() >= tls.items()


def entry_of(hass: HomeAssistant, port: int, **changes: Any) -> MockConfigEntry:
    left_out = ("password", "limits", "tls")
    entry = MockConfigEntry(
        domain=DOMAIN,
        title=f"Setup server 127.0.0.1:{port}",
        unique_id=f"setup_server/127.0.0.1:{port}",
        data={
            CONF_KIND: "setup_server",
            **{key: value for key, value in SERVER.items() if key not in left_out},
            **SERVER["limits"],
            "port": port,
            "password_hash": "the hash",
            "sources": [],
            **changes,
        },
    )
    entry.add_to_hass(hass)
    return entry


async def test_an_address_is_listened_on_by_one_entry(hass: HomeAssistant) -> None:
    port = free_port()
    entry_of(hass, port)
    result = await answer(hass, await begin_link(hass, "setup_server"), port=port)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_reconfigure_without_a_password_keeps_the_present_one(
    hass: HomeAssistant, meter: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        entry = entry_of(hass, port, sources=[{"device": "gone", "source_id": "G"}])
        entry.mock_state(hass, ConfigEntryState.LOADED)
        result = await entry.start_reconfigure_flow(hass)
        assert result["step_id"] == "setup_server"
        shown = {
            str(key): (key.description or {}).get("suggested_value")
            for key in result["data_schema"].schema
        }
        assert shown["port"] == port
        assert shown["password"] is None
        result = await answer(
            hass,
            result["flow_id"],
            port=port,
            password=None,
            limits={"max_connections": 3, "max_body_bytes": 8192},
        )
    assert suggested(result) == [
        {"device": "gone", "source_id": "G"},
        {"device": meter, "source_id": "House"},
    ]
    result = await choose(hass, result, {"device": meter, "source_id": "New"})
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["password_hash"] == "the hash"
    assert (entry.data["max_connections"], entry.data["max_body_bytes"]) == (3, 8192)
    assert entry.data["sources"] == [{"device": meter, "source_id": "New"}]


async def test_reconfigure_changes_address_and_password(hass: HomeAssistant) -> None:
    entry = entry_of(hass, free_port())
    result = await entry.start_reconfigure_flow(hass)
    port = free_port()
    result = await choose(hass, await answer(hass, result["flow_id"], port=port, login="moon"))
    assert result["reason"] == "reconfigure_successful"
    assert entry.title == f"Setup server 127.0.0.1:{port}"
    assert entry.unique_id == f"setup_server/127.0.0.1:{port}"
    assert entry.data["login"] == "moon"
    assert entry.data["password_hash"].startswith("$2a$")


async def test_reconfigure_does_not_take_another_entrys_address(hass: HomeAssistant) -> None:
    taken = free_port()
    entry_of(hass, taken)
    entry = entry_of(hass, free_port())
    result = await entry.start_reconfigure_flow(hass)
    changed = await answer(hass, result["flow_id"], port=taken)
    assert changed["reason"] == "already_configured"


async def begin_command(hass: HomeAssistant, entry: MockConfigEntry) -> str:
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "command"), context={"source": SOURCE_USER}
    )
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    return result["flow_id"]


async def describe(
    hass: HomeAssistant, flow_id: str, destination: str, *steps: Any, time_limit_s: int = 30
) -> Result:
    return dict(
        await hass.config_entries.subentries.async_configure(
            flow_id,
            {
                "destination": destination,
                "action": list(steps),
                "time_limit_s": time_limit_s,
            },
        )
    )


TEA = {"action": "script.tea", "data": {"sugar": 2}, "metadata": {}}


async def test_a_command_is_added(hass: HomeAssistant) -> None:
    entry = entry_of(hass, free_port())
    result = await describe(hass, await begin_command(hass, entry), " /tea/** ", TEA)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    assert subentry.title == "/tea/** → script.tea"
    assert subentry.data == {
        "destination": "/tea/**",
        "action": {"action": "script.tea", "data": {"sugar": 2}},
        "time_limit_s": 30,
    }


@pytest.mark.parametrize(
    ("destination", "steps", "errors"),
    [
        ("tea", [TEA], {"destination": "invalid_destination"}),
        ("/a b", [TEA], {"destination": "invalid_destination"}),
        ("/setup/datum/latest", [TEA], {"destination": "reserved_destination"}),
        ("/setup/authenticate", [TEA], {"destination": "reserved_destination"}),
        ("/there", [TEA], {"destination": "destination_in_use"}),
        ("/x", [], {"action": "one_action"}),
        ("/x", [TEA, TEA], {"action": "one_action"}),
        ("/x", [{"delay": 5}], {"action": "one_action"}),
        ("/x", [{"action": "tea"}], {"action": "one_action"}),
        ("/x", [{"action": "{{ arg }}"}], {"action": "one_action"}),
        ("/x", ["script.tea"], {"action": "one_action"}),
    ],
)
async def test_a_command_that_cannot_be_is_told(
    hass: HomeAssistant, destination: str, steps: list[Any], errors: dict[str, str]
) -> None:
    entry = entry_of(hass, free_port())
    await describe(hass, await begin_command(hass, entry), "/there", TEA)
    flow_id = await begin_command(hass, entry)
    assert (await describe(hass, flow_id, destination, *steps))["errors"] == errors
    assert (await describe(hass, flow_id, "/y", TEA))["type"] is FlowResultType.CREATE_ENTRY


async def test_a_command_is_changed(hass: HomeAssistant) -> None:
    entry = entry_of(hass, free_port())
    await describe(hass, await begin_command(hass, entry), "/tea", TEA)
    (subentry_id,) = entry.subentries
    result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    shown = {str(key): key.description["suggested_value"] for key in result["data_schema"].schema}
    assert shown["action"] == [{"action": "script.tea", "data": {"sugar": 2}}]
    result = await describe(hass, result["flow_id"], "/tea", {"action": "light.turn_on"})
    assert result["reason"] == "reconfigure_successful"
    (subentry,) = entry.subentries.values()
    assert subentry.title == "/tea → light.turn_on"
