"""Units as others write them."""

from typing import Any

from homeassistant.components.sensor.const import DEVICE_CLASS_UNITS
import pytest

from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES
from custom_components.grid_telemetry.vocabulary.unit import canonical, factor_between

WRITTEN_BY_HOME_ASSISTANT = sorted(
    {str(unit) for units in DEVICE_CLASS_UNITS.values() for unit in units if unit is not None}
)


@pytest.mark.parametrize("unit", WRITTEN_BY_HOME_ASSISTANT)
def test_what_home_assistant_writes_stays_as_it_is(unit: str) -> None:
    assert canonical(unit) == unit


def test_our_own_units_stay_as_they_are() -> None:
    units = {quantity.unit for quantity in QUANTITIES.values()}
    assert {canonical(unit) for unit in units} == units


@pytest.mark.parametrize(("milli", "mega"), [("mW", "MW"), ("mvar", "Mvar"), ("mVA", "MVA")])
def test_milli_and_mega_stay_apart(milli: str, mega: str) -> None:
    assert canonical(milli) == milli
    assert canonical(mega) == mega
    assert factor_between(milli, mega) in (None, pytest.approx(1e-9))


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        *((name, "var") for name in ("VAr", "VAR", "Var", " var ")),
        *((name, "kvarh") for name in ("kVArh", "kVARh", "KVARH", "kvar·h")),
        *((name, "kWh") for name in ("Kwh", "KWH", "kwh", "kW·h")),
        *((name, "°C") for name in ("℃", "ºC", "degC")),
        ("", None),
        (None, None),
        ("apples", "apples"),
    ],
)
def test_a_unit_is_known_however_it_is_written(written: Any, unit: str | None) -> None:
    assert canonical(written) == unit
