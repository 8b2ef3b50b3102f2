"""Many gateways into a RabbitMQ cluster of three nodes, with faults; every sample is checked once.

Each gateway is the real client, outbox and delivery of the Scout link, 20 points every 10 s, all of
them at the same instants as on a real clock, a few hundred to a process. Nodes, gateways and
consumer share this machine, so what is measured is where it ends, not where a cluster would.

python -m bench.fleet --gateways=1000 --processes=4 --hours=1
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
import json
import os
from pathlib import Path
import secrets
import signal
import sys
import tempfile
import time
from typing import Any, Final, Self

from simulators.programs import Program, until
from simulators.rabbitmq_cluster import HOST, Cluster

from .parts.fleet_gateways import INTERVAL_S, POINTS, claim_id_of

PARTS: Final = ("steady", "leader", "frozen", "slow", "tokens", "outage")
STEADY_S: Final = 60.0
FROZEN_S: Final = 90.0
SLOW_S: Final = 40.0
SLOW_SYNC_S: Final = 0.2
BACK_WITHIN_S: Final = 330.0
CONNECTIONS_PER_S: Final = 25.0
_DAY_S: Final = 86_400
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
# Between the C library and a program: a disk that takes its time while a file is there.
_SLOW_DISK: Final = f"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int slowly(const char *name, int fd) {{
  const char *file = getenv("SLOW_DISK");
  if (file && access(file, F_OK) == 0) usleep({int(SLOW_SYNC_S * 1e6)});
  return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}}
int fsync(int fd) {{ return slowly("fsync", fd); }}
int fdatasync(int fd) {{ return slowly("fdatasync", fd); }}
"""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What some processes have used."""

    cpu_s: float
    rss_mib: float


def usage_of(pids: Iterable[int]) -> Usage:
    """Return what the kernel says of some processes together."""
    cpu_s = rss_mib = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
        rss = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        cpu_s += (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
        rss_mib += int(rss) / 1024
    return Usage(cpu_s=cpu_s, rss_mib=rss_mib)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One message at the consumer."""

    at: float
    gateway: str
    samples: int
    oldest: float
    newest: float
    bytes: int

    @property
    def live(self) -> bool:
        """Whether it has the sample of the last instant."""
        return self.at - self.newest < INTERVAL_S


