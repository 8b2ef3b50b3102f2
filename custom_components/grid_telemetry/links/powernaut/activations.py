"""Activations: what the platform asks of a resource, and whose setpoint is in force when.

An activation sets the power of a resource from its start to its end, in watts (+ is consumption);
one without a setpoint, `null`, is a cancellation. The last word on an instant counts: a later
activation replaces earlier ones for as far as it reaches. Outside of all of them the resource
follows its baseline. Pure, no I/O.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
import math
from typing import Any, Final, Self

from .payload import MAX_WATTS, parse_json

MAX_MESSAGE_BYTES: Final = 10_000
MAX_ACTIVATIONS: Final = 2000
"""Three weeks of quarter-hours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Activation:
    """A setpoint for some time, the end not included; None is a cancellation."""

    start: datetime
    end: datetime
    watts: float | None

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


class RefusedReason(StrEnum):
    """Why an activation is not acted upon."""

    MALFORMED = "malformed"
    PAST = "past"
    TOO_MANY = "too_many"


class ActivationRefused(Exception):  # noqa: N818 - named after what happened
    """The activation is not acted upon."""

    def __init__(self, reason: RefusedReason, detail: str) -> None:
        """Take the reason and what exactly is wrong."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


type Activations = tuple[Activation, ...]
"""Activations in order that do not overlap, none of them a cancellation."""


def parse_activation(payload: bytes, now: datetime) -> Activation:
    """Return the activation in a message; raises `ActivationRefused`."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise ActivationRefused(RefusedReason.MALFORMED, f"{len(payload)} bytes")
    try:
        activation = _activation(parse_json(payload))
    except ValueError as err:
        raise ActivationRefused(RefusedReason.MALFORMED, str(err)) from err
    if activation.end <= activation.start:
        raise ActivationRefused(RefusedReason.MALFORMED, "the end is not after the start")
    if activation.end <= now:
        raise ActivationRefused(RefusedReason.PAST, f"it ended at {activation.end.isoformat()}")
    return activation


def _activation(message: object) -> Activation:
    match message:
        case {"timing": {"start": str(start), "end": str(end)}, "value": value}:
            return Activation(start=_instant(start), end=_instant(end), watts=_watts(value))
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


def apply(known: Activations, new: Activation) -> Activations:
    """Return the activations as they are with a new one; raises `ActivationRefused`."""
    kept: list[Activation] = []
    for one in known:
        if one.end <= new.start or one.start >= new.end:
            kept.append(one)
            continue
        if one.start < new.start:
            kept.append(replace(one, end=new.start))
        if one.end > new.end:
            kept.append(replace(one, start=new.end))
    if new.watts is not None:
        if len(kept) >= MAX_ACTIVATIONS:
            raise ActivationRefused(RefusedReason.TOO_MANY, f"{len(kept)} wait already")
        kept.append(new)
    return tuple(sorted(kept, key=lambda one: one.start))


def in_force(activations: Activations, now: datetime) -> Activation | None:
    """Return the activation that holds at an instant, None for the baseline."""
    return next((one for one in activations if one.start <= now < one.end), None)


def not_past(activations: Iterable[Activation], now: datetime) -> Activations:
    """Return the activations that have not ended."""
    return tuple(one for one in activations if one.end > now)


def next_change(activations: Activations, now: datetime) -> datetime | None:
    """Return the next instant at which an activation begins or ends."""
    return min(
        (instant for one in activations for instant in (one.start, one.end) if instant > now),
        default=None,
    )
