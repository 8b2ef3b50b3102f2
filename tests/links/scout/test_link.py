"""The running link: what arrives at the platform, and what happens when it does not."""

import asyncio
from collections.abc import Callable
from pathlib import Path
import time
from types import MappingProxyType
from unittest.mock import patch

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState, ConfigSubentry
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.links.scout.const import SUBENTRY_ALARM
from custom_components.grid_telemetry.links.scout.link import ScoutLink
from simulators.scout import ScoutServer

from .conftest import AddEntry, alarm, device

WITHIN_S = 10


async def start(hass: HomeAssistant, entry: MockConfigEntry, server: ScoutServer) -> None:
    """Set the entry up and wait until the platform has its greetings."""
    before = len(server.attributes)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await server.wait_for(lambda: len(server.attributes) > before, WITHIN_S)


async def until(predicate: Callable[[], object]) -> None:
    """Wait for what the platform cannot see."""
    async with asyncio.timeout(WITHIN_S):
        while not predicate():
            await asyncio.sleep(0.01)


def set_power(hass: HomeAssistant, value: object, unit: str = "W") -> None:
    hass.states.async_set(
        "sensor.power", str(value), {"unit_of_measurement": unit, "device_class": "power"}
    )


POWER = {"entity": "sensor.power", "name": "P", "unit": "kW", "factor": 2}


