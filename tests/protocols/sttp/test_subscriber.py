"""The subscriber, with our publisher and with one that says what the test wants."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
import gzip
import struct
import threading
from typing import Any
from uuid import uuid4

import pytest

from custom_components.grid_telemetry.protocols.sttp import compact, frames
from custom_components.grid_telemetry.protocols.sttp.cache import SignalIndexCache, SignalKey
from custom_components.grid_telemetry.protocols.sttp.compact import BaseTimes
from custom_components.grid_telemetry.protocols.sttp.constants import (
    ServerCommand,
    ServerResponse,
    StateFlags,
)
from custom_components.grid_telemetry.protocols.sttp.frames import (
    OperationalModes,
    SttpError,
    response,
)
from custom_components.grid_telemetry.protocols.sttp.measurement import Measurement
from custom_components.grid_telemetry.protocols.sttp.metadata import Metadata
from custom_components.grid_telemetry.protocols.sttp.publisher import Publisher
from custom_components.grid_telemetry.protocols.sttp.subscriber import (
    SttpRefusedError,
    Subscriber,
    SubscriberParameters,
)
from custom_components.grid_telemetry.protocols.sttp.tssc import TsscEncoder

from .conftest import Serve
from .samples import ALL, NOON, bits, frame, frames_of, measurement, metadata, signal_id

TIMEOUT_S = 10.0


class Running:
    """A subscriber at work, and what it received."""

    def __init__(self, port: int, **parameters: Any) -> None:
        self.measurements: list[Measurement] = []
        self.metadata: list[Metadata] = []
        self.signals: list[list[str]] = []
        self._changed = asyncio.Event()
        self.subscriber = Subscriber(
            SubscriberParameters(
                **{"host": "127.0.0.1", "port": port, "filter_expression": ALL, **parameters}
            ),
            on_measurements=lambda items: self._take(self.measurements.extend, items),
            on_metadata=lambda item: self._take(self.metadata.append, item),
            on_signals=lambda cache: self._take(
                self.signals.append, [f"{key.source}:{key.id}" for key in cache.values()]
            ),
        )
        self.task = asyncio.create_task(self.subscriber.run())

    def _take(self, take: Callable[[Any], None], item: Any) -> None:
        take(item)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                self._changed.clear()
                if self.task.done():
                    self.task.result()
                await self._changed.wait()

    async def ended(self) -> BaseException:
        async with asyncio.timeout(TIMEOUT_S):
            with pytest.raises(Exception) as caught:  # noqa: PT011
                await self.task
        return caught.value

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError, SttpError, OSError):
            await self.task


class Script:
    """A publisher that answers the handshake; the rest is the test's."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.modes = OperationalModes()

    def close(self) -> None:
        self.writer.transport.abort()

    async def command(self) -> tuple[int, bytes]:
        async with asyncio.timeout(TIMEOUT_S):
            payload = await frames.read_frame(self.reader, 1_000_000)
        return payload[0], payload[1:]

    async def expect(self, code: int) -> bytes:
        received, data = await self.command()
        assert received == code
        return data

    def send(self, code: int, data: bytes = b"", command: int = ServerCommand.SUBSCRIBE) -> None:
        self.writer.write(response(code, command, data))

    async def greet(self) -> None:
        """Take the modes and the question for metadata; there is none."""
        self.modes = OperationalModes.decode(
            await self.expect(ServerCommand.DEFINE_OPERATIONAL_MODES)
        )
        self.send(ServerResponse.SUCCEEDED, b"welcome", ServerCommand.DEFINE_OPERATIONAL_MODES)
        await self.expect(ServerCommand.METADATA_REFRESH)
        self.send(ServerResponse.SUCCEEDED, b"", ServerCommand.METADATA_REFRESH)
        await self.expect(ServerCommand.SUBSCRIBE)

    def cache(self, *numbers: int) -> bytes:
        cache = SignalIndexCache(
            subscriber_id=uuid4(),
            signals={
                number: SignalKey(signal_id=signal_id(number), source="HA", id=number)
                for number in numbers
            },
        )
        return cache.encode(self.modes, 0)

    async def offer(self, *numbers: int) -> None:
        """Send a signal index cache."""
        self.send(ServerResponse.UPDATE_SIGNAL_INDEX_CACHE, self.cache(*numbers))
        await self.expect(ServerCommand.CONFIRM_UPDATE_SIGNAL_INDEX_CACHE)

    def data(self, flags: int, block: bytes, count: int) -> None:
        self.send(ServerResponse.DATA_PACKET, struct.pack(">BI", flags, count) + block)


