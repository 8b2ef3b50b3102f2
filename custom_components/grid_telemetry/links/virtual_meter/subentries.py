"""Config steps of a virtual meter's subentry: who reads it, which meter, and its values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
import re
from typing import Any, Final, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
)
import voluptuous as vol

from ...forms.fields import whole_number
from ...forms.written import Written
from ...meters import WhenOld
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
    written_points,
)
from ...vocabulary.quantities import QUANTITIES
from .const import (
    CONF_ANY_UNIT_ID,
    CONF_MASTER,
    CONF_POSITIVE_POWER,
    CONF_PROFILE,
    CONF_QUANTITY,
    CONF_UNIT_ID,
    CONF_WHEN_OLD,
    EXPORT,
    IMPORT,
    SUBENTRY_METER,
    SUNSPEC_PROFILES,
)
from .mapping import check_rows, suggest_rows
from .masters import MASTERS, OTHER, Master
from .meter import own_folder
from .payload import image_of, own_maps, profile_names

MASTER_SELECTOR: Final = SelectSelector(
    SelectSelectorConfig(options=[*MASTERS, OTHER], translation_key="virtual_meter_master")
)

# 1 to 254; those above 247 are reserved, and used all the same.
_UNIT_ID: Final = re.compile(r"[1-9]\d?|1\d\d|2[0-4]\d|25[0-4]")
_ANY_MASTER: Final = Master(profile=SUNSPEC_PROFILES[0])
_POSITIVE_POWER: Final = SelectSelector(
    SelectSelectorConfig(options=[IMPORT, EXPORT], translation_key="virtual_meter_positive_power")
)
_WHEN_OLD: Final = SelectSelector(
    SelectSelectorConfig(
        options=[str(each) for each in WhenOld], translation_key="virtual_meter_when_old"
    )
)


def _optional(key: str, value: str | int | None) -> vol.Optional:
    """Return a field that may be left empty, with what is suggested for it."""
    description = None if value is None else {"suggested_value": value}
    return vol.Optional(key, description=description)


def _table(names: Mapping[str, str], quantities: Sequence[str], master: Master) -> PointsTable:
    """Return the table of a meter that has these quantities, for a master."""
    profile = SelectSelector(
        SelectSelectorConfig(
            options=[SelectOptionDict(value=key, label=name) for key, name in names.items()]
        )
    )
    return PointsTable(
        subentry_type=SUBENTRY_METER,
        id_field=CONF_UNIT_ID,
        id_default=str(master.unit_id),
        id_pattern=_UNIT_ID,
        title=lambda data: f"{names[data[CONF_PROFILE]]} ({data[CONF_UNIT_ID]})",
        more_fields={
            vol.Required(CONF_PROFILE, default=master.profile): profile,
            vol.Required(CONF_ANY_UNIT_ID, default=master.any_unit_id): BooleanSelector(),
            _optional(CONF_POSITIVE_POWER, master.positive_power): _POSITIVE_POWER,
            _optional(CONF_MAX_AGE_S, master.max_age_s): whole_number(1, 86_400),
            _optional(CONF_WHEN_OLD, master.when_old): _WHEN_OLD,
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
    """Say who reads, choose a meter to play, then fill its quantities."""

    @classmethod
    @override
    def written(cls) -> Written:
        """Return how a meter is written in a file; which quantities it has, its form says."""
        table = _table({}, list(QUANTITIES), _ANY_MASTER)
        more = {**table.more_fields, vol.Required(CONF_PROFILE): TextSelector()}
        written = written_points(replace(table, more_fields=more))
        # Who reads it decides on what the form proposes, and a file says all of that.
        return replace(
            written, answers=lambda fields: {**written.answers(fields), CONF_MASTER: OTHER}
        )

    table = _table({}, (), _ANY_MASTER)
    _can_say_not_available = True
    _master: str | None = None

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the meter; the quantities of the next step are those that it has."""
        if self._master is None:
            self._master = OTHER if self.source == SOURCE_RECONFIGURE else self._entrys_master()
        if self._master is None:
            return await self.async_step_master()
        own = await self.hass.async_add_executor_job(own_maps, own_folder(self.hass))
        shipped = await self.hass.async_add_executor_job(profile_names)
        names = {**shipped, **{key: found.as_meter[key].name for key, found in own.items()}}
        master = MASTERS.get(self._master, _ANY_MASTER)
        quantities: Sequence[str] = ()
        if user_input is not None:
            image = await self.hass.async_add_executor_job(
                lambda: image_of(user_input[CONF_PROFILE], own, unit=1, serial_number=0)
            )
            quantities = list(image.quantities)
            self._can_say_not_available = image.can_say_not_available()
        self.table = _table(names, quantities, master)
        return await super().async_step_user(user_input)

    async def async_step_master(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask which device will read the meter."""
        if user_input is not None:
            self._master = user_input[CONF_MASTER]
            return await self.async_step_user()
        return self.async_show_form(
            step_id="master",
            data_schema=vol.Schema({vol.Required(CONF_MASTER): MASTER_SELECTOR}),
        )

    def _entrys_master(self) -> str | None:
        """Return who reads the entry's first meter, None for a further one."""
        master: str | None = self._get_entry().data.get(CONF_MASTER)
        return None if self._others() else master

    @override
    def _id_errors(self, user_input: Mapping[str, Any]) -> dict[str, str]:
        if errors := super()._id_errors(user_input):
            return errors
        others = self._others()
        if others and (
            user_input[CONF_ANY_UNIT_ID] or any(other.get(CONF_ANY_UNIT_ID) for other in others)
        ):
            return {CONF_ANY_UNIT_ID: "not_alone"}
        if (
            user_input.get(CONF_WHEN_OLD) == WhenOld.NOT_AVAILABLE
            and not self._can_say_not_available
        ):
            return {CONF_WHEN_OLD: "cannot_say_not_available"}
        return {}


SUBENTRY_FLOWS: dict[str, type[ConfigSubentryFlow]] = {SUBENTRY_METER: VirtualMeterSubentryFlow}
