"""The steps of meter groups: what is suggested, and what is refused."""

from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN
from tests.links.flows import fill_in, register_meter, save, suggested

from .conftest import AddEntry, group, member

pytestmark = pytest.mark.usefixtures("no_setup")

THREE_PHASES = ("voltage_l1", "power", "power_l1", "power_l2", "power_l3", "energy_import")
ONE_PHASE = ("voltage", "power", "energy_import", "energy_export")


async def begin(hass: HomeAssistant, entry: MockConfigEntry, **chosen: Any) -> dict[str, Any]:
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "group"), context={"source": SOURCE_USER}
    )
    assert result["step_id"] == "user"
    return await choose(hass, result["flow_id"], **chosen)


async def choose(hass: HomeAssistant, flow_id: str, **chosen: Any) -> dict[str, Any]:
    chosen = {"group_name": "Flats", "group_kind": "total", **chosen}
    result = await hass.config_entries.subentries.async_configure(flow_id, chosen)
    return await fill_in(hass, result)


def table(result: dict[str, Any]) -> list[tuple[str, str, float]]:
    return [
        (row["entity"][7:], row.get("quantity", ""), row["factor"]) for row in suggested(result)
    ]


async def test_the_entry_is_made_once_and_goes_on_with_the_first_group(
    hass: HomeAssistant,
) -> None:
    for reason in (None, "already_configured"):
        result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
        result = await hass.config_entries.flow.async_configure(
            result["flow_id"], {"next_step_id": "group"}
        )
        assert result.get("reason") == reason
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert (entry.title, dict(entry.data)) == ("Meter groups", {"kind": "group"})
    (flow,) = hass.config_entries.subentries.async_progress()
    assert flow["handler"] == (entry.entry_id, "group")
    found = register_meter(hass, "a", *ONE_PHASE)
    result = await choose(hass, flow["flow_id"], devices=[found])
    assert (await save(hass, result, suggested(result)))["type"] is FlowResultType.CREATE_ENTRY
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    assert result["reason"] == "group_has_nothing_to_change"


async def test_a_first_group_that_is_cancelled_leaves_nothing(hass: HomeAssistant) -> None:
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    await hass.config_entries.flow.async_configure(result["flow_id"], {"next_step_id": "group"})
    (flow,) = hass.config_entries.subentries.async_progress()
    hass.config_entries.subentries.async_abort(flow["flow_id"])
    await hass.async_block_till_done()
    assert hass.config_entries.async_entries(DOMAIN) == []


async def test_a_group_that_is_cancelled_leaves_the_others(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry(group(member("sensor.a", "power")))
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "group"), context={"source": SOURCE_USER}
    )
    hass.config_entries.subentries.async_abort(result["flow_id"])
    await hass.async_block_till_done()
    assert hass.config_entries.async_entries(DOMAIN) == [entry]


