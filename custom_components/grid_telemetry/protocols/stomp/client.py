"""STOMP client over an aiohttp WebSocket.

The servers it was made for are RabbitMQ web-STOMP and its like; what they do beside the
specification is said where it matters.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import itertools
import logging
from math import inf
import socket
import ssl as tls
from typing import Final, Literal, NoReturn

import aiohttp

from .errors import (
    StompAuthenticationError,
    StompConnectError,
    StompConnectionLost,
    StompDestinationError,
    StompError,
    StompHostError,
    StompProtocolError,
    StompServerError,
    StompTransportError,
    TransportFailure,
)
from .frames import Decoder, Frame, Heartbeat, StompVersion, encode
from .websocket import (
    WebSocket,
    close_websocket,
    cut,
    open_websocket,
    peer_address,
    receive,
)

_LOGGER = logging.getLogger(__name__)

# How long a goodbye may take: the receipts still due, DISCONNECT and its receipt.
_GOODBYE_S: Final = 2.0
# A server that does not read for so many heart-beats is given up.
_STALL_BEATS: Final = 3
# RabbitMQ web-STOMP throttles a sender that is 400 messages ahead of it, counted in steps of 200.
# Where heart-beats were agreed on it then may cut the connection in place of letting it go on (met
# with 3.10.8, still in the source of 2025).
_MAX_UNCONFIRMED: Final = 200
# A beat is sent this much earlier than due, for the way to the server.
_BEAT_EARLY: Final = 0.75
_MAX_TEXT: Final = 500
_VERSIONS: Final[tuple[StompVersion, ...]] = ("1.0", "1.1", "1.2")
_DESTINATION_ERRORS: Final = frozenset(
    {
        "not_found",
        "access_refused",
        "Invalid destination",
        "Unknown destination",
        "Missing destination",
    }
)


@dataclass(frozen=True, kw_only=True)
class StompParameters:
    """Where and as whom to connect."""

    url: str
    host: str
    """The virtual host."""
    login: str
    passcode: str = field(repr=False)
    heartbeat_s: float = 20.0
    connect_timeout_s: float = 15.0
    ssl: tls.SSLContext | Literal[True] = True
    """True verifies as the session does; there is no way not to verify."""


async def connect(
    session: aiohttp.ClientSession,
    parameters: StompParameters,
    check_peer: Callable[[str], None] = lambda _: None,
) -> StompConnection:
    """Connect and log in; `check_peer` may refuse the server's address before anything is said.

    What `check_peer` raises comes out as it is.
    Raises StompTransportError, StompConnectionLost, StompProtocolError, and StompConnectError
    with its StompAuthenticationError and StompHostError. The caller owns what is returned and
    must close it.
    """
    try:
        async with asyncio.timeout(parameters.connect_timeout_s):
            websocket = await open_websocket(session, parameters.url, parameters.ssl)
            decoder = Decoder()
            try:
                check_peer(peer_address(websocket))
                connected = await _log_in(websocket, decoder, parameters)
                return StompConnection(websocket, decoder, connected, parameters.heartbeat_s)
            except BaseException as err:
                # After a refused CONNECT RabbitMQ leaves the WebSocket open.
                await close_websocket(websocket, err)
                raise
    except TimeoutError as err:
        raise StompTransportError(
            TransportFailure.TIMEOUT, f"no answer within {parameters.connect_timeout_s:g} s"
        ) from err


def _connect_value(text: str) -> str:
    """Escape the backslash in a header of CONNECT.

    The specification wants no escapes in CONNECT; RabbitMQ reads them all the same, and closes
    over a backslash that is none.
    """
    return text.replace("\\", "\\\\")


async def _log_in(websocket: WebSocket, decoder: Decoder, parameters: StompParameters) -> Frame:
    beat = round(parameters.heartbeat_s * 1000)
    request = Frame(
        "CONNECT",
        {
            "accept-version": ",".join(_VERSIONS),
            "host": _connect_value(parameters.host),
            "login": _connect_value(parameters.login),
            "passcode": _connect_value(parameters.passcode),
            "heart-beat": f"{beat},{beat}",
        },
    )
    try:
        await websocket.send_frame(encode(request), aiohttp.WSMsgType.TEXT)
    except (aiohttp.ClientError, OSError) as err:
        raise StompConnectionLost(f"lost while logging in: {err}") from err
    while True:
        for item in decoder.feed(await receive(websocket)):
            if isinstance(item, Heartbeat):
                continue
            if item.command == "CONNECTED":
                return item
            if item.command == "ERROR":
                raise _connect_error(item, parameters.passcode)
            raise StompProtocolError(f"{item.command} in answer to CONNECT")


def _error_text(frame: Frame) -> tuple[str, str]:
    body = frame.body[: 4 * _MAX_TEXT].decode(errors="replace").strip()
    return frame.headers.get("message", "")[:_MAX_TEXT], body[:_MAX_TEXT]


def _connect_error(frame: Frame, passcode: str) -> StompConnectError:
    message, body = _error_text(frame)
    if passcode:
        # An ERROR may quote the frame that it is about.
        message, body = message.replace(passcode, "**"), body.replace(passcode, "**")
    if body.startswith(("Access refused", "Missing login or passcode")):
        return StompAuthenticationError(message, body)
    if body.startswith("Virtual host"):
        return StompHostError(message, body)
    return StompConnectError(message, body)


def _server_beat_s(connected: Frame) -> float:
    """Return how often the server can show life; 0 is never."""
    text, _, _ = connected.headers.get("heart-beat", "0,0").partition(",")
    if not (text.isascii() and text.isdecimal()):
        raise StompProtocolError("heart-beat of CONNECTED is not two numbers")
    return int(text) / 1000


def _version(connected: Frame) -> StompVersion:
    version = connected.headers.get("version", "1.0")
    for known in _VERSIONS:
        if version == known:
            return known
    raise StompProtocolError("CONNECTED with a version that was not offered")


class StompConnection:
    """A connection that is logged in.

    An ERROR frame always ends it, also those after which RabbitMQ would go on: it has no receipt
    id, so nobody can tell which message was refused, and a message that is neither confirmed nor
    refused must go out again.
    """

    def __init__(
        self, websocket: WebSocket, decoder: Decoder, connected: Frame, heartbeat_s: float
    ) -> None:
        """Take over a WebSocket right after CONNECTED."""
        self.server = connected.headers.get("server", "")
        """What the server calls itself."""
        self.version = decoder.version = _version(connected)
        server_beat_s = _server_beat_s(connected)
        # Beats go out whether the server wants them or not: Cowboy, under RabbitMQ, closes a
        # WebSocket on which the client was silent for 60 s.
        self._beat_s = heartbeat_s * _BEAT_EARLY
        self._silence_s = 2 * max(server_beat_s, heartbeat_s) if server_beat_s else inf
        self._stall_s = heartbeat_s * _STALL_BEATS
        self._websocket = websocket
        self._socket: socket.socket | None = websocket.get_extra_info("socket")
        self._decoder = decoder
        self._loop = asyncio.get_running_loop()
        self._heard = self._wrote = self._loop.time()
        self._write_lock = asyncio.Lock()
        self._receipt_ids = itertools.count(1)
        self._receipts: dict[str, asyncio.Future[None]] = {}
        self._room = asyncio.Event()
        self._reason: StompError | None = None
        self._closing = False
        self._closed = asyncio.Event()
        self._task = self._loop.create_task(self._run(), name="stomp connection")

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return not self._closing and self._reason is None

    async def wait_closed(self) -> StompError | None:
        """Wait for the end and return why; None when it was `close`. Safe to cancel."""
        await self._closed.wait()
        return self._reason

    async def send(
        self, destination: str, headers: Mapping[str, str], body: bytes | str
    ) -> asyncio.Future[None]:
        """Write a SEND and return the future of its receipt.

        The future fails with what ended the connection. Waits while the server does not read,
        or while 200 messages have no receipt; when that lasts longer than three heart-beats the
        connection is given up. Cancelled while it waits, the message may have been sent.
        Raises what ended the connection, and ValueError for headers that STOMP cannot carry or
        a body that is not UTF-8.
        """
        if isinstance(body, str):
            body = body.encode()
        else:
            body.decode()  # a text message of a WebSocket must be UTF-8
        while len(self._receipts) >= _MAX_UNCONFIRMED and self.is_open:
            await self._wait_for_receipt()
        return await self._request(
            "SEND",
            {"destination": destination, **headers, "content-length": str(len(body))},
            body,
        )

    async def _wait_for_receipt(self) -> None:
        self._room.clear()
        try:
            async with asyncio.timeout(self._stall_s):
                await self._room.wait()
        except TimeoutError as err:
            self._give_up(f"no receipt for {self._stall_s:g} s", err)

    async def close(self) -> None:
        """Wait briefly for the receipts still due, say goodbye and close.

        May be called again, and after the connection has ended by itself.
        """
        try:
            if self.is_open:
                self._closing = True
                await self._say_goodbye()
        finally:
            self._closing = True
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _say_goodbye(self) -> None:
        try:
            async with asyncio.timeout(_GOODBYE_S):
                if self._receipts:
                    await asyncio.wait(self._receipts.values(), timeout=_GOODBYE_S / 2)
                # RabbitMQ before 3.10.14 closes without this receipt, so the end will do too.
                await asyncio.wait({await self._request("DISCONNECT", {}, b"")})
        except TimeoutError:
            cut(self._socket)
        except StompError as err:
            _LOGGER.debug("Lost while closing: %s", err)

    async def _request(
        self, command: str, headers: Mapping[str, str], body: bytes
    ) -> asyncio.Future[None]:
        """Write a frame with a receipt id and return the future of the receipt."""
        async with self._write_lock:
            if not self.is_open and not (self._closing and command == "DISCONNECT"):
                raise self._reason or StompConnectionLost("the connection is closed")
            receipt_id = str(next(self._receipt_ids))
            data = encode(Frame(command, {**headers, "receipt": receipt_id}, body), self.version)
            receipt = self._receipts[receipt_id] = self._loop.create_future()
            await self._write(data)
        return receipt

    async def _write(self, data: bytes) -> None:
        self._wrote = self._loop.time()
        try:
            async with asyncio.timeout(self._stall_s):
                await self._websocket.send_frame(data, aiohttp.WSMsgType.TEXT)
        except TimeoutError as err:
            cut(self._socket)
            self._give_up(f"the server did not read for {self._stall_s:g} s", err)
        except (aiohttp.ClientError, OSError) as err:
            self._give_up(f"lost while writing: {err}", err)

    def _give_up(self, text: str, cause: Exception) -> NoReturn:
        """End the connection from wherever it was found to be lost."""
        error = StompConnectionLost(text)
        if self.is_open:
            self._reason = error
            self._task.cancel()
        raise self._reason or error from cause

    async def _run(self) -> None:
        """Live until the server, the network or `close` ends the connection."""
        reason: StompError = StompConnectionLost("the connection was ended")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read())
                group.create_task(self._beat())
        except* StompError as errors:
            reason = next(error for error in errors.exceptions if isinstance(error, StompError))
        finally:
            if self.is_open:
                self._reason = reason
            self._fail_receipts()
            self._closed.set()
            await close_websocket(self._websocket, reason)

    def _fail_receipts(self) -> None:
        receipts, self._receipts = self._receipts, {}
        self._room.set()
        for receipt in receipts.values():
            if not receipt.done():
                receipt.set_exception(
                    self._reason or StompConnectionLost("closed before the receipt came")
                )
                receipt.exception()  # it is no fault when nobody asks for it

    async def _read(self) -> NoReturn:
        data = b""  # what came together with CONNECTED is still in the decoder
        while True:
            for item in self._decoder.feed(data):
                if isinstance(item, Frame):
                    self._take(item)
            data = await receive(self._websocket)
            self._heard = self._loop.time()

    def _take(self, frame: Frame) -> None:
        match frame.command:
            case "RECEIPT":
                receipt = self._receipts.pop(frame.headers.get("receipt-id", ""), None)
                self._room.set()
                if receipt is None:
                    _LOGGER.debug("A receipt that nothing waits for: %r", frame)
                elif not receipt.done():
                    receipt.set_result(None)
            case "ERROR":
                message, body = _error_text(frame)
                if message in _DESTINATION_ERRORS:
                    raise StompDestinationError(message, body)
                raise StompServerError(message, body)
            case _:
                raise StompProtocolError(f"{frame.command} from the server, without cause")

    async def _beat(self) -> NoReturn:
        """Show life while nothing else is written, and watch for life of the server."""
        while True:
            now = self._loop.time()
            if now - self._heard >= self._silence_s:
                cut(self._socket)
                raise StompConnectionLost(f"the server was silent for {self._silence_s:g} s")
            if now - self._wrote >= self._beat_s and not self._write_lock.locked():
                async with self._write_lock:
                    await self._write(b"\n")
            await asyncio.sleep(
                min(
                    max(self._wrote + self._beat_s - now, self._beat_s / 10),
                    max(self._heard + self._silence_s - now, 0),
                )
            )
