"""STOMP as the stand-ins speak it.

Written apart from the integration's own codec on purpose, so that each checks the other. It
follows what RabbitMQ does: escapes count in every frame of every version, a command may be any
word, every frame is followed by a line feed.
"""

import re
from typing import NamedTuple


class WireError(Exception):
    """What arrived is not STOMP; the text is what RabbitMQ would close with, or near to it."""


class WireFrame(NamedTuple):
    """One frame; `size` is what it took on the wire."""

    command: str
    headers: dict[str, str]
    body: bytes
    size: int


_HEAD = re.compile(
    rb"(?P<command>[^\r\n\0:]+)\r?\n(?P<headers>(?:[^\r\n\0]+\r?\n)*)\r?\n", re.DOTALL
)
_PLAIN = {"\\n": "\n", "\\r": "\r", "\\c": ":", "\\\\": "\\"}


def _plain(match: re.Match[str]) -> str:
    if match[0] not in _PLAIN:
        raise WireError(f"{{bad_escape,{match[0]!r}}}")
    return _PLAIN[match[0]]


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise WireError(f'{{header_no_value,"{name}"}}')
    return re.sub(r"\\.?", _plain, name), re.sub(r"\\.?", _plain, value)


def take_frame(data: bytes, limit: int = 1024 * 1024) -> tuple[WireFrame | None, bytes]:
    """Return the first frame of some bytes and the bytes after it.

    The frame is None as long as it is not complete, within a limit in bytes. Raises WireError.
    """
    frame, rest = _take_frame(data.lstrip(b"\r\n"))
    if frame is None and len(rest) > limit:
        raise WireError("{frame_too_large}")
    return frame, rest


def _take_frame(data: bytes) -> tuple[WireFrame | None, bytes]:
    head = _HEAD.match(data)
    if head is None:
        if b"\0" in data or b"\n\n" in data or b"\n\r\n" in data:
            raise WireError("{unexpected_chars_in_header}")
        return None, data
    try:
        lines = head["headers"].decode().replace("\r", "").split("\n")[:-1]
        command = head["command"].decode()
    except UnicodeDecodeError as err:
        raise WireError("{not_utf8}") from err
    headers: dict[str, str] = {}
    for name, value in map(_header, lines):
        headers.setdefault(name, value)
    start = head.end()
    if "content-length" in headers:
        if not headers["content-length"].isdecimal():
            raise WireError("{bad_content_length}")
        end = start + int(headers["content-length"])
        if end >= len(data):
            return None, data
        if data[end : end + 1] != b"\0":
            raise WireError("{missing_body_terminator}")
    else:
        end = data.find(b"\0", start)
        if end < 0:
            return None, data
    return WireFrame(command, headers, data[start:end], end + 1), data[end + 1 :]


def escape(text: str) -> str:
    """Return a header name or value as it goes over the wire."""
    for plain, escaped in (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), (":", "\\c")):
        text = text.replace(plain, escaped)
    return text


def put_frame(command: str, headers: dict[str, str], body: str = "") -> str:
    """Return a frame as text."""
    lines = [f"{escape(name)}:{escape(value)}" for name, value in headers.items()]
    if body:
        lines.append(f"content-length:{len(body.encode())}")
    return "\n".join([command, *lines, "", body]) + "\0\n"
