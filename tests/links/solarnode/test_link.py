"""The running link: what Home Assistant shows of a node."""

import asyncio
from collections.abc import Generator
import logging
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry import async_remove_config_entry_device
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from simulators.solarnode import SolarNode
from simulators.solarnode_datum import HouseDatum

from .conftest import LOGIN, PASSWORD, AddEntry, Readings, datum, shown, start, until

LINK = "custom_components.grid_telemetry.links.solarnode"
WATTS = "meter_1_active_power"


@pytest.fixture(autouse=True)
def no_waits() -> Generator[None]:
    """Have the link try again at once."""
    with patch("random.uniform", return_value=0.0001):
        yield


def devices(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str | None, dr.DeviceEntry]:
    return {
        device.name: device
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        if isinstance(device, dr.DeviceEntry)
    }


async def diagnostics(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    return await async_get_config_entry_diagnostics(hass, entry)


async def test_sources_are_devices_and_usual_properties_have_unit_and_class(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    readings[:] = HouseDatum()()
    entry = add_entry()
    await start(hass, entry)
    assert devices(hass, entry).keys() == {
        "Node",
        "/house/meter/1",
        "/house/inverter/1",
        "Weather",
    }
    units = {}
    for state in hass.states.async_all("sensor"):
        name = state.entity_id.removeprefix("sensor.")
        units[name] = (
            state.attributes.get("unit_of_measurement"),
            state.attributes.get("device_class"),
            state.attributes.get("state_class"),
        )
    assert units["house_meter_1_active_power"] == ("W", "power", "measurement")
    assert units["house_meter_1_voltage_l2"] == ("V", "voltage", "measurement")
    assert units["house_meter_1_current_l3"] == ("A", "current", "measurement")
    assert units["house_meter_1_neutral_current"] == ("A", "current", "measurement")
    assert units["house_meter_1_frequency"] == ("Hz", "frequency", "measurement")
    assert units["house_meter_1_power_factor"] == (None, "power_factor", "measurement")
    assert units["house_meter_1_reactive_power"] == ("var", "reactive_power", "measurement")
    assert units["house_meter_1_apparent_power"] == ("VA", "apparent_power", "measurement")
    assert units["house_meter_1_energy"] == ("kWh", "energy", "total_increasing")
    assert units["house_meter_1_exported_energy"] == ("kWh", "energy", "total_increasing")
    assert units["house_meter_1_phase"] == (None, None, None)
    assert units["house_inverter_1_opstate"] == (None, None, None)
    assert units["weather_temperature"] == ("°C", "temperature", "measurement")
    assert units["weather_irradiance"] == ("W/m²", "irradiance", "measurement")
    assert units["weather_last_datum"] == (None, "timestamp", None)
    given = {item["sourceId"]: item for item in readings}
    meter = given["/house/meter/1"]
    await shown(hass, "house_meter_1_active_power", str(meter["i"]["watts"]))
    energy = hass.states.get("sensor.house_meter_1_energy")
    assert energy is not None
    assert float(energy.state) == pytest.approx(meter["a"]["wattHours"] / 1000)
    await shown(hass, "weather_sky", "Scattered clouds: fair")


async def test_values_follow_the_node(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    await start(hass, add_entry())
    await shown(hass, WATTS, "1500")
    readings[:] = [datum("/meter/1", "2026-11-20 12:00:10.5Z", i={"watts": -20.5, "voltage": 1})]
    await shown(hass, WATTS, "-20.5")
    # So often it would fill the activity.
    await shown(hass, "meter_1_last_datum", "2026-11-20T12:00:00+00:00")
    readings[:] = [datum("/meter/1", "2026-11-20 12:05:00Z", i={"watts": 7, "voltage": 1})]
    await shown(hass, "meter_1_last_datum", "2026-11-20T12:05:00+00:00")


async def test_the_same_value_measured_again_is_a_report(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    await start(hass, add_entry())
    # A report changes the time of the state there is.
    state = await shown(hass, WATTS, "1500")
    reported, changed = state.last_reported, state.last_changed
    same = readings[0]
    readings[:] = [{**same, "created": "2026-11-20 12:05:20Z"}]
    await shown(hass, "meter_1_last_datum", "2026-11-20T12:05:20+00:00")
    after = (await shown(hass, WATTS, "1500")).last_reported
    assert after > reported
    assert state.last_changed == changed
    polls = len(node.requests)
    await until(lambda: len(node.requests) > polls + 1)
    # A node that has nothing newer says nothing of now.
    assert (await shown(hass, WATTS, "1500")).last_reported == after


async def test_only_the_sources_that_are_wanted_are_asked_for(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    readings += [datum("/meter/2", i={"watts": 2}), datum("other", i={"watts": 3})]
    entry = add_entry(sources=["/meter/*"])
    await start(hass, entry)
    assert devices(hass, entry).keys() == {"Node", "/meter/1", "/meter/2"}
    assert node.requests[-1].body == b'["/meter/*"]'


async def test_new_sources_and_properties_appear(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    await start(hass, add_entry())
    readings[:] = [
        datum("/meter/1", i={"watts": 1, "wind": 2}),
        datum("/meter/2", a={"rain": 3}),
    ]
    wind = await shown(hass, "meter_1_wind", "2")
    assert wind.attributes["state_class"] == "measurement"
    rain = await shown(hass, "meter_2_rain", "3")
    assert rain.attributes["state_class"] == "total_increasing"


async def test_a_source_that_is_gone_can_be_removed_and_comes_back(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    readings.append(datum("/meter/2", i={"watts": 2}))
    entry = add_entry()
    await start(hass, entry)
    await shown(hass, "meter_2_active_power", "2")
    there = devices(hass, entry)
    assert not await async_remove_config_entry_device(hass, entry, there["/meter/2"])
    assert not await async_remove_config_entry_device(hass, entry, there["Node"])
    gone = readings.pop()
    await shown(hass, "meter_2_active_power", "unavailable")
    await shown(hass, "meter_2_last_datum", "unavailable")
    await shown(hass, WATTS, "1500")
    assert await async_remove_config_entry_device(hass, entry, there["/meter/2"])
    dr.async_get(hass).async_remove_device(there["/meter/2"].id)
    await until(lambda: hass.states.get("sensor.meter_2_active_power") is None)
    readings.append(gone)
    await shown(hass, "meter_2_active_power", "2")


async def test_nothing_is_gone_before_the_node_was_asked(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    await node.stop()
    entry = add_entry()
    old = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, f"{entry.entry_id}_/meter/9")}
    )
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entry.runtime_data.health.last_error)
    assert not await async_remove_config_entry_device(hass, entry, old)


async def test_an_unknown_property_may_become_a_text_and_a_number_again(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    readings[:] = [datum("/meter/1", i={"state": 7})]
    await start(hass, add_entry())
    await shown(hass, "meter_1_state", "7")
    readings[:] = [datum("/meter/1", s={"state": "Fault: F3"})]
    text = await shown(hass, "meter_1_state", "Fault: F3")
    assert "state_class" not in text.attributes
    readings[:] = [datum("/meter/1", i={"state": 8})]
    number = await shown(hass, "meter_1_state", "8")
    assert number.attributes["state_class"] == "measurement"


async def test_a_usual_property_that_is_no_number_is_unavailable(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    await start(hass, add_entry())
    for reading in ({"s": {"watts": "high"}}, {"i": {"watts": "Infinity"}}, {"i": {"watts": []}}):
        readings[:] = [datum("/meter/1", **reading)]
        await shown(hass, WATTS, "unavailable")
        readings[:] = [datum("/meter/1", i={"watts": 5})]
        await shown(hass, WATTS, "5")


async def test_datum_that_cannot_be_read_leave_the_others_alone(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    readings += [{"sourceId": "no time"}, datum("/meter/2", i={"watts": 2})]
    node.behaviour.raw_latest = (
        '[{"created":0,"sourceId":"a","i":{"watts":1}},{"created":"?","sourceId":"b"}]'
    )
    entry = add_entry()
    await start(hass, entry)
    await shown(hass, "a_active_power", "1")
    assert (await diagnostics(hass, entry))["link"]["unreadable_datum"] > 0


async def test_an_answer_that_is_no_json_is_told_and_got_over(
    hass: HomeAssistant,
    node: SolarNode,
    add_entry: AddEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = add_entry()
    with patch("custom_components.grid_telemetry.connection.kept.SETTLED_S", 0):
        await start(hass, entry)
        node.behaviour.raw_latest = '[{"created":'
        await shown(hass, WATTS, "unavailable")
        await until(lambda: entry.runtime_data.health.last_error == "solarnode_bad_answer")
        node.behaviour.raw_latest = None
        await shown(hass, WATTS, "1500")
        await until(lambda: "connected again" in caplog.text)
    assert caplog.text.count("Node: not connected: solarnode_bad_answer") == 1
    assert caplog.text.count("Node: connected again") == 1


async def test_a_connection_that_drops_comes_back_without_a_reload(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry, caplog: pytest.LogCaptureFixture
) -> None:
    entry = add_entry()
    with patch("custom_components.grid_telemetry.connection.kept.SETTLED_S", 0):
        await start(hass, entry)
        link = entry.runtime_data
        await node.stop()
        await shown(hass, WATTS, "unavailable")
        await until(lambda: link.health.last_error == "solarnode_cannot_connect")
        await node.start()
        await shown(hass, WATTS, "1500")
        await until(lambda: "connected again" in caplog.text)
    assert entry.runtime_data is link
    told = [
        record
        for record in caplog.records
        if record.name.startswith("custom_components.grid_telemetry")
        and record.levelno >= logging.INFO
    ]
    assert [record.levelname for record in told] == ["WARNING", "INFO"]


async def test_a_node_that_falls_silent_is_left_and_found_again(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    entry = add_entry()
    with patch(f"{LINK}.latest.WITHIN_S", 0.2):
        await start(hass, entry)
        node.behaviour.silent = True
        await shown(hass, WATTS, "unavailable")
        await until(lambda: entry.runtime_data.health.last_error == "solarnode_silent")
        node.behaviour.silent = False
        await shown(hass, WATTS, "1500")


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"password": "old"}, "wrong_password"), ({"login": "nobody"}, "unknown_login")],
)
async def test_a_refused_login_asks_for_a_new_one(
    hass: HomeAssistant,
    node: SolarNode,
    add_entry: AddEntry,
    change: dict[str, str],
    reason: str,
) -> None:
    entry = add_entry(**change)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: hass.config_entries.flow.async_progress_by_handler(DOMAIN))
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert entry.runtime_data.health.last_error == f"solarnode_{reason}"
    assert entry.state is ConfigEntryState.LOADED


async def test_a_clock_that_is_off_is_an_issue_until_it_is_right(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    node.behaviour.clock_offset_s = 400
    entry = add_entry()
    assert await hass.config_entries.async_setup(entry.entry_id)
    issues, issue_id = ir.async_get(hass), f"solarnode_clock_{entry.entry_id}"
    await until(lambda: issues.async_get_issue(DOMAIN, issue_id))
    assert not hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    node.behaviour.clock_offset_s = 0
    await until(lambda: entry.runtime_data.health.connected)
    assert issues.async_get_issue(DOMAIN, issue_id) is None


async def test_replies_that_break_the_connection_are_asked_for_in_parts(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    readings[:] = [
        datum(f"/meter/{number}", i={f"p{index}": index for index in range(200)})
        for number in range(4)
    ]
    entry = add_entry()
    await start(hass, entry)
    await shown(hass, "meter_3_p199", "199")
    node.behaviour.reply_limit = 4096
    await until(lambda: len(entry.runtime_data._plan.requests) == 2)
    await until(lambda: entry.runtime_data.health.connected)
    await shown(hass, "meter_3_p199", "199")
    await shown(hass, "meter_0_p0", "0")
    assert (await diagnostics(hass, entry))["link"]["requests_per_round"] == 2


async def test_what_was_known_before_a_restart_helps_to_split(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    readings.append(datum("/meter/2", i={"watts": 2}))
    entry = add_entry()
    await start(hass, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    node.behaviour.reply_limit = 100
    await start(hass, entry)
    await shown(hass, "meter_2_active_power", "2")


async def test_a_reply_that_cannot_be_split_is_an_issue(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    node.behaviour.reply_limit = 10
    entry = add_entry()
    assert await hass.config_entries.async_setup(entry.entry_id)
    issues, issue_id = ir.async_get(hass), f"solarnode_reply_too_large_{entry.entry_id}"
    await until(lambda: issues.async_get_issue(DOMAIN, issue_id))
    assert entry.runtime_data.health.last_error == "solarnode_reply_too_large"
    await hass.config_entries.async_remove(entry.entry_id)
    assert issues.async_get_issue(DOMAIN, issue_id) is None


async def test_more_sensors_than_there_can_be_are_refused_and_the_others_are_there(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    readings[:] = [datum("/meter/1", i={"watts": 7}), datum("/meter/2", i={"watts": 7})]
    entry = add_entry()
    with patch(f"{LINK}.link.MAX_SENSORS", 3):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await until(lambda: entry.runtime_data.health.last_error == "solarnode_too_many_sensors")
        await hass.async_block_till_done(wait_background_tasks=False)
    registry = er.async_get(hass)
    assert {
        entity.unique_id.removeprefix(f"{entry.entry_id}_")
        for entity in er.async_entries_for_config_entry(registry, entry.entry_id)
        if "|" in entity.unique_id
    } == {"/meter/1|", "/meter/1|watts", "/meter/2|"}


async def test_a_disabled_sensor_disturbs_nothing(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    entry = add_entry()
    er.async_get(hass).async_get_or_create(
        "sensor",
        DOMAIN,
        f"{entry.entry_id}_/meter/1|watts",
        config_entry=entry,
        disabled_by=er.RegistryEntryDisabler.USER,
    )
    await start(hass, entry)
    readings[:] = [datum("/meter/1", i={"watts": 7, "voltage": 231})]
    await shown(hass, "meter_1_voltage", "231")


async def test_an_entity_keeps_its_value_when_it_is_renamed(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    await start(hass, add_entry())
    er.async_get(hass).async_update_entity(f"sensor.{WATTS}", new_entity_id="sensor.mine")
    readings[:] = [datum("/meter/1", i={"watts": 7})]
    await shown(hass, "mine", "7")


async def test_its_health_is_shown_without_secrets(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    connected = hass.states.get("binary_sensor.node_connected")
    assert connected is not None
    assert hass.states.get("sensor.node_queued") is None
    all_of_it = await diagnostics(hass, entry)
    assert all_of_it["link"] == {
        "health": {"connected": True, "last_error": None, "last_error_detail": None},
        "server": "SolarNode-Setup/1.0.0",
        "sources": ["/meter/1"],
        "sensors": 3,
        "unavailable": 0,
        "unreadable_datum": 0,
        "requests_per_round": 1,
        "live_supported": None,
    }
    assert PASSWORD not in str(all_of_it)
    assert LOGIN not in str(all_of_it)


async def test_unload_ends_the_connection(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await until(lambda: not node.connections)


# --- live datum


async def test_live_sources_are_shown_between_the_polls(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    node.behaviour.live = True
    entry = add_entry(live_sources=["/meter/1"], interval_s=3600)
    await start(hass, entry)
    await until(lambda: node.live_count)
    readings[:] = [datum("/meter/1", i={"watts": 42, "voltage": 230.4, "new": 1})]
    await shown(hass, WATTS, "42")
    assert hass.states.get("sensor.meter_1_new") is None  # the next poll tells what it is
    assert (await diagnostics(hass, entry))["link"]["live_supported"]


async def test_a_poll_does_not_put_back_what_is_newer(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    node.behaviour.live = True
    readings[0]["s"] = {"mode": "a"}
    entry = add_entry(live_sources=["/meter/1"])
    await start(hass, entry)
    await until(lambda: entry.runtime_data._live)
    seen = []
    link = entry.runtime_data
    sensor = link._sensors["/meter/1", "watts"]
    with patch.object(sensor, "show", side_effect=lambda group, value: seen.append(value)):
        polls = node.count("/setup/datum/latest")
        readings[:] = [datum("/meter/1", i={"watts": 9}, s={"mode": "b"})]
        await shown(hass, "meter_1_mode", "b")
        await until(lambda: node.count("/setup/datum/latest") > polls + 3)
    assert len(seen) <= 1  # at most a live one


async def test_a_poll_that_is_newer_than_what_came_live_is_shown(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    node.behaviour.live = True
    await start(hass, add_entry(live_sources=["/meter/1"]))
    await until(lambda: node.live_count)
    readings[:] = [datum("/meter/1", "2099-01-01 00:00:00Z", i={"watts": 9, "voltage": 1})]
    await shown(hass, WATTS, "9")
    await shown(hass, "meter_1_last_datum", "2099-01-01T00:00:00+00:00")


async def test_a_live_subscription_that_expired_is_made_anew(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    node.behaviour.live = True
    node.behaviour.live_duration_s = 0.05
    entry = add_entry(live_sources=["/meter/1"], interval_s=3600)
    await start(hass, entry)
    await until(lambda: node.count("/setup/datum/live") > 2)
    ids = [
        frame.headers["id"]
        for frame in node.requests
        if frame.headers.get("destination") == "/setup/datum/live"
    ]
    assert len(set(ids)) == len(ids)


async def test_a_live_source_without_datum_is_tried_again_later(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    node.behaviour.live = True
    node.behaviour.live_grace_s = 0.01
    entry = add_entry(live_sources=["/meter/9"])
    with patch(f"{LINK}.live.RETRY_S", 0.05):
        await start(hass, entry)
        await until(lambda: node.count("/setup/datum/live") > 1)
    await shown(hass, WATTS, "1500")


async def test_a_live_subscription_that_falls_silent_is_made_anew(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    node.behaviour.live = True
    entry = add_entry(live_sources=["/meter/9"])
    with patch(f"{LINK}.live.RETRY_S", 0.05):
        await start(hass, entry)
        await until(lambda: node.count("/setup/datum/live") > 1)


async def test_a_node_without_live_datum_is_polled(
    hass: HomeAssistant, node: SolarNode, readings: Readings, add_entry: AddEntry
) -> None:
    entry = add_entry(live_sources=["/meter/1"])
    with patch(f"{LINK}.live.KNOWN_WITHIN_S", 0.05):
        await start(hass, entry)
        await until(lambda: entry.runtime_data._live_supported is False)
    readings[:] = [datum("/meter/1", i={"watts": 3})]
    await shown(hass, WATTS, "3")
    readings[:] = [datum("/meter/1", i={"watts": 4})]
    node.drop_connections()
    await until(lambda: node.logins == 2)
    await shown(hass, WATTS, "4")


async def test_stopping_while_all_of_it_runs_leaves_nothing(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    node.behaviour.live = True
    entry = add_entry(live_sources=["/meter/1"])
    await start(hass, entry)
    await until(lambda: node.live_count)
    await entry.runtime_data.async_stop()
    await entry.runtime_data.async_stop()
    await until(lambda: not node.connections)
    await asyncio.sleep(0)
    assert node.live_count == 0


async def test_reauth_with_the_credentials_that_it_had_connects_again(
    hass: HomeAssistant, node: SolarNode, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    node.set_password("another for a moment")
    node.drop_connections()
    await until(hass.config_entries.flow.async_progress)
    node.set_password(PASSWORD)
    (flow,) = hass.config_entries.flow.async_progress()
    done = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"login": LOGIN, "password": PASSWORD}
    )
    assert done["type"] is FlowResultType.ABORT
    assert done["reason"] == "reauth_successful"
    await until(
        lambda: entry.state is ConfigEntryState.LOADED and entry.runtime_data.health.connected
    )
