"""The client against Mosquitto, over TLS, in both versions of the protocol."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import ssl
from typing import Any

import aiohttp
from aiohttp import web as aiohttp_web
import pytest

from custom_components.grid_telemetry.protocols.mqtt import (
    Message,
    MqttConnection,
    MqttConnectionLost,
    MqttConnectRefused,
    MqttDisconnected,
    MqttParameters,
    MqttPublishRefused,
    MqttSession,
    MqttTransportError,
    TransportFailure,
    Version,
    WebSocket,
    Will,
    connect,
)
from custom_components.grid_telemetry.protocols.mqtt.reasons import NOT_AUTHORIZED
from simulators.mosquitto import Mosquitto, User

pytestmark = [pytest.mark.usefixtures("socket_enabled"), pytest.mark.needs("mosquitto")]

USERS = {
    "reader": User(password="r", may_read=["data/#"]),
    "writer": User(password="w", may_write=["data/#"]),
}


@pytest.fixture
async def mosquitto(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with Mosquitto(tmp_path, USERS) as broker:
        yield broker


@pytest.fixture
async def other_ways(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with Mosquitto(tmp_path, USERS, more_ways=True) as broker:
        yield broker


@pytest.fixture
async def web() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@asynccontextmanager
async def client(
    broker: Mosquitto, name: str, session: MqttSession | None = None, **changes: Any
) -> AsyncIterator[MqttConnection]:
    parameters = {
        "host": "127.0.0.1",
        "port": broker.port,
        "client_id": f"{name}0",
        "username": name,
        "password": name[0],
        "tls": ssl.create_default_context(cafile=broker.ca_file),
        **changes,
    }
    async with asyncio.timeout(20):
        connection = await connect(MqttParameters(**parameters), session)
        try:
            yield connection
        finally:
            await connection.close()


async def take(connection: MqttConnection, count: int) -> list[Message]:
    found = []
    async for each in connection.messages():
        connection.acknowledge(each)
        found.append(each)
        if len(found) == count:
            break
    return found


@pytest.mark.parametrize("version", Version)
async def test_messages_go_and_come_in_order(mosquitto: Mosquitto, version: Version) -> None:
    count = 200
    async with (
        client(mosquitto, "reader", version=version) as reader,
        client(mosquitto, "writer", version=version) as writer,
    ):
        for qos in (1, 2):
            [answer] = await reader.subscribe(["data/#"], qos)
            assert answer.code == qos
            for first in range(0, count, writer.window):
                await asyncio.gather(
                    *(
                        writer.publish("data/x", b"%d" % number, qos)
                        for number in range(first, min(first + writer.window, count))
                    )
                )
            assert [each.payload for each in await take(reader, count)] == [
                b"%d" % number for number in range(count)
            ]
        await writer.ping()
        await reader.unsubscribe(["data/#"])


@pytest.mark.parametrize("version", Version)
async def test_a_wrong_password_is_refused(mosquitto: Mosquitto, version: Version) -> None:
    with pytest.raises(MqttConnectRefused) as refusal:
        async with client(mosquitto, "writer", version=version, password="no"):
            pass
    assert refusal.value.code == NOT_AUTHORIZED


async def test_a_topic_that_is_not_allowed_is_refused(mosquitto: Mosquitto) -> None:
    async with client(mosquitto, "writer") as writer:
        with pytest.raises(MqttPublishRefused) as refusal:
            await writer.publish("other", b"", 1)
    assert refusal.value.code == NOT_AUTHORIZED


async def test_a_second_client_of_the_name_takes_over(mosquitto: Mosquitto) -> None:
    async with client(mosquitto, "writer") as first, client(mosquitto, "writer"):
        end = await first.wait_closed()
    # Mosquitto before 2.0.15 just closes the older connection.
    assert isinstance(end, MqttConnectionLost) or (
        isinstance(end, MqttDisconnected) and end.code == 0x8E
    )


async def test_the_will_comes_when_the_connection_is_lost(mosquitto: Mosquitto) -> None:
    will = Will(topic="data/will", payload=b"gone")
    async with client(mosquitto, "reader") as reader:
        await reader.subscribe(["data/#"], 1)
        async with client(mosquitto, "writer", will=will):
            pass
        async with client(mosquitto, "writer", will=will) as writer:
            await writer.close(0x04)
        [message] = await take(reader, 1)
    assert (message.topic, message.payload) == ("data/will", b"gone")


@pytest.mark.parametrize("qos", [1, 2])
async def test_what_is_not_acknowledged_comes_again(mosquitto: Mosquitto, qos: int) -> None:
    state = MqttSession()
    kept = {"clean_start": False, "session_expiry_s": 60}
    async with client(mosquitto, "reader", state, **kept) as reader:
        await reader.subscribe(["data/#"], qos)
        async with client(mosquitto, "writer") as writer:
            await asyncio.gather(*(writer.publish("data/x", b"%d" % n, qos) for n in range(5)))
        await take(reader, 2)
        await reader.ping()
    async with client(mosquitto, "reader", state, **kept) as reader:
        assert reader.session_present
        assert [each.payload for each in await take(reader, 3)] == [b"2", b"3", b"4"]


async def test_qos_2_goes_on_over_a_broker_that_is_restarted(mosquitto: Mosquitto) -> None:
    state = MqttSession()
    kept = {"clean_start": False, "session_expiry_s": 60}
    async with client(mosquitto, "writer", state, **kept) as writer:
        for number in range(writer.window):
            writer.publish("data/x", b"%d" % number, 2)
        await asyncio.sleep(0)
        await mosquitto.stop()
        end = await writer.wait_closed()
    assert isinstance(end, (MqttDisconnected, MqttConnectionLost))
    await mosquitto.start()
    async with client(mosquitto, "writer", state, **kept) as writer:
        await asyncio.gather(*(writer.publish("data/x", b"", 2) for _ in range(writer.window)))
        await writer.ping()
    assert state.unreleased == set()


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("secure", [False, True])
async def test_a_websocket_carries_the_same(
    other_ways: Mosquitto, web: aiohttp.ClientSession, version: Version, secure: bool
) -> None:
    """Of any size, in both directions, until the broker hangs up."""
    way: dict[str, Any] = {
        "websocket": WebSocket(session=web, path="/mqtt"),
        "version": version,
        "port": other_ways.secure_websocket_port if secure else other_ways.websocket_port,
    }
    if not secure:
        way["tls"] = None
    async with (
        client(other_ways, "reader", **way) as reader,
        client(other_ways, "writer", **way) as writer,
    ):
        await reader.subscribe(["data/#"], 1)
        sent = [bytes([number]) * 10**number for number in range(6)]
        for payload in sent:
            await writer.publish("data/a", payload, 1)
        received: list[bytes] = []
        async for message in reader.messages():
            received.append(message.payload)
            reader.acknowledge(message)
            if len(received) == len(sent):
                break
        assert received == sent
        await writer.ping()
        await other_ways.stop()
        assert isinstance(await reader.wait_closed(), MqttConnectionLost | MqttDisconnected)


async def test_a_broker_can_want_a_certificate(other_ways: Mosquitto) -> None:
    port = other_ways.client_certificate_port
    with pytest.raises((MqttTransportError, MqttConnectionLost)):
        async with client(other_ways, "reader", port=port):
            pass
    context = ssl.create_default_context(cafile=other_ways.ca_file)
    context.load_cert_chain(*other_ways.sign("client"))
    async with client(other_ways, "reader", port=port, tls=context) as connection:
        await connection.ping()


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({"host": "no such host"}, TransportFailure.UNKNOWN_SERVER),
        ({"host": "name.invalid"}, TransportFailure.UNKNOWN_SERVER),
        ({"port": 1}, TransportFailure.CANNOT_CONNECT),
        ({"tls": ssl.create_default_context()}, TransportFailure.TLS),
    ],
)
async def test_why_there_is_no_websocket(
    other_ways: Mosquitto,
    web: aiohttp.ClientSession,
    changes: dict[str, Any],
    failure: TransportFailure,
) -> None:
    way = {
        "websocket": WebSocket(session=web, path="/mqtt"),
        "port": other_ways.secure_websocket_port,
        **changes,
    }
    with pytest.raises(MqttTransportError) as caught:
        async with client(other_ways, "reader", **way):
            pass
    assert caught.value.failure is failure


async def test_a_web_server_without_a_websocket_is_told(web: aiohttp.ClientSession) -> None:
    async def refuse(_: aiohttp_web.BaseRequest) -> aiohttp_web.Response:
        return aiohttp_web.Response(status=404)

    server = aiohttp_web.Server(refuse)
    runner = aiohttp_web.ServerRunner(server)
    await runner.setup()
    site = aiohttp_web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        with pytest.raises(MqttTransportError) as caught:
            await connect(
                MqttParameters(
                    host="127.0.0.1",
                    port=port,
                    client_id="web",
                    websocket=WebSocket(session=web, path="mqtt"),
                )
            )
    finally:
        await runner.cleanup()
    assert caught.value.failure is TransportFailure.WRONG_URL
