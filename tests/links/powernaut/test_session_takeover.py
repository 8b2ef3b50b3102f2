import pytest

from custom_components.grid_telemetry.connection.errors import (
    ConnectionFailed,
    DestinationRefused,
    LinkError,
)
from custom_components.grid_telemetry.links.powernaut.session_takeover import QuickEnds

LOST = ConnectionFailed("connection_lost")


def test_the_third_connection_in_a_row_that_is_closed_at_once_is_worth_a_hint() -> None:
    quick_ends = QuickEnds()
    assert [quick_ends.is_one_too_many(LOST, 2) for _ in range(4)] == [False, False, True, True]


@pytest.mark.parametrize(
    ("error", "lasted_s"),
    [
        (LOST, 60),
        (ConnectionFailed("not_confirmed"), 1),
        (ConnectionFailed("broker_ended"), 1),
        (DestinationRefused("session_taken_over"), 1),
    ],
)
def test_any_other_end_begins_the_count_anew(error: LinkError, lasted_s: float) -> None:
    quick_ends = QuickEnds()
    quick_ends.is_one_too_many(LOST, 1)
    quick_ends.is_one_too_many(LOST, 1)
    assert not quick_ends.is_one_too_many(error, lasted_s)
    assert not quick_ends.is_one_too_many(LOST, 1)
