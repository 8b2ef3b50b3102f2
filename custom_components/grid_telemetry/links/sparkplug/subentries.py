"""Config steps of a Sparkplug entry's subentries: a device with its points, a writable metric."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.helpers.selector import (
    ActionSelector,
    EntitySelector,
    EntitySelectorConfig,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
import voluptuous as vol

from ...commands.own import ACTION_NAME, one_action, with_steps
from ...forms.fields import whole_number
from ...forms.written import Written, one_form
from ...points.point import entity_id_behind, reference_of
from ...points.table import (
    CONF_ENTITY,
    CONF_FACTOR,
    CONF_GUARD,
    CONF_MAX_AGE_S,
    CONF_POINTS,
    CONF_TAKE,
    CONF_UNIT,
    ENTITY_COLUMN,
    FACTOR_COLUMN,
    GUARD_COLUMN,
    TAKE_COLUMN,
    UNIT_COLUMN,
    PointsSubentryFlow,
    PointsTable,
)
from ...protocols.sparkplug import ID_PATTERN
from .const import (
    CONF_ACTION,
    CONF_DATA_TYPE,
    CONF_DEVICE_ID,
    CONF_METRIC,
    CONF_NAME,
    CONF_TIME_LIMIT_S,
    DEFAULT_TIME_LIMIT_S,
    SUBENTRY_COMMAND,
    SUBENTRY_DEVICE,
)
from .mapping import DATA_TYPES, POINT_TYPES, check_rows, suggest_rows
from .payload import METRIC_PATTERN
from .writable import DOMAINS, takes

_OPTIONAL: Final = (CONF_ENTITY, CONF_ACTION)


class DeviceSubentryFlow(PointsSubentryFlow):
    """Map readings to the metrics of one device."""

    table = PointsTable(
        subentry_type=SUBENTRY_DEVICE,
        id_field=CONF_DEVICE_ID,
        id_pattern=ID_PATTERN,
        more_fields={vol.Optional(CONF_MAX_AGE_S): whole_number(1, 604_800, "s")},
        columns={
            CONF_ENTITY: ENTITY_COLUMN,
            CONF_NAME: {"selector": {"text": {}}},
            CONF_DATA_TYPE: {
                "selector": {"select": {"options": list(POINT_TYPES), "mode": "dropdown"}}
            },
            CONF_UNIT: UNIT_COLUMN,
            CONF_FACTOR: FACTOR_COLUMN,
            CONF_TAKE: TAKE_COLUMN,
            CONF_GUARD: GUARD_COLUMN,
        },
        translation_key="sparkplug_point",
        suggest=suggest_rows,
        check=check_rows,
    )


class CommandSubentryFlow(ConfigSubentryFlow):
    """Have hosts write one metric."""

    @classmethod
    def written(cls) -> Written:
        """Return how a writable metric is written in a file: with the one call of its action."""
        listed = partial(with_steps, key=CONF_ACTION)
        return Written(
            schemas=one_form(_command_fields(())),
            identity=(CONF_DEVICE_ID, CONF_METRIC),
            opens=True,
            fields=listed,
            answers=listed,
        )

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the metric, and what writing it does."""
        errors: dict[str, str] = {}
        if user_input is not None:
            data = {
                **{key: user_input[key] for key in user_input if key not in _OPTIONAL},
                CONF_METRIC: user_input[CONF_METRIC].strip(),
                CONF_DEVICE_ID: user_input[CONF_DEVICE_ID].strip(),
            }
            if entity_id := user_input.get(CONF_ENTITY):
                data[CONF_ENTITY] = entity_id
            if steps := user_input.get(CONF_ACTION):
                data[CONF_ACTION] = one_action(steps)
            errors = self._errors(data)
            if not errors:
                return self._save(data)
        suggested: dict[str, Any] = user_input or {}
        if not suggested and self.source == SOURCE_RECONFIGURE:
            suggested = dict(self._get_reconfigure_subentry().data)
            if CONF_ACTION in suggested:
                suggested[CONF_ACTION] = [suggested[CONF_ACTION]]
            if CONF_ENTITY in suggested:
                suggested[CONF_ENTITY] = entity_id_behind(self.hass, suggested[CONF_ENTITY])
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(self._schema(), suggested),
            errors=errors,
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change the metric, or what writing it does."""
        return await self.async_step_user(user_input)

    def _schema(self) -> vol.Schema:
        devices = [
            subentry.data[CONF_DEVICE_ID]
            for subentry in self._get_entry().get_subentries_of_type(SUBENTRY_DEVICE)
        ]
        return vol.Schema(_command_fields(devices))

    def _errors(self, data: dict[str, Any]) -> dict[str, str]:
        errors: dict[str, str] = {}
        if not ID_PATTERN.fullmatch(data[CONF_DEVICE_ID]):
            errors[CONF_DEVICE_ID] = "invalid_device_id"
        if not METRIC_PATTERN.fullmatch(data[CONF_METRIC]):
            errors[CONF_METRIC] = "invalid_metric_name"
        elif data[CONF_METRIC].lower() in self._names_of(data[CONF_DEVICE_ID]):
            errors[CONF_METRIC] = "metric_name_in_use"
        entity_id = data.get(CONF_ENTITY)
        if CONF_ACTION in data:
            if data[CONF_ACTION] is None:
                errors[CONF_ACTION] = "one_action"
        elif entity_id is None:
            errors["base"] = "nothing_to_call"
        elif not takes(entity_id, data[CONF_DATA_TYPE]):
            errors[CONF_DATA_TYPE] = "wrong_data_type"
        return errors

    def _names_of(self, device_id: str) -> set[str]:
        """Return the names that metrics of a device have, in small letters, but for this one's."""
        entry = self._get_entry()
        present = self._reconfigure_subentry_id if self.source == SOURCE_RECONFIGURE else None
        return {
            point["name"].lower()
            for subentry in entry.get_subentries_of_type(SUBENTRY_DEVICE)
            if subentry.data[CONF_DEVICE_ID] == device_id
            for point in subentry.data[CONF_POINTS]
        } | {
            subentry.data[CONF_METRIC].lower()
            for subentry in entry.get_subentries_of_type(SUBENTRY_COMMAND)
            if subentry.subentry_id != present and subentry.data[CONF_DEVICE_ID] == device_id
        }

    def _save(self, data: dict[str, Any]) -> SubentryFlowResult:
        entity_id = data.get(CONF_ENTITY)
        what = data[CONF_ACTION][ACTION_NAME] if CONF_ACTION in data else entity_id
        title = f"{data[CONF_DEVICE_ID]}/{data[CONF_METRIC]} → {what}"
        if entity_id is not None:
            data[CONF_ENTITY] = reference_of(self.hass, entity_id)
        if self.source == SOURCE_RECONFIGURE:
            return self.async_update_and_abort(
                self._get_entry(), self._get_reconfigure_subentry(), title=title, data=data
            )
        return self.async_create_entry(title=title, data=data)


def _command_fields(devices: Sequence[str]) -> dict[vol.Marker, Any]:
    """Return the fields of a writable metric; another device than those of the node is typed."""
    return {
        vol.Required(CONF_DEVICE_ID): SelectSelector(
            SelectSelectorConfig(
                options=list(devices), custom_value=True, mode=SelectSelectorMode.DROPDOWN
            )
        ),
        vol.Required(CONF_METRIC): TextSelector(),
        vol.Required(CONF_DATA_TYPE, default="double"): SelectSelector(
            SelectSelectorConfig(
                options=list(DATA_TYPES),
                mode=SelectSelectorMode.DROPDOWN,
                translation_key="sparkplug_data_type",
            )
        ),
        vol.Optional(CONF_ENTITY): EntitySelector(EntitySelectorConfig(domain=list(DOMAINS))),
        vol.Optional(CONF_ACTION): ActionSelector(),
        vol.Required(CONF_TIME_LIMIT_S, default=DEFAULT_TIME_LIMIT_S): whole_number(1, 3600),
    }


SUBENTRY_FLOWS: dict[str, type[ConfigSubentryFlow]] = {
    SUBENTRY_DEVICE: DeviceSubentryFlow,
    SUBENTRY_COMMAND: CommandSubentryFlow,
}