async def test_on_connect_it_says_so_and_who_it_is(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN", POWER))
    await start(hass, entry, server)
    (event,) = server.events
    assert (event.device, event.type, event.status, event.index) == (
        "MAIN",
        "EXPORT_CONNECTED",
        "INFO",
        "NONE",
    )
    (attributes,) = server.attributes
    assert attributes.gateway["SERIAL_NUMBER"] == "HA-1"
    assert attributes.gateway["HW_MODEL"] == "HOME_ASSISTANT"
    assert server.refusals == []
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_slot_is_sent_with_its_time_converted_and_scaled(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(
        device("MAIN", POWER), device("2", POWER, POWER | {"name": "P_W", "unit": None})
    )
    set_power(hass, 1500)
    await start(hass, entry, server)
    await server.wait_for(lambda: len(server.metrics) >= 3, WITHIN_S)
    slot = server.metrics[0].ts
    assert slot.microsecond == 0
    assert {(m.device, m.ts, m.code, m.value) for m in server.metrics[:3]} == {
        ("MAIN", slot, "P", 3.0),
        ("2", slot, "P", 3.0),
        ("2", slot, "P_W", 3000.0),
    }
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("state", ["unknown", "unavailable", "on", "nan", "inf"])
async def test_states_that_are_no_numbers_are_not_sent(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry, state: str
) -> None:
    entry = add_entry(device("MAIN", POWER, {"entity": "sensor.good", "name": "GOOD"}))
    hass.states.async_set("sensor.good", "1")
    set_power(hass, state)
    await start(hass, entry, server)
    await server.wait_for(lambda: len(server.metrics) >= 1, WITHIN_S)
    assert {metric.code for metric in server.metrics} == {"GOOD"}
    assert sum(entry.runtime_data.diagnostics()["sampler"]["skipped"].values()) >= 1
    await hass.config_entries.async_unload(entry.entry_id)


async def test_mean_minimum_and_maximum_go_out_under_three_names(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    points = [
        {"entity": "sensor.power", "name": f"P{suffix}", "unit": "W", "take": take}
        for suffix, take in (("", "mean"), ("_MIN", "minimum"), ("_MAX", "maximum"))
    ]
    entry = add_entry(device("MAIN", *points), interval_s=2)
    set_power(hass, 1000)
    await start(hass, entry, server)
    await server.wait_for(lambda: len(server.metrics) >= 3, WITHIN_S)
    seen = len(server.metrics)
    set_power(hass, 3000)
    await server.wait_for(lambda: len(server.metrics) >= seen + 3, WITHIN_S)
    values = {metric.code: metric.value for metric in server.metrics[seen : seen + 3]}
    assert (values["P_MIN"], values["P_MAX"]) == (1000, 3000)
    assert 1000 < values["P"] < 3000
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_value_that_is_too_old_is_not_sent_and_named(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    hours_ago = time.time() - 3 * 3600
    hass.states.async_set("sensor.power", "1500", {"unit_of_measurement": "W"}, timestamp=hours_ago)
    hass.states.async_set(
        "sensor.energy", "7", {"state_class": "total_increasing"}, timestamp=hours_ago
    )
    limited = device("MAIN", POWER, {"entity": "sensor.energy", "name": "E"})
    limited["data"] = {**limited["data"], "max_age_s": 600}
    entry = add_entry(limited, device("2", {**POWER, "name": "P_ANY"}))
    await start(hass, entry, server)
    await server.wait_for(lambda: len(server.metrics) >= 2, WITHIN_S)
    # A counter is valid while its sensor is available, and without a limit all is sent.
    assert {metric.code for metric in server.metrics} == {"E", "P_ANY"}
    await until(lambda: (hass.states.get("sensor.scout_stale_points") or entry).state == "2")
    stale = hass.states.get("sensor.scout_stale_points")
    assert stale is not None
    assert stale.attributes["points"] == ["P", "P_ANY"]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_zero_that_a_counter_shows_for_a_moment_is_not_sent(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    counter = {"state_class": "total_increasing", "unit_of_measurement": "kWh"}
    entry = add_entry(device("MAIN", {"entity": "sensor.energy", "name": "E"}))
    hass.states.async_set("sensor.energy", "500", counter)
    await start(hass, entry, server)
    await server.wait_for(lambda: len(server.metrics) >= 1, WITHIN_S)
    hass.states.async_set("sensor.energy", "0", counter)
    await server.wait_for(lambda: len(server.metrics) >= 3, WITHIN_S)
    hass.states.async_set("sensor.energy", "500.5", counter)
    await server.wait_for(lambda: server.metrics[-1].value == 500.5, WITHIN_S)
    assert {metric.value for metric in server.metrics} == {500, 500.5}
    await hass.config_entries.async_unload(entry.entry_id)


async def test_what_is_known_of_gateway_device_and_alarm_goes_out(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    meter = device("2", {"entity": "sensor.x", "name": "X"})
    meter["data"] = {**meter["data"], "connection_type": "3PH4W"}
    entry = add_entry(meter, alarm("binary_sensor.leak", index="L1"), firmware_measure="7.1")
    hass.states.async_set("binary_sensor.leak", "on")
    await start(hass, entry, server)
    await server.wait_for(lambda: len(server.events) >= 2, WITHIN_S)
    (attributes,) = server.attributes
    assert attributes.gateway["FW_MEASURE"] == "7.1"
    assert attributes.devices == {"2": {"CONNECTION_TYPE": "3PH4W"}}
    assert server.events[-1].index == "L1"
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_unit_that_is_no_text_keeps_nothing_else_from_being_sent(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    """Whoever sets states by REST may write anything."""
    entry = add_entry(device("MAIN", POWER, {"entity": "sensor.good", "name": "GOOD"}))
    hass.states.async_set("sensor.good", "1", {"unit_of_measurement": {"a": 1}})
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": ["W"]})
    await start(hass, entry, server)
    await server.wait_for(lambda: len(server.metrics) >= 2, WITHIN_S)
    assert {metric.code for metric in server.metrics} == {"GOOD"}
    assert await hass.config_entries.async_unload(entry.entry_id)


async def test_a_renamed_entity_is_sent_on(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    registry = er.async_get(hass)
    registered = registry.async_get_or_create("sensor", "test", "p", suggested_object_id="power")
    entry = add_entry(device("MAIN", {"entity": registered.id, "name": "P"}))
    await start(hass, entry, server)
    registry.async_update_entity("sensor.power", new_entity_id="sensor.grid")
    hass.states.async_set("sensor.grid", "7")
    await server.wait_for(lambda: len(server.metrics) >= 1, WITHIN_S)
    assert server.metrics[0].value == 7
    await hass.config_entries.async_unload(entry.entry_id)


async def test_what_an_outage_held_back_arrives_after_it(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN", POWER))
    set_power(hass, 500)
    await start(hass, entry, server)
    outbox = entry.runtime_data.outbox
    await server.stop()
    await until(lambda: outbox.queued_samples >= 3)
    await server.start()
    await entry.runtime_data.delivery.flush(WITHIN_S)
    times = [metric.ts.timestamp() for metric in server.metrics]
    assert len(times) >= 3
    assert sorted(set(times)) == [times[0] + number for number in range(len(set(times)))]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_restart_loses_nothing(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN", POWER))
    set_power(hass, 500)
    await start(hass, entry, server)
    server.behaviour.receipts_withheld = True
    await server.wait_for(lambda: len(server.metrics) >= 1, WITHIN_S)
    slot = server.metrics[0].ts
    await hass.config_entries.async_unload(entry.entry_id)
    hass.states.async_remove("sensor.power")
    server.behaviour.receipts_withheld = False
    before = len(server.metrics)
    await hass.config_entries.async_setup(entry.entry_id)
    await server.wait_for(lambda: len(server.metrics) > before, WITHIN_S)
    assert slot in [metric.ts for metric in server.metrics[before:]]
    assert server.duplicates  # at least once: the first copy was never confirmed
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_refused_token_asks_the_user(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN", POWER), token="wrong")
    await hass.config_entries.async_setup(entry.entry_id)
    await until(hass.config_entries.flow.async_progress)
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert entry.runtime_data.health.last_error == "invalid_auth"
    assert entry.state is ConfigEntryState.LOADED
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_missing_exchange_is_told_apart_from_a_lost_connection(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    server.behaviour.missing_exchanges = {"events"}
    entry = add_entry(device("MAIN", POWER))
    await hass.config_entries.async_setup(entry.entry_id)
    health = entry.runtime_data.health
    await until(lambda: health.last_error is not None)
    assert health.last_error == "destination_refused"
    assert "events" in (health.last_error_detail or "")
    assert not health.connected
    assert hass.config_entries.flow.async_progress() == []
    await hass.config_entries.async_unload(entry.entry_id)


async def test_plain_needs_the_users_word(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN", POWER), allow_plain=False)
    await hass.config_entries.async_setup(entry.entry_id)
    health = entry.runtime_data.health
    await until(lambda: health.last_error is not None)
    assert health.last_error == "plain_refused"
    assert server.logins == 0
    await hass.config_entries.async_unload(entry.entry_id)


async def test_devices_are_described_on_connect_and_when_they_change(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    source = MockConfigEntry(domain="test")
    source.add_to_hass(hass)
    devices = dr.async_get(hass)
    meter = devices.async_get_or_create(
        config_entry_id=source.entry_id,
        identifiers={("test", "1")},
        model="SDM630",
        serial_number="123",
        sw_version="1.1",
    )
    registered = er.async_get(hass).async_get_or_create(
        "sensor", "test", "p", device_id=meter.id, config_entry=source
    )
    entry = add_entry(device("2", {"entity": registered.id, "name": "P"}))
    await start(hass, entry, server)
    assert server.attributes[0].devices == {
        "2": {"SERIAL_NUMBER": "123", "FW_VERSION": "1.1", "HW_MODEL": "SDM630"}
    }
    devices.async_update_device(meter.id, sw_version="1.2")
    await server.wait_for(lambda: len(server.attributes) == 2, WITHIN_S)
    assert server.attributes[1].gateway == {}
    assert server.attributes[1].devices["2"]["FW_VERSION"] == "1.2"
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_alarm_begins_and_ends(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(alarm("binary_sensor.leak", custom_name="Water"))
    hass.states.async_set("binary_sensor.leak", "off")
    await start(hass, entry, server)
    for state in ("on", "unavailable", "on", "unknown", "off", "off"):
        hass.states.async_set("binary_sensor.leak", state)
        await hass.async_block_till_done()
    await server.wait_for(lambda: len(server.events) == 3, WITHIN_S)
    assert [(event.type, event.status) for event in server.events[1:]] == [
        ("ALARM_DEVICE", "ON"),
        ("ALARM_DEVICE", "OFF"),
    ]
    assert server.events[1].info == {"EVENT_CUSTOM_NAME": "Water"}
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_alarm_follows_a_rename_and_reports_what_is_there_at_the_start(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    registry = er.async_get(hass)
    leak = registry.async_get_or_create("binary_sensor", "test", "l", suggested_object_id="leak")
    hass.states.async_set("binary_sensor.leak", "on")
    entry = add_entry(alarm(leak.id), alarm("0" * 32))
    await start(hass, entry, server)
    registry.async_update_entity("binary_sensor.leak", new_entity_id="binary_sensor.flood")
    await hass.async_block_till_done()
    hass.states.async_set("binary_sensor.flood", "off")
    await server.wait_for(lambda: len(server.events) == 3, WITHIN_S)
    assert [event.status for event in server.events] == ["INFO", "ON", "OFF"]
    await hass.config_entries.async_unload(entry.entry_id)


async def change_alarm(
    hass: HomeAssistant, server: ScoutServer, entry: MockConfigEntry, **changes: str
) -> None:
    """Change the alarm of an entry, which reloads it."""
    (subentry,) = entry.get_subentries_of_type(SUBENTRY_ALARM)
    before = len(server.attributes)
    hass.config_entries.async_update_subentry(entry, subentry, data={**subentry.data, **changes})
    await server.wait_for(lambda: len(server.attributes) > before, WITHIN_S)


async def set_leak(hass: HomeAssistant, state: str, entity_id: str = "binary_sensor.leak") -> None:
    hass.states.async_set(entity_id, state)
    await hass.async_block_till_done()


async def alarms_of(entry: MockConfigEntry, server: ScoutServer) -> list[str]:
    """Return what was reported of alarms, when all of it has arrived."""
    await entry.runtime_data.delivery.flush(WITHIN_S)
    return [event.status for event in server.events if event.type == "ALARM_DEVICE"]


async def test_an_alarm_that_ends_while_the_entry_is_down_ends_on_the_platform_too(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(alarm("binary_sensor.leak"), alarm("binary_sensor.fire"))
    await set_leak(hass, "on")
    await start(hass, entry, server)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await set_leak(hass, "unavailable")
    await start(hass, entry, server)
    assert await alarms_of(entry, server) == ["ON"]
    await set_leak(hass, "off")
    assert await alarms_of(entry, server) == ["ON", "OFF"]
    await hass.config_entries.async_reload(entry.entry_id)
    assert await alarms_of(entry, server) == ["ON", "OFF"]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_alarm_that_is_still_on_is_not_reported_again(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(alarm("binary_sensor.leak"))
    await set_leak(hass, "on")
    await start(hass, entry, server)
    for _ in range(2):
        await hass.config_entries.async_reload(entry.entry_id)
    assert await alarms_of(entry, server) == ["ON"]
    await set_leak(hass, "off")
    await set_leak(hass, "on")
    assert await alarms_of(entry, server) == ["ON", "OFF", "ON"]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_alarm_goes_on_with_another_sensor_and_begins_anew_under_another_name(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(alarm("binary_sensor.leak"))
    await set_leak(hass, "on")
    await start(hass, entry, server)
    await set_leak(hass, "on", "binary_sensor.other")
    await change_alarm(hass, server, entry, entity="binary_sensor.other")
    assert await alarms_of(entry, server) == ["ON"]
    await change_alarm(hass, server, entry, gateway_device_id="2")
    assert await alarms_of(entry, server) == ["ON", "ON"]
    assert [event.device for event in server.events if event.type == "ALARM_DEVICE"] == [
        "MAIN",
        "2",
    ]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_an_alarm_whose_entity_is_removed_is_an_issue_and_goes_on_when_it_is_back(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    registry, issues = er.async_get(hass), ir.async_get(hass)
    leak = registry.async_get_or_create("binary_sensor", "test", "l", suggested_object_id="leak")
    entry = add_entry(alarm(leak.id, custom_name="Water"))
    await set_leak(hass, "on")
    await start(hass, entry, server)
    registry.async_remove("binary_sensor.leak")
    hass.states.async_remove("binary_sensor.leak")
    await hass.async_block_till_done()
    for _ in range(2):  # also when it is gone already as the entry starts
        (issue,) = issues.issues.values()
        assert issue.translation_key == "entities_removed"
        assert issue.translation_placeholders == {
            "title": "Scout",
            "source": "binary_sensor.leak",
            "points": "- Water: `binary_sensor.leak`",
        }
        await hass.config_entries.async_reload(entry.entry_id)
    registry.async_get_or_create("binary_sensor", "test", "other")
    await hass.async_block_till_done()
    assert len(issues.issues) == 1
    again = registry.async_get_or_create("binary_sensor", "test", "l", suggested_object_id="leak")
    assert again.id == leak.id
    await hass.async_block_till_done()
    assert issues.issues == {}
    await set_leak(hass, "off")
    assert await alarms_of(entry, server) == ["ON", "OFF"]
    await hass.config_entries.async_unload(entry.entry_id)


async def test_a_device_added_while_the_entry_is_set_up_is_sent(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN", POWER))
    start_link = ScoutLink.async_start

    async def start_and_add(link: ScoutLink) -> None:
        if len(entry.subentries) == 1:
            added = device("2", POWER)
            hass.config_entries.async_add_subentry(
                entry,
                ConfigSubentry(
                    data=MappingProxyType(added["data"]),
                    subentry_type=added["subentry_type"],
                    title=added["title"],
                    unique_id=None,
                ),
            )
        await start_link(link)

    with patch.object(ScoutLink, "async_start", autospec=True, side_effect=start_and_add):
        await hass.config_entries.async_setup(entry.entry_id)
        await until(
            lambda: (
                entry.state is ConfigEntryState.LOADED
                and set(entry.runtime_data.devices) == {"MAIN", "2"}
            )
        )
    await hass.config_entries.async_unload(entry.entry_id)


async def test_health_is_shown_on_the_gateways_device(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    entry = add_entry(device("MAIN", POWER))
    set_power(hass, 1)
    await start(hass, entry, server)
    await server.wait_for(lambda: len(server.metrics) >= 1, WITHIN_S)
    (gateway,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    keys = {
        registered.translation_key: registered.entity_id
        for registered in er.async_entries_for_device(er.async_get(hass), gateway.id)
    }

    def state(key: str) -> str:
        shown = hass.states.get(keys[key])
        assert shown is not None
        return shown.state

    await until(lambda: state("health_connected") == "on" and state("health_delivered") >= "1")
    assert state("health_last_error") == "none"
    await hass.config_entries.async_unload(entry.entry_id)


async def test_removing_the_entry_removes_its_outbox(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry, tmp_path: Path
) -> None:
    entry = add_entry(device("MAIN", POWER))
    await start(hass, entry, server)
    folder = tmp_path / DOMAIN
    assert list(folder.glob("outbox-*.db"))
    await hass.config_entries.async_remove(entry.entry_id)
    assert list(folder.glob("outbox-*")) == []


@pytest.mark.parametrize("refused", ["token", "exchange"])
async def test_what_the_platform_says_is_shown_without_the_claim_id(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry, refused: str
) -> None:
    if refused == "exchange":
        server.behaviour.forbidden_exchanges = {"events"}
        entry = add_entry(device("MAIN", POWER))
    else:
        entry = add_entry(device("MAIN", POWER), token="wrong")
    await hass.config_entries.async_setup(entry.entry_id)
    health = entry.runtime_data.health
    await until(lambda: health.last_error is not None)
    assert "refused" in health.last_error_detail
    assert "'**'" in health.last_error_detail
    diagnostics = await async_get_config_entry_diagnostics(hass, entry)
    assert server.claim_id.lower() not in str(diagnostics["link"]).lower()
    await hass.config_entries.async_unload(entry.entry_id)


@pytest.mark.parametrize("secret", ["token", "claim_id", "serial_number"])
async def test_diagnostics_hold_no_secret(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry, secret: str
) -> None:
    entry = add_entry(device("MAIN", POWER))
    await start(hass, entry, server)
    diagnostics = await async_get_config_entry_diagnostics(hass, entry)
    assert diagnostics["link"]["points"] == {"MAIN": 1}
    assert diagnostics["entry"][secret] == "**REDACTED**"
    assert server.token not in str(diagnostics["link"])
    await hass.config_entries.async_unload(entry.entry_id)


async def test_what_was_delivered_does_not_begin_at_0_after_a_restart(
    hass: HomeAssistant, server: ScoutServer, add_entry: AddEntry
) -> None:
    """Statistics would count all of it once more."""
    entry = add_entry(device("MAIN", POWER))
    set_power(hass, 1)
    await start(hass, entry, server)
    entity_id = er.async_get(hass).async_get_entity_id(
        "sensor", DOMAIN, f"{entry.entry_id}_health_delivered"
    )
    assert entity_id is not None
    await until(lambda: entry.runtime_data.outbox.delivered_samples)
    assert await hass.config_entries.async_unload(entry.entry_id)
    shown: list[str] = []

    @callback
    def see(event: Event[EventStateChangedData]) -> None:
        if (state := event.data["new_state"]) is not None:
            shown.append(state.state)

    async_track_state_change_event(hass, [entity_id], see)
    await start(hass, entry, server)
    assert shown
    assert "0" not in shown
    assert await hass.config_entries.async_unload(entry.entry_id)
