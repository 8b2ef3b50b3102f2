"""What is remembered of the entries that a file describes: as the file had them, as they became."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..entry_store import EntryStore, entry_store
from .const import RECORD_KEY, RECORD_VERSION
from .site_file import SiteEntry

type Known = dict[str, Any]
"""An entry as plain data: kind, name, its fields and its subentries; of secrets only the names."""


@dataclass(kw_only=True)
class EntryRecord:
    """What is remembered of one entry."""

    id: str
    owned: bool
    file: Known
    """As the file had it when it was applied last."""
    written: Known
    """As it was exported after that; a difference is a change by hand."""
    pulled: bool = False
    """Whether a centre wrote the file."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return asdict(self)


@dataclass(kw_only=True)
class Record:
    """What is remembered of all of them, by the id of the entry."""

    store: EntryStore[dict[str, Any]]
    entries: dict[str, EntryRecord] = field(default_factory=dict)
    wanted: dict[str, SiteEntry] = field(default_factory=dict)
    """The entries that wait for a secret, by their ids in the file; not stored."""
    own_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The secrets that a file of the centre may name; not stored here."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a file is applied, so that its changes are not taken for changes by hand."""

    async def async_save(self) -> None:
        """Write it down."""
        await self.store.async_save(
            lambda: {
                "entries": {key: entry.as_dict() for key, entry in sorted(self.entries.items())}
            }
        )

    def entry_id_of(self, site_id: str) -> str | None:
        """Return the entry that a file calls by an id."""
        return next((key for key, entry in self.entries.items() if entry.id == site_id), None)


_RECORD: HassKey[asyncio.Future[Record]] = HassKey(f"{DOMAIN}_configuration")


async def async_record(hass: HomeAssistant) -> Record:
    """Return the record, which is read once."""
    if (loading := hass.data.get(_RECORD)) is None:
        loading = hass.data[_RECORD] = hass.loop.create_future()
        store: EntryStore[dict[str, Any]] = entry_store(hass, RECORD_VERSION, RECORD_KEY)
        stored: Mapping[str, Any] = await store.async_load() or {"entries": {}}
        loading.set_result(
            Record(
                store=store,
                entries={key: EntryRecord(**each) for key, each in stored["entries"].items()},
            )
        )
    return await asyncio.shield(loading)
