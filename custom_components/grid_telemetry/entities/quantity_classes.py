"""The classes of a quantity as Home Assistant's own enumerations."""

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass

from ..vocabulary.quantities import Quantity


def device_class_of(quantity: Quantity) -> SensorDeviceClass | None:
    """Return the device class of a quantity's sensor."""
    return None if quantity.device_class is None else SensorDeviceClass(quantity.device_class)


def state_class_of(quantity: Quantity) -> SensorStateClass | None:
    """Return the state class of a quantity's sensor."""
    return None if quantity.state_class is None else SensorStateClass(quantity.state_class)
