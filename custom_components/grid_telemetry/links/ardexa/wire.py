"""The typed seam to python-socketio, which ships no types, and what it lets slip on the wire."""

import logging
import re
from typing import Any, Final, override

import aiohttp
from homeassistant.util.json import json_loads
import orjson
from socketio import AsyncClient
from socketio.packet import CONNECT, CONNECT_ERROR, DISCONNECT, EVENT, Packet

MALFORMED: Final = ""
"""The event in place of a packet that cannot be read."""

MAX_RECEIVED_BYTES: Final = 16 * 1024 * 1024
"""A larger event ends the connection."""

_RESERVED: Final = frozenset({"connect", "disconnect", "connect_error", "__disconnect_final"})
_TOKEN: Final = re.compile(r"(token=)[^&\s'\"]+")


class _Json:
    """Home Assistant's JSON, which is faster; without its extensions on the way out."""

    loads = staticmethod(json_loads)

    @staticmethod
    def dumps(value: object, **_: Any) -> str:
        """Return JSON without spaces."""
        return orjson.dumps(value).decode()


class TolerantPacket(Packet):
    """A packet that is an event of no name when it is malformed.

    The library would raise in a task that nobody waits for.
    """

    json = _Json

    @override
    def decode(self, encoded_packet: str | bytes) -> int:
        try:
            super().decode(encoded_packet)
        except ValueError, RecursionError:
            self._be_malformed()
            return 0
        match self.packet_type, self.data:
            case packet_type, [str(name), *_] if packet_type == EVENT and name not in _RESERVED:
                pass
            case packet_type, None if packet_type in (CONNECT, DISCONNECT):
                pass
            case packet_type, dict() if packet_type == CONNECT:
                pass
            case packet_type, _ if packet_type == CONNECT_ERROR:
                pass
            case _:  # acknowledgements and binary data are not for us either
                self._be_malformed()
        return 0

    def _be_malformed(self) -> None:
        self.packet_type, self.namespace, self.id = EVENT, None, None
        self.data = [MALFORMED]


def _only_on_request(record: logging.LogRecord) -> bool:
    """Let the library's records through where debugging is on, and never a token."""
    if not _WIRE_LOGGER.isEnabledFor(logging.DEBUG):
        return False  # the loss of a connection is told once, by who holds it
    record.msg, record.args = _TOKEN.sub(r"\1***", record.getMessage()), ()
    return True


_WIRE_LOGGER: Final = logging.getLogger(__name__)
_WIRE_LOGGER.addFilter(_only_on_request)


class Opener:
    """Opens the websocket for the library, which forgets why it could not, or that it did."""

    closed = False

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Take Home Assistant's session."""
        self._session = session
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self.error: Exception | None = None

    async def ws_connect(self, url: str, **options: Any) -> aiohttp.ClientWebSocketResponse:
        """Open it as the library asks."""
        try:
            self._socket = await self._session.ws_connect(
                url, **options, max_msg_size=MAX_RECEIVED_BYTES
            )
        except (aiohttp.ClientError, OSError) as err:
            self.error = err
            raise
        return self._socket

    @property
    def too_large(self) -> bool:
        """Whether the connection ended over an event that is too large."""
        return (
            self._socket is not None
            and self._socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        )

    async def close(self) -> None:
        """Close what is still open."""
        if self._socket is not None:
            await self._socket.close()


def new_client(opener: Opener) -> AsyncClient:
    """Return a client for one connection; who holds it connects again."""
    return AsyncClient(
        reconnection=False,
        logger=_WIRE_LOGGER,
        engineio_logger=_WIRE_LOGGER,
        serializer=TolerantPacket,
        handle_sigint=False,
        http_session=opener,
    )
