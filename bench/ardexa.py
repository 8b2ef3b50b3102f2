"""1,000 Ardexa feeds at 1 Hz into Home Assistant, against a bare python-socketio client.

Everything is measured in one run and by the same cloud, the stand-in, in a process of its own: a
client that only counts the messages, then a real Home Assistant that shows each of them as a
sensor. Home Assistant is measured with values that do not change and with values that all change.
In another run its recorder writes the latter down, as it does what any integration shows.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
import json
from pathlib import Path
import signal
import sys
from tempfile import TemporaryDirectory
import time
from typing import Any, Final

from socketio import AsyncClient

from custom_components.grid_telemetry.links.ardexa.payload import Field
from simulators.ardexa import Ardexa
from simulators.home_assistant import HomeAssistant
from simulators.programs import Program, until

from .points import LOADGEN, processor_s

DEVICES: Final = 10
FEEDS_PER_DEVICE: Final = 100
FEEDS: Final = DEVICES * FEEDS_PER_DEVICE
SLICES: Final = 100
WARM_UP_S: Final = 10
SETTLED_S: Final = 12
DOWN_S: Final = 10
GOAL_TIMES: Final = 2.0
GOAL_STALL_S: Final = 0.010
FIELDS: Final = [f"field {number}" for number in range(FEEDS_PER_DEVICE)]
META: Final[dict[str, Any]] = {
    "tail": [
        {
            "table": "bench",
            "source": "row",
            "expect": "csv",
            "fields": [
                {"name": name, "expect": "decimal", "meta": {"units": "W"}} for name in FIELDS
            ],
        }
    ]
}


class Feeder:
    """Sends a value to each feed every second, spread over the second."""

    def __init__(self, cloud: Ardexa) -> None:
        """Take the cloud; nothing is sent before `mode` says so."""
        self._cloud = cloud
        self.mode = "nothing"
        self.sent = 0

    async def run(self) -> None:
        """Send until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        second = 0
        while True:
            second += 1
            feeds = list(self._cloud.feeds.items()) if self.mode != "nothing" else []
            for part in range(SLICES):
                for number, (feed_id, feed) in enumerate(feeds[part::SLICES]):
                    if feed_id in self._cloud.feeds:
                        # As an inverter tells its power, to a tenth of a watt.
                        value = 1000.0 + number + (second % 3000 if self.mode == "changing" else 0)
                        await self._cloud.send_value(feed_id, feed, value + 0.1)
                        self.sent += 1
                due += 1 / SLICES
                await asyncio.sleep(max(0, due - loop.time()))


async def count(url: str, token: str) -> None:
    """Be the bare client: ask for all feeds, and count what comes."""
    counted = 0

    def take(event: str, *_: object) -> None:
        nonlocal counted
        counted += 1

    client = AsyncClient(handle_sigint=False)
    client.on("*", take)
    await client.connect(
        f"{url}?token={token}&orgName=dev",
        transports=["websocket"],
        socketio_path="/socket.io-client",
        wait_timeout=10,
    )
    for device in range(DEVICES):
        for name in FIELDS:
            request = {"deviceId": f"device-{device}", "table": "bench", "source": "row"}
            await client.emit(
                "device:feed", {"requestId": f"{device}/{name}", "field": name, **request}
            )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await client.disconnect()


async def all_run(cloud: Ardexa) -> None:
    """Wait until there is every feed."""

    async def is_there() -> bool:
        return len(cloud.feeds) == FEEDS

    await until(is_there, 120, f"{FEEDS} feeds")


async def cost(pid: int, feeder: Feeder, mode: str, seconds: float) -> tuple[float, float]:
    """Return the processor time of a process in a second, and the messages."""
    feeder.mode = mode
    await asyncio.sleep(WARM_UP_S)
    began, before, sent = time.monotonic(), processor_s(pid), feeder.sent
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    used, rate = (processor_s(pid) - before) / took, (feeder.sent - sent) / took
    return used, rate


async def measure_home(
    home: HomeAssistant, feeder: Feeder, mode: str, seconds: float
) -> tuple[float, float, float]:
    """Return what a message takes in seconds, with the p99 of stalls before it and in between."""
    await home.call("loadgen.stall", response=True)
    before, _ = await cost(home.pid, feeder, "nothing", seconds)
    quiet = await home.call("loadgen.stall", response=True)
    feeder.mode = mode
    await asyncio.sleep(WARM_UP_S)
    await home.call("loadgen.stall", response=True)
    used, rate = await cost(home.pid, feeder, mode, seconds)
    busy = await home.call("loadgen.stall", response=True)
    return quiet["p99"], (used - before) / rate, busy["p99"]


async def measure_bare(cloud: Ardexa, feeder: Feeder, folder: Path, seconds: float) -> float:
    """Return the processor time in seconds that a message takes the client that only counts."""
    arguments = ("--count", cloud.url, "--token", cloud.token)
    async with Program.module("bench.ardexa", *arguments, log=folder / "bare.log") as program:
        await all_run(cloud)
        used, rate = await cost(program.pid, feeder, "changing", seconds)
    return used / rate


