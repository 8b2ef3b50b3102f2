"""Every field, option, error and quantity of the Modbus link has its text."""

import json
from pathlib import Path
import re
from typing import Any

from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from modbus_connection.mock import MockModbusConnection
import pytest

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES

from .conftest import link_entry, meter, start

ROOT = Path(__file__).parents[3] / "custom_components" / DOMAIN
TEXTS = json.loads((ROOT / "translations" / "en.json").read_text(encoding="utf-8"))
ICONS = json.loads((ROOT / "icons.json").read_text(encoding="utf-8"))
LINK = ROOT / "links" / "modbus"


def explained(schema: Any, texts: dict[str, Any]) -> None:
    """Check that a form explains each of its fields, and no others."""
    fields = {}
    for key, value in schema.schema.items():
        if isinstance(value, section):
            explained(value.schema, texts["sections"][key])
        else:
            fields[str(key)] = value
    assert texts["data"].keys() == texts["data_description"].keys() == fields.keys()


@pytest.mark.parametrize("transport", ["tcp", "udp", "tls", "rtu_over_tcp", "serial"])
async def test_the_form_of_a_transport_is_explained(hass: HomeAssistant, transport: str) -> None:
    flows = hass.config_entries.flow
    result = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await flows.async_configure(result["flow_id"], {"next_step_id": "modbus"})
    texts = TEXTS["config"]["step"]
    assert result["menu_options"] == list(texts["modbus"]["menu_options"])
    assert texts["modbus"]["menu_options"].keys() == (
        texts["modbus"]["menu_option_descriptions"].keys()
    )
    result = await flows.async_configure(result["flow_id"], {"next_step_id": f"modbus_{transport}"})

    texts = texts[f"modbus_{transport}"]
    assert texts["title"]
    assert texts["description"]
    explained(result["data_schema"], texts)


async def test_the_forms_of_a_meter_are_explained(
    hass: HomeAssistant, line: MockModbusConnection
) -> None:
    entry = link_entry(meter())
    await start(hass, entry)
    texts = TEXTS["config_subentries"]["meter"]["step"]

    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "meter"), context={"source": SOURCE_USER}
    )
    assert result["menu_options"] == list(texts["user"]["menu_options"])
    for step in result["menu_options"]:
        result = await hass.config_entries.subentries.async_init(
            (entry.entry_id, "meter"), context={"source": SOURCE_USER}
        )
        result = await hass.config_entries.subentries.async_configure(
            result["flow_id"], {"next_step_id": step}
        )
        explained(result["data_schema"], texts[step])
    result = await entry.start_subentry_reconfigure_flow(hass, "meter_1")
    explained(result["data_schema"], texts["reconfigure"])


def test_each_quantity_has_a_name() -> None:
    names = [TEXTS["entity"]["sensor"][key]["name"] for key in QUANTITIES]

    assert len(set(names)) == len(QUANTITIES)


def test_quantities_without_device_class_have_an_icon() -> None:
    without = {key for key, quantity in QUANTITIES.items() if quantity.device_class is None}

    assert without <= ICONS["entity"]["sensor"].keys()


def test_each_error_and_exception_has_a_text() -> None:
    flow = "".join((LINK / f"{name}.py").read_text() for name in ("flow", "connection_test"))
    meter_flow = "".join(
        (LINK / f"{name}.py").read_text() for name in ("unit_access", "subentries", "search_flow")
    )
    own_map = (LINK / "own_map.py").read_text()
    rest = "".join((LINK / f"{name}.py").read_text() for name in ("link", "coordinator"))

    errors = {"timeout", "cannot_connect", "invalid_host", "tls_failed", "certificate_file"}
    assert {key for key in errors if f'"{key}"' in flow} == errors
    assert errors | {"device_in_use"} <= TEXTS["config"]["error"].keys()
    meter_errors = set(re.findall(r'NoMeterError\("(\w+)"', meter_flow))
    meter_errors |= set(re.findall(r'errors\[.*\] = "(\w+)"', meter_flow))
    meter_errors |= set(re.findall(r'OwnMapError\([^,]+, "(\w+)"', own_map))
    meter_errors |= {"number_out_of_range"}
    assert meter_errors == TEXTS["config_subentries"]["meter"]["error"].keys()
    assert set(re.findall(r'translation_key="(\w+)"', rest)) <= TEXTS["exceptions"].keys()
    assert {"register_map_invalid", "register_map_missing"} <= TEXTS["issues"].keys()
