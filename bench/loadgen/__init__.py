"""Sensors that change steadily, and a clock of the event loop's stalls, for the bench."""

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType

CONFIG_SCHEMA = cv.config_entry_only_config_schema("loadgen")
TICK_S = 0.002


class StallClock:
    """The longest time that the event loop kept a timer waiting."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start ticking."""
        self._loop = hass.loop
        self._due = self._loop.time()
        self._longest_s = 0.0
        self._tick()

    def _tick(self) -> None:
        now = self._loop.time()
        self._longest_s = max(self._longest_s, now - self._due)
        self._due = now + TICK_S
        self._loop.call_at(self._due, self._tick)

    def read(self) -> float:
        """Return the longest stall in seconds since the last reading."""
        longest, self._longest_s = self._longest_s, 0.0
        return longest


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Offer the action that reads the clock."""
    clock = StallClock(hass)

    @callback
    def stall(call: ServiceCall) -> ServiceResponse:
        return {"seconds": clock.read()}

    hass.services.async_register("loadgen", "stall", stall, supports_response=SupportsResponse.ONLY)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Add the sensors."""
    await hass.config_entries.async_forward_entry_setups(entry, [Platform.SENSOR])
    return True


async def async_unload_entry(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Remove the sensors."""
    return await hass.config_entries.async_unload_platforms(entry, [Platform.SENSOR])
