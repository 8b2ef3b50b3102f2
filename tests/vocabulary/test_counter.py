"""Which readings of a counter are believed, and what it advances by."""

from hypothesis import given, strategies as st
import pytest

from custom_components.grid_telemetry.vocabulary.counter import (
    COMMON_WIDTHS_KILO,
    Counter,
    CounterRules,
    Verdict,
)

RATED_KW = 10.0
# As a meter is read: one more read that agrees is enough.
READ = CounterRules(rated_per_hour=RATED_KW, reports=2, over_s=0)


def guard_at(value: float, at: float = 0.0) -> Counter:
    guard = Counter(READ)
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
    guard = Counter(READ)

    assert guard.good is None
    assert guard.accept(81250.0, 0) == 81250.0
    assert guard.good == 81250.0


def test_a_first_zero_waits_for_a_second() -> None:
    guard = Counter(READ)

    assert guard.accept(0.0, 0) is None
    assert guard.accept(0.0, 30) == 0.0


def test_a_meter_that_begins_with_zero_while_it_wakes_up_publishes_nothing_of_it() -> None:
    guard = Counter(READ)

    assert guard.accept(0.0, 0) is None
    assert guard.accept(81250.0, 30) == 81250.0


def test_a_first_value_beyond_what_a_meter_counts_in_its_life_is_not_taken() -> None:
    guard = Counter(READ)

    assert [guard.accept(6_500_000, at) for at in (0, 30, 60)] == [None, None, None]
    assert guard.accept(4000, 90) == 4000


def test_a_first_value_is_taken_once_its_growth_tells_of_a_larger_meter() -> None:
    guard = Counter(READ)

    assert guard.accept(6_500_000, 0) is None
    assert guard.accept(6_500_001, 180) == 6_500_001


def test_a_first_value_is_taken_where_transformers_make_the_meter_larger() -> None:
    guard = Counter(READ)
    guard.rate(400)
    guard.rate(1)

    assert guard.accept(6_500_000, 0) == 6_500_000


def follow(counter: Counter, *readings: tuple[float, float]) -> list[Verdict]:
    return [counter.take(value, at) for at, value in readings]


def running(kw: float = 2.0, start: float = 1000.0, until_s: float = 3600.0) -> Counter:
    """Return a counter that was reported every 10 s for an hour."""
    counter = Counter(CounterRules(widths=COMMON_WIDTHS_KILO))
    for second in range(0, int(until_s) + 1, 10):
        counter.take(start + kw * second / 3600, float(second))
    assert counter.total == pytest.approx(kw * until_s / 3600)
    return counter


def test_a_fall_is_held_until_three_reports_over_a_minute_agree() -> None:
    counter = running()
    verdicts = follow(counter, (3610, 0.0), (3620, 0.01), (3660, 0.02), (3671, 0.03))
    assert verdicts == [Verdict.HELD, Verdict.HELD, Verdict.HELD, Verdict.RESET]
    assert counter.good == 0.03
    assert counter.total == pytest.approx(2.0 + 0.03)


def test_two_reports_over_an_hour_do_not_confirm() -> None:
    counter = running()
    assert follow(counter, (3610, 0.0), (7210, 0.5)) == [Verdict.HELD, Verdict.HELD]


def test_a_glitch_counts_nothing() -> None:
    counter = running()
    assert follow(counter, (3610, 0.0), (3620, 1002.01))[-1] is Verdict.ADVANCED
    assert counter.total == pytest.approx(2.01)


def test_a_used_meter_in_its_place_brings_nothing_of_before() -> None:
    counter = running()
    verdicts = follow(counter, (3700, 400.0), (3740, 400.02), (3770, 400.04))
    assert verdicts[-1] is Verdict.REPLACED
    assert counter.total == pytest.approx(2.04)


def test_a_used_meter_that_shows_more_brings_nothing_either() -> None:
    counter = running()
    verdicts = follow(counter, (3700, 90_000.0), (3740, 90_000.02), (3770, 90_000.04))
    assert verdicts[-1] is Verdict.REPLACED
    assert counter.total == pytest.approx(2.04)


def test_what_was_counted_in_an_outage_is_counted() -> None:
    counter = running()
    assert counter.take(1002.0 + 3 * 24 * 1.5, 3600 + 3 * 86_400) is Verdict.ADVANCED
    assert counter.total == pytest.approx(2.0 + 108)


@pytest.mark.parametrize("width", [2**32 / 1000, 2**31 / 1000, 1e5, 1e6])
def test_a_register_that_rolls_over_goes_on(width: float) -> None:
    counter = running(start=width - 2.005)
    verdicts = follow(counter, (3610, 0.001), (3650, 0.02), (3680, 0.04))
    assert verdicts[-1] is Verdict.ROLLED_OVER
    assert counter.total == pytest.approx(2.0 + 0.005 + 0.04)


def test_a_counter_that_comes_back_takes_its_reset_off() -> None:
    counter = running()
    verdicts = [counter.take(0.0, 3600.0 + 10 * step) for step in range(1, 67)]
    assert verdicts[-1] is Verdict.ADVANCED
    assert Verdict.RESET in verdicts
    assert counter.take(1002.1, 4270) is Verdict.RETURNED
    assert counter.total == pytest.approx(2.1)
    assert counter.good == 1002.1


def test_a_replaced_meter_may_count_as_far_as_the_old_one() -> None:
    counter = Counter()
    counter.take(500.0, 0)
    at = 0.0
    for tenth in range(1, 5021):
        at += 360
        counter.take(tenth / 10, at)
    assert counter.total == pytest.approx(502.0)


