"""The connection to Scout: the login, what is said first, and what each refusal means."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
import ipaddress
import re
from typing import Any, NoReturn
from urllib.parse import urlsplit

import aiohttp
from homeassistant.const import CONF_HOST, CONF_TOKEN, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from ...connection.errors import (
    Blame,
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
    LinkError,
    SendingRefused,
)
from ...outbox.packet import Packet
from ...protocols.stomp.client import StompConnection, StompParameters, connect
from ...protocols.stomp.errors import (
    StompAuthenticationError,
    StompConnectionLost,
    StompDestinationError,
    StompError,
    StompHostError,
    StompServerError,
    StompTransportError,
    TransportFailure,
)
from .const import CONF_CLAIM_ID
from .payload import Gateway, MessageType

# What a broker that goes away says to its clients, whatever they sent.
_GOING_AWAY = "connection_forced"
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


def _check_private(address: str) -> None:
    if not ipaddress.ip_address(address.partition("%")[0]).is_private:
        raise ConnectionFailed(
            "plain_refused", "without TLS only a server in the local network is allowed"
        )


def _peer_check(url: str, *, allow_plain: bool) -> Callable[[str], None]:
    """Refuse `ws://` unless it was allowed, and return what refuses all but private addresses.

    Of a server by name it is the address that was connected to, for a name can have another one
    by then. Raises ValueError for a port that cannot be.
    """
    parts = urlsplit(url)
    host, _ = parts.hostname or "", parts.port
    if parts.scheme == "wss":
        return lambda _: None
    if not allow_plain:
        raise ConnectionFailed("plain_refused", "TLS is required: use wss://")
    if _is_address(host):
        _check_private(host)
    return _check_private


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _detail(err: StompError, claim_id: str) -> str:
    """Return the text of an error without the claim id, which brokers like to quote."""
    return re.sub(re.escape(claim_id), "**", str(err), flags=re.IGNORECASE)


def _login_error(err: StompError, claim_id: str) -> LinkError:
    """Return what the login met."""
    detail = _detail(err, claim_id)
    match err:
        case StompAuthenticationError():
            return CredentialsRefused("invalid_auth", detail)
        case StompHostError():
            return DestinationRefused("unknown_host", detail)
        case StompTransportError():
            return ConnectionFailed(_TRANSPORT_REASONS[err.kind], detail)
        case _:
            return ConnectionFailed("cannot_connect", detail)


def _session_error(err: StompError, claim_id: str) -> LinkError:
    """Return what ended a session."""
    detail = _detail(err, claim_id)
    match err:
        case StompDestinationError():
            return SendingRefused("destination_refused", detail, blame=Blame.KIND)
        case StompServerError() if err.message.lower() != _GOING_AWAY:
            return SendingRefused("message_refused", detail, blame=Blame.PACKET)
        case StompConnectionLost() if err.code == aiohttp.WSCloseCode.OK:
            # RabbitMQ says no more than this where an exchange is missing or forbidden.
            return SendingRefused("session_ended", detail)
        case StompConnectionLost() if err.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            return SendingRefused("message_too_large", detail, blame=Blame.PACKET)
        case _:
            return ConnectionFailed("connection_lost", detail)


async def _connect(
    hass: HomeAssistant, parameters: StompParameters, *, allow_plain: bool
) -> StompConnection:
    try:
        check_peer = _peer_check(parameters.url, allow_plain=allow_plain)
        return await connect(async_get_clientsession(hass), parameters, check_peer)
    except StompError as err:
        raise _login_error(err, parameters.login) from err
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

    async def publish(self, packet: Packet) -> asyncio.Future[None]:
        """Send a packet; the future resolves when the broker confirms it."""
        message_type = MessageType(packet.destination.kind)
        try:
            return await self._connection.send(
                self._gateway.destination(message_type),
                self._gateway.headers(message_type),
                packet.body,
            )
        except StompError as err:
            raise _session_error(err, self._gateway.claim_id) from err

    async def closed(self) -> NoReturn:
        """Wait for the end of the session and raise why."""
        end = await self._connection.wait_closed() or StompConnectionLost("closed by us")
        raise _session_error(end, self._gateway.claim_id) from end


@asynccontextmanager
async def open_session(
    hass: HomeAssistant, parameters: StompParameters, gateway: Gateway, *, allow_plain: bool
) -> AsyncIterator[ScoutSession]:
    """Log in, and close at the end.

    Raises `CredentialsRefused`, `DestinationRefused` or `ConnectionFailed`.
    """
    connection = await _connect(hass, parameters, allow_plain=allow_plain)
    try:
        yield ScoutSession(connection, gateway)
    finally:
        await connection.close()
