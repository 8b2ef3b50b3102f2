from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
import sqlite3
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.grid_telemetry.connection import kept as connection
from custom_components.grid_telemetry.connection.errors import (
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
)
from custom_components.grid_telemetry.connection.health import Health
from custom_components.grid_telemetry.connection.kept import KeptConnection
from custom_components.grid_telemetry.outbox.delivery import ACKNOWLEDGED_WITHIN_S, Delivery
from custom_components.grid_telemetry.outbox.store import Destination, Lane, Limits, Outbox, Record

from .platform import FakePlatform, FakeSession, pack, pack_by_destination, settle, until


@pytest.fixture(autouse=True)
def no_luck() -> Iterator[None]:
    """Let every random wait be as long as it can be."""
    with patch.object(connection.random, "uniform", side_effect=lambda _, most: most):
        yield


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform()


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    outbox = Outbox(
        tmp_path / "outbox.db",
        limits=Limits(max_age_s=1e9, max_samples=100_000),
        on_trouble=lambda *_: None,
    )
    await outbox.open()
    yield outbox
    await outbox.close()


@pytest.fixture
async def delivery(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    outbox: Outbox,
    health: Health,
    platform: FakePlatform,
) -> AsyncIterator[Delivery]:
    delivery = Delivery(
        hass,
        entry,
        outbox=outbox,
        health=health,
        connect=platform.connect,
        pack=pack,
        gather_s=0,
    )
    yield delivery
    await delivery.stop()


async def put(outbox: Outbox, names: Iterable[object], samples: int = 1) -> None:
    await outbox.put([Record(Destination("T"), 1_000, str(name), samples) for name in names])


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    await settle()
    freezer.tick(seconds)
    async_fire_time_changed(hass)
    await settle()


async def test_what_waits_is_delivered_in_order_and_leaves_the_outbox(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform, health: Health
) -> None:
    await put(outbox, range(100), samples=3)
    delivery.start()
    assert health.queued == 300
    await until(lambda: outbox.queued_records == 0)
    assert platform.session.bodies == [str(number) for number in range(100)]
    await until(lambda: health.delivered == 300)
    assert health.connected
    assert (health.queued, health.oldest_at, health.dropped) == (0, None, 0)
    assert health.last_delivery is not None
    assert health.last_error is None


async def test_new_records_are_sent_when_it_is_woken(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform
) -> None:
    delivery.start()
    await until(lambda: platform.sessions)
    for number in range(3):
        await put(outbox, [number])
        delivery.wake()
        await until(lambda: outbox.queued_records == 0)
    assert platform.session.bodies == ["0", "1", "2"]


async def test_records_stay_until_their_packet_is_acknowledged(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform, health: Health
) -> None:
    platform.acknowledges = False
    await put(outbox, range(3))
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 3)
    assert outbox.queued_records == 3
    assert health.last_delivery is None
    platform.session.acknowledge(2)  # in any order
    await until(lambda: outbox.queued_records == 2)
    platform.session.acknowledge(0)
    platform.session.acknowledge(1)
    await until(lambda: outbox.queued_records == 0)


async def test_only_so_many_packets_are_under_way(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform
) -> None:
    platform.acknowledges = False
    await put(outbox, range(100))
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 32)
    await settle()
    assert len(platform.session.sent) == 32
    platform.session.acknowledge(5)
    platform.session.acknowledge(6)
    await until(lambda: len(platform.session.sent) == 34)
    await settle()
    assert len(platform.session.sent) == 34


async def test_only_so_many_bytes_are_under_way_but_a_large_packet_goes_alone(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform
) -> None:
    platform.acknowledges = False
    await put(outbox, ["a" * 300_000, "b" * 100_000, "c" * 100_000, "d" * 100_000])
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 1)
    await settle()
    assert len(platform.session.sent) == 1
    platform.session.acknowledge(0)
    await until(lambda: len(platform.session.sent) == 3)
    await settle()
    assert len(platform.session.sent) == 3


