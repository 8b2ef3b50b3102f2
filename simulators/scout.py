"""Stand-in for Circutor Scout: RabbitMQ web-STOMP as seen from outside, and stricter.

What RabbitMQ answers (texts, close codes, when it leaves a connection open) was taken from a
running RabbitMQ 3.10.8 and 4.3.6 and, for the ERROR frames that those lose, from the source of
3.12. `Behaviour.says_why` chooses between the two manners.
What only the stand-in refuses, a message that Scout could not use, gets an ERROR and the end of
the connection, so that nobody overlooks it.
"""

import argparse
import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
import json
from pathlib import Path
import re
import signal
import ssl
from typing import Final, Self
import uuid

from aiohttp import WSMsgType, web

from .scout_messages import EXCHANGES, Ledger, Refusal
from .stomp_wire import WireError, WireFrame, put_frame, take_frame

PATH: Final = "/ws/stomp"

_VERSIONS: Final = ("1.2", "1.1", "1.0")
_DIED: Final = "STOMP died"
# What one connection may hold unfinished.
_MAX_PENDING_BYTES: Final = 1024 * 1024


@dataclass(kw_only=True)
class Behaviour:
    """How the stand-in treats its clients; may be changed at any time."""

    receipt_delay_s: float = 0.0
    receipt_batch: int = 1
    """So many receipts leave together; what is left over follows after a moment."""
    receipts_reversed: bool = False
    receipts_withheld: bool = False
    drop_after: int | None = None
    """Cut a connection after so many of its messages, before the receipt of the last."""
    silent: bool = False
    """Send no heart-beats."""
    idle_timeout_s: float = 60.0
    """What Cowboy waits for a byte of a client."""
    says_why: bool = True
    """Send an ERROR frame before the end of a session; RabbitMQ 4.3 only ends it."""
    max_frame_bytes: int | None = None
    """End a session with close code 1009 over a larger frame."""
    missing_exchanges: set[str] = field(default_factory=set)
    forbidden_exchanges: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class ScoutServer(Ledger):
    """The stand-in and what it took; an asynchronous context manager."""

    claim_id: str = "ABCD1234"
    token: str = field(default="token", repr=False)
    host: str = "pro"
    port: int = 0
    """0 takes a free one, which is kept over a restart."""
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    behaviour: Behaviour = field(default_factory=Behaviour)
    logins: int = 0
    _runner: web.AppRunner | None = field(default=None, repr=False)
    _sessions: set[_Session] = field(default_factory=set, repr=False)
    _reading: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        scheme = "wss" if self.ssl_context else "ws"
        return f"{scheme}://127.0.0.1:{self.port}{PATH}"

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_get(PATH, self._stomp)
        app.router.add_get("/report", self._report)
        self._reading.set()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.ssl_context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Cut every connection and stop to listen; what was taken stays."""
        self.drop_connections()
        self._reading.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def restart(self) -> None:
        """Stop, and start again on the same port."""
        await self.stop()
        await self.start()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop."""
        await self.stop()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._sessions)

    def drop_connections(self) -> None:
        """Cut every connection, as a failing network does."""
        for session in self._sessions:
            session.cut()

    def stop_reading(self) -> None:
        """Let what clients write pile up."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """Read again."""
        self._reading.set()

    async def release_receipts(self) -> None:
        """Send the receipts that were withheld."""
        self.behaviour.receipts_withheld = False
        for session in list(self._sessions):
            await session.send_receipts()

    async def _stomp(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(timeout=1)
        await websocket.prepare(request)
        session = _Session(self, websocket, request.transport)
        self._sessions.add(session)
        try:
            await session.run(self._reading)
        finally:
            self._sessions.discard(session)
            self.notify()
        return websocket

    async def _report(self, request: web.Request) -> web.Response:
        return web.json_response(self.report())


def _soft_error(headers: dict[str, str]) -> tuple[str, str] | None:
    """Return the error of RabbitMQ's STOMP layer, after which the connection goes on."""
    destination = headers.get("destination")
    if destination is None:
        return "Missing destination", "\"SEND\" must include a 'destination' header\n"
    if "message-id" in headers:
        return "Invalid header", "'message-id' is not allowed on 'SEND'.\n"
    if not destination.startswith("/exchange/"):
        return "Unknown destination", f"'{destination}' is not a valid destination.\n"
    path = destination.removeprefix("/exchange")
    if not re.fullmatch(r"/[^/]+/[^/]+", path):
        return "Invalid destination", f"'{path}' is not a valid exchange destination\n"
    return None


