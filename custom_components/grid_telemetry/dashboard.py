"""A ready dashboard of Home Assistant's own cards, made of what the links show."""

from collections.abc import Iterable
from typing import Any, Final

from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.lovelace.const import LOVELACE_DATA, MODE_STORAGE, ConfigNotFound
from homeassistant.components.lovelace.dashboard import LovelaceConfig
from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    entity_registry as er,
)
from homeassistant.helpers.service import async_register_admin_service
from homeassistant.helpers.translation import async_get_translations
import voluptuous as vol

from .const import DOMAIN

ATTR_DASHBOARD: Final = "dashboard"
ATTR_REPLACE: Final = "replace"

_SCHEMA = vol.Schema(
    {
        vol.Optional(ATTR_DASHBOARD): cv.string,
        vol.Optional(ATTR_REPLACE, default=False): cv.boolean,
    }
)
# A device of a large publisher has thousands of signals; a card of them would show nothing.
_MAX_ROWS: Final = 40
_MAX_CURVES: Final = 6
_HOURS: Final = 6

type Card = dict[str, Any]


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the action."""
    async_register_admin_service(
        hass,
        DOMAIN,
        "create_dashboard",
        _async_create,
        _SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )


async def _async_create(call: ServiceCall) -> ServiceResponse:
    """Return the configuration of the dashboard, and write it into one if that is named."""
    config = await async_dashboard_config(call.hass)
    if (url_path := call.data.get(ATTR_DASHBOARD)) is not None:
        dashboard = _dashboard(call.hass, url_path)
        if not call.data[ATTR_REPLACE] and await _has_cards(dashboard):
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="dashboard_not_empty",
                translation_placeholders={"dashboard": url_path},
            )
        await dashboard.async_save(config)
    return config


def _dashboard(hass: HomeAssistant, url_path: str) -> LovelaceConfig:
    """Return a dashboard that was made in the frontend."""
    lovelace = hass.data.get(LOVELACE_DATA)
    found = None if lovelace is None else lovelace.dashboards.get(url_path)
    if found is None or found.mode != MODE_STORAGE:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="dashboard_unknown",
            translation_placeholders={"dashboard": url_path},
        )
    return found


async def _has_cards(dashboard: LovelaceConfig) -> bool:
    try:
        config = await dashboard.async_load(force=False)
    except ConfigNotFound:
        return False
    return "strategy" in config or any(
        view.get("cards")
        or view.get("strategy")
        or any(len(section.get("cards", ())) > 1 for section in view.get("sections", ()))
        for view in config.get("views", ())
    )


async def async_dashboard_config(hass: HomeAssistant) -> dict[str, Any]:
    """Return a view of what is measured and a view of the links, with a section for each device."""
    texts = await async_get_translations(hass, hass.config.language, "common", {DOMAIN})

    def title(key: str) -> str:
        return texts[f"component.{DOMAIN}.common.{key}"]

    meters: list[Card] = []
    links: list[Card] = []
    devices, entities = dr.async_get(hass), er.async_get(hass)
    for entry in hass.config_entries.async_entries(DOMAIN, include_disabled=False):
        for device in dr.async_entries_for_config_entry(devices, entry.entry_id):
            shown = [
                entity
                for entity in er.async_entries_for_device(entities, device.id)
                if entity.platform == DOMAIN and not entity.hidden
            ]
            name = device.name_by_user or device.name or entry.title
            if not shown:
                continue
            if (DOMAIN, entry.entry_id) in device.identifiers:
                links.append(_section(name, "mdi:transmission-tower", _link_cards(shown)))
            else:
                meters.append(_section(name, "mdi:meter-electric", _meter_cards(shown)))
    return {
        "views": [
            _view(title("dashboard_meters"), "meters", "mdi:meter-electric", meters),
            _view(title("dashboard_links"), "links", "mdi:transmission-tower", links),
        ]
    }


def _view(title: str, path: str, icon: str, sections: list[Card]) -> Card:
    return {"type": "sections", "title": title, "path": path, "icon": icon, "sections": sections}


def _section(name: str, icon: str, cards: Iterable[Card]) -> Card:
    return {"type": "grid", "cards": [{"type": "heading", "heading": name, "icon": icon}, *cards]}


def _meter_cards(entities: list[er.RegistryEntry]) -> Iterable[Card]:
    """Return power as tiles and curves, and everything else as a list."""
    measured = [entity for entity in entities if entity.entity_category is None]
    power = [
        entity for entity in measured if entity.original_device_class == SensorDeviceClass.POWER
    ]
    yield from (_tile(entity) for entity in power[:_MAX_CURVES])
    if power:
        yield _curves(power)
    rest = [
        _row(entity)
        for entity in measured
        if entity.original_device_class != SensorDeviceClass.POWER
    ][:_MAX_ROWS]
    if rest:
        yield {"type": "entities", "entities": rest, "grid_options": {"columns": "full"}}


def _link_cards(entities: list[er.RegistryEntry]) -> Iterable[Card]:
    """Return the health as tiles, and curves of what goes up and down: the queue, the rate."""
    health = [entity for entity in entities if entity.entity_category == EntityCategory.DIAGNOSTIC]
    yield from (_tile(entity) for entity in health)
    yield from (_tile(entity) for entity in entities if entity not in health)
    measured = [
        entity
        for entity in health
        if entity.domain == Platform.SENSOR
        and (entity.capabilities or {}).get("state_class") == SensorStateClass.MEASUREMENT
    ]
    if measured:
        yield _curves(measured)


def _tile(entity: er.RegistryEntry) -> Card:
    card = {"type": "tile", **_row(entity)}
    if entity.original_device_class == BinarySensorDeviceClass.CONNECTIVITY:
        card["color"] = "green"  # what is connected is well; without it would be amber
    return card


def _row(entity: er.RegistryEntry) -> Card:
    """Return an entity under its own name, for the heading names the device."""
    return {"entity": entity.entity_id, "name": {"type": "entity"}}


def _curves(entities: list[er.RegistryEntry]) -> Card:
    return {
        "type": "history-graph",
        "hours_to_show": _HOURS,
        "entities": [_row(entity) for entity in entities[:_MAX_CURVES]],
        "grid_options": {"columns": "full"},
    }
