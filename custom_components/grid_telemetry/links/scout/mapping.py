"""Which sensor goes to Scout under which code: suggestions, checks and how a flow shows them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from homeassistant.components.sensor import (
    ATTR_STATE_CLASS,
    DOMAIN as SENSOR_DOMAIN,
    SensorDeviceClass,
)
from homeassistant.const import (
    ATTR_DEVICE_CLASS,
    ATTR_UNIT_OF_MEASUREMENT,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfReactiveEnergy,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from ...const import DOMAIN
from ...forwarding.point import Point, can_convert, entity_id_of, reference_of
from ...quantities import QUANTITIES
from .const import CONF_CODE, CONF_ENTITY, CONF_FACTOR, CONF_UNIT
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


class MappingError(Exception):
    """A row of the mapping cannot be taken; `key` names the error text, `row` what it is about."""

    def __init__(self, key: str, row: str = "") -> None:
        """Remember the error text's key and what it is about."""
        super().__init__(key)
        self.key = key
        self.row = row


def _attribute(hass: HomeAssistant, entity_id: str, attribute: str) -> str | None:
    if (state := hass.states.get(entity_id)) is None:
        return None
    value = state.attributes.get(attribute)
    return None if value is None else str(value)


def _device_class(hass: HomeAssistant, entity_id: str) -> str | None:
    if entry := er.async_get(hass).async_get(entity_id):
        return entry.device_class or entry.original_device_class
    return _attribute(hass, entity_id, ATTR_DEVICE_CLASS)


def _unit(hass: HomeAssistant, entity_id: str) -> str | None:
    if entry := er.async_get(hass).async_get(entity_id):
        return entry.unit_of_measurement
    return _attribute(hass, entity_id, ATTR_UNIT_OF_MEASUREMENT)


def _measures(entry: er.RegistryEntry) -> bool:
    """Return whether an entity of a device is a reading worth a row."""
    return (
        entry.domain == SENSOR_DOMAIN
        and not entry.disabled
        and entry.entity_category is None
        and ATTR_STATE_CLASS in (entry.capabilities or {})
    )


def suggest_rows(
    hass: HomeAssistant, devices: Iterable[str], entities: Iterable[str]
) -> list[dict[str, Any]]:
    """Return a row for each reading of the devices and each entity, with a code where known.

    The quantity of one of our own meters decides first, then device class. A code is suggested
    once; the next entity of that kind gets none.
    """
    registry = er.async_get(hass)
    entity_ids = [
        entry.entity_id
        for device in devices
        for entry in er.async_entries_for_device(registry, device)
        if _measures(entry)
    ]
    entity_ids += entities
    rows: list[dict[str, Any]] = []
    taken: set[str] = set()
    for entity_id in dict.fromkeys(entity_ids):
        code, unit = _suggestion(hass, registry.async_get(entity_id), entity_id)
        if code in taken:
            code = ""
        taken.add(code)
        row: dict[str, Any] = {CONF_ENTITY: entity_id, CONF_CODE: code, CONF_FACTOR: 1}
        if unit:
            row[CONF_UNIT] = unit
        rows.append(row)
    # Those that need no thought stand first.
    return sorted(rows, key=lambda row: not row[CONF_CODE])


def _suggestion(
    hass: HomeAssistant, entry: er.RegistryEntry | None, entity_id: str
) -> tuple[str, str | None]:
    """Return the code (empty: none is proven) and the unit to send."""
    device_class = _device_class(hass, entity_id) or ""
    unit = _UNITS_BY_DEVICE_CLASS.get(device_class, _unit(hass, entity_id))
    if entry is not None and entry.platform == DOMAIN and entry.translation_key in QUANTITIES:
        return QUANTITIES[entry.translation_key].scout or "", unit
    return _CODES_BY_DEVICE_CLASS.get(device_class, ""), unit


def check_rows(hass: HomeAssistant, rows: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Return the points of the rows that have a code; raises `MappingError`."""
    points: list[Point] = []
    codes: set[str] = set()
    for row in rows:
        code = str(row.get(CONF_CODE) or "").strip()
        entity_id = row[CONF_ENTITY]
        if not code:
            continue
        if not CODE_PATTERN.fullmatch(code):
            raise MappingError("invalid_code", code)
        if code in codes:
            raise MappingError("duplicate_code", code)
        codes.add(code)
        factor = float(row.get(CONF_FACTOR, 1))
        if factor == 0:
            raise MappingError("zero_factor", code)
        unit = str(row.get(CONF_UNIT) or "").strip() or None
        present = _unit(hass, entity_id)
        if unit is not None and not can_convert(present, unit):
            raise MappingError("wrong_unit", f"{entity_id}: {present or '(none)'} → {unit}")
        points.append(
            Point(entity=reference_of(hass, entity_id), name=code, unit=unit, factor=factor)
        )
    if not points:
        raise MappingError("no_points")
    return points


def rows_of(hass: HomeAssistant, points: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return stored points as rows again, under the entities' present names."""
    rows: list[dict[str, Any]] = []
    for stored in points:
        point = Point.from_dict(stored)
        if (entity_id := entity_id_of(hass, point)) is None:
            continue  # the entity is gone; saving the rest drops its row
        row: dict[str, Any] = {
            CONF_ENTITY: entity_id,
            CONF_CODE: point.name,
            CONF_FACTOR: point.factor,
        }
        if point.unit:
            row[CONF_UNIT] = point.unit
        rows.append(row)
    return rows
