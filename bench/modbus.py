"""One SDM630 with all its quantities: this integration against Home Assistant's own `modbus`.

Both run in a Home Assistant of their own in this process and read the same registers of the same
simulated meter, which runs in another process and takes 20 ms for each answer. A cycle is from the
first request until every sensor has its new state. The meter counts the requests.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
import contextlib
from dataclasses import dataclass
import logging
from pathlib import Path
import signal
import statistics
import sys
import tempfile
import time
from types import MappingProxyType
from typing import Any, Final
from unittest.mock import patch

from homeassistant import bootstrap, loader
from homeassistant.components.homeassistant import (
    DOMAIN as HOMEASSISTANT_DOMAIN,
    SERVICE_UPDATE_ENTITY,
)
from homeassistant.components.sensor import DOMAIN as SENSOR_DOMAIN
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntries,
    ConfigEntry,
    ConfigSubentryData,
)
from homeassistant.const import ATTR_ENTITY_ID, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_component import DATA_INSTANCES
from homeassistant.helpers.update_coordinator import CoordinatorEntity
from homeassistant.setup import async_setup_component

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.meters import RegisterMap, load_register_maps

DELAY_S: Final = 0.02
ROUNDS: Final = 7
GOAL_REQUESTS: Final = 6
GOAL_RATIO: Final = 10.0
MAP: Final = "eastron_sdm630"
UNIT: Final = 1
# Nobody polls by itself while cycles are measured.
PAUSE_S: Final = 3600

type Cycle = Callable[[], Awaitable[None]]


class Meter:
    """The simulated meter in its own process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    async def served(self) -> int:
        """Return how many requests it has answered."""
        self._process.send_signal(signal.SIGUSR1)
        return int(await _last_word(self._process))


async def _last_word(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = (await process.stdout.readline()).decode()
    return line.replace(":", " ").split()[-1]


@contextlib.asynccontextmanager
async def running_meter() -> AsyncIterator[Meter]:
    """Run a meter that is as slow as one behind a gateway."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "simulators.meters", "--port", "0", "--delay", str(DELAY_S)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Meter(process, int(await _last_word(process)))
    finally:
        process.terminate()
        await process.wait()


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a cycle of one contender takes."""

    requests: float
    seconds: float


async def measure(meter: Meter, cycle: Cycle) -> Result:
    """Return the median time of some cycles, and their mean number of requests."""
    await cycle()
    before = await meter.served()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await cycle()
        seconds.append(time.perf_counter() - began)
    served = await meter.served() - before
    return Result(requests=served / ROUNDS, seconds=statistics.median(seconds))


def check(hass: HomeAssistant, count: int) -> Sequence[str]:
    """Return the sensors, all of which must have a value."""
    states = hass.states.async_all(SENSOR_DOMAIN)
    missing = [s.entity_id for s in states if s.state in (STATE_UNAVAILABLE, STATE_UNKNOWN)]
    if len(states) != count or missing:
        raise RuntimeError(f"{len(states)} sensors in place of {count}, without value: {missing}")
    return [state.entity_id for state in states]


@contextlib.asynccontextmanager
async def home_assistant() -> AsyncIterator[HomeAssistant]:
    """Run a Home Assistant that finds the integration of this checkout."""
    with tempfile.TemporaryDirectory() as folder:
        hass = HomeAssistant(folder)
        loader.async_setup(hass)
        hass.config_entries = ConfigEntries(hass, {})
        await bootstrap.async_load_base_functionality(hass)
        await async_setup_component(hass, HOMEASSISTANT_DOMAIN, {})
        hass.set_state(CoreState.running)
        try:
            yield hass
        finally:
            await hass.async_stop(force=True)


async def ours(meter: Meter, register_map: RegisterMap) -> Result:
    """Measure this integration with every sensor enabled."""
    entry: ConfigEntry[Any] = ConfigEntry(
        data={"kind": "modbus", "transport": "tcp", "host": "127.0.0.1", "port": meter.port},
        discovery_keys=MappingProxyType({}),
        domain=DOMAIN,
        minor_version=1,
        options={},
        source=SOURCE_USER,
        title="bench",
        unique_id=None,
        version=1,
        subentries_data=[
            ConfigSubentryData(
                subentry_type="meter",
                title="Ours",
                unique_id=str(UNIT),
                data={
                    "unit_id": UNIT,
                    "register_map": MAP,
                    "fast_interval_s": PAUSE_S,
                    "slow_interval_s": PAUSE_S,
                },
            )
        ],
    )
    async with home_assistant() as hass:
        with patch.object(Entity, "entity_registry_enabled_default", True):
            await hass.config_entries.async_add(entry)
            await hass.async_block_till_done(wait_background_tasks=True)
        sensors = [
            hass.data[DATA_INSTANCES][SENSOR_DOMAIN].get_entity(entity_id)
            for entity_id in (state.entity_id for state in hass.states.async_all(SENSOR_DOMAIN))
        ]
        coordinators = {
            sensor.coordinator for sensor in sensors if isinstance(sensor, CoordinatorEntity)
        }

        async def cycle() -> None:
            await asyncio.gather(*(coordinator.async_refresh() for coordinator in coordinators))

        result = await measure(meter, cycle)
        check(hass, len(register_map.quantities))
        return result


async def theirs(meter: Meter, register_map: RegisterMap) -> Result:
    """Measure Home Assistant's `modbus` sensors for the same registers, from YAML."""
    sensors: list[dict[str, Any]] = [
        {
            "name": f"Theirs {key}",
            "slave": UNIT,
            "address": register.address,
            "input_type": register.space,
            "data_type": register.type,
            "scan_interval": PAUSE_S,
        }
        for key, register in register_map.quantities.items()
    ]
    hub = {
        "name": "theirs",
        "type": "tcp",
        "host": "127.0.0.1",
        "port": meter.port,
        "sensors": sensors,
    }
    async with home_assistant() as hass:
        if not await async_setup_component(hass, "modbus", {"modbus": [hub]}):
            raise RuntimeError("Home Assistant's modbus does not take the configuration")
        await hass.async_block_till_done(wait_background_tasks=True)
        entity_ids = [state.entity_id for state in hass.states.async_all(SENSOR_DOMAIN)]

        async def cycle() -> None:
            await hass.services.async_call(
                HOMEASSISTANT_DOMAIN,
                SERVICE_UPDATE_ENTITY,
                {ATTR_ENTITY_ID: entity_ids},
                blocking=True,
            )

        result = await measure(meter, cycle)
        check(hass, len(register_map.quantities))
        return result


async def run() -> bool:
    """Print the comparison; return whether the goals are met."""
    register_map = load_register_maps(Path("/none")).maps[MAP]
    async with running_meter() as meter:
        mine = await ours(meter, register_map)
        peer = await theirs(meter, register_map)
    ratio = peer.seconds / mine.seconds
    print(
        f"modbus: {register_map.model}, {len(register_map.quantities)} quantities,"
        f" {DELAY_S * 1000:.0f} ms an answer"
    )
    for name, result in (("grid_telemetry", mine), ("core modbus", peer)):
        print(
            f"modbus: {name}: {result.requests:.1f} requests,"
            f" {result.seconds * 1000:.0f} ms a cycle"
        )
    met = mine.requests <= GOAL_REQUESTS and ratio >= GOAL_RATIO
    print(
        f"modbus: {ratio:.1f} times faster (goal {GOAL_RATIO:.0f}),"
        f" {mine.requests:.1f} requests (goal {GOAL_REQUESTS}): {'met' if met else 'NOT met'}"
    )
    return met


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.exit(0 if asyncio.run(run()) else 1)
