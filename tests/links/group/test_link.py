"""What a group shows when its members change, vanish, count anew or are others."""

import time
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    mock_restore_cache_with_extra_data,
)

from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.points.reader import reported_at
from custom_components.grid_telemetry.vocabulary.counter import Counter

from .conftest import AddEntry, group, member

POWER = "sensor.flats_active_power"
ENERGY = "sensor.flats_imported_energy"


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> MockConfigEntry:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


async def show(hass: HomeAssistant, entity_id: str, value: Any, unit: str = "W") -> None:
    hass.states.async_set(entity_id, str(value), {"unit_of_measurement": unit})
    await hass.async_block_till_done()


def state(hass: HomeAssistant, entity_id: str) -> State:
    found = hass.states.get(entity_id)
    assert found is not None
    return found


def powers(*names: str, factor: float = 1.0) -> list[dict[str, Any]]:
    return [member(f"sensor.{name}", "power", factor) for name in names]


def energies(*names: str, factor: float = 1.0) -> list[dict[str, Any]]:
    return [member(f"sensor.{name}", "energy_import", factor) for name in names]


async def test_a_total_adds_up_in_whatever_unit_the_members_have(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    await show(hass, "sensor.a", 1.5, "kW")
    await show(hass, "sensor.b", 250.5)
    await set_up(hass, add_entry(group(*powers("a", "b"))))
    assert state(hass, POWER).state == "1750.5"
    assert state(hass, POWER).attributes["unit_of_measurement"] == "W"
    assert state(hass, POWER).attributes["state_class"] == "measurement"
    await show(hass, "sensor.a", 2, "kW")
    assert state(hass, POWER).state == "2250.5"
    known = er.async_get(hass).async_get(POWER)
    assert known is not None
    assert known.translation_key == "power"
    assert known.device_id is not None
    device = dr.async_get(hass).async_get(known.device_id)
    assert device is not None
    assert (device.name, device.model) == ("Flats", "Meter total")


async def test_only_what_changed_is_shown_anew(hass: HomeAssistant, add_entry: AddEntry) -> None:
    for name in ("a", "b", "c", "d"):
        await show(hass, f"sensor.{name}", 1)
    groups = (group(*powers("a", "b")), group(*powers("c", "d"), name="Shops"))
    await set_up(hass, add_entry(*groups))
    written: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        written.append(event.data["entity_id"])

    async_track_state_change_event(hass, [POWER, "sensor.shops_active_power"], note)
    await show(hass, "sensor.b", 2)
    assert written == [POWER]


async def test_power_is_unavailable_while_a_members_is(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    await show(hass, "sensor.a", 1)
    await set_up(hass, add_entry(group(*powers("a", "b"))))
    assert state(hass, POWER).state == "unavailable"
    await show(hass, "sensor.b", 2)
    assert state(hass, POWER).state == "3.0"
    await show(hass, "sensor.b", "unknown")
    assert state(hass, POWER).state == "unavailable"
    await show(hass, "sensor.b", 1, "°C")
    assert state(hass, POWER).state == "unavailable"


async def test_energy_counts_on_while_a_member_is_not_known(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    await show(hass, "sensor.a", 1000, "kWh")
    await set_up(hass, add_entry(group(*energies("a", "b"))))
    assert state(hass, ENERGY).state == "unknown"
    await show(hass, "sensor.b", 500_000, "Wh")
    assert state(hass, ENERGY).state == "1500.0"
    assert state(hass, ENERGY).attributes["state_class"] == "total_increasing"
    for gone in ("unavailable", "unknown"):
        await show(hass, "sensor.b", gone, "Wh")
        assert state(hass, ENERGY).state == "1500.0"
    hass.states.async_remove("sensor.b")
    await show(hass, "sensor.a", 1001, "kWh")
    assert state(hass, ENERGY).state == "1501.0"
    await show(hass, "sensor.b", 501, "kWh")
    assert state(hass, ENERGY).state == "1502.0"


async def test_a_member_that_reads_zero_for_a_moment_is_waited_for(
    hass: HomeAssistant, add_entry: AddEntry, freezer: FrozenDateTimeFactory
) -> None:
    await show(hass, "sensor.a", 1000, "kWh")
    await show(hass, "sensor.b", 500, "kWh")
    await set_up(hass, add_entry(group(*energies("a", "b"))))
    await show(hass, "sensor.b", 0, "kWh")
    assert state(hass, ENERGY).state == "1500.0"
    freezer.tick(599)
    await show(hass, "sensor.a", 1001, "kWh")
    assert state(hass, ENERGY).state == "1501.0"
    await show(hass, "sensor.b", 502, "kWh")
    assert state(hass, ENERGY).state == "1503.0"


async def test_a_member_that_counts_anew_lets_the_total_go_on(
    hass: HomeAssistant, add_entry: AddEntry, freezer: FrozenDateTimeFactory
) -> None:
    await show(hass, "sensor.a", 1000, "kWh")
    await show(hass, "sensor.b", 500, "kWh")
    entry = await set_up(hass, add_entry(group(*energies("a", "b"))))
    await show(hass, "sensor.b", 0.5, "kWh")
    freezer.tick(601)
    await show(hass, "sensor.b", 0.6, "kWh")
    assert state(hass, ENERGY).state == "1500.0"
    await show(hass, "sensor.b", 2.6, "kWh")
    # What the new one shows it has counted since.
    assert state(hass, ENERGY).state == "1502.6"
    # Not forgotten by a restart.
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    await show(hass, "sensor.a", 1001, "kWh")
    assert state(hass, ENERGY).state == "1503.6"


async def test_other_members_let_the_total_go_on(hass: HomeAssistant, add_entry: AddEntry) -> None:
    await show(hass, "sensor.a", 1000, "kWh")
    await show(hass, "sensor.b", 500, "kWh")
    await show(hass, "sensor.c", 70_000, "kWh")
    entry = await set_up(hass, add_entry(group(*energies("a", "b"))))
    (subentry,) = entry.subentries.values()
    hass.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, "points": energies("b", "c")}
    )
    await hass.async_block_till_done()
    assert state(hass, ENERGY).state == "1500.0"
    await show(hass, "sensor.c", 70_001, "kWh")
    assert state(hass, ENERGY).state == "1501.0"


async def test_energy_is_restored_until_all_members_are_there(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    members = []
    for name, value in (("sensor.a", 1000.0), ("sensor.b", 400.0)):
        counter = Counter()
        counter.take(value, 0)
        members.append([[name, 1.0], counter.as_dict(0)])
    stored = {"value": 1500.0, "at": time.time() - 3600, "members": members}
    mock_restore_cache_with_extra_data(hass, [(State(ENERGY, "1500.0"), stored)])
    await set_up(hass, add_entry(group(*energies("a", "b"))))
    assert state(hass, ENERGY).state == "1500.0"
    await show(hass, "sensor.a", 1000, "kWh")
    assert state(hass, ENERGY).state == "1500.0"
    await show(hass, "sensor.b", 401, "kWh")
    assert state(hass, ENERGY).state == "1501.0"


async def test_what_an_earlier_version_stored_is_gone_on_from(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    stored = {"value": 1500.0, "offset": 100.0, "members": [["sensor.a", 1.0]]}
    mock_restore_cache_with_extra_data(hass, [(State(ENERGY, "1500.0"), stored)])
    await set_up(hass, add_entry(group(*energies("a"))))
    await show(hass, "sensor.a", 1400, "kWh")
    await show(hass, "sensor.a", 1401, "kWh")
    assert state(hass, ENERGY).state == "1501.0"


async def report(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, values: dict[str, float], times: int = 1
) -> None:
    """Have sensors report, each time 30 s later."""
    for _ in range(times):
        freezer.tick(30)
        for entity_id, value in values.items():
            hass.states.async_set(entity_id, str(value), {"unit_of_measurement": "kWh"})
    await hass.async_block_till_done()


async def test_a_replaced_sub_meter_changes_no_difference(
    hass: HomeAssistant, add_entry: AddEntry, freezer: FrozenDateTimeFactory
) -> None:
    await report(hass, freezer, {"sensor.house": 10_000, "sensor.car": 3000})
    members = [*energies("house"), *energies("car", factor=-1)]
    await set_up(hass, add_entry(group(*members, kind="difference")))
    assert state(hass, ENERGY).state == "7000.0"
    await report(hass, freezer, {"sensor.car": 0.2})
    assert state(hass, ENERGY).state == "7000.0"
    await report(hass, freezer, {"sensor.car": 0.2}, times=3)
    # What the new one shows it has counted itself.
    assert state(hass, ENERGY).state == "6999.8"
    await report(hass, freezer, {"sensor.house": 10_001, "sensor.car": 0.7})
    assert state(hass, ENERGY).state == "7000.3"


async def test_a_member_that_comes_back_takes_its_reset_off(
    hass: HomeAssistant, add_entry: AddEntry, freezer: FrozenDateTimeFactory
) -> None:
    await report(hass, freezer, {"sensor.a": 1000, "sensor.b": 500})
    await set_up(hass, add_entry(group(*energies("a", "b"))))
    await report(hass, freezer, {"sensor.b": 0}, times=22)
    await report(hass, freezer, {"sensor.b": 500})
    assert state(hass, ENERGY).state == "1500.0"
    await report(hass, freezer, {"sensor.b": 501})
    assert state(hass, ENERGY).state == "1501.0"


async def test_only_the_member_that_was_replaced_is_held(
    hass: HomeAssistant, add_entry: AddEntry, freezer: FrozenDateTimeFactory
) -> None:
    names = [f"meter_{number}" for number in range(30)]
    values = {f"sensor.{name}": 1000.0 for name in names}
    await report(hass, freezer, values)
    await set_up(hass, add_entry(group(*energies(*names))))
    values["sensor.meter_7"] = 0.0
    for _ in range(20):
        values = {name: value + 0.06 for name, value in values.items()}
        await report(hass, freezer, values)
    assert float(state(hass, ENERGY).state) == pytest.approx(30_000 + 30 * 20 * 0.06)


async def test_counters_of_the_day_lose_nothing(
    hass: HomeAssistant, add_entry: AddEntry, freezer: FrozenDateTimeFactory
) -> None:
    await report(hass, freezer, {"sensor.a": 0.01, "sensor.b": 0.01})
    await set_up(hass, add_entry(group(*energies("a", "b"))))
    for day in range(3):
        for step in range(1, 751):
            # The second one begins its day 10 reports later.
            first, second = 0.01 * step, 0.01 * ((step - 11) % 750 + 1)
            if (day, step) > (0, 1) and not (day == 0 and step <= 11):
                await report(hass, freezer, {"sensor.a": first, "sensor.b": second})
            elif (day, step) > (0, 1):
                await report(hass, freezer, {"sensor.a": first})
    # Both stand where they stood: 3 days of 7.5 kWh each, and a second one that is 10 reports late.
    assert float(state(hass, ENERGY).state) == pytest.approx(22.5 + 22.4, abs=0.0101)


async def test_a_register_that_rolls_over_goes_on(
    hass: HomeAssistant, add_entry: AddEntry, freezer: FrozenDateTimeFactory
) -> None:
    width = 2**32 / 1000
    await report(hass, freezer, {"sensor.a": width - 1})
    await set_up(hass, add_entry(group(*energies("a"))))
    for step in range(40):
        await report(hass, freezer, {"sensor.a": (width - 1 + 0.05 * step) % width})
    assert float(state(hass, ENERGY).state) == pytest.approx(width - 1 + 0.05 * 39)


async def test_a_member_that_stands_is_confirmed_without_a_report(
    hass: HomeAssistant, add_entry: AddEntry, freezer: FrozenDateTimeFactory
) -> None:
    await show(hass, "sensor.a", 0, "kWh")
    await set_up(hass, add_entry(group(*energies("a"))))
    assert state(hass, ENERGY).state == "unknown"
    for _ in range(4):
        freezer.tick(31)
        async_fire_time_changed(hass)
        await hass.async_block_till_done()
    assert state(hass, ENERGY).state == "0.0"


async def test_a_group_is_as_old_as_its_oldest_member(
    hass: HomeAssistant, add_entry: AddEntry, freezer: FrozenDateTimeFactory
) -> None:
    await show(hass, "sensor.a", 0)
    await show(hass, "sensor.b", 0)
    await set_up(hass, add_entry(group(*powers("a", "b"))))
    for _ in range(20):
        freezer.tick(4)
        await show(hass, "sensor.a", 0)
        await show(hass, "sensor.b", 0)
    now = freezer.time_to_freeze.timestamp()
    assert state(hass, POWER).last_reported_timestamp == pytest.approx(now)
    assert state(hass, POWER).last_changed_timestamp == pytest.approx(now - 80, abs=1)
    for step in range(5):
        freezer.tick(4)
        await show(hass, "sensor.a", step)
    # Its value changes with the one member, and is as old as the other one.
    assert state(hass, POWER).state == "4.0"
    assert reported_at(hass, state(hass, POWER)) == pytest.approx(now)


async def test_a_missing_member_can_count_as_nothing(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    await show(hass, "sensor.house", 500)
    pv = {**member("sensor.pv", "power"), "missing_as_zero": True}
    await set_up(hass, add_entry(group(*powers("house"), pv)))
    # One that was never there may be on its way.
    assert state(hass, POWER).state == "unavailable"
    await show(hass, "sensor.pv", 300)
    assert state(hass, POWER).state == "800.0"
    for missing in ("unavailable", "unknown"):
        await show(hass, "sensor.pv", missing)
        assert state(hass, POWER).state == "500.0"
    await show(hass, "sensor.house", "unavailable")
    assert state(hass, POWER).state == "unavailable"


async def test_a_check_meter_takes_the_others_off(hass: HomeAssistant, add_entry: AddEntry) -> None:
    for name, power, energy in (("house", 5000, 900), ("car", 3600, 300), ("pump", 400, 150)):
        await show(hass, f"sensor.{name}", power)
        await show(hass, f"sensor.{name}_energy", energy, "kWh")
    await set_up(
        hass,
        add_entry(
            group(
                *powers("house"),
                *powers("car", "pump", factor=-1),
                *energies("house_energy"),
                *energies("car_energy", "pump_energy", factor=-1),
                kind="difference",
            )
        ),
    )
    assert state(hass, POWER).state == "1000.0"
    assert state(hass, ENERGY).state == "450.0"
    # Meters are not read at the same instant, so a difference may fall.
    assert state(hass, ENERGY).attributes["state_class"] == "total"
    await show(hass, "sensor.car_energy", 301, "kWh")
    assert state(hass, ENERGY).state == "449.0"
    await show(hass, "sensor.car_energy", "unavailable", "kWh")
    assert state(hass, ENERGY).state == "449.0"
    known = er.async_get(hass).async_get(ENERGY)
    assert known is not None
    assert known.device_id is not None
    device = dr.async_get(hass).async_get(known.device_id)
    assert device is not None
    assert device.model == "Check meter"


async def test_a_renamed_member_is_followed_and_a_removed_one_is_missed(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    registry = er.async_get(hass)
    known = registry.async_get_or_create("sensor", "test", "a", suggested_object_id="a")
    await show(hass, "sensor.a", 1)
    await show(hass, "sensor.b", 2)
    await set_up(hass, add_entry(group(member(known.id, "power"), *powers("b"))))
    assert state(hass, POWER).state == "3.0"
    registry.async_update_entity("sensor.a", new_entity_id="sensor.renamed")
    hass.states.async_remove("sensor.a")
    await show(hass, "sensor.renamed", 5)
    assert state(hass, POWER).state == "7.0"
    registry.async_update_entity("sensor.renamed", name="Another name")
    await hass.async_block_till_done()
    assert state(hass, POWER).state == "7.0"
    registry.async_remove("sensor.renamed")
    await hass.async_block_till_done()
    assert state(hass, POWER).state == "unavailable"
    # The registry gives it its old id.
    again = registry.async_get_or_create("sensor", "test", "a", suggested_object_id="a")
    assert again.id == known.id
    await show(hass, again.entity_id, 6)
    assert state(hass, POWER).state == "8.0"


async def test_a_quantity_that_is_taken_out_goes_with_its_sensor(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    await show(hass, "sensor.a", 1)
    await show(hass, "sensor.b", 2, "kWh")
    entry = await set_up(hass, add_entry(group(*powers("a"), *energies("b"))))
    (subentry,) = entry.subentries.values()
    hass.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, "points": powers("a")}
    )
    await hass.async_block_till_done()
    assert er.async_get(hass).async_get(ENERGY) is None
    assert state(hass, POWER).state == "1.0"


async def test_diagnostics_tell_what_is_shown(hass: HomeAssistant, add_entry: AddEntry) -> None:
    await show(hass, "sensor.a", 1)
    entry = await set_up(hass, add_entry(group(*powers("a"))))
    told = await async_get_config_entry_diagnostics(hass, entry)
    assert told["link"] == {"sensors": {POWER: {"available": True, "value": 1.0}}}
    assert await hass.config_entries.async_remove(entry.entry_id)