async def test_live_records_overtake_the_backlog(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform
) -> None:
    platform.acknowledges = False
    await put(outbox, [f"old {number}" for number in range(100)])
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 32)
    await put(outbox, ["live 1", "live 2"])
    delivery.wake()
    for number in range(5):
        platform.session.acknowledge(number)
    await until(lambda: len(platform.session.sent) == 37)
    # one packet of the backlog was already waiting for room
    assert platform.session.bodies[32:] == ["old 32", "live 1", "live 2", "old 33", "old 34"]


async def test_messages_go_before_samples_and_history_when_nothing_else_is_left(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform
) -> None:
    platform.acknowledges = False
    for lane in (Lane.HISTORY, Lane.SAMPLES, Lane.MESSAGES):
        await outbox.put(
            [
                Record(Destination("T"), 1_000, f"{lane.name} {number}", 1, lane=lane)
                for number in range(40)
            ]
        )
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 32)
    await outbox.put([Record(Destination("T"), 1_000, "live message", 1, lane=Lane.MESSAGES)])
    await put(outbox, ["live"])
    delivery.wake()
    for number in range(122):
        await until(lambda index=number: len(platform.session.sent) > index)
        platform.session.acknowledge(number)
    messages = [f"MESSAGES {number}" for number in range(40)]
    assert platform.session.bodies == [
        *messages,
        "live message",
        "live",
        *[f"SAMPLES {number}" for number in range(40)],
        *[f"HISTORY {number}" for number in range(40)],
    ]


async def test_what_was_live_is_backlog_in_the_next_session(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    outbox: Outbox,
    delivery: Delivery,
    platform: FakePlatform,
) -> None:
    platform.acknowledges = False
    await put(outbox, ["1", "2"])
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 2)
    await put(outbox, ["3"])
    delivery.wake()
    await until(lambda: len(platform.session.sent) == 3)
    platform.session.acknowledge(1)
    await until(lambda: outbox.queued_records == 2)
    platform.session.lose()
    await settle()
    await put(outbox, ["4"])
    delivery.wake()
    await pass_time(hass, freezer, 1)
    await until(lambda: len(platform.sessions) == 2 and len(platform.session.sent) == 3)
    assert platform.session.bodies == ["1", "3", "4"]


async def test_acknowledgements_until_the_very_end_of_a_session_count(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform
) -> None:
    platform.acknowledges = False
    await put(outbox, range(3))
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 3)
    session = platform.session
    session.at_close = lambda: session.acknowledge(1)
    await delivery.stop()
    assert outbox.queued_records == 2
    assert [record.body for record in await outbox.next(5)] == ["0", "2"]


async def test_a_restart_sends_what_was_not_acknowledged_again(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    outbox: Outbox,
    delivery: Delivery,
    platform: FakePlatform,
    health: Health,
) -> None:
    platform.acknowledges = False
    await put(outbox, range(3))
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 3)
    await delivery.stop()
    assert not health.connected
    platform.acknowledges = True
    again = Delivery(
        hass,
        entry,
        outbox=outbox,
        health=health,
        connect=platform.connect,
        pack=pack_by_destination,
        gather_s=0,
    )
    again.start()
    await until(lambda: outbox.queued_records == 0)
    assert platform.session.bodies == ["0,1,2"]
    await again.stop()


async def test_a_lost_acknowledgement_ends_the_session_and_the_packet_is_sent_again(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    outbox: Outbox,
    delivery: Delivery,
    platform: FakePlatform,
    health: Health,
) -> None:
    platform.acknowledges = False
    await put(outbox, ["lost", "2"])
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 2)
    platform.session.acknowledge(1)
    await until(lambda: outbox.queued_records == 1)
    for number in range(3, 6):  # others go on
        await pass_time(hass, freezer, ACKNOWLEDGED_WITHIN_S / 4)
        await put(outbox, [number])
        delivery.wake()
        await until(lambda: outbox.queued_records == 2)
        await until(lambda count=number: len(platform.session.sent) == count)
        platform.session.acknowledge(number - 1)
        await until(lambda: outbox.queued_records == 1)
    assert health.connected
    platform.acknowledges = True
    await pass_time(hass, freezer, ACKNOWLEDGED_WITHIN_S / 4)
    await until(lambda: not health.connected)
    assert health.last_error == "not_acknowledged"
    await pass_time(hass, freezer, 1)
    await until(lambda: outbox.queued_records == 0)
    assert platform.session.bodies == ["lost"]


