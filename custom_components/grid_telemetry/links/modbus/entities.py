"""The sensors of a meter, one for each quantity of its register map."""

from collections.abc import Iterable
import time
from typing import override

from homeassistant.components.sensor import (
    RestoreSensor,
    SensorEntity,
    SensorEntityDescription,
)
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from ...const import DOMAIN
from ...entities.quantity_classes import device_class_of, state_class_of
from ...points.used import used_entities
from ...vocabulary.clock import elapsed_s
from ...vocabulary.quantities import QUANTITIES
from ...vocabulary.shown import restraint_of
from .const import CONF_ABSENT
from .coordinator import MeterCoordinator
from .identity import identity_of

DESCRIPTIONS: dict[str, SensorEntityDescription] = {
    quantity.key: SensorEntityDescription(
        key=quantity.key,
        translation_key=quantity.key,
        native_unit_of_measurement=quantity.unit,
        device_class=device_class_of(quantity),
        state_class=state_class_of(quantity),
        suggested_display_precision=None if quantity.options else quantity.precision,
        options=list(quantity.options) or None,
        entity_registry_enabled_default=quantity.enabled_default,
    )
    for quantity in QUANTITIES.values()
}


def sensor_unique_id(subentry: ConfigSubentry, key: str) -> str:
    """Return the unique id of a quantity of a meter."""
    return f"{identity_of(subentry)}_{key}"


class MeterSensor(CoordinatorEntity[MeterCoordinator], SensorEntity):
    """One quantity of a meter; available while the meter answers for it.

    Where somebody uses it, it shows every read. Else it shows another value only now and then, and
    only one that differs by more than a share: what is shown again costs the database no row.
    """

    _attr_has_entity_name = True
    _shown: float | None = None
    _shown_since = 0.0

    def __init__(self, coordinator: MeterCoordinator, subentry: ConfigSubentry, key: str) -> None:
        # With its key as context, the coordinator reads only what an enabled entity shows.
        super().__init__(coordinator, key)
        self.entity_description = DESCRIPTIONS[key]
        self._restraint = restraint_of(QUANTITIES[key])
        self._attr_unique_id = sensor_unique_id(subentry, key)
        self._attr_entity_registry_enabled_default = (
            self.entity_description.entity_registry_enabled_default
            and key not in subentry.data.get(CONF_ABSENT, ())
        )
        register_map = coordinator.meter.map
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, identity_of(subentry))},
            manufacturer=register_map.manufacturer,
            model=register_map.model,
            name=subentry.title,
        )

    @property
    @override
    def available(self) -> bool:
        """Return whether the meter answered for this quantity in the last poll."""
        return super().available and self.entity_description.key in self.coordinator.data

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self._show()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._show()
        super()._handle_coordinator_update()

    @property
    def _read(self) -> float | None:
        """The value of the last poll."""
        return self.coordinator.data.get(self.entity_description.key)

    @callback
    def _show(self) -> None:
        """Take what was read over, unless what is shown may stay for now."""
        value, now = self._read, elapsed_s()
        if value is None or not self.available:
            self._shown = None
            return
        if (
            self._shown is not None
            and self._restraint.holds(self._shown, value, now - self._shown_since)
            and self.entity_id not in used_entities(self.hass)
        ):
            return
        if value != self._shown:
            self._shown, self._shown_since = value, now

    @property
    @override
    def native_value(self) -> float | str | None:
        """Return what is shown of the last polls."""
        options = QUANTITIES[self.entity_description.key].options
        value = self._shown
        return options[int(value)] if options and value is not None else value


class MeterCounter(MeterSensor, RestoreSensor):
    """A counter: what it showed before a restart is what its first read is judged by."""

    @property
    @override
    def _read(self) -> float | None:
        """The last believed value."""
        return self.coordinator.guards[self.entity_description.key].good

    @property
    @override
    def native_value(self) -> float | None:
        """Return what is shown; while unavailable the last believed value, which is restored."""
        return self._read if self._shown is None else self._shown

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        state = await self.async_get_last_state()
        data = await self.async_get_last_sensor_data()
        if (
            state is not None
            and data is not None
            and isinstance(data.native_value, (int, float))
            and data.native_unit_of_measurement == self.native_unit_of_measurement
        ):
            self.coordinator.guards[self.entity_description.key].seed(
                float(data.native_value),
                elapsed_s() - max(0.0, time.time() - state.last_updated_timestamp),
            )


def meter_sensors(
    subentry: ConfigSubentry, fast: MeterCoordinator, slow: MeterCoordinator
) -> Iterable[MeterSensor]:
    """Make the sensors of one meter."""
    for key in fast.meter.map.quantities:
        quantity = QUANTITIES[key]
        sensor = MeterCounter if quantity.counter else MeterSensor
        yield sensor(fast if quantity.fast else slow, subentry, key)
