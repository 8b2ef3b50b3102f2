"""A session with a node's setup server: logged in, commands out, replies and live datum in."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
import itertools
import re
import time
from typing import Final, NoReturn

from ...connection.errors import (
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
    LinkError,
)
from ...connection.traffic import Direction, Message, Traffic
from ...protocols.stomp import sns
from ...protocols.stomp.errors import (
    StompError,
    StompLimitError,
    StompProtocolError,
    StompTransportError,
    TransportFailure,
)
from ...protocols.stomp.frames import Frame, undo_escapes
from ...protocols.stomp.reply import Reply, result_of
from ...protocols.stomp.tcp import TcpStream
from .const import COMMAND_WITHIN_S
from .payload import LiveMessage

LIMIT_REASON: Final = "solarnode_reply_too_large"
LIVE_DESTINATION: Final = "/setup/datum/live"
MAX_BODY_BYTES: Final = 4096
MAX_LINE_BYTES: Final = 1024
"""Beyond these limits of a body and of a header line, a node closes without a word."""

_LOGIN_WITHIN_S: Final = 15.0
_STALL_S: Final = 15.0
_ALL_SETUP: Final = "/setup/**"
_MAX_SUBSCRIPTIONS: Final = 16
_SALT: Final = re.compile(r"\$2[abxy]\$(?P<cost>\d{2})\$.{22}")
# What 10 takes 60 ms for, takes 16 a few seconds, and 31 a day.
_MAX_COST: Final = 16
_TRANSPORT_ERRORS: Final = {
    TransportFailure.DNS: "solarnode_unknown_host",
    TransportFailure.TIMEOUT: "solarnode_timeout",
}

type TakeLive = Callable[[LiveMessage], None]


@dataclass(frozen=True, kw_only=True)
class NodeParameters:
    """Where the node is, and as whom to log in."""

    host: str
    port: int
    login: str
    password: str = field(repr=False)


class NoAnswer(Exception):  # noqa: N818 - named after what happened
    """A command to which no reply came; the node may have carried it out."""


@asynccontextmanager
async def open_session(
    parameters: NodeParameters, traffic: Traffic | None = None
) -> AsyncIterator[NodeSession]:
    """Connect and log in; the login is never part of the traffic.

    A node says nothing when the login is right, so a refusal is told by the first command.
    Raises a `LinkError`.
    """
    try:
        stream = await TcpStream.open(parameters.host, parameters.port, stall_s=_STALL_S)
    except StompTransportError as err:
        key = _TRANSPORT_ERRORS.get(err.kind, "solarnode_cannot_connect")
        raise ConnectionFailed(key, str(err)) from err
    try:
        try:
            async with asyncio.timeout(_LOGIN_WITHIN_S):
                server = await _log_in(stream, parameters)
        except TimeoutError as err:
            raise ConnectionFailed("solarnode_timeout", "no answer to CONNECT") from err
        except StompError as err:
            raise _lost(err) from err
        session = NodeSession(stream, server, traffic or Traffic())
        try:
            yield session
        finally:
            await session.stop()
    finally:
        await stream.close()


async def _log_in(stream: TcpStream, parameters: NodeParameters) -> str:
    """Send the login and return what the server calls itself."""
    await stream.write(
        Frame(
            "CONNECT",
            {"accept-version": "1.2", "host": parameters.host, "login": parameters.login},
        )
    )
    connected = await stream.read()
    if connected.command == "ERROR":
        raise _refusal(connected)
    headers = connected.headers
    salt = _SALT.fullmatch(headers.get("auth-hash-param-salt", ""))
    if (
        connected.command != "CONNECTED"
        or headers.get("authenticate") != sns.SCHEME
        or headers.get("auth-hash") != "bcrypt"
        or salt is None
        or int(salt["cost"]) > _MAX_COST
    ):
        raise ConnectionFailed("solarnode_wrong_protocol", f"{connected.command} without SNS")
    try:
        password_hash = await asyncio.to_thread(sns.hash_password, parameters.password, salt[0])
    except ValueError as err:
        raise ConnectionFailed("solarnode_wrong_protocol", f"bcrypt: {err}") from err
    await stream.write(
        Frame("SEND", sns.authenticate(parameters.login, password_hash, datetime.now(UTC))),
        Frame("SUBSCRIBE", {"id": "0", "destination": _ALL_SETUP}),
    )
    return headers.get("server", "")


class NodeSession:
    """A connection that is logged in, if the node accepts that."""

    def __init__(self, stream: TcpStream, server: str, traffic: Traffic) -> None:
        """Take over a connection on which the login was sent."""
        self.server = server
        """What the node calls itself."""
        self._stream = stream
        self._traffic = traffic
        self._request_ids = itertools.count(1)
        self._live_ids = itertools.count(1)
        self._pending: dict[str, asyncio.Future[Reply]] = {}
        self._receipts: dict[str, asyncio.Future[None]] = {}
        self._live: dict[str, TakeLive] = {}
        self._subscribed: dict[str, str] = {}  # ids by destination, the oldest first
        self._end: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name="SolarNode session")

    async def stop(self) -> None:
        """End to listen; the connection is its owner's."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def closed(self) -> NoReturn:
        """Wait for the end of the connection and raise the `LinkError` that says why."""
        raise await asyncio.shield(self._end)

    async def command(
        self,
        destination: str,
        headers: Mapping[str, str] | None = None,
        body: str = "",
        *,
        within_s: float = COMMAND_WITHIN_S,
    ) -> Reply:
        """Send a command and return the reply.

        Raises NoAnswer, a `LinkError` when the connection ends before the reply came, and
        ValueError for what STOMP cannot carry.
        """
        # The colon comes back escaped where the node escapes twice; so that is told apart.
        request_id = f"ha:{next(self._request_ids)}"
        frames = []
        if not destination.startswith("/setup/") and destination not in self._subscribed:
            # Without a subscription that matches, there is no reply.
            frames.append(self._subscription_to(destination))
        # No content-length: nodes echo it, even in front of a reply without a body.
        send = Frame(
            "SEND",
            {"destination": destination, "request-id": request_id, **(headers or {})},
            body.encode(),
        )
        frames.append(send)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pending[request_id] = reply
        try:
            async with asyncio.timeout(within_s):
                await self._write(*frames)
                noted = self._note(Direction.OUT, send, "")
                began = time.monotonic()
                answer = await reply
                if noted is not None:
                    noted.confirmed_s = time.monotonic() - began
                return answer
        except TimeoutError as err:
            raise NoAnswer(f"{destination}: no answer within {within_s:g} s") from err
        finally:
            self._pending.pop(request_id, None)
            reply.cancel()

    def _subscription_to(self, destination: str) -> Frame:
        """Return the frame that subscribes, in place of the oldest one if there are many."""
        if len(self._subscribed) < _MAX_SUBSCRIPTIONS:
            key = str(len(self._subscribed) + 1)
        else:
            key = self._subscribed.pop(next(iter(self._subscribed)))
        self._subscribed[destination] = key
        return Frame("SUBSCRIBE", {"id": key, "destination": destination})

    async def subscribe_live(
        self, source: str, interval_s: float, take: TakeLive, *, within_s: float
    ) -> str | None:
        """Subscribe to the live datum of a source; None where the node does not know that.

        A node that does not know it says nothing at all. Raises a `LinkError`.
        """
        live_id = f"live-{next(self._live_ids)}"
        receipt: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._receipts[live_id] = receipt
        self._live[live_id] = take
        try:
            async with asyncio.timeout(within_s):
                subscribe = Frame(
                    "SUBSCRIBE",
                    {
                        "id": live_id,
                        "destination": LIVE_DESTINATION,
                        "source-id": source,
                        "interval": str(round(interval_s * 1000)),
                        "receipt": live_id,
                    },
                )
                await self._write(subscribe)
                self._note(Direction.OUT, subscribe, source)
                await receipt
        except TimeoutError:
            del self._live[live_id]
            return None
        finally:
            self._receipts.pop(live_id, None)
            receipt.cancel()
        return live_id

    async def unsubscribe_live(self, live_id: str) -> None:
        """End a live subscription, which a node that has receipts knows too."""
        if self._live.pop(live_id, None) is not None:
            await self._write(Frame("UNSUBSCRIBE", {"id": live_id}))

    def _note(self, direction: Direction, frame: Frame, about: str) -> Message | None:
        """Keep a frame with its headers, as far as somebody looks."""
        if not self._traffic.watched:
            return None
        told = "".join(f"{name}:{value}\n" for name, value in frame.headers.items())
        body = frame.body.decode(errors="replace")
        kind = frame.headers.get("destination", frame.command)
        return self._traffic.note(direction, kind, about, f"{told}\n{body}")

    async def _write(self, *frames: Frame) -> None:
        if self._end.done():
            raise self._end.result()
        try:
            await self._stream.write(*frames)
        except StompError as err:
            # The reader may know better why, from an ERROR that came before the end.
            self._finish(_lost(err))
            raise self._end.result() from err

    async def _run(self) -> None:
        try:
            while True:
                self._take(await self._stream.read())
        except StompError as err:
            self._finish(_lost(err))
        except LinkError as err:
            self._finish(err)
        finally:
            self._finish(ConnectionFailed("connection_lost", "closed by us"))

    def _finish(self, error: LinkError) -> None:
        if self._end.done():
            return
        self._end.set_result(error)
        waiting: list[asyncio.Future[Reply] | asyncio.Future[None]] = [
            *self._pending.values(),
            *self._receipts.values(),
        ]
        for future in waiting:
            if not future.done():
                future.set_exception(error)
                future.exception()  # it is no fault when nobody asks for it

    def _take(self, frame: Frame) -> None:
        match frame.command:
            case "MESSAGE":
                self._take_message(frame)
            case "RECEIPT":
                receipt = self._receipts.get(frame.headers.get("receipt-id", ""))
                if receipt is not None and not receipt.done():
                    receipt.set_result(None)
            case "ERROR":
                raise _refusal(frame)
            case command:
                raise ConnectionFailed("solarnode_wrong_protocol", f"unexpected {command}")

    def _take_message(self, frame: Frame) -> None:
        headers = frame.headers
        self._note(Direction.IN, frame, headers.get("status", ""))
        if (take := self._live.get(headers.get("subscription", ""))) is not None:
            take(
                LiveMessage(
                    status=_status(headers),
                    message=headers.get("message"),
                    body=frame.body.decode(errors="replace"),
                )
            )
            return
        request_id = headers.get("request-id", "")
        if request_id not in self._pending:
            headers = {name: undo_escapes(value) for name, value in headers.items()}
            request_id = headers.get("request-id", "")
        # It is absent too where the answer came too late, or once more for another subscription.
        reply = self._pending.get(request_id)
        if reply is not None and not reply.done():
            reply.set_result(
                Reply(
                    status=_status(headers),
                    message=headers.get("message"),
                    result=result_of(frame.body.decode(errors="replace")),
                )
            )


def _status(headers: Mapping[str, str]) -> int:
    """Return the status; 0 where there is none."""
    status = headers.get("status", "")
    return int(status) if status.isascii() and status.isdecimal() and len(status) < 10 else 0


def _refusal(frame: Frame) -> LinkError:
    """Return what an ERROR means; the texts are SolarNode's own, with its slips."""
    message = undo_escapes(frame.headers.get("message", ""))[:200]
    lower = message.lower()
    if "too much skew" in lower:
        return DestinationRefused("solarnode_clock", message)
    if "invalid signature" in lower:
        return CredentialsRefused("solarnode_wrong_password", message)
    if lower == "unauthorized." or "user unavailable" in lower or "user not available" in lower:
        return CredentialsRefused("solarnode_unknown_login", message)
    return ConnectionFailed("solarnode_refused", message)


def _lost(err: StompError) -> LinkError:
    if isinstance(err, StompLimitError):
        return ConnectionFailed(LIMIT_REASON, str(err))
    if isinstance(err, StompProtocolError):
        return ConnectionFailed("solarnode_wrong_protocol", str(err))
    return ConnectionFailed("connection_lost", str(err))
