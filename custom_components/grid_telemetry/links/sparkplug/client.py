"""The connection to a broker: an edge node's session, from its will to its death.

The standard sends data with QoS 0, so nothing says that a message has arrived. A packet counts as
delivered when the broker has answered a PINGREQ that was sent after it, while the primary host was
online: by then the broker has read it. What had no such answer goes out again in the next session.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
import hashlib
import time
from typing import Any, Final, NoReturn
from uuid import uuid4

from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT, CONF_USERNAME
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from ...connection.concurrent import until_first_ends
from ...connection.errors import (
    Blame,
    ConnectionFailed,
    DestinationRefused,
    LinkError,
    SendingRefused,
)
from ...connection.mqtt import connected, connection_ended
from ...forms.tls import client_context
from ...outbox.packet import Packet
from ...protocols.mqtt import (
    MqttConnection,
    MqttError,
    MqttParameters,
    Version,
    WebSocket,
)
from ...protocols.mqtt.reasons import DISCONNECT_WITH_WILL
from ...protocols.sparkplug import (
    SUBSCRIBE_QOS,
    CommandReceived,
    CommandRefused,
    EdgeNode,
    HostChanged,
    Outgoing,
    PayloadTooLarge,
    RebirthRequested,
)
from .const import (
    CONF_CA_FILE,
    CONF_CERTIFICATE,
    CONF_KEY,
    CONF_PATH,
    CONF_TRANSPORT,
    CONF_VERSION,
    OVER_WEBSOCKET,
    SECURE,
    TransportKind,
)
from .payload import readings_of

HOST_OFFLINE: Final = "primary_host_offline"
REBIRTH_PAUSE_S: Final = 5.0
"""Births are sent again at most so often; who asks in between gets them when it is over."""

_MAX_COMMAND_BYTES: Final = 262_144
_VERSIONS: Final = {"3.1.1": Version.MQTT_3_1_1, "5": Version.MQTT_5}


@dataclass(kw_only=True)
class Figures:
    """What sessions have done since the link started."""

    births: int = 0
    """Births of the node."""
    sent_again: int = 0
    """Samples that went out a second time, since nothing had told that they arrived."""
    unmapped: int = 0
    """Samples of points that are mapped no more; they were not sent."""
    commands: int = 0
    refused_commands: int = 0
    last_refusal: str | None = None
    unconfirmed: set[int] = field(default_factory=set, repr=False)
    """The records that were sent in a session that ended before they were confirmed."""


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What a session asks of the link, and tells it."""

    last_id: Callable[[], int]
    """Returns the id of the newest record of the outbox."""
    silent: Callable[[], Sequence[str]]
    """Returns the devices whose meters say nothing."""
    on_command: Callable[[CommandReceived], None]
    on_host: Callable[[], None]
    """Hears that the primary host has said something, or is waited for."""


async def async_parameters(
    hass: HomeAssistant, data: Mapping[str, Any], client_id: str
) -> MqttParameters:
    """Return how to connect, from the data of an entry; raises `ConnectionFailed`."""
    kind = TransportKind(data[CONF_TRANSPORT])
    tls = None
    if kind in SECURE:
        try:
            tls = await hass.async_add_executor_job(  # it reads files
                client_context,
                data.get(CONF_CA_FILE),
                data.get(CONF_CERTIFICATE),
                data.get(CONF_KEY),
            )
        except OSError as err:  # ssl.SSLError is one
            raise ConnectionFailed("certificate_file", str(err)) from err
    websocket = None
    if kind in OVER_WEBSOCKET:
        websocket = WebSocket(session=async_get_clientsession(hass), path=data[CONF_PATH])
    return MqttParameters(
        host=data[CONF_HOST],
        port=data[CONF_PORT],
        client_id=client_id,
        version=_VERSIONS[data[CONF_VERSION]],
        username=data.get(CONF_USERNAME),
        password=data.get(CONF_PASSWORD),
        tls=tls,
        websocket=websocket,
        maximum_packet_size=_MAX_COMMAND_BYTES,
    )


def client_id_of(group_id: str, node_id: str) -> str:
    """Return the name that a node has at its broker: 22 letters and digits, always the same.

    So a connection that is half open is ended by the broker when the node comes back.
    """
    digest = hashlib.sha256(f"{group_id}/{node_id}".encode()).hexdigest()
    return f"gt{digest[:20]}"


