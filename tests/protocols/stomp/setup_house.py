"""Setup servers for tests, what they are there for, and clients of them."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
import json
from typing import Any

import pytest

from custom_components.grid_telemetry.protocols.stomp.reply import Json, Reply
from custom_components.grid_telemetry.protocols.stomp.server import (
    Credentials,
    Guard,
    StompServer,
)
from custom_components.grid_telemetry.vocabulary.datum import Datum

from .setup_client import LOGIN, PASSWORD_HASH, SetupClient

__all__ = ["client", "house", "server", "start", "user"]

type Handler = Callable[[str, Mapping[str, str], str | None], Awaitable[Reply]]


async def nobody(destination: str, parameters: Mapping[str, str], body: str | None) -> Reply:
    return Reply(status=404)


@dataclass
class House:
    """What the server is there for."""

    handler: Handler = nobody
    datum: dict[str, Datum] = field(default_factory=dict)

    async def command(
        self, destination: str, parameters: Mapping[str, str], body: str | None
    ) -> Reply:
        return await self.handler(destination, parameters, body)

    def encode(self, result: Json) -> bytes:
        return json.dumps(result).encode()

    def latest(self, source_id: str) -> Datum | None:
        return self.datum.get(source_id)

    def answers(self, status: int, message: str | None = None, result: Any = None) -> None:
        """Have every command answered so."""

        async def handler(*_: object) -> Reply:
            return Reply(status=status, message=message, result=result)

        self.handler = handler


@pytest.fixture
def house() -> House:
    return House()


type Start = Callable[..., Awaitable[StompServer]]


@pytest.fixture
async def start(house: House, socket_enabled: None) -> AsyncGenerator[Start]:
    servers: list[StompServer] = []

    async def start_server(**how: Any) -> StompServer:
        server = StompServer(
            **{
                "host": "127.0.0.1",
                "port": 0,
                "credentials": Credentials(login=LOGIN, password_hash=PASSWORD_HASH),
                "services": house,
                "guard": Guard(),
                **how,
            }
        )
        await server.start()
        servers.append(server)
        return server

    yield start_server
    for server in servers:
        await server.stop()


@pytest.fixture
async def server(start: Start) -> StompServer:
    return await start()


@pytest.fixture
async def client(server: StompServer) -> AsyncGenerator[SetupClient]:
    client = await SetupClient.connect(server.port)
    yield client
    await client.close()


@pytest.fixture
async def user(server: StompServer) -> AsyncGenerator[SetupClient]:
    client = await SetupClient.log_in(server.port)
    yield client
    await client.close()