async def test_a_quiet_session_is_not_taken_for_dead(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    outbox: Outbox,
    delivery: Delivery,
    platform: FakePlatform,
) -> None:
    await put(outbox, ["1"])
    delivery.start()
    await until(lambda: outbox.queued_records == 0)
    for _ in range(10):
        await pass_time(hass, freezer, ACKNOWLEDGED_WITHIN_S)
    await put(outbox, ["2"])
    delivery.wake()
    await until(lambda: outbox.queued_records == 0)
    assert len(platform.sessions) == 1


async def test_a_packet_whose_future_fails_otherwise_is_unacknowledged(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform, health: Health
) -> None:
    platform.acknowledges = False
    await put(outbox, ["1", "2"])
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 2)
    platform.session.sent[0][1].set_exception(OSError("of the transport"))
    platform.session.sent[1][1].cancel()
    await settle()
    assert health.connected
    platform.session.lose()
    await until(lambda: not health.connected)
    assert outbox.queued_records == 2


async def test_waits_grow_from_a_second_to_five_minutes(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    delivery: Delivery,
    platform: FakePlatform,
    health: Health,
) -> None:
    platform.refusals = [ConnectionFailed("cannot_connect", "nobody there") for _ in range(30)]
    delivery.start()
    await settle()
    for wait_s in (1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300):
        attempts = platform.attempts
        await pass_time(hass, freezer, wait_s - 0.6)  # firing is half a second ahead
        assert platform.attempts == attempts
        await pass_time(hass, freezer, 0.6)
        assert platform.attempts == attempts + 1
    assert (health.last_error, health.last_error_detail) == ("cannot_connect", "nobody there")


async def test_the_waits_are_drawn_from_nothing_to_the_most(
    hass: HomeAssistant, delivery: Delivery, platform: FakePlatform
) -> None:
    platform.refusals = [ConnectionFailed("cannot_connect") for _ in range(4)]
    with patch.object(connection.random, "uniform", return_value=0) as uniform:
        delivery.start()
        await until(lambda: platform.sessions)
    assert [call.args for call in uniform.call_args_list] == [(0, 1), (0, 2), (0, 4), (0, 8)]


async def test_the_waits_begin_again_after_a_session_that_lasted(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    delivery: Delivery,
    platform: FakePlatform,
    caplog: pytest.LogCaptureFixture,
) -> None:
    platform.refusals = [ConnectionFailed("cannot_connect") for _ in range(3)]
    delivery.start()
    for wait_s in (1, 2, 4):
        await pass_time(hass, freezer, wait_s)
    await until(lambda: platform.sessions)
    await pass_time(hass, freezer, 5)
    assert "connected again" not in caplog.text
    await pass_time(hass, freezer, 5)
    platform.session.lose()
    await settle()
    await pass_time(hass, freezer, 1)
    assert len(platform.sessions) == 2


async def test_short_sessions_do_not_make_a_storm(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, delivery: Delivery, platform: FakePlatform
) -> None:
    delivery.start()
    await until(lambda: platform.sessions)
    for wait_s in (1, 2, 4, 8):
        count = len(platform.sessions)
        platform.session.lose()
        await settle()
        await pass_time(hass, freezer, wait_s - 0.6)
        assert len(platform.sessions) == count
        await pass_time(hass, freezer, 0.6)
        assert len(platform.sessions) == count + 1


