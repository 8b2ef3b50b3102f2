"""Reverse connections, seen from the subscriber: it listens for publishers that dial out.

But for who opens the connection it is the same: the subscriber defines the operational modes and
subscribes. Whoever does not answer the modes as a publisher does gets no further, so that strangers
cannot take the place of the publisher that is waited for.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
import ssl
import struct
from typing import Final

from ..listener import LOOPBACK, Listener, ListenerLimits, Network, Peer, Refusals
from .connecting import Streams, check_fingerprint
from .constants import DEFAULT_PORT, ServerCommand, ServerResponse
from .frames import OperationalModes, SttpError, command, decode_text, read_frame

_HEADER: Final = struct.Struct(">BBI")
# Of what may come before the subscription: an answer in words, keep-alives.
_MAX_FRAME: Final = 4_096


@dataclass(frozen=True, kw_only=True)
class WaitingLimits(ListenerLimits):
    """What publishers may use of a subscriber that listens; times in seconds."""

    connections: int = 8
    connections_per_address: int = 6
    greeting_s: float = 10.0
    """From the connection, with TLS from the end of its handshake, to the answer to the modes."""


class PublisherListener:
    """Listens for publishers; one at a time is taken, and others wait for their turn.

    Belongs to the running event loop. `fingerprints` are SHA-256 of certificates in hex; where
    there are any, no other publisher is let in.
    """

    def __init__(
        self,
        modes: OperationalModes,
        *,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        tls: ssl.SSLContext | None = None,
        allowed_networks: Sequence[Network] = LOOPBACK,
        fingerprints: frozenset[str] = frozenset(),
        limits: WaitingLimits | None = None,
    ) -> None:
        self._modes = modes
        self._fingerprints = fingerprints
        self._limits = limits or WaitingLimits()
        self.refusals = Refusals()
        self._arrived: list[tuple[Peer, Streams]] = []
        self._came = asyncio.Event()
        self._listener = Listener(
            self._serve,
            host=host,
            port=port,
            refusals=self.refusals,
            limits=self._limits,
            allowed_networks=allowed_networks,
            tls=tls,
        )

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._listener.port

    def start(self) -> None:
        """Listen; raises OSError where the address cannot be had."""
        self._listener.start()

    async def stop(self) -> None:
        """End all connections; the port is free when this returns. May be called again."""
        await self._listener.stop()

    async def next(self) -> Streams:
        """Wait for a publisher and return its connection, on which it has taken our modes.

        Of several it is the one that came last: a publisher whose connection broke without a word
        dials again.
        """
        while True:
            while self._arrived:
                peer, (reader, writer) = self._arrived.pop()
                if reader.at_eof() or writer.transport.is_closing():
                    peer.drop()
                    continue
                peer.standing, peer.kept_until = 2, inf
                return reader, writer
            self._came.clear()
            await self._came.wait()

    async def _serve(self, peer: Peer) -> None:
        """Let a publisher in, and keep its connection until that ends."""
        reader, writer = await peer.open_streams()
        try:
            check_fingerprint(writer, self._fingerprints)
            async with asyncio.timeout(self._limits.greeting_s):
                await self._greet(reader, writer)
        except SttpError as err:
            self.refusals.refuse(peer.address, str(err))
            return
        except TimeoutError:
            self.refusals.refuse(peer.address, "Nothing came in time")
            return
        except asyncio.IncompleteReadError:
            return  # it has gone
        peer.standing = 1
        peer.heard()
        arrived = (peer, (reader, writer))
        self._arrived.append(arrived)
        self._came.set()
        try:
            await writer.wait_closed()
        finally:
            with suppress(ValueError):  # its turn has come
                self._arrived.remove(arrived)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Define the operational modes; raises SttpError where they are not taken."""
        modes = ServerCommand.DEFINE_OPERATIONAL_MODES
        writer.write(command(modes, self._modes.encode()))
        while True:
            frame = await read_frame(reader, _MAX_FRAME)
            if len(frame) < _HEADER.size:
                raise SttpError("Response cut short")
            code, answered, _ = _HEADER.unpack_from(frame)
            if (code, answered) == (ServerResponse.SUCCEEDED, modes):
                return
            if (code, answered) == (ServerResponse.FAILED, modes):
                raise SttpError(decode_text(frame[_HEADER.size :], self._modes.encoding).strip())
            if code != ServerResponse.NOOP:
                raise SttpError(f"Response {code} before the operational modes were taken")
