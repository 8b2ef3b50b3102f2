"""What a whole filter expression selects."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import batched
import re
from typing import Final
from uuid import UUID

from ..dataset import Row, Table, Value
from .condition import Budget, Reader, Term
from .tokens import FilterError, tokens
from .values import key, truth

# Room for more than 6,000 GUIDs.
MAX_LENGTH: Final = 262_144
_MAX_STATEMENTS: Final = 16
_MAX_ORDER: Final = 8
_NAMES_AT_ONCE: Final = 1_000
# So many terms on rows are worked out before others in the event loop have their turn: about a
# millisecond.
_TERMS_AT_ONCE: Final = 4_000
_GAP: Final = re.compile(r"[\s;]*")
_NAME: Final = re.compile(
    r"""
    (?!(?:true|false|null)\s*(?:;|\Z))
    (?:\{([^{}']+)\}|'([^']+)'|"([^"]+)"|([^\s;'"{}()=<>!`\[\],]+))
    \s*(?:;|\Z)
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Names:
    """The rows of a table by GUID, measurement key and point tag."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._rows = {
            str(row[column]).upper(): row
            for column in ("PointTag", "ID", "SignalID")
            for row in table.rows
            if row[column]
        }

    def find(self, name: str) -> Row | None:
        """Return the row of a name."""
        name = name.strip().strip("{}").upper()
        if (row := self._rows.get(name)) is None and len(name) == 32:
            try:
                return self._rows.get(str(UUID(name)).upper())
            except ValueError:
                return None
        return row


@dataclass(frozen=True, kw_only=True)
class _Statement:
    """A FILTER statement, or a bare condition."""

    table: Table
    condition: Term
    terms: int
    top: int | None = None
    order: tuple[tuple[str, bool], ...] = ()
    """Columns, and whether descending."""
    end: int


async def select(
    text: str, tables: Iterable[Table], primary: str, names: Names | None = None
) -> dict[str, list[Row]]:
    """Return the rows that a filter expression selects of each table it speaks of.

    A name that no row has selects nothing. Others have their turn in the event loop meanwhile.
    Raises FilterError.
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"A filter expression is longer than {MAX_LENGTH} characters")
    known = {table.name.upper(): table for table in tables}
    # A row that two statements select is there once, where the first put it.
    selected: dict[str, dict[int, Row]] = {}
    budget = Budget()
    position = looked_up = statements = 0
    while (position := _end_of(_GAP, text, position)) < len(text):
        if names is not None and (match := _NAME.match(text, position)):
            looked_up += 1
            if not looked_up % _NAMES_AT_ONCE:
                await asyncio.sleep(0)
            rows: Iterable[Row | None] = [names.find(match[match.lastindex or 0])]
            table, position = names.table, match.end()
        else:
            statements += 1
            if statements > _MAX_STATEMENTS:
                raise FilterError(f"More than {_MAX_STATEMENTS} statements in a filter expression")
            statement = _read(text, position, known, primary, budget)
            rows, table, position = await _rows(statement), statement.table, statement.end
        found = selected.setdefault(table.name, {})
        found.update((id(row), row) for row in rows if row is not None and id(row) not in found)
    return {name: [*rows.values()] for name, rows in selected.items()}


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Return where a pattern ends that matches from a position on."""
    match = pattern.match(text, start)
    return match.end() if match else start


def _read(
    text: str, position: int, known: Mapping[str, Table], primary: str, budget: Budget
) -> _Statement:
    """Read one statement that is not just a name."""
    reader = Reader(tokens(text, position), budget)
    before = budget.terms
    name = primary
    top = None
    if filtered := bool(reader.take("FILTER")):
        if reader.take("TOP"):
            top = reader.number()
        name = reader.next().text
        reader.expect("WHERE")
    if (table := known.get(name.upper())) is None:
        raise FilterError(f"Not a table: {name[:40]!r}")
    reader.use(table.columns)
    condition = reader.condition()
    order: list[tuple[str, bool]] = []
    if filtered and reader.take("ORDER"):
        reader.expect("BY")
        while True:
            if len(order) == _MAX_ORDER:
                raise FilterError(f"More than {_MAX_ORDER} columns in ORDER BY")
            order.append((reader.column(), reader.take("ASC", "DESC") == "DESC"))
            if not reader.take(","):
                break
    if reader.token.kind != "end" and reader.token.word != ";":
        raise FilterError(f"Expected the end, found {reader.token.text[:40]!r}")
    return _Statement(
        table=table,
        condition=condition,
        terms=budget.terms - before,
        top=top,
        order=tuple(order),
        end=reader.token.end,
    )


async def _rows(statement: _Statement) -> list[Row]:
    """Work out a statement, a number of rows at a time."""
    rows: list[Row] = []
    for part in batched(
        statement.table.rows, max(1, _TERMS_AT_ONCE // statement.terms), strict=False
    ):
        rows += [row for row in part if truth(statement.condition(row))]
        await asyncio.sleep(0)
    for column, descending in reversed(statement.order):
        rows.sort(key=lambda row: _sort_key(row[column]), reverse=descending)
        await asyncio.sleep(0)
    return rows if statement.top is None else rows[: statement.top]


def _sort_key(value: Value) -> tuple[bool, object]:
    return value is not None, key(value)
