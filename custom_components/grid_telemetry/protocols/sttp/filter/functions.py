"""Functions and arithmetic of filter expressions, those of the reference's stacks.

A subscriber may be anybody: no text grows past MAX_RESULT, no whole number past 64 bits, and none
of the functions takes longer than its text is long. A null makes the result null, but where the
reference has it otherwise.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
import math
import operator
from typing import Any, Final, NamedTuple
from uuid import UUID

from ..dataset import Value, read_time
from .tokens import FilterError
from .values import compare, truth

type Term[Row] = Callable[[Row], Value]

MAX_RESULT: Final = 4_096
_MOST: Final = 64
"""Of the arguments of a function that takes any number."""
_INT64: Final = 1 << 63


class Function(NamedTuple):
    """How many arguments a function takes, and what it makes of their values."""

    least: int
    most: int
    apply: Callable[..., Value]


def _text(value: Value) -> str:
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str):
        raise FilterError("A text function takes text")
    return value


def _bounded(text: str) -> str:
    if len(text) > MAX_RESULT:
        raise FilterError(f"A text in a filter expression grows past {MAX_RESULT} characters")
    return text


def _number(value: Value) -> int | float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError as err:
            raise FilterError(f"Not a number: {value[:40]!r}") from err
    if not isinstance(value, int | float):
        raise FilterError("Arithmetic takes numbers")
    return value


def _whole(value: Value) -> int:
    if not isinstance(number := _number(value), int):
        raise FilterError(f"Expected a whole number, found {number}")
    return number


def _checked(number: float) -> int | float:
    """Return a number that fits 64 bits."""
    if isinstance(number, int) and not -_INT64 <= number < _INT64:
        raise FilterError("A number in a filter expression does not fit 64 bits")
    return number


def _moment(value: Value) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        return read_time(_text(value).strip())
    except ValueError as err:
        raise FilterError(f"Not a time: {value!s:.40}") from err


def _pair(source: Value, test: Value, ignore_case: Value = False) -> tuple[str, str]:
    if ignore_case:
        return _text(source).upper(), _text(test).upper()
    return _text(source), _text(test)


def _divide(left: float, right: float) -> int | float:
    if not right:
        raise FilterError("A filter expression divides by zero")
    if isinstance(left, int) and isinstance(right, int):
        # Towards zero, as in the reference's languages.
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) is (right < 0) else -quotient
    return left / right


def _remainder(left: float, right: float) -> int | float:
    if not right:
        raise FilterError("A filter expression divides by zero")
    if isinstance(left, int) and isinstance(right, int):
        return left - right * int(_divide(left, right))
    return math.fmod(left, right)


def _shift(left: float, right: float, *, up: bool) -> int:
    value, bits = _whole(left), _whole(right)
    if not 0 <= bits < 64:
        raise FilterError("Bits are shifted by 0 to 63")
    return value << bits if up else value >> bits


ARITHMETIC: Final[dict[str, Callable[[Any, Any], int | float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _remainder,
}
BITWISE: Final[dict[str, Callable[[Any, Any], int | float]]] = {
    "<<": lambda left, right: _shift(left, right, up=True),
    ">>": lambda left, right: _shift(left, right, up=False),
    "&": lambda left, right: _whole(left) & _whole(right),
    "|": lambda left, right: _whole(left) | _whole(right),
    "^": lambda left, right: _whole(left) ^ _whole(right),
    "XOR": lambda left, right: _whole(left) ^ _whole(right),
}


def calculate(sign: str, left: Value, right: Value) -> Value:
    """Work out an operation of arithmetic; + joins texts. Raises FilterError."""
    if left is None or right is None:
        return None
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        return _bounded(left + right)
    function = ARITHMETIC.get(sign) or BITWISE[sign]
    try:
        return _checked(function(_number(left), _number(right)))
    except OverflowError as err:
        raise FilterError("A number in a filter expression is out of bounds") from err


def negative(value: Value) -> Value:
    """Return a number with the other sign."""
    return None if value is None else _checked(-_number(value))


def inverse(value: Value) -> Value:
    """Return a whole number with all of its bits the other way."""
    return None if value is None else ~_whole(value)


def _replace(source: Value, test: Value, new: Value, ignore_case: Value = False) -> str:
    text, sought = _pair(source, test, ignore_case)
    if not sought:
        return _text(source)
    pieces: list[str] = []
    start = 0
    original, replacement = _text(source), _text(new)
    if len(original) != len(text):
        # A letter whose capital is two: where it is found it would not be replaced.
        raise FilterError("REPLACE without case takes no such text")
    while (found := text.find(sought, start)) >= 0:
        pieces += (original[start:found], replacement)
        start = found + len(sought)
        if len(pieces) * len(replacement) > 2 * MAX_RESULT:
            break
    return _bounded("".join((*pieces, original[start:])))


def _substring(source: Value, index: Value, length: Value = None) -> str:
    text, start = _text(source), _whole(index)
    if not 0 <= start < len(text):
        return ""
    if length is None:
        return text[start:]
    return text[start : start + max(_whole(length), 0)]


def _nth_index(source: Value, test: Value, index: Value, ignore_case: Value = False) -> int:
    text, sought = _pair(source, test, ignore_case)
    position = -1
    for _ in range(min(_whole(index), len(text)) + 1):
        if (position := text.find(sought, position + 1)) < 0:
            break
    return position


def _split(source: Value, delimiter: Value, index: Value, ignore_case: Value = False) -> str:
    text, sought = _pair(source, delimiter, ignore_case)
    if not sought:
        raise FilterError("SPLIT takes a delimiter")
    original, number = _text(source), _whole(index)
    start = 0
    for _ in range(max(number, 0)):
        if (found := text.find(sought, start)) < 0:
            return ""
        start = found + len(sought)
    end = text.find(sought, start)
    return original[start:] if end < 0 else original[start:end]


def _count(source: Value, test: Value, ignore_case: Value = False) -> int:
    if source is None or test is None or not test:
        return 0
    text, sought = _pair(source, test, ignore_case)
    return text.count(sought)


def _compared(left: Value, right: Value, ignore_case: Value = False) -> int:
    first, second = _pair(left, right, ignore_case)
    return (first > second) - (first < second)


def _reads(read: Callable[[str], object]) -> Callable[[Value], bool]:
    """Return a function that tells whether a text can be read as something."""

    def test(value: Value) -> bool:
        if not isinstance(value, str):
            return False
        try:
            read(value.strip())
        except ValueError:
            return False
        return True

    return test


_is_date, _is_guid = _reads(read_time), _reads(UUID)
_is_whole, _is_number = _reads(lambda text: int(text[:_MOST])), _reads(float)


def _extreme(sign: str) -> Callable[..., Value]:
    def most(*values: Value) -> Value:
        best = values[0]
        for value in values[1:]:
            if best is None or compare(sign, value, best):
                best = value
        return best

    return most


_SECONDS: Final = {"HOUR": 3600, "MINUTE": 60, "SECOND": 1}
_DAYS: Final = {"DAY": 1, "DAYOFYEAR": 1, "WEEKDAY": 1, "WEEK": 7}


def _months(earlier: datetime, later: datetime) -> int:
    """Return how many whole months lie between two moments."""
    if later < earlier:
        return -_months(later, earlier)
    count = (later.year - earlier.year) * 12 + later.month - earlier.month
    rest = (later.day, later.time()) < (earlier.day, earlier.time())
    return count - rest


def _date_difference(left: Value, right: Value, interval: Value) -> int:
    earlier, later = _moment(left), _moment(right)
    unit = _text(interval).upper()
    if unit in {"YEAR", "MONTH"}:
        months = _months(earlier, later)
        return int(months / 12) if unit == "YEAR" else months
    delta = later - earlier
    if unit in _DAYS:
        return delta.days // _DAYS[unit]
    if unit in _SECONDS:
        return round(delta.total_seconds()) // _SECONDS[unit]
    if unit == "MILLISECOND":
        return delta // timedelta(milliseconds=1)
    raise FilterError(f"Not an interval: {unit[:40]}")


def _date_sum(source: Value, count: Value, interval: Value) -> datetime:
    moment, number, unit = _moment(source), _whole(count), _text(interval).upper()
    try:
        if unit in {"YEAR", "MONTH"}:
            months = moment.year * 12 + moment.month - 1 + number * (12 if unit == "YEAR" else 1)
            year, month = divmod(months, 12)
            first = moment.replace(year=year, month=month + 1, day=1)
            following = first + timedelta(days=31)
            days = (following.replace(day=1) - first).days
            return first.replace(day=min(moment.day, days))
        if unit in _DAYS:
            return moment + timedelta(days=number * _DAYS[unit])
        if unit in _SECONDS:
            return moment + timedelta(seconds=number * _SECONDS[unit])
        if unit == "MILLISECOND":
            return moment + timedelta(milliseconds=number)
    except (OverflowError, ValueError) as err:
        raise FilterError("A time in a filter expression is out of bounds") from err
    raise FilterError(f"Not an interval: {unit[:40]}")


_PARTS: Final[dict[str, Callable[[datetime], int]]] = {
    "YEAR": lambda moment: moment.year,
    "MONTH": lambda moment: moment.month,
    "DAY": lambda moment: moment.day,
    "DAYOFYEAR": lambda moment: moment.timetuple().tm_yday,
    # Sunday is the first.
    "WEEKDAY": lambda moment: moment.isoweekday() % 7 + 1,
    "WEEK": lambda moment: moment.isocalendar().week,
    "HOUR": lambda moment: moment.hour,
    "MINUTE": lambda moment: moment.minute,
    "SECOND": lambda moment: moment.second,
    "MILLISECOND": lambda moment: moment.microsecond // 1000,
}


def _date_part(source: Value, interval: Value) -> int:
    unit = _text(interval).upper()
    if unit not in _PARTS:
        raise FilterError(f"Not an interval: {unit[:40]}")
    return _PARTS[unit](_moment(source))


def _to_whole(value: Value) -> int:
    return value if isinstance(value, int) else int(_number(value))


_CONVERSIONS: Final[dict[str, Callable[[Value], Value]]] = {
    "BOOLEAN": lambda value: bool(_number(value)) if not isinstance(value, bool) else value,
    "INT32": _to_whole,
    "INT64": _to_whole,
    "DECIMAL": lambda value: float(_number(value)),
    "DOUBLE": lambda value: float(_number(value)),
    "STRING": str,
    "GUID": lambda value: value if isinstance(value, UUID) else UUID(_text(value)),
    "DATETIME": _moment,
}


def _convert(value: Value, kind: Value) -> Value:
    name = _text(kind).upper().removeprefix("SYSTEM.")
    if name not in _CONVERSIONS:
        raise FilterError(f"CONVERT does not know the type {name[:40]}")
    try:
        return _CONVERSIONS[name](value)
    except (ValueError, OverflowError) as err:
        raise FilterError(f"Cannot convert {value!s:.40} to {name}") from err


def _root(value: Value) -> float:
    if (number := _number(value)) < 0:
        raise FilterError("SQRT takes no negative number")
    return math.sqrt(number)


def _power(value: Value, exponent: Value) -> float:
    try:
        return math.pow(_number(value), _number(exponent))
    except (OverflowError, ValueError) as err:
        raise FilterError("POWER is out of bounds") from err


def _rounded(function: Callable[[float], int]) -> Callable[[Value], Value]:
    def apply(value: Value) -> Value:
        number = _number(value)
        if not math.isfinite(number):
            return number
        return number if isinstance(number, int) else float(function(number))

    return apply


def _any(function: Callable[..., Value]) -> Callable[..., Value]:
    """Return a function of which a null argument makes a null."""
    return lambda *given: None if None in given else function(*given)


# By name. NOW is UTC too: a subscriber does not know our time zone.
FUNCTIONS: Final[dict[str, Function]] = {
    "ABS": Function(1, 1, _any(lambda value: _checked(abs(_number(value))))),
    "CEILING": Function(1, 1, _any(_rounded(math.ceil))),
    "CONTAINS": Function(2, 3, _any(lambda *given: operator.contains(*_pair(*given)))),
    "CONVERT": Function(2, 2, _any(_convert)),
    "DATEADD": Function(3, 3, _any(_date_sum)),
    "DATEDIFF": Function(3, 3, _any(_date_difference)),
    "DATEPART": Function(2, 2, _any(_date_part)),
    "ENDSWITH": Function(2, 3, _any(lambda *given: str.endswith(*_pair(*given)))),
    "FLOOR": Function(1, 1, _any(_rounded(math.floor))),
    "INDEXOF": Function(2, 3, _any(lambda *given: str.find(*_pair(*given)))),
    "ISDATE": Function(1, 1, lambda value: isinstance(value, datetime) or _is_date(value)),
    "ISGUID": Function(1, 1, lambda value: isinstance(value, UUID) or _is_guid(value)),
    "ISINTEGER": Function(1, 1, lambda value: isinstance(value, int) or _is_whole(value)),
    "ISNULL": Function(2, 2, lambda value, default: default if value is None else value),
    "ISNUMERIC": Function(1, 1, lambda value: isinstance(value, int | float) or _is_number(value)),
    "LASTINDEXOF": Function(2, 3, _any(lambda *given: str.rfind(*_pair(*given)))),
    "LEN": Function(1, 1, _any(lambda value: len(_text(value)))),
    "LOWER": Function(1, 1, _any(lambda value: _bounded(_text(value).lower()))),
    "MAXOF": Function(2, _MOST, _extreme(">")),
    "MINOF": Function(2, _MOST, _extreme("<")),
    "NOW": Function(0, 0, lambda: datetime.now(UTC)),
    "NTHINDEXOF": Function(3, 4, _any(_nth_index)),
    "POWER": Function(2, 2, _any(_power)),
    "REPLACE": Function(3, 4, _any(_replace)),
    "REVERSE": Function(1, 1, _any(lambda value: _text(value)[::-1])),
    "ROUND": Function(1, 1, _any(_rounded(round))),
    "SPLIT": Function(3, 4, _any(_split)),
    "SQRT": Function(1, 1, _any(_root)),
    "STARTSWITH": Function(2, 3, _any(lambda *given: str.startswith(*_pair(*given)))),
    "STRCMP": Function(2, 3, _any(_compared)),
    "STRCOUNT": Function(2, 3, _count),
    "SUBSTR": Function(2, 3, _any(_substring)),
    "TRIM": Function(1, 1, _any(lambda value: _text(value).strip())),
    "TRIMLEFT": Function(1, 1, _any(lambda value: _text(value).lstrip())),
    "TRIMRIGHT": Function(1, 1, _any(lambda value: _text(value).rstrip())),
    "UPPER": Function(1, 1, _any(lambda value: _bounded(_text(value).upper()))),
    "UTCNOW": Function(0, 0, lambda: datetime.now(UTC)),
}


def if_then[Row](terms: Sequence[Term[Row]]) -> Term[Row]:
    """Return IIF: of two values the one that a condition chooses; the other is not worked out."""
    test, then, otherwise = terms
    return lambda row: then(row) if truth(test(row)) else otherwise(row)


def first_known[Row](terms: Sequence[Term[Row]]) -> Term[Row]:
    """Return COALESCE: the first value that is not null."""

    def test(row: Row) -> Value:
        for term in terms:
            if (value := term(row)) is not None:
                return value
        return None

    return test


class Special(NamedTuple):
    """A function that does not work out all of its arguments."""

    least: int
    most: int
    join: Callable[..., Any]


SPECIAL: Final[dict[str, Special]] = {
    "IIF": Special(3, 3, if_then),
    "COALESCE": Special(2, _MOST, first_known),
}
