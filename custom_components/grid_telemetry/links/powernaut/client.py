"""The connection to Powernaut's broker: MQTT 5 over TLS, its session kept by the broker.

aiomqtt connects in the executor and reads and writes in the event loop. What it does not do is
done here: many messages on the way at once without a task for each, and a look at the reason code
of each acknowledgement.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
import logging
import socket
import ssl
from typing import Any, Final, override
from uuid import uuid4

import aiomqtt
from paho.mqtt.client import (
    MQTT_ERR_SUCCESS,
    Client as PahoClient,
    ConnectFlags,
    DisconnectFlags,
)
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ...connection.errors import (
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
    LinkError,
)

_LOGGER = logging.getLogger(__name__)

SESSION_EXPIRY_S: Final = 24 * 3600
"""For so long the broker keeps commands for us; an activation is known a day ahead at most."""
KEEPALIVE_S: Final = 15
"""A dead connection is noticed within twice this time."""
TIMEOUT_S: Final = 10
WINDOW: Final = 32
"""So many messages are on their way at most, fewer if the broker says so."""
_TOPICS_AT_ONCE: Final = 100


class PublishRefused(Exception):  # noqa: N818 - named after what happened
    """The broker acknowledged a message by saying that it does not take it."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """How to get in."""

    host: str
    port: int
    key: str
    secret: str = field(repr=False)
    context: ssl.SSLContext


class _Client(aiomqtt.Client):
    """aiomqtt's client, with sends that overlap."""

    def __init__(
        self, login: Login, identifier: str, *, clean_start: bool, session_expiry_s: int
    ) -> None:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = session_expiry_s
        super().__init__(
            login.host,
            login.port,
            username=login.key,
            password=login.secret,
            identifier=identifier,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=clean_start,
            properties=properties,
            tls_context=login.context,
            keepalive=KEEPALIVE_S,
            timeout=TIMEOUT_S,
            max_inflight_messages=WINDOW,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # small messages, at once
            logger=_LOGGER,
        )
        self.window = WINDOW
        self.end: aiomqtt.MqttError | None = None
        """Why the connection ended."""
        self._unacknowledged: dict[int, asyncio.Future[None]] = {}

    async def abandon(self) -> None:
        """Close the connection, however far it came; aiomqtt leaves a half-open one behind."""
        self._look_at_end()
        if self._client.socket() is None:
            return
        self.timeout = 1
        with suppress(aiomqtt.MqttError):
            await self.__aexit__(None, None, None)

    def send(self, topic: str, body: bytes, qos: int) -> asyncio.Future[None]:
        """Send a message; the future resolves when the broker has it."""
        info = self._client.publish(topic, body, qos)
        if info.rc != MQTT_ERR_SUCCESS:
            raise ConnectionFailed("connection_lost", str(info.rc))
        future = self._loop.create_future()
        self._unacknowledged[info.mid] = future
        return future

    @override
    def _on_connect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        receive_maximum = getattr(properties, "ReceiveMaximum", WINDOW)
        self.window = max(1, min(WINDOW, receive_maximum))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    @override
    def _on_disconnect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        # paho (2.1, its issue 860) overlooks the reason in a packet that has nothing but that.
        packet = client._in_packet["packet"]  # noqa: SLF001
        if flags.is_disconnect_packet_from_server and packet:
            with suppress(KeyError):  # a reason that no standard knows
                reason_code = ReasonCode(PacketTypes.DISCONNECT, identifier=packet[0])
        self.end = aiomqtt.MqttCodeError(reason_code)
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        self._look_at_end()

    def _look_at_end(self) -> None:
        """Keep asyncio from complaining where nobody else looks at the reason."""
        if self._disconnected.done():
            self._disconnected.exception()

    @override
    def _on_publish(
        self,
        client: PahoClient,
        userdata: Any,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        future = self._unacknowledged.pop(mid, None)
        if future is None or future.done():
            return
        if reason_code.is_failure:
            future.set_exception(PublishRefused(str(reason_code)))
        else:
            future.set_result(None)


class PowernautSession:
    """One connection, over which readings go out and commands come in."""

    def __init__(self, client: _Client, qos: int) -> None:
        self._client = client
        self._qos = qos
        self.window = client.window

    def publish(self, topic: str, body: bytes) -> asyncio.Future[None]:
        """Send a message; the future resolves when the broker has it.

        It fails with `PublishRefused` when the broker does not take it. Raises `ConnectionFailed`.
        """
        return self._client.send(topic, body, self._qos)

    async def subscribe(self, topics: Sequence[str]) -> list[str]:
        """Subscribe to topics and return those that the broker refused."""
        options = SubscribeOptions(qos=self._qos)
        refused: list[str] = []
        try:
            for first in range(0, len(topics), _TOPICS_AT_ONCE):
                some = topics[first : first + _TOPICS_AT_ONCE]
                codes = await self._client.subscribe([(topic, options) for topic in some])
                refused += [
                    topic
                    for topic, code in zip(some, codes, strict=True)
                    if isinstance(code, ReasonCode) and code.is_failure
                ]
        except aiomqtt.MqttError as err:
            raise _error(err) from err
        return refused

    async def unsubscribe(self, topic: str) -> None:
        """Have the broker forget a subscription that its session kept."""
        with suppress(aiomqtt.MqttError):  # it is tried again at the next message
            await self._client.unsubscribe(topic)

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield topic and payload of each message; raises a `LinkError` at the end."""
        try:
            async for message in self._client.messages:
                yield str(message.topic), bytes(message.payload)
        except aiomqtt.MqttError as err:
            raise _error(err.__cause__ or err, connected=True) from err


@asynccontextmanager
async def open_session(login: Login, identifier: str, qos: int) -> AsyncIterator[PowernautSession]:
    """Connect with a session that the broker keeps, and disconnect at the end.

    Raises a `LinkError`.
    """
    client = _Client(login, identifier, clean_start=False, session_expiry_s=SESSION_EXPIRY_S)
    async with _connected(client):
        yield PowernautSession(client, qos)


async def login_test(login: Login) -> None:
    """Connect and disconnect, under a name of its own; raises a `LinkError`."""
    client = _Client(login, f"gt{uuid4().hex[:20]}", clean_start=True, session_expiry_s=0)
    async with _connected(client):
        pass


@asynccontextmanager
async def _connected(client: _Client) -> AsyncIterator[None]:
    # aiomqtt connects in a thread that goes on when it is cancelled; the connection it then made
    # would fight with the next one, for both have the same name.
    opening = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.wait({opening})
    except asyncio.CancelledError:
        await asyncio.wait({opening})
        opening.exception()
        await client.abandon()
        raise
    try:
        opening.result()
    except (aiomqtt.MqttError, ValueError) as err:  # ValueError: no name that a host can have
        await client.abandon()
        raise _error(err) from err
    try:
        # A connection that ended right after it began is taken for a live one by aiomqtt.
        if client.end is not None:
            raise _error(client.end, connected=True)
        yield
    finally:
        await client.abandon()


def _error(err: BaseException, *, connected: bool = False) -> LinkError:
    """Return what an error of the connection means."""
    detail = str(err)
    if isinstance(err, aiomqtt.MqttCodeError) and isinstance(err.rc, ReasonCode):
        match err.rc.value:
            case 134 | 135 if not connected:  # wrong user name or password, not authorized
                return CredentialsRefused("invalid_auth", detail)
            case 135:
                return DestinationRefused("not_authorized", detail)
            case 142:
                return DestinationRefused("session_taken_over", detail)
            case 132:
                return DestinationRefused("no_mqtt5", detail)
            case 133:
                return DestinationRefused("client_id_refused", detail)
            case _:
                reason = "connection_lost" if connected else "broker_refused"
                return ConnectionFailed(reason, detail)
    # aiomqtt hides the cause of a failed connection, but keeps it as context.
    match err.__context__:
        case ssl.SSLError():
            return ConnectionFailed("tls_failed", detail)
        case socket.gaierror():
            return ConnectionFailed("unknown_server", detail)
        case TimeoutError():
            return ConnectionFailed("timeout_connect", detail)
        case _:
            return ConnectionFailed("connection_lost" if connected else "cannot_connect", detail)
