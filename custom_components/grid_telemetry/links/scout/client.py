"""The connection to Scout: the login, what is said first, and what each refusal means."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
import ipaddress
import re
import socket
from typing import Any, NoReturn
from urllib.parse import urlsplit

from homeassistant.const import CONF_HOST, CONF_TOKEN, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from ...connection.errors import ConnectionFailed, CredentialsRefused, DestinationRefused
from ...outbox.packet import Packet
from ...protocols.stomp.client import StompConnection, StompParameters, connect
from ...protocols.stomp.errors import (
    StompAuthenticationError,
    StompConnectionLost,
    StompDestinationError,
    StompError,
    StompHostError,
    StompTransportError,
    TransportFailure,
)
from .const import CONF_CLAIM_ID
from .payload import Gateway, message_type_of

_DIED = "STOMP died"
_CONFIRMED_WITHIN_S = 30.0
_TRANSPORT_REASONS = {
    TransportFailure.TLS: "tls_failed",
    TransportFailure.DNS: "unknown_server",
    TransportFailure.REFUSED: "cannot_connect",
    TransportFailure.TIMEOUT: "timeout_connect",
    TransportFailure.HTTP_STATUS: "wrong_url",
    TransportFailure.OTHER: "cannot_connect",
}


def parameters_of(data: Mapping[str, Any]) -> StompParameters:
    """Return how to log in, from the data of an entry."""
    return StompParameters(
        url=data[CONF_URL],
        host=data[CONF_HOST],
        login=data[CONF_CLAIM_ID],
        passcode=data[CONF_TOKEN],
    )


async def _check_plain(url: str, *, allow_plain: bool) -> None:
    """Refuse `ws://` unless it was allowed and every address of the server is a private one."""
    parts = urlsplit(url)
    if parts.scheme == "wss":
        return
    if not allow_plain:
        raise ConnectionFailed("plain_refused", "TLS is required: use wss://")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            parts.hostname, parts.port or 80, type=socket.SOCK_STREAM
        )
    except OSError as err:
        raise ConnectionFailed("unknown_server", str(err)) from err
    for *_, address in found:
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_private:
            raise ConnectionFailed(
                "plain_refused", "without TLS only a server in the local network is allowed"
            )


def _detail(err: StompError, claim_id: str) -> str:
    """Return the text of an error without the claim id, which brokers like to quote."""
    return re.sub(re.escape(claim_id), "**", str(err), flags=re.IGNORECASE)


def _raise_for(err: StompError, claim_id: str) -> NoReturn:
    """Raise what the delivery acts upon, from what the connection met."""
    detail = _detail(err, claim_id)
    match err:
        case StompAuthenticationError():
            raise CredentialsRefused("invalid_auth", detail) from err
        case StompHostError():
            raise DestinationRefused("unknown_host", detail) from err
        case StompDestinationError():
            raise DestinationRefused("destination_refused", detail) from err
        case StompTransportError():
            raise ConnectionFailed(_TRANSPORT_REASONS[err.kind], detail) from err
        case _:
            raise ConnectionFailed("cannot_connect", detail) from err


async def _connect(
    hass: HomeAssistant, parameters: StompParameters, *, allow_plain: bool
) -> StompConnection:
    try:
        await _check_plain(parameters.url, allow_plain=allow_plain)
        return await connect(async_get_clientsession(hass), parameters)
    except StompError as err:
        _raise_for(err, parameters.login)
    except ValueError as err:  # no name, or no port, that a host can have
        raise ConnectionFailed("unknown_server", str(err)) from err


async def login_test(
    hass: HomeAssistant, parameters: StompParameters, *, allow_plain: bool
) -> None:
    """Log in and out again; raises a `LinkError` whose reason names the error text."""
    connection = await _connect(hass, parameters, allow_plain=allow_plain)
    await connection.close()


class ScoutSession:
    """One login, over which packets go out."""

    def __init__(self, connection: StompConnection, gateway: Gateway) -> None:
        self._connection = connection
        self._gateway = gateway
        self._confirmed = False

    async def publish(self, packet: Packet) -> asyncio.Future[None]:
        """Send a packet; the future resolves when the broker confirms it."""
        message_type = message_type_of(packet.topic)
        try:
            receipt = await self._connection.send(
                self._gateway.destination(message_type),
                self._gateway.headers(message_type),
                packet.body,
            )
        except StompError as err:
            self._raise_for(err)
        receipt.add_done_callback(self._remember)
        return receipt

    def _remember(self, receipt: asyncio.Future[None]) -> None:
        if not receipt.cancelled() and receipt.exception() is None:
            self._confirmed = True

    async def confirmed(self, receipts: Iterable[asyncio.Future[None]]) -> None:
        """Wait until the broker has confirmed some messages."""
        try:
            async with asyncio.timeout(_CONFIRMED_WITHIN_S):
                await asyncio.gather(*receipts)
        except TimeoutError as err:
            raise ConnectionFailed("not_confirmed") from err
        except StompError as err:
            self._raise_for(err)

    async def closed(self) -> NoReturn:
        """Wait for the end of the session and raise why."""
        self._raise_for(await self._connection.wait_closed() or StompConnectionLost("closed by us"))

    def _raise_for(self, err: StompError) -> NoReturn:
        # RabbitMQ before 3.10.14 says nothing but "STOMP died" where an exchange is missing or
        # forbidden. A session that ends so before any message was confirmed has met just that.
        if isinstance(err, StompConnectionLost) and err.reason == _DIED and not self._confirmed:
            detail = _detail(err, self._gateway.claim_id)
            raise DestinationRefused("destination_refused", detail) from err
        _raise_for(err, self._gateway.claim_id)


@asynccontextmanager
async def open_session(
    hass: HomeAssistant,
    parameters: StompParameters,
    gateway: Gateway,
    greetings: Sequence[Packet],
    *,
    allow_plain: bool,
) -> AsyncIterator[ScoutSession]:
    """Log in, send the greetings, and close at the end.

    Raises `CredentialsRefused`, `DestinationRefused` or `ConnectionFailed`.
    """
    connection = await _connect(hass, parameters, allow_plain=allow_plain)
    session = ScoutSession(connection, gateway)
    try:
        # An exchange that is missing or closed to us shows only now, by the greetings' fate.
        receipts = [await session.publish(packet) for packet in greetings]
        await session.confirmed(receipts)
        yield session
    finally:
        await connection.close()
