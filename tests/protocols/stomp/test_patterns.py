"""Patterns in the style of Ant, by the examples that their first implementation documents."""

import pytest

from custom_components.grid_telemetry.protocols.stomp.patterns import (
    is_pattern,
    matches,
    specificity,
)
from simulators.solarnode_wire import ant_matches


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("/setup/**", "/setup"),
        ("/setup/**", "/setup/datum/latest"),
        ("/**", "/"),
        ("**", "a/b"),
        ("/**/latest", "/setup/datum/latest"),
        ("/**/latest", "/latest"),
        ("/*/*", "/a/b"),
        ("/a/**/b/**/c", "/a/b/x/b/c"),
        ("/t?st", "/test"),
        ("/*st", "/test"),
        ("/t*t*", "/testing"),
        ("*", "test.source"),
        ("Mock *", "Mock Energy Meter"),
        ("test.source", "test.source"),
        ("/x//*", "/x/y"),
        ("/a/*/", "/a/b/"),
    ],
)
def test_what_fits(pattern: str, text: str) -> None:
    assert matches(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("/setup/**", "/system/reboot"),
        ("/setup/*", "/setup"),
        ("/setup/*", "/setup/a/b"),
        ("/t?st", "/tst"),
        ("/t?st", "/t/st"),
        ("*", "a/b"),
        ("**", "/a"),
        ("/**", "a"),
        ("/a/**/b", "/a/x/c"),
        ("/a/*", "/a/b/"),
        ("/A", "/a"),
        ("/a?", "/a"),
        ("plain", "plain "),
    ],
)
def test_what_does_not_fit(pattern: str, text: str) -> None:
    assert not matches(pattern, text)


def test_hostile_patterns_take_no_time() -> None:
    assert not matches("*a" * 2000 + "b", "a" * 4000)
    assert not matches("/**/a" * 500 + "/b", "/a" * 2000)


def test_it_agrees_with_an_implementation_of_its_own_kind() -> None:
    patterns = ["/a/**", "/*/b", "/a?/*", "/**/b", "/a/**/c", "/a/b"]
    texts = ["/a", "/a/b", "/ab/c", "/b", "/a/b/c", "/a/x/y/c", "/c/b"]
    for pattern in patterns:
        for text in texts:
            assert matches(pattern, text) == ant_matches(pattern, text), (pattern, text)


def test_the_more_exact_pattern_comes_first() -> None:
    patterns = ["/**", "/a/**", "/a/b/*", "/a/b/?", "/a/*/*"]
    assert sorted(patterns, key=specificity) == ["/a/b/*", "/a/b/?", "/a/*/*", "/a/**", "/**"]
    assert [is_pattern(text) for text in ("/a", "/a*", "/a?")] == [False, True, True]
