"""What the units that agents are configured with mean in Home Assistant."""

from typing import Final

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import PERCENTAGE, UnitOfTemperature

from ...entities.unit_classes import classes_of_unit
from ...vocabulary.unit import canonical

# Words that agents are configured with, and that mean a unit with Ardexa only.
_WRITTEN: Final = {
    "percent": PERCENTAGE,
    "percentage": PERCENTAGE,
    "c": UnitOfTemperature.CELSIUS,
    "degc": UnitOfTemperature.CELSIUS,
    "celsius": UnitOfTemperature.CELSIUS,
    "f": UnitOfTemperature.FAHRENHEIT,
    "degf": UnitOfTemperature.FAHRENHEIT,
    "watts": "W",
    "volts": "V",
    "amps": "A",
}
# In small letters these are one unit and no other; mW and MW, say, are two.
_BY_SMALL_LETTERS: Final = {
    unit.lower(): unit for unit in ("kW", "kWh", "Wh", "VA", "kVA", "kvar", "Hz", "V", "A", "W")
}
_NUMBERS: Final = frozenset({"decimal", "integer"})


def unit_of(written: str | None) -> str | None:
    """Return a unit as Home Assistant writes it, or as it is where that knows none like it."""
    if (written := canonical(written)) is None or classes_of_unit(written)[0] is not None:
        return written
    small = written.lower()
    return _WRITTEN.get(small) or _BY_SMALL_LETTERS.get(small) or written


def classes_of(
    expect: str | None, unit: str | None
) -> tuple[SensorDeviceClass | None, SensorStateClass | None]:
    """Return the classes of a value by the data type that the agent expects, and its unit."""
    if expect not in _NUMBERS and (expect is not None or unit is None):
        return None, None
    return classes_of_unit(unit)
