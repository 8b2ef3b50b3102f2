"""A table of points as text, as it is pasted from a spreadsheet and copied out to one.

One row a line, the first line names the columns:

    entity; code; unit; factor
    sensor.house_power; P; kW; 1

Cells are parted by tabs, semicolons or commas. Knows nothing of Home Assistant's states.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import csv
from dataclasses import dataclass, replace
import io
import math
import re
from typing import Any, Final, Self

from homeassistant.helpers.selector import ObjectSelectorField, Selector, selector
import voluptuous as vol

type Row = dict[str, Any]

_DELIMITERS: Final = ("\t", ";", ",")
_WRITTEN: Final = "; "
_COMMENT: Final = "#"
_ENTITY_ID: Final = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_ALIASES: Final = {"entity_id": "entity"}
_BOOLEANS: Final = {
    **dict.fromkeys(("yes", "true", "on", "1", "x"), True),
    **dict.fromkeys(("no", "false", "off", "0"), False),
}
_MAX_SHOWN: Final = 60
"""Characters of a cell that an error quotes."""


class MappingError(Exception):
    """A row of the table cannot be taken; `key` names the error text, `row` what it is about."""

    def __init__(self, key: str, row: str = "") -> None:
        """Remember the error text's key and what it is about."""
        super().__init__(key)
        self.key = key
        self.row = row


@dataclass(frozen=True, kw_only=True, slots=True)
class RowMistake:
    """What is wrong with one row."""

    index: int
    """Of the row, from 0; of the line, from 1, where the rows came as text."""
    key: str
    """Of the error text."""
    about: str


class RowsError(MappingError):
    """Rows that cannot be taken, at least one; `key` and `row` are of the first."""

    def __init__(self, mistakes: Sequence[RowMistake]) -> None:
        """Remember the mistakes, in the order of the rows."""
        super().__init__(mistakes[0].key, mistakes[0].about)
        self.mistakes = tuple(mistakes)

    def moved(self, indexes: Sequence[int]) -> RowsError:
        """Return the same errors, where row 0 stands at the first of these indexes and so on."""
        return RowsError([replace(each, index=indexes[each.index]) for each in self.mistakes])


def each_row(rows: Iterable[Row], take: Callable[[Row], None]) -> None:
    """Have every row taken; raises `RowsError` with all that could not be."""
    errors: list[RowMistake] = []
    for index, row in enumerate(rows):
        try:
            take(row)
        except MappingError as err:
            errors.append(RowMistake(index=index, key=err.key, about=err.row))
    if errors:
        raise RowsError(errors)


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedTable:
    """What a text says."""

    columns: tuple[str, ...]
    """Those that the text has, in its order."""
    rows: tuple[Row, ...]
    """An empty cell is not in its row."""
    lines: tuple[int, ...]
    """The line of each row, from 1."""


def format_table(rows: Iterable[Row], columns: Mapping[str, ObjectSelectorField]) -> str:
    """Return the rows as text, the columns in order; `parse_table` reads it."""
    lines = [_WRITTEN.join(columns)]
    for row in rows:
        cells = [_cell(row.get(column)) for column in columns]
        lines.append(_WRITTEN.join(cells).rstrip("; "))
    return "\n".join(lines)


def parse_table(text: str, columns: Mapping[str, ObjectSelectorField]) -> ParsedTable:
    """Return the rows of a text; raises `RowsError`, whose indexes are the lines.

    Without a line that names the columns they stand in the order of `columns`. Empty lines and
    those that begin with "#" are passed over.
    """
    readers = {name: _Column.of(name, field) for name, field in columns.items()}
    order: tuple[str, ...] | None = None
    rows: list[Row] = []
    lines: list[int] = []
    errors: list[RowMistake] = []
    for line, cells in _records(text):
        try:
            if order is None:
                named = [_column(cell) for cell in cells]
                order = tuple(columns)
                if "entity" in named:
                    order = _header(named, columns)
                    continue
            rows.append(_row(cells, order, readers))
            lines.append(line)
        except MappingError as err:
            errors.append(RowMistake(index=line, key=err.key, about=err.row))
    if errors:
        raise RowsError(errors)
    return ParsedTable(columns=order or tuple(columns), rows=tuple(rows), lines=tuple(lines))


def _records(text: str) -> Iterable[tuple[int, list[str]]]:
    """Yield the cells of each line that has some, with its number."""
    text = text.removeprefix("\ufeff")
    first = next((line for line in text.splitlines() if _says_something(line)), "")
    delimiter = next((each for each in _DELIMITERS if each in first), ";")
    # Every line is read alone: a quote that is never closed spoils one row and no more.
    for number, line in enumerate(text.splitlines(), 1):
        if _says_something(line):
            (cells,) = csv.reader(
                io.StringIO(line[: csv.field_size_limit()]),
                delimiter=delimiter,
                skipinitialspace=True,
            )
            yield number, [cell.strip() for cell in cells]


