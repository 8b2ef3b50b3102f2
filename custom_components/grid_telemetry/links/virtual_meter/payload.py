"""The registers of the meters that are played: from the values of quantities to words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
import math
from pathlib import Path
import struct
from typing import Final

from ... import meters
from ...meters import (
    AsMeter,
    Register,
    RegisterMap,
    RegisterMapError,
    RegisterSpace,
    Span,
    WhenOld,
    read_register_map,
)
from ...meters.adjust import is_directed_power
from ...meters.sunspec import BASES, COMMON_MODEL, SunSpecPlace, sunspec_map
from ...meters.words import encode, encode_text
from ...protocols.modbus_server.frames import ExceptionCode, RequestRefusedError
from ...vocabulary.quantities import QUANTITIES
from .const import PROFILES, SUNSPEC_PROFILES

_SPACES: Final[Mapping[int, RegisterSpace]] = {3: "holding", 4: "input"}
_NAME: Final = "Grid Telemetry"
_VERSION: Final = "1"
_SUNSPEC_END: Final = (0xFFFF, 0)
# What a model holds while nothing is known: "not available" for each point, no event. Integers and
# scale factors, then counters; floats.
_UNKNOWN: Final[Mapping[int, Sequence[int]]] = {
    203: [0x8000] * 36 + [0] * 69,
    213: [0x7FC0, 0] * 61 + [0, 0],
}
# The scale factors of model 203 by unit, 0 for others: 327 A in steps of 0.01 A, 3276 V, 327 Hz,
# 32.7 kW in steps of 1 W, a power factor in steps of 0.0001, and counters in Wh.
_EXPONENTS: Final[Mapping[str | None, int]] = {"A": -2, "V": -1, "Hz": -2, None: -2}


@dataclass(frozen=True, kw_only=True)
class _SunSpec:
    """A SunSpec meter that is played, and what it says of itself."""

    model: int
    name: str
    common_length: int = 65
    """Without the register that fills it up to 66, as the meters of Fronius have it."""
    manufacturer: str = _NAME
    product: str
    options: str = ""
    version: str = _VERSION


_FRONIUS: Final = "Smart Meter TS 65A-3"
_SUNSPEC: Final[Mapping[str, _SunSpec]] = {
    f"{family}_{model}{padding}": _SunSpec(
        model=model,
        name=f"SunSpec {model}{' (common model of 66 registers)' if padding else ''}"
        if family == "sunspec"
        else f"Fronius {_FRONIUS} ({model})",
        common_length=66 if padding else 65,
        manufacturer=_NAME if family == "sunspec" else "Fronius",
        product=f"SunSpec {model}" if family == "sunspec" else _FRONIUS,
        options="" if family == "sunspec" else "<primary>",
        version=_VERSION if family == "sunspec" else "1.1",
    )
    for family, padding in (("sunspec", ""), ("sunspec", "_padded"), ("fronius", ""))
    for model in (203, 213)
}


class UnknownMeterError(LookupError):
    """There is no meter of a name: its map is gone or cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Registers in a row; those of a quantity that is not mapped read as they are here."""

    first: int
    words: list[int]
    writable: frozenset[int] = frozenset()
    """The addresses that a master may write."""

    @property
    def end(self) -> int:
        """Return the address after the last register."""
        return self.first + len(self.words)


@dataclass(frozen=True, kw_only=True)
class Image:
    """All registers of a meter."""

    as_meter: AsMeter
    blocks: Mapping[RegisterSpace, Sequence[Block]]
    quantities: Mapping[str, Sequence[Register]]
    """Where each quantity is; most are in one place."""
    alone: Mapping[tuple[RegisterSpace, int, int], Sequence[int]]
    """What a request for just that reads; some meters have it in the place of a value."""
    exponents: Mapping[str, int]
    """Of the scale factor that each quantity has in a register of its own."""
    has_nan: bool
    """Whether a float that is not available is NaN; other meters have 0."""

    def read(
        self,
        function: int,
        address: int,
        count: int,
        values: Mapping[str, Callable[[], float | None]],
    ) -> list[int]:
        """Return registers, with the values of the mapped quantities in them.

        A value that is None reads as one that is not mapped does, and one that is NaN as "not
        available". Raises `RequestRefusedError` as the meter would, and what a value raises.
        """
        space = self._space(function)
        end = address + count
        if (words := self.alone.get((space, address, count))) is not None:
            return list(words)
        block = self._block(space, address, count)
        answer = block.words[address - block.first : end - block.first]
        for key, value in values.items():
            for register in self.quantities[key]:
                if (
                    (self.as_meter.both_spaces or register.space == space)
                    and register.address < end
                    and address < register.end
                    and (known := value()) is not None
                ):
                    new = self._words(key, register, known)
                    for at, word in enumerate(new, register.address - address):
                        if 0 <= at < count:
                            answer[at] = word
        return answer

    def has(self, function: int, address: int, count: int) -> bool:
        """Return whether the meter answers a request."""
        try:
            self._block(self._space(function), address, count)
        except RequestRefusedError:
            return False
        return True

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write constants that a master may write; raises `RequestRefusedError` for others."""
        blocks = self.blocks.get("holding", ())
        if not any(block.writable for block in blocks):
            raise RequestRefusedError(ExceptionCode.ILLEGAL_FUNCTION)
        written = range(address, address + len(words))
        for block in blocks:
            if block.writable.issuperset(written):
                block.words[address - block.first : written.stop - block.first] = words
                return
        raise RequestRefusedError(ExceptionCode.ILLEGAL_ADDRESS)

    def can_say_not_available(self) -> bool:
        """Return whether the meter has a value that says so of a power."""
        power = self.quantities.get("power", ())
        return self.has_nan or any(register.nan for register in power)

    def _block(self, space: RegisterSpace, address: int, count: int) -> Block:
        if not (blocks := self.blocks.get(space, ())):
            raise RequestRefusedError(ExceptionCode.ILLEGAL_FUNCTION)
        if count > self.as_meter.max_span:
            raise RequestRefusedError(ExceptionCode.ILLEGAL_VALUE)
        for block in blocks:
            if block.first <= address and address + count <= block.end:
                return block
        raise RequestRefusedError(ExceptionCode.ILLEGAL_ADDRESS)

    def _space(self, function: int) -> RegisterSpace:
        return "holding" if self.as_meter.both_spaces else _SPACES[function]

    def _words(self, key: str, register: Register, value: float) -> Sequence[int]:
        if math.isnan(value):
            return self._not_available(register) or [0] * register.count
        scale = register.scale.scaleb(self.exponents.get(key, 0))
        if register.ratio_or_percent and register.scale_address is not None:
            # The standard has a power factor in percent where it is an integer.
            scale = scale.scaleb(-2)
        try:
            return encode(register, value / float(scale))
        except (struct.error, OverflowError) as err:
            # More than the register holds, which nothing but "not available" can stand for.
            words = self._not_available(register)
            if words is None or QUANTITIES[key].counter:
                raise RequestRefusedError(ExceptionCode.DEVICE_FAILURE) from err
            return words

    def _not_available(self, register: Register) -> Sequence[int] | None:
        """Return what says "not available" in a register; None if nothing does."""
        if register.nan:
            raw = min(register.nan)
            return struct.unpack(f">{register.count}H", raw.to_bytes(2 * register.count))
        if self.has_nan and register.type.startswith("float"):
            return encode(register, math.nan)
        return None


