"""What the unit of a value tells of it, where nothing else does."""

from typing import Final

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.components.sensor.const import DEVICE_CLASS_UNITS

# The first class that has a unit is the one that an energy device means by it.
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
_BY_UNIT: Final[dict[str | None, SensorDeviceClass]] = {
    unit: device_class
    for device_class in reversed(_CLASSES)
    for unit in DEVICE_CLASS_UNITS[device_class]
    if isinstance(unit, str)
}
_COUNTERS: Final = (SensorDeviceClass.ENERGY, SensorDeviceClass.REACTIVE_ENERGY)


def classes_of_unit(unit: str | None) -> tuple[SensorDeviceClass | None, SensorStateClass]:
    """Return the classes of a number with a unit as Home Assistant writes it."""
    device_class = _BY_UNIT.get(unit)
    if device_class in _COUNTERS:
        # It may run backwards: nobody says whether what is fed in is taken off.
        return device_class, SensorStateClass.TOTAL
    return device_class, SensorStateClass.MEASUREMENT
