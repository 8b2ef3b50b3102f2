"""1,000 points of 100 devices that change every 4 s: Scout against core's `mqtt_statestream`.

Three runs of a real Home Assistant with the same sensors: with nothing more, with them all sent
to Scout (RabbitMQ) every 4 s, and with them all sent by Home Assistant's own `mqtt_statestream`
to Mosquitto. Each gives the processor time of the Home Assistant process and the longest that its
event loop kept a timer waiting; both brokers say how many values reached them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import time
from typing import Final

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

type Configure = Callable[[HomeAssistant], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a Home Assistant took while it was measured."""

    cpu: float
    """Part of one processor."""
    stall_s: float
    began: float
    """Epoch seconds."""


def processor_s(pid: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


async def measure(home: HomeAssistant) -> Load:
    """Measure a Home Assistant that was left alone for a while."""
    await asyncio.sleep(WARM_UP_S)
    await home.call("loadgen.stall", response=True)
    began, before = time.time(), processor_s(home.pid)
    await asyncio.sleep(MEASURED_S)
    seconds, used = time.time() - began, processor_s(home.pid) - before
    stall = await home.call("loadgen.stall", response=True)
    return Load(cpu=used / seconds, stall_s=stall["seconds"], began=began)


@asynccontextmanager
async def loaded_home(folder: Path, configuration: str = "") -> AsyncIterator[HomeAssistant]:
    """Run a Home Assistant with the sensors."""
    home = HomeAssistant(folder, configuration=configuration, components=[LOADGEN])
    async with home:
        await home.add_entry("loadgen", {})
        yield home


async def run_alone(folder: Path) -> Load:
    """Measure the sensors alone."""
    async with loaded_home(folder) as home:
        return await measure(home)


async def run_scout(folder: Path) -> tuple[Load, int]:
    """Measure with Scout, and return how many values reached it while that was measured."""
    async with (
        RabbitMq(folder=folder / "rabbitmq", claim_id=CLAIM_ID, token=TOKEN) as broker,
        loaded_home(folder / "home") as home,
    ):
        devices = sorted(
            (device["name"], device["id"])
            for device in await home.devices()
            if device["name"].startswith("Load ")
        )
        scout = Scout(broker.url, Ledger(), INTERVAL_S)
        await scout.configure(home, [device_id for _, device_id in devices])
        load = await measure(home)
        observer = Observer(broker=broker)
        end = load.began + MEASURED_S
        async with observer:
            await observer.wait_for(
                lambda: any(metric.ts.timestamp() > end for metric in observer.metrics), 60
            )
        return load, sum(load.began <= metric.ts.timestamp() < end for metric in observer.metrics)


async def run_statestream(folder: Path) -> tuple[Load, int]:
    """Measure with `mqtt_statestream`, and return how many values reached Mosquitto meanwhile."""
    port = free_port()
    folder.mkdir()
    (folder / "mosquitto.conf").write_text(MOSQUITTO.format(port=port))
    broker = Program(
        ["/usr/sbin/mosquitto", "-c", str(folder / "mosquitto.conf")], folder / "mosquitto.log"
    )
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
        return await measure(home), 0
