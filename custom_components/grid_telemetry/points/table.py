"""The table of points of a device, as a flow shows it: one row for each reading."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
import re
from typing import Any, Final

from homeassistant.components.sensor import (
    ATTR_STATE_CLASS,
    DOMAIN as SENSOR_DOMAIN,
    SensorStateClass,
)
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import ATTR_DEVICE_CLASS, ATTR_UNIT_OF_MEASUREMENT, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import (
    DeviceSelector,
    DeviceSelectorConfig,
    EntityFilterSelectorConfig,
    EntitySelector,
    EntitySelectorConfig,
    ObjectSelector,
    ObjectSelectorConfig,
    ObjectSelectorField,
    TextSelector,
)
import voluptuous as vol

from ..forms.written import Fields, Written, one_form
from .point import Point, Take, can_convert, entity_id_of, reference_of

CONF_DEVICES: Final = "devices"
CONF_ENTITIES: Final = "entities"
CONF_POINTS: Final = "points"
CONF_ENTITY: Final = "entity"
CONF_UNIT: Final = "unit"
CONF_FACTOR: Final = "factor"
CONF_TAKE: Final = "take"
CONF_OFFSET: Final = "offset"
CONF_IDENTITY: Final = "identity"
"""The entity that a point began with, where another one took its place."""
CONF_GUARD: Final = "guard"
CONF_MAX_AGE_S: Final = "max_age_s"
CONF_MISSING_AS_ZERO: Final = "missing_as_zero"

MEAN_MIN_MAX: Final = "mean_min_max"
"""A row that makes three points: the mean under the name itself, and the two others."""
_SUFFIXES: Final = {Take.MEAN: "", Take.MINIMUM: "_MIN", Take.MAXIMUM: "_MAX"}
_GUARD: Final = {"on": True, "off": False}

ENTITY_COLUMN: Final[ObjectSelectorField] = {
    "required": True,
    "selector": {"entity": {"domain": Platform.SENSOR}},
}
UNIT_COLUMN: Final[ObjectSelectorField] = {"selector": {"text": {}}}
FACTOR_COLUMN: Final[ObjectSelectorField] = {"selector": {"number": {"step": "any", "mode": "box"}}}
TAKE_COLUMN: Final[ObjectSelectorField] = {
    "selector": {"select": {"options": [*map(str, Take), MEAN_MIN_MAX], "mode": "dropdown"}}
}
GUARD_COLUMN: Final[ObjectSelectorField] = {
    "selector": {"select": {"options": list(_GUARD), "mode": "dropdown"}}
}
MAX_AGE_COLUMN: Final[ObjectSelectorField] = {
    "selector": {"number": {"min": 0, "max": 604_800, "unit_of_measurement": "s", "mode": "box"}}
}
MIN_CHANGE_COLUMN: Final[ObjectSelectorField] = {
    "selector": {"number": {"min": 0, "step": "any", "mode": "box"}}
}
MISSING_AS_ZERO_COLUMN: Final[ObjectSelectorField] = {"selector": {"boolean": {}}}

type Row = dict[str, Any]


class MappingError(Exception):
    """A row of the table cannot be taken; `key` names the error text, `row` what it is about."""

    def __init__(self, key: str, row: str = "") -> None:
        """Remember the error text's key and what it is about."""
        super().__init__(key)
        self.key = key
        self.row = row


def device_class_of(hass: HomeAssistant, entity_id: str) -> str | None:
    """Return the device class of an entity."""
    if entry := er.async_get(hass).async_get(entity_id):
        return entry.device_class or entry.original_device_class
    return _attribute(hass, entity_id, ATTR_DEVICE_CLASS)


def unit_of(hass: HomeAssistant, entity_id: str) -> str | None:
    """Return the unit that the states of an entity come in."""
    if entry := er.async_get(hass).async_get(entity_id):
        return entry.unit_of_measurement
    return _attribute(hass, entity_id, ATTR_UNIT_OF_MEASUREMENT)


