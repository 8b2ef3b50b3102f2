"""The entities of a workgroup, of its devices and of its feeds."""

from collections.abc import Callable
from dataclasses import dataclass, field
import math
from typing import Any, Final

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.event import EventEntity
from homeassistant.components.sensor import SensorDeviceClass, SensorEntity
from homeassistant.const import MAX_LENGTH_STATE_STATE, EntityCategory
from homeassistant.core import Context, callback
from homeassistant.helpers.device_registry import DeviceInfo

from ...entities.push import PushEntity
from .payload import Device, Field
from .units import classes_of, unit_of

DEVICE_NEW: Final = "device_new"
META_CHANGED: Final = "meta_changed"
OPERATION: Final = "operation"
UPGRADE_PROGRESS: Final = "upgrade_progress"
UPGRADE_COMPLETE: Final = "upgrade_complete"
UPGRADE_FAILED: Final = "upgrade_failed"

_TRUE: Final = frozenset({"true", "1", "on", "yes"})
_FALSE: Final = frozenset({"false", "0", "off", "no"})


class OnlineBinarySensor(PushEntity, BinarySensorEntity):
    """Whether Ardexa reaches a device; unavailable while we do not reach Ardexa."""

    _attr_device_class = BinarySensorDeviceClass.CONNECTIVITY
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_available = False
    _attr_is_on: bool | None

    def __init__(self, unique_id: str, device_info: DeviceInfo) -> None:
        self._attr_unique_id = f"{unique_id}_online"
        self._attr_device_info = device_info

    @callback
    def show(self, online: bool | None, *, available: bool) -> None:
        """Show what is known."""
        if (self._attr_is_on, self._attr_available) != (online, available):
            self._attr_is_on, self._attr_available = online, available
            self.write()


class ArdexaEvent(PushEntity, EventEntity):
    """What happens to a device, or in the workgroup."""

    def __init__(
        self, unique_id: str, device_info: DeviceInfo, key: str, event_types: list[str]
    ) -> None:
        self._attr_unique_id = f"{unique_id}_{key}"
        self._attr_translation_key = key
        self._attr_device_info = device_info
        self._attr_event_types = event_types

    @callback
    def tell(
        self, event_type: str, attributes: dict[str, Any], context: Context | None = None
    ) -> None:
        """Tell of an event; the context is that of the call that caused it."""
        if not self.is_added:
            return
        if context is not None:
            self.async_set_context(context)
        self._trigger_event(event_type, attributes)
        self.async_write_ha_state()


class UpgradeSensor(PushEntity, SensorEntity):
    """The latest step of an agent's upgrade; unknown until there is one."""

    _attr_translation_key = "ardexa_upgrade"
    _attr_entity_category = EntityCategory.DIAGNOSTIC

    def __init__(self, unique_id: str, device_info: DeviceInfo) -> None:
        self._attr_unique_id = f"{unique_id}_upgrade"
        self._attr_device_info = device_info

    @callback
    def show(self, status: str) -> None:
        """Show a step."""
        self._attr_native_value = status[:MAX_LENGTH_STATE_STATE]
        self.write()


class FeedSensor(PushEntity, SensorEntity):
    """Shows one value of a feed; unavailable while there is no data."""

    _attr_available = False
    _unrecorded_attributes = frozenset({"event_time"})

    def __init__(self, unique_id: str, device_info: DeviceInfo, what: Field) -> None:
        """Take what the metadata says of the value."""
        self._attr_unique_id = unique_id
        self._attr_device_info = device_info
        self._attr_extra_state_attributes: dict[str, Any] = {"event_time": None}
        if what.name:
            self._attr_name = what.name
        else:
            self._attr_translation_key = "ardexa_value"
        unit = unit_of(what.unit)
        self._attr_device_class, self._attr_state_class = classes_of(what.expect, unit)
        self._convert: Callable[[object], float | str | None] = _as_it_is
        if self._attr_state_class is not None:
            self._attr_native_unit_of_measurement = unit
            self._convert = _as_number
        elif what.expect == "bool":
            self._attr_device_class = SensorDeviceClass.ENUM
            self._attr_options = ["false", "true"]
            self._attr_translation_key = "ardexa_bool"
            self._convert = _as_truth

    @callback
    def show(self, value: object, event_time: str | None) -> None:
        """Show a value; the time of the event is the one at which the value was first seen."""
        native = self._convert(value)
        if not self._attr_available:
            self._attr_available = True
        elif native == self._attr_native_value:
            self.confirm()
            return
        self._attr_native_value = native
        # A new one, as the state that was written last holds on to the old one.
        self._attr_extra_state_attributes = {"event_time": event_time}
        self.write()

    @callback
    def confirm(self) -> None:
        """Write the same value again, which Home Assistant takes for a report."""
        if self._attr_available:
            self.write()

    @callback
    def leave(self) -> None:
        """Be unavailable."""
        if self._attr_available:
            self._attr_available = False
            self.write()


def _as_number(value: object) -> float | None:
    """Return a number, None for what is none."""
    if type(value) is float or type(value) is int:
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
        return number if math.isfinite(number) else None
    return None


def _as_truth(value: object) -> str | None:
    text = str(value).strip().lower()
    return "true" if text in _TRUE else "false" if text in _FALSE else None


def _as_it_is(value: object) -> float | str | None:
    """Return a value of which nobody told what it is."""
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    return str(value)[:MAX_LENGTH_STATE_STATE]


@dataclass(kw_only=True)
class DeviceEntities:
    """A device of the workgroup and what shows it."""

    device: Device
    online: OnlineBinarySensor
    events: ArdexaEvent
    upgrade: UpgradeSensor
    upgrading: bool = field(default=False)
    """Two upgrades of one agent at a time would get in each other's way."""


def device_entities(unique_id: str, device: Device, device_info: DeviceInfo) -> DeviceEntities:
    """Return the entities of a device."""
    return DeviceEntities(
        device=device,
        online=OnlineBinarySensor(unique_id, device_info),
        events=ArdexaEvent(
            unique_id,
            device_info,
            "ardexa_device",
            [META_CHANGED, OPERATION, UPGRADE_PROGRESS, UPGRADE_COMPLETE, UPGRADE_FAILED],
        ),
        upgrade=UpgradeSensor(unique_id, device_info),
    )
