"""How old a value may be."""

import math
import time
from unittest.mock import patch

from hypothesis import given, strategies as st
import pytest

from custom_components.grid_telemetry.vocabulary.age import WHILE_AVAILABLE, Age
from custom_components.grid_telemetry.vocabulary.clock import elapsed_s


def reported(age: Age, *times: float) -> Age:
    for at in times:
        age.report(at)
    return age


def test_nothing_that_was_never_reported_is_fresh() -> None:
    assert Age().is_stale(0)
    assert Age(counter=True).is_stale(0)
    assert Age().age_s(5) == math.inf


def test_what_flows_is_stale_after_half_a_minute() -> None:
    age = reported(Age(), 100)
    assert not age.is_stale(130)
    assert age.is_stale(130.1)


def test_a_counter_is_never_stale() -> None:
    age = reported(Age(counter=True), 100)
    assert age.limit_s == WHILE_AVAILABLE
    assert not age.is_stale(1e9)


def test_a_source_that_reports_seldom_is_given_its_time() -> None:
    age = reported(Age(), 0, 60, 120, 180)
    assert age.limit_s == 150
    assert not age.is_stale(330)
    assert age.is_stale(331)


def test_one_outage_does_not_stretch_the_limit() -> None:
    age = reported(Age(), *range(0, 40, 4), 4000, *range(4004, 4020, 4))
    assert age.limit_s == 30


def test_what_was_chosen_counts() -> None:
    assert reported(Age(limit_s=5), 0, 60).is_stale(66)
    assert not reported(Age(limit_s=WHILE_AVAILABLE), 0).is_stale(1e9)
    assert reported(Age(counter=True, limit_s=5), 0).is_stale(6)


def test_the_first_stamp_is_believed() -> None:
    age = Age()
    assert age.look(940.0, wall_now=1000.0, now=50.0)
    assert age.age_s(50.0) == 60
    assert not age.look(940.0, wall_now=1010.0, now=60.0)
    assert age.age_s(60.0) == 70


@pytest.mark.parametrize("set_by", [3600.0, -3600.0, 86_400.0 * 365])
def test_a_clock_that_was_set_between_two_looks_makes_nothing_old(set_by: float) -> None:
    # Reported 1 s ago by the new clock, or by the old one just before it was set.
    for stamp in (1003.0 + set_by, 1003.5):
        age = Age()
        age.look(1000.0, wall_now=1000.0, now=0.0)
        age.look(stamp, wall_now=1004.0 + set_by, now=4.0)
        assert 0 <= age.age_s(4.0) <= 4


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1e6))
def test_an_age_is_never_negative_and_counts_from_the_latest(
    times: list[float], now: float
) -> None:
    age = reported(Age(), *times)
    assert age.reported_at == max(times)
    assert age.age_s(now) == pytest.approx(max(0.0, now - max(times)))


def test_a_clock_that_is_set_changes_no_age() -> None:
    before = elapsed_s()
    with patch("time.time", return_value=0.0):
        assert 0 <= elapsed_s() - before < 60


def test_time_in_suspension_counts() -> None:
    real = time.clock_gettime

    def suspended(clock: int) -> float:
        return real(clock) + (3600 if clock == time.CLOCK_BOOTTIME else 0)

    before = elapsed_s()
    with patch("time.clock_gettime", suspended):
        assert 3600 <= elapsed_s() - before < 3660
