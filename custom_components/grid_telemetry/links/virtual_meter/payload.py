"""The registers of the meters that are played: from the values of quantities to words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
import math
from pathlib import Path
import struct
from typing import Final

from ... import meters
from ...meters import Register, RegisterMap, RegisterSpace, read_register_map
from ...meters.sunspec import BASES, COMMON_MODEL, SunSpecPlace, sunspec_map
from ...protocols.modbus_server.frames import ExceptionCode, RequestRefusedError
from ...vocabulary.quantities import QUANTITIES
from .const import PROFILE_NAMES, Profile

_SPACES: Final[Mapping[int, RegisterSpace]] = {3: "holding", 4: "input"}
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
_MANUFACTURER: Final = "Grid Telemetry"
_VERSION: Final = "1"

# The models that are served: number, and what they hold while nothing is known: "not available"
# for each point, no event.
_SUNSPEC: Final[Mapping[Profile, tuple[int, Sequence[int]]]] = {
    # Integers and scale factors, then counters.
    Profile.SUNSPEC_203: (203, [0x8000] * 36 + [0] * 69),
    Profile.SUNSPEC_213: (213, [0x7FC0, 0] * 61 + [0, 0]),
}
_COMMON_LENGTH: Final = 66
_SUNSPEC_END: Final = (0xFFFF, 0)
# The scale factors of model 203 by unit, 0 for others: 327 A in steps of 0.01 A, 3276 V, 327 Hz,
# 32.7 kW in steps of 1 W, a power factor in steps of 0.0001, and counters in Wh.
_EXPONENTS: Final[Mapping[str | None, int]] = {"A": -2, "V": -1, "Hz": -2, None: -2}


@dataclass(frozen=True, kw_only=True)
class Block:
    """Registers in a row; those of a quantity that is not mapped read as they are here."""

    first: int
    words: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Image:
    """All registers of a meter."""

    register_map: RegisterMap
    blocks: Mapping[RegisterSpace, Block]
    exponents: Mapping[str, int]
    """Of the scale factor that each quantity has in a register of its own."""
    has_nan: bool
    """Whether the meter has a value for "not available"; another one refuses the request."""

    def read(
        self,
        function: int,
        address: int,
        count: int,
        values: Mapping[str, Callable[[], float | None]],
    ) -> list[int]:
        """Return registers, with the values of the mapped quantities in them.

        Raises `RequestRefusedError` as the meter would.
        """
        space = _SPACES[function]
        if (block := self.blocks.get(space)) is None:
            raise RequestRefusedError(ExceptionCode.ILLEGAL_FUNCTION)
        if count > self.register_map.max_span:
            raise RequestRefusedError(ExceptionCode.ILLEGAL_VALUE)
        end = address + count
        if address < block.first or end > block.first + len(block.words):
            raise RequestRefusedError(ExceptionCode.ILLEGAL_ADDRESS)
        words = list(block.words[address - block.first : end - block.first])
        for key, value in values.items():
            register = self.register_map.quantities[key]
            if register.space == space and register.address < end and address < register.end:
                new = self._words(key, value())
                for at, word in enumerate(new, register.address - address):
                    if 0 <= at < count:
                        words[at] = word
        return words

    def _words(self, key: str, value: float | None) -> Sequence[int]:
        register = self.register_map.quantities[key]
        if value is not None:
            scale = register.scale.scaleb(self.exponents.get(key, 0))
            if register.ratio_or_percent and register.scale_address is not None:
                # The standard has a power factor in percent where it is an integer.
                scale = scale.scaleb(-2)
            try:
                return encode(register, value / float(scale))
            except struct.error, OverflowError:
                # More than the register holds.
                pass
        # In a counter of SunSpec 0 stands for "not available": a master would book the rest.
        if not self.has_nan or QUANTITIES[key].counter:
            raise RequestRefusedError(ExceptionCode.DEVICE_FAILURE)
        return _not_available(register)


def encode(register: Register, raw: float) -> Sequence[int]:
    """Return a raw value in words; raises struct.error or OverflowError if it does not fit."""
    code = _CODES[register.type]
    packed = struct.pack(f">{code}", raw if code in "fd" else round(raw))
    words = struct.unpack(f">{register.count}H", packed)
    return words if register.word_order == "big" else words[::-1]


def _not_available(register: Register) -> Sequence[int]:
    if not register.nan:
        return encode(register, math.nan)
    raw = min(register.nan)
    return struct.unpack(f">{register.count}H", raw.to_bytes(2 * register.count))


@cache
def register_map_of(profile: Profile) -> RegisterMap:
    """Return where the meter of a profile keeps its quantities. Blocking: it may read a file."""
    if profile not in _SUNSPEC:
        return read_register_map(Path(meters.__file__).with_name(f"{profile}.yaml"))
    model, words = _SUNSPEC[profile]
    common = BASES[0] + 2
    return sunspec_map(
        SunSpecPlace(
            model=model,
            instance=0,
            address=common + 2 + _COMMON_LENGTH,
            length=len(words),
            common=common,
            manufacturer=_MANUFACTURER,
            product=PROFILE_NAMES[profile],
        )
    )


def image_of(profile: Profile, *, unit: int, serial_number: int) -> Image:
    """Return the registers of a meter. Blocking: it may read a file."""
    register_map = register_map_of(profile)
    if profile in _SUNSPEC:
        return _sunspec(profile, register_map, unit, str(serial_number))
    spaces: dict[RegisterSpace, Block] = {}
    for register in register_map.quantities.values():
        # From the first register on: those without a quantity are reserved, and read as zero.
        known = spaces.get(register.space)
        end = max(register.end, 0 if known is None else len(known.words))
        spaces[register.space] = Block(first=0, words=[0] * end)
    if (serial := register_map.serial_number) is not None:
        spaces[serial.space] = Block(first=serial.address, words=encode(serial, serial_number))
    return Image(register_map=register_map, blocks=spaces, exponents={}, has_nan=False)


def _sunspec(profile: Profile, register_map: RegisterMap, unit: int, serial_number: str) -> Image:
    model, unknown = _SUNSPEC[profile]
    words = [
        *_text("SunS", 2),
        *(COMMON_MODEL, _COMMON_LENGTH),
        *_text(_MANUFACTURER, 16),
        *_text(PROFILE_NAMES[profile], 16),
        *_text("", 8),
        *_text(_VERSION, 8),
        *_text(serial_number, 16),
        *(unit, 0x8000),
        *(model, len(unknown)),
        *unknown,
        *_SUNSPEC_END,
    ]
    first = BASES[0]
    exponents: dict[str, int] = {}
    for key, register in register_map.quantities.items():
        if register.scale_address is not None:
            exponent = exponents[key] = _EXPONENTS.get(QUANTITIES[key].unit, 0)
            words[register.scale_address - first] = exponent & 0xFFFF
    return Image(
        register_map=register_map,
        blocks={"holding": Block(first=first, words=words)},
        exponents=exponents,
        has_nan=True,
    )


def _text(text: str, count: int) -> Sequence[int]:
    return struct.unpack(f">{count}H", text.encode("ascii").ljust(2 * count, b"\0"))
