"""What the units that agents are configured with mean in Home Assistant."""

from typing import Final

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.components.sensor.const import DEVICE_CLASS_UNITS
from homeassistant.const import PERCENTAGE, UnitOfTemperature

_CLASSES: Final = (
    SensorDeviceClass.POWER,
    SensorDeviceClass.REACTIVE_POWER,
    SensorDeviceClass.APPARENT_POWER,
    SensorDeviceClass.ENERGY,
    SensorDeviceClass.REACTIVE_ENERGY,
    SensorDeviceClass.VOLTAGE,
    SensorDeviceClass.CURRENT,
    SensorDeviceClass.FREQUENCY,
    SensorDeviceClass.TEMPERATURE,
    SensorDeviceClass.IRRADIANCE,
    SensorDeviceClass.WIND_SPEED,
)
# The first class that has a unit is the one that an energy device means by it.
_BY_UNIT: Final[dict[str | None, SensorDeviceClass]] = {
    unit: device_class
    for device_class in reversed(_CLASSES)
    for unit in DEVICE_CLASS_UNITS[device_class]
    if isinstance(unit, str)
}
# As people write them; what Home Assistant writes in the same letters is found without.
_WRITTEN: Final = {
    "percent": PERCENTAGE,
    "percentage": PERCENTAGE,
    "c": UnitOfTemperature.CELSIUS,
    "degc": UnitOfTemperature.CELSIUS,
    "celsius": UnitOfTemperature.CELSIUS,
    "f": UnitOfTemperature.FAHRENHEIT,
    "degf": UnitOfTemperature.FAHRENHEIT,
    "watt": "W",
    "watts": "W",
    "volt": "V",
    "volts": "V",
    "amp": "A",
    "amps": "A",
    "ampere": "A",
    "hertz": "Hz",
    "w/m2": "W/m²",
}
# In small letters these are one unit and no other; mW and MW, say, are two.
_BY_SMALL_LETTERS: Final = {
    unit.lower(): unit for unit in ("kW", "kWh", "Wh", "VA", "kVA", "kvar", "Hz", "V", "A", "W")
}
_COUNTERS: Final = (SensorDeviceClass.ENERGY, SensorDeviceClass.REACTIVE_ENERGY)
_NUMBERS: Final = frozenset({"decimal", "integer"})


def unit_of(written: str | None) -> str | None:
    """Return a unit as Home Assistant writes it, or as it is where that knows none like it."""
    if written is None or not (written := written.strip()):
        return None
    if written in _BY_UNIT:
        return written
    small = written.lower()
    return _WRITTEN.get(small) or _BY_SMALL_LETTERS.get(small) or written


def classes_of(
    expect: str | None, unit: str | None
) -> tuple[SensorDeviceClass | None, SensorStateClass | None]:
    """Return the classes of a value by the data type that the agent expects, and its unit."""
    if expect not in _NUMBERS and (expect is not None or unit is None):
        return None, None
    device_class = _BY_UNIT.get(unit)
    if device_class in _COUNTERS:
        return device_class, SensorStateClass.TOTAL
    return device_class, SensorStateClass.MEASUREMENT
