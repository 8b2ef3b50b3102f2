"""The signal index cache: signal index to signal ID and measurement key, per subscription.

IEEE 2664 UPDATE SIGNAL INDEX CACHE: from version 2 a byte with the cache's index (0 or 1) first;
then, GZipped where asked, u32 length of the whole, the subscriber's GUID, u32 count, and for each
signal its i32 index, GUID, u32-prefixed source and u64 id; last a u32 count of unauthorized GUIDs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import struct
from typing import Final
from uuid import UUID

from .frames import OperationalModes, SttpError, decode_text, deflate, inflate

_HEADER: Final = struct.Struct(">I16sI")
_KEY: Final = struct.Struct(">i16sI")
_ID: Final = struct.Struct(">Q")
_NONE_UNAUTHORIZED: Final = bytes(4)
# No cache of a million signals is larger than this.
_MAX_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class SignalKey:
    """A signal's ID and its measurement key, "source:id"."""

    signal_id: UUID
    source: str
    id: int


@dataclass(frozen=True, kw_only=True)
class SignalIndexCache:
    """The signals of one subscription by their index on the wire."""

    subscriber_id: UUID
    signals: Mapping[int, SignalKey]

    def encode(self, modes: OperationalModes, cache_index: int) -> bytes:
        """Return the data of UPDATE SIGNAL INDEX CACHE; cache_index is left out in version 1."""
        parts: list[bytes] = []
        for index, key in self.signals.items():
            source = key.source.encode(modes.encoding)
            parts += (
                _KEY.pack(index, key.signal_id.bytes, len(source)),
                source,
                _ID.pack(key.id),
            )
        parts.append(_NONE_UNAUTHORIZED)
        length = _HEADER.size + sum(map(len, parts))
        header = _HEADER.pack(length, self.subscriber_id.bytes, len(self.signals))
        data = b"".join((header, *parts))
        if modes.compress_cache:
            data = deflate(data)
        return bytes((cache_index,)) + data if modes.version > 1 else data

    @classmethod
    def decode(cls, data: bytes, modes: OperationalModes) -> tuple[int, SignalIndexCache]:
        """Return the index of a received cache, and the cache; raises SttpError."""
        cache_index = 0
        if modes.version > 1:
            cache_index = 1 if data[:1] > b"\0" else 0
            data = data[1:]
        if modes.compress_cache:
            data = inflate(data, _MAX_BYTES)
        try:
            return cache_index, cls._parse(data, modes.encoding)
        except (struct.error, ValueError) as err:
            raise SttpError("Signal index cache cut short") from err

    @classmethod
    def _parse(cls, data: bytes, encoding: str) -> SignalIndexCache:
        """Read the uncompressed form; a publisher may leave out the unauthorized count."""
        _length, subscriber, count = _HEADER.unpack_from(data)
        position = _HEADER.size
        signals: dict[int, SignalKey] = {}
        for _ in range(count):
            index, signal_id, source_length = _KEY.unpack_from(data, position)
            position += _KEY.size
            source = decode_text(data[position : position + source_length], encoding)
            position += source_length
            (number,) = _ID.unpack_from(data, position)
            position += _ID.size
            signals[index] = SignalKey(signal_id=UUID(bytes=signal_id), source=source, id=number)
        return cls(subscriber_id=UUID(bytes=subscriber), signals=signals)
