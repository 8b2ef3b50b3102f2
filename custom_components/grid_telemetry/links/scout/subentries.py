"""Config steps of a Scout entry's subentries: a device with its points, an alarm."""

from typing import Any

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import Platform
from homeassistant.helpers.selector import (
    DeviceSelector,
    DeviceSelectorConfig,
    EntityFilterSelectorConfig,
    EntitySelector,
    EntitySelectorConfig,
    ObjectSelector,
    ObjectSelectorConfig,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
import voluptuous as vol

from ...forwarding.point import Point, entity_id_of, reference_of
from .const import (
    CONF_CODE,
    CONF_CUSTOM_NAME,
    CONF_DEVICES,
    CONF_ENTITIES,
    CONF_ENTITY,
    CONF_EVENT_TYPE,
    CONF_FACTOR,
    CONF_GATEWAY_DEVICE_ID,
    CONF_POINTS,
    CONF_UNIT,
    SUBENTRY_ALARM,
    SUBENTRY_DEVICE,
)
from .mapping import MappingError, check_rows, rows_of, suggest_rows
from .payload import CODE_PATTERN, DEVICE_ID_PATTERN, KNOWN_EVENT_TYPES, MAIN_DEVICE

_DEVICE_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_GATEWAY_DEVICE_ID, default=MAIN_DEVICE): TextSelector(),
        vol.Optional(CONF_DEVICES, default=list): DeviceSelector(
            DeviceSelectorConfig(
                multiple=True, entity=[EntityFilterSelectorConfig(domain=[Platform.SENSOR])]
            )
        ),
        vol.Optional(CONF_ENTITIES, default=list): EntitySelector(
            EntitySelectorConfig(domain=Platform.SENSOR, multiple=True)
        ),
    }
)
_POINTS_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_POINTS): ObjectSelector(
            ObjectSelectorConfig(
                multiple=True,
                label_field=CONF_ENTITY,
                description_field=CONF_CODE,
                translation_key="scout_point",
                fields={
                    CONF_ENTITY: {
                        "required": True,
                        "selector": {"entity": {"domain": Platform.SENSOR}},
                    },
                    CONF_CODE: {"selector": {"text": {}}},
                    CONF_UNIT: {"selector": {"text": {}}},
                    CONF_FACTOR: {"selector": {"number": {"step": "any", "mode": "box"}}},
                },
            )
        )
    }
)
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
    }
)


class DeviceSubentryFlow(ConfigSubentryFlow):
    """Map readings to the codes of one device of the gateway."""

    _gateway_device_id: str
    _rows: list[dict[str, Any]]

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the device's id on the platform and what it is made of."""
        errors: dict[str, str] = {}
        if user_input is not None:
            device_id = user_input[CONF_GATEWAY_DEVICE_ID].strip()
            if not DEVICE_ID_PATTERN.fullmatch(device_id):
                errors[CONF_GATEWAY_DEVICE_ID] = "invalid_device_id"
            elif device_id in self._other_device_ids():
                errors[CONF_GATEWAY_DEVICE_ID] = "device_id_in_use"
            else:
                self._gateway_device_id = device_id
                present = self._stored_rows()
                known = {row[CONF_ENTITY] for row in present}
                suggested = suggest_rows(
                    self.hass, user_input[CONF_DEVICES], user_input[CONF_ENTITIES]
                )
                self._rows = present + [row for row in suggested if row[CONF_ENTITY] not in known]
                if self._rows:
                    return await self.async_step_points()
                errors["base"] = "nothing_to_send"
        suggested_values = user_input or {}
        if not suggested_values and self.source == SOURCE_RECONFIGURE:
            stored = self._get_reconfigure_subentry().data
            suggested_values = {CONF_GATEWAY_DEVICE_ID: stored[CONF_GATEWAY_DEVICE_ID]}
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(_DEVICE_SCHEMA, suggested_values),
            errors=errors,
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change the mapping; more devices and entities may be added to it."""
        return await self.async_step_user(user_input)

    async def async_step_points(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for code, unit and factor of each reading."""
        errors: dict[str, str] = {}
        placeholders = {"row": "", "device_id": self._gateway_device_id}
        if user_input is not None:
            self._rows = user_input[CONF_POINTS]
            try:
                points = check_rows(self.hass, self._rows)
            except MappingError as err:
                errors["base"] = err.key
                placeholders["row"] = err.row
            else:
                return self._save(points)
        return self.async_show_form(
            step_id="points",
            data_schema=self.add_suggested_values_to_schema(
                _POINTS_SCHEMA, {CONF_POINTS: self._rows}
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    def _save(self, points: list[Point]) -> SubentryFlowResult:
        data = {
            CONF_GATEWAY_DEVICE_ID: self._gateway_device_id,
            CONF_POINTS: [point.as_dict() for point in points],
        }
        if self.source == SOURCE_RECONFIGURE:
            return self.async_update_and_abort(
                self._get_entry(),
                self._get_reconfigure_subentry(),
                title=self._gateway_device_id,
                data=data,
            )
        return self.async_create_entry(title=self._gateway_device_id, data=data)

    def _other_device_ids(self) -> set[str]:
        present = self._reconfigure_subentry_id if self.source == SOURCE_RECONFIGURE else None
        return {
            subentry.data[CONF_GATEWAY_DEVICE_ID]
            for subentry in self._get_entry().get_subentries_of_type(SUBENTRY_DEVICE)
            if subentry.subentry_id != present
        }

    def _stored_rows(self) -> list[dict[str, Any]]:
        if self.source != SOURCE_RECONFIGURE:
            return []
        return rows_of(self.hass, self._get_reconfigure_subentry().data[CONF_POINTS])


class AlarmSubentryFlow(ConfigSubentryFlow):
    """Report a binary sensor as events of the platform."""

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
            point = Point(entity=suggested[CONF_ENTITY], name="")
            suggested[CONF_ENTITY] = entity_id_of(self.hass, point)
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
