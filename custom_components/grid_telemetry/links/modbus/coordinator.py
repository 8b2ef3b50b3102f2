"""Polls one group of a meter's quantities, the fast one or the slow one."""

from datetime import timedelta
import logging
import math
from typing import override

from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.typing import UNDEFINED
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from modbus_connection import ModbusError

from ...const import DOMAIN
from ...link import GridTelemetryConfigEntry
from ...vocabulary.clock import elapsed_s
from ...vocabulary.counter import Counter, CounterRules
from ...vocabulary.quantities import QUANTITIES
from .client import Meter
from .wording import modbus_words

_LOGGER = logging.getLogger(__name__)
# For the base class alone, whose lines are filtered.
_UPDATES_LOGGER = logging.getLogger(f"{__name__}.updates")


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Leave out the lines of the base class for a lost and a regained update.

    It writes them for each group; the meter itself writes one when lost and one when back.
    """
    return record.levelno < logging.INFO or record.exc_info is not None


_UPDATES_LOGGER.addFilter(_is_worth_a_line)


class MeterCoordinator(DataUpdateCoordinator[dict[str, float]]):
    """Reads the quantities that entities listen for; `data` holds those that were answered."""

    config_entry: GridTelemetryConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        meter: Meter,
        *,
        identity: str,
        group: str,
        interval: timedelta,
    ) -> None:
        super().__init__(
            hass,
            _UPDATES_LOGGER,
            config_entry=entry,
            name=f"{meter.name} ({group})",
            update_interval=interval,
        )
        self.data = {}
        self.meter = meter
        self.identity = identity
        self.group = group
        self.guards = {
            key: Counter(
                # One more read that agrees is enough: all of them come from the same register.
                CounterRules(rated_per_hour=meter.map.rated_power_w / 1000, reports=2, over_s=0)
            )
            for key in meter.map.quantities
            if QUANTITIES[key].counter
        }

    @override
    async def _async_update_data(self) -> dict[str, float]:
        keys = set(self.async_contexts())
        if not keys:
            return {}
        try:
            values = await self.meter.read(keys, self.group)
        except ModbusError as err:
            raise UpdateFailed(
                translation_domain=DOMAIN,
                translation_key="meter_silent",
                translation_placeholders={"meter": self.meter.name, "error": modbus_words(err)},
                # A second more: the base class plans by whole seconds and would ask too early.
                retry_after=math.ceil(self.meter.pause_s) + 1,
            ) from err
        if not values:
            raise UpdateFailed(
                translation_domain=DOMAIN,
                translation_key="meter_refuses",
                translation_placeholders={"meter": self.meter.name},
            )
        if self.meter.identity is None:
            await self._identify()
        return self._publishable(values)

    def _publishable(self, values: dict[str, float]) -> dict[str, float]:
        """Replace what a counter cannot have counted by its last good value."""
        now = elapsed_s()
        published: dict[str, float] = {}
        for key, value in values.items():
            if (guard := self.guards.get(key)) is not None:
                guard.rate(self.meter.rated_power_w / 1000)
            accepted = value if guard is None else guard.accept(value, now)
            if accepted != value:
                _LOGGER.debug("%s: read %s for %s, held back", self.name, value, key)
            if accepted is not None:
                published[key] = accepted
        return published

    async def _identify(self) -> None:
        """Show on the device what the meter says of itself."""
        identity = await self.meter.identify()
        if identity is None:
            return
        devices = dr.async_get(self.hass)
        device = devices.async_get_device_by_identifier(
            (DOMAIN, self.identity), self.config_entry.entry_id
        )
        if device is not None:
            # A lost answer is no reason to forget what an earlier one told.
            unknown = None if identity.complete else UNDEFINED
            devices.async_update_device(
                device.id,
                serial_number=identity.serial_number or unknown,
                sw_version=identity.firmware or unknown,
            )
