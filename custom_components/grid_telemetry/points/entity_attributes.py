"""What the registry, or else the state, says of an entity."""

from homeassistant.components.sensor import ATTR_STATE_CLASS
from homeassistant.const import ATTR_DEVICE_CLASS, ATTR_UNIT_OF_MEASUREMENT
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from .reader import COUNTING


def device_class_of(hass: HomeAssistant, entity_id: str) -> str | None:
    """Return the device class of an entity."""
    if entry := er.async_get(hass).async_get(entity_id):
        return entry.device_class or entry.original_device_class
    return _attribute(hass, entity_id, ATTR_DEVICE_CLASS)


def unit_of(hass: HomeAssistant, entity_id: str) -> str | None:
    """Return the unit that the states of an entity come in."""
    if entry := er.async_get(hass).async_get(entity_id):
        return entry.unit_of_measurement
    return _attribute(hass, entity_id, ATTR_UNIT_OF_MEASUREMENT)


def counts(hass: HomeAssistant, entity_id: str) -> bool:
    """Return whether an entity counts, so that only its present value means anything."""
    entry = er.async_get(hass).async_get(entity_id)
    capabilities = None if entry is None else entry.capabilities
    state_class = (capabilities or {}).get(ATTR_STATE_CLASS) or _attribute(
        hass, entity_id, ATTR_STATE_CLASS
    )
    return state_class in COUNTING


def _attribute(hass: HomeAssistant, entity_id: str, attribute: str) -> str | None:
    if (state := hass.states.get(entity_id)) is None:
        return None
    value = state.attributes.get(attribute)
    return None if value is None else str(value)
