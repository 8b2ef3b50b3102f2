"""One client of a setup server: what it says, in order, and what it is answered.

Texts of errors are those that SolarNode sends, to the letter: clients compare them.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
import itertools
import logging
from math import inf
from typing import Final, Protocol
from uuid import uuid4

from ...listener import READ_BYTES, Peer
from .. import sns
from ..frames import Decoder, Frame, Heartbeat, encode, undo_escapes
from ..headers import RESERVED_HEADERS
from ..reply import Json, Reply, Status
from .guard import Guard
from .limits import Health, Limits
from .live_datum import DESTINATION as LIVE, Reading, Streams
from .login import Credentials, Refusal, WrongGuess, check
from .routes import Routes
from .task_limiter import TaskLimiter

_LOGGER = logging.getLogger(__name__)

_JSON: Final = "application/json;charset=utf-8"
# So long frames of one client are dealt with in one go; others are to get their turn.
_TURN_S: Final = 0.0005
_SETTLED_BYTES: Final = 64 * 1024
_GOODBYE_S: Final = 2.0
_GOODBYE_BYTES: Final = 1024 * 1024
_MAX_DESTINATION: Final = 255

# A stale length would have the client wait for a body; secrets need not travel back.
_NO_ECHO: Final = frozenset(
    {"content-length", "message", "status", "authorization", "passcode", "password"}
)


class Stage(IntEnum):
    """How far a client has come."""

    ACCEPTED = 0
    CONNECTED = 1
    WAITING = 2
    """To have its log-in looked at."""
    AUTHENTICATED = 3


class Services(Protocol):
    """What a setup server is there for."""

    async def command(
        self, destination: str, parameters: Mapping[str, str], body: str | None
    ) -> Reply:
        """Answer a command; never raises."""

    def encode(self, result: Json) -> bytes:
        """Return a result as JSON on one line; raises TypeError or ValueError where it is none."""

    def latest(self, source_id: str) -> Reading | None:
        """Return the latest readings of a source, None while there are none."""


class Shared(Protocol):
    """What the sessions of a server share."""

    credentials: Credentials
    guard: Guard
    limits: Limits
    health: Health
    services: Services
    turns: asyncio.Semaphore
    """For the commands of all clients together."""

    def run(self, task: asyncio.Task[None]) -> None:
        """Look after a task."""

    def streams(self) -> int:
        """Return how many streams of live datum there are."""


class Session:
    """A connection from its first byte to its last."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        peer: Peer,
        shared: Shared,
    ) -> None:
        self._peer = peer
        self._stage = Stage.ACCEPTED
        self._reader, self._writer = reader, writer
        self._shared = shared
        limits = shared.limits
        self._decoder = Decoder(
            max_header_bytes=limits.header_bytes,
            max_headers=limits.headers,
            max_body_bytes=limits.body_bytes,
            lenient=True,
        )
        self._escapes_twice = False
        self._routes = Routes()
        self._message_ids = itertools.count()
        self._tasks = TaskLimiter(limits.commands + limits.waiting_commands)
        self._turns = asyncio.Semaphore(limits.commands)
        self._loop = asyncio.get_running_loop()
        self.streams = Streams(shared.services.latest, shared.streams)
        self._limit = asyncio.timeout(limits.unauthenticated_s)
        self._ended = False

    async def serve(self) -> None:
        """Take frames until the client ends, or is to be ended.

        Raises Refusal and StompProtocolError for what the client did, TimeoutError for what it
        did not do in time, and OSError when it has gone.
        """
        due: float | None = None  # when the frame that has begun is to be complete
        async with self._limit:
            while not self._ended and (data := await _received(self._reader)):
                self._peer.heard()
                if due is not None:
                    # What we take our time for is not the client's.
                    self._limit.reschedule(None)
                took = await self._take_all(data)
                if self._is_full:
                    await self._settle()
                if self._stage is not Stage.AUTHENTICATED:
                    continue
                if not self._decoder.pending:
                    due = None
                elif took or due is None:
                    due = self._loop.time() + self._shared.limits.frame_s
                if due is not None:
                    self._limit.reschedule(due)

    async def _take_all(self, data: bytes) -> bool:
        """Take the frames that are complete by now; return whether there were any."""
        took = False
        turn_end = self._loop.time() + _TURN_S
        for item in self._decoder.feed(data):
            if isinstance(item, Heartbeat):
                continue
            took = True
            await self._take(item)
            if self._ended:
                break
            if self._loop.time() > turn_end:
                await asyncio.sleep(0)
                turn_end = self._loop.time() + _TURN_S
        return took

    async def _take(self, frame: Frame) -> None:
        if self._escapes_twice:
            plain = {name: undo_escapes(value) for name, value in frame.headers.items()}
            frame = Frame(frame.command, plain, frame.body)
        headers = frame.headers
        match frame.command:
            case "CONNECT" | "STOMP" if self._stage is Stage.ACCEPTED:
                await self._connect(headers)
            case _ if self._stage is Stage.ACCEPTED:
                raise Refusal("Must start with CONNECT or STOMP frame.")
            case "CONNECT" | "STOMP":
                raise Refusal("Already connected.")
            case "SEND":
                await self._take_send(frame)
            case "SUBSCRIBE":
                self._subscribe(headers)
            case "UNSUBSCRIBE":
                self._unsubscribe(headers)
            case "DISCONNECT":
                self._confirm(headers)
                self._ended = True
            case _:
                raise Refusal("Unsupported STOMP command")

    async def _connect(self, headers: Mapping[str, str]) -> None:
        if not (login := headers.get("login")):
            raise Refusal("The login header is required.")
        credentials = self._shared.credentials
        if login != credentials.login:
            await self._wait(known_login=False)
            self._failed(known_login=False)
            raise Refusal("Unauthorized.")
        self._reached(Stage.CONNECTED)
        self._send(
            "CONNECTED",
            {
                "version": "1.2",
                "server": "SolarNode-Setup/1.0.0",
                "session": str(uuid4()),
                "message": "Please authenticate.",
                "authenticate": sns.SCHEME,
                "auth-hash": "bcrypt",
                "auth-hash-param-salt": credentials.salt,
            },
        )

    async def _authenticate(self, headers: Mapping[str, str]) -> None:
        self._reached(Stage.WAITING)
        await self._wait(known_login=True)
        # A date has colons: where they are still escaped, the client's library has escaped what
        # the client had escaped already, and does so with every frame.
        self._escapes_twice = "\\c" in headers.get("date", "")
        if self._escapes_twice:
            headers = {name: undo_escapes(value) for name, value in headers.items()}
        shared = self._shared
        try:
            check(headers, shared.credentials, shared.guard, self._peer.address)
        except WrongGuess:
            self._failed(known_login=True)
            raise
        self._reached(Stage.AUTHENTICATED)
        # Strangers are not to put out who knows the password.
        self._peer.kept_until = inf
        self._limit.reschedule(None)
        self._confirm(headers)

    def _reached(self, stage: Stage) -> None:
        self._stage = self._peer.standing = stage

    async def _wait(self, *, known_login: bool) -> None:
        """Wait until a guess from there is looked at."""
        guard = self._shared.guard
        delay = guard.delay_s(self._peer.address, known_login=known_login, now=self._loop.time())
        if delay:
            await self._peer.pause(delay)

    def _failed(self, *, known_login: bool) -> None:
        guard = self._shared.guard
        if guard.failed(self._peer.address, known_login=known_login, now=self._loop.time()):
            what = "password" if known_login else "login"
            _LOGGER.warning("Wrong %s in a setup client's log-in from %s", what, self._peer.address)

    def _check_authenticated(self) -> None:
        if self._stage is not Stage.AUTHENTICATED:
            raise Refusal("Not authorized.")

    def _subscribe(self, headers: Mapping[str, str]) -> None:
        self._check_authenticated()
        if not (subscription := headers.get("id")):
            raise Refusal("Missing id header.")
        destination = _destination(headers)
        if destination == LIVE:
            self._confirm(headers)
            self.streams.start(subscription, headers, self._send_live)
            return
        self._routes.add(subscription, destination)
        if len(self._routes) > self._shared.limits.subscriptions:
            raise Refusal("Too many subscriptions.")
        self._confirm(headers)

    def _unsubscribe(self, headers: Mapping[str, str]) -> None:
        self._check_authenticated()
        if not (subscription := headers.get("id")):
            raise Refusal("Missing id header.")
        self._routes.remove(subscription)
        self.streams.stop(subscription)
        self._confirm(headers)

    def _confirm(self, headers: Mapping[str, str]) -> None:
        if receipt := headers.get("receipt"):
            self._send("RECEIPT", {"receipt-id": receipt})

    async def _take_send(self, frame: Frame) -> None:
        headers = frame.headers
        destination = _destination(headers)
        if destination == sns.AUTHENTICATE and self._stage is not Stage.AUTHENTICATED:
            await self._authenticate(headers)
            return
        self._check_authenticated()
        if self._tasks.is_full:
            await self._tasks.vacancy()
        self._confirm(headers)
        task = asyncio.Task(self._command(destination, frame), loop=self._loop, eager_start=True)
        # It has begun, and most are over by now.
        if not task.done():
            self._tasks.add(task)
            self._shared.run(task)

    async def _command(self, destination: str, frame: Frame) -> None:
        """Have a command answered in its turn; it is carried out also when the client has gone."""
        self._shared.health.commands += 1
        async with self._turns, self._shared.turns:
            await self._answer(destination, frame)

    async def _answer(self, destination: str, frame: Frame) -> None:
        parameters = {
            name: value for name, value in frame.headers.items() if name not in RESERVED_HEADERS
        }
        body = frame.body.decode(errors="replace") if frame.body else None
        if destination == sns.AUTHENTICATE:
            # It is no command, and the headers of a log-in are for nobody else.
            reply = Reply(status=Status.UNKNOWN)
        else:
            reply = await self._shared.services.command(destination, parameters, body)
        self._reply(destination, frame.headers, reply)
        if self._is_full:
            with suppress(OSError):
                # Who does not read gets nothing more to do either.
                await self._settle()

    def _reply(self, destination: str, request: Mapping[str, str], reply: Reply) -> None:
        """Send a reply to each subscription to its destination."""
        if not (subscriptions := self._routes.to(destination)):
            return
        status, message, body = reply.status, reply.message, None
        try:
            if reply.result is not None:
                body = self._shared.services.encode(reply.result)
        except (TypeError, ValueError) as err:
            status, message = Status.FAILED, f"Error encoding message body as JSON: {err}"
        headers = {name: value for name, value in request.items() if name not in _NO_ECHO}
        headers["status"] = str(int(status))
        if message is not None:
            headers["message"] = message.replace("\0", "")
        for subscription in subscriptions:
            self._message(subscription, headers, body)

    def _message(self, subscription: str, headers: Mapping[str, str], body: bytes | None) -> None:
        full = {
            **headers,
            "subscription": subscription,
            "message-id": str(next(self._message_ids)),
        }
        if body is not None:
            full["content-type"] = _JSON
            full["content-length"] = str(len(body))
        self._send("MESSAGE", full, body or b"")

    def _send(self, command: str, headers: Mapping[str, str], body: bytes = b"") -> None:
        if not self._writer.is_closing():
            self._writer.write(encode(Frame(command, headers, body)))

    def _send_live(self, subscription: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Send live datum, or the status of a stream; return whether it was taken.

        Datum is not for a client that has not read what it was sent before.
        """
        if body and self._writer.transport.get_write_buffer_size():
            return False
        self._message(subscription, headers, body or None)
        return True

    @property
    def _is_full(self) -> bool:
        """Return whether much of what was sent was not read yet."""
        return self._writer.transport.get_write_buffer_size() >= _SETTLED_BYTES

    async def _settle(self) -> None:
        """Wait until the client has read most of what was sent; raises OSError if it does not."""
        try:
            async with asyncio.timeout(self._shared.limits.stall_s):
                await _drained(self._writer)
        except TimeoutError as err:
            self._writer.transport.abort()
            raise ConnectionAbortedError("does not read") from err

    def refuse(self, why: str) -> None:
        """Tell the client why it is not served any more."""
        self._send("ERROR", {"message": why})

    async def goodbye(self) -> None:
        """Close the connection, but let the last answer get away.

        What the client still sends is read and dropped for a moment: were it left in the socket,
        the client's end would throw the answer away.
        """
        self.streams.stop_all()
        writer = self._writer
        try:
            async with asyncio.timeout(_GOODBYE_S):
                if writer.can_write_eof():
                    writer.write_eof()
                    for _ in range(_GOODBYE_BYTES // READ_BYTES):
                        if not await _received(self._reader):
                            break
                writer.close()
                await _closed(writer)
        except OSError:
            writer.transport.abort()

    def close_streams(self) -> None:
        """End the streams, and tell why."""
        self.streams.close(self._send_live)

    def drop(self) -> None:
        """End the connection at once; its task then ends by itself.

        To cancel it would leave what only the garbage collector can clear up.
        """
        self.streams.stop_all()
        self._writer.transport.abort()


def _destination(headers: Mapping[str, str]) -> str:
    """Return where a frame goes to; to match a long one with a long pattern would take long."""
    if not (destination := headers.get("destination")):
        raise Refusal("Missing destination header.")
    if len(destination) > _MAX_DESTINATION:
        raise Refusal("The destination header is too long.")
    return destination


# A stream keeps the error that ended it, and with its traceback every frame it went through. In
# functions of their own those are few: what many short connections leave would else be whole
# sessions that wait for the garbage collector, which then holds the event loop up.


async def _received(reader: asyncio.StreamReader) -> bytes:
    """Return what came, nothing when the connection has ended in whatever way."""
    try:
        return await reader.read(READ_BYTES)
    except OSError:
        return b""


async def _drained(writer: asyncio.StreamWriter) -> None:
    """Wait until most of what was sent was read, or the connection has ended."""
    with suppress(OSError):
        await writer.drain()


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Wait until the connection has ended in whatever way."""
    with suppress(OSError):
        await writer.wait_closed()
