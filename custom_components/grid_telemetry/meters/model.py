"""What a register map says: which registers a meter family has, and how to read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal

type RegisterSpace = Literal["input", "holding"]
type WordOrder = Literal["big", "little"]

# Registers that a value of each type takes; text and versions say it themselves (`length`).
TYPES: Mapping[str, int] = {
    "int16": 1,
    "uint16": 1,
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
    # Two uint32, the thousands and the rest: kWh and Wh.
    "split64": 4,
}
TEXT_TYPES = ("string", "version")

# Direct meters of a house stay far below; one behind large current transformers tells its own.
DEFAULT_RATED_POWER_W = 100_000.0

ADDRESSES = 0x10000


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """Where one value is kept: `value = raw * scale`, raw words in `nan` mean "not available"."""

    address: int
    type: str
    count: int
    space: RegisterSpace
    word_order: WordOrder
    scale: Decimal = Decimal(1)
    nan: frozenset[int] = frozenset()
    # Where the meter keeps the power of ten that the value is multiplied by as well (SunSpec).
    scale_address: int | None = None
    # Some makers keep a counter as a negative number.
    magnitude: bool = False
    # Whether it is a ratio, or a percentage by one that was above 1 (SunSpec's power factors).
    ratio_or_percent: bool = False
    # For an enumeration: the number of the quantity's option by raw value.
    codes: Mapping[int, int] | None = None

    @property
    def end(self) -> int:
        """Return the address after the last register."""
        return self.address + self.count


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What a register of the meter family says, to tell the family from others.

    Its value is one of `equals`, lies in `between`, both ends included, or is a text that starts
    with one of `starts_with`.
    """

    register: Register
    equals: tuple[int | float | str, ...] = ()
    between: tuple[float, float] | None = None
    starts_with: tuple[str, ...] = ()

    def holds(self, value: float | str | None) -> bool:
        """Return whether a value read from the register, scaled, fits; None never does."""
        if isinstance(value, str):
            return value in self.equals or value.startswith(self.starts_with)
        if self.between is None:
            return value in self.equals
        low, high = self.between
        return value is not None and low <= value <= high


# The objects of the basic Modbus device identification (function 43/14) by their names in a map;
# the Modbus library asks for no others.
OBJECTS: Mapping[str, int] = {"vendor_name": 0, "product_code": 1, "revision": 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectCheck:
    """What an object of the Modbus device identification says: one of `equals`, or a beginning."""

    object_id: int
    equals: tuple[str, ...] = ()
    starts_with: tuple[str, ...] = ()

    def holds(self, value: str | None) -> bool:
        """Return whether the text of the object fits; None, for an absent object, never does."""
        return value is not None and (value in self.equals or value.startswith(self.starts_with))


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where registers of a map are published, and the quantities that it was seen to confirm."""

    name: str
    confirms: frozenset[str] = frozenset()


class WhenOld(StrEnum):
    """What a played meter does with a power or a current that is older than it may be."""

    EXCEPTION = "exception"
    """The request is refused."""
    SILENCE = "silence"
    """The request is not answered, as by a meter that is gone."""
    NOT_AVAILABLE = "not_available"
    """The value is what the meter has for "not available"."""
    ZERO = "zero"


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """What a played meter has in a register whatever is measured: identification, settings."""

    register: Register
    words: tuple[int, ...]
    writable: bool = False
    """Whether a master may write it; it reads what it wrote."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Registers that a played meter answers for, one after the other."""

    first: int
    last: int
    space: RegisterSpace


@dataclass(frozen=True, kw_only=True, slots=True)
class AsMeter:
    """How a meter of the family is played to a master: its register map turned round."""

    key: str
    name: str
    # Whether functions 03 and 04 read the same registers.
    both_spaces: bool = False
    constants: tuple[Constant, ...] = ()
    # Where the meter has quantities once more.
    also: tuple[tuple[str, Register], ...] = ()
    # What is answered; registers in it without a quantity or a constant read 0.
    blocks: tuple[Span, ...] = ()
    max_span: int = 125
    # How old a power or a current may be; None leaves it to the kind.
    max_age_s: int | None = None
    when_old: WhenOld = WhenOld.EXCEPTION
    # How long its masters wait for an answer; a later one may be taken for that to another request.
    timeout_ms: int = 150
    # Whether the master takes a positive power for export.
    export_positive: bool = False
    # Whether the values are in units of the quantities, without the scales of the map.
    unscaled: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisterMap:
    """The register map of one meter family; `key` is the name of its file."""

    key: str
    manufacturer: str
    models: tuple[str, ...]
    sources: tuple[Source, ...]
    # Read from a real meter by somebody, and not only from its documents.
    verified: bool
    # The most registers that the meter serves in one request.
    max_span: int
    # Registers without a quantity that one request may read along.
    max_gap: int
    # What the meter can measure at most; a counter that grows faster is not believed at once.
    rated_power_w: float
    serial_number: Register | None
    firmware: Register | None
    # All of them hold for a meter of this family and for no other: they decide what it is.
    identify: tuple[Check | ObjectCheck, ...] = ()
    # All of them hold for a meter of this family; look-alikes can pass them too.
    recognise: tuple[Check, ...]
    quantities: Mapping[str, Register]
    # Where the meter keeps the ratios of its transformers, and the quantities that it gives as
    # they are on their secondary side.
    current_ratio: Register | None = None
    voltage_ratio: Register | None = None
    secondary: frozenset[str] = frozenset()
    # Read along with the quantities: what it says as long as the map lies here (SunSpec).
    anchor: Check | None = None
    # The meters that the map can be turned round to, by their keys.
    as_meter: Mapping[str, AsMeter] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """Return the names of all sources as one text."""
        return "; ".join(source.name for source in self.sources)

    def confirmations(self, key: str) -> int:
        """Return how many of the sources confirm the register of a quantity."""
        return sum(key in source.confirms for source in self.sources)

    @property
    def model(self) -> str:
        """Return the models as one text."""
        return ", ".join(self.models)

    @property
    def label(self) -> str:
        """Return the name to choose the map by."""
        return f"{self.manufacturer} {self.model}"
