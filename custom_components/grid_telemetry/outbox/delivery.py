"""Delivery: from the outbox to a platform, at least once.

`Delivery` sends the records over a kept connection. A platform brings a context manager that opens
a `Session`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Final, NoReturn

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..connection.concurrent import until_first_ends
from ..connection.errors import ConnectionFailed, LinkError, SendingRefused
from ..connection.health import Health, as_datetime
from ..connection.kept import KeptConnection
from ..connection.traffic import Direction, Traffic, traffic_of
from .packet import Pack, Packet, Session
from .store import Lane, Outbox
from .trial import Trial, Verdict

ACKNOWLEDGED_WITHIN_S: Final = 60.0
"""A session in which a packet waits longer for its acknowledgement is dead."""
GATHER_S: Final = 0.02
"""Acknowledgements are gathered for so long; after `kill -9` these packets are sent again."""
_WINDOW_PACKETS: Final = 32
_WINDOW_BYTES: Final = 256 * 1024
_RECORDS_PER_READ: Final = 2000
_READ_AGAIN_S: Final = 60.0
"""So long after a read of the outbox failed it is read from the beginning again."""


class Delivery:
    """Sends what is in the outbox, lane by lane; live samples before the backlog of them.

    Live is what was put since the session began. A record leaves the outbox when the packet that
    carries it is acknowledged; what was not is sent again in the next session. What the platform
    refuses never stops what comes behind it (`trial.py`).
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        *,
        outbox: Outbox,
        health: Health,
        connect: Callable[[], AbstractAsyncContextManager[Session]],
        pack: Pack,
        greet: Callable[[], Sequence[Packet]] = tuple,
        on_dropped: Callable[[], None] = lambda: None,
        on_paused: Callable[[str, str | None], None] = lambda *_: None,
        gather_s: float = GATHER_S,
    ) -> None:
        """Prepare.

        `greet` returns what is said first after an outage. `on_dropped` hears that records were
        dropped, `on_paused` of each kind that the platform refuses, with its words, or None when
        it takes it again.
        """
        self._outbox = outbox
        self._health = health
        self._connect = connect
        self._pack = pack
        self._greet = greet
        self._on_dropped = on_dropped
        self._on_paused = on_paused
        self._gather_s = gather_s
        self._connection = KeptConnection(
            hass, entry, health=health, connect=self._session, run=self._run
        )
        self._trial = Trial(hass.loop.time)
        self._traffic = traffic_of(hass, entry.entry_id)
        self._outage = True
        self._greetings: deque[Packet] = deque()  # not yet acknowledged
        self._queues: list[_Queue] = []
        self._under_way: set[int] = set()
        self._news = asyncio.Event()  # records were put
        self._acknowledged: list[Packet] = []
        self._acks = asyncio.Event()
        self._drained = asyncio.Event()
        self._dropped = 0

    @callback
    def start(self) -> None:
        """Begin to deliver, in a background task of the entry."""
        self._dropped = self._outbox.dropped_samples
        self.show_queue()
        self._connection.start()

    async def stop(self) -> None:
        """End the session; what is not acknowledged by then stays in the outbox."""
        await self._connection.stop()
        self._drained.set()  # nothing is delivered that a flush could wait for

    @callback
    def wake(self) -> None:
        """Have new records sent; to be called after every `Outbox.put`."""
        self._news.set()
        self.show_queue()

    async def flush(self, timeout_s: float) -> int:
        """Try at once to empty the outbox and return how many samples were delivered meanwhile.

        Returns when the outbox was empty for a moment, at the stop, or after the timeout.
        """
        before = self._outbox.delivered_samples
        if self._connection.kept and self._outbox.queued_records:
            self._drained.clear()
            self._trial.release()
            self._begin_again()
            self._connection.retry_now()
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._drained.wait()
        return self._outbox.delivered_samples - before

    def show_queue(self) -> None:
        """Tell the health what the outbox has and had; the outbox has to be open."""
        health, outbox = self._health, self._outbox
        health.queued = outbox.queued_samples
        health.oldest_at = as_datetime(outbox.oldest_at_ms)
        health.delivered = outbox.delivered_samples
        health.dropped = outbox.dropped_samples
        health.refused = outbox.refused_records
        health.notify()
        if not outbox.queued_records:
            self._drained.set()
        if outbox.dropped_samples != self._dropped:
            self._dropped = outbox.dropped_samples
            self._on_dropped()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        """Open a session; acknowledgements that come until it is closed count as well."""
        try:
            async with self._connect() as session:
                yield session
        except SendingRefused:
            raise  # the platform is there, and was greeted
        except LinkError:
            self._outage = True
            raise
        finally:
            await asyncio.sleep(0)  # lets the last ones be heard
            await self._remove_acknowledged()

    async def _run(self, session: Session) -> None:
        """Deliver over a session until its end; raises the `LinkError` that ended it."""
        window = _Window(self._take_acknowledged, self._traffic)
        self._under_way = {id_ for packet in self._acknowledged for id_ in packet.ids}
        if self._outage:
            self._outage = False
            self._greetings = deque(self._greet())
        try:
            await until_first_ends(
                session.closed(),
                window.broken(),
                self._send(session, window),
                self._read_again(self._outbox.failed_reads),
                self._remove(),
            )
        except SendingRefused as err:
            self._traffic.note(Direction.IN, err.reason, "", err.detail or "")
            await asyncio.sleep(0)  # lets the last acknowledgements be heard: they came before it
            await self._remove_acknowledged()
            if not (unconfirmed := window.unconfirmed()):
                raise ConnectionFailed("connection_lost", err.detail) from err
            if (verdict := self._trial.ended(unconfirmed, err)) is not None:
                await self._execute(verdict)
            raise
        finally:
            window.close()

    async def _send(self, session: Session, window: _Window) -> NoReturn:
        """Publish packet by packet, each from the first queue that has one."""
        greetings = _Greetings(self._greetings, self._trial)
        self._begin_again()
        generation = self._outbox.generation
        while True:
            self._news.clear()
            if generation != self._outbox.generation:
                generation = self._outbox.generation
                self._begin_again()
            sources: list[_Greetings | _Queue] = [greetings, *self._queues]
            for source in sources:
                if (packet := await source.next()) is not None:
                    await window.make_room(packet, alone=self._trial.alone(packet))
                    self._under_way.update(packet.ids)
                    await window.publish(session, packet)
                    break
            else:
                if window.empty:
                    self._trial.exhausted()
                await self._news.wait()

    def _begin_again(self) -> None:
        """Have every lane read from the beginning, in the order of their turns."""
        start = self._outbox.last_id
        self._queues = [
            self._queue(Lane.MESSAGES),
            self._queue(Lane.SAMPLES, after_id=start),
            self._queue(Lane.SAMPLES, end_id=start),
            self._queue(Lane.HISTORY),
        ]
        self._news.set()

    def _queue(self, lane: Lane, *, after_id: int = 0, end_id: int | None = None) -> _Queue:
        return _Queue(
            self._outbox,
            self._trial,
            self._pack,
            self._under_way,
            lane,
            after_id=after_id,
            end_id=end_id,
        )

    async def _read_again(self, known: int) -> NoReturn:
        """Have everything read again where the queues have passed over something.

        That is a while after one more read than those known has failed, and when something that
        was held back may be tried again.
        """
        while True:
            release_s = self._trial.next_release_s()
            await asyncio.sleep(
                _READ_AGAIN_S if release_s is None else min(release_s, _READ_AGAIN_S)
            )
            failed = self._outbox.failed_reads
            if release_s is not None or failed != known:
                known = failed
                self._begin_again()

    async def _execute(self, verdict: Verdict) -> None:
        if verdict.paused:
            self._on_paused(verdict.kind, verdict.words)
        elif verdict.refused:
            await self._outbox.refuse(verdict.refused, verdict.words)
        else:
            # A greeting was not kept, so there is nothing to set aside.
            self._greetings = deque(
                each for each in self._greetings if each.destination.kind != verdict.kind
            )
        self.show_queue()

    @callback
    def _take_acknowledged(self, packet: Packet) -> None:
        self._acknowledged.append(packet)
        self._acks.set()

    async def _remove(self) -> NoReturn:
        """Remove what was acknowledged, as much as possible in one transaction."""
        while True:
            await self._acks.wait()
            await asyncio.sleep(self._gather_s)
            await self._remove_acknowledged()

    async def _remove_acknowledged(self) -> None:
        self._acks.clear()
        if not (packets := self._acknowledged.copy()):
            return
        ids = [id_ for packet in packets for id_ in packet.ids]
        await self._outbox.remove(ids)
        del self._acknowledged[: len(packets)]
        self._under_way.difference_update(ids)
        for packet in packets:
            await self._note_confirmed(packet)
        self._connection.progressed()
        self._health.last_delivery = dt_util.utcnow()
        self.show_queue()

    async def _note_confirmed(self, packet: Packet) -> None:
        if not packet.ids and packet in self._greetings:
            self._greetings.remove(packet)
        taken_again, verdicts = self._trial.confirmed(packet)
        if taken_again is not None:
            self._on_paused(taken_again, None)
        for verdict in verdicts:
            await self._execute(verdict)
        if taken_again is not None or verdicts:
            self._begin_again()


