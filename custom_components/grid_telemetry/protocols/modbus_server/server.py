"""Servers of meters on TCP and on serial lines."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
import logging
import math
import termios
from typing import Any, Final, cast, override

from serialx import SerialException, create_serial_connection

from ..listener import LOOPBACK, Listener, ListenerLimits, Network, Peer, Refusals
from .frames import (
    ExceptionCode,
    Framer,
    FramingError,
    Meter,
    NoAnswerError,
    Request,
    RequestRefusedError,
    RtuFramer,
    TcpFramer,
    answer,
    refusal,
)

_LOGGER = logging.getLogger(__name__)

type Meters = Mapping[int, Meter]
"""The meters by unit."""

# A line that is lost, as when its adapter is pulled, is tried again after this.
_REOPEN_S: Final = 5.0
# An answer on a serial line comes after a silence of 3.5 characters, or of this at least.
_SILENCE_S: Final = 0.00175
# The bytes of a request follow each other at once; behind a converter or a busy loop, within this.
_LONGEST_GAP_S: Final = 1.0
# So often the event loop is looked after.
_TICK_S: Final = 0.05
# Of so many clients and requests is known what they are; nobody can fill the memory.
_MOST_KNOWN: Final = 64
# By these a unit says that it does not have what is asked for, or is not there.
_UNMET: Final = (
    ExceptionCode.ILLEGAL_FUNCTION,
    ExceptionCode.ILLEGAL_ADDRESS,
    ExceptionCode.ILLEGAL_VALUE,
    ExceptionCode.GATEWAY_NO_RESPONSE,
)


@dataclass(frozen=True, kw_only=True)
class Limits(ListenerLimits):
    """What clients may use of a server."""

    connections: int = 8
    connections_per_address: int = 6
    requests_at_once: int = 16
    """That one client may send without waiting for answers, as the Modbus TCP guide has it."""
    requests_per_s: int = 200
    """Of one client, beyond which its connection is read more slowly."""
    kept_s: float = 10.0
    """A client that has asked within this time need not make room for another one."""
    foreign_bytes: int = 262_144
    """That may come over one TCP connection without a request to one of our units among them."""
    stall_s: float = 0.15
    """A request that was pending while the event loop stood still for longer is not answered."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a client asked a unit last."""

    pdu: bytes
    """Its first five bytes: function, address and count."""
    at: float
    """By the loop's clock."""
    met_at: float | None
    """When it last asked for something that the unit has, whatever became of it."""


@dataclass(kw_only=True)
class Health(Refusals):
    """What a server has done since it was made."""

    requests: int = 0
    """That were answered, be it with an exception."""
    expired: int = 0
    """Requests that were not answered, since whoever asked has given them up by now."""
    last_request: float | None = None
    """Its time by the loop's clock."""
    asked: dict[tuple[str, int], Asked] = field(default_factory=dict)
    """By client and unit."""
    unmet: dict[tuple[str, int, bytes], int] = field(default_factory=dict)
    """How often a client asked for what a unit does not have, by the request."""

    def take(
        self, client: str, request: Request, now: float, refused: ExceptionCode | None
    ) -> None:
        """Take note of a request, with the exception code where it was refused."""
        who, pdu = (client, request.unit), request.pdu[:5]
        before = self.asked.pop(who, None)
        _make_room(self.asked)
        met_at = before.met_at if before else None
        if refused not in _UNMET:
            met_at = now
        self.asked[who] = Asked(pdu=pdu, at=now, met_at=met_at)
        if refused in _UNMET and refused is not ExceptionCode.GATEWAY_NO_RESPONSE:
            times = self.unmet.pop((*who, pdu), 0)
            _make_room(self.unmet)
            self.unmet[*who, pdu] = times + 1


def _make_room(known: dict[Any, Any]) -> None:
    """Forget what was noted longest ago."""
    while len(known) >= _MOST_KNOWN:
        del known[next(iter(known))]


