"""The steps of a published device: what is suggested, and what is refused."""

from typing import Any

from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from tests.links.flows import fill_in, register_meter, save, suggested

from .conftest import AddEntry, device, point

pytestmark = pytest.mark.usefixtures("no_setup")

SUBENTRY = "sttp_device"


async def begin(hass: HomeAssistant, entry: MockConfigEntry, **chosen: Any) -> dict[str, Any]:
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY), context={"source": SOURCE_USER}
    )
    assert result["step_id"] == "user"
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"acronym": "METER", "max_age_s": 60, **chosen}
    )
    return await fill_in(hass, result)


async def test_quantities_of_our_meters_are_known(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry()
    found = register_meter(
        hass, "House", "frequency", "voltage_l1", "voltage_l1_l2", "current_n", "energy_import"
    )
    result = await begin(hass, entry, devices=[found])
    assert result["step_id"] == "points"
    rows = [
        [row.get(key) for key in ("name", "signal", "phase", "unit")] for row in suggested(result)
    ]
    assert rows == [
        ["FREQUENCY", "FREQ", None, "Hz"],
        ["VOLTAGE_L1", "VPHM", "A", "V"],
        ["VOLTAGE_L1_L2", "VPHM", None, "V"],
        ["CURRENT_N", "IPHM", "N", "A"],
        ["ENERGY_IMPORT", "ALOG", None, "kWh"],
    ]
    result = await save(hass, result, suggested(result))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "METER"
    (subentry,) = entry.subentries.values()
    assert (subentry.data["acronym"], subentry.data["max_age_s"]) == ("METER", 60)
    voltage = er.async_get(hass).async_get("sensor.house_voltage_l1")
    assert voltage is not None
    assert subentry.data["points"][1] == {
        "entity": voltage.id,
        "name": "VOLTAGE_L1",
        "unit": "V",
        "factor": 1.0,
        "signal": "VPHM",
        "phase": "A",
    }


@pytest.mark.parametrize(
    ("disabler", "offered"),
    [
        (er.RegistryEntryDisabler.INTEGRATION, ["CURRENT_L1", "POWER_L1"]),
        (er.RegistryEntryDisabler.USER, []),
    ],
)
async def test_a_phase_that_is_mapped_is_enabled(
    hass: HomeAssistant,
    add_entry: AddEntry,
    disabler: er.RegistryEntryDisabler,
    offered: list[str],
) -> None:
    entry = add_entry()
    found = register_meter(
        hass, "House", "current_l1", "power_l1", "voltage_l1_l2", disabled_by=disabler
    )
    hass.states.async_set("sensor.other", "1", {"unit_of_measurement": "W"})
    result = await begin(hass, entry, devices=[found], entities=["sensor.other"])
    assert [row["name"] for row in suggested(result)] == [*offered, "OTHER"]
    await save(hass, result, suggested(result)[-2:])

    registry = er.async_get(hass)
    current, power = (
        registry.async_get(f"sensor.house_{key}") for key in ("current_l1", "power_l1")
    )
    assert current is not None
    assert power is not None
    # The one that was taken out of the table stays disabled.
    assert current.disabled_by is disabler
    assert power.disabled_by is (None if offered else disabler)


async def test_other_sensors_are_judged_by_device_class_and_unit(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    for name, device_class, unit in (
        ("grid", "frequency", "Hz"),
        ("island", "frequency", "Hz"),
        ("speed", "frequency", "rpm"),
        ("counter", "energy", "Wh"),
        ("bare", None, None),
    ):
        attributes = {"device_class": device_class, "unit_of_measurement": unit}
        hass.states.async_set(f"sensor.{name}", "1", attributes)
    names = ["grid", "island", "speed", "counter", "bare", "absent"]
    result = await begin(hass, add_entry(), entities=[f"sensor.{name}" for name in names])
    rows = [[row.get(key) for key in ("name", "signal", "unit")] for row in suggested(result)]
    assert rows == [
        ["GRID", "FREQ", "Hz"],
        ["ISLAND", "ALOG", "Hz"],
        ["SPEED", "ALOG", "rpm"],
        ["COUNTER", "ALOG", "kWh"],
        ["BARE", "ALOG", None],
        ["ABSENT", "ALOG", None],
    ]


@pytest.mark.parametrize(
    ("acronym", "error"), [("meter", "invalid_device_id"), ("OTHER", "device_id_in_use")]
)
async def test_an_acronym_is_of_few_characters_and_unique(
    hass: HomeAssistant, add_entry: AddEntry, acronym: str, error: str
) -> None:
    entry = add_entry(device("OTHER", point("sensor.a", "A")))
    result = await begin(hass, entry, acronym=acronym, entities=["sensor.b"])
    assert result["errors"] == {"acronym": error}


async def test_a_device_needs_something_to_publish(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    assert (await begin(hass, add_entry()))["errors"] == {"base": "nothing_to_send"}


A = {"entity": "sensor.a", "name": "A"}
B = {"entity": "sensor.b", "name": "B"}


@pytest.mark.parametrize(
    ("rows", "error", "about"),
    [
        ([A | {"name": "a"}], "invalid_name", "a"),
        ([A, B | {"name": "A"}], "duplicate_name", "A"),
        ([A, A | {"name": "B"}], "entity_in_use", "sensor.a"),
        ([A | {"entity": "sensor.other"}], "entity_in_use", "sensor.other"),
        ([A | {"signal": "FREQ"}, B | {"signal": "FREQ"}], "duplicate_signal", "FREQ"),
        (
            [A | {"signal": "VPHM", "phase": "A"}, B | {"signal": "VPHM", "phase": "A"}],
            "duplicate_signal",
            "VPHM A",
        ),
        ([A | {"signal": "VPHM", "unit": "kV"}], "fixed_unit", "VPHM: V"),
        ([A | {"factor": 0}], "zero_factor", "A"),
        ([B | {"unit": "V"}], "wrong_unit", "sensor.b: W → V"),
        ([B | {"signal": "IPHM"}], "wrong_unit", "sensor.b: W → A"),
        ([A | {"name": ""}], "no_points", ""),
    ],
)
async def test_rows_that_make_no_signal_are_refused(
    hass: HomeAssistant,
    add_entry: AddEntry,
    rows: list[dict[str, Any]],
    error: str,
    about: str,
) -> None:
    hass.states.async_set("sensor.a", "50", {"unit_of_measurement": "Hz"})
    if "VPHM" in str(rows):
        hass.states.async_set("sensor.a", "50", {"unit_of_measurement": "V"})
        hass.states.async_set("sensor.b", "50", {"unit_of_measurement": "V"})
    elif "FREQ" in str(rows):
        hass.states.async_set("sensor.b", "50", {"unit_of_measurement": "Hz"})
    else:
        hass.states.async_set("sensor.b", "50", {"unit_of_measurement": "W"})
    entry = add_entry(device("OTHER", point("sensor.other", "A")))
    result = await begin(hass, entry, entities=["sensor.a"])
    result = await save(hass, result, rows)
    assert result["errors"] == {"base": error}
    assert result["description_placeholders"]["row"] == about
    assert suggested(result) == rows


async def test_reconfigure_shows_what_is_stored_and_adds_to_it(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    registry = er.async_get(hass)
    kept = registry.async_get_or_create("sensor", "test", "kept", suggested_object_id="kept")
    gone = registry.async_get_or_create("sensor", "test", "gone", suggested_object_id="gone")
    registry.async_remove(gone.entity_id)
    entry = add_entry(
        device("METER", point(kept.id, "KEPT", "CALC", factor=2.0), point(gone.id, "GONE"))
    )
    (subentry,) = entry.subentries.values()
    registry.async_update_entity(kept.entity_id, new_entity_id="sensor.renamed")
    result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    values = {
        str(key): (key.description or {}).get("suggested_value")
        for key in result["data_schema"].schema
    }
    assert (values["acronym"], values["max_age_s"]) == ("METER", 300)
    shown = await hass.config_entries.subentries.async_configure(
        result["flow_id"],
        {"acronym": "HOUSE", "max_age_s": 10, "entities": ["sensor.renamed", "sensor.new"]},
    )
    shown = await fill_in(hass, shown)
    rows = suggested(shown)
    assert rows == [
        {"entity": "sensor.renamed", "name": "KEPT", "signal": "CALC", "factor": 2.0},
        {"entity": "sensor.new", "name": "NEW", "signal": "ALOG", "factor": 1},
    ]
    result = await save(hass, shown, rows)
    assert result["reason"] == "reconfigure_successful"
    (subentry,) = entry.subentries.values()
    assert subentry.title == subentry.data["acronym"] == "HOUSE"
    assert subentry.data["max_age_s"] == 10
    assert [item["name"] for item in subentry.data["points"]] == ["KEPT", "NEW"]


async def test_a_deadband_is_chosen_by_row(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry()
    found = register_meter(hass, "House", "power", "voltage_l1")
    result = await begin(hass, entry, devices=[found])
    rows = suggested(result)
    rows[0] |= {"min_change": 10, "max_pause_s": 120}
    rows[1] |= {"min_change": 0}
    assert (await save(hass, result, rows))["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    chosen = [
        (point.get("min_change"), point.get("max_pause_s")) for point in subentry.data["points"]
    ]
    assert chosen == [(10, 120), (None, None)]
