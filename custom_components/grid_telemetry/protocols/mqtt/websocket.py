"""MQTT over WebSocket: a socket in the shape of a stream of bytes (OASIS MQTT 5.0, section 6)."""

import asyncio
from collections import deque
from dataclasses import dataclass
import ssl
from typing import Final, Protocol

import aiohttp

from .errors import MqttTransportError, TransportFailure

_SUBPROTOCOL: Final = "mqtt"
_CLOSE_S: Final = 1.0
_MAX_FRAME_BYTES: Final = 4 * 1024 * 1024  # a frame may hold several packets


@dataclass(frozen=True, kw_only=True)
class WebSocket:
    """Where a server speaks MQTT over WebSocket, and the session to open it with."""

    session: aiohttp.ClientSession
    path: str


class Transport(Protocol):
    """What is left of a connection when nobody waits for it."""

    def abort(self) -> None:
        """End it at once."""


class Writer(Protocol):
    """The part of `asyncio.StreamWriter` that a connection needs."""

    @property
    def transport(self) -> Transport:
        """What to abort."""

    def write(self, data: bytes) -> None:
        """Have bytes sent."""

    def is_closing(self) -> bool:
        """Return whether nothing can be sent any more."""

    def close(self) -> None:
        """End it when all is sent."""

    async def wait_closed(self) -> None:
        """Wait until it has ended."""


type Streams = tuple[asyncio.StreamReader, Writer]


async def open_websocket(
    where: WebSocket, host: str, port: int, tls: ssl.SSLContext | None
) -> Streams:
    """Connect and return the stream of bytes; raises `MqttTransportError`."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    url = f"{'ws' if tls is None else 'wss'}://{authority}/{where.path.lstrip('/')}"
    try:
        socket = await where.session.ws_connect(
            url,
            protocols=(_SUBPROTOCOL,),
            ssl=True if tls is None else tls,
            max_msg_size=_MAX_FRAME_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
        )
    except aiohttp.ClientConnectorDNSError as err:
        raise MqttTransportError(TransportFailure.UNKNOWN_SERVER, str(err)) from err
    except (aiohttp.ClientSSLError, ssl.SSLError) as err:
        raise MqttTransportError(TransportFailure.TLS, str(err)) from err
    except aiohttp.WSServerHandshakeError as err:
        raise MqttTransportError(TransportFailure.WRONG_URL, f"{err.status} {err.message}") from err
    except ValueError as err:  # no address that there is; aiohttp.InvalidURL is one
        raise MqttTransportError(TransportFailure.UNKNOWN_SERVER, str(err)) from err
    except (aiohttp.ClientError, OSError) as err:
        raise MqttTransportError(TransportFailure.CANNOT_CONNECT, str(err)) from err
    reader = asyncio.StreamReader()
    return reader, _WebSocketWriter(socket, reader)


class _WebSocketWriter:
    """Sends what is written, and feeds the reader, each in a task of its own."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, reader: asyncio.StreamReader
    ) -> None:
        self._socket = socket
        self._reader = reader
        self._waiting: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._closing = False
        loop = asyncio.get_running_loop()
        self._tasks = (
            loop.create_task(self._send(), name="MQTT WebSocket sender"),
            loop.create_task(self._receive(), name="MQTT WebSocket reader"),
        )

    @property
    def transport(self) -> Transport:
        return self

    def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._news.set()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        self._news.set()

    def abort(self) -> None:
        self._closing = True
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.wait(self._tasks)

    async def _send(self) -> None:
        try:
            while True:
                while self._waiting:
                    await self._socket.send_bytes(self._waiting.popleft())
                if self._closing:
                    return
                self._news.clear()
                await self._news.wait()
        except (aiohttp.ClientError, OSError) as err:
            self._end(err)
        finally:
            await self._socket.close()

    async def _receive(self) -> None:
        """Feed the reader until the end; a frame may hold any part of the stream."""
        try:
            while True:
                message = await self._socket.receive()
                if message.type is not aiohttp.WSMsgType.BINARY:
                    break
                self._reader.feed_data(message.data)
        except (aiohttp.ClientError, OSError) as err:
            self._end(err)
        else:
            self._end(message.data if isinstance(message.data, Exception) else None)

    def _end(self, err: Exception | None) -> None:
        """End what is read; the sender goes with it."""
        if self._reader.at_eof() or self._reader.exception() is not None:
            return
        if err is None:
            self._reader.feed_eof()
        else:
            self._reader.set_exception(OSError(str(err) or type(err).__name__))
        self.close()
