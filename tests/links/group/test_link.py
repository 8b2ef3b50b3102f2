"""What a group shows when its members change, vanish, count anew or are others."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    mock_restore_cache_with_extra_data,
)

from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics

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


async def test_energy_holds_its_last_value_while_a_member_is_not_known(
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
    assert state(hass, ENERGY).state == "1500.0"
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
    assert state(hass, ENERGY).state == "1500.0"
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
    assert state(hass, ENERGY).state == "1502.0"
    # Not forgotten by a restart.
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done()
    await show(hass, "sensor.a", 1001, "kWh")
    assert state(hass, ENERGY).state == "1503.0"


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
    members = [["sensor.a", 1.0], ["sensor.b", 1.0]]
    mock_restore_cache_with_extra_data(
        hass,
        [(State(ENERGY, "1500.0"), {"value": 1500.0, "offset": 100.0, "members": members})],
    )
    await set_up(hass, add_entry(group(*energies("a", "b"))))
    assert state(hass, ENERGY).state == "1500.0"
    await show(hass, "sensor.a", 1000, "kWh")
    assert state(hass, ENERGY).state == "1500.0"
    await show(hass, "sensor.b", 401, "kWh")
    assert state(hass, ENERGY).state == "1501.0"


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
