"""The actions: each of the page's examples, who may call them, and what goes wrong."""

import asyncio
import json
from pathlib import Path
from typing import Any

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockUser, async_capture_events
import voluptuous as vol

from custom_components.grid_telemetry.const import DOMAIN
from simulators.ardexa import NOT_A_NUMBER, UPGRADE, Ardexa

from .conftest import GATEWAY, OTHER, AddEntry, device_of, power_feed, shown, start, until

EVENT = "event.gateway_device_event"
CONFIG: dict[str, Any] = json.loads((Path(__file__).parent / "config.json").read_text())
YAML = "debug: 1\nrun:\n  - command: uptime\n    frequency: 30\n"

GUARDED = {
    "ardexa_run_command": {"command": "uptime"},
    "ardexa_apply_config": {"config": CONFIG},
    "ardexa_apply_yaml_config": {"config": YAML},
    "ardexa_refresh_meta": {},
    "ardexa_upgrade_agent": {},
    "ardexa_send_ardexactl": {},
    "ardexa_send_ardpkg": {},
}


async def call(
    hass: HomeAssistant, action: str, device: str, context: Context | None = None, **data: Any
) -> Any:
    return await hass.services.async_call(
        DOMAIN,
        action,
        {"device_id": device, **data},
        blocking=True,
        return_response=True,
        context=context,
    )


def sent(cloud: Ardexa, event: str) -> dict[str, Any]:
    """Return what was sent of an event, without the id that every request has of its own."""
    [data] = [data for name, data in cloud.requests if name == event]
    assert data.pop("requestId")
    return dict(data)


@pytest.fixture
async def gateway(hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry) -> str:
    entry = add_entry()
    await start(hass, cloud, entry)
    return device_of(hass, entry)


async def test_run_command(hass: HomeAssistant, cloud: Ardexa, gateway: str) -> None:
    assert await call(hass, "ardexa_run_command", gateway, command="uptime") == {
        "stdout": " 05:33:14 up 474 days,  1:21,  0 users,  load average: 0.00, 0.00, 0.00\n",
        "stderr": "",
        "return_code": 0,
        "cut_off": False,
    }
    assert sent(cloud, "device:cmd") == {"deviceId": GATEWAY, "cmd": "uptime"}
    answer = await call(hass, "ardexa_run_command", gateway, command="no-such")
    assert answer == {
        "stdout": "",
        "stderr": "sh: no-such: not found\n",
        "return_code": 127,
        "cut_off": False,
    }
    assert cloud.refused == []


async def test_answers_without_the_requests_id_are_found_by_correlation(
    hass: HomeAssistant, cloud: Ardexa, gateway: str
) -> None:
    cloud.behaviour.ids_in_answers = False
    answer = await call(hass, "ardexa_run_command", gateway, command="echo one")
    assert answer["stdout"] == "one\n"


async def test_output_in_pieces_is_joined(hass: HomeAssistant, cloud: Ardexa, gateway: str) -> None:
    cloud.behaviour.pieces = True
    answer = await call(hass, "ardexa_run_command", gateway, command="echo one")
    assert answer["stdout"] == "one\n"


async def test_a_command_that_keeps_writing_ends_in_time(
    hass: HomeAssistant, cloud: Ardexa, gateway: str
) -> None:
    with pytest.raises(HomeAssistantError) as error:
        await call(hass, "ardexa_run_command", gateway, command="yes", timeout=1)
    assert error.value.translation_key == "ardexa_no_answer"


async def test_output_is_cut_off_where_there_is_too_much(
    hass: HomeAssistant, cloud: Ardexa, gateway: str
) -> None:
    answer = await call(hass, "ardexa_run_command", gateway, command=f"echo {'x' * 300_000}")
    assert answer["cut_off"]
    assert answer["stdout"] == "x" * 256 * 1024


async def test_a_request_that_is_too_large_is_not_sent(
    hass: HomeAssistant, cloud: Ardexa, gateway: str
) -> None:
    with pytest.raises(ServiceValidationError) as error:
        await call(hass, "ardexa_apply_config", gateway, config={"a": "x" * 1_000_000})
    assert error.value.translation_key == "ardexa_too_large_to_send"
    assert not cloud.counts["device:applyConfig"]


