"""Config steps of a Scout entry's subentries: a device with its points, an alarm."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import Platform
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    ObjectSelectorField,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
import voluptuous as vol

from ...forms.fields import whole_number
from ...forms.written import Written, one_form
from ...points.point import entity_id_behind, reference_of
from ...points.table import (
    CONF_COPY_FROM,
    CONF_ENTITY,
    CONF_FACTOR,
    CONF_GUARD,
    CONF_MAX_AGE_S,
    CONF_TAKE,
    CONF_UNIT,
    ENTITY_COLUMN,
    FACTOR_COLUMN,
    GUARD_COLUMN,
    TAKE_COLUMN,
    UNIT_COLUMN,
    PointsSubentryFlow,
    PointsTable,
    Row,
)
from .codes import as_others_have_it, async_load_codes
from .const import (
    CONF_CODE,
    CONF_CONNECTION_TYPE,
    CONF_CUSTOM_NAME,
    CONF_EVENT_TYPE,
    CONF_GATEWAY_DEVICE_ID,
    CONF_INDEX,
    SUBENTRY_ALARM,
    SUBENTRY_DEVICE,
)
from .mapping import check_rows, known_codes, suggest_rows
from .payload import CODE_PATTERN, DEVICE_ID_PATTERN, KNOWN_EVENT_TYPES, MAIN_DEVICE

_ALARM_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_ENTITY): EntitySelector(
            EntitySelectorConfig(domain=Platform.BINARY_SENSOR)
        ),
        vol.Required(CONF_EVENT_TYPE, default="ALARM_DEVICE"): SelectSelector(
            SelectSelectorConfig(
                options=list(KNOWN_EVENT_TYPES),
                custom_value=True,
                mode=SelectSelectorMode.DROPDOWN,
            )
        ),
        vol.Required(CONF_GATEWAY_DEVICE_ID, default=MAIN_DEVICE): TextSelector(),
        vol.Optional(CONF_CUSTOM_NAME): TextSelector(),
        vol.Optional(CONF_INDEX): TextSelector(),
    }
)


class DeviceSubentryFlow(PointsSubentryFlow):
    """Map readings to the codes of one device of the gateway."""

    table = PointsTable(
        subentry_type=SUBENTRY_DEVICE,
        id_field=CONF_GATEWAY_DEVICE_ID,
        id_default=MAIN_DEVICE,
        id_pattern=DEVICE_ID_PATTERN,
        more_fields={
            vol.Optional(CONF_CONNECTION_TYPE): TextSelector(),
            vol.Optional(CONF_MAX_AGE_S): whole_number(1, 604_800, "s"),
        },
        columns={
            CONF_ENTITY: ENTITY_COLUMN,
            CONF_CODE: {"selector": {"text": {}}},
            CONF_UNIT: UNIT_COLUMN,
            CONF_FACTOR: FACTOR_COLUMN,
            CONF_TAKE: TAKE_COLUMN,
            CONF_GUARD: GUARD_COLUMN,
        },
        translation_key="scout_point",
        suggest=suggest_rows,
        check=check_rows,
    )

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the device; the user's own codes are offered in the next step."""
        await async_load_codes(self.hass)
        codes: ObjectSelectorField = {
            "selector": {
                "select": {
                    "options": known_codes(self.hass),
                    "custom_value": True,
                    "mode": "dropdown",
                    "sort": True,
                }
            }
        }
        self.table = replace(self.table, columns={**self.table.columns, CONF_CODE: codes})
        return await super().async_step_user(user_input)

    @override
    def _rows_of(self, user_input: Mapping[str, Any]) -> list[Row]:
        """Return the rows, what is new with the codes that the entry's other devices have."""
        rows = super()._rows_of(user_input)
        if CONF_COPY_FROM in user_input:
            return rows
        stored = len(self._stored_rows())
        new = as_others_have_it(self.hass, rows[stored:], self._others())
        return rows[:stored] + sorted(new, key=lambda row: not row[CONF_CODE])


class AlarmSubentryFlow(ConfigSubentryFlow):
    """Report a binary sensor as events of the platform."""

    @classmethod
    def written(cls) -> Written:
        """Return how an alarm is written in a file."""
        return Written(
            schemas=one_form(_ALARM_SCHEMA),
            identity=(CONF_ENTITY, CONF_EVENT_TYPE, CONF_GATEWAY_DEVICE_ID),
        )

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the binary sensor and the event it stands for."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if not CODE_PATTERN.fullmatch(user_input[CONF_EVENT_TYPE]):
                errors[CONF_EVENT_TYPE] = "invalid_code"
            if not DEVICE_ID_PATTERN.fullmatch(user_input[CONF_GATEWAY_DEVICE_ID]):
                errors[CONF_GATEWAY_DEVICE_ID] = "invalid_device_id"
            if not errors:
                return self._save(user_input)
        suggested: dict[str, Any] = user_input or {}
        if not suggested and self.source == SOURCE_RECONFIGURE:
            suggested = dict(self._get_reconfigure_subentry().data)
            suggested[CONF_ENTITY] = entity_id_behind(self.hass, suggested[CONF_ENTITY])
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(_ALARM_SCHEMA, suggested),
            errors=errors,
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change the alarm."""
        return await self.async_step_user(user_input)

    def _save(self, user_input: dict[str, Any]) -> SubentryFlowResult:
        entity_id = user_input[CONF_ENTITY]
        data = {**user_input, CONF_ENTITY: reference_of(self.hass, entity_id)}
        state = self.hass.states.get(entity_id)
        title = f"{state.name if state else entity_id} → {user_input[CONF_EVENT_TYPE]}"
        if self.source == SOURCE_RECONFIGURE:
            return self.async_update_and_abort(
                self._get_entry(), self._get_reconfigure_subentry(), title=title, data=data
            )
        return self.async_create_entry(title=title, data=data)


SUBENTRY_FLOWS: dict[str, type[ConfigSubentryFlow]] = {
    SUBENTRY_DEVICE: DeviceSubentryFlow,
    SUBENTRY_ALARM: AlarmSubentryFlow,
}
