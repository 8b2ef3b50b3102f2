"""How requests are split when their replies break the connection."""

import json

from custom_components.grid_telemetry.links.solarnode.request_batches import Plan, body_of
from custom_components.grid_telemetry.protocols.stomp.patterns import matches

KNOWN = [f"/meter/{number}" for number in range(5)]


def test_all_is_asked_for_at_once() -> None:
    assert Plan([], matches).requests == [()]
    assert Plan(["a", "b"], matches).requests == [("a", "b")]
    assert body_of(()) == ""
    assert body_of(("é", "b")) == '["é","b"]'


def test_one_break_may_be_an_accident() -> None:
    plan = Plan(["a", "b"], matches)
    assert plan.broke(("a", "b"), [])
    plan.worked(("a", "b"))
    assert plan.broke(("a", "b"), [])
    assert plan.requests == [("a", "b")]


def test_a_request_that_breaks_again_is_halved() -> None:
    plan = Plan(["a", "b", "c"], matches)
    for _ in range(2):
        assert plan.broke(("a", "b", "c"), [])
    assert plan.requests == [("a", "b"), ("c",)]
    for _ in range(2):
        assert plan.broke(("a", "b"), [])
    assert plan.requests == [("a",), ("b",), ("c",)]


def test_everything_is_split_into_what_is_known() -> None:
    plan = Plan([], matches)
    for _ in range(2):
        assert plan.broke((), KNOWN)
    assert plan.requests == [("/meter/0", "/meter/1", "/meter/2"), ("/meter/3", "/meter/4")]


def test_a_pattern_is_split_into_what_it_matches() -> None:
    plan = Plan(["/meter/*", "other"], matches)
    for _ in range(2):
        plan.broke(("/meter/*", "other"), KNOWN)
    for _ in range(2):
        assert plan.broke(("/meter/*",), [*KNOWN, "other"])
    assert plan.requests == [
        ("/meter/0", "/meter/1", "/meter/2"),
        ("/meter/3", "/meter/4"),
        ("other",),
    ]


def test_a_single_source_cannot_be_split() -> None:
    plan = Plan(["/meter/1"], matches)
    assert plan.broke(("/meter/1",), KNOWN)
    assert not plan.broke(("/meter/1",), KNOWN)
    assert plan.requests == [("/meter/1",)]


def test_everything_cannot_be_split_while_nothing_is_known() -> None:
    plan = Plan([], matches)
    assert plan.broke((), [])
    assert not plan.broke((), [])


def test_requests_stay_below_what_a_node_takes() -> None:
    names = [f"/süd/{number:04}" for number in range(1000)]
    requests = Plan(names, matches).requests
    assert [name for request in requests for name in request] == names
    assert all(len(body_of(request).encode()) <= 4096 for request in requests)
    assert json.loads(body_of(requests[0])) == list(requests[0])
