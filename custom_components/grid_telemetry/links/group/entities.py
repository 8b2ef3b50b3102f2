"""The sensors of a meter group: one for each quantity, made of what its members show."""

from collections.abc import Sequence
from dataclasses import replace
import math
import time
from typing import Any, Final, override

from homeassistant.components.sensor import SensorEntity, SensorStateClass
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    EventStateReportedData,
    State,
    callback,
)
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.event import (
    async_call_later,
    async_track_state_change_event,
    async_track_state_report_event,
)
from homeassistant.helpers.restore_state import ExtraStoredData, RestoredExtraData, RestoreEntity

from ...const import DOMAIN, MANUFACTURER
from ...entities.quantity_classes import device_class_of, state_class_of
from ...points.point import Point, Refusal, entity_id_of, evaluate, moves_one_of
from ...points.reader import OLDEST_REPORTS
from ...points.table import CONF_POINTS
from ...vocabulary.clock import elapsed_s
from ...vocabulary.counter import COMMON_WIDTHS_KILO, Counter, CounterRules
from ...vocabulary.quantities import QUANTITIES, Quantity
from .const import CONF_GROUP_KIND, GroupKind

LOOK_AGAIN_S: Final = 30.0
"""So often a member that is doubted is looked at, should it not report again by itself."""

# Sums are not told finer than any meter counts.
_DECIMALS: Final = 6
_MODELS: Final = {GroupKind.TOTAL: "Meter total", GroupKind.DIFFERENCE: "Check meter"}
_RULES: Final = CounterRules(widths=COMMON_WIDTHS_KILO)
# Of a member that may be missing; one that was never set up says nothing yet.
_MISSING: Final = (Refusal.UNAVAILABLE, Refusal.UNKNOWN)


class GroupSensor(SensorEntity):
    """A quantity of a group; available while it is known of every member.

    It is written when its value changes, and when every member has reported since the last time: so
    it is as old as the oldest of them.
    """

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(
        self, subentry: ConfigSubentry, quantity: Quantity, points: Sequence[Point]
    ) -> None:
        """Take the members with the quantity; a factor of -1 takes one off."""
        self._kind = GroupKind(subentry.data[CONF_GROUP_KIND])
        self._points = points
        self._bare = [replace(point, factor=1.0, offset=0.0) for point in points]
        self._values: list[float | None] = [None] * len(points)
        self._indices: dict[str, list[int]] = {}
        self._silent: set[str] = set()
        self._unlisten: list[CALLBACK_TYPE] = []
        self._attr_unique_id = group_unique_id(subentry, quantity.key)
        self._attr_translation_key = quantity.key
        self._attr_native_unit_of_measurement = quantity.unit
        self._attr_device_class = device_class_of(quantity)
        self._attr_state_class = state_class_of(quantity)
        if quantity.counter and self._kind is GroupKind.DIFFERENCE:
            self._attr_state_class = SensorStateClass.TOTAL
        self._attr_suggested_display_precision = quantity.precision
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, subentry.subentry_id)},
            entry_type=DeviceEntryType.SERVICE,
            manufacturer=MANUFACTURER,
            model=_MODELS[self._kind],
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
        oldest_reports = self.hass.data.setdefault(OLDEST_REPORTS, {})
        entity_id = self.entity_id
        oldest_reports[entity_id] = self._oldest_report

        @callback
        def forget() -> None:
            oldest_reports.pop(entity_id, None)

        self.async_on_remove(forget)
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
        for entity_id in self._indices:
            self._take_member(entity_id, self.hass.states.get(entity_id))
        self._unlisten = [
            async_track_state_change_event(self.hass, self._indices, self._member_reported),
            async_track_state_report_event(self.hass, self._indices, self._member_reported),
        ]
        self._silent = set(self._indices)
        self._show()

    @callback
    def _unfollow(self) -> None:
        while self._unlisten:
            self._unlisten.pop()()

    @callback
    def _concerns_us(self, event_data: er.EventEntityRegistryUpdatedData) -> bool:
        return moves_one_of(
            event_data,
            self._indices,
            all_there=len(self._indices) == len({point.entity for point in self._points}),
        )

    @callback
    def _registry_changed(self, _: Event[er.EventEntityRegistryUpdatedData]) -> None:
        """Go on with a member under its new name, or without it."""
        self._follow()
        self.async_write_ha_state()

    @callback
    def _member_reported(
        self, event: Event[EventStateChangedData] | Event[EventStateReportedData]
    ) -> None:
        """Take a report of a member, of another value or of the same."""
        entity_id = event.data["entity_id"]
        self._silent.discard(entity_id)
        self._take_member(entity_id, event.data["new_state"])
        if self._show() or not any(map(self._is_awaited, self._silent)):
            self._silent = set(self._indices)
            self.async_write_ha_state()

    def _is_awaited(self, entity_id: str) -> bool:
        """Return whether the sum is as old as what a member last reported."""
        return any(self._values[index] is not None for index in self._indices[entity_id]) and (
            self._reported_at(entity_id) is not None
        )

    def _reported_at(self, entity_id: str) -> float | None:
        """Return when a member last reported, None while it is missing."""
        state = self.hass.states.get(entity_id)
        index = self._indices[entity_id][0]
        if state is None or isinstance(evaluate(state, self._bare[index]), Refusal):
            return None
        return state.last_reported_timestamp

    def _oldest_report(self) -> float | None:
        """Return when the oldest member was reported, in epoch seconds."""
        reports = [self._reported_at(entity_id) for entity_id in self._indices]
        return min((at for at in reports if at is not None), default=None)

    def _take_member(self, entity_id: str, state: State | None) -> None:
        """Take what a member shows."""
        for index in self._indices[entity_id]:
            self._take_value(index, evaluate(state, self._bare[index]))

    def _take_value(self, index: int, value: float | Refusal) -> None:
        """Take what a member is worth."""
        if not isinstance(value, Refusal):
            self._values[index] = value
        else:
            is_zero = self._points[index].missing_as_zero and value in _MISSING
            self._values[index] = 0.0 if is_zero else None

    def _show(self) -> bool:
        """Show the sum, nothing while a member's value is not known; return whether it changed."""
        parts = [
            value * point.factor
            for value, point in zip(self._values, self._points, strict=True)
            if value is not None
        ]
        value = round(math.fsum(parts), _DECIMALS) if len(parts) == len(self._points) else None
        before, self._attr_native_value = self._attr_native_value, value
        self._attr_available = value is not None
        return before != value


