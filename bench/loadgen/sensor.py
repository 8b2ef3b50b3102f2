"""1,000 power sensors of 100 devices; each device changes all of its values every 4 seconds."""

from datetime import datetime, timedelta
from itertools import cycle

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorStateClass,
)
from homeassistant.const import UnitOfPower
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_track_time_interval

from . import Hurry, LoadConfigEntry

DEVICES = 100
SENSORS_EACH = 10
PERIOD_S = 4


class LoadSensor(SensorEntity):
    """A power that is another one at every change."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    _attr_device_class = SensorDeviceClass.POWER
    _attr_state_class = SensorStateClass.MEASUREMENT
    _attr_native_unit_of_measurement = UnitOfPower.WATT

    def __init__(self, device: int, number: int) -> None:
        """Take a place in a device."""
        self._attr_name = f"Power {number}"
        self._attr_unique_id = f"{device}_{number}"
        self._attr_device_info = DeviceInfo(
            identifiers={("loadgen", str(device))}, name=f"Load {device:03}"
        )
        self._attr_native_value = float(number)

    def change(self) -> None:
        """Take the next value."""
        value = self._attr_native_value
        assert isinstance(value, float)
        self._attr_native_value = round((value + 0.7) % 5000, 1)
        self.async_write_ha_state()


async def async_setup_entry(
    hass: HomeAssistant, entry: LoadConfigEntry, async_add_entities: AddConfigEntryEntitiesCallback
) -> None:
    """Add the sensors and let one device after the other change."""
    devices = [
        [LoadSensor(device, number) for number in range(SENSORS_EACH)] for device in range(DEVICES)
    ]
    async_add_entities(sensor for device in devices for sensor in device)
    turns = cycle(range(DEVICES))

    def change(device: int) -> None:
        for sensor in devices[device]:
            sensor.change()

    @callback
    def change_next(_now: datetime) -> None:
        change(next(turns))

    entry.runtime_data = Hurry(hass, change)
    entry.async_on_unload(
        async_track_time_interval(hass, change_next, timedelta(seconds=PERIOD_S / DEVICES))
    )
