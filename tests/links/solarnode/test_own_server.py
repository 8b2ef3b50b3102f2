"""Our client against our own setup server: what one says, the other understands."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
import json
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.connection.errors import CredentialsRefused
from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.solarnode.client import (
    NodeParameters,
    open_session,
)
from custom_components.grid_telemetry.links.solarnode.latest import read_latest
from custom_components.grid_telemetry.links.solarnode.payload import LiveMessage
from custom_components.grid_telemetry.links.solarnode.request_batches import Plan
from custom_components.grid_telemetry.protocols.stomp import sns
from custom_components.grid_telemetry.protocols.stomp.patterns import matches
from custom_components.grid_telemetry.protocols.stomp.reply import Json, Reply
from custom_components.grid_telemetry.protocols.stomp.server import (
    Credentials,
    Guard,
    StompServer,
)

from .conftest import LOGIN, PASSWORD, WITHIN_S, shown

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
PASSWORD_HASH = sns.hash_password(PASSWORD)


class Reading:
    created = AT

    def select(self, names: tuple[str, ...] | None) -> Mapping[str, float | str]:
        return {"watts": -1520}


class Services:
    """Answers what a test asks for."""

    async def command(
        self, destination: str, parameters: Mapping[str, str], body: str | None
    ) -> Reply:
        if destination == "/setup/datum/latest":
            datum = {"created": "2026-11-20 12:00:00Z", "sourceId": "a", "i": {"watts": 1}}
            return Reply(result=[datum])
        result = {"destination": destination, "parameters": dict(parameters), "body": body}
        return Reply(status=422, message="a: \\c\nb", result=result)

    def encode(self, result: Json) -> bytes:
        return json.dumps(result).encode()

    def latest(self, source_id: str) -> Reading | None:
        return Reading() if source_id == "a" else None


@pytest.fixture
async def server(socket_enabled: None) -> AsyncGenerator[StompServer]:
    running = StompServer(
        host="127.0.0.1",
        port=0,
        credentials=Credentials(login=LOGIN, password_hash=PASSWORD_HASH),
        services=Services(),
        guard=Guard(),
    )
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
def parameters(server: StompServer) -> NodeParameters:
    return NodeParameters(host="127.0.0.1", port=server.port, login=LOGIN, password=PASSWORD)


async def test_datum_are_read(parameters: NodeParameters) -> None:
    async with open_session(parameters) as session:
        latest = await read_latest(session, Plan(["a"], matches), tuple)
    assert [item.source_id for item in latest.datum] == ["a"]
    assert session.server == "SolarNode-Setup/1.0.0"


async def test_a_command_arrives_whole_and_so_does_its_answer(parameters: NodeParameters) -> None:
    async with open_session(parameters) as session:
        reply = await session.command("/my/own", {"who": "a:b\\c", "x": "é"}, "{: é\n}")
    # Read once, for this server escapes once.
    assert (reply.status, reply.message) == (422, "a: \\c\nb")
    assert reply.result == {
        "destination": "/my/own",
        "parameters": {"who": "a:b\\c", "x": "é"},
        "body": "{: é\n}",
    }


async def test_more_own_destinations_than_a_node_takes_subscriptions(
    parameters: NodeParameters,
) -> None:
    async with open_session(parameters) as session:
        for number in [*range(40), *range(40)]:
            assert (await session.command(f"/own/{number}")).status == 422


async def test_many_commands_at_once(parameters: NodeParameters) -> None:
    async with open_session(parameters) as session:
        replies = await asyncio.gather(
            *(session.command("/setup/x", body=str(number)) for number in range(200))
        )
    assert [reply.result["body"] for reply in replies] == [str(number) for number in range(200)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"password": "wrong"}, "wrong_password"), ({"login": "nobody"}, "unknown_login")],
)
async def test_a_wrong_login_is_told(
    parameters: NodeParameters, change: dict[str, str], reason: str
) -> None:
    with pytest.raises(CredentialsRefused) as raised:
        async with open_session(replace(parameters, **change)) as session:
            await session.command("/setup/x")
    assert raised.value.reason == f"solarnode_{reason}"


async def test_live_datum_come(parameters: NodeParameters) -> None:
    messages: asyncio.Queue[LiveMessage] = asyncio.Queue()
    async with open_session(parameters) as session, asyncio.timeout(WITHIN_S):
        live_id = await session.subscribe_live("a", 1, messages.put_nowait, within_s=WITHIN_S)
        assert live_id is not None
        message = await messages.get()
        assert (message.status, json.loads(message.body)["watts"]) == (200, -1520)
        await session.unsubscribe_live(live_id)
        assert (await session.command("/setup/x")).status == 422


async def test_a_meter_behind_one_home_assistant_is_a_sensor_of_another(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """Both ends are in one Home Assistant here, which is simpler and all the same to them."""
    other = MockConfigEntry(domain="other")
    other.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=other.entry_id, identifiers={("other", "meter")}, name="Garage"
    )
    er.async_get(hass).async_get_or_create(
        "sensor",
        "other",
        "power",
        config_entry=other,
        device_id=device.id,
        original_device_class="power",
        unit_of_measurement="kW",
        suggested_object_id="garage_power",
        capabilities={"state_class": "measurement"},
    )
    hass.states.async_set(
        "sensor.garage_power",
        "1.5",
        {"unit_of_measurement": "kW", "device_class": "power", "state_class": "measurement"},
    )
    server = MockConfigEntry(domain=DOMAIN, title="Server", data=server_data(device.id))
    server.add_to_hass(hass)
    assert await hass.config_entries.async_setup(server.entry_id)
    client = MockConfigEntry(
        domain=DOMAIN,
        title="Client",
        data={
            CONF_KIND: "solarnode",
            "host": "127.0.0.1",
            "port": server.runtime_data._server.port,
            "login": LOGIN,
            "password": PASSWORD,
            "sources": [],
            "interval_s": 0.1,
            "live_sources": [],
        },
    )
    client.add_to_hass(hass)
    assert await hass.config_entries.async_setup(client.entry_id)
    state = await shown(hass, "garage_1_active_power", lambda state: float(state.state) == 1500)
    assert state.attributes["unit_of_measurement"] == "W"
    for entry in (client, server):
        assert await hass.config_entries.async_unload(entry.entry_id)


def server_data(device_id: str) -> dict[str, Any]:
    return {
        CONF_KIND: "setup_server",
        "host": "127.0.0.1",
        "port": 0,
        "login": LOGIN,
        "password_hash": PASSWORD_HASH,
        "allowed_networks": ["127.0.0.0/8"],
        "allow_restart": False,
        "allow_reboot": False,
        "max_connections": 32,
        "max_body_bytes": 4096,
        "sources": [{"device": device_id, "source_id": "garage/1"}],
    }
