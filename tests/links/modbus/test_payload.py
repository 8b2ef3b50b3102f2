"""Raw values as they are published."""

from decimal import Decimal

import pytest

from custom_components.grid_telemetry.links.modbus.payload import (
    scaled,
    shortest_float32,
)


@pytest.mark.parametrize(
    ("raw", "shortest"),
    [
        (230.1999969482422, 230.2),
        (81250.125, 81250.125),
        (0.30000001192092896, 0.3),
        (-1234.5, -1234.5),
        (16777215.0, 16777215.0),
        (123456.7890625, 123456.79),
        (1.00000011920928955078125, 1.0000001),
        (8388608.5, 8388608.0),
        (102.05569458007812, 102.055695),
        (0.0, 0.0),
    ],
)
def test_a_float32_is_written_in_the_fewest_digits(raw: float, shortest: float) -> None:
    assert shortest_float32(raw) == shortest


@pytest.mark.parametrize(
    ("raw", "scale", "value"),
    [(2301, "0.1", 230.1), (81250562, "0.001", 81250.562), (1.2345, "1000", 1234.5), (7, "1", 7)],
)
def test_a_scale_adds_no_noise(raw: float, scale: str, value: float) -> None:
    assert scaled(raw, Decimal(scale)) == value


@pytest.mark.parametrize("raw", [float("inf"), float("-inf"), float("nan")])
def test_infinity_is_no_value(raw: float) -> None:
    assert scaled(raw, Decimal(1)) is None
