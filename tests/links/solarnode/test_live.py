"""How a live subscription goes on, by what comes on it."""

import asyncio
from collections.abc import Callable
import json
from typing import Self
from unittest.mock import patch

import pytest

from custom_components.grid_telemetry.links.solarnode.live import follow_live
from custom_components.grid_telemetry.links.solarnode.payload import LiveDatum, LiveMessage

from .conftest import WITHIN_S, until

LIVE = "custom_components.grid_telemetry.links.solarnode.live"


class Session:
    """A session whose subscriptions a test fills."""

    def __init__(self, known: bool = True) -> None:
        self.known = known
        self.takes: list[Callable[[LiveMessage], None]] = []
        self.ended: list[str] = []

    async def subscribe_live(
        self,
        source: str,
        interval_s: float,
        take: Callable[[LiveMessage], None],
        *,
        within_s: float,
    ) -> str | None:
        if not self.known:
            return None
        self.takes.append(take)
        return str(len(self.takes))

    async def unsubscribe_live(self, live_id: str) -> None:
        self.ended.append(live_id)


def watts(value: int) -> LiveMessage:
    return LiveMessage(status=200, message=None, body=json.dumps({"t": 1, "watts": value}))


def status(number: int) -> LiveMessage:
    return LiveMessage(status=number, message="said so", body="")


class Follower:
    """Follows a source until it is left."""

    def __init__(self, session: Session) -> None:
        self.seen: list[float] = []
        self.task = asyncio.create_task(
            follow_live(session, "/meter/1", self._take)  # type: ignore[arg-type]
        )

    def _take(self, source: str, datum: LiveDatum) -> None:
        assert source == "/meter/1"
        self.seen.append(datum.values["watts"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


async def test_values_are_taken_and_what_cannot_be_read_is_passed_over() -> None:
    session = Session()
    async with Follower(session) as follower:
        await until(lambda: session.takes)
        session.takes[0](watts(1))
        session.takes[0](LiveMessage(status=200, message=None, body="nonsense"))
        session.takes[0](status(503))  # the datum are late
        session.takes[0](watts(2))
        await until(lambda: follower.seen == [1, 2])
    assert len(session.takes) == 1


async def test_one_that_expired_is_renewed_at_once() -> None:
    session = Session()
    async with Follower(session) as follower:
        await until(lambda: session.takes)
        session.takes[0](status(410))
        await until(lambda: len(session.takes) == 2)
        session.takes[1](watts(3))
        await until(lambda: follower.seen == [3])
    assert session.ended == ["1"]


@pytest.mark.parametrize("number", [404, 422, 429, 0])
async def test_one_that_was_refused_is_tried_again_later(number: int) -> None:
    session = Session()
    with patch(f"{LIVE}.RETRY_S", 3600):
        async with Follower(session):
            await until(lambda: session.takes)
            session.takes[0](status(number))
            await until(lambda: session.ended)
            assert len(session.takes) == 1
    session = Session()
    with patch(f"{LIVE}.RETRY_S", 0.02):
        async with Follower(session):
            await until(lambda: session.takes)
            session.takes[0](status(number))
            await until(lambda: len(session.takes) > 1)


async def test_one_that_falls_silent_is_made_anew() -> None:
    session = Session()
    with patch(f"{LIVE}.RETRY_S", 0.02):
        async with Follower(session):
            await until(lambda: len(session.takes) > 1)
    assert session.ended


async def test_a_node_that_does_not_know_it_is_left_alone() -> None:
    follower = Follower(Session(known=False))
    async with asyncio.timeout(WITHIN_S):
        assert await follower.task is False
