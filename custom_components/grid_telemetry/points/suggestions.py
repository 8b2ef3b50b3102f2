"""What a sensor most likely measures."""

from typing import Final

from homeassistant.components.sensor import SensorDeviceClass
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from ..const import DOMAIN
from ..vocabulary.quantities import QUANTITIES
from .point import can_convert
from .table import device_class_of, unit_of

# Of sensors of other integrations; which phase or which direction it is, nothing tells.
_KEYS_BY_DEVICE_CLASS: Final[dict[str, tuple[str, ...]]] = {
    SensorDeviceClass.VOLTAGE: ("voltage", "voltage_l1"),
    SensorDeviceClass.CURRENT: ("current", "current_l1"),
    SensorDeviceClass.POWER: ("power",),
    SensorDeviceClass.REACTIVE_POWER: ("reactive_power",),
    SensorDeviceClass.APPARENT_POWER: ("apparent_power",),
    SensorDeviceClass.POWER_FACTOR: ("power_factor",),
    SensorDeviceClass.FREQUENCY: ("frequency",),
    SensorDeviceClass.ENERGY: ("energy_import",),
    SensorDeviceClass.REACTIVE_ENERGY: ("reactive_energy_import",),
}
# What the circuit of a meter with one phase is on a meter with three, and the other way round.
_ONE_PHASE: Final = {
    "voltage": "voltage_l1",
    "current": "current_l1",
    "voltage_l1": "voltage",
    "current_l1": "current",
}


def suggested_quantities(hass: HomeAssistant, entity_id: str) -> tuple[str, ...]:
    """Return what an entity may measure, the likeliest first: our own meters' are known."""
    entry = er.async_get(hass).async_get(entity_id)
    if entry is not None and entry.platform == DOMAIN and entry.translation_key in QUANTITIES:
        key = entry.translation_key
        return (key, _ONE_PHASE[key]) if key in _ONE_PHASE else (key,)
    unit = unit_of(hass, entity_id)
    return tuple(
        key
        for key in _KEYS_BY_DEVICE_CLASS.get(device_class_of(hass, entity_id) or "", ())
        if (wanted := QUANTITIES[key].unit) is None or can_convert(unit, wanted)
    )
