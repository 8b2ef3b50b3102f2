from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.grid_telemetry.points.point import (
    Point,
    Refusal,
    can_convert,
    convert,
    entity_id_of,
    evaluate,
    read,
    reference_of,
)


def state(value: str, unit: str | None = None, **attributes: object) -> State:
    if unit is not None:
        attributes["unit_of_measurement"] = unit
    return State("sensor.meter", value, attributes)


def point(unit: str | None = None, factor: float = 1.0) -> Point:
    return Point(entity="sensor.meter", name="P", unit=unit, factor=factor)


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "expected"),
    [
        ("1.5", "kW", "W", 1500),
        ("2500", "W", "kW", 2.5),
        ("1.5", "kWh", "Wh", 1500),
        ("3.6", "MJ", "kWh", 1),
        ("230", "V", "mV", 230_000),
        ("2", "kvar", "var", 2000),
        ("2", "kvarh", "varh", 2000),
        ("2000", "VA", "kVA", 2),
        ("0.95", None, "%", 95),
        ("95", "%", None, 95),
        ("50", "Hz", "Hz", 50),
        ("20", "°C", "°F", 68),
        ("7", "apples", "apples", 7),
        ("7", "apples", None, 7),
        ("-4.25e2", "W", "W", -425),
        ("0", "W", "kW", 0),
        ("2", "VAr", "var", 2),
        ("2", "kVArh", "varh", 2000),
        ("2", "VAR", "kvar", 0.002),
        ("2", "KW", "W", 2000),
        ("2", "Kwh", "Wh", 2000),
        ("20", "℃", "°F", 68),
        ("2", "kVAh", "VAh", 2000),
        ("2500", "VAh", "kVAh", 2.5),
        ("2", "MVAh", "KVAH", 2000),
        ("2", "MVAr", "kvar", 2000),
        ("2", "MVARh", "kvarh", 2000),
        ("2", "µA", "mA", 0.002),
        ("2", "W", "w", 2),
    ],
)
def test_a_value_is_brought_to_the_wanted_unit(
    value: str, from_unit: str | None, to_unit: str | None, expected: float
) -> None:
    assert read(state(value, from_unit), point(to_unit)) == pytest.approx(expected)


def test_the_factor_is_applied_after_the_conversion() -> None:
    assert read(state("2", "kW"), point("W", -0.5)) == pytest.approx(-1000)


def test_a_value_that_needs_no_conversion_keeps_all_its_digits() -> None:
    assert read(state("0.1", "W"), point("W")) == 0.1


@pytest.mark.parametrize(
    ("given", "unit", "refusal"),
    [
        (None, None, Refusal.MISSING),
        (state("unknown"), None, Refusal.UNKNOWN),
        (state("unavailable"), None, Refusal.UNAVAILABLE),
        (state("1", restored=True), None, Refusal.UNAVAILABLE),
        (state("foo"), None, Refusal.NOT_NUMERIC),
        (state(""), None, Refusal.NOT_NUMERIC),
        (state("on"), None, Refusal.NOT_NUMERIC),
        (state("1_000"), None, Refusal.NOT_NUMERIC),
        (state("1,5"), None, Refusal.NOT_NUMERIC),
        (state("1,234.5"), None, Refusal.NOT_NUMERIC),
        (state("\u22123"), None, Refusal.NOT_NUMERIC),
        (state("5 W"), None, Refusal.NOT_NUMERIC),
        (state("0x10"), None, Refusal.NOT_NUMERIC),
        (state("nan"), None, Refusal.NOT_FINITE),
        (state("inf"), None, Refusal.NOT_FINITE),
        (state("-Infinity"), None, Refusal.NOT_FINITE),
        (state("1e999"), None, Refusal.NOT_FINITE),
        (state("nan", "W"), "kW", Refusal.NOT_FINITE),
        (state("1e308", "kW"), "W", Refusal.NOT_FINITE),
        (state("0", "km/kWh"), "kWh/100km", Refusal.NOT_FINITE),
        (state("1", "V"), "A", Refusal.WRONG_UNIT),
        (state("1", "kW"), "kWh", Refusal.WRONG_UNIT),
        (state("1"), "W", Refusal.WRONG_UNIT),
        (state("1", "apples"), "pears", Refusal.WRONG_UNIT),
        (state("1", "ppb"), "μg/m³", Refusal.WRONG_UNIT),
    ],
)
def test_what_is_no_number_is_refused_with_its_reason(
    given: State | None, unit: str | None, refusal: Refusal
) -> None:
    assert evaluate(given, point(unit)) is refusal
    assert read(given, point(unit)) is None


def test_a_bare_value_is_converted_like_a_state() -> None:
    assert convert(2, "kWh", point("Wh", 2)) == pytest.approx(4000)
    assert convert(2, "kWh", point("W")) is None


@pytest.mark.parametrize(
    ("from_unit", "to_unit", "possible"),
    [("kW", "W", True), ("W", "W", True), ("x", "x", True), ("W", "V", False), (None, "W", False)],
)
def test_a_flow_can_ask_whether_units_fit(
    from_unit: str | None, to_unit: str, *, possible: bool
) -> None:
    assert can_convert(from_unit, to_unit) is possible


def test_a_point_survives_being_stored() -> None:
    original = Point(entity="abc", name="P", unit="W", factor=2)
    assert Point.from_dict(original.as_dict()) == original
    assert Point.from_dict({"entity": "abc", "name": "P"}) == Point(entity="abc", name="P")


def test_a_registered_entity_is_referred_to_by_its_registry_id(
    hass: HomeAssistant, entity_registry: er.EntityRegistry
) -> None:
    registered = entity_registry.async_get_or_create("sensor", "test", "1")
    reference = reference_of(hass, registered.entity_id)
    assert reference == registered.id

    entity_registry.async_update_entity(registered.entity_id, new_entity_id="sensor.renamed")
    assert entity_id_of(hass, Point(entity=reference, name="P")) == "sensor.renamed"

    entity_registry.async_remove("sensor.renamed")
    assert entity_id_of(hass, Point(entity=reference, name="P")) is None


def test_an_unregistered_entity_is_referred_to_by_its_entity_id(hass: HomeAssistant) -> None:
    assert reference_of(hass, "sensor.template") == "sensor.template"
    assert entity_id_of(hass, Point(entity="sensor.template", name="P")) == "sensor.template"
