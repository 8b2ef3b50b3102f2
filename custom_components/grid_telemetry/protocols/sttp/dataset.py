"""Tables and their XML: a .NET DataSet with its schema inside, the form of STTP metadata."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
import re
from typing import Final
from uuid import UUID
from xml.parsers import expat
from xml.sax.saxutils import escape

from .frames import SttpError

type Value = str | int | float | bool | UUID | datetime | None
type Row = Mapping[str, Value]

# The text of one field of a peer's metadata, the rows of all its tables, and the different names
# of elements and attributes: the parser keeps each. Metadata has some 100 of them.
_MAX_TEXT: Final = 65_536
_MAX_ROWS: Final = 500_000
_MAX_NAMES: Final = 1_000
_HEAD: Final = (
    '<?xml version="1.0" encoding="utf-8"?>\n<NewDataSet>'
    '<xs:schema id="NewDataSet" xmlns="" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
    ' xmlns:msdata="urn:schemas-microsoft-com:xml-msdata">'
    '<xs:element name="NewDataSet" msdata:IsDataSet="true" msdata:UseCurrentLocale="true">'
    '<xs:complexType><xs:choice minOccurs="0" maxOccurs="unbounded">'
)
# What XML 1.0 has no way to write.
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under a name; a column's type is that of XML Schema, or "guid"."""

    name: str
    columns: Mapping[str, str]
    rows: Sequence[Row]


def to_xml(tables: Iterable[Table]) -> bytes:
    """Write tables as a DataSet; a value of None is left out, as .NET does."""
    tables = list(tables)
    parts = [_HEAD]
    for table in tables:
        parts.append(f'<xs:element name="{table.name}"><xs:complexType><xs:sequence>')
        parts += (_column(name, kind) for name, kind in table.columns.items())
        parts.append("</xs:sequence></xs:complexType></xs:element>")
    parts.append("</xs:choice></xs:complexType></xs:element></xs:schema>")
    for table in tables:
        for row in table.rows:
            parts.append(f"\n<{table.name}>")
            parts += (
                f"<{name}>{_text(value)}</{name}>"
                for name in table.columns
                if (value := row[name]) is not None
            )
            parts.append(f"</{table.name}>")
    parts.append("\n</NewDataSet>\n")
    return "".join(parts).encode()


def _column(name: str, kind: str) -> str:
    """Return the schema of a column."""
    if kind == "guid":
        return (
            f'<xs:element name="{name}" msdata:DataType="System.Guid" type="xs:string"'
            ' minOccurs="0"/>'
        )
    return f'<xs:element name="{name}" type="xs:{kind}" minOccurs="0"/>'


def _text(value: Value) -> str:
    """Return a value as text of XML Schema; a time always with its fraction and Z."""
    match value:
        case str():
            return escape(_UNWRITABLE.sub("", value))
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case _:
            return str(value)


def read_time(text: str) -> datetime:
    """Read a time of XML Schema, UTC where it says nothing else; raises ValueError."""
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def from_xml(data: bytes, wanted: Mapping[str, Collection[str]]) -> dict[str, list[dict[str, str]]]:
    """Read the records of a DataSet: for each wanted table its rows, each text by wanted column.

    Names of tables are in lower case, whatever the publisher makes of them.

    Raises SttpError for what is no DataSet, for a document type (the way to entity bombs), and for
    fields, names or row numbers that no metadata has. The schema is passed over: the columns of
    STTP have known types.
    """
    reader = _Reader(wanted)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as err:
        raise SttpError(f"Metadata is not XML: {err}") from err
    return reader.tables


class _Reader:
    """Takes the events of a DataSet: root, tables, fields."""

    def __init__(self, wanted: Mapping[str, Collection[str]]) -> None:
        self.tables: dict[str, list[dict[str, str]]] = {}
        self._wanted = wanted
        self._names: set[str] = set()
        self._columns: Collection[str] = ()
        self._depth = 0
        self._rows = 0
        self._row: dict[str, str] = {}
        self._field: list[str] | None = None
        self._length = 0

    def doctype(self, *_: object) -> None:
        """Refuse a document type."""
        raise SttpError("Metadata with a document type is refused")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Open an element."""
        self._names.add(name)
        self._names.update(attributes)
        if len(self._names) > _MAX_NAMES:
            raise SttpError(f"More than {_MAX_NAMES} different names in metadata")
        self._depth += 1
        if self._depth == 2:
            self._row = {}
            self._columns = self._wanted.get(name.lower(), ())
        elif self._depth == 3 and name in self._columns:
            self._field = []
            self._length = 0

    def end(self, name: str) -> None:
        """Close an element."""
        if self._depth == 2 and not name.endswith(":schema"):
            self._rows += 1
            if self._rows > _MAX_ROWS:
                raise SttpError(f"More than {_MAX_ROWS} rows of metadata")
            if name.lower() in self._wanted:
                self.tables.setdefault(name.lower(), []).append(self._row)
        elif self._depth == 3 and self._field is not None:
            self._row[name] = "".join(self._field)
            self._field = None
        self._depth -= 1

    def characters(self, text: str) -> None:
        """Collect the text of a field."""
        if self._depth == 3 and self._field is not None:
            self._length += len(text)
            if self._length > _MAX_TEXT:
                raise SttpError(f"A field of metadata is longer than {_MAX_TEXT}")
            self._field.append(text)
