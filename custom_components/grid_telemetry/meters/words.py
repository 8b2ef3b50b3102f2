"""From values to register words, for meters that are played."""

from collections.abc import Sequence
import struct
from typing import Final

from .model import Register

_CODES: Final = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "float32": "f",
    "int64": "q",
    "uint64": "Q",
    "float64": "d",
}


def encode(register: Register, raw: float) -> Sequence[int]:
    """Return a raw value in words; raises struct.error or OverflowError if it does not fit."""
    if register.type == "split64":
        # Two uint32, the thousands and the rest, each with its words in the order of the register.
        halves = [struct.pack(">I", half) for half in divmod(round(raw), 1000)]
        words = [struct.unpack(">2H", half) for half in halves]
        return [word for pair in words for word in _ordered(register, pair)]
    code = _CODES[register.type]
    packed = struct.pack(f">{code}", raw if code in "fd" else round(raw))
    return _ordered(register, struct.unpack(f">{register.count}H", packed))


def encode_text(text: str, count: int) -> Sequence[int]:
    """Return a text in words, two characters each; raises ValueError if it does not fit."""
    data = text.encode("ascii")
    if len(data) > 2 * count:
        raise ValueError(f"{text} is longer than {2 * count} characters")
    return struct.unpack(f">{count}H", data.ljust(2 * count, b"\0"))


def _ordered(register: Register, words: Sequence[int]) -> Sequence[int]:
    return words if register.word_order == "big" else words[::-1]
