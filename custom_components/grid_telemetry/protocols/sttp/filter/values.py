"""Values in a filter expression: how they compare, and the functions on them."""

from collections.abc import Callable
from datetime import datetime
import operator
from typing import Any, Final
from uuid import UUID

from ..dataset import Value, read_time
from .tokens import FilterError

COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "===": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "!==": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def key(value: Value, *, exact: bool = False) -> object:
    """Return what a value is equal by: text without case, a GUID as its text."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and not exact:
        return value.casefold()
    return value


def compare(sign: str, left: Value, right: Value) -> bool | None:
    """Compare two values; with a null it is unknown. Raises FilterError for unlike ones."""
    if left is None or right is None:
        return None
    if isinstance(left, str) != isinstance(right, str):
        if isinstance(left, str):
            left = _like(left, right)
        elif isinstance(right, str):
            right = _like(right, left)
    exact = sign in {"===", "!=="}
    try:
        return COMPARISONS[sign](key(left, exact=exact), key(right, exact=exact))
    except TypeError as err:
        raise FilterError(f"Cannot compare {left} with {right}") from err


def _like(text: str, other: Value) -> Value:
    """Read a text as the kind of value that it is compared with, or leave it."""
    try:
        if isinstance(other, UUID):
            return UUID(text)
        if isinstance(other, datetime):
            return read_time(text.strip())
        if isinstance(other, int | float):
            return float(text)
    except ValueError:
        pass
    return text


def like(value: Value, pattern: Value, *, exact: bool) -> bool | None:
    """Match text with a pattern that may begin or end with % or *."""
    if value is None or pattern is None:
        return None
    if not isinstance(value, str) or not isinstance(pattern, str):
        raise FilterError("LIKE takes text")
    if not exact:
        value, pattern = value.casefold(), pattern.casefold()
    bare = pattern.strip("%*")
    if "%" in bare or "*" in bare:
        raise FilterError("LIKE takes % or * only where the pattern begins or ends")
    begins, ends = pattern[:1] not in {"%", "*"}, pattern[-1:] not in {"%", "*"}
    if begins and ends:
        return value == bare
    if begins:
        return value.startswith(bare)
    return value.endswith(bare) if ends else bare in value


def truth(value: Value) -> bool | None:
    """Return what a condition comes to; raises FilterError where it is not one."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value != 0
    raise FilterError("A condition has to be true or false")
