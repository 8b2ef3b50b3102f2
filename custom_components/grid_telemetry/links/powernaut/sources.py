"""What is measured: from the samples of entities to the readings of the site and its resources."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import PERCENTAGE, UnitOfEnergy, UnitOfPower

from ...points.point import Point
from ...points.sampler import Sample
from .const import (
    CONF_CAPACITY_KWH,
    CONF_INVERT,
    CONF_MAX_AGE_S,
    CONF_POWER_ENTITY,
    CONF_RESOURCE_ID,
    CONF_SOC_ENTITY,
    CONF_SOC_UNIT,
    SUBENTRY_SITE,
)
from .payload import SENDABLE_S, Reading, Skip, reading, resource_topic, site_topic

_FUTURE_S = 1.0
"""A measurement may seem so far ahead where the clock is being corrected."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The entities behind one topic."""

    platform_id: str
    name: str
    topic: str
    power: Point
    soc: Point | None
    capacity_wh: float | None
    max_age_s: float


def source_of(subentry: ConfigSubentry, site_id: str) -> Source:
    """Return the source that a subentry describes."""
    data = subentry.data
    if subentry.subentry_type == SUBENTRY_SITE:
        platform_id, topic = site_id, site_topic(site_id)
    else:
        platform_id = data[CONF_RESOURCE_ID]
        topic = resource_topic(platform_id)
    capacity_kwh = data.get(CONF_CAPACITY_KWH)
    capacity_wh = None if capacity_kwh is None else capacity_kwh * 1000
    return Source(
        platform_id=platform_id,
        name=subentry.title,
        topic=topic,
        power=Point(
            entity=data[CONF_POWER_ENTITY],
            name=f"{subentry.title}: power",
            unit=UnitOfPower.WATT,
            factor=-1.0 if data[CONF_INVERT] else 1.0,
        ),
        soc=_soc_point(subentry.title, data, capacity_wh),
        capacity_wh=capacity_wh,
        max_age_s=data[CONF_MAX_AGE_S],
    )


def _soc_point(name: str, data: Mapping[str, Any], capacity_wh: float | None) -> Point | None:
    if (entity := data.get(CONF_SOC_ENTITY)) is None:
        return None
    percent = data[CONF_SOC_UNIT] == PERCENTAGE
    return Point(
        entity=entity,
        name=f"{name}: state of charge",
        unit=PERCENTAGE if percent else UnitOfEnergy.WATT_HOUR,
        factor=(capacity_wh or 0.0) / 100 if percent else 1.0,
    )


@dataclass(frozen=True, kw_only=True)
class Slot:
    """What there is to send of one slot, and what is wrong with the rest."""

    readings: dict[str, Reading]
    """By topic."""
    over_capacity: set[str]
    """The sites and resources whose state of charge is out of range, by platform id."""
    outdated: set[Point]
    """The points whose entity has not reported for too long."""


def slot_of(
    sources: Iterable[Source], at: float, samples: Sequence[Sample], skipped: Counter[Skip]
) -> Slot:
    """Return what the samples of a slot come to; what is left out is counted.

    Power goes out with the time it was measured at, so it is left out once the platform would
    discard it, however long a value may be used otherwise.
    """
    by_point = {sample.point: sample for sample in samples}
    slot = Slot(readings={}, over_capacity=set(), outdated=set())
    for source in sources:
        if (power := by_point.get(source.power)) is None:
            continue  # the sampler counted it
        # How long a value may be used is judged by a clock that nobody sets; what the platform
        # takes, by the time that goes out with it.
        is_old = power.age_s > source.max_age_s
        before_s = at - power.measured_at
        if is_old or not -_FUTURE_S <= before_s <= SENDABLE_S:
            skipped[Skip.STALE] += 1
            if is_old or before_s > 0:
                slot.outdated.add(source.power)
            continue
        soc_wh = _state_of_charge(source, by_point, skipped, slot.outdated)
        result, skip = reading(
            power.measured_at, power.value, soc_wh, capacity_wh=source.capacity_wh
        )
        if skip is not None:
            skipped[skip] += 1
            if skip is Skip.SOC_OUT_OF_RANGE:
                slot.over_capacity.add(source.platform_id)
        if result is not None:
            slot.readings[source.topic] = result
    return slot


def _state_of_charge(
    source: Source,
    by_point: Mapping[Point, Sample],
    skipped: Counter[Skip],
    outdated: set[Point],
) -> float | None:
    """Return the state of charge in watt-hours, None where there is none that may be used."""
    if source.soc is None or (soc := by_point.get(source.soc)) is None:
        return None
    if soc.age_s <= source.max_age_s:
        return soc.value
    skipped[Skip.SOC_STALE] += 1
    outdated.add(source.soc)
    return None