class _StallWatch:
    """Tells whether the event loop stood still until just now.

    Frames of RTU have no number: an answer that its master has given up waiting for is taken for
    the one to its next request. What the sockets hold after a stall is read before timers run, so
    a tick that is overdue tells that a request may have been waiting there.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._loop = asyncio.get_running_loop()
        self._ticked = math.inf
        self._stalled = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch; may be called again."""
        if self._timer is None:
            self._ticked = self._loop.time()
            self._timer = self._loop.call_later(_TICK_S, self._tick)

    def is_late(self, since: float) -> bool:
        """Return whether nobody waits any more for what was asked at a time of the loop's clock."""
        return self._loop.time() - since > self._longest_s

    @property
    def has_stalled(self) -> bool:
        """Whether what is read now may have been waiting for too long."""
        return self.is_late(self._ticked)

    @property
    def has_just_stalled(self) -> bool:
        """Whether what comes over a connection that is new now may have been waiting for it."""
        return self.has_stalled or self._loop.time() - self._stalled < _TICK_S

    def stop(self) -> None:
        """End watching; may be called again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        if self.has_stalled:
            self._stalled = self._loop.time()
        self._ticked = self._loop.time()
        self._timer = self._loop.call_later(_TICK_S, self._tick)


class _Connection(asyncio.Protocol):
    """One connection, or the line: answers each request as it comes."""

    def __init__(
        self,
        framer: Framer,
        meters: Meters,
        health: Health,
        limits: Limits,
        stalls: _StallWatch,
        *,
        name: str,
        peer: Peer | None = None,
        silence_s: float = 0.0,
    ) -> None:
        """Take what it is called, and on TCP its peer; answers wait for a silence on the line."""
        self._framer = framer
        self._meters = meters
        self._health = health
        self._limits = limits
        self._stalls = stalls
        self._name = name
        self._peer = peer
        self._silence_s = silence_s
        self._loop = asyncio.get_running_loop()
        self.closed = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self._last_bytes = 0.0
        self._foreign_bytes = 0
        self._allowance = float(limits.requests_per_s)
        self._counted_at = self._loop.time()
        self._slowed: asyncio.TimerHandle | None = None
        self._has_waited = stalls.has_just_stalled

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._slowed is not None:
            self._slowed.cancel()
        self.closed.set()

    @override
    def pause_writing(self) -> None:
        self._cut_off("Does not read the answers")

    @override
    def data_received(self, data: bytes) -> None:
        now = self._loop.time()
        if now - self._last_bytes > _LONGEST_GAP_S:
            self._framer.forget()
        self._last_bytes = now
        has_stalled, self._has_waited = self._stalls.has_stalled or self._has_waited, False
        try:
            if has_stalled:
                # What comes next is not what waited: a master asks the same again.
                self._health.expired += sum(1 for _ in self._framer.feed(data))
                self._framer.forget()
            else:
                self._take_all(data)
        except FramingError:
            self._cut_off("No Modbus")

    def _take_all(self, data: bytes) -> None:
        """Answer the requests that are complete now; raises `FramingError`."""
        limits = self._limits
        self._foreign_bytes += len(data)
        requests: Iterable[Request] = self._framer.feed(data)
        if not self._framer.numbered:
            # A master of RTU waits for each answer. It has given up all but the newest, which the
            # network held back, and would take the first answer for that to the newest.
            found = list(requests)
            self._health.expired += len(found[:-1])
            requests = found[-1:]
        for number, request in enumerate(requests):
            if number == limits.requests_at_once:
                self._cut_off(f"More than {limits.requests_at_once} requests at once")
            if self._transport is None:
                return
            self._take(request)
        if self._peer is not None and self._foreign_bytes > limits.foreign_bytes:
            self._cut_off(f"No request in {limits.foreign_bytes} bytes")

    def drop(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def _cut_off(self, why: str) -> None:
        if self._transport is not None:
            self._health.refuse(self._name, why)
            self.drop()

    def _take(self, request: Request) -> None:
        now = self._health.last_request = self._loop.time()
        self._foreign_bytes = 0
        if self._peer is not None:
            self._peer.heard()
            self._peer.standing = 1
            self._peer.kept_until = now + self._limits.kept_s
        self._slow_down(now)
        try:
            pdu = self._answer(request, now)
        except NoAnswerError:
            self._health.refuse(self._name, f"NO_ANSWER: {_text_of(request)}")
            self._health.take(self._name, request, now, None)
            return
        self._health.requests += 1
        frame = self._framer.frame(request, pdu)
        if self._silence_s:
            self._loop.call_at(self._loop.time() + self._silence_s, self._send_in_time, now, frame)
        else:
            self._send(frame)

    def _slow_down(self, now: float) -> None:
        """Read more slowly where requests come too fast.

        Request by request, and not for the rest of a second: a master that has given one up takes
        a late answer for that to the next.
        """
        rate = self._limits.requests_per_s
        gained = (now - self._counted_at) * rate
        self._allowance, self._counted_at = min(rate, self._allowance + gained) - 1, now
        if self._allowance < 1 and self._slowed is None and self._transport is not None:
            self._transport.pause_reading()
            self._slowed = self._loop.call_later((1 - self._allowance) / rate, self._read_on)

    def _answer(self, request: Request, now: float) -> bytes:
        try:
            pdu = self._answer_of(request.unit, request.pdu)
        except RequestRefusedError as err:
            self._health.refuse(self._name, f"{err}: {_text_of(request)}")
            self._health.take(self._name, request, now, err.code)
            return refusal(request.pdu, err.code)
        self._health.take(self._name, request, now, None)
        return pdu

    def _answer_of(self, unit: int, pdu: bytes) -> bytes:
        if (meter := self._meters.get(unit)) is None:
            # As a gateway to a line does for units that are not there.
            raise RequestRefusedError(ExceptionCode.GATEWAY_NO_RESPONSE)
        return answer(pdu, meter)

    def _send_in_time(self, asked_at: float, frame: bytes) -> None:
        """Send an answer, unless the loop stood still since it was asked for."""
        if self._stalls.is_late(asked_at):
            self._health.expired += 1
            return
        self._send(frame)

    def _send(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frame)

    def _read_on(self) -> None:
        self._slowed = None
        if self._transport is not None:
            self._transport.resume_reading()


def _text_of(request: Request) -> str:
    return f"{request.pdu[:5].hex(' ')} of unit {request.unit}"


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
        limits: Limits | None = None,
    ) -> None:
        """Prepare to serve on an IP address."""
        self.health = Health()
        self._meters = meters
        self._framer: Callable[[], Framer] = partial(RtuFramer, meters) if rtu else TcpFramer
        self._limits = limits or Limits()
        self._listener = Listener(
            self._serve,
            host=host,
            port=port,
            refusals=self.health,
            limits=self._limits,
            allowed_networks=allowed_networks,
        )
        self._stalls = _StallWatch(self._limits.stall_s)

    @property
    def clients(self) -> int:
        """The number of connections."""
        return len(self._listener)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._listener.port

    async def start(self) -> None:
        """Listen; raises OSError where the address cannot be had."""
        self._listener.start()
        self._stalls.start()

    async def stop(self) -> None:
        """End all connections; the port is free when this returns. May be called again."""
        await self._listener.stop()
        self._stalls.stop()

    async def _serve(self, peer: Peer) -> None:
        _, connection = await peer.open(
            lambda: _Connection(
                self._framer(),
                self._meters,
                self.health,
                self._limits,
                self._stalls,
                name=str(peer.address),
                peer=peer,
            )
        )
        await connection.closed.wait()


class SerialServer:
    """Serves meters on a serial line, beside others that may be on it."""

    def __init__(
        self,
        meters: Meters,
        *,
        device: str,
        baudrate: int,
        reopen_s: float = _REOPEN_S,
        limits: Limits | None = None,
        **settings: Any,
    ) -> None:
        """Prepare; the settings are those of serialx."""
        self.health = Health()
        self._meters = meters
        self._device = device
        self._reopen_s = reopen_s
        self._settings = {"baudrate": baudrate, **settings}
        # A character is 11 bits: start, eight of data, parity or a second stop, stop.
        self._silence_s = max(_SILENCE_S, 3.5 * 11 / baudrate)
        self._limits = limits or Limits()
        self._line: _Connection | None = None
        self._stalls = _StallWatch(self._limits.stall_s)
        self._task: asyncio.Task[None] | None = None

    @property
    def clients(self) -> int:
        """1 while the line is open."""
        return 0 if self._line is None or self._line.closed.is_set() else 1

    async def start(self) -> None:
        """Open the line; raises OSError where that cannot be."""
        self._task = asyncio.create_task(self._keep_open(await self._open()))

    async def stop(self) -> None:
        """Close the line; others can have it when this returns. May be called again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._line is not None:
            self._line.drop()
            await self._line.closed.wait()
        self._stalls.stop()

    async def _open(self) -> _Connection:
        line = _Connection(
            RtuFramer(self._meters),
            self._meters,
            self.health,
            self._limits,
            self._stalls,
            name=self._device,
            silence_s=self._silence_s,
        )
        try:
            await create_serial_connection(
                asyncio.get_running_loop(), lambda: line, self._device, **self._settings
            )
        except (SerialException, ValueError, termios.error) as err:
            # A device that is no serial line, or cannot do what is asked of it.
            raise OSError(str(err)) from err
        self._stalls.start()
        self._line = line
        return line

    async def _keep_open(self, line: _Connection) -> None:
        while True:
            await line.closed.wait()
            _LOGGER.warning("%s is lost", self._device)
            line = await self._reopened()
            _LOGGER.info("%s is back", self._device)

    async def _reopened(self) -> _Connection:
        while True:
            await asyncio.sleep(self._reopen_s)
            try:
                return await self._open()
            except OSError as err:
                _LOGGER.debug("%s cannot be opened: %s", self._device, err)
