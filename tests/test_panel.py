"""The panel: who sees it, and what its commands tell."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
import re
from typing import Any, Literal, get_args, get_origin, get_type_hints
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from modbus_connection import IllegalDataAddressError
from modbus_connection.mock import MockModbusConnection
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockUser,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    MockHAClientWebSocket,
    WebSocketGenerator,
)

from custom_components.grid_telemetry.connection.traffic import Direction, traffic_of
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.scout.payload import EventStatus, event_record
from custom_components.grid_telemetry.outbox.store import Record
from custom_components.grid_telemetry.panel_api import COMMANDS, differences
from custom_components.grid_telemetry.points.point import Point
from custom_components.grid_telemetry.points.reader import PresentPoint, Reading, tried
from custom_components.grid_telemetry.websocket import STREAM_INTERVAL
from simulators.scout import ScoutServer

from .links.modbus.conftest import line, link_entry, meter, start as start_line, write_sdm630
from .links.scout.conftest import AddEntry, add_entry, device, server
from .texts import INTEGRATION, TEXTS

__all__ = ["add_entry", "line", "server"]

# Home Assistant's own web server.
pytestmark = pytest.mark.filterwarnings("ignore:It is recommended to use web")

POWER = {"entity": "sensor.power", "name": "P_CON", "unit": "W"}
NEVER_S = 10_000_000  # no slot of the sampler comes in between
ENERGY = {"entity": "sensor.energy", "name": "E", "unit": "Wh", "factor": 2.0}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A built panel."""
    file = tmp_path / "frontend" / "panel-ABC.js"
    file.parent.mkdir()
    file.write_text("export {};")
    return file


@pytest.fixture
async def panel(
    hass: HomeAssistant, enable_custom_integrations: None, bundle: Path
) -> AsyncGenerator[None]:
    """Set the integration up in a Home Assistant with a frontend."""
    with patch("custom_components.grid_telemetry.panel._BUNDLE", bundle.parent):
        for domain in ("http", "websocket_api"):
            assert await async_setup_component(hass, domain, {})
        hass.config.components.add("frontend")
        assert await async_setup_component(hass, DOMAIN, {})
        yield


async def subscribe(client: MockHAClientWebSocket, command: str, **request: Any) -> dict[str, Any]:
    """Return the first message of a stream."""
    await client.send_json_auto_id({"type": f"{DOMAIN}/{command}", **request})
    answer = await client.receive_json()
    assert answer["success"], answer
    return await news(client)


async def news(client: MockHAClientWebSocket) -> dict[str, Any]:
    message = await client.receive_json()
    event: dict[str, Any] = message["event"]
    return event


def some_value(hint: Any) -> Any:
    """Return a value that a field takes."""
    if get_origin(hint) is Literal:
        return get_args(hint)[0]
    return (get_origin(hint) or hint)()


