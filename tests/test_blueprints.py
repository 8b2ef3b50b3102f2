"""The blueprints, loaded and run by Home Assistant; that of Powernaut is tested with its link."""

from datetime import timedelta
from pathlib import Path
import shutil
from typing import Any
from urllib.parse import quote

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.automation.config import async_validate_config_item
from homeassistant.components.blueprint import Blueprint
from homeassistant.components.blueprint.schemas import BLUEPRINT_SCHEMA
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    async_mock_service,
)

from custom_components.grid_telemetry.const import DOMAIN

BLUEPRINTS = Path(__file__).parent.parent / "blueprints"
GUIDE = (BLUEPRINTS.parent / "docs" / "blueprints.md").read_text(encoding="utf-8")
REPOSITORY = "https://github.com/grid-telemetry/grid-telemetry"
FILES = sorted(BLUEPRINTS.rglob("*.yaml"))
CONNECTED = "binary_sensor.scout_verbunden"
# As Home Assistant makes them in German.
NATIVE_IDS = {
    "connected": "scout_verbunden",
    "last_error": "scout_letzter_fehler",
    "queued": "scout_wartend",
    "oldest_queued": "scout_aeltester_wartender",
}
ATTRIBUTES = {"last_error": {"detail": None}, "queued": {"oldest": None}}


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_each_blueprint_is_one_for_home_assistant(file: Path) -> None:
    blueprint = Blueprint(
        load_yaml_dict(str(file)), expected_domain=file.parts[-3], schema=BLUEPRINT_SCHEMA
    )
    assert blueprint.validate() is None
    assert blueprint.metadata["description"]
    source = f"{REPOSITORY}/blob/main/{file.relative_to(BLUEPRINTS.parent).as_posix()}"
    assert blueprint.metadata["source_url"] == source
    assert f"blueprint_url={quote(source, safe='')}" in GUIDE
    assert file.parent.name == DOMAIN
    for block in blueprint.inputs.values():
        assert block["name"]
        assert block["description"]
        assert block["selector"]


async def use_blueprint(hass: HomeAssistant, folder: Path, name: str, **inputs: Any) -> None:
    hass.config.config_dir = str(folder)
    shutil.copytree(BLUEPRINTS, folder / "blueprints")
    config = {
        "id": name,
        "use_blueprint": {"path": f"{DOMAIN}/{name}.yaml", "input": inputs},
    }
    assert await async_setup_component(hass, "automation", {"automation": config})
    await hass.async_block_till_done()
    checked = await async_validate_config_item(hass, name, config)
    assert checked is not None
    assert checked.validation_error is None


def show_link(hass: HomeAssistant, **states: str) -> None:
    """Show the health of a link on its device."""
    entry = MockConfigEntry(domain=DOMAIN, title="Scout")
    entry.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, "link")}, name="Scout"
    )
    for key, state in states.items():
        domain = "binary_sensor" if key == "connected" else "sensor"
        entity = er.async_get(hass).async_get_or_create(
            domain, DOMAIN, key, device_id=device.id, suggested_object_id=NATIVE_IDS[key]
        )
        hass.states.async_set(entity.entity_id, state, ATTRIBUTES.get(key))


async def after(hass: HomeAssistant, freezer: FrozenDateTimeFactory, **time: float) -> None:
    freezer.tick(timedelta(**time))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


async def test_a_connection_that_stays_down_is_told_and_taken_back(
    hass: HomeAssistant, tmp_path: Path, freezer: FrozenDateTimeFactory
) -> None:
    create = async_mock_service(hass, "persistent_notification", "create")
    dismiss = async_mock_service(hass, "persistent_notification", "dismiss")
    show_link(hass, connected="on", last_error="timeout", queued="42", oldest_queued="7")
    await use_blueprint(
        hass, tmp_path, "forwarder_down", connected=[CONNECTED], patience={"minutes": 5}
    )

    hass.states.async_set(CONNECTED, "off")
    await after(hass, freezer, minutes=4)
    hass.states.async_set(CONNECTED, "on")
    await after(hass, freezer, minutes=4)
    assert create == []

    hass.states.async_set(CONNECTED, "off")
    await after(hass, freezer, minutes=5, seconds=1)
    (call,) = create
    assert call.data["title"] == "Scout"
    assert call.data["message"] == "The connection is down: timeout. 42 samples wait to be sent."

    dismiss.clear()
    hass.states.async_set(CONNECTED, "on")
    await after(hass, freezer, seconds=1)
    assert [call.data["notification_id"] for call in dismiss] == [create[0].data["notification_id"]]


