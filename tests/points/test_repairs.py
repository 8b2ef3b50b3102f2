"""An entity that is gone: another one takes its place."""

from typing import Any

from homeassistant.components.repairs import RepairsFlow
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import area_registry as ar, entity_registry as er, issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.points.issues import PointIssues
from custom_components.grid_telemetry.points.point import Point
from custom_components.grid_telemetry.repairs import async_create_fix_flow

COUNTER = {
    "unit_of_measurement": "kWh",
    "device_class": "energy",
    "state_class": "total_increasing",
}


def registered(hass: HomeAssistant, name: str, unit: str = "kWh") -> er.RegistryEntry:
    return er.async_get(hass).async_get_or_create(
        "sensor",
        "test",
        name,
        suggested_object_id=name,
        unit_of_measurement=unit,
        original_device_class="energy",
        capabilities={"state_class": "total_increasing"},
    )


def entry_of(hass: HomeAssistant, *points: dict[str, Any], **more: Any) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Platform",
        data={CONF_KIND: "scout"},
        subentries_data=[
            ConfigSubentryData(
                subentry_type="device",
                title="MAIN",
                unique_id=None,
                data={"gateway_device_id": "MAIN", "points": list(points), **more},
            )
        ],
    )
    entry.add_to_hass(hass)
    return entry


def stored(entry: MockConfigEntry) -> dict[str, Any]:
    (subentry,) = entry.subentries.values()
    return dict(subentry.data)


async def gone(
    hass: HomeAssistant, entry: MockConfigEntry, entity: er.RegistryEntry
) -> PointIssues:
    """Watch the points of an entry, then have an entity removed."""
    issues = PointIssues(hass, entry, [Point.from_dict(point) for point in stored(entry)["points"]])
    issues.start()
    er.async_get(hass).async_remove(entity.entity_id)
    hass.states.async_remove(entity.entity_id)
    await hass.async_block_till_done()
    return issues


async def begin(hass: HomeAssistant) -> tuple[RepairsFlow, dict[str, Any]]:
    (issue,) = (
        issue
        for issue in ir.async_get(hass).issues.values()
        if issue.translation_key == "entity_removed"
    )
    assert issue.is_fixable
    flow = await async_create_fix_flow(hass, issue.issue_id, issue.data)
    flow.hass = hass
    return flow, dict(await flow.async_step_init())


def offered(result: dict[str, Any]) -> list[str]:
    (selector,) = (
        value for key, value in result["data_schema"].schema.items() if key == "replacement"
    )
    return [option["value"] for option in selector.config["options"]]


async def test_what_is_most_alike_stands_first(hass: HomeAssistant) -> None:
    registry, area = er.async_get(hass), ar.async_get(hass).async_create("Cellar")
    old = registered(hass, "old")
    registry.async_update_entity(old.entity_id, area_id=area.id)
    near = registered(hass, "near")
    registry.async_update_entity(near.entity_id, area_id=area.id)
    registered(hass, "far")
    registered(hass, "bigger", "MWh")
    entry = entry_of(hass, {"entity": old.id, "name": "E", "unit": "Wh"})
    for name in ("old", "near", "far"):
        hass.states.async_set(f"sensor.{name}", "5", COUNTER)
    hass.states.async_set("sensor.bigger", "5", {**COUNTER, "unit_of_measurement": "MWh"})
    hass.states.async_set("sensor.bare", "5", {"unit_of_measurement": "kWh"})
    hass.states.async_set("sensor.power", "5", {"unit_of_measurement": "W"})
    issues = await gone(hass, entry, old)
    _, result = await begin(hass)
    assert offered(result) == [
        "sensor.near",
        "sensor.far",
        "sensor.bigger",
        "sensor.bare",
    ]
    issues.stop()


@pytest.mark.parametrize(("go_on", "offset"), [(True, {"offset": 495_000.0}), (False, {})])
async def test_all_points_move_over_and_a_counter_goes_on_if_it_shall(
    hass: HomeAssistant, go_on: bool, offset: dict[str, float]
) -> None:
    old, new = registered(hass, "old"), registered(hass, "new")
    hass.states.async_set("sensor.old", "500", COUNTER)
    hass.states.async_set("sensor.new", "5", COUNTER)
    point = {"entity": old.id, "name": "E", "unit": "Wh", "factor": 1.0}
    other = {"entity": "sensor.other", "name": "O"}
    entry = entry_of(hass, point, other, power_entity=old.id)
    issues = await gone(hass, entry, old)
    flow, result = await begin(hass)
    assert result["type"] is FlowResultType.FORM
    assert result["description_placeholders"]["entity"] == "sensor.old"
    result = dict(await flow.async_step_init({"replacement": "sensor.new", "go_on": go_on}))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert stored(entry)["points"] == [
        {**point, "entity": new.id, "identity": old.id, **offset},
        other,
    ]
    assert stored(entry)["power_entity"] == new.id
    issues.stop()


async def test_each_point_of_an_entity_goes_on_in_its_own_unit(hass: HomeAssistant) -> None:
    old = registered(hass, "old")
    registered(hass, "new")
    hass.states.async_set("sensor.old", "500", COUNTER)
    hass.states.async_set("sensor.new", "5", COUNTER)
    entry = entry_of(
        hass,
        {"entity": old.id, "name": "E", "unit": "Wh", "factor": 1.0},
        {"entity": old.id, "name": "K", "unit": "kWh", "factor": 2.0, "offset": 10.0},
    )
    issues = PointIssues(hass, entry, [Point.from_dict(stored(entry)["points"][0])])
    issues.start()
    er.async_get(hass).async_remove(old.entity_id)
    hass.states.async_remove(old.entity_id)
    await hass.async_block_till_done()
    flow, _ = await begin(hass)
    await flow.async_step_init({"replacement": "sensor.new", "go_on": True})
    assert [point["offset"] for point in stored(entry)["points"]] == [495_000.0, 1000.0]
    issues.stop()


async def test_what_is_there_under_the_same_name_is_not_offered(hass: HomeAssistant) -> None:
    """A sum would count it twice."""
    old, member, free = (registered(hass, name) for name in ("old", "member", "free"))
    for each in (old, member, free):
        hass.states.async_set(each.entity_id, "500", COUNTER)
    entry = entry_of(
        hass,
        {"entity": old.id, "name": "E", "unit": "Wh"},
        {"entity": member.id, "name": "E", "unit": "Wh"},
        {"entity": free.id, "name": "F", "unit": "Wh"},
    )
    issues = await gone(hass, entry, old)
    _, result = await begin(hass)
    assert offered(result) == ["sensor.free"]
    issues.stop()


async def test_nothing_that_fits_says_so(hass: HomeAssistant) -> None:
    old = registered(hass, "old")
    hass.states.async_set("sensor.old", "500", COUNTER)
    entry = entry_of(hass, {"entity": old.id, "name": "E", "unit": "Wh"})
    issues = await gone(hass, entry, old)
    _, result = await begin(hass)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "nothing_fits")
    await hass.config_entries.async_remove(entry.entry_id)
    _, result = await begin(hass)
    assert result["reason"] == "entry_is_gone"
    issues.stop()
