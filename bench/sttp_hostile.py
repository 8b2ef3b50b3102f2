"""STTP under attack: what becomes of a healthy subscriber's rate and of the memory.

    python -m bench.sttp_hostile [--seconds 8]

A publisher in a process of its own sends 500 signals 30 times a second to a healthy subscriber,
while another process does its worst from another address: as peers that connect, and as peers that
the publisher dials. Then our subscriber meets publishers that do theirs. Memory is what the
attacked process grew by, at its peak.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
import gzip
from itertools import count
from pathlib import Path
import random
import struct
import sys
from time import monotonic
from typing import Final

from bench.sttp import offered
from custom_components.grid_telemetry.protocols.sttp import Dialing, Target
from custom_components.grid_telemetry.protocols.sttp.constants import ServerCommand, ServerResponse
from custom_components.grid_telemetry.protocols.sttp.frames import (
    OperationalModes,
    SttpError,
    command,
    response,
    subscribe_data,
)
from custom_components.grid_telemetry.protocols.sttp.measurement import Measurement
from custom_components.grid_telemetry.protocols.sttp.publisher import Limits, Publisher
from custom_components.grid_telemetry.protocols.sttp.subscriber import (
    Subscriber,
    SubscriberParameters,
)
from custom_components.grid_telemetry.protocols.sttp.ticks import PER_SECOND, UNIX_EPOCH

SIGNALS: Final = 500
HZ: Final = 30
RATE: Final = SIGNALS * HZ
ATTACKERS: Final = 8
ATTACKERS_HOST: Final = "127.0.0.2"
DIALLED_AGAIN_S: Final = 0.05
CONNECTIONS: Final = 1_000
ALL: Final = "FILTER ActiveMeasurements WHERE True"
HELLO: Final = command(ServerCommand.DEFINE_OPERATIONAL_MODES, OperationalModes().encode())
GOAL_RATE: Final = 0.99
GOAL_MB: Final = 100

type Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter, random.Random], Awaitable[None]]


async def publish(dialled: Sequence[int]) -> None:
    """Publish for ever, and dial the ports given; every value is the number of its frame."""
    limits = Limits(connections=32, connections_per_address=16)
    dialing = Dialing(
        targets=[Target(host=ATTACKERS_HOST, port=port) for port in dialled],
        first_wait_s=DIALLED_AGAIN_S,
        longest_wait_s=DIALLED_AGAIN_S,
    )
    publisher = Publisher(port=0, limits=limits, dialing=dialing)
    metadata = offered(SIGNALS)
    publisher.define_metadata(metadata)
    ids = [signal.signal_id for signal in metadata.measurements]
    await publisher.start()
    print(publisher.port, flush=True)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for number in count():
        await asyncio.sleep(begun + number / HZ - loop.time())
        ticks = UNIX_EPOCH + number * PER_SECOND // HZ
        publisher.publish([Measurement(signal_id, float(number), ticks) for signal_id in ids])


class Healthy:
    """A subscriber that counts its frames, and sees how long it had to wait for them."""

    def __init__(self, port: int) -> None:
        """Prepare a subscription to all signals."""
        self.values = self.lost = 0
        self.longest_s = 0.0
        self.receives = asyncio.Event()
        self._frame = 0.0
        self._first = self._last = 0.0
        parameters = SubscriberParameters(
            host="127.0.0.1", port=port, filter_expression=ALL, tssc=False
        )
        self.subscriber = Subscriber(parameters, on_measurements=self._take)

    @property
    def rate(self) -> float:
        """Values a second, from the first frame that was counted to the last."""
        return (self.values - SIGNALS) / (self._last - self._first)

    def _take(self, measurements: list[Measurement]) -> None:
        for item in measurements:
            if item.value > self._frame:
                now = monotonic()
                if not self.values:
                    self._first = self._last = now
                else:
                    self.lost += round(item.value - self._frame - 1) * SIGNALS
                self.longest_s = max(self.longest_s, now - self._last)
                self._frame, self._last = item.value, now
                self.receives.set()
            # Others are repeated, for whoever takes a pause for a broken connection.
            self.values += item.value == self._frame and self._first > 0

    def begin(self) -> None:
        """Count from now on."""
        self.values = self.lost = 0
        self.longest_s = self._first = 0.0


async def send(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, *, wait_s: float = 2.0
) -> None:
    """Send something and see what comes, for a while."""
    with suppress(OSError, TimeoutError):
        writer.write(data)
        async with asyncio.timeout(wait_s):
            while await reader.read(65_536):
                pass


async def random_bytes(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random
) -> None:
    """Send noise, before and after the handshake."""
    noise = chance.randbytes(chance.choice((64, 4_096, 100_000)))
    await send(reader, writer, noise if chance.random() < 0.5 else HELLO + noise)


async def giant_lengths(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random
) -> None:
    """Promise up to 4 GB, and send some of it."""
    length = struct.pack(">I", chance.choice((0xFFFF_FFFF, 0x4000_0000, 1_048_576)))
    data = bytes(chance.choice((0, 500_000)))
    await send(reader, writer, chance.choice((b"", HELLO)) + length + data)


async def command_codes(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random
) -> None:
    """Send every command code with data of several lengths."""
    codes = chance.sample(range(256), 256)
    commands = [command(code, chance.randbytes(size)) for code in codes for size in (0, 4, 60)]
    await send(reader, writer, HELLO + b"".join(commands), wait_s=1.0)


async def half_open(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random
) -> None:
    """Begin a handshake and leave it at that."""
    await send(reader, writer, HELLO[: chance.randrange(len(HELLO))], wait_s=1.0)


async def long_filters(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random
) -> None:
    """Subscribe by expressions that are built to run long."""
    expression = chance.choice(
        (
            f"RegExMatch('^(a+)+$', '{'a' * 40}b')",
            " OR ".join(["PointTag LIKE '%zz%'"] * 127),
            "NOT " * 60_000 + "True",
            "(" * 100_000,
            "a;" * 120_000,
            ";".join([f"{ALL} AND ID LIKE '%x%'"] * 16),
        )
    )
    subscription = subscribe_data({"filterExpression": expression}, "utf-8")
    subscribe = command(ServerCommand.SUBSCRIBE, subscription)
    await send(reader, writer, HELLO + subscribe * 3, wait_s=1.0)


async def metadata_unread(
    _: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random
) -> None:
    """Ask for all metadata again and again, and read none of it."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    modes = replace(OperationalModes(), compress_metadata=False)
    writer.write(command(ServerCommand.DEFINE_OPERATIONAL_MODES, modes.encode()))
    writer.write(command(ServerCommand.METADATA_REFRESH) * 1_000)
    await asyncio.sleep(1 + chance.random())