def _says_something(line: str) -> bool:
    return bool(line.strip(" \t;,")) and not line.lstrip().startswith(_COMMENT)


def _column(cell: str) -> str:
    name = cell.casefold().replace(" ", "_")
    return _ALIASES.get(name, name)


def _header(named: Sequence[str], columns: Mapping[str, ObjectSelectorField]) -> tuple[str, ...]:
    """Return the columns that a line names; an empty name is a column that is not read."""
    if unknown := next((name for name in named if name and name not in columns), None):
        raise MappingError("unknown_column", f"{_shown(unknown)} ({', '.join(columns)})")
    if twice := next((name for name in named if name and named.count(name) > 1), None):
        raise MappingError("duplicate_column", twice)
    return tuple(named)


def _row(cells: Sequence[str], order: Sequence[str], columns: Mapping[str, _Column]) -> Row:
    if any(cells[len(order) :]):
        raise MappingError("too_many_cells", str(len(order)))
    row = {
        name: columns[name].value(cell)
        for name, cell in zip(order, cells, strict=False)
        if name and cell
    }
    required = next(iter(columns))
    if required not in row:
        raise MappingError("no_entity")
    return row


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    """What reads the cells of a column; made once for all of its rows."""

    name: str
    kind: str
    options: Mapping[str, Any]
    choices: Mapping[str, str]
    """Of a select: its values, by what they may be called, folded."""
    validate: Callable[[Any], Any]

    @classmethod
    def of(cls, name: str, field: ObjectSelectorField) -> Self:
        """Return the reader of a field of the form."""
        kind, options = _selector_of(field)
        choices = {
            called.casefold(): _value_of(option)
            for option in options.get("options", ())
            for called in ((option,) if isinstance(option, str) else option.values())
        }
        validate: Callable[[Any], Any] = selector({kind: options})  # type: ignore[assignment]
        return cls(name=name, kind=kind, options=options, choices=choices, validate=validate)

    def value(self, cell: str) -> Any:
        """Return what a cell says, as the field of the form would; raises `MappingError`."""
        match self.kind:
            case "entity":
                cell = cell.lower()
                if not _ENTITY_ID.fullmatch(cell):
                    raise MappingError("invalid_entity", _shown(cell))
                value: Any = cell
            case "number":
                value = _number(self.name, cell)
            case "boolean":
                if (value := _BOOLEANS.get(cell.casefold())) is None:
                    raise MappingError("not_a_choice", f"{self.name}: {_shown(cell)} (yes, no)")
            case "select":
                value = self._choice(cell)
            case _:
                value = cell
        try:
            self.validate(value)
        except vol.Invalid as err:
            about = f"{self.name}: {_shown(cell)}{_limits(self.options)}"
            raise MappingError("wrong_value", about) from err
        return value

    def _choice(self, cell: str) -> str:
        """Return the option of a name, however it is written; any text where that is allowed."""
        if (value := self.choices.get(cell.casefold())) is not None:
            return value
        if self.options.get("custom_value"):
            return cell
        known = ", ".join(dict.fromkeys(self.choices.values()))
        raise MappingError("not_a_choice", f"{self.name}: {_shown(cell)} ({known})")


def _number(column: str, cell: str) -> float | int:
    # The decimal comma of a spreadsheet; with both marks nobody knows which of them it is.
    text = cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell
    try:
        value = float(text.replace("_", "?"))
    except ValueError as err:
        raise MappingError("not_a_number", f"{column}: {_shown(cell)}") from err
    if not math.isfinite(value):
        raise MappingError("not_a_number", f"{column}: {_shown(cell)}")
    return int(value) if value.is_integer() else value


def is_offered(field: ObjectSelectorField, value: Any) -> bool:
    """Return whether a column has a value among its choices, or is free to have any."""
    kind, options = _selector_of(field)
    if kind != "select" or options.get("custom_value"):
        return True
    return value in [_value_of(option) for option in options["options"]]


def _selector_of(field: ObjectSelectorField) -> tuple[str, Mapping[str, Any]]:
    """Return the kind of a column's selector, and what it is set to."""
    config = field["selector"]
    if isinstance(config, Selector):
        config = config.serialize()["selector"]
    ((kind, options),) = config.items()
    return kind, options


def _value_of(option: str | Mapping[str, str]) -> str:
    return option if isinstance(option, str) else option["value"]


def _limits(options: Mapping[str, Any]) -> str:
    low, high = options.get("min"), options.get("max")
    if low is None and high is None:
        return ""
    return f" ({'' if low is None else low} … {'' if high is None else high})"


def _shown(cell: str) -> str:
    return cell if len(cell) <= _MAX_SHOWN else f"{cell[:_MAX_SHOWN]}…"


def _cell(value: Any) -> str:
    """Return a value as it is written; one with a delimiter or a quote in it is quoted."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
        case _:
            text = str(value)
    if any(mark in text for mark in ('"', *_DELIMITERS)):
        return '"' + text.replace('"', '""') + '"'
    return text