def test_a_counter_of_the_day_loses_nothing_at_midnight() -> None:
    counter = Counter()
    for minute in range(3 * 1440 + 1):
        counter.take((minute % 1440) * 15 / 1440 or 0.0001, minute * 60.0)
    assert counter.total == pytest.approx(45, abs=0.032)  # what nobody reported before midnight


def test_a_restart_goes_on_where_it_was() -> None:
    rules = CounterRules(widths=COMMON_WIDTHS_KILO)
    counter = running()
    follow(counter, (3610, 0.0), (3640, 0.0), (3671, 0.0))
    again = Counter.from_dict(counter.as_dict(3671), 100.0, rules)
    assert (again.good, again.total) == (counter.good, counter.total)
    assert again.take(1002.1, 130.0) is Verdict.RETURNED
    assert again.total == pytest.approx(2.1)


def test_a_counter_of_which_nothing_is_known_goes_over_a_restart_too() -> None:
    again = Counter.from_dict(Counter().as_dict(5.0), 0.0, CounterRules())
    assert again.good is None
    assert again.take(7.0, 1.0) is Verdict.FIRST


def test_a_first_value_is_believed_where_transformers_make_the_meter_larger() -> None:
    counter = Counter(CounterRules(rated_per_hour=10))
    counter.rate(400)
    counter.rate(1)

    assert counter.accept(6_500_000, 0) == 6_500_000


def test_a_counter_without_a_rating_is_given_none() -> None:
    counter = Counter()
    counter.rate(1)

    assert counter.accept(6_500_000, 0) == 6_500_000


def test_a_rating_that_was_raised_stays_raised() -> None:
    counter = guard_at(100.0)
    follow(counter, (30, 110.0), (60, 120.0))
    again = Counter.from_dict(counter.as_dict(60), 60, READ)
    assert again.accept(130.0, 90) == 130.0


@pytest.mark.parametrize(
    "recorded",
    [
        # A meter with several channels after a short power cut: 0 for 3.4 s, then where it was.
        ((0.0, 3.737), (2358.704, 0.0), (2362.092, 3.746)),
        # A sum of sensors while not all of them are there after a restart.
        ((0.0, 6.7), (5.0, 0.2), (65.0, 6.7)),
    ],
)
def test_what_users_recorded_after_a_restart_counts_nothing_twice(
    recorded: tuple[tuple[float, float], ...],
) -> None:
    counter = Counter()
    follow(counter, *recorded)
    assert counter.good == recorded[-1][1]
    assert counter.total == pytest.approx(recorded[-1][1] - recorded[0][1])


readings = st.lists(
    st.tuples(st.floats(0.1, 600), st.floats(0, 1e6, allow_nan=False)), min_size=1, max_size=60
)


@given(readings)
def test_what_is_believed_never_falls_but_by_a_confirmed_reset(
    steps: list[tuple[float, float]],
) -> None:
    counter, at = Counter(), 0.0
    for pause, value in steps:
        at += pause
        before, total = counter.good, counter.total
        verdict = counter.take(value, at)
        assert counter.total >= total
        if before is not None and counter.good is not None and counter.good < before:
            assert verdict in (Verdict.RESET, Verdict.REPLACED, Verdict.ROLLED_OVER)
        assert verdict is not Verdict.HELD or (counter.good, counter.total) == (before, total)


@given(readings, st.integers(0, 59))
def test_a_restart_changes_no_verdict_to_come(steps: list[tuple[float, float]], cut: int) -> None:
    """Only a doubt is forgotten by it, so that one that stands is confirmed later."""
    counter, at = Counter(), 0.0
    for pause, value in steps[:cut]:
        at += pause
        counter.take(value, at)
    if counter.is_doubted:
        return
    again = Counter.from_dict(counter.as_dict(at), at, CounterRules())
    for pause, value in steps[cut:]:
        at += pause
        assert again.take(value, at) is counter.take(value, at)
        assert (again.good, again.total) == pytest.approx((counter.good, counter.total))


@st.composite
def lives(draw: st.DrawFn) -> tuple[float, list[tuple[float, float]]]:
    """Return what a meter truly counts, and its reports: outages, glitches and replacements."""
    start = draw(st.floats(500, 50_000))
    kw = draw(st.floats(0.5, 20))
    at, true, offset = 0.0, 0.0, start
    reports = []
    for _ in range(400):
        at += 10
        true += kw * 10 / 3600
        reports.append((at, offset + true))
    for event in draw(st.lists(st.sampled_from(("glitch", "outage", "replaced", "long zero")))):
        if event == "glitch":
            reports += [(at + 10, 0.0)]
            at += 10
            true += kw * 10 / 3600
        elif event == "long zero":
            for _ in range(66):
                at += 10
                true += kw * 10 / 3600
                reports.append((at, 0.0))
        elif event == "outage":
            pause = draw(st.floats(60, 86_400))
            at += pause
            true += kw * pause / 3600
        else:
            # While it is exchanged nothing is counted; the new one begins with 0.
            at += 1800
            offset = -true
        for _ in range(draw(st.integers(40, 80))):
            at += 10
            true += kw * 10 / 3600
            reports.append((at, offset + true))
    return true - kw * 10 / 3600, reports


@given(st.lists(lives(), min_size=1, max_size=3))
def test_the_advances_of_members_are_the_advance_of_the_total(
    members: list[tuple[float, list[tuple[float, float]]]],
) -> None:
    for true, reports in members:
        counter = Counter(CounterRules(widths=COMMON_WIDTHS_KILO))
        for at, value in reports:
            counter.take(value, at)
        assert counter.total == pytest.approx(true, abs=1e-3, rel=1e-6)
