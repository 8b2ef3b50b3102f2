"""The sensors of a subscriber, one for each signal."""

import asyncio
from typing import Final, override

from homeassistant.components.sensor import SensorEntity
from homeassistant.const import EntityCategory
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo

from ...const import DOMAIN
from ...entities.push import PushEntity
from ...entities.unit_classes import classes_of_unit
from ...protocols.sttp import Measurement
from .payload import Signal, value_of

# Words of bits and verdicts rather than numbers of something.
_NOT_MEASURED: Final = ("DIGI", "FLAG", "QUAL", "ALRM")


class SignalSensor(PushEntity, SensorEntity):
    """Shows one signal; available while its last measurement is good."""

    _attr_available = False

    def __init__(self, entry_id: str, signal: Signal, device_info: DeviceInfo) -> None:
        self.signal = signal
        self.settled = asyncio.Event()
        """Set once Home Assistant has added the sensor, or will not, as it is disabled."""
        self._attr_unique_id = f"{entry_id}_{signal.signal_id}"
        self._attr_name = signal.name
        self._attr_device_info = device_info
        self._attr_native_unit_of_measurement = signal.unit
        self._attr_device_class, state_class = classes_of_unit(signal.unit)
        if signal.kind not in _NOT_MEASURED:
            self._attr_state_class = state_class
        if signal.kind == "STAT":
            self._attr_entity_category = EntityCategory.DIAGNOSTIC

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.settled.set()

    @callback
    @override
    def add_to_platform_abort(self) -> None:
        super().add_to_platform_abort()
        self.settled.set()

    async def async_leave(self) -> None:
        """Have Home Assistant forget the entity; its registry entry stays for the user."""
        if self.is_added:
            await self.async_remove()

    @callback
    def show(self, measurement: Measurement | None) -> None:
        """Show a measurement; None is the end of the connection."""
        value = None if measurement is None else value_of(measurement)
        self._attr_available = value is not None
        if value is not None:
            self._attr_native_value = value
        self.write()


def signal_sensor(entry_id: str, signal: Signal, link_device: DeviceInfo) -> SignalSensor:
    """Return the sensor of a signal, on its own device or, if it has none, on the link's."""
    device = signal.device
    if device is None:
        return SignalSensor(entry_id, signal, link_device)
    return SignalSensor(
        entry_id,
        signal,
        DeviceInfo(
            identifiers={(DOMAIN, device_identifier(entry_id, device.acronym))},
            manufacturer=device.vendor or None,
            model=device.model or None,
            name=device.name,
        ),
    )


def device_identifier(entry_id: str, acronym: str) -> str:
    """Return what identifies a publisher's device among all of Grid Telemetry."""
    return f"{entry_id}_{acronym}"
