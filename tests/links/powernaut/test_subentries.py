"""The steps of the site's meter and of the resources."""

from typing import Any

from homeassistant.config_entries import SOURCE_USER, SubentryFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.connection.errors import ConnectionFailed

from .conftest import AddEntry, FakeApi, battery_subentry, site_subentry, solar_subentry
from .samples import BATTERY_ID, SITE_ID, SOLAR_ID, listed, resource

pytestmark = pytest.mark.usefixtures("api", "no_setup")


@pytest.fixture(autouse=True)
def sensors(hass: HomeAssistant) -> None:
    for name, unit in (
        ("grid", "kW"),
        ("battery", "W"),
        ("solar", "W"),
        ("charge", "%"),
        ("energy", "kWh"),
        ("temperature", "°C"),
    ):
        hass.states.async_set(f"sensor.{name}", "1", {"unit_of_measurement": unit})
    hass.states.async_set("sensor.bare", "1")


async def begin(hass: HomeAssistant, entry: MockConfigEntry, kind: str) -> SubentryFlowResult:
    return await hass.config_entries.subentries.async_init(
        (entry.entry_id, kind), context={"source": SOURCE_USER}
    )


async def go_on(
    hass: HomeAssistant, result: SubentryFlowResult, user_input: dict[str, Any]
) -> SubentryFlowResult:
    return await hass.config_entries.subentries.async_configure(result["flow_id"], user_input)


def suggested(result: SubentryFlowResult) -> dict[str, Any]:
    return {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description and key.description.get("suggested_value") is not None
    }


def fields(result: SubentryFlowResult) -> list[str]:
    return [str(key) for key in result["data_schema"].schema]


POWER = {"power_entity": "sensor.battery", "invert": False, "max_age_s": 60}


