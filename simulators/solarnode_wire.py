"""STOMP and its log-in as a SolarNode speaks them, written apart from the integration's own code.

It follows Netty 4.2 with the limits that SolarNode sets, and SolarNode's own escaping on top of
Netty's: what leaves in a MESSAGE or an ERROR is escaped twice.
"""

import hashlib
import hmac
import re
from typing import Final, NamedTuple

MAX_LINE_BYTES: Final = 1024
MAX_BODY_BYTES: Final = 4096

_COMMANDS: Final = frozenset(
    {
        *("STOMP", "CONNECT", "CONNECTED", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK"),
        *("BEGIN", "ABORT", "COMMIT", "DISCONNECT", "MESSAGE", "RECEIPT", "ERROR"),
    }
)
_PLAIN_COMMANDS: Final = frozenset({"CONNECT", "CONNECTED"})
_PLAIN: Final = {"n": "\n", "r": "\r", "c": ":", "\\": "\\"}
_EMPTY_SHA256: Final = hashlib.sha256().hexdigest()


class TooLongFrame(Exception):  # noqa: N818 - named as Netty does
    """A line or a body beyond the limits; SolarNode closes without a word."""


class BadFrame(Exception):  # noqa: N818
    """Nothing that comes after it on this connection is read any more."""


class WireFrame(NamedTuple):
    """One frame; of a header that came twice the first value counts."""

    command: str
    headers: dict[str, str]
    body: bytes


def unescape(text: str) -> str:
    """Undo one round of escaping; raises BadFrame."""

    def undo(match: re.Match[str]) -> str:
        if match[1] not in _PLAIN:
            raise BadFrame(f"undefined escape {match[0]!r}")
        return _PLAIN[match[1]]

    return re.sub(r"\\(.?)", undo, text, flags=re.DOTALL)


def plain(text: str) -> str:
    """Undo a round of escaping as SolarNode itself does, which passes over what is none."""
    return re.sub(r"\\([nrc\\])", lambda match: _PLAIN[match[1]], text)


def escape(text: str) -> str:
    """Escape once."""
    return "".join(
        {"\\": "\\\\", "\n": "\\n", "\r": "\\r", ":": "\\c"}.get(char, char) for char in text
    )


def put_frame(command: str, headers: dict[str, str], body: bytes, *, escapes: int) -> bytes:
    """Return a frame whose header values are escaped so many times."""
    lines = [command]
    for name, value in headers.items():
        wire_value = value
        for _ in range(0 if command in _PLAIN_COMMANDS else escapes):
            wire_value = escape(wire_value)
        lines.append(f"{name}:{wire_value}")
    return "\n".join([*lines, "", ""]).encode() + body + b"\0"


class Decoder:
    """Frames out of a stream of bytes."""

    def __init__(self, *, unescapes: bool) -> None:
        """Choose whether Netty undoes escapes, as it has since 4.1.80."""
        self._unescapes = unescapes
        self._buffer = b""

    def feed(self, data: bytes) -> list[WireFrame]:
        """Return the frames that are complete by now; raises TooLongFrame and BadFrame."""
        self._buffer += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> WireFrame | None:
        self._buffer = self._buffer.lstrip(b"\r\n")
        lines: list[str] = []
        start = 0
        while True:
            end = self._buffer.find(b"\n", start)
            if (len(self._buffer) if end < 0 else end) - start > MAX_LINE_BYTES:
                raise TooLongFrame
            if end < 0:
                return None
            line = self._buffer[start:end].removesuffix(b"\r").decode(errors="replace")
            start = end + 1
            if not line:
                break
            lines.append(line)
        command = lines[0]
        if command not in _COMMANDS:
            raise BadFrame(command)
        headers = self._headers(command, lines[1:])
        return self._with_body(command, headers, start)

    def _headers(self, command: str, lines: list[str]) -> dict[str, str]:
        headers: dict[str, str] = {}
        for line in lines:
            if line.count(":") != 1:
                continue  # dropped without a word
            name, _, value = line.partition(":")
            if self._unescapes and command not in _PLAIN_COMMANDS:
                name, value = unescape(name), unescape(value)
            headers.setdefault(name, value)
        return headers

    def _with_body(self, command: str, headers: dict[str, str], start: int) -> WireFrame | None:
        available = len(self._buffer) - start
        if "content-length" in headers:
            length = int(headers["content-length"])
            if min(length, available) > MAX_BODY_BYTES:
                raise TooLongFrame
            if available <= length:
                return None
            if self._buffer[start + length] != 0:
                raise BadFrame("no NUL behind the body")
        else:
            length = self._buffer.find(b"\0", start) - start
            if (available if length < 0 else length) > MAX_BODY_BYTES:
                raise TooLongFrame
            if length < 0:
                return None
        body = self._buffer[start : start + length]
        self._buffer = self._buffer[start + length + 1 :]
        return WireFrame(command, headers, body)


def sns_signature(stored_hash: str, headers: dict[str, str], signed: list[str], date: str) -> str:
    """Return the signature that an authentication must have.

    `stored_hash` is the password's bcrypt hash; `date` is `YYYYMMDDTHHMMSSZ`. A header's date is
    always among what is signed.
    """
    names = sorted({"date", *(name.lower() for name in signed)})
    canonical = ["SEND", "/setup/authenticate"]
    canonical += [f"{name}:{' '.join(headers.get(name, '').split())}" for name in names]
    canonical += [";".join(names), _EMPTY_SHA256]
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    secret = hashlib.sha256(stored_hash.encode()).hexdigest()
    day_key = hmac.digest(f"SNS{secret}".encode(), date[:8].encode(), "sha256")
    key = hmac.digest(day_key, b"sns_request", "sha256")
    return hmac.digest(key, f"SNS-HMAC-SHA256\n{date}\n{digest}".encode(), "sha256").hex()


def ant_matches(pattern: str, path: str) -> bool:
    """Say whether an Ant pattern (`?`, `*`, `**`) matches."""
    parts = re.split(r"(/\*\*/|/\*\*$|^\*\*/|\*\*|\*|\?)", pattern)
    expression = "".join(
        {
            "/**/": "/(?:.*/)?",
            "/**": "(?:/.*)?",
            "**/": "(?:.*/)?",
            "**": ".*",
            "*": "[^/]*",
            "?": "[^/]",
        }.get(part, re.escape(part))
        for part in parts
    )
    return re.fullmatch(expression, path) is not None
