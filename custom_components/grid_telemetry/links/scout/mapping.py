"""Which sensor goes to Scout under which code: suggestions, and what a row has to be."""

from collections.abc import Sequence
from typing import Any

from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from ...const import DOMAIN
from ...points.point import can_convert
from ...points.suggestions import suggested_quantities
from ...points.table import (
    CONF_ENTITY,
    CONF_FACTOR,
    CONF_UNIT,
    MappingError,
    Row,
    device_class_of,
    each_row,
    points_of,
    unit_of,
)
from ...vocabulary.quantities import QUANTITIES
from ...vocabulary.unit import (
    UnitOfApparentEnergy,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfReactiveEnergy,
    canonical,
)
from .codes import code_of, own_codes
from .const import CONF_CODE
from .payload import CODE_PATTERN

# Scout's table of codes is public only in part (voltages and the energy counters of the example
# message), so a code is suggested for those alone and every other is left for the user to fill in.
_CODES_BY_DEVICE_CLASS: dict[str, str] = {
    SensorDeviceClass.VOLTAGE: "V_PP",
    SensorDeviceClass.ENERGY: "P_CON_TOT_ENERGY",
}
# The unit of the *_ENERGY counters is not stated there; Circutor's gateways keep them in Wh, so all
# three kinds of energy are suggested in that scale.
_UNITS: tuple[str, ...] = (
    UnitOfElectricPotential.VOLT,
    UnitOfEnergy.WATT_HOUR,
    UnitOfReactiveEnergy.VOLT_AMPERE_REACTIVE_HOUR,
    UnitOfApparentEnergy.VOLT_AMPERE_HOUR,
)


def known_codes(hass: HomeAssistant) -> list[str]:
    """Return the codes that a table offers: those of the user, then those that are public."""
    public = [quantity.scout for quantity in QUANTITIES.values() if quantity.scout is not None]
    return list(dict.fromkeys([*own_codes(hass), *public, *_CODES_BY_DEVICE_CLASS.values()]))


def suggest_rows(hass: HomeAssistant, entity_ids: Sequence[str]) -> list[Row]:
    """Return a row for each entity, with a code where known.

    A code of the user's own table comes first, then the quantity of one of our own meters, then
    device class. A code is suggested once; the next entity of that kind gets none.
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
    present = canonical(unit_of(hass, entity_id))
    unit = next((wanted for wanted in _UNITS if can_convert(present, wanted)), present)
    own = code_of(hass, suggested_quantities(hass, entity_id))
    if own is not None:
        return own.code, own.unit if can_convert(present, own.unit) else unit
    if entry is not None and entry.platform == DOMAIN and entry.translation_key in QUANTITIES:
        return QUANTITIES[entry.translation_key].scout or "", unit
    return _CODES_BY_DEVICE_CLASS.get(device_class, ""), unit


def check_rows(
    hass: HomeAssistant, rows: Sequence[Row], sent_by_others: frozenset[str]
) -> list[dict[str, Any]]:
    """Return the points of the rows that have a code; raises `RowsError`.

    What another device sends may be sent by this one too.
    """
    points: dict[str, dict[str, Any]] = {}

    def take(row: Row) -> None:
        code = str(row.get(CONF_CODE) or "").strip()
        if not code:
            return
        if not CODE_PATTERN.fullmatch(code):
            raise MappingError("invalid_code", code)
        for point in points_of(hass, row, code):
            if point.name in points:
                raise MappingError("duplicate_code", point.name)
            points[point.name] = point.as_dict()

    each_row(rows, take)
    return list(points.values())