async def test_the_sites_meter_is_added_once(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry()
    result = await begin(hass, entry, "site")
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    result = await go_on(hass, result, {**POWER, "power_entity": "sensor.temperature"})
    assert result["errors"] == {"power_entity": "no_power"}
    result = await go_on(hass, result, {**POWER, "power_entity": "sensor.bare"})
    assert result["errors"] == {"power_entity": "no_power"}
    result = await go_on(hass, result, {**POWER, "power_entity": "sensor.gone"})
    assert result["errors"] == {"power_entity": "no_power"}
    result = await go_on(hass, result, {**POWER, "power_entity": "sensor.grid", "invert": True})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    [subentry] = entry.get_subentries_of_type("site")
    assert (subentry.title, subentry.unique_id) == ("Powernaut Home", SITE_ID)
    assert subentry.data == {"power_entity": "sensor.grid", "invert": True, "max_age_s": 60}

    result = await begin(hass, entry, "site")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_the_sites_meter_is_changed(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry(site_subentry())
    [subentry] = entry.get_subentries_of_type("site")
    result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    assert suggested(result) == {"power_entity": "sensor.grid", "invert": False, "max_age_s": 60}
    result = await go_on(hass, result, {**POWER, "max_age_s": 30})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    [subentry] = entry.get_subentries_of_type("site")
    assert subentry.data == {**POWER, "max_age_s": 30}


async def test_a_battery_is_picked_and_told_by_power_and_charge(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry()
    result = await begin(hass, entry, "resource")
    [field] = result["data_schema"].schema.values()
    assert field.config["options"] == [
        {"value": BATTERY_ID, "label": "Home battery (static battery)"},
        {"value": SOLAR_ID, "label": "Solar panels (photovoltaic)"},
    ]
    result = await go_on(hass, result, {"resource_id": BATTERY_ID})
    assert result["step_id"] == "entities"
    assert suggested(result) == {"capacity_kwh": 10}
    result = await go_on(hass, result, {**POWER, "soc_entity": "sensor.temperature"})
    assert result["errors"] == {"soc_entity": "no_state_of_charge"}
    result = await go_on(hass, result, {**POWER, "soc_entity": "sensor.charge"})
    assert result["errors"] == {"capacity_kwh": "capacity_needed"}
    charge = {"soc_entity": "sensor.charge", "capacity_kwh": 9.6}
    result = await go_on(hass, result, {**POWER, **charge})
    assert (result["type"], result["title"]) == (FlowResultType.CREATE_ENTRY, "Home battery")
    [subentry] = entry.get_subentries_of_type("resource")
    assert subentry.unique_id == BATTERY_ID
    assert subentry.data == {
        "resource_id": BATTERY_ID,
        "resource_type": "static_battery",
        **POWER,
        **charge,
        "soc_unit": "%",
    }


async def test_a_charge_may_come_in_a_unit_of_energy_without_a_capacity(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry()
    result = await begin(hass, entry, "resource")
    result = await go_on(hass, result, {"resource_id": BATTERY_ID})
    result = await go_on(hass, result, {**POWER, "soc_entity": "sensor.energy"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    [subentry] = entry.get_subentries_of_type("resource")
    assert subentry.data["soc_unit"] == "Wh"
    assert "capacity_kwh" not in subentry.data


@pytest.mark.parametrize(
    ("kind", "charge"),
    [
        ("static_battery", "required"),
        ("electric_vehicle", "optional"),
        ("electric_vehicle_charging_point", "optional"),
        ("photovoltaic", None),
        ("heat_pump", None),
        ("meter", None),
    ],
)
async def test_a_charge_is_asked_for_where_the_type_has_one(
    hass: HomeAssistant, api: FakeApi, add_entry: AddEntry, kind: str, charge: str | None
) -> None:
    api.answer("GET", "resources", listed(resource(type=kind)))
    result = await begin(hass, add_entry(), "resource")
    result = await go_on(hass, result, {"resource_id": BATTERY_ID})
    markers = {str(key): type(key).__name__.lower() for key in result["data_schema"].schema}
    assert markers.get("soc_entity") == charge


async def test_only_what_is_not_set_up_yet_is_offered(
    hass: HomeAssistant, api: FakeApi, add_entry: AddEntry
) -> None:
    entry = add_entry(battery_subentry())
    result = await begin(hass, entry, "resource")
    [field] = result["data_schema"].schema.values()
    assert [option["value"] for option in field.config["options"]] == [SOLAR_ID]
    api.answer("GET", "resources", listed(resource()))
    result = await begin(hass, entry, "resource")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    api.answer("GET", "resources", listed())
    result = await begin(hass, entry, "resource")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "no_resources")


@pytest.mark.parametrize("status", [500, 404])
async def test_an_id_is_typed_only_while_the_platform_does_not_tell(
    hass: HomeAssistant, api: FakeApi, add_entry: AddEntry, status: int
) -> None:
    api.answer("GET", "resources", status=status)
    entry = add_entry(battery_subentry())
    result = await begin(hass, entry, "resource")
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "typed")
    typed = {"resource_id": "battery", "resource_type": "photovoltaic"}
    result = await go_on(hass, result, typed)
    assert result["errors"] == {"resource_id": "invalid_id"}
    result = await go_on(hass, result, {**typed, "resource_id": f" {SOLAR_ID.upper()} "})
    assert result["step_id"] == "entities"
    result = await go_on(hass, result, {**POWER, "power_entity": "sensor.solar"})
    assert (result["type"], result["title"]) == (
        FlowResultType.CREATE_ENTRY,
        "Photovoltaic 0d4c4b2e",
    )
    result = await begin(hass, entry, "resource")
    result = await go_on(hass, result, {**typed, "resource_id": BATTERY_ID})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_an_id_is_typed_while_the_platform_cannot_be_reached(
    hass: HomeAssistant, api: FakeApi, add_entry: AddEntry
) -> None:
    api.error = ConnectionFailed("cannot_connect")
    result = await begin(hass, add_entry(), "resource")
    assert result["step_id"] == "typed"


async def test_a_resource_is_changed_and_a_renamed_entity_is_known(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    registry = er.async_get(hass)
    power = registry.async_get_or_create("sensor", "test", "1", suggested_object_id="battery_2")
    entry = add_entry(battery_subentry(power_entity=power.id, soc_entity="0123456789abcdef"))
    registry.async_update_entity(power.entity_id, new_entity_id="sensor.renamed")
    hass.states.async_set("sensor.renamed", "1", {"unit_of_measurement": "W"})
    [subentry] = entry.get_subentries_of_type("resource")
    result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    assert result["step_id"] == "reconfigure"
    assert suggested(result) == {
        "power_entity": "sensor.renamed",
        "invert": False,
        "capacity_kwh": 10,
        "max_age_s": 60,
    }
    changes = {
        "power_entity": "sensor.renamed",
        "invert": True,
        "max_age_s": 20,
        "soc_entity": "sensor.energy",
    }
    result = await go_on(hass, result, {**changes, "power_entity": "sensor.charge"})
    assert result["errors"] == {"power_entity": "no_power"}
    result = await go_on(hass, result, changes)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    [subentry] = entry.get_subentries_of_type("resource")
    assert subentry.data == {
        "resource_id": BATTERY_ID,
        "resource_type": "static_battery",
        **changes,
        "power_entity": power.id,
        "soc_unit": "Wh",
    }


async def test_both_kinds_can_be_added(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry(solar_subentry())
    assert set(entry.supported_subentry_types) == {"site", "resource"}
