"""A platform that does what a test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from typing import NoReturn

from custom_components.grid_telemetry.connection.errors import ConnectionFailed
from custom_components.grid_telemetry.outbox.packet import Packet
from custom_components.grid_telemetry.outbox.store import StoredRecord

type Judge = Callable[[Packet], Exception | None]
"""Says over which packets the platform ends a session, and how."""


class FakeSession:
    def __init__(self, *, acknowledges: bool, judge: Judge | None = None) -> None:
        self.acknowledges = acknowledges
        self.judge = judge
        self.refused = False
        self.sent: list[tuple[Packet, asyncio.Future[None]]] = []
        self.end: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
        self.blocked: asyncio.Event | None = None
        self.at_close: Callable[[], None] = lambda: None

    async def publish(self, packet: Packet) -> asyncio.Future[None]:
        if self.blocked is not None:
            await self.blocked.wait()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent.append((packet, future))
        if self.refused:
            return future
        if self.judge is not None and (error := self.judge(packet)) is not None:
            # The broker took what came before, and the end is on its way.
            self.refused = True
            asyncio.get_running_loop().call_later(0, self.lose, error)
        elif self.acknowledges:
            future.set_result(None)
        return future

    async def closed(self) -> NoReturn:
        await asyncio.shield(self.end)
        raise AssertionError

    def lose(self, error: Exception | None = None) -> None:
        if self.end.done():
            return
        self.end.set_exception(error or ConnectionFailed("connection_lost"))
        self.end.exception()  # closed() may not listen any more

    def acknowledge(self, number: int) -> None:
        self.sent[number][1].set_result(None)

    @property
    def bodies(self) -> list[str]:
        return [packet.body.decode() for packet, _ in self.sent]


class FakePlatform:
    """Opens sessions; `refusals` are raised first, one an attempt."""

    def __init__(self, *, acknowledges: bool = True) -> None:
        self.acknowledges = acknowledges
        self.refusals: list[Exception] = []
        self.judge: Judge | None = None
        self.attempts = 0
        self.sessions: list[FakeSession] = []

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[FakeSession]:
        self.attempts += 1
        if self.refusals:
            raise self.refusals.pop(0)
        session = FakeSession(acknowledges=self.acknowledges, judge=self.judge)
        self.sessions.append(session)
        try:
            yield session
        finally:
            session.at_close()

    @property
    def session(self) -> FakeSession:
        return self.sessions[-1]


def pack(records: Sequence[StoredRecord]) -> Iterator[Packet]:
    """One packet a record."""
    for record in records:
        yield packet_of([record])


def pack_by_destination(records: Sequence[StoredRecord]) -> Iterator[Packet]:
    for _, group in groupby(records, lambda record: record.destination):
        yield packet_of(list(group))


def packet_of(records: Iterable[StoredRecord]) -> Packet:
    records = list(records)
    return Packet(
        ids=tuple(record.id for record in records),
        samples=sum(record.samples for record in records),
        destination=records[0].destination,
        body=",".join(record.body for record in records).encode(),
    )


async def until(condition: Callable[[], object]) -> None:
    """Let everything run that can, until the condition holds."""
    for _ in range(200_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


async def settle() -> None:
    """Let everything run that can, for what must not happen."""
    for _ in range(200):
        await asyncio.sleep(0)
