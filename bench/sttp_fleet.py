"""Many STTP publishers that dial out to one subscriber, as sites do to an openPDC or a SIEGate.

    python -m bench.sttp_fleet [--publishers 200] [--seconds 60]

Each publisher is ours, sends 172 signals once a second in TSSC, all of them at the same instants,
and repeats every value as a link does. They share a process; the subscriber, in another one, takes
who dials, subscribes to everything, reads every packet to the last bit and notes how old each new
value is. Then it is killed for as long as it takes that all know, and returns; the waits of the
publishers are those that an outage of an hour has brought them to. What is measured is how they
come back. Nothing of the outage comes: STTP is live.
"""

import argparse
import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
import json
import struct
import sys
import time
from typing import Any, Final

from bench.fleet import usage_of
from bench.sttp import offered
from custom_components.grid_telemetry.protocols.sttp.constants import (
    DataPacketFlags,
    ServerCommand,
    ServerResponse,
)
from custom_components.grid_telemetry.protocols.sttp.frames import (
    OperationalModes,
    command,
    subscribe_data,
)
from custom_components.grid_telemetry.protocols.sttp.measurement import Measurement
from custom_components.grid_telemetry.protocols.sttp.publisher import Limits, Publisher
from custom_components.grid_telemetry.protocols.sttp.publisher.dialing import Dialing, Target
from custom_components.grid_telemetry.protocols.sttp.ticks import PER_SECOND, UNIX_EPOCH
from custom_components.grid_telemetry.protocols.sttp.tssc import TsscDecoder
from simulators.programs import free_port, until

SIGNALS: Final = 172
DOWN_S: Final = 30.0
# All that a wait between two attempts has grown to after minutes.
LONGEST_WAIT_S: Final = 300.0
BACK_WITHIN_S: Final = 330.0
_LENGTH: Final = struct.Struct(">I")
_PACKET: Final = struct.Struct(">BI")


def now_ticks() -> int:
    """Return the time in ticks."""
    return UNIX_EPOCH + int(time.time() * PER_SECOND)


async def publish(port: int, publishers: int) -> None:
    """Publish for ever; each value is the number of its second."""
    metadata = offered(SIGNALS)
    ids = [signal.signal_id for signal in metadata.measurements]
    # The first attempt is at once; all others come as late as after an hour.
    dialing = Dialing(
        targets=[Target(host="127.0.0.1", port=port)],
        first_wait_s=LONGEST_WAIT_S,
        longest_wait_s=LONGEST_WAIT_S,
    )
    all_of_them = []
    for _ in range(publishers):
        publisher = Publisher(port=0, limits=Limits(), dialing=dialing)
        publisher.define_metadata(metadata)
        await publisher.start()
        all_of_them.append(publisher)
    at = int(time.time())
    while True:
        at += 1
        await asyncio.sleep(at - time.time())
        ticks = UNIX_EPOCH + at * PER_SECOND
        values = [Measurement(signal_id, float(at % 10_000), ticks) for signal_id in ids]
        for publisher in all_of_them:
            publisher.publish(values)


