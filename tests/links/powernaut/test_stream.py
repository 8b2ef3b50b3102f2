import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import json
import logging

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.grid_telemetry.connection.errors import ConnectionFailed
from custom_components.grid_telemetry.connection.health import Health
from custom_components.grid_telemetry.connection.traffic import Traffic
from custom_components.grid_telemetry.links.powernaut.payload import Reading
from custom_components.grid_telemetry.links.powernaut.stream import Stream
from custom_components.grid_telemetry.protocols.mqtt import (
    MqttConnectionLost,
    MqttPublishRefused,
    MqttTooLarge,
)

NOON = 1_772_366_400  # 2026-03-01T12:00:00Z


TOLD: list[tuple[str, str | None]] = []
TRAFFIC = Traffic()
"""What was said of refusals."""


class FakeSender:
    def __init__(self, window: int = 32) -> None:
        self.window = window
        self.sent: list[tuple[str, object]] = []
        self.futures: list[asyncio.Future[None]] = []
        self.acknowledges = True
        self.broken = False
        self.limit: int | None = None

    def payload_limit(self, topic: str) -> int | None:
        return self.limit

    def publish(self, topic: str, body: bytes) -> asyncio.Future[None]:
        if self.broken:
            raise ConnectionFailed("connection_lost")
        if self.limit is not None and len(body) > self.limit:
            raise MqttTooLarge(len(body), self.limit)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append((topic, json.loads(body)))
        self.futures.append(future)
        if self.acknowledges:
            future.set_result(None)
        return future


@pytest.fixture
def health(hass: HomeAssistant) -> Health:
    return Health()


@pytest.fixture
def stream(health: Health, freezer: FrozenDateTimeFactory) -> Stream:
    freezer.move_to("2026-03-01T12:00:00Z")
    TOLD.clear()
    TRAFFIC.watch()
    return Stream("Home", health, lambda topic, reason: TOLD.append((topic, reason)), TRAFFIC)


@asynccontextmanager
async def connected(stream: Stream, sender: FakeSender) -> AsyncIterator[None]:
    task = asyncio.create_task(stream.run(sender))
    await asyncio.sleep(0)
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def reading(at: int, watts: int = 100) -> Reading:
    return Reading(NOON + at, watts)


def element(at: int, watts: int = 100) -> dict[str, int]:
    return {"value": watts, "time": NOON + at}


async def test_a_slot_goes_out_at_once_one_message_a_topic(stream: Stream, health: Health) -> None:
    sender = FakeSender()
    async with connected(stream, sender):
        stream.take({"a": reading(0), "b": reading(-1, -5)})
        assert sender.sent == [("a", element(0)), ("b", element(-1, -5))]
        await settle()
    assert [message.kind for message in TRAFFIC.messages.values()][-2:] == ["a", "b"]
    assert (health.delivered, health.queued, health.oldest_at) == (2, 0, None)
    assert health.last_delivery is not None


async def test_what_waited_goes_out_as_one_array_a_topic(
    stream: Stream, health: Health, freezer: FrozenDateTimeFactory
) -> None:
    for slot in range(0, 12, 4):
        freezer.move_to(f"2026-03-01T12:00:{slot:02}Z")
        stream.take({"a": reading(slot), "b": reading(slot, slot)})
    assert (health.queued, health.oldest_at and health.oldest_at.timestamp()) == (6, NOON)
    sender = FakeSender()
    async with connected(stream, sender):
        await settle()
    assert sender.sent == [
        ("a", [element(0), element(4), element(8)]),
        ("b", [element(0, 0), element(4, 4), element(8, 8)]),
    ]
    assert (health.delivered, health.dropped, health.queued) == (6, 0, 0)


