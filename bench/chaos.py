"""Faults at random, for half an hour, after which every sample is delivered or counted as lost.

A real Home Assistant reads a meter every second and sends it to RabbitMQ (4, where
`script/setup --rabbitmq-4` has unpacked it, else 3.10) through a relay. The broker has no exchange
for waveforms, and one is sent again and again. Meanwhile the broker is killed, Home Assistant is
killed, bits flip in the file of the outbox while it is down, its disk is read-only or full for a
while (root only), the relay stalls and cuts.

A sample is due for every point and every second from the first one that a run of Home Assistant
takes of it until the run is killed, without the last second: it may not have reached the disk.
"""

import argparse
import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
import os
from pathlib import Path
import random
import subprocess
import sys
import tempfile
import time
from typing import Any, Final

from simulators.demo import ALARM_CONFIGURATION, DAY_S, add_meters
from simulators.home_assistant import ApiError, HomeAssistant
from simulators.household import household
from simulators.platforms.scout import CLAIM_ID, TOKEN, Scout
from simulators.programs import until
from simulators.rabbitmq import NEWER, Observer, RabbitMq
from simulators.relay import Relay
from simulators.scout_messages import EXCHANGES

DRAINED_WITHIN_S: Final = 400
WAVEFORM: Final[dict[str, Any]] = {
    "start_at": "2026-10-01T07:00:00+00:00",
    "sample_rate": 1000,
    "channels": [{"name": "V_AN", "sample_factor": 1, "samples": [[0, 1], [1, 2]]}],
}


@asynccontextmanager
async def small_disk(folder: Path) -> AsyncIterator[bool]:
    """Give a folder a file system of its own; False where that may not be."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)]
    mounted = os.geteuid() == 0 and _run(*command)
    try:
        yield mounted
    finally:
        if mounted:
            _run("umount", "-l", str(folder))


def _run(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603


class Chaos:
    """The faults, and what each run of Home Assistant owes."""

    def __init__(
        self, home: HomeAssistant, broker: RabbitMq, relay: Relay, disk: Path | None, seed: int
    ) -> None:
        """Take what can be harmed."""
        self.dice = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.began = [time.time()]
        self.ended: list[float] = []
        self._home = home
        self._broker = broker
        self._relay = relay
        self._disk = disk

    @property
    def faults(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What can be done."""
        always: dict[str, Callable[[], Awaitable[None]]] = {
            "broker killed": self.kill_broker,
            "home killed": self.kill_home,
            "home killed, a bit flipped": self.kill_home_and_flip,
            "connections cut": self.cut,
            "connection stalled": self.stall,
            "waveform refused": self.send_waveform,
        }
        if self._disk is not None:
            always |= {"disk read-only": self.read_only, "disk full": self.full}
        return always

    async def kill_broker(self) -> None:
        """Cut the broker's power for a few seconds."""
        await self._broker.kill()
        await asyncio.sleep(self.dice.uniform(0, 5))
        await self._broker.start()

    async def kill_home(self) -> None:
        """Kill Home Assistant and start it again."""
        self.ended.append(time.time())
        await self._home.kill()
        self.began.append(time.time())
        await self._home.start()

    async def kill_home_and_flip(self) -> None:
        """Kill Home Assistant, flip a bit in its outbox, and start it again."""
        self.ended.append(time.time())
        await self._home.kill()
        for path in (self._home.folder / "grid_telemetry").glob("outbox-*.db"):
            data = bytearray(path.read_bytes())
            data[self.dice.randrange(100, len(data))] ^= 1 << self.dice.randrange(8)
            path.write_bytes(data)
        self.began.append(time.time())
        await self._home.start()

    async def cut(self) -> None:
        """Cut every connection to the broker."""
        self._relay.cut()

    async def stall(self) -> None:
        """Let the connections carry nothing for a few seconds, then cut them."""
        self._relay.freeze()
        await asyncio.sleep(self.dice.uniform(2, 8))
        self._relay.cut()

    async def send_waveform(self) -> None:
        """Send what the broker has no exchange for."""
        await self._home.call("grid_telemetry.scout_send_waveform", **WAVEFORM)

    async def read_only(self) -> None:
        """Make the disk of the outbox read-only for a few seconds."""
        _run("mount", "-o", "remount,ro", str(self._disk))
        await asyncio.sleep(5)
        _run("mount", "-o", "remount,rw", str(self._disk))
        await asyncio.sleep(12)  # what was held in memory is written

    async def full(self) -> None:
        """Fill the disk of the outbox for a few seconds."""
        assert self._disk is not None
        filler = self._disk / "filler"
        await asyncio.to_thread(
            _run, "dd", "if=/dev/zero", f"of={filler}", "bs=64k", "count=2000", "status=none"
        )
        await asyncio.sleep(5)
        filler.unlink()
        await asyncio.sleep(12)

    async def go_on(self, seconds: float) -> None:
        """Do one after the other, each at least once if there is time."""
        end = time.monotonic() + seconds
        order = list(self.faults)
        self.dice.shuffle(order)
        while time.monotonic() < end:
            name = order.pop() if order else self.dice.choice(list(self.faults))
            await self.faults[name]()
            self.done[name] += 1
            await asyncio.sleep(self.dice.uniform(2, 6))

    def due(self, taken: set[int]) -> set[int]:
        """Return the slots of a point that are due, from those that were taken of it."""
        due: set[int] = set()
        for began, ended in zip(self.began, self.ended, strict=True):
            if of_run := [slot for slot in taken if began < slot < ended]:
                due.update(range(min(of_run), int(ended)))
        return due