class Concentrator:
    """Takes the publishers that dial, and knows what came of whom."""

    def __init__(self) -> None:
        """Begin with none."""
        self.ages_s: list[float] = []
        self.values = self.bytes = self.repeated = self.missing = 0
        self.connected_at: list[float] = []

    def told(self) -> dict[str, Any]:
        """Return what came since it was told last, and when each connected."""
        ages = sorted(self.ages_s)
        result = {
            "values": self.values,
            "repeated": self.repeated,
            "missing": self.missing,
            "bytes": self.bytes,
            "connected_at": self.connected_at,
            "p50_s": ages[len(ages) // 2] if ages else None,
            "p99_s": ages[int(len(ages) * 0.99)] if ages else None,
        }
        self.ages_s, self.values, self.repeated, self.missing, self.bytes = [], 0, 0, 0, 0
        return result

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Subscribe to everything that a publisher has, and read it."""
        modes = OperationalModes(tssc=True)
        writer.write(
            command(ServerCommand.DEFINE_OPERATIONAL_MODES, modes.encode())
            + command(
                ServerCommand.SUBSCRIBE,
                subscribe_data(
                    {"filterExpression": "FILTER ActiveMeasurements WHERE True"}, modes.encoding
                ),
            )
        )
        decoder, last = TsscDecoder(), 0
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                (length,) = _LENGTH.unpack(await reader.readexactly(4))
                frame = await reader.readexactly(length)
                self.bytes += length + 4
                match frame[0]:
                    case ServerResponse.UPDATE_SIGNAL_INDEX_CACHE:
                        writer.write(command(ServerCommand.CONFIRM_UPDATE_SIGNAL_INDEX_CACHE))
                    case ServerResponse.DATA_PACKET:
                        last = self._take(frame, decoder, last)
                    case ServerResponse.FAILED:
                        raise SystemExit(f"Refused: {frame!r}")
                    case _:
                        pass  # metadata and the like
        writer.transport.abort()

    def _take(self, frame: bytes, decoder: TsscDecoder, last: int) -> int:
        """Read a packet, and return the newest time of its values."""
        flags, count = _PACKET.unpack_from(frame, 6)
        assert flags & DataPacketFlags.COMPRESSED
        samples = decoder.decode(frame[11:], count)
        newest = max(ticks for _, ticks, _, _ in samples)
        if newest <= last:
            self.repeated += count
            return last
        if not last:
            self.connected_at.append(time.time())
        else:
            self.missing += SIGNALS * ((newest - last) // PER_SECOND - 1)
        self.values += sum(ticks == newest for _, ticks, _, _ in samples)
        self.ages_s.append((now_ticks() - newest) / PER_SECOND)
        return newest


async def subscribe(port: int) -> None:
    """Take publishers for ever, and tell at each line of standard input what came."""
    concentrator = Concentrator()
    server = await asyncio.start_server(concentrator.serve, "127.0.0.1", port, backlog=1024)
    print("listens", flush=True)
    loop = asyncio.get_running_loop()
    async with server:
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(concentrator.told()), flush=True)


@asynccontextmanager
async def part(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a part of the benchmark in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.sttp_fleet", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ask(subscriber: asyncio.subprocess.Process) -> dict[str, Any]:
    """Return what came at the subscriber since it was asked last."""
    assert subscriber.stdin is not None
    assert subscriber.stdout is not None
    subscriber.stdin.write(b"\n")
    result: dict[str, Any] = json.loads(await subscriber.stdout.readline())
    return result


async def measure(
    publishers: asyncio.subprocess.Process,
    subscriber: asyncio.subprocess.Process,
    count: int,
    seconds: float,
) -> str:
    """Let them send for a while, and return how it went."""
    await ask(subscriber)
    ours, theirs = usage_of([publishers.pid]), usage_of([subscriber.pid])
    await asyncio.sleep(seconds)
    told = await ask(subscriber)
    ours2, theirs2 = usage_of([publishers.pid]), usage_of([subscriber.pid])
    share = 100 / seconds
    return (
        f"{told['values'] / seconds:.0f} new values/s, {told['missing']} missing; age on arrival"
        f" p50 {told['p50_s'] * 1000:.0f} ms, p99 {told['p99_s'] * 1000:.0f} ms;"
        f" {told['bytes'] / seconds / count:.0f} bytes/s each;"
        f" processor {share * (ours2.cpu_s - ours.cpu_s) / count:.3f} % of a core a publisher,"
        f" {share * (theirs2.cpu_s - theirs.cpu_s):.0f} % the subscriber for all;"
        f" memory {ours2.rss_mib:.0f} MiB all publishers, {theirs2.rss_mib:.0f} MiB the subscriber"
    )


async def run(count: int, seconds: float) -> bool:
    """Measure, print, and say whether all came back in time and nothing was missing."""
    port = free_port()

    async def all_there(subscriber: asyncio.subprocess.Process, within_s: float) -> list[float]:
        async def complete() -> list[float] | None:
            at: list[float] = (await ask(subscriber))["connected_at"]
            return at if len(at) >= count else None

        return await until(complete, within_s, "all publishers")

    async with AsyncExitStack() as stack:
        first = AsyncExitStack()
        subscriber = await first.enter_async_context(part("--subscribe", str(port)))
        assert subscriber.stdout is not None
        await subscriber.stdout.readline()
        publishers = await stack.enter_async_context(
            part("--publish", str(port), "--publishers", str(count))
        )
        async with first:
            await all_there(subscriber, 60)
            steady = await measure(publishers, subscriber, count, seconds)
            print(f"sttp_fleet: {count} publishers, steady: {steady}", flush=True)
        await asyncio.sleep(DOWN_S)
        async with part("--subscribe", str(port)) as subscriber:
            assert subscriber.stdout is not None
            await subscriber.stdout.readline()
            up = time.time()
            back = await all_there(subscriber, BACK_WITHIN_S)
            per_s = Counter(int(at - up) for at in back)
            print(
                f"sttp_fleet: {count} publishers, subscriber returns: all back within"
                f" {max(back) - up:.0f} s (goal {BACK_WITHIN_S:.0f}), the first after"
                f" {min(back) - up:.0f} s, at most {max(per_s.values())} in one second",
                flush=True,
            )
            after = await measure(publishers, subscriber, count, seconds)
            print(f"sttp_fleet: {count} publishers, afterwards: {after}", flush=True)
    return ", 0 missing" in steady and ", 0 missing" in after


def main() -> None:
    """Run the benchmark, or the part of it that the arguments name."""
    parser = argparse.ArgumentParser(description="STTP publishers that dial one subscriber")
    parser.add_argument("--publishers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--publish", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--subscribe", type=int, help=argparse.SUPPRESS)
    given, _ = parser.parse_known_args()
    if given.publish:
        asyncio.run(publish(given.publish, given.publishers))
    elif given.subscribe:
        asyncio.run(subscribe(given.subscribe))
    else:
        sys.exit(not asyncio.run(run(given.publishers, given.seconds)))


if __name__ == "__main__":
    main()
