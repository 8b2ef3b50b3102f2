"""A user's own table of codes, and what other devices of the entry have."""

from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from tests.links.flows import fill_in, suggested

CSV = """\ufeffCode;Quantity;Unit
P_TOT;power;kW
P_L1;power_l1;W

FREQ;frequency;
OTHER;;
"""
JSON = '[{"code": "P_TOT", "quantity": "power", "unit": "kW"}, {"code": "OTHER", "unit": null}]'


@pytest.fixture(autouse=True)
async def integration(hass: HomeAssistant, enable_custom_integrations: None) -> None:
    assert await async_setup_component(hass, DOMAIN, {})


async def import_codes(hass: HomeAssistant, table: str) -> Any:
    return await hass.services.async_call(
        DOMAIN, "scout_import_codes", {"table": table}, blocking=True, return_response=True
    )


def entry_of(hass: HomeAssistant, *subentries: ConfigSubentryData) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN, title="Scout", data={CONF_KIND: "scout"}, subentries_data=subentries
    )
    entry.add_to_hass(hass)
    return entry


async def rows(hass: HomeAssistant, entry: MockConfigEntry, *entities: str) -> dict[str, Any]:
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "device"), context={"source": SOURCE_USER}
    )
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"gateway_device_id": "9", "devices": [], "entities": list(entities)}
    )
    result = await fill_in(hass, result)
    return {
        row["entity"]: (row["code"], row.get("unit"), row["factor"]) for row in suggested(result)
    }


def show(hass: HomeAssistant, entity_id: str, unit: str, device_class: str) -> None:
    hass.states.async_set(
        entity_id, "1", {"unit_of_measurement": unit, "device_class": device_class}
    )


@pytest.mark.parametrize(
    ("table", "answer"),
    [(CSV, {"codes": 4, "with_quantity": 3}), (JSON, {"codes": 2, "with_quantity": 1})],
)
async def test_a_table_is_imported_once_and_offered_everywhere(
    hass: HomeAssistant, hass_storage: dict[str, Any], table: str, answer: dict[str, int]
) -> None:
    assert await import_codes(hass, table) == answer
    show(hass, "sensor.load", "W", "power")
    for _ in range(2):
        assert await rows(hass, entry_of(hass), "sensor.load") == {
            "sensor.load": ("P_TOT", "kW", 1)
        }
    assert hass_storage[f"{DOMAIN}.scout_codes"]["data"][0] == {
        "code": "P_TOT",
        "quantity": "power",
        "unit": "kW",
    }


async def test_it_is_known_after_a_restart(
    hass: HomeAssistant, hass_storage: dict[str, Any]
) -> None:
    hass_storage[f"{DOMAIN}.scout_codes"] = {
        "version": 1,
        "data": [{"code": "HZ", "quantity": "frequency", "unit": None}],
    }
    show(hass, "sensor.grid", "Hz", "frequency")
    assert await rows(hass, entry_of(hass), "sensor.grid") == {"sensor.grid": ("HZ", "Hz", 1)}


async def test_a_phase_is_taken_from_the_name(hass: HomeAssistant) -> None:
    await import_codes(hass, CSV)
    show(hass, "sensor.load_phase_a", "W", "power")
    show(hass, "sensor.load", "W", "power")
    assert await rows(hass, entry_of(hass), "sensor.load_phase_a", "sensor.load") == {
        "sensor.load_phase_a": ("P_L1", "W", 1),
        "sensor.load": ("P_TOT", "kW", 1),
    }


@pytest.mark.parametrize(
    ("table", "key", "row"),
    [
        ("", "code_table_empty", "0"),
        ("code,quantity\n", "code_table_empty", "0"),
        ("name,quantity\nP,power\n", "code_table_not_read", "0"),
        ("[1]", "code_table_not_read", "0"),
        ('{"code": "P"}', "code_table_not_read", "0"),
        ("[", "code_table_not_read", "0"),
        ("code\nP\nQ Q\n", "code_table_bad_code", "2"),
        ("code,quantity\nP,speed\n", "code_table_bad_quantity", "1"),
        ("code\nP\nP\n", "code_table_twice", "2"),
        (
            "code\n" + "".join(f"P{number}\n" for number in range(2001)),
            "code_table_too_long",
            "2001",
        ),
        ("code\n" + "x" * 200_000, "code_table_not_read", "0"),
    ],
)
async def test_a_table_that_cannot_be_taken_says_why(
    hass: HomeAssistant, table: str, key: str, row: str
) -> None:
    with pytest.raises(ServiceValidationError) as raised:
        await import_codes(hass, table)
    assert raised.value.translation_key == key
    assert (raised.value.translation_placeholders or {})["row"] == row


async def test_what_another_device_has_is_offered_for_the_next_of_its_kind(
    hass: HomeAssistant,
) -> None:
    registry = er.async_get(hass)
    entities = {}
    for meter in ("a", "b"):
        for name in ("Load", "Voltage"):
            entities[meter, name] = registry.async_get_or_create(
                "sensor",
                "other",
                f"{meter} {name}",
                suggested_object_id=f"{meter}_{name}",
                original_name=name,
                unit_of_measurement="V" if name == "Voltage" else "W",
                original_device_class="voltage" if name == "Voltage" else None,
            )
    known = [
        {"entity": entities["a", "Load"].id, "name": "P_LOAD", "unit": "kW", "factor": 2.0},
        {"entity": entities["a", "Load"].id, "name": "P_LOAD_MAX", "unit": "kW", "factor": 2.0},
        {"entity": "0" * 32, "name": "GONE"},
    ]
    entry = entry_of(
        hass,
        ConfigSubentryData(
            subentry_type="device",
            title="1",
            unique_id=None,
            data={"gateway_device_id": "1", "points": known},
        ),
    )
    assert await rows(hass, entry, "sensor.b_load", "sensor.b_voltage") == {
        "sensor.b_load": ("P_LOAD", "kW", 2.0),
        "sensor.b_voltage": ("V_PP", "V", 1),
    }
