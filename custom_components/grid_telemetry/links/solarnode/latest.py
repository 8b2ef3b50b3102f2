"""The latest datum of all sources: one round of requests."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from ...connection.errors import ConnectionFailed, DestinationRefused, LinkError
from ...protocols.stomp.reply import Reply
from ...vocabulary.datum import Datum
from .client import LIMIT_REASON, NoAnswer, NodeSession
from .payload import JSON_TYPE, datum_of
from .request_batches import Plan, Request, body_of

LATEST: Final = "/setup/datum/latest"
WITHIN_S: Final = 15.0
"""A node that has not answered for so long is taken for silent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Latest:
    """What a round brought."""

    datum: list[Datum]
    unreadable: int


async def read_latest(
    session: NodeSession, plan: Plan, known: Callable[[], Collection[str]]
) -> Latest:
    """Ask for the latest datum; raises a `LinkError`, after each of which the session is over.

    `known` gives the sources that a request can be split into.
    """
    datum: list[Datum] = []
    unreadable = 0
    for request in list(plan.requests):
        try:
            reply = await _ask(session, request)
        except LinkError as err:
            if err.reason in {"connection_lost", LIMIT_REASON} and not plan.broke(request, known()):
                raise DestinationRefused(LIMIT_REASON, err.detail) from err
            raise
        plan.worked(request)
        found, bad = datum_of(reply)
        datum += found
        unreadable += bad
    return Latest(datum=datum, unreadable=unreadable)


async def _ask(session: NodeSession, request: Request) -> Reply:
    body = body_of(request)
    try:
        headers = {"content-type": JSON_TYPE} if body else None
        return await session.command(LATEST, headers, body, within_s=WITHIN_S)
    except NoAnswer as err:
        raise ConnectionFailed("solarnode_silent", str(err)) from err