def counts(hass: HomeAssistant, entity_id: str) -> bool:
    """Return whether an entity counts, so that only its present value means anything."""
    entry = er.async_get(hass).async_get(entity_id)
    capabilities = None if entry is None else entry.capabilities
    state_class = (capabilities or {}).get(ATTR_STATE_CLASS) or _attribute(
        hass, entity_id, ATTR_STATE_CLASS
    )
    return state_class in (SensorStateClass.TOTAL, SensorStateClass.TOTAL_INCREASING)


def _attribute(hass: HomeAssistant, entity_id: str, attribute: str) -> str | None:
    if (state := hass.states.get(entity_id)) is None:
        return None
    value = state.attributes.get(attribute)
    return None if value is None else str(value)


def _measures(entry: er.RegistryEntry) -> bool:
    """Return whether an entity of a device is a reading worth a row."""
    return (
        entry.domain == SENSOR_DOMAIN
        and not entry.disabled
        and entry.entity_category is None
        and ATTR_STATE_CLASS in (entry.capabilities or {})
    )


def readings_of(hass: HomeAssistant, devices: Iterable[str], entities: Iterable[str]) -> list[str]:
    """Return the entity ids of the readings of devices, and those of entities, each once."""
    registry = er.async_get(hass)
    entity_ids = [
        entry.entity_id
        for device in devices
        for entry in er.async_entries_for_device(registry, device)
        if _measures(entry)
    ]
    return list(dict.fromkeys([*entity_ids, *entities]))


def point_of(hass: HomeAssistant, row: Row, name: str) -> Point:
    """Return the point of a row under a name; raises `MappingError`."""
    entity_id = row[CONF_ENTITY]
    factor = float(row.get(CONF_FACTOR, 1))
    if factor == 0:
        raise MappingError("zero_factor", name)
    unit = str(row.get(CONF_UNIT) or "").strip() or None
    present = unit_of(hass, entity_id)
    if unit is not None and not can_convert(present, unit):
        raise MappingError("wrong_unit", f"{entity_id}: {present or '(none)'} → {unit}")
    take = str(row.get(CONF_TAKE) or Take.INSTANT)
    if take != Take.INSTANT and counts(hass, entity_id):
        raise MappingError("counter_is_instant", entity_id)
    return Point.from_dict(
        {
            CONF_ENTITY: reference_of(hass, entity_id),
            "name": name,
            CONF_UNIT: unit,
            CONF_FACTOR: factor,
            CONF_TAKE: Take.MEAN if take == MEAN_MIN_MAX else take,
            CONF_GUARD: _GUARD.get(str(row.get(CONF_GUARD))),
            CONF_MAX_AGE_S: row.get(CONF_MAX_AGE_S),
            CONF_MISSING_AS_ZERO: bool(row.get(CONF_MISSING_AS_ZERO, False)),
        }
    )


def points_of(hass: HomeAssistant, row: Row, name: str) -> list[Point]:
    """Return the points of a row, more than one for mean, minimum and maximum.

    Raises `MappingError`.
    """
    point = point_of(hass, row, name)
    if row.get(CONF_TAKE) != MEAN_MIN_MAX:
        return [point]
    return [replace(point, name=f"{name}{suffix}", take=take) for take, suffix in _SUFFIXES.items()]


def row_of(stored: Mapping[str, Any]) -> Row:
    """Return what the columns of the table show of a stored point."""
    row = {key: value for key, value in stored.items() if value is not None}
    if (guard := stored.get(CONF_GUARD)) is not None:
        row[CONF_GUARD] = "on" if guard else "off"
    return row


