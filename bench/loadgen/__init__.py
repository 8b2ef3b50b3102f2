"""Sensors that change steadily, and a clock of the event loop's stalls, for the bench."""

from array import array
from collections.abc import Callable
import gc
import os
from threading import get_native_id
import time

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
import voluptuous as vol

CONFIG_SCHEMA = cv.config_entry_only_config_schema("loadgen")
TICK_S = 0.002
HURRY_SCHEMA = vol.Schema({"devices": int, "hz": vol.Coerce(float)})

BLOCK_SCHEMA = vol.Schema({"seconds": vol.Coerce(float), "every_s": vol.Coerce(float)})

type LoadConfigEntry = ConfigEntry[Hurry]


class Hurry:
    """Has some devices change all of their values many times a second, one after the other."""

    def __init__(self, hass: HomeAssistant, change: Callable[[int], None]) -> None:
        """Take what changes the device of a number."""
        self._loop = hass.loop
        self._change = change
        self._begun = 0.0
        self._period_s = 0.0
        self._devices = 0
        self.changed = 0
        """So often a device has changed."""

    def begin(self, devices: int, hz: float) -> None:
        """Begin; with no devices, end."""
        running = self._devices > 0
        self._devices, self._period_s = devices, 1 / (hz * max(devices, 1))
        self._begun, self.changed = self._loop.time(), 0
        if devices and not running:
            self._next()

    def _next(self) -> None:
        if not self._devices:
            return
        # One that is late is changed late, and all of them are changed.
        self._change(self.changed % self._devices)
        self.changed += 1
        self._loop.call_at(self._begun + self.changed * self._period_s, self._next)


class StallClock:
    """How long the event loop kept timers waiting.

    What is nobody's doing here is left out: Python's garbage collector, which stops any Home
    Assistant of this size for some 0.4 s now and then, and the time in which other programs of
    the machine had the processor (the kernel's run delay of the loop's thread).
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Start ticking; to be called in the event loop."""
        self._loop = hass.loop
        self._due = self._loop.time()
        self._stalls_s = array("f")
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
        self._stalls_s.append(stall_s)
        self._collected_s, self._delay_s = 0.0, delay_s
        self._due = now + TICK_S
        self._loop.call_at(self._due, self._tick)

    def read(self) -> array[float]:
        """Return how long each timer had to wait since the last reading, in seconds."""
        stalls_s, self._stalls_s = self._stalls_s, array("f")
        return stalls_s


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Offer the actions that read the clock and hurry the sensors."""
    clock = StallClock(hass)

    @callback
    def stall(call: ServiceCall) -> ServiceResponse:
        stalls_s = sorted(clock.read())
        at = [stalls_s[int(len(stalls_s) * part)] for part in (0.5, 0.99)]
        return {"seconds": stalls_s[-1], "p50": at[0], "p99": at[1]}

    @callback
    def hurry(call: ServiceCall) -> ServiceResponse:
        (entry,) = hass.config_entries.async_loaded_entries("loadgen")
        if call.data:
            entry.runtime_data.begin(call.data["devices"], call.data["hz"])
        return {"changed": entry.runtime_data.changed}

    @callback
    def block(call: ServiceCall) -> None:
        """Have the event loop stand still again and again, as an integration that blocks does."""
        seconds, every_s = call.data["seconds"], call.data["every_s"]

        def stand_still() -> None:
            hass.loop.call_later(every_s, stand_still)
            # Home Assistant lets nobody sleep in its event loop; a computation it does not notice.
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                pass

        hass.loop.call_later(every_s, stand_still)

    hass.services.async_register("loadgen", "block", block, BLOCK_SCHEMA)
    hass.services.async_register("loadgen", "stall", stall, supports_response=SupportsResponse.ONLY)
    hass.services.async_register(
        "loadgen", "hurry", hurry, HURRY_SCHEMA, supports_response=SupportsResponse.OPTIONAL
    )
    return True


async def async_setup_entry(hass: HomeAssistant, entry: LoadConfigEntry) -> bool:
    """Add the sensors."""
    await hass.config_entries.async_forward_entry_setups(entry, [Platform.SENSOR])
    return True


async def async_unload_entry(hass: HomeAssistant, entry: LoadConfigEntry) -> bool:
    """Remove the sensors."""
    entry.runtime_data.begin(0, 1)
    return await hass.config_entries.async_unload_platforms(entry, [Platform.SENSOR])
