"""The switch platform: every link brings its own entities."""

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .entities.link_entities import add_link_entities
from .link import GridTelemetryConfigEntry

PARALLEL_UPDATES = 1


async def async_setup_entry(
    hass: HomeAssistant,
    entry: GridTelemetryConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switches of one link."""
    add_link_entities(entry, Platform.SWITCH, async_add_entities)
