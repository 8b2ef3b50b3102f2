"""The values of signals: from the states of entities, as they change, to measurements."""

from collections.abc import Callable, Iterable
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

from ...points.point import Refusal, entity_id_of, evaluate
from ...protocols.sttp import Measurement, StateFlags, ticks
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
    bad; when the state has not been reported for a signal's `max_age_s`, its time is suspect.
    """

    def __init__(self, hass: HomeAssistant, publish: Callable[[list[Measurement]], None]) -> None:
        """Take what publishes measurements."""
        self._hass = hass
        self._publish = publish
        self._wanted: tuple[Signal, ...] = ()
        self._signals: dict[str, Signal] = {}
        self._quality: dict[int, Quality] = {}
        """By the number of the signal."""
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
        now, get = time.time(), self._hass.states.get
        states = {signal.number: get(entity_id) for entity_id, signal in self._signals.items()}
        for signal in self._wanted:
            number = signal.number
            if (state := states.get(number)) is None and number in known and number in states:
                self._quality[number] = known[number]
            else:
                self._take(signal, state, now)
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

    @callback
    def _changed(self, event: Event[EventStateChangedData] | Event[EventStateReportedData]) -> None:
        data = event.data
        # Reported this very moment, it cannot be stale.
        self._take(self._signals[data["entity_id"]], data["new_state"])

    @callback
    def _check(self, _: datetime) -> None:
        """Publish what has become of another quality by the mere passing of time."""
        now, get = time.time(), self._hass.states.get
        for entity_id, signal in self._signals.items():
            state = get(entity_id)
            if _judge(signal, state, now)[1] is not self._quality[signal.number]:
                self._take(signal, state, now)

    def _take(self, signal: Signal, state: State | None, now: float | None = None) -> None:
        """Publish a value, together with those of the same turn of the event loop.

        Without a time it is one that was reported just now.
        """
        value, quality = _judge(signal, state, now)
        self._quality[signal.number] = quality
        at = (now or time.time()) if state is None else state.last_reported_timestamp
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


def _judge(signal: Signal, state: State | None, now: float | None) -> tuple[float, Quality]:
    """Return the value of a state and what it is worth; its age counts if there is a time."""
    value = evaluate(state, signal.point)
    if state is None or isinstance(value, Refusal):
        return nan, Quality.BAD
    if now is not None and now - state.last_reported_timestamp > signal.max_age_s:
        return value, Quality.STALE
    return value, Quality.GOOD
