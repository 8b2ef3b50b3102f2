"""The publisher itself: who may connect, what is published, and when."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
import ssl
from typing import Final
from uuid import UUID

from ...listener import LOOPBACK, Network, is_stopping
from ..constants import DEFAULT_PORT, NOOP_INTERVAL_S
from ..frames import NOOP, SttpError
from ..measurement import Frame, Framer, Measurement, joined
from ..metadata import Metadata
from .catalog import Catalog
from .connection import Connection
from .limits import Limits, PublisherHealth, SubscriberInfo
from .past import History
from .streams import Streams

type Address = IPv4Address | IPv6Address

# So many connections are taken up at once; more wait in the kernel for the next turn.
_BACKLOG: Final = 32
# How long the last answer may take to get away.
_GOODBYE_S: Final = 2.0


class Publisher:
    """An STTP publisher: define_metadata, start, publish, and stop.

    Belongs to the running event loop. What is published within batch_s goes out together, and the
    last value of every signal again each repeat_s, with the timestamp it had: subscribers take a
    pause of some seconds for a broken connection.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        tls: ssl.SSLContext | None = None,
        allowed_networks: Sequence[Network] = LOOPBACK,
        limits: Limits | None = None,
        history: History | None = None,
        batch_s: float = 0.01,
        repeat_s: float = 2.0,
    ) -> None:
        self._host, self._port = host, port
        self._tls = tls
        self._allowed = allowed_networks
        self._limits = limits or Limits()
        self._history = history
        self._replays = asyncio.Semaphore(self._limits.replays)
        self._batch_s, self._repeat_s = batch_s, repeat_s
        self.health = PublisherHealth()
        self._catalog = Catalog()
        self._streams = Streams()
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._framer = Framer()
        self._waiting: list[Frame] = []
        self._flush_timer: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        if self._server is None:
            return self._port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen; raises OSError where the address cannot be had."""
        self._server = await asyncio.start_server(
            self._accepted, self._host, self._port, backlog=_BACKLOG
        )
        self._run(_every(NOOP_INTERVAL_S, self._ping))
        self._run(_every(self._repeat_s, self._streams.repeat))

    async def stop(self) -> None:
        """End all connections; the port is free when this returns."""
        if self._server is not None:
            self._server.close()
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        for connection in tuple(self._connections):
            connection.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def define_metadata(self, metadata: Metadata) -> None:
        """Publish other metadata, and tell subscribers that it changed.

        Subscribers ask for it then. Where a filter expression selects other signals than before,
        its subscriber is sent a signal index cache with those, whether it asks or not.
        """
        # What waits is of signals that may be none any more.
        self.flush()
        self._catalog.define(metadata)
        self._framer.forget()
        self._streams.keep(self._catalog.indexes.values())
        for connection in tuple(self._connections):
            if connection.info is not None:
                self._run(connection.configuration_changed())

    def publish(self, measurements: Iterable[Measurement]) -> None:
        """Publish measurements.

        Raises KeyError for a signal that the metadata does not have and ValueError for what no
        packet can carry; nothing of the batch is sent then.
        """
        frame = self._framer.frame(measurements, self._catalog.indexes)
        if frame is None:
            return
        self._waiting.append(frame)
        if self._server is None:
            self.flush()
        elif self._flush_timer is None:
            loop = asyncio.get_running_loop()
            self._flush_timer = loop.call_later(self._batch_s, self.flush)

    def flush(self) -> None:
        """Send at once what was published and has not gone out yet."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        waiting, self._waiting = self._waiting, []
        self._streams.publish(joined(waiting))

    def subscribers(self) -> list[SubscriberInfo]:
        """Return the subscribers that are connected."""
        return [info for connection in self._connections if (info := connection.info) is not None]

    def disconnect(self, subscriber_id: UUID) -> bool:
        """End the connection of a subscriber; return whether there was one."""
        for connection in self._connections:
            if connection.id == subscriber_id:
                connection.drop()
                return True
        return False

    def _ping(self) -> None:
        """Send the keep-alive that subscribers watch."""
        for connection in tuple(self._connections):
            if connection.info is not None:
                connection.send(NOOP)

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let a peer in, or not."""
        if (address := self._admitted(writer)) is None:
            writer.transport.abort()
            return
        connection = Connection(
            reader,
            writer,
            address=address,
            catalog=self._catalog,
            streams=self._streams,
            limits=self._limits,
            health=self.health,
            secure=self._tls is not None,
            history=self._history,
            replays=self._replays,
        )
        self._connections.add(connection)
        self._run(self._serve(connection, writer))

    async def _serve(self, connection: Connection, writer: asyncio.StreamWriter) -> None:
        """Serve a connection to its last byte."""
        handshake_s, address = self._limits.handshake_s, connection.address
        try:
            async with asyncio.timeout(handshake_s):
                if self._tls is not None:
                    await writer.start_tls(self._tls, ssl_handshake_timeout=handshake_s)
                await connection.handshake()
            await connection.serve()
        except SttpError as err:
            self.health.refuse(address, str(err))
            await _goodbye(writer)
        except TimeoutError:
            self.health.refuse(address, "Nothing came in time")
        except OSError, asyncio.IncompleteReadError:
            # It has gone.
            pass
        finally:
            connection.drop()
            self._connections.discard(connection)

    def _admitted(self, writer: asyncio.StreamWriter) -> Address | None:
        """Return the address of a peer who may come in."""
        peer = writer.get_extra_info("peername")
        if peer is None or is_stopping(self._server):
            # It went before it was let in, or came as the server stopped.
            return None
        address: Address = ip_address(peer[0])
        limits = self._limits
        if not any(address in network for network in self._allowed):
            self.health.refuse(address, "Not in an allowed network")
        elif len(self._connections) >= limits.connections:
            self.health.refuse(address, f"More than {limits.connections} connections")
        elif (
            sum(connection.address == address for connection in self._connections)
            >= limits.connections_per_address
        ):
            self.health.refuse(
                address, f"More than {limits.connections_per_address} connections from there"
            )
        else:
            return address
        return None


async def _goodbye(writer: asyncio.StreamWriter) -> None:
    """Close a connection, but let the last answer get away."""
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await writer.wait_closed()


async def _every(interval_s: float, action: Callable[[], None]) -> None:
    """Do something again and again."""
    while True:
        await asyncio.sleep(interval_s)
        action()
