"""The steps of a node's entry, as a user goes through them."""

import socket
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest

from simulators.solarnode import SolarNode
from tests.links.flows import begin_link

from .conftest import LOGIN, PASSWORD, AddEntry, Readings, datum

pytestmark = pytest.mark.usefixtures("no_setup")

LINK = "custom_components.grid_telemetry.links.solarnode"


def given(node: SolarNode, **changes: Any) -> dict[str, Any]:
    return {
        "host": " 127.0.0.1",
        "port": node.port,
        "login": LOGIN,
        "password": PASSWORD,
        "interval_s": 10,
        **changes,
    }


async def answer(hass: HomeAssistant, flow_id: str, data: dict[str, Any]) -> dict[str, Any]:
    return dict(await hass.config_entries.flow.async_configure(flow_id, data))


async def test_a_node_that_answers_makes_an_entry(hass: HomeAssistant, node: SolarNode) -> None:
    data = given(node, sources=["/meter/*", " ", "/meter/*"], live_sources=[" /meter/1"])
    result = await answer(hass, await begin_link(hass, "solarnode"), data)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "SolarNode 127.0.0.1"
    assert result["data"] == {
        "kind": "solarnode",
        "host": "127.0.0.1",
        "port": node.port,
        "login": LOGIN,
        "password": PASSWORD,
        "sources": ["/meter/*"],
        "interval_s": 10,
        "live_sources": ["/meter/1"],
    }
    assert node.logins == 1


async def test_a_node_without_datum_will_do(
    hass: HomeAssistant, node: SolarNode, readings: Readings
) -> None:
    readings.clear()
    result = await answer(hass, await begin_link(hass, "solarnode"), given(node))
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"password": "wrong"}, {"base": "solarnode_wrong_password"}),
        ({"login": "nobody"}, {"base": "solarnode_unknown_login"}),
        ({"login": "a:b"}, {"login": "solarnode_invalid_login"}),
        ({"login": "a,b"}, {"login": "solarnode_invalid_login"}),
        ({"login": "a\nb"}, {"login": "solarnode_invalid_login"}),
        ({"password": "é" * 37}, {"password": "solarnode_password_too_long"}),
        ({"live_sources": ["a", "b", "c"]}, {"live_sources": "solarnode_live_sources"}),
        ({"live_sources": ["/meter/*"]}, {"live_sources": "solarnode_live_sources"}),
        ({"sources": ["/metre/*"]}, {"sources": "solarnode_no_sources"}),
    ],
)
async def test_what_is_wrong_is_told_and_can_be_corrected(
    hass: HomeAssistant, node: SolarNode, change: dict[str, Any], errors: dict[str, str]
) -> None:
    flow_id = await begin_link(hass, "solarnode")
    result = await answer(hass, flow_id, given(node, **change))
    assert result["errors"] == errors
    result = await answer(hass, flow_id, given(node))
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_clock_that_is_off_is_told(hass: HomeAssistant, node: SolarNode) -> None:
    node.behaviour.clock_offset_s = -400
    result = await answer(hass, await begin_link(hass, "solarnode"), given(node))
    assert result["errors"] == {"base": "solarnode_clock"}


async def test_a_node_that_is_not_there_is_told(hass: HomeAssistant, node: SolarNode) -> None:
    await node.stop()
    flow_id = await begin_link(hass, "solarnode")
    result = await answer(hass, flow_id, given(node))
    assert result["errors"] == {"base": "solarnode_cannot_connect"}
    for error, key in ((socket.gaierror(-2, "?"), "unknown_host"), (TimeoutError(), "timeout")):
        with patch("asyncio.open_connection", side_effect=error):
            result = await answer(hass, flow_id, given(node))
        assert result["errors"] == {"base": f"solarnode_{key}"}


async def test_a_silent_node_is_told(hass: HomeAssistant, node: SolarNode) -> None:
    node.behaviour.silent = True
    with patch(f"{LINK}.latest.WITHIN_S", 0.05):
        result = await answer(hass, await begin_link(hass, "solarnode"), given(node))
    assert result["errors"] == {"base": "solarnode_silent"}


