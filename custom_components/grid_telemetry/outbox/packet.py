"""Packets: what goes out in one piece, and the session that takes it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from .store import Destination, StoredRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What goes out in one piece and is acknowledged in one piece."""

    ids: tuple[int, ...] = ()
    """The outbox records in it; none for what is not worth keeping."""
    samples: int
    destination: Destination
    body: bytes
    in_order: bool = False
    """Wait until the one before it, to the same destination, is acknowledged.

    Of two that are under way the platform may keep the second only, and get the first again.
    """


type Pack = Callable[[Sequence[StoredRecord]], Iterable[Packet]]
"""Joins records, to any destinations and in order, into packets."""


class Session(Protocol):
    """One live connection to a platform."""

    async def publish(self, packet: Packet) -> asyncio.Future[None]:
        """Send a packet; returns when the transport took it.

        The future resolves when the platform acknowledges. It may fail with a `LinkError`,
        which ends the session; any other failure only leaves the packet unacknowledged.
        Raises a `LinkError`.
        """

    async def closed(self) -> NoReturn:
        """Wait for the end of the connection and raise a `LinkError` that says why."""