@cache
def register_map_of(profile: str) -> RegisterMap:
    """Return where the meter of a profile keeps its quantities. Blocking: it may read a file."""
    if (sunspec := _SUNSPEC.get(profile)) is not None:
        common = BASES[0] + 2
        return sunspec_map(
            SunSpecPlace(
                model=sunspec.model,
                instance=0,
                address=common + 2 + sunspec.common_length,
                length=len(_UNKNOWN[sunspec.model]),
                common=common,
                manufacturer=sunspec.manufacturer,
                product=sunspec.product,
            )
        )
    return read_register_map(Path(meters.__file__).with_name(f"{PROFILES[profile]}.yaml"))


def own_maps(folder: Path) -> Mapping[str, RegisterMap]:
    """Return a user's register maps by the meters that can be played after them.

    Blocking: it reads files. One that cannot be used is left out.
    """
    found: dict[str, RegisterMap] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            register_map = read_register_map(path)
        except RegisterMapError:
            # The reader of meters tells of it.
            continue
        found |= dict.fromkeys(register_map.as_meter, register_map)
    return found


def image_of(
    profile: str,
    own: Mapping[str, RegisterMap],
    *,
    unit: int,
    serial_number: int,
    export_positive: bool | None = None,
) -> Image:
    """Return the registers of a meter, one of the user's before one that is shipped.

    Blocking: it may read a file. `export_positive` is whether a positive power is one that is
    exported; None leaves it to the profile. Raises `UnknownMeterError`.
    """
    if profile not in own and profile not in PROFILES and profile not in _SUNSPEC:
        raise UnknownMeterError(profile)
    register_map = own.get(profile) or register_map_of(profile)
    if profile not in own and (sunspec := _SUNSPEC.get(profile)) is not None:
        return _sunspec(profile, sunspec, register_map, unit, str(serial_number), export_positive)
    as_meter = register_map.as_meter[profile]
    quantities = _places(register_map, as_meter)
    constants: list[tuple[Register, Sequence[int], bool]] = [
        (constant.register, constant.words, constant.writable) for constant in as_meter.constants
    ]
    if (serial := register_map.serial_number) is not None:
        words = (
            encode_text(f"{serial_number:010}", serial.count)
            if serial.type == "string"
            else encode(serial, serial_number)
        )
        constants.append((serial, words, False))
    blocks: dict[RegisterSpace, list[Block]] = {}
    taken = {
        ("holding" if as_meter.both_spaces else register.space, address)
        for registers in quantities.values()
        for register in registers
        for address in range(register.address, register.end)
    }
    alone: dict[tuple[RegisterSpace, int, int], Sequence[int]] = {}
    inside: list[tuple[Register, Sequence[int], bool]] = []
    for register, values, may_write in constants:
        space: RegisterSpace = "holding" if as_meter.both_spaces else register.space
        if (space, register.address) in taken:
            alone[space, register.address, register.count] = values
        else:
            inside.append((register, values, may_write))
    for span in as_meter.blocks:
        space = "holding" if as_meter.both_spaces else span.space
        blocks.setdefault(space, []).append(_filled(span, inside, as_meter.both_spaces))
    return _turned(
        Image(
            as_meter=as_meter,
            blocks=blocks,
            quantities=quantities,
            alone=alone,
            exponents={},
            has_nan=False,
        ),
        export_positive,
    )


