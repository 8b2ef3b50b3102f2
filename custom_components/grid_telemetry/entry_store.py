"""What is kept in Home Assistant's storage: one store a file, over reloads of an entry."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.storage import Store
from homeassistant.util.hass_dict import HassKey

_STORES: HassKey[dict[str, EntryStore[Any]]] = HassKey("grid_telemetry_stores")


class EntryStore[T: Mapping[str, Any] | Sequence[Any]]:
    """One file. A load waits for what is being written; what is removed is not written again."""

    def __init__(self, hass: HomeAssistant, version: int, key: str) -> None:
        """Prepare; see `entry_store`."""
        self._hass = hass
        self._store: Store[T] = Store(hass, version, key)
        self._lock = asyncio.Lock()
        self._data: Callable[[], T] | None = None
        self._removed = False

    async def async_load(self) -> T | None:
        """Return what was saved last; None if nothing ever was."""
        async with self._lock:
            return await self._store.async_load()

    async def async_save(self, data: Callable[[], T]) -> None:
        """Write what `data` returns, and return once it, or something newer, is in the file.

        Calls that come while a write is under way share the next one; where that fails one of them
        hears it, and the others write in its place. A caller that is cancelled leaves the write to
        go on.
        """
        self._data = data
        await asyncio.shield(self._hass.async_create_task(self._write(), "grid_telemetry store"))

    async def async_remove(self) -> None:
        """Delete the file for good."""
        self._removed = True
        async with self._lock:
            await self._store.async_remove()

    async def _write(self) -> None:
        async with self._lock:
            data, self._data = self._data, None
            if data is None or self._removed:
                return
            try:
                await self._store.async_save(data())
            except BaseException:
                # Whoever shares this write has yet to see its data in the file.
                self._data = self._data or data
                raise


@callback
def entry_store[T: Mapping[str, Any] | Sequence[Any]](
    hass: HomeAssistant, version: int, key: str
) -> EntryStore[T]:
    """Return the one store of a file; `key` names it, and has the id of its entry if it has one."""
    stores = hass.data.setdefault(_STORES, {})
    if key not in stores:
        stores[key] = EntryStore[T](hass, version, key)
    return stores[key]


async def async_remove_store(hass: HomeAssistant, version: int, key: str) -> None:
    """Delete a file, and forget its store."""
    store: EntryStore[dict[str, Any]] = entry_store(hass, version, key)
    await store.async_remove()
    hass.data[_STORES].pop(key, None)
