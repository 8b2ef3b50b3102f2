"""Eight meters on a line with faults: how the others keep their interval, against core's `modbus`.

Each meter is read every second for some time; what is told is how often the healthy meters were
updated of the times that they should have been, and the longest that any of them had to wait.
Home Assistant's `modbus` reads one register of each of the same meters as often.

dead       one meter answers nothing
dies       one meter answers nothing any more
garbling   one answer in twenty has a wrong byte, of any meter (RTU over TCP)
late       one meter answers after the time-out
one client a gateway that takes one client, drops it now and then, and then refuses for 2 s
foreign    one meter answers nothing, and another integration reads a ninth on our connection
stalls     every 20 s the line stands still for 1.8 s (RTU over TCP), with that integration; every
           quantity of each meter has a value of its own, so that an answer taken for another shows
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
import contextlib
from dataclasses import dataclass
from functools import partial
import logging
import struct
import sys
import time
from types import MappingProxyType
from typing import Any, Final, Literal
from unittest.mock import patch

from homeassistant.components.modbus import async_get_unit
from homeassistant.config_entries import SOURCE_USER, ConfigEntry, ConfigSubentryData
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import (
    Event,
    EventStateChangedData,
    EventStateReportedData,
    HomeAssistant,
    callback,
)
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.event import (
    async_track_state_change_event,
    async_track_state_report_event,
)
from homeassistant.setup import async_setup_component
from modbus_connection import ModbusError

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.modbus.transport import modbus_params
from simulators.gateway import Faults, Gateway
from simulators.house import House
from simulators.meters import MeterServer, SimulatedMeter

from .modbus import home_assistant

UNITS: Final = range(1, 9)
SICK: Final = 4
MAP: Final = "eastron_sdm630"
# Where an SDM630 has its power, which changes with every read.
POWER: Final = 0x34
INTERVAL_S: Final = 1
WINDOW_S: Final = 30.0
ANSWER_S: Final = 0.02
LATE_S: Final = 2.5
DROP_EVERY_S: Final = 6.0
REFUSE_S: Final = 2.0
STALL_S: Final = 1.8
STALL_EVERY_S: Final = 20.0
# While it begins, at least one answer is on its way.
STALL_BEGINS_S: Final = 0.3
# It has two counters, each read by itself: the answers look the same.
STALLED_MAP: Final = "carlo_gavazzi_em24_e1"
STALLED: Final = ("power", "energy_import", "energy_export", "voltage_l1", "voltage_l2")
FOREIGN: Final = 9
FOREIGN_V: Final = 231.5
# What the healthy meters keep of their updates; a line that is away cannot be read.
GOAL: Final = 0.9

type Wire = Literal["tcp", "rtu_over_tcp"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault, and whose updates count."""

    name: str
    wire: Wire
    faults: Faults
    silent: bool = False
    dies: bool = False
    drops: bool = False
    healthy: Sequence[int] = tuple(unit for unit in UNITS if unit != SICK)


FAULTS: Final = (
    Fault(name="none", wire="tcp", faults=Faults(), healthy=UNITS),
    Fault(name="dead", wire="tcp", faults=Faults(), silent=True),
    Fault(name="dies", wire="tcp", faults=Faults(), dies=True),
    Fault(name="garbling", wire="rtu_over_tcp", faults=Faults(garbled=0.05), healthy=UNITS),
    Fault(name="late, TCP", wire="tcp", faults=Faults(late_s={SICK: LATE_S})),
    Fault(name="late, RTU", wire="rtu_over_tcp", faults=Faults(late_s={SICK: LATE_S})),
    Fault(
        name="one client",
        wire="tcp",
        faults=Faults(one_client_s=REFUSE_S),
        drops=True,
        healthy=UNITS,
    ),
)