def add_feeds(folder: Path, entry_id: str) -> None:
    """Write the feeds into the storage: by the flow each would reload all before it."""
    path = folder / ".storage" / "core.config_entries"
    stored = json.loads(path.read_text())
    [entry] = [item for item in stored["data"]["entries"] if item["entry_id"] == entry_id]
    entry["subentries"] = [
        {
            "subentry_id": f"{device:013d}{number:013d}",
            "subentry_type": "feed",
            "title": f"Device {device} {name}",
            "unique_id": f"device-{device}/bench/row/{name}",
            "data": {
                "device": f"device-{device}",
                "table": "bench",
                "source": "row",
                "field": name,
                "fields": [asdict(Field(name=name, expect="decimal", unit="W"))],
                "stale_after_s": 3600,
            },
        }
        for device in range(DEVICES)
        for number, name in enumerate(FIELDS)
    ]
    path.write_text(json.dumps(stored))


@asynccontextmanager
async def home_with_feeds(
    folder: Path, cloud: Ardexa, *, recorded: bool
) -> AsyncIterator[HomeAssistant]:
    """Run a Home Assistant with every feed."""
    home = HomeAssistant(
        folder,
        configuration="loadgen:\nlogger:\n  default: fatal\n",
        components=[LOADGEN],
        unrecorded=() if recorded else ["sensor.*"],
    )
    async with home:
        entry_id = await home.add_entry(
            "grid_telemetry",
            {
                "user": {"next_step_id": "ardexa"},
                "ardexa": {
                    "url": cloud.url,
                    "workgroup": "dev",
                    "token": cloud.token,
                    "allow_operations": False,
                },
            },
        )
        await home.stop()
        add_feeds(folder, entry_id)
        await home.start()
        await all_run(cloud)
        yield home


async def resume(cloud: Ardexa) -> str:
    """Have the connection break in every way; return how long until every feed runs again."""
    told: list[str] = []

    async def broken(what: str, break_it: Callable[[], Awaitable[None]]) -> None:
        connected = cloud.counts["connect"]
        await break_it()
        began = time.monotonic()

        async def is_back() -> bool:
            # Those of a connection that fell silent are there for a while yet.
            newest = cloud.clients[-1] if cloud.clients else None
            present = sum(feed.sid == newest for feed in cloud.feeds.values())
            return cloud.counts["connect"] > connected and present == FEEDS

        await until(is_back, 120, f"feeds after the server {what}")
        told.append(f"{what} {time.monotonic() - began:.1f} s")
        await asyncio.sleep(SETTLED_S)

    async def cut() -> None:
        cloud.relay.cut()

    async def kill() -> None:
        await cloud.relay.stop()
        await asyncio.sleep(DOWN_S)
        await cloud.relay.start()

    async def freeze() -> None:
        cloud.relay.freeze()

    await broken("cut us off", cut)
    await broken(f"was killed, from its return after {DOWN_S} s", kill)
    await broken("kicked us", cloud.kick)
    await broken("fell silent", freeze)
    return ", ".join(told)


async def run(folder: Path, seconds: float) -> bool:
    """Measure all, print the line, and say whether the goals were met."""
    async with Ardexa() as cloud:
        for number in range(DEVICES):
            cloud.add_device(f"device-{number}", f"Device {number}", META)
        feeder = Feeder(cloud)
        feeding = asyncio.create_task(feeder.run())
        try:
            bare = await measure_bare(cloud, feeder, folder, seconds)
            feeder.mode = "nothing"
            async with home_with_feeds(folder / "recorded", cloud, recorded=True) as home:
                _, recorded, recorded_stall = await measure_home(home, feeder, "changing", seconds)
                feeder.mode = "nothing"
            async with home_with_feeds(folder / "home", cloud, recorded=False) as home:
                _, same, _ = await measure_home(home, feeder, "same", seconds)
                idle, changing, stall = await measure_home(home, feeder, "changing", seconds)
                feeder.mode = "nothing"
                resumed = await resume(cloud)
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding
    times = changing / bare
    passed = max(times, same / bare) <= GOAL_TIMES and stall < GOAL_STALL_S
    print(
        f"ardexa: {FEEDS} feeds at 1 Hz; processor time of a message {bare * 1e6:.0f} µs in a bare"
        f" client that counts; in Home Assistant {same * 1e6:.0f} µs with a value as before"
        f" ({same / bare:.2f} times), {changing * 1e6:.0f} µs with one that changed"
        f" ({times:.2f} times, goal {GOAL_TIMES:.0f}), {recorded * 1e6:.0f} µs with its recorder"
        f" writing that down ({recorded / bare:.2f} times); stall p99 {stall * 1000:.1f} ms (goal"
        f" {GOAL_STALL_S * 1000:.0f}), {recorded_stall * 1000:.1f} with the recorder,"
        f" {idle * 1000:.1f} without any message; all feeds run again after the server {resumed}:"
        f" {'passed' if passed else 'FAILED'}"
    )
    return passed


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--count", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--token", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.count:
        asyncio.run(count(given.count, given.token))
        return
    with TemporaryDirectory(prefix="grid-telemetry-bench-") as folder:
        sys.exit(not asyncio.run(run(Path(folder), given.seconds)))


if __name__ == "__main__":
    main()
