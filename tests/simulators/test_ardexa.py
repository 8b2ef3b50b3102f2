"""The stand-in for Ardexa, with the library's own client, which is not ours."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp
import pytest
from socketio import AsyncClient
from socketio.exceptions import ConnectionError as NotConnected

from simulators.ardexa import Ardexa

pytestmark = pytest.mark.usefixtures("socket_enabled")

META = {"run": [{"table": "data", "source": "cpu", "expect": "decimal"}]}


class Client:
    """A bare client that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.error: Any = None
        self.client = AsyncClient(False, handle_sigint=False)
        self.client.on("*", lambda event, data=None: self.heard.put_nowait((event, data)))
        self.client.on("connect_error", self._take_error)
        self.client.on("disconnect", lambda reason: self.heard.put_nowait(("disconnect", reason)))

    def _take_error(self, data: Any) -> None:
        self.error = data

    async def connect(self, cloud: Ardexa, token: str, workgroup: str = "dev") -> None:
        await self.client.connect(
            f"{cloud.url}?token={token}&orgName={workgroup}",
            transports=["websocket"],
            socketio_path="/socket.io-client",
            wait_timeout=10,
        )

    async def hear(self) -> tuple[str, Any]:
        async with asyncio.timeout(10):
            return await self.heard.get()

    async def ask(self, event: str, data: object = None) -> tuple[str, Any]:
        await self.client.emit(event, data)
        return await self.hear()


@pytest.fixture
async def cloud() -> AsyncGenerator[Ardexa]:
    async with Ardexa() as running:
        running.add_device("a", "Gateway", META)
        yield running


@pytest.fixture
async def client(cloud: Ardexa) -> AsyncGenerator[Client]:
    client = Client()
    await client.connect(cloud, cloud.token)
    yield client
    await client.client.disconnect()


async def test_a_wrong_token_is_rejected_with_data(cloud: Ardexa) -> None:
    client = Client()
    with pytest.raises(NotConnected):
        await client.connect(cloud, "wrong")
    assert client.error == {"message": "Authentication error", "data": {"code": "invalid_token"}}


async def test_an_expired_token_is_rejected(cloud: Ardexa) -> None:
    with pytest.raises(NotConnected):
        await Client().connect(cloud, cloud.issue(10, age_s=20))


async def test_another_workgroup_is_rejected(cloud: Ardexa) -> None:
    client = Client()
    with pytest.raises(NotConnected):
        await client.connect(cloud, cloud.token, "other")
    assert client.error["message"] == "Unknown workgroup"


async def test_a_command_is_answered_twice(cloud: Ardexa, client: Client) -> None:
    event, answer = await client.ask("device:cmd", {"deviceId": "a", "cmd": "uptime"})
    assert event == "device:cmd:rpc"
    assert answer.keys() == {"correlationId"}
    event, reply = await client.hear()
    assert event == "device:cmd:reply"
    assert reply.keys() == {"stdout", "stderr", "returnCode", "correlationId"}
    assert reply["correlationId"] == answer["correlationId"]


async def test_a_feed_brings_what_is_published(cloud: Ardexa, client: Client) -> None:
    request = {"requestId": "r", "deviceId": "a", "table": "data", "source": "cpu"}
    _, answer = await client.ask("device:feed", request)
    assert await cloud.publish("a", "data", "cpu", 7.5) == 1
    event, data = await client.hear()
    assert event == "device:feed:reply"
    assert data.pop("event_time").endswith("Z")
    assert data == {
        "feedId": answer["feedId"],
        "table": "data",
        "source": "cpu",
        "device": "a",
        "messageId": "71391",
        "value": 7.5,
        "requestId": "r",
    }
    await client.client.emit("device:feed:stopAll")
    while cloud.feeds:
        await asyncio.sleep(0.01)
    assert cloud.refused == []


@pytest.mark.parametrize(
    ("event", "data"),
    [
        ("device:cmd", {"deviceId": "a"}),
        ("device:cmd", {"deviceId": "a", "cmd": "x", "more": 1}),
        ("device:cmd", "uptime"),
        ("device:cmd", {"deviceId": "a", "cmd": 7}),
        ("device:feed", {"deviceId": "a", "table": "data", "source": "cpu"}),
        ("device:feed:stopAll", {"feedId": "x"}),
        ("device:applyYamlConfig", {"requestId": "r", "deviceId": "a", "config": {}}),
        ("device:unknown", {}),
    ],
)
async def test_what_the_page_does_not_have_is_refused(
    cloud: Ardexa, client: Client, event: str, data: object
) -> None:
    await client.client.emit(event, data)
    async with asyncio.timeout(10):
        while not cloud.refused:
            await asyncio.sleep(0.01)
    assert cloud.refused[0].startswith(f"{event}: ")


async def test_a_kicked_client_hears_why(cloud: Ardexa, client: Client) -> None:
    await cloud.kick()
    assert await client.hear() == ("disconnect", "server disconnect")


async def test_a_killed_server_is_a_transport_error(cloud: Ardexa, client: Client) -> None:
    await cloud.relay.stop()
    assert await client.hear() == ("disconnect", "transport error")
    await cloud.relay.start()
    again = Client()
    await again.connect(cloud, cloud.token)
    await again.client.disconnect()


async def test_the_api_renews_a_token(cloud: Ardexa) -> None:
    async with aiohttp.ClientSession(cloud.url) as session:
        headers = {"authorization": f"bearer {cloud.token}"}
        async with session.get("/api/v1/token/renew", headers=headers) as response:
            renewed = (await response.json())["token"]
        headers = {"Authorization": f"Bearer {renewed}"}
        async with session.get("/api/v1/devices/dev", headers=headers) as response:
            [device] = await response.json()
        async with session.get("/api/v1/devices/dev") as response:
            assert response.status == 401
        async with session.get("/api/v1/devices/other", headers=headers) as response:
            assert response.status == 404
        headers = {"Authorization": f"Bearer {cloud.issue(renewable=False)}"}
        async with session.get("/api/v1/token/renew", headers=headers) as response:
            assert response.status == 403
    assert device["id"] == "a"
    assert device["meta"] == META