SHARED: Final = (
    Fault(name="foreign", wire="tcp", faults=Faults(), silent=True),
    Fault(name="stalls", wire="rtu_over_tcp", faults=Faults(), healthy=UNITS),
)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What the healthy meters got."""

    share: float
    longest_s: float

    def __str__(self) -> str:
        return f"{self.share:4.0%} of the updates, longest gap {self.longest_s:4.1f} s"


@dataclass(frozen=True, kw_only=True)
class Line:
    """Meters behind a gateway."""

    gateway: Gateway
    meters: Sequence[SimulatedMeter]


@contextlib.asynccontextmanager
async def run_line(fault: Fault) -> AsyncIterator[Line]:
    """Run a line with a fault."""
    house = House()
    meters = [
        SimulatedMeter(unit, MAP, house.grid, silent=fault.silent and unit == SICK)
        for unit in UNITS
    ]
    async with (
        MeterServer(meters, delay_s=ANSWER_S, transport=fault.wire) as server,
        Gateway(
            server.port, unit_at=6 if fault.wire == "tcp" else 0, faults=fault.faults
        ) as gateway,
    ):
        yield Line(gateway=gateway, meters=meters)


async def watch(
    hass: HomeAssistant, sensors: Mapping[int, str], fault: Fault, line: Line, seconds: float
) -> Kept:
    """Count the updates of the sensors, by unit, for a while."""
    seen: dict[int, list[float]] = {unit: [time.monotonic()] for unit in fault.healthy}
    units = {entity_id: unit for unit, entity_id in sensors.items()}

    @callback
    def reported(event: Event[EventStateChangedData] | Event[EventStateReportedData]) -> None:
        new = event.data["new_state"]
        unit = units[event.data["entity_id"]]
        if new is not None and new.state not in (STATE_UNAVAILABLE, STATE_UNKNOWN) and unit in seen:
            seen[unit].append(time.monotonic())

    # What nobody uses may be reported again as it was, which is an update all the same.
    unlisten = [
        track(hass, list(units), reported)
        for track in (async_track_state_change_event, async_track_state_report_event)
    ]
    for meter in line.meters:
        meter.silent |= fault.dies and meter.unit == SICK
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(left, DROP_EVERY_S))
        if fault.drops:
            line.gateway.drop()
    for stop in unlisten:
        stop()
    updates = sum(len(times) - 1 for times in seen.values())
    gaps = [
        then - before
        for times in seen.values()
        for before, then in zip(times, [*times[1:], end], strict=True)
    ]
    return Kept(share=updates / (len(seen) * seconds / INTERVAL_S), longest_s=max(gaps))


async def ours(fault: Fault, seconds: float) -> tuple[Kept, Gateway]:
    """Let this integration read a line with a fault."""
    async with run_line(fault) as line, home_assistant() as hass:
        await hass.config_entries.async_add(_entry(fault.wire, line.gateway.port))
        sensors = {unit: f"sensor.meter_{unit}_active_power" for unit in UNITS}
        await _first_values(hass, [sensors[unit] for unit in fault.healthy])
        return await watch(hass, sensors, fault, line, seconds), line.gateway


def _stalled_values(unit: int) -> Mapping[str, float]:
    """Return what a meter has, each value of its own."""
    return {key: 100.0 * unit + 10 * number for number, key in enumerate(STALLED, 1)}


@dataclass(kw_only=True)
class Reads:
    """What an integration got, and how much of it was another's."""

    good: int = 0
    wrong: int = 0
    longest_s: float = 0.0


async def _read_foreign(hass: HomeAssistant, wire: Wire, port: int, seconds: float) -> Reads:
    """Be another integration that reads a meter on the same connection every second."""
    entry = _entry(wire, port)
    unit = async_get_unit(hass, entry, modbus_params(entry.data), FOREIGN)
    reads = Reads()
    last = due = time.monotonic()
    end = due + seconds
    while due < end:
        try:
            words = await unit.read_input_registers(0, 2)
        except ModbusError:
            pass
        else:
            now = time.monotonic()
            reads.longest_s, last = max(reads.longest_s, now - last), now
            value = struct.unpack(">f", struct.pack(">HH", *words))[0]
            if value == FOREIGN_V:
                reads.good += 1
            else:
                reads.wrong += 1
        # What it has missed meanwhile is not read later.
        while (due := due + INTERVAL_S) < time.monotonic():
            pass
        await asyncio.sleep(due - time.monotonic())
    return reads


async def _stall(gateway: Gateway) -> None:
    """Let the line stand still now and then."""
    while True:
        await asyncio.sleep(STALL_EVERY_S / 2)
        gateway.faults.late_s = dict.fromkeys((*UNITS, FOREIGN), STALL_S)
        await asyncio.sleep(STALL_BEGINS_S)
        gateway.faults.late_s = None
        await asyncio.sleep(STALL_EVERY_S / 2 - STALL_BEGINS_S)


async def shared(fault: Fault, seconds: float) -> tuple[Reads, Reads]:
    """Return what we and another integration read on one connection."""
    meters = [
        SimulatedMeter(
            unit,
            STALLED_MAP,
            partial(_stalled_values, unit),
            silent=fault.silent and unit == SICK,
        )
        for unit in UNITS
    ]
    other = SimulatedMeter(FOREIGN, MAP, lambda: {"voltage_l1": FOREIGN_V})
    own = Reads()
    async with (
        MeterServer([*meters, other], delay_s=ANSWER_S, transport=fault.wire) as server,
        Gateway(
            server.port, unit_at=6 if fault.wire == "tcp" else 0, faults=fault.faults
        ) as gateway,
        home_assistant() as hass,
    ):
        entry = _entry(fault.wire, gateway.port, STALLED_MAP)
        with patch.object(Entity, "entity_registry_enabled_default", True):
            await hass.config_entries.async_add(entry)
        right: dict[str, float] = {}
        for item in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
            if item.translation_key in STALLED and item.config_subentry_id is not None:
                unit = int(entry.subentries[item.config_subentry_id].title.split()[-1])
                right[item.entity_id] = _stalled_values(unit)[item.translation_key]

        @callback
        def reported(event: Event[EventStateChangedData] | Event[EventStateReportedData]) -> None:
            new = event.data["new_state"]
            if new is None or new.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
                return
            if abs(float(new.state) - right[new.entity_id]) < 0.01:
                own.good += 1
            else:
                own.wrong += 1

        await _first_values(hass, list(right))
        for track in (async_track_state_change_event, async_track_state_report_event):
            track(hass, list(right), reported)
        stalls = None if fault.silent else asyncio.create_task(_stall(gateway))
        foreign = await _read_foreign(hass, fault.wire, gateway.port, seconds)
        if stalls is not None:
            stalls.cancel()
    return own, foreign


