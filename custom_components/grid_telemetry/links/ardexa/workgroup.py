"""The devices of a workgroup: what is known of them, and what shows it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from homeassistant.const import Platform
from homeassistant.core import Context, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from ...const import DOMAIN
from ...link import GridTelemetryConfigEntry
from .entities import (
    DEVICE_NEW,
    META_CHANGED,
    OPERATION,
    ArdexaEvent,
    DeviceEntities,
    device_entities,
)
from .payload import Device


class Workgroup:
    """The devices, each with its entities; new ones appear while it runs."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        link_device: DeviceInfo,
        devices: Mapping[str, Device],
    ) -> None:
        """Begin with the devices that there are."""
        self.devices: dict[str, DeviceEntities] = {}
        self._hass = hass
        self._entry = entry
        self._adders: dict[Platform, AddConfigEntryEntitiesCallback] = {}
        self._connected = False
        self._gone: set[str] = set()
        self._news = ArdexaEvent(
            entry.entry_id, link_device, "ardexa_workgroup", [DEVICE_NEW, OPERATION]
        )
        for device in devices.values():
            self._take(device)

    def entities(self, platform: Platform) -> list[Entity]:
        """Return the entities that there are."""
        found: list[Entity] = [self._news] if platform is Platform.EVENT else []
        for device in self.devices.values():
            found += _of_platform(device, platform)
        return found

    @callback
    def add_entities_with(self, platform: Platform, add: AddConfigEntryEntitiesCallback) -> None:
        """Take what adds the entities of new devices."""
        self._adders[platform] = add

    def identifier(self, device_id: str) -> str:
        """Return what identifies a device among all of Grid Telemetry."""
        return f"{self._entry.entry_id}_{device_id}"

    def is_gone(self, identifier: str) -> bool:
        """Return whether a device is not in the workgroup any more."""
        return identifier not in {
            self.identifier(device_id) for device_id in self.devices.keys() - self._gone
        }

    @callback
    def update(self, devices: Mapping[str, Device]) -> None:
        """Take over the whole list; a device that is not in it may be removed by the user."""
        self._gone = self.devices.keys() - devices.keys()
        for device in devices.values():
            self._take(device)
        self._show()

    @callback
    def tell_new(self, device: Device) -> None:
        """Tell of a device that is new in the workgroup."""
        self._news.tell(DEVICE_NEW, {"device_id": device.id, "name": device.name})

    @callback
    def take_state(self, device_id: str, *, online: bool) -> bool:
        """Take over whether a device is online; return whether we know it."""
        if (entities := self.devices.get(device_id)) is None:
            return False
        entities.device = replace(entities.device, online=online)
        self._show()
        return True

    @callback
    def take_meta_change(self, device_id: str) -> None:
        """Tell that the metadata of a device changed."""
        if (entities := self.devices.get(device_id)) is not None:
            entities.events.tell(META_CHANGED, {})

    @callback
    def tell_operation(
        self, device_id: str | None, attributes: dict[str, Any], context: Context
    ) -> None:
        """Leave an event of an operation on its device, or on the workgroup's."""
        entity = self._news if device_id is None else self.devices[device_id].events
        entity.tell(OPERATION, attributes, context)

    @callback
    def set_connected(self, connected: bool) -> None:
        """Take over whether what we know of the devices is up to date."""
        self._connected = connected
        self._show()

    def _show(self) -> None:
        for device_id, entities in self.devices.items():
            entities.online.show(
                entities.device.online, available=self._connected and device_id not in self._gone
            )

    def _take(self, device: Device) -> None:
        """Take over a device, and have entities for it."""
        identifier = self.identifier(device.id)
        dr.async_get(self._hass).async_get_or_create(
            config_entry_id=self._entry.entry_id,
            identifiers={(DOMAIN, identifier)},
            manufacturer="Ardexa",
            model="Agent",
            name=device.name,
            sw_version=device.agent_version,
        )
        if (known := self.devices.get(device.id)) is not None:
            if device.online is None:  # the list does not tell; the events did
                device = replace(device, online=known.device.online)
            known.device = device
            return
        entities = device_entities(
            identifier, device, DeviceInfo(identifiers={(DOMAIN, identifier)})
        )
        self.devices[device.id] = entities
        for platform, add in self._adders.items():
            add(_of_platform(entities, platform))


def _of_platform(entities: DeviceEntities, platform: Platform) -> list[Entity]:
    match platform:
        case Platform.BINARY_SENSOR:
            return [entities.online]
        case Platform.EVENT:
            return [entities.events]
        case _:
            return [entities.upgrade]
