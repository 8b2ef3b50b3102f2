"""The form of a device of the toy link."""

from collections.abc import Sequence
import re
from typing import Any

from homeassistant.core import HomeAssistant

from custom_components.grid_telemetry.points.table import (
    CONF_ENTITY,
    CONF_UNIT,
    ENTITY_COLUMN,
    UNIT_COLUMN,
    PointsSubentryFlow,
    PointsTable,
    Row,
    point_of,
)

from .const import CONF_DEVICE_ID, CONF_NAME, SUBENTRY_DEVICE


def _suggest(_: HomeAssistant, entity_ids: Sequence[str]) -> list[Row]:
    return [{CONF_ENTITY: entity_id, CONF_NAME: entity_id} for entity_id in entity_ids]


def _check(hass: HomeAssistant, rows: Sequence[Row], _: frozenset[str]) -> list[dict[str, Any]]:
    return [point_of(hass, row, row[CONF_NAME]).as_dict() for row in rows]


class DeviceSubentryFlow(PointsSubentryFlow):
    """Choose what to send."""

    table = PointsTable(
        subentry_type=SUBENTRY_DEVICE,
        id_field=CONF_DEVICE_ID,
        id_pattern=re.compile(r"\w+"),
        more_fields={},
        columns={
            CONF_ENTITY: ENTITY_COLUMN,
            CONF_NAME: {"selector": {"text": {}}},
            CONF_UNIT: UNIT_COLUMN,
        },
        translation_key="toy_point",
        suggest=_suggest,
        check=_check,
    )
