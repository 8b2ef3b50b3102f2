"""An entity that is gone: another one takes its place."""

from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigSubentry, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import AbortFlow, FlowResultType
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.points.issues import PointIssues
from custom_components.grid_telemetry.points.point import Point
from custom_components.grid_telemetry.points.repairs import PointsFlow
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


async def begin(hass: HomeAssistant, choice: str = "replace") -> tuple[PointsFlow, dict[str, Any]]:
    (issue,) = (
        issue
        for issue in ir.async_get(hass).issues.values()
        if issue.translation_key == "entities_removed"
    )
    assert issue.is_fixable
    flow = await async_create_fix_flow(hass, issue.issue_id, issue.data)
    assert isinstance(flow, PointsFlow)
    flow.hass = hass
    result = dict(await flow.async_step_init())
    if result["type"] is FlowResultType.MENU:
        assert result["menu_options"] == ["replace", "drop"]
        result = dict(await getattr(flow, f"async_step_{choice}")())
    return flow, result


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
    assert result["description_placeholders"]["points"] == "- E: `sensor.old`"
    result = dict(await flow.async_step_replace({"replacement": "sensor.new", "go_on": go_on}))
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
    await flow.async_step_replace({"replacement": "sensor.new", "go_on": True})
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


# --- several entities of a device


def device_with(hass: HomeAssistant, name: str, *quantities: str) -> str:
    """Register a device with sensors and return its id."""
    owner = MockConfigEntry(domain="test")
    owner.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=owner.entry_id, identifiers={("test", name)}, name=name
    )
    for quantity in quantities:
        unit = "kWh" if quantity.startswith("energy") else "W"
        sensor = er.async_get(hass).async_get_or_create(
            "sensor",
            "test",
            f"{name}_{quantity}",
            suggested_object_id=f"{name}_{quantity}",
            config_entry=owner,
            device_id=device.id,
            unit_of_measurement=unit,
            original_device_class="energy" if unit == "kWh" else "power",
            capabilities={"state_class": "total_increasing" if unit == "kWh" else "measurement"},
        )
        hass.states.async_set(
            sensor.entity_id,
            "5",
            {"unit_of_measurement": unit, "device_class": sensor.original_device_class},
        )
    return device.id


QUANTITIES = ("power", "power_l1", "energy_import", "energy_export")


async def removed_device(hass: HomeAssistant) -> tuple[MockConfigEntry, PointIssues]:
    """Map the sensors of a device, then remove it."""
    registry = er.async_get(hass)
    sensors = er.async_entries_for_device(registry, device_with(hass, "old", *QUANTITIES))
    entry = entry_of(
        hass,
        *(
            {"entity": sensor.id, "name": sensor.entity_id, "unit": sensor.unit_of_measurement}
            for sensor in sensors
        ),
        {"entity": "sensor.other", "name": "O"},
    )
    issues = PointIssues(hass, entry, [Point.from_dict(point) for point in stored(entry)["points"]])
    issues.start()
    for sensor in sensors:
        registry.async_remove(sensor.entity_id)
        hass.states.async_remove(sensor.entity_id)
    await hass.async_block_till_done()
    return entry, issues


async def test_another_device_takes_the_place_of_one(hass: HomeAssistant) -> None:
    new = device_with(hass, "new", "energy_export", "energy_import", "power_l1", "current")
    entry, issues = await removed_device(hass)
    flow, result = await begin(hass)
    assert result["step_id"] == "device"
    result = dict(await flow.async_step_device({"device": new}))
    assert result["step_id"] == "matches"
    assert result["description_placeholders"]["matches"] == (
        "- `sensor.old_power` → `-`\n"
        "- `sensor.old_power_l1` → `sensor.new_power_l1`\n"
        "- `sensor.old_energy_import` → `sensor.new_energy_import`\n"
        "- `sensor.old_energy_export` → `sensor.new_energy_export`"
    )
    result = dict(await flow.async_step_matches({"go_on": True}))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    registry = er.async_get(hass)
    assert [
        getattr(registry.entities.get_entry(point["entity"]), "entity_id", None)
        for point in stored(entry)["points"]
    ] == [
        None,
        "sensor.new_power_l1",
        "sensor.new_energy_import",
        "sensor.new_energy_export",
        None,
    ]
    issues.stop()


async def test_a_device_with_nothing_that_fits_is_refused(hass: HomeAssistant) -> None:
    entry, issues = await removed_device(hass)
    flow, _ = await begin(hass)
    result = dict(await flow.async_step_device({"device": device_with(hass, "bare")}))
    assert result["errors"] == {"device": "nothing_fits"}
    assert len(stored(entry)["points"]) == 5
    issues.stop()


async def test_all_points_of_a_device_are_dropped(hass: HomeAssistant) -> None:
    entry, issues = await removed_device(hass)
    flow, result = await begin(hass, "drop")
    assert result["step_id"] == "drop"
    result = dict(await flow.async_step_drop({}))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert stored(entry)["points"] == [{"entity": "sensor.other", "name": "O"}]
    issues.stop()


@pytest.mark.parametrize("alone", ["points", "alarm"])
async def test_what_is_about_nothing_else_is_removed(hass: HomeAssistant, alone: str) -> None:
    old = registered(hass, "old")
    hass.states.async_set("sensor.old", "500", COUNTER)
    point = {"entity": old.id, "name": "E", "unit": "Wh"}
    entry = (
        entry_of(hass, point)
        if alone == "points"
        else entry_of(hass, point, {"entity": "sensor.other", "name": "O"}, entity=old.id)
    )
    issues = await gone(hass, entry, old)
    flow, _ = await begin(hass, "drop")
    await flow.async_step_drop({})
    assert not entry.subentries
    issues.stop()


async def test_what_a_form_of_its_own_asks_for_is_not_dropped(hass: HomeAssistant) -> None:
    old = registered(hass, "old")
    hass.states.async_set("sensor.old", "500", COUNTER)
    entry = entry_of(hass, {"entity": old.id, "name": "E"}, {"entity": "x.y", "name": "O"})
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data=MappingProxyType({"power_entity": old.id, "more": [{"entity": "x.y"}]}),
            subentry_type="resource",
            title="Battery",
            unique_id=None,
        ),
    )
    issues = PointIssues(hass, entry, [Point(entity=old.id, name="E")])
    issues.start()
    er.async_get(hass).async_remove("sensor.old")
    hass.states.async_remove("sensor.old")
    await hass.async_block_till_done()
    _, result = await begin(hass, "drop")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "cannot_drop")
    issues.stop()


async def test_an_entry_that_goes_while_the_form_is_open_ends_it(hass: HomeAssistant) -> None:
    old = registered(hass, "old")
    registered(hass, "new")
    hass.states.async_set("sensor.old", "500", COUNTER)
    hass.states.async_set("sensor.new", "5", COUNTER)
    entry = entry_of(hass, {"entity": old.id, "name": "E"})
    issues = await gone(hass, entry, old)
    flow, _ = await begin(hass)
    issues.stop()
    await hass.config_entries.async_remove(entry.entry_id)
    with pytest.raises(AbortFlow, match="entry_is_gone"):
        await flow.async_step_replace({"replacement": "sensor.new"})
