"""What the platform refuses, as the user meets it: in both manners of RabbitMQ."""

from typing import Any

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.core import Context, HomeAssistant
from homeassistant.data_entry_flow import AbortFlow, FlowResultType
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.outbox.path import outbox_path
from custom_components.grid_telemetry.repairs import async_create_fix_flow
from simulators.scout import ScoutServer

from .conftest import AddEntry, alarm, device
from .test_link import POWER, WITHIN_S, alarms_of, set_leak, set_power, start, until

WAVEFORM: dict[str, Any] = {
    "start_at": "2026-10-01T07:00:00+00:00",
    "sample_rate": 1000,
    "channels": [{"name": "V_AN", "sample_factor": 1, "samples": [[0, 1], [1, 2]]}],
}


async def call(hass: HomeAssistant, name: str, **data: Any) -> Any:
    return await hass.services.async_call(
        DOMAIN, name, data, blocking=True, return_response=True, context=Context()
    )


@pytest.fixture(params=[True, False], ids=["3.12", "4.3"])
def manner(request: pytest.FixtureRequest, server: ScoutServer) -> bool:
    """Choose whether the broker says why it ends a session."""
    says_why: bool = request.param
    server.behaviour.says_why = says_why
    return says_why


@pytest.mark.parametrize("exchange", ["waveforms", "events", "attributes"])
async def test_a_missing_exchange_stops_nothing_else(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry, manner: bool, exchange: str
) -> None:
    server.behaviour.missing_exchanges = {exchange}
    entry = add_entry(device("MAIN", POWER))
    set_power(hass, 1)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await call(hass, "scout_send_waveform", **WAVEFORM)
    before = len(server.metrics)
    await server.wait_for(lambda: len(server.metrics) > before + 2, WITHIN_S + 5)
    assert server.logins <= 7
    assert len([event for event in server.events if event.type == "EXPORT_CONNECTED"]) <= 1
    if manner:
        await until(
            lambda: any(
                issue.translation_key == "outbox_paused"
                for issue in ir.async_get(hass).issues.values()
            )
        )
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_without_the_exchange_of_the_metrics_it_logs_in_a_few_times_and_greets_once(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry, manner: bool
) -> None:
    entry = add_entry(device("MAIN", POWER))
    set_power(hass, 1)
    await start(hass, entry, server)
    await server.wait_for(lambda: server.metrics, WITHIN_S)
    # What is not confirmed by the end of a session is sent again, the greeting too.
    await until(lambda: entry.runtime_data.health.delivered)
    server.behaviour.missing_exchanges = {"metrics"}
    issues = ir.async_get(hass)
    await until(lambda: issues.issues)
    [issue] = issues.issues.values()
    assert issue.translation_key == "outbox_paused"
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["kind"] == "METRIC"
    assert server.logins <= 5
    assert [event.type for event in server.events] == ["EXPORT_CONNECTED"]
    await until(lambda: entry.runtime_data.health.connected)
    server.behaviour.missing_exchanges = set()
    before = len(server.metrics)
    await call(hass, "flush", timeout=0)
    await server.wait_for(lambda: len(server.metrics) > before, WITHIN_S)
    await until(lambda: not issues.issues)
    assert entry.runtime_data.outbox.dropped_samples == 0
    assert await hass.config_entries.async_unload(entry.entry_id)


async def refuse_waveform(hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry) -> None:
    """Have a waveform refused that is too large for the broker."""
    server.behaviour.max_frame_bytes = 20_000
    samples = [[number, number] for number in range(5000)]
    channels = [{"name": "V_AN", "sample_factor": 1, "samples": samples}]
    await call(hass, "scout_send_waveform", **WAVEFORM | {"channels": channels})
    await until(lambda: entry.runtime_data.outbox.refused_records == 1)
    await until(lambda: ir.async_get(hass).issues)


