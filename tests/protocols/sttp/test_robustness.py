"""Trials that the publisher stands and sttpapi's does not (docs/sttp.md, bench/sttp_defects)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
import socket
import struct

import pytest

from custom_components.grid_telemetry.protocols.sttp import dataset, frames
from custom_components.grid_telemetry.protocols.sttp.constants import (
    ServerCommand,
    ServerResponse,
    StateFlags,
)
from custom_components.grid_telemetry.protocols.sttp.publisher import Limits, Publisher
from custom_components.grid_telemetry.protocols.sttp.tssc import TsscDecoder

from .conftest import Serve, Wire
from .samples import ALL, NOON, bits, frame, measurement, metadata, signal_id
from .test_publisher import failed


async def test_the_sequence_goes_on_after_65536_packets(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    # To trace every callback would take most of the time.
    asyncio.get_running_loop().set_debug(False)
    receiver, received, sequences = TsscDecoder(), 0, []
    rest = b""
    for first in range(0, 70_000, 2_000):
        for number in range(first, first + 2_000):
            publisher.publish([measurement(1, number % 1000, NOON + number * 333_330)])
            publisher.flush()
        async with asyncio.timeout(20):
            while received < first + 2_000:
                rest += await subscriber.reader.read(1 << 20)
                position = 0
                while len(rest) - position >= 4:
                    (length,) = struct.unpack_from(">I", rest, position)
                    end = position + 4 + length
                    if end > len(rest):
                        break
                    if rest[position + 4] == ServerResponse.DATA_PACKET:
                        # After response header, flags and count.
                        block = rest[position + 15 : end]
                        sequences.append(int.from_bytes(block[1:3]))
                        time, value = NOON + received * 333_330, received % 1000
                        assert receiver.decode(block, 1) == [(0, time, 0, bits(value))]
                        received += 1
                    position = end
                rest = rest[position:]
    assert sequences == [number % 65_535 or (65_535 if number else 0) for number in range(70_000)]
    assert publisher.health.measurements == 70_000


async def test_compact_packets_say_how_many_measurements_they_hold(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher, tssc=False)
    await subscriber.subscribed(ALL, includeTime="False")
    publisher.publish([measurement(1, 1.5)])
    answer = await subscriber.expect(ServerResponse.DATA_PACKET)
    assert answer.data == struct.pack(">BIBif", 2, 1, 0, 0, 1.5)


async def test_a_list_of_signals_can_be_subscribed(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher)
    await subscriber.subscribed("HA:1;HA:2")
    publisher.publish(frame(3))
    assert len((await subscriber.packet())[1]) == 2


@pytest.mark.parametrize("unsubscribe", [True, False])
async def test_a_new_subscription_starts_compression_anew(
    serve: Serve, wire: Wire, unsubscribe: bool
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher)
    for _ in range(3):
        await subscriber.subscribed(ALL)
        for value in range(5):
            publisher.publish(frame(3, value))
            publisher.flush()
            while (packet := await subscriber.packet())[0] & 0x02:
                pass
            assert [item[3] for item in packet[1]] == [bits(value + n) for n in (1.0, 2.0, 3.0)]
        if unsubscribe:
            subscriber.send(ServerCommand.UNSUBSCRIBE)


async def test_a_stalled_subscriber_is_dropped_and_nobody_else_notices(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve(limits=Limits(buffer_bytes=200_000))
    publisher.define_metadata(metadata(1_000))
    healthy = await wire(publisher, tssc=False)
    await healthy.subscribed(ALL)
    stalled = await wire(publisher, tssc=False)
    await stalled.subscribed(ALL)
    stalled.writer.transport.pause_reading()
    stalled.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    # Frames of 13 KB; the kernel keeps some megabytes for the one that does not read.
    for value in range(2_000):
        publisher.publish(frame(1_000, value))
        publisher.flush()
        _, samples = await healthy.packet()
        assert len(samples) == 1_000
        assert samples[0] == (0, NOON, 0, bits(value + 1.0))
        if publisher.health.dropped:
            break
    assert publisher.health.dropped == 1
    assert publisher.health.last_refusal is not None
    assert "did not read fast enough" in publisher.health.last_refusal
    publisher.publish(frame(1_000, 5.0))
    assert len((await healthy.packet())[1]) == 1_000
    async with asyncio.timeout(10):
        while len(publisher.subscribers()) > 1:
            await asyncio.sleep(0)
    # And another can come.
    await (await wire(publisher)).subscribed(ALL)


@pytest.mark.parametrize(
    "flags", [StateFlags.BAD_TIME, StateFlags.CALCULATED_VALUE, StateFlags.MEASUREMENT_ERROR]
)
async def test_all_state_flags_can_be_sent(serve: Serve, wire: Wire, flags: int) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    publisher.publish([measurement(1, flags=flags), measurement(2)])
    assert [item[2] for item in (await subscriber.packet())[1]] == [flags, 0]


async def test_timestamps_are_right_to_the_microsecond(serve: Serve, wire: Wire) -> None:
    times = [NOON + step * 333_330 + step % 3 * 10 for step in range(100)]
    publisher = await serve()
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    for time in times:
        publisher.publish([measurement(1, 1.0, time)])
        publisher.flush()
    assert [(await subscriber.packet())[1][0][1] for _ in times] == times


async def test_the_port_is_free_after_stop(serve: Serve) -> None:
    publisher = await serve()
    port = publisher.port
    for _ in range(10):
        await publisher.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        publisher = Publisher(port=port)
        await publisher.start()
    await publisher.stop()


@pytest.mark.parametrize("size", [1, 2, 3, 5])
async def test_commands_may_come_in_pieces(serve: Serve, wire: Wire, size: int) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher, handshake=False)
    data = frames.command(ServerCommand.DEFINE_OPERATIONAL_MODES, subscriber.modes.encode())
    data += frames.command(ServerCommand.SUBSCRIBE, frames.subscribe_data({"a": "b"}, "utf-8"))
    for first in range(0, len(data), size):
        subscriber.writer.write(data[first : first + size])
        await asyncio.sleep(0)
    await subscriber.take_cache()


@pytest.mark.parametrize("compressed", [True, False])
async def test_data_packets_name_the_cache_that_was_sent(
    serve: Serve, wire: Wire, compressed: bool
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher, compress_cache=compressed)
    for _ in range(3):
        await subscriber.subscribed(ALL)
        publisher.publish(frame(1))
        flags, _ = await subscriber.packet()
        while flags & 0x02:
            flags, _ = await subscriber.packet()
        assert flags >> 4 == subscriber.cache_index


async def test_no_regular_expression_runs_here(
    serve: Serve, wire: Wire, stalls: list[float]
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(172))
    subscriber = await wire(publisher)
    stalls.clear()
    evil = "FILTER ActiveMeasurements WHERE RegExMatch('^(a+)+$', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaab')"
    subscriber.subscribe(evil)
    assert (await failed(subscriber)).startswith("Regular expressions are refused: REGEXMATCH")
    assert max(stalls, default=0.0) < 0.5


@pytest.mark.parametrize("microsecond", [0, 5])
def test_times_in_metadata_are_valid(microsecond: int) -> None:
    when = datetime(2026, 11, 20, 12, 0, 52, microsecond, tzinfo=UTC)
    offered = metadata(1)
    signals = (replace(offered.measurements[0], updated_on=when),)
    document = dataset.to_xml(replace(offered, measurements=signals).tables())
    assert f"2026-11-20T12:00:52.00000{microsecond}Z".encode() in document


async def test_messages_are_nothing_but_text(serve: Serve, wire: Wire) -> None:
    subscriber = await wire(await serve())
    subscriber.send(ServerCommand.UNSUBSCRIBE)
    assert (await subscriber.expect(ServerResponse.SUCCEEDED)).data == b"Unsubscribed"


async def test_whoever_publishes_from_threads_loses_nothing(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(4))
    subscriber = await wire(publisher)
    await subscriber.subscribed(ALL)
    loop = asyncio.get_running_loop()

    def publish(number: int) -> None:
        for value in range(500):
            loop.call_soon_threadsafe(publisher.publish, [measurement(number, value)])

    await asyncio.gather(*(asyncio.to_thread(publish, number) for number in range(1, 5)))
    received: dict[int, list[int]] = {index: [] for index in range(4)}
    while sum(map(len, received.values())) < 2_000:
        for index, _, _, value in (await subscriber.packet())[1]:
            received[index].append(value)
    assert received == {index: [bits(value) for value in range(500)] for index in range(4)}


async def test_the_cache_has_keys_its_own_length_and_the_unauthorized_count(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(7))
    subscriber = await wire(publisher, compress_cache=False)
    subscriber.subscribe("HA:7")
    data = (await subscriber.expect(ServerResponse.UPDATE_SIGNAL_INDEX_CACHE)).data[1:]
    assert struct.unpack_from(">I", data)[0] == len(data)
    assert data[-18:] == struct.pack(">I2sQI", 2, b"HA", 7, 0)


@pytest.mark.parametrize(
    "data", [b"\x02\xff\xff\xff\xffa=b", b"\x02\0\0\0\0", b"\x02\0\0\0\x09a=b", b"\x02", b""]
)
async def test_a_wrong_length_subscribes_to_nothing(serve: Serve, wire: Wire, data: bytes) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher)
    subscriber.send(ServerCommand.SUBSCRIBE, data)
    await failed(subscriber)
    assert publisher.subscribers()[0].signals == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
async def test_a_list_of_2000_guids_can_be_subscribed(
    serve: Serve, wire: Wire, encoding: str
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(2_000))
    subscriber = await wire(publisher, encoding=encoding)
    guids = ";".join(f"{{{signal_id(number)}}}" for number in range(1, 2_001))
    await subscriber.subscribed(guids)
    assert publisher.subscribers()[0].signals == 2_000


async def test_large_batches_are_split(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(5_000))
    for tssc in (True, False):
        subscriber = await wire(publisher, tssc=tssc)
        await subscriber.subscribed(ALL)
        publisher.publish(frame(5_000))
        received = 0
        while received < 5_000:
            answer = await subscriber.expect(ServerResponse.DATA_PACKET)
            assert len(answer.data) <= 32_768 + 5
            received += len(subscriber.decode(answer.data)[1])
        await subscriber.close()


async def test_what_has_no_phase_is_not_lost_to_a_condition_on_the_phase(
    serve: Serve, wire: Wire
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(5))
    subscriber = await wire(publisher)
    await subscriber.subscribed("Phase = 'A' OR SignalType = 'ALOG'")
    assert subscriber.cache is not None
    assert [key.id for key in subscriber.cache.signals.values()] == [2, 3, 4, 5]
