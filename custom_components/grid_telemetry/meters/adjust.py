"""Register maps adjusted to one meter: ratios of its transformers, and the sign of its power."""

from dataclasses import replace
from decimal import Decimal
import re
from typing import Literal

from ..vocabulary.quantities import QUANTITIES
from ..vocabulary.unit import (
    UnitOfApparentEnergy,
    UnitOfApparentPower,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfPower,
    UnitOfReactiveEnergy,
    UnitOfReactivePower,
)
from . import RegisterMap

type Transformer = Literal["current", "voltage"]

_UNITS_OF_BOTH = {
    UnitOfPower.WATT,
    UnitOfReactivePower.VOLT_AMPERE_REACTIVE,
    UnitOfApparentPower.VOLT_AMPERE,
    UnitOfEnergy.KILO_WATT_HOUR,
    UnitOfReactiveEnergy.KILO_VOLT_AMPERE_REACTIVE_HOUR,
    UnitOfApparentEnergy.KILO_VOLT_AMPERE_HOUR,
}
# What is multiplied by the ratio of each kind of transformer.
_UNITS: dict[Transformer, set[str]] = {
    "current": _UNITS_OF_BOTH | {UnitOfElectricCurrent.AMPERE},
    "voltage": _UNITS_OF_BOTH | {UnitOfElectricPotential.VOLT},
}
_POWER = re.compile(r"(reactive_)?power(_l[123]|_demand)?")


def with_ratio(register_map: RegisterMap, transformer: Transformer, ratio: Decimal) -> RegisterMap:
    """Return the map of a meter behind transformers: what is secondary, times their ratio.

    A map that does not say what is secondary has all of it so. Its register of that ratio, if it
    has one, has no part in it any more.
    """
    secondary = register_map.secondary or register_map.quantities.keys()
    return replace(
        register_map,
        quantities={
            key: replace(register, scale=register.scale * ratio)
            if key in secondary and QUANTITIES[key].unit in _UNITS[transformer]
            else register
            for key, register in register_map.quantities.items()
        },
        rated_power_w=register_map.rated_power_w * float(ratio),
        current_ratio=None if transformer == "current" else register_map.current_ratio,
        voltage_ratio=None if transformer == "voltage" else register_map.voltage_ratio,
    )


def is_directed_power(key: str) -> bool:
    """Return whether a quantity is a power whose sign says which way it flows."""
    return _POWER.fullmatch(key) is not None


def with_power_turned(register_map: RegisterMap) -> RegisterMap:
    """Return the map of a meter that has active and reactive power the other way round.

    Its counters stay as they are.
    """
    return replace(
        register_map,
        quantities={
            key: replace(register, scale=-register.scale) if is_directed_power(key) else register
            for key, register in register_map.quantities.items()
        },
    )