async def theirs(fault: Fault, seconds: float) -> tuple[Kept, Gateway]:
    """Let Home Assistant's `modbus` read it."""
    async with run_line(fault) as line, home_assistant() as hass:
        hub = {
            "name": "theirs",
            "type": "tcp" if fault.wire == "tcp" else "rtuovertcp",
            "host": "127.0.0.1",
            "port": line.gateway.port,
            "timeout": 2,
            "sensors": [
                {
                    "name": f"Meter {unit}",
                    "slave": unit,
                    "address": POWER,
                    "input_type": "input",
                    "data_type": "float32",
                    "precision": 6,
                    "scan_interval": INTERVAL_S,
                }
                for unit in UNITS
            ],
        }
        await async_setup_component(hass, "modbus", {"modbus": [hub]})
        sensors = {unit: f"sensor.meter_{unit}" for unit in UNITS}
        await _first_values(hass, [sensors[unit] for unit in fault.healthy])
        return await watch(hass, sensors, fault, line, seconds), line.gateway


def _entry(wire: Wire, port: int, register_map: str = MAP) -> ConfigEntry[Any]:
    return ConfigEntry(
        data={"kind": "modbus", "transport": wire, "host": "127.0.0.1", "port": port},
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
                title=f"Meter {unit}",
                unique_id=str(unit),
                data={
                    "unit_id": unit,
                    "register_map": register_map,
                    "fast_interval_s": INTERVAL_S,
                    "slow_interval_s": 10,
                },
            )
            for unit in UNITS
        ],
    )


async def _first_values(hass: HomeAssistant, sensors: Sequence[str]) -> None:
    """Wait until the healthy meters have been read once, for as long as a window at most."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(WINDOW_S):
            await until(hass, sensors)


async def until(hass: HomeAssistant, sensors: Sequence[str]) -> None:
    """Wait until all of the sensors have a value."""
    missing = set(sensors)
    there = asyncio.Event()

    @callback
    def look(_: Event[EventStateChangedData] | None = None) -> None:
        for sensor in list(missing):
            state = hass.states.get(sensor)
            if state is not None and state.state not in (STATE_UNAVAILABLE, STATE_UNKNOWN):
                missing.remove(sensor)
        if not missing:
            there.set()

    stop = async_track_state_change_event(hass, sensors, look)
    look()
    try:
        await there.wait()
    finally:
        stop()


async def run(seconds: float) -> bool:
    """Print what each fault costs; return whether the goal is met."""
    print(
        f"modbus_faults: {len(UNITS)} meters, each every {INTERVAL_S} s for {seconds:.0f} s,"
        f" {ANSWER_S * 1000:.0f} ms an answer",
        flush=True,
    )
    met = True
    for fault in FAULTS:
        mine, gateway = await ours(fault, seconds)
        peer, _ = await theirs(fault, seconds)
        print(f"modbus_faults: {fault.name:10} grid_telemetry {mine}; core modbus {peer}")
        if fault.drops:
            print(
                f"modbus_faults: {'':10} {gateway.clients} connections one after the other,"
                f" {gateway.refused} refused",
                flush=True,
            )
        else:
            met = met and mine.share >= GOAL
    for fault in SHARED:
        own, foreign = await shared(fault, 2 * seconds)
        share = foreign.good * INTERVAL_S / (2 * seconds)
        print(
            f"modbus_faults: {fault.name:10} the other integration kept {share:.0%} of its reads,"
            f" longest gap {foreign.longest_s:.1f} s, {foreign.wrong} wrong; grid_telemetry"
            f" {own.good} values, {own.wrong} wrong",
            flush=True,
        )
        met = met and share >= GOAL and own.good > 0 and own.wrong == foreign.wrong == 0
    print(
        f"modbus_faults: goal {GOAL:.0%} of the updates and of another's reads, none wrong:"
        f" {'met' if met else 'NOT met'}"
    )
    return met


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=WINDOW_S, help="that each fault lasts")
    logging.disable(logging.CRITICAL)
    sys.exit(0 if asyncio.run(run(parser.parse_args().seconds)) else 1)
