"""The past of signals, from the recorder: its history, or statistics where that is gone."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, override
from uuid import UUID

from homeassistant.core import HomeAssistant

from ...points.point import entity_id_of
from ...protocols.sttp import History, Measurement, SttpError
from .mapping import Signal

_HOUR_S: Final = 3_600
# A window of the past is as long as it has about so many states: memory and time of one query.
_FEW, _MANY = 5_000, 50_000
_FIRST_WINDOW_S: Final = 60


class RecorderHistory(History):
    """Reads the states of the entities behind signals.

    A state is a measurement at the time when it was recorded, bad data where it was no number. An
    hour of which no state is recorded, be it that nothing changed or that it was purged, has its
    mean from the statistics, flagged as down-sampled.
    """

    def __init__(self, hass: HomeAssistant, signals: Callable[[], Iterable[Signal]]) -> None:
        self._hass = hass
        self._signals = signals

    @override
    async def read(
        self, signal_ids: Sequence[UUID], start: datetime, stop: datetime
    ) -> AsyncIterator[Sequence[Measurement]]:
        """Yield measurements window by window."""
        if "recorder" not in self._hass.config.components:
            raise SttpError("No history: Home Assistant has no recorder")
        from .recorded import async_read_window  # noqa: PLC0415 (needs what the recorder installs)

        wanted = set(signal_ids)
        signals = {
            entity_id: signal
            for signal in self._signals()
            if signal.signal_id in wanted
            and (entity_id := entity_id_of(self._hass, signal.point)) is not None
        }
        begin, end, length_s = start.timestamp(), stop.timestamp(), _FIRST_WINDOW_S
        while begin < end and signals:
            until = min(begin + length_s, end)
            if begin + length_s < end and length_s >= _HOUR_S:
                # Hours of statistics stay whole.
                until = until // _HOUR_S * _HOUR_S
            measurements = await async_read_window(self._hass, signals, begin, until)
            if measurements:
                yield measurements
            if len(measurements) < _FEW:
                length_s = min(length_s * 4, 24 * _HOUR_S)
            elif len(measurements) > _MANY:
                length_s = max(length_s // 4, _FIRST_WINDOW_S)
            begin = until