@pytest.fixture
async def scripted(stack: AsyncExitStack) -> AsyncGenerator[Callable[..., Any]]:
    """Start a subscriber that is connected to a scripted publisher."""
    arrived: asyncio.Queue[Script] = asyncio.Queue()
    server = await asyncio.start_server(
        lambda reader, writer: arrived.put_nowait(Script(reader, writer)), "127.0.0.1", 0
    )

    async def start(**parameters: Any) -> tuple[Running, Script]:
        running = Running(server.sockets[0].getsockname()[1], **parameters)
        stack.push_async_callback(running.stop)
        async with asyncio.timeout(TIMEOUT_S):
            script = await arrived.get()
        stack.callback(script.close)
        return running, script

    yield start
    server.close()


@pytest.fixture
def subscribe(stack: AsyncExitStack) -> Callable[..., Running]:
    """Start a subscriber to a publisher."""

    def start(publisher: Publisher, **parameters: Any) -> Running:
        running = Running(publisher.port, **parameters)
        stack.push_async_callback(running.stop)
        return running

    return start


async def flow(publisher: Publisher, running: Running, expected: list[Measurement]) -> None:
    """Publish once the publisher is ready, and see it arrive."""
    async with asyncio.timeout(TIMEOUT_S):
        while not any(info.signals for info in publisher.subscribers()):
            await asyncio.sleep(0)
    publisher.publish(expected)
    await running.until(lambda: running.measurements[-len(expected) :] == expected)


