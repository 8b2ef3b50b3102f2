"""Which readings a user chose: by device, area, label and integration, or one by one."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from homeassistant.components.sensor import ATTR_STATE_CLASS, DOMAIN as SENSOR_DOMAIN
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import section
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.selector import (
    AreaSelector,
    AreaSelectorConfig,
    DeviceSelector,
    DeviceSelectorConfig,
    EntityFilterSelectorConfig,
    EntitySelector,
    EntitySelectorConfig,
    LabelSelector,
    LabelSelectorConfig,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.loader import IntegrationNotLoaded, async_get_loaded_integration
import voluptuous as vol

from ..const import DOMAIN
from ..vocabulary.quantities import QUANTITIES

CONF_DEVICES: Final = "devices"
CONF_ENTITIES: Final = "entities"
CONF_AREAS: Final = "areas"
CONF_LABELS: Final = "labels"
CONF_INTEGRATIONS: Final = "integrations"
SECTION_CHOOSE_BY: Final = "choose_by"

_SENSORS: Final = EntityFilterSelectorConfig(domain=[Platform.SENSOR])


def _measures(entry: er.RegistryEntry) -> bool:
    """Return whether an entity of a device is a reading worth a row."""
    return not entry.disabled and _is_reading(entry)


def _can_be_mapped(entry: er.RegistryEntry) -> bool:
    """Return whether an entity is a reading, or will be one once it is mapped."""
    return _measures(entry) or (_is_on_demand(entry) and _is_reading(entry))


def _is_on_demand(entry: er.RegistryEntry) -> bool:
    """Return whether an entity of ours is disabled only until somebody maps it."""
    quantity = QUANTITIES.get(entry.translation_key or "")
    return (
        entry.disabled_by is er.RegistryEntryDisabler.INTEGRATION
        and entry.platform == DOMAIN
        and quantity is not None
        and quantity.on_demand
    )


@callback
def enable_mapped(hass: HomeAssistant, points: Iterable[Mapping[str, Any]]) -> None:
    """Enable the entities of points that were disabled until somebody maps them."""
    registry = er.async_get(hass)
    for point in points:
        entry = registry.entities.get_entry(str(point["entity"]))
        if entry is not None and _is_on_demand(entry):
            registry.async_update_entity(entry.entity_id, disabled_by=None)


def _is_reading(entry: er.RegistryEntry) -> bool:
    return (
        entry.domain == SENSOR_DOMAIN
        and entry.entity_category is None
        and ATTR_STATE_CLASS in (entry.capabilities or {})
    )


def readings_of(hass: HomeAssistant, devices: Iterable[str], entities: Iterable[str]) -> list[str]:
    """Return the entity ids of the readings of devices, and those of entities, each once."""
    registry = er.async_get(hass)
    entity_ids = [
        entry.entity_id
        for device in devices
        for entry in er.async_entries_for_device(registry, device)
        if _measures(entry)
    ]
    return list(dict.fromkeys([*entity_ids, *entities]))


def chosen_readings(hass: HomeAssistant, user_input: Mapping[str, Any]) -> list[str]:
    """Return the entity ids that the fields of a form choose, each once."""
    chosen = user_input.get(SECTION_CHOOSE_BY, {})
    areas = {*chosen.get(CONF_AREAS, ())}
    labels = {*chosen.get(CONF_LABELS, ())}
    integrations = {*chosen.get(CONF_INTEGRATIONS, ())}
    labelled = {
        device.id
        for label in labels
        for device in dr.async_entries_for_label(dr.async_get(hass), label)
    }
    wanted = [
        entry.entity_id
        for entry in er.async_get(hass).entities.values()
        if _can_be_mapped(entry)
        and (
            entry.platform in integrations
            or entry.device_id in labelled
            or not labels.isdisjoint(entry.labels)
            or (areas and er.async_get_effective_area_id(hass, entry) in areas)
        )
    ]
    registry = er.async_get(hass)
    of_devices = [
        entry.entity_id
        for device in user_input.get(CONF_DEVICES) or ()
        for entry in er.async_entries_for_device(registry, device, include_disabled_entities=True)
        if _can_be_mapped(entry)
    ]
    return list(dict.fromkeys([*of_devices, *wanted, *(user_input.get(CONF_ENTITIES) or ())]))


def is_known(hass: HomeAssistant, entity_id: str) -> bool:
    """Return whether there is such an entity, be it without a state at the moment."""
    return (
        er.async_get(hass).async_get(entity_id) is not None
        or hass.states.get(entity_id) is not None
    )


def counted_by_device(hass: HomeAssistant, entity_ids: Iterable[str]) -> list[tuple[str, int, int]]:
    """Return the name, how many of these readings it has and how many in all, of each device.

    A reading that belongs to no device stands under a name of its own.
    """
    registry = er.async_get(hass)
    devices = dr.async_get(hass)
    counted: Counter[str] = Counter()
    single: list[tuple[str, int, int]] = []
    for entity_id in entity_ids:
        entry = registry.async_get(entity_id)
        if entry is not None and entry.device_id is not None:
            counted[entry.device_id] += 1
        else:
            state = hass.states.get(entity_id)
            single.append((entity_id if state is None else state.name, 1, 1))
    return [
        (_device_name(devices, device), number, max(number, len(readings_of(hass, [device], ()))))
        for device, number in counted.items()
    ] + single


def _device_name(devices: dr.DeviceRegistry, device_id: str) -> str:
    device = devices.async_get(device_id)
    return device_id if device is None else device.name_by_user or device.name or device_id


def selection_fields(hass: HomeAssistant) -> dict[vol.Marker, Any]:
    """Return the fields that choose readings."""
    more = {
        vol.Optional(CONF_AREAS): AreaSelector(
            AreaSelectorConfig(multiple=True, entity=[_SENSORS])
        ),
        vol.Optional(CONF_LABELS): LabelSelector(LabelSelectorConfig(multiple=True)),
        vol.Optional(CONF_INTEGRATIONS): SelectSelector(
            SelectSelectorConfig(
                options=_integrations(hass), multiple=True, mode=SelectSelectorMode.DROPDOWN
            )
        ),
    }
    return {
        vol.Optional(CONF_DEVICES): DeviceSelector(
            DeviceSelectorConfig(multiple=True, entity=[_SENSORS])
        ),
        vol.Optional(CONF_ENTITIES): EntitySelector(
            EntitySelectorConfig(domain=Platform.SENSOR, multiple=True)
        ),
        vol.Optional(SECTION_CHOOSE_BY): section(vol.Schema(more), {"collapsed": True}),
    }


def _integrations(hass: HomeAssistant) -> list[SelectOptionDict]:
    """Return the integrations that measure, with the number of their readings."""
    counted = Counter(
        entry.platform for entry in er.async_get(hass).entities.values() if _measures(entry)
    )
    options = [
        SelectOptionDict(value=domain, label=f"{_name_of(hass, domain)} ({number})")
        for domain, number in counted.items()
    ]
    return sorted(options, key=lambda option: option["label"].casefold())


def _name_of(hass: HomeAssistant, domain: str) -> str:
    try:
        return async_get_loaded_integration(hass, domain).name
    except IntegrationNotLoaded:  # its entities are still there
        return domain
