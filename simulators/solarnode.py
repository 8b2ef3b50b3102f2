"""Stand-in for a SolarNode with its STOMP setup server, as strict and as odd as the original.

It behaves as version 4.0.0 does, or as the newer one with live datum. Its codec and its check of
signatures are its own, so that it and the integration check each other. Where the original does
what a client has to live with, a comment says so.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
import json
import re
import time
from typing import Any, Final, Self
import uuid

import bcrypt

from .solarnode_datum import Datum, HouseDatum
from .solarnode_live import LiveSubscriptions
from .solarnode_wire import (
    BadFrame,
    Decoder,
    TooLongFrame,
    WireFrame,
    ant_matches,
    plain,
    put_frame,
    sns_signature,
)

SKEW_S: Final = 300
_STOMP_HEADERS: Final = frozenset(
    {
        *("accept-version", "host", "login", "passcode", "heart-beat", "version", "session"),
        *("server", "destination", "id", "ack", "transaction", "receipt", "message-id"),
        *("subscription", "receipt-id", "message", "content-length"),
    }
)
_SETUP_HEADERS: Final = frozenset(
    {"authenticate", "authorization", "auth-hash", "date", "request-id", "status"}
)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a command answers."""

    status: int = 200
    message: str | None = None
    result: Any = None


@dataclass(kw_only=True)
class Behaviour:
    """How the stand-in treats its clients; may be changed at any time."""

    netty_unescapes: bool = True
    """Netty since 4.1.80 escapes and unescapes beside SolarNode itself."""
    live: bool = False
    """The newer version: live datum, UNSUBSCRIBE, DISCONNECT and receipts."""
    live_duration_s: float = 900.0
    live_grace_s: float = 15.0
    reply_limit: int | None = None
    """A bridge on the way that closes over a larger reply, as SolarNode's own client does."""
    silent: bool = False
    """Read, and answer nothing but CONNECT."""
    deaf: bool = False
    """Not even that."""
    clock_offset_s: float = 0.0
    raw_latest: str | None = None
    """What to answer to `/setup/datum/latest` in place of the datum."""


@dataclass(kw_only=True)
class SolarNode:
    """The stand-in; an asynchronous context manager."""

    login: str = "solar"
    password: str = field(default="password", repr=False)
    port: int = 0
    """0 takes a free one, which is kept over a restart."""
    bcrypt_rounds: int = 4
    """The original has 10; fewer spare the tests' time."""
    behaviour: Behaviour = field(default_factory=Behaviour)
    latest: Callable[[], list[Datum]] = field(default_factory=HouseDatum)
    handlers: dict[str, Callable[[Mapping[str, str]], Reply]] = field(default_factory=dict)
    """Further commands by destination; each takes the parameters, the body as `arg`."""
    logins: int = 0
    requests: list[WireFrame] = field(default_factory=list)
    """Every SEND and SUBSCRIBE that was understood."""
    live_count: int = 0
    _hash: str = field(default="", repr=False)
    _server: asyncio.Server | None = field(default=None, repr=False)
    _sessions: set[_Session] = field(default_factory=set, repr=False)

    def set_password(self, password: str) -> None:
        """Store the hash of a new password, as the original does."""
        self.password = password
        salt = bcrypt.gensalt(self.bcrypt_rounds, prefix=b"2a")
        self._hash = bcrypt.hashpw(password.encode(), salt).decode()

    @property
    def stored_hash(self) -> str:
        """The bcrypt hash of the password."""
        return self._hash

    @property
    def connections(self) -> int:
        """How many clients there are."""
        return len(self._sessions)

    def count(self, destination: str) -> int:
        """Return how many requests had a destination."""
        return sum(frame.headers.get("destination") == destination for frame in self.requests)

    async def start(self) -> None:
        """Listen."""
        if not self._hash:
            self.set_password(self.password)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop to listen and cut every connection."""
        if self._server is not None:
            self._server.close()
            self.drop_connections()
            await self._server.wait_closed()
            self._server = None

    def drop_connections(self) -> None:
        """Cut every connection without a word."""
        for session in list(self._sessions):
            session.cut()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop."""
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(self, writer)
        self._sessions.add(session)
        try:
            await session.run(reader)
        finally:
            self._sessions.discard(session)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def latest_of(self, source: str) -> Datum | None:
        """Return the latest datum of a source."""
        return next((item for item in self.latest() if item["sourceId"] == source), None)

    def execute(self, destination: str, parameters: Mapping[str, str]) -> Reply:
        """Carry out a command."""
        if destination in self.handlers:
            return self.handlers[destination](parameters)
        match destination:
            case "/setup/datum/latest":
                return Reply(result=_filtered(self.latest(), parameters.get("arg", "")))
            case "/setup/identity":
                return Reply(result={"nodeId": 123, "solarInBaseUrl": "https://in.example.com"})
            case "/setup/network/ping":
                return Reply(message="Ping succeeded: 200")
            case "/setup/network/wifi" if parameters.keys().isdisjoint({"ssid", "country"}):
                return Reply(result={"active": True, "addresses": ["192.168.1.20"]})
            case "/setup/network/wifi":
                return Reply(status=422, message="Incomplete configuration.")
            case "/system/reboot" | "/system/restart":
                return Reply()
            case "/coffee/order":
                return Reply(status=418, message="I'm a tea pot.")
            case "/tea/order":
                return Reply(message="Order placed.")
            case _:
                return Reply(status=404)


