"""The words of a filter expression."""

from collections.abc import Iterator
import re
from typing import Final, NamedTuple

_GUID: Final = "[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}"
_TOKEN: Final = re.compile(
    rf"""
      (?P<space>\s+|--[^\r\n]*|/\*.*?(?:\*/|\Z))
    | (?P<guid>'{_GUID}'|\{{{_GUID}\}}|{_GUID})
    | (?P<string>'(?:[^']|'')*+')
    | (?P<date>\#[^\#]+\#)
    | (?P<number>0x[0-9a-f]+|(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)
    | (?P<name>[a-z_][a-z_0-9]*|`[^`]+`|\[[^\]]+\])
    | (?P<sign>===|!==|==|!=|<>|<=|>=|<<|>>|&&|\|\||[-+=<>!(),;*/%&|^~])
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A word: its kind (guid, string, date, number, name, sign, end), text, and where it ends."""

    kind: str
    text: str
    end: int

    @property
    def word(self) -> str:
        """Return a bare name or a sign in upper case, and nothing for what is quoted."""
        return self.text.upper() if self.kind in {"name", "sign"} else ""


class FilterError(ValueError):
    """A filter expression that is not understood or not taken; the text tells its sender why."""


def tokens(text: str, start: int) -> Iterator[Token]:
    """Yield the words from a position on, and an end after the last, for ever."""
    position = start
    while position < len(text):
        if (match := _TOKEN.match(text, position)) is None:
            raise FilterError(f"Unexpected character: {text[position]!a}")
        position = match.end()
        if match.lastgroup is not None and match.lastgroup != "space":
            yield Token(match.lastgroup, match[0], position)
    while True:
        yield Token("end", "", len(text))
