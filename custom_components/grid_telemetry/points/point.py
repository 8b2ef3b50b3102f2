"""Points: which entity goes under which name, in which unit, and how its state becomes a number."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
import math
from typing import Any, Self

from homeassistant.const import (
    ATTR_RESTORED,
    ATTR_UNIT_OF_MEASUREMENT,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.util import unit_conversion as uc

from ..vocabulary.unit import canonical, factor_between

# Left out: differences of temperature, and concentrations of one gas. The units alone do not tell
# them from a temperature, or one gas from the other.
_CONVERTERS: tuple[type[uc.BaseUnitConverter], ...] = (
    uc.PowerConverter,
    uc.EnergyConverter,
    uc.ElectricPotentialConverter,
    uc.ElectricCurrentConverter,
    uc.ReactivePowerConverter,
    uc.ReactiveEnergyConverter,
    uc.ApparentPowerConverter,
    uc.FrequencyConverter,
    uc.UnitlessRatioConverter,
    uc.TemperatureConverter,
    uc.DurationConverter,
    uc.VolumeConverter,
    uc.VolumeFlowRateConverter,
    uc.PressureConverter,
    uc.DistanceConverter,
    uc.AreaConverter,
    uc.MassConverter,
    uc.SpeedConverter,
    uc.EnergyDistanceConverter,
    uc.ConductivityConverter,
    uc.MassVolumeConcentrationConverter,
    uc.InformationConverter,
    uc.DataRateConverter,
)


class Take(StrEnum):
    """How the value of an interval is taken."""

    INSTANT = "instant"
    """What it is at the end of the interval."""
    MEAN = "mean"
    """The mean over the interval, weighted by time."""
    MINIMUM = "minimum"
    MAXIMUM = "maximum"


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One entity, mapped to one name on a platform."""

    entity: str
    """Entity registry id, which survives a rename; entity_id where there is no registry entry."""
    name: str
    """Name on the platform."""
    unit: str | None = None
    """Unit the platform wants; None takes the value as it is."""
    factor: float = 1.0
    """Applied after the unit conversion."""
    offset: float = 0.0
    """Added after the factor: what a counter showed that this one took the place of."""
    take: Take = Take.INSTANT
    guard: bool | None = None
    """Whether falls and leaps are held until confirmed; None does so for what only increases."""
    max_age_s: float | None = None
    """How old a value may be; infinite is while available, None leaves it to the kind of value."""
    missing_as_zero: bool = False
    """Whether a sum goes on with 0 while there is no value."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the point that `as_dict` wrote; only entity and name are always there."""
        max_age_s = data.get("max_age_s")
        return cls(
            entity=data["entity"],
            name=data["name"],
            unit=data.get("unit"),
            factor=float(data.get("factor", 1.0)),
            offset=float(data.get("offset", 0.0)),
            take=Take(data.get("take", Take.INSTANT)),
            guard=data.get("guard"),
            # JSON has no infinity; 0 seconds make no sense as a limit.
            max_age_s=math.inf if max_age_s == 0 else max_age_s,
            missing_as_zero=data.get("missing_as_zero", False),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the point as plain data for a config entry; what is usual is left out."""
        data: dict[str, Any] = {
            "entity": self.entity,
            "name": self.name,
            "unit": self.unit,
            "factor": self.factor,
        }
        if self.offset:
            data["offset"] = self.offset
        if self.take is not Take.INSTANT:
            data["take"] = str(self.take)
        if self.guard is not None:
            data["guard"] = self.guard
        if self.max_age_s is not None:
            data["max_age_s"] = 0 if math.isinf(self.max_age_s) else self.max_age_s
        if self.missing_as_zero:
            data["missing_as_zero"] = True
        return data


class Refusal(StrEnum):
    """Why a state gives no number."""

    MISSING = "missing"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"
    NOT_NUMERIC = "not_numeric"
    NOT_FINITE = "not_finite"
    WRONG_UNIT = "wrong_unit"
    STALE = "stale"
    """Older than the point allows."""
    NOT_CONFIRMED = "not_confirmed"
    """The first reading of a counter, which may be the zero of a meter that is not ready yet."""
    FAILED = "failed"
    """Something failed that nobody expects; the log has it."""


@callback
def entity_id_of(hass: HomeAssistant, point: Point) -> str | None:
    """Return the present entity_id of a point, None when its registry entry is gone."""
    return entity_id_behind(hass, point.entity)


@callback
def entity_id_behind(hass: HomeAssistant, reference: str) -> str | None:
    """Return the present entity_id of what `reference_of` gave, None when its entry is gone."""
    return er.async_resolve_entity_id(er.async_get(hass), reference)


@callback
def moves_one_of(
    event_data: er.EventEntityRegistryUpdatedData, followed: Collection[str], *, all_there: bool
) -> bool:
    """Return whether one of some entities has another name or is gone, or a missing one came.

    A filter for `EVENT_ENTITY_REGISTRY_UPDATED`, for who follows entities under their names.
    """
    if event_data["action"] == "create":
        return not all_there
    before = event_data.get("old_entity_id", event_data["entity_id"])
    return before in followed and moves_an_entity(event_data)


@callback
def moves_an_entity(event_data: er.EventEntityRegistryUpdatedData) -> bool:
    """Return whether an entity was added, removed or renamed, so that its name is looked up anew.

    A filter for `EVENT_ENTITY_REGISTRY_UPDATED`, which also tells of changes that do not matter.
    """
    return event_data["action"] != "update" or "old_entity_id" in event_data


@callback
def reference_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return what `Point.entity` stores for an entity_id."""
    entry = er.async_get(hass).async_get(entity_id)
    return entity_id if entry is None else entry.id


def _unchanged(value: float) -> float:
    return value


@lru_cache(maxsize=512)
def _conversion(from_unit: str | None, to_unit: str | None) -> Callable[[float], float] | None:
    """Return the function that converts between two different units, None if there is none.

    Units may be written in any way that is known.
    """
    from_unit, to_unit = canonical(from_unit), canonical(to_unit)
    if from_unit == to_unit:
        return _unchanged
    if (factor := factor_between(from_unit, to_unit)) is not None:
        return lambda value: value * factor
    for converter in _CONVERTERS:
        if from_unit in converter.VALID_UNITS and to_unit in converter.VALID_UNITS:
            return converter.converter_factory(from_unit, to_unit)
    return None


def can_convert(from_unit: str | None, to_unit: str | None) -> bool:
    """Return whether values can be brought from one unit to the other."""
    return from_unit == to_unit or _conversion(from_unit, to_unit) is not None


def unit_in(state: State) -> str | None:
    """Return the unit that a state is in; whoever sets states by REST may write anything."""
    unit = state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)
    return unit if isinstance(unit, str) else None


