"""How a forwarder fares, and the diagnostic entities that show it."""

from abc import abstractmethod
import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol, override, runtime_checkable

from homeassistant.components.binary_sensor import (
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import MAX_LENGTH_STATE_STATE, EntityCategory, Platform, UnitOfTime
from homeassistant.core import CALLBACK_TYPE, callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity import Entity
from homeassistant.util import dt as dt_util

from ..entities.diagnostic import MAX_NAMES, NONE, calm_time

_WRITE_INTERVAL_S: Final = 1.0


@dataclass(kw_only=True)
class Health:
    """How a forwarder fares: set the fields, then call `notify`."""

    connected: bool = False
    queued: int = 0
    """Samples that wait."""
    oldest_at: datetime | None = None
    """The instant that the first of them is about."""
    delivered: int = 0
    """Samples that the platform acknowledged."""
    dropped: int = 0
    """Samples that never will be delivered."""
    stale: tuple[str, ...] = ()
    """The names of the points that have no value, or one that is too old."""
    refused: int = 0
    """Messages that the platform refused; they are set aside."""
    last_delivery: datetime | None = None
    last_error: str | None = None
    """The reason of a `LinkError`; never holds a secret. Stays when the error is over."""
    last_error_detail: str | None = None

    @property
    def oldest_minutes(self) -> int:
        """How long the first of the samples that wait has been there; a minute is nothing."""
        if self.oldest_at is None:
            return 0
        return max(0, int((dt_util.utcnow() - self.oldest_at).total_seconds() // 60))

    _listeners: list[CALLBACK_TYPE] = field(default_factory=list, repr=False)
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    @callback
    def notify(self) -> None:
        """Tell the listeners, at most once a second."""
        if self._timer is None and self._listeners:
            self._timer = asyncio.get_running_loop().call_later(_WRITE_INTERVAL_S, self._tell)

    @callback
    def listen(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Have a callback called after changes; returns what ends that."""
        self._listeners.append(listener)

        @callback
        def unlisten() -> None:
            self._listeners.remove(listener)
            if not self._listeners and self._timer is not None:
                self._timer.cancel()
                self._timer = None

        return unlisten

    def connection_as_dict(self) -> dict[str, Any]:
        """Return for diagnostics what a link has that queues nothing."""
        return {
            "connected": self.connected,
            "last_error": self.last_error,
            "last_error_detail": self.last_error_detail,
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for diagnostics."""
        return {
            **self.connection_as_dict(),
            "queued": self.queued,
            "oldest_at": None if self.oldest_at is None else self.oldest_at.isoformat(),
            "delivered": self.delivered,
            "dropped": self.dropped,
            "refused": self.refused,
            "last_delivery": (
                None if self.last_delivery is None else self.last_delivery.isoformat()
            ),
        }

    def _tell(self) -> None:
        self._timer = None
        for listener in self._listeners:
            listener()


@runtime_checkable
class LinkWithHealth(Protocol):
    """A link that connects to one outside system."""

    health: Health


@dataclass(frozen=True, kw_only=True)
class HealthSensorDescription(SensorEntityDescription):
    """One figure of the health."""

    value_fn: Callable[[Health], int | str | datetime | None]
    attributes_fn: Callable[[Health], dict[str, str | datetime | list[str] | None]] | None = None


_SENSORS: Final = (
    HealthSensorDescription(
        key="queued",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda health: health.queued,
        attributes_fn=lambda health: {"oldest": health.oldest_at},
    ),
    HealthSensorDescription(
        key="oldest_queued",
        device_class=SensorDeviceClass.DURATION,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfTime.MINUTES,
        value_fn=lambda health: health.oldest_minutes,
    ),
    HealthSensorDescription(
        key="delivered",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value_fn=lambda health: health.delivered,
    ),
    HealthSensorDescription(
        key="dropped",
        state_class=SensorStateClass.TOTAL_INCREASING,
        value_fn=lambda health: health.dropped,
    ),
    HealthSensorDescription(
        key="stale",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda health: len(health.stale),
        attributes_fn=lambda health: {"points": list(health.stale[:MAX_NAMES])},
    ),
    HealthSensorDescription(
        key="refused",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda health: health.refused,
    ),
    HealthSensorDescription(
        key="last_delivery",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=lambda health: health.last_delivery,
    ),
    HealthSensorDescription(
        key="last_error",
        value_fn=lambda health: (health.last_error or NONE)[:MAX_LENGTH_STATE_STATE],
        attributes_fn=lambda health: {"detail": health.last_error_detail},
    ),
)


class _HealthEntity(Entity):
    """Shows one thing of the health; it is written only when it changed."""

    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(
        self, entry: ConfigEntry[Any], device_info: DeviceInfo, health: Health, key: str
    ) -> None:
        """Take an identity from the entry and the key."""
        self._attr_device_info = device_info
        self._attr_unique_id = f"{entry.entry_id}_health_{key}"
        self._attr_translation_key = f"health_{key}"
        self._health = health

    @override
    async def async_added_to_hass(self) -> None:
        """Follow the health."""
        self._take()
        self.async_on_remove(self._health.listen(self._write_if_changed))

    @callback
    def _write_if_changed(self) -> None:
        if self._take():
            self.async_write_ha_state()

    @abstractmethod
    def _take(self) -> bool:
        """Take over what is shown; return whether it changed."""


class HealthConnected(_HealthEntity, BinarySensorEntity):
    """Whether the platform is connected."""

    entity_description = BinarySensorEntityDescription(
        key="connected", device_class=BinarySensorDeviceClass.CONNECTIVITY
    )

    @override
    def _take(self) -> bool:
        before, self._attr_is_on = self._attr_is_on, self._health.connected
        return before != self._attr_is_on


class HealthSensor(_HealthEntity, SensorEntity):
    """One figure."""

    entity_description: HealthSensorDescription
    _unrecorded_attributes = frozenset({"oldest", "points"})

    def __init__(
        self,
        entry: ConfigEntry[Any],
        device_info: DeviceInfo,
        health: Health,
        description: HealthSensorDescription,
    ) -> None:
        """Show what the description says."""
        self.entity_description = description
        super().__init__(entry, device_info, health, description.key)
        if description.attributes_fn is not None:
            self._attr_extra_state_attributes = {}

    @override
    def _take(self) -> bool:
        description = self.entity_description
        before = self._attr_native_value, self.extra_state_attributes
        present = description.value_fn(self._health)
        shown = self._attr_native_value
        if isinstance(present, datetime) and isinstance(shown, datetime):
            present = calm_time(shown, present)
        self._attr_native_value = present
        if description.attributes_fn is not None:
            self._attr_extra_state_attributes = dict(description.attributes_fn(self._health))
        return before != (self._attr_native_value, self.extra_state_attributes)


def health_entities(
    entry: ConfigEntry[Any], device_info: DeviceInfo, health: Health, *, queues: bool = True
) -> dict[Platform, list[Entity]]:
    """Return the entities that show the health of a link on its device.

    One that queues nothing has only its connection and its last error to show.
    """
    return {
        Platform.BINARY_SENSOR: [HealthConnected(entry, device_info, health, "connected")],
        Platform.SENSOR: [
            HealthSensor(entry, device_info, health, description)
            for description in _SENSORS
            if queues or description.key == "last_error"
        ],
    }


def as_datetime(epoch_ms: int | None) -> datetime | None:
    """Return epoch milliseconds as a time in UTC."""
    return None if epoch_ms is None else datetime.fromtimestamp(epoch_ms / 1000, UTC)