class GroupCounter(GroupSensor, RestoreEntity):
    """A counted quantity: what the group showed at first and what each member advanced by since.

    So a member that is doubted, unavailable, reset or replaced holds nobody up, and takes nothing
    away or along. Known once all members are; others in their place let it go on from where it was.
    A total never falls.
    """

    _shown: float | None = None
    _base: float | None = None
    """What is shown less the members' advances."""
    _look_again: CALLBACK_TYPE | None = None

    def __init__(
        self, subentry: ConfigSubentry, quantity: Quantity, points: Sequence[Point]
    ) -> None:
        """Follow the counter of each member."""
        super().__init__(subentry, quantity, points)
        self._counters = [Counter(_RULES) for _ in points]

    @override
    async def async_added_to_hass(self) -> None:
        """Go on from what was shown before the restart."""
        if (extra := await self.async_get_last_extra_data()) is not None:
            self._restore(extra.as_dict())
        self.async_on_remove(self._stop_looking)
        await super().async_added_to_hass()

    def _restore(self, stored: dict[str, Any]) -> None:
        self._shown = self._attr_native_value = stored["value"]
        # Before the counters of members were kept there was no time either.
        if (at := stored.get("at")) is not None:
            then = elapsed_s() - max(0.0, time.time() - at)
            known = {tuple(member): state for member, state in stored["members"]}
            for index, point in enumerate(self._points):
                if (state := known.get((point.entity, point.factor))) is not None:
                    self._counters[index] = Counter.from_dict(state, then, _RULES)
        if self._shown is not None:
            self._base = self._shown - self._advances()

    @property
    @override
    def extra_restore_state_data(self) -> ExtraStoredData:
        """Return what a restart must not lose."""
        now = elapsed_s()
        return RestoredExtraData(
            {
                "value": self._shown,
                "at": time.time(),
                "members": [
                    [[point.entity, point.factor], counter.as_dict(now)]
                    for point, counter in zip(self._points, self._counters, strict=True)
                ],
            }
        )

    @override
    def _take_member(self, entity_id: str, state: State | None) -> None:
        super()._take_member(entity_id, state)
        if self._look_again is None and any(counter.is_doubted for counter in self._counters):
            self._look_again = async_call_later(self.hass, LOOK_AGAIN_S, self._look)

    @override
    def _take_value(self, index: int, value: float | Refusal) -> None:
        super()._take_value(index, value)
        if not isinstance(value, Refusal):
            self._counters[index].take(value, elapsed_s())

    @callback
    def _look(self, _: object) -> None:
        """Look at the members that are doubted: a state that stands is as good as reported."""
        self._look_again = None
        for entity_id, indices in self._indices.items():
            if any(self._counters[index].is_doubted for index in indices):
                self._take_member(entity_id, self.hass.states.get(entity_id))
        if self._show():
            self.async_write_ha_state()

    @callback
    def _stop_looking(self) -> None:
        if self._look_again is not None:
            self._look_again()
            self._look_again = None

    def _advances(self) -> float:
        return math.fsum(
            counter.total * point.factor
            for counter, point in zip(self._counters, self._points, strict=True)
        )

    @override
    def _show(self) -> bool:
        if self._base is None:
            readings = [counter.good for counter in self._counters]
            known = [good for good in readings if good is not None]
            if len(known) < len(readings):
                return False
            first = math.fsum(
                good * point.factor for good, point in zip(known, self._points, strict=True)
            )
            self._base = first - self._advances()
        value = round(self._base + self._advances(), _DECIMALS)
        if self._kind is GroupKind.TOTAL and self._shown is not None:
            value = max(value, self._shown)
        before, self._shown = self._shown, value
        self._attr_native_value = value
        return before != value


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
