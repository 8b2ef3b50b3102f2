"""Ten minutes of Powernaut's stream, then the broker stopped for 20 s, 50 s and 5 minutes.

Takes 19 minutes. Home Assistant and the observer are in this process, the broker (Mosquitto with
TLS) in one of its own. A site and two resources are measured every second, a tenth before it is
full, as a fast meter does. What counts is what the observer took, by the time in each message.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
import sys
import tempfile
import time
from typing import Any, Final

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant

from simulators.powernaut import Powernaut, connection_of
from simulators.powernaut_messages import Reading

from .powernaut import INTERVAL_S, percentile, run_site

STREAM_S: Final = 600
OUTAGES_S: Final = (20, 50, 300)
RECOVERY_S: Final = 32
MAX_AGE_S: Final = 60
GOAL_JITTER_S: Final = 0.100


async def measure(hass: HomeAssistant) -> None:
    """Have the sensors report each second."""
    number = 0
    while True:
        await asyncio.sleep(0.9 - time.time() % 1 + (time.time() % 1 >= 0.9))
        number += 1
        for name, value, unit in (
            ("grid", 1.2 + number % 7 / 10, "kW"),
            ("battery", -2500 + number % 100, "W"),
            ("charge", 81.5, "%"),
            ("solar", 3000 + number % 50, "W"),
        ):
            hass.states.async_set(f"sensor.{name}", str(value), {"unit_of_measurement": unit})


def subentries(battery: str, solar: str) -> list[ConfigSubentryData]:
    """Return the site and the resources."""
    common: dict[str, Any] = {"invert": False, "max_age_s": 60}
    return [
        ConfigSubentryData(subentry_type=kind, title=title, unique_id=title, data=common | data)
        for kind, title, data in (
            ("site", "Site", {"power_entity": "sensor.grid"}),
            (
                "resource",
                "Battery",
                {
                    "resource_id": battery,
                    "resource_type": "static_battery",
                    "power_entity": "sensor.battery",
                    "soc_entity": "sensor.charge",
                    "soc_unit": "%",
                    "capacity_kwh": 10.0,
                },
            ),
            (
                "resource",
                "Solar",
                {
                    "resource_id": solar,
                    "resource_type": "photovoltaic",
                    "power_entity": "sensor.solar",
                },
            ),
        )
    ]


async def next_slot() -> float:
    """Wait until the middle of a slot and return the slot that comes."""
    now = time.time()
    slot = (now // INTERVAL_S + 1) * INTERVAL_S
    await asyncio.sleep(slot + INTERVAL_S / 2 - now)
    return slot + INTERVAL_S


def stream_report(readings: Sequence[Reading], topics: int, began: float, ended: float) -> bool:
    """Print how complete and how punctual the stream was; return whether it is as it should be."""
    taken = [reading for reading in readings if began <= reading.time < ended]
    slots = range(int(began), int(ended), INTERVAL_S)
    counts = Counter((reading.topic, reading.time) for reading in taken)
    once = sum(count == 1 for count in counts.values())
    on_slot = sum(reading.time in slots for reading in taken)
    offsets = [reading.arrived_at - reading.time for reading in taken]
    print(
        f"powernaut, {(ended - began) / 60:.0f} minutes: {once} of {len(slots) * topics} slots "
        f"present once, {on_slot} of {len(taken)} timestamps on the slot; arrival after it: "
        f"p50 {percentile(offsets, 0.5) * 1000:.1f} ms, p99 {percentile(offsets, 0.99) * 1000:.1f} "
        f"ms, longest {max(offsets) * 1000:.1f} ms"
    )
    return (
        once == len(counts) == len(slots) * topics
        and on_slot == len(taken)
        and percentile(offsets, 0.99) < GOAL_JITTER_S
    )


def outage_report(
    readings: Sequence[Reading], topics: int, outage_s: int, began: float, ended: float, drop: int
) -> bool:
    """Print what came of an outage's slots; return whether nothing old came and the sums agree."""
    taken = [reading for reading in readings if began <= reading.time < ended]
    slots = len(range(int(began), int(ended), INTERVAL_S)) * topics
    arrived = len({(reading.topic, reading.time) for reading in taken})
    oldest = max(reading.arrived_at - reading.time for reading in taken)
    batches = sorted({reading.batch for reading in taken if reading.batch > 1})
    back = min((reading.arrived_at for reading in taken if reading.batch > 1), default=0.0)
    print(
        f"powernaut, broker stopped for {outage_s} s: of {slots} slots from its stop on {arrived} "
        f"arrived, {drop} were dropped and counted; the oldest came {oldest:.1f} s old; "
        f"one array a topic of {batches} elements, {back - began:.0f} s after the stop"
    )
    return oldest <= MAX_AGE_S and arrived + drop == slots


async def main(stream_s: int, outages_s: Sequence[int]) -> int:
    """Print a line for each part; return the exit code."""
    good = True
    with tempfile.TemporaryDirectory(prefix="grid-telemetry-") as temporary:
        folder = Path(temporary)
        for name in ("stand_in", "home"):
            (folder / name).mkdir()
        stand_in = Powernaut(folder / "stand_in")
        battery = stand_in.add_resource("Battery", "static_battery", capacity_kwh="10.0")
        solar = stand_in.add_resource("Solar", "photovoltaic")
        async with stand_in:
            await stand_in.until_it_observes()
            connection = connection_of(stand_in)
            async with run_site(folder / "home", connection, subentries(battery, solar)) as site:
                measuring = asyncio.create_task(measure(site.hass))
                await asyncio.sleep(1)
                assert await site.hass.config_entries.async_setup(site.entry.entry_id)
                await next_slot()
                topics = len(stand_in.topics)
                began = await next_slot()
                await asyncio.sleep(began + stream_s - time.time() - INTERVAL_S / 2)
                good &= stream_report(stand_in.readings, topics, began, began + stream_s)
                health = site.entry.runtime_data.health
                for outage_s in outages_s:
                    began, dropped = await next_slot(), health.dropped
                    await stand_in.broker.stop()
                    await asyncio.sleep(outage_s)
                    await stand_in.broker.start()
                    await asyncio.sleep(RECOVERY_S)
                    ended = await next_slot()
                    good &= outage_report(
                        stand_in.readings,
                        topics,
                        outage_s,
                        began,
                        ended,
                        health.dropped - dropped,
                    )
                measuring.cancel()
                with suppress(asyncio.CancelledError):
                    await measuring
        refusals = stand_in.refusals()
    print(f"powernaut: {len(refusals)} messages refused by the observer", *refusals[:5], sep="\n  ")
    return 0 if good and not refusals else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.powernaut_outages")
    parser.add_argument("--stream", type=int, default=STREAM_S, metavar="SECONDS")
    parser.add_argument("--outages", type=int, nargs="*", default=OUTAGES_S, metavar="SECONDS")
    options = parser.parse_args()
    sys.exit(asyncio.run(main(options.stream, options.outages)))
