"""Which sensor goes to Scout under which code: suggestions, and what a row has to be."""

from collections.abc import Sequence
from typing import Any

from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.const import UnitOfElectricPotential, UnitOfEnergy, UnitOfReactiveEnergy
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from ...const import DOMAIN
from ...points.table import (
    CONF_ENTITY,
    CONF_FACTOR,
    CONF_UNIT,
    MappingError,
    Row,
    device_class_of,
    point_of,
    unit_of,
)
from ...vocabulary.quantities import QUANTITIES
from .const import CONF_CODE
from .payload import CODE_PATTERN

# Scout's table of codes is public only in part (voltages and the energy counters of the example
# message), so a code is suggested for those alone and every other is left for the user to fill in.
_CODES_BY_DEVICE_CLASS: dict[str, str] = {
    SensorDeviceClass.VOLTAGE: "V_PP",
    SensorDeviceClass.ENERGY: "P_CON_TOT_ENERGY",
}
# The unit of the *_ENERGY counters is not stated there; Circutor's gateways keep them in Wh.
_UNITS_BY_DEVICE_CLASS: dict[str, str] = {
    SensorDeviceClass.VOLTAGE: UnitOfElectricPotential.VOLT,
    SensorDeviceClass.ENERGY: UnitOfEnergy.WATT_HOUR,
    SensorDeviceClass.REACTIVE_ENERGY: UnitOfReactiveEnergy.VOLT_AMPERE_REACTIVE_HOUR,
}


def suggest_rows(hass: HomeAssistant, entity_ids: Sequence[str]) -> list[Row]:
    """Return a row for each entity, with a code where known.

    The quantity of one of our own meters decides first, then device class. A code is suggested
    once; the next entity of that kind gets none.
    """
    registry = er.async_get(hass)
    rows: list[Row] = []
    taken: set[str] = set()
    for entity_id in entity_ids:
        code, unit = _suggestion(hass, registry.async_get(entity_id), entity_id)
        if code in taken:
            code = ""
        taken.add(code)
        row: Row = {CONF_ENTITY: entity_id, CONF_CODE: code, CONF_FACTOR: 1}
        if unit:
            row[CONF_UNIT] = unit
        rows.append(row)
    # Those that need no thought stand first.
    return sorted(rows, key=lambda row: not row[CONF_CODE])


def _suggestion(
    hass: HomeAssistant, entry: er.RegistryEntry | None, entity_id: str
) -> tuple[str, str | None]:
    """Return the code (empty: none is proven) and the unit to send."""
    device_class = device_class_of(hass, entity_id) or ""
    unit = _UNITS_BY_DEVICE_CLASS.get(device_class, unit_of(hass, entity_id))
    if entry is not None and entry.platform == DOMAIN and entry.translation_key in QUANTITIES:
        return QUANTITIES[entry.translation_key].scout or "", unit
    return _CODES_BY_DEVICE_CLASS.get(device_class, ""), unit


def check_rows(
    hass: HomeAssistant, rows: Sequence[Row], sent_by_others: frozenset[str]
) -> list[dict[str, Any]]:
    """Return the points of the rows that have a code; raises `MappingError`.

    What another device sends may be sent by this one too.
    """
    points: dict[str, dict[str, Any]] = {}
    for row in rows:
        code = str(row.get(CONF_CODE) or "").strip()
        if not code:
            continue
        if not CODE_PATTERN.fullmatch(code):
            raise MappingError("invalid_code", code)
        if code in points:
            raise MappingError("duplicate_code", code)
        points[code] = point_of(hass, row, code).as_dict()
    return list(points.values())
