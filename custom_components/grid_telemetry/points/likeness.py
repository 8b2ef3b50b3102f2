"""A mapping that is copied: what another device sends, found again among other readings."""

from collections.abc import Sequence
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from .suggestions import suggested_quantities
from .table_text import Row

_ENTITY: Final = "entity"


def _kinds_of(hass: HomeAssistant, entity_id: str) -> list[tuple[str, ...]]:
    """Return what a reading has in common with that of another device, the closest first.

    The same sensor of a device of its kind, then what it most likely measures.
    """
    kinds: list[tuple[str, ...]] = []
    entry = er.async_get(hass).async_get(entity_id)
    if entry is not None and (name := entry.translation_key or entry.original_name):
        kinds.append((entry.platform, name))
    kinds.extend((key,) for key in suggested_quantities(hass, entity_id)[:1])
    return kinds


def copied_rows(
    hass: HomeAssistant, rows: Sequence[Row], source: Sequence[Row], name: str
) -> list[Row]:
    """Return rows filled in as `source`, the rows of another device, has its own.

    A reading that the other device does not send keeps its row without a `name`, at the end.
    """
    known: dict[tuple[str, ...], list[Row]] = {}
    by_entity: dict[str, list[Row]] = {}
    for row in source:
        by_entity.setdefault(row[_ENTITY], []).append(row)
    for entity_id, its_rows in by_entity.items():
        for kind in _kinds_of(hass, entity_id):
            known.setdefault(kind, its_rows)
    filled: list[Row] = []
    bare: list[Row] = []
    # Each row of the other device is copied once: a name stands for one reading.
    copied: set[str] = set()
    for row in rows:
        alike = next(
            (
                known[kind]
                for kind in _kinds_of(hass, row[_ENTITY])
                if kind in known and known[kind][0][_ENTITY] not in copied
            ),
            None,
        )
        if alike is None:
            bare.append({key: value for key, value in row.items() if key != name})
        else:
            copied.add(alike[0][_ENTITY])
            filled.extend({**each, _ENTITY: row[_ENTITY]} for each in alike)
    return filled + bare
