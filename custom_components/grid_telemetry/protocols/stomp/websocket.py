"""The WebSocket under a STOMP connection, and what can go wrong with it."""

import asyncio
from contextlib import suppress
import socket
import ssl as tls
from typing import Final, Literal

import aiohttp
from yarl import URL

from .errors import (
    StompConnectionLost,
    StompProtocolError,
    StompTransportError,
    TransportFailure,
    system_words,
)

_CLOSE_S: Final = 1.0

type WebSocket = aiohttp.ClientWebSocketResponse[Literal[False]]


async def open_websocket(
    session: aiohttp.ClientSession, address: str, ssl: tls.SSLContext | Literal[True]
) -> WebSocket:
    """Connect, and raise StompTransportError, or TimeoutError of the session, if that fails."""
    try:
        url = URL(address)
        websocket = await session.ws_connect(
            url,
            ssl=ssl,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
            decode_text=False,
        )
    except (aiohttp.ClientError, OSError, ValueError) as err:
        if isinstance(err, TimeoutError):
            raise
        raise _transport_error(err) from err
    if url.scheme in {"wss", "https"} and websocket.get_extra_info("ssl_object") is None:
        await close_websocket(websocket, None)
        raise StompTransportError(TransportFailure.TLS, "redirected to a connection without TLS")
    return websocket


def peer_address(websocket: WebSocket) -> str:
    """Return the address that was connected to; raises StompConnectionLost if it is gone."""
    if (peer := websocket.get_extra_info("peername")) is None:
        raise StompConnectionLost("the connection was cut")
    return str(peer[0])


def _transport_error(err: Exception) -> StompTransportError:
    match err:
        case aiohttp.WSServerHandshakeError():
            return StompTransportError(
                TransportFailure.HTTP_STATUS,
                f"HTTP status {err.status} in place of a WebSocket",
                err.status,
            )
        case aiohttp.ClientConnectorCertificateError():
            cause = err.certificate_error
            text = getattr(cause, "verify_message", "") or str(cause)
            return StompTransportError(TransportFailure.TLS, text)
        case aiohttp.ClientSSLError() | tls.SSLError():
            cause = err.os_error if isinstance(err, aiohttp.ClientConnectorError) else err
            text = getattr(cause, "reason", "") or str(cause)
            return StompTransportError(TransportFailure.TLS, text)
        case aiohttp.ClientConnectorDNSError():
            return StompTransportError(TransportFailure.DNS, f"{err.host} has no address")
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return StompTransportError(
                TransportFailure.REFUSED, f"{err.host} port {err.port} refuses connections"
            )
        case aiohttp.ClientConnectorError():
            cause = err.os_error
            return StompTransportError(
                TransportFailure.OTHER, f"{err.host} port {err.port}: {system_words(cause)}"
            )
        case aiohttp.InvalidURL() | ValueError():
            # The URL as it was given may hold a password; it is not repeated.
            return StompTransportError(TransportFailure.OTHER, "not a WebSocket URL")
        case _:
            return StompTransportError(TransportFailure.OTHER, str(err) or type(err).__name__)


async def receive(websocket: WebSocket) -> bytes:
    """Return the payload of the next message; the end of the WebSocket is an error."""
    message = await websocket.receive()
    match message.type:
        case aiohttp.WSMsgType.TEXT | aiohttp.WSMsgType.BINARY:
            data: bytes = message.data
            return data
        case aiohttp.WSMsgType.CLOSE:
            code, reason = message.data, message.extra or ""
            text = f"closed by the server with code {code} {reason}".rstrip()
            if code == aiohttp.WSCloseCode.INVALID_TEXT:
                # So RabbitMQ answers what it cannot parse.
                raise StompProtocolError(text)
            raise StompConnectionLost(text, code=code, reason=reason)
        case aiohttp.WSMsgType.ERROR if isinstance(message.data, aiohttp.WebSocketError):
            raise StompProtocolError(f"not a WebSocket message: {message.data}")
        case _:
            raise StompConnectionLost("the connection was cut")


async def close_websocket(websocket: WebSocket, error: BaseException | None) -> None:
    """Close within a bounded time, with a code that fits the error."""
    code = aiohttp.WSCloseCode.OK
    if isinstance(error, StompProtocolError):
        code = aiohttp.WSCloseCode.PROTOCOL_ERROR
    transport_socket: socket.socket | None = websocket.get_extra_info("socket")
    try:
        async with asyncio.timeout(_CLOSE_S):
            await websocket.close(code=code)
    except TimeoutError:
        cut(transport_socket)


def cut(transport_socket: socket.socket | None) -> None:
    """End a connection whose peer does not read.

    Closing alone would keep the socket for as long as there is something left to write.
    """
    if transport_socket is not None:
        with suppress(OSError):
            transport_socket.shutdown(socket.SHUT_RDWR)
