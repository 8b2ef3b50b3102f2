"""What a meter is known by: it survives being deleted and added again, moved and replaced."""

from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from modbus_connection import IllegalDataAddressError
from modbus_connection.mock import MockModbusConnection, MockModbusUnit
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.modbus.subentries import MeterSubentryFlow

from .conftest import TCP_DATA, link_entry, meter, start, write_sdm630

POWER = "sensor.cellar_active_power"
METER = {
    "unit_id": 3,
    "register_map": "eastron_sdm630",
    "meter_name": "Cellar",
    "fast_interval_s": 4,
    "slow_interval_s": 30,
}


@pytest.fixture
def unit(line: MockModbusConnection) -> MockModbusUnit:
    """Return a meter that answers as unit 3 and tells its serial number."""
    unit = line.for_unit(3)
    write_sdm630(unit, voltage_l1=230.2, power=-1234.5, energy_import=8100.5)
    unit.holding[0xFC00] = [0x0160, 0xC911]
    return unit


async def add(hass: HomeAssistant, entry: MockConfigEntry, **data: Any) -> str:
    """Add a meter by its form and return what it is known by."""
    flow = hass.config_entries.subentries
    result = await flow.async_init((entry.entry_id, "meter"), context={"source": SOURCE_USER})
    for answer in ({"next_step_id": "model"}, {**METER, **data}, {"next_step_id": "save"}):
        result = await flow.async_configure(result["flow_id"], answer)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(wait_background_tasks=True)
    identity: str = result["data"]["identity"]
    return identity


