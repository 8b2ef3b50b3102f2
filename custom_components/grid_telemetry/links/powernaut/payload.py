"""What goes over Powernaut's MQTT: topics and messages. Pure translation, no I/O.

`resource/{id}/data` and `site/{id}/data` take one JSON object, or an array of them: `value` in
whole watts (+ is consumption), `soc` in whole watt-hours, `time` in epoch seconds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
import json
import math
from typing import Final

SENDABLE_S: Final = 55
"""The platform discards what is older than a minute. What is older than this is not sent: it
leaves five seconds for the way and for clocks that differ a little."""
MAX_WATTS: Final = 1_000_000_000
"""Beyond a gigawatt a reading is a fault of the meter."""
MAX_WATT_HOURS: Final = 1_000_000_000_000

_ACTIVATION_SUFFIX: Final = "/commands/setpoint"
_RESOURCE_PREFIX: Final = "resource/"


class Skip(StrEnum):
    """Why a reading is not sent."""

    STALE = "stale"
    POWER_OUT_OF_RANGE = "power_out_of_range"
    SOC_STALE = "soc_stale"
    SOC_OUT_OF_RANGE = "soc_out_of_range"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one resource or site measured at an instant."""

    at: int
    """When the power was measured, in epoch seconds."""
    watts: int
    soc_wh: int | None = None


def site_topic(site_id: str) -> str:
    """Return where the head meter's readings go."""
    return f"site/{site_id}/data"


def resource_topic(resource_id: str) -> str:
    """Return where a resource's readings go."""
    return f"{_RESOURCE_PREFIX}{resource_id}/data"


def activation_topic(resource_id: str) -> str:
    """Return where the activations of a resource come from."""
    return f"{_RESOURCE_PREFIX}{resource_id}{_ACTIVATION_SUFFIX}"


def resource_of_activation(topic: str) -> str:
    """Return the resource that a topic of activations belongs to."""
    return topic.removeprefix(_RESOURCE_PREFIX).removesuffix(_ACTIVATION_SUFFIX)


def reading(
    at: float, watts: float, soc_wh: float | None, *, capacity_wh: float | None
) -> tuple[Reading | None, Skip | None]:
    """Return what to send of a measurement, and what had to be left out of it.

    A power out of range leaves nothing to send; a state of charge out of range leaves the power.
    One that is less than a watt-hour above the capacity is full: 100 % of it, converted, can be.
    """
    if not abs(watts) <= MAX_WATTS:  # not a number is not within either
        return None, Skip.POWER_OUT_OF_RANGE
    measured, power = round(at), _whole(watts)
    if soc_wh is None:
        return Reading(measured, power), None
    most = MAX_WATT_HOURS if capacity_wh is None else capacity_wh
    if not 0 <= soc_wh < most + 1:
        return Reading(measured, power), Skip.SOC_OUT_OF_RANGE
    return Reading(measured, power, _whole(min(soc_wh, most))), None


def _whole(number: float) -> int:
    """Round half away from zero, as a meter's display does."""
    return math.floor(abs(number) + 0.5) * (-1 if number < 0 else 1)


def messages(
    readings: Sequence[Reading], limit: int | None
) -> Iterator[tuple[bytes, Sequence[Reading]]]:
    """Yield the bodies for readings of one topic with what is in each, none longer than a limit.

    An object for one reading, an array for several; a single reading is never cut.
    """
    batch: list[str] = []
    size = first = 0
    for index, one in enumerate(readings):
        text = _object(one)
        # An array of n has n + 1 characters of its own.
        if batch and limit is not None and size + len(text) + len(batch) + 2 > limit:
            yield _body(batch), readings[first:index]
            batch, size, first = [], 0, index
        batch.append(text)
        size += len(text)
    if batch:
        yield _body(batch), readings[first:]


def _body(objects: Sequence[str]) -> bytes:
    return (objects[0] if len(objects) == 1 else f"[{','.join(objects)}]").encode()


def _object(one: Reading) -> str:
    if one.soc_wh is None:
        return f'{{"value":{one.watts},"time":{one.at}}}'
    return f'{{"value":{one.watts},"soc":{one.soc_wh},"time":{one.at}}}'


def as_text(payload: bytes, limit: int = 1000) -> str:
    """Return a payload as text to show, cut to a length."""
    text = payload.decode(errors="replace")
    return text if len(text) <= limit else f"{text[:limit]}…"


def parse_json(payload: bytes) -> object:
    """Return the value of a JSON text; raises `ValueError`."""
    try:
        return json.loads(payload)
    except RecursionError as err:
        raise ValueError("nested too deep") from err
