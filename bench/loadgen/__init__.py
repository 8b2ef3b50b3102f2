"""Sensors that change steadily, and a clock of the event loop's stalls, for the bench."""

import gc
import os
from threading import get_native_id

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
    """The longest time that the event loop kept a timer waiting.

    What is nobody's doing here is left out: Python's garbage collector, which stops any Home
    Assistant of this size for some 0.4 s now and then, and the time in which other programs of
    the machine had the processor (the kernel's run delay of the loop's thread).
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Start ticking; to be called in the event loop."""
        self._loop = hass.loop
        self._due = self._loop.time()
        self._longest_s = 0.0
        self._collecting_since: float | None = None
        self._collected_s = 0.0
        gc.callbacks.append(self._on_collection)
        self._scheduler = os.open(f"/proc/self/task/{get_native_id()}/schedstat", os.O_RDONLY)
        self._delay_s = self._run_delay_s()
        self._tick()

    def _run_delay_s(self) -> float:
        return int(os.pread(self._scheduler, 64, 0).split()[1]) / 1e9

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        self._count_collection()
        self._collecting_since = self._loop.time() if phase == "start" else None

    def _count_collection(self) -> None:
        # A collection in another thread may not be told as ended when the loop goes on.
        if self._collecting_since is not None:
            now = self._loop.time()
            self._collected_s += now - self._collecting_since
            self._collecting_since = now

    def _tick(self) -> None:
        self._count_collection()
        now, delay_s = self._loop.time(), self._run_delay_s()
        stall_s = now - self._due - self._collected_s - (delay_s - self._delay_s)
        self._longest_s = max(self._longest_s, stall_s)
        self._collected_s, self._delay_s = 0.0, delay_s
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
