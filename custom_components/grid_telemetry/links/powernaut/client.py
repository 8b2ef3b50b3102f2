"""The connection to Powernaut's broker: MQTT 5 over TLS, its session kept by the broker.

What MQTT says goes wrong becomes what it means for the entry: credentials to ask for anew,
something to be set right on the platform, or a connection that is tried again soon.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import ssl
from typing import Final
from uuid import uuid4

from ...connection.errors import (
    SLOW_RETRY_S,
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
    LinkError,
)
from ...protocols.mqtt import (
    Message,
    MqttConnection,
    MqttConnectionLost,
    MqttConnectRefused,
    MqttDisconnected,
    MqttError,
    MqttParameters,
    MqttSession,
    MqttTooLarge,
    MqttTransportError,
    Subscribed,
    TransportFailure,
    connect,
)
from ...protocols.mqtt.reasons import (
    BAD_CREDENTIALS,
    BANNED,
    CLIENT_ID_NOT_VALID,
    CONNECTION_RATE_EXCEEDED,
    NOT_AUTHORIZED,
    SERVER_MOVED,
    SESSION_TAKEN_OVER,
    UNSUPPORTED_VERSION,
)

SESSION_EXPIRY_S: Final = 24 * 3600
"""For so long the broker keeps commands for us; an activation is known a day ahead at most."""
MAX_COMMAND_PACKET_BYTES: Final = 262_144

_FAILURES: Final = {
    TransportFailure.UNKNOWN_SERVER: "unknown_server",
    TransportFailure.CANNOT_CONNECT: "cannot_connect",
    TransportFailure.TLS: "tls_failed",
    TransportFailure.TIMEOUT: "timeout_connect",
}
# What a short wait does not heal, or makes worse.
_RETRY_AFTER_S: Final = {
    BANNED: SLOW_RETRY_S,
    SERVER_MOVED: SLOW_RETRY_S,
    CONNECTION_RATE_EXCEEDED: 60.0,
}


@dataclass(frozen=True, kw_only=True)
class Login:
    """How to get in."""

    host: str
    port: int
    key: str
    secret: str = field(repr=False)
    context: ssl.SSLContext
    timeout_s: float = 10.0
    """For the connection, and for each answer of the broker."""


class PowernautSession:
    """One connection, over which readings go out and activations come in."""

    def __init__(self, connection: MqttConnection, qos: int) -> None:
        """Take a connection, and the quality of service of both directions."""
        self._connection = connection
        self._qos = qos
        self.window = connection.window
        """So many messages may be on their way."""

    def payload_limit(self, topic: str) -> int | None:
        """Return how long a message on a topic may be, in bytes; None is no limit."""
        return self._connection.payload_limit(topic)

    def publish(self, topic: str, body: bytes) -> asyncio.Future[None]:
        """Send a message; the future resolves when the broker has it.

        It fails with `MqttPublishRefused` when the broker does not take it, and with another
        `MqttError` when the connection ends first. Raises a `LinkError`, and `MqttTooLarge`.
        """
        try:
            return self._connection.publish(topic, body, self._qos)
        except MqttTooLarge:
            raise
        except MqttError as err:
            raise _ended(err) from err

    async def subscribe(self, topics: Sequence[str]) -> list[Subscribed]:
        """Subscribe to topics and return those that the broker refused."""
        try:
            results = await self._connection.subscribe(topics, self._qos)
        except MqttError as err:
            raise _ended(err) from err
        return [result for result in results if result.refused]

    async def unsubscribe(self, topic: str) -> None:
        """Have the broker forget a subscription that its session kept."""
        try:
            await self._connection.unsubscribe([topic])
        except MqttError as err:
            raise _ended(err) from err

    async def messages(self) -> AsyncGenerator[Message]:
        """Yield each message; raises a `LinkError` at the end of the connection."""
        try:
            async for message in self._connection.messages():
                yield message
        except MqttError as err:
            raise _ended(err) from err

    def acknowledge(self, message: Message) -> None:
        """Have the broker forget a message, which until then it sends again."""
        self._connection.acknowledge(message)


@asynccontextmanager
async def open_session(
    login: Login, identifier: str, qos: int, state: MqttSession
) -> AsyncIterator[PowernautSession]:
    """Connect with a session that the broker keeps, and disconnect at the end.

    `state` is our half of the session, kept from one connection to the next. Raises a `LinkError`.
    """
    parameters = MqttParameters(
        host=login.host,
        port=login.port,
        client_id=identifier,
        username=login.key,
        password=login.secret,
        tls=login.context,
        clean_start=False,
        session_expiry_s=SESSION_EXPIRY_S,
        timeout_s=login.timeout_s,
        maximum_packet_size=MAX_COMMAND_PACKET_BYTES,
    )
    async with _connected(parameters, state) as connection:
        if qos and not connection.maximum_qos:
            # The platform takes QoS 1 and 2 only, whatever its broker says.
            raise DestinationRefused("broker_refused", "QoS 0 only, which Powernaut discards")
        yield PowernautSession(connection, qos)


async def login_test(login: Login) -> None:
    """Connect and disconnect, under a name of its own; raises a `LinkError`."""
    parameters = MqttParameters(
        host=login.host,
        port=login.port,
        client_id=f"gt{uuid4().hex[:20]}",
        username=login.key,
        password=login.secret,
        tls=login.context,
        timeout_s=login.timeout_s,
    )
    async with _connected(parameters, None):
        pass


@asynccontextmanager
async def _connected(
    parameters: MqttParameters, state: MqttSession | None
) -> AsyncIterator[MqttConnection]:
    try:
        connection = await connect(parameters, state)
    except MqttConnectRefused as err:
        raise _refused_login(err) from err
    except MqttTransportError as err:
        raise ConnectionFailed(_FAILURES[err.failure], str(err)) from err
    except MqttError as err:
        raise _ended(err) from err
    try:
        yield connection
    finally:
        await connection.close()


def _refused_login(err: MqttConnectRefused) -> LinkError:
    """Return what the answer to a log-in means."""
    detail = str(err)
    if err.code in (BAD_CREDENTIALS, NOT_AUTHORIZED):
        return CredentialsRefused("invalid_auth", detail)
    if err.code == UNSUPPORTED_VERSION:
        return DestinationRefused("no_mqtt5", detail)
    if err.code == CLIENT_ID_NOT_VALID:
        return DestinationRefused("client_id_refused", detail)
    return ConnectionFailed("broker_refused", detail, retry_after_s=_RETRY_AFTER_S.get(err.code))


def _ended(err: MqttError) -> LinkError:
    """Return what the end of a connection means.

    Only one reason says that another client has our name; shutting down, busy, a quota, an
    administrator's action and the like pass, and the connection is tried again soon.
    """
    detail = str(err)
    if not isinstance(err, MqttDisconnected):
        lost = isinstance(err, MqttConnectionLost)
        return ConnectionFailed("connection_lost" if lost else "protocol_error", detail)
    if err.code == SESSION_TAKEN_OVER:
        return DestinationRefused("session_taken_over", detail)
    if err.code == NOT_AUTHORIZED:
        return DestinationRefused("not_authorized", detail)
    return ConnectionFailed("broker_ended", detail, retry_after_s=_RETRY_AFTER_S.get(err.code))
