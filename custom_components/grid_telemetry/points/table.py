"""The table of points of a device, as a flow shows it: one row for each reading."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
import re
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigSubentry,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    ObjectSelector,
    ObjectSelectorConfig,
    ObjectSelectorField,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
)
from homeassistant.helpers.translation import async_get_translations
import voluptuous as vol

from ..const import CONF_KIND, DOMAIN
from ..forms.written import Fields, Written, one_form
from .entity_attributes import (
    counts,
    device_class_of,
    unit_of,
)
from .likeness import copied_rows
from .point import Point, Take, can_convert, entity_id_of, reference_of
from .selection import (
    CONF_DEVICES,
    CONF_ENTITIES,
    chosen_readings,
    counted_by_device,
    enable_mapped,
    is_known,
    readings_of,
    selection_fields,
)
from .table_text import (
    MappingError,
    Row,
    RowMistake,
    RowsError,
    each_row,
    format_table,
    is_offered,
    parse_table,
)

__all__ = [
    "CONF_DEVICES",
    "CONF_ENTITIES",
    "MappingError",
    "PointsSubentryFlow",
    "PointsTable",
    "Row",
    "RowMistake",
    "RowsError",
    "counts",
    "device_class_of",
    "each_row",
    "point_of",
    "points_of",
    "readings_of",
    "row_of",
    "unit_of",
]

CONF_POINTS: Final = "points"
CONF_TEXT: Final = "text"
CONF_COPY_FROM: Final = "copy_from"
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
_TEXT_SCHEMA: Final = vol.Schema(
    {vol.Required(CONF_TEXT): TextSelector(TextSelectorConfig(multiline=True))}
)
_MAX_MISTAKES: Final = 20
"""Rows whose mistakes are told; the others are counted."""


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
        menus={"mapping": "points"},
        fields=rows,
        answers=answers,
    )


class PointsSubentryFlow(ConfigSubentryFlow):
    """Choose readings, then give each its name: row by row, or in a table that is text."""

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
                return await self.async_step_mapping()
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
            description_placeholders={"chosen": await self._chosen()},
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change the mapping; more devices and entities may be added to it."""
        return await self.async_step_user(user_input)

    async def async_step_mapping(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Say how many readings have a name, and ask how the others get theirs."""
        name = self._name_column
        named = sum(bool(row.get(name)) for row in self._rows)
        return self.async_show_menu(
            step_id="mapping",
            menu_options=["points", "text", "save"],
            description_placeholders={
                "device_id": self._device[self.table.id_field],
                "named": str(named),
                "unnamed": str(len(self._rows) - named),
            },
        )

    async def async_step_points(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for name, unit and factor of each reading, one by one."""
        errors: dict[str, str] = {}
        placeholders = {"row": "", "device_id": self._device[self.table.id_field], "mistakes": ""}
        if user_input is not None:
            self._rows = user_input[CONF_POINTS]
            try:
                return self._save(self._checked(self._rows))
            except MappingError as err:
                errors["base"] = err.key
                placeholders["row"] = err.row
                if isinstance(err, RowsError) and len(err.mistakes) > 1:
                    placeholders["mistakes"] = await self._in_words(err, "row")
        return self.async_show_form(
            step_id="points",
            data_schema=self.add_suggested_values_to_schema(
                self._points_schema(), {CONF_POINTS: self._rows}
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    async def async_step_text(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Show the table as text, to be copied out and pasted."""
        columns = self.table.columns
        text = format_table(self._rows, columns)
        errors: dict[str, str] = {}
        mistakes = row = ""
        if user_input is not None:
            text = user_input.get(CONF_TEXT, "")
            try:
                points = self._pasted(text)
            except MappingError as err:
                errors["base"] = "wrong_rows" if isinstance(err, RowsError) else err.key
                row = err.row
                mistakes = await self._in_words(err, "line")
            else:
                return self._save(points)
        return self.async_show_form(
            step_id="text",
            data_schema=self.add_suggested_values_to_schema(_TEXT_SCHEMA, {CONF_TEXT: text}),
            errors=errors,
            description_placeholders={
                "device_id": self._device[self.table.id_field],
                "columns": "; ".join(columns),
                "mistakes": mistakes,
                "row": row,
            },
        )

    async def async_step_save(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Take the rows as they are; where they cannot be, show them."""
        return await self.async_step_points({CONF_POINTS: self._rows})

    @property
    def _name_column(self) -> str:
        _, name, *_ = self.table.columns
        return name

    def _checked(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return what to store of the rows, at least one; raises `MappingError`."""
        points = self.table.check(self.hass, rows, self._sent_by_others())
        if not points:
            raise MappingError("no_points")
        return points

    def _pasted(self, text: str) -> list[dict[str, Any]]:
        """Return what to store of a text; raises `MappingError`, `RowsError` by line.

        A column that the text does not have is taken from the row of the same entity.
        """
        parsed = parse_table(text, self.table.columns)
        present = {row[CONF_ENTITY]: row for row in reversed(self._rows)}
        lacking = self.table.columns.keys() - set(parsed.columns)
        rows = [
            {
                key: value
                for key, value in present.get(row[CONF_ENTITY], {}).items()
                if key in lacking
            }
            | row
            for row in parsed.rows
        ]
        name = self._name_column

        def exists(row: Row) -> None:
            if row.get(name) and not is_known(self.hass, row[CONF_ENTITY]):
                raise MappingError("unknown_entity", row[CONF_ENTITY])

        try:
            each_row(rows, exists)
            points = self._checked(rows)
        except RowsError as err:
            raise err.moved(parsed.lines) from err
        self._rows = rows
        return points

    async def _in_words(self, err: MappingError, unit: str) -> str:
        """Return what is wrong with each row, a line each, in the language of the home."""
        if not isinstance(err, RowsError):
            return ""
        language = self.hass.config.language
        own = await async_get_translations(self.hass, language, "config_subentries", [DOMAIN])
        common = await async_get_translations(self.hass, language, "common", [DOMAIN])
        errors = f"component.{DOMAIN}.config_subentries.{self.table.subentry_type}.error"
        shared = f"component.{DOMAIN}.common"
        lines = []
        for each in err.mistakes[:_MAX_MISTAKES]:
            words = own.get(f"{errors}.{each.key}") or common.get(
                f"{shared}.table_{each.key}", each.key
            )
            number = each.index if unit == "line" else each.index + 1
            where = common[f"{shared}.table_{unit}"].format(number=number)
            about = {"row": each.about, "device_id": self._device[self.table.id_field]}
            lines.append(f"- {where}: {words.format(**about)}")
        if (left := len(err.mistakes) - len(lines)) > 0:
            lines.append("- " + common[f"{shared}.table_more"].format(number=left))
        return "\n".join(["", "", *lines])

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
        suggested = self.table.suggest(self.hass, chosen_readings(self.hass, user_input))
        rows = [row for row in suggested if row[CONF_ENTITY] not in known]
        source = self._mappings().get(user_input.get(CONF_COPY_FROM, ""))
        if source is not None:
            copied = self._rows_from(source.data[CONF_POINTS])
            rows = copied_rows(self.hass, rows, copied, self._name_column)
        return present + rows

    def _save(self, points: list[dict[str, Any]]) -> SubentryFlowResult:
        table = self.table
        title = table.title(self._device) if table.title else self._device[table.id_field]
        points = self._with_hidden(points)
        enable_mapped(self.hass, points)
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

    async def _chosen(self) -> str:
        """Return how many readings of each device are sent now, a line each; nothing at first."""
        if self.source != SOURCE_RECONFIGURE:
            return ""
        sent = dict.fromkeys(row[CONF_ENTITY] for row in self._stored_rows())
        texts = await async_get_translations(
            self.hass, self.hass.config.language, "common", [DOMAIN]
        )
        words = texts[f"component.{DOMAIN}.common.table_sent"]
        return "\n".join(
            ["", ""]
            + [
                f"- {name}: {words.format(sent=sent, readings=readings)}"
                for name, sent, readings in counted_by_device(self.hass, sent)
            ]
        )

    def _device_schema(self) -> vol.Schema:
        table = self.table
        default = self._free_id() or vol.UNDEFINED
        fields: dict[vol.Marker, Any] = {
            vol.Required(table.id_field, default=default): TextSelector(),
            **selection_fields(self.hass),
        }
        if mappings := self._mappings():
            options = [
                SelectOptionDict(value=subentry_id, label=subentry.title)
                for subentry_id, subentry in mappings.items()
            ]
            fields[vol.Optional(CONF_COPY_FROM)] = SelectSelector(
                SelectSelectorConfig(options=options, mode=SelectSelectorMode.DROPDOWN)
            )
        return vol.Schema({**fields, **table.more_fields})

    def _free_id(self) -> str | None:
        """Return the usual name of a device, or the next number, that no other has."""
        proposed = self.table.id_default
        taken = {str(other[self.table.id_field]) for other in self._others()}
        if proposed is None or proposed not in taken:
            return proposed
        if not proposed.isdigit():
            return None
        following = map(str, range(int(proposed) + 1, int(proposed) + len(taken) + 1))
        free = (each for each in following if each not in taken)
        return next((each for each in free if self.table.id_pattern.fullmatch(each)), None)

    def _points_schema(self) -> vol.Schema:
        return vol.Schema(points_field(self.table))

    def _others(self) -> list[Mapping[str, Any]]:
        """Return the data of the entry's other devices."""
        present = self._present_id
        return [
            subentry.data
            for subentry in self._get_entry().get_subentries_of_type(self.table.subentry_type)
            if subentry.subentry_id != present
        ]

    def _mappings(self) -> dict[str, ConfigSubentry]:
        """Return the other devices of all entries of this kind, by the id of their subentry."""
        kind = self._get_entry().data[CONF_KIND]
        return {
            subentry.subentry_id: subentry
            for entry in self.hass.config_entries.async_entries(DOMAIN)
            if entry.data.get(CONF_KIND) == kind
            for subentry in entry.get_subentries_of_type(self.table.subentry_type)
            if subentry.subentry_id != self._present_id
        }

    @property
    def _present_id(self) -> str | None:
        return self._reconfigure_subentry_id if self.source == SOURCE_RECONFIGURE else None

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
        return self._rows_from(self._get_reconfigure_subentry().data[CONF_POINTS])

    def _rows_from(self, points: Iterable[Mapping[str, Any]]) -> list[Row]:
        """Return the rows of stored points, without those whose entity is gone.

        What a column does not offer any more is left out.
        """
        rows: list[Row] = []
        for stored in points:
            point = Point.from_dict(stored)
            if (entity_id := entity_id_of(self.hass, point)) is None:
                continue
            values = {**row_of(stored), CONF_ENTITY: entity_id, self._name_column: point.name}
            rows.append(
                {
                    key: values[key]
                    for key, column in self.table.columns.items()
                    if key in values and is_offered(column, values[key])
                }
            )
        return rows