async def test_concurrent_commands_are_kept_apart(
    hass: HomeAssistant, cloud: Ardexa, gateway: str
) -> None:
    cloud.behaviour.reply_delay_s = 0.2
    answers = await asyncio.gather(
        *(
            call(hass, "ardexa_run_command", gateway, command=f"echo {number}")
            for number in range(20)
        )
    )
    assert [answer["stdout"] for answer in answers] == [f"{number}\n" for number in range(20)]


@pytest.mark.parametrize(
    ("action", "event"),
    [("ardexa_test_config", "device:testConfig"), ("ardexa_apply_config", "device:applyConfig")],
)
async def test_configurations(
    hass: HomeAssistant, cloud: Ardexa, gateway: str, action: str, event: str
) -> None:
    assert await call(hass, action, gateway, config=CONFIG) == {"result": "success"}
    assert sent(cloud, event) == {"deviceId": GATEWAY, "config": CONFIG}
    with pytest.raises(HomeAssistantError, match="Failed to parse 'frequency'") as error:
        await call(hass, action, gateway, config={"run": [{"frequency": "often"}]})
    assert error.value.translation_placeholders == {"error": NOT_A_NUMBER.strip()}
    assert cloud.refused == []


async def test_apply_yaml_config(hass: HomeAssistant, cloud: Ardexa, gateway: str) -> None:
    answer = await call(hass, "ardexa_apply_yaml_config", gateway, config=YAML)
    assert answer == {"result": "success"}
    assert sent(cloud, "device:applyYamlConfig") == {"deviceId": GATEWAY, "config": YAML}
    assert cloud.refused == []


@pytest.mark.parametrize("text", ["a: [", "text", "- 1", "{{{"])
async def test_what_is_no_yaml_document_is_not_sent(
    hass: HomeAssistant, cloud: Ardexa, gateway: str, text: str
) -> None:
    with pytest.raises(ServiceValidationError) as error:
        await call(hass, "ardexa_apply_yaml_config", gateway, config=text)
    assert error.value.translation_key == "ardexa_invalid_yaml"
    assert "device:applyYamlConfig" not in cloud.counts


@pytest.mark.parametrize("config", ["text", [1], {"when": {1, 2}}, {"key": object()}])
async def test_what_is_no_json_object_is_not_sent(
    hass: HomeAssistant, cloud: Ardexa, gateway: str, config: object
) -> None:
    with pytest.raises(vol.Invalid):
        await call(hass, "ardexa_apply_config", gateway, config=config)
    assert "device:applyConfig" not in cloud.counts


@pytest.mark.parametrize(
    ("action", "event"),
    [
        ("ardexa_refresh_meta", "device:refreshMeta"),
        ("ardexa_send_ardexactl", "device:sendArdexactl"),
        ("ardexa_send_ardpkg", "device:sendArdpkg"),
    ],
)
async def test_what_only_completes(
    hass: HomeAssistant, cloud: Ardexa, gateway: str, action: str, event: str
) -> None:
    assert await call(hass, action, gateway) == {"complete": True}
    assert sent(cloud, event) == {"deviceId": GATEWAY}
    assert cloud.refused == []


async def test_refreshed_metadata_is_told(hass: HomeAssistant, cloud: Ardexa, gateway: str) -> None:
    await call(hass, "ardexa_refresh_meta", gateway)
    await shown(hass, EVENT, lambda state: state.attributes["event_type"] == "meta_changed")