async def step(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    freezer.tick(STREAM_INTERVAL + timedelta(milliseconds=1))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


def set_power(hass: HomeAssistant, kilowatts: float | str) -> None:
    hass.states.async_set("sensor.power", str(kilowatts), {"unit_of_measurement": "kW"})


def event(device_id: str, at_ms: int) -> Record:
    return event_record(device_id, at_ms, event_type="ALARM_DEVICE", status=EventStatus.INFO)


async def running(
    hass: HomeAssistant, add_entry: AddEntry, *points: dict[str, Any]
) -> MockConfigEntry:
    entry = add_entry(device("MAIN", *points), interval_s=NEVER_S)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


@pytest.mark.usefixtures("panel")
async def test_the_panel_is_for_administrators(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, bundle: Path
) -> None:
    found = hass.data["frontend_panels"]["grid-telemetry"].to_response()
    assert found["require_admin"]
    assert found["title"] == "Grid Telemetry"
    address = found["config"]["_panel_custom"]["module_url"]
    client = await hass_client()
    answer = await client.get(address)
    assert await answer.text() == bundle.read_text()


async def test_a_checkout_without_the_bundle_works_without_the_panel(
    hass: HomeAssistant, enable_custom_integrations: None, tmp_path: Path
) -> None:
    hass.config.components.add("frontend")
    with patch("custom_components.grid_telemetry.panel._BUNDLE", tmp_path):
        assert await async_setup_component(hass, DOMAIN, {})
    assert "grid-telemetry" not in hass.data.get("frontend_panels", {})


async def test_in_an_empty_installation_the_panel_comes_with_the_first_flow(
    hass: HomeAssistant, enable_custom_integrations: None, bundle: Path
) -> None:
    assert await async_setup_component(hass, "http", {})
    hass.config.components.add("frontend")
    with patch("custom_components.grid_telemetry.panel._BUNDLE", bundle.parent):
        for _ in range(2):
            await hass.config_entries.flow.async_init(DOMAIN, context={"source": "user"})
            assert "grid-telemetry" in hass.data["frontend_panels"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
@pytest.mark.usefixtures("panel")
async def test_no_command_answers_whoever_is_no_administrator(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    hass_admin_user: MockUser,
    command: Any,
) -> None:
    hass_admin_user.groups = []
    client = await hass_ws_client(hass)
    request = {
        field: some_value(hint)
        for field, hint in get_type_hints(command.request).items()
        if field in command.request.__required_keys__
    }
    await client.send_json_auto_id({"type": command.type, **request})
    answer = await client.receive_json()
    assert answer["error"]["code"] == "unauthorized"


@pytest.mark.usefixtures("panel")
async def test_a_link_tells_how_it_fares(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    add_entry: AddEntry,
    server: ScoutServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    set_power(hass, 1)
    entry = await running(hass, add_entry, POWER)
    client = await hass_ws_client(hass)
    first = await subscribe(client, "links")
    assert first["full"]
    item = first["changed"][entry.entry_id]
    assert (item["title"], item["kind"], item["state"]) == ("Scout", "scout", "loaded")
    assert item["forwards"]
    assert item["interval_s"] == NEVER_S
    assert item["device_id"]

    entry.runtime_data.health.queued = 7
    await step(hass, freezer)
    assert await news(client) == {"changed": {entry.entry_id: {"queued": 7}}}

    await hass.config_entries.async_unload(entry.entry_id)
    await step(hass, freezer)
    told = await news(client)
    assert told["changed"][entry.entry_id]["state"] == "not_loaded"
    await hass.config_entries.async_remove(entry.entry_id)
    await step(hass, freezer)
    assert await news(client) == {"removed": [entry.entry_id]}


@pytest.mark.usefixtures("panel")
async def test_a_point_tells_what_would_be_sent(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    add_entry: AddEntry,
    server: ScoutServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    set_power(hass, 1.5)
    entry = await running(hass, add_entry, POWER, ENERGY)
    client = await hass_ws_client(hass)
    first = await subscribe(client, "points", values=True)
    by_name = {item["name"]: key for key, item in first["changed"].items()}
    power = first["changed"][by_name["P_CON"]]
    assert (power["sent"], power["problem"], power["entity_id"]) == (1500, None, "sensor.power")
    assert (power["entry_id"], power["subentry"]) == (entry.entry_id, "MAIN")
    energy = first["changed"][by_name["E"]]
    assert (energy["sent"], energy["problem"]) == (None, "missing")

    set_power(hass, 2)
    await step(hass, freezer)
    assert await news(client) == {"changed": {by_name["P_CON"]: {"sent": 2000}}}
    set_power(hass, "unavailable")
    await step(hass, freezer)
    assert await news(client) == {
        "changed": {by_name["P_CON"]: {"sent": None, "problem": "unavailable"}}
    }
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.usefixtures("panel")
async def test_the_points_of_a_link_that_does_not_run_are_known(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN", POWER), device("TEST", ENERGY))
    client = await hass_ws_client(hass)
    first = await subscribe(client, "points", values=True, entry_id=entry.entry_id)
    assert [
        (item["subentry"], item["name"], item["problem"]) for item in first["changed"].values()
    ] == [("MAIN", "P_CON", "unavailable"), ("TEST", "E", "unavailable")]
    assert (await subscribe(client, "points", values=True, entry_id="another"))["full"]


@pytest.mark.usefixtures("panel")
async def test_whoever_looks_changes_nothing_of_what_is_sent(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    add_entry: AddEntry,
    server: ScoutServer,
    freezer: FrozenDateTimeFactory,
) -> None:
    """A counter that falls is believed after some readings; looking at it is none."""
    hass.states.async_set("sensor.energy", "100", {"unit_of_measurement": "Wh"})
    entry = await running(hass, add_entry, {**ENERGY, "guard": True})
    sampler = entry.runtime_data._sampler
    [reader] = sampler.readers
    assert reader.read().value == 200
    client = await hass_ws_client(hass)
    await subscribe(client, "points", values=True)
    for fallen in range(10):
        hass.states.async_set("sensor.energy", str(fallen), {"unit_of_measurement": "Wh"})
        await step(hass, freezer)
        freezer.tick(30)
    assert reader.present().reading.value == 200
    assert not reader._counter.is_doubted
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.usefixtures("panel")
async def test_rows_are_checked_as_their_form_checks_them(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, add_entry: AddEntry
) -> None:
    set_power(hass, 1.5)
    hass.states.async_set("sensor.broken", "unavailable")
    entry = add_entry(device("MAIN", POWER))
    [subentry_id] = entry.subentries
    client = await hass_ws_client(hass)

    async def check(*rows: dict[str, Any], subentry: str = subentry_id) -> dict[str, Any]:
        await client.send_json_auto_id(
            {
                "type": f"{DOMAIN}/check",
                "entry_id": entry.entry_id,
                "subentry_id": subentry,
                "rows": rows,
            }
        )
        answer: dict[str, Any] = await client.receive_json()
        return answer

    power = {"entity": "sensor.power", "code": "P", "unit": "W", "factor": -1}
    answer = await check(
        power, {"entity": "sensor.broken", "code": "B"}, {"entity": "sensor.power"}
    )
    assert answer["result"] == {
        "values": [
            {"sent": -1500, "problem": None},
            {"sent": None, "problem": "unavailable"},
            {"sent": None, "problem": None},
        ],
        "mistakes": [],
    }
    answer = await check(power, power, {"entity": "sensor.power", "code": "no code"})
    assert answer["result"]["mistakes"] == [
        {"index": 1, "key": "duplicate_code", "about": "P"},
        {"index": 2, "key": "invalid_code", "about": "no code"},
    ]
    answer = await check(subentry="another")
    assert answer["error"]["translation_key"] == "panel_unknown"


@pytest.mark.usefixtures("panel")
async def test_an_entry_that_is_gone_is_told(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator
) -> None:
    client = await hass_ws_client(hass)
    await client.send_json_auto_id(
        {"type": f"{DOMAIN}/check", "entry_id": "gone", "subentry_id": "x", "rows": []}
    )
    answer = await client.receive_json()
    assert answer["error"]["translation_placeholders"] == {"id": "gone"}


@pytest.mark.usefixtures("panel")
async def test_the_messages_of_a_link_are_told_without_its_secrets(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    add_entry: AddEntry,
    server: ScoutServer,
) -> None:
    set_power(hass, 1)
    entry = await running(hass, add_entry, POWER)
    client = await hass_ws_client(hass)
    assert await subscribe(client, "traffic", entry_id=entry.entry_id) == {"full": True}
    traffic = traffic_of(hass, entry.entry_id)
    link = entry.runtime_data
    await link.async_queue([event("MAIN", 1)])
    assert await link.delivery.flush(10)
    secret = f'{server.claim_id} {server.token} "password": "p1", passcode:t1\n'
    traffic.note(Direction.IN, "command", "", secret)
    async_fire_time_changed(hass, dt_util.utcnow() + 2 * STREAM_INTERVAL)
    changed = (await news(client))["changed"]
    *_, sent, command = changed.values()
    assert (sent["direction"], sent["kind"], sent["about"]) == ("out", "EVENT", "MAIN")
    assert sent["confirmed_s"] is not None
    assert command["body"] == '** ** "password": **, passcode:**\n'

    await client.send_json_auto_id({"type": "unsubscribe_events", "subscription": 1})
    assert (await client.receive_json())["success"]
    assert not traffic.watched
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.usefixtures("panel")
async def test_refused_messages_are_shown_sent_again_and_deleted(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    add_entry: AddEntry,
    server: ScoutServer,
) -> None:
    entry = await running(hass, add_entry, POWER)
    outbox = entry.runtime_data.outbox
    client = await hass_ws_client(hass)

    async def refused(todo: str, *ids: int, entry_id: str = entry.entry_id) -> dict[str, Any]:
        request = {"type": f"{DOMAIN}/refused", "entry_id": entry_id, "todo": todo}
        await client.send_json_auto_id(request | ({"ids": [*ids]} if ids else {}))
        answer: dict[str, Any] = (await client.receive_json())["result"]
        return answer

    await entry.runtime_data.delivery.stop()
    await outbox.clear()
    first = outbox.last_id
    await outbox.put([event("MAIN", at) for at in (1, 2, 3)])
    await outbox.refuse([first + 1, first + 2, first + 3], "not authorized")
    answer = await refused("list")
    assert answer["total"] == 3
    assert {each["reason"] for each in answer["messages"]} == {"not authorized"}
    ids = [each["id"] for each in answer["messages"]]
    assert (await refused("delete", ids[0]))["total"] == 2
    assert (await refused("retry", ids[1]))["total"] == 1
    assert outbox.queued_records == 1
    assert (await refused("delete"))["total"] == 0
    await hass.config_entries.async_unload(entry.entry_id)
    assert await refused("list") == {"messages": [], "total": 0}


@pytest.mark.usefixtures("panel")
async def test_a_meter_tells_how_it_fares_and_shows_its_registers(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    line: MockModbusConnection,
    freezer: FrozenDateTimeFactory,
) -> None:
    unit = line.for_unit(1)
    write_sdm630(unit, voltage_l1=230.5)
    entry = link_entry(meter())
    await start_line(hass, entry)
    [subentry_id] = entry.subentries
    client = await hass_ws_client(hass)
    [item] = (await subscribe(client, "meters"))["changed"].values()
    assert (item["name"], item["unit_id"], item["answering"]) == ("Main meter", 1, True)
    assert item["model"] == "Eastron SDM630"
    assert item["requests"]["fast"] > 0

    async def read(address: int, count: int, subentry: str = subentry_id) -> dict[str, Any]:
        await client.send_json_auto_id(
            {
                "type": f"{DOMAIN}/registers",
                "entry_id": entry.entry_id,
                "subentry_id": subentry,
                "space": "input",
                "address": address,
                "count": count,
            }
        )
        answer: dict[str, Any] = await client.receive_json()
        return answer

    answer = (await read(0, 2))["result"]
    assert answer["words"] == [0x4366, 0x8000]
    assert answer["known"] == [
        {
            "quantity": "voltage_l1",
            "address": 0,
            "count": 2,
            "type": "float32",
            "word_order": "big",
        }
    ]
    assert len((await read(0, 1000))["result"]["words"]) == 125
    unit.fail_requests(IllegalDataAddressError())
    refused = await read(0, 2)
    assert refused["error"]["translation_key"] == "panel_registers"
    assert (await read(0, 2, "gone"))["error"]["translation_key"] == "panel_registers"
    await hass.config_entries.async_unload(entry.entry_id)
    assert (await read(0, 2))["error"]["translation_key"] == "panel_unknown"


@pytest.mark.usefixtures("panel")
async def test_points_can_be_sent_to_see_what_becomes_of_them(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    add_entry: AddEntry,
    server: ScoutServer,
) -> None:
    set_power(hass, 1)
    entry = await running(hass, add_entry, POWER, ENERGY)
    client = await hass_ws_client(hass)

    async def try_points() -> Any:
        await client.send_json_auto_id({"type": f"{DOMAIN}/try", "entry_id": entry.entry_id})
        return await client.receive_json()

    item = (await subscribe(client, "links"))["changed"][entry.entry_id]
    assert item["can_try"]
    power, energy = (await try_points())["result"]["points"]
    assert power == {
        "subentry": "MAIN",
        "name": "P_CON",
        "outcome": "taken",
        "value": 1000,
        "why": None,
    }
    assert (energy["outcome"], energy["why"]) == ("no_value", "missing")
    assert server.metrics[-1].value == 1000

    with patch("custom_components.grid_telemetry.links.scout.link._TRIED_WITHIN_S", 0):
        await entry.runtime_data.delivery.stop()
        [power, _] = (await try_points())["result"]["points"]
    assert power["outcome"] == "waiting"
    await hass.config_entries.async_unload(entry.entry_id)
    assert (await try_points())["error"]["translation_key"] == "panel_unknown"


def test_a_point_that_was_refused_has_the_words_of_the_platform() -> None:
    point = Point(entity="sensor.power", name="P")
    present = PresentPoint(point, "sensor.power", Reading(1.0, 0.0, 0.0, is_stale=False))
    told = tried(present, "MAIN", waiting=(), refused={"MAIN": "not authorized"})
    assert (told.outcome, told.value, told.why) == ("refused", 1.0, "not authorized")


def test_differences_are_of_fields() -> None:
    before = {"a": {"x": 1, "y": 2}, "b": {"x": 1}}
    after = {"a": {"x": 1, "y": 3}, "c": {"x": 1}}
    assert differences(before, after) == {
        "changed": {"a": {"y": 3}, "c": {"x": 1}},
        "removed": ["b"],
    }
    assert differences(after, after) == {}


def test_the_panel_shows_the_texts_that_there_are_and_no_other() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (INTEGRATION.parent.parent / "panel" / "src").rglob("*.ts")
    )
    known = {
        f"{section}.{key}" for section, texts in TEXTS["config_panel"].items() for key in texts
    }
    named = set(re.findall(r"text\(\s*[\w.]+,\s*\"(\w+\.\w+)\"", source))
    assert named <= known
    # Of `state.${link.state}` every text of the section may be meant.
    sections = set(re.findall(r"`(\w+)\.\w*\$\{", source))
    unused = {
        key for key in known if f'"{key}"' not in source and key.split(".")[0] not in sections
    }
    assert not unused
