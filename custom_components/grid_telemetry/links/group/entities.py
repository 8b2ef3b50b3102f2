"""The sensors of a meter group: one for each quantity, the sum of what its members show."""

from collections.abc import Sequence
import math
import time
from typing import Any, Final, override

from homeassistant.components.sensor import SensorEntity, SensorStateClass
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.helpers.restore_state import ExtraStoredData, RestoredExtraData, RestoreEntity

from ...const import DOMAIN, MANUFACTURER
from ...entities.quantity_classes import device_class_of, state_class_of
from ...points.point import Point, entity_id_of, read
from ...points.table import CONF_POINTS
from ...vocabulary.quantities import QUANTITIES, Quantity
from .const import CONF_GROUP_KIND, GroupKind

RESET_AFTER_S: Final = 600.0
"""So long a member's counter is lower than it was before it is taken for a new one."""

# Sums are not told finer than any meter counts.
_DECIMALS: Final = 6
_MODELS: Final = {GroupKind.TOTAL: "Meter total", GroupKind.DIFFERENCE: "Check meter"}


class GroupSensor(SensorEntity):
    """A quantity of a group; available while it is known of every member."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(
        self, subentry: ConfigSubentry, quantity: Quantity, points: Sequence[Point]
    ) -> None:
        """Take the members with the quantity; a factor of -1 takes one off."""
        kind = GroupKind(subentry.data[CONF_GROUP_KIND])
        self._points = points
        self._values: list[float | None] = [None] * len(points)
        self._indices: dict[str, list[int]] = {}
        self._unlisten: CALLBACK_TYPE | None = None
        self._attr_unique_id = group_unique_id(subentry, quantity.key)
        self._attr_translation_key = quantity.key
        self._attr_native_unit_of_measurement = quantity.unit
        self._attr_device_class = device_class_of(quantity)
        self._attr_state_class = state_class_of(quantity)
        if quantity.counter and kind is GroupKind.DIFFERENCE:
            self._attr_state_class = SensorStateClass.TOTAL
        self._attr_suggested_display_precision = quantity.precision
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, subentry.subentry_id)},
            entry_type=DeviceEntryType.SERVICE,
            manufacturer=MANUFACTURER,
            model=_MODELS[kind],
            name=subentry.title,
        )

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the members."""
        await super().async_added_to_hass()
        self.async_on_remove(
            self.hass.bus.async_listen(
                er.EVENT_ENTITY_REGISTRY_UPDATED, self._registry_changed, self._concerns_us
            )
        )
        self.async_on_remove(self._unfollow)
        self._follow()

    @callback
    def _follow(self) -> None:
        """Listen to the members under their present names, and take what they show now."""
        self._unfollow()
        self._indices = {}
        self._values = [None] * len(self._points)
        for index, point in enumerate(self._points):
            if (entity_id := entity_id_of(self.hass, point)) is not None:
                self._indices.setdefault(entity_id, []).append(index)
                self._values[index] = read(self.hass.states.get(entity_id), point)
        self._unlisten = async_track_state_change_event(
            self.hass, self._indices, self._member_changed
        )
        self._take(self._sum())

    @callback
    def _unfollow(self) -> None:
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None

    @callback
    def _concerns_us(self, event_data: er.EventEntityRegistryUpdatedData) -> bool:
        """Return whether a member has another name or is gone, or one that was missing came."""
        if event_data["action"] == "create":
            return len(self._indices) < len({point.entity for point in self._points})
        before = event_data.get("old_entity_id", event_data["entity_id"])
        return before in self._indices and (
            event_data["action"] == "remove" or "old_entity_id" in event_data
        )

    @callback
    def _registry_changed(self, _: Event[er.EventEntityRegistryUpdatedData]) -> None:
        """Go on with a member under its new name, or without it."""
        self._follow()
        self.async_write_ha_state()

    @callback
    def _member_changed(self, event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        for index in self._indices[event.data["entity_id"]]:
            self._values[index] = read(state, self._points[index])
        self._take(self._sum())
        self.async_write_ha_state()

    def _sum(self) -> float | None:
        known = [value for value in self._values if value is not None]
        return round(math.fsum(known), _DECIMALS) if len(known) == len(self._values) else None

    def _take(self, value: float | None) -> None:
        """Show a sum, None while a member's value is not known."""
        self._attr_available = value is not None
        self._attr_native_value = value


class GroupCounter(GroupSensor, RestoreEntity):
    """A counted quantity: shows the last sum until all members are known again.

    A member that counts anew, and others in its place, let it go on from where it was. A total
    never falls.
    """

    _shown: float | None = None
    _offset = 0.0
    _fell_at: float | None = None
    _members_changed = False

    @override
    async def async_added_to_hass(self) -> None:
        """Go on from what was shown before the restart."""
        if (extra := await self.async_get_last_extra_data()) is not None:
            stored = extra.as_dict()
            self._shown = self._attr_native_value = stored["value"]
            self._offset = stored["offset"]
            self._members_changed = stored["members"] != self._members()
        await super().async_added_to_hass()

    @property
    @override
    def extra_restore_state_data(self) -> ExtraStoredData:
        """Return what a restart must not lose."""
        return RestoredExtraData(
            {
                "value": self._shown,
                "offset": self._offset,
                "members": self._members(),
            }
        )

    def _members(self) -> list[Any]:
        return [[point.entity, point.factor] for point in self._points]

    @override
    def _take(self, value: float | None) -> None:
        if value is None:
            return
        value += self._offset
        shown = self._shown
        if shown is not None and (self._members_changed or self._counts_anew(value, shown)):
            self._offset += shown - value
            value = shown
        self._members_changed = False
        if self._fell_at is None:
            self._shown = self._attr_native_value = round(value, _DECIMALS)

    def _counts_anew(self, value: float, shown: float) -> bool:
        """Return whether a total has been lower for so long that a member was replaced."""
        if self.state_class is SensorStateClass.TOTAL or value >= shown:
            self._fell_at = None
            return False
        now = time.time()
        if self._fell_at is None:
            self._fell_at = now
        if now - self._fell_at < RESET_AFTER_S:
            return False
        self._fell_at = None
        return True


def group_unique_id(subentry: ConfigSubentry, key: str) -> str:
    """Return the unique id of a quantity of a group."""
    return f"{subentry.subentry_id}_{key}"


def group_sensors(subentry: ConfigSubentry) -> list[GroupSensor]:
    """Make the sensors of a group."""
    points: dict[str, list[Point]] = {}
    for stored in subentry.data[CONF_POINTS]:
        point = Point.from_dict(stored)
        points.setdefault(point.name, []).append(point)
    sensors: list[GroupSensor] = []
    for key, members in points.items():
        quantity = QUANTITIES[key]
        kind = GroupCounter if quantity.counter else GroupSensor
        sensors.append(kind(subentry, quantity, members))
    return sensors
