"""The cases of the platform's page on activations, as tables; times are of 2024-07-01."""

from datetime import UTC, datetime
import json

import pytest

from custom_components.grid_telemetry.links.powernaut.activations import (
    MAX_ACTIVATIONS,
    MAX_MESSAGE_BYTES,
    Activation,
    ActivationRefused,
    RefusedReason,
    apply,
    in_force,
    next_change,
    not_past,
    parse_activation,
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2024-07-01T{text}").replace(tzinfo=UTC)


def window(start: str, end: str, watts: float) -> Activation:
    return Activation(start=at(start), end=at(end), watts=watts)


def payload(start: object, end: object, *value: object) -> bytes:
    message: dict[str, object] = {"timing": {"start": start, "end": end}}
    if value:
        message["value"] = value[0]
    return json.dumps(message).encode()


START, END = "2024-07-01T14:00:00Z", "2024-07-01T14:15:00Z"


@pytest.mark.parametrize(
    ("body", "watts"),
    [
        (payload(START, END, 2500), 2500),
        (payload(START, END, -2500), -2500),
        (payload(START, END, 0), 0),  # a real setpoint
        (payload(START, END, 1500.0), 1500),
        (payload(START, END, 1500.5), 1500.5),
        (payload(START, END, None), None),  # a cancellation
        (payload("2024-07-01T16:00:00+02:00", "2024-07-01T16:15:00+02:00", 1), 1),
        (payload("2024-07-01T14:00:00.000Z", END, 1), 1),
        (json.dumps({**json.loads(payload(START, END, 7)), "id": "more to say"}).encode(), 7),
    ],
)
def test_commands_are_understood(body: bytes, watts: float | None) -> None:
    command = parse_activation(body, at("13:50"))
    assert command == Activation(start=at("14:00"), end=at("14:15"), watts=watts)
    assert isinstance(command.watts, type(watts))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"2024"',
        b"\xff\xff",
        b"{" * 5_000,
        payload(START, END),  # no value at all is no cancellation
        payload(START, END, "2500"),  # a decimal string is for the REST API
        payload(START, END, True),
        payload(START, END, []),
        payload(START, END, 1e12),
        payload(START, END, -1e12),
        b'{"timing":{"start":"%s","end":"%s"},"value":NaN}' % (START.encode(), END.encode()),
        b'{"timing":{"start":"%s","end":"%s"},"value":Infinity}' % (START.encode(), END.encode()),
        payload("2024-07-01T14:00:00", END, 1),  # no time zone
        payload("14:00", END, 1),
        payload(1719842400, END, 1),
        payload(None, END, 1),
        payload("0001-01-01T00:00:00+23:59", END, 1),
        payload(END, START, 1),
        payload(START, START, 1),
        b'{"timing":null,"value":1}',
        payload(START, END, 1) + b" " * MAX_MESSAGE_BYTES,
    ],
)
def test_what_cannot_be_understood_is_refused(body: bytes) -> None:
    with pytest.raises(ActivationRefused) as refusal:
        parse_activation(body, at("13:50"))
    assert refusal.value.reason is RefusedReason.MALFORMED
    assert refusal.value.detail


@pytest.mark.parametrize(
    ("now", "past"), [("13:00", False), ("14:00", False), ("14:14:59", False), ("14:15", True)]
)
def test_a_window_may_have_begun_but_not_ended(now: str, past: bool) -> None:
    if past:
        with pytest.raises(ActivationRefused) as refusal:
            parse_activation(payload(START, END, 1), at(now))
        assert refusal.value.reason is RefusedReason.PAST
    else:
        assert parse_activation(payload(START, END, 1), at(now)).watts == 1


FIRST = window("14:00", "14:15", 1000)
SECOND = window("14:15", "14:30", 2000)


@pytest.mark.parametrize(
    ("before", "start", "end", "watts", "after"),
    [
        pytest.param((), "14:00", "14:15", 1000, (FIRST,), id="the first one"),
        pytest.param((FIRST,), "14:15", "14:30", 2000, (FIRST, SECOND), id="another later"),
        pytest.param((SECOND,), "14:00", "14:15", 1000, (FIRST, SECOND), id="another before"),
        pytest.param(
            (FIRST, SECOND),
            "14:00",
            "14:15",
            -500,
            (window("14:00", "14:15", -500), SECOND),
            id="the same window again replaces it",
        ),
        pytest.param((FIRST, SECOND), "14:00", "14:15", None, (SECOND,), id="cancelled"),
        pytest.param((SECOND,), "14:00", "14:15", None, (SECOND,), id="nothing to cancel"),
        pytest.param(
            (FIRST,),
            "14:05",
            "14:10",
            0,
            (
                window("14:00", "14:05", 1000),
                window("14:05", "14:10", 0),
                window("14:10", "14:15", 1000),
            ),
            id="a part of a window",
        ),
        pytest.param(
            (FIRST, SECOND),
            "14:10",
            "14:20",
            None,
            (window("14:00", "14:10", 1000), window("14:20", "14:30", 2000)),
            id="parts of two cancelled",
        ),
        pytest.param(
            (FIRST, SECOND),
            "13:00",
            "15:00",
            5,
            (window("13:00", "15:00", 5),),
            id="all of them covered",
        ),
    ],
)
def test_the_last_word_on_an_instant_counts(
    before: tuple[Activation, ...],
    start: str,
    end: str,
    watts: float | None,
    after: tuple[Activation, ...],
) -> None:
    assert apply(before, Activation(start=at(start), end=at(end), watts=watts)) == after


@pytest.mark.parametrize(
    ("now", "present", "change"),
    [
        ("13:59:59", None, "14:00"),
        ("14:00", FIRST, "14:15"),
        ("14:14:59.999", FIRST, "14:15"),
        ("14:15", SECOND, "14:30"),
        ("14:30", None, None),
    ],
)
def test_a_window_begins_and_ends_on_time(
    now: str, present: Activation | None, change: str | None
) -> None:
    windows = (FIRST, SECOND)
    assert in_force(windows, at(now)) == present
    assert next_change(windows, at(now)) == (None if change is None else at(change))


def test_what_is_past_is_let_go() -> None:
    assert not_past((FIRST, SECOND), at("14:14")) == (FIRST, SECOND)
    assert not_past((FIRST, SECOND), at("14:15")) == (SECOND,)


def test_there_is_a_limit_to_windows_but_none_to_cancelling_them() -> None:
    day = [
        Activation(
            start=datetime.fromtimestamp(1_720_000_000 + 60 * number, UTC),
            end=datetime.fromtimestamp(1_720_000_060 + 60 * number, UTC),
            watts=1,
        )
        for number in range(MAX_ACTIVATIONS)
    ]
    with pytest.raises(ActivationRefused) as refusal:
        apply(tuple(day), Activation(start=at("14:00"), end=at("14:15"), watts=1))
    assert refusal.value.reason is RefusedReason.TOO_MANY
    cancelled = apply(tuple(day), Activation(start=day[0].start, end=day[9].end, watts=None))
    assert len(cancelled) == MAX_ACTIVATIONS - 10


def test_an_activation_survives_the_storage() -> None:
    assert Activation.from_dict(json.loads(json.dumps(FIRST.as_dict()))) == FIRST
