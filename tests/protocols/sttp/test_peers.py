"""Both ends with the reference, sttpapi, on the other side of a real connection."""

import asyncio
from contextlib import AsyncExitStack
import socket

import pytest

from custom_components.grid_telemetry.protocols.sttp import dataset
from custom_components.grid_telemetry.protocols.sttp.constants import StateFlags
from custom_components.grid_telemetry.protocols.sttp.measurement import Measurement
from custom_components.grid_telemetry.protocols.sttp.publisher import Publisher

from .conftest import Serve, StartPeer
from .peer import Peer
from .samples import ALL, NOON, measurement, metadata, signal_id
from .test_subscriber import Running

TIMEOUT_S = 10.0


async def ready(publisher: Publisher, signals: int) -> None:
    """Wait until a subscriber is sent so many signals."""
    async with asyncio.timeout(TIMEOUT_S):
        while [info.signals for info in publisher.subscribers()] != [signals]:
            await asyncio.sleep(0.001)


def moving(count: int, step: int) -> list[Measurement]:
    """Return measurements with timestamps to the microsecond and flags of all sizes."""
    flags = [0, StateFlags.BAD_TIME, StateFlags.CALCULATED_VALUE, StateFlags.MEASUREMENT_ERROR]
    return [
        measurement(number, number + step / 4, NOON + step * 333_330, flags[(number + step) % 4])
        for number in range(1, count + 1)
    ]


async def flow(publisher: Publisher, peer: Peer, signals: range, steps: int = 30) -> None:
    """Publish, and see that the reference receives the same, in order, with nothing lost."""
    peer.measurements.clear()
    sent = []
    for step in range(steps):
        batch = moving(6, step)
        sent += [batch[number - 1] for number in signals]
        publisher.publish(batch)
        publisher.flush()
    # The last values of before, which a new subscription begins with, may be the same.
    await peer.until(
        lambda: (
            len(peer.measurements) >= len(sent)
            and peer.measurements[-len(signals) :] == sent[-len(signals) :]
        )
    )
    assert peer.measurements[-len(sent) :] == sent


async def test_the_reference_subscribes_with_tssc(serve: Serve, start_peer: StartPeer) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(6))
    peer = await start_peer("subscriber", port=publisher.port, expression=ALL)
    await ready(publisher, 6)
    await flow(publisher, peer, range(1, 7), steps=150)
    (tables,) = peer.all("metadata")
    assert tables["tables"]["MeasurementDetail"] == 6
    assert (await peer.event("signals"))["keys"] == [f"HA:{number}" for number in range(1, 7)]
    assert not peer.all("error")
    (info,) = publisher.subscribers()
    assert (info.form, info.version) == ("TSSC over TCP", 2)
    assert "STTP Python Library" in info.agent


@pytest.mark.parametrize(
    "settings", [{}, {"usemillisecondresolution": True}, {"includetime": False}]
)
async def test_the_reference_subscribes_in_compact_form(
    serve: Serve, start_peer: StartPeer, settings: dict[str, bool]
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(3))
    peer = await start_peer(
        "subscriber", port=publisher.port, expression=ALL, tssc=False, **settings
    )
    await ready(publisher, 3)
    times = [NOON + step * 10_000 for step in range(20)]
    for step, time in enumerate(times):
        publisher.publish([measurement(number, step, time) for number in (1, 2, 3)])
        publisher.flush()
    await peer.until(lambda: len(peer.measurements) == 60)
    expected = times if settings.get("includetime", True) else [0] * 20
    assert [item.timestamp for item in peer.measurements[::3]] == expected
    assert [item.value for item in peer.measurements[::3]] == list(range(20))
    assert peer.measurements[0].signal_id == signal_id(1)
    assert publisher.subscribers()[0].form == "compact over TCP"
    assert not peer.all("error")


async def test_the_reference_subscribes_by_datagrams(serve: Serve, start_peer: StartPeer) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(6))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.bind(("127.0.0.1", 0))
        port = channel.getsockname()[1]
    peer = await start_peer("subscriber", port=publisher.port, expression=ALL, udpport=port)
    await ready(publisher, 6)
    publisher.publish([measurement(number, number) for number in range(1, 7)])
    await peer.until(lambda: len(peer.measurements) == 6)
    assert peer.measurements[5] == measurement(6, 6.0)


@pytest.mark.parametrize(
    ("expression", "signals"),
    [
        ("HA:2;HA:3", range(2, 4)),
        (f"{signal_id(2)};{signal_id(3)};{signal_id(4)}", range(2, 5)),
        (f"{{{signal_id(5)}}}", range(5, 6)),
        ('"HA_METER:FREQ1"', range(1, 2)),
        ("FILTER TOP 2 ActiveMeasurements WHERE SignalType LIKE 'VPH%'", range(2, 4)),
    ],
)
async def test_the_reference_subscribes_with_lists_and_filters(
    serve: Serve, start_peer: StartPeer, expression: str, signals: range
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(6))
    peer = await start_peer("subscriber", port=publisher.port, expression=expression)
    await ready(publisher, len(signals))
    await flow(publisher, peer, signals)


