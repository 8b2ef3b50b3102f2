"""A private cluster of three RabbitMQ nodes on this machine, set up as a centre for many gateways.

Debian's packages as `rabbitmq.py` uses them, one folder a node. Gateways may write to four topic
exchanges and nothing else; what no binding takes goes to an exchange of its own instead of being
lost after it was confirmed; the queue is a quorum queue, with a copy on each node.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import secrets
import socket
from typing import Any, Final, Self

from .programs import Program, free_port, until
from .rabbitmq import PATH, SERVER, user
from .scout_messages import EXCHANGES, Json

NODES: Final = 3
HOST: Final = "pro"
QUEUE: Final = "collect"
UNROUTED: Final = "unrouted"
CONSUMER: Final = "consumer"
CONSUMER_PASSCODE: Final = "consumer"
_TOOLS: Final = SERVER.parent
_START_TIMEOUT_S: Final = 120.0


def definitions(gateways: Iterable[tuple[str, str]]) -> dict[str, Json]:
    """Return what a centre has, in the form of RabbitMQ's own export.

    Gateways are pairs of a claim id, which is their user name and routing key, and a token.
    """
    durable: dict[str, Json] = {"vhost": HOST, "durable": True, "auto_delete": False}
    own: dict[str, Json] = {"vhost": HOST, "configure": "^$", "write": "^$", "read": "^$"}
    users: list[Json] = [user(CONSUMER, CONSUMER_PASSCODE)]
    permissions: list[Json] = [{**own, "user": CONSUMER, "read": ".*"}]
    for claim_id, token in gateways:
        users.append(user(claim_id, token))
        permissions.append({**own, "user": claim_id, "write": f"^({'|'.join(EXCHANGES)})$"})
    exchange: dict[str, Json] = {**durable, "internal": False, "arguments": {}}
    exchanges: list[Json] = [{**exchange, "name": UNROUTED, "type": "fanout"}]
    bound: dict[str, Json] = {"vhost": HOST, "destination_type": "queue", "arguments": {}}
    bindings: list[Json] = [
        {**bound, "source": UNROUTED, "destination": UNROUTED, "routing_key": ""}
    ]
    for name in EXCHANGES:
        otherwise: Json = {"alternate-exchange": UNROUTED}
        exchanges.append({**exchange, "name": name, "type": "topic", "arguments": otherwise})
        bindings.append(
            {**bound, "source": name, "destination": QUEUE, "routing_key": "gateways.#"}
        )
    return {
        "vhosts": [{"name": HOST}],
        "users": users,
        "permissions": permissions,
        "exchanges": exchanges,
        "queues": [
            {**durable, "name": name, "arguments": {"x-queue-type": "quorum"}}
            for name in (QUEUE, UNROUTED)
        ],
        "bindings": bindings,
    }


@dataclass(kw_only=True)
class Node:
    """One node of the cluster."""

    name: str
    folder: Path
    port: int
    """Where STOMP over WebSocket listens."""
    root: Path
    environment: dict[str, str] = field(repr=False)
    _server: Program = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Prepare the program."""
        self._server = Program(
            [str(self.root / SERVER.relative_to("/"))], self.folder / "output.log", self.environment
        )

    @property
    def url(self) -> str:
        """Where gateways connect to."""
        return f"ws://127.0.0.1:{self.port}{PATH}"

    @property
    def pid(self) -> int:
        """The process while it runs."""
        return self._server.pid

    async def start(self) -> None:
        """Start, and return once it takes logins."""
        notify = self.folder / "notify"
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as news:
            news.bind(str(notify))
            await self._server.start()
            await self._server.until_it_listens(self.port, _START_TIMEOUT_S)

    async def stop(self) -> None:
        """Stop as its service would."""
        await self._server.stop()

    async def kill(self) -> None:
        """Cut its power."""
        await self._server.kill()

    async def control(self, tool: str, *arguments: str) -> str:
        """Return what one of RabbitMQ's own tools says; raises RuntimeError if it fails."""
        process = await asyncio.create_subprocess_exec(
            str(self.root / (_TOOLS / tool).relative_to("/")),
            "-n",
            self.name,
            *arguments,
            env=os.environ | self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{tool} {' '.join(arguments)}: {(err or out).decode()[-500:]}")
        return out.decode()


@dataclass(kw_only=True)
class Cluster:
    """The nodes; an asynchronous context manager."""

    folder: Path
    gateways: list[tuple[str, str]]
    root: Path = Path("/")
    environment: dict[str, str] = field(default_factory=dict)
    """What all nodes have besides."""
    nodes: list[Node] = field(default_factory=list)
    _epmd: Program | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Start all nodes, join them, and set them up."""
        epmd_port = free_port()
        erlang = self.root / "usr" / "lib" / "erlang" / "bin"
        cookie = secrets.token_hex(16)
        names = [f"centre{number}@localhost" for number in range(1, NODES + 1)]
        for name in names:
            self.nodes.append(self._node(name, names, cookie, epmd_port, erlang))
        self._epmd = Program(
            [str(erlang / "epmd"), "-port", str(epmd_port), "-address", "127.0.0.1"],
            self.folder / "epmd.log",
        )
        await self._epmd.start()
        for node in self.nodes:
            await node.start()
        await self.nodes[0].control("rabbitmqctl", "await_online_nodes", str(NODES))
        await self.define(self.gateways)

    async def define(self, gateways: list[tuple[str, str]]) -> None:
        """Set up what a centre has; again with other tokens to change them."""
        file = self.folder / "definitions.json"
        file.write_text(json.dumps(definitions(gateways)))
        await self.nodes[0].control("rabbitmqctl", "import_definitions", str(file))

    def _node(self, name: str, names: list[str], cookie: str, epmd_port: int, erlang: Path) -> Node:
        folder = self.folder / name
        folder.mkdir()
        port, amqp_port = free_port(), free_port()
        discovery = "".join(
            f"cluster_formation.classic_config.nodes.{number} = {each}\n"
            for number, each in enumerate(names, 1)
        )
        files = {
            "rabbitmq.conf": f"""\
listeners.tcp.local = 127.0.0.1:{amqp_port}
stomp.listeners.tcp = none
web_stomp.ws_path = {PATH}
web_stomp.tcp.listener = 127.0.0.1:{port}
cluster_formation.peer_discovery_backend = classic_config
cluster_partition_handling = pause_minority
{discovery}""",
            "enabled_plugins": "[rabbitmq_web_stomp].\n",
            "environment.conf": "",
        }
        for file, text in files.items():
            (folder / file).write_text(text)
        cookie_file = folder / ".erlang.cookie"
        cookie_file.write_text(cookie)
        cookie_file.chmod(0o400)
        environment = self.environment | {
            "PATH": f"{erlang}:{os.environ['PATH']}",
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": str(folder / "erl_crash.dump"),
            "RABBITMQ_NODENAME": name,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "database"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "environment.conf"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            # With it the script gives way to the server itself, which our signals then reach.
            "NOTIFY_SOCKET": str(folder / "notify"),
            # Read by what a bench may load into the node to slow its disk down.
            "SLOW_DISK": str(folder / "slow"),
        }
        return Node(name=name, folder=folder, port=port, root=self.root, environment=environment)

    async def leader(self) -> Node:
        """Return the node that leads the queue."""

        async def led_by() -> Node | None:
            for node in self.nodes:
                with suppress(RuntimeError):
                    listed: list[dict[str, Any]] = json.loads(
                        await node.control(
                            *("rabbitmqctl", "list_queues", "-p", HOST, "name", "leader"),
                            *("--formatter", "json", "--quiet"),
                        )
                    )
                    names = {each["name"]: each["leader"] for each in listed}
                    found = [each for each in self.nodes if each.name == names[QUEUE]]
                    if found:
                        return found[0]
            return None

        return await until(led_by, 60, "a leader of the queue")

    async def stop(self) -> None:
        """Stop all of it."""
        await asyncio.gather(*(node.stop() for node in self.nodes))
        if self._epmd is not None:
            await self._epmd.stop()

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