async def test_what_is_older_than_55_seconds_is_dropped_and_counted(
    stream: Stream, health: Health, freezer: FrozenDateTimeFactory
) -> None:
    for slot in range(0, 60, 4):
        freezer.move_to(f"2026-03-01T12:00:{slot:02}Z")
        stream.take({"a": reading(slot)})
    assert health.dropped == 1
    freezer.move_to("2026-03-01T12:01:03Z")
    sender = FakeSender()
    async with connected(stream, sender):
        await settle()
    assert sender.sent == [("a", [element(slot) for slot in range(8, 60, 4)])]
    assert (health.delivered, health.dropped) == (13, 2)


async def test_after_minutes_without_a_connection_only_the_last_is_kept(
    stream: Stream, health: Health, freezer: FrozenDateTimeFactory
) -> None:
    for slot in range(0, 300, 4):
        freezer.move_to(f"2026-03-01T12:{slot // 60:02}:{slot % 60:02}Z")
        stream.take({"a": reading(slot)})
    assert health.queued == 14
    assert health.dropped == 75 - 14


async def test_a_value_that_was_not_measured_anew_waits_once(stream: Stream) -> None:
    stream.take({"a": reading(-2)})
    stream.take({"a": reading(-2)})
    sender = FakeSender()
    async with connected(stream, sender):
        assert sender.sent == [("a", element(-2))]


async def test_the_window_bounds_what_is_on_its_way(stream: Stream, health: Health) -> None:
    sender = FakeSender(window=2)
    sender.acknowledges = False
    async with connected(stream, sender):
        stream.take({topic: reading(0) for topic in "abcde"})
        assert [topic for topic, _ in sender.sent] == ["a", "b"]
        sender.futures[0].set_result(None)
        await settle()
        assert [topic for topic, _ in sender.sent] == ["a", "b", "c"]
        assert health.queued == 4
        for number in range(1, 5):
            sender.futures[number].set_result(None)
            await settle()
        assert [topic for topic, _ in sender.sent] == list("abcde")
        assert (health.queued, health.delivered) == (0, 5)


async def test_what_waits_behind_the_window_for_too_long_is_not_sent(
    stream: Stream, health: Health, freezer: FrozenDateTimeFactory
) -> None:
    sender = FakeSender(window=1)
    sender.acknowledges = False
    async with connected(stream, sender):
        stream.take({"a": reading(0), "b": reading(0)})
        freezer.tick(56)
        sender.futures[0].set_result(None)
        await settle()
    assert sender.sent == [("a", element(0))]
    assert (health.delivered, health.dropped) == (1, 1)


async def test_what_was_not_acknowledged_is_sent_again(stream: Stream, health: Health) -> None:
    first = FakeSender()
    first.acknowledges = False
    async with connected(stream, first):
        stream.take({"a": reading(-4)})
    stream.take({"a": reading(0)})
    second = FakeSender()
    async with connected(stream, second):
        await settle()
    assert second.sent == [("a", [element(-4), element(0)])]
    assert (health.delivered, health.queued) == (2, 0)


async def test_a_connection_that_breaks_while_sending_loses_nothing(
    stream: Stream, health: Health
) -> None:
    sender = FakeSender()
    sender.broken = True
    async with connected(stream, sender):
        stream.take({"a": reading(0)})
    assert health.queued == 1


async def test_a_message_that_the_broker_refuses_is_counted_and_told_once(
    stream: Stream, health: Health, caplog: pytest.LogCaptureFixture
) -> None:
    sender = FakeSender()
    sender.acknowledges = False
    async with connected(stream, sender):
        for number in range(3):
            stream.take({"a": reading(number)})
            sender.futures[-1].set_exception(MqttPublishRefused(0x87))
            await settle()
    assert (health.delivered, health.dropped, health.queued) == (0, 3, 0)
    assert stream.refused == {"a": 3}
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        "Home: the broker refuses a: not authorized (0x87)"
    ]
    assert TOLD == [("a", "not authorized (0x87)")]
    assert (health.last_error, health.last_error_detail) == (
        "message_refused",
        "a: not authorized (0x87)",
    )


