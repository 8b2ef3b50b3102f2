"""The connection to Powernaut's broker: MQTT 5 over TLS, its session kept by the broker."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import ssl
from typing import Final
from uuid import uuid4

from ...connection.errors import DestinationRefused
from ...connection.mqtt import connected, connection_ended
from ...protocols.mqtt import (
    Message,
    MqttConnection,
    MqttError,
    MqttParameters,
    MqttSession,
    MqttTooLarge,
    Subscribed,
)

SESSION_EXPIRY_S: Final = 24 * 3600
"""For so long the broker keeps commands for us; an activation is known a day ahead at most."""
MAX_COMMAND_PACKET_BYTES: Final = 262_144


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
            raise connection_ended(err) from err

    async def subscribe(self, topics: Sequence[str]) -> list[Subscribed]:
        """Subscribe to topics and return those that the broker refused."""
        try:
            results = await self._connection.subscribe(topics, self._qos)
        except MqttError as err:
            raise connection_ended(err) from err
        return [result for result in results if result.refused]

    async def unsubscribe(self, topic: str) -> None:
        """Have the broker forget a subscription that its session kept."""
        try:
            await self._connection.unsubscribe([topic])
        except MqttError as err:
            raise connection_ended(err) from err

    async def messages(self) -> AsyncGenerator[Message]:
        """Yield each message; raises a `LinkError` at the end of the connection."""
        try:
            async for message in self._connection.messages():
                yield message
        except MqttError as err:
            raise connection_ended(err) from err

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
    async with connected(parameters, state) as connection:
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
    async with connected(parameters, None):
        pass
