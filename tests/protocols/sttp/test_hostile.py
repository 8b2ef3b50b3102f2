"""Whatever a peer sends, a healthy subscriber keeps its rate and the memory its size."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
import random
import struct
import time

import pytest

from custom_components.grid_telemetry.protocols.sttp import frames
from custom_components.grid_telemetry.protocols.sttp.constants import ServerCommand, ServerResponse
from custom_components.grid_telemetry.protocols.sttp.publisher import Limits, Publisher

from .conftest import Serve, Wire
from .samples import ALL, NOON, bits, frame, metadata
from .wire import WireSubscriber

SIGNALS = 100
RATE_HZ = 50
LIMITS = Limits(handshake_s=0.3, frame_s=0.3, buffer_bytes=500_000)
MODES = frames.OperationalModes()


class Healthy:
    """A subscriber at a steady rate, and whether it gets every frame in time."""

    def __init__(self, publisher: Publisher, subscriber: WireSubscriber) -> None:
        self.publisher, self.subscriber = publisher, subscriber
        self.sent = self.received = 0
        self.blocked_s = 0.0
        """How much processor time others took between two frames, at the most."""
        self._tasks = [asyncio.create_task(self._publish()), asyncio.create_task(self._receive())]

    async def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            due = begun + self.sent / RATE_HZ
            # Not by the clock on the wall: a machine that has other things to do is late by that.
            used_s = time.thread_time()
            await asyncio.sleep(max(0.0, due - loop.time()))
            self.blocked_s = max(self.blocked_s, time.thread_time() - used_s)
            self.publisher.publish(frame(SIGNALS, self.sent))
            self.publisher.flush()
            self.sent += 1

    async def _receive(self) -> None:
        while True:
            _, samples = await self.subscriber.packet()
            assert samples == [
                (index, NOON, 0, bits(self.received + index + 1.0)) for index in range(SIGNALS)
            ]
            self.received += 1

    async def kept_its_rate(self, frames_more: int = 10) -> None:
        """See that frames go on coming, each one of them, and that nobody held them up."""
        target = self.sent + frames_more
        async with asyncio.timeout(10):
            while self.received < target:
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.01)
        assert self.publisher.health.dropped == 0
        assert self.blocked_s < 0.5

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def healthy(serve: Serve, wire: Wire) -> AsyncGenerator[Healthy]:
    """A publisher at work for a subscriber."""
    publisher = await serve(limits=LIMITS)
    publisher.define_metadata(metadata(SIGNALS))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    it = Healthy(publisher, subscriber)
    await it.kept_its_rate(2)
    yield it
    await it.stop()


def memory_kb() -> int:
    """Return the resident memory of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