ATTACKS: Final[dict[str, Attack]] = {
    "random bytes": random_bytes,
    "giant lengths": giant_lengths,
    "every command code": command_codes,
    "half-open handshakes": half_open,
    "long filters": long_filters,
    "metadata, unread": metadata_unread,
}


async def connect_often(port: int) -> None:
    """Hold 1,000 connections for as long as they are left alone, then have them again."""
    async with asyncio.TaskGroup() as group:
        for number in range(CONNECTIONS):
            # As if by some hundred peers.
            group.create_task(hold(port, f"127.0.{1 + number % 250}.2"))


async def hold(port: int, address: str) -> None:
    """Connect, and again when sent away."""
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(address, 0)
            )
            try:
                await reader.read()
            finally:
                writer.transport.abort()
        await asyncio.sleep(1)


async def attack(name: str, port: int) -> None:
    """Attack for ever; without a name, do nothing."""
    print("begin", flush=True)
    if not name:
        await asyncio.sleep(3600)
    if name == "1,000 connections":
        await connect_often(port)
        return

    async def go_on(number: int) -> None:
        chance = random.Random(number)
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, local_addr=(ATTACKERS_HOST, 0)
                )
                try:
                    await ATTACKS[name](reader, writer, chance)
                finally:
                    writer.transport.abort()

    async with asyncio.TaskGroup() as group:
        for number in range(ATTACKERS):
            group.create_task(go_on(number))