@pytest.mark.parametrize(("raw", "key"), [("[", "bad_answer"), ("{}", "bad_answer")])
async def test_an_answer_that_cannot_be_read_is_told(
    hass: HomeAssistant, node: SolarNode, raw: str, key: str
) -> None:
    node.behaviour.raw_latest = raw
    result = await answer(hass, await begin_link(hass, "solarnode"), given(node))
    assert result["errors"] == {"base": f"solarnode_{key}"}


async def test_a_reply_that_breaks_the_connection_is_told(
    hass: HomeAssistant, node: SolarNode
) -> None:
    node.behaviour.reply_limit = 10
    result = await answer(hass, await begin_link(hass, "solarnode"), given(node))
    assert result["errors"] == {"base": "solarnode_reply_too_large"}


async def test_sources_by_name_are_asked_for_in_parts(
    hass: HomeAssistant, node: SolarNode, readings: Readings
) -> None:
    readings.append(datum("/meter/2", i={"watts": 2, "voltage": 229}))
    node.behaviour.reply_limit = 100
    data = given(node, sources=["/meter/1", "/meter/2"])
    result = await answer(hass, await begin_link(hass, "solarnode"), data)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_node_that_goes_on_to_close_is_told(hass: HomeAssistant, node: SolarNode) -> None:
    node.behaviour.reply_limit = 10
    data = given(node, sources=[f"/meter/{number}" for number in range(64)])
    result = await answer(hass, await begin_link(hass, "solarnode"), data)
    assert result["errors"] == {"base": "connection_lost"}


async def test_a_node_is_set_up_once(hass: HomeAssistant, node: SolarNode) -> None:
    await answer(hass, await begin_link(hass, "solarnode"), given(node))
    result = await answer(hass, await begin_link(hass, "solarnode"), given(node))
    assert result["reason"] == "already_configured"


async def test_reconfigure_shows_all_but_the_password_and_changes_it(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    entry = add_entry(sources=["/meter/1"])
    result = await entry.start_reconfigure_flow(hass)
    schema = result["data_schema"].schema
    values = {str(key): (key.description or {}).get("suggested_value") for key in schema}
    assert (values["login"], values["sources"]) == (LOGIN, ["/meter/1"])
    assert values["password"] is None
    changed = await answer(hass, result["flow_id"], given(node, interval_s=30))
    assert changed["reason"] == "reconfigure_successful"
    assert entry.data["interval_s"] == 30
    assert entry.data["sources"] == []


async def test_an_empty_password_keeps_the_stored_one(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    entry = add_entry()
    result = await entry.start_reconfigure_flow(hass)
    without = {key: value for key, value in given(node).items() if key != "password"}
    changed = await answer(hass, result["flow_id"], without)
    assert changed["reason"] == "reconfigure_successful"
    assert entry.data["password"] == PASSWORD


async def test_reconfigure_follows_a_node_that_moved(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    entry = add_entry()
    async with SolarNode(login=LOGIN, password=PASSWORD) as other:
        result = await entry.start_reconfigure_flow(hass)
        changed = await answer(hass, result["flow_id"], given(other))
    assert changed["reason"] == "reconfigure_successful"
    assert entry.unique_id == f"solarnode/127.0.0.1:{other.port}"


async def test_a_new_login_is_tried_before_it_is_kept(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    entry = add_entry(sources=["/gone"])
    result = await entry.start_reauth_flow(hass)
    assert result["step_id"] == "solarnode_reauth_confirm"
    node.set_password("new one")
    login = {"login": LOGIN, "password": "old one"}
    refused = await answer(hass, result["flow_id"], login)
    assert refused["errors"] == {"base": "solarnode_wrong_password"}
    done = await answer(hass, result["flow_id"], {**login, "password": "new one"})
    assert done["reason"] == "reauth_successful"
    assert entry.data["password"] == "new one"
    assert entry.data["sources"] == ["/gone"]
