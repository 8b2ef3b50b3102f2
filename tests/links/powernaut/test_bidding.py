from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from custom_components.grid_telemetry.links.powernaut.bidding import (
    Bounds,
    Curve,
    Offer,
    OutOfBounds,
)

BRUSSELS = ZoneInfo("Europe/Brussels")


def offer(**changes: Any) -> Offer:
    return Offer.from_dict(
        {
            "resource_id": "id",
            "curve": [{"watts": -1000, "price": 0.3}, {"watts": 500}],
            "start_time": "00:00:00",
            "end_time": "00:00:00",
            "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
            "horizon_h": 1,
            **changes,
        }
    )


def quarters(now: str, **changes: Any) -> list[str]:
    moment = datetime.fromisoformat(now).astimezone(UTC)
    return [
        start.astimezone(BRUSSELS).strftime("%d %H:%M")
        for start in offer(**changes).quarters(moment, BRUSSELS)
    ]


@pytest.mark.parametrize(
    ("now", "first"),
    [("12:00:00", "12:15"), ("12:12:59", "12:15"), ("12:13:00", "12:15"), ("12:13:01", "12:30")],
)
def test_a_quarter_hour_that_begins_right_now_is_left_alone(now: str, first: str) -> None:
    assert quarters(f"2026-03-02T{now}+01:00")[0] == f"02 {first}"


def test_bids_reach_as_far_as_the_horizon() -> None:
    assert quarters("2026-03-02T12:05:00+01:00") == [
        "02 12:15",
        "02 12:30",
        "02 12:45",
        "02 13:00",
    ]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("18:00:00", "18:30:00", ["02 18:00", "02 18:15"]),
        ("23:30:00", "00:30:00", ["02 23:30", "02 23:45", "03 00:00", "03 00:15"]),
    ],
)
def test_a_schedule_is_of_the_local_day(start: str, end: str, expected: list[str]) -> None:
    assert (
        quarters("2026-03-02T17:00:00+01:00", start_time=start, end_time=end, horizon_h=10)
        == expected
    )


def test_only_the_chosen_days_are_offered() -> None:
    found = quarters("2026-03-01T22:50:00+01:00", weekdays=["mon"], horizon_h=2)
    assert found[0] == "02 00:00"


def test_the_hour_that_comes_twice_is_offered_twice() -> None:
    found = quarters(
        "2026-10-25T01:50:00+02:00", start_time="02:00:00", end_time="03:00:00", horizon_h=3
    )
    assert found == ["25 02:00", "25 02:15", "25 02:30", "25 02:45"] * 2


@pytest.mark.parametrize(
    ("percent", "allowed"), [(19.9, False), (20, True), (90, True), (90.1, False)]
)
def test_a_state_of_charge_beyond_the_limits_is_not_offered(percent: float, allowed: bool) -> None:
    assert offer(min_soc=20, max_soc=90).allows_soc(percent) is allowed
    assert offer().allows_soc(percent)


@pytest.mark.parametrize(
    ("curve", "others", "left"),
    [
        ([(-5000, 0.2)], 0, None),
        ([(5000, 0.2), (-5000.1, 0.2)], 0, OutOfBounds.POWER),
        ([(5000.1, 0.2)], 0, OutOfBounds.POWER),
        ([(0, 0.19)], 0, OutOfBounds.PRICE),
        ([(0, None)], 0, OutOfBounds.PRICE),
        ([(0, 0.2)], 3, None),
        ([(0, 0.2)], 4, OutOfBounds.COUNT),
    ],
)
def test_no_bid_leaves_the_bounds(curve: Curve, others: int, left: OutOfBounds | None) -> None:
    bounds = Bounds.from_dict(
        {
            "bid_min_power_w": -5000,
            "bid_max_power_w": 5000,
            "bid_min_price": 0.2,
            "bids_per_day": 4,
        }
    )
    assert bounds.left_by(curve, others) is left
    assert Bounds.from_dict({}).left_by(curve, 1000) is None


def test_a_horizon_is_in_hours() -> None:
    assert offer(horizon_h=2).horizon == timedelta(hours=2)