@pytest.mark.parametrize("tssc", [True, False])
async def test_measurements_arrive(
    serve: Serve, subscribe: Callable[..., Running], tssc: bool
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    running = subscribe(publisher, tssc=tssc)
    flags = 0 if tssc else StateFlags.NORMAL
    await flow(publisher, running, [measurement(n, n / 2, NOON + n, flags) for n in (1, 2, 3)])
    await flow(publisher, running, frame(3, 100, NOON + 10))
    assert running.metadata == [metadata(3)]
    assert running.signals == [["HA:1", "HA:2", "HA:3"]]
    assert running.subscriber.measurements == len(running.measurements) == 6
    assert running.subscriber.bytes > 1_000
    assert publisher.subscribers()[0].form == f"{'TSSC' if tssc else 'compact'} over TCP"


async def test_measurements_arrive_by_datagrams(
    serve: Serve, subscribe: Callable[..., Running]
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(300))
    running = subscribe(publisher, udp=True)
    await flow(publisher, running, frame(300))
    assert publisher.subscribers()[0].form == "compact over UDP"
    # The data channel stays where it is when the subscription is made anew.
    publisher.define_metadata(metadata(300))
    await running.until(lambda: len(running.signals) >= 2)
    await flow(publisher, running, frame(300))


async def test_only_the_latest_values_are_asked_for(
    serve: Serve, subscribe: Callable[..., Running]
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(1))
    running = subscribe(publisher, interval_s=0.05)
    async with asyncio.timeout(TIMEOUT_S):
        while not any(info.signals for info in publisher.subscribers()):
            await asyncio.sleep(0)
    for value in range(20):
        publisher.publish([measurement(1, value)])
        publisher.flush()
    await running.until(lambda: bool(running.measurements))
    assert running.measurements[0] == measurement(1, 19)


async def test_a_change_of_the_configuration_is_followed(
    serve: Serve, subscribe: Callable[..., Running]
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    running = subscribe(publisher)
    await flow(publisher, running, frame(2))
    publisher.define_metadata(metadata(3))
    await running.until(lambda: len(running.metadata) == 2)
    await running.until(lambda: len(running.signals) >= 2)
    assert running.metadata[1] == metadata(3)
    async with asyncio.timeout(TIMEOUT_S):
        while publisher.subscribers()[0].signals < 3:
            await asyncio.sleep(0)
    await flow(publisher, running, frame(3, 50))


async def test_metadata_can_be_asked_for_again(
    serve: Serve, subscribe: Callable[..., Running]
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    running = subscribe(publisher)
    await flow(publisher, running, frame(2))
    running.subscriber.refresh_metadata()
    await running.until(lambda: len(running.metadata) == 2)
    await running.until(lambda: len(running.signals) == 2)


async def test_it_can_run_again(serve: Serve) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    running = Running(publisher.port)
    await flow(publisher, running, frame(2))
    publisher.disconnect(publisher.subscribers()[0].id)
    assert isinstance(await running.ended(), ConnectionError)
    running.subscriber.refresh_metadata()
    running.task = asyncio.create_task(running.subscriber.run())
    async with asyncio.timeout(TIMEOUT_S):
        while not publisher.subscribers():
            await asyncio.sleep(0)
    await flow(publisher, running, frame(2, 5))
    await running.stop()


async def test_a_refusal_is_told(serve: Serve, subscribe: Callable[..., Running]) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(1))
    error = await subscribe(publisher, filter_expression="Foo = 1").ended()
    assert isinstance(error, SttpRefusedError)
    assert str(error) == "Not a column: 'Foo'"


async def test_nobody_there_is_an_error(serve: Serve, subscribe: Callable[..., Running]) -> None:
    publisher = await serve()
    running = subscribe(publisher)
    await running.until(lambda: bool(running.metadata))
    await publisher.stop()
    assert isinstance(await running.ended(), ConnectionError)
    assert isinstance(await subscribe(publisher).ended(), OSError)


async def test_silence_is_an_error(scripted: Callable[..., Any]) -> None:
    running, _ = await scripted(silence_s=0.05)
    assert isinstance(await running.ended(), TimeoutError)


async def test_the_time_that_metadata_takes_to_be_read_is_no_silence(
    scripted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large publisher they take seconds."""
    loop = asyncio.get_running_loop()
    time = loop.time

    def read(data: bytes, compressed: bool) -> Metadata:
        waited_for = threading.Event()
        loop.call_soon_threadsafe(waited_for.set)
        waited_for.wait()
        monkeypatch.setattr(loop, "time", lambda: time() + 5)
        return Metadata()

    monkeypatch.setattr(f"{Subscriber.__module__}._read_metadata", read)
    running, script = await scripted(silence_s=3)
    await script.greet()
    await script.offer(1)
    script.data(0x02, *compact.encode(frames_of([(1, NOON, 0, bits(1.0))]))[0])
    await running.until(lambda: bool(running.measurements))


async def test_a_publisher_without_metadata_will_do(scripted: Callable[..., Any]) -> None:
    running, script = await scripted()
    await script.greet()
    assert running.metadata == [Metadata()]


async def test_a_publisher_that_keeps_its_metadata_will_do(scripted: Callable[..., Any]) -> None:
    running, script = await scripted()
    await script.expect(ServerCommand.DEFINE_OPERATIONAL_MODES)
    await script.expect(ServerCommand.METADATA_REFRESH)
    script.send(ServerResponse.FAILED, b"not for you", ServerCommand.METADATA_REFRESH)
    data = await script.expect(ServerCommand.SUBSCRIBE)
    asked = frames.subscribe_settings(data, "utf-8")
    assert asked["filterexpression"] == ALL
    assert asked["includetime"] == "True"
    assert not running.metadata


async def test_modes_that_are_refused_end_it(scripted: Callable[..., Any]) -> None:
    running, script = await scripted()
    script.send(ServerResponse.FAILED, b"", ServerCommand.DEFINE_OPERATIONAL_MODES)
    assert str(await running.ended()) == "The publisher refused command 6"


async def test_what_a_subscriber_has_no_use_for_is_passed_over(
    scripted: Callable[..., Any],
) -> None:
    running, script = await scripted()
    await script.greet()
    await script.offer(1)
    for code in (
        ServerResponse.NOOP,
        ServerResponse.DATA_START_TIME,
        ServerResponse.PROCESSING_COMPLETE,
        ServerResponse.UPDATE_CIPHER_KEYS,
        0xE0,
    ):
        script.send(code, b"whatever")
    script.send(ServerResponse.BUFFER_BLOCK, b"\0\0\0\x07\x01\0\0\0\0block")
    assert await script.expect(ServerCommand.CONFIRM_BUFFER_BLOCK) == b"\0\0\0\x07"
    script.data(0x02, *compact.encode(frames_of([(1, NOON, 0, bits(1.0)), (99, NOON, 0, 0)]))[0])
    await running.until(lambda: bool(running.measurements))
    # A signal that the cache does not have is left out.
    assert running.measurements == [measurement(1, 1.0)]


async def test_base_times_are_used_and_not_answered(scripted: Callable[..., Any]) -> None:
    running, script = await scripted()
    await script.greet()
    await script.offer(1)
    base = BaseTimes(index=1, offsets=(NOON - 50, NOON - 100))
    script.send(ServerResponse.UPDATE_BASE_TIMES, base.encode())
    # To a C# publisher the answer would be another command, which it says FAILED to.
    script.send(ServerResponse.FAILED, b"Data packet command failed due to exception", 0x09)
    script.data(0x02, *compact.encode(frames_of([(1, NOON, 0, bits(1.0))]), base_times=base)[0])
    await running.until(lambda: bool(running.measurements))
    assert running.measurements == [measurement(1, 1.0)]
    running.subscriber.refresh_metadata()
    await script.expect(ServerCommand.METADATA_REFRESH)


async def test_a_notification_is_confirmed(scripted: Callable[..., Any]) -> None:
    _, script = await scripted()
    await script.greet()
    # Number and text, as a C# publisher sends them until they are confirmed.
    script.send(ServerResponse.NOTIFY, b"\xc0\xff\xee\x01Maintenance at noon")
    assert await script.expect(ServerCommand.CONFIRM_NOTIFICATION) == b"\xc0\xff\xee\x01"


@pytest.mark.parametrize(
    ("asked", "modes"),
    [
        ({}, 0xE600_0262),
        ({"external_metadata": False}, 0xE400_0262),
        ({"internal_metadata": False}, 0xE200_0262),
    ],
)
async def test_metadata_is_asked_for_by_its_origin(
    scripted: Callable[..., Any], asked: dict[str, bool], modes: int
) -> None:
    _, script = await scripted(**asked)
    assert await script.expect(ServerCommand.DEFINE_OPERATIONAL_MODES) == modes.to_bytes(4)


async def test_a_cache_that_changes_under_a_running_tssc_stream_is_followed(
    scripted: Callable[..., Any],
) -> None:
    """The reference's publisher sends another cache with the same index and goes on counting."""
    running, script = await scripted()
    await script.greet()
    encoder = TsscEncoder()
    await script.offer(1, 2)
    for number in (1, 2):
        script.data(0x08, *next(encoder.encode(frames_of([(number, NOON, 0, bits(number))]))))
    await script.offer(2, 3)
    for number in (2, 3):
        script.data(0x08, *next(encoder.encode(frames_of([(number, NOON, 0, bits(number))]))))
    await running.until(lambda: len(running.measurements) == 4)
    assert running.measurements == [measurement(number, number) for number in (1, 2, 2, 3)]


async def test_datagrams_of_others_and_garbage_are_passed_over(
    serve: Serve, subscribe: Callable[..., Running]
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(1))
    running = subscribe(publisher, udp=True)
    await flow(publisher, running, frame(1))
    port = running.subscriber._data_channel.get_extra_info("sockname")[1]
    loop = asyncio.get_running_loop()
    for data in (
        b"",
        b"garbage",
        bytes((ServerResponse.DATA_PACKET,)),
        b"\x82\x02\0\0\0\x05\x02\0\0\0\x09",
    ):
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port)
        )
        transport.sendto(data)
        transport.close()
    stranger = running.subscriber._data_channel.get_protocol()
    stranger.datagram_received(response(ServerResponse.DATA_PACKET, 2, b"")[4:], ("192.0.2.1", 1))
    await flow(publisher, running, frame(1, 3))


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (ServerResponse.DATA_PACKET, b""),
        (ServerResponse.DATA_PACKET, b"\x02\0\0\0\x01"),
        (ServerResponse.DATA_PACKET, b"\x02\xff\xff\xff\xff" + bytes(100)),
        (ServerResponse.DATA_PACKET, b"\x08\0\0\0\x01\x55\0\x09"),
        (ServerResponse.DATA_PACKET, b"\x08\xff\xff\xff\xff\x55\0\0" + bytes(100)),
        (ServerResponse.DATA_PACKET, b"\x02\0\0\0\0" + bytes(70_000)),
        (ServerResponse.UPDATE_BASE_TIMES, b"\0"),
        (ServerResponse.UPDATE_SIGNAL_INDEX_CACHE, b""),
        (ServerResponse.UPDATE_SIGNAL_INDEX_CACHE, b"\0garbage"),
        (ServerResponse.UPDATE_SIGNAL_INDEX_CACHE, b"\0" + gzip.compress(bytes(70_000_000))),
    ],
    ids=[
        "no packet",
        "no measurement",
        "compact count",
        "sequence",
        "count",
        "long",
        "base times",
        "no cache",
        "not gzip",
        "bomb",
    ],
)
async def test_what_is_broken_ends_it(scripted: Callable[..., Any], code: int, data: bytes) -> None:
    running, script = await scripted()
    await script.greet()
    script.send(code, data)
    assert isinstance(await running.ended(), SttpError)