async def test_a_frame_that_is_too_large_is_set_aside_shown_and_sent_again(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN", POWER))
    set_power(hass, 1)
    await start(hass, entry, server)
    await refuse_waveform(hass, server, entry)
    [(_, issue_id)] = ir.async_get(hass).issues
    issue = ir.async_get(hass).issues[DOMAIN, issue_id]
    assert (issue.translation_key, issue.is_fixable) == ("outbox_refused", True)
    answer = await call(hass, "list_refused")
    [message] = answer["messages"]
    assert (message["kind"], message["samples"], answer["total"]) == ("WAVEFORM", 1, 1)
    assert "1009" in message["reason"]

    flow = await async_create_fix_flow(hass, issue_id, issue.data)
    flow.hass = hass
    menu = await flow.async_step_init()
    assert menu["type"] is FlowResultType.MENU
    shown = await flow.async_step_show()  # type: ignore[attr-defined]
    assert "WAVEFORM" in shown["description_placeholders"]["messages"]
    assert (await flow.async_step_show({}))["type"] is FlowResultType.MENU  # type: ignore[attr-defined]
    server.behaviour.max_frame_bytes = None
    done = await flow.async_step_retry()  # type: ignore[attr-defined]
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await server.wait_for(lambda: server.waveforms, WITHIN_S)
    await until(lambda: not ir.async_get(hass).issues)
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_refused_messages_can_be_deleted_and_need_a_running_link(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN"))
    await start(hass, entry, server)
    await refuse_waveform(hass, server, entry)
    [(_, issue_id)] = ir.async_get(hass).issues
    flow = await async_create_fix_flow(hass, issue_id, {"entry_id": entry.entry_id})
    flow.hass = hass
    form = await flow.async_step_confirm_delete()  # type: ignore[attr-defined]
    assert form["description_placeholders"] == {"title": "Scout", "count": "1"}
    await flow.async_step_confirm_delete({})  # type: ignore[attr-defined]
    assert entry.runtime_data.outbox.refused_records == 0
    await until(lambda: not ir.async_get(hass).issues)
    assert await call(hass, "retry_refused") == {"queued": 0}
    assert await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(AbortFlow, match="not_loaded"):
        await flow.async_step_init()


async def test_refused_messages_are_for_administrators(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry, hass_read_only_user: MockUser
) -> None:
    entry = add_entry(device("MAIN"))
    await start(hass, entry, server)
    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            DOMAIN,
            "list_refused",
            {},
            blocking=True,
            return_response=True,
            context=Context(user_id=hass_read_only_user.id),
        )
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_credentials_that_are_taken_again_end_the_question_for_new_ones(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    server.token, right = "another", server.token
    entry = add_entry(device("MAIN", POWER), token=right)
    set_power(hass, 1)
    await hass.config_entries.async_setup(entry.entry_id)
    flows = hass.config_entries.flow
    await until(flows.async_progress)
    await until(lambda: entry.runtime_data.outbox.queued_records)
    assert flows.async_progress()[0]["context"]["source"] == SOURCE_REAUTH
    server.token = right
    await call(hass, "flush", timeout=WITHIN_S)  # in place of five minutes
    await server.wait_for(lambda: server.metrics, WITHIN_S)
    await until(lambda: not flows.async_progress())
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_end_of_an_alarm_that_is_dropped_is_reported_anew(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(alarm("binary_sensor.leak"))
    await set_leak(hass, "on")
    await start(hass, entry, server)
    assert await alarms_of(entry, server) == ["ON"]
    await server.stop()
    await set_leak(hass, "off")
    await until(lambda: entry.runtime_data.outbox.queued_records)
    assert (await call(hass, "clear_outbox"))["dropped"] >= 1
    await hass.async_block_till_done()
    await until(lambda: entry.runtime_data.outbox.queued_records)
    await server.start()
    assert await alarms_of(entry, server) == ["ON", "OFF"]
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_alarm_that_was_never_told_is_not_ended_when_it_is_dropped(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(alarm("binary_sensor.leak"))
    await start(hass, entry, server)
    await server.stop()
    await set_leak(hass, "on")
    await set_leak(hass, "off")
    await until(lambda: entry.runtime_data.outbox.queued_records >= 2)
    await call(hass, "clear_outbox")
    await hass.async_block_till_done()
    await server.start()
    assert await alarms_of(entry, server) == []
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_the_events_of_one_device_go_out_one_after_the_other(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(alarm("binary_sensor.leak"))
    await start(hass, entry, server)
    await entry.runtime_data.delivery.flush(WITHIN_S)
    server.behaviour.receipts_withheld = True
    await set_leak(hass, "on")
    await server.wait_for(lambda: len(server.events) == 2, WITHIN_S)
    await set_leak(hass, "off")
    await until(lambda: entry.runtime_data.outbox.queued_records >= 2)
    assert [event.status for event in server.events[1:]] == ["ON"]
    await server.release_receipts()
    assert await alarms_of(entry, server) == ["ON", "OFF"]
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_an_action_that_meets_a_closed_outbox_says_so(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN"))
    await start(hass, entry, server)
    await entry.runtime_data.async_stop()  # as Home Assistant does when it stops
    for name, data in (
        ("scout_send_event", {"event_type": "ALARM_DEVICE"}),
        ("clear_outbox", {}),
        ("list_refused", {}),
    ):
        with pytest.raises(HomeAssistantError) as raised:
            await call(hass, name, **data)
        assert raised.value.translation_key == "outbox_closed"
    assert entry.state is ConfigEntryState.LOADED
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_damaged_file_that_was_set_aside_can_be_deleted(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN"))
    path = outbox_path(hass, entry)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"no database, for sure" * 100)
    await start(hass, entry, server)
    [(_, issue_id)] = ir.async_get(hass).issues
    issue = ir.async_get(hass).issues[DOMAIN, issue_id]
    [set_aside] = path.parent.glob(f"{path.name}.*-*")
    assert issue.is_fixable

    flow = await async_create_fix_flow(hass, issue_id, issue.data)
    flow.hass = hass
    form = await flow.async_step_init()
    assert form["description_placeholders"] == {"title": "Scout", "detail": set_aside.name}
    assert set_aside.exists()
    done = await flow.async_step_init({})  # type: ignore[call-arg]
    assert done["type"] is FlowResultType.CREATE_ENTRY
    assert not set_aside.exists()
    assert not ir.async_get(hass).issues

    assert await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(AbortFlow, match="not_loaded"):
        await flow.async_step_init()
