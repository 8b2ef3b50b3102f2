"""Commands of a host: what it may write, what that does, and what it is answered."""

from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    async_mock_service,
)

from custom_components.grid_telemetry.commands.event import EVENT
from simulators.sparkplug import Sparkplug
from simulators.sparkplug_messages import BOOLEAN, Arrival

from .conftest import AddEntry, command, device, point

pytestmark = pytest.mark.needs("mosquitto")

INT32, DOUBLE, STRING = 3, 10, 12


async def start(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry, *subentries: Any
) -> Any:
    entry = add_entry(*subentries)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await scada.until(lambda: scada.ledger.devices, "the birth")
    return entry.runtime_data


def last(scada: Sparkplug, name: str, device_id: str = "house") -> Arrival | None:
    """Return what came last of a metric as data."""
    return next(iter(scada.ledger.samples(device_id, name)[::-1]), None)


async def answered(scada: Sparkplug, name: str, value: object) -> None:
    await scada.until(lambda: (found := last(scada, name)) and found.value == value, "the answer")


async def test_a_number_is_written_and_answered(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    assert await async_setup_component(
        hass, "input_number", {"input_number": {"limit": {"min": 0, "max": 10, "initial": 3}}}
    )
    events = async_capture_events(hass, EVENT)
    link = await start(
        hass, scada, add_entry, command("house", "limit", "double", entity="input_number.limit")
    )
    [birth] = [each for each in scada.ledger.arrivals if each.name == "limit"]
    assert birth.value == 3
    await scada.host.write("house", "limit", 7.5, DOUBLE)
    await answered(scada, "limit", 7.5)
    assert hass.states.get("input_number.limit").state == "7.5"
    assert events[-1].data["origin"] == "sparkplug"
    assert events[-1].data["destination"] == "/house/limit"
    assert events[-1].data["headers"] == {
        "device": "house",
        "metric": "limit",
        "data_type": "double",
    }
    assert events[-1].data["status"] == 200
    assert link.figures.commands == 1
    assert link.figures.refused_commands == 0


async def test_a_command_may_name_the_alias(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    assert await async_setup_component(hass, "input_boolean", {"input_boolean": {"pump": None}})
    await start(
        hass, scada, add_entry, command("house", "pump", "boolean", entity="input_boolean.pump")
    )
    for value in (True, False):
        await scada.host.write_by_alias("house", "pump", value, BOOLEAN)
        await answered(scada, "pump", value)
        assert hass.states.get("input_boolean.pump").state == ("on" if value else "off")


async def test_what_others_change_is_told(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    """Also under a new name of the entity, and that it has no value."""
    assert await async_setup_component(
        hass,
        "input_select",
        {"input_select": {"mode": {"options": ["eco", "boost"], "initial": "eco"}}},
    )
    registry = er.async_get(hass)
    registry.async_get_or_create("input_select", "input_select", "mode")
    await start(
        hass, scada, add_entry, command("house", "mode", "string", entity="input_select.mode")
    )
    await scada.host.write("house", "mode", "boost", STRING)
    await answered(scada, "mode", "boost")
    hass.states.async_set("input_select.mode", "eco")
    await answered(scada, "mode", "eco")
    hass.states.async_set("input_select.mode", "unavailable")
    await scada.until(lambda: last(scada, "mode").quality == 0, "null")


async def test_a_renamed_entity_is_still_written(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    registry = er.async_get(hass)
    entry = registry.async_get_or_create("number", "test", "limit", suggested_object_id="limit")
    hass.states.async_set("number.limit", "1")
    calls = async_mock_service(hass, "number", "set_value")
    await start(hass, scada, add_entry, command("house", "limit", "int32", entity=entry.id))
    registry.async_update_entity("number.limit", new_entity_id="number.other")
    hass.states.async_set("number.other", "2")
    await answered(scada, "limit", 2)
    await scada.host.write("house", "limit", -5, INT32)
    await scada.until(lambda: calls, "the call")
    assert calls[0].data["entity_id"] == ["number.other"]
    assert calls[0].data["value"] == -5


async def test_a_script_is_started_by_true_alone(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    got: list[Any] = []

    async def note(call: Any) -> None:
        got.append(dict(call.data))

    hass.services.async_register("test", "note", note)
    assert await async_setup_component(
        hass,
        "script",
        {
            "script": {
                "boost": {
                    "sequence": [
                        {
                            "action": "test.note",
                            "data": {"arg": "{{ arg }}", "of": "{{ headers.metric }}"},
                        }
                    ]
                }
            }
        },
    )
    link = await start(
        hass, scada, add_entry, command("house", "boost", "boolean", entity="script.boost")
    )
    await scada.host.write("house", "boost", False, BOOLEAN)
    await scada.until(lambda: link.figures.refused_commands == 1, "the refusal")
    assert "Only true" in link.figures.last_refusal
    await scada.host.write("house", "boost", True, BOOLEAN)
    await scada.until(lambda: got, "the call")
    assert got == [{"arg": "true", "of": "boost"}]


async def test_a_button_is_pressed(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    hass.states.async_set("button.reset", "2026-01-01T00:00:00+00:00")
    calls = async_mock_service(hass, "button", "press")
    await start(hass, scada, add_entry, command("house", "reset", "boolean", entity="button.reset"))
    await scada.host.write("house", "reset", True, BOOLEAN)
    await answered(scada, "reset", False)
    assert calls[0].data["entity_id"] == ["button.reset"]


async def test_an_action_of_the_users_is_called(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    """Without an entity the metric is worth what was written last."""
    calls = async_mock_service(hass, "notify", "send")
    action = {"action": "notify.send", "data": {"message": "{{ headers.metric }}: {{ arg }}"}}
    await start(hass, scada, add_entry, command("house", "text", "string", action=action))
    assert [each.value for each in scada.ledger.arrivals if each.name == "text"] == [None]
    await scada.host.write("house", "text", "hello", STRING)
    await answered(scada, "text", "hello")
    assert calls[0].data["message"] == "text: hello"


async def test_an_action_that_fails_is_a_refusal(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    """The host is answered the value that still holds."""
    hass.states.async_set("number.limit", "4")
    link = await start(
        hass,
        scada,
        add_entry,
        command("house", "limit", "double", entity="number.limit"),
        command("house", "gone", "double", entity="f" * 32),
    )
    await scada.host.write("house", "limit", 9.0, DOUBLE)
    await answered(scada, "limit", 4)
    assert link.figures.refused_commands == 1
    assert link.figures.last_refusal.startswith("house/limit: ")
    await scada.host.write("house", "gone", 9.0, DOUBLE)
    await scada.until(lambda: link.figures.refused_commands == 2, "the refusal")
    assert link.figures.last_refusal == "house/gone: The entity of this metric is gone"


async def test_what_may_not_be_written_is_refused_and_counted(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    link = await start(hass, scada, add_entry, device("house", point("sensor.power", "power")))
    await scada.host.write("house", "power", 9.0, DOUBLE)
    await scada.host.write("house", "nothing", 9.0, DOUBLE)
    await scada.host.write_node("Node Control/Reboot", True, BOOLEAN)
    await scada.until(lambda: link.figures.refused_commands == 3, "three refusals")
    assert link.figures.last_refusal == "Home/Node Control/Reboot: unknown"
    assert link.figures.commands == 0


async def test_a_point_goes_before_a_command_of_its_name(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    """The point was given its name after the command; the forms keep it from the other order."""
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    link = await start(
        hass,
        scada,
        add_entry,
        device("house", point("sensor.power", "power")),
        command("house", "power", "boolean", entity="switch.power"),
    )
    await scada.host.write("house", "power", True, BOOLEAN)
    await scada.until(lambda: link.figures.refused_commands == 1, "the refusal")
    assert link.figures.last_refusal == "house/power: not writable"