@dataclass(kw_only=True)
class Gateways:
    """A process with some of the gateways."""

    process: asyncio.subprocess.Process
    numbers: list[int]
    slow: Path

    @classmethod
    async def start(
        cls, folder: Path, numbers: list[int], token: str, urls: list[str], slow_disk: Path
    ) -> Self:
        """Start a process, which has none yet."""
        slow = folder / "slow"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.parts.fleet_gateways"),
            *("--folder", str(folder), "--token", token, *urls),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
            env=os.environ | {"LD_PRELOAD": str(slow_disk), "SLOW_DISK": str(slow)},
        )
        return cls(process=process, numbers=numbers, slow=slow)

    async def do(self, what: str, **arguments: object) -> dict[str, Any]:
        """Have it do something, and return its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": what, **arguments}).encode() + b"\n")
        if not (line := await self.process.stdout.readline()):
            raise RuntimeError("a process of gateways ended by itself")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def stop(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()


@dataclass(kw_only=True)
class Bench:
    """One run."""

    cluster: Cluster
    fleet: list[Gateways]
    folder: Path
    consumer: Program
    connected: list[tuple[float, int]] = field(default_factory=list)
    asked: int = 0
    skipped: int = 0

    @property
    def count(self) -> int:
        """How many gateways there are."""
        return sum(len(each.numbers) for each in self.fleet)

    async def all_do(self, what: str, **arguments: object) -> list[dict[str, Any]]:
        """Have all processes do something."""
        return await asyncio.gather(*(each.do(what, **arguments) for each in self.fleet))

    async def ask(self) -> tuple[int, int, float]:
        """Return how many samples were put and how many wait, and the longest put since."""
        answers = await self.all_do("tell")
        for answer in answers:
            self.connected += [(at, number) for at, number in answer["connected"]]
        self.asked = sum(answer["asked"] for answer in answers)
        self.skipped = sum(answer["skipped"] for answer in answers)
        return (
            sum(answer["put"] for answer in answers),
            sum(answer["queued"] for answer in answers),
            max(answer["longest_put_s"] for answer in answers),
        )

    def told(self) -> dict[str, Any]:
        """Return what the consumer has."""
        result: dict[str, Any] = json.loads((self.folder / "status.json").read_text())
        return result

    async def drained(self, timeout_s: float) -> float:
        """Return how long it took until the consumer had all that was queued."""
        began = time.monotonic()

        async def complete() -> bool:
            self.consumer.check()
            put, queued, _ = await self.ask()
            return queued == 0 and int(self.told()["samples"]) >= put

        await until(complete, timeout_s, f"all samples, {self.told()['samples']} came")
        return time.monotonic() - began

    def arrivals(self, since: float) -> list[Arrival]:
        """Return the messages that came since an instant."""
        found = []
        for line in (self.folder / "arrivals").read_text(encoding="ascii").splitlines()[:-1]:
            at, gateway, samples, oldest, newest, size = line.split()
            if float(at) >= since:
                found.append(
                    Arrival(
                        at=float(at),
                        gateway=gateway.removeprefix("gateways."),
                        samples=int(samples),
                        oldest=float(oldest),
                        newest=float(newest),
                        bytes=int(size),
                    )
                )
        return found

    def oldest_live_s(self, since: float) -> float:
        """Return the longest that a sample took, of messages with none older than 90 s."""
        ages = [each.at - each.oldest for each in self.arrivals(since)]
        return max((age for age in ages if age < 90), default=0.0)

    def anew(self, since: float) -> dict[int, float]:
        """Return when each gateway connected first since an instant."""
        first: dict[int, float] = {}
        for at, number in self.connected:
            if at > since:
                first.setdefault(number, at)
        return first

    async def connect(self) -> str:
        """Connect all of them, so many a second."""
        every_s = len(self.fleet) / CONNECTIONS_PER_S
        began = time.monotonic()
        await asyncio.gather(
            *(each.do("add", numbers=each.numbers, every_s=every_s) for each in self.fleet)
        )

        async def complete() -> bool:
            await self.ask()
            return len(self.anew(0)) == self.count

        await until(complete, 120, "all connected")
        return f"connected within {time.monotonic() - began:.0f} s, in {len(self.fleet)} processes"

    async def steady(self) -> str:
        """Measure nothing but the interval."""
        await self.drained(120)
        own_pids = [each.process.pid for each in self.fleet]
        node_pids = [node.pid for node in self.cluster.nodes]
        own, nodes, consumer = map(usage_of, (own_pids, node_pids, [self.consumer.pid]))
        since, began = time.time(), time.monotonic()
        await asyncio.sleep(STEADY_S)
        spent_s = time.monotonic() - began
        own2, nodes2, consumer2 = map(usage_of, (own_pids, node_pids, [self.consumer.pid]))
        messages = self.arrivals(since)
        ages = sorted(each.at - each.newest for each in messages)
        samples = sum(each.samples for each in messages)
        share = 100 / spent_s / self.count
        return (
            f"{samples / spent_s:.0f} samples/s in {len(messages) / spent_s:.0f} messages/s of"
            f" {sum(each.bytes for each in messages) / len(messages):.0f} bytes;"
            f" arrival after the instant p50 {ages[len(ages) // 2]:.2f} s,"
            f" p99 {ages[int(len(ages) * 0.99)]:.2f} s;"
            f" processor {share * (own2.cpu_s - own.cpu_s):.3f} % of a core a gateway here,"
            f" {share * (nodes2.cpu_s - nodes.cpu_s):.3f} % in the three nodes,"
            f" {share * (consumer2.cpu_s - consumer.cpu_s):.3f} % in the consumer;"
            f" memory {own2.rss_mib:.0f} MiB for all gateways, {nodes2.rss_mib:.0f} MiB for the"
            f" nodes"
        )

    async def fill(self, start_s: float, intervals: int) -> float:
        """Have each queue what it sampled in the past, and return how long that took."""
        began = time.monotonic()
        await self.all_do("fill", start_s=start_s, intervals=intervals)
        return time.monotonic() - began

    async def leader_killed(self) -> str:
        """Kill the node that leads the queue while it drains a backlog."""
        leader = await self.cluster.leader()
        before = self.told()["duplicates"]
        filling = asyncio.create_task(self.fill(time.time() - 5400, 30))
        await asyncio.sleep(0.5)
        killed = time.time()
        await leader.kill()
        await filling
        drained_s = await self.drained(300)
        other = await self.cluster.leader()
        await leader.start()
        await self.ask()
        return (
            f"{self.count * 30 * POINTS} samples of backlog; all there {drained_s:.0f} s after the"
            f" last was queued, led by another node ({other.name != leader.name});"
            f" {len(self.anew(killed))} gateways connected anew;"
            f" live samples {self.oldest_live_s(killed):.1f} s late at most;"
            f" {self.told()['duplicates'] - before} came twice"
        )

    async def frozen(self) -> str:
        """Freeze the node that leads the queue, long enough to be taken for dead, and go on."""
        leader = await self.cluster.leader()
        before = self.told()["duplicates"]
        since = time.time()
        os.kill(leader.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(FROZEN_S)
        finally:
            os.kill(leader.pid, signal.SIGCONT)
        drained_s = await self.drained(BACK_WITHIN_S)
        return (
            f"frozen for {FROZEN_S:.0f} s; all there {drained_s:.0f} s after it went on;"
            f" {len(self.anew(since))} gateways connected anew;"
            f" samples {self.oldest_live_s(since):.1f} s late at most;"
            f" {self.told()['duplicates'] - before} came twice"
        )

    async def slow_disk(self) -> str:
        """Let each write to the disk take its time: that of the leader, then that of gateways."""
        results = []
        leader = await self.cluster.leader()
        for name, file in (
            ("the leading node", leader.folder / "slow"),
            (f"{len(self.fleet[0].numbers)} gateways", self.fleet[0].slow),
        ):
            await self.drained(120)
            since = time.time()
            file.touch()
            await asyncio.sleep(SLOW_S)
            file.unlink()
            longest_put_s = (await self.ask())[2]
            ages = sorted(each.at - each.newest for each in self.arrivals(since))
            results.append(
                f"{name}: arrival p50 {ages[len(ages) // 2]:.2f} s,"
                f" p99 {ages[int(len(ages) * 0.99)]:.2f} s, longest put {longest_put_s:.2f} s"
            )
        return f"{1000 * SLOW_SYNC_S:.0f} ms more for each sync of {'; of '.join(results)}"

    async def new_tokens(self) -> str:
        """Change all tokens in the broker, then give the gateways the new ones."""
        token = secrets.token_hex(8)
        asked, since = self.asked, time.time()
        await self.cluster.define(
            [(claim_id_of(number), token) for each in self.fleet for number in each.numbers]
        )
        for node in self.cluster.nodes:
            await node.control("rabbitmqctl", "close_all_connections", "-p", HOST, "new token")

        async def refused() -> bool:
            await self.ask()
            return self.asked - asked >= self.count

        await until(refused, 120, "all refused")
        refused_s, given = time.time() - since, time.time()
        await self.all_do("token", token=token)
        drained_s = await self.drained(300)
        return (
            f"all asked for another token after {refused_s:.0f} s;"
            f" {len(self.anew(given))} connected and all there {drained_s:.0f} s after it was given"
        )

    async def outage(self, hours: float) -> str:
        """Stop all nodes, let a backlog of hours grow, start them, and watch who is back when."""
        intervals = int(hours * 3600 / INTERVAL_S)
        before = self.told()
        await asyncio.gather(*(node.kill() for node in self.cluster.nodes))
        down = time.time()
        await self.all_do("hours")
        filled_s = await self.fill(down - 3 * _DAY_S, intervals)
        await self.all_do("hours")
        queued = (await self.ask())[1]
        disk = sum(
            file.stat().st_size
            for each in self.fleet
            for file in each.slow.parent.iterdir()
            if ".db" in file.name
        )
        await asyncio.gather(*(node.start() for node in self.cluster.nodes))
        up = time.time()

        async def all_back() -> bool:
            await self.ask()
            return len(self.anew(down)) == self.count

        await until(all_back, BACK_WITHIN_S, "all gateways back")
        back_s = time.time() - up
        drained_s = await self.drained(900) + back_s
        first = self.anew(down)
        per_s = Counter(int(at - up) for at in first.values())
        live: dict[str, float] = {}
        messages = self.arrivals(down)
        for each in messages:
            if each.live:
                live.setdefault(each.gateway, each.at)
        waits = sorted(
            live[claim_id_of(number)] - at
            for number, at in first.items()
            if claim_id_of(number) in live
        )
        by_half_minute = Counter[int]()
        for each in messages:
            by_half_minute[int((each.at - up) // 30)] += each.samples
        curve = " ".join(
            f"{by_half_minute[turn] / 30:.0f}" for turn in range(max(by_half_minute) + 1)
        )
        samples = self.told()["samples"] - before["samples"]
        return (
            f"{hours:g} h of backlog each, {queued} samples on {disk / 2**20:.0f} MiB, queued in"
            f" {filled_s:.0f} s; down for {up - down:.0f} s; all back within {back_s:.0f} s of the"
            f" return (goal {BACK_WITHIN_S:.0f}), at most {max(per_s.values())} in one second;"
            f" live samples p50 {waits[len(waits) // 2]:.1f} s, p99"
            f" {waits[int(len(waits) * 0.99)]:.1f} s, at most {waits[-1]:.1f} s after each came"
            f" back (goal {INTERVAL_S}), {len(waits)} gateways;"
            f" {samples} samples drained in {drained_s:.0f} s, {samples / drained_s:.0f}/s;"
            f" by half minutes {curve}/s;"
            f" {self.told()['duplicates'] - before['duplicates']} came twice"
        )


async def slow_disk_library(folder: Path) -> Path:
    """Compile what slows a disk down, and return it."""
    source, library = folder / "slow.c", folder / "slow.so"
    source.write_text(_SLOW_DISK)
    process = await asyncio.create_subprocess_exec(
        "cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"
    )
    if await process.wait():
        raise SystemExit("A C compiler is needed to slow a disk down")
    return library


async def run(arguments: argparse.Namespace, folder: Path) -> bool:
    """Measure, print a line for each part, and say whether nothing was lost."""
    token = secrets.token_hex(8)
    count = arguments.gateways
    gateways = [(claim_id_of(number), token) for number in range(count)]
    (folder / "cluster").mkdir()
    slow_disk = await slow_disk_library(folder)
    async with AsyncExitStack() as stack:
        cluster = Cluster(
            folder=folder / "cluster",
            gateways=gateways,
            environment={"LD_PRELOAD": str(slow_disk)},
        )
        await stack.enter_async_context(cluster)
        urls = [node.url for node in cluster.nodes]
        consumer = Program.module(
            "simulators.fleet_consumer",
            *("--status", str(folder / "status.json"), "--arrivals", str(folder / "arrivals")),
            *urls,
            log=folder / "consumer.log",
        )
        await stack.enter_async_context(consumer)
        fleet = []
        for part in range(arguments.processes):
            own = folder / f"gateways{part}"
            own.mkdir()
            numbers = list(range(part, count, arguments.processes))
            each = await Gateways.start(own, numbers, token, urls, slow_disk)
            stack.push_async_callback(each.stop)
            fleet.append(each)
        bench = Bench(cluster=cluster, fleet=fleet, folder=folder, consumer=consumer)

        def show(part: str, result: str) -> None:
            print(f"fleet: {count} gateways, {part}: {result}", flush=True)

        show("start", await bench.connect())
        await bench.all_do("sample")
        await asyncio.sleep(2 * INTERVAL_S)
        parts: dict[str, Callable[[], Awaitable[str]]] = {
            "steady": bench.steady,
            "leader": bench.leader_killed,
            "frozen": bench.frozen,
            "slow": bench.slow_disk,
            "tokens": bench.new_tokens,
            "outage": partial(bench.outage, arguments.hours),
        }
        for part in arguments.parts:
            try:
                show(part, await parts[part]())
            except TimeoutError as err:
                show(part, f"FAILED: {err}")
        await bench.all_do("quiet")
        await bench.drained(300)
        put = (await bench.ask())[0]
        told = bench.told()
        lost: int = put - told["samples"]
        show(
            "all of it",
            f"{put} samples queued, {lost} lost, {told['duplicates']} came twice,"
            f" {bench.skipped} instants skipped: {'passed' if lost == 0 else 'FAILED'}",
        )
        return lost == 0


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="A fleet of gateways into a RabbitMQ cluster")
    parser.add_argument("--gateways", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1, help="among which they are divided")
    parser.add_argument("--hours", type=float, default=1.0, help="that the backlog stands for")
    parser.add_argument(
        "--parts", type=lambda text: text.split(","), default=PARTS, help=",".join(PARTS)
    )
    arguments, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="grid_telemetry_fleet_") as folder:
        sys.exit(not asyncio.run(run(arguments, Path(folder))))


if __name__ == "__main__":
    main()