async def login_test(
    hass: HomeAssistant, data: Mapping[str, Any], topics: Sequence[str] = ()
) -> None:
    """Connect and subscribe, under a name of its own; raises a `LinkError`."""
    parameters = await async_parameters(hass, data, f"gt{uuid4().hex[:20]}")
    async with connected(parameters, None) as connection:
        await _subscribe(connection, topics)


async def _subscribe(connection: MqttConnection, topics: Sequence[str]) -> None:
    try:
        results = await connection.subscribe(topics, SUBSCRIBE_QOS)
    except MqttError as err:
        raise connection_ended(err) from err
    if refused := [f"{result.topic}: {result.reason}" for result in results if result.refused]:
        raise DestinationRefused("subscription_refused", "; ".join(refused))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def _publishing() -> Iterator[None]:
    """Say what it means for the entry that a birth or a death cannot be published."""
    try:
        yield
    except PayloadTooLarge as err:
        raise DestinationRefused("birth_too_large", str(err)) from err
    except MqttError as err:
        raise connection_ended(err) from err


class SparkplugSession:
    """One connection with a node that is born, over which packets go out."""

    def __init__(
        self, connection: MqttConnection, node: EdgeNode, figures: Figures, hooks: Hooks
    ) -> None:
        self._connection = connection
        self._node = node
        self._figures = figures
        self._hooks = hooks
        self._loop = asyncio.get_running_loop()
        self._sent = asyncio.Event()
        self._waiting: list[tuple[Packet, asyncio.Future[None]]] = []
        # Records up to these ids are older than what the host knows of a device.
        self._known: dict[str, int] = {}
        self._born_at = 0.0
        self._rebirth: asyncio.TimerHandle | None = None

    # --- what is said of the node and its devices

    def send_births(self) -> None:
        """Send the births of the node and of its devices; raises a `LinkError`."""
        self._cancel_rebirth()
        self._born_at = self._loop.time()
        self._figures.births += 1
        silent = self._hooks.silent()
        with _publishing():
            for birth in self._node.births(_now_ms(), without=silent):
                self._publish(birth)
        # Whatever was queued by now is older than what the births have told.
        newest = self._hooks.last_id()
        self._known = dict.fromkeys(self._node.devices, newest)

    def send_device_birth(self, device_id: str) -> None:
        """Send the birth of a device, which has come back; raises a `LinkError`."""
        with _publishing():
            self._publish(self._node.device_birth(device_id, _now_ms()))
        self._known[device_id] = self._hooks.last_id()

    def send_device_death(self, device_id: str) -> None:
        """Send the death of a device, which is silent; raises a `LinkError`."""
        with _publishing():
            self._publish(self._node.device_death(device_id, _now_ms()))

    def _publish(self, outgoing: Outgoing) -> None:
        self._connection.publish(outgoing.topic, outgoing.payload, outgoing.qos)

    # --- data

    async def publish(self, packet: Packet) -> asyncio.Future[None]:
        """Send a packet; the future resolves when the broker has read it.

        It is live where it was queued after what the host knows of its device, and historical
        otherwise. Raises a `LinkError`.
        """
        device_id = packet.destination.device
        future: asyncio.Future[None] = self._loop.create_future()
        readings = [
            (name, reading)
            for name, reading in readings_of(packet.body)
            if self._node.knows(device_id, name)
        ]
        self._figures.unmapped += packet.samples - len(readings)
        if not readings:
            future.set_result(None)
            return future
        if not self._figures.unconfirmed.isdisjoint(packet.ids):
            self._figures.sent_again += len(readings)
        if not self._node.is_born(device_id):
            self.send_device_birth(device_id)
        is_historical = min(packet.ids) <= self._known[device_id]
        try:
            for message in self._node.data(
                device_id, readings, _now_ms(), is_historical=is_historical
            ):
                self._publish(message)
        except PayloadTooLarge as err:
            raise SendingRefused("message_too_large", str(err), blame=Blame.PACKET) from err
        except MqttError as err:
            raise connection_ended(err) from err
        if not is_historical:
            self._known[device_id] = max(packet.ids)
        self._figures.unconfirmed.update(packet.ids)
        self._waiting.append((packet, future))
        self._sent.set()
        return future

    async def closed(self) -> NoReturn:
        """Read what comes and confirm what went, until the end; raises a `LinkError`."""
        try:
            await until_first_ends(self._read(), self._confirm())
        finally:
            self._cancel_rebirth()
        raise ConnectionFailed("connection_lost")

    async def _confirm(self) -> NoReturn:
        """Ask for a sign of life behind each packet, and resolve those in front of it."""
        while True:
            await self._sent.wait()
            self._sent.clear()
            waiting, self._waiting = self._waiting, []
            try:
                await self._connection.ping()
            except MqttError as err:
                raise connection_ended(err) from err
            # The host may have gone offline in front of the answer.
            for message in self._connection.take_unread():
                self._connection.acknowledge(message)
                self._take(message.topic, message.payload, born=True)
            if not self._node.may_be_born:  # its reader has taken it
                raise self._host_offline()
            for packet, future in waiting:
                self._figures.unconfirmed.difference_update(packet.ids)
                if not future.done():
                    future.set_result(None)

    # --- what comes in

    async def wait_for_host(self) -> None:
        """Return when the node may be born; raises a `LinkError`."""
        if self._node.may_be_born:
            return
        self._hooks.on_host()
        async for topic, payload in self._messages():
            self._take(topic, payload, born=False)
            if self._node.may_be_born:
                return
        raise ConnectionFailed("connection_lost")

    async def _read(self) -> None:
        async for topic, payload in self._messages():
            self._take(topic, payload, born=True)

    async def _messages(self) -> AsyncGenerator[tuple[str, bytes]]:
        try:
            async for message in self._connection.messages():
                self._connection.acknowledge(message)
                yield message.topic, message.payload
        except MqttError as err:
            raise connection_ended(err) from err

    def _take(self, topic: str, payload: bytes, *, born: bool) -> None:
        for event in self._node.take(topic, payload):
            match event:
                case HostChanged():
                    self._hooks.on_host()
                    if born and not event.online:
                        raise self._host_offline()
                case CommandRefused():
                    self._figures.refused_commands += 1
                    self._figures.last_refusal = f"{event.target}: {event.reason}"
                case RebirthRequested() if born:
                    self._rebirth_soon()
                case CommandReceived() if born:
                    self._figures.commands += 1
                    self._hooks.on_command(event)
                case _:
                    pass  # births come anyway, and nobody may write to what is not born

    def _host_offline(self) -> LinkError:
        return ConnectionFailed(HOST_OFFLINE, self._node.primary_host or "", retry_after_s=1.0)

    def _rebirth_soon(self) -> None:
        if self._rebirth is not None:
            return
        wait_s = self._born_at + REBIRTH_PAUSE_S - self._loop.time()
        if wait_s <= 0:
            self.send_births()
            return

        def send() -> None:
            self._rebirth = None
            with suppress(LinkError):  # the end of the connection is told by its reader
                self.send_births()

        self._rebirth = self._loop.call_later(wait_s, send)

    def _cancel_rebirth(self) -> None:
        if self._rebirth is not None:
            self._rebirth.cancel()
            self._rebirth = None

    # --- the end

    async def die(self) -> None:
        """Say that the node goes, and disconnect."""
        if self._connection.is_open and self._node.born:
            with suppress(MqttError):
                self._publish(self._node.death())
        self._node.end_session()
        # MQTT 5: the broker shall publish the will all the same; 3.1.1 knows no such reason.
        await self._connection.close(DISCONNECT_WITH_WILL)


@asynccontextmanager
async def open_session(
    parameters: MqttParameters, will: Outgoing, node: EdgeNode, figures: Figures, hooks: Hooks
) -> AsyncIterator[SparkplugSession]:
    """Connect with the node's will, wait for its host, and have it born; at the end it dies.

    Raises a `LinkError`.
    """
    async with connected(parameters, None) as connection:
        node.payload_limit = connection.payload_limit(node.longest_topic)
        session = SparkplugSession(connection, node, figures, hooks)
        try:
            await _subscribe(connection, node.subscriptions())
            await session.wait_for_host()
            session.send_births()
            yield session
        finally:
            await session.die()
