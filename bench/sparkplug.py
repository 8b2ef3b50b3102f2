"""Sparkplug B: 1,000 points every 4 s, and a backlog of 100,000 samples, each against a peer.

The points are those of `bench points`: three runs of a real Home Assistant with the same sensors,
alone, sent as Sparkplug, and sent by core's `mqtt_statestream`; each gives the processor time.

The backlog waits in the outbox (10,000 records of ten samples each) until the primary host is
online; measured is the time from there until the outbox is empty. The peer is a bare aiomqtt loop
that has the same readings in memory, makes a payload of each record and publishes it with QoS 0, as
a plain program would; it ends when the broker has acknowledged one more message.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
import json
from pathlib import Path
import statistics
import sys
from tempfile import TemporaryDirectory
import time
from typing import Any, Final

import aiomqtt
from homeassistant import loader
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
    async_test_home_assistant,
)

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.sparkplug.link import SparkplugLink
from custom_components.grid_telemetry.links.sparkplug.payload import data_records
from custom_components.grid_telemetry.protocols.sparkplug import DataType, EdgeNode, Reading
from custom_components.grid_telemetry.protocols.sparkplug.node import MetricDefinition
from simulators.platforms.sparkplug import SparkplugPlatform
from simulators.programs import Program, free_port
from simulators.sparkplug import GROUP, HOST_ID, NODE, Sparkplug

from .points import (
    INTERVAL_S,
    MEASURED_S,
    MOSQUITTO,
    POINTS,
    Load,
    loaded_home,
    measure,
    run_alone,
    run_statestream,
)

RECORDS: Final = 10_000
NAMES: Final = tuple(f"meter/power {number}" for number in range(10))
SAMPLES: Final = RECORDS * len(NAMES)
ROUNDS: Final = 5
GOAL_DRAINED: Final = 0.7
STATE: Final = f"spBv1.0/STATE/{HOST_ID}"


def readings_of(number: int) -> list[tuple[str, Reading]]:
    """Return the readings of one record."""
    at_ms = 1_700_000_000_000 + 1_000 * number
    return [
        (name, Reading(value=number + index / 10, timestamp_ms=at_ms))
        for index, name in enumerate(NAMES)
    ]


@asynccontextmanager
async def running_broker(folder: Path) -> AsyncIterator[int]:
    """Run Mosquitto and yield its port."""
    port = free_port()
    configuration = folder / "mosquitto.conf"
    configuration.write_text(MOSQUITTO.format(port=port))
    program = Program(["/usr/sbin/mosquitto", "-c", str(configuration)], folder / "mosquitto.log")
    async with program:
        await program.until_it_listens(port)
        yield port


@asynccontextmanager
async def running_node(folder: Path, port: int) -> AsyncIterator[SparkplugLink]:
    """Run Home Assistant with a node that waits for its host."""
    async with async_test_home_assistant(config_dir=str(folder)) as hass:
        hass.data.pop(loader.DATA_CUSTOM_COMPONENTS)
        assert await async_setup_component(hass, "network", {})
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Sparkplug",
            data={
                CONF_KIND: "sparkplug",
                "host": "127.0.0.1",
                "port": port,
                "transport": "tcp",
                "mqtt_version": "5",
                "path": "/mqtt",
                "group_id": GROUP,
                "node_id": NODE,
                "primary_host": HOST_ID,
                "interval_s": 3600,
                "max_age_days": 366,
                "max_samples": 10_000_000,
            },
            subentries_data=[
                ConfigSubentryData(
                    subentry_type="sparkplug_device",
                    title="meter",
                    unique_id=None,
                    data={
                        "device_id": "meter",
                        "points": [
                            {"entity": "sensor.none", "name": name, "data_type": "double"}
                            for name in NAMES
                        ],
                    },
                )
            ],
        )
        entry.add_to_hass(hass)
        assert await set_up(hass, entry)
        link = entry.runtime_data
        assert isinstance(link, SparkplugLink)
        yield link
        await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_stop(force=True)


async def set_up(hass: HomeAssistant, entry: Any) -> bool:
    """Set an entry up."""
    return bool(await hass.config_entries.async_setup(entry.entry_id))


async def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is true, of which nothing tells."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def drain_outbox(link: SparkplugLink, client: aiomqtt.Client, number: int) -> float:
    """Return how long the node takes to empty a full outbox, from the word of its host on."""
    await client.publish(
        STATE, json.dumps({"online": False, "timestamp": 2 * number}), qos=1, retain=True
    )
    await wait_for(lambda: not link.health.connected)
    await link.outbox.put(
        [
            record
            for index in range(RECORDS)
            for record in data_records("meter", index, readings_of(index))
        ]
    )
    before = link.outbox.delivered_samples
    # Waits of the connection are not what is measured.
    await wait_for(lambda: not link.node.born)
    await asyncio.sleep(2.5)
    began = time.perf_counter()
    await client.publish(
        STATE, json.dumps({"online": True, "timestamp": 2 * number + 1}), qos=1, retain=True
    )
    await wait_for(lambda: not link.outbox.queued_samples)
    seconds = time.perf_counter() - began
    assert link.outbox.delivered_samples - before == SAMPLES
    return seconds


async def publish_bare(port: int) -> float:
    """Return how long a plain program takes for the same readings."""
    node = EdgeNode(GROUP, "bare")
    node.define(
        "meter",
        [MetricDefinition(name=name, data_type=DataType.DOUBLE) for name in NAMES],
        timestamp_ms=0,
    )
    node.begin_session()
    readings = [readings_of(number) for number in range(RECORDS)]
    async with aiomqtt.Client("127.0.0.1", port, identifier="bare") as client:
        client.pending_calls_threshold = RECORDS
        for birth in node.births(0):
            await client.publish(birth.topic, birth.payload)
        began = time.perf_counter()
        for each in readings:
            for message in node.data("meter", each, 0, is_historical=True):
                await client.publish(message.topic, message.payload)
        await client.publish("bare/end", b"", qos=1)
        return time.perf_counter() - began


async def drain(folder: Path) -> bool:
    """Measure both in turn, print the line, and say whether the goal was met."""
    ours: list[float] = []
    theirs: list[float] = []
    async with (
        running_broker(folder) as port,
        aiomqtt.Client("127.0.0.1", port, identifier="host") as client,
        running_node(folder / "home", port) as link,
    ):
        for number in range(1, ROUNDS + 1):
            ours.append(await drain_outbox(link, client, number))
            theirs.append(await publish_bare(port))
    ratio = statistics.median(there / here for here, there in zip(ours, theirs, strict=True))
    passed = ratio >= GOAL_DRAINED
    print(
        f"sparkplug: a backlog of {SAMPLES:,} samples drained in {statistics.median(ours):.2f} s"
        f" ({SAMPLES / statistics.median(ours):,.0f} a second), a bare aiomqtt loop needs"
        f" {statistics.median(theirs):.2f} s: {ratio:.2f} of its rate"
        f" (median of {ROUNDS}, goal {GOAL_DRAINED}): {'passed' if passed else 'FAILED'}"
    )
    return passed


async def run_sparkplug(folder: Path) -> Load:
    """Measure with all of the sensors sent as Sparkplug."""
    (folder / "broker").mkdir()
    async with Sparkplug(folder / "broker") as scada, loaded_home(folder / "home") as home:
        await scada.host.go_online()
        platform = SparkplugPlatform(scada, INTERVAL_S)
        entry_id = await platform.add_entry(home)
        devices = [
            device["id"] for device in await home.devices() if device["name"].startswith("Load ")
        ]
        for number, device in enumerate(devices):
            await platform.add_device(home, entry_id, f"load-{number}", device)
        load = await measure(home)
        end_ms = time.time() * 1000
        values = sum(
            end_ms - MEASURED_S * 1000 <= arrival.timestamp_ms < end_ms and not arrival.is_birth
            for arrival in scada.ledger.arrivals
        )
        assert not scada.ledger.refused
        return replace(load, values_per_s=values / MEASURED_S)


async def compare_load(folder: Path) -> bool:
    """Measure all, print the line, and say whether it takes less than the peer."""
    loads: dict[str, Load] = {}
    for name, measured in (
        ("alone", run_alone),
        ("sparkplug", run_sparkplug),
        ("statestream", run_statestream),
    ):
        (folder / name).mkdir()
        loads[name] = await measured(folder / name)
    alone, sparkplug, statestream = loads.values()
    ours, theirs = sparkplug.cpu - alone.cpu, statestream.cpu - alone.cpu
    passed = ours < theirs
    print(
        f"sparkplug: {POINTS} points of 100 devices every {INTERVAL_S} s; processor"
        f" {alone.cpu:.1%} alone, {sparkplug.cpu:.1%} with Sparkplug"
        f" ({sparkplug.values_per_s:.0f} values/s), {statestream.cpu:.1%} with mqtt_statestream"
        f" ({statestream.values_per_s:.0f} values/s): what Sparkplug adds is {ours / theirs:.2f} of"
        f" what mqtt_statestream adds (goal < 1): {'passed' if passed else 'FAILED'}"
    )
    return passed


async def run(folder: Path, only: str | None) -> bool:
    """Do what was asked for."""
    results = []
    for name, part in (("backlog", drain), ("load", compare_load)):
        if only in (None, name):
            (folder / name).mkdir()
            results.append(await part(folder / name))
    return all(results)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="bench.sparkplug")
    parser.add_argument("--only", choices=["backlog", "load"])
    options = parser.parse_args()
    with TemporaryDirectory(prefix="grid-telemetry-bench-") as folder:
        sys.exit(not asyncio.run(run(Path(folder), options.only)))


if __name__ == "__main__":
    main()
