"""A meter that is played: its registers, filled from the states of entities as they are read."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
import time
from typing import Any
import zlib

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback

from ...points.point import Point, entity_id_of, read
from ...points.table import CONF_POINTS
from .const import CONF_MAX_AGE_S, CONF_PROFILE, CONF_UNIT_ID, Profile
from .payload import Image, image_of


class PlayedMeter:
    """One unit. A value is stale when its state is none, or was not reported for `max_age_s`."""

    def __init__(
        self, hass: HomeAssistant, unit: int, image: Image, points: Sequence[Point], max_age_s: int
    ) -> None:
        """Take what there is to read, and where it comes from."""
        self.unit = unit
        self.points = points
        self._hass = hass
        self._image = image
        self._max_age_s = max_age_s
        self._entity_ids: dict[str, str | None] = {}
        self._values: Mapping[str, Callable[[], float | None]] = {
            point.name: partial(self._value, point) for point in points
        }

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        """Return registers; raises `RequestRefusedError`."""
        return self._image.read(function, address, count, self._values)

    @callback
    def forget_names(self) -> None:
        """Look the entities up anew: one was renamed, removed or added."""
        self._entity_ids.clear()

    def stale(self) -> list[str]:
        """Return the quantities that cannot be read now."""
        return [key for key, value in self._values.items() if value() is None]

    def _value(self, point: Point) -> float | None:
        try:
            entity_id = self._entity_ids[point.entity]
        except KeyError:
            entity_id = self._entity_ids[point.entity] = entity_id_of(self._hass, point)
        if entity_id is None or (state := self._hass.states.get(entity_id)) is None:
            return None
        if time.time() - state.last_reported_timestamp > self._max_age_s:
            return None
        return read(state, point)


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
    return PlayedMeter(hass, unit, image, points, data[CONF_MAX_AGE_S])
