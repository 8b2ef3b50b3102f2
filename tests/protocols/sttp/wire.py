"""A subscriber that sends what it is told and shows every frame it gets."""

import asyncio
from dataclasses import dataclass
import ssl
import struct
from typing import Self

from custom_components.grid_telemetry.protocols.sttp import compact
from custom_components.grid_telemetry.protocols.sttp.cache import SignalIndexCache
from custom_components.grid_telemetry.protocols.sttp.compact import BaseTimes
from custom_components.grid_telemetry.protocols.sttp.constants import ServerCommand, ServerResponse
from custom_components.grid_telemetry.protocols.sttp.frames import (
    OperationalModes,
    command,
    subscribe_data,
)
from custom_components.grid_telemetry.protocols.sttp.measurement import Sample
from custom_components.grid_telemetry.protocols.sttp.tssc import TsscDecoder

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Answer:
    """A response."""

    code: int
    command: int
    data: bytes

    @property
    def text(self) -> str:
        """Return the data as text."""
        return self.data.decode()


class WireSubscriber:
    """Speaks STTP step by step."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, modes: OperationalModes
    ) -> None:
        self.reader, self.writer = reader, writer
        self.modes = modes
        self.cache: SignalIndexCache | None = None
        self.cache_index = -1
        self.base_times = BaseTimes()
        self.tssc = TsscDecoder()
        self.seen: list[int] = []

    @classmethod
    async def connect(
        cls,
        port: int,
        *,
        handshake: bool = True,
        tls: ssl.SSLContext | None = None,
        **modes: bool | int | str,
    ) -> Self:
        """Connect and, unless told otherwise, define operational modes."""
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        subscriber = cls(reader, writer, OperationalModes(**modes))
        if handshake:
            subscriber.send(ServerCommand.DEFINE_OPERATIONAL_MODES, subscriber.modes.encode())
            await subscriber.expect(ServerResponse.SUCCEEDED)
        return subscriber

    async def close(self) -> None:
        """Go."""
        self.writer.transport.abort()

    def send(self, code: int, data: bytes = b"") -> None:
        """Send a command."""
        self.writer.write(command(code, data))

    async def next(self) -> Answer:
        """Return the next response."""
        async with asyncio.timeout(TIMEOUT_S):
            (length,) = struct.unpack(">I", await self.reader.readexactly(4))
            payload = await self.reader.readexactly(length)
        code, in_response_to, size = struct.unpack_from(">BBI", payload)
        assert size == length - 6
        self.seen.append(code)
        return Answer(code, in_response_to, payload[6:])

    async def expect(self, code: int) -> Answer:
        """Return the next response with a code; others before are passed over."""
        while (answer := await self.next()).code != code:
            assert answer.code != ServerResponse.FAILED, answer.text
            if answer.code == ServerResponse.UPDATE_BASE_TIMES:
                self.base_times = BaseTimes.decode(answer.data)
            elif answer.code == ServerResponse.DATA_PACKET:
                # TSSC goes on from what was passed over.
                self.decode(answer.data)
        return answer

    async def closed(self) -> bytes:
        """Return what comes until the publisher ends the connection."""
        async with asyncio.timeout(TIMEOUT_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    def subscribe(self, expression: str, **settings: str) -> None:
        """Ask for signals."""
        asked = {"filterExpression": expression, **settings}
        self.send(ServerCommand.SUBSCRIBE, subscribe_data(asked, self.modes.encoding))

    async def take_cache(self, *, confirm: bool = True) -> None:
        """Receive a signal index cache and confirm it."""
        answer = await self.expect(ServerResponse.UPDATE_SIGNAL_INDEX_CACHE)
        self.cache_index, self.cache = SignalIndexCache.decode(answer.data, self.modes)
        if confirm and self.modes.version > 1:
            self.send(ServerCommand.CONFIRM_UPDATE_SIGNAL_INDEX_CACHE)

    async def subscribed(self, expression: str, **settings: str) -> None:
        """Ask for signals and wait until the publisher is ready to send them."""
        self.subscribe(expression, **settings)
        await self.take_cache()
        await self.settled()

    async def settled(self) -> None:
        """Wait until the publisher has acted on all that was sent."""
        self.send(ServerCommand.UPDATE_PROCESSING_INTERVAL, bytes(4))
        while (
            await self.expect(ServerResponse.SUCCEEDED)
        ).command != ServerCommand.UPDATE_PROCESSING_INTERVAL:
            pass

    async def packet(self) -> tuple[int, list[Sample]]:
        """Return flags and samples of the next data packet."""
        return self.decode((await self.expect(ServerResponse.DATA_PACKET)).data)

    def decode(self, data: bytes) -> tuple[int, list[Sample]]:
        """Return flags and samples of a data packet."""
        flags, count = struct.unpack_from(">BI", data)
        if flags & 8:
            return flags, self.tssc.decode(data[5:], count)
        return flags, compact.decode(data[5:], count, base_times=self.base_times)
