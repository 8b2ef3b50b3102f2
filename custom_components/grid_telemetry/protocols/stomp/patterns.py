"""Patterns in the style of Ant, as SolarNode has them for destinations and sources.

`?` is one character and `*` any number of them within a segment, `**` any number of segments,
none included. Case counts. Patterns come from outside: matching takes time in proportion to
pattern times text at most, unlike a regular expression made from one.
"""

from collections.abc import Callable, Sequence


def is_pattern(text: str) -> bool:
    """Return whether a text is a pattern rather than a plain name."""
    return "*" in text or "?" in text


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern fits a text; one that is no pattern fits what is equal."""
    if not is_pattern(pattern):
        return pattern == text
    if pattern.startswith("/") != text.startswith("/"):
        return False
    wanted, given = _segments(pattern), _segments(text)
    if not _fits(wanted, given, lambda segment: segment == "**", _segment_fits):
        return False
    return wanted[-1] == "**" or pattern.endswith("/") == text.endswith("/")


def specificity(pattern: str) -> tuple[int, int, int]:
    """Return a key that sorts patterns so that the more exact one comes first."""
    return pattern.count("**"), pattern.count("*") + pattern.count("?"), -len(pattern)


def _segments(text: str) -> list[str]:
    return [segment for segment in text.split("/") if segment]


def _segment_fits(pattern: str, text: str) -> bool:
    return _fits(pattern, text, lambda one: one == "*", lambda one, other: one in ("?", other))


def _fits(
    pattern: Sequence[str],
    text: Sequence[str],
    is_star: Callable[[str], bool],
    equal: Callable[[str, str], bool],
) -> bool:
    """Match with stars that take any number of items, going back to the last star only."""
    at = here = 0
    star, after = -1, 0
    while here < len(text):
        if at < len(pattern) and is_star(pattern[at]):
            star, after = at, here
            at += 1
        elif at < len(pattern) and equal(pattern[at], text[here]):
            at += 1
            here += 1
        elif star >= 0:
            # Have the last star take one more.
            after += 1
            at, here = star + 1, after
        else:
            return False
    return all(is_star(item) for item in pattern[at:])
