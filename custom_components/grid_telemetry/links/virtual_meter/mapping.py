"""Which sensor fills which registers: suggestions, and what a row has to be."""

from collections.abc import Sequence
from typing import Any

from homeassistant.const import UnitOfRatio
from homeassistant.core import HomeAssistant

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
from ...vocabulary.quantities import QUANTITIES
from .const import CONF_QUANTITY


def suggest_rows(
    hass: HomeAssistant, entity_ids: Sequence[str], quantities: Sequence[str]
) -> list[Row]:
    """Return a row for each entity, with the likeliest quantity that the meter has.

    A second one of its kind may be anything, so that nothing is suggested for it.
    """
    rows: list[Row] = []
    taken: set[str] = set()
    for entity_id in entity_ids:
        likely = suggested_quantities(hass, entity_id)
        key = next((key for key in likely if key in quantities), None)
        row: Row = {CONF_ENTITY: entity_id, CONF_FACTOR: 1}
        if key is not None and key not in taken:
            taken.add(key)
            row[CONF_QUANTITY] = key
            if QUANTITIES[key].unit is None and unit_of(hass, entity_id) == UnitOfRatio.PERCENTAGE:
                # Meters have a power factor of 1 where others say 100 %.
                row[CONF_FACTOR] = 0.01
        rows.append(row)
    # Those that need no thought stand first.
    return sorted(rows, key=lambda row: CONF_QUANTITY not in row)


def check_rows(
    hass: HomeAssistant, rows: Sequence[Row], sent_by_others: frozenset[str]
) -> list[dict[str, Any]]:
    """Return the points of the rows that have a quantity; raises `RowsError`.

    What fills another meter may fill this one too.
    """
    points: dict[str, dict[str, Any]] = {}

    def take(row: Row) -> None:
        if (key := row.get(CONF_QUANTITY)) is None:
            return
        if key in points:
            raise MappingError("duplicate_quantity", key)
        unit = QUANTITIES[key].unit
        points[key] = point_of(hass, {**row, CONF_UNIT: unit}, key).as_dict()

    each_row(rows, take)
    return list(points.values())
