"""Every form, error, figure and issue of the subscriber has its text."""

import json
from pathlib import Path
import re
from typing import Any

from homeassistant.data_entry_flow import section
from homeassistant.util.yaml import load_yaml_dict

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.sttp_subscriber import flow
from tests.texts import MENU_TEXTS

ROOT = Path(__file__).parents[3] / "custom_components" / DOMAIN
TEXTS = json.loads((ROOT / "translations" / "en.json").read_text(encoding="utf-8"))
ICONS = json.loads((ROOT / "icons.json").read_text(encoding="utf-8"))
SOURCES = "".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "links" / "sttp_subscriber").glob("*.py")
)


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


def test_the_form_is_explained() -> None:
    steps = TEXTS["config"]["step"]
    assert all("sttp_subscriber" in texts for texts in MENU_TEXTS.values())
    explained(flow._SCHEMA, steps["sttp_subscriber"])


def test_each_error_exception_and_issue_has_a_text() -> None:
    reasons = set(re.findall(r'(?:ConnectionFailed|DestinationRefused)\("(\w+)"', SOURCES))
    assert len(reasons) == 8
    assert reasons <= TEXTS["entity"]["sensor"]["health_last_error"]["state"].keys()
    # The form does not wait for a publisher to dial in.
    in_forms = reasons - {"sttp_no_publisher"} | {"sttp_no_signals", "certificate_file"}
    assert in_forms <= TEXTS["config"]["error"].keys()
    keys = set(re.findall(r'translation_key="(\w+)"', SOURCES))
    selectors = {"sttp_connection", "sttp_metadata"}
    assert selectors <= TEXTS["selector"].keys()
    assert keys - selectors == {"sttp_no_metadata", "sttp_not_connected"}
    assert keys - selectors <= TEXTS["exceptions"].keys()
    assert set(re.findall(r'_issues\.set\(True, "(\w+)"', SOURCES)) == {"sttp_refused"}
    assert TEXTS["issues"]["sttp_refused"]["description"]


def test_each_figure_has_a_name_and_an_icon() -> None:
    keys = re.findall(r'key="(sttp_\w+)"', SOURCES)
    for key in {"sttp_signals", "sttp_rate"} & set(keys):
        assert TEXTS["entity"]["sensor"][key]["name"]
        assert ICONS["entity"]["sensor"][key]


def test_the_action_is_described() -> None:
    described = load_yaml_dict(str(ROOT / "services.yaml"))["sttp_send_command"]
    texts = TEXTS["services"]["sttp_send_command"]
    assert texts["description"]
    assert ICONS["services"]["sttp_send_command"]
    assert described["fields"].keys() == texts["fields"].keys()
