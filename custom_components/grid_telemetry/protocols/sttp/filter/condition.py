"""Conditions on a row: read once, then a function."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final
from uuid import UUID

from ..dataset import Row, Value, read_time
from .functions import (
    ARITHMETIC,
    BITWISE,
    FUNCTIONS,
    SPECIAL,
    Special,
    calculate,
    inverse,
    negative,
)
from .tokens import FilterError, Token
from .values import COMPARISONS, compare, key, like, truth

type Term = Callable[[Row], Value]

_SIGNS: Final = frozenset({"-", "+", "~"})

MAX_TERMS: Final = 256
# Reading so many takes some milliseconds; GUIDs and keys joined by semicolons are not limited so.
MAX_LISTED: Final = 1_000
MAX_DEPTH: Final = 32
# Each row may fold and compare a text anew.
_MAX_NUMBER: Final = 32
MAX_TEXT: Final = 1_024
_WORDS: Final[Mapping[str, Value]] = {"TRUE": True, "FALSE": False, "NULL": None}


class Budget:
    """What all conditions of one filter expression may use together."""

    def __init__(self) -> None:
        self.terms = 0
        self.listed = 0

    def term(self) -> None:
        """Use one term."""
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise FilterError(f"More than {MAX_TERMS} terms in a filter expression")

    def list_item(self) -> None:
        """Use one item of an IN list."""
        self.listed += 1
        if self.listed > MAX_LISTED:
            raise FilterError(f"More than {MAX_LISTED} items in the lists of a filter expression")


class Reader:
    """Reads words one after the other."""

    def __init__(self, words: Iterator[Token], budget: Budget) -> None:
        self._words = words
        self._columns: dict[str, str] = {}
        self._budget = budget
        self._depth = 0
        self.token = next(words)

    def use(self, columns: Iterable[str]) -> None:
        """Take the columns of a table as those that conditions may speak of."""
        self._columns = {name.upper(): name for name in columns}

    def next(self) -> Token:
        """Return the word that is there and go on to the one after it."""
        token, self.token = self.token, next(self._words)
        return token

    def take(self, *words: str) -> str:
        """Go past one of some words and return it, or return nothing and stay."""
        return self.next().word if self.token.word in words else ""

    def expect(self, word: str) -> None:
        """Go past a word; raises FilterError where another is."""
        if not self.take(word):
            raise FilterError(f"Expected {word}, found {self.token.text[:40] or 'the end'!r}")

    def number(self) -> int | None:
        """Go past the number of TOP; a negative one is no limit."""
        negative = self.take("-", "+") == "-"
        token = self.next()
        if token.kind != "number" or not token.text.isdecimal():
            raise FilterError(f"Expected a whole number, found {token.text[:40]!r}")
        return None if negative else int(token.text[:9])

    def column(self) -> str:
        """Go past the name of a column; return it as the table has it."""
        token = self.next()
        name = token.text.strip("`[]") if token.kind == "name" else ""
        if (column := self._columns.get(name.upper())) is None:
            raise FilterError(f"Not a column: {token.text[:40]!r}")
        return column

    def condition(self) -> Term:
        """Read a condition: what OR joins."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError(f"Nested deeper than {MAX_DEPTH} in a filter expression")
        terms = [self._conjunction()]
        while self.take("OR", "||"):
            terms.append(self._conjunction())
        self._depth -= 1
        return terms[0] if len(terms) == 1 else _join(terms, decides=True)

    def _conjunction(self) -> Term:
        terms = [self._negation()]
        while self.take("AND", "&&"):
            terms.append(self._negation())
        return terms[0] if len(terms) == 1 else _join(terms, decides=False)

    def _negation(self) -> Term:
        negate = False
        while self.take("NOT", "!"):
            self._budget.term()
            negate = not negate
        term = self._predicate()
        return _negated(term) if negate else term

    def _predicate(self) -> Term:
        left = self._operand()
        while True:
            if sign := self.take(*COMPARISONS):
                left = _comparison(sign, left, self._operand())
            elif self.take("IS"):
                self._budget.term()
                negate = bool(self.take("NOT", "!"))
                self.expect("NULL")
                left = _null_test(left, negate=negate)
            elif self.token.word in {"NOT", "!", "IN", "LIKE"}:
                negate = bool(self.take("NOT", "!"))
                term = self._in(left) if self.take("IN") else self._like(left)
                left = _negated(term) if negate else term
            else:
                break
        return left

    def _in(self, left: Term) -> Term:
        exact = bool(self.take("BINARY", "==="))
        self.expect("(")
        listed: set[object] = set()
        while True:
            self._budget.list_item()
            listed.add(key(self._literal(), exact=exact))
            if not self.take(","):
                break
        self.expect(")")

        def test(row: Row) -> Value:
            value = left(row)
            return None if value is None else key(value, exact=exact) in listed

        return test

    def _like(self, left: Term) -> Term:
        self.expect("LIKE")
        exact = bool(self.take("BINARY", "==="))
        pattern = self._operand()
        return lambda row: like(left(row), pattern(row), exact=exact)

    def _operand(self) -> Term:
        """Read what is compared: values that signs of arithmetic join, from left to right.

        As in the reference, all signs of arithmetic bind alike, and those of bits less.
        """
        left = self._sum()
        while sign := self.take(*BITWISE):
            left = _calculation(sign, left, self._sum())
        return left

    def _sum(self) -> Term:
        left = self._value()
        while sign := self.take(*ARITHMETIC):
            left = _calculation(sign, left, self._value())
        return left

    def _value(self) -> Term:
        self._budget.term()
        if self.token.word in _SIGNS:
            return self._signed()
        if self.take("("):
            term = self.condition()
            self.expect(")")
            return term
        if self.token.kind != "name" or self.token.word in _WORDS:
            value = self._literal()
            return lambda _: value
        token = self.token
        if token.text.strip("`[]").upper() in self._columns:
            column = self.column()
            return lambda row: row[column]
        self.next()
        if self.take("("):
            return self._function(token.word)
        raise FilterError(f"Not a column: {token.text[:40]!r}")

    def _signed(self) -> Term:
        """Read a value with a sign before it."""
        sign = self.next().word
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise FilterError(f"Nested deeper than {MAX_DEPTH} in a filter expression")
        term = self._value()
        self._depth -= 1
        if sign == "+":
            return term
        change = negative if sign == "-" else inverse
        return lambda row: change(term(row))

    def _function(self, name: str) -> Term:
        if name.startswith("REGEX"):
            raise FilterError(
                f"Regular expressions are refused: {name} can be made to run for hours."
                " Use LIKE, CONTAINS, STARTSWITH or ENDSWITH"
            )
        if (known := FUNCTIONS.get(name) or SPECIAL.get(name)) is None:
            raise FilterError(f"The function {name[:40]} is not supported")
        arguments: list[Term] = []
        if not self.take(")"):
            arguments.append(self.condition())
            while self.take(","):
                arguments.append(self.condition())
            self.expect(")")
        if not known.least <= len(arguments) <= known.most:
            raise FilterError(f"{name} does not take {len(arguments)} arguments")
        if isinstance(known, Special):
            joined: Term = known.join(arguments)
            return joined
        function = known.apply
        return lambda row: function(*[argument(row) for argument in arguments])

    def _literal(self) -> Value:
        negative = self.take("-", "+") == "-"
        token = self.next()
        if token.kind == "number":
            number = _number(token.text)
            return -number if negative else number
        if token.kind == "guid":
            return UUID(token.text.strip("'{}"))
        if token.kind == "string":
            if len(token.text) > MAX_TEXT:
                raise FilterError(f"A text in a filter expression is longer than {MAX_TEXT}")
            return token.text[1:-1].replace("''", "'")
        if token.kind == "date":
            try:
                return read_time(token.text.strip("# "))
            except ValueError as err:
                raise FilterError(f"Not a time: {token.text[:40]}") from err
        if token.word in _WORDS:
            return _WORDS[token.word]
        raise FilterError(f"Expected a value, found {token.text[:40] or 'the end'!r}")


def _number(text: str) -> int | float:
    if len(text) > _MAX_NUMBER:
        raise FilterError(f"A number in a filter expression is longer than {_MAX_NUMBER}")
    if text[:2].lower() == "0x":
        return int(text, 16)
    return int(text) if text.isdecimal() and len(text) < 20 else float(text)


def _join(terms: list[Term], *, decides: bool) -> Term:
    """Join conditions with OR (True decides) or AND (False does); else an unknown one shows."""

    def test(row: Row) -> Value:
        unknown = False
        for term in terms:
            value = truth(term(row))
            if value is decides:
                return decides
            unknown = unknown or value is None
        return None if unknown else not decides

    return test


def _negated(term: Term) -> Term:
    def test(row: Row) -> Value:
        value = truth(term(row))
        return None if value is None else not value

    return test


def _comparison(sign: str, left: Term, right: Term) -> Term:
    return lambda row: compare(sign, left(row), right(row))


def _calculation(sign: str, left: Term, right: Term) -> Term:
    return lambda row: calculate(sign, left(row), right(row))


def _null_test(term: Term, *, negate: bool) -> Term:
    return lambda row: (term(row) is None) is not negate