async def test_the_log_has_one_line_when_lost_and_one_when_back(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    delivery: Delivery,
    platform: FakePlatform,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", connection.__name__)
    delivery.start()
    await until(lambda: platform.sessions)
    await pass_time(hass, freezer, 10)
    assert [entry for entry in caplog.records if entry.name == connection.__name__] == []
    platform.refusals = [ConnectionFailed("cannot_connect") for _ in range(5)]
    platform.session.lose()
    await settle()
    for _ in range(7):
        await pass_time(hass, freezer, 60)
    lines = [entry.getMessage() for entry in caplog.records if entry.name == connection.__name__]
    assert lines == ["Platform: not connected: connection_lost", "Platform: connected again"]


async def test_refused_credentials_ask_the_user_and_are_tried_again(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    entry: MockConfigEntry,
    delivery: Delivery,
    platform: FakePlatform,
    health: Health,
) -> None:
    platform.refusals = [CredentialsRefused("invalid_auth", "wrong token") for _ in range(2)]
    with patch.object(MockConfigEntry, "async_start_reauth") as reauth:
        delivery.start()
        await settle()
        reauth.assert_called_once_with(hass)
        assert (health.connected, health.last_error) == (False, "invalid_auth")
        await pass_time(hass, freezer, 200)
        assert platform.attempts == 1
        await pass_time(hass, freezer, 140)
        assert platform.attempts == 2
        await pass_time(hass, freezer, 340)
    assert health.connected


async def test_a_refused_destination_is_tried_again_slowly(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    delivery: Delivery,
    platform: FakePlatform,
    health: Health,
    caplog: pytest.LogCaptureFixture,
) -> None:
    platform.refusals = [DestinationRefused("destination_refused", "no exchange 'metrics'")]
    delivery.start()
    await settle()
    assert health.last_error_detail == "no exchange 'metrics'"
    await pass_time(hass, freezer, 299)
    assert platform.attempts == 1
    await pass_time(hass, freezer, 40)
    assert platform.attempts == 2
    assert "no exchange" in caplog.text


async def test_an_error_may_bring_its_own_wait(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, delivery: Delivery, platform: FakePlatform
) -> None:
    platform.refusals = [ConnectionFailed("taken_over", retry_after_s=100)]
    delivery.start()
    await pass_time(hass, freezer, 80)
    assert platform.attempts == 1
    await pass_time(hass, freezer, 30)
    assert platform.attempts == 2


async def test_an_unexpected_error_is_logged_and_does_not_end_the_delivery(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    delivery: Delivery,
    platform: FakePlatform,
    health: Health,
    caplog: pytest.LogCaptureFixture,
) -> None:
    platform.refusals = [ValueError("a mistake of ours")]
    delivery.start()
    await settle()
    assert health.last_error == "unexpected_error"
    assert "a mistake of ours" in caplog.text
    caplog.clear()
    await pass_time(hass, freezer, 400)
    await until(lambda: platform.sessions)


async def test_flush_cuts_the_wait_short_and_says_how_much_was_delivered(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform
) -> None:
    platform.refusals = [DestinationRefused("destination_refused")]
    await put(outbox, range(5), samples=2)
    delivery.start()
    await until(lambda: platform.attempts == 1)
    await settle()
    assert await delivery.flush(60) == 10
    assert outbox.queued_records == 0
    assert await delivery.flush(60) == 0


async def test_flush_gives_up_after_its_time(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    outbox: Outbox,
    delivery: Delivery,
    platform: FakePlatform,
) -> None:
    platform.acknowledges = False
    await put(outbox, range(5), samples=2)
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 5)
    flush = hass.async_create_task(delivery.flush(30))
    await settle()
    platform.session.acknowledge(0)
    await until(lambda: outbox.queued_records == 4)
    await pass_time(hass, freezer, 30)
    assert await flush == 2


async def test_flush_ends_when_the_delivery_is_stopped(
    hass: HomeAssistant, outbox: Outbox, delivery: Delivery, platform: FakePlatform
) -> None:
    platform.acknowledges = False
    await put(outbox, range(5))
    delivery.start()
    await until(lambda: platform.sessions and len(platform.session.sent) == 5)
    flush = hass.async_create_task(delivery.flush(3600))
    await settle()
    await delivery.stop()
    await settle()
    assert flush.done()
    assert await flush == 0


