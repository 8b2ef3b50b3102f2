"""Activation setpoints: what the platform commands, and what is in force when.

A command sets the power of a resource for a window of time, in watts (+ is consumption); `null`
takes a window back. The last word on an instant counts: a later command replaces earlier ones for
as far as it reaches. Outside every window the resource follows its baseline. Pure, no I/O.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
import math
from typing import Any, Final, Self

from .payload import MAX_WATTS, parse_json

MAX_COMMAND_BYTES: Final = 10_000
MAX_WINDOWS: Final = 2000
"""Three weeks of quarter-hours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Activation:
    """A setpoint for a window of time, the end not included."""

    start: datetime
    end: datetime
    watts: float

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for the storage."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "watts": self.watts,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return what `as_dict` wrote."""
        return cls(
            start=datetime.fromisoformat(data["start"]),
            end=datetime.fromisoformat(data["end"]),
            watts=data["watts"],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """What the platform asks for; None watts is a cancellation."""

    start: datetime
    end: datetime
    watts: float | None


class RefusedReason(StrEnum):
    """Why a command is not acted upon."""

    MALFORMED = "malformed"
    PAST = "past"
    TOO_MANY = "too_many"


class CommandRefused(Exception):  # noqa: N818 - named after what happened
    """The command is not acted upon."""

    def __init__(self, reason: RefusedReason, detail: str) -> None:
        """Take the reason and what exactly is wrong."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


type Windows = tuple[Activation, ...]
"""Activations in order that do not overlap."""


def parse_command(payload: bytes, now: datetime) -> Command:
    """Return the command in a message; raises `CommandRefused`."""
    if len(payload) > MAX_COMMAND_BYTES:
        raise CommandRefused(RefusedReason.MALFORMED, f"{len(payload)} bytes")
    try:
        command = _command(parse_json(payload))
    except ValueError as err:
        raise CommandRefused(RefusedReason.MALFORMED, str(err)) from err
    if command.end <= command.start:
        raise CommandRefused(RefusedReason.MALFORMED, "the window ends before it starts")
    if command.end <= now:
        raise CommandRefused(RefusedReason.PAST, f"the window ended at {command.end.isoformat()}")
    return command


def _command(message: object) -> Command:
    match message:
        case {"timing": {"start": str(start), "end": str(end)}, "value": value}:
            return Command(start=_instant(start), end=_instant(end), watts=_watts(value))
        case _:
            raise ValueError("timing.start, timing.end or value is missing")


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    try:
        return instant.astimezone(UTC)
    except OverflowError as err:
        raise ValueError(f"{text} is out of range") from err


def _watts(value: object) -> float | None:
    """Return a setpoint in watts; over MQTT it is a JSON number, unlike in the REST API."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"value is no number: {value!r}"[:200])  # noqa: TRY004 - of the message
    if not abs(value) <= MAX_WATTS:
        raise ValueError(f"value is out of range: {value!r}"[:200])
    return int(value) if value == math.trunc(value) else value


def apply(windows: Windows, command: Command) -> Windows:
    """Return the windows as they are after a command; raises `CommandRefused`."""
    kept: list[Activation] = []
    for window in windows:
        if window.end <= command.start or window.start >= command.end:
            kept.append(window)
            continue
        if window.start < command.start:
            kept.append(_part(window, window.start, command.start))
        if window.end > command.end:
            kept.append(_part(window, command.end, window.end))
    if command.watts is not None:
        if len(kept) >= MAX_WINDOWS:
            raise CommandRefused(RefusedReason.TOO_MANY, f"{len(kept)} windows wait already")
        kept.append(Activation(start=command.start, end=command.end, watts=command.watts))
    return tuple(sorted(kept, key=lambda window: window.start))


def _part(window: Activation, start: datetime, end: datetime) -> Activation:
    return Activation(start=start, end=end, watts=window.watts)


def in_force(windows: Windows, now: datetime) -> Activation | None:
    """Return the activation that holds at an instant, None for the baseline."""
    return next((window for window in windows if window.start <= now < window.end), None)


def not_past(windows: Iterable[Activation], now: datetime) -> Windows:
    """Return the windows that have not ended."""
    return tuple(window for window in windows if window.end > now)


def next_change(windows: Windows, now: datetime) -> datetime | None:
    """Return the next instant at which a window begins or ends."""
    return min(
        (instant for window in windows for instant in (window.start, window.end) if instant > now),
        default=None,
    )
