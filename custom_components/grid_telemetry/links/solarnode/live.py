"""Live datum: what a newer node streams of a few sources, for a quarter of an hour at a time."""

import asyncio
from collections.abc import Callable
from typing import Final

from .client import NodeSession
from .payload import LiveDatum, LiveMessage, live_datum_of

INTERVAL_S: Final = 1.0
"""The fastest that nodes allow."""
KNOWN_WITHIN_S: Final = 10.0
"""A node that gave no receipt for so long does not know live datum."""
RETRY_S: Final = 60.0
"""The wait after a node refused, and how long one may send nothing."""

_EXPIRED: Final = 410


async def follow_live(
    session: NodeSession, source: str, take: Callable[[str, LiveDatum], None]
) -> bool:
    """Stream a source to `take`, again and again; False where the node does not know that.

    Raises a `LinkError` when the connection ends, if that is noticed here first.
    """
    while True:
        messages: asyncio.Queue[LiveMessage] = asyncio.Queue()
        live_id = await session.subscribe_live(
            source, INTERVAL_S, messages.put_nowait, within_s=KNOWN_WITHIN_S
        )
        if live_id is None:
            return False
        status = await _take_until_end(source, messages, take)
        await session.unsubscribe_live(live_id)
        if status != _EXPIRED:
            await asyncio.sleep(RETRY_S)


async def _take_until_end(
    source: str, messages: asyncio.Queue[LiveMessage], take: Callable[[str, LiveDatum], None]
) -> int | None:
    """Return the status that ended a subscription; None where it fell silent."""
    while True:
        try:
            async with asyncio.timeout(RETRY_S):
                message = await messages.get()
        except TimeoutError:
            return None
        if message.status == 200:
            if (datum := live_datum_of(message)) is not None:
                take(source, datum)
        elif message.status != 503:
            # 503 may be no more than a word on datum that are late; then the silence tells.
            return message.status
