"""Config steps of an STTP publisher's subentry: a device with its points."""

from typing import Any

from homeassistant.config_entries import ConfigSubentryFlow
import voluptuous as vol

from ...forms.fields import whole_number
from ...points.table import (
    CONF_ENTITY,
    CONF_FACTOR,
    CONF_GUARD,
    CONF_UNIT,
    ENTITY_COLUMN,
    FACTOR_COLUMN,
    GUARD_COLUMN,
    MAX_AGE_COLUMN,
    MIN_CHANGE_COLUMN,
    UNIT_COLUMN,
    PointsSubentryFlow,
    PointsTable,
)
from .const import (
    CONF_ACRONYM,
    CONF_MAX_AGE_S,
    CONF_MAX_PAUSE_S,
    CONF_MIN_CHANGE,
    CONF_NAME,
    CONF_PHASE,
    CONF_SIGNAL,
    DEFAULT_MAX_AGE_S,
    SUBENTRY_DEVICE,
)
from .mapping import ACRONYM_PATTERN, PHASES, Kind, check_rows, suggest_rows


def _choice(options: list[str]) -> dict[str, Any]:
    return {"select": {"options": options, "mode": "dropdown"}}


class DeviceSubentryFlow(PointsSubentryFlow):
    """Publish readings as the signals of one device."""

    table = PointsTable(
        subentry_type=SUBENTRY_DEVICE,
        id_field=CONF_ACRONYM,
        id_pattern=ACRONYM_PATTERN,
        more_fields={
            vol.Required(CONF_MAX_AGE_S, default=DEFAULT_MAX_AGE_S): whole_number(1, 86_400, "s")
        },
        columns={
            CONF_ENTITY: ENTITY_COLUMN,
            CONF_NAME: {"selector": {"text": {}}},
            CONF_SIGNAL: {"selector": _choice(list(Kind))},
            CONF_PHASE: {"selector": _choice(list(PHASES))},
            CONF_UNIT: UNIT_COLUMN,
            CONF_FACTOR: FACTOR_COLUMN,
            CONF_MIN_CHANGE: MIN_CHANGE_COLUMN,
            CONF_MAX_PAUSE_S: MAX_AGE_COLUMN,
            CONF_GUARD: GUARD_COLUMN,
        },
        translation_key="sttp_point",
        suggest=suggest_rows,
        check=check_rows,
    )


SUBENTRY_FLOWS: dict[str, type[ConfigSubentryFlow]] = {SUBENTRY_DEVICE: DeviceSubentryFlow}
