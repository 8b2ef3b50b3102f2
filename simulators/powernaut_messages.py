"""What Powernaut takes on its data topics, and why it does not take the rest.

Written from the platform's own page, independently of the integration: MQTT 5, QoS 1 or 2, never
retained, integers only, nothing older than a minute, topics of known sites and resources.
"""

from collections.abc import Container
from dataclasses import dataclass
import json
from typing import Any

MAX_AGE_S = 60
MAX_AHEAD_S = 5
FIELDS = {"value", "soc", "time"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One element of a message."""

    topic: str
    value: int
    soc: int | None
    time: int
    arrived_at: float
    """When the message came, in epoch seconds."""
    batch: int
    """How many elements the message had."""


class RefusedError(Exception):
    """The platform would discard this."""


def read(
    topic: str,
    payload: bytes,
    *,
    qos: int,
    retained: bool,
    known_topics: Container[str],
    arrived_at: float,
) -> list[Reading]:
    """Return the readings of a message; raises `RefusedError`."""
    if qos == 0:
        raise RefusedError("QoS 0")
    if retained:
        raise RefusedError("retained")
    if topic not in known_topics:
        raise RefusedError("unknown topic")
    try:
        message = json.loads(payload)
    except ValueError as err:
        raise RefusedError(f"no JSON: {err}") from err
    elements = message if isinstance(message, list) else [message]
    if not elements:
        raise RefusedError("empty array")
    return [_reading(topic, element, arrived_at, len(elements)) for element in elements]


def _reading(topic: str, element: Any, arrived_at: float, batch: int) -> Reading:
    if not isinstance(element, dict) or not {"value"} <= element.keys() <= FIELDS:
        raise RefusedError(f"fields of {element!r}")
    for field, number in element.items():
        if type(number) is not int:
            raise RefusedError(f"{field} is no integer: {number!r}")
    at = element.get("time", int(arrived_at))
    if at < arrived_at - MAX_AGE_S:
        raise RefusedError(f"{arrived_at - at:.1f} s old")
    if at > arrived_at + MAX_AHEAD_S:
        raise RefusedError(f"{at - arrived_at:.1f} s ahead")
    if topic.startswith("site/") and "soc" in element:
        raise RefusedError("a site has no state of charge")
    if element.get("soc", 0) < 0:
        raise RefusedError("negative state of charge")
    return Reading(
        topic=topic,
        value=element["value"],
        soc=element.get("soc"),
        time=at,
        arrived_at=arrived_at,
        batch=batch,
    )
