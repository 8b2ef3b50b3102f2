"""The units that agents are configured with, and the life of a token."""

import base64
import json

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
import pytest

from custom_components.grid_telemetry.links.ardexa.tokens import Lifetime, lifetime_of
from custom_components.grid_telemetry.links.ardexa.units import classes_of, unit_of

DAY_S = 86_400


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ("W", "W"),
        ("kwh", "kWh"),
        (" Watts ", "W"),
        ("percentage", "%"),
        ("°C", "°C"),
        ("degC", "°C"),
        ("mW", "mW"),
        ("mw", "mw"),
        ("$", "$"),
        ("", None),
        (None, None),
    ],
)
def test_units_are_written_as_home_assistant_does(written: str | None, unit: str | None) -> None:
    assert unit_of(written) == unit


@pytest.mark.parametrize(
    ("expect", "unit", "device_class", "state_class"),
    [
        ("decimal", "W", SensorDeviceClass.POWER, SensorStateClass.MEASUREMENT),
        ("integer", "kWh", SensorDeviceClass.ENERGY, SensorStateClass.TOTAL),
        ("decimal", None, None, SensorStateClass.MEASUREMENT),
        ("decimal", "$", None, SensorStateClass.MEASUREMENT),
        (None, "V", SensorDeviceClass.VOLTAGE, SensorStateClass.MEASUREMENT),
        (None, None, None, None),
        ("keyword", "W", None, None),
        ("bool", None, None, None),
    ],
)
def test_classes_follow_from_type_and_unit(
    expect: str | None,
    unit: str | None,
    device_class: SensorDeviceClass | None,
    state_class: SensorStateClass | None,
) -> None:
    assert classes_of(expect, unit) == (device_class, state_class)


def token(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.x"


def test_a_token_tells_its_lifetime() -> None:
    assert lifetime_of(token({"iat": 100, "exp": 200})) == Lifetime(issued_at=100, expires_at=200)
    assert lifetime_of(token({"exp": 200})) == Lifetime(issued_at=None, expires_at=200)


@pytest.mark.parametrize("text", ["opaque", "a.b.c", "a.e.c", token({}), token([]), token("x")])
def test_a_token_that_does_not_tell_has_none(text: str) -> None:
    assert lifetime_of(text) is None


@pytest.mark.parametrize(
    ("lifetime_s", "left_s", "is_ending"),
    [
        (7 * DAY_S, 2 * DAY_S, False),
        (7 * DAY_S, 1.7 * DAY_S, True),
        (365 * DAY_S, 8 * DAY_S, False),
        (365 * DAY_S, 6 * DAY_S, True),
    ],
)
def test_a_token_is_renewed_in_its_last_quarter_or_week(
    lifetime_s: float, left_s: float, is_ending: bool
) -> None:
    lifetime = Lifetime(issued_at=0, expires_at=lifetime_s)
    assert lifetime.is_ending(lifetime_s - left_s) is is_ending
    assert not lifetime.is_over(lifetime_s - left_s)
    assert lifetime.is_over(lifetime_s)
