"""The JSON form of a datum, by the vectors of SolarNode's own tests, and the names in it."""

from datetime import UTC, datetime, timedelta, timezone
import json
import math
from typing import Any

import pytest

from custom_components.grid_telemetry.vocabulary.datum import (
    PROPERTIES,
    PROPERTY_OF,
    Datum,
    DatumError,
    Group,
    format_created,
    json_value,
    parse_created,
)
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES

# BasicGeneralDatumSerializerTests
VECTOR = (
    '{"created":"2021-08-17 14:28:12.345Z","sourceId":"test.source",'
    '"i":{"a":1},"a":{"b":2},"s":{"c":"three"},"t":["d"]}'
)
AT = datetime(2021, 8, 17, 14, 28, 12, 345_000, tzinfo=UTC)
DATUM = Datum(
    created=AT,
    source_id="test.source",
    instantaneous={"a": 1},
    accumulating={"b": 2},
    status={"c": "three"},
    tags=("d",),
)


def test_a_datum_is_written_as_solarnode_does() -> None:
    assert json.dumps(DATUM.as_dict(), separators=(",", ":")) == VECTOR


def test_a_datum_is_read_as_solarnode_writes_it() -> None:
    assert Datum.from_dict(json.loads(VECTOR)) == DATUM


def test_groups_without_properties_are_left_out() -> None:
    datum = Datum(created=AT, source_id="x")
    assert datum.as_dict() == {"created": "2021-08-17 14:28:12.345Z", "sourceId": "x"}
    assert Datum.from_dict(datum.as_dict()) == datum


def test_the_node_stands_behind_the_time() -> None:
    datum = Datum(created=AT, source_id="x", node_id=17)
    assert list(datum.as_dict()) == ["created", "nodeId", "sourceId"]
    assert Datum.from_dict(datum.as_dict()) == datum


@pytest.mark.parametrize(
    ("microsecond", "text"),
    [
        (0, "2024-06-11 21:39:10Z"),
        (5_000, "2024-06-11 21:39:10.005Z"),
        (345_999, "2024-06-11 21:39:10.345Z"),
        (100_000, "2024-06-11 21:39:10.1Z"),
        (999, "2024-06-11 21:39:10Z"),
    ],
)
def test_a_time_has_milliseconds_without_trailing_zeros(microsecond: int, text: str) -> None:
    at = datetime(2024, 6, 11, 21, 39, 10, microsecond, tzinfo=UTC)
    assert format_created(at) == text
    assert parse_created(text) == at.replace(microsecond=microsecond // 1000 * 1000)


def test_a_time_is_written_in_utc() -> None:
    there = datetime(2024, 6, 12, 9, 39, tzinfo=timezone(timedelta(hours=12)))
    assert format_created(there) == "2024-06-11 21:39:00Z"


@pytest.mark.parametrize(
    "value",
    [1718141940000, 1718141940000.0, "2024-06-11T21:39:00Z", "2024-06-12T09:39:00+12:00"],
)
def test_other_forms_of_a_time_are_read_too(value: object) -> None:
    assert parse_created(value) == datetime(2024, 6, 11, 21, 39, tzinfo=UTC)


def test_a_time_without_a_zone_is_utc() -> None:
    assert parse_created("2024-06-11 21:39:00").tzinfo is UTC


@pytest.mark.parametrize("value", [None, True, "", "now", [], 1e30, "9999-12-31T23:59:59-12:00"])
def test_what_is_no_time_is_refused(value: object) -> None:
    with pytest.raises(DatumError, match="no time"):
        parse_created(value)


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        {"created": "2024-06-11 21:39:00Z"},
        {"created": "2024-06-11 21:39:00Z", "sourceId": 1},
        {"created": "2024-06-11 21:39:00Z", "sourceId": "x", "i": []},
        {"created": "2024-06-11 21:39:00Z", "sourceId": "x", "t": "tag"},
        {"sourceId": "x"},
    ],
)
def test_what_is_no_datum_is_refused(data: Any) -> None:
    with pytest.raises(DatumError, match=r"datum|time"):
        Datum.from_dict(data)


def test_values_that_are_none_are_passed_over() -> None:
    datum = Datum.from_dict(
        {
            "created": 0,
            "sourceId": "x",
            "i": {"good": 1.5, "text": "12.5", "bad": "n/a", "none": None, "list": [1]},
            "s": {"open": True, "phase": "Total", "none": None},
        }
    )
    assert datum.instantaneous == {"good": 1.5, "text": 12.5}
    assert datum.status == {"open": 1, "phase": "Total"}


@pytest.mark.parametrize(
    ("value", "text"), [(math.inf, "Infinity"), (-math.inf, "-Infinity"), (math.nan, "NaN")]
)
def test_what_is_no_number_in_json_is_a_text(value: float, text: str) -> None:
    assert json_value(value) == text
    read = Datum.from_dict({"created": 0, "sourceId": "x", "i": {"a": text}})
    assert str(read.instantaneous["a"]) == str(value)


def test_a_whole_number_has_no_fraction() -> None:
    assert json.dumps([json_value(230.0), json_value(230.5), json_value(1e300)]) == (
        "[230, 230.5, 1e+300]"
    )


def test_every_property_is_listed_with_its_group() -> None:
    assert list(DATUM.values()) == [
        (Group.INSTANTANEOUS, "a", 1),
        (Group.ACCUMULATING, "b", 2),
        (Group.STATUS, "c", "three"),
    ]


def test_each_quantity_has_a_property_and_back() -> None:
    assert PROPERTY_OF.keys() == QUANTITIES.keys()
    documented = {quantity.solarnode for quantity in QUANTITIES.values()}
    names = [item.name for item in PROPERTY_OF.values() if item.name not in documented]
    assert len(set(names)) == len(names)
    for item in PROPERTY_OF.values():
        quantity = PROPERTIES[item.name].quantity
        assert quantity is item.quantity or item.name in documented


def test_a_name_that_several_quantities_have_means_the_first() -> None:
    assert PROPERTIES["wattHours"].quantity is QUANTITIES["energy_import"]


@pytest.mark.parametrize(
    ("key", "name", "group", "unit"),
    [
        ("power", "watts", "i", "W"),
        ("power_l2", "watts_b", "i", "W"),
        ("voltage_l1", "voltage_a", "i", "V"),
        ("voltage_l3_l1", "voltage_ca", "i", "V"),
        ("power_factor_l3", "powerFactor_c", "i", None),
        ("energy_import", "wattHours", "a", "Wh"),
        ("energy_export_l1", "wattHoursReverse_a", "a", "Wh"),
        ("energy_import_t2", "energyImportT2", "a", "Wh"),
        ("reactive_energy_import", "reactiveEnergyImport", "a", "varh"),
        ("thd_voltage_l1", "thdVoltage_a", "i", "%"),
        ("voltage_dc_2", "dcVoltage_2", "i", "V"),
        ("temperature_heat_sink", "temp_heatSink", "i", "°C"),
        ("operating_state", "operatingState", "s", None),
    ],
)
def test_names_and_units_of_properties(key: str, name: str, group: str, unit: str | None) -> None:
    item = PROPERTY_OF[key]
    assert (item.name, item.group, item.unit) == (name, group, unit)


def test_usual_properties_without_a_quantity_are_known_too() -> None:
    assert PROPERTIES["opState"].group is Group.STATUS
