"""The values of signals: from the states of entities, as they change, to measurements."""

from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from enum import Enum
from math import nan
import time
from typing import Final

from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    EventStateReportedData,
    HomeAssistant,
    State,
    callback,
)
from homeassistant.helpers.event import (
    async_track_state_change_event,
    async_track_state_report_event,
    async_track_time_interval,
)

from ...points.point import Refusal, entity_id_of
from ...points.reader import PointReader, PresentPoint
from ...protocols.sttp import Measurement, StateFlags, ticks
from ...vocabulary.clock import elapsed_s
from .mapping import Signal

CHECK_INTERVAL: Final = timedelta(seconds=2)
"""So often it is seen what has become stale, or is there no more."""


class Quality(Enum):
    """What a value is worth, with the state flags that say so."""

    GOOD = StateFlags.NORMAL
    STALE = StateFlags.SUSPECT_TIME
    BAD = StateFlags.BAD_DATA

    def __init__(self, flags: StateFlags) -> None:
        """Take the flags as a plain number, which is quicker to look up and to pack."""
        self.flags = int(flags)


class Values:
    """Publishes the states of the entities behind signals.

    A measurement has the time at which its state was last reported, be it changed or confirmed.
    Without a number, which a state restored from before a restart has not either, it is NaN and
    bad; when a state that flows has not been reported for a signal's `max_age_s`, its time is
    suspect. A change smaller than a signal's `min_change` waits for its `max_pause_s`.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        publish: Callable[[list[Measurement]], None],
        restore: Callable[[PointReader], None],
    ) -> None:
        """Take what publishes measurements, and what has a reader go on after a restart."""
        self._restore = restore
        self._hass = hass
        self._publish = publish
        self._wanted: tuple[Signal, ...] = ()
        self._signals: dict[str, Signal] = {}
        self._quality: dict[int, Quality] = {}
        """By the number of the signal, as the two below."""
        self._readers: dict[int, PointReader] = {}
        self._published: dict[int, tuple[float, float]] = {}
        """The value that was published last, and when by a clock that nobody sets."""
        self._held_back: set[int] = set()
        self._waiting: list[Measurement] = []
        self._unlisten: list[CALLBACK_TYPE] = []

    @callback
    def follow(self, signals: Iterable[Signal]) -> None:
        """Publish these signals and no others, beginning with their present values.

        One that was published before and has no state is left as it is until the next check: a
        renamed entity is without one for a moment.
        """
        self.stop()
        self._wanted = tuple(signals)
        self._signals = self._resolve()
        known, self._quality = self._quality, {}
        readers = self._readers
        self._readers = {
            signal.number: self._reader_of(signal, readers.get(signal.number))
            for signal in self._wanted
        }
        self._held_back.clear()
        get = self._hass.states.get
        states = {signal.number: get(entity_id) for entity_id, signal in self._signals.items()}
        for signal in self._wanted:
            number = signal.number
            if (state := states.get(number)) is None and number in known and number in states:
                self._quality[number] = known[number]
            else:
                self._take(signal, state, at_once=True)
        self._unlisten = [
            async_track_state_change_event(self._hass, self._signals, self._changed),
            async_track_state_report_event(self._hass, self._signals, self._changed),
            async_track_time_interval(self._hass, self._check, CHECK_INTERVAL),
        ]

    @callback
    def follow_names(self) -> None:
        """Go on under the present names of the entities; one that is removed is bad."""
        if self._resolve() != self._signals:
            self.follow(self._wanted)

    def _resolve(self) -> dict[str, Signal]:
        """Return the signals by their present entity ids."""
        return {
            entity_id: signal
            for signal in self._wanted
            if (entity_id := entity_id_of(self._hass, signal.point)) is not None
        }

    @callback
    def stop(self) -> None:
        """Publish nothing any more."""
        while self._unlisten:
            self._unlisten.pop()()
        self._waiting.clear()

    def as_dict(self) -> dict[str, int]:
        """Return how many signals there are of each quality."""
        qualities = list(self._quality.values())
        return {quality.name.lower(): qualities.count(quality) for quality in Quality}

    @property
    def readers(self) -> Collection[PointReader]:
        """The readers of the signals."""
        return self._readers.values()

    def present(self, signal: Signal) -> PresentPoint:
        """Return what would be published of a signal now."""
        return self._readers[signal.number].present()

    def _reader_of(self, signal: Signal, known: PointReader | None) -> PointReader:
        """Return the reader of a signal, the one that there is unless its point changed."""
        wanted = (signal.point, signal.max_age_s)
        if known is not None and (known.point, known.flow_limit_s) == wanted:
            return known
        reader = PointReader(self._hass, signal.point, flow_limit_s=signal.max_age_s)
        self._restore(reader)
        return reader

    def stale(self) -> list[str]:
        """Return the names of the signals that have no value, or one that is too old."""
        return [
            signal.point.name
            for signal in self._wanted
            if self._quality.get(signal.number) is not Quality.GOOD
        ]

    @callback
    def _changed(self, event: Event[EventStateChangedData] | Event[EventStateReportedData]) -> None:
        data = event.data
        self._take(self._signals[data["entity_id"]], data["new_state"])

    @callback
    def _check(self, _: datetime) -> None:
        """Publish what has become of another quality by the mere passing of time.

        And what was held back for long enough, or was not believed until now.
        """
        get = self._hass.states.get
        for entity_id, signal in self._signals.items():
            number, state = signal.number, get(entity_id)
            value, quality = self._judge(signal, state)[:2]
            waits = number in self._held_back or (
                quality is Quality.GOOD and value != self._published[number][0]
            )
            if quality is not self._quality[number] or (
                waits and not self._is_within_deadband(signal, value)
            ):
                self._take(signal, state, at_once=True)

    def _judge(self, signal: Signal, state: State | None) -> tuple[float, Quality, float]:
        """Return the value of a state, what it is worth and when it was reported."""
        reading = self._readers[signal.number].read_state(state)
        if isinstance(reading, Refusal):
            return nan, Quality.BAD, time.time() if state is None else state.last_reported_timestamp
        quality = Quality.STALE if reading.is_stale else Quality.GOOD
        return reading.value, quality, reading.reported_at

    def _is_within_deadband(self, signal: Signal, value: float) -> bool:
        """Return whether a value need not be published yet."""
        if not signal.min_change or (last := self._published.get(signal.number)) is None:
            return False
        before, at = last
        return abs(value - before) < signal.min_change and elapsed_s() - at < signal.max_pause_s

    def _take(self, signal: Signal, state: State | None, *, at_once: bool = False) -> None:
        """Publish a value, together with those of the same turn of the event loop."""
        value, quality, at = self._judge(signal, state)
        number = signal.number
        is_the_same = not at_once and quality is self._quality.get(number)
        if is_the_same and self._is_within_deadband(signal, value):
            self._held_back.add(number)
            return
        self._quality[number] = quality
        self._held_back.discard(number)
        self._published[number] = (value, elapsed_s())
        if not self._waiting:
            self._hass.loop.call_soon(self._send)
        self._waiting.append(
            Measurement(signal.signal_id, value, ticks.from_epoch(at), quality.flags)
        )

    @callback
    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._publish(waiting)
