"""Many gateways into a RabbitMQ cluster of three nodes, with faults; every sample is checked once.

Each gateway is the real client, outbox and delivery of the Scout link, 20 points every 10 s, all of
them at the same instants as on a real clock. Nodes, gateways and consumer share this machine, so
what is measured is where it ends, not where a cluster would.

python -m bench.fleet --gateways=100
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
import json
import logging
import os
from pathlib import Path
import sys
import tempfile
import time
from types import MappingProxyType
from typing import Any, Final

import aiohttp
from homeassistant.config_entries import SOURCE_USER, ConfigEntry
from homeassistant.core import HomeAssistant

from custom_components.grid_telemetry.connection.errors import ConnectionFailed
from custom_components.grid_telemetry.connection.health import Health
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.scout.client import ScoutSession
from custom_components.grid_telemetry.links.scout.payload import Gateway, metric_records, pack
from custom_components.grid_telemetry.outbox.delivery import Delivery
from custom_components.grid_telemetry.outbox.store import Limits, Outbox
from custom_components.grid_telemetry.protocols.stomp.client import StompParameters, connect
from custom_components.grid_telemetry.protocols.stomp.errors import StompError
from simulators.programs import Program, until
from simulators.rabbitmq_cluster import HOST, Cluster

POINTS: Final = 20
INTERVAL_S: Final = 10
STEADY_SLOTS: Final = 6
BACK_WITHIN_S: Final = 330.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process has used."""

    cpu_s: float
    rss_mib: float


