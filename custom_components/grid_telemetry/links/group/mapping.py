"""Which sensors a group is made of: suggestions, and what a row has to be."""

from collections.abc import Sequence
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from ...const import CONF_KIND, DOMAIN
from ...points.point import can_convert
from ...points.suggestions import suggested_quantities
from ...points.table import (
    CONF_ENTITY,
    CONF_FACTOR,
    CONF_UNIT,
    MappingError,
    Row,
    each_row,
    point_of,
    unit_of,
)
from ...vocabulary.classes import DeviceClass
from ...vocabulary.quantities import QUANTITIES
from .const import CONF_QUANTITY, KIND, GroupKind

_ADD_UP: Final = (
    DeviceClass.POWER,
    DeviceClass.REACTIVE_POWER,
    DeviceClass.ENERGY,
    DeviceClass.REACTIVE_ENERGY,
)
QUANTITIES_OF_GROUPS: Final = [
    quantity.key
    for quantity in QUANTITIES.values()
    if quantity.device_class in _ADD_UP and quantity.adds_up
]
_UNITS: Final = {QUANTITIES[key].unit for key in QUANTITIES_OF_GROUPS}


def suggest_rows(
    hass: HomeAssistant, entity_ids: Sequence[str], kind: GroupKind, main_device: str | None
) -> list[Row]:
    """Return a row for each entity that can be added up.

    A quantity is suggested where every member has it: a total without one of them is none.
    """
    registry = er.async_get(hass)
    rows: list[Row] = []
    members: dict[str, dict[str, Row]] = {}
    for entity_id in entity_ids:
        if not any(can_convert(unit_of(hass, entity_id), unit) for unit in _UNITS):
            continue
        entry = registry.async_get(entity_id)
        device = None if entry is None else entry.device_id
        takes_off = kind is GroupKind.DIFFERENCE and (device is None or device != main_device)
        row: Row = {CONF_ENTITY: entity_id, CONF_FACTOR: -1 if takes_off else 1}
        rows.append(row)
        known = members.setdefault(device or entity_id, {})
        for key in suggested_quantities(hass, entity_id):
            if key in QUANTITIES_OF_GROUPS:
                known.setdefault(key, row)
    shared = set[str].intersection(*(set(known) for known in members.values())) if members else ()
    for known in members.values():
        for key in shared:
            known[key][CONF_QUANTITY] = key
    return sorted(rows, key=lambda row: CONF_QUANTITY not in row)


def check_rows(hass: HomeAssistant, rows: Sequence[Row], kind: GroupKind) -> list[dict[str, Any]]:
    """Return the points of the rows that have a quantity; raises `MappingError`."""
    points: list[dict[str, Any]] = []
    factors: dict[str, list[float]] = {}
    seen: set[tuple[str, str]] = set()

    def take(row: Row) -> None:
        if (key := row.get(CONF_QUANTITY)) is None:
            return
        entity_id = row[CONF_ENTITY]
        if _is_of_a_group(hass, entity_id):
            raise MappingError("group_in_group", entity_id)
        if (entity_id, key) in seen:
            raise MappingError("duplicate_member", f"{entity_id}, {key}")
        seen.add((entity_id, key))
        point = point_of(hass, {**row, CONF_UNIT: QUANTITIES[key].unit}, key)
        points.append(point.as_dict())
        factors.setdefault(key, []).append(point.factor)

    each_row(rows, take)
    if kind is GroupKind.DIFFERENCE:
        for key, signs in factors.items():
            if not min(signs) < 0 < max(signs):
                raise MappingError("no_difference", key)
    return points


def _is_of_a_group(hass: HomeAssistant, entity_id: str) -> bool:
    """Return whether an entity is a group's own: a group in itself would grow for ever."""
    entry = er.async_get(hass).async_get(entity_id)
    if entry is None or entry.platform != DOMAIN or entry.config_entry_id is None:
        return False
    owner = hass.config_entries.async_get_entry(entry.config_entry_id)
    return owner is not None and owner.data.get(CONF_KIND) == KIND
