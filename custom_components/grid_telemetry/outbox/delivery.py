"""Delivery: from the outbox to a platform, at least once.

`Delivery` sends the records over a kept connection. A platform brings a context manager that opens
a `Session`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final, NoReturn, Protocol

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..connection.errors import ConnectionFailed, LinkError
from ..connection.health import Health, as_datetime
from ..connection.kept import KeptConnection
from .packet import Packet
from .store import Lane, Outbox, StoredRecord

ACKNOWLEDGED_WITHIN_S: Final = 60.0
"""A session in which a packet waits longer for its acknowledgement is dead."""
GATHER_S: Final = 0.02
"""Acknowledgements are gathered for so long; after `kill -9` these packets are sent again."""
_WINDOW_PACKETS: Final = 32
_WINDOW_BYTES: Final = 256 * 1024
_RECORDS_PER_READ: Final = 2000
_READ_AGAIN_S: Final = 60.0
"""So long after a read of the outbox failed it is read from the beginning again."""


class Session(Protocol):
    """One live connection to a platform."""

    async def publish(self, packet: Packet) -> asyncio.Future[None]:
        """Send a packet; returns when the transport took it.

        The future resolves when the platform acknowledges. It may fail with a `LinkError`,
        which ends the session; any other failure only leaves the packet unacknowledged.
        Raises a `LinkError`.
        """

    async def closed(self) -> NoReturn:
        """Wait for the end of the connection and raise a `LinkError` that says why."""


class Delivery:
    """Sends what is in the outbox, lane by lane; live samples before the backlog of them.

    Live is what was put since the session began. A record leaves the outbox when the packet that
    carries it is acknowledged; what was not is sent again in the next session.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        *,
        outbox: Outbox,
        health: Health,
        connect: Callable[[], AbstractAsyncContextManager[Session]],
        pack: Callable[[Sequence[StoredRecord]], Iterable[Packet]],
    ) -> None:
        """Prepare; `pack` joins records, of any topics and in order, into packets."""
        self._outbox = outbox
        self._health = health
        self._connect = connect
        self._pack = pack
        self._connection = KeptConnection(
            hass, entry, health=health, connect=self._session, run=self._run
        )
        self._queues: list[_Queue] = []
        self._news = asyncio.Event()  # records were put
        self._acknowledged: list[Packet] = []
        self._acks = asyncio.Event()
        self._drained = asyncio.Event()

    @callback
    def start(self) -> None:
        """Begin to deliver, in a background task of the entry."""
        self._show_queue()
        self._connection.start()

    async def stop(self) -> None:
        """End the session; what is not acknowledged by then stays in the outbox."""
        await self._connection.stop()

    @callback
    def wake(self) -> None:
        """Have new records sent; to be called after every `Outbox.put`."""
        self._news.set()
        self._show_queue()

    async def flush(self, timeout_s: float) -> int:
        """Try at once to empty the outbox and return how many samples were delivered meanwhile.

        Returns when the outbox was empty for a moment, or after the timeout.
        """
        before = self._outbox.delivered_samples
        if self._connection.kept and self._outbox.queued_records:
            self._drained.clear()
            self._connection.retry_now()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._drained.wait()
        return self._outbox.delivered_samples - before

    def _show_queue(self) -> None:
        health, outbox = self._health, self._outbox
        health.queued = outbox.queued_samples
        health.oldest_at = as_datetime(outbox.oldest_at_ms)
        health.delivered = outbox.delivered_samples
        health.dropped = outbox.dropped_samples
        health.notify()
        if not outbox.queued_records:
            self._drained.set()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        """Open a session; acknowledgements that come until it is closed count as well."""
        try:
            async with self._connect() as session:
                yield session
        finally:
            await asyncio.sleep(0)  # lets the last ones be heard
            await self._remove_acknowledged()

    async def _run(self, session: Session) -> None:
        """Deliver over a session until its end; raises the `LinkError` that ended it."""
        window = _Window(self._take_acknowledged)
        tasks = [
            asyncio.create_task(session.closed()),
            asyncio.create_task(window.broken()),
            asyncio.create_task(self._send(session, window)),
            asyncio.create_task(self._read_again(self._outbox.failed_reads)),
            asyncio.create_task(self._remove()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            window.close()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _send(self, session: Session, window: _Window) -> NoReturn:
        """Publish packet by packet, each from the first queue that has one."""
        self._queues = self._from_the_beginning()
        while True:
            self._news.clear()
            for queue in self._queues:
                if (packet := await queue.next()) is not None:
                    await window.publish(session, packet)
                    break
            else:
                await self._news.wait()

    def _from_the_beginning(self) -> list[_Queue]:
        """Return the queues in the order of their turns, none read yet."""
        start = self._outbox.last_id
        return [
            _Queue(self._outbox, self._pack, Lane.MESSAGES),
            _Queue(self._outbox, self._pack, Lane.SAMPLES, after_id=start),
            _Queue(self._outbox, self._pack, Lane.SAMPLES, end_id=start),
            _Queue(self._outbox, self._pack, Lane.HISTORY),
        ]

    async def _read_again(self, known: int) -> NoReturn:
        """Have everything read again, a while after one more read than those known has failed.

        The queues have passed over what they did not see then. What is on its way just now goes
        out twice, which at least once allows.
        """
        while True:
            await asyncio.sleep(_READ_AGAIN_S)
            if self._outbox.failed_reads != known:
                known = self._outbox.failed_reads
                self._queues = self._from_the_beginning()
                self._news.set()

    @callback
    def _take_acknowledged(self, packet: Packet) -> None:
        self._acknowledged.append(packet)
        self._acks.set()

    async def _remove(self) -> NoReturn:
        """Remove what was acknowledged, as much as possible in one transaction."""
        while True:
            await self._acks.wait()
            await asyncio.sleep(GATHER_S)
            await self._remove_acknowledged()

    async def _remove_acknowledged(self) -> None:
        self._acks.clear()
        if not (packets := self._acknowledged.copy()):
            return
        await self._outbox.remove([id_ for packet in packets for id_ in packet.ids])
        del self._acknowledged[: len(packets)]
        self._health.last_delivery = dt_util.utcnow()
        self._show_queue()


class _Queue:
    """The packets of one lane of the outbox, read piece by piece."""

    def __init__(
        self,
        outbox: Outbox,
        pack: Callable[[Sequence[StoredRecord]], Iterable[Packet]],
        lane: Lane,
        *,
        after_id: int = 0,
        end_id: int | None = None,
    ) -> None:
        self._outbox = outbox
        self._pack = pack
        self._lane = lane
        self._after_id = after_id
        self._end_id = end_id
        self._packets: Iterator[Packet] = iter(())

    async def next(self) -> Packet | None:
        """Return the next packet; None when there is none for now."""
        if (packet := next(self._packets, None)) is not None:
            return packet
        newest = self._outbox.last_id if self._end_id is None else self._end_id
        if newest <= self._after_id:
            return None
        records = await self._outbox.next(
            _RECORDS_PER_READ, lane=self._lane, after_id=self._after_id, before_id=newest + 1
        )
        self._after_id = records[-1].id if records else newest
        self._packets = iter(self._pack(records))
        return next(self._packets, None)


class _Window:
    """What one session has sent and the platform has not acknowledged; bounded."""

    def __init__(self, on_acknowledged: Callable[[Packet], None]) -> None:
        self._on_acknowledged = on_acknowledged
        self._loop = asyncio.get_running_loop()
        self._in_flight: dict[asyncio.Future[None], tuple[Packet, float]] = {}  # oldest first
        self._bytes = 0
        self._room = asyncio.Event()
        self._error: asyncio.Future[LinkError] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None

    async def publish(self, session: Session, packet: Packet) -> None:
        """Wait for room and send; a packet larger than the whole window goes alone."""
        size = len(packet.body)
        while self._in_flight and (
            len(self._in_flight) >= _WINDOW_PACKETS or self._bytes + size > _WINDOW_BYTES
        ):
            self._room.clear()
            await self._room.wait()
        future = await session.publish(packet)
        self._in_flight[future] = packet, self._loop.time() + ACKNOWLEDGED_WITHIN_S
        self._bytes += size
        if self._timer is None:
            self._check_age()
        future.add_done_callback(self._done)

    async def broken(self) -> NoReturn:
        """Raise the `LinkError` of a refused packet or of a missing acknowledgement."""
        raise await self._error

    @callback
    def close(self) -> None:
        """Stop watching; acknowledgements that come late still count."""
        if self._timer is not None:
            self._timer.cancel()
        self._error.cancel()

    @callback
    def _done(self, future: asyncio.Future[None]) -> None:
        if future.cancelled():
            return
        if (error := future.exception()) is not None:
            if isinstance(error, LinkError):
                self._break(error)
            return
        packet, _ = self._in_flight.pop(future)
        self._bytes -= len(packet.body)
        self._room.set()
        self._on_acknowledged(packet)

    @callback
    def _check_age(self) -> None:
        """Look at the oldest packet when its time is over; then at what is the oldest by then."""
        self._timer = None
        for _, deadline in self._in_flight.values():
            if deadline <= self._loop.time():
                self._break(ConnectionFailed("not_acknowledged"))
            else:
                self._timer = self._loop.call_at(deadline, self._check_age)
            return

    def _break(self, error: LinkError) -> None:
        if not self._error.done():
            self._error.set_result(error)
