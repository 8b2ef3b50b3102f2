import pytest

from custom_components.grid_telemetry.connection.errors import (
    ConnectionFailed,
    DestinationRefused,
    LinkError,
)
from custom_components.grid_telemetry.links.powernaut.session_takeover import Takeovers

LOST = ConnectionFailed("connection_lost")


def test_the_third_connection_in_a_row_that_is_closed_at_once_was_taken_over() -> None:
    takeovers = Takeovers()
    assert [takeovers.judge(LOST, 2).reason for _ in range(4)] == [
        "connection_lost",
        "connection_lost",
        "session_taken_over",
        "connection_lost",
    ]


@pytest.mark.parametrize(
    ("error", "lasted_s"),
    [(LOST, 60), (ConnectionFailed("not_confirmed"), 1), (DestinationRefused("not_authorized"), 1)],
)
def test_any_other_end_begins_the_count_anew(error: LinkError, lasted_s: float) -> None:
    takeovers = Takeovers()
    takeovers.judge(LOST, 1)
    takeovers.judge(LOST, 1)
    assert takeovers.judge(error, lasted_s) is error
    assert takeovers.judge(LOST, 1) is LOST


def test_what_the_broker_says_itself_is_believed() -> None:
    told = DestinationRefused("session_taken_over")
    assert Takeovers().judge(told, 3600) is told


def test_a_takeover_is_tried_again_much_later() -> None:
    takeovers = Takeovers()
    assert [takeovers.judge(LOST, 1).retry_after_s for _ in range(3)] == [None, None, 300]
