"""Temporal subscriptions, as openHistorian's data gap recovery asks for them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
import struct
from uuid import UUID

import pytest

from custom_components.grid_telemetry.protocols.sttp import Measurement, SttpError, ticks
from custom_components.grid_telemetry.protocols.sttp.constants import ServerCommand, ServerResponse
from custom_components.grid_telemetry.protocols.sttp.publisher import Limits

from .conftest import Serve, Wire
from .samples import ALL, bits, frame, metadata, signal_id
from .test_publisher import failed
from .wire import WireSubscriber

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Kept:
    """Ten seconds of the past of two signals."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[UUID], datetime, datetime]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(
        self, signal_ids: Sequence[UUID], start: datetime, stop: datetime
    ) -> AsyncIterator[Sequence[Measurement]]:
        self.asked.append((list(signal_ids), start, stop))
        yield []
        for second in range(10):
            await self.gate.wait()
            yield [
                Measurement(item, float(second), ticks.from_datetime(start + timedelta(0, second)))
                for item in signal_ids
            ]


class Broken:
    """A past that cannot be read."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def read(
        self, signal_ids: Sequence[UUID], start: datetime, stop: datetime
    ) -> AsyncIterator[Sequence[Measurement]]:
        raise self.error
        yield []


def past(**changes: str) -> dict[str, str]:
    # As the C# subscriber writes them.
    return {
        "startTimeConstraint": "2026-11-20 12:00:00.0000000",
        "stopTimeConstraint": "2026-11-20 12:10:00.0000000",
        "processingInterval": "0",
        **changes,
    }


async def received(subscriber: WireSubscriber) -> tuple[list[float], str]:
    """Return the seconds that came of the first signal, and what was said at the end."""
    values = []
    while (answer := await subscriber.next()).code != ServerResponse.PROCESSING_COMPLETE:
        if answer.code == ServerResponse.DATA_PACKET:
            values += [item[3] for item in subscriber.decode(answer.data)[1] if item[0] == 0]
    return values, answer.text


@pytest.mark.parametrize("tssc", [True, False])
async def test_the_past_is_sent_and_its_end_is_told(serve: Serve, wire: Wire, tssc: bool) -> None:
    kept = Kept()
    publisher = await serve(history=kept)
    publisher.define_metadata(metadata(3))
    subscriber = await wire(publisher, tssc=tssc)
    subscriber.subscribe("HA:1;HA:2", **past())
    await subscriber.take_cache()
    begun = await subscriber.expect(ServerResponse.DATA_START_TIME)
    assert begun.data == struct.pack(">Q", ticks.from_datetime(START))
    values, said = await received(subscriber)
    assert values == [bits(second) for second in range(10)]
    assert said == "20 measurements of the past sent"
    ((ids, start, stop),) = kept.asked
    assert ids == [signal_id(1), signal_id(2)]
    assert (start, stop) == (START, START + timedelta(minutes=10))
    # No live data comes to a temporal subscription.
    publisher.publish(frame(3))
    publisher.flush()
    await subscriber.settled()
    assert subscriber.seen[-1] == ServerResponse.SUCCEEDED


async def test_live_data_goes_on_beside_the_past(serve: Serve, wire: Wire) -> None:
    kept = Kept()
    kept.gate.clear()
    publisher = await serve(history=kept)
    publisher.define_metadata(metadata(2))
    live = await wire(publisher)
    await live.subscribed(ALL)
    subscriber = await wire(publisher)
    subscriber.subscribe(ALL, **past())
    await subscriber.take_cache()
    publisher.publish(frame(2))
    assert len((await live.packet())[1]) == 2
    kept.gate.set()
    assert len((await received(subscriber))[0]) == 10


async def test_relative_times_count_from_now(serve: Serve, wire: Wire) -> None:
    kept = Kept()
    publisher = await serve(history=kept)
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher)
    subscriber.subscribe(ALL, **past(startTimeConstraint="*-90m", stopTimeConstraint="*+1d"))
    await subscriber.take_cache()
    await received(subscriber)
    ((_, start, stop),) = kept.asked
    assert timedelta(minutes=90) <= stop - start < timedelta(minutes=91)
    assert stop <= datetime.now(UTC)


async def test_the_past_comes_as_fast_as_asked(serve: Serve, wire: Wire) -> None:
    kept = Kept()
    publisher = await serve(history=kept)
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher)
    subscriber.subscribe(ALL, **past(processingInterval="5000"))
    await subscriber.take_cache()
    await subscriber.packet()
    # Not for another five seconds, unless it is told to hurry.
    subscriber.send(ServerCommand.UPDATE_PROCESSING_INTERVAL, struct.pack(">i", 0))
    await subscriber.expect(ServerResponse.SUCCEEDED)
    assert len((await received(subscriber))[0]) == 9


async def test_the_past_ends_with_its_subscription(serve: Serve, wire: Wire) -> None:
    kept = Kept()
    kept.gate.clear()
    publisher = await serve(history=kept, limits=Limits(replays=1))
    publisher.define_metadata(metadata(2))
    first, second = await wire(publisher), await wire(publisher)
    for subscriber in (first, second):
        subscriber.subscribe(ALL, **past())
        await subscriber.take_cache()
        await subscriber.settled()
    # One at a time.
    assert len(kept.asked) == 1
    first.send(ServerCommand.UNSUBSCRIBE)
    await first.expect(ServerResponse.SUCCEEDED)
    kept.gate.set()
    assert len((await received(second))[0]) == 10
    assert ServerResponse.DATA_PACKET not in first.seen


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SttpError("The recorder could not be read"), "The recorder could not be read"),
        (ValueError("secret"), "The past could not be read"),  # nobody expects it
    ],
)
async def test_a_past_that_cannot_be_read_is_told(
    serve: Serve, wire: Wire, error: Exception, told: str
) -> None:
    publisher = await serve(history=Broken(error))
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher)
    subscriber.subscribe(ALL, **past())
    await subscriber.take_cache()
    assert await failed(subscriber) == told
    # And it can subscribe to live data then.
    await subscriber.subscribed(ALL)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"startTimeConstraint": "yesterday"}, "Not a time: 'yesterday'"),
        ({"startTimeConstraint": "*-999999999d"}, "Not a time"),
        ({"stopTimeConstraint": "2026-11-20 11:00:00"}, "lies behind its end"),
        ({"startTimeConstraint": "2026-01-01 00:00:00"}, "No more than 2678400 s of the past"),
        ({"processingInterval": "soon"}, "no whole number"),
        ({"dataChannel": "localport=5000"}, "not by datagrams"),
    ],
)
async def test_a_past_that_cannot_be_had_is_refused(
    serve: Serve, wire: Wire, changes: dict[str, str], why: str
) -> None:
    publisher = await serve(history=Kept())
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher)
    subscriber.subscribe(ALL, **past(**changes))
    assert why in await failed(subscriber)


async def test_without_a_history_there_is_no_past(serve: Serve, wire: Wire) -> None:
    publisher = await serve()
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher)
    subscriber.subscribe(ALL, **past())
    assert await failed(subscriber) == "Only live data is published, no history"
