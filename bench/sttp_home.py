"""STTP in a running Home Assistant: 500 points at 30 Hz to 16 subscribers, while one more stalls.

First Home Assistant with the sensors alone, which write 15,000 states a second; then with all of
them published. Half of the subscribers read TSSC, the others the compact form, and each of them
sees whether any value of any sensor is missing. A stall is how long a timer of the event loop had
to wait beyond its time.
"""

import argparse
import asyncio
from dataclasses import dataclass
import json
from pathlib import Path
import selectors
import struct
import sys
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Final, override

from bench.points import LOADGEN, processor_s
from bench.sttp import Receiver
from custom_components.grid_telemetry.protocols.sttp.frames import OperationalModes
from simulators.home_assistant import HomeAssistant, Json
from simulators.programs import free_port

DEVICES: Final = 50
POINTS: Final = 500
HZ: Final = 30
SUBSCRIBERS: Final = 16
WARM_UP_S: Final = 15
GOAL_P99_S: Final = 0.005
GOAL_RATE: Final = 0.99
# Sensors count up by 0.7, and begin anew at 5,000: in tenths, which float32 keeps apart.
STEP: Final = 7
WRAP: Final = 50_000


class Watcher(Receiver):
    """A subscriber that misses no value."""

    def __init__(self, port: int, modes: OperationalModes) -> None:
        """Subscribe."""
        super().__init__(port, modes, {})
        self._last: dict[int, tuple[int, int]] = {}
        self.values = self.missing = 0

    @override
    def _check(self, flags: int, count: int, body: bytes) -> None:
        last = self._last
        samples = self.decode(flags, count, body)
        values = struct.unpack(
            f"<{count}f", struct.pack(f"<{count}I", *[item[3] for item in samples])
        )
        for (index, ticks, _, _), value in zip(samples, values, strict=True):
            tenths = round(value * 10)
            before, known = last.get(index, (ticks, tenths))
            if before != ticks:
                self.values += 1
                # What is missing, in steps; a value that comes again has the time that it had.
                self.missing += (tenths - known - STEP) % WRAP // STEP
            last[index] = ticks, tenths


