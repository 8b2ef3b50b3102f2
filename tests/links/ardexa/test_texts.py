"""Every form, error, entity, action and issue of the link has its text."""

import json
from pathlib import Path
import re
from typing import Any

from homeassistant.components import persistent_notification
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import async_capture_events
import yaml

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.ardexa import actions, flow, subentries
from simulators.ardexa import Ardexa
from tests.texts import MENU_TEXTS

from .conftest import AddEntry, start

ROOT = Path(__file__).parents[3] / "custom_components" / DOMAIN
TEXTS = json.loads((ROOT / "translations" / "en.json").read_text(encoding="utf-8"))
ICONS = json.loads((ROOT / "icons.json").read_text(encoding="utf-8"))
SERVICES = yaml.safe_load((ROOT / "services.yaml").read_text(encoding="utf-8"))
SOURCES = "".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "links" / "ardexa").glob("*.py")
)


def fields_of(schema: Any) -> set[str]:
    return {str(key) for key in schema.schema}


def explained(texts: dict[str, Any], fields: set[str]) -> None:
    assert texts["title"]
    assert texts["data"].keys() == texts["data_description"].keys() == fields


def test_the_forms_are_explained() -> None:
    steps = TEXTS["config"]["step"]
    assert all("ardexa" in texts for texts in MENU_TEXTS.values())
    explained(steps["ardexa"], fields_of(flow._SCHEMA))
    explained(steps["ardexa_reconfigure"], fields_of(flow._RECONFIGURE_SCHEMA))
    explained(steps["ardexa_reauth_confirm"], fields_of(flow._REAUTH_SCHEMA))
    steps = TEXTS["config_subentries"]["feed"]["step"]
    explained(steps["user"], {"device"})
    explained(steps["scenario"], {"scenario"})
    explained(steps["field"], {"field", "stale_after_s"})
    explained(steps["typed"], fields_of(subentries._TYPED_SCHEMA))


def test_each_error_of_the_flow_has_a_text() -> None:
    reasons = set(
        re.findall(r'(?:ConnectionFailed|DestinationRefused|CredentialsRefused)\("(\w+)"', SOURCES)
    )
    assert len(reasons) > 10
    # A token that cannot be renewed starts the flow; it is no error of it.
    reasons -= {"ardexa_not_renewable"}
    assert reasons | {"ardexa_unknown_workgroup", "ardexa_older_generation"} <= (
        TEXTS["config"]["error"].keys()
    )
    shown = TEXTS["entity"]["sensor"]["health_last_error"]["state"]
    assert reasons <= shown.keys()


def test_each_exception_and_issue_has_a_text() -> None:
    keys = set(re.findall(r'_misuse\("(\w+)"', SOURCES))
    keys |= set(re.findall(r'translation_key="(ardexa_\w+)"', SOURCES))
    assert len(keys) > 8
    assert keys <= TEXTS["exceptions"].keys()
    for issue in ("ardexa_no_privilege", "ardexa_feed_refused"):
        assert f'"{issue}"' in SOURCES
        assert TEXTS["issues"][issue]["description"]


def test_each_entity_has_a_name_and_an_icon() -> None:
    for platform, keys in {
        "sensor": ("value", "bool", "upgrade", "live_feeds", "rate"),
        "event": ("device", "workgroup"),
    }.items():
        for key in keys:
            assert TEXTS["entity"][platform][f"ardexa_{key}"]["name"]
            assert ICONS["entity"][platform][f"ardexa_{key}"]


def test_each_action_is_described() -> None:
    schemas = {action.name: action.schema for action in actions.ACTIONS}
    del schemas["ardexa_stop_all_feeds"]
    assert len(schemas) == 8
    for name, schema in schemas.items():
        fields = fields_of(schema)
        assert SERVICES[name]["fields"].keys() == fields
        assert TEXTS["services"][name]["fields"].keys() == fields
        for key, marker in ((str(marker), marker) for marker in schema.schema):
            required = SERVICES[name]["fields"][key].get("required", False)
            assert required == (type(marker).__name__ == "Required")
            if key == "timeout":
                assert SERVICES[name]["fields"][key]["default"] == marker.default()
        assert ICONS["services"][name]["service"]
    assert TEXTS["services"]["ardexa_stop_all_feeds"]["name"]


async def test_the_example_of_the_documentation_runs(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    text = (ROOT.parents[1] / "docs" / "ardexa.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    automation = yaml.safe_load(example)
    assert await async_setup_component(hass, persistent_notification.DOMAIN, {})
    assert await async_setup_component(hass, "automation", {"automation": [automation]})
    notifications = async_capture_events(hass, "call_service")
    await start(hass, cloud, add_entry())
    await hass.services.async_call(
        "automation",
        "trigger",
        {"entity_id": "automation.restart_the_collector_of_the_inverter"},
        blocking=True,
    )
    await hass.async_block_till_done()
    assert cloud.requests[-1][1]["cmd"] == "systemctl restart collector"
    [message] = [
        event.data["service_data"]["message"]
        for event in notifications
        if event.data["domain"] == persistent_notification.DOMAIN
    ]
    assert message == "sh: systemctl restart collector: not found"
