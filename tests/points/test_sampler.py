from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.grid_telemetry.points.point import Point, Refusal, Take
from custom_components.grid_telemetry.points.reader import OLDEST_REPORTS
from custom_components.grid_telemetry.points.sampler import Sample, Sampler

type Taken = list[tuple[float, list[Sample]]]
type Start = Callable[..., Sampler]

POWER = Point(entity="sensor.power", name="P", unit="W")


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture
def taken() -> Taken:
    return []


@pytest.fixture
def start(hass: HomeAssistant, entry: MockConfigEntry, taken: Taken):
    samplers: list[Sampler] = []

    async def take(at: float, samples: Sequence[Sample]) -> None:
        taken.append((at, list(samples)))

    def start(*points: Point, interval_s: float = 60, **more: bool) -> Sampler:
        sampler = Sampler(hass, entry, points or (POWER,), interval_s, take, **more)
        samplers.append(sampler)
        sampler.start()
        return sampler

    yield start
    for sampler in samplers:
        sampler.stop()


async def go_to(hass: HomeAssistant, freezer: FrozenDateTimeFactory, text: str) -> None:
    """Let time pass until then, as it does when nothing is wrong: every timer on its time."""
    freezer.move_to(text)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: int) -> None:
    for _ in range(seconds):
        freezer.tick(1)
        async_fire_time_changed(hass)
        await hass.async_block_till_done()


async def test_slots_are_multiples_of_the_interval_whenever_it_was_started(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Start, taken: Taken
) -> None:
    freezer.move_to("2026-03-01T12:00:17.3Z")
    hass.states.async_set("sensor.power", "1.5", {"unit_of_measurement": "kW"})
    start()
    await pass_time(hass, freezer, 200)
    assert [datetime.fromtimestamp(at, UTC).isoformat() for at, _ in taken] == [
        "2026-03-01T12:01:00+00:00",
        "2026-03-01T12:02:00+00:00",
        "2026-03-01T12:03:00+00:00",
    ]
    assert [sample.value for _, samples in taken for sample in samples] == [1500, 1500, 1500]


async def test_a_sample_carries_its_slot_and_when_the_value_was_last_reported(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Start, taken: Taken
) -> None:
    freezer.move_to("2026-03-01T12:00:10Z")
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    start()
    freezer.move_to("2026-03-01T12:00:40Z")
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})  # the same again
    await go_to(hass, freezer, "2026-03-01T12:01:00.250Z")
    assert taken == [
        (
            epoch("2026-03-01T12:01:00Z"),
            [Sample(POWER, 1.0, epoch("2026-03-01T12:01:00Z"), epoch("2026-03-01T12:00:40Z"))],
        )
    ]


async def test_slots_of_four_seconds_stay_on_the_clock(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Start, taken: Taken
) -> None:
    freezer.move_to("2026-03-01T12:00:01Z")
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    start(interval_s=4)
    for _ in range(100):
        freezer.tick(timedelta(milliseconds=490))
        async_fire_time_changed(hass)
        await hass.async_block_till_done()
    slots = [at for at, _ in taken]
    assert slots == [epoch("2026-03-01T12:00:04Z") + 4 * number for number in range(12)]


async def test_a_firing_before_its_time_waits_for_the_slot(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Start, taken: Taken
) -> None:
    freezer.move_to("2026-03-01T12:00:59.800Z")
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    start()
    async_fire_time_changed(hass)  # is half a second ahead of the clock
    await hass.async_block_till_done()
    assert taken == []
    await go_to(hass, freezer, "2026-03-01T12:01:00Z")
    assert [at for at, _ in taken] == [epoch("2026-03-01T12:01:00Z")]


async def test_after_a_suspended_machine_the_next_slot_goes_on_without_a_burst(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Start, taken: Taken
) -> None:
    freezer.move_to("2026-03-01T12:00:30Z")
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    sampler = start()
    await go_to(hass, freezer, "2026-03-01T12:01:00Z")
    await go_to(hass, freezer, "2026-03-01T18:30:37Z")
    await go_to(hass, freezer, "2026-03-01T18:31:00Z")
    assert [at for at, _ in taken] == [
        epoch("2026-03-01T12:01:00Z"),
        epoch("2026-03-01T18:31:00Z"),
    ]
    assert sampler.missed_slots == 389  # 12:02 to 18:30
    assert sampler.as_dict()["missed_slots"] == 389


