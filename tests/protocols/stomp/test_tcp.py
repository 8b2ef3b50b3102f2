"""Frames over plain TCP: in pieces, and what can go wrong."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
import socket
from unittest.mock import patch

import pytest

from custom_components.grid_telemetry.protocols.stomp.errors import (
    StompConnectionLost,
    StompFrameError,
    StompTransportError,
    TransportFailure,
)
from custom_components.grid_telemetry.protocols.stomp.frames import Frame
from custom_components.grid_telemetry.protocols.stomp.tcp import TcpStream

pytestmark = pytest.mark.usefixtures("socket_enabled")

WITHIN_S = 10

type Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def opened(serve: Serve, stall_s: float = WITHIN_S) -> AsyncGenerator[TcpStream]:
    over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        await over.wait()
        writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    stream = await TcpStream.open("127.0.0.1", port, stall_s=stall_s)
    try:
        async with asyncio.timeout(WITHIN_S):
            yield stream
    finally:
        await stream.close()
        over.set()
        server.close()
        await server.wait_closed()


async def nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Neither read nor write."""


async def test_frames_come_in_pieces_and_in_order() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in (b"\n\nMESS", b"AGE\na:b\\cc\n\nbo", b"dy\0\nRECEIPT\n\n\0MESSAGE\n\n\0"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    async with opened(serve) as stream:
        assert await stream.read() == Frame("MESSAGE", {"a": "b:c"}, b"body")
        assert (await stream.read()).command == "RECEIPT"
        assert (await stream.read()).command == "MESSAGE"


async def test_frames_leave_in_one_piece() -> None:
    taken: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        taken.append(await reader.readuntil(b"B\n\n\0"))

    async with opened(serve) as stream:
        await stream.write(Frame("A", {"x": "1:2"}), Frame("B"))
        while not taken:
            await asyncio.sleep(0.01)
    assert taken == [b"A\nx:1\\c2\n\n\0B\n\n\0"]


async def test_a_server_that_closes_is_told() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with opened(serve) as stream:
        with pytest.raises(StompConnectionLost, match="closed by the server"):
            await stream.read()


async def test_a_server_that_cuts_is_told() -> None:
    async with opened(nothing) as stream:
        with (
            patch.object(stream._reader, "read", side_effect=ConnectionResetError("reset")),
            pytest.raises(StompConnectionLost, match="lost while reading"),
        ):
            await stream.read()
        with (
            patch.object(stream._writer, "drain", side_effect=ConnectionResetError("reset")),
            pytest.raises(StompConnectionLost, match="lost while writing"),
        ):
            await stream.write(Frame("A"))


async def test_a_server_that_does_not_read_is_given_up() -> None:
    async with opened(nothing, stall_s=0.2) as stream:
        with pytest.raises(StompConnectionLost, match="did not read"):
            await stream.write(Frame("SEND", {}, b"x" * 50_000_000))
        with pytest.raises(StompConnectionLost):
            await stream.read()


async def test_what_is_no_stomp_is_told() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with opened(serve) as stream:
        with pytest.raises(StompFrameError):
            await stream.read()


async def test_what_stomp_cannot_carry_is_refused() -> None:
    async with opened(nothing) as stream:
        with pytest.raises(ValueError, match="cannot carry"):
            await stream.write(Frame("SEND", {"": "x"}))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError(), TransportFailure.REFUSED),
        (socket.gaierror(-2, "unknown"), TransportFailure.DNS),
        (UnicodeEncodeError("idna", "solarnode..local", 10, 11, "empty"), TransportFailure.DNS),
        (TimeoutError(), TransportFailure.TIMEOUT),
        (OSError(113, "No route to host"), TransportFailure.OTHER),
    ],
)
async def test_why_there_is_no_connection_is_told(error: Exception, kind: TransportFailure) -> None:
    with (
        patch("asyncio.open_connection", side_effect=error),
        pytest.raises(StompTransportError) as raised,
    ):
        await TcpStream.open("127.0.0.1", 1, stall_s=1)
    assert raised.value.kind is kind
