"""The steps of a meter that is played: what is suggested, and what is refused."""

from pathlib import Path
from typing import Any

from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from tests.links.flows import fill_in, register_meter, save, suggested

from .conftest import AddEntry, meter, point

pytestmark = pytest.mark.usefixtures("no_setup")


async def start(
    hass: HomeAssistant, entry: MockConfigEntry, master: str = "other"
) -> dict[str, Any]:
    """Say who reads the meter, where that is asked."""
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "virtual_meter"), context={"source": SOURCE_USER}
    )
    if result["step_id"] == "master":
        result = await hass.config_entries.subentries.async_configure(
            result["flow_id"], {"master": master}
        )
    assert result["step_id"] == "user"
    return dict(result)


async def begin(hass: HomeAssistant, entry: MockConfigEntry, **chosen: Any) -> dict[str, Any]:
    result = await start(hass, entry)
    chosen = {"profile": "eastron_sdm630", "unit_id": "1", "max_age_s": 60, **chosen}
    result = await hass.config_entries.subentries.async_configure(result["flow_id"], chosen)
    return await fill_in(hass, result)


def quantities(result: dict[str, Any]) -> list[str]:
    return [row.get("quantity", "") for row in suggested(result)]


def defaults(result: dict[str, Any]) -> dict[str, Any]:
    """Return what a form has in its fields."""
    filled = {}
    for key in result["data_schema"].schema:
        described = (key.description or {}).get("suggested_value")
        default = None if key.default is vol.UNDEFINED else key.default()
        filled[str(key)] = default if described is None else described
    return filled


@pytest.mark.parametrize(
    ("master", "settings"),
    [
        ("huawei", {"profile": "huawei_dtsu666_h", "unit_id": "11", "any_unit_id": False}),
        (
            "solax_x3",
            {
                "profile": "eastron_sdm230",
                "unit_id": "1",
                "max_age_s": 5,
                "when_old": "silence",
                "positive_power": None,
            },
        ),
        ("fronius_tcp", {"profile": "fronius_213", "any_unit_id": True, "max_age_s": 10}),
        ("sungrow", {"profile": "sungrow_dtsu666_20", "unit_id": "254"}),
        ("other", {"profile": "sunspec_213", "unit_id": "1", "when_old": None}),
    ],
)
async def test_who_reads_the_meter_decides_on_its_settings(
    hass: HomeAssistant, add_entry: AddEntry, master: str, settings: dict[str, Any]
) -> None:
    shown = defaults(await start(hass, add_entry(), master))
    assert {key: shown[key] for key in settings} == settings


