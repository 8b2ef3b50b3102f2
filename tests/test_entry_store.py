"""What an entry keeps in Home Assistant's storage."""

import asyncio
from typing import Any
from unittest.mock import patch

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store
import pytest

from custom_components.grid_telemetry.entry_store import EntryStore, entry_store


async def test_whoever_shares_a_write_that_fails_does_not_hear_that_it_is_stored(
    hass: HomeAssistant, hass_storage: dict[str, Any]
) -> None:
    """Each caller is told of its own: what it saved is in the file, or it hears why not."""
    store: EntryStore[dict[str, int]] = entry_store(hass, 1, "example")
    under_way = asyncio.Event()
    save = Store.async_save
    errors = [OSError("no space left"), OSError("no space left")]

    async def fail(self: Store[Any], data: Any) -> None:
        await under_way.wait()
        if errors:
            raise errors.pop()
        await save(self, data)

    with patch.object(Store, "async_save", fail):
        calls = [
            asyncio.create_task(store.async_save(lambda number=number: {"number": number}))
            for number in range(4)
        ]
        await asyncio.sleep(0)
        under_way.set()
        first, second, third, fourth = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(first, OSError)
    assert isinstance(second, OSError)
    assert (third, fourth) == (None, None)
    assert hass_storage["example"]["data"] == {"number": 3}


async def test_what_could_not_be_stored_does_not_replace_what_is_newer(
    hass: HomeAssistant, hass_storage: dict[str, Any]
) -> None:
    store: EntryStore[dict[str, int]] = entry_store(hass, 1, "example")
    with (
        patch.object(Store, "async_save", side_effect=OSError("no space")),
        pytest.raises(OSError, match="no space"),
    ):
        await store.async_save(lambda: {"number": 1})
    await store.async_save(lambda: {"number": 2})

    assert hass_storage["example"]["data"] == {"number": 2}
