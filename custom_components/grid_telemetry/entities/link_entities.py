"""What the entities of every link share."""

from homeassistant.const import Platform
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from ..const import DOMAIN, MANUFACTURER
from ..link import GridTelemetryConfigEntry, LinkWithDynamicDevices


@callback
def add_link_entities(
    entry: GridTelemetryConfigEntry,
    platform: Platform,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the entities that a link has for one platform, each below its subentry."""
    link = entry.runtime_data
    for subentry_id, entities in link.entities(platform).items():
        async_add_entities(entities, config_subentry_id=subentry_id)
    if isinstance(link, LinkWithDynamicDevices):
        link.add_entities_with(platform, async_add_entities)


def link_device_info(entry: GridTelemetryConfigEntry, model: str) -> DeviceInfo:
    """Return the device that stands for the link itself, where its health is shown."""
    return DeviceInfo(
        identifiers={(DOMAIN, entry.entry_id)},
        entry_type=DeviceEntryType.SERVICE,
        manufacturer=MANUFACTURER,
        model=model,
        name=entry.title,
    )
