"""What a register map says: which registers a meter family has, and how to read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
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
    # For an enumeration: the number of the quantity's option by raw value.
    codes: Mapping[int, int] | None = None

    @property
    def end(self) -> int:
        """Return the address after the last register."""
        return self.address + self.count


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What a register of the meter family says, to tell the family from others.

    Its value is one of `equals`, or lies in `between`, both ends included.
    """

    register: Register
    equals: tuple[int | float | str, ...] = ()
    between: tuple[float, float] | None = None

    def holds(self, value: float | str | None) -> bool:
        """Return whether a value read from the register, scaled, fits; None never does."""
        if self.between is None:
            return value in self.equals
        low, high = self.between
        return isinstance(value, int | float) and low <= value <= high


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisterMap:
    """The register map of one meter family; `key` is the name of its file."""

    key: str
    manufacturer: str
    models: tuple[str, ...]
    source: str
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
    # All of them hold for a meter of this family; look-alikes can pass them too.
    recognise: tuple[Check, ...]
    quantities: Mapping[str, Register]
    # Read along with the quantities: what it says as long as the map lies here (SunSpec).
    anchor: Check | None = None

    @property
    def model(self) -> str:
        """Return the models as one text."""
        return ", ".join(self.models)

    @property
    def label(self) -> str:
        """Return the name to choose the map by."""
        return f"{self.manufacturer} {self.model}"
