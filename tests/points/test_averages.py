"""Means, minima and maxima of points, as the sampler takes them."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.grid_telemetry.points import averages
from custom_components.grid_telemetry.points.point import Point, Refusal, Take
from custom_components.grid_telemetry.points.sampler import Sample, Sampler

type Slots = list[dict[str, float]]

ALL = [
    Point(entity="sensor.power", name=take, unit="W", take=take)
    for take in (Take.MEAN, Take.MINIMUM, Take.MAXIMUM)
]


@pytest.fixture
def slots() -> Slots:
    return []


@pytest.fixture
def start(
    hass: HomeAssistant, entry: MockConfigEntry, slots: Slots, freezer: FrozenDateTimeFactory
) -> Iterator[Callable[..., Sampler]]:
    started: list[Sampler] = []
    freezer.move_to("2026-03-01T12:00:00Z")

    async def keep(at: float, samples: Sequence[Sample]) -> None:
        slots.append({sample.point.name: sample.value for sample in samples})

    def start(points: Sequence[Point] = ALL) -> Sampler:
        sampler = Sampler(hass, entry, points, 60, keep)
        started.append(sampler)
        sampler.start()
        return sampler

    yield start
    for sampler in started:
        sampler.stop()


async def after(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    freezer.tick(timedelta(seconds=seconds))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


async def show(hass: HomeAssistant, value: str, unit: str = "W") -> None:
    hass.states.async_set("sensor.power", value, {"unit_of_measurement": unit})
    await hass.async_block_till_done()


async def test_values_are_weighted_by_the_time_that_they_held(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Callable[..., Sampler], slots: Slots
) -> None:
    await show(hass, "100")
    start()
    await after(hass, freezer, 45)
    await show(hass, "0.4", "kW")
    await after(hass, freezer, 15)
    await after(hass, freezer, 60)
    assert slots == [
        {"mean": pytest.approx(175), "minimum": 100, "maximum": 400},
        {"mean": pytest.approx(400), "minimum": 400, "maximum": 400},
    ]


async def test_a_gap_is_left_out_and_its_coverage_is_told(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Callable[..., Sampler], slots: Slots
) -> None:
    await show(hass, "100")
    sampler = start()
    await after(hass, freezer, 30)
    await show(hass, "unavailable")
    await after(hass, freezer, 30)
    assert slots == [{"mean": pytest.approx(100), "minimum": 100, "maximum": 100}]
    assert sampler.as_dict()["least_coverage"] == pytest.approx(0.5, abs=0.01)
    await after(hass, freezer, 60)
    assert len(slots) == 1
    assert sampler.skipped == {Refusal.UNAVAILABLE: 3}


async def test_a_renamed_entity_goes_on(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Callable[..., Sampler], slots: Slots
) -> None:
    registry = er.async_get(hass)
    known = registry.async_get_or_create(
        "sensor", "test", "power", suggested_object_id="power", unit_of_measurement="W"
    )
    await show(hass, "100")
    start([Point(entity=known.id, name="P", take=Take.MEAN)])
    await after(hass, freezer, 30)
    registry.async_update_entity("sensor.power", new_entity_id="sensor.load")
    hass.states.async_remove("sensor.power")
    hass.states.async_set("sensor.load", "300", {"unit_of_measurement": "W"})
    await hass.async_block_till_done()
    await after(hass, freezer, 30)
    assert slots == [{"P": pytest.approx(200)}]


async def test_a_removed_entity_goes_on_when_it_comes_back(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Callable[..., Sampler], slots: Slots
) -> None:
    registry = er.async_get(hass)
    known = registry.async_get_or_create(
        "sensor", "test", "power", suggested_object_id="power", unit_of_measurement="W"
    )
    await show(hass, "100")
    start([Point(entity=known.id, name="P", take=Take.MEAN)])
    await after(hass, freezer, 30)
    registry.async_remove("sensor.power")
    await hass.async_block_till_done()
    await show(hass, "700")  # somebody else's by now
    await after(hass, freezer, 30)
    assert slots == [{"P": pytest.approx(100)}]
    again = registry.async_get_or_create("sensor", "test", "power", unit_of_measurement="W")
    await hass.async_block_till_done()
    assert again.id == known.id
    hass.states.async_set(again.entity_id, "300", {"unit_of_measurement": "W"})
    await hass.async_block_till_done()
    await after(hass, freezer, 60)
    assert slots[1:] == [{"P": pytest.approx(300)}]


async def test_changes_of_other_entities_are_no_reason_to_listen_anew(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Callable[..., Sampler]
) -> None:
    """Home Assistant registers thousands of entities as it starts."""
    await show(hass, "100")
    with patch(
        f"{averages.__name__}.async_track_state_change_event", wraps=async_track_state_change_event
    ) as track:
        start()
        registry = er.async_get(hass)
        other = registry.async_get_or_create("sensor", "test", "other")
        registry.async_update_entity(other.entity_id, new_entity_id="sensor.another")
        registry.async_remove("sensor.another")
        await hass.async_block_till_done()
    assert track.call_count == 1
