"""The connection to the toy platform."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

from custom_components.grid_telemetry.connection.errors import ConnectionFailed, CredentialsRefused
from custom_components.grid_telemetry.outbox.packet import Packet


class ToySession:
    """One connection: lines out, a line back for each."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: list[asyncio.Future[None]] = []

    async def publish(self, packet: Packet) -> asyncio.Future[None]:
        """Send a packet as one line."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._writer.write(packet.body + b"\n")
        await self._writer.drain()
        return future

    async def closed(self) -> NoReturn:
        """Take acknowledgements until the end."""
        while await self._reader.readline():
            self._waiting.pop(0).set_result(None)
        raise ConnectionFailed("connection_lost")


@asynccontextmanager
async def connect(port: int, key: str) -> AsyncIterator[ToySession]:
    """Open a session; raises a `LinkError`."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as err:
        raise ConnectionFailed("cannot_connect", str(err)) from err
    try:
        writer.write(f"{key}\n".encode())
        if await reader.readline() != b"welcome\n":
            raise CredentialsRefused("invalid_auth")
        yield ToySession(reader, writer)
    finally:
        writer.close()