@dataclass(frozen=True, kw_only=True)
class PointsTable:
    """What a link makes of the table."""

    subentry_type: str
    id_field: str
    """The field for the name of the device on the platform."""
    id_default: str | None = None
    id_pattern: re.Pattern[str]
    title: Callable[[Mapping[str, Any]], str] | None = None
    """Makes the title from the fields of the first step; None takes the name."""
    more_fields: Mapping[vol.Marker, Any]
    """Of the first step, behind what every link asks for."""
    columns: Mapping[str, ObjectSelectorField]
    """Of the table, in order; the first is the entity, the second the name on the platform."""
    translation_key: str
    suggest: Callable[[HomeAssistant, Sequence[str]], list[Row]]
    """Returns a row for each entity."""
    check: Callable[[HomeAssistant, Sequence[Row], frozenset[str]], list[dict[str, Any]]]
    """Returns what to store of each row, a point and perhaps more; gets what the entry's other
    devices send already. Raises `MappingError`."""


def points_field(table: PointsTable) -> dict[vol.Marker, Any]:
    """Return the field for the rows."""
    entity, name, *_ = table.columns
    selector = ObjectSelector(
        ObjectSelectorConfig(
            multiple=True,
            label_field=entity,
            description_field=name,
            translation_key=table.translation_key,
            fields=dict(table.columns),
        )
    )
    return {vol.Required(CONF_POINTS): selector}


def written_points(table: PointsTable) -> Written:
    """Return how a device and its points are written: a row for each point."""
    _, name, *_ = table.columns

    def rows(stored: Mapping[str, Any]) -> Fields:
        points = [{**row_of(point), name: point["name"]} for point in stored[CONF_POINTS]]
        return {
            **stored,
            CONF_POINTS: [
                {key: point[key] for key in table.columns if key in point} for point in points
            ],
        }

    def answers(fields: Fields) -> Fields:
        # The step before the table wants to know where its rows come from.
        entities = [row[CONF_ENTITY] for row in fields.get(CONF_POINTS, ())]
        return {**fields, CONF_DEVICES: [], CONF_ENTITIES: entities}

    default = vol.UNDEFINED if table.id_default is None else table.id_default
    return Written(
        schemas=one_form(
            {
                vol.Required(table.id_field, default=default): TextSelector(),
                **table.more_fields,
                **points_field(table),
            }
        ),
        identity=(table.id_field,),
        fields=rows,
        answers=answers,
    )