async def test_a_late_firing_within_the_slot_still_samples_it(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Start, taken: Taken
) -> None:
    freezer.move_to("2026-03-01T12:00:30Z")
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    sampler = start()
    await go_to(hass, freezer, "2026-03-01T12:01:44Z")
    await go_to(hass, freezer, "2026-03-01T12:02:00Z")
    assert [at for at, _ in taken] == [
        epoch("2026-03-01T12:01:00Z"),
        epoch("2026-03-01T12:02:00Z"),
    ]
    assert sampler.missed_slots == 0


async def test_a_clock_that_was_set_back_does_not_silence_the_sampler(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Start, taken: Taken
) -> None:
    freezer.move_to("2026-03-01T12:00:30Z")
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    sampler = start()
    timer = sampler._timer
    assert timer is not None
    freezer.move_to("2026-03-01T11:00:20Z")
    timer._run()  # the monotonic clock went on
    timer.cancel()
    await hass.async_block_till_done()
    assert taken == []
    await go_to(hass, freezer, "2026-03-01T11:01:00Z")
    assert [at for at, _ in taken] == [epoch("2026-03-01T11:01:00Z")]


async def test_daylight_saving_leaves_no_gap_and_no_repetition(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Start, taken: Taken
) -> None:
    await hass.config.async_set_time_zone("Europe/Brussels")
    freezer.move_to("2026-10-24T23:50:00Z")
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    start(interval_s=900)
    for _ in range(12):
        freezer.tick(900)
        async_fire_time_changed(hass)
        await hass.async_block_till_done()
    slots = [at for at, _ in taken]
    assert slots == [epoch("2026-10-25T00:00:00Z") + 900 * number for number in range(12)]
    await hass.config.async_set_time_zone("UTC")


async def test_what_is_no_number_is_skipped_and_counted_by_its_reason(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Start, taken: Taken
) -> None:
    freezer.move_to("2026-03-01T12:00:30Z")
    states = {"good": "1", "unknown": "unknown", "unavailable": "unavailable", "foo": "foo"}
    states |= {"nan": "nan", "inf": "inf"}
    for name, value in states.items():
        hass.states.async_set(f"sensor.{name}", value)
    points = [Point(entity=f"sensor.{name}", name=name) for name in (*states, "missing")]
    sampler = start(*points)
    await go_to(hass, freezer, "2026-03-01T12:01:00Z")
    [(_, samples)] = taken
    assert [sample.point.name for sample in samples] == ["good"]
    assert sampler.skipped == {
        Refusal.UNKNOWN: 1,
        Refusal.UNAVAILABLE: 1,
        Refusal.NOT_NUMERIC: 1,
        Refusal.NOT_FINITE: 2,
        Refusal.MISSING: 1,
    }
    assert sampler.as_dict()["skipped"]["not_finite"] == 2


