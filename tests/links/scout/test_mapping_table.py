"""The mapping of a Scout device: chosen in many ways, copied, and pasted as a table."""

from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    label_registry as lr,
)
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from tests.links.flows import fill_in, register_meter, suggested

pytestmark = pytest.mark.usefixtures("no_setup")

QUANTITIES = ("voltage_l1", "power", "energy_import")


@pytest.fixture
def no_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave entries as they are, once made."""

    async def skip(*_: Any) -> None:
        return None

    monkeypatch.setattr(f"custom_components.{DOMAIN}.async_setup_entry", skip)


def entry_of(hass: HomeAssistant, *devices: ConfigSubentryData) -> MockConfigEntry:
    entry = MockConfigEntry(domain=DOMAIN, data={CONF_KIND: "scout"}, subentries_data=devices)
    entry.add_to_hass(hass)
    return entry


def device(name: str, *points: dict[str, Any]) -> ConfigSubentryData:
    return ConfigSubentryData(
        subentry_type="device",
        title=name,
        unique_id=None,
        data={"gateway_device_id": name, "points": list(points)},
    )


async def choose(hass: HomeAssistant, entry: MockConfigEntry, **chosen: Any) -> dict[str, Any]:
    """Choose readings, and return the menu that follows."""
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "device"), context={"source": SOURCE_USER}
    )
    return dict(
        await hass.config_entries.subentries.async_configure(
            result["flow_id"], {"gateway_device_id": "7", **chosen}
        )
    )


async def paste(hass: HomeAssistant, result: dict[str, Any], text: str) -> dict[str, Any]:
    return dict(
        await hass.config_entries.subentries.async_configure(result["flow_id"], {"text": text})
    )


def rows_of(result: dict[str, Any]) -> set[str]:
    return {row["entity"] for row in suggested(result)}


def stored(entry: MockConfigEntry) -> list[tuple[str, str | None, float]]:
    *_, subentry = entry.subentries.values()
    return [
        (point["name"], point.get("unit"), point["factor"]) for point in subentry.data["points"]
    ]


async def test_what_has_a_code_and_what_has_none_is_counted(hass: HomeAssistant) -> None:
    found = register_meter(hass, "house", *QUANTITIES)
    result = await choose(hass, entry_of(hass), devices=[found])
    assert result["type"] is FlowResultType.MENU
    assert result["description_placeholders"] == {
        "device_id": "7",
        "named": "2",
        "unnamed": "1",
    }


async def test_readings_are_chosen_by_area_label_and_integration(hass: HomeAssistant) -> None:
    registry, devices = er.async_get(hass), dr.async_get(hass)
    entry = entry_of(hass)
    cellar = ar.async_get(hass).async_create("Cellar").id
    billed = lr.async_get(hass).async_create("Billed").label_id
    by_area = register_meter(hass, "area", "power", "voltage_l1", domain="one")
    by_label = register_meter(hass, "label", "power", domain="one")
    register_meter(hass, "single", "power", "voltage_l1", domain="one")
    register_meter(hass, "other", "power", domain="two")
    devices.async_update_device(by_area, area_id=cellar)
    devices.async_update_device(by_label, labels={billed})
    registry.async_update_entity("sensor.single_power", labels={billed})
    # What was moved out of the area of its device is not in it.
    registry.async_update_entity("sensor.area_voltage_l1", name="Attic", area_id="attic")

    async def chosen(**by: Any) -> set[str]:
        return rows_of(await fill_in(hass, await choose(hass, entry, choose_by=by)))

    assert await chosen(areas=[cellar]) == {"sensor.area_power"}
    assert await chosen(labels=[billed]) == {"sensor.label_power", "sensor.single_power"}
    assert await chosen(integrations=["two"]) == {"sensor.other_power"}
    assert await chosen(areas=[cellar], integrations=["two"]) == {
        "sensor.area_power",
        "sensor.other_power",
    }


async def test_a_pasted_table_takes_what_it_leaves_out_from_the_suggestions(
    hass: HomeAssistant,
) -> None:
    entry = entry_of(hass)
    found = register_meter(hass, "house", *QUANTITIES)
    result = await fill_in(hass, await choose(hass, entry, devices=[found]), "text")
    (key,) = result["data_schema"].schema
    shown = key.description["suggested_value"].splitlines()
    assert shown[0] == "entity; code; unit; factor; take; guard"
    assert "sensor.house_voltage_l1; V_AN; V; 1" in shown
    assert shown[-1] == "sensor.house_power; ; W; 1"
    table = "entity\tcode\nsensor.house_power\tP_TOT\nsensor.house_energy_import\tEA"
    assert (await paste(hass, result, table))["type"] is FlowResultType.CREATE_ENTRY
    assert stored(entry) == [("P_TOT", "W", 1.0), ("EA", "Wh", 1.0)]


async def test_every_line_that_cannot_be_is_told_in_words(hass: HomeAssistant) -> None:
    entry = entry_of(hass)
    found = register_meter(hass, "house", *QUANTITIES)
    result = await fill_in(hass, await choose(hass, entry, devices=[found]), "text")
    table = (
        "entity;code;unit\nsensor.house_power;P TOT\n\nsensor.house_energy_import;E;V\n"
        "sensor.gone;G\nsensor.house_voltage_l1;E\n"
    )
    result = await paste(hass, result, table.replace("sensor.gone;G\n", ""))
    assert result["errors"] == {"base": "wrong_rows"}
    told = result["description_placeholders"]["mistakes"].strip().splitlines()
    assert told == [
        "- Line 2: “P TOT” is not a code: letters, digits, _ . and - only, at most 64.",
        "- Line 4: The unit cannot be converted: sensor.house_energy_import: kWh → V.",
    ]
    (key,) = result["data_schema"].schema
    assert key.description["suggested_value"].startswith("entity;code;unit")
    result = await paste(hass, result, table)
    assert result["description_placeholders"]["mistakes"].strip() == (
        "- Line 5: There is no entity sensor.gone."
    )
    result = await paste(hass, result, "entity;code\n" + "nothing;P\n" * 25)
    told = result["description_placeholders"]["mistakes"].strip().splitlines()
    assert (len(told), told[-1]) == (21, "- 5 more")
    result = await paste(hass, result, "")
    assert result["errors"] == {"base": "no_points"}
    result = await paste(hass, result, "sensor.house_power;P_TOT;kW;2")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert stored(entry) == [("P_TOT", "kW", 2.0)]


async def test_rows_of_the_form_are_told_all_at_once(hass: HomeAssistant) -> None:
    found = register_meter(hass, "house", *QUANTITIES)
    result = await fill_in(hass, await choose(hass, entry_of(hass), devices=[found]))
    rows = [
        {"entity": "sensor.house_power", "code": "P", "factor": 0},
        {"entity": "sensor.house_voltage_l1", "code": "V V"},
    ]
    result = dict(
        await hass.config_entries.subentries.async_configure(result["flow_id"], {"points": rows})
    )
    assert result["errors"] == {"base": "zero_factor"}
    assert result["description_placeholders"]["mistakes"].strip().splitlines() == [
        "- Row 1: The factor of P must not be 0.",
        "- Row 2: “V V” is not a code: letters, digits, _ . and - only, at most 64.",
    ]


async def test_what_is_suggested_can_be_saved_at_once(hass: HomeAssistant) -> None:
    entry = entry_of(hass)
    found = register_meter(hass, "house", *QUANTITIES)
    result = await fill_in(hass, await choose(hass, entry, devices=[found]), "save")
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert [name for name, *_ in stored(entry)] == ["V_AN", "P_CON_TOT_ENERGY"]


async def test_codes_are_offered_and_others_may_be_typed(hass: HomeAssistant) -> None:
    found = register_meter(hass, "house", "power")
    result = await fill_in(hass, await choose(hass, entry_of(hass), devices=[found]))
    (selector,) = result["data_schema"].schema.values()
    options = selector.config["fields"]["code"]["selector"]["select"]
    assert {"V_AN", "V_PP", "P_CON_TOT_ENERGY"} <= set(options["options"])
    assert options["custom_value"]


async def test_the_mapping_of_another_gateways_device_is_copied(hass: HomeAssistant) -> None:
    register_meter(hass, "first", *QUANTITIES, "frequency")
    second = register_meter(hass, "second", *QUANTITIES)
    foreign = register_meter(hass, "foreign", "power", domain="other")
    # The same as another meter has, from another integration.
    entity = er.async_get(hass).async_get("sensor.first_power")
    assert entity is not None
    source = entry_of(
        hass,
        device(
            "OLD",
            {"entity": entity.id, "name": "PW", "unit": "kW", "factor": -1},
            {"entity": entity.id, "name": "PW_MAX", "unit": "kW", "take": "maximum"},
            {"entity": "sensor.gone", "name": "GONE"},
        ),
    )
    (old,) = source.subentries
    entry = entry_of(hass)
    result = await choose(hass, entry, devices=[second, foreign], copy_from=old)
    assert result["description_placeholders"]["named"] == "2"
    result = await fill_in(hass, result)
    named = [row for row in suggested(result) if row.get("code")]
    assert named == [
        {"entity": "sensor.second_power", "code": "PW", "unit": "kW", "factor": -1},
        {
            "entity": "sensor.second_power",
            "code": "PW_MAX",
            "unit": "kW",
            "take": "maximum",
        },
    ]
    assert len(suggested(result)) == 5
    other = await fill_in(hass, await choose(hass, entry, devices=[foreign], copy_from=old))
    assert [row["code"] for row in suggested(other)] == ["PW", "PW_MAX"]


async def test_a_change_begins_with_what_is_sent(hass: HomeAssistant) -> None:
    register_meter(hass, "house", *QUANTITIES)
    hass.states.async_set("sensor.boiler", "1", {"friendly_name": "Boiler"})
    power = er.async_get(hass).async_get("sensor.house_power")
    assert power is not None
    entry = entry_of(
        hass,
        device(
            "7",
            {"entity": power.id, "name": "P"},
            {"entity": "sensor.boiler", "name": "B"},
            {"entity": "sensor.unheard", "name": "U"},
        ),
    )
    (subentry_id,) = entry.subentries
    result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    assert result["description_placeholders"]["chosen"].strip().splitlines() == [
        "- house: 1 of 3 readings are sent",
        "- Boiler: 1 of 1 readings are sent",
        "- sensor.unheard: 1 of 1 readings are sent",
    ]


@pytest.mark.parametrize(("present", "proposed"), [([], "MAIN"), ([device("MAIN")], None)])
async def test_the_gateway_itself_is_proposed_once(
    hass: HomeAssistant, present: list[ConfigSubentryData], proposed: str | None
) -> None:
    result = await hass.config_entries.subentries.async_init(
        (entry_of(hass, *present).entry_id, "device"), context={"source": SOURCE_USER}
    )
    assert result["data_schema"] is not None
    (name,) = (key for key in result["data_schema"].schema if key == "gateway_device_id")
    assert (name.default() if callable(name.default) else None) == proposed