async def test_who_reads_the_first_meter_was_asked_with_its_entry(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    result = await hass.config_entries.subentries.async_init(
        (add_entry(master="huawei").entry_id, "virtual_meter"), context={"source": SOURCE_USER}
    )
    assert result["step_id"] == "user"
    assert defaults(dict(result))["profile"] == "huawei_dtsu666_h"
    result = await hass.config_entries.subentries.async_init(
        (add_entry(meter(), master="huawei").entry_id, "virtual_meter"),
        context={"source": SOURCE_USER},
    )
    assert result["step_id"] == "master"


OWN_MAP = """\
manufacturer: Acme
models: [M1]
source: Acme manual
register_space: holding
type: float32
quantities:
  power: {address: 0x10, scale: 0.1}
as_meter:
  acme_m1:
    name: Acme M1
    blocks: [{first: 0, last: 0x11}]
"""


@pytest.fixture
def own_map(hass: HomeAssistant, tmp_path: Path) -> Path:
    """Return a register map of the user's with a meter to play."""
    hass.config.config_dir = str(tmp_path)
    path = Path(hass.config.path("grid_telemetry", "meters", "acme.yaml"))
    path.parent.mkdir(parents=True)
    path.write_text(OWN_MAP, encoding="utf-8")
    return path


async def test_a_meter_of_the_users_own_can_be_played(
    hass: HomeAssistant, add_entry: AddEntry, own_map: Path
) -> None:
    own_map.with_name("broken.yaml").write_text("no map", encoding="utf-8")
    hass.states.async_set("sensor.a", "1", {"unit_of_measurement": "W"})
    entry = add_entry()
    result = await begin(hass, entry, profile="acme_m1", entities=["sensor.a"])
    result = await save(hass, result, [{"entity": "sensor.a", "quantity": "power"}])
    assert result["title"] == "Acme M1 (1)"


async def test_what_is_chosen_is_stored(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry()
    chosen = {"any_unit_id": True, "positive_power": "export", "when_old": "zero"}
    hass.states.async_set("sensor.a", "1", {"unit_of_measurement": "W"})
    result = await begin(hass, entry, entities=["sensor.a"], **chosen)
    await save(hass, result, [{"entity": "sensor.a", "quantity": "power"}])
    (subentry,) = entry.subentries.values()
    assert {key: subentry.data[key] for key in chosen} == chosen


@pytest.mark.parametrize(
    ("present", "chosen"), [({}, {"any_unit_id": True}), ({"any_unit_id": True}, {})]
)
async def test_a_meter_for_every_unit_id_is_alone(
    hass: HomeAssistant, add_entry: AddEntry, present: dict[str, Any], chosen: dict[str, Any]
) -> None:
    hass.states.async_set("sensor.a", "1", {"unit_of_measurement": "W"})
    entry = add_entry(meter(unit=7, **present))
    result = await begin(hass, entry, entities=["sensor.a"], **chosen)
    assert result["errors"] == {"any_unit_id": "not_alone"}


@pytest.mark.parametrize(
    ("profile", "errors"),
    [
        ("eastron_sdm630", {"when_old": "cannot_say_not_available"}),
        ("sunspec_203", None),
        ("abb_b23", None),
    ],
)
async def test_not_available_is_for_meters_that_can_say_so(
    hass: HomeAssistant, add_entry: AddEntry, profile: str, errors: dict[str, str] | None
) -> None:
    hass.states.async_set("sensor.a", "1", {"unit_of_measurement": "W"})
    result = await begin(
        hass, add_entry(), profile=profile, when_old="not_available", entities=["sensor.a"]
    )
    assert (result.get("errors") or None) == errors


@pytest.mark.parametrize(
    ("profile", "title", "known"),
    [
        ("eastron_sdm630", "Eastron SDM630 (1)", ["power", "voltage_l1", "current_l1", ""]),
        ("eastron_sdm120", "Eastron SDM120 (1)", ["power", "voltage", "current", ""]),
        ("sunspec_203", "SunSpec 203 (1)", ["power", "voltage_l1", "current_l1", ""]),
        ("sunspec_213", "SunSpec 213 (1)", ["power", "voltage_l1", "current_l1", ""]),
    ],
)
async def test_quantities_of_our_meters_are_known(
    hass: HomeAssistant, add_entry: AddEntry, profile: str, title: str, known: list[str]
) -> None:
    entry = add_entry()
    found = register_meter(
        hass, "House", "power", "voltage_l1", "temperature_cabinet", "current_l1"
    )
    result = await begin(hass, entry, profile=profile, devices=[found])
    assert result["step_id"] == "points"
    assert quantities(result) == known
    result = await save(hass, result, suggested(result))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == title
    (subentry,) = entry.subentries.values()
    assert (subentry.data["unit_id"], subentry.data["max_age_s"]) == ("1", 60)
    voltage = er.async_get(hass).async_get("sensor.house_voltage_l1")
    assert voltage is not None
    assert subentry.data["points"][1] == {
        "entity": voltage.id,
        "name": known[1],
        "unit": "V",
        "factor": 1.0,
    }


async def test_a_meter_with_one_phase_fills_the_first_of_three(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    found = register_meter(hass, "House", "voltage", "power", "energy_export")
    result = await begin(hass, add_entry(), devices=[found])
    assert quantities(result) == ["voltage_l1", "power", "energy_export"]


async def test_other_sensors_are_judged_by_device_class_and_unit(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    for name, device_class, unit in (
        ("grid", "power", "kW"),
        ("solar", "power", "W"),
        ("factor", "power_factor", "%"),
        ("rotation", "frequency", "rpm"),
        ("bought", "energy", "Wh"),
        ("bare", None, None),
    ):
        attributes = {"device_class": device_class, "unit_of_measurement": unit}
        hass.states.async_set(
            f"sensor.{name}", "1", {key: value for key, value in attributes.items() if value}
        )
    names = ["grid", "solar", "factor", "rotation", "bought", "bare"]
    result = await begin(
        hass,
        add_entry(),
        profile="sunspec_213",
        entities=[f"sensor.{name}" for name in names],
    )
    rows = [
        (row["entity"][7:], row.get("quantity", ""), row["factor"]) for row in suggested(result)
    ]
    assert rows == [
        ("grid", "power", 1),
        ("factor", "power_factor", 0.01),
        ("bought", "energy_import", 1),
        ("solar", "", 1),
        ("rotation", "", 1),
        ("bare", "", 1),
    ]


@pytest.mark.parametrize(
    ("rows", "error", "detail"),
    [
        (
            [{"entity": entity, "quantity": "power"} for entity in ("sensor.a", "sensor.b")],
            "duplicate_quantity",
            "power",
        ),
        (
            [{"entity": "sensor.a", "quantity": "frequency"}],
            "wrong_unit",
            "sensor.a: W → Hz",
        ),
        ([{"entity": "sensor.a", "quantity": "power", "factor": 0}], "zero_factor", "power"),
        ([{"entity": "sensor.a"}], "no_points", ""),
    ],
)
async def test_rows_that_cannot_be_are_told_and_can_be_corrected(
    hass: HomeAssistant, add_entry: AddEntry, rows: list[dict[str, Any]], error: str, detail: str
) -> None:
    for name in "ab":
        hass.states.async_set(f"sensor.{name}", "1", {"unit_of_measurement": "W"})
    result = await begin(hass, add_entry(), entities=["sensor.a", "sensor.b"])
    refused = await save(hass, result, rows)
    assert refused["errors"] == {"base": error}
    assert refused["description_placeholders"]["row"] == detail
    saved = await save(hass, refused, [{"entity": "sensor.a", "quantity": "power"}])
    assert saved["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("unit", ["0", "255", "1a", ""])
async def test_a_unit_id_is_a_number_from_1_to_254(
    hass: HomeAssistant, add_entry: AddEntry, unit: str
) -> None:
    hass.states.async_set("sensor.a", "1", {"unit_of_measurement": "W"})
    result = await begin(hass, add_entry(), unit_id=unit, entities=["sensor.a"])
    assert result["errors"] == {"unit_id": "invalid_device_id"}


async def test_a_unit_id_is_given_once(hass: HomeAssistant, add_entry: AddEntry) -> None:
    hass.states.async_set("sensor.a", "1", {"unit_of_measurement": "W"})
    entry = add_entry(meter(unit=254))
    result = await begin(hass, entry, unit_id="254", entities=["sensor.a"])
    assert result["errors"] == {"unit_id": "device_id_in_use"}


async def test_another_meter_can_be_chosen_later(hass: HomeAssistant, add_entry: AddEntry) -> None:
    hass.states.async_set("sensor.a", "1", {"unit_of_measurement": "V"})
    entry = add_entry(meter(point("sensor.a", "voltage_l1", unit="V")))
    (subentry_id,) = entry.subentries
    result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    chosen = {"profile": "eastron_sdm120", "unit_id": "2", "max_age_s": 30}
    result = await fill_in(
        hass, await hass.config_entries.subentries.async_configure(result["flow_id"], chosen)
    )
    # It has no such quantity.
    assert suggested(result) == [{"entity": "sensor.a", "factor": 1.0}]
    refused = await save(hass, result, suggested(result))
    assert refused["errors"] == {"base": "no_points"}
    saved = await save(hass, refused, [{"entity": "sensor.a", "quantity": "voltage"}])
    assert saved["reason"] == "reconfigure_successful"
    subentry = entry.subentries[subentry_id]
    assert subentry.title == "Eastron SDM120 (2)"
    assert subentry.data["points"][0]["name"] == "voltage"


async def test_how_old_a_value_may_be_is_chosen_by_row_or_left_to_its_kind(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry()
    found = register_meter(hass, "House", "power", "voltage_l1", "energy_import")
    result = await start(hass, entry)
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"profile": "eastron_sdm630", "unit_id": "1", "devices": [found]}
    )
    result = await fill_in(hass, result)
    rows = suggested(result)
    rows[0] |= {"max_age_s": 0, "guard": "off"}
    rows[1] |= {"max_age_s": 20}
    result = await save(hass, result, rows)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    assert "max_age_s" not in subentry.data
    chosen = [(point.get("max_age_s"), point.get("guard")) for point in subentry.data["points"]]
    assert chosen == [(0, False), (20, None), (None, None)]
    again = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    again = await hass.config_entries.subentries.async_configure(
        again["flow_id"], {"profile": "eastron_sdm630", "unit_id": "1", "devices": []}
    )
    again = await fill_in(hass, again)
    shown = suggested(again)
    assert [(row.get("max_age_s"), row.get("guard")) for row in shown] == [
        (0, "off"),
        (20, None),
        (None, None),
    ]
    result = await save(hass, again, shown)
    assert result["reason"] == "reconfigure_successful"
    assert [
        point.get("max_age_s") for point in entry.subentries[subentry.subentry_id].data["points"]
    ] == [0, 20, None]


async def test_a_free_unit_id_is_proposed(hass: HomeAssistant, add_entry: AddEntry) -> None:
    assert defaults(await start(hass, add_entry(meter(unit=1), meter(unit=2))))["unit_id"] == "3"