class _Greetings:
    """What is said first in a session."""

    def __init__(self, greetings: Sequence[Packet], trial: Trial) -> None:
        self._left = list(greetings)
        self._trial = trial

    async def next(self) -> Packet | None:
        """Return the next one that the platform may take now."""
        packet = next(filter(self._trial.admits, self._left), None)
        if packet is not None:
            self._left.remove(packet)
        return packet


class _Queue:
    """The packets of one lane of the outbox, read piece by piece."""

    def __init__(
        self,
        outbox: Outbox,
        trial: Trial,
        pack: Pack,
        under_way: set[int],
        lane: Lane,
        *,
        after_id: int,
        end_id: int | None,
    ) -> None:
        self._outbox = outbox
        self._trial = trial
        self._pack = pack
        self._under_way = under_way
        self._lane = lane
        self._after_id = after_id
        self._end_id = end_id
        self._packets: deque[Packet] = deque()

    async def next(self) -> Packet | None:
        """Return the next packet; None when there is none for now."""
        while True:
            while self._packets:
                packet = self._packets.popleft()
                # What was packed a while ago may have been found guilty since.
                if self._trial.admits(packet):
                    return packet
            newest = self._outbox.last_id if self._end_id is None else self._end_id
            if newest <= self._after_id:
                return None
            records = await self._outbox.next(
                _RECORDS_PER_READ, lane=self._lane, after_id=self._after_id, before_id=newest + 1
            )
            self._after_id = records[-1].id if records else newest
            self._packets.extend(
                self._trial.pack(
                    [record for record in records if record.id not in self._under_way], self._pack
                )
            )


