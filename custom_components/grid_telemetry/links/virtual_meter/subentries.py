"""Config steps of a virtual meter's subentry: which meter it is, and what it is filled from."""

from collections.abc import Sequence
import re
from typing import Any, Final, override

from homeassistant.config_entries import ConfigSubentryFlow, SubentryFlowResult
from homeassistant.helpers.selector import SelectOptionDict, SelectSelector, SelectSelectorConfig
import voluptuous as vol

from ...forms.fields import whole_number
from ...forms.written import Written
from ...points.table import (
    CONF_ENTITY,
    CONF_FACTOR,
    CONF_GUARD,
    CONF_MAX_AGE_S,
    ENTITY_COLUMN,
    FACTOR_COLUMN,
    GUARD_COLUMN,
    MAX_AGE_COLUMN,
    PointsSubentryFlow,
    PointsTable,
    Row,
    written_points,
)
from ...vocabulary.quantities import QUANTITIES
from .const import (
    CONF_PROFILE,
    CONF_QUANTITY,
    CONF_UNIT_ID,
    PROFILE_NAMES,
    SUBENTRY_METER,
    Profile,
)
from .mapping import check_rows, suggest_rows
from .payload import register_map_of

# 1 to 247.
_UNIT_ID: Final = re.compile(r"[1-9]\d?|1\d\d|2[0-3]\d|24[0-7]")
_PROFILE: Final = SelectSelector(
    SelectSelectorConfig(
        options=[
            SelectOptionDict(value=profile, label=name) for profile, name in PROFILE_NAMES.items()
        ]
    )
)


def _table(quantities: Sequence[str]) -> PointsTable:
    """Return the table of a meter that has these quantities."""
    return PointsTable(
        subentry_type=SUBENTRY_METER,
        id_field=CONF_UNIT_ID,
        id_default="1",
        id_pattern=_UNIT_ID,
        title=lambda data: f"{PROFILE_NAMES[data[CONF_PROFILE]]} ({data[CONF_UNIT_ID]})",
        more_fields={
            vol.Required(CONF_PROFILE, default=Profile.SUNSPEC_213): _PROFILE,
            vol.Optional(CONF_MAX_AGE_S): whole_number(1, 86_400),
        },
        columns={
            CONF_ENTITY: ENTITY_COLUMN,
            CONF_QUANTITY: {
                "selector": {"select": {"options": list(quantities), "mode": "dropdown"}}
            },
            CONF_FACTOR: FACTOR_COLUMN,
            CONF_MAX_AGE_S: MAX_AGE_COLUMN,
            CONF_GUARD: GUARD_COLUMN,
        },
        translation_key="virtual_meter_point",
        suggest=lambda hass, entity_ids: suggest_rows(hass, entity_ids, quantities),
        check=check_rows,
    )


class VirtualMeterSubentryFlow(PointsSubentryFlow):
    """Choose a meter to play, then fill its quantities."""

    @classmethod
    @override
    def written(cls) -> Written:
        """Return how a meter is written in a file; which quantities it has, its form says."""
        return written_points(_table(list(QUANTITIES)))

    table = _table(())
    _quantities: Sequence[str]

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the meter; the quantities of the next step are those that it has."""
        if user_input is not None:
            register_map = await self.hass.async_add_executor_job(
                register_map_of, Profile(user_input[CONF_PROFILE])
            )
            self._quantities = list(register_map.quantities)
            self.table = _table(self._quantities)
        return await super().async_step_user(user_input)

    @override
    def _stored_rows(self) -> list[Row]:
        """Return the rows without the quantities that another meter has not."""
        return [
            {
                key: value
                for key, value in row.items()
                if key != CONF_QUANTITY or value in self._quantities
            }
            for row in super()._stored_rows()
        ]


SUBENTRY_FLOWS: dict[str, type[ConfigSubentryFlow]] = {SUBENTRY_METER: VirtualMeterSubentryFlow}