async def test_upgrade_agent(hass: HomeAssistant, cloud: Ardexa, gateway: str) -> None:
    events = async_capture_events(hass, "state_changed")
    answer = await call(hass, "ardexa_upgrade_agent", gateway)
    assert answer == {"complete": True, "steps": list(UPGRADE)}
    assert sent(cloud, "device:doUpgrade") == {"deviceId": GATEWAY}
    await hass.async_block_till_done()
    told = [
        event.data["new_state"].attributes for event in events if event.data["entity_id"] == EVENT
    ]
    assert [attributes["event_type"] for attributes in told] == [
        "operation",
        *["upgrade_progress"] * 4,
        "upgrade_complete",
    ]
    assert told[1]["status"] == "Arch detected: amd64"
    state = hass.states.get("sensor.gateway_agent_upgrade")
    assert state is not None
    assert state.state == "Complete"


@pytest.mark.parametrize("as_object", [False, True])
async def test_an_upgrade_that_fails(
    hass: HomeAssistant, cloud: Ardexa, gateway: str, as_object: bool
) -> None:
    cloud.behaviour.upgrade_fails = True
    cloud.behaviour.object_errors = as_object
    with pytest.raises(HomeAssistantError) as error:
        await call(hass, "ardexa_upgrade_agent", gateway)
    assert error.value.translation_placeholders == {"error": "Internal error occurred"}
    state = await shown(
        hass, EVENT, lambda state: state.attributes["event_type"] == "upgrade_failed"
    )
    assert state.attributes["error"] == "Internal error occurred"
    state = hass.states.get("sensor.gateway_agent_upgrade")
    assert state is not None
    assert state.state == "Failed: Internal error occurred"


async def test_an_agent_is_upgraded_once_at_a_time(
    hass: HomeAssistant, cloud: Ardexa, gateway: str
) -> None:
    cloud.behaviour.no_answer = {"device:doUpgrade"}
    first = hass.async_create_task(call(hass, "ardexa_upgrade_agent", gateway, timeout=1))
    await until(lambda: cloud.counts["device:doUpgrade"])
    with pytest.raises(ServiceValidationError) as error:
        await call(hass, "ardexa_upgrade_agent", gateway)
    assert error.value.translation_key == "ardexa_upgrading"
    with pytest.raises(HomeAssistantError) as late:
        await first
    assert late.value.translation_key == "ardexa_no_answer"


