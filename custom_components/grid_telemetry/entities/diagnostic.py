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
NONE: Final = "none"
"""The state of a text that there is none of, which is well; it has a translation."""
_CALM: Final = timedelta(minutes=5)


def calm_time(shown: datetime | None, present: datetime | None) -> datetime | None:
    """Return the time that a sensor shows: the present one, but a new one each five minutes only.

    Each state of a time is an entry of the activity, and a row in the database. Times that the
    diagnostics tell are exact.
    """
    if shown is not None and present is not None and shown <= present < shown + _CALM:
        return shown
    return present


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
        present = len(names) if description.value_fn is None else description.value_fn()
        self._attr_native_value = _shown(present, self._attr_native_value)
        if description.names_fn is not None:
            self._attr_extra_state_attributes = {
                description.names_attribute: list(names[:MAX_NAMES])
            }
        return before != (self._attr_native_value, self.extra_state_attributes)


def _shown(
    present: float | str | datetime | None, shown: object
) -> int | float | str | datetime | None:
    match present:
        case str():
            return present[:MAX_LENGTH_STATE_STATE]
        case datetime() if isinstance(shown, datetime):
            return calm_time(shown, present)
        case _:
            return present


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
