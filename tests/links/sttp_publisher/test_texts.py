"""Every form, error, figure and action of the publisher has its text."""

import json
from pathlib import Path
import re
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.util.yaml import load_yaml_dict

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.sttp_publisher import flow
from custom_components.grid_telemetry.links.sttp_publisher.entities import diagnostic_sensors
from custom_components.grid_telemetry.links.sttp_publisher.subentries import DeviceSubentryFlow
from custom_components.grid_telemetry.protocols.sttp.publisher import Publisher
from tests.texts import MENU_TEXTS

ROOT = Path(__file__).parents[3] / "custom_components" / DOMAIN
TEXTS = json.loads((ROOT / "translations" / "en.json").read_text(encoding="utf-8"))
ICONS = json.loads((ROOT / "icons.json").read_text(encoding="utf-8"))
SOURCES = "".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "links" / "sttp_publisher").glob("*.py")
)
ACTIONS = ("sttp_refresh_metadata", "sttp_list_subscribers", "sttp_disconnect_subscriber")


def explained(schema: Any, texts: dict[str, Any]) -> None:
    """Check that a form explains each of its fields, and no others."""
    fields = set()
    for key, value in schema.schema.items():
        if isinstance(value, section):
            explained(value.schema, texts["sections"][key])
        else:
            fields.add(str(key))
    assert texts["data"].keys() == texts["data_description"].keys()
    # Each form of an entry asks for its name too.
    assert texts["data"].keys() - {"entry_name"} == fields


def test_the_forms_are_explained() -> None:
    steps = TEXTS["config"]["step"]
    assert all("sttp_publisher" in texts for texts in MENU_TEXTS.values())
    explained(flow._SCHEMA, steps["sttp_publisher"])
    table = DeviceSubentryFlow.table
    assert table.columns.keys() == TEXTS["selector"][table.translation_key]["fields"].keys()


def test_each_error_and_exception_has_a_text() -> None:
    assert "certificate_missing" in TEXTS["config"]["error"]
    table = (ROOT / "points" / "table.py").read_text(encoding="utf-8")
    shared = set(re.findall(r'(?:MappingError\(|errors\[.*?\] = |id_field: )"(\w+)"', table))
    own = set(re.findall(r'MappingError\("(\w+)"', SOURCES))
    assert TEXTS["config_subentries"]["sttp_device"]["error"].keys() == (
        shared - {"counter_is_instant", "unknown_entity"}
    ) | own | {"wrong_rows", "number_out_of_range"}
    exceptions = set(re.findall(r'translation_key="(sttp_\w+)"', SOURCES))
    assert exceptions - {"sttp_point"} <= TEXTS["exceptions"].keys()


async def test_each_figure_has_a_name_and_an_icon(hass: HomeAssistant) -> None:
    for figure in diagnostic_sensors(Publisher(), lambda: 0.0, list):
        assert TEXTS["entity"]["sensor"][figure.key]["name"]
        assert ICONS["entity"]["sensor"][figure.key]


def test_each_action_is_described() -> None:
    described = load_yaml_dict(str(ROOT / "services.yaml"))
    for action in ACTIONS:
        assert TEXTS["services"][action]["description"]
        assert ICONS["services"][action]
        assert described[action]["fields"].keys() == TEXTS["services"][action]["fields"].keys()
