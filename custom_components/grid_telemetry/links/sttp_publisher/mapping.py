"""Which sensor becomes which signal: the kinds there are, suggestions, what a row has to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
import math
import re
from typing import Any, Final
from uuid import UUID

from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.const import (
    DEGREE,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfFrequency,
    UnitOfReactiveEnergy,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from ...const import DOMAIN
from ...points.point import Point, can_convert
from ...points.table import (
    CONF_ENTITY,
    CONF_FACTOR,
    CONF_UNIT,
    MappingError,
    Row,
    device_class_of,
    each_row,
    point_of,
    unit_of,
)
from ...vocabulary.quantities import QUANTITIES
from .const import CONF_MAX_PAUSE_S, CONF_MIN_CHANGE, CONF_NAME, CONF_PHASE, CONF_SIGNAL

ACRONYM_PATTERN: Final = re.compile(r"[A-Z0-9!_.@#$-]{1,64}")


class Kind(StrEnum):
    """The signal acronyms that sensors can have; subscribers pass over those they do not know."""

    FREQ = "FREQ"
    DFDT = "DFDT"
    VPHM = "VPHM"
    VPHA = "VPHA"
    IPHM = "IPHM"
    IPHA = "IPHA"
    ALOG = "ALOG"
    CALC = "CALC"


PHASES: Final = ("A", "B", "C", "+", "-", "0", "N")
# What the standard's kinds come in; the others come in any unit, which their description tells.
UNITS: Final[dict[str, str]] = {
    Kind.FREQ: UnitOfFrequency.HERTZ,
    Kind.VPHM: UnitOfElectricPotential.VOLT,
    Kind.IPHM: UnitOfElectricCurrent.AMPERE,
    Kind.VPHA: DEGREE,
    Kind.IPHA: DEGREE,
}
_ONCE: Final = (Kind.FREQ, Kind.DFDT)
_KINDS_BY_DEVICE_CLASS: Final[dict[str, Kind]] = {
    SensorDeviceClass.FREQUENCY: Kind.FREQ,
    SensorDeviceClass.VOLTAGE: Kind.VPHM,
    SensorDeviceClass.CURRENT: Kind.IPHM,
}
# Values travel as float32, good for seven digits: a counter in Wh would lose its last ones soon.
_UNITS_BY_DEVICE_CLASS: Final[dict[str, str]] = {
    SensorDeviceClass.ENERGY: UnitOfEnergy.KILO_WATT_HOUR,
    SensorDeviceClass.REACTIVE_ENERGY: UnitOfReactiveEnergy.KILO_VOLT_AMPERE_REACTIVE_HOUR,
}
_PHASE_OF_QUANTITY: Final = re.compile(r"(?:voltage|current)_(l1|l2|l3|n)")
_PHASES_BY_SUFFIX: Final = {"l1": "A", "l2": "B", "l3": "C", "n": "N"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """A point that is published."""

    point: Point
    kind: Kind
    phase: str | None
    signal_id: UUID
    number: int
    """Of its measurement key, "HA:number"."""
    max_age_s: float
    """So long after the last report of its state it is not suspect; counters have no such limit."""
    min_change: float = 0.0
    """A smaller change of the value is not published at once, in the unit that is published."""
    max_pause_s: float = math.inf
    """But after so long it is."""


def suggest_rows(hass: HomeAssistant, entity_ids: Sequence[str]) -> list[Row]:
    """Return a row for each entity: one of our own quantities decides first, then device class.

    A kind that a device has only once goes to the first.
    """
    registry = er.async_get(hass)
    rows: list[Row] = []
    taken: set[tuple[Kind, str | None]] = set()
    for entity_id in entity_ids:
        name, kind, phase = _suggestion(hass, registry.async_get(entity_id), entity_id)
        if (kind in _ONCE or phase) and (kind, phase) in taken:
            kind, phase = Kind.ALOG, None
        taken.add((kind, phase))
        row: Row = {CONF_ENTITY: entity_id, CONF_NAME: name, CONF_SIGNAL: kind, CONF_FACTOR: 1}
        if phase:
            row[CONF_PHASE] = phase
        device_class = device_class_of(hass, entity_id) or ""
        unit = UNITS.get(kind) or _UNITS_BY_DEVICE_CLASS.get(device_class)
        if unit := unit or unit_of(hass, entity_id):
            row[CONF_UNIT] = unit
        rows.append(row)
    return rows


def _suggestion(
    hass: HomeAssistant, entry: er.RegistryEntry | None, entity_id: str
) -> tuple[str, Kind, str | None]:
    """Return name, kind and phase."""
    if entry is not None and entry.platform == DOMAIN and entry.translation_key in QUANTITIES:
        key = entry.translation_key
        match = _PHASE_OF_QUANTITY.fullmatch(key)
        phase = _PHASES_BY_SUFFIX[match[1]] if match else None
        return key.upper(), Kind(QUANTITIES[key].sttp), phase
    kind = _KINDS_BY_DEVICE_CLASS.get(device_class_of(hass, entity_id) or "", Kind.ALOG)
    if kind in UNITS and not can_convert(unit_of(hass, entity_id), UNITS[kind]):
        kind = Kind.ALOG
    return entity_id.partition(".")[2].upper()[:64], kind, None


def check_rows(
    hass: HomeAssistant, rows: Sequence[Row], sent_by_others: frozenset[str]
) -> list[dict[str, Any]]:
    """Return what to store of the rows that have a name; raises `RowsError`.

    An entity is one signal, whose ID is made from it, so it stands in one row of one device.
    """
    points: dict[str, dict[str, Any]] = {}
    entities = set(sent_by_others)
    kinds: set[tuple[Kind, str | None]] = set()

    def take(row: Row) -> None:
        name = str(row.get(CONF_NAME) or "").strip()
        if not name:
            return
        if not ACRONYM_PATTERN.fullmatch(name):
            raise MappingError("invalid_name", name)
        if name in points:
            raise MappingError("duplicate_name", name)
        kind = Kind(row.get(CONF_SIGNAL) or Kind.ALOG)
        phase = row.get(CONF_PHASE) or None
        if (kind in _ONCE or phase) and (kind, phase) in kinds:
            raise MappingError("duplicate_signal", " ".join(filter(None, (kind, phase))))
        kinds.add((kind, phase))
        unit = UNITS.get(kind)
        if unit and row.get(CONF_UNIT, unit).strip() not in ("", unit):
            raise MappingError("fixed_unit", f"{kind}: {unit}")
        point = point_of(hass, {**row, CONF_UNIT: unit} if unit else row, name)
        if point.entity in entities:
            raise MappingError("entity_in_use", row[CONF_ENTITY])
        entities.add(point.entity)
        points[name] = {
            **point.as_dict(),
            CONF_SIGNAL: kind,
            CONF_PHASE: phase,
            **{key: row[key] for key in (CONF_MIN_CHANGE, CONF_MAX_PAUSE_S) if row.get(key)},
        }

    each_row(rows, take)
    return list(points.values())