def receive(port: int, seconds: float) -> None:
    """Watch for some seconds, and print what there was."""
    watchers = [
        Watcher(port, OperationalModes(tssc=number % 2 == 0)) for number in range(SUBSCRIBERS)
    ]
    # Stops reading with its first values; it is in the hands of the publisher what becomes of it.
    stalled = Receiver(port, OperationalModes(tssc=False), {})
    selector = selectors.DefaultSelector()
    for receiver in (*watchers, stalled):
        selector.register(receiver.socket, selectors.EVENT_READ, receiver)
    reading = True
    begun = monotonic()
    while monotonic() < begun + seconds:
        for key, _ in selector.select(0.1):
            key.data.receive(check=key.data is not stalled)
        if reading and stalled.measurements:
            selector.unregister(stalled.socket)
            reading = False
    print(
        json.dumps(
            {
                "values": [watcher.values for watcher in watchers],
                "missing": sum(watcher.missing for watcher in watchers),
                "bytes": sum(watcher.bytes for watcher in watchers),
            }
        )
    )


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a Home Assistant did while it was measured."""

    values_per_s: float
    """That the sensors changed to."""
    cpu: float
    """Part of one processor."""
    stalls_ms: str
    p99_s: float

    @property
    def value_us(self) -> float:
        """Processor time of a value."""
        return self.cpu / self.values_per_s * 1e6


async def measure(home: HomeAssistant, seconds: float) -> Load:
    """Measure a Home Assistant once it was left alone for a while."""
    await asyncio.sleep(WARM_UP_S)
    await home.call("loadgen.stall", response=True)
    before = await home.call("loadgen.hurry", response=True)
    began, used_before = monotonic(), processor_s(home.pid)
    await asyncio.sleep(seconds)
    took, used = monotonic() - began, processor_s(home.pid) - used_before
    after = await home.call("loadgen.hurry", response=True)
    stall = await home.call("loadgen.stall", response=True)
    return Load(
        values_per_s=(after["changed"] - before["changed"]) * (POINTS // DEVICES) / took,
        cpu=used / took,
        stalls_ms=" / ".join(f"{stall[key] * 1000:.2f}" for key in ("p50", "p99", "seconds")),
        p99_s=stall["p99"],
    )


async def add_publisher(home: HomeAssistant, port: int) -> str:
    """Publish the sensors of all devices that hurry."""
    entry_id = await home.add_entry(
        "grid_telemetry",
        {
            "user": {"next_step_id": "sttp_publisher"},
            "sttp_publisher": {
                "host": "127.0.0.1",
                "port": port,
                "allowed_networks": ["127.0.0.0/8"],
                "max_subscribers": 64,
                "tls": {},
            },
        },
    )
    names = {f"Load {number:03}" for number in range(DEVICES)}
    devices = [device["id"] for device in await home.devices() if device["name"] in names]

    def points(step: Json) -> Json:
        """Take what the form suggests."""
        (field,) = step["data_schema"]
        rows: list[Json] = field["description"]["suggested_value"]
        assert len(rows) == POINTS
        return {"points": rows}

    await home.add_subentry(
        entry_id,
        "sttp_device",
        {
            "user": {"acronym": "LOAD", "devices": devices, "entities": [], "max_age_s": 60},
            "points": points,
        },
    )
    return entry_id


async def watch(port: int, seconds: float) -> Json:
    """Run the subscribers in a process of their own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.sttp_home", "--receive", str(port)),
        *("--seconds", str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    result: Json = json.loads(printed)
    return result


async def run(folder: Path, seconds: float) -> bool:
    """Measure both, print the line, and say whether the goals were met."""
    port = free_port()
    home = HomeAssistant(folder / "home", components=[LOADGEN], unrecorded=["sensor.load_*"])
    async with home:
        await home.add_entry("loadgen", {})
        await home.call("loadgen.hurry", devices=DEVICES, hz=HZ)
        alone = await measure(home, seconds)
        entry_id = await add_publisher(home, port)
        took = WARM_UP_S + seconds + 5
        async with asyncio.TaskGroup() as group:
            watched = group.create_task(watch(port, took))
            load = await measure(home, seconds)
            subscribers = await home.call(
                "grid_telemetry.sttp_list_subscribers", config_entry_id=entry_id, response=True
            )
    values, missing = watched.result()["values"], watched.result()["missing"]
    here = len(subscribers["subscribers"])
    kept = load.values_per_s >= GOAL_RATE * POINTS * HZ
    passed = kept and load.p99_s < GOAL_P99_S and not missing and here >= SUBSCRIBERS
    print(
        f"sttp_home: {POINTS} points at {HZ} Hz, {load.values_per_s:,.0f} values/s (goal"
        f" {POINTS * HZ:,}; of the sensors alone {alone.values_per_s:,.0f}), to {SUBSCRIBERS}"
        f" subscribers while one stalls: {sum(values) / took:,.0f}/s delivered, {missing} of"
        f" {sum(values):,} missing (goal 0), the stalled one"
        f" {'still there' if here > SUBSCRIBERS else 'dropped'}; processor {load.cpu:.1%},"
        f" {load.value_us:.1f} µs a value, of the sensors alone {alone.cpu:.1%},"
        f" {alone.value_us:.1f} µs; stalls p50 / p99 / longest {load.stalls_ms} ms (goal p99 <"
        f" {GOAL_P99_S * 1000:.0f}), of the sensors alone {alone.stalls_ms} ms:"
        f" {'passed' if passed else 'FAILED'}"
    )
    return passed


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--receive", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.receive:
        receive(given.receive, given.seconds)
        return
    with TemporaryDirectory(prefix="grid-telemetry-bench-") as folder:
        sys.exit(not asyncio.run(run(Path(folder), given.seconds)))


if __name__ == "__main__":
    main()