async def test_the_users_own_actions_are_run_instead(
    hass: HomeAssistant, tmp_path: Path, freezer: FrozenDateTimeFactory
) -> None:
    calls = async_mock_service(hass, "notify", "phone")
    tell = [{"action": "notify.phone", "data": {"message": "{{ title }}: {{ message }}"}}]
    show_link(hass, connected="on", last_error="none")
    await use_blueprint(
        hass,
        tmp_path,
        "forwarder_down",
        connected=[CONNECTED],
        patience={"minutes": 1},
        when_down=tell,
        when_back=tell,
    )

    hass.states.async_set(CONNECTED, "off")
    await after(hass, freezer, minutes=1, seconds=1)
    hass.states.async_set(CONNECTED, "on")
    await after(hass, freezer, seconds=1)

    assert [call.data["message"].strip() for call in calls] == [
        "Scout: The connection is down.",
        "Scout: The connection is back.",
    ]


@pytest.mark.parametrize(
    ("wanted", "destination", "status", "runs"),
    [
        ("/own/pump", "/own/pump", 200, True),
        ("/own/*", "/own/pump", 202, True),
        ("/own/pump", "/own/pumps", 200, False),
        ("/own/pump", "/own/pump", 404, False),
    ],
)
async def test_a_setup_command_runs_a_script(
    hass: HomeAssistant, tmp_path: Path, wanted: str, destination: str, status: int, runs: bool
) -> None:
    calls = async_mock_service(hass, "script", "turn_on")
    await use_blueprint(
        hass, tmp_path, "setup_command", destination=wanted, script="script.after_pump"
    )

    hass.bus.async_fire(
        f"{DOMAIN}_setup_command",
        {
            "config_entry_id": "x",
            "origin": "action",
            "destination": destination,
            "headers": {"speed": "3"},
            "status": status,
            "message": None,
        },
    )
    await hass.async_block_till_done()

    assert len(calls) == runs
    for call in calls:
        assert call.data["entity_id"] == ["script.after_pump"]
        assert call.data["variables"] == {
            "destination": destination,
            "headers": {"speed": "3"},
            "status": status,
            "message": None,
        }


@pytest.mark.parametrize("state", ["1", "unavailable"])
async def test_an_inverter_is_made_safe_while_its_meter_is_stale(
    hass: HomeAssistant, tmp_path: Path, freezer: FrozenDateTimeFactory, state: str
) -> None:
    calls = async_mock_service(hass, "number", "set_value")

    def limit(value: int) -> list[dict[str, Any]]:
        return [{"action": "number.set_value", "data": {"value": value}}]

    hass.states.async_set("sensor.stale", "0")
    await use_blueprint(
        hass,
        tmp_path,
        "zero_export",
        stale="sensor.stale",
        make_safe=limit(0),
        let_go=limit(100),
    )
    hass.states.async_set("sensor.stale", state)
    await after(hass, freezer, seconds=9)
    assert calls == []
    await after(hass, freezer, seconds=2)
    assert [call.data["value"] for call in calls] == [0]
    hass.states.async_set("sensor.stale", "0")
    await after(hass, freezer, seconds=31)
    assert [call.data["value"] for call in calls] == [0, 100]


async def test_an_inverter_is_made_safe_when_home_assistant_is_stopped(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    calls = async_mock_service(hass, "number", "set_value")
    hass.states.async_set("sensor.stale", "0")
    await use_blueprint(
        hass,
        tmp_path,
        "zero_export",
        stale="sensor.stale",
        make_safe=[{"action": "number.set_value", "data": {"value": 0}}],
    )
    await hass.async_stop()
    assert [call.data["value"] for call in calls] == [0]
