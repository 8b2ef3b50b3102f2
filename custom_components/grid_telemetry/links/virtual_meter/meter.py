"""A meter that is played: its registers, filled from the states of entities as they are read."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from functools import partial
import math
from pathlib import Path
from typing import Any, Final, override
import zlib

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant

from ...const import MAP_FOLDER
from ...meters import WhenOld
from ...points.point import Point, Refusal
from ...points.reader import PointReader, PointReaders, Reading
from ...points.table import CONF_MAX_AGE_S, CONF_POINTS
from ...protocols.modbus_server import (
    ExceptionCode,
    Meter,
    NoAnswerError,
    RequestRefusedError,
)
from ...vocabulary.age import FLOW_LIMIT_S
from ...vocabulary.classes import StateClass
from ...vocabulary.quantities import QUANTITIES
from ...vocabulary.unit import (
    UnitOfApparentPower,
    UnitOfElectricCurrent,
    UnitOfPower,
    UnitOfReactivePower,
)
from .const import (
    CONF_ANY_UNIT_ID,
    CONF_POSITIVE_POWER,
    CONF_PROFILE,
    CONF_UNIT_ID,
    CONF_WHEN_OLD,
    EXPORT,
)
from .payload import Image, image_of, own_maps

STATE_LIMIT_S: Final = 300.0
"""So old a voltage or a frequency may be: nobody controls by it."""

_CONTROLLED: Final = {
    UnitOfPower.WATT,
    UnitOfReactivePower.VOLT_AMPERE_REACTIVE,
    UnitOfApparentPower.VOLT_AMPERE,
    UnitOfElectricCurrent.AMPERE,
}
# A net counter falls too, and is as wrong at 0 as any.
_COUNTED: Final = {StateClass.TOTAL, StateClass.TOTAL_INCREASING}


class Kind(Enum):
    """What a quantity is to a master, which decides on what is done when it is old."""

    FLOW = auto()
    """Power and current, which masters control by: never served when it is too old."""
    COUNTER = auto()
    """Its last value stays valid; before the first one requests for it are refused."""
    STATE = auto()
    """Voltage, frequency and so on: when it is too old it reads as if no sensor filled it."""


def kind_of(key: str) -> Kind:
    """Return what a quantity is to a master."""
    quantity = QUANTITIES[key]
    if quantity.state_class in _COUNTED:
        return Kind.COUNTER
    return Kind.FLOW if quantity.unit in _CONTROLLED else Kind.STATE


class PlayedMeter(Meter):
    """One unit, or all of a port."""

    def __init__(
        self,
        hass: HomeAssistant,
        subentry_id: str,
        unit: int,
        image: Image,
        points: Sequence[Point],
        *,
        max_age_s: int | None = None,
        when_old: WhenOld | None = None,
        any_unit_id: bool = False,
    ) -> None:
        """Take what there is to read, and where it comes from.

        `max_age_s` is for power and current; it and `when_old` are left to the profile where they
        are None.
        """
        self.subentry_id = subentry_id
        self.unit = unit
        self.any_unit_id = any_unit_id
        self.points = points
        self.image = image
        as_meter = image.as_meter
        flow_limit_s = max_age_s or as_meter.max_age_s or FLOW_LIMIT_S
        self._when_old = when_old or as_meter.when_old
        limits = {Kind.FLOW: flow_limit_s, Kind.COUNTER: math.inf, Kind.STATE: STATE_LIMIT_S}
        self.readers = PointReaders(
            hass, points, kind_limits={point: limits[kind_of(point.name)] for point in points}
        )
        self._held = {
            reader.point.name: HeldCounter(reader, self._when_old)
            for reader in self.readers.readers
            if kind_of(reader.point.name) is Kind.COUNTER
        }
        self._values: Mapping[str, Callable[[], float | None]] = {
            reader.point.name: self._value_of(reader) for reader in self.readers.readers
        }
        self._oldest_served_s: float | None = None

    @override
    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        return self.image.read(function, address, count, self._values)

    @override
    def write(self, address: int, words: Sequence[int]) -> None:
        self.image.write(address, words)

    def stale(self) -> list[str]:
        """Return the quantities that have no value now, or one that is too old."""
        return [
            reader.point.name for reader in self.readers.readers if _fresh(reader.read()) is None
        ]

    def oldest_served_s(self) -> float | None:
        """Return how old the oldest power was that was served since this was asked last."""
        oldest_s, self._oldest_served_s = self._oldest_served_s, None
        return oldest_s

    def counters_as_dict(self) -> dict[str, float]:
        """Return what a restart must not lose: what was served of the counters."""
        return {
            _key(counter.point): counter.last
            for counter in self._held.values()
            if counter.last is not None
        }

    def restore_counters(self, counters: Mapping[str, float]) -> None:
        """Go on with what `counters_as_dict` returned."""
        for counter in self._held.values():
            counter.last = counters.get(_key(counter.point))

    def _value_of(self, reader: PointReader) -> Callable[[], float | None]:
        match kind_of(reader.point.name):
            case Kind.COUNTER:
                return self._held[reader.point.name]
            case Kind.FLOW:
                return partial(self._flow, reader)
            case Kind.STATE:
                return partial(_state, reader)

    def _flow(self, reader: PointReader) -> float:
        """Return a power or a current that is not too old, or what stands for one that is."""
        if (reading := _fresh(reader.read())) is not None:
            self._oldest_served_s = max(self._oldest_served_s or 0.0, reading.age_s)
            return reading.value
        match self._when_old:
            case WhenOld.EXCEPTION:
                raise RequestRefusedError(ExceptionCode.DEVICE_FAILURE)
            case WhenOld.SILENCE:
                raise NoAnswerError
            case WhenOld.NOT_AVAILABLE:
                return math.nan
            case WhenOld.ZERO:
                return 0.0


def _fresh(reading: Reading | Refusal) -> Reading | None:
    return None if isinstance(reading, Refusal) or reading.is_stale else reading


def _state(reader: PointReader) -> float | None:
    reading = _fresh(reader.read())
    return None if reading is None else reading.value


def _key(point: Point) -> str:
    """Return what a counter is kept under: with other conversions it is another counter."""
    return f"{point.entity} {point.name} {point.unit} {point.factor} {point.offset}"


class HeldCounter:
    """Reads a counter; while it has no value, what it showed last is what was counted."""

    def __init__(self, reader: PointReader, when_old: WhenOld) -> None:
        """Begin without a value."""
        self.last: float | None = None
        self._reader = reader
        self._when_old = when_old

    @property
    def point(self) -> Point:
        """The point that it reads."""
        return self._reader.point

    def __call__(self) -> float:
        """Return the present value or the last one; before the first there is no answer."""
        reading = self._reader.read()
        if not isinstance(reading, Refusal):
            self.last = reading.value
        if self.last is not None:
            return self.last
        if self._when_old is WhenOld.SILENCE:
            raise NoAnswerError
        raise RequestRefusedError(ExceptionCode.DEVICE_FAILURE)


def own_folder(hass: HomeAssistant) -> Path:
    """Return where users keep maps of their own."""
    return Path(hass.config.path(*MAP_FOLDER))


def meter_of(hass: HomeAssistant, subentry: ConfigSubentry) -> PlayedMeter:
    """Return the meter of a subentry. Blocking: it may read files.

    Raises `UnknownMeterError`.
    """
    data: Mapping[str, Any] = subentry.data
    unit = int(data[CONF_UNIT_ID])
    sign = data.get(CONF_POSITIVE_POWER)
    image = image_of(
        data[CONF_PROFILE],
        own_maps(own_folder(hass)),
        unit=unit,
        # The same for ever, and most likely another one than that of any other meter.
        serial_number=zlib.crc32(subentry.subentry_id.encode()),
        export_positive=None if sign is None else sign == EXPORT,
    )
    points = [Point.from_dict(point) for point in data[CONF_POINTS]]
    when_old = data.get(CONF_WHEN_OLD)
    return PlayedMeter(
        hass,
        subentry.subentry_id,
        unit,
        image,
        points,
        max_age_s=data.get(CONF_MAX_AGE_S),
        when_old=None if when_old is None else WhenOld(when_old),
        any_unit_id=data.get(CONF_ANY_UNIT_ID, False),
    )