class _Window:
    """What one session has sent and the platform has not acknowledged; bounded."""

    def __init__(self, on_acknowledged: Callable[[Packet], None], traffic: Traffic) -> None:
        self._on_acknowledged = on_acknowledged
        self._traffic = traffic
        self._loop = asyncio.get_running_loop()
        self._in_flight: dict[asyncio.Future[None], tuple[Packet, float]] = {}  # oldest first
        self._bytes = 0
        self._alone = False
        self._room = asyncio.Event()
        self._error: asyncio.Future[LinkError] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is under way."""
        return not self._in_flight

    def unconfirmed(self) -> list[Packet]:
        """Return what is under way, the oldest first."""
        return [packet for packet, _ in self._in_flight.values()]

    async def make_room(self, packet: Packet, *, alone: bool) -> None:
        """Wait until a packet may go out; one larger than the whole window goes alone."""
        while self._in_flight and not self._has_room(packet, alone=alone):
            self._room.clear()
            await self._room.wait()
        self._alone = alone

    def _has_room(self, packet: Packet, *, alone: bool) -> bool:
        if alone or self._alone:
            return False
        if packet.in_order and any(
            other.in_order and other.destination == packet.destination
            for other, _ in self._in_flight.values()
        ):
            return False
        size = len(packet.body)
        return len(self._in_flight) < _WINDOW_PACKETS and self._bytes + size <= _WINDOW_BYTES

    async def publish(self, session: Session, packet: Packet) -> None:
        """Send a packet that there is room for."""
        future = await session.publish(packet)
        kind, device = packet.destination
        self._traffic.sent(kind, device, packet.body, future)
        self._in_flight[future] = packet, self._loop.time() + ACKNOWLEDGED_WITHIN_S
        self._bytes += len(packet.body)
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
