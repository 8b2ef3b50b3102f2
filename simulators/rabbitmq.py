"""A private RabbitMQ that is set up as Scout is, and an observer of what reaches it.

It needs Debian's rabbitmq-server and nothing of its installed configuration: node, ports, cookie,
database and log are its own, below one folder.
"""

import argparse
import asyncio
from base64 import b64encode
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
import json
import os
from pathlib import Path
import signal
import socket
from tempfile import TemporaryDirectory
from typing import Final, Self

import aiohttp

from .programs import Program, free_port
from .scout_messages import EXCHANGES, Json, Ledger, Refusal
from .stomp_wire import WireFrame, put_frame, take_frame

# The script behind the wrapper on PATH, which would insist on the system's own user and folders.
SERVER: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
NEWER: Final = Path(__file__).parent.parent / ".setup" / "rabbitmq"
"""Where `script/setup` unpacks RabbitMQ 4 with its own Erlang, if it can."""
PATH: Final = "/ws/stomp"
QUEUE: Final = "collect"

_OBSERVER: Final = "observer"
_OBSERVER_PASSCODE: Final = "observer"
_START_TIMEOUT_S: Final = 90.0
_RETRY_S: Final = 0.2


def user(name: str, password: str) -> dict[str, Json]:
    """Return a user as an export of definitions has it."""
    salt = os.urandom(4)
    digest = sha256(salt + password.encode()).digest()
    return {
        "name": name,
        "password_hash": b64encode(salt + digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": "",
        "limits": {},
    }


def _definitions(
    host: str, claim_id: str, token: str, exchanges: Collection[str]
) -> dict[str, Json]:
    """Return what the broker knows from the start, in the form of its own export."""
    durable: dict[str, Json] = {"vhost": host, "durable": True, "auto_delete": False}
    return {
        "vhosts": [{"name": host}],
        "users": [user(claim_id, token), user(_OBSERVER, _OBSERVER_PASSCODE)],
        "permissions": [
            {
                "user": claim_id,
                "vhost": host,
                "configure": "^$",
                "write": f"^({'|'.join(EXCHANGES)})$",
                "read": "^$",
            },
            {"user": _OBSERVER, "vhost": host, "configure": ".*", "write": ".*", "read": ".*"},
        ],
        "exchanges": [
            {"name": name, "type": "topic", "internal": False, "arguments": {}, **durable}
            for name in exchanges
        ],
        "queues": [{"name": QUEUE, "arguments": {}, **durable}],
        "bindings": [
            {
                "source": name,
                "vhost": host,
                "destination": QUEUE,
                "destination_type": "queue",
                "routing_key": "#",
                "arguments": {},
            }
            for name in exchanges
        ],
    }


@dataclass(kw_only=True)
class RabbitMq:
    """The broker; an asynchronous context manager."""

    folder: Path
    claim_id: str = "ABCD1234"
    token: str = field(default="token", repr=False)
    host: str = "pro"
    port: int = field(default_factory=free_port)
    root: Path = Path("/")
    """Where it is installed: the system, or `NEWER`."""
    exchanges: Collection[str] = tuple(EXCHANGES)
    """Those that exist."""
    _epmd: Program | None = field(default=None, repr=False)
    _server: Program | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"ws://127.0.0.1:{self.port}{PATH}"

    async def start(self) -> None:
        """Start the broker and return once it takes logins.

        What it stored in its folder before is there again.
        """
        if self._epmd is None:
            await self._prepare()
        await self._boot()

    async def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        amqp_port, epmd_port, distribution_port = (free_port() for _ in range(3))
        files = {
            "rabbitmq.conf": f"""\
listeners.tcp.local = 127.0.0.1:{amqp_port}
stomp.listeners.tcp = none
web_stomp.ws_path = {PATH}
web_stomp.tcp.listener = 127.0.0.1:{self.port}
load_definitions = {self.folder}/definitions.json
""",
            "definitions.json": json.dumps(
                _definitions(self.host, self.claim_id, self.token, self.exchanges)
            ),
            "enabled_plugins": "[rabbitmq_web_stomp].\n",
            "environment.conf": "",
        }
        for name, text in files.items():
            (self.folder / name).write_text(text)
        erlang = self.root / "usr" / "lib" / "erlang" / "bin"
        environment = {
            "PATH": f"{erlang}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": str(self.folder / "erl_crash.dump"),
            "RABBITMQ_NODENAME": f"scout-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "database"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "environment.conf"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            # It tells there that it has started, and its script gives way to the server itself,
            # so that a signal to the process we started reaches the server.
            "NOTIFY_SOCKET": str(self.folder / "notify"),
        }
        self._server = Program(
            [str(self.root / SERVER.relative_to("/"))], self.folder / "output.log", environment
        )
        self._epmd = Program(
            [str(erlang / "epmd"), "-port", str(epmd_port), "-address", "127.0.0.1"],
            self.folder / "epmd.log",
        )
        await self._epmd.start()

    async def _boot(self) -> None:
        assert self._server is not None
        notify = self.folder / "notify"
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as news:
            news.setblocking(False)
            news.bind(str(notify))
            await self._server.start()
            try:
                async with asyncio.timeout(_START_TIMEOUT_S):
                    await self._await_ready(self._server, news)
                    await self._server.until_it_listens(self.port)
            except BaseException:
                with suppress(ProcessLookupError):
                    await self._server.kill()
                raise

    async def _await_ready(self, server: Program, news: socket.socket) -> None:
        """Return once it tells that it has started; stopped before, it might hang."""
        loop = asyncio.get_running_loop()
        while True:
            server.check()
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    if b"READY=1" in await loop.sock_recv(news, 4096):
                        return

    async def stop(self) -> None:
        """Stop the broker as its service would, and what it left running."""
        try:
            if self._server is not None:
                await self._server.stop()
        finally:
            if self._epmd is not None:
                await self._epmd.stop()
                self._epmd = None

    async def restart(self) -> None:
        """Stop gracefully and start again, on the same ports and with what was stored."""
        assert self._server is not None
        await self._server.stop()
        await self._boot()

    async def kill(self) -> None:
        """Cut the broker's power; `start` brings it back with what was stored."""
        assert self._server is not None
        await self._server.kill()

    async def __aenter__(self) -> Self:
        """Start."""
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop."""
        await self.stop()


@dataclass(kw_only=True)
class Observer(Ledger):
    """Reads what reached a broker, checks it as the stand-in does, and keeps the book.

    It reads the queue that holds everything since the broker first started, and takes messages
    out of it; with `from_now` it reads copies of what comes while it runs. When the broker goes
    away it comes back to it.
    """

    broker: RabbitMq
    from_now: bool = False
    _task: asyncio.Task[None] | None = field(default=None, repr=False)
    _subscribed: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _bodies: set[int] = field(default_factory=set, repr=False)

    async def start(self) -> None:
        """Return once subscribed."""
        self._task = asyncio.create_task(self._follow())
        async with asyncio.timeout(_START_TIMEOUT_S):
            await self._subscribed.wait()

    async def stop(self) -> None:
        """Stop reading; what was read stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop."""
        await self.stop()

    async def _follow(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError):
                    # Pings keep the connection of a silent consumer from being closed as idle.
                    async with session.ws_connect(self.broker.url, heartbeat=20) as websocket:
                        await self._read(websocket)
                await asyncio.sleep(_RETRY_S)

    async def _read(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        await websocket.send_str(
            put_frame(
                "CONNECT",
                {
                    "accept-version": "1.2",
                    "host": self.broker.host,
                    "login": _OBSERVER,
                    "passcode": _OBSERVER_PASSCODE,
                },
            )
            + "".join(self._subscriptions())
        )
        pending = b""
        async for message in websocket:
            pending += message.data.encode()
            while True:
                frame, pending = take_frame(pending)
                if frame is None:
                    break
                if frame.command == "MESSAGE":
                    self._take_message(frame)
                    await websocket.send_str(put_frame("ACK", {"id": frame.headers["ack"]}))
                elif frame.headers.get("receipt-id") == "last":
                    self._subscribed.set()
                elif frame.command == "ERROR":
                    self.refuse(f"the observer: {frame.body.decode()}")

    def _subscriptions(self) -> Iterable[str]:
        sources = (
            [f"/exchange/{name}/#" for name in EXCHANGES]
            if self.from_now
            else [f"/amq/queue/{QUEUE}"]
        )
        for number, source in enumerate(sources, 1):
            yield put_frame(
                "SUBSCRIBE",
                {
                    "id": str(number),
                    "destination": source,
                    "ack": "client-individual",
                    "prefetch-count": "500",
                    "receipt": "last" if number == len(sources) else str(number),
                },
            )

    def _take_message(self, frame: WireFrame) -> None:
        digest = hash((frame.headers["destination"], frame.body))
        if digest in self._bodies and frame.headers.get("redelivered") == "true":
            return  # taken already, only our acknowledgement was lost
        self._bodies.add(digest)
        _, _, exchange, key = frame.headers["destination"].split("/", 3)
        try:
            if key != f"gateways.{self.broker.claim_id}":
                raise Refusal(f"{key} is not the routing key of the gateway")  # noqa: TRY301
            self.take(exchange, frame.headers, frame.body, len(frame.body))
        except Refusal as err:
            self.refuse(str(err))


async def run(arguments: argparse.Namespace) -> None:
    """Run a broker in a temporary folder until SIGINT or SIGTERM."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    with TemporaryDirectory(prefix="rabbitmq-") as folder:
        broker = RabbitMq(folder=Path(folder), claim_id=arguments.login, token=arguments.passcode)
        async with broker:
            print(f"listening on {broker.url}", flush=True)
            await ended.wait()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Private RabbitMQ, set up as Scout is")
    parser.add_argument("--login", default="ABCD1234", help="claim id")
    parser.add_argument("--passcode", default="token")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
