from collections.abc import Iterator
from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.grid_telemetry.points.issues import PointIssues
from custom_components.grid_telemetry.points.point import Point

DAY = timedelta(hours=24, minutes=6)
SHORT = timedelta(minutes=21)


@pytest.fixture
def registered(entity_registry: er.EntityRegistry) -> er.RegistryEntry:
    return entity_registry.async_get_or_create("sensor", "test", "1")


@pytest.fixture
def watch(
    hass: HomeAssistant, entry: MockConfigEntry, registered: er.RegistryEntry
) -> Iterator[PointIssues]:
    watch = PointIssues(hass, entry, [Point(entity=registered.id, name="P", unit="W")])
    yield watch
    watch.stop()


async def pass_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, duration: timedelta
) -> None:
    step = timedelta(minutes=3)
    for _ in range(duration // step):
        freezer.tick(step)
        async_fire_time_changed(hass)
    await hass.async_block_till_done()


def issues(issue_registry: ir.IssueRegistry) -> dict[str | None, dict[str, str] | None]:
    return {
        issue.translation_key: issue.translation_placeholders
        for (domain, _), issue in issue_registry.issues.items()
        if domain == "grid_telemetry"
    }


async def test_a_removed_entity_raises_an_issue_at_once_and_clears_it_when_it_is_back(
    hass: HomeAssistant,
    entity_registry: er.EntityRegistry,
    issue_registry: ir.IssueRegistry,
    registered: er.RegistryEntry,
    watch: PointIssues,
) -> None:
    hass.states.async_set(registered.entity_id, "1", {"unit_of_measurement": "W"})
    watch.start()
    entity_registry.async_remove(registered.entity_id)
    await hass.async_block_till_done()
    [(key, placeholders)] = issues(issue_registry).items()
    assert key == "entities_removed"
    assert placeholders is not None
    assert placeholders == {
        "source": registered.entity_id,
        "title": "Platform",
        "points": f"- P: `{registered.entity_id}`",
    }

    entity_registry.async_get_or_create("sensor", "test", "1")
    await hass.async_block_till_done()
    assert issues(issue_registry) == {}


async def test_an_entity_that_was_removed_before_the_start_is_reported_by_what_is_known(
    hass: HomeAssistant, issue_registry: ir.IssueRegistry, entry: MockConfigEntry
) -> None:
    watch = PointIssues(hass, entry, [Point(entity="0123abc", name="P")])
    watch.start()
    placeholders = issues(issue_registry)["entities_removed"]
    assert placeholders is not None
    assert placeholders["source"] == "0123abc"
    watch.stop()


async def test_other_entities_of_the_registry_do_not_matter(
    hass: HomeAssistant,
    entity_registry: er.EntityRegistry,
    issue_registry: ir.IssueRegistry,
    watch: PointIssues,
) -> None:
    watch.start()
    other = entity_registry.async_get_or_create("sensor", "test", "2")
    entity_registry.async_remove(other.entity_id)
    await hass.async_block_till_done()
    assert issues(issue_registry) == {}


@pytest.mark.parametrize("state", ["unavailable", "unknown", None])
async def test_an_entity_without_a_value_is_reported_after_a_day(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
    registered: er.RegistryEntry,
    watch: PointIssues,
    state: str | None,
) -> None:
    if state is not None:
        hass.states.async_set(registered.entity_id, state)
    watch.start()
    await pass_time(hass, freezer, timedelta(hours=23))
    assert issues(issue_registry) == {}
    await pass_time(hass, freezer, timedelta(hours=1, minutes=6))
    assert list(issues(issue_registry)) == ["entities_unavailable"]

    hass.states.async_set(registered.entity_id, "5", {"unit_of_measurement": "W"})
    await pass_time(hass, freezer, timedelta(minutes=6))
    assert issues(issue_registry) == {}


async def test_a_value_in_between_begins_the_day_anew(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
    registered: er.RegistryEntry,
    watch: PointIssues,
) -> None:
    hass.states.async_set(registered.entity_id, "unavailable")
    watch.start()
    await pass_time(hass, freezer, timedelta(hours=23))
    hass.states.async_set(registered.entity_id, "5", {"unit_of_measurement": "W"})
    hass.states.async_set(registered.entity_id, "unavailable")
    await pass_time(hass, freezer, timedelta(hours=23))
    assert issues(issue_registry) == {}


async def test_a_reload_does_not_forget_how_long_an_entity_has_been_unavailable(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
    registered: er.RegistryEntry,
    watch: PointIssues,
) -> None:
    hass.states.async_set(registered.entity_id, "unavailable")
    watch.start()
    await pass_time(hass, freezer, DAY)
    watch.stop()
    assert issues(issue_registry) == {}
    watch.start()
    assert list(issues(issue_registry)) == ["entities_unavailable"]


@pytest.mark.parametrize(
    ("state", "unit", "key", "told"),
    [
        ("foo", None, "entities_not_numeric", "foo"),
        ("nan", "W", "entities_not_numeric", "nan"),
        ("5", "V", "entities_wrong_unit", "V → W"),
        ("5", None, "entities_wrong_unit", "- → W"),
    ],
)
async def test_a_state_that_cannot_be_sent_is_reported_soon(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
    registered: er.RegistryEntry,
    watch: PointIssues,
    state: str,
    unit: str | None,
    key: str,
    told: str,
) -> None:
    hass.states.async_set(registered.entity_id, state, {"unit_of_measurement": unit})
    watch.start()
    assert issues(issue_registry) == {}
    await pass_time(hass, freezer, SHORT)
    placeholders = issues(issue_registry)[key]
    assert placeholders is not None
    assert placeholders["points"] == f"- P: `{registered.entity_id}`: {told}"


async def test_another_fault_takes_the_place_of_the_first(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
    registered: er.RegistryEntry,
    watch: PointIssues,
) -> None:
    hass.states.async_set(registered.entity_id, "foo")
    watch.start()
    await pass_time(hass, freezer, SHORT)
    hass.states.async_set(registered.entity_id, "5", {"unit_of_measurement": "V"})
    await pass_time(hass, freezer, SHORT)
    assert list(issues(issue_registry)) == ["entities_wrong_unit"]


# --- several points of a device


@pytest.fixture
def meters(
    hass: HomeAssistant, entity_registry: er.EntityRegistry, device_registry: dr.DeviceRegistry
) -> list[er.RegistryEntry]:
    """Return the sensors of two devices, three of each, which have a value."""
    owner = MockConfigEntry(domain="test")
    owner.add_to_hass(hass)
    sensors = []
    for name in ("House", "Attic"):
        device = device_registry.async_get_or_create(
            config_entry_id=owner.entry_id, identifiers={("test", name)}, name=name
        )
        for quantity in ("power", "voltage", "current"):
            sensor = entity_registry.async_get_or_create(
                "sensor",
                "test",
                f"{name}_{quantity}",
                suggested_object_id=f"{name}_{quantity}",
                config_entry=owner,
                device_id=device.id,
            )
            hass.states.async_set(sensor.entity_id, "5")
            sensors.append(sensor)
    return sensors


@pytest.fixture
def watch_meters(
    hass: HomeAssistant, entry: MockConfigEntry, meters: list[er.RegistryEntry]
) -> Iterator[PointIssues]:
    points = [Point(entity=sensor.id, name=f"P{number}") for number, sensor in enumerate(meters, 1)]
    watch = PointIssues(hass, entry, points)
    watch.start()
    yield watch
    watch.stop()


def told(issue_registry: ir.IssueRegistry) -> list[tuple[str | None, str, str]]:
    """Return translation key, source and list of each issue."""
    return [
        (issue.translation_key, placeholders["source"], placeholders["points"])
        for issue in issue_registry.issues.values()
        if (placeholders := issue.translation_placeholders) is not None
    ]


async def test_a_device_that_is_removed_is_one_issue(
    hass: HomeAssistant,
    entity_registry: er.EntityRegistry,
    issue_registry: ir.IssueRegistry,
    meters: list[er.RegistryEntry],
    watch_meters: PointIssues,
) -> None:
    for sensor in meters[:3]:
        entity_registry.async_remove(sensor.entity_id)
    await hass.async_block_till_done()
    assert told(issue_registry) == [
        (
            "entities_removed",
            "House",
            "\n".join(
                f"- P{number}: `{sensor.entity_id}`" for number, sensor in enumerate(meters[:3], 1)
            ),
        )
    ]

    # What comes back is taken out of it.
    entity_registry.async_get_or_create(
        "sensor", "test", "House_power", suggested_object_id="house_power"
    )
    await hass.async_block_till_done()
    [(_, _, points)] = told(issue_registry)
    assert points == "- P2: `sensor.house_voltage`\n- P3: `sensor.house_current`"


async def test_a_silent_day_is_one_issue_a_device(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    issue_registry: ir.IssueRegistry,
    meters: list[er.RegistryEntry],
    watch_meters: PointIssues,
) -> None:
    for sensor in meters:
        hass.states.async_set(sensor.entity_id, "unavailable")
    await pass_time(hass, freezer, DAY)
    assert sorted((key, source) for key, source, _ in told(issue_registry)) == [
        ("entities_unavailable", "Attic"),
        ("entities_unavailable", "House"),
    ]


async def test_a_device_that_was_removed_before_the_start_is_one_issue(
    hass: HomeAssistant,
    entity_registry: er.EntityRegistry,
    issue_registry: ir.IssueRegistry,
    meters: list[er.RegistryEntry],
    watch_meters: PointIssues,
    entry: MockConfigEntry,
) -> None:
    watch_meters.stop()
    for sensor in meters[:3]:
        entity_registry.async_remove(sensor.entity_id)
    watch = PointIssues(
        hass,
        entry,
        [Point(entity=sensor.id, name="P") for sensor in meters[:3]],
    )
    watch.start()
    [(key, source, _)] = told(issue_registry)
    assert (key, source) == ("entities_removed", "sensor.house_current, …")
    watch.stop()


async def test_a_long_list_is_cut(
    hass: HomeAssistant, issue_registry: ir.IssueRegistry, entry: MockConfigEntry
) -> None:
    watch = PointIssues(
        hass, entry, [Point(entity="0123abc", name=f"P{number}") for number in range(60)]
    )
    watch.start()
    [(_, _, points)] = told(issue_registry)
    assert len(points.splitlines()) == 51
    assert points.endswith("- … (+10)")
    watch.stop()
