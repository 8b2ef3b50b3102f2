"""Servers of meters on TCP and on serial lines."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
import logging
import termios
from typing import Any, Final, cast, override

from serialx import SerialException, create_serial_connection

from ..listener import LOOPBACK, Network, Refusals, is_stopping
from .frames import (
    ExceptionCode,
    Framer,
    FramingError,
    ReadRegisters,
    Request,
    RequestRefusedError,
    RtuFramer,
    TcpFramer,
    answer,
    refusal,
)

_LOGGER = logging.getLogger(__name__)

type Meters = Mapping[int, ReadRegisters]
"""The meters by unit."""

# Of one connection: requests sent without waiting for answers, as many as the Modbus TCP guide
# allows; and requests in a second, beyond which the connection is read more slowly.
_AT_ONCE: Final = 16
_PER_SECOND: Final = 200
# A line that is lost, as when its adapter is pulled, is tried again after this.
_REOPEN_S: Final = 5.0
# An answer on a serial line comes after a silence of 3.5 characters, or of this at least.
_SILENCE_S: Final = 0.00175


@dataclass(kw_only=True)
class Health(Refusals):
    """What a server has done since it was made."""

    requests: int = 0
    """That were answered, be it with an exception."""
    last_request: float | None = None
    """Its time by the loop's clock."""


