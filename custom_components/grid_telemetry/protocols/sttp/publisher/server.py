"""The publisher itself: who may connect, what is published, and when."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
import logging
import ssl
from typing import Final
from uuid import UUID

from ...listener import LOOPBACK, Listener, Network, Peer
from ..connecting import check_fingerprint
from ..constants import DEFAULT_PORT, NOOP_INTERVAL_S
from ..frames import NOOP, SttpError
from ..measurement import Frame, Framer, Measurement, joined
from ..metadata import Metadata
from .catalog import Catalog
from .connection import Connection, OnCommand, OnUserCommand
from .dialing import Dialing, Dialled, keep_dialing
from .limits import Limits, PublisherHealth, SubscriberInfo
from .past import History
from .streams import Streams

_LOGGER = logging.getLogger(__name__)

# How long the last answer may take to get away.
_GOODBYE_S: Final = 2.0


class Publisher:
    """An STTP publisher: define_metadata, start, publish, and stop.

    Belongs to the running event loop. What is published within batch_s goes out together, and the
    last value of every signal again each repeat_s, with the timestamp it had: subscribers take a
    pause of some seconds for a broken connection. User commands are refused where nobody takes
    them.
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
        dialing: Dialing | None = None,
        on_user_command: OnUserCommand | None = None,
        on_command: OnCommand = lambda *_: None,
        batch_s: float = 0.01,
        repeat_s: float = 2.0,
    ) -> None:
        self._limits = limits or Limits()
        self._history = history
        self._on_user_command = on_user_command
        self._on_command = on_command
        self._dialing = dialing or Dialing()
        self._replays = asyncio.Semaphore(self._limits.replays)
        self._batch_s, self._repeat_s = batch_s, repeat_s
        self.health = PublisherHealth()
        self._secure = tls is not None
        self._knows_certificates = tls is not None and tls.verify_mode is ssl.CERT_REQUIRED
        self._listener = Listener(
            self._serve,
            host=host,
            port=port,
            refusals=self.health,
            limits=self._limits,
            allowed_networks=allowed_networks,
            tls=tls,
        )
        self._catalog = Catalog()
        self._streams = Streams()
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = False
        self._framer = Framer()
        self._waiting: list[Frame] = []
        self._flush_timer: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._listener.port

    @property
    def clients(self) -> int:
        """The number of connections, also of those that are no subscribers yet."""
        return len(self._listener)

    async def start(self) -> None:
        """Listen; raises OSError where the address cannot be had."""
        self._listener.start()
        self._running = True
        self._run(_every(NOOP_INTERVAL_S, self._ping))
        self._run(_every(self._repeat_s, self._streams.repeat))
        for target in self._dialing.targets:
            self._run(keep_dialing(target, self._dialing, self._dialled, self.health.refuse))

    async def stop(self) -> None:
        """End all connections; the port is free when this returns."""
        self._listener.close()
        self._running = False
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        for connection in tuple(self._connections):
            connection.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.stop()

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
        if not self._running:
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

    async def _serve(self, peer: Peer) -> None:
        """Serve a connection to its last byte."""
        reader, writer = await peer.open_streams()
        if self._knows_certificates:
            try:
                check_fingerprint(writer, self._dialing.fingerprints)
            except SttpError as err:
                self.health.refuse(peer.address, str(err))
                peer.drop()
                return
        await self._serve_streams(peer, reader, writer, secure=self._secure)

    async def _dialled(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a subscriber that was dialled."""
        secure = self._dialing.tls is not None
        await self._serve_streams(Dialled(writer), reader, writer, secure=secure)

    async def _serve_streams(
        self,
        peer: Peer | Dialled,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        secure: bool,
    ) -> None:
        connection = Connection(
            reader,
            writer,
            peer=peer,
            catalog=self._catalog,
            streams=self._streams,
            limits=self._limits,
            health=self.health,
            secure=secure,
            history=self._history,
            replays=self._replays,
            on_user_command=self._on_user_command,
            on_command=self._on_command,
        )
        self._connections.add(connection)
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                await connection.handshake()
            await connection.serve()
        except SttpError as err:
            self.health.refuse(peer.address, str(err))
            await _goodbye(writer)
        except TimeoutError:
            self.health.refuse(peer.address, "Nothing came in time")
        except asyncio.IncompleteReadError:
            # It has gone.
            pass
        finally:
            connection.drop()
            self._connections.discard(connection)


async def _goodbye(writer: asyncio.StreamWriter) -> None:
    """Close a connection, but let the last answer get away."""
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await writer.wait_closed()


async def _every(interval_s: float, action: Callable[[], None]) -> None:
    """Do something again and again, whatever becomes of it once."""
    while True:
        await asyncio.sleep(interval_s)
        try:
            action()
        except Exception:
            _LOGGER.exception("Unexpected error of the publisher")