class _Session:
    """One client."""

    def __init__(self, node: SolarNode, writer: asyncio.StreamWriter) -> None:
        self._node = node
        self._writer = writer
        self._login: str | None = None
        self._authenticated = False
        self._closing = False
        self._subscriptions: dict[str, str] = {}
        self._messages = 0
        self._live = LiveSubscriptions(node, self.send)

    def cut(self) -> None:
        """End the connection without a word."""
        self._writer.transport.abort()

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Serve until the end of the connection."""
        decoder = Decoder(unescapes=self._node.behaviour.netty_unescapes)
        dead = False
        try:
            while not self._closing and (data := await reader.read(4096)):
                if dead:
                    continue
                try:
                    for frame in decoder.feed(data):
                        self._take(frame)
                        if self._closing:
                            break
                except TooLongFrame:
                    return
                except BadFrame:
                    dead = True  # the original goes on to read, and understands nothing more
        except OSError:
            pass  # cut
        finally:
            await self._live.close()

    # --- out

    def send(
        self, command: str, headers: dict[str, str], body: bytes = b"", *, live: bool = False
    ) -> None:
        """Send a frame; those of live datum are not escaped by SolarNode itself."""
        behaviour = self._node.behaviour
        escapes = (0 if live else 1) + (1 if behaviour.netty_unescapes else 0)
        if behaviour.reply_limit is not None and len(body) > behaviour.reply_limit:
            self.cut()
            return
        if not self._writer.is_closing():
            self._writer.write(put_frame(command, headers, body, escapes=escapes))

    def _error(self, message: str) -> None:
        self.send("ERROR", {"message": message})
        self._closing = True

    # --- in

    def _take(self, frame: WireFrame) -> None:
        node = self._node
        if node.behaviour.deaf:
            return
        if frame.command in {"SEND", "SUBSCRIBE"}:
            node.requests.append(frame)
        if self._login is None:
            self._connect(frame)
        elif node.behaviour.silent:
            return
        elif frame.command in {"CONNECT", "STOMP"}:
            self._error("Already connected.")
        elif frame.command == "SEND":
            self._take_send(frame)
        elif frame.command == "SUBSCRIBE":
            self._subscribe(frame)
        elif node.behaviour.live and frame.command == "UNSUBSCRIBE":
            self._subscriptions.pop(self._header(frame, "id"), None)
            self._live.remove(self._header(frame, "id"))
            self._receipt(frame)
        elif node.behaviour.live and frame.command == "DISCONNECT":
            self._receipt(frame)
            self._closing = True
        else:
            self._error("Unsupported STOMP command")

    def _header(self, frame: WireFrame, name: str) -> str:
        """Return a header as SolarNode reads it, which undoes escapes itself."""
        return plain(frame.headers.get(name, ""))

    def _receipt(self, frame: WireFrame) -> None:
        if "receipt" in frame.headers:
            self.send("RECEIPT", {"receipt-id": frame.headers["receipt"]}, live=True)

    def _connect(self, frame: WireFrame) -> None:
        login = frame.headers.get("login", "")
        if frame.command not in {"CONNECT", "STOMP"}:
            self._error("Must start with CONNECT or STOMP frame.")
        elif not login:
            self._error("The login header is required.")
        elif login != self._node.login:
            self._error("Unauthorized.")
        else:
            self._login = login
            salt = re.match(r"(\$2[abxy]\$\d{2}\$.{22}).+", self._node.stored_hash)
            assert salt is not None
            self.send(
                "CONNECTED",
                {
                    "version": "1.2",
                    "server": "SolarNode-Setup/1.0.0",
                    "session": str(uuid.uuid4()),
                    "message": "Please authenticate.",
                    "authenticate": "SNS",
                    "auth-hash": "bcrypt",
                    "auth-hash-param-salt": salt[1],
                },
            )

    def _subscribe(self, frame: WireFrame) -> None:
        key, destination = self._header(frame, "id"), self._header(frame, "destination")
        if not self._authenticated:
            self._error("Not authorized.")
        elif not key:
            self._error("Missing id header.")
        elif not destination:
            self._error("Missing destination header.")
        elif self._node.behaviour.live and destination == "/setup/datum/live":
            self._receipt(frame)
            self._live.add(key, frame.headers)
        else:
            self._subscriptions[key] = destination
            if self._node.behaviour.live:
                self._receipt(frame)

    def _take_send(self, frame: WireFrame) -> None:
        destination = self._header(frame, "destination")
        if not destination:
            self._error("Missing destination header.")
        elif not self._authenticated:
            if destination == "/setup/authenticate":
                self._authenticate(frame)
            else:
                self._error("Not authorized.")
        else:
            self._execute(destination, frame)

    def _authenticate(self, frame: WireFrame) -> None:
        if "date" not in frame.headers:
            self._error("Missing date header.")
            return
        try:
            date = datetime.strptime(
                self._header(frame, "date"), "%a, %d %b %Y %H:%M:%S GMT"
            ).replace(tzinfo=UTC)
        except ValueError:
            self._error("Invalidate date header value. Must be HTTP Date header format.")
            return
        now = time.time() + self._node.behaviour.clock_offset_s
        if abs(now - date.timestamp()) > SKEW_S:
            self._error("Invalidate date header value: too much skew.")
            return
        scheme, _, rest = self._header(frame, "authorization").partition(" ")
        parts = dict(part.partition("=")[::2] for part in rest.split(","))
        if scheme != "SNS" or not {"Credential", "SignedHeaders", "Signature"} <= parts.keys():
            self._error("Authorization denied: Unsupported authorization scheme.")
        elif parts["Credential"] != self._login:
            self._error("Authorization denied: credential does not match session login.")
        elif parts["Signature"] != sns_signature(
            self._node.stored_hash,
            {name: plain(value) for name, value in frame.headers.items()},
            parts["SignedHeaders"].split(";"),
            f"{date:%Y%m%dT%H%M%SZ}",
        ):
            self._error("Authorization deined: invalid signature.")
        else:
            self._authenticated = True  # without a word
            self._node.logins += 1

    def _execute(self, destination: str, frame: WireFrame) -> None:
        parameters = {
            name: plain(value)
            for name, value in frame.headers.items()
            if name not in _STOMP_HEADERS | _SETUP_HEADERS
        }
        if frame.body:
            parameters["arg"] = frame.body.decode()
        try:
            reply = self._node.execute(destination, parameters)
        except Exception as err:  # noqa: BLE001 - as the original does with those of its handlers
            reply = Reply(status=500, message=str(err))
        # Every header of the request is echoed, its content-length too, even with no body.
        headers = {name: plain(value) for name, value in frame.headers.items()}
        headers["status"] = str(reply.status)
        if reply.message is not None:
            headers["message"] = reply.message
        headers["destination"] = destination
        body = b""
        if reply.result is not None:
            body = json.dumps(reply.result, separators=(",", ":"), ensure_ascii=False).encode()
            headers["content-type"] = "application/json;charset=utf-8"
        raw = self._node.behaviour.raw_latest
        if raw is not None and destination == "/setup/datum/latest":
            body = raw.encode()
        if body:
            headers["content-length"] = str(len(body))
        for key in sorted(self._subscriptions):
            if ant_matches(self._subscriptions[key], destination):
                self._messages += 1
                self.send(
                    "MESSAGE",
                    headers | {"subscription": key, "message-id": str(self._messages - 1)},
                    body,
                )


def _filtered(datum: list[Datum], argument: str) -> list[Datum]:
    """Return the datum whose source one of the patterns matches; no pattern matches all."""
    try:
        patterns = json.loads(argument)
    except ValueError:
        patterns = [part.strip() for part in argument.split(",") if part.strip()]
    if not patterns:
        return datum
    return [
        item
        for item in datum
        if any(ant_matches(pattern, item["sourceId"]) for pattern in patterns)
    ]