async def ambush(name: str) -> None:
    """Listen for a publisher that dials, and attack it; without a name, do nothing."""
    chance = random.Random(1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            if name:
                await ATTACKS[name](reader, writer, chance)
            else:
                await reader.read(-1)
        writer.transport.abort()

    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(await asyncio.start_server(serve, ATTACKERS_HOST, 0))
            for _ in range(ATTACKERS)
        ]
        print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
        await asyncio.sleep(3600)


@asynccontextmanager
async def part(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a part of the benchmark in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.sttp_hostile", *arguments), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: asyncio.subprocess.Process) -> str:
    """Return the next line that a part prints."""
    assert process.stdout is not None
    if not (text := (await process.stdout.readline()).decode().strip()):
        raise SystemExit("A part of the benchmark ended early")
    return text


def memory_mb(pid: int | str) -> float:
    """Return the memory of a process at its peak."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def forget_peak_mb(pid: int | str) -> float:
    """Return the memory of a process, whose peak it is from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    return memory_mb(pid)


@dataclass(kw_only=True)
class Result:
    """What became of the healthy subscriber, and of the publisher's memory."""

    rate: float
    lost: int
    longest_s: float
    grown_mb: float


@asynccontextmanager
async def attacked(name: str, *, dialled: bool) -> AsyncIterator[tuple[Healthy, int]]:
    """Attack a publisher that serves a healthy subscriber: that, and the publisher's process."""
    async with AsyncExitStack() as stack:
        ports: list[str] = []
        if dialled:
            ports = (await line(await stack.enter_async_context(part("--ambush", name)))).split()
        publisher = await stack.enter_async_context(part("--publish", "--dial", *ports))
        port = int(await line(publisher))
        healthy = Healthy(port)
        receiving = asyncio.create_task(healthy.subscriber.run())
        try:
            await healthy.receives.wait()
            if not dialled:
                await line(await stack.enter_async_context(part("--attack", name, str(port))))
            yield healthy, publisher.pid
            assert not receiving.done()
        finally:
            receiving.cancel()
            await asyncio.wait({receiving})


async def under(name: str, seconds: float, *, dialled: bool) -> Result:
    """Measure for a while under an attack; without a name, without one."""
    async with attacked(name, dialled=dialled) as (healthy, pid):
        before_mb = forget_peak_mb(pid)
        await asyncio.sleep(1)
        healthy.begin()
        await asyncio.sleep(seconds)
        return Result(
            rate=healthy.rate,
            lost=healthy.lost,
            longest_s=healthy.longest_s,
            grown_mb=memory_mb(pid) - before_mb,
        )


async def measure(name: str, seconds: float, *, dialled: bool = False) -> bool:
    """Measure one attack on a publisher, print a row, and say whether the goals are met."""
    before = await under("", seconds, dialled=dialled)
    during = await under(name, seconds, dialled=dialled)
    print(
        f"| {name}{', dialled' if dialled else ''} | {before.rate:,.0f} | {during.rate:,.0f} |"
        f" {during.lost} | {during.longest_s * 1000:.0f} | {during.grown_mb:.1f} |",
        flush=True,
    )
    return during.rate >= GOAL_RATE * before.rate and not during.lost and during.grown_mb < GOAL_MB


def bomb(megabytes: int) -> bytes:
    """Return zeros, GZipped a thousand times smaller."""
    return gzip.compress(bytes(megabytes << 20))


EVIL_PUBLISHERS: Final[dict[str, Callable[[], list[bytes]]]] = {
    "metadata of 600 MB in 0.6": lambda: [
        response(ServerResponse.SUCCEEDED, ServerCommand.METADATA_REFRESH, bomb(600))
    ],
    "signals of 600 MB in 0.6": lambda: [
        response(ServerResponse.SUCCEEDED, ServerCommand.METADATA_REFRESH),
        response(
            ServerResponse.UPDATE_SIGNAL_INDEX_CACHE, ServerCommand.SUBSCRIBE, b"\1" + bomb(600)
        ),
    ],
    "a frame of 4 GB": lambda: [b"\xff\xff\xff\xf0", bytes(1 << 20)],
    "a frame of 1 GB": lambda: [b"\x40\0\0\0", bytes(1 << 20)],
    "a frame of 16 MB that never ends": lambda: [b"\x01\0\0\0", bytes((1 << 24) - 1)],
    "random bytes": lambda: [random.Random(1).randbytes(1 << 20)],
    "4 billion measurements": lambda: [
        response(
            ServerResponse.DATA_PACKET,
            ServerCommand.SUBSCRIBE,
            b"\x02\xff\xff\xff\xff" + bytes(100),
        )
    ],
}


async def subscribe(port: int) -> None:
    """Subscribe, wait for the end, and print how much memory it took, and what was said."""
    parameters = SubscriberParameters(
        host="127.0.0.1", port=port, filter_expression=ALL, silence_s=3
    )
    subscriber = Subscriber(parameters, on_measurements=lambda _: None)
    before = forget_peak_mb("self")
    said = "ended"
    try:
        await subscriber.run()
    except (SttpError, OSError) as err:
        said = str(err) or type(err).__name__
    print(f"{memory_mb('self') - before:.1f} | {said}", flush=True)


async def meet(name: str) -> bool:
    """Have our subscriber meet an evil publisher, print a row, and tell whether it was well."""
    data = EVIL_PUBLISHERS[name]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(response(ServerResponse.SUCCEEDED, ServerCommand.DEFINE_OPERATIONAL_MODES))
            writer.writelines(data)
            await reader.read(-1)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, part("--subscribe", str(server.sockets[0].getsockname()[1])) as process:
        result = await line(process)
    print(f"| {name} | {result} |", flush=True)
    return float(result.split()[0]) < 2 * GOAL_MB


async def run(seconds: float) -> bool:
    """Measure all, and print two tables."""
    print("| attack | values/s before | during | lost | longest gap, ms | memory, MB |")
    print("|---|---|---|---|---|---|")
    passed = [await measure(name, seconds) for name in (*ATTACKS, "1,000 connections")]
    passed += [await measure(name, seconds, dialled=True) for name in ATTACKS]
    print("\n| evil publisher | memory, MB | what our subscriber says |\n|---|---|---|")
    passed += [await meet(name) for name in EVIL_PUBLISHERS]
    print(
        f"\nsttp_hostile: {RATE:,} values/s kept to {GOAL_RATE:.0%} and none lost, publisher grows"
        f" by less than {GOAL_MB} MB, subscriber by less than {2 * GOAL_MB}:"
        f" {'passed' if all(passed) else 'FAILED'}"
    )
    return all(passed)


def main() -> None:
    """Run the benchmark, or the part of it that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--publish", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--dial", nargs="*", type=int, default=(), help=argparse.SUPPRESS)
    parser.add_argument("--ambush", help=argparse.SUPPRESS)
    parser.add_argument("--attack", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--subscribe", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    task: Callable[[], Awaitable[object]]
    if given.publish:
        task = partial(publish, given.dial)
    elif given.ambush is not None:
        task = partial(ambush, given.ambush)
    elif given.attack:
        task = partial(attack, given.attack[0], int(given.attack[1]))
    elif given.subscribe:
        task = partial(subscribe, given.subscribe)
    else:
        task = partial(run, given.seconds)

    async def run_task() -> object:
        return await task()

    if asyncio.run(run_task()) is False:
        sys.exit(1)


if __name__ == "__main__":
    main()
