"""A stand-in for a SCADA system: Mosquitto, and a strict host application of Sparkplug B.

python -m simulators.sparkplug --folder /tmp/sparkplug --group "Plant 1" --node Home --host scada
"""

import argparse
import asyncio
from collections.abc import Callable
from contextlib import suppress
import json
from pathlib import Path
import signal
import socket
import time
from typing import Any, Self, override

import aiomqtt
from paho.mqtt.client import Client as PahoClient, MQTTMessage

from .mosquitto import Mosquitto, User
from .programs import until
from .sparkplug_messages import BOOLEAN, NAMESPACE, REBIRTH, Ledger, Scalar, encode_command

GROUP, NODE, HOST_ID = "Plant 1", "Home", "scada"
NODE_USER, NODE_PASSWORD = "edge", "it sends"
_HOST_USER, _HOST_PASSWORD = "host", "it listens"
_RECONNECT_S = 0.1


def now_ms() -> int:
    """Return the wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class _Ear(aiomqtt.Client):
    """Takes each message as it is read, without a queue between."""

    take: Callable[[MQTTMessage], None]

    @override
    def _on_message(self, client: PahoClient, userdata: Any, message: MQTTMessage) -> None:
        self.take(message)

    def break_off(self) -> None:
        """Close the socket without a word."""
        sock = self._client.socket()
        assert isinstance(sock, socket.socket)
        sock.shutdown(socket.SHUT_RDWR)

    async def ended(self) -> None:
        """Wait until the connection has ended."""
        await asyncio.wait({self._disconnected})

    def forget(self) -> None:
        """Have nobody told why it ended."""
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()


class Host:
    """One host application, which says whether it is online, and keeps the book."""

    def __init__(
        self, port: int, ledger: Ledger, *, host_id: str = HOST_ID, old_form: bool = False
    ) -> None:
        """Prepare; in the old form its STATE is a text on a topic outside of the namespace."""
        self.ledger = ledger
        self._port = port
        self._old_form = old_form
        self._state_topic = f"STATE/{host_id}" if old_form else f"{NAMESPACE}/STATE/{host_id}"
        self._client: _Ear | None = None
        self._task: asyncio.Task[None] | None = None
        self._online = asyncio.Event()
        self._leave = asyncio.Event()
        self._asked = False
        self._running: set[asyncio.Task[None]] = set()
        ledger.on_unknown = self._ask_for_births

    def _state(self, *, online: bool, at_ms: int) -> str:
        if self._old_form:
            return "ONLINE" if online else "OFFLINE"
        return json.dumps({"online": online, "timestamp": at_ms})

    async def go_online(self) -> None:
        """Connect and say so; returns once it has."""
        self._leave.clear()
        self._task = asyncio.create_task(self._keep())
        async with asyncio.timeout(30):
            await self._online.wait()

    async def go_offline(self) -> None:
        """Say that it goes, and disconnect."""
        self._leave.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def crash(self) -> None:
        """Break the connection off, so that the broker tells its death."""
        assert self._client is not None
        assert self._task is not None
        task, self._task = self._task, None
        self._client.break_off()
        self._leave.set()
        await task

    async def _keep(self) -> None:
        """Stay connected, also when the broker goes and comes back."""
        while not self._leave.is_set():
            with suppress(aiomqtt.MqttError):
                await self._session()
            self._online.clear()
            self.ledger.lose_touch()
            if not self._leave.is_set():
                await asyncio.sleep(_RECONNECT_S)

    async def _session(self) -> None:
        at_ms = now_ms()
        client = _Ear(
            "127.0.0.1",
            self._port,
            username=_HOST_USER,
            password=_HOST_PASSWORD,
            identifier=f"host {self._state_topic}",
            will=aiomqtt.Will(
                self._state_topic, self._state(online=False, at_ms=at_ms), qos=1, retain=True
            ),
        )
        client.take = self._take
        try:
            await self._run_session(client, at_ms)
        finally:
            client.forget()

    async def _run_session(self, client: _Ear, at_ms: int) -> None:
        async with client:
            self._client = client
            self._asked = False
            await client.subscribe(f"{NAMESPACE}/#", qos=1)
            await client.publish(
                self._state_topic, self._state(online=True, at_ms=at_ms), qos=1, retain=True
            )
            self._online.set()
            leaving = asyncio.create_task(self._leave.wait())
            lost = asyncio.create_task(client.ended())
            await asyncio.wait({leaving, lost}, return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            gone = lost.done()
            lost.cancel()
            if not gone:
                await client.publish(
                    self._state_topic,
                    self._state(online=False, at_ms=now_ms()),
                    qos=1,
                    retain=True,
                )

    def _take(self, message: MQTTMessage) -> None:
        if "/STATE/" not in message.topic:
            self.ledger.take(message.topic, message.payload, message.qos, retain=message.retain)

    def _ask_for_births(self) -> None:
        if not self._asked:
            self._asked = True
            task = asyncio.get_running_loop().create_task(self.request_births())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    # --- commands

    async def request_births(self) -> None:
        """Ask the node for its births."""
        await self.write_node(REBIRTH, True, BOOLEAN)

    async def write_node(self, name: str, value: Scalar, data_type: int) -> None:
        """Write a metric of the node."""
        await self._command(f"NCMD/{self.ledger.node_id}", value, data_type, name=name)

    async def write(self, device: str, name: str, value: Scalar, data_type: int) -> None:
        """Write a metric of a device by its name."""
        await self._command(f"DCMD/{self.ledger.node_id}/{device}", value, data_type, name=name)

    async def write_by_alias(self, device: str, name: str, value: Scalar, data_type: int) -> None:
        """Write a metric of a device by the alias that its birth gave it."""
        alias = self.ledger.alias_of(device, name)
        await self._command(f"DCMD/{self.ledger.node_id}/{device}", value, data_type, alias=alias)

    async def _command(
        self,
        target: str,
        value: Scalar,
        data_type: int,
        *,
        name: str | None = None,
        alias: int | None = None,
    ) -> None:
        assert self._client is not None
        payload = encode_command(now_ms(), value, data_type, name=name, alias=alias)
        await self._client.publish(f"{NAMESPACE}/{self.ledger.group_id}/{target}", payload, qos=0)


class Sparkplug:
    """A broker and its host; everything ends with the context."""

    def __init__(
        self,
        folder: Path,
        *,
        group_id: str = GROUP,
        node_id: str = NODE,
        host_id: str = HOST_ID,
        old_form: bool = False,
    ) -> None:
        """Prepare; the folder must be there and empty."""
        everything = [f"{NAMESPACE}/#", "STATE/#"]
        self.broker = Mosquitto(
            folder,
            {
                NODE_USER: User(password=NODE_PASSWORD, may_write=everything, may_read=everything),
                _HOST_USER: User(
                    password=_HOST_PASSWORD, may_write=everything, may_read=everything
                ),
            },
            more_ways=True,
        )
        self.ledger = Ledger(group_id, node_id)
        self.host_id = host_id
        self.host = Host(self.broker.plain_port, self.ledger, host_id=host_id, old_form=old_form)

    async def until(
        self, condition: Callable[[], object], what: str, timeout_s: float = 20
    ) -> None:
        """Wait until something is true of what came."""

        async def probe() -> bool:
            return bool(condition())

        await until(probe, timeout_s, what)

    async def __aenter__(self) -> Self:
        """Start the broker; the host is offline."""
        await self.broker.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop both."""
        await self.host.go_offline()
        await self.broker.stop()


async def _run(arguments: argparse.Namespace) -> None:
    stand_in = Sparkplug(
        arguments.folder,
        group_id=arguments.group,
        node_id=arguments.node,
        host_id=arguments.host,
        old_form=arguments.old_form,
    )
    stand_in.ledger.on_arrival = print
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with stand_in:
        await stand_in.host.go_online()
        print(f"listening on 127.0.0.1:{stand_in.broker.plain_port}", flush=True)
        await stop.wait()
    for line in stand_in.ledger.refused:
        print(f"refused: {line}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--group", default=GROUP)
    parser.add_argument("--node", default=NODE)
    parser.add_argument("--host", default=HOST_ID)
    parser.add_argument("--old-form", action="store_true")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(_run(given))
