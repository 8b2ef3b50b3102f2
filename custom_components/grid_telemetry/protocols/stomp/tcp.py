"""STOMP frames over plain TCP, for a client."""

import asyncio
from collections import deque
from contextlib import suppress
import socket
from typing import Final, Self

from .errors import StompConnectionLost, StompTransportError, TransportFailure, system_words
from .frames import Decoder, Frame, Heartbeat, encode

_READ_BYTES: Final = 64 * 1024
_CLOSE_S: Final = 1.0


class TcpStream:
    """Frames to a server and back; one task may read, any may write."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stall_s: float
    ) -> None:
        """Take over a connection; a server that does not read for `stall_s` is given up."""
        self._reader = reader
        self._writer = writer
        self._stall_s = stall_s
        self._decoder = Decoder()
        self._frames: deque[Frame] = deque()

    @classmethod
    async def open(cls, host: str, port: int, *, stall_s: float) -> Self:
        """Connect within `stall_s`; raises StompTransportError."""
        try:
            async with asyncio.timeout(stall_s):
                reader, writer = await asyncio.open_connection(host, port)
        except (OSError, UnicodeError) as err:
            raise _transport_error(err, host, port) from err
        return cls(reader, writer, stall_s)

    async def read(self) -> Frame:
        """Return the next frame; heart-beats are passed over.

        Raises StompConnectionLost and StompProtocolError.
        """
        while not self._frames:
            try:
                data = await self._reader.read(_READ_BYTES)
            except OSError as err:
                raise StompConnectionLost(f"lost while reading: {err}") from err
            if not data:
                raise StompConnectionLost("closed by the server")
            self._frames.extend(
                item for item in self._decoder.feed(data) if not isinstance(item, Heartbeat)
            )
        return self._frames.popleft()

    async def write(self, *frames: Frame) -> None:
        """Send frames in one piece.

        Raises StompConnectionLost, and ValueError for what STOMP cannot carry.
        """
        data = b"".join(encode(frame) for frame in frames)
        try:
            self._writer.write(data)
            async with asyncio.timeout(self._stall_s):
                await self._writer.drain()
        except TimeoutError as err:
            self._writer.transport.abort()
            raise StompConnectionLost(f"the server did not read for {self._stall_s:g} s") from err
        except OSError as err:
            raise StompConnectionLost(f"lost while writing: {err}") from err

    async def close(self) -> None:
        """Close within a bounded time."""
        self._writer.close()
        try:
            with suppress(OSError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._writer.wait_closed()
        finally:
            self._writer.transport.abort()


def _transport_error(err: OSError | UnicodeError, host: str, port: int) -> StompTransportError:
    match err:
        case TimeoutError():
            return StompTransportError(TransportFailure.TIMEOUT, f"{host} port {port}: no answer")
        case socket.gaierror() | UnicodeError():  # the latter: no name that a host can have
            return StompTransportError(TransportFailure.DNS, f"{host} has no address")
        case ConnectionRefusedError():
            return StompTransportError(
                TransportFailure.REFUSED, f"{host} port {port} refuses connections"
            )
        case OSError():
            return StompTransportError(
                TransportFailure.OTHER, f"{host} port {port}: {system_words(err)}"
            )
