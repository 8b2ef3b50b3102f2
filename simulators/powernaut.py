"""A stand-in for Powernaut: Mosquitto, a strict observer behind it, and the REST API.

python -m simulators.powernaut --folder /tmp/powernaut --resources 3 --record arrivals.jsonl
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
import json
from pathlib import Path
import signal
import ssl
from typing import Any, Self, override
from uuid import NAMESPACE_URL, uuid4, uuid5

from aiohttp import web
import aiomqtt
from paho.mqtt.client import Client as PahoClient, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from .mosquitto import Mosquitto, User
from .powernaut_api import Api, Book, resource
from .powernaut_messages import Reading, RefusedError, read

_OBSERVER = "observer"
_OBSERVER_PASSWORD = "it only looks on"  # noqa: S105 - of a broker that lives for a test
_RECONNECT_S = 0.1


def identifier(name: str) -> str:
    """Return the id that a site or resource has on every stand-in."""
    return str(uuid5(NAMESPACE_URL, f"powernaut/{name}"))


class _Ear(aiomqtt.Client):
    """Takes each message as it is read, without a task and a queue between, to see when it came."""

    def __init__(self, take: Callable[[MQTTMessage], None], port: int, ca_file: Path) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 3600
        super().__init__(
            "127.0.0.1",
            port,
            username=_OBSERVER,
            password=_OBSERVER_PASSWORD,
            identifier=_OBSERVER,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=properties,
            tls_context=ssl.create_default_context(cafile=ca_file),
        )
        self._take = take

    @override
    def _on_message(self, client: PahoClient, userdata: Any, message: MQTTMessage) -> None:
        self._take(message)


class Powernaut:
    """One site on a platform of its own; everything ends with the context."""

    def __init__(self, folder: Path, *, expired_certificate: bool = False) -> None:
        """Prepare a site without resources; the folder must be there and empty."""
        self.book = Book(
            site_id=identifier("site"),
            site_name="Rue de la Loi 16",
            key=str(uuid4()),
            secret=uuid4().hex,
        )
        self.readings: list[Reading] = []
        self.refused: list[str] = []
        self.on_reading: Callable[[Reading], None] = lambda reading: None
        self.counts: Counter[str] = Counter()
        self.api_url = ""
        self._last_seen: dict[str, float] = {}
        self._deaf = False
        self.broker = Mosquitto(folder, self._users(), expired_certificate=expired_certificate)
        self.api = Api(self.book, self)
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()
        self._observing: asyncio.Task[None] | None = None
        self._runner = web.AppRunner(self.api.application(), shutdown_timeout=1)

    # --- what is set up on it

    def add_resource(self, name: str, kind: str, *, capacity_kwh: str | None = None) -> str:
        """Add a resource and return its id; while the broker runs, `apply` tells it."""
        resource_id = identifier(name)
        self.book.resources[resource_id] = resource(
            self.book.site_id, resource_id, kind, name, capacity_kwh
        )
        return resource_id

    def apply(self) -> None:
        """Tell the running broker who may do what."""
        self.broker.set_users(self._users())

    def remove_resource(self, resource_id: str) -> None:
        """Delete a resource, as in the portal."""
        del self.book.resources[resource_id]
        self.apply()

    def rotate(self) -> None:
        """Replace the credentials; the old ones are worth nothing any more."""
        self.book.key, self.book.secret = str(uuid4()), uuid4().hex
        self.apply()

    def be_deaf(self, deaf: bool) -> None:
        """Have the broker take messages that the platform behind it then does not see."""
        self._deaf = deaf

    @property
    def topics(self) -> set[str]:
        """The topics that data may come on."""
        return {
            f"site/{self.book.site_id}/data",
            *(f"resource/{resource_id}/data" for resource_id in self.book.resources),
        }

    def _users(self) -> dict[str, User]:
        return {
            self.book.key: User(
                password=self.book.secret,
                may_write=sorted(self.topics),
                may_read=[f"resource/{id_}/commands/setpoint" for id_ in self.book.resources],
            ),
            _OBSERVER: User(password=_OBSERVER_PASSWORD, may_write=["#"], may_read=["#"]),
        }

    # --- what it saw

    def last_seen(self, platform_id: str) -> float | None:
        """Return when data of a site or resource last came, in epoch seconds."""
        return self._last_seen.get(platform_id)

    def of(self, platform_id: str) -> list[Reading]:
        """Return the valid readings of a site or resource in the order they came."""
        return [reading for reading in self.readings if reading.topic.split("/")[1] == platform_id]

    def refusals(self) -> list[str]:
        """Return a line for everything the platform would not have taken."""
        return self.refused + [
            f"{connection.client_id}: MQTT version {connection.protocol}"
            for connection in self.broker.connections()
            if connection.protocol != 5
        ]

    # --- what it says

    async def command(self, resource_id: str, payload: bytes | dict[str, Any]) -> None:
        """Publish a command as it is."""
        async with asyncio.timeout(30):
            await self._connected.wait()
        assert self._client is not None
        await self._client.publish(
            f"resource/{resource_id}/commands/setpoint",
            payload if isinstance(payload, bytes) else json.dumps(payload).encode(),
            qos=1,
        )

    async def activate(
        self, resource_id: str, start: datetime, end: datetime, watts: float | None
    ) -> None:
        """Command a setpoint for a window; None takes it back."""
        timing = {
            "start": start.isoformat().replace("+00:00", "Z"),
            "end": end.isoformat().replace("+00:00", "Z"),
        }
        await self.command(resource_id, {"timing": timing, "value": watts})

    # --- how it runs

    async def __aenter__(self) -> Self:
        """Start the broker, the observer and the API."""
        try:
            self.broker.write_users(self._users())
            await self.broker.start()
            self._observing = asyncio.create_task(self._observe())
            await self._runner.setup()
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*self.broker.sign("api"))
            site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
            await site.start()
            self.api_url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def until_it_observes(self) -> None:
        """Return once the observer listens; never with a certificate that has expired."""
        async with asyncio.timeout(30):
            await self._connected.wait()

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop everything."""
        if self._observing is not None:
            self._observing.cancel()
            await asyncio.wait({self._observing})
        await self._runner.cleanup()
        await self.broker.stop()

    async def _observe(self) -> None:
        """Look at every message, also after the broker was away."""
        # QoS 2, so that each message shows its own, and the retained flag as it was sent.
        options = SubscribeOptions(qos=2, noLocal=True, retainAsPublished=True)
        while True:
            with suppress(aiomqtt.MqttError):
                async with _Ear(self._take, self.broker.port, self.broker.ca_file) as client:
                    await client.subscribe("#", options=options)
                    self._client = client
                    self._connected.set()
                    async for _ in client.messages:
                        pass  # none; it ends with the connection
            self._connected.clear()
            await asyncio.sleep(_RECONNECT_S)

    def _take(self, message: MQTTMessage) -> None:
        topic = message.topic
        try:
            readings = read(
                topic,
                message.payload,
                qos=message.qos,
                retained=message.retain,
                known_topics=self.topics,
                arrived_at=self.book.now(),
            )
        except RefusedError as err:
            self.refused.append(f"{topic}: {err}")
            return
        if self._deaf:
            return
        self._last_seen[topic.split("/")[1]] = self.book.now()
        self.counts[topic] += len(readings)
        for reading in readings:
            self.readings.append(reading)
            self.on_reading(reading)


