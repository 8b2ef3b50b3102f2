"""The devices and signals of an entry, with identities that last."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

from homeassistant.core import HomeAssistant

from ...const import DOMAIN
from ...entry_store import EntryStore, async_remove_store, entry_store
from ...link import GridTelemetryConfigEntry
from ...points.point import Point
from ...points.table import CONF_ENTITY, CONF_IDENTITY, CONF_POINTS
from .const import (
    CONF_ACRONYM,
    CONF_MAX_AGE_S,
    CONF_MAX_PAUSE_S,
    CONF_MIN_CHANGE,
    CONF_PHASE,
    CONF_SIGNAL,
    DEFAULT_MAX_PAUSE_S,
    SUBENTRY_DEVICE,
)
from .mapping import Kind, Signal

# Of our own making; never to be changed, for every signal ID hangs on it.
_NAMESPACE: Final = UUID("6d2f4c1e-6f0b-5c7e-9d55-3f1f0c7c2b9a")
_STORE_VERSION: Final = 1


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device that is published."""

    subentry_id: str
    acronym: str
    unique_id: UUID
    signals: tuple[Signal, ...]


class Numbers:
    """The numbers of measurement keys: an entity keeps its own, no other ever gets it."""

    def __init__(self, hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
        self._store: EntryStore[dict[str, int]] = entry_store(
            hass, _STORE_VERSION, _store_key(entry)
        )
        self._numbers: dict[str, int] = {}

    async def async_load(self) -> None:
        """Read what was given out before."""
        self._numbers = await self._store.async_load() or {}

    async def async_give(self, entities: Iterable[str]) -> dict[str, int]:
        """Return the numbers of entities; those that have none get the next ones."""
        numbers = self._numbers
        new = [entity for entity in entities if entity not in numbers]
        if new:
            for entity in new:
                numbers[entity] = len(numbers) + 1
            await self._store.async_save(lambda: numbers)
        return numbers


def _store_key(entry: GridTelemetryConfigEntry) -> str:
    return f"{DOMAIN}.sttp_numbers_{entry.entry_id}"


async def async_remove_numbers(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Delete the numbers of an entry."""
    await async_remove_store(hass, _STORE_VERSION, _store_key(entry))


def node_id(entry: GridTelemetryConfigEntry) -> UUID:
    """Return the ID of the publisher."""
    return uuid5(_NAMESPACE, entry.entry_id)


async def async_devices(entry: GridTelemetryConfigEntry, numbers: Numbers) -> Sequence[Device]:
    """Return the devices that an entry publishes.

    A signal ID is made of the entry and the entity's id in the registry, which a rename leaves. An
    entity that took the place of another one has that one's, unless it is back itself.
    """
    namespace = node_id(entry)
    subentries = list(entry.get_subentries_of_type(SUBENTRY_DEVICE))
    stored_points = [point for each in subentries for point in each.data[CONF_POINTS]]
    present = {point[CONF_ENTITY] for point in stored_points}

    def identity_of(stored: Mapping[str, Any]) -> str:
        began_with = stored.get(CONF_IDENTITY)
        return str(stored[CONF_ENTITY] if began_with in (None, *present) else began_with)

    given = await numbers.async_give(map(identity_of, stored_points))

    def signal(stored: dict[str, Any], max_age_s: float) -> Signal:
        point, identity = Point.from_dict(stored), identity_of(stored)
        return Signal(
            point=point,
            kind=Kind(stored[CONF_SIGNAL]),
            phase=stored.get(CONF_PHASE),
            signal_id=uuid5(namespace, identity),
            number=given[identity],
            max_age_s=max_age_s,
            min_change=stored.get(CONF_MIN_CHANGE, 0.0),
            max_pause_s=stored.get(CONF_MAX_PAUSE_S, DEFAULT_MAX_PAUSE_S),
        )

    return [
        Device(
            subentry_id=subentry.subentry_id,
            acronym=subentry.data[CONF_ACRONYM],
            unique_id=uuid5(namespace, subentry.subentry_id),
            signals=tuple(
                signal(stored, subentry.data[CONF_MAX_AGE_S])
                for stored in subentry.data[CONF_POINTS]
            ),
        )
        for subentry in subentries
    ]
