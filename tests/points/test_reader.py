"""What a point is worth: its age, and which readings of a counter are believed."""

import math
from typing import Any
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest

from custom_components.grid_telemetry.points.point import Point, Refusal
from custom_components.grid_telemetry.points.reader import PointReader, Reading


def point(**more: Any) -> Point:
    return Point(entity="sensor.meter", name="P", **more)


def show(hass: HomeAssistant, value: object, state_class: str = "measurement") -> None:
    hass.states.async_set(
        "sensor.meter", str(value), {"unit_of_measurement": "kWh", "state_class": state_class}
    )


def worth(reader: PointReader) -> Reading:
    reading = reader.read()
    assert isinstance(reading, Reading)
    return reading


@pytest.mark.parametrize(
    ("more", "state_class", "stale"),
    [
        ({}, "measurement", True),
        ({}, "total_increasing", False),
        ({}, "total", False),
        ({"max_age_s": 300}, "measurement", False),
        ({"max_age_s": math.inf}, "measurement", False),
        ({"max_age_s": 5}, "total_increasing", True),
    ],
)
def test_what_flows_grows_stale_and_what_counts_does_not(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    more: dict[str, object],
    state_class: str,
    stale: bool,
) -> None:
    show(hass, 5, state_class)
    reader = PointReader(hass, point(**more))
    assert not worth(reader).is_stale
    freezer.tick(31)
    assert worth(reader).is_stale is stale
    assert worth(reader).age_s == pytest.approx(31, abs=0.1)


def test_a_source_that_reports_seldom_is_not_stale_between(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    reader = PointReader(hass, point())
    for _ in range(3):
        show(hass, 5)
        worth(reader)
        freezer.tick(60)
    freezer.tick(60)
    assert not worth(reader).is_stale
    freezer.tick(40)
    assert worth(reader).is_stale


@pytest.mark.parametrize("set_by_s", [-7200, 7200])
def test_a_clock_that_is_set_makes_nothing_stale(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, set_by_s: int
) -> None:
    show(hass, 5)
    reader = PointReader(hass, point())
    worth(reader)
    freezer.tick(4)
    real = freezer.time_to_freeze.timestamp()
    with patch("time.time", lambda: real + set_by_s):
        assert worth(reader).age_s == pytest.approx(4, abs=0.1)


def test_a_zero_for_seconds_after_a_restart_is_not_believed(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    reader = PointReader(hass, point(factor=-1.0))
    show(hass, 0, "total_increasing")
    assert reader.read() is Refusal.NOT_CONFIRMED
    freezer.tick(5)
    show(hass, 500, "total_increasing")
    assert worth(reader).value == -500
    freezer.tick(5)
    show(hass, 0, "total_increasing")
    assert worth(reader).value == -500


def test_a_fall_that_stays_is_believed_after_a_minute(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    show(hass, 500, "total_increasing")
    reader = PointReader(hass, point())
    worth(reader)
    show(hass, 0.2, "total_increasing")
    values = []
    for _ in range(12):
        values.append(worth(reader).value)
        freezer.tick(10)
    # It is not reported again: that it stands is as good.
    assert values[:6] == [500.0] * 6
    assert values[-1] == 0.2


@pytest.mark.parametrize(
    ("guard", "state_class", "believed"),
    [(None, "measurement", 0), (False, "total_increasing", 0), (True, "measurement", 500)],
)
def test_the_guard_is_a_choice(
    hass: HomeAssistant, guard: bool | None, state_class: str, believed: float
) -> None:
    show(hass, 500, state_class)
    reader = PointReader(hass, point(guard=guard))
    worth(reader)
    show(hass, 0, state_class)
    assert worth(reader).value == believed


def test_what_a_factor_makes_of_it_may_be_no_number(hass: HomeAssistant) -> None:
    show(hass, 1e300)
    assert PointReader(hass, point(factor=1e300)).read() is Refusal.NOT_FINITE


def test_a_counter_goes_on_after_a_restart(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    show(hass, 500, "total_increasing")
    reader = PointReader(hass, point())
    assert reader.counter_as_dict(0.0) is None
    worth(reader)
    kept = reader.counter_as_dict(10.0)
    assert kept is not None
    again = PointReader(hass, point())
    again.restore_counter(kept, 10.0)
    show(hass, 3, "total_increasing")
    assert worth(again).value == 500