async def delete(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Delete the meters of an entry."""
    for subentry_id in list(entry.subentries):
        hass.config_entries.async_remove_subentry(entry, subentry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_a_meter_that_is_deleted_and_added_again_is_the_same_one(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    entity_registry: er.EntityRegistry,
) -> None:
    entry = link_entry()
    await start(hass, entry)
    await add(hass, entry)
    before = entity_registry.async_get(POWER)
    assert before is not None
    entity_registry.async_update_entity(POWER, new_entity_id="sensor.house")

    await delete(hass, entry)
    assert hass.states.get("sensor.house") is None
    await add(hass, entry, meter_name="Another name")

    # Points refer to the id in the registry; history and statistics to the entity id.
    after = entity_registry.async_get("sensor.house")
    assert after is not None
    assert (after.id, after.device_id) == (before.id, before.device_id)
    state = hass.states.get("sensor.house")
    assert state is not None
    assert state.state == "-1234.5"


async def test_what_uses_a_deleted_meter_tells_it_once_and_goes_on_when_it_is_back(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    entity_registry: er.EntityRegistry,
    issue_registry: ir.IssueRegistry,
) -> None:
    entry = link_entry()
    await start(hass, entry)
    await add(hass, entry)
    groups = [
        MockConfigEntry(
            domain=DOMAIN,
            title=title,
            data={"kind": "group"},
            subentries_data=[
                {
                    "subentry_type": "group",
                    "title": title,
                    "unique_id": None,
                    "data": {
                        "group_name": title,
                        "group_kind": "total",
                        "points": [
                            {"entity": entity.id, "name": key, "unit": entity.unit_of_measurement}
                            for key in ("power", "reactive_power", "energy_import")
                            if (
                                entity := entity_registry.async_get(
                                    entity_registry.async_get_entity_id(
                                        "sensor", DOMAIN, f"eastron_23120145_{key}"
                                    )
                                    or ""
                                )
                            )
                        ],
                    },
                }
            ],
        )
        for title in ("North", "South")
    ]
    for group in groups:
        await start(hass, group)
    total = hass.states.get("sensor.north_active_power")
    assert total is not None
    assert total.state == "-1234.5"

    await delete(hass, entry)
    assert sorted(
        (issue.translation_key, (issue.translation_placeholders or {})["title"])
        for issue in issue_registry.issues.values()
    ) == [("entities_removed", "North"), ("entities_removed", "South")]

    await add(hass, entry)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not issue_registry.issues
    total = hass.states.get("sensor.north_active_power")
    assert total is not None
    assert total.state == "-1234.5"


async def test_a_line_that_is_deleted_and_added_again_has_the_same_meters(
    hass: HomeAssistant, unit: MockModbusUnit, entity_registry: er.EntityRegistry
) -> None:
    unit.fail_read(0xFC00, IllegalDataAddressError(), register_type="holding")
    first = link_entry()
    await start(hass, first)
    assert await add(hass, first) == "tcp:192.0.2.1:502_3"
    before = entity_registry.async_get(POWER)
    assert before is not None
    await hass.config_entries.async_remove(first.entry_id)

    second = link_entry()
    await start(hass, second)
    await add(hass, second)

    after = entity_registry.async_get(POWER)
    assert after is not None
    assert after.id == before.id
    assert after.config_entry_id == second.entry_id


async def test_what_is_detected_later_changes_nothing(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    del unit.holding[0xFC00]
    unit.holding[0xFC00] = [0, 0]
    entry = link_entry()
    await start(hass, entry)
    assert await add(hass, entry) == "tcp:192.0.2.1:502_3"
    before = entity_registry.async_get(POWER)
    assert before is not None
    assert before.device_id is not None

    unit.holding[0xFC00] = [0x0160, 0xC911]
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)

    after = entity_registry.async_get(POWER)
    assert after is not None
    assert after.unique_id == before.unique_id == "tcp:192.0.2.1:502_3_power"
    device = device_registry.async_get(before.device_id)
    assert device is not None
    assert device.serial_number == "23120145"


async def test_two_meters_that_tell_the_same_serial_number_are_two(
    hass: HomeAssistant, line: MockModbusConnection, unit: MockModbusUnit
) -> None:
    other = line.for_unit(4)
    write_sdm630(other, voltage_l1=230.2, power=5.0)
    other.holding[0xFC00] = [0x0160, 0xC911]
    entry = link_entry()
    await start(hass, entry)

    assert await add(hass, entry) == "eastron_23120145"
    assert await add(hass, entry, unit_id=4, meter_name="Other") == "eastron_23120145_2"


# --- entries of an earlier version


@pytest.mark.parametrize(
    ("serial_number", "identity"),
    [("23120145", "eastron_23120145"), (None, "tcp:192.0.2.1:502_1")],
)
async def test_a_meter_that_was_known_by_a_random_id_keeps_all_else(
    hass: HomeAssistant,
    line: MockModbusConnection,
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
    serial_number: str | None,
    identity: str,
) -> None:
    write_sdm630(line.for_unit(1), power=-1234.5)
    data = meter()
    del data["data"]["identity"]  # type: ignore[attr-defined]
    entry = MockConfigEntry(
        domain=DOMAIN,
        unique_id="tcp:192.0.2.1:502",
        data=TCP_DATA,
        subentries_data=[data],
        minor_version=1,
    )
    entry.add_to_hass(hass)
    device = device_registry.async_get_or_create(
        config_entry_id=entry.entry_id,
        config_subentry_id="meter_1",
        identifiers={(DOMAIN, "meter_1")},
        manufacturer="Eastron",
        serial_number=serial_number,
    )
    sensor = entity_registry.async_get_or_create(
        "sensor",
        DOMAIN,
        "meter_1_power",
        suggested_object_id="house",
        config_entry=entry,
        config_subentry_id="meter_1",
        device_id=device.id,
    )

    await start(hass, entry)

    assert entry.minor_version == 2
    assert entry.subentries["meter_1"].data["identity"] == identity
    migrated = entity_registry.async_get("sensor.house")
    assert migrated is not None
    assert (migrated.id, migrated.device_id) == (sensor.id, device.id)
    assert migrated.unique_id == f"{identity}_power"
    state = hass.states.get("sensor.house")
    assert state is not None
    assert state.state == "-1234.5"
    assert len(dr.async_entries_for_config_entry(device_registry, entry.entry_id)) == 1


async def test_an_entry_of_another_kind_is_only_marked(hass: HomeAssistant) -> None:
    entry = MockConfigEntry(domain=DOMAIN, data={"kind": "group"}, minor_version=1)
    await start(hass, entry)

    assert entry.minor_version == 2
    assert entry.data == {"kind": "group"}


# --- a meter in place of another


async def replace(
    hass: HomeAssistant, entry: MockConfigEntry, subentry_id: str, new: str
) -> dict[str, Any]:
    """Choose what takes the place of a meter."""
    flow = hass.config_entries.subentries
    result = await flow.async_init(
        (entry.entry_id, "meter"),
        context={"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id},
    )
    assert result["type"] is FlowResultType.MENU
    result = await flow.async_configure(result["flow_id"], {"next_step_id": "replace_meter"})
    assert result["type"] is FlowResultType.FORM
    result = await flow.async_configure(result["flow_id"], {"new_meter": new})
    await hass.async_block_till_done(wait_background_tasks=True)
    return dict(result)


async def test_a_meter_on_the_same_line_goes_on_as_the_old_one(
    hass: HomeAssistant,
    line: MockModbusConnection,
    entity_registry: er.EntityRegistry,
    device_registry: dr.DeviceRegistry,
) -> None:
    write_sdm630(line.for_unit(1), power=1.0)
    write_sdm630(line.for_unit(2), power=2.0)
    entry = link_entry(meter(1), meter(2, title="New"))
    await start(hass, entry)
    before = entity_registry.async_get("sensor.main_meter_active_power")
    assert before is not None

    result = await replace(hass, entry, "meter_1", "meter_2")

    assert result["reason"] == "meter_replaced"
    assert list(entry.subentries) == ["meter_2"]
    assert entry.subentries["meter_2"].title == "Main meter"
    after = entity_registry.async_get("sensor.main_meter_active_power")
    assert after is not None
    assert after.id == before.id
    state = hass.states.get("sensor.main_meter_active_power")
    assert state is not None
    assert state.state == "2.0"
    assert hass.states.get("sensor.new_active_power") is None
    assert len(dr.async_entries_for_config_entry(device_registry, entry.entry_id)) == 1


async def test_a_meter_on_another_line_goes_on_as_the_old_one(
    hass: HomeAssistant, line: MockModbusConnection, entity_registry: er.EntityRegistry
) -> None:
    write_sdm630(line.for_unit(1), power=1.0)
    write_sdm630(line.for_unit(2), power=2.0)
    entry = link_entry(meter(1))
    other = MockConfigEntry(
        domain=DOMAIN,
        title="Attic",
        unique_id="tcp:192.0.2.2:502",
        data={**TCP_DATA, "host": "192.0.2.2"},
        subentries_data=[meter(2, title="New")],
    )
    await start(hass, entry)
    await start(hass, other)
    before = entity_registry.async_get("sensor.main_meter_active_power")
    assert before is not None

    await replace(hass, entry, "meter_1", "meter_2")

    assert not entry.subentries
    after = entity_registry.async_get("sensor.main_meter_active_power")
    assert after is not None
    assert (after.id, after.config_entry_id) == (before.id, other.entry_id)
    state = hass.states.get("sensor.main_meter_active_power")
    assert state is not None
    assert state.state == "2.0"


async def test_a_meter_that_was_deleted_meanwhile_takes_no_place(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = link_entry(meter(1), meter(2, title="New"))
    await start(hass, entry)
    flow = hass.config_entries.subentries
    result = await flow.async_init(
        (entry.entry_id, "meter"),
        context={"source": SOURCE_RECONFIGURE, "subentry_id": "meter_1"},
    )
    result = await flow.async_configure(result["flow_id"], {"next_step_id": "replace_meter"})
    hass.config_entries.async_remove_subentry(entry, "meter_2")
    result = await flow.async_configure(result["flow_id"], {"new_meter": "meter_2"})
    await hass.async_block_till_done(wait_background_tasks=True)

    assert result["reason"] == "meter_gone"
    assert list(entry.subentries) == ["meter_1"]


def test_a_sunspec_model_is_written_by_what_it_is_found_as() -> None:
    place = {
        "model": 203,
        "instance": 1,
        "address": 40069,
        "length": 105,
        "common": 40002,
        "manufacturer": "Acme",
        "product": "M1",
    }
    stored = {"unit_id": 7, "sunspec": place, "fast_interval_s": 4, "slow_interval_s": 30}
    written = MeterSubentryFlow.written().written(stored)
    assert written["register_map"] == "sunspec"
    assert written["sunspec_model"] == "7_203_1"
