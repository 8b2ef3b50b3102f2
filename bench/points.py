"""1,000 points of 100 devices that change every 4 s: Scout against core's `mqtt_statestream`.

Four runs of a real Home Assistant with the same sensors: with nothing more, with them all sent
to Scout (RabbitMQ) every 4 s, once as instants and once as means, and with them all sent by Home
Assistant's own `mqtt_statestream` to Mosquitto. Each gives the processor time of the Home Assistant
process and the longest that its event loop kept a timer waiting; both brokers say how many values
reached them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import time
from typing import Final

import aiomqtt

from simulators.home_assistant import HomeAssistant
from simulators.platforms.scout import CLAIM_ID, TOKEN, Scout
from simulators.programs import Program, free_port
from simulators.rabbitmq import Observer, RabbitMq
from simulators.scout_messages import Ledger

LOADGEN: Final = Path(__file__).parent / "loadgen"
POINTS: Final = 1000
INTERVAL_S: Final = 4
WARM_UP_S: Final = 30
MEASURED_S: Final = 60
COUNTED_S: Final = 8
GOAL_STALL_S: Final = 0.020

STATESTREAM: Final = """\
mqtt_statestream:
  base_topic: home
  include:
    entity_globs: [sensor.load_*]
"""
MOSQUITTO: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
"""
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a Home Assistant took while it was measured."""

    cpu: float
    """Part of one processor."""
    stall_s: float
    values_per_s: float = 0
    """What reached the broker."""


def processor_s(pid: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


async def measure(home: HomeAssistant) -> Load:
    """Measure a Home Assistant once it was left alone for a while."""
    await asyncio.sleep(WARM_UP_S)
    await home.call("loadgen.stall", response=True)
    began, before = time.monotonic(), processor_s(home.pid)
    await asyncio.sleep(MEASURED_S)
    seconds, used = time.monotonic() - began, processor_s(home.pid) - before
    stall = await home.call("loadgen.stall", response=True)
    return Load(cpu=used / seconds, stall_s=stall["seconds"])


@asynccontextmanager
async def loaded_home(folder: Path, configuration: str = "") -> AsyncIterator[HomeAssistant]:
    """Run a Home Assistant with the sensors."""
    home = HomeAssistant(folder, configuration=configuration, components=[LOADGEN])
    async with home:
        await home.add_entry("loadgen", {})
        yield home


async def run_alone(folder: Path) -> Load:
    """Measure the sensors alone."""
    async with loaded_home(folder / "home") as home:
        return await measure(home)


async def run_scout(folder: Path, take: str = "instant") -> Load:
    """Measure with all of them sent to Scout."""
    async with (
        RabbitMq(folder=folder / "rabbitmq", claim_id=CLAIM_ID, token=TOKEN) as broker,
        loaded_home(folder / "home") as home,
    ):
        devices = [
            device["id"] for device in await home.devices() if device["name"].startswith("Load ")
        ]
        await Scout(broker.url, Ledger(), INTERVAL_S, take).configure(home, devices)
        load = await measure(home)
        end = time.time()
        # Only now, so that nothing else reads from the broker while Home Assistant is measured.
        async with Observer(broker=broker) as observer:
            await observer.wait_for(
                lambda: any(metric.ts.timestamp() > end for metric in observer.metrics), 60
            )
        values = sum(end - MEASURED_S <= metric.ts.timestamp() < end for metric in observer.metrics)
        assert not observer.refusals
        return replace(load, values_per_s=values / MEASURED_S)


async def run_statestream(folder: Path) -> Load:
    """Measure with all of them sent by `mqtt_statestream`."""
    port = free_port()
    mosquitto = folder / "mosquitto.conf"
    mosquitto.write_text(MOSQUITTO.format(port=port))
    broker = Program(["/usr/sbin/mosquitto", "-c", str(mosquitto)], folder / "mosquitto.log")
    async with broker, loaded_home(folder / "home", STATESTREAM) as home:
        await broker.until_it_listens(port)
        await home.add_entry(
            "mqtt",
            {
                "broker": {
                    "broker": "127.0.0.1",
                    "port": port,
                    "protocol": "5",
                    "other_settings": {"set_client_cert": False, "set_ca_cert": "off"},
                }
            },
        )
        # It gives up at the start if there is no MQTT by then.
        await home.stop()
        await home.start()
        return replace(await measure(home), values_per_s=await published_per_s(port))


async def published_per_s(port: int) -> float:
    """Return how many values reach Mosquitto."""
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("home/#")
        values = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(COUNTED_S):
                async for message in client.messages:
                    values += not message.retain
        return values / COUNTED_S


async def run(folder: Path) -> bool:
    """Measure all, print the line, and say whether the goals were met."""
    loads: dict[str, Load] = {}
    for name, measured in (
        ("alone", run_alone),
        ("Scout", run_scout),
        ("means", partial(run_scout, take="mean")),
        ("mqtt_statestream", run_statestream),
    ):
        (folder / name).mkdir()
        loads[name] = await measured(folder / name)
    alone, scout, means, statestream = loads.values()
    theirs = statestream.cpu - alone.cpu
    ours, ours_with_means = scout.cpu - alone.cpu, means.cpu - alone.cpu
    longest_s = max(scout.stall_s, means.stall_s)
    passed = max(ours, ours_with_means) < theirs and longest_s < GOAL_STALL_S
    print(
        f"points: {POINTS} points of 100 devices every {INTERVAL_S} s; processor"
        f" {alone.cpu:.1%} alone, {scout.cpu:.1%} with Scout ({scout.values_per_s:.0f} values/s),"
        f" {means.cpu:.1%} with means in place of instants ({means.values_per_s:.0f} values/s),"
        f" {statestream.cpu:.1%} with mqtt_statestream"
        f" ({statestream.values_per_s:.0f} values/s): what Scout adds is {ours / theirs:.2f}, with"
        f" means {ours_with_means / theirs:.2f}, of what mqtt_statestream adds (goal < 1); longest"
        f" stall {alone.stall_s * 1000:.0f} ms alone, {scout.stall_s * 1000:.0f} ms with Scout,"
        f" {means.stall_s * 1000:.0f} ms with means (goal {GOAL_STALL_S * 1000:.0f}),"
        f" {statestream.stall_s * 1000:.0f} ms with mqtt_statestream:"
        f" {'passed' if passed else 'FAILED'}"
    )
    return passed


def main() -> None:
    """Run from the command line."""
    with TemporaryDirectory(prefix="grid-telemetry-bench-") as folder:
        sys.exit(not asyncio.run(run(Path(folder))))


if __name__ == "__main__":
    main()
