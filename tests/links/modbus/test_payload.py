"""Raw values, and the guard that keeps glitches of counters from being published."""

from decimal import Decimal

import pytest

from custom_components.grid_telemetry.links.modbus.payload import (
    CounterGuard,
    scaled,
    shortest_float32,
)

RATED_KW = 10.0


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


def guard_at(value: float, at: float = 0.0) -> CounterGuard:
    guard = CounterGuard(RATED_KW)
    guard.seed(value, at)
    return guard


def test_growth_within_the_rating_is_published() -> None:
    guard = guard_at(100.0)

    assert guard.accept(100.0, 30) == 100.0
    assert guard.accept(100.05, 60) == 100.05


def test_one_zero_is_not_published() -> None:
    guard = guard_at(81250.0)

    assert guard.accept(0.0, 30) == 81250.0
    assert guard.accept(81250.1, 60) == 81250.1


def test_one_leap_is_not_published() -> None:
    guard = guard_at(100.0)

    assert guard.accept(81250.0, 30) == 100.0
    assert guard.accept(100.1, 60) == 100.1


def test_a_fall_that_stays_is_a_reset() -> None:
    guard = guard_at(81250.0)

    assert guard.accept(0.0, 30) == 81250.0
    assert guard.accept(0.02, 60) == 0.02
    assert guard.accept(0.04, 90) == 0.04


def test_a_leap_that_stays_is_believed() -> None:
    guard = guard_at(100.0)

    assert guard.accept(500.0, 30) == 100.0
    assert guard.accept(500.1, 60) == 500.1


def test_two_glitches_that_disagree_are_not_published() -> None:
    guard = guard_at(81250.0)

    assert guard.accept(400.0, 30) == 81250.0
    assert guard.accept(3.0, 60) == 81250.0
    assert guard.accept(81250.2, 90) == 81250.2


def test_a_meter_behind_larger_transformers_is_doubted_once() -> None:
    guard = guard_at(100.0)
    published = [guard.accept(100.0 + 10 * step, 30.0 * step) for step in range(1, 6)]

    assert published == [100.0, 120.0, 130.0, 140.0, 150.0]


def test_growth_over_a_long_outage_is_believed() -> None:
    guard = guard_at(100.0)

    assert guard.accept(280.0, 24 * 3600) == 280.0


def test_a_clock_set_back_does_not_stop_the_counter() -> None:
    guard = guard_at(100.0, at=10_000)

    assert guard.accept(100.5, 0) == 100.5


def test_the_first_read_of_all_is_published_at_once() -> None:
    guard = CounterGuard(RATED_KW)

    assert guard.good is None
    assert guard.accept(81250.0, 0) == 81250.0
    assert guard.good == 81250.0


def test_a_first_zero_waits_for_a_second() -> None:
    guard = CounterGuard(RATED_KW)

    assert guard.accept(0.0, 0) is None
    assert guard.accept(0.0, 30) == 0.0


def test_a_meter_that_begins_with_zero_while_it_wakes_up_publishes_nothing_of_it() -> None:
    guard = CounterGuard(RATED_KW)

    assert guard.accept(0.0, 0) is None
    assert guard.accept(81250.0, 30) == 81250.0


def test_a_first_value_beyond_what_a_meter_counts_in_its_life_is_not_taken() -> None:
    guard = CounterGuard(rated_per_hour=10)

    assert [guard.accept(6_500_000, at) for at in (0, 30, 60)] == [None, None, None]
    assert guard.accept(4000, 90) == 4000


def test_a_first_value_is_taken_once_its_growth_tells_of_a_larger_meter() -> None:
    guard = CounterGuard(rated_per_hour=10)

    assert guard.accept(6_500_000, 0) is None
    assert guard.accept(6_500_001, 180) == 6_500_001


def test_a_first_value_is_taken_where_transformers_make_the_meter_larger() -> None:
    guard = CounterGuard(rated_per_hour=10)
    guard.rate(400)
    guard.rate(1)

    assert guard.accept(6_500_000, 0) == 6_500_000
