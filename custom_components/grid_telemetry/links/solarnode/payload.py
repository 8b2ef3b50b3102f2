"""What a node says of its sources: replies to texts and numbers."""

from dataclasses import dataclass
from datetime import UTC, datetime
import json
from math import isfinite
from typing import Final

from ...connection.errors import ConnectionFailed
from ...protocols.stomp.reply import Reply
from ...vocabulary.datum import Datum, Value

JSON_TYPE: Final = "application/json;charset=utf-8"
_MAX_STATE_CHARS: Final = 255
_MAX_DETAIL: Final = 200


@dataclass(frozen=True, kw_only=True)
class LiveMessage:
    """What came on a live subscription: values, or the status that says why not."""

    status: int
    message: str | None
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveDatum:
    """Values of a source, as they come live."""

    at: datetime
    values: dict[str, float]


def datum_of(reply: Reply) -> tuple[list[Datum], int]:
    """Return the datum of a reply to `/setup/datum/latest`, and how many could not be read.

    Raises ConnectionFailed where it is no such reply.
    """
    if reply.status != 200:
        detail = f"{reply.status} {reply.message or ''}".rstrip()[:_MAX_DETAIL]
        raise ConnectionFailed("solarnode_no_datum", detail)
    items = reply.result
    if not isinstance(items, list):
        raise ConnectionFailed("solarnode_bad_answer", "the latest datum are no list")
    datum = []
    for item in items:
        try:
            datum.append(Datum.from_dict(item))
        except ValueError:
            continue
    return datum, len(items) - len(datum)


def live_datum_of(message: LiveMessage) -> LiveDatum | None:
    """Return the values of a live message; None where it cannot be read."""
    try:
        data = json.loads(message.body)
        at = datetime.fromtimestamp(data["t"] / 1000, UTC)
    except ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError:
        return None
    return LiveDatum(
        at=at,
        values={
            name: value
            for name, value in data.items()
            if name != "t" and isinstance(value, int | float) and not isinstance(value, bool)
        },
    )


def state_of(value: Value) -> Value | None:
    """Return what a sensor can show of a value; None where there is nothing to show."""
    if isinstance(value, str):
        return value[:_MAX_STATE_CHARS]
    try:
        return value if isfinite(value) else None
    except OverflowError:  # an integer beyond all floats
        return None
