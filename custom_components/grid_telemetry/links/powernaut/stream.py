"""The stream of readings: sent at once while connected, kept for less than a minute while not."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import logging
import time
from typing import Final, NoReturn, Protocol

from homeassistant.core import callback
from homeassistant.util import dt as dt_util

from ...connection.errors import ConnectionFailed, LinkError
from ...connection.health import Health, as_datetime
from ...connection.traffic import Traffic
from ...protocols.mqtt import MqttPublishRefused, MqttTooLarge
from .payload import SENDABLE_S, Reading, messages

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

    def payload_limit(self, topic: str) -> int | None:
        """Return how long a message on a topic may be, in bytes; None is no limit."""

    def publish(self, topic: str, body: bytes) -> asyncio.Future[None]:
        """Send a message; the future resolves when the broker has it.

        It fails with `MqttPublishRefused` when the broker does not take it. Raises a `LinkError`,
        and `MqttTooLarge`.
        """


@dataclass(slots=True)
class Sent:
    """What the broker has acknowledged of one topic."""

    since: float
    """Since when without a gap, in epoch seconds."""
    last: float


@dataclass(slots=True)
class _InFlight:
    topic: str
    readings: Sequence[Reading]
    sent_at: float
    forgotten: bool = False
    """Whether nothing is sent on its topic any more: what is lost on its way is not sent again."""


class Stream:
    """Takes the readings of each slot and hands them to whatever connection there is.

    All that waits for a topic goes out in one message, so a topic that had to wait catches up
    with one array, or with several where the broker takes no message that long. What is older than
    `SENDABLE_S` is dropped and counted.
    """

    def __init__(
        self,
        title: str,
        health: Health,
        on_refusal: Callable[[str, str | None], None],
        traffic: Traffic,
    ) -> None:
        """Begin without a connection; `on_refusal` gets a topic and the reason, None at its end."""
        self.sent: dict[str, Sent] = {}
        self.refused: Counter[str] = Counter()
        self._title = title
        self._health = health
        self._sender: Sender | None = None
        self._waiting: dict[str, list[Reading]] = {}
        self._in_flight: dict[asyncio.Future[None], _InFlight] = {}
        self._refusing: dict[str, str] = {}
        self._on_refusal = on_refusal
        self._traffic = traffic

    @callback
    def take(self, readings: Mapping[str, Reading]) -> None:
        """Take the readings of one slot, by topic."""
        now = time.time()
        self._drop_what_is_late(now)
        for topic, reading in readings.items():
            self._wait(topic, [reading])
        self._pump(now)
        self._show_queue()

    @callback
    def forget(self, topic: str) -> None:
        """Let go of what is known of a topic that nothing is sent on any more."""
        self._health.dropped += len(self._waiting.pop(topic, ()))
        for packet in self._in_flight.values():
            packet.forgotten = packet.forgotten or packet.topic == topic
        if self._refusing.pop(topic, None) is not None:
            self._on_refusal(topic, None)

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

    def _wait(self, topic: str, readings: Sequence[Reading]) -> None:
        """Put readings in order; of those about the same instant the later one counts."""
        if not (waiting := self._waiting.get(topic)):
            self._waiting[topic] = list(readings)
            return
        by_time = {reading.at: reading for reading in (*waiting, *readings)}
        self._waiting[topic] = [by_time[at] for at in sorted(by_time)]

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
            topic = next(iter(self._waiting))
            if not (readings := self._sendable(self._waiting.pop(topic), now)):
                continue
            body, sent = next(messages(readings, sender.payload_limit(topic)))
            if len(sent) < len(readings):
                self._waiting[topic] = readings[len(sent) :]
            try:
                future = sender.publish(topic, body)
            except MqttTooLarge as err:  # even alone; another one is no shorter
                self._refuse(topic, sent, str(err))
                continue
            except LinkError:
                self._wait(topic, readings)
                return
            self._traffic.sent(topic, "", body, future)
            self._in_flight[future] = _InFlight(topic, sent, time.monotonic())
            future.add_done_callback(self._acknowledged)

    @callback
    def _acknowledged(self, future: asyncio.Future[None]) -> None:
        if future.cancelled() or (packet := self._in_flight.pop(future, None)) is None:
            return
        now = time.time()
        match future.exception():
            case None:
                self._accept(packet, now)
            case MqttPublishRefused() as refusal if not packet.forgotten:
                self._refuse(packet.topic, packet.readings, str(refusal))
            case MqttPublishRefused():
                self._health.dropped += len(packet.readings)
            case _:  # the connection ended; it goes out over the next one
                self._wait_again(packet)
                return
        self._pump(now)
        self._health.queued -= len(packet.readings)
        if not self._in_flight:
            self._show_queue()
        self._health.notify()

    def _accept(self, packet: _InFlight, now: float) -> None:
        topic = packet.topic
        self._health.delivered += len(packet.readings)
        self._health.last_delivery = dt_util.utcnow()
        if self._refusing.pop(topic, None) is not None:
            self._on_refusal(topic, None)
        known = self.sent.get(topic)
        if known is None or now - known.last > STREAK_GAP_S:
            self.sent[topic] = Sent(now, now)
        else:
            known.last = now

    def _refuse(self, topic: str, readings: Sequence[Reading], reason: str) -> None:
        """Count what the broker does not take; what comes next on the topic is tried again."""
        self._health.dropped += len(readings)
        self._health.last_error = "message_refused"
        self._health.last_error_detail = f"{topic}: {reason}"
        self.refused[topic] += len(readings)
        if self._refusing.get(topic) != reason:
            self._refusing[topic] = reason
            _LOGGER.warning("%s: the broker refuses %s: %s", self._title, topic, reason)
            self._on_refusal(topic, reason)

    def _take_back(self) -> None:
        """Have what was not acknowledged wait again; at least once is what QoS 1 promises."""
        for future, packet in self._in_flight.items():
            future.cancel()
            self._wait_again(packet)
        self._in_flight.clear()

    def _wait_again(self, packet: _InFlight) -> None:
        if packet.forgotten:
            self._health.dropped += len(packet.readings)
        else:
            self._wait(packet.topic, packet.readings)

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