def _places(register_map: RegisterMap, as_meter: AsMeter) -> Mapping[str, Sequence[Register]]:
    """Return where the meter has each quantity."""
    places = {key: [register] for key, register in register_map.quantities.items()}
    for key, register in as_meter.also:
        places[key].append(register)
    if not as_meter.unscaled:
        return places
    return {
        key: [replace(register, scale=Decimal(1)) for register in registers]
        for key, registers in places.items()
    }


def _filled(
    span: Span, constants: Sequence[tuple[Register, Sequence[int], bool]], both: bool
) -> Block:
    """Return the registers of a span with the constants that lie in it."""
    words = [0] * (span.last + 1 - span.first)
    writable: set[int] = set()
    for register, values, may_write in constants:
        inside = span.first <= register.address and register.end <= span.last + 1
        if inside and (both or register.space == span.space):
            words[register.address - span.first : register.end - span.first] = values
            if may_write:
                writable.update(range(register.address, register.end))
    return Block(first=span.first, words=words, writable=frozenset(writable))


def _turned(image: Image, export_positive: bool | None) -> Image:
    """Return a meter with its power turned where that is wanted."""
    if export_positive is None:
        export_positive = image.as_meter.export_positive
    if not export_positive:
        return image
    return replace(
        image,
        quantities={
            key: [replace(register, scale=-register.scale) for register in registers]
            if is_directed_power(key)
            else registers
            for key, registers in image.quantities.items()
        },
    )


@cache
def profile_names() -> Mapping[str, str]:
    """Return what the profiles are called. Blocking: it reads files."""
    return {
        **{profile: _SUNSPEC[profile].name for profile in SUNSPEC_PROFILES},
        **{profile: register_map_of(profile).as_meter[profile].name for profile in PROFILES},
    }


def _sunspec(
    profile: str,
    sunspec: _SunSpec,
    register_map: RegisterMap,
    unit: int,
    serial_number: str,
    export_positive: bool | None,
) -> Image:
    unknown = _UNKNOWN[sunspec.model]
    words = [
        *encode_text("SunS", 2),
        *(COMMON_MODEL, sunspec.common_length),
        *encode_text(sunspec.manufacturer, 16),
        *encode_text(sunspec.product, 16),
        *encode_text(sunspec.options, 8),
        *encode_text(sunspec.version, 8),
        *encode_text(serial_number, 16),
        unit,
        *[0x8000] * (sunspec.common_length - 65),
        *(sunspec.model, len(unknown)),
        *unknown,
        *_SUNSPEC_END,
    ]
    first = BASES[0]
    exponents: dict[str, int] = {}
    for key, register in register_map.quantities.items():
        if register.scale_address is not None:
            exponent = exponents[key] = _EXPONENTS.get(QUANTITIES[key].unit, 0)
            words[register.scale_address - first] = exponent & 0xFFFF
    image = Image(
        as_meter=AsMeter(key=profile, name=sunspec.name, when_old=WhenOld.NOT_AVAILABLE),
        blocks={"holding": [Block(first=first, words=words)]},
        quantities={key: [register] for key, register in register_map.quantities.items()},
        alone={},
        exponents=exponents,
        has_nan=True,
    )
    return _turned(image, export_positive)