async def test_what_is_on_its_way_on_a_forgotten_topic_is_neither_sent_again_nor_told(
    stream: Stream, health: Health
) -> None:
    sender = FakeSender()
    sender.acknowledges = False
    async with connected(stream, sender):
        stream.take({"a": reading(0), "b": reading(0), "c": reading(0), "d": reading(0)})
        for topic in ("a", "b", "c"):
            stream.forget(topic)
        sender.futures[0].set_exception(MqttPublishRefused(0x87))
        sender.futures[1].set_result(None)
        await settle()
    assert TOLD == []
    second = FakeSender()
    async with connected(stream, second):
        await settle()
    assert second.sent == [("d", element(0))]
    assert (health.delivered, health.dropped, health.queued) == (2, 2, 0)


async def test_a_refusal_that_changes_or_is_over_is_told(stream: Stream) -> None:
    sender = FakeSender()
    sender.acknowledges = False
    answers = [MqttPublishRefused(0x87), MqttPublishRefused(0x97, "full"), None]
    async with connected(stream, sender):
        for number, answer in enumerate(answers):
            stream.take({"a": reading(number)})
            if answer is None:
                sender.futures[-1].set_result(None)
            else:
                sender.futures[-1].set_exception(answer)
            await settle()
    assert TOLD == [
        ("a", "not authorized (0x87)"),
        ("a", "quota exceeded (0x97): full"),
        ("a", None),
    ]


async def test_an_array_is_split_for_a_broker_with_a_limit(
    stream: Stream, health: Health, freezer: FrozenDateTimeFactory
) -> None:
    for slot in range(0, 12, 4):
        freezer.move_to(f"2026-03-01T12:00:{slot:02}Z")
        stream.take({"a": reading(slot)})
    sender = FakeSender(window=1)
    sender.limit = 70
    async with connected(stream, sender):
        await settle()
    assert sender.sent == [("a", [element(0), element(4)]), ("a", element(8))]
    assert (health.delivered, health.dropped, health.queued) == (3, 0, 0)


async def test_a_message_that_is_too_large_alone_stops_nothing(
    stream: Stream, health: Health
) -> None:
    sender = FakeSender()
    sender.limit = 31
    async with connected(stream, sender):
        stream.take({"a": reading(0, 1000), "b": reading(0, 1)})
        await settle()
    assert sender.sent == [("b", element(0, 1))]
    assert (health.delivered, health.dropped, health.queued) == (1, 1, 0)
    assert [topic for topic, _ in TOLD] == ["a"]


async def test_what_was_on_its_way_when_the_connection_ended_waits(
    stream: Stream, health: Health
) -> None:
    sender = FakeSender()
    sender.acknowledges = False
    async with connected(stream, sender):
        stream.take({"a": reading(0)})
        sender.futures[0].set_exception(MqttConnectionLost("gone"))
        await settle()
    assert (health.delivered, health.dropped, health.queued) == (0, 0, 1)
    assert TOLD == []


async def test_a_broker_that_does_not_confirm_is_left(
    hass: HomeAssistant, stream: Stream, freezer: FrozenDateTimeFactory
) -> None:
    sender = FakeSender()
    sender.acknowledges = False
    task = asyncio.create_task(stream.run(sender))
    await asyncio.sleep(0)
    stream.take({"a": reading(0)})
    for _ in range(8):
        freezer.tick(5)
        async_fire_time_changed(hass)
        await settle()
    with pytest.raises(ConnectionFailed, match="not_confirmed"):
        await task


async def test_a_topic_that_is_sent_without_a_gap_is_remembered_so(
    stream: Stream, freezer: FrozenDateTimeFactory
) -> None:
    sender = FakeSender()
    async with connected(stream, sender):
        for at in (0, 50, 100, 200, 210):
            freezer.move_to(f"2026-03-01T12:{at // 60:02}:{at % 60:02}Z")
            stream.take({"a": reading(at)})
            await settle()
    assert (stream.sent["a"].since, stream.sent["a"].last) == (NOON + 200, NOON + 210)
