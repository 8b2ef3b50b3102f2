"""The entities of a Powernaut entry: activations and what the platform has seen."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, override

from homeassistant.components.binary_sensor import BinarySensorEntity
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.event import EventEntity
from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorStateClass,
)
from homeassistant.components.switch import SwitchEntity
from homeassistant.const import EntityCategory, UnitOfPower
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from ...entities.diagnostic import calm_time
from .activation_schedule import EVENT_TYPES, ResourceSchedule
from .baselines import Baseline
from .const import ACTIVATION_KEY, COMMAND_KEY, REPORT_KEY, SETPOINT_KEY, reported_signal
from .coordinator import PlatformView
from .rest_payload import ResourceEvent
from .standing import Standing, StandingStatus
from .standing_bids import StandingBid

LAST_SEEN_KEY: Final = "powernaut_last_seen"
_REPORTS: Final = {
    ResourceEvent.PV_CURTAILMENT_SCHEDULED: "pv_curtailment_scheduled",
    ResourceEvent.MFRR_ACTIVATION: "mfrr_activation",
}


class _ActivationEntity(Entity):
    """Shows something of a resource's activations; they change by message and by the clock."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, device: DeviceInfo, unique_id: str, schedule: ResourceSchedule) -> None:
        self._attr_device_info = device
        self._attr_unique_id = f"{unique_id}_{self.translation_key}"
        self._schedule = schedule


class SetpointSensor(_ActivationEntity, SensorEntity):
    """The setpoint in force; unknown is: follow the baseline."""

    _attr_translation_key = SETPOINT_KEY
    _attr_device_class = SensorDeviceClass.POWER
    _attr_native_unit_of_measurement = UnitOfPower.WATT
    _attr_suggested_display_precision = 0

    @property
    @override
    def native_value(self) -> float | None:
        present = self._schedule.present
        return None if present is None else present.watts

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        present = self._schedule.present
        return {
            "start": None if present is None else present.start.isoformat(),
            "end": None if present is None else present.end.isoformat(),
        }

    @override
    async def async_added_to_hass(self) -> None:
        self.async_on_remove(self._schedule.listen(self.async_write_ha_state))


class ActivationBinarySensor(_ActivationEntity, BinarySensorEntity):
    """Whether a setpoint is in force."""

    _attr_translation_key = ACTIVATION_KEY
    _attr_device_class = BinarySensorDeviceClass.RUNNING

    @property
    @override
    def is_on(self) -> bool:
        return self._schedule.present is not None

    @override
    async def async_added_to_hass(self) -> None:
        self.async_on_remove(self._schedule.listen(self.async_write_ha_state))


class ActivationEvent(_ActivationEntity, EventEntity):
    """Each activation as it comes."""

    _attr_translation_key = COMMAND_KEY
    _attr_event_types = EVENT_TYPES

    @override
    async def async_added_to_hass(self) -> None:
        self.async_on_remove(self._schedule.listen_received(self._received))

    @callback
    def _received(self, event_type: str, attributes: dict[str, Any]) -> None:
        self._trigger_event(event_type, attributes)
        self.async_write_ha_state()


class ReportEvent(EventEntity):
    """Each event of a resource that was reported to the platform."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    _attr_translation_key = REPORT_KEY
    _attr_event_types = list(_REPORTS.values())  # noqa: RUF012 - as in the base class

    def __init__(self, device: DeviceInfo, unique_id: str, resource_id: str) -> None:
        self._attr_device_info = device
        self._attr_unique_id = f"{unique_id}_{REPORT_KEY}"
        self._resource_id = resource_id

    @override
    async def async_added_to_hass(self) -> None:
        signal = reported_signal(self._resource_id)
        self.async_on_remove(async_dispatcher_connect(self.hass, signal, self._reported))

    @callback
    def _reported(self, event: ResourceEvent, start: datetime, end: datetime) -> None:
        self._trigger_event(_REPORTS[event], {"start": start.isoformat(), "end": end.isoformat()})
        self.async_write_ha_state()


class LastSeenSensor(CoordinatorEntity[PlatformView], SensorEntity):
    """When the platform last had data of the site or a resource."""

    _attr_has_entity_name = True
    _attr_translation_key = LAST_SEEN_KEY
    _attr_device_class = SensorDeviceClass.TIMESTAMP
    _attr_entity_category = EntityCategory.DIAGNOSTIC

    def __init__(
        self, view: PlatformView, device: DeviceInfo, unique_id: str, platform_id: str
    ) -> None:
        super().__init__(view)
        self._attr_device_info = device
        self._attr_unique_id = f"{unique_id}_{LAST_SEEN_KEY}"
        self._platform_id = platform_id
        self._shown: datetime | None = None

    @property
    @override
    def available(self) -> bool:
        """Return whether the platform answered, and knows of this."""
        return super().available and self._platform_id in self.coordinator.data.last_seen

    @property
    @override
    def native_value(self) -> datetime | None:
        self._shown = calm_time(self._shown, self.coordinator.last_seen(self._platform_id))
        return self._shown


class _StandingEntity[S: Standing](Entity):
    """Shows something of a standing bid, or of a baseline that is kept ahead."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, device: DeviceInfo, standing: S) -> None:
        self._attr_device_info = device
        self._attr_unique_id = f"{standing.subentry_id}_{self.translation_key}"
        self._standing = standing

    @override
    async def async_added_to_hass(self) -> None:
        self.async_on_remove(self._standing.listen(self.async_write_ha_state))


class StandingSwitch(_StandingEntity[Standing], SwitchEntity):
    """Whether it works; off until the user turns it on."""

    def __init__(
        self,
        device: DeviceInfo,
        standing: Standing,
        translation_key: str,
        enable: Callable[[Standing, bool], Awaitable[None]],
    ) -> None:
        self._attr_translation_key = translation_key
        super().__init__(device, standing)
        self._enable = enable

    @property
    @override
    def is_on(self) -> bool:
        return self._standing.enabled

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        await self._enable(self._standing, True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        await self._enable(self._standing, False)


class StandingStatusSensor(_StandingEntity[Standing], SensorEntity):
    """How it fares."""

    _attr_translation_key = "powernaut_bid_status"
    _attr_device_class = SensorDeviceClass.ENUM
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_options = list(StandingStatus)  # noqa: RUF012 - as in the base class

    @property
    @override
    def native_value(self) -> str:
        return self._standing.status

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        return {"detail": self._standing.detail}


class BaselineUntilSensor(_StandingEntity[Baseline], SensorEntity):
    """Until when the platform has the baseline."""

    _attr_translation_key = "powernaut_baseline_until"
    _attr_device_class = SensorDeviceClass.TIMESTAMP

    @property
    @override
    def native_value(self) -> datetime | None:
        return self._standing.end


class OpenBidsSensor(_StandingEntity[StandingBid], SensorEntity):
    """How many quarter-hours stand open, or were accepted, and which."""

    _attr_translation_key = "powernaut_open_bids"
    _attr_state_class = SensorStateClass.MEASUREMENT
    _unrecorded_attributes = frozenset({"quarters"})

    @property
    @override
    def native_value(self) -> int:
        return len(self._standing.open)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        return {"quarters": [start.isoformat() for start in self._standing.open]}
