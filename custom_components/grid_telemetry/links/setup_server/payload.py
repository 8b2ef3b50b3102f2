"""The datum of a source, made of the readings of a device."""

from collections.abc import Iterable
from datetime import UTC, datetime

from ...vocabulary.datum import Datum, Group, Property

_DIGITS = 6
"""Behind the point: less than any unit conversion adds of its own."""


def datum_of(source_id: str, readings: Iterable[tuple[Property, float, float]]) -> Datum | None:
    """Return the datum of readings, each with its time in seconds; None without any."""
    groups: dict[Group, dict[str, float]] = {group: {} for group in Group}
    newest = 0.0
    for item, value, at in readings:
        groups[item.group][item.name] = round(value, _DIGITS)
        newest = max(newest, at)
    if not newest:
        return None
    return Datum(
        created=datetime.fromtimestamp(newest, UTC),
        source_id=source_id,
        instantaneous=groups[Group.INSTANTANEOUS],
        accumulating=groups[Group.ACCUMULATING],
        status=groups[Group.STATUS],
    )
