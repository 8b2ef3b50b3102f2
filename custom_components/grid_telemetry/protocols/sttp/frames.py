"""Frames, operational modes and strings: what both ends of an STTP command channel share.

A frame is a big-endian u32 length and a payload; a command payload is a code and data, a response
payload a code, the command it answers, a u32 length of its data, and the data (IEEE 2664, 5.4).
"""

import asyncio
from dataclasses import dataclass
import gzip
import struct
from typing import Final
import zlib

from .constants import (
    ENCODING_MASK,
    VERSION_MASK,
    DataPacketFlags,
    ModeFlags,
    ServerCommand,
    ServerResponse,
)

RESPONSE_HEADER: Final = struct.Struct(">IBBI")
_LENGTH: Final = struct.Struct(">I")
_COMMAND: Final = struct.Struct(">IB")
_SUBSCRIBE: Final = struct.Struct(">BI")
# A list of as many signals; to read it takes some milliseconds.
MAX_PARTS: Final = 20_000
# The encoding bits of the operational modes; 2664 itself knows UTF-8 only.
_ENCODINGS: Final = {0x000: "utf-16-le", 0x100: "utf-16-be", 0x200: "utf-8"}


class SttpError(Exception):
    """The peer broke the protocol, or ended the session."""


def command(code: int, data: bytes = b"") -> bytes:
    """Return the frame of a command."""
    return _COMMAND.pack(1 + len(data), code) + data


def response(code: int, in_response_to: int, data: bytes = b"") -> bytes:
    """Return the frame of a response."""
    return RESPONSE_HEADER.pack(6 + len(data), code, in_response_to, len(data)) + data


NOOP: Final = response(ServerResponse.NOOP, ServerCommand.SUBSCRIBE)


async def read_frame(
    reader: asyncio.StreamReader, limit: int, *, within_s: float | None = None
) -> bytes:
    """Return the next payload of 1 to limit bytes, which has to follow its length within_s.

    Raises SttpError for a length out of bounds, TimeoutError for a promise not kept, and
    IncompleteReadError where the peer has gone.
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(4))
    if not 0 < length <= limit:
        raise SttpError(f"Frame of {length} bytes; {limit} is the limit")
    async with asyncio.timeout(within_s):
        return await reader.readexactly(length)


@dataclass(frozen=True, kw_only=True)
class OperationalModes:
    """What a subscriber asks of the connection with DEFINE OPERATIONAL MODES."""

    version: int = 2
    encoding: str = "utf-8"
    tssc: bool = True
    """Payload compressed with TSSC; the publisher may send compact packets all the same."""
    compress_cache: bool = True
    """Signal index cache compressed with GZip."""
    compress_metadata: bool = True
    """Metadata compressed with GZip."""
    internal_metadata: bool = True
    """Metadata of the signals that the publisher measures itself."""
    external_metadata: bool = True
    """Metadata of the signals that it relays; a C# publisher sends none unless asked for it."""

    @classmethod
    def decode(cls, data: bytes) -> OperationalModes:
        """Read the big-endian u32 of the command; raises SttpError where it is not one."""
        if len(data) < 4:
            raise SttpError("Operational modes need four bytes")
        (modes,) = _LENGTH.unpack_from(data)
        if (encoding := _ENCODINGS.get(modes & ENCODING_MASK)) is None:
            raise SttpError("Unknown string encoding")
        tssc = ModeFlags.COMPRESS_PAYLOAD_DATA | ModeFlags.TSSC
        # By default a C# subscriber asks for compression without saying how: it gets none.
        gzipped_cache = ModeFlags.COMPRESS_SIGNAL_INDEX_CACHE | ModeFlags.GZIP
        gzipped_metadata = ModeFlags.COMPRESS_METADATA | ModeFlags.GZIP
        return cls(
            version=modes & VERSION_MASK,
            encoding=encoding,
            tssc=modes & tssc == tssc,
            compress_cache=modes & gzipped_cache == gzipped_cache,
            compress_metadata=modes & gzipped_metadata == gzipped_metadata,
            internal_metadata=bool(modes & ModeFlags.RECEIVE_INTERNAL_METADATA),
            external_metadata=bool(modes & ModeFlags.RECEIVE_EXTERNAL_METADATA),
        )

    def encode(self) -> bytes:
        """Return the data of the command."""
        modes = self.version | ModeFlags.GZIP
        modes |= next(bits for bits, name in _ENCODINGS.items() if name == self.encoding)
        if self.tssc:
            modes |= ModeFlags.COMPRESS_PAYLOAD_DATA | ModeFlags.TSSC
        if self.compress_cache:
            modes |= ModeFlags.COMPRESS_SIGNAL_INDEX_CACHE
        if self.compress_metadata:
            modes |= ModeFlags.COMPRESS_METADATA
        if self.internal_metadata:
            modes |= ModeFlags.RECEIVE_INTERNAL_METADATA
        if self.external_metadata:
            modes |= ModeFlags.RECEIVE_EXTERNAL_METADATA
        return _LENGTH.pack(modes)


