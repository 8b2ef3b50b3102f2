"""STOMP 1.0, 1.1 and 1.2 frames to bytes and back, without I/O.

Specification: https://stomp.github.io/stomp-specification-1.2.html

Tolerated beyond it, because peers in the field do it: lines ended by CRLF in every version, a
bare colon within a header value, line ends before and after a frame. All else is an error.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
import re
from typing import Final, Literal, override

from .errors import StompFrameError, StompLimitError, StompProtocolError

type StompVersion = Literal["1.0", "1.1", "1.2"]

# These two stay as STOMP 1.0 had them, so that peers can find out which version they share.
_PLAIN_COMMANDS: Final = frozenset({"CONNECT", "CONNECTED"})
_SECRET_HEADERS: Final = frozenset({"passcode", "authorization"})

_ESCAPES_1_1: Final = {"\\": "\\\\", "\n": "\\n", ":": "\\c"}
_ESCAPES_1_2: Final = _ESCAPES_1_1 | {"\r": "\\r"}
_ESCAPES: Final[dict[StompVersion, dict[str, str]]] = {
    "1.0": {},
    "1.1": _ESCAPES_1_1,
    "1.2": _ESCAPES_1_2,
}
_ESCAPING: Final = {version: str.maketrans(pairs) for version, pairs in _ESCAPES.items()}
_UNESCAPING: Final = {
    version: {escape: plain for plain, escape in pairs.items()}
    for version, pairs in _ESCAPES.items()
}

_ESCAPE: Final = re.compile(r"\\.?", re.DOTALL)
_LINE_ENDS: Final = re.compile(rb"(?:\n+|\r\n)+")
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_COMMAND: Final = re.compile(r"[A-Z]{1,20}")
_LENGTH: Final = re.compile(r"[0-9]{1,15}")


class Heartbeat(Enum):
    """One or more line ends between frames: a sign of life."""

    HEARTBEAT = "heart-beat"


HEARTBEAT: Final = Heartbeat.HEARTBEAT


@dataclass(frozen=True, slots=True)
class Frame:
    """A STOMP frame. Of a header that came twice the first one counts."""

    command: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @override
    def __repr__(self) -> str:
        """Return the frame without secrets and without its body."""
        headers = {
            name: "**" if name in _SECRET_HEADERS else value for name, value in self.headers.items()
        }
        return f"Frame({self.command} {headers} {len(self.body)} bytes)"


def encode(frame: Frame, version: StompVersion = "1.2") -> bytes:
    """Return a frame as it goes over the wire.

    A content-length is the caller's choice (SolarNode trips over it), except that a body with a
    NUL gets one. Raises ValueError for what the version cannot carry.
    """
    headers = frame.headers
    if "content-length" in headers:
        if headers["content-length"] != str(len(frame.body)):
            raise ValueError("content-length is not the length of the body")
    elif b"\0" in frame.body:
        headers = {**headers, "content-length": str(len(frame.body))}

    if frame.command in _PLAIN_COMMANDS or version == "1.0":
        if any(":" in name for name in headers):
            raise ValueError(f"{frame.command}: a colon in the name of a header")
        lines = [f"{name}:{value}\n" for name, value in headers.items()]
    else:
        lines = [f"{name}:{value}\n" for name, value in headers.items()]
        if not _needs_no_escapes("".join(lines), len(headers)):
            table = _ESCAPING[version]
            lines = [
                f"{name.translate(table)}:{value.translate(table)}\n"
                for name, value in headers.items()
            ]
    head = f"{frame.command}\n{''.join(lines)}\n"
    # Whatever was not escaped and would break the frame up, shows here.
    if "" in headers or "\0" in head or "\r" in head or head.count("\n") != len(headers) + 2:
        raise ValueError(f"{frame.command}: a header that STOMP {version} cannot carry")
    return b"%b%b\0" % (head.encode(), frame.body)


def undo_escapes(text: str) -> str:
    """Return a text without the escapes of STOMP 1.2; what is no escape stays as it is.

    For peers whose code escapes what their library escapes once more.
    """
    pairs = _UNESCAPING["1.2"]
    return _ESCAPE.sub(lambda match: pairs.get(match[0], match[0]), text)


def _needs_no_escapes(lines: str, count: int) -> bool:
    """Return whether so many headers are fit to travel as they are, as most of them are."""
    return (
        "\\" not in lines
        and "\r" not in lines
        and lines.count(":") == count
        and lines.count("\n") == count
    )


class Decoder:
    """Frames out of a stream of bytes, in pieces of any size.

    The work is linear in the bytes fed, and no more is kept than one frame within the limits and
    the piece just fed. After an error the stream has no known place to go on from, so every
    further use raises the same error.
    """

    def __init__(
        self,
        *,
        max_header_bytes: int = 16 * 1024,
        max_headers: int = 64,
        max_body_bytes: int = 1024 * 1024,
        lenient: bool = False,
    ) -> None:
        """Take the limits.

        A lenient decoder has a frame end where it can: an undefined escape stays as it is, a
        header without a colon is passed over, and where no NUL is at the end that content-length
        tells, as from peers that count characters, the body ends at the next one.
        """
        self.version: StompVersion = "1.2"
        """The version agreed upon; counts from the next frame that is taken."""
        self._max_header_bytes = max_header_bytes
        self._max_headers = max_headers
        self._max_body_bytes = max_body_bytes
        self._lenient = lenient
        self._buffer = bytearray()
        self._scanned = 0  # up to here the buffer was searched for the end of this part
        self._head: tuple[str, dict[str, str]] | None = None
        self._error: StompProtocolError | None = None

    @property
    def pending(self) -> bool:
        """Whether a frame has begun and is not complete, when all that is was taken."""
        return self._head is not None or bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[Frame | Heartbeat]:
        """Take bytes in and return an iterator over what is complete by now.

        What is left of an iterator that was not used up comes with the next one.
        Raises StompFrameError and StompLimitError.
        """
        if self._error is None:
            self._buffer += data
        return self._items()

    def _items(self) -> Iterator[Frame | Heartbeat]:
        if self._error is not None:
            raise self._error
        try:
            while (item := self._next()) is not None:
                yield item
        except StompProtocolError as err:
            self._error = err
            self._buffer = bytearray()
            raise

    def _next(self) -> Frame | Heartbeat | None:
        if self._head is None:
            if not self._buffer:
                return None
            if self._buffer.startswith((b"\n", b"\r")):
                return self._skip_line_ends()
            block = self._take_head()
            if block is None:
                return None
            self._head = self._parse_head(block)
        command, headers = self._head
        body = self._take_body(headers)
        if body is None:
            return None
        self._head = None
        return Frame(command, headers, body)

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._scanned = 0

    def _skip_line_ends(self) -> Heartbeat | None:
        match = _LINE_ENDS.match(self._buffer)
        if match is not None:
            self._drop(match.end())
            return HEARTBEAT
        if len(self._buffer) > 1:
            raise StompFrameError("a carriage return without a line feed between frames")
        return None

    def _take_head(self) -> bytes | None:
        buffer, limit = self._buffer, self._max_header_bytes
        # The end of the head is up to three bytes, the last piece may have ended within it.
        match = _HEAD_END.search(buffer, max(0, self._scanned - 2), limit + 3)
        end = len(buffer) if match is None else match.start()
        if buffer.find(b"\0", self._scanned, min(end, limit)) >= 0:
            raise StompFrameError("a frame ended within its headers")
        if end > limit:
            raise StompLimitError(f"more than {limit} bytes of headers")
        if match is None:
            self._scanned = end
            return None
        block = bytes(buffer[:end])
        self._drop(match.end())
        return block

    def _parse_head(self, block: bytes) -> tuple[str, dict[str, str]]:
        try:
            text = block.decode()
        except UnicodeDecodeError as err:
            raise StompFrameError("headers are not UTF-8") from err
        if "\r" in text:
            text = text.replace("\r\n", "\n").removesuffix("\r")
            if "\r" in text:
                raise StompFrameError("a carriage return within a header")
        command, *lines = text.split("\n")
        if not _COMMAND.fullmatch(command):
            raise StompFrameError("no command where one should be")
        if len(lines) > self._max_headers:
            raise StompLimitError(f"more than {self._max_headers} headers")
        unescape = self._unescaping(command)
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if "\\" in line:
                name, value = unescape(name), unescape(value)
            if name and colon:
                headers.setdefault(name, value)
            elif not self._lenient:
                without = "name" if colon else "colon"
                raise StompFrameError(f"{command}: a header without a {without}")
        return command, headers

    def _unescaping(self, command: str) -> Callable[[str], str]:
        """Return the function that undoes the escapes in the headers of a command."""
        if command in _PLAIN_COMMANDS or self.version == "1.0":
            return str
        pairs = _UNESCAPING[self.version]
        if self._lenient:
            return undo_escapes

        def plain(match: re.Match[str]) -> str:
            try:
                return pairs[match[0]]
            except KeyError:
                raise StompFrameError(f"{command}: an undefined escape in a header") from None

        return lambda text: _ESCAPE.sub(plain, text)

    def _take_body(self, headers: Mapping[str, str]) -> bytes | None:
        buffer, limit = self._buffer, self._max_body_bytes
        length = headers.get("content-length")
        if length is None:
            return self._take_until_nul(0)
        if not _LENGTH.fullmatch(length):
            raise StompFrameError("content-length is not a number")
        end = int(length)
        if end > limit:
            raise StompLimitError(f"a body of {end} bytes, more than {limit}")
        if len(buffer) <= end:
            return None
        if buffer[end] and not self._lenient:
            raise StompFrameError("no NUL where content-length says that the body ends")
        return self._take_until_nul(end)

    def _take_until_nul(self, start: int) -> bytes | None:
        """Take a body that ends at the first NUL from a place on."""
        buffer, limit = self._buffer, self._max_body_bytes
        end = buffer.find(b"\0", max(start, self._scanned), limit + 1)
        if end < 0:
            if len(buffer) > limit:
                raise StompLimitError(f"a body of more than {limit} bytes")
            self._scanned = len(buffer)
            return None
        body = bytes(buffer[:end])
        self._drop(end + 1)
        return body