@pytest.mark.parametrize("tssc", [True, False])
async def test_the_reference_subscribes_anew_on_the_same_connection(
    serve: Serve, start_peer: StartPeer, tssc: bool
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(6))
    peer = await start_peer("subscriber", port=publisher.port, expression=ALL, tssc=tssc)
    await ready(publisher, 6)
    steps = 30
    for expression, signals in (("HA:1;HA:2;HA:3", 3), (ALL, 6), ("HA:1", 1)):
        if not tssc:
            # Compact form knows groups of flags only; what is sent here has none.
            publisher.publish([measurement(number) for number in range(1, 7)])
        else:
            await flow(publisher, peer, range(1, publisher.subscribers()[0].signals + 1), steps)
        await peer.do("subscribe", expression=expression)
        await ready(publisher, signals)
    peer.measurements.clear()
    publisher.publish([measurement(1, 77.0)])
    await peer.until(lambda: measurement(1, 77.0) in peer.measurements)
    assert not peer.all("error")


async def test_the_reference_unsubscribes_and_subscribes(
    serve: Serve, start_peer: StartPeer
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(6))
    peer = await start_peer("subscriber", port=publisher.port, expression=ALL)
    await ready(publisher, 6)
    await flow(publisher, peer, range(1, 7))
    await peer.do("unsubscribe")
    await ready(publisher, 0)
    await peer.do("subscribe", expression="HA:4;HA:5")
    await ready(publisher, 2)
    await flow(publisher, peer, range(4, 6))


async def test_the_reference_gets_a_new_signal_without_asking(
    serve: Serve, start_peer: StartPeer
) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(5))
    peer = await start_peer("subscriber", port=publisher.port, expression=ALL)
    await ready(publisher, 5)
    publisher.define_metadata(metadata(6))
    await peer.event("configuration")
    await ready(publisher, 6)
    await flow(publisher, peer, range(1, 7))


async def test_the_reference_is_told_why_it_is_refused(serve: Serve, start_peer: StartPeer) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(6))
    peer = await start_peer(
        "subscriber", port=publisher.port, expression="RegExMatch('^(a+)+$', PointTag)"
    )
    error = await peer.event("error")
    assert "SUBSCRIBE\nRegular expressions are refused" in error["text"]
    await peer.do("subscribe", expression="HA:1")
    await ready(publisher, 1)


async def publish_until(peer: Peer, running: Running, batch: list[Measurement]) -> None:
    """Have the reference publish until it reaches the subscriber."""
    items = [[str(item[0]), *item[1:]] for item in batch]
    async with asyncio.timeout(TIMEOUT_S):
        while not running.measurements:
            await peer.do("publish", items=items)
            await asyncio.sleep(0.02)


async def test_the_reference_publishes_to_us(
    reference: tuple[Peer, int], stack: AsyncExitStack
) -> None:
    peer, port = reference
    running = Running(port)
    stack.push_async_callback(running.stop)
    await publish_until(peer, running, [measurement(1, 0.5, NOON)])
    running.measurements.clear()
    sent = [
        measurement(number, number + step / 4, NOON + step * 333_330)
        for step in range(1, 50)
        for number in range(1, 7)
    ]
    for first in range(0, len(sent), 6):
        await peer.do(
            "publish", items=[[str(item[0]), *item[1:]] for item in sent[first : first + 6]]
        )
    await running.until(lambda: running.measurements[-1:] == sent[-1:])
    assert running.measurements[-len(sent) :] == sent
    assert [len(item.measurements) for item in running.metadata] == [6]
    assert sorted(running.signals[0]) == [":0", ":1", ":2", ":3", ":4", ":5"]


async def test_a_change_at_the_reference_is_followed(
    reference: tuple[Peer, int], stack: AsyncExitStack
) -> None:
    peer, port = reference
    running = Running(port)
    stack.push_async_callback(running.stop)
    await publish_until(peer, running, [measurement(1, 0.5, NOON)])
    await peer.do("metadata", xml=dataset.to_xml(metadata(7).tables()).decode())
    await running.until(lambda: len(running.signals) == 2)
    assert len(running.metadata[1].measurements) == 7
    running.measurements.clear()
    # The reference goes on with its old compression state; we follow.
    await publish_until(peer, running, [measurement(7, 7.5, NOON + 10)])
    assert running.measurements[0] == measurement(7, 7.5, NOON + 10)


async def test_a_refusal_of_the_reference_is_told(
    reference: tuple[Peer, int], stack: AsyncExitStack
) -> None:
    _, port = reference
    running = Running(port, filter_expression="FILTER ActiveMeasurements WHERE False")
    stack.push_async_callback(running.stop)
    assert "No measurements matched subscription filter" in str(await running.ended())