def inflate(data: bytes, limit: int) -> bytes:
    """Undo GZip; raises SttpError where it is none, is cut, or grows past limit bytes."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        inflated = inflater.decompress(data, limit + 1)
    except zlib.error as err:
        raise SttpError(f"Not GZip: {err}") from err
    if len(inflated) > limit:
        raise SttpError(f"More than {limit} bytes after decompression")
    if not inflater.eof:
        raise SttpError("GZip data cut short")
    return inflated


def deflate(data: bytes) -> bytes:
    """Return data in GZip, the same bytes every time."""
    return gzip.compress(data, compresslevel=6, mtime=0)


def subscribe_data(settings: dict[str, str], encoding: str) -> bytes:
    """Return the data of SUBSCRIBE: flags, u32 length, connection string.

    A value with ';' or '=' in it, such as a filter expression, is put in braces.
    """
    text = ";".join(
        f"{key}={{{value}}}" if ";" in value or "=" in value else f"{key}={value}"
        for key, value in settings.items()
    ).encode(encoding)
    return _SUBSCRIBE.pack(DataPacketFlags.COMPACT, len(text)) + text


def subscribe_settings(data: bytes, encoding: str) -> dict[str, str]:
    """Read the data of SUBSCRIBE; keys in lower case.

    Raises SttpError where the length is not that of the string, or the string is empty or broken,
    or frames aligned by time are asked for.
    """
    if len(data) < _SUBSCRIBE.size:
        raise SttpError("Not enough data for a subscription")
    flags, length = _SUBSCRIBE.unpack_from(data)
    if flags & DataPacketFlags.SYNCHRONIZED:
        raise SttpError("Synchronized subscriptions are not offered, only unsynchronized ones")
    if not length:
        raise SttpError("A subscription needs a connection string")
    if length > len(data) - _SUBSCRIBE.size:
        raise SttpError("The connection string is shorter than its length says")
    return settings(decode_text(data[_SUBSCRIBE.size :][:length], encoding))


def decode_text(data: bytes, encoding: str) -> str:
    """Decode a string of the peer; raises SttpError where it cannot be."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as err:
        raise SttpError(f"Not {encoding} text") from err


def settings(text: str) -> dict[str, str]:
    """Split "key=value; key={nested=value; …}" where no brace is open; keys in lower case."""
    if text.count(";") > MAX_PARTS:
        raise SttpError(f"More than {MAX_PARTS} semicolons in a connection string")
    result: dict[str, str] = {}
    parts: list[str] = []
    depth = 0
    for part in text.split(";"):
        parts.append(part)
        depth += part.count("{") - part.count("}")
        if depth < 0:
            raise SttpError("A brace is closed that was not opened")
        if not depth:
            _take(";".join(parts), result)
            parts.clear()
    if depth:
        raise SttpError("A brace is not closed")
    return result


def _take(part: str, into: dict[str, str]) -> None:
    """Put one "key=value" into a dictionary, without the outer braces of its value."""
    key, equals, value = part.partition("=")
    if not equals:
        # The Go subscriber writes requestNaNValueFilterfalse, which no publisher refuses.
        return
    value = value.strip()
    if value.startswith("{") and value.endswith("}"):
        value = value[1:-1].strip()
    into[key.strip().lower()] = value
