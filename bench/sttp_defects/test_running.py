"""That the reference's running publisher has the defects which its parts alone do not show.

(test_parts.py has the other ones; tests/protocols/sttp/test_robustness.py, that ours has none.)
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
import socket
from typing import Any

import pytest

from custom_components.grid_telemetry.protocols.sttp import frames
from custom_components.grid_telemetry.protocols.sttp.constants import ServerCommand, ServerResponse
from custom_components.grid_telemetry.protocols.sttp.frames import SttpError
from custom_components.grid_telemetry.protocols.sttp.measurement import Measurement
from custom_components.grid_telemetry.protocols.sttp.tssc import TsscDecoder
from tests.protocols.sttp.peer import Peer
from tests.protocols.sttp.samples import ALL, frame, metadata, signal_id
from tests.protocols.sttp.wire import Answer, WireSubscriber

type Connect = Callable[..., Awaitable[WireSubscriber]]

SILENT_S = 3.0
"""So long without data is no matter of a busy machine."""


@pytest.fixture
def connect(reference: tuple[Peer, int], stack: AsyncExitStack) -> Connect:
    """Connect a subscriber that shows every frame to the reference."""
    _, port = reference

    async def start(**settings: Any) -> WireSubscriber:
        subscriber = await WireSubscriber.connect(port, **settings)
        stack.push_async_callback(subscriber.close)
        return subscriber

    return start


def items(measurements: Sequence[Measurement]) -> list[list[Any]]:
    """Return measurements as the program of the reference takes them."""
    return [[str(item[0]), *item[1:]] for item in measurements]


async def first_packet(
    peer: Peer, subscriber: WireSubscriber, measurements: Sequence[Measurement]
) -> Answer:
    """Publish until a subscription, which the reference begins when it can, has its first data."""
    subscriber.subscribe(ALL)
    await subscriber.expect(ServerResponse.UPDATE_SIGNAL_INDEX_CACHE)
    packet = asyncio.create_task(subscriber.expect(ServerResponse.DATA_PACKET))
    while not packet.done():
        await peer.do("publish", items=items(measurements))
        await asyncio.wait({packet}, timeout=0.2)
    return packet.result()


async def receive_for_ever(subscriber: WireSubscriber) -> None:
    """Receive data; raises TimeoutError when there is none any more."""
    while True:
        async with asyncio.timeout(SILENT_S):
            await subscriber.expect(ServerResponse.DATA_PACKET)


async def receive_samples(subscriber: WireSubscriber, count: int) -> None:
    """Receive so many samples; raises TimeoutError when there are no more."""
    while count > 0:
        async with asyncio.timeout(SILENT_S):
            count -= len((await subscriber.packet())[1])


async def test_p4_a_new_subscription_goes_on_with_the_old_compression(
    reference: tuple[Peer, int], connect: Connect
) -> None:
    peer, _ = reference
    subscriber = await connect()
    packet = await first_packet(peer, subscriber, frame(6))
    assert TsscDecoder().decode(packet.data[5:], 6)
    packet = await first_packet(peer, subscriber, frame(6))
    assert packet.data[5] == 85
    assert int.from_bytes(packet.data[6:8]) > 0
    with pytest.raises(SttpError):
        TsscDecoder().decode(packet.data[5:], 6)


@pytest.mark.e2e
async def test_p5_one_stalled_subscriber_stops_them_all(
    reference: tuple[Peer, int], connect: Connect
) -> None:
    peer, _ = reference
    await peer.define(metadata(1_000))
    batch = frame(1_000)
    healthy, stalled = await connect(tssc=False), await connect(tssc=False)
    for subscriber in (healthy, stalled):
        await first_packet(peer, subscriber, batch)
    stalled.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    stalled.writer.transport.pause_reading()
    await peer.do("publish_for_ever", items=items(batch))
    with pytest.raises(TimeoutError):
        await receive_for_ever(healthy)


async def test_p8_after_stop_the_port_is_not_free(reference: tuple[Peer, int]) -> None:
    peer, _ = reference
    await peer.do("restart")
    assert (await peer.event("restarted"))["error"] == "EADDRINUSE"


async def test_p9_a_length_in_two_pieces_ends_the_connection(
    reference: tuple[Peer, int], connect: Connect
) -> None:
    subscriber = await connect(handshake=False)
    data = frames.command(ServerCommand.DEFINE_OPERATIONAL_MODES, subscriber.modes.encode())
    subscriber.writer.write(data[:2])
    assert await subscriber.closed() == b""


async def test_p11_a_regular_expression_holds_the_whole_process(
    reference: tuple[Peer, int], connect: Connect
) -> None:
    peer, _ = reference
    subscriber = await connect()
    await peer.do("watch")
    # Each more a takes twice as long: 40 take hours.
    subscriber.subscribe(f"FILTER ActiveMeasurements WHERE RegExMatch('^(a+)+$', '{'a' * 24}b')")
    held = await peer.event("held")
    assert held["seconds"] > 0.1


async def test_p14_of_what_threads_publish_much_is_lost(
    reference: tuple[Peer, int], connect: Connect
) -> None:
    peer, _ = reference
    subscriber = await connect()
    subscriber.tssc.decode((await first_packet(peer, subscriber, frame(6))).data[5:], 6)
    times = 400
    await peer.do("publish_in_threads", items=items(frame(4)), times=times)
    # What comes cannot be read, or it is too little.
    with pytest.raises((SttpError, TimeoutError)):
        await receive_samples(subscriber, 4 * times)


async def test_p16_a_wrong_length_subscribes_to_everything(
    reference: tuple[Peer, int], connect: Connect
) -> None:
    subscriber = await connect()
    subscriber.send(ServerCommand.SUBSCRIBE, b"\x02\xff\xff\xff\xffa=b")
    await subscriber.take_cache()
    assert subscriber.cache is not None
    assert len(subscriber.cache.signals) == 6


async def test_p17_a_list_of_2000_guids_ends_the_connection(
    reference: tuple[Peer, int], connect: Connect
) -> None:
    subscriber = await connect()
    guids = ";".join(f"{{{signal_id(number)}}}" for number in range(1, 2_001))
    subscriber.subscribe(guids)
    assert await subscriber.closed() == b""


async def test_p18_a_large_batch_is_one_packet(
    reference: tuple[Peer, int], connect: Connect
) -> None:
    peer, _ = reference
    await peer.define(metadata(3_000))
    subscriber = await connect(tssc=False)
    packet = await first_packet(peer, subscriber, frame(3_000))
    assert len(packet.data) > 32_768 + 5


async def test_p19_what_has_no_phase_is_lost_to_a_condition_on_the_phase(
    reference: tuple[Peer, int], connect: Connect
) -> None:
    subscriber = await connect()
    subscriber.subscribe("FILTER ActiveMeasurements WHERE Phase = 'A' OR SignalType = 'ALOG'")
    await subscriber.take_cache()
    assert subscriber.cache is not None
    # 4, 5 and 6 are ALOG.
    assert {key.signal_id for key in subscriber.cache.signals.values()} == {
        signal_id(2),
        signal_id(3),
    }
