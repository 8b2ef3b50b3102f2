"""The stream of readings: sent at once while connected, kept for less than a minute while not."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
import logging
import time
from typing import Final, NoReturn, Protocol

from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from ...connection.errors import ConnectionFailed, LinkError
from ...connection.health import Health, as_datetime
from .payload import SENDABLE_S, Reading, message

_LOGGER = logging.getLogger(__name__)

ACKNOWLEDGED_WITHIN_S: Final = 30
"""A connection on which a message waits longer for its acknowledgement is dead."""
_LOOK_EVERY_S: Final = 5
STREAK_GAP_S: Final = 60
"""After a gap of so long a topic is no longer taken to have been sent all the while."""


class Sender(Protocol):
    """A connection to the broker."""

    window: int
    """So many messages may be on their way."""

    def publish(self, topic: str, body: bytes) -> asyncio.Future[None]:
        """Send a message; the future resolves when the broker has it."""


@dataclass(slots=True)
class Sent:
    """What the broker has acknowledged of one topic."""

    since: float
    """Since when without a gap, in epoch seconds."""
    last: float


@dataclass(slots=True)
class _InFlight:
    topic: str
    readings: list[Reading]
    sent_at: float = field(default_factory=time.monotonic)


class Stream:
    """Takes the readings of each slot and hands them to whatever connection there is.

    All that waits for a topic goes out in one message, so a topic that had to wait catches up
    with one array. What is older than `SENDABLE_S` is dropped and counted.
    """

    def __init__(self, title: str, health: Health) -> None:
        """Begin without a connection."""
        self.sent: dict[str, Sent] = {}
        self.refused: Counter[str] = Counter()
        self._title = title
        self._health = health
        self._sender: Sender | None = None
        self._waiting: dict[str, list[Reading]] = {}
        self._in_flight: dict[asyncio.Future[None], _InFlight] = {}
        self._refusing: set[str] = set()

    @callback
    def take(self, readings: Mapping[str, Reading]) -> None:
        """Take the readings of one slot, by topic."""
        now = time.time()
        self._drop_what_is_late(now)
        for topic, reading in readings.items():
            self._wait(topic, [reading])
        self._pump(now)
        self._show_queue()

    async def run(self, sender: Sender) -> NoReturn:
        """Send over a connection until it is dead; raises the `LinkError` that says so."""
        self._sender = sender
        try:
            now = time.time()
            self._drop_what_is_late(now)
            self._pump(now)
            while True:
                await asyncio.sleep(_LOOK_EVERY_S)
                oldest = next(iter(self._in_flight.values()), None)
                if oldest and time.monotonic() - oldest.sent_at > ACKNOWLEDGED_WITHIN_S:
                    raise ConnectionFailed("not_confirmed")
        finally:
            self._sender = None
            self._take_back()
            self._show_queue()

    def _wait(self, topic: str, readings: list[Reading]) -> None:
        """Put readings in order; of those about the same instant the later one counts."""
        if waiting := self._waiting.get(topic):
            by_time = {reading.at: reading for reading in (*waiting, *readings)}
            readings = [by_time[at] for at in sorted(by_time)]
        self._waiting[topic] = readings

    def _sendable(self, readings: list[Reading], now: float) -> list[Reading]:
        """Return the readings that are young enough, and count the others."""
        if readings[0].at >= now - SENDABLE_S:  # the first is the oldest
            return readings
        kept = [reading for reading in readings if reading.at >= now - SENDABLE_S]
        self._health.dropped += len(readings) - len(kept)
        return kept

    def _drop_what_is_late(self, now: float) -> None:
        kept = {topic: self._sendable(readings, now) for topic, readings in self._waiting.items()}
        self._waiting = {topic: readings for topic, readings in kept.items() if readings}

    def _pump(self, now: float) -> None:
        """Send while the window has room; a connection that is gone ends by itself."""
        sender = self._sender
        while sender is not None and self._waiting and len(self._in_flight) < sender.window:
            topic, waiting = next(iter(self._waiting.items()))
            if readings := self._sendable(waiting, now):
                try:
                    future = sender.publish(topic, message(readings))
                except LinkError:
                    return
                self._in_flight[future] = _InFlight(topic, readings)
                future.add_done_callback(self._acknowledged)
            del self._waiting[topic]

    @callback
    def _acknowledged(self, future: asyncio.Future[None]) -> None:
        if future.cancelled() or (packet := self._in_flight.pop(future, None)) is None:
            return
        now = time.time()
        error = future.exception()
        if error is None:
            self._health.delivered += len(packet.readings)
            self._health.last_delivery = dt_util.utcnow()
            self._refusing.discard(packet.topic)
            known = self.sent.get(packet.topic)
            if known is None or now - known.last > STREAK_GAP_S:
                self.sent[packet.topic] = Sent(now, now)
            else:
                known.last = now
        else:
            self._refuse(packet, error)
        self._pump(now)
        self._health.queued -= len(packet.readings)
        if not self._in_flight:
            self._show_queue()
        self._health.notify()

    def _refuse(self, packet: _InFlight, error: BaseException) -> None:
        self._health.dropped += len(packet.readings)
        self.refused[packet.topic] += len(packet.readings)
        if packet.topic not in self._refusing:
            self._refusing.add(packet.topic)
            _LOGGER.warning("%s: the broker refuses %s: %s", self._title, packet.topic, error)

    def _take_back(self) -> None:
        """Have what was not acknowledged wait again; at least once is what QoS 1 promises."""
        for future, packet in self._in_flight.items():
            future.cancel()
            self._wait(packet.topic, packet.readings)
        self._in_flight.clear()

    def _show_queue(self) -> None:
        health = self._health
        waiting = [
            *self._waiting.values(),
            *(packet.readings for packet in self._in_flight.values()),
        ]
        health.queued = sum(map(len, waiting))
        oldest = min((readings[0].at for readings in waiting), default=None)
        health.oldest_at = None if oldest is None else as_datetime(oldest * 1000)
        health.notify()
