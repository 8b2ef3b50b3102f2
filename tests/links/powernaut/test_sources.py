from collections import Counter
from types import MappingProxyType

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import State
import pytest

from custom_components.grid_telemetry.links.powernaut.payload import Reading, Skip
from custom_components.grid_telemetry.links.powernaut.sources import Source, slot_of, source_of
from custom_components.grid_telemetry.points.point import Point, read
from custom_components.grid_telemetry.points.sampler import Sample

SLOT = 1_772_366_400.0
POWER = Point(entity="sensor.power", name="power", unit="W")
SOC = Point(entity="sensor.soc", name="soc", unit="%", factor=100.0)


def source(**changes: object) -> Source:
    values: dict[str, object] = {
        "platform_id": "id",
        "name": "Battery",
        "topic": "topic",
        "power": POWER,
        "soc": SOC,
        "capacity_wh": 10_000.0,
        "max_age_s": 60,
        **changes,
    }
    return Source(**values)  # type: ignore[arg-type]


def readings(
    power: tuple[float, float] | None, soc: tuple[float, float] | None = None, **changes: object
) -> tuple[Reading | None, dict[str, int], set[str]]:
    """Value and age of each; returns the reading, what was skipped and whose charge is too much."""
    samples = [
        Sample(point, value, SLOT, SLOT - age, age)
        for point, measured in ((POWER, power), (SOC, soc))
        if measured is not None
        for value, age in [measured]
    ]
    skipped: Counter[Skip] = Counter()
    slot = slot_of([source(**changes)], SLOT, samples, skipped)
    return slot.readings.get("topic"), dict(skipped), slot.over_capacity


@pytest.mark.parametrize(
    ("age", "at"), [(0, 0), (0.3, 0), (0.7, -1), (3.9, -4), (30, -30), (55, -55)]
)
def test_the_time_is_that_of_the_measurement(age: float, at: int) -> None:
    assert readings((1, age))[0] == Reading(int(SLOT) + at, 1)


@pytest.mark.parametrize(("age", "max_age_s"), [(55.1, 60), (70, 3600), (4.1, 4), (-2, 60)])
def test_power_that_is_old_is_not_sent_as_if_it_were_new(age: float, max_age_s: int) -> None:
    assert readings((1, age), max_age_s=max_age_s) == (None, {Skip.STALE: 1}, set())


def test_a_charge_that_is_old_is_left_out_by_the_set_age_alone() -> None:
    assert readings((1, 0), (5000, 61)) == (Reading(int(SLOT), 1), {Skip.SOC_STALE: 1}, set())
    assert readings((1, 0), (5000, 600), max_age_s=900) == (Reading(int(SLOT), 1, 5000), {}, set())


def test_a_charge_above_the_capacity_is_left_out_and_told() -> None:
    result = readings((1, 0), (10_001, 0))
    assert result == (Reading(int(SLOT), 1), {Skip.SOC_OUT_OF_RANGE: 1}, {"id"})


@pytest.mark.parametrize("capacity_kwh", [1.61, 3.55, 8.05, 14.33])
def test_a_full_battery_is_sent_whatever_its_capacity(capacity_kwh: float) -> None:
    battery = source_of(
        ConfigSubentry(
            data=MappingProxyType(
                {
                    "resource_id": "id",
                    "power_entity": "sensor.power",
                    "invert": False,
                    "soc_entity": "sensor.soc",
                    "soc_unit": "%",
                    "capacity_kwh": capacity_kwh,
                    "max_age_s": 60,
                }
            ),
            subentry_type="resource",
            title="Battery",
            unique_id="id",
        ),
        "site",
    )
    assert battery.soc is not None
    full = read(State("sensor.soc", "100", {"unit_of_measurement": "%"}), battery.soc)
    assert full is not None
    skipped: Counter[Skip] = Counter()
    samples = [Sample(battery.power, 1, SLOT, SLOT), Sample(battery.soc, full, SLOT, SLOT)]
    slot = slot_of([battery], SLOT, samples, skipped)
    assert slot.readings == {battery.topic: Reading(int(SLOT), 1, round(capacity_kwh * 1000))}
    assert (dict(skipped), slot.over_capacity) == ({}, set())


def test_without_power_there_is_nothing_to_send() -> None:
    assert readings(None, (5000, 0)) == (None, {}, set())


def test_power_that_cannot_be_is_counted() -> None:
    assert readings((2e9, 0), (1, 0)) == (None, {Skip.POWER_OUT_OF_RANGE: 1}, set())
