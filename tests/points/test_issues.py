from collections.abc import Iterator
from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir
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
    assert key == "entity_removed"
    assert placeholders is not None
    assert placeholders["entity"] == registered.entity_id
    assert placeholders["name"] == "P"
    assert placeholders["title"] == "Platform"

    entity_registry.async_get_or_create("sensor", "test", "1")
    await hass.async_block_till_done()
    assert issues(issue_registry) == {}


async def test_an_entity_that_was_removed_before_the_start_is_reported_by_what_is_known(
    hass: HomeAssistant, issue_registry: ir.IssueRegistry, entry: MockConfigEntry
) -> None:
    watch = PointIssues(hass, entry, [Point(entity="0123abc", name="P")])
    watch.start()
    placeholders = issues(issue_registry)["entity_removed"]
    assert placeholders is not None
    assert placeholders["entity"] == "0123abc"
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
    assert list(issues(issue_registry)) == ["entity_unavailable"]

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
    assert list(issues(issue_registry)) == ["entity_unavailable"]


@pytest.mark.parametrize(
    ("state", "unit", "key"),
    [
        ("foo", None, "entity_not_numeric"),
        ("nan", "W", "entity_not_numeric"),
        ("5", "V", "entity_wrong_unit"),
        ("5", None, "entity_wrong_unit"),
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
) -> None:
    hass.states.async_set(registered.entity_id, state, {"unit_of_measurement": unit})
    watch.start()
    assert issues(issue_registry) == {}
    await pass_time(hass, freezer, SHORT)
    placeholders = issues(issue_registry)[key]
    assert placeholders is not None
    assert placeholders["state"] == state
    assert placeholders["unit"] == (unit or "-")
    assert placeholders["wanted_unit"] == "W"


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
    assert list(issues(issue_registry)) == ["entity_wrong_unit"]
