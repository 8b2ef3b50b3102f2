"""A setup client made of stomp.py, which knows nothing of the integration's own STOMP."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
import itertools
import json
import logging
from typing import Any, Final, Self, override

import bcrypt
import stomp
from stomp.utils import Frame

from .solarnode_wire import sns_signature

WITHIN_S: Final = 15.0
AUTHENTICATE: Final = "/setup/authenticate"

# It tells of each end of a connection, also of those that were asked for.
logging.getLogger("stomp.py").setLevel(logging.CRITICAL)


class SetupError(Exception):
    """The server said ERROR, or ended the connection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """The reply to a command, or live datum."""

    status: int
    message: str | None
    result: Any
    headers: Mapping[str, str]


class SetupClient(stomp.ConnectionListener):  # type: ignore[misc]
    """A client that is logged in and subscribed while its context lasts."""

    def __init__(
        self, port: int, *, login: str, password: str, subscribe: tuple[str, ...] = ("/setup/**",)
    ) -> None:
        """Take where and as whom to log in."""
        self._login, self._password, self._subscribe = login, password, subscribe
        self._connection = stomp.StompConnection12(
            [("127.0.0.1", port)], heartbeats=(0, 0), reconnect_attempts_max=1
        )
        self._connection.set_listener("", self)
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._connected: asyncio.Future[dict[str, str]] = self._loop.create_future()
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self.live: asyncio.Queue[Message] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        """Log in and subscribe."""
        async with asyncio.timeout(WITHIN_S):
            await asyncio.to_thread(
                self._connection.connect,
                headers={"login": self._login},
                wait=False,
                with_connect_command=True,
            )
            connected = await self._connected
            stored = await asyncio.to_thread(
                bcrypt.hashpw, self._password.encode(), connected["auth-hash-param-salt"].encode()
            )
        now = datetime.now(UTC).replace(microsecond=0)
        headers = {"date": format_datetime(now, usegmt=True)}
        signature = sns_signature(stored.decode(), headers, ["date"], f"{now:%Y%m%dT%H%M%SZ}")
        self._send(
            AUTHENTICATE,
            "",
            **headers,
            authorization=f"SNS Credential={self._login},SignedHeaders=date,Signature={signature}",
        )
        for number, destination in enumerate(self._subscribe):
            self._connection.subscribe(destination, id=str(number))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Disconnect."""
        if self._connection.is_connected():
            await asyncio.to_thread(self._connection.disconnect)

    def _send(self, destination: str, body: str, **headers: str) -> None:
        # Of its own accord it would add a length, which a real node trips over.
        self._connection.auto_content_length = False
        self._connection.send(destination, body, **headers)

    async def ask(self, destination: str, body: str = "", **headers: str) -> Message:
        """Send a command and return its reply; raises SetupError and TimeoutError."""
        request_id = str(next(self._ids))
        reply: asyncio.Future[Message] = self._loop.create_future()
        self._waiting[request_id] = reply
        self._send(destination, body, **headers, **{"request-id": request_id})
        async with asyncio.timeout(WITHIN_S):
            return await reply

    def follow(self, source_id: str, subscription: str) -> None:
        """Subscribe to the live datum of a source, which arrives in `live`."""
        self._connection.subscribe(
            "/setup/datum/live", id=subscription, headers={"source-id": source_id}
        )

    @override
    def on_connected(self, frame: Frame) -> None:
        """Take what a log-in needs; called, as all of these, in a thread of stomp.py."""
        self._loop.call_soon_threadsafe(self._set_connected, frame.headers)

    @override
    def on_message(self, frame: Frame) -> None:
        """Take a reply or live datum."""
        headers = dict(frame.headers)
        message = Message(
            status=int(headers["status"]),
            message=headers.get("message"),
            result=json.loads(frame.body) if frame.body else None,
            headers=headers,
        )
        self._loop.call_soon_threadsafe(self._take, message)

    @override
    def on_error(self, frame: Frame) -> None:
        """Take the end of it."""
        self._loop.call_soon_threadsafe(self._fail, frame.headers.get("message", ""))

    @override
    def on_disconnected(self) -> None:
        """Take the end of the connection."""
        self._loop.call_soon_threadsafe(self._fail, "disconnected")

    def _set_connected(self, headers: dict[str, str]) -> None:
        if not self._connected.done():
            self._connected.set_result(headers)

    def _take(self, message: Message) -> None:
        request_id = message.headers.get("request-id", "")
        if (reply := self._waiting.pop(request_id, None)) is None:
            self.live.put_nowait(message)
        elif not reply.done():
            reply.set_result(message)

    def _fail(self, why: str) -> None:
        awaited: list[asyncio.Future[Any]] = [self._connected, *self._waiting.values()]
        self._waiting.clear()
        for future in awaited:
            if not future.done():
                future.set_exception(SetupError(why))
                future.exception()  # it is no fault when nobody waits for it
