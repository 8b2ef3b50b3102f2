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


def readings_of(
    sources: Iterable[Source], at: float, samples: Sequence[Sample], skipped: Counter[Skip]
) -> tuple[dict[str, Reading], set[str]]:
    """Return the readings of a slot by topic, and the topics whose state of charge is too much.

    What is left out is counted. Power goes out with the time it was measured at, so it is left
    out once the platform would discard it, however long a value may be used otherwise.
    """
    by_point = {id(sample.point): sample for sample in samples}
    readings: dict[str, Reading] = {}
    too_much: set[str] = set()
    for source in sources:
        if (power := by_point.get(id(source.power))) is None:
            continue  # the sampler counted it
        if not -_FUTURE_S <= at - power.measured_at <= min(source.max_age_s, SENDABLE_S):
            skipped[Skip.STALE] += 1
            continue
        soc_wh = None
        if source.soc is not None and (soc := by_point.get(id(source.soc))) is not None:
            if at - soc.measured_at > source.max_age_s:
                skipped[Skip.SOC_STALE] += 1
            else:
                soc_wh = soc.value
        result, skip = reading(
            power.measured_at, power.value, soc_wh, capacity_wh=source.capacity_wh
        )
        if skip is not None:
            skipped[skip] += 1
            if skip is Skip.SOC_OUT_OF_RANGE:
                too_much.add(source.topic)
        if result is not None:
            readings[source.topic] = result
    return readings, too_much
