"""Mean, minimum and maximum of an interval."""

from hypothesis import given, strategies as st
import pytest

from custom_components.grid_telemetry.vocabulary.aggregate import Aggregate, Aggregated

values = st.floats(-1e9, 1e9, allow_nan=False)
pauses = st.floats(0.001, 1e5)


def test_a_mean_is_weighted_by_time() -> None:
    aggregate = Aggregate(0)
    aggregate.set(100, 0)
    aggregate.set(400, 45)
    assert aggregate.take(60) == Aggregated(mean=175, minimum=100, maximum=400, coverage=1)


def test_the_last_value_goes_on_into_the_next_interval() -> None:
    aggregate = Aggregate(0)
    aggregate.set(100, 0)
    aggregate.take(60)
    assert aggregate.take(120) == Aggregated(mean=100, minimum=100, maximum=100, coverage=1)


def test_a_gap_is_left_out_and_told() -> None:
    aggregate = Aggregate(0)
    aggregate.set(100, 0)
    aggregate.set(None, 15)
    aggregate.set(300, 45)
    assert aggregate.take(60) == Aggregated(mean=200, minimum=100, maximum=300, coverage=0.5)


def test_an_interval_without_a_value_has_none() -> None:
    aggregate = Aggregate(0)
    assert aggregate.take(60) is None
    aggregate.set(1, 60)
    assert aggregate.take(60) is None


def test_a_value_that_held_for_no_time_does_not_count() -> None:
    aggregate = Aggregate(0)
    aggregate.set(1, 0)
    aggregate.set(1e6, 30)
    aggregate.set(1, 30)
    assert aggregate.take(60) == Aggregated(mean=1, minimum=1, maximum=1, coverage=1)


steps = st.lists(st.tuples(pauses, st.none() | values), max_size=30)


def run(begin: float, walk: list[tuple[float, float | None]], *, again: int) -> Aggregated | None:
    """Return what comes of a walk in which each value is reported more than once."""
    aggregate, at = Aggregate(0), 0.0
    aggregate.set(begin, at)
    for pause, value in walk:
        present = aggregate._value
        for part in range(1, again):
            aggregate.set(present, at + pause * part / again)
        at += pause
        aggregate.set(value, at)
    return aggregate.take(at + 1)


@given(values, steps)
def test_a_mean_lies_between_minimum_and_maximum(
    begin: float, walk: list[tuple[float, float | None]]
) -> None:
    result = run(begin, walk, again=1)
    if result is not None:
        assert result.minimum <= result.mean <= result.maximum
        assert 0 < result.coverage <= 1


@given(values, steps, st.integers(2, 5))
def test_how_often_an_unchanged_value_is_reported_makes_no_difference(
    begin: float, walk: list[tuple[float, float | None]], again: int
) -> None:
    once, often = run(begin, walk, again=1), run(begin, walk, again=again)
    assert (once is None) is (often is None)
    if once is not None and often is not None:
        scale = max(abs(once.minimum), abs(once.maximum), 1e-9)
        assert often.mean == pytest.approx(once.mean, abs=1e-9 * scale)
        assert (often.minimum, often.maximum) == (once.minimum, once.maximum)
        assert often.coverage == pytest.approx(once.coverage)
