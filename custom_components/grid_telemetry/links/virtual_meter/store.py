"""Keeps over restarts what was served of the counters of an entry's meters."""

from collections.abc import Sequence
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store

from ...const import DOMAIN
from .meter import PlayedMeter

_VERSION: Final = 1


def _store(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Store[dict[str, dict[str, float]]]:
    return Store(hass, _VERSION, f"{DOMAIN}.served_{entry.entry_id}")


class ServedStore:
    """What was served last, from one end in order to the next start.

    After any other end there is nothing: a counter that fell back to what was kept a while ago
    would be booked by a master as a reset. Then requests are refused until the sensor has a value.
    """

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], meters: Sequence[PlayedMeter]
    ) -> None:
        """Take the meters that serve counters."""
        self._store = _store(hass, entry)
        self._meters = meters
        self._is_loaded = False

    async def async_load(self) -> None:
        """Have the meters go on with what was kept."""
        kept = await self._store.async_load() or {}
        for meter in self._meters:
            meter.restore_counters(kept.get(str(meter.unit), {}))
        await self._store.async_remove()
        self._is_loaded = True

    async def async_stop(self) -> None:
        """Keep what was served; may be called again."""
        if self._is_loaded:
            self._is_loaded = False
            await self._store.async_save(
                {str(meter.unit): meter.counters_as_dict() for meter in self._meters}
            )


async def async_remove_served(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Delete what was kept of an entry."""
    await _store(hass, entry).async_remove()
