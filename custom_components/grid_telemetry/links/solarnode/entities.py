"""The sensors of a node: one for each property of a source, and one for the time of its datum."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo

from ...entities.diagnostic import calm_time
from ...entities.push import PushEntity
from ...entities.quantity_classes import device_class_of, state_class_of
from ...vocabulary.datum import PROPERTIES, Group, Value
from ...vocabulary.quantities import Quantity
from .payload import state_of

CREATED: Final = ""
"""In place of a property's name: the time of the datum itself."""

# `wattHours` and `temp` tell less than these do: energy in either direction, of anything.
_NAMED_BY_CLASS: Final = frozenset({"energy_import", "temperature_cabinet"})
_STATE_CLASSES: Final = {
    Group.INSTANTANEOUS: SensorStateClass.MEASUREMENT,
    Group.ACCUMULATING: SensorStateClass.TOTAL_INCREASING,
}


class SourceSensor(PushEntity, SensorEntity):
    """What the sensors of a source share; available while the node has something to show."""

    _attr_available = False

    def __init__(
        self, device_identifier: str, name: str, device_info: DeviceInfo, left: Callable[[], None]
    ) -> None:
        """Take an identity from the source and the name; `left` hears that it was deleted."""
        self._attr_unique_id = f"{device_identifier}|{name}"
        self._attr_device_info = device_info
        self._left = left
        self._measured_at: datetime | None = None

    @override
    async def async_removed_from_registry(self) -> None:
        self._left()

    @callback
    def show_value(
        self, value: Value | datetime | None, measured_at: datetime | None = None
    ) -> None:
        """Show a value, None is unavailable; one that is disabled is never added.

        The same value of another time is written too: Home Assistant tells reports from changes. A
        node that has nothing newer gives the same datum again and again.
        """
        before = self._attr_available, self._attr_native_value, self._measured_at
        self._attr_available = value is not None
        if value is not None:
            self._attr_native_value = value
        self._measured_at = measured_at
        if before != (self._attr_available, self._attr_native_value, measured_at):
            self.write()


class CreatedSensor(SourceSensor):
    """When the node took the latest datum of a source."""

    _attr_device_class = SensorDeviceClass.TIMESTAMP
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_translation_key = "solarnode_created"

    @callback
    @override
    def show_value(
        self, value: Value | datetime | None, measured_at: datetime | None = None
    ) -> None:
        shown = self._attr_native_value if self._attr_available else None
        if isinstance(value, datetime) and isinstance(shown, datetime):
            value = calm_time(shown, value)
        super().show_value(value, measured_at)


class PropertySensor(SourceSensor):
    """One property of a source."""

    def __init__(
        self,
        device_identifier: str,
        name: str,
        group: Group,
        device_info: DeviceInfo,
        left: Callable[[], None],
    ) -> None:
        """Take unit and class from the usual names."""
        super().__init__(device_identifier, name, device_info, left)
        self.property_group = group
        """The group that the property came in last."""
        usual = PROPERTIES.get(name)
        self._is_usual = False
        if (
            usual is not None
            and usual.quantity is not None
            and usual.group is group is not Group.STATUS
        ):
            self._is_usual = True
            self.entity_description = _description(usual.unit, usual.quantity)
        else:
            self._attr_name = name

    @callback
    def show(self, group: Group, value: Value, measured_at: datetime) -> None:
        """Show a value; a usual property is a number, any other may become a text as well."""
        self.property_group = group
        state = state_of(value)
        if not self._is_usual:
            self._attr_state_class = _STATE_CLASSES.get(group)
        elif isinstance(state, str):
            state = None
        self.show_value(state, measured_at)


def _description(unit: str | None, quantity: Quantity) -> SensorEntityDescription:
    """Return how a usual property is shown: in the unit of its quantity."""
    scaled = unit != quantity.unit
    return SensorEntityDescription(
        key=quantity.key,
        # Without a name of its own, a sensor is called as its device class.
        translation_key=None if quantity.key in _NAMED_BY_CLASS else quantity.key,
        native_unit_of_measurement=unit,
        suggested_unit_of_measurement=quantity.unit if scaled else None,
        suggested_display_precision=0 if scaled else quantity.precision,
        device_class=device_class_of(quantity),
        state_class=state_class_of(quantity),
    )