class PointsSubentryFlow(ConfigSubentryFlow):
    """Choose devices and entities, then fill in the table of their readings."""

    table: PointsTable
    """Of the class; a flow whose first step decides on the columns may take another one."""
    _device: dict[str, Any]
    _rows: list[Row]

    @classmethod
    def written(cls) -> Written:
        """Return how a device is written in a file."""
        return written_points(cls.table)

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask for the device's name on the platform and what it is made of."""
        errors: dict[str, str] = {}
        if user_input is not None and not (errors := self._id_errors(user_input)):
            self._device = self._device_of(user_input)
            self._rows = self._rows_of(user_input)
            if self._rows:
                return await self.async_step_points()
            errors["base"] = "nothing_to_send"
        suggested_values = user_input or {}
        if not suggested_values and self.source == SOURCE_RECONFIGURE:
            stored = self._get_reconfigure_subentry().data
            suggested_values = {key: stored[key] for key in stored if key != CONF_POINTS}
        return self.async_show_form(
            step_id="user",
            data_schema=self.add_suggested_values_to_schema(
                self._device_schema(), suggested_values
            ),
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
        """Ask for name, unit and factor of each reading."""
        errors: dict[str, str] = {}
        placeholders = {"row": "", "device_id": self._device[self.table.id_field]}
        if user_input is not None:
            self._rows = user_input[CONF_POINTS]
            try:
                points = self.table.check(self.hass, self._rows, self._sent_by_others())
            except MappingError as err:
                errors["base"] = err.key
                placeholders["row"] = err.row
            else:
                if points:
                    return self._save(points)
                errors["base"] = "no_points"
        return self.async_show_form(
            step_id="points",
            data_schema=self.add_suggested_values_to_schema(
                self._points_schema(), {CONF_POINTS: self._rows}
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    def _id_errors(self, user_input: Mapping[str, Any]) -> dict[str, str]:
        """Return what is wrong with the device's name on the platform."""
        table = self.table
        device_id = user_input[table.id_field].strip()
        if not table.id_pattern.fullmatch(device_id):
            return {table.id_field: "invalid_device_id"}
        if any(device_id == other[table.id_field] for other in self._others()):
            return {table.id_field: "device_id_in_use"}
        return {}

    def _device_of(self, user_input: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is stored of the device beside its points."""
        table = self.table
        more = {key: user_input[key] for key in map(str, table.more_fields) if key in user_input}
        return {table.id_field: user_input[table.id_field].strip(), **more}

    def _rows_of(self, user_input: Mapping[str, Any]) -> list[Row]:
        """Return the rows that are stored, then those that are suggested for what is new."""
        present = self._stored_rows()
        known = {row[CONF_ENTITY] for row in present}
        chosen = readings_of(self.hass, user_input[CONF_DEVICES], user_input[CONF_ENTITIES])
        suggested = self.table.suggest(self.hass, chosen)
        return present + [row for row in suggested if row[CONF_ENTITY] not in known]

    def _save(self, points: list[dict[str, Any]]) -> SubentryFlowResult:
        table = self.table
        title = table.title(self._device) if table.title else self._device[table.id_field]
        points = self._with_hidden(points)
        data = {**self._device, CONF_POINTS: points}
        if self.source == SOURCE_RECONFIGURE:
            return self.async_update_and_abort(
                self._get_entry(), self._get_reconfigure_subentry(), title=title, data=data
            )
        return self.async_create_entry(title=title, data=data)

    def _with_hidden(self, points: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the points with what a replacement left in them, which the table does not show."""
        if self.source != SOURCE_RECONFIGURE:
            return points
        hidden = {
            (stored[CONF_ENTITY], stored["name"]): {
                key: stored[key] for key in (CONF_OFFSET, CONF_IDENTITY) if key in stored
            }
            for stored in self._get_reconfigure_subentry().data[CONF_POINTS]
        }
        return [
            {**point, **hidden.get((point[CONF_ENTITY], point["name"]), {})} for point in points
        ]

    def _device_schema(self) -> vol.Schema:
        table = self.table
        default = vol.UNDEFINED if table.id_default is None else table.id_default
        return vol.Schema(
            {
                vol.Required(table.id_field, default=default): TextSelector(),
                vol.Optional(CONF_DEVICES, default=list): DeviceSelector(
                    DeviceSelectorConfig(
                        multiple=True,
                        entity=[EntityFilterSelectorConfig(domain=[Platform.SENSOR])],
                    )
                ),
                vol.Optional(CONF_ENTITIES, default=list): EntitySelector(
                    EntitySelectorConfig(domain=Platform.SENSOR, multiple=True)
                ),
                **table.more_fields,
            }
        )

    def _points_schema(self) -> vol.Schema:
        return vol.Schema(points_field(self.table))

    def _others(self) -> list[Mapping[str, Any]]:
        """Return the data of the entry's other devices."""
        present = self._reconfigure_subentry_id if self.source == SOURCE_RECONFIGURE else None
        return [
            subentry.data
            for subentry in self._get_entry().get_subentries_of_type(self.table.subentry_type)
            if subentry.subentry_id != present
        ]

    def _sent_by_others(self) -> frozenset[str]:
        """Return the entities, as points refer to them, of the entry's other devices."""
        return frozenset(
            point[CONF_ENTITY] for other in self._others() for point in other[CONF_POINTS]
        )

    def _stored_rows(self) -> list[Row]:
        """Return the rows that are stored, under the entities' present names.

        An entity that is gone has none; saving the rest drops it.
        """
        if self.source != SOURCE_RECONFIGURE:
            return []
        _, name, *_ = self.table.columns
        rows: list[Row] = []
        for stored in self._get_reconfigure_subentry().data[CONF_POINTS]:
            point = Point.from_dict(stored)
            if (entity_id := entity_id_of(self.hass, point)) is None:
                continue
            values = {**row_of(stored), CONF_ENTITY: entity_id, name: point.name}
            rows.append({key: values[key] for key in self.table.columns if key in values})
        return rows