async def run(minutes: float, seed: int) -> bool:
    """Do it and print what came of it; returns whether the goal is met."""
    root = NEWER if (NEWER / "complete").exists() else Path("/")
    exchanges = [name for name in EXCHANGES if name != "waveforms"]
    with tempfile.TemporaryDirectory(prefix="grid_telemetry_chaos_") as name:
        folder = Path(name)
        broker = RabbitMq(
            folder=folder / "rabbitmq",
            claim_id=CLAIM_ID,
            token=TOKEN,
            root=root,
            exchanges=exchanges,
        )
        relay = Relay(broker.port)
        async with (
            household(DAY_S) as lines,
            broker,
            Observer(broker=broker) as observer,
            relay,
            HomeAssistant(folder / "home", configuration=ALARM_CONFIGURATION) as home,
            small_disk(home.folder / "grid_telemetry") as mounted,
        ):
            url = broker.url.replace(str(broker.port), str(relay.port))
            house, *_ = await add_meters(home, lines[0])
            await Scout(url, observer, 1).configure(home, [house])
            await home.stop()  # its registries are written then
            disk = home.folder / "grid_telemetry" if mounted else None
            chaos = Chaos(home, broker, relay, disk, seed)
            await home.start()
            await asyncio.sleep(5)
            await chaos.go_on(minutes * 60)
            await asyncio.sleep(5)
            chaos.ended.append(time.time())

            def taken() -> dict[tuple[str, str], set[int]]:
                slots = defaultdict(set)
                for metric in observer.metrics:
                    slots[metric.device, metric.code].add(int(metric.ts.timestamp()))
                return slots

            async def figures() -> dict[str, int]:
                return {
                    key: int(state["state"])
                    for entity_id, state in (await home.states()).items()
                    for key in ("queued", "dropped", "refused")
                    if entity_id.endswith(f"_{key}") and "scout" in entity_id
                }

            async def drained() -> bool:
                await flush(home)
                return all(max(each) >= chaos.ended[-1] - 1 for each in taken().values())

            began = time.monotonic()
            await until(drained, DRAINED_WITHIN_S, "the backlog at the broker")
            drained_s = time.monotonic() - began
            await asyncio.sleep(3)
            counted = await figures()
            slots = taken()
    due = {point: chaos.due(each) for point, each in slots.items()}
    missing = sum(len(due[point] - slots[point]) for point in slots)
    # The refused waveforms wait, each counted in one of the two.
    passed = missing <= counted.get("dropped", 0) and not observer.refusals
    print(
        f"chaos: {'RabbitMQ 4' if root == NEWER else 'RabbitMQ 3.10'}, {minutes:g} minutes:"
        f" {', '.join(f'{count} x {name}' for name, count in sorted(chaos.done.items()))};"
        f" {sum(map(len, due.values()))} samples due of {len(due)} points, {missing} missing,"
        f" {counted} at the end; {observer.duplicates} duplicates;"
        f" drained {drained_s:.0f} s after the last fault: {'passed' if passed else 'FAILED'}"
    )
    return passed


async def flush(home: HomeAssistant) -> None:
    """Have what waits sent now; while the link is being set up it cannot."""
    try:
        await home.call("grid_telemetry.flush", response=True, timeout=2)
    except ApiError as err:
        print(f"chaos: {err}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="bench.chaos")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.exit(not asyncio.run(run(options.minutes, options.seed)))


if __name__ == "__main__":
    main()
