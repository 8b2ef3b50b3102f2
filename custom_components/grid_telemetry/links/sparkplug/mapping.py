"""Which sensor goes to a host under which name: suggestions, and what a row has to be."""

from collections.abc import Sequence
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.util import slugify

from ...points.point import Point
from ...points.suggestions import suggested_quantities
from ...points.table import (
    CONF_ENTITY,
    CONF_FACTOR,
    CONF_UNIT,
    MappingError,
    Row,
    each_row,
    points_of,
    unit_of,
)
from ...protocols.sparkplug import DataType, MetricDefinition, Property
from ...vocabulary.quantities import QUANTITIES
from .const import CONF_DATA_TYPE, CONF_METRIC, CONF_NAME, CONF_QUANTITY
from .payload import METRIC_PATTERN

# The types that are offered, by the names that the forms have for them.
DATA_TYPES: Final = {
    "double": DataType.DOUBLE,
    "float": DataType.FLOAT,
    "int32": DataType.INT32,
    "int64": DataType.INT64,
    "boolean": DataType.BOOLEAN,
    "string": DataType.STRING,
}
POINT_TYPES: Final = ("double", "float", "int32", "int64")
_UNIT_PROPERTY: Final = "engUnit"
_QUANTITY_PROPERTY: Final = "quantity"


def suggest_rows(hass: HomeAssistant, entity_ids: Sequence[str]) -> list[Row]:
    """Return a row for each entity: its quantity, or else what it is called, is its name.

    A second one of a quantity gets the name of its entity.
    """
    rows: list[Row] = []
    taken: set[str] = set()
    for entity_id in entity_ids:
        likely = suggested_quantities(hass, entity_id)
        name = next((key for key in likely if key not in taken), None)
        name = name or slugify(entity_id.partition(".")[2])
        taken.add(name)
        row: Row = {
            CONF_ENTITY: entity_id,
            CONF_NAME: name,
            CONF_DATA_TYPE: _type_of(likely[0] if likely else None),
            CONF_FACTOR: 1,
        }
        if unit := unit_of(hass, entity_id):
            row[CONF_UNIT] = unit
        rows.append(row)
    return rows


def _type_of(quantity: str | None) -> str:
    """Return the type that a quantity is sent in: numbers of states are whole, all else is not.

    A counter in Wh would lose its last digits in a Float soon, and every decimal would look odd in
    one; so what is not whole is a Double.
    """
    return "int32" if quantity is not None and QUANTITIES[quantity].options else "double"


def check_rows(
    hass: HomeAssistant, rows: Sequence[Row], sent_by_others: frozenset[str]
) -> list[dict[str, Any]]:
    """Return the points of the rows that have a name, with type and quantity.

    Raises `RowsError`. Names that differ in capitals only are the same to some hosts.
    """
    points: dict[str, dict[str, Any]] = {}

    def take(row: Row) -> None:
        name = str(row.get(CONF_NAME) or "").strip()
        if not name:
            return
        if not METRIC_PATTERN.fullmatch(name):
            raise MappingError("invalid_metric_name", name)
        for point in points_of(hass, row, name):
            if point.name.lower() in points:
                raise MappingError("duplicate_metric_name", point.name)
            points[point.name.lower()] = {
                **point.as_dict(),
                CONF_DATA_TYPE: row.get(CONF_DATA_TYPE) or "double",
                CONF_QUANTITY: _quantity_of(hass, row),
            }

    each_row(rows, take)
    return list(points.values())


def _quantity_of(hass: HomeAssistant, row: Row) -> str | None:
    return next(iter(suggested_quantities(hass, row[CONF_ENTITY])), None)


def definition_of(
    stored: dict[str, Any], unit: str | None, *, writable: bool = False
) -> MetricDefinition:
    """Return the metric of a stored point or command: unit and quantity are its properties."""
    properties = {
        key: Property(data_type=DataType.STRING, value=text)
        for key, text in (
            (_UNIT_PROPERTY, unit),
            (_QUANTITY_PROPERTY, stored.get(CONF_QUANTITY)),
        )
        if text
    }
    return MetricDefinition(
        name=stored[CONF_METRIC if writable else CONF_NAME],
        data_type=DATA_TYPES[stored[CONF_DATA_TYPE]],
        properties=properties,
        writable=writable,
    )


def unit_sent(hass: HomeAssistant, point: Point, entity_id: str | None) -> str | None:
    """Return the unit that a point is sent in: its own, or that of its entity."""
    if point.unit is not None or entity_id is None:
        return point.unit
    return unit_of(hass, entity_id)
