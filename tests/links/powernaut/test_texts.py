"""Every form, error, entity, issue, action, trigger and condition of the link has its text."""

import json
from pathlib import Path
import re
from typing import Any

from homeassistant.util.yaml import load_yaml_dict
import pytest

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.powernaut import flow, subentries
from custom_components.grid_telemetry.links.powernaut.activation_schedule import EVENT_TYPES
from custom_components.grid_telemetry.links.powernaut.activations import RefusedReason
from custom_components.grid_telemetry.links.powernaut.automation import CONDITIONS, TRIGGERS
from custom_components.grid_telemetry.links.powernaut.const import Environment, ResourceType
from tests.texts import MENU_TEXTS

ROOT = Path(__file__).parents[3] / "custom_components" / DOMAIN
TEXTS = json.loads((ROOT / "translations" / "en.json").read_text(encoding="utf-8"))
ICONS = json.loads((ROOT / "icons.json").read_text(encoding="utf-8"))
SOURCES = "".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "links" / "powernaut").glob("*.py")
)


def explained(schema: Any, texts: dict[str, Any]) -> None:
    assert texts["title"]
    assert texts["description"]
    fields = {str(key) for key in schema.schema}
    assert texts["data"].keys() == texts["data_description"].keys() == fields


def test_the_forms_of_an_entry_are_explained() -> None:
    steps = TEXTS["config"]["step"]
    assert "powernaut" in MENU_TEXTS["menu_options"]
    menu = {f"powernaut_{environment}" for environment in Environment}
    assert steps["powernaut"]["menu_options"].keys() == menu
    assert steps["powernaut"]["menu_option_descriptions"].keys() == menu
    explained(flow._CLOUD_SCHEMA, steps["powernaut_production"])
    explained(flow._CLOUD_SCHEMA, steps["powernaut_sandbox"])
    explained(flow._CUSTOM_SCHEMA, steps["powernaut_custom"])
    explained(flow._REAUTH_SCHEMA, steps["powernaut_reauth_confirm"])
    assert steps["powernaut_site"]["data"].keys() == {"site_id"}


def test_the_forms_of_the_subentries_are_explained() -> None:
    site, resource = TEXTS["config_subentries"]["site"], TEXTS["config_subentries"]["resource"]
    explained(subentries._SITE_SCHEMA, site["step"]["user"])
    explained(subentries._TYPED_SCHEMA, resource["step"]["typed"])
    widest = subentries._resource_schema(ResourceType.STATIC_BATTERY)
    explained(widest, resource["step"]["entities"])
    explained(widest, resource["step"]["reconfigure"])


def test_every_error_and_issue_has_its_text() -> None:
    reasons = set(re.findall(r'(?:ConnectionFailed|Refused)\("(\w+)"', SOURCES)) - {"not_confirmed"}
    assert reasons
    errors = TEXTS["config"]["error"]
    assert {f"powernaut_{reason}" for reason in reasons} <= errors.keys()
    for key in re.findall(r'"base": "(powernaut_\w+)"', SOURCES):
        assert key in errors
    for key in re.findall(
        r'"(powernaut_(?:soc|gone|not_seen|taken_over|clock_(?:ahead|behind)))"', SOURCES
    ):
        assert TEXTS["issues"][key].keys() == {"title", "description"}
    for key in re.findall(r'translation_key="(powernaut_\w+)"', SOURCES):
        assert key in TEXTS["exceptions"] or key in TEXTS["selector"]


@pytest.mark.parametrize("reason", ["session_taken_over", "no_mqtt5", "not_authorized"])
def test_the_last_error_is_shown_in_words(reason: str) -> None:
    assert TEXTS["entity"]["sensor"]["health_last_error"]["state"][reason]


def test_every_state_of_the_command_has_its_text() -> None:
    texts = TEXTS["entity"]["event"]["powernaut_command"]["state_attributes"]
    assert list(texts["event_type"]["state"]) == EVENT_TYPES
    assert texts["reason"]["state"].keys() == set(RefusedReason)


def test_every_choice_has_its_text() -> None:
    selectors = TEXTS["selector"]
    assert selectors["powernaut_resource_type"]["options"].keys() == set(ResourceType)
    assert selectors["powernaut_qos"]["options"].keys() == {"1", "2"}


def test_triggers_and_conditions_have_texts_icons_and_fields() -> None:
    for kind, known in (("trigger", TRIGGERS), ("condition", CONDITIONS)):
        described = {
            key: value
            for key, value in load_yaml_dict(str(ROOT / f"{kind}s.yaml")).items()
            if not key.startswith(".")
        }
        texts = TEXTS[f"{kind}s"]
        assert known.keys() == described.keys() == texts.keys() == ICONS[f"{kind}s"].keys()
        for key, value in described.items():
            assert (value.get("fields") or {}).keys() == texts[key].get("fields", {}).keys()


def test_actions_have_texts_and_icons() -> None:
    described = load_yaml_dict(str(ROOT / "services.yaml"))
    for name in re.findall(r'"(powernaut_\w+)",\s+_async', SOURCES):
        texts = TEXTS["services"][name]
        assert described[name]["fields"].keys() == texts["fields"].keys()
        assert ICONS["services"][name]
