"""Diagnostic figures of a link: sensors that are read now and then."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, override

from homeassistant.components.sensor import SensorEntity, SensorEntityDescription
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import MAX_LENGTH_STATE_STATE, EntityCategory
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.event import async_track_time_interval

UPDATE_INTERVAL: Final = timedelta(seconds=5)
MAX_NAMES: Final = 50
"""So many names an attribute shows; the diagnostics have all of them."""


@dataclass(frozen=True, kw_only=True)
class DiagnosticSensorDescription(SensorEntityDescription):
    """One figure; its key is the translation key."""

    value_fn: Callable[[], int | float | str | datetime | None] | None = None
    """Returns the figure; None counts what `names_fn` returns."""
    names_fn: Callable[[], Sequence[str]] | None = None
    """Returns what an attribute shows, such as the names of the points that the figure counts."""
    names_attribute: str = "points"


class DiagnosticSensor(SensorEntity):
    """Shows a figure; it is written only when it changed."""

    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_has_entity_name = True
    _attr_should_poll = False
    _unrecorded_attributes = frozenset({"points", "requests"})
    entity_description: DiagnosticSensorDescription

    def __init__(
        self,
        entry: ConfigEntry[Any],
        device_info: DeviceInfo,
        description: DiagnosticSensorDescription,
    ) -> None:
        """Take an identity from the entry and the key."""
        self.entity_description = description
        self._attr_device_info = device_info
        self._attr_unique_id = f"{entry.entry_id}_{description.key}"
        self._attr_translation_key = description.key

    @override
    async def async_added_to_hass(self) -> None:
        self._take()
        self.async_on_remove(async_track_time_interval(self.hass, self._read, UPDATE_INTERVAL))

    @callback
    def _read(self, _: datetime) -> None:
        if self._take():
            self.async_write_ha_state()

    def _take(self) -> bool:
        """Take over what is shown; return whether it changed."""
        before = self._attr_native_value, self.extra_state_attributes
        description = self.entity_description
        names = [] if description.names_fn is None else description.names_fn()
        value = len(names) if description.value_fn is None else description.value_fn()
        if isinstance(value, str):
            value = value[:MAX_LENGTH_STATE_STATE]
        self._attr_native_value = value
        if description.names_fn is not None:
            self._attr_extra_state_attributes = {
                description.names_attribute: list(names[:MAX_NAMES])
            }
        return before != (self._attr_native_value, self.extra_state_attributes)


class Rate:
    """How fast a count grows; asked again, it tells of the time since it was asked last."""

    def __init__(self, count: Callable[[], int], now: Callable[[], float]) -> None:
        """Take what counts, and a clock in seconds."""
        self._count = count
        self._now = now
        self._before = count(), now()

    def __call__(self) -> float:
        """Return the growth per second."""
        count, now = self._count(), self._now()
        (count_before, then), self._before = self._before, (count, now)
        return round((count - count_before) / (now - then), 1) if now > then else 0.0
