"""What replies and live messages say."""

from datetime import UTC, datetime

import pytest

from custom_components.grid_telemetry.connection.errors import ConnectionFailed
from custom_components.grid_telemetry.links.solarnode.payload import (
    LiveMessage,
    datum_of,
    live_datum_of,
    state_of,
)
from custom_components.grid_telemetry.protocols.stomp.reply import Reply, result_of


def reply(body: str, status: int = 200, message: str | None = None) -> Reply:
    return Reply(status=status, message=message, result=result_of(body))


def test_datum_that_cannot_be_read_are_counted() -> None:
    datum, unreadable = datum_of(
        reply('[{"created":"2026-11-20 12:00:00Z","sourceId":"a"},{"sourceId":"b"},7]')
    )
    assert [item.source_id for item in datum] == ["a"]
    assert unreadable == 2


@pytest.mark.parametrize("body", ["", "{}", "[", '"text"', "[" * 100_000, "[1" + "0" * 5000 + "]"])
def test_what_is_no_list_of_datum_is_told(body: str) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        datum_of(reply(body))
    assert raised.value.reason == "solarnode_bad_answer"


def test_a_node_without_datum_is_told() -> None:
    with pytest.raises(ConnectionFailed) as raised:
        datum_of(reply("", 404))
    assert (raised.value.reason, raised.value.detail) == ("solarnode_no_datum", "404")
    with pytest.raises(ConnectionFailed, match="500 broken"):
        datum_of(reply("", 500, "broken"))


def test_live_values_are_numbers() -> None:
    live = live_datum_of(
        LiveMessage(
            status=200,
            message=None,
            body='{"t":1795176000000,"watts":-1520,"x":"text","on":true,"none":null}',
        )
    )
    assert live is not None
    assert live.at == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert live.values == {"watts": -1520}


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"t":"now"}', '{"t":1e300}', "[" * 100_000])
def test_live_messages_that_cannot_be_read_are_none(body: str) -> None:
    assert live_datum_of(LiveMessage(status=200, message=None, body=body)) is None


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (1.5, 1.5),
        (float("inf"), None),
        (float("nan"), None),
        (10**400, None),
        ("text", "text"),
        ("x" * 300, "x" * 255),
    ],
)
def test_what_can_be_shown(value: float | str, state: float | str | None) -> None:
    assert state_of(value) == state
