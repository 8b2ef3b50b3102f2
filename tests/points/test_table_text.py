"""A table as text: what is read, what is written, and what is said of a line that is wrong."""

from typing import Any

from homeassistant.helpers.selector import (
    ObjectSelectorField,
    SelectSelector,
    SelectSelectorConfig,
)
import pytest

from custom_components.grid_telemetry.points.table import (
    ENTITY_COLUMN,
    FACTOR_COLUMN,
    GUARD_COLUMN,
    MAX_AGE_COLUMN,
    MISSING_AS_ZERO_COLUMN,
    UNIT_COLUMN,
)
from custom_components.grid_telemetry.points.table_text import (
    RowsError,
    format_table,
    parse_table,
)

CODE: ObjectSelectorField = {
    "selector": {"select": {"options": ["V_AN", "P"], "custom_value": True}}
}
COLUMNS = {
    "entity": ENTITY_COLUMN,
    "code": CODE,
    "unit": UNIT_COLUMN,
    "factor": FACTOR_COLUMN,
    "max_age_s": MAX_AGE_COLUMN,
    "guard": GUARD_COLUMN,
    "zero": MISSING_AS_ZERO_COLUMN,
}


def mistakes(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(RowsError) as raised:
        parse_table(text, COLUMNS)
    return [(each.index, each.key, each.about) for each in raised.value.mistakes]


@pytest.mark.parametrize(
    "text",
    [
        "entity;code;unit;factor\nsensor.a;P;kW;0.001",
        "entity; code; unit; factor\nsensor.a; P; kW; 0,001;;;",
        "entity\tcode\tunit\tfactor\r\nsensor.a\tP\tkW\t0.001\r\n",
        "Entity ID,Factor,Code,Unit\nsensor.a,0.001,P,kW",
        '\ufeffentity;code;unit;factor\n"sensor.a";"P";"kW";"0,001"',
        "\n# from the office\nsensor.a;P;kW;0.001\n;;\n",
        "code\t\tentity\tunit\tfactor\np\tseen in the cellar\tSensor.A\tkW\t1e-3",
    ],
)
def test_what_spreadsheets_paste_is_read(text: str) -> None:
    assert parse_table(text, COLUMNS).rows == (
        {"entity": "sensor.a", "code": "P", "unit": "kW", "factor": 0.001},
    )


def test_what_is_written_is_read_again() -> None:
    rows: list[dict[str, Any]] = [
        {"entity": "sensor.a", "code": "P", "unit": "kW", "factor": 1, "guard": "off"},
        {"entity": "sensor.b", "code": 'ODD;"ONE"', "factor": -0.5, "zero": True, "max_age_s": 0},
        {"entity": "sensor.c", "factor": 1},
    ]
    text = format_table(rows, COLUMNS)
    assert text.splitlines()[0] == "entity; code; unit; factor; max_age_s; guard; zero"
    assert list(parse_table(text, COLUMNS).rows) == rows


def test_the_columns_and_lines_of_a_text_are_told() -> None:
    parsed = parse_table("# mine\n\nentity;code\nsensor.a;P\n\nsensor.b;X_1", COLUMNS)
    assert parsed.columns == ("entity", "code")
    assert parsed.lines == (4, 6)
    assert parse_table("", COLUMNS).rows == ()


def test_every_line_that_is_wrong_is_told() -> None:
    text = """\
entity;code;unit;factor;max_age_s;guard;zero
;P
House power;P
sensor.a;P;kW;1.000,5
sensor.a;P;kW;nan
sensor.a;P;kW;1_000
sensor.a;P;kW;1;-1
sensor.a;P;kW;1;;maybe
sensor.a;P;kW;1;;;2
sensor.a;P;kW;1;;;yes;more
sensor.fine;P
binary_sensor.a;P
"""
    assert mistakes(text) == [
        (2, "no_entity", ""),
        (3, "invalid_entity", "house power"),
        (4, "not_a_number", "factor: 1.000,5"),
        (5, "not_a_number", "factor: nan"),
        (6, "not_a_number", "factor: 1_000"),
        (7, "wrong_value", "max_age_s: -1 (0 … 604800)"),
        (8, "not_a_choice", "guard: maybe (on, off)"),
        (9, "not_a_choice", "zero: 2 (yes, no)"),
        (10, "too_many_cells", "7"),
        (12, "wrong_value", "entity: binary_sensor.a"),
    ]


@pytest.mark.parametrize(
    ("header", "key"),
    [("entity;kode", "unknown_column"), ("entity;code;code", "duplicate_column")],
)
def test_a_header_that_is_wrong_is_told_once(header: str, key: str) -> None:
    (found,) = mistakes(f"{header}\nsensor.a;P")
    assert found[:2] == (1, key)


def test_a_long_cell_is_quoted_in_part() -> None:
    ((_, _, about),) = mistakes("x" * 200_000)
    assert len(about) < 70


def test_a_choice_may_be_named_by_its_value_or_its_label() -> None:
    labelled: ObjectSelectorField = {
        "selector": SelectSelector(
            SelectSelectorConfig(options=[{"value": "power", "label": "Active power"}])
        )
    }
    columns = {"entity": ENTITY_COLUMN, "quantity": labelled}
    for written in ("power", "active power"):
        (row,) = parse_table(f"sensor.a;{written}", columns).rows
        assert row["quantity"] == "power"
    with pytest.raises(RowsError, match="not_a_choice"):
        parse_table("sensor.a;voltage", columns)


def test_a_number_keeps_its_fraction_as_it_is_written() -> None:
    text = format_table([{"entity": "sensor.a", "factor": 2.0}], COLUMNS)
    assert text.endswith("sensor.a; ; ; 2")
