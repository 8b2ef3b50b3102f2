"""A user's own table of codes, as CSV or JSON. No Home Assistant in it.

Circutor publishes its table only in part; whoever has the rest from the platform, or from a device,
can bring it along: code, quantity, unit.
"""

import csv
from dataclasses import dataclass
import io
import json
from typing import Any, Final

from ...vocabulary.quantities import QUANTITIES
from ...vocabulary.unit import canonical
from .payload import CODE_PATTERN

MAX_CODES: Final = 2000
_COLUMNS: Final = ("code", "quantity", "unit")
_DELIMITERS: Final = ",;\t"


class CodeTableError(ValueError):
    """The table cannot be taken; `row` is what it is about, counted from 1 without the heading."""

    def __init__(self, reason: str, row: int = 0, value: str = "") -> None:
        """Take the key of the error's text, the row and what stands there."""
        super().__init__(reason)
        self.reason = reason
        self.row = row
        self.value = value


@dataclass(frozen=True, kw_only=True)
class Code:
    """A code of the platform, with the quantity that it stands for and the unit it is in."""

    code: str
    quantity: str | None = None
    """Key of one of our quantities, None where it is none of them."""
    unit: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Return the code as plain data."""
        return {"code": self.code, "quantity": self.quantity, "unit": self.unit}


def parse_codes(text: str) -> list[Code]:
    """Return the codes of a table: CSV with a heading, or a JSON list of objects.

    Columns are `code`, `quantity` and `unit`, of which the first has to be there. Raises
    `CodeTableError`.
    """
    rows = _json_rows(text) if text.lstrip().startswith(("[", "{")) else _csv_rows(text)
    codes: dict[str, Code] = {}
    for number, row in enumerate(rows, 1):
        code = _code(number, row)
        if code.code in codes:
            raise CodeTableError("code_table_twice", number, code.code)
        codes[code.code] = code
        if number > MAX_CODES:
            raise CodeTableError("code_table_too_long", number, str(MAX_CODES))
    if not codes:
        raise CodeTableError("code_table_empty")
    return list(codes.values())


def _json_rows(text: str) -> list[dict[str, str]]:
    try:
        loaded: Any = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise CodeTableError("code_table_not_read", value=str(err)) from err
    if not isinstance(loaded, list) or not all(isinstance(row, dict) for row in loaded):
        raise CodeTableError("code_table_not_read", value="a list of objects is expected")
    return [
        {str(key).lower(): str(value) for key, value in row.items() if value is not None}
        for row in loaded
    ]


def _csv_rows(text: str) -> list[dict[str, str]]:
    heading = text.lstrip("\ufeff \t\r\n").partition("\n")[0]
    delimiter = max(_DELIMITERS, key=heading.count)
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=delimiter)
    try:
        lines = [line for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as err:
        raise CodeTableError("code_table_not_read", value=str(err)) from err
    if not lines:
        return []
    names = [name.strip().lower() for name in lines[0]]
    if "code" not in names:
        raise CodeTableError("code_table_not_read", value="no column is called code")
    return [dict(zip(names, line, strict=False)) for line in lines[1:]]


def _code(number: int, row: dict[str, str]) -> Code:
    values = {name: row.get(name, "").strip() for name in _COLUMNS}
    code, quantity, unit = (values[name] for name in _COLUMNS)
    if not CODE_PATTERN.fullmatch(code):
        raise CodeTableError("code_table_bad_code", number, code)
    if quantity and quantity not in QUANTITIES:
        raise CodeTableError("code_table_bad_quantity", number, quantity)
    return Code(code=code, quantity=quantity or None, unit=canonical(unit))