async def test_whatever_fails_with_one_entity_leaves_the_samples_of_the_others(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    start: Start,
    taken: Taken,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> float:
        raise RuntimeError("a mistake of another one")

    freezer.move_to("2026-03-01T12:00:30Z")
    for name in ("odd", "power"):
        hass.states.async_set(f"sensor.{name}", "1", {"unit_of_measurement": "W"})
    hass.data[OLDEST_REPORTS] = {"sensor.odd": fail}
    sampler = start(Point(entity="sensor.odd", name="O", unit="W"), POWER)
    await go_to(hass, freezer, "2026-03-01T12:01:00Z")
    await go_to(hass, freezer, "2026-03-01T12:02:00Z")
    assert [[sample.point for sample in samples] for _, samples in taken] == [[POWER], [POWER]]
    assert sampler.skipped == {Refusal.FAILED: 2}
    assert "O" in sampler.stale
    assert caplog.text.count("sensor.odd cannot be read") == 1


@pytest.mark.parametrize(
    "attribute", ["unit_of_measurement", "state_class", "device_class", "restored"]
)
@pytest.mark.parametrize("oddity", [["W"], {"W": 1}, 5, True, None, b"W", float("nan")])
async def test_an_odd_attribute_leaves_the_samples_of_the_others(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    start: Start,
    taken: Taken,
    caplog: pytest.LogCaptureFixture,
    attribute: str,
    oddity: object,
) -> None:
    """Whoever may set states by REST may set them to anything."""
    freezer.move_to("2026-03-01T12:00:30Z")
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    hass.states.async_set("sensor.odd", "1", {"unit_of_measurement": "W", attribute: oddity})
    points = [Point(entity="sensor.odd", name=take, unit="W", take=take) for take in Take]
    start(*points, POWER)
    await go_to(hass, freezer, "2026-03-01T12:01:00Z")
    hass.states.async_set("sensor.odd", "2", {"unit_of_measurement": "W", attribute: oddity})
    await go_to(hass, freezer, "2026-03-01T12:02:00Z")
    assert all(POWER in [sample.point for sample in samples] for _, samples in taken)
    assert len(taken) == 2
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_slot_without_samples_is_not_handed_on(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Start, taken: Taken
) -> None:
    freezer.move_to("2026-03-01T12:00:30Z")
    start()
    await go_to(hass, freezer, "2026-03-01T12:01:00Z")
    assert taken == []


async def test_a_rename_does_not_interrupt_the_samples(
    hass: HomeAssistant,
    entity_registry: er.EntityRegistry,
    freezer: FrozenDateTimeFactory,
    start: Start,
    taken: Taken,
) -> None:
    freezer.move_to("2026-03-01T12:00:30Z")
    registered = entity_registry.async_get_or_create("sensor", "test", "1")
    hass.states.async_set(registered.entity_id, "1")
    start(Point(entity=registered.id, name="P"))
    await go_to(hass, freezer, "2026-03-01T12:01:00Z")
    hass.states.async_remove(registered.entity_id)
    entity_registry.async_update_entity(registered.entity_id, new_entity_id="sensor.renamed")
    hass.states.async_set("sensor.renamed", "2")
    await hass.async_block_till_done()
    await go_to(hass, freezer, "2026-03-01T12:02:00Z")
    assert [sample.value for _, samples in taken for sample in samples] == [1, 2]


async def test_an_entity_that_is_removed_and_comes_back_is_sampled_again(
    hass: HomeAssistant,
    entity_registry: er.EntityRegistry,
    freezer: FrozenDateTimeFactory,
    start: Start,
    taken: Taken,
) -> None:
    freezer.move_to("2026-03-01T12:00:30Z")
    registered = entity_registry.async_get_or_create("sensor", "test", "1")
    hass.states.async_set(registered.entity_id, "1")
    sampler = start(Point(entity=registered.id, name="P"))
    await go_to(hass, freezer, "2026-03-01T12:01:00Z")
    entity_registry.async_remove(registered.entity_id)
    await hass.async_block_till_done()
    await go_to(hass, freezer, "2026-03-01T12:02:00Z")
    assert sampler.skipped == {Refusal.MISSING: 1}
    back = entity_registry.async_get_or_create("sensor", "test", "1")
    assert back.id == registered.id
    hass.states.async_set(back.entity_id, "3")
    await hass.async_block_till_done()
    await go_to(hass, freezer, "2026-03-01T12:03:00Z")
    assert [sample.value for _, samples in taken for sample in samples] == [1, 3]


async def test_a_stopped_sampler_takes_no_more_and_may_be_stopped_again(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, start: Start, taken: Taken
) -> None:
    freezer.move_to("2026-03-01T12:00:30Z")
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    sampler = start()
    sampler.stop()
    sampler.stop()
    await go_to(hass, freezer, "2026-03-01T12:01:00Z")
    assert taken == []


async def test_a_slot_without_samples_is_told_to_who_wants_it(
    hass: HomeAssistant, start: Start, taken: Taken, freezer: FrozenDateTimeFactory
) -> None:
    freezer.move_to("2026-01-01T00:00:30+00:00")
    start(empty_slots=True)
    await go_to(hass, freezer, "2026-01-01T00:01:00+00:00")
    assert taken == [(epoch("2026-01-01T00:01:00+00:00"), [])]


async def test_a_sample_says_whether_it_is_stale(
    hass: HomeAssistant, start: Start, taken: Taken, freezer: FrozenDateTimeFactory
) -> None:
    """Only where nobody chose how old it may be; else it is left out."""
    freezer.move_to("2026-01-01T00:00:30+00:00")
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    start()
    await pass_time(hass, freezer, 120)
    assert [sample.is_stale for _, samples in taken for sample in samples] == [False, True]