class _Connection(asyncio.Protocol):
    """One connection, or the line: answers each request as it comes."""

    def __init__(
        self,
        framer: Framer,
        meters: Meters,
        health: Health,
        *,
        on_made: Callable[[_Connection], bool],
        on_lost: Callable[[_Connection], None],
        silence_s: float = 0.0,
    ) -> None:
        """Take who decides on a connection, and who is told of its end."""
        self.peer = ""
        self.last_heard = 0.0
        self._framer = framer
        self._meters = meters
        self._health = health
        self._on_made = on_made
        self._on_lost = on_lost
        self._silence_s = silence_s
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._second = 0
        self._requests = 0
        self._slowed: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if peer else ""
        self.last_heard = self._loop.time()
        if not self._on_made(self):
            self.drop()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._slowed is not None:
            self._slowed.cancel()
        self._on_lost(self)

    @override
    def pause_writing(self) -> None:
        self._cut_off("does not read the answers")

    @override
    def data_received(self, data: bytes) -> None:
        try:
            for number, request in enumerate(self._framer.feed(data)):
                if number == _AT_ONCE:
                    self._cut_off(f"more than {_AT_ONCE} requests at once")
                    return
                self._take(request)
        except FramingError:
            self._cut_off("no Modbus")

    def drop(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _cut_off(self, why: str) -> None:
        self._health.refuse(self.peer, why)
        self.drop()

    def _take(self, request: Request) -> None:
        now = self.last_heard = self._health.last_request = self._loop.time()
        self._health.requests += 1
        if self._second != int(now):
            self._second, self._requests = int(now), 0
        self._requests += 1
        if self._requests >= _PER_SECOND and self._slowed is None and self._transport is not None:
            self._transport.pause_reading()
            self._slowed = self._loop.call_at(self._second + 1, self._read_on)
        frame = self._framer.frame(request, self._answer(request))
        if self._silence_s:
            self._loop.call_later(self._silence_s, self._send, frame)
        else:
            self._send(frame)

    def _answer(self, request: Request) -> bytes:
        try:
            return answer(request.pdu, self._meters.get(request.unit, _nobody))
        except RequestRefusedError as err:
            what = f"{request.pdu[:5].hex(' ')} of unit {request.unit}"
            self._health.refuse(self.peer, f"{err}: {what}")
            return refusal(request.pdu, err.code)

    def _send(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)

    def _read_on(self) -> None:
        self._slowed = None
        if self._transport is not None:
            self._transport.resume_reading()


def _nobody(_function: int, _address: int, _count: int) -> Sequence[int]:
    """Answer for units that are not there, as a gateway to a line does."""
    raise RequestRefusedError(ExceptionCode.GATEWAY_NO_RESPONSE)


class TcpServer:
    """Serves meters on a TCP port, as Modbus TCP or as RTU over TCP."""

    def __init__(
        self,
        meters: Meters,
        *,
        host: str = "127.0.0.1",
        port: int = 502,
        rtu: bool = False,
        allowed_networks: Sequence[Network] = LOOPBACK,
        max_clients: int = 8,
        idle_s: float = 120.0,
    ) -> None:
        """Prepare; a client without a request for `idle_s` is cut off, for it may be gone."""
        self.health = Health()
        self._meters = meters
        self._host, self._port = host, port
        self._framer: Callable[[], Framer] = partial(RtuFramer, meters) if rtu else TcpFramer
        self._allowed = allowed_networks
        self._max_clients = max_clients
        self._idle_s = idle_s
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    @property
    def clients(self) -> int:
        """Return the number of connections."""
        return len(self._connections)

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        if self._server is None:
            return self._port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen; raises OSError where the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, self._host, self._port)
        self._drop_idle()

    async def stop(self) -> None:
        """End all connections; the port is free when this returns. May be called again."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        if (server := self._server) is None:
            return
        server.close()
        for connection in tuple(self._connections):
            connection.drop()
        await server.wait_closed()
        self._server = None

    def _connection(self) -> _Connection:
        return _Connection(
            self._framer(),
            self._meters,
            self.health,
            on_made=self._let_in,
            on_lost=self._connections.discard,
        )

    def _let_in(self, connection: _Connection) -> bool:
        if not connection.peer or is_stopping(self._server):
            # It went before it was let in, or came as the server stopped.
            return False
        address = ip_address(connection.peer.partition("%")[0])
        if not any(address in network for network in self._allowed):
            self.health.refuse(connection.peer, "not in an allowed network")
        elif len(self._connections) >= self._max_clients:
            self.health.refuse(connection.peer, f"more than {self._max_clients} connections")
        else:
            self._connections.add(connection)
            return True
        return False

    def _drop_idle(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in tuple(self._connections):
            if loop.time() - connection.last_heard >= self._idle_s:
                connection.drop()
        self._sweep = loop.call_later(self._idle_s / 4, self._drop_idle)


class SerialServer:
    """Serves meters on a serial line, beside others that may be on it."""

    def __init__(self, meters: Meters, *, device: str, baudrate: int, **settings: Any) -> None:
        """Prepare; the settings are those of serialx."""
        self.health = Health()
        self._meters = meters
        self._device = device
        self._settings = {"baudrate": baudrate, **settings}
        # A character is 11 bits: start, eight of data, parity or a second stop, stop.
        self._silence_s = max(_SILENCE_S, 3.5 * 11 / baudrate)
        self._line: _Connection | None = None
        self._closed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def clients(self) -> int:
        """Return 1 while the line is open."""
        return 0 if self._line is None else 1

    async def start(self) -> None:
        """Open the line; raises OSError where that cannot be."""
        await self._open()
        self._task = asyncio.create_task(self._keep_open())

    async def stop(self) -> None:
        """Close the line; others can have it when this returns. May be called again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._line is not None:
            self._line.drop()
            await self._closed.wait()

    async def _open(self) -> None:
        self._closed.clear()
        try:
            await create_serial_connection(
                asyncio.get_running_loop(), self._connection, self._device, **self._settings
            )
        except (SerialException, ValueError, termios.error) as err:
            # A device that is no serial line, or cannot do what is asked of it.
            raise OSError(str(err)) from err

    def _connection(self) -> _Connection:
        return _Connection(
            RtuFramer(self._meters),
            self._meters,
            self.health,
            on_made=self._made,
            on_lost=self._lost,
            silence_s=self._silence_s,
        )

    def _made(self, line: _Connection) -> bool:
        line.peer = self._device
        self._line = line
        return True

    def _lost(self, _: _Connection) -> None:
        self._line = None
        self._closed.set()

    async def _keep_open(self) -> None:
        while True:
            await self._closed.wait()
            _LOGGER.warning("%s is lost", self._device)
            while self._line is None:
                await asyncio.sleep(_REOPEN_S)
                try:
                    await self._open()
                except OSError as err:
                    _LOGGER.debug("%s cannot be opened: %s", self._device, err)
            _LOGGER.info("%s is back", self._device)