def usage_of(pid: int) -> Usage:
    """Return what the kernel says of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text()
    rss_kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return Usage(
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S, rss_mib=int(rss_kib) / 1024
    )


@dataclass(kw_only=True)
class OneGateway:
    """One gateway of the fleet."""

    number: int
    outbox: Outbox
    delivery: Delivery


@dataclass(kw_only=True)
class Fleet:
    """All gateways, and when each of them connected."""

    cluster: Cluster
    hass: HomeAssistant
    http: aiohttp.ClientSession
    folder: Path
    gateways: list[OneGateway] = field(default_factory=list)
    connected_at: list[tuple[float, int]] = field(default_factory=list)
    put: int = 0

    async def add(self, number: int, claim_id: str, token: str) -> None:
        """Add a gateway, which connects at once."""
        entry: ConfigEntry[Any] = ConfigEntry(
            data={},
            discovery_keys=MappingProxyType({}),
            domain=DOMAIN,
            minor_version=1,
            options={},
            source=SOURCE_USER,
            subentries_data=None,
            title=claim_id,
            unique_id=None,
            version=1,
        )
        outbox = Outbox(
            self.folder / f"{claim_id}.db",
            limits=Limits(max_age_s=1e9, max_samples=10**7),
            on_trouble=lambda *_: None,
        )
        await outbox.open()
        gateway = Gateway(
            claim_id=claim_id,
            serial_number=str(number),
            gateway_type="BENCH",
            firmware_version="1",
            hardware_version="1",
        )
        turns = number

        @asynccontextmanager
        async def session() -> AsyncIterator[ScoutSession]:
            # In place of a load balancer: another node each time.
            nonlocal turns
            turns += 1
            node = self.cluster.nodes[turns % len(self.cluster.nodes)]
            parameters = StompParameters(url=node.url, host=HOST, login=claim_id, passcode=token)
            try:
                connection = await connect(self.http, parameters)
            except StompError as err:
                raise ConnectionFailed("connection_lost", str(err)) from err
            self.connected_at.append((time.monotonic(), number))
            try:
                yield ScoutSession(connection, gateway)
            finally:
                await connection.close()

        delivery = Delivery(
            self.hass, entry, outbox=outbox, health=Health(), connect=session, pack=pack
        )
        self.gateways.append(OneGateway(number=number, outbox=outbox, delivery=delivery))
        delivery.start()

    async def sample(self, at_s: float) -> None:
        """Queue what each gateway samples at an instant."""
        for gateway in self.gateways:
            values = {f"C{code}": (gateway.number + code) / 8 for code in range(POINTS)}
            await gateway.outbox.put(list(metric_records("MAIN", int(at_s * 1000), values)))
            gateway.delivery.wake()
            self.put += POINTS

    async def run_slots(self, count: int) -> None:
        """Sample at so many multiples of the interval on the wall clock."""
        for _ in range(count):
            now = time.time()
            at = (now // INTERVAL_S + 1) * INTERVAL_S
            await asyncio.sleep(at - now)
            await self.sample(at)

    @property
    def queued(self) -> int:
        """Samples that wait in the outboxes."""
        return sum(gateway.outbox.queued_samples for gateway in self.gateways)

    async def stop(self) -> None:
        """End all of them."""
        for gateway in self.gateways:
            await gateway.delivery.stop()
            await gateway.outbox.close()


@dataclass(kw_only=True)
class Bench:
    """One run."""

    fleet: Fleet
    cluster: Cluster
    status: Path

    def told(self) -> dict[str, Any]:
        """Return what the consumer has."""
        result: dict[str, Any] = json.loads(self.status.read_text())
        return result

    async def drained(self, timeout_s: float) -> float:
        """Return how long it took until the consumer had all that was queued."""
        began = time.monotonic()

        async def complete() -> bool:
            return self.fleet.queued == 0 and self.told()["samples"] >= self.fleet.put

        await until(complete, timeout_s, f"{self.fleet.put} samples, {self.told()['samples']} came")
        return time.monotonic() - began

    async def steady(self) -> str:
        """Measure nothing but the interval."""
        own, nodes = usage_of(os.getpid()), [usage_of(node.pid) for node in self.cluster.nodes]
        began, ages = time.monotonic(), []
        task = asyncio.create_task(self.fleet.run_slots(STEADY_SLOTS))
        while not task.done():
            await asyncio.sleep(0.5)
            if (age := self.told()["p99_s"]) is not None:
                ages.append(age)
        await task
        await self.drained(60)
        spent_s, count = time.monotonic() - began, len(self.fleet.gateways)
        now, after = usage_of(os.getpid()), [usage_of(node.pid) for node in self.cluster.nodes]
        own_cpu = (now.cpu_s - own.cpu_s) / spent_s
        broker_cpu = sum(b.cpu_s - a.cpu_s for a, b in zip(nodes, after, strict=True)) / spent_s
        return (
            f"{count * POINTS / INTERVAL_S:.0f} samples/s;"
            f" the slowest p99 of an arrival {max(ages, default=0):.1f} s after its instant;"
            f" processor {100 * own_cpu / count:.3f} % of a core a gateway here,"
            f" {100 * broker_cpu / count:.3f} % in the three nodes;"
            f" memory {now.rss_mib:.0f} MiB for all gateways,"
            f" {sum(each.rss_mib for each in after):.0f} MiB for the nodes"
        )

    async def leader_killed(self) -> str:
        """Kill the node that leads the queue while it drains a backlog."""
        start = time.time() - 3600
        for slot in range(60):
            await self.fleet.sample(start + slot * INTERVAL_S)
        leader = await self.cluster.leader()
        await leader.kill()
        killed = time.monotonic()
        await self.fleet.run_slots(1)
        drained_s = await self.drained(300)
        other = await self.cluster.leader()
        await leader.start()
        reconnected = {number for at, number in self.fleet.connected_at if at > killed}
        return (
            f"{len(self.fleet.gateways) * 61 * POINTS} samples;"
            f" all there {drained_s:.0f} s after the next instant, led by another node"
            f" ({other.name != leader.name}); {len(reconnected)} gateways connected anew"
        )

    async def all_down(self, outage_s: float, slots: int) -> str:
        """Stop all nodes, let a backlog grow, start them, and watch who comes back when."""
        for node in self.cluster.nodes:
            await node.kill()
        down = time.monotonic()
        start = time.time() - 2 * 86_400
        for slot in range(slots):
            await self.fleet.sample(start + slot * INTERVAL_S)
        await asyncio.sleep(max(0.0, outage_s - (time.monotonic() - down)))
        await asyncio.gather(*(node.start() for node in self.cluster.nodes))
        up = time.monotonic()
        before = self.told()["samples"]

        async def all_back() -> bool:
            back = {number for at, number in self.fleet.connected_at if at > down}
            return len(back) == len(self.fleet.gateways)

        await until(all_back, BACK_WITHIN_S, "all gateways back")
        back_s = time.monotonic() - up
        drained_s = await self.drained(600) + back_s
        first: dict[int, float] = {}
        for at, number in self.fleet.connected_at:
            if at > down:
                first.setdefault(number, at - up)
        per_s: dict[int, int] = {}
        for at in first.values():
            per_s[int(at)] = per_s.get(int(at), 0) + 1
        samples = self.told()["samples"] - before
        return (
            f"down for {up - down:.0f} s, {slots} intervals of backlog each;"
            f" all back within {back_s:.0f} s of the return (goal {BACK_WITHIN_S:.0f}),"
            f" at most {max(per_s.values())} in one second;"
            f" {samples} samples drained in {drained_s:.0f} s, {samples / drained_s:.0f}/s"
        )


async def run(arguments: argparse.Namespace, folder: Path) -> bool:
    """Measure, print a line for each part, and say whether nothing was lost."""
    logging.disable(logging.CRITICAL)
    gateways = [(f"GW{number:06}", f"token{number}") for number in range(arguments.gateways)]
    status = folder / "status.json"
    (folder / "outboxes").mkdir()
    (folder / "cluster").mkdir()
    async with AsyncExitStack() as stack:
        cluster = Cluster(folder=folder / "cluster", gateways=gateways)
        await stack.enter_async_context(cluster)
        await stack.enter_async_context(
            Program.module(
                "simulators.fleet_consumer",
                *("--status", str(status), *(node.url for node in cluster.nodes)),
                log=folder / "consumer.log",
            )
        )
        http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        hass = HomeAssistant(str(folder))
        stack.push_async_callback(hass.async_stop, force=True)
        fleet = Fleet(cluster=cluster, hass=hass, http=http, folder=folder / "outboxes")
        stack.push_async_callback(fleet.stop)
        for number, (claim_id, token) in enumerate(gateways):
            await fleet.add(number, claim_id, token)
        bench = Bench(fleet=fleet, cluster=cluster, status=status)
        await fleet.run_slots(1)
        await bench.drained(120)
        count = len(gateways)
        print(f"fleet: {count} gateways, steady: {await bench.steady()}", flush=True)
        print(f"fleet: {count} gateways, leader killed: {await bench.leader_killed()}", flush=True)
        outage = await bench.all_down(arguments.outage, arguments.slots)
        print(f"fleet: {count} gateways, all nodes killed: {outage}", flush=True)
        told = bench.told()
        lost: int = fleet.put - told["samples"]
        print(
            f"fleet: {count} gateways: {fleet.put} samples queued, {lost} lost,"
            f" {told['duplicates']} came twice: {'passed' if lost == 0 else 'FAILED'}",
            flush=True,
        )
        return lost == 0


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="A fleet of gateways into a RabbitMQ cluster")
    parser.add_argument("--gateways", type=int, default=100)
    parser.add_argument(
        "--outage", type=float, default=60.0, help="seconds that all nodes are down"
    )
    parser.add_argument("--slots", type=int, default=360, help="intervals of backlog: 360 are 1 h")
    arguments, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="grid_telemetry_fleet_") as folder:
        sys.exit(not asyncio.run(run(arguments, Path(folder))))


if __name__ == "__main__":
    main()
