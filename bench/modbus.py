"""Meters with all their quantities: this integration against Home Assistant's own `modbus`.

Both run in a Home Assistant of their own in this process and read the same registers of the same
simulated meters, which run in another process. A cycle is from the first request until every
sensor has its new state. The meters count the requests.

1. One meter of each of ten families, 20 ms for each answer.
2. Eight meters on one line, 20 ms for each answer.
3. The same eight behind a gateway to a serial line of 9600 baud, against the time that the bytes
   of the requests and the answers need there.
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
BAUDRATE: Final = 9600
ROUNDS: Final = 7
LINE_ROUNDS: Final = 3
# For the SDM630, which has the most quantities.
GOAL_REQUESTS: Final = 6
GOAL_RATIO: Final = 10.0
GOAL_LINE: Final = 1.3
FAMILIES: Final = (
    "eastron_sdm630",
    "carlo_gavazzi_em24_e1",
    "abb_ab_series",
    "schneider_iem3000",
    "circutor_cvm_c10",
)
# Integers with the low word first, floats of 64 bits, gaps, many floats, two word sizes.
NEWER_FAMILIES: Final = (
    "carlo_gavazzi_em530_em540",
    "siemens_pac2200",
    "shelly_pro_3em",
    "janitza_umg96rm",
    "socomec_countis_e3_e4",
)
LINE: Final = (*FAMILIES, "eastron_sdm630", "eastron_sdm630", "carlo_gavazzi_em24_e1")
# Nobody polls by itself while cycles are measured.
PAUSE_S: Final = 3600

type Cycle = Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Meter:
    """A meter on the line."""

    unit: int
    map: RegisterMap


class Line:
    """The simulated meters in their own process."""

    def __init__(
        self, process: asyncio.subprocess.Process, port: int, meters: Sequence[Meter]
    ) -> None:
        self._process = process
        self.port = port
        self.meters = meters

    @property
    def quantities(self) -> int:
        """Return how many quantities all of the meters have."""
        return sum(len(meter.map.quantities) for meter in self.meters)

    async def served(self) -> tuple[int, float]:
        """Return how many requests were answered, and the seconds that they took on the wire."""
        self._process.send_signal(signal.SIGUSR1)
        *_, seconds, requests = await _words(self._process)
        return int(requests), float(seconds)


async def _words(process: asyncio.subprocess.Process) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        line = (await process.stdout.readline()).decode()
    return line.replace(":", " ").split()


@contextlib.asynccontextmanager
async def running_line(maps: Sequence[RegisterMap], *options: str) -> AsyncIterator[Line]:
    """Run meters behind a gateway."""
    meters = [Meter(unit=unit, map=register_map) for unit, register_map in enumerate(maps, 1)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "simulators.meters", "--port", "0", *options),
        *(f"--meter={meter.unit}:{meter.map.key}" for meter in meters),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Line(process, int((await _words(process))[-1]), meters)
    finally:
        process.terminate()
        await process.wait()


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a cycle of one contender takes, and the bytes of it on the wire."""

    requests: float
    seconds: float
    wire_s: float


async def measure(line: Line, cycle: Cycle, rounds: int) -> Result:
    """Return the median time of some cycles, and their mean number of requests."""
    await cycle()
    requests, wire_s = await line.served()
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        await cycle()
        seconds.append(time.perf_counter() - began)
    requests_then, wire_then = await line.served()
    return Result(
        requests=(requests_then - requests) / rounds,
        seconds=statistics.median(seconds),
        wire_s=(wire_then - wire_s) / rounds,
    )


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


async def ours(line: Line, rounds: int) -> Result:
    """Measure this integration with every sensor enabled."""
    entry: ConfigEntry[Any] = ConfigEntry(
        data={"kind": "modbus", "transport": "tcp", "host": "127.0.0.1", "port": line.port},
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
                title=f"Ours {meter.unit}",
                unique_id=str(meter.unit),
                data={
                    "unit_id": meter.unit,
                    "register_map": meter.map.key,
                    "fast_interval_s": PAUSE_S,
                    "slow_interval_s": PAUSE_S,
                },
            )
            for meter in line.meters
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

        result = await measure(line, cycle, rounds)
        check(hass, line.quantities)
        return result


async def theirs(line: Line, rounds: int) -> Result:
    """Measure Home Assistant's `modbus` sensors for the same registers, from YAML."""
    sensors: list[dict[str, Any]] = [
        {
            "name": f"Theirs {meter.unit} {key}",
            "slave": meter.unit,
            "address": register.address,
            "input_type": register.space,
            "data_type": register.type,
            "scan_interval": PAUSE_S,
        }
        for meter in line.meters
        for key, register in meter.map.quantities.items()
    ]
    hub = {
        "name": "theirs",
        "type": "tcp",
        "host": "127.0.0.1",
        "port": line.port,
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

        result = await measure(line, cycle, rounds)
        check(hass, line.quantities)
        return result


async def compare(maps: Sequence[RegisterMap], rounds: int) -> tuple[Result, float]:
    """Print how both read some meters; return our result and how many times faster it is."""
    async with running_line(maps, "--delay", str(DELAY_S)) as line:
        mine, peer = await ours(line, rounds), await theirs(line, rounds)
    ratio = peer.seconds / mine.seconds
    name = maps[0].model if len(maps) == 1 else f"{len(maps)} meters on one line"
    print(
        f"modbus: {name}: {line.quantities} quantities, {mine.requests:.1f} requests and"
        f" {mine.seconds * 1000:.0f} ms a cycle, core {peer.requests:.1f} and"
        f" {peer.seconds * 1000:.0f} ms: {ratio:.1f} times faster",
        flush=True,
    )
    return mine, ratio


async def run() -> bool:
    """Print the comparisons; return whether the goals are met."""
    known = load_register_maps(Path("/none")).maps
    print(f"modbus: {DELAY_S * 1000:.0f} ms an answer")
    results = [await compare([known[name]], ROUNDS) for name in FAMILIES]
    for name in NEWER_FAMILIES:
        await compare([known[name]], ROUNDS)
    results.append(await compare([known[name] for name in LINE], LINE_ROUNDS))
    one, ratio = results[0]
    met = one.requests <= GOAL_REQUESTS and ratio >= GOAL_RATIO
    print(
        f"modbus: one {known[FAMILIES[0]].model}: {ratio:.1f} times faster"
        f" (goal {GOAL_RATIO:.0f}), {one.requests:.1f} requests (goal {GOAL_REQUESTS}):"
        f" {'met' if met else 'NOT met'}"
    )
    async with running_line([known[name] for name in LINE], "--baudrate", str(BAUDRATE)) as line:
        mine = await ours(line, LINE_ROUNDS)
    ratio = mine.seconds / mine.wire_s
    line_met = ratio <= GOAL_LINE
    print(
        f"modbus: {len(LINE)} meters at {BAUDRATE} baud: {mine.seconds:.2f} s a cycle, whose bytes"
        f" take {mine.wire_s:.2f} s: {ratio:.2f} times (goal {GOAL_LINE}):"
        f" {'met' if line_met else 'NOT met'}"
    )
    return met and line_met


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.exit(0 if asyncio.run(run()) else 1)
