"""The action that sends a command to a node."""

from contextlib import suppress
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
import voluptuous as vol

from custom_components.grid_telemetry.connection.traffic import traffic_of
from custom_components.grid_telemetry.const import DOMAIN
from simulators.solarnode import Reply, SolarNode
from tests.texts import TEXTS, placeholders

from .conftest import PASSWORD, AddEntry, start, until


async def command(hass: HomeAssistant, destination: str, **data: Any) -> Any:
    return await hass.services.async_call(
        DOMAIN,
        "solarnode_command",
        {"destination": destination, **data},
        blocking=True,
        return_response=True,
    )


@pytest.mark.parametrize(
    ("destination", "status", "message", "result"),
    [
        ("/setup/identity", 200, None, {"nodeId": 123, "solarInBaseUrl": "https://in.example.com"}),
        ("/setup/network/ping", 200, "Ping succeeded: 200", None),
        ("/coffee/order", 418, "I'm a tea pot.", None),
        ("/setup/nothing", 404, None, None),
    ],
)
async def test_a_command_is_answered(
    hass: HomeAssistant,
    node: SolarNode,
    add_entry: AddEntry,
    destination: str,
    status: int,
    message: str | None,
    result: Any,
) -> None:
    entry = add_entry()
    await start(hass, entry)
    answer = await command(hass, destination, config_entry_id=entry.entry_id)
    assert answer == {"status": status, "message": message, "result": result}


@pytest.mark.parametrize(
    ("body", "sent"),
    [("raw: text", "raw: text"), (["a", {"b": 1}], '["a",{"b":1}]'), (5, "5"), ("", None)],
)
async def test_headers_and_body_reach_the_handler(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry, body: Any, sent: str | None
) -> None:
    given = {}

    def take(parameters: Any) -> Reply:
        given.update(parameters)
        return Reply(status=422, message="Not: today")

    node.handlers["/setup/own"] = take
    await start(hass, add_entry())
    answer = await command(hass, "/setup/own", headers={"country": "NZ", "n": 5}, body=body)
    assert answer == {"status": 422, "message": "Not: today", "result": None}
    assert given == {"country": "NZ", "n": "5"} | ({} if sent is None else {"arg": sent})


async def test_a_body_that_is_no_json_comes_as_it_is(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    await start(hass, add_entry(interval_s=3600))
    node.behaviour.raw_latest = "not json"
    answer = await command(hass, "/setup/datum/latest")
    assert answer["result"] == "not json"


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"destination": "/setup/authenticate"}, "solarnode_reserved_destination"),
        ({"destination": "/setup/datum/live"}, "solarnode_reserved_destination"),
        ({"headers": {"receipt": "1"}}, "solarnode_reserved_header"),
        ({"headers": {"destination": "/system/reboot"}}, "solarnode_reserved_header"),
        ({"headers": {"name": "x" * 1020}}, "solarnode_header_too_long"),
        ({"headers": {"name": ":" * 600}}, "solarnode_header_too_long"),
        ({"destination": "/" + "x" * 1020}, "solarnode_header_too_long"),
        ({"headers": {"name": "a\0b"}}, "solarnode_invalid_text"),
        ({"headers": {"a\nreceipt": "1"}}, "solarnode_invalid_text"),
        ({"headers": {"a:b": "1"}}, "solarnode_invalid_text"),
        ({"body": "\udcff"}, "solarnode_invalid_text"),
        ({"body": "é" * 2049}, "solarnode_body_too_long"),
    ],
)
async def test_what_would_end_the_connection_is_refused(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry, data: dict[str, Any], key: str
) -> None:
    await start(hass, add_entry())
    with pytest.raises(ServiceValidationError) as raised:
        await command(hass, **{"destination": "/setup/own", **data})
    assert raised.value.translation_key == key
    text = TEXTS["exceptions"][key]["message"]
    assert placeholders(text) <= (raised.value.translation_placeholders or {}).keys()
    assert node.logins == 1


@pytest.mark.parametrize("data", [{"destination": ""}, {"headers": {"": "x"}}, {"timeout": 0}])
async def test_what_is_incomplete_is_refused(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry, data: dict[str, Any]
) -> None:
    await start(hass, add_entry())
    with pytest.raises(vol.Invalid):
        await command(hass, **{"destination": "/setup/own", **data})


@pytest.mark.parametrize(
    ("trouble", "key"),
    [
        ("silent", "solarnode_no_answer"),
        ("closes", "solarnode_broken_off"),
        ("gone", "solarnode_not_connected"),
    ],
)
async def test_why_there_is_no_answer_is_told(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry, trouble: str, key: str
) -> None:
    entry = add_entry(interval_s=3600)
    await start(hass, entry)

    def close(_: object) -> Reply:
        node.drop_connections()
        return Reply()

    node.handlers["/setup/own"] = close
    if trouble == "silent":
        node.behaviour.silent = True
    elif trouble == "gone":
        await node.stop()
        await until(lambda: not entry.runtime_data.health.connected)
    with pytest.raises(HomeAssistantError) as raised:
        await command(hass, "/setup/own", timeout=1)
    assert raised.value.translation_key == key
    text = TEXTS["exceptions"][key]["message"]
    assert placeholders(text) <= (raised.value.translation_placeholders or {}).keys()


# What ends a header, a frame or a path where it is not escaped.
HOSTILE = [
    "a\nb: c",
    "a\r\nreceipt: 1",
    "a\n\nSEND\ndestination:/system/reboot",
    "a:b\\n\\c",
    "../system/reboot",
    "/setup/**",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_value_or_body_leaves_its_place(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry, text: str
) -> None:
    """Whatever is in them, one command goes out with what was given, and nothing beside it."""
    await start(hass, add_entry(interval_s=3600))
    before = len(node.requests)
    headers = {"n": text, "m": "1"}
    await command(hass, "/setup/nothing", headers=headers, body=text)
    [frame] = node.requests[before:]
    told = {name: value for name, value in frame.headers.items() if name != "request-id"}
    assert told == {"destination": "/setup/nothing", **headers}
    assert frame.body == text.encode()


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_destination_leaves_its_header(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry, text: str
) -> None:
    entry = add_entry(interval_s=3600)
    await start(hass, entry)
    before = len(node.requests)
    with suppress(HomeAssistantError):  # few nodes have subscriptions that match such a destination
        await entry.runtime_data.async_command(f"/setup/{text}", {}, "", 0.05)
    [frame] = node.requests[before:]
    assert frame.headers.keys() == {"destination", "request-id"}
    assert frame.headers["destination"] == f"/setup/{text}"


async def test_whoever_looks_sees_a_command_and_its_reply(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    traffic = traffic_of(hass, entry.entry_id)
    await command(hass, "/setup/network/ping", config_entry_id=entry.entry_id)
    assert not traffic.messages
    end = traffic.watch()
    await command(hass, "/coffee/order", config_entry_id=entry.entry_id)
    out, reply = (each for each in traffic.messages.values() if "/coffee/order" in each.body)
    assert (out.direction, out.kind) == ("out", "/coffee/order")
    assert out.confirmed_s is not None
    assert (reply.direction, reply.about) == ("in", "418")
    assert "tea pot" in reply.body
    end()


async def test_the_login_is_no_part_of_the_traffic(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    entry = add_entry()
    traffic = traffic_of(hass, entry.entry_id)
    traffic.watch()
    await start(hass, entry)
    told = "\n".join(each.body for each in traffic.messages.values())
    assert told
    assert PASSWORD not in told
    assert "authorization" not in told.lower()
