"""Entities and devices as a file names them: by what they are, so that another home has them too.

`{meter: House, quantity: power}` is the quantity of a device of this integration;
`{area: Cellar, label: solar, device_class: power}` is the one entity that has all that is named.
"""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    label_registry as lr,
)

from ..const import DOMAIN
from ..points.table import device_class_of
from ..vocabulary.quantities import QUANTITIES

METER_KEYS: Final = ("meter", "quantity")
PLACE_KEYS: Final = ("area", "label", "device_class")
DEVICE_KEYS: Final = ("device",)


class UnresolvedError(HomeAssistantError):
    """Nothing, or more than one thing, is what a file names."""

    def __init__(self, reference: Mapping[str, Any], found: int) -> None:
        """Remember what is named, and how many fit."""
        text = ", ".join(f"{key}: {value}" for key, value in reference.items())
        super().__init__(
            translation_domain=DOMAIN,
            translation_key="reference_ambiguous" if found else "reference_unresolved",
            translation_placeholders={"reference": f"{{{text}}}", "count": str(found)},
        )


def _name(device: dr.BaseDeviceEntry) -> str | None:
    return device.name_by_user or device.name


@callback
def _devices(hass: HomeAssistant, name: str) -> list[dr.DeviceEntry]:
    """Return the devices of this integration that have a name; of others if it has none."""
    named = [each for each in dr.async_get(hass).devices if _name(each) == name]
    own = [each for each in named if any(domain == DOMAIN for domain, *_ in each.identifiers)]
    return own or named


@callback
def entity_id_of_reference(hass: HomeAssistant, reference: str | Mapping[str, Any]) -> str:
    """Return the entity that a file names. Raises `UnresolvedError`."""
    if isinstance(reference, str):
        return reference
    if "meter" in reference:
        found = [
            entity.entity_id
            for device in _devices(hass, str(reference["meter"]))
            for entity in er.async_entries_for_device(er.async_get(hass), device.id)
            if entity.translation_key == reference["quantity"]
        ]
    else:
        found = _in_place(hass, reference)
    if len(found) != 1:
        raise UnresolvedError(reference, len(found))
    return found[0]


def _in_place(hass: HomeAssistant, reference: Mapping[str, Any]) -> list[str]:
    """Return the entities that have the area, the label and the class that are named."""
    devices = dr.async_get(hass)
    area = label = None
    if "area" in reference:
        named = ar.async_get(hass).async_get_area_by_name(str(reference["area"]))
        if named is None:
            return []
        area = named.id
    if "label" in reference:
        known = lr.async_get(hass).async_get_label_by_name(str(reference["label"]))
        if known is None:
            return []
        label = known.label_id

    def fits(entity: er.RegistryEntry) -> bool:
        device = None if entity.device_id is None else devices.async_get(entity.device_id)
        if area is not None:
            present = entity.area_id or (None if device is None else device.area_id)
            if present != area:
                return False
        if label is not None and label not in entity.labels | (
            set() if device is None else device.labels
        ):
            return False
        wanted = reference.get("device_class")
        return wanted is None or device_class_of(hass, entity.entity_id) == wanted

    return [
        entity.entity_id
        for entity in er.async_get(hass).entities.values()
        if not entity.disabled and entity.entity_category is None and fits(entity)
    ]


@callback
def reference_to_entity(hass: HomeAssistant, stored: str) -> str | dict[str, str]:
    """Return how a file names an entity that an entry refers to by registry or entity id."""
    registry = er.async_get(hass)
    entity_id = er.async_resolve_entity_id(registry, stored) or stored
    entity = registry.async_get(entity_id)
    if entity is None or entity.platform != DOMAIN or entity.device_id is None:
        return entity_id
    device = dr.async_get(hass).async_get(entity.device_id)
    if device is None or entity.translation_key not in QUANTITIES:
        return entity_id
    reference = {"meter": _name(device) or "", "quantity": entity.translation_key}
    try:
        leads_to = entity_id_of_reference(hass, reference)
    except UnresolvedError:
        return entity_id
    return reference if leads_to == entity_id else entity_id


@callback
def device_id_of_reference(hass: HomeAssistant, reference: str | Mapping[str, Any]) -> str:
    """Return the id of the device that a file names. Raises `UnresolvedError`."""
    if isinstance(reference, str):
        return reference
    found = _devices(hass, str(reference["device"]))
    if len(found) != 1:
        raise UnresolvedError(reference, len(found))
    return found[0].id


@callback
def reference_to_device(hass: HomeAssistant, stored: str) -> str | dict[str, str]:
    """Return how a file names a device."""
    device = dr.async_get(hass).async_get(stored)
    name = None if device is None else _name(device)
    if name is None or len(_devices(hass, name)) != 1:
        return stored
    return {"device": name}
