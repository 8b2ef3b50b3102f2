"""Keeps over restarts which readings of an entry's counters were believed."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
import time
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval

from ..const import DOMAIN
from ..entry_store import EntryStore, async_remove_store, entry_store
from ..vocabulary.clock import elapsed_s
from .point import Point
from .reader import PointReader

_VERSION: Final = 1
SAVE_INTERVAL: Final = timedelta(hours=1)
"""So often it is saved: after `kill -9`, what is an hour old is still better than nothing."""


def _store_key(entry: ConfigEntry[Any]) -> str:
    return f"{DOMAIN}.counters_{entry.entry_id}"


def _key(point: Point) -> str:
    return f"{point.entity} {point.name}"


class CounterStore:
    """The counters of the points of one entry, one for each guarded point."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        readers: Callable[[], Iterable[PointReader]],
    ) -> None:
        """Take what returns the readers that there are at a time."""
        self._hass = hass
        self._store: EntryStore[dict[str, Any]] = entry_store(hass, _VERSION, _store_key(entry))
        self._readers = readers
        self._stored: Mapping[str, Any] = {}
        self._at = 0.0
        self._unlisten: CALLBACK_TYPE | None = None

    async def async_load(self) -> None:
        """Read what was kept, have the present readers go on with it, and keep it from now on."""
        if (data := await self._store.async_load()) is not None:
            self._stored, self._at = data["counters"], data["at"]
        for reader in self._readers():
            self.restore(reader)
        self._unlisten = async_track_time_interval(self._hass, self._save, SAVE_INTERVAL)

    @callback
    def restore(self, reader: PointReader) -> None:
        """Have a reader go on with what was kept of its point, if there is anything."""
        if (counter := self._stored.get(_key(reader.point))) is not None:
            reader.restore_counter(counter, elapsed_s() - max(0.0, time.time() - self._at))

    async def async_stop(self) -> None:
        """Save; may be called again."""
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None
            await self._save()

    async def _save(self, _: object = None) -> None:
        now = elapsed_s()
        counters = {
            _key(reader.point): counter
            for reader in self._readers()
            if (counter := reader.counter_as_dict(now)) is not None
        }
        if counters or self._stored:
            self._stored, self._at = counters, time.time()
            await self._store.async_save(lambda: {"at": self._at, "counters": self._stored})


async def async_remove_counters(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Delete what was kept of an entry."""
    await async_remove_store(hass, _VERSION, _store_key(entry))