@pytest.mark.parametrize(
    "document",
    [b"garbage", gzip.compress(b"<a>"), gzip.compress(bytes(70_000_000))],
    ids=["garbage", "xml", "bomb"],
)
async def test_broken_metadata_ends_it(scripted: Callable[..., Any], document: bytes) -> None:
    running, script = await scripted()
    script.send(ServerResponse.SUCCEEDED, document, ServerCommand.METADATA_REFRESH)
    assert isinstance(await running.ended(), SttpError)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xf0",
        b"\x01\0\0\x01",
        b"\0\0\0\0",
        b"\0\0\0\x03\x80\x02\0",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
    ids=["4 GB", "16 MB and one", "nothing", "short", "http"],
)
async def test_another_protocol_ends_it(scripted: Callable[..., Any], data: bytes) -> None:
    running, script = await scripted()
    script.writer.write(data)
    assert isinstance(await running.ended(), SttpError)


async def test_a_flood_of_small_frames_leaves_the_event_loop_alone(
    scripted: Callable[..., Any], stalls: list[float]
) -> None:
    running, script = await scripted()
    await script.greet()
    await script.offer(1)
    stalls.clear()
    script.writer.write(frames.NOOP * 5_000)
    script.data(0x02, *compact.encode(frames_of([(1, NOON, 0, bits(1.0))]))[0])
    await running.until(lambda: bool(running.measurements))
    assert max(stalls) < 0.5