def add_resources(platform: Powernaut, count: int) -> list[str]:
    """Add batteries and solar inverters in turn and return their ids."""
    return [
        platform.add_resource(f"Battery {number}", "static_battery", capacity_kwh="10.0")
        if number % 2
        else platform.add_resource(f"Solar {number}", "photovoltaic")
        for number in range(1, count + 1)
    ]


async def main(folder: Path, resources: int, record: Path) -> None:
    """Run until a signal; say how to connect, and write down each reading as it comes."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    platform = Powernaut(folder)
    add_resources(platform, resources)
    with record.open("w", buffering=1) as file:
        platform.on_reading = lambda reading: print(json.dumps(asdict(reading)), file=file)
        async with platform:
            await platform.until_it_observes()
            print(json.dumps(connection_of(platform)), flush=True)
            await stop.wait()
            for line in platform.refusals():
                print(json.dumps({"refused": line}), file=file)


def connection_of(platform: Powernaut) -> dict[str, Any]:
    """Return what a config flow asks for."""
    return {
        "api_url": platform.api_url,
        "broker_host": "127.0.0.1",
        "broker_port": platform.broker.port,
        "ca_file": str(platform.broker.ca_file),
        "site_key": platform.book.key,
        "secret": platform.book.secret,
    }


def _arguments(arguments: Iterable[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulators.powernaut")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--resources", type=int, default=3)
    parser.add_argument("--record", type=Path, required=True)
    return parser.parse_args(None if arguments is None else list(arguments))


if __name__ == "__main__":
    options = _arguments()
    options.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(options.folder, options.resources, options.record))