async def test_stop_all_feeds(hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    answer = await hass.services.async_call(
        DOMAIN, "ardexa_stop_all_feeds", blocking=True, return_response=True
    )
    assert answer == {"stopped": ["Inverter"]}
    await until(lambda: not cloud.feeds)
    assert cloud.requests[-1] == ("device:feed:stopAll", None)
    state = hass.states.get("event.ardexa_dev_workgroup_event")
    assert state is not None
    assert state.attributes["action"] == "ardexa_stop_all_feeds"
    # Nothing asks for them again, until the connection is another one.
    await cloud.set_online(GATEWAY, True)
    await cloud.say(
        "device:feed:reply",
        {"feedId": "late", "requestId": cloud.requests[0][1]["requestId"], "value": 1},
    )
    await until(lambda: cloud.counts["stopped strays"])
    assert not cloud.feeds
    cloud.relay.cut()
    await until(lambda: cloud.feeds)
    assert cloud.refused == []


# --- who may call


@pytest.mark.parametrize("action", GUARDED)
async def test_operations_are_off_until_allowed(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry, action: str
) -> None:
    entry = add_entry(allow_operations=False)
    await start(hass, cloud, entry)
    events = async_capture_events(hass, "grid_telemetry_ardexa_operation")
    with pytest.raises(ServiceValidationError) as error:
        await call(hass, action, device_of(hass, entry), **GUARDED[action])
    assert error.value.translation_key == "ardexa_not_allowed"
    assert cloud.requests == []
    assert events == []


async def test_a_configuration_can_be_tested_without(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(allow_operations=False)
    await start(hass, cloud, entry)
    device = device_of(hass, entry)
    assert await call(hass, "ardexa_test_config", device, config=CONFIG) == {"result": "success"}


@pytest.mark.parametrize("action", [*GUARDED, "ardexa_test_config"])
async def test_only_administrators_may_call(
    hass: HomeAssistant, cloud: Ardexa, gateway: str, hass_read_only_user: MockUser, action: str
) -> None:
    data = GUARDED.get(action, {"config": CONFIG})
    with pytest.raises(Unauthorized):
        await call(hass, action, gateway, Context(user_id=hass_read_only_user.id), **data)
    assert cloud.requests == []


async def test_each_operation_leaves_an_event_with_who_called(
    hass: HomeAssistant, cloud: Ardexa, gateway: str, hass_admin_user: MockUser
) -> None:
    events = async_capture_events(hass, "grid_telemetry_ardexa_operation")
    context = Context(user_id=hass_admin_user.id)
    await call(hass, "ardexa_run_command", gateway, context, command="false")
    [event] = events
    assert event.data == {
        "action": "ardexa_run_command",
        "user": hass_admin_user.name,
        "user_id": hass_admin_user.id,
        "device_id": gateway,
        "ardexa_device_id": GATEWAY,
        "command": "false",
    }
    assert event.context == context
    state = hass.states.get(EVENT)
    assert state is not None
    assert state.attributes["event_type"] == "operation"
    assert state.attributes["user"] == hass_admin_user.name
    assert state.context == context


async def test_an_automation_is_nobody(hass: HomeAssistant, cloud: Ardexa, gateway: str) -> None:
    events = async_capture_events(hass, "grid_telemetry_ardexa_operation")
    await call(hass, "ardexa_send_ardpkg", gateway)
    assert events[0].data["user"] is None


# --- what goes wrong


@pytest.mark.parametrize("as_object", [False, True])
async def test_an_error_of_either_shape_is_told(
    hass: HomeAssistant, cloud: Ardexa, gateway: str, as_object: bool
) -> None:
    cloud.behaviour.object_errors = as_object
    cloud.behaviour.error = "No permission"
    for action, data in GUARDED.items():
        with pytest.raises(HomeAssistantError) as error:
            await call(hass, action, gateway, **data)
        assert error.value.translation_key == "ardexa_refused"
        assert error.value.translation_placeholders == {"error": "No permission"}


async def test_a_device_that_is_offline_is_told(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    with pytest.raises(HomeAssistantError, match="Device is offline"):
        await call(hass, "ardexa_run_command", device_of(hass, entry, OTHER), command="uptime")


async def test_a_reply_that_never_comes_is_told(
    hass: HomeAssistant, cloud: Ardexa, gateway: str
) -> None:
    with pytest.raises(HomeAssistantError) as error:
        await call(hass, "ardexa_run_command", gateway, command="sleep 60", timeout=1)
    assert error.value.translation_key == "ardexa_no_answer"


async def test_a_connection_that_breaks_off_is_told(
    hass: HomeAssistant, cloud: Ardexa, gateway: str
) -> None:
    task = hass.async_create_task(call(hass, "ardexa_run_command", gateway, command="sleep 60"))
    await until(lambda: cloud.counts["device:cmd"])
    cloud.relay.cut()
    with pytest.raises(HomeAssistantError) as error:
        await task
    assert error.value.translation_key == "ardexa_broken_off"


async def test_without_connection_nothing_is_done(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    await cloud.relay.stop()
    await until(lambda: entry.runtime_data.session is None)
    with pytest.raises(HomeAssistantError) as error:
        await call(hass, "ardexa_run_command", device_of(hass, entry), command="uptime")
    assert error.value.translation_key == "ardexa_not_connected"


async def test_a_device_of_something_else_is_told(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    link_device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, entry.entry_id), entry.entry_id
    )
    assert link_device is not None
    for device in ("unknown", link_device.id):
        with pytest.raises(ServiceValidationError) as error:
            await call(hass, "ardexa_run_command", device, command="uptime")
        assert error.value.translation_key == "ardexa_unknown_device"


async def test_the_device_of_a_feed_stands_for_the_one_that_feeds_it(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    [subentry_id] = entry.subentries
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, subentry_id), entry.entry_id
    )
    assert device is not None
    assert device.via_device_id == device_of(hass, entry)
    answer = await call(hass, "ardexa_run_command", device.id, command="echo one")
    assert answer["stdout"] == "one\n"
