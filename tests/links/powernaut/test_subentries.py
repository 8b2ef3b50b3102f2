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


async def test_each_kind_can_be_added(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry(solar_subentry())
    assert set(entry.supported_subentry_types) == {"site", "resource", "standing_bid", "baseline"}


OFFER = {
    "name": "Evenings",
    "resource_id": BATTERY_ID,
    "curve": [{"watts": -2500, "price": 0.3}],
    "start_time": "18:00:00",
    "end_time": "21:00:00",
    "weekdays": ["mon", "fri"],
    "horizon_h": 4,
}


async def test_a_standing_bid_is_added_and_changed(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry(battery_subentry(), solar_subentry())
    result = await go_on(hass, await begin(hass, entry, "standing_bid"), OFFER)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    [made] = entry.get_subentries_of_type("standing_bid")
    assert made.title == "Evenings"
    assert made.data == {key: value for key, value in OFFER.items() if key != "name"}

    changed = await entry.start_subentry_reconfigure_flow(hass, made.subentry_id)
    assert suggested(changed)["curve"] == OFFER["curve"]
    kept = {key: OFFER[key] for key in ("start_time", "end_time", "weekdays", "horizon_h")}
    new = {**kept, "curve": [{"watts": 1000}], "min_soc": 20, "max_soc": 90}
    refused = await go_on(hass, changed, {**new, "min_soc": 95})
    assert refused["errors"] == {"max_soc": "bounds_crossed"}
    result = await go_on(hass, refused, new)
    assert (result["type"], result["reason"]) == (
        FlowResultType.ABORT,
        "reconfigure_successful",
    )
    [made] = entry.get_subentries_of_type("standing_bid")
    assert (made.data["resource_id"], made.data["min_soc"]) == (BATTERY_ID, 20)


async def test_a_standing_bid_outlives_its_resource(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry(battery_subentry())
    await go_on(hass, await begin(hass, entry, "standing_bid"), OFFER)
    [battery] = entry.get_subentries_of_type("resource")
    hass.config_entries.async_remove_subentry(entry, battery.subentry_id)
    [made] = entry.get_subentries_of_type("standing_bid")
    form = await entry.start_subentry_reconfigure_flow(hass, made.subentry_id)
    new = {key: OFFER[key] for key in OFFER if key not in {"name", "resource_id"}}
    refused = await go_on(hass, form, {**new, "min_soc": 20})
    assert refused["errors"] == {"min_soc": "soc_needed"}
    result = await go_on(hass, refused, {**new, "horizon_h": 2})
    assert result["reason"] == "reconfigure_successful"


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"curve": []}, {"curve": "curve_length"}),
        ({"curve": [{"watts": 1}] * 101}, {"curve": "curve_length"}),
        ({"weekdays": []}, {"weekdays": "no_weekday"}),
        ({"resource_id": SOLAR_ID, "min_soc": 20}, {"min_soc": "soc_needed"}),
        ({"curve": [{"watts": -6000, "price": 1}]}, {"curve": "curve_out_of_bounds"}),
        ({"curve": [{"watts": 0}]}, {"curve": "curve_out_of_bounds"}),
    ],
)
async def test_a_standing_bid_that_cannot_be_is_told(
    hass: HomeAssistant, add_entry: AddEntry, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    bounds = {"bid_min_power_w": -5000, "bid_min_price": 0.1}
    entry = add_entry(battery_subentry(**bounds), solar_subentry())
    result = await go_on(hass, await begin(hass, entry, "standing_bid"), OFFER | changes)
    assert result["errors"] == errors
    result = await go_on(hass, result, OFFER)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_without_a_resource_there_is_nothing_to_bid(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry(site_subentry())
    result = await begin(hass, entry, "standing_bid")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "no_resources")


async def test_the_bounds_of_a_resource_do_not_cross(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry(solar_subentry())
    [solar_panels] = entry.get_subentries_of_type("resource")
    result = await entry.start_subentry_reconfigure_flow(hass, solar_panels.subentry_id)
    power = {"power_entity": "sensor.solar", "invert": True, "max_age_s": 60}
    result = await go_on(hass, result, {**power, "bid_min_power_w": 1000, "bid_max_power_w": -1000})
    assert result["errors"] == {"bid_max_power_w": "bounds_crossed"}
    result = await go_on(hass, result, {**power, "bid_min_power_w": -1000, "bids_per_day": 8})
    assert result["type"] is FlowResultType.ABORT
    [solar_panels] = entry.get_subentries_of_type("resource")
    assert solar_panels.data["bids_per_day"] == 8
