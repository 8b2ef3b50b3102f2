"""A meter that is played: its registers, filled from the states of entities as they are read."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
import zlib

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant

from ...points.point import Point, Refusal
from ...points.reader import PointReader, PointReaders
from ...points.table import CONF_MAX_AGE_S, CONF_POINTS
from ...vocabulary.quantities import QUANTITIES
from .const import CONF_PROFILE, CONF_UNIT_ID, Profile
from .payload import Image, image_of


class PlayedMeter:
    """One unit. A value cannot be read when its state is none, or is older than it may be."""

    def __init__(
        self,
        hass: HomeAssistant,
        subentry_id: str,
        unit: int,
        image: Image,
        points: Sequence[Point],
        max_age_s: int | None,
    ) -> None:
        """Take what there is to read, and where it comes from.

        `max_age_s` is for what flows; None leaves it to how often the sources report.
        """
        self.subentry_id = subentry_id
        self.unit = unit
        self.points = points
        self.readers = PointReaders(
            hass, points, {} if max_age_s is None else dict.fromkeys(points, max_age_s)
        )
        self._image = image
        self._values: Mapping[str, Callable[[], float | None]] = {
            reader.point.name: (
                _HeldCounter(reader)
                if image.has_nan and QUANTITIES[reader.point.name].counter
                else partial(_value, reader)
            )
            for reader in self.readers.readers
        }

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        """Return registers; raises `RequestRefusedError`."""
        return self._image.read(function, address, count, self._values)

    def stale(self) -> list[str]:
        """Return the quantities that cannot be read now."""
        return [key for key, value in self._values.items() if value() is None]


def _value(reader: PointReader) -> float | None:
    reading = reader.read()
    return None if isinstance(reading, Refusal) or reading.is_stale else reading.value


class _HeldCounter:
    """Reads a counter; while it has no value, what it showed last is what was counted."""

    def __init__(self, reader: PointReader) -> None:
        """Begin without a value."""
        self._reader = reader
        self._last: float | None = None

    def __call__(self) -> float | None:
        """Return the present value or the last one; None before the first."""
        if (value := _value(self._reader)) is not None:
            self._last = value
        return self._last


def meter_of(hass: HomeAssistant, subentry: ConfigSubentry) -> PlayedMeter:
    """Return the meter of a subentry. Blocking: it may read a file."""
    data: Mapping[str, Any] = subentry.data
    unit = int(data[CONF_UNIT_ID])
    image = image_of(
        Profile(data[CONF_PROFILE]),
        unit=unit,
        # The same for ever, and most likely another one than that of any other meter.
        serial_number=zlib.crc32(subentry.subentry_id.encode()),
    )
    points = [Point.from_dict(point) for point in data[CONF_POINTS]]
    return PlayedMeter(hass, subentry.subentry_id, unit, image, points, data.get(CONF_MAX_AGE_S))
