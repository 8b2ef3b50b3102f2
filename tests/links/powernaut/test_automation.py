"""Triggers, conditions and the blueprint, as automations use them."""

from pathlib import Path
import shutil
from typing import Any
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState, Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.condition import async_get_all_descriptions as condition_descriptions
from homeassistant.helpers.trigger import async_get_all_descriptions as trigger_descriptions
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_mock_service,
)

from custom_components.grid_telemetry.const import DOMAIN

from .conftest import AddEntry, FakeApi, FakeBroker, battery_subentry, solar_subentry
from .samples import BATTERY_ID
from .test_link import ACTIVATION, COMMANDS, SETPOINT, command, pass_time, settle

BLUEPRINTS = Path(__file__).parents[3] / "blueprints" / "automation" / DOMAIN


@pytest.fixture
async def entry(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> MockConfigEntry:
    freezer.move_to("2026-03-01T12:00:00.1Z")
    made = add_entry(battery_subentry(), solar_subentry())
    assert await hass.config_entries.async_setup(made.entry_id)
    await settle(hass)
    return made


@pytest.fixture
def fired(hass: HomeAssistant) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []

    @callback
    def note(event: Event[Any]) -> None:
        events.append(dict(event.data))

    hass.bus.async_listen("fired", note)
    return events


async def automate(hass: HomeAssistant, trigger: dict[str, Any], **more: Any) -> None:
    assert await async_setup_component(
        hass,
        "automation",
        {
            "automation": {
                "triggers": trigger,
                "actions": {
                    "event": "fired",
                    "event_data": {"entity": "{{ trigger.entity_id | default('-') }}"},
                },
                **more,
            }
        },
    )
    await settle(hass)


async def receive(hass: HomeAssistant, broker: FakeBroker, *arguments: Any) -> None:
    broker.session.receive(COMMANDS, command(*arguments))
    await settle(hass)


def battery_device(hass: HomeAssistant, entry: MockConfigEntry) -> str:
    [device] = [
        device
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        if device.name == "Home battery"
    ]
    return device.id


async def test_an_activation_triggers_as_it_starts_and_ends(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    broker: FakeBroker,
    freezer: FrozenDateTimeFactory,
    fired: list[dict[str, Any]],
) -> None:
    target = {"device_id": battery_device(hass, entry)}
    await automate(
        hass,
        [
            {"trigger": f"{DOMAIN}.activation_started", "target": target},
            {"trigger": f"{DOMAIN}.activation_ended", "target": target},
        ],  # type: ignore[arg-type]
    )
    await receive(hass, broker, "12:00:02", "12:00:04", 1000)
    assert fired == []
    await pass_time(hass, freezer, 2)
    assert fired == [{"entity": ACTIVATION}]
    await pass_time(hass, freezer, 2)
    assert fired == [{"entity": ACTIVATION}] * 2


async def test_each_new_setpoint_triggers(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    broker: FakeBroker,
    fired: list[dict[str, Any]],
) -> None:
    target = {"device_id": battery_device(hass, entry)}
    await automate(hass, {"trigger": f"{DOMAIN}.setpoint_changed", "target": target})
    await receive(hass, broker, "12:00:00", "12:15:00", 1000)
    await receive(hass, broker, "12:00:00", "12:15:00", 2000)
    await receive(hass, broker, "12:00:00", "12:15:00", 2000)
    await receive(hass, broker, "12:00:00", "12:15:00", None)
    assert fired == [{"entity": SETPOINT}] * 2


async def test_each_command_triggers(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    broker: FakeBroker,
    freezer: FrozenDateTimeFactory,
    fired: list[dict[str, Any]],
) -> None:
    target = {"device_id": battery_device(hass, entry)}
    await automate(hass, {"trigger": f"{DOMAIN}.command_received", "target": target})
    await receive(hass, broker, "13:00:00", "13:15:00", 1000)
    freezer.tick(1)
    await receive(hass, broker, "11:00:00", "11:15:00", 2000)
    assert fired == [{"entity": "event.home_battery_command"}] * 2


async def test_an_event_that_was_reported_triggers_and_is_shown(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    api: FakeApi,
    fired: list[dict[str, Any]],
) -> None:
    target = {"device_id": battery_device(hass, entry)}
    await automate(hass, {"trigger": f"{DOMAIN}.event_reported", "target": target})
    event = {
        "resource_id": BATTERY_ID,
        "event_type": "MFRR_ACTIVATION",
        "start": "2026-03-01T13:00:00Z",
        "end": "2026-03-01T13:15:00Z",
    }
    path = f"resources/{BATTERY_ID}/events"
    api.answer("POST", path, status=403)
    with pytest.raises(HomeAssistantError):
        await hass.services.async_call(DOMAIN, "powernaut_report_event", event, blocking=True)
    await settle(hass)
    assert fired == []
    api.answer("POST", path, status=201)
    await hass.services.async_call(DOMAIN, "powernaut_report_event", event, blocking=True)
    await settle(hass)
    assert fired == [{"entity": "event.home_battery_report"}]
    state = hass.states.get("event.home_battery_report")
    assert state is not None
    assert {key: state.attributes[key] for key in ("event_type", "start", "end")} == {
        "event_type": "mfrr_activation",
        "start": "2026-03-01T13:00:00+00:00",
        "end": "2026-03-01T13:15:00+00:00",
    }


async def test_other_entities_of_the_device_do_not_trigger(
    hass: HomeAssistant, entry: MockConfigEntry, fired: list[dict[str, Any]]
) -> None:
    target = {"entity_id": ["binary_sensor.foreign", "binary_sensor.powernaut_home_connected"]}
    hass.states.async_set("binary_sensor.foreign", "off")
    await automate(hass, {"trigger": f"{DOMAIN}.activation_started", "target": target})
    hass.states.async_set("binary_sensor.foreign", "on")
    hass.states.async_set("binary_sensor.powernaut_home_connected", "off")
    hass.states.async_set("binary_sensor.powernaut_home_connected", "on")
    await settle(hass)
    assert fired == []


@pytest.mark.parametrize(
    ("condition", "passes"),
    [("activation_is_in_force", [False, True]), ("activation_is_not_in_force", [True, False])],
)
async def test_conditions_ask_for_an_activation(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    broker: FakeBroker,
    fired: list[dict[str, Any]],
    condition: str,
    passes: list[bool],
) -> None:
    await automate(
        hass,
        {"trigger": "event", "event_type": "ask"},
        conditions={
            "condition": f"{DOMAIN}.{condition}",
            "target": {"entity_id": ACTIVATION},
        },
    )
    answers = []
    for _ in range(2):
        before = len(fired)
        hass.bus.async_fire("ask")
        await settle(hass)
        answers.append(len(fired) > before)
        await receive(hass, broker, "12:00:00", "12:15:00", 0)
    assert answers == passes


async def test_triggers_and_conditions_are_described(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    assert await async_setup_component(hass, "automation", {})
    triggers = await trigger_descriptions(hass)
    conditions = await condition_descriptions(hass)
    ours = {
        key: description
        for key, description in (triggers | conditions).items()
        if key.startswith(DOMAIN)
    }
    assert set(ours) == {
        f"{DOMAIN}.activation_started",
        f"{DOMAIN}.activation_ended",
        f"{DOMAIN}.setpoint_changed",
        f"{DOMAIN}.command_received",
        f"{DOMAIN}.event_reported",
        f"{DOMAIN}.activation_is_in_force",
        f"{DOMAIN}.activation_is_not_in_force",
    }
    assert all(description and description["target"] for description in ours.values())


# --- the blueprint


async def use_blueprint(
    hass: HomeAssistant, name: str = "powernaut_activation", **inputs: Any
) -> None:
    folder = Path(hass.config.path("blueprints", "automation", DOMAIN))
    shutil.copytree(BLUEPRINTS, folder, dirs_exist_ok=True)
    assert await async_setup_component(
        hass,
        "automation",
        {
            "automation": {
                "id": "follow",
                "use_blueprint": {
                    "path": f"{DOMAIN}/{name}.yaml",
                    "input": inputs if "activation" in inputs else {"setpoint": SETPOINT, **inputs},
                },
            }
        },
    )
    await settle(hass)
    assert hass.states.async_entity_ids("automation")


@pytest.fixture
def config_folder(hass: HomeAssistant, tmp_path: Path) -> None:
    hass.config.config_dir = str(tmp_path)


def number(hass: HomeAssistant, entity_id: str, unit: str, low: float, high: float) -> None:
    attributes = {"unit_of_measurement": unit, "min": low, "max": high}
    hass.states.async_set(entity_id, "0", attributes)


@pytest.mark.usefixtures("config_folder")
# At the end the link is unloaded, and the automation waits whether it comes back.
@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_the_blueprint_sets_numbers_and_switches_and_takes_them_back(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    broker: FakeBroker,
) -> None:
    number(hass, "number.watts", "W", -3000, 3000)
    number(hass, "number.kilowatts", "kW", -5, 5)
    numbers = async_mock_service(hass, "number", "set_value")
    on = async_mock_service(hass, "homeassistant", "turn_on")
    off = async_mock_service(hass, "homeassistant", "turn_off")
    await use_blueprint(
        hass,
        power=["number.watts", "number.kilowatts"],
        remote_control=["switch.remote"],
        baseline=50,
    )

    def values() -> list[tuple[str, float]]:
        return [(call.data["entity_id"][0], call.data["value"]) for call in numbers]

    await receive(hass, broker, "12:00:00", "12:15:00", -4500)
    assert values() == [("number.watts", -3000), ("number.kilowatts", -4.5)]
    assert [call.data["entity_id"] for call in on] == [["switch.remote"]]
    numbers.clear()

    await receive(hass, broker, "12:00:00", "12:15:00", 0)
    assert values() == [("number.watts", 0), ("number.kilowatts", 0)]
    assert off == []
    numbers.clear()

    await receive(hass, broker, "12:00:00", "12:15:00", None)
    assert values() == [("number.watts", 50), ("number.kilowatts", 5)]  # as far as it goes
    assert [call.data["entity_id"] for call in off] == [["switch.remote"]]


@pytest.mark.usefixtures("config_folder")
# At the end the link is unloaded, and the automation waits whether it comes back.
@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_the_blueprint_can_turn_the_sign(
    hass: HomeAssistant, entry: MockConfigEntry, broker: FakeBroker
) -> None:
    number(hass, "input_number.discharge", "W", -9000, 9000)
    numbers = async_mock_service(hass, "input_number", "set_value")
    await use_blueprint(hass, power=["input_number.discharge"], invert=True)
    await receive(hass, broker, "12:00:00", "12:15:00", -4500)
    assert [call.data["value"] for call in numbers] == [4500]


@pytest.mark.usefixtures("config_folder")
# At the end the link is unloaded, and the automation waits whether it comes back.
@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_the_blueprint_follows_after_a_start_in_mid_window_and_not_while_unavailable(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    broker: FakeBroker,
    freezer: FrozenDateTimeFactory,
) -> None:
    number(hass, "number.watts", "W", -3000, 3000)
    numbers = async_mock_service(hass, "number", "set_value")
    await receive(hass, broker, "12:00:00", "12:15:00", 1000)
    hass.set_state(CoreState.starting)
    await use_blueprint(hass, power=["number.watts"])
    hass.set_state(CoreState.running)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await settle(hass)
    assert [call.data["value"] for call in numbers] == [1000]

    await hass.config_entries.async_unload(entry.entry_id)
    await settle(hass)
    assert hass.states.get(SETPOINT).state == "unavailable"  # type: ignore[union-attr]
    assert len(numbers) == 1
    assert await hass.config_entries.async_setup(entry.entry_id)
    await settle(hass)
    assert [call.data["value"] for call in numbers] == [1000, 1000]


@pytest.mark.usefixtures("config_folder")
# At the end the link is unloaded, and the automation waits whether it comes back.
@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_the_blueprint_follows_when_it_is_made_in_mid_window(
    hass: HomeAssistant, entry: MockConfigEntry, broker: FakeBroker
) -> None:
    number(hass, "number.watts", "W", -3000, 3000)
    numbers = async_mock_service(hass, "number", "set_value")
    await receive(hass, broker, "12:00:00", "12:15:00", 1000)
    await use_blueprint(hass, power=["number.watts"])
    numbers.clear()

    # As the editor does when it has saved an automation.
    config = {
        "id": "follow",
        "use_blueprint": {
            "path": f"{DOMAIN}/powernaut_activation.yaml",
            "input": {"setpoint": SETPOINT, "power": ["number.watts"], "invert": True},
        },
    }
    with patch("homeassistant.config.async_hass_config_yaml", return_value={"automation": config}):
        await hass.services.async_call("automation", "reload", blocking=True)
    await settle(hass)

    assert [call.data["value"] for call in numbers] == [-1000]


@pytest.mark.usefixtures("config_folder")
# At the end the link is unloaded, and the automation waits whether it comes back.
@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_the_blueprint_does_nothing_with_any_other_power(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    number(hass, "number.watts", "W", -3000, 3000)
    numbers = async_mock_service(hass, "number", "set_value")
    hass.states.async_set("sensor.house", "4000", {"unit_of_measurement": "W"})
    await use_blueprint(hass, setpoint="sensor.house", power=["number.watts"])
    for state in ("4100", "unavailable", "4200", "unknown"):
        hass.states.async_set("sensor.house", state, {"unit_of_measurement": "W"})
        await settle(hass)
    hass.bus.async_fire("automation_reloaded")
    await settle(hass)

    assert not numbers


async def test_the_blueprint_takes_back_what_it_set_when_the_link_is_gone_for_long(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    broker: FakeBroker,
    freezer: FrozenDateTimeFactory,
) -> None:
    calls = async_mock_service(hass, "number", "set_value")
    hass.states.async_set("number.watts", "0", {"min": -5000, "max": 5000})
    await use_blueprint(hass, power=["number.watts"], baseline=7, safe_after=2)
    await receive(hass, broker, "12:00:00", "13:00:00", 1000)
    assert [call.data["value"] for call in calls] == [1000]
    assert await hass.config_entries.async_unload(entry.entry_id)
    await pass_time(hass, freezer, 110)
    assert len(calls) == 1
    await pass_time(hass, freezer, 15)
    assert [call.data["value"] for call in calls] == [1000, 7]


# --- the blueprint of a charger


@pytest.mark.usefixtures("config_folder")
@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_a_charger_defers_while_less_is_asked_for_than_charging_needs(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    broker: FakeBroker,
    freezer: FrozenDateTimeFactory,
) -> None:
    on = async_mock_service(hass, "homeassistant", "turn_on")
    off = async_mock_service(hass, "homeassistant", "turn_off")
    hass.states.async_set("sensor.car", "20")
    await use_blueprint(
        hass, "powernaut_charger_defers", charger=["switch.charger"], state_of_charge="sensor.car"
    )

    def told() -> set[str]:
        calls = [*on, *off]
        on.clear()
        off.clear()
        assert all(call.data["entity_id"] == ["switch.charger"] for call in calls)
        return {call.service for call in calls}

    await receive(hass, broker, "12:00:00", "12:30:00", 0)
    assert told() == {"turn_on"}  # the car has to have its 30 % first
    hass.states.async_set("sensor.car", "31")
    await pass_time(hass, freezer, 300)
    assert told() == {"turn_off"}
    await receive(hass, broker, "12:00:00", "12:30:00", 1400)
    assert told() == {"turn_on"}
    await receive(hass, broker, "12:00:00", "12:30:00", 1399)
    assert told() == {"turn_off"}
    await receive(hass, broker, "12:00:00", "12:30:00", None)
    assert told() == {"turn_on"}
    await pass_time(hass, freezer, 600)
    assert told() == set()  # without an activation the switch is the user's


# --- the blueprint of a battery that bids


@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_a_battery_offers_what_it_has_above_its_reserve(
    hass: HomeAssistant, tmp_path: Path, freezer: FrozenDateTimeFactory
) -> None:
    await hass.config.async_set_time_zone("Europe/Brussels")
    hass.config.config_dir = str(tmp_path)
    freezer.move_to("2026-03-01T12:07:00Z")
    bids = async_mock_service(hass, DOMAIN, "powernaut_place_bid")
    hass.states.async_set("sensor.battery", "37")
    hass.states.async_set(ACTIVATION, "on")
    await use_blueprint(
        hass,
        "powernaut_battery_bid",
        activation=ACTIVATION,
        resource_id=BATTERY_ID,
        state_of_charge="sensor.battery",
        capacity=10,
        most_power=5000,
        price=0.3,
    )

    async def offered() -> list[dict[str, Any]]:
        hass.states.async_set(ACTIVATION, "on")
        hass.states.async_set(ACTIVATION, "off")
        await settle(hass)
        found = [dict(call.data) for call in bids]
        bids.clear()
        return found

    bid = {"resource_id": BATTERY_ID, "start": "2026-03-01T13:15:00+01:00"}
    # 7 % of 10 kWh last a quarter-hour at 2.8 kW.
    assert await offered() == [{**bid, "curve": [{"watts": -2800, "price": 0.3}]}]
    for shown, watts in (("90", -5000), ("31", None), ("unknown", None), ("31.3", -500)):
        hass.states.async_set("sensor.battery", shown)
        assert [call["curve"][0]["watts"] for call in await offered()] == [watts] * (
            watts is not None
        )
    hass.states.async_set("sensor.battery", "80")
    await pass_time(hass, freezer, 8 * 60 + 21)
    assert [dict(call.data)["start"] for call in bids] == ["2026-03-01T13:30:00+01:00"]
