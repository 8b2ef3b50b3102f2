"""What the platform refuses is found out, set aside or paused, and stops nothing else."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.connection import kept
from custom_components.grid_telemetry.connection.errors import (
    Blame,
    ConnectionFailed,
    SendingRefused,
)
from custom_components.grid_telemetry.connection.health import Health
from custom_components.grid_telemetry.outbox.delivery import Delivery
from custom_components.grid_telemetry.outbox.packet import Packet
from custom_components.grid_telemetry.outbox.store import (
    Destination,
    Lane,
    Limits,
    Outbox,
    Record,
    RefusedRecord,
)

from .platform import FakePlatform, Judge, pack, pack_by_destination, settle
from .test_delivery import pass_time

METRIC = Destination("METRIC", "MAIN")
EVENT = Destination("EVENT", "MAIN")
WAVEFORM = Destination("WAVEFORM", "MAIN")


class Home:
    """A delivery to a platform that refuses something, and what was noticed of it."""

    def __init__(self, hass: HomeAssistant, freezer: FrozenDateTimeFactory, outbox: Outbox) -> None:
        self.hass = hass
        self.freezer = freezer
        self.outbox = outbox
        self.platform = FakePlatform()
        self.health = Health()
        self.paused: list[tuple[str, str | None]] = []
        self.greetings = 0
        self.delivery: Delivery

    async def put(self, destination: Destination, *bodies: object) -> None:
        lane = Lane.SAMPLES if destination is METRIC else Lane.MESSAGES
        await self.outbox.put(
            [Record(destination, 1_000, str(body), 1, lane=lane) for body in bodies]
        )
        self.delivery.wake()

    def greet(self) -> list[Packet]:
        self.greetings += 1
        return [Packet(samples=1, destination=EVENT, body=b"hello")]

    async def run(self, until: Callable[[], bool], within_s: float = 10) -> None:
        """Let time pass, until something is so."""
        step_s = 0.5 if within_s <= 30 else 10
        for _ in range(round(within_s / step_s)):
            await pass_time(self.hass, self.freezer, step_s)
            for _ in range(4):
                if until():
                    return
                await settle()
        raise AssertionError("it never came to that")

    @property
    def taken(self) -> list[str]:
        return [
            packet.body.decode()
            for session in self.platform.sessions
            for packet, future in session.sent
            if future.done() and not future.cancelled() and future.exception() is None
        ]

    async def refused(self) -> list[RefusedRecord]:
        return await self.outbox.refused(100)


@pytest.fixture(autouse=True)
def no_luck() -> Iterator[None]:
    with patch.object(kept.random, "uniform", side_effect=lambda _, most: most):
        yield


@pytest.fixture(params=[pack, pack_by_destination], ids=["single", "joined"])
async def home(
    request: pytest.FixtureRequest,
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    entry: MockConfigEntry,
    tmp_path: Path,
) -> AsyncIterator[Home]:
    outbox = Outbox(
        tmp_path / "outbox.db",
        limits=Limits(max_age_s=1e9, max_samples=100_000),
        on_trouble=lambda *_: None,
    )
    await outbox.open()
    home = Home(hass, freezer, outbox)
    home.delivery = Delivery(
        hass,
        entry,
        outbox=outbox,
        health=home.health,
        connect=home.platform.connect,
        pack=request.param,
        greet=home.greet,
        on_paused=lambda kind, words: home.paused.append((kind, words)),
        gather_s=0,
    )
    yield home
    await home.delivery.stop()
    await outbox.close()


def over(word: str, blame: Blame) -> Judge:
    """Refuse packets in which a word stands."""
    return lambda packet: (
        SendingRefused("no", f"no {word}", blame=blame) if word in packet.body.decode() else None
    )


def over_kind(kind: str, blame: Blame) -> Judge:
    """Refuse packets of a kind."""
    return lambda packet: (
        SendingRefused("no", f"no {kind}", blame=blame) if packet.destination.kind == kind else None
    )


async def fill(home: Home) -> None:
    await home.put(WAVEFORM, "poison")
    await home.put(EVENT, "event 1", "event 2")
    await home.put(METRIC, *range(20))


def split(bodies: Iterable[str]) -> list[str]:
    return [each for body in bodies for each in body.split(",")]


@pytest.mark.parametrize("blame", [Blame.PACKET, Blame.KIND, Blame.UNKNOWN])
async def test_one_refused_message_does_not_stop_the_others(home: Home, blame: Blame) -> None:
    home.platform.judge = over("poison", blame)
    await fill(home)
    home.delivery.start()
    await home.run(lambda: home.outbox.queued_records == (0 if blame is Blame.PACKET else 1))
    assert sorted(set(split(home.taken))) == sorted(
        ["hello", "event 1", "event 2", *map(str, range(20))]
    )
    assert home.greetings == 1
    assert len(home.platform.sessions) <= 4
    if blame is Blame.PACKET:
        [refused] = await home.refused()
        assert (refused.body, refused.reason) == ("poison", "no poison")
        await home.run(lambda: home.health.refused == 1)
    if blame is Blame.KIND:
        assert home.paused == [("WAVEFORM", "no poison")]


@pytest.mark.parametrize("blame", [Blame.PACKET, Blame.UNKNOWN])
async def test_a_bad_record_among_good_ones_of_its_kind_is_set_aside(
    home: Home, blame: Blame
) -> None:
    home.platform.judge = over("poison", blame)
    await home.put(METRIC, *range(5), "poison", *range(5, 10))
    home.delivery.start()
    await home.run(lambda: home.outbox.queued_records == 0, within_s=400)
    assert sorted(set(split(home.taken))) == sorted(["hello", *map(str, range(10))])
    assert [refused.body for refused in await home.refused()] == ["poison"]
    assert home.health.dropped == 0
    assert home.paused == []


@pytest.mark.parametrize("blame", [Blame.KIND, Blame.UNKNOWN])
async def test_a_kind_that_is_refused_pauses_and_is_taken_again_when_it_may(
    home: Home, blame: Blame
) -> None:
    home.platform.judge = over_kind("METRIC", blame)
    await home.put(METRIC, "1")
    home.delivery.start()
    await home.run(lambda: len(home.platform.sessions) >= 2)
    await home.put(METRIC, "2")
    await home.run(lambda: bool(home.paused))
    assert home.paused == [("METRIC", "no METRIC")]
    logins = len(home.platform.sessions)
    assert logins <= 5
    await home.put(EVENT, "event")
    await home.run(lambda: "event" in split(home.taken), within_s=2)
    for number in range(3, 8):
        await home.put(METRIC, number)
        await home.run(lambda: True)
    assert len(home.platform.sessions) - logins <= 1
    assert home.health.connected
    await home.run(lambda: len(home.platform.sessions) >= logins + 2, within_s=700)
    assert home.paused[-1] == ("METRIC", "no METRIC")
    home.platform.judge = None
    home.platform.session.judge = None
    await home.run(lambda: home.outbox.queued_records == 0, within_s=700)
    assert home.paused[-1] == ("METRIC", None)
    assert await home.refused() == []
    assert home.greetings == 1


async def test_a_broker_that_restarts_convicts_nobody(home: Home) -> None:
    ends = iter([ConnectionFailed("connection_lost", "1012") for _ in range(4)])
    home.platform.judge = lambda packet: next(ends, None) if b"poison" in packet.body else None
    await fill(home)
    home.delivery.start()
    await home.run(lambda: home.outbox.queued_records == 0, within_s=300)
    assert await home.refused() == []
    assert home.paused == []
    assert home.greetings > 1  # each was an outage


async def test_a_greeting_that_is_refused_is_left_out(home: Home) -> None:
    home.platform.judge = over("hello", Blame.PACKET)
    await home.put(METRIC, "1")
    home.delivery.start()
    await home.run(lambda: home.outbox.queued_records == 0)
    assert home.taken == ["1"]
    assert home.greetings == 1


async def test_refused_messages_can_be_sent_again_and_deleted(home: Home) -> None:
    home.platform.judge = over("poison", Blame.PACKET)
    await home.put(METRIC, "poison 1")
    await home.put(METRIC, "poison 2")
    home.delivery.start()
    await home.run(lambda: home.outbox.refused_records == 2, within_s=30)
    home.platform.judge = None
    home.platform.session.judge = None
    newest, _ = await home.refused()
    assert await home.outbox.retry_refused([newest.id]) == 1
    home.delivery.wake()
    await home.run(lambda: "poison 2" in home.taken)
    assert [refused.body for refused in await home.refused()] == ["poison 1"]
    assert await home.outbox.delete_refused() == 1
    assert (home.outbox.refused_records, home.outbox.dropped_samples) == (0, 1)