def evaluate(state: State | None, point: Point) -> float | Refusal:
    """Return the number that a state is for a point, or why it is none."""
    if state is None:
        return Refusal.MISSING
    text = state.state
    if text == STATE_UNAVAILABLE or ATTR_RESTORED in state.attributes:
        return Refusal.UNAVAILABLE
    if text == STATE_UNKNOWN:
        return Refusal.UNKNOWN
    try:
        value = float(text)
    except ValueError:
        return Refusal.NOT_NUMERIC
    if "_" in text:
        return Refusal.NOT_NUMERIC  # a number in Python's source only
    return _adapt(value, unit_in(state), point)


def read(state: State | None, point: Point) -> float | None:
    """Return the number that a state is for a point, None when it is none."""
    value = evaluate(state, point)
    return None if isinstance(value, Refusal) else value


def convert(value: float, unit: str | None, point: Point) -> float | None:
    """Return a value that comes in a unit as the point wants it, None when that cannot be."""
    result = _adapt(value, unit, point)
    return None if isinstance(result, Refusal) else result


def _adapt(value: float, unit: str | None, point: Point) -> float | Refusal:
    """Convert, apply the factor and let only finite numbers pass."""
    if point.unit is not None and point.unit != unit:
        if (conversion := _conversion(unit, point.unit)) is None:
            return Refusal.WRONG_UNIT
        try:
            value = conversion(value)
        except ArithmeticError:  # units of which one is the inverse of the other, at zero
            return Refusal.NOT_FINITE
    value = value * point.factor + point.offset
    return value if math.isfinite(value) else Refusal.NOT_FINITE