async def test_an_outbox_that_was_cleared_is_seen_at_once(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform, health: Health
) -> None:
    platform.refusals = [ConnectionFailed("cannot_connect")]
    await put(outbox, range(5))
    delivery.start()
    assert health.queued == 5
    await outbox.clear()
    delivery.wake()
    assert (health.queued, health.dropped) == (0, 5)


async def test_stopping_is_allowed_before_the_start_and_twice(delivery: Delivery) -> None:
    await delivery.stop()
    delivery.start()
    await delivery.stop()
    await delivery.stop()


async def test_a_long_backlog_is_read_in_pieces(
    outbox: Outbox, delivery: Delivery, platform: FakePlatform
) -> None:
    await put(outbox, range(5000))
    with patch.object(outbox, "next", wraps=outbox.next) as read:
        delivery.start()
        await until(lambda: outbox.queued_records == 0)
    assert read.call_count >= 3
    assert platform.session.bodies == [str(number) for number in range(5000)]


@contextmanager
def broken_disk(outbox: Outbox) -> Iterator[None]:
    """Let the file of the outbox be neither read nor written."""
    with patch.object(outbox, "_on_file", side_effect=sqlite3.OperationalError("disk I/O error")):
        yield


async def test_what_a_failed_read_did_not_see_is_sent_a_while_later(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    outbox: Outbox,
    delivery: Delivery,
    platform: FakePlatform,
) -> None:
    await put(outbox, range(5))
    with broken_disk(outbox):
        delivery.start()
        await until(lambda: outbox.failed_reads == 3)
        await settle()
    await put(outbox, ["live"])
    delivery.wake()
    await until(lambda: outbox.queued_records == 5)
    await pass_time(hass, freezer, 60)
    await until(lambda: outbox.queued_records == 0)
    assert platform.session.bodies == ["live", *(str(number) for number in range(5))]
    assert len(platform.sessions) == 1


async def test_while_the_file_cannot_be_read_what_memory_holds_goes_out(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    outbox: Outbox,
    delivery: Delivery,
    platform: FakePlatform,
) -> None:
    await put(outbox, ["in the file"])
    with broken_disk(outbox):
        delivery.start()
        await until(lambda: outbox.failed_reads == 3)
        for number in range(5):
            failed = outbox.failed_reads
            await put(outbox, [number])
            delivery.wake()
            await until(lambda count=number + 1: outbox.delivered_samples == count)
            await pass_time(hass, freezer, 60)
            await until(lambda before=failed: outbox.failed_reads == before + 6)
            await settle()
            assert outbox.failed_reads == failed + 6  # now and then, not all the time
    assert platform.session.bodies == [str(number) for number in range(5)]
    await pass_time(hass, freezer, 60)
    await until(lambda: outbox.queued_records == 0)
    assert platform.session.bodies[-1] == "in the file"
    assert len(platform.sessions) == 1


async def test_a_forwarder_without_an_outbox_can_hold_its_connection_the_same_way(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    entry: MockConfigEntry,
    platform: FakePlatform,
    health: Health,
) -> None:
    seen: list[FakeSession] = []

    async def run(session: FakeSession) -> None:
        seen.append(session)

    connection = KeptConnection(hass, entry, health=health, connect=platform.connect, run=run)
    connection.start()
    await settle()
    assert seen == platform.sessions
    assert (len(seen), health.last_error) == (1, "connection_lost")
    await pass_time(hass, freezer, 1)
    assert len(seen) == 2
    await connection.stop()
    assert not health.connected


async def test_the_wait_is_short_after_a_session_that_delivered_something(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    outbox: Outbox,
    delivery: Delivery,
    platform: FakePlatform,
) -> None:
    platform.refusals = [ConnectionFailed("cannot_connect") for _ in range(9)]
    await put(outbox, range(3))
    delivery.start()
    for _ in range(9):
        await pass_time(hass, freezer, 300)
    await until(lambda: outbox.queued_records == 0)
    platform.session.lose()  # within the first ten seconds
    await settle()
    await pass_time(hass, freezer, 4)
    assert len(platform.sessions) == 2
