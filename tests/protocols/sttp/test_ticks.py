from datetime import UTC, datetime, timedelta, timezone

import pytest

from custom_components.grid_telemetry.protocols.sttp import ticks

from .samples import NOON


def test_the_unix_epoch_has_the_known_ticks() -> None:
    assert ticks.from_datetime(datetime(1970, 1, 1, tzinfo=UTC)) == ticks.UNIX_EPOCH


def test_a_time_is_known_by_its_ticks() -> None:
    assert ticks.from_datetime(datetime(2026, 11, 20, 12, tzinfo=UTC)) == NOON


def test_time_zones_are_taken_into_account() -> None:
    zone = timezone(timedelta(hours=-5))
    assert ticks.from_datetime(datetime(2026, 11, 20, 7, tzinfo=zone)) == NOON


@pytest.mark.parametrize("microsecond", [0, 1, 123_457, 999_999])
def test_every_microsecond_survives(microsecond: int) -> None:
    when = datetime(2026, 11, 20, 12, 0, 59, microsecond, tzinfo=UTC)
    assert ticks.to_datetime(ticks.from_datetime(when)) == when
    assert ticks.from_epoch(when.timestamp()) == ticks.from_datetime(when)


def test_leap_second_flags_are_no_part_of_the_time() -> None:
    flagged = NOON | ticks.LEAP_SECOND | ticks.LEAP_SECOND_LEFT_OUT
    assert ticks.to_datetime(flagged) == datetime(2026, 11, 20, 12, tzinfo=UTC)