async def test_parameters_are_plain_data() -> None:
    parameters = SubscriberParameters(host="a", filter_expression=ALL)
    assert replace(parameters, port=1).port == 1
    assert parameters.port == 7165


# --- user commands


async def test_a_user_command_is_answered(serve: Serve, subscribe: Callable[..., Running]) -> None:
    taken: list[tuple[int, bytes]] = []
    publisher = await serve(
        on_user_command=lambda sender, number, data: taken.append((number, data))
    )
    running = subscribe(publisher)
    await running.until(lambda: bool(running.metadata))
    answer = await running.subscriber.user_command(3, b"on", within_s=TIMEOUT_S)
    assert (answer, taken) == ("User command taken", [(3, b"on")])


async def test_a_user_command_may_be_refused_or_left_without_an_answer(
    scripted: Callable[..., Any],
) -> None:
    running, script = await scripted()
    await script.greet()
    command = asyncio.create_task(running.subscriber.user_command(15, b"x", within_s=TIMEOUT_S))
    assert await script.expect(0xDF) == b"x"
    script.send(ServerResponse.FAILED, b"not you", 0xDF)
    with pytest.raises(SttpRefusedError, match="not you"):
        await command
    assert await running.subscriber.user_command(0, b"", within_s=0) is None
    # An answer that comes later is for nobody.
    await script.expect(0xD0)
    script.send(ServerResponse.FAILED, b"too late", 0xD0)
    await script.offer(1)


async def test_a_user_command_needs_a_connection(scripted: Callable[..., Any]) -> None:
    running, script = await scripted()
    await script.greet()
    command = asyncio.create_task(running.subscriber.user_command(1, b"", within_s=TIMEOUT_S))
    await script.expect(0xD1)
    script.close()
    with pytest.raises(ConnectionResetError, match="ended before"):
        await command
    await running.ended()
    with pytest.raises(ConnectionResetError, match="no connection"):
        await running.subscriber.user_command(1, b"", within_s=TIMEOUT_S)