async def send(publisher: Publisher, data: bytes) -> bytes:
    """Send bytes on a new connection; return what comes until the publisher ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", publisher.port)
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


HELLO = frames.command(ServerCommand.DEFINE_OPERATIONAL_MODES, MODES.encode())


@pytest.mark.parametrize(
    "data",
    [
        random.Random(1).randbytes(64),
        random.Random(2).randbytes(100_000),
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        bytes.fromhex("16030100c8010000c40303") + bytes(190),
        b"\xff\xff\xff\xff",
        b"\0\0\x20\x06" + bytes(8_198),
        bytes(100_000),
        HELLO + b"\xff\xff\xff\xff",
        HELLO + b"\0\x10\0\x01",
        HELLO + random.Random(3).randbytes(100_000),
        HELLO + bytes(4),
        frames.command(ServerCommand.DEFINE_OPERATIONAL_MODES, b"\0"),
        frames.command(ServerCommand.SUBSCRIBE),
    ],
    ids=[
        "random",
        "much random",
        "http",
        "tls",
        "4 GB",
        "8 KB first",
        "zeros",
        "hello, 4 GB",
        "hello, over 1 MB",
        "hello, random",
        "hello, nothing",
        "short modes",
        "subscribe first",
    ],
)
async def test_what_is_no_sttp_is_sent_away(healthy: Healthy, data: bytes) -> None:
    publisher = healthy.publisher
    await asyncio.gather(*(send(publisher, data) for _ in range(3)))
    assert publisher.health.refused >= 3
    await healthy.kept_its_rate()


async def test_every_command_code_is_answered_or_passed_over(healthy: Healthy, wire: Wire) -> None:
    chance = random.Random(4)
    subscriber = await wire(healthy.publisher)
    for code in range(256):
        for size in (0, 1, 4, 60):
            subscriber.send(code, chance.randbytes(size))
        subscriber.send(ServerCommand.UPDATE_PROCESSING_INTERVAL, struct.pack(">i", code))
        text = f"{code} ms".encode()
        answer = await subscriber.next()
        while answer.command != ServerCommand.UPDATE_PROCESSING_INTERVAL or text not in answer.data:
            answer = await subscriber.next()
    await healthy.kept_its_rate()


async def test_a_flood_of_commands_is_worked_off_between_other_things(
    healthy: Healthy, wire: Wire, stalls: list[float]
) -> None:
    subscriber = await wire(healthy.publisher)
    stalls.clear()
    subscriber.writer.write(frames.command(0xD0, b"") * 20_000)
    await healthy.kept_its_rate(30)
    assert max(stalls) < 0.5


async def test_1000_connections_are_kept_in_bounds(healthy: Healthy) -> None:
    # To trace every callback would take most of the time.
    asyncio.get_running_loop().set_debug(False)
    publisher = healthy.publisher
    before = memory_kb()
    writers = []
    for _ in range(1_000):
        _, writer = await asyncio.open_connection("127.0.0.1", publisher.port)
        writers.append(writer)
    assert len(publisher._connections) <= LIMITS.connections_per_address
    await healthy.kept_its_rate()
    for writer in writers:
        writer.transport.abort()
    assert publisher.health.refused >= 1_000 - 2 * LIMITS.connections_per_address
    assert memory_kb() - before < 50_000


async def test_half_open_handshakes_end(healthy: Healthy, wire: Wire) -> None:
    publisher = healthy.publisher
    pieces = [b"", HELLO[:2], HELLO[:4], HELLO[:-1]]
    for _ in range(5):
        assert await asyncio.gather(*(send(publisher, piece) for piece in pieces)) == [b""] * 4
    await healthy.kept_its_rate()
    await wire(publisher)


async def test_promises_that_are_not_kept_end(healthy: Healthy) -> None:
    promise = HELLO + struct.pack(">I", 1_000_000) + b"\x02" + bytes(500_000)
    answers = await asyncio.gather(*(send(healthy.publisher, promise) for _ in range(5)))
    assert all(answer[4] == ServerResponse.SUCCEEDED for answer in answers)
    await healthy.kept_its_rate()


def evil_filters() -> dict[str, str]:
    """Return filter expressions built to run long."""
    return {
        "regex": "RegExMatch('^(a+)+$', '" + "a" * 40 + "b')",
        "terms": " OR ".join(["PointTag LIKE '%zz%'"] * 127),
        "nested": "(" * 100_000,
        "names": "a;" * 120_000,
        "not": "NOT " * 60_000 + "True",
        "quotes": "'" * 250_000,
        "list": "ID IN (" + "'a'," * 60_000 + "'b')",
        "statements": ";".join(["FILTER ActiveMeasurements WHERE ID LIKE '%x%'"] * 16),
        "braces": "{" * 14_000 + "}" * 14_000,
    }


@pytest.mark.parametrize("name", list(evil_filters()))
async def test_filters_built_to_run_long_take_their_turn(
    healthy: Healthy, wire: Wire, name: str, stalls: list[float]
) -> None:
    expression = evil_filters()[name]
    subscribers = [await wire(healthy.publisher) for _ in range(4)]
    stalls.clear()
    for subscriber in subscribers:
        for _ in range(3):
            subscriber.subscribe(expression)
    await healthy.kept_its_rate(20)
    assert max(stalls) < 0.5


async def test_subscribing_again_and_again_disturbs_nobody(healthy: Healthy, wire: Wire) -> None:
    async def flap() -> None:
        subscriber = await wire(healthy.publisher)
        while True:
            await subscriber.subscribed("HA:1")

    flapping = [asyncio.create_task(flap()) for _ in range(4)]
    await healthy.kept_its_rate(30)
    for task in flapping:
        task.cancel()
    await asyncio.gather(*flapping, return_exceptions=True)


async def test_whoever_asks_for_metadata_and_does_not_read_costs_no_memory(
    healthy: Healthy, wire: Wire
) -> None:
    publisher = healthy.publisher
    publisher.define_metadata(metadata(2_000))
    publisher.define_metadata(metadata(SIGNALS))
    subscriber = await wire(publisher, compress_metadata=False)
    subscriber.writer.transport.pause_reading()
    before = memory_kb()
    # Answers of 50 KB each.
    subscriber.writer.write(frames.command(ServerCommand.METADATA_REFRESH) * 2_000)
    await healthy.kept_its_rate(30)
    assert memory_kb() - before < 60_000


async def test_metadata_filters_take_their_turn(healthy: Healthy, wire: Wire) -> None:
    subscribers = [await wire(healthy.publisher) for _ in range(4)]
    text = ("FILTER MeasurementDetail WHERE " + " OR ".join(["ID LIKE '%1%'"] * 120)).encode()
    for subscriber in subscribers:
        for _ in range(3):
            subscriber.send(ServerCommand.METADATA_REFRESH, struct.pack(">I", len(text)) + text)
    await healthy.kept_its_rate(20)
    for subscriber in subscribers:
        await subscriber.expect(ServerResponse.SUCCEEDED)


async def come_and_go(publisher: Publisher) -> None:
    """Connect and leave in the middle of things."""
    chance = random.Random(6)
    for _ in range(100):
        _, writer = await asyncio.open_connection("127.0.0.1", publisher.port)
        with suppress(ConnectionError):
            writer.write(HELLO + frames.command(ServerCommand.METADATA_REFRESH))
            subscription = frames.subscribe_data({"filterExpression": ALL}, "utf-8")
            writer.write(frames.command(ServerCommand.SUBSCRIBE, subscription))
            await asyncio.sleep(chance.random() / 100)
        writer.transport.abort()


async def test_whoever_comes_and_goes_leaves_nothing_behind(healthy: Healthy) -> None:
    await come_and_go(healthy.publisher)
    await healthy.kept_its_rate()
    async with asyncio.timeout(10):
        while len(healthy.publisher.subscribers()) > 1:
            await asyncio.sleep(0.01)
    assert len(healthy.publisher._streams._streams) == 1
    assert len(healthy.publisher._connections) == 1