async def test_a_total_has_what_every_meter_has(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry()
    devices = [
        register_meter(hass, "a", *THREE_PHASES),
        register_meter(hass, "b", *ONE_PHASE),
        register_meter(hass, "c", "power", "energy_import", domain="other"),
    ]
    result = await begin(hass, entry, devices=devices)
    assert table(result) == [
        ("a_power", "power", 1),
        ("a_energy_import", "energy_import", 1),
        ("b_power", "power", 1),
        ("b_energy_import", "energy_import", 1),
        ("c_power", "power", 1),
        ("c_energy_import", "energy_import", 1),
        ("a_power_l1", "", 1),
        ("a_power_l2", "", 1),
        ("a_power_l3", "", 1),
        ("b_energy_export", "", 1),
    ]
    result = await save(hass, result, suggested(result))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Flats"
    (subentry,) = entry.subentries.values()
    assert subentry.data["group_kind"] == "total"
    known = er.async_get(hass).async_get("sensor.a_power")
    assert known is not None
    assert subentry.data["points"][0] == member(known.id, "power")
    assert len(subentry.data["points"]) == 6


async def test_phases_are_added_where_all_meters_have_them(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    devices = [register_meter(hass, name, *THREE_PHASES) for name in "ab"]
    result = await begin(hass, add_entry(), devices=devices)
    assert all(quantity for _, quantity, _ in table(result))
    assert ("b_power_l3", "power_l3", 1) in table(result)


async def test_a_check_meter_takes_the_others_off_the_main_one(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry()
    house, car = register_meter(hass, "house", "power"), register_meter(hass, "car", "power")
    hass.states.async_set(
        "sensor.pump", "1", {"device_class": "power", "unit_of_measurement": "kW"}
    )
    result = await begin(
        hass,
        entry,
        group_kind="difference",
        main_device=house,
        devices=[car, house],
        entities=["sensor.pump"],
    )
    assert table(result) == [
        ("house_power", "power", 1),
        ("car_power", "power", -1),
        ("pump", "power", -1),
    ]
    assert (await save(hass, result, suggested(result)))["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    assert "main_device" not in subentry.data
    assert [point["factor"] for point in subentry.data["points"]] == [1, -1, -1]


async def test_what_cannot_be_added_up_is_not_offered(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    hass.states.async_set("sensor.bare", "1", {"unit_of_measurement": "kW"})
    hass.states.async_set("sensor.outside", "1", {"unit_of_measurement": "°C"})
    result = await begin(hass, add_entry(), entities=["sensor.outside"])
    assert result["errors"] == {"base": "nothing_to_send"}
    result = await choose(hass, result["flow_id"], entities=["sensor.outside", "sensor.bare"])
    assert table(result) == [("bare", "", 1)]


@pytest.mark.parametrize(
    ("rows", "error", "detail"),
    [
        (
            [{"entity": "sensor.a", "quantity": "power"}] * 2,
            "duplicate_member",
            "sensor.a, power",
        ),
        (
            [{"entity": "sensor.a", "quantity": "energy_import"}],
            "wrong_unit",
            "sensor.a: W → kWh",
        ),
        ([{"entity": "sensor.a", "quantity": "power", "factor": 0}], "zero_factor", "power"),
        (
            [{"entity": "sensor.sum", "quantity": "power"}],
            "group_in_group",
            "sensor.sum",
        ),
        ([{"entity": "sensor.a"}], "no_points", ""),
    ],
)
async def test_rows_that_cannot_be_are_told_and_can_be_corrected(
    hass: HomeAssistant, add_entry: AddEntry, rows: list[dict[str, Any]], error: str, detail: str
) -> None:
    entry = add_entry()
    hass.states.async_set("sensor.a", "1", {"unit_of_measurement": "W"})
    er.async_get(hass).async_get_or_create(
        "sensor",
        DOMAIN,
        "sum",
        suggested_object_id="sum",
        config_entry=entry,
        unit_of_measurement="W",
        translation_key="power",
    )
    result = await begin(hass, entry, entities=["sensor.a", "sensor.sum"])
    refused = await save(hass, result, rows)
    assert refused["errors"] == {"base": error}
    assert refused["description_placeholders"]["row"] == detail
    saved = await save(hass, refused, [{"entity": "sensor.a", "quantity": "power"}])
    assert saved["type"] is FlowResultType.CREATE_ENTRY


async def test_a_difference_needs_both_signs(hass: HomeAssistant, add_entry: AddEntry) -> None:
    devices = [register_meter(hass, name, "power") for name in "ab"]
    result = await begin(hass, add_entry(), group_kind="difference", devices=devices)
    rows = suggested(result)
    assert [row["factor"] for row in rows] == [-1, -1]
    refused = await save(hass, result, rows)
    assert refused["errors"] == {"base": "no_difference"}
    assert refused["description_placeholders"]["row"] == "power"
    rows[0]["factor"] = 1
    assert (await save(hass, refused, rows))["type"] is FlowResultType.CREATE_ENTRY


async def test_a_group_can_be_changed(hass: HomeAssistant, add_entry: AddEntry) -> None:
    hass.states.async_set("sensor.a", "1", {"unit_of_measurement": "W"})
    entry = add_entry(group(member("sensor.a", "power")))
    found = register_meter(hass, "b", "power")
    (subentry_id,) = entry.subentries
    result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    result = await choose(hass, result["flow_id"], group_name="All flats", devices=[found])
    assert table(result) == [("a", "power", 1.0), ("b_power", "power", 1)]
    saved = await save(hass, result, suggested(result))
    assert saved["reason"] == "reconfigure_successful"
    subentry = entry.subentries[subentry_id]
    assert subentry.title == "All flats"
    assert len(subentry.data["points"]) == 2


async def test_a_member_can_count_as_nothing_while_it_is_missing(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry()
    devices = [register_meter(hass, name, "power") for name in "ab"]
    result = await begin(hass, entry, devices=devices)
    rows = suggested(result)
    rows[1]["missing_as_zero"] = True
    assert (await save(hass, result, rows))["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    chosen = [point.get("missing_as_zero") for point in subentry.data["points"]]
    assert chosen == [None, True]