class _Session:
    """One client."""

    def __init__(
        self,
        server: ScoutServer,
        websocket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
    ) -> None:
        self._server = server
        self._websocket = websocket
        self._transport = transport
        self._tasks: set[asyncio.Task[None]] = set()
        self._pending = b""
        self._receipts: list[str] = []
        self._messages = 0
        self._logged_in = False
        self._client_beat_s = 0.0

    def cut(self) -> None:
        """End the connection without a word."""
        if self._transport is not None:
            self._transport.abort()

    async def run(self, reading: asyncio.Event) -> None:
        """Serve until the end of the connection."""
        try:
            while not self._websocket.closed:
                await self._receive(reading)
        except ConnectionError:
            pass  # the client is gone, or was cut
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _receive(self, reading: asyncio.Event) -> None:
        # RabbitMQ looks at the client's bytes once a beat, and gives up after two silent looks.
        patience_s = self._server.behaviour.idle_timeout_s
        reason = ""
        if 0 < 2.5 * self._client_beat_s < patience_s:
            patience_s, reason = 2.5 * self._client_beat_s, _DIED
        try:
            message = await self._websocket.receive(timeout=patience_s)
        except TimeoutError:
            await self._close(1000, reason)
            return
        await reading.wait()
        if message.type is WSMsgType.TEXT:
            self._pending += message.data.encode()
        elif message.type is WSMsgType.BINARY:
            self._pending += message.data
        else:
            return
        try:
            while not self._websocket.closed:
                frame, self._pending = take_frame(self._pending, _MAX_PENDING_BYTES)
                if frame is None:
                    break
                await self._take(frame)
        except WireError as err:
            self._server.refuse(f"malformed frame: {err}")
            await self._close(1007, str(err))

    async def _take(self, frame: WireFrame) -> None:
        if frame.command in {"CONNECT", "STOMP"}:
            if self._logged_in:
                self._server.refuse("CONNECT twice")
                await self._close(1011)
            else:
                await self._log_in(frame.headers)
        elif not self._logged_in:
            await self._error("Illegal command", "You must log in using CONNECT first")
        elif frame.command == "SEND":
            await self._take_message(frame)
        elif frame.command == "DISCONNECT":
            if receipt_id := frame.headers.get("receipt"):
                await self._send("RECEIPT", {"receipt-id": receipt_id})
            await self._close(1000, _DIED)
        elif frame.command in {"SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", "BEGIN", "COMMIT"}:
            await self._die("access_refused", f"ACCESS_REFUSED - {frame.command} refused")
        else:
            await self._error("Bad command", f'Could not interpret command "{frame.command}"\n')

    async def _log_in(self, headers: dict[str, str]) -> None:
        server = self._server
        offered = headers.get("accept-version", "1.0").split(",")
        version = next((known for known in _VERSIONS if known in offered), None)
        login, host = headers.get("login", "guest"), headers.get("host", "/")
        if version is None:
            await self._error("Version mismatch", "Supported versions are 1.0,1.1,1.2\n")
        elif host != server.host:
            await self._error("Bad CONNECT", f"Virtual host '{host}' access denied")
        elif (login, headers.get("passcode")) != (server.claim_id, server.token):
            await self._error("Bad CONNECT", f"Access refused for user '{login}'\n")
        else:
            self._logged_in = True
            server.logins += 1
            server.notify()
            client_ms, _, server_ms = headers.get("heart-beat", "0,0").partition(",")
            self._client_beat_s = int(client_ms) / 1000
            if server_s := int(server_ms) / 1000:
                self._spawn(self._beat, server_s / 2)
            await self._send(
                "CONNECTED",
                {
                    "server": "RabbitMQ/3.12.14",
                    "session": f"session-{uuid.uuid4()}",
                    "heart-beat": f"{server_ms},{client_ms}",
                    "version": version,
                },
            )

    async def _take_message(self, frame: WireFrame) -> None:
        server, headers = self._server, frame.headers
        limit = server.behaviour.max_frame_bytes
        if limit is not None and frame.size > limit:
            server.refuse(f"a frame of {frame.size} bytes")
            await self._close(1009)
            return
        if soft := _soft_error(headers):
            await self._error(*soft)
            return
        _, _, name, key = headers["destination"].split("/", 3)
        if fatal := self._fatal_error(name, key):
            await self._die(*fatal)
            return
        try:
            server.take(name, headers, frame.body, frame.size)
        except Refusal as err:
            await self._die("Refused", str(err))
            return
        self._messages += 1
        if self._messages == server.behaviour.drop_after:
            self.cut()
            raise ConnectionResetError
        if receipt_id := headers.get("receipt"):
            await self._receipt(receipt_id)

    def _fatal_error(self, exchange: str, key: str) -> tuple[str, str] | None:
        """Return the error of RabbitMQ's channel, after which the connection ends."""
        server, behaviour = self._server, self._server.behaviour
        where = f"exchange '{exchange}' in vhost '{server.host}'"
        if exchange not in EXCHANGES or exchange in behaviour.missing_exchanges:
            return "not_found", f"NOT_FOUND - no {where}"
        who = f"refused for user '{server.claim_id}'"
        if exchange in behaviour.forbidden_exchanges:
            return "access_refused", f"ACCESS_REFUSED - write access to {where} {who}"
        if key != f"gateways.{server.claim_id}":
            return (
                "access_refused",
                f"ACCESS_REFUSED - write access to topic '{key}' in {where} {who}",
            )
        return None

    async def _receipt(self, receipt_id: str) -> None:
        behaviour = self._server.behaviour
        self._receipts.append(receipt_id)
        if behaviour.receipts_withheld:
            return
        if behaviour.receipt_delay_s == 0 and len(self._receipts) >= behaviour.receipt_batch:
            await self.send_receipts()
        elif len(self._receipts) == 1:
            self._spawn(self._send_receipts_later, behaviour.receipt_delay_s or 0.05)

    async def _send_receipts_later(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if not self._server.behaviour.receipts_withheld:
            await self.send_receipts()

    async def send_receipts(self) -> None:
        """Send all receipts that are due in one WebSocket message."""
        receipts, self._receipts = self._receipts, []
        if self._server.behaviour.receipts_reversed:
            receipts.reverse()
        if receipts:
            await self._websocket.send_str(
                "".join(put_frame("RECEIPT", {"receipt-id": each}) for each in receipts)
            )

    async def _beat(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            if not self._server.behaviour.silent:
                await self._websocket.send_str("\n")

    def _spawn(self, work: Callable[[float], Coroutine[None, None, None]], seconds: float) -> None:
        task = asyncio.create_task(self._unless_gone(work, seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _unless_gone(
        self, work: Callable[[float], Coroutine[None, None, None]], seconds: float
    ) -> None:
        with suppress(ConnectionError):
            await work(seconds)

    async def _send(self, command: str, headers: dict[str, str], body: str = "") -> None:
        await self._websocket.send_str(put_frame(command, headers, body))

    async def _error(self, message: str, detail: str) -> None:
        """Refuse with an ERROR frame and leave the connection open, as RabbitMQ does."""
        self._server.refuse(f"{message}: {detail.strip()}")
        await self._send(
            "ERROR",
            {"message": message, "content-type": "text/plain", "version": "1.0,1.1,1.2"},
            detail,
        )

    async def _die(self, message: str, detail: str) -> None:
        """Send what receipts are due, refuse with an ERROR frame or without, and close."""
        if not self._server.behaviour.receipts_withheld:
            await self.send_receipts()
        if self._server.behaviour.says_why:
            await self._error(message, detail)
        else:
            self._server.refuse(f"{message}: {detail.strip()}")
        await self._close(1000, _DIED)

    async def _close(self, code: int, reason: str = "") -> None:
        await self._websocket.close(code=code, message=reason.encode()[:120])


async def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    server = ScoutServer(claim_id=arguments.login, token=arguments.passcode, port=arguments.port)
    async with server:
        print(f"listening on {server.url}", flush=True)
        await ended.wait()
    if arguments.report is not None:
        arguments.report.write_text(json.dumps(server.report(), indent=2) + "\n")


def main() -> None:
    """Run from the command line; GET /report has what came, as JSON."""
    parser = argparse.ArgumentParser(description="Stand-in for Circutor Scout")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--login", default="ABCD1234", help="claim id")
    parser.add_argument("--passcode", default="token")
    parser.add_argument("--report", type=Path, help="file for the report at the end")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
