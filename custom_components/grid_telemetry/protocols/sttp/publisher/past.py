"""Temporal subscriptions: the past of signals instead of live data, from whatever keeps it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
import re
import struct
from typing import Final, Protocol
from uuid import UUID

from ..constants import ServerCommand, ServerResponse
from ..dataset import read_time
from ..frames import SttpError, response
from ..measurement import Framer, Measurement
from ..ticks import PER_SECOND
from .streams import Member, Stream

# "*" is now, "*-90m" an hour and a half ago.
_RELATIVE: Final = re.compile(r"\*\s*(?:([-+])\s*(\d{1,9})\s*([smhd]))?", re.IGNORECASE)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST_PAUSE_S: Final = 5.0
_START_TIME: Final = struct.Struct(">Q")


class History(Protocol):
    """What keeps the past of a publisher's signals."""

    def read(
        self, signal_ids: Sequence[UUID], start: datetime, stop: datetime
    ) -> AsyncIterator[Sequence[Measurement]]:
        """Yield measurements from start to stop in the order of their time, in bounded pieces.

        Raises SttpError where the past cannot be read; the text goes to the subscriber.
        """


@dataclass(frozen=True, kw_only=True)
class Past:
    """The past that a subscription asks for."""

    start: datetime
    stop: datetime
    pause_s: float
    """Between two seconds of the past; 0 is as fast as it goes."""


def read_past(asked: Mapping[str, str], now: datetime, longest: timedelta) -> Past | None:
    """Return what the settings of a subscription say; raises SttpError where it cannot be had."""
    begin, end = asked.get("starttimeconstraint"), asked.get("stoptimeconstraint")
    if not begin and not end:
        return None
    start = _time(begin or "*", now)
    stop = min(_time(end or "*", now), now)
    if start > stop:
        raise SttpError("The start of the past that is asked for lies behind its end")
    if stop - start > longest:
        raise SttpError(
            f"No more than {longest.total_seconds():.0f} s of the past are sent at once"
        )
    try:
        interval_ms = int(asked.get("processinginterval") or 0)
    except ValueError as err:
        raise SttpError("The processing interval is no whole number") from err
    return Past(start=start, stop=stop, pause_s=pause_of(interval_ms))


def pause_of(interval_ms: int) -> float:
    """Return the pause of a processing interval; -1 leaves it to the publisher."""
    return min(max(interval_ms, 0) / 1000, _LONGEST_PAUSE_S)


def _time(text: str, now: datetime) -> datetime:
    text = text.strip()
    try:
        if match := _RELATIVE.fullmatch(text):
            sign, count, unit = match.groups()
            if unit is None:
                return now
            distance = timedelta(**{_UNITS[unit.lower()]: int(count)})
            return now - distance if sign == "-" else now + distance
        return read_time(text).astimezone(UTC)
    except (OverflowError, ValueError) as err:
        raise SttpError(f"Not a time: {text[:40]!r}; use 2026-11-28 10:00:00 or *-90m") from err


async def replay(
    history: History,
    past: Past,
    signals: Mapping[int, UUID],
    *,
    stream: Stream,
    member: Member,
    ready: Callable[[], Awaitable[None]],
    pause: Callable[[], Awaitable[None]],
    encoding: str,
) -> None:
    """Send the past to a subscriber, no faster than it reads; raises SttpError.

    The time of the first measurement goes before it, and the end is told.
    """
    indexes = {signal_id.int: index for index, signal_id in signals.items()}
    framer = Framer()
    started = False
    count = 0
    async for piece in history.read([*signals.values()], past.start, past.stop):
        for second in _seconds(piece):
            frame = framer.frame(second, indexes)
            if frame is None:
                continue
            if not started:
                started = True
                member.send(
                    response(
                        ServerResponse.DATA_START_TIME,
                        ServerCommand.SUBSCRIBE,
                        _START_TIME.pack(frame.times[0]),
                    )
                )
            stream.publish([frame])
            count += len(frame)
            await ready()
            await pause()
    member.send(
        response(
            ServerResponse.PROCESSING_COMPLETE,
            ServerCommand.SUBSCRIBE,
            f"{count} measurements of the past sent".encode(encoding),
        )
    )


def _seconds(measurements: Sequence[Measurement]) -> Iterator[Sequence[Measurement]]:
    """Cut measurements into the seconds that they are of."""
    for _, second in groupby(measurements, lambda item: item.timestamp // PER_SECOND):
        yield list(second)
