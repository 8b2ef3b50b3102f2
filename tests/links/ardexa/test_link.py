"""The link against the cloud: devices, feeds, and everything that breaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.grid_telemetry import async_remove_config_entry_device
from custom_components.grid_telemetry.connection.errors import DestinationRefused
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.links.ardexa.api import Api
from custom_components.grid_telemetry.links.ardexa.client import (
    Listener,
    NoAnswer,
    Session,
    open_session,
)
from simulators.ardexa import Ardexa

from .conftest import (
    FIELDS,
    GATEWAY,
    META,
    OTHER,
    ROW,
    AddEntry,
    device_of,
    feed,
    is_shown,
    power_feed,
    shown,
    start,
    until,
)

POWER = "sensor.inverter_ac_power"
ONLINE = "binary_sensor.gateway_connectivity"


async def send(cloud: Ardexa, **values: Any) -> None:
    assert await cloud.publish(GATEWAY, "solar", "inverter-01", ROW | values)


async def test_a_field_becomes_a_sensor_with_its_unit(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    await start(hass, cloud, add_entry(power_feed()))
    await send(cloud)
    state = await is_shown(hass, POWER, "66920")
    assert state.attributes["unit_of_measurement"] == "W"
    assert state.attributes["device_class"] == "power"
    assert state.attributes["state_class"] == "measurement"
    assert state.attributes["event_time"].endswith("Z")
    assert cloud.refused == []


async def test_a_row_becomes_a_sensor_for_each_field(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    await start(hass, cloud, add_entry(feed()))
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    energy = await is_shown(hass, "sensor.inverter_energy", "12.5")
    assert energy.attributes["device_class"] == "energy"
    assert energy.attributes["state_class"] == "total"
    assert (await is_shown(hass, "sensor.inverter_running", "true")).attributes["options"]
    await is_shown(hass, "sensor.inverter_note", "ok")


async def test_a_row_that_cannot_be_read_is_no_old_value(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(feed())
    await start(hass, cloud, entry)
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    [one] = entry.runtime_data.feeds.all
    one.take({"value": "1\r2,3", "event_time": "2026-11-20T12:00:00Z"})
    await is_shown(hass, POWER, "unavailable")
    assert one.malformed == 1
    await send(cloud)
    await is_shown(hass, POWER, "66920")


async def test_what_comes_after_a_stop_is_not_waited_for(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    [one] = entry.runtime_data.feeds.all
    feed_id = one.feed_id
    entry.runtime_data.feeds.forget()
    entry.runtime_data.feeds.take({"feedId": feed_id, "value": 7, "event_time": None})
    one.take({"value": 7})
    assert not one.live
    assert hass.states.get(POWER).state == "unavailable"  # type: ignore[union-attr]
    await hass.async_block_till_done()
    assert not cloud.counts["device:feed:stop"]


async def test_a_server_that_answers_pings_alone_is_left(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    cloud.behaviour.no_answer = {"device:testConfig"}
    session = entry.runtime_data.session
    with pytest.raises(NoAnswer):
        await session.ask("device:testConfig", {"deviceId": GATEWAY, "config": {}}, 0.1)
    await until(lambda: entry.runtime_data.health.last_error == "ardexa_silent")
    cloud.behaviour.no_answer = set()
    await until(lambda: entry.runtime_data.session not in (None, session))


async def test_a_large_event_is_read_and_one_beyond_the_limit_is_told(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    session = entry.runtime_data.session
    await cloud.say("device:unknown", {"text": "x" * 5_000_000})
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    assert entry.runtime_data.session is session
    await cloud.say("device:unknown", {"text": "x" * 17_000_000})
    await until(lambda: entry.runtime_data.health.last_error == "ardexa_too_large")


async def test_each_delivery_is_written_and_only_changes_change_a_state(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(feed())
    await start(hass, cloud, entry)
    await send(cloud)
    await is_shown(hass, "sensor.inverter_note", "ok")
    written: list[tuple[str, str]] = []

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["entity_id"] == POWER:
            written.append((event.event_type, event.data["new_state"].state))

    @callback
    def is_any(data: object) -> bool:
        return True

    hass.bus.async_listen("state_changed", note)
    hass.bus.async_listen("state_reported", note, event_filter=is_any)
    for number, value in enumerate((66920, 66920, 1, 1, 66920)):
        await send(cloud, **{"AC Power": value})
        await until(lambda expected=number + 2: entry.runtime_data.feeds.messages == expected)
    assert written == [
        ("state_reported", "66920"),
        ("state_reported", "66920"),
        ("state_changed", "1"),
        ("state_reported", "1"),
        ("state_changed", "66920"),
    ]


async def test_data_is_found_by_its_feed_whatever_event_brings_it(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    cloud.behaviour.feed_event = "device:feed:data"
    await start(hass, cloud, add_entry(power_feed()))
    await send(cloud)
    await is_shown(hass, POWER, "66920")


async def test_two_feeds_are_kept_apart(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    cpu = feed(
        {"name": "", "expect": "decimal", "unit": "percentage"},
        table="data",
        source="cpu_usage",
        title="Processor",
    )
    await start(hass, cloud, add_entry(power_feed(), cpu))
    await send(cloud)
    await cloud.publish(GATEWAY, "data", "cpu_usage", 7.5)
    await is_shown(hass, POWER, "66920")
    state = await is_shown(hass, "sensor.processor_value", "7.5")
    assert state.attributes["unit_of_measurement"] == "%"


async def test_rows_of_unknown_fields_get_a_column_for_each_value(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    cloud.devices[GATEWAY].meta = {"tail": [{"table": "junk", "source": "file1", "expect": "csv"}]}
    subentry = feed(table="junk", source="file1", title="Junk")
    subentry["data"]["fields"].clear()
    await start(hass, cloud, add_entry(subentry))
    await cloud.publish(GATEWAY, "junk", "file1", [1, "two"])
    await until(lambda: hass.states.get("sensor.junk_column_2"))
    await is_shown(hass, "sensor.junk_column_1", "1")
    await cloud.publish(GATEWAY, "junk", "file1", "3,four,5")
    await is_shown(hass, "sensor.junk_column_2", "four")
    await is_shown(hass, "sensor.junk_column_3", "5")


@pytest.mark.parametrize("value", ["text", None, [], {}, "", True])
async def test_what_is_no_number_is_shown_as_unknown(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry, value: object
) -> None:
    await start(hass, cloud, add_entry(power_feed()))
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    await send(cloud, **{"AC Power": value})
    await is_shown(hass, POWER, "unknown")
    await send(cloud, **{"AC Power": "12.5"})
    await is_shown(hass, POWER, "12.5")


async def test_a_feed_without_data_becomes_unavailable_and_is_asked_for_anew(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    await start(hass, cloud, add_entry(power_feed(stale_after_s=0.3)))
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    [before] = cloud.feeds
    await is_shown(hass, POWER, "unavailable")
    await until(lambda: cloud.feeds and before not in cloud.feeds)
    assert ("device:feed:stop", {"feedId": before}) in cloud.requests
    await send(cloud)
    await is_shown(hass, POWER, "66920")


async def test_feeds_are_stopped_on_unload(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    [feed_id] = cloud.feeds
    assert await hass.config_entries.async_unload(entry.entry_id)
    await until(lambda: not cloud.clients)
    assert cloud.requests[-1] == ("device:feed:stop", {"feedId": feed_id})
    assert cloud.refused == []


async def test_data_that_comes_while_the_feeds_are_stopped_is_not_watched(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    feeds, session = entry.runtime_data.feeds, entry.runtime_data.session
    [one] = feeds.all
    emit = session.emit

    async def emit_late(event: str, data: dict[str, Any]) -> None:
        feeds.take({"feedId": data["feedId"], "value": 7})
        await emit(event, data)

    # A watch that were begun anew would be a timer that outlives the entry.
    with patch.object(session, "emit", emit_late):
        assert await hass.config_entries.async_unload(entry.entry_id)
    assert feeds.messages == 1
    assert not one.live


async def test_a_feed_that_is_removed_is_stopped(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    [feed_id] = cloud.feeds
    hass.config_entries.async_remove_subentry(entry, next(iter(entry.subentries)))
    await hass.async_block_till_done()
    await until(lambda: ("device:feed:stop", {"feedId": feed_id}) in cloud.requests)
    assert hass.states.get(POWER) is None


async def test_data_of_a_feed_that_is_gone_has_it_stopped_once(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    for _ in range(3):
        await cloud.say("device:feed:reply", {"feedId": "gone", "value": 1})
    await until(lambda: entry.runtime_data.feeds.messages == 3)
    await until(lambda: cloud.counts["stopped strays"])
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    assert cloud.counts["stopped strays"] == 1


async def test_fields_come_by_name_and_names_may_repeat(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    fields = [FIELDS[0], FIELDS[1], FIELDS[1], {**FIELDS[0], "name": "Missing"}]
    cloud.devices[GATEWAY].meta = {
        "tail": [{"table": "solar", "source": "inverter-01", "expect": "csv", "fields": fields}]
    }
    entry = add_entry(feed(*fields))
    await start(hass, cloud, entry)
    [feed_id] = cloud.feeds
    row = {"AC Power": 1, "Energy": 2, "Other": 3}
    await cloud.say("device:feed:reply", {"feedId": feed_id, "value": row})
    await is_shown(hass, POWER, "1")
    await is_shown(hass, "sensor.inverter_energy", "2")
    await is_shown(hass, "sensor.inverter_energy_2", "2")
    await is_shown(hass, "sensor.inverter_missing", "unknown")


@pytest.mark.parametrize(
    ("expect", "value", "shown"),
    [
        ("bool", "off", "false"),
        ("bool", 1, "true"),
        ("bool", "maybe", "unknown"),
        ("decimal", "1e400", "unknown"),
        ("keyword", True, "true"),
        ("keyword", 7.5, "7.5"),
        ("keyword", "x" * 300, "x" * 255),
        (None, [[1]], "unknown"),
    ],
)
async def test_values_are_shown_by_their_type(
    hass: HomeAssistant,
    cloud: Ardexa,
    add_entry: AddEntry,
    expect: str | None,
    value: object,
    shown: str,
) -> None:
    what = {"name": "Thing", "expect": expect, "unit": None}
    cloud.devices[GATEWAY].meta = {"tail": [{"table": "t", "source": "s", "fields": [what]}]}
    entry = add_entry(feed(what, table="t", source="s", field="Thing"))
    await start(hass, cloud, entry)
    await cloud.publish(GATEWAY, "t", "s", {"Thing": value})
    await is_shown(hass, "sensor.inverter_thing", shown)


async def test_a_feed_that_is_stopped_while_it_is_asked_for_stays_so(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    cloud.behaviour.no_answer = {"device:feed"}
    entry = add_entry(power_feed())
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: cloud.counts["device:feed"])
    await hass.services.async_call(DOMAIN, "ardexa_stop_all_feeds", blocking=True)
    request_id = cloud.requests[0][1]["requestId"]
    await cloud.say("device:feed:rpc", {"requestId": request_id, "feedId": "late"})
    await until(lambda: ("device:feed:stop", {"feedId": "late"}) in cloud.requests)


async def test_a_feed_that_is_answered_without_id_is_refused(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    cloud.behaviour.no_answer = {"device:feed"}
    entry = add_entry(power_feed())
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: cloud.counts["device:feed"])
    request_id = cloud.requests[0][1]["requestId"]
    await cloud.say("device:feed:rpc", {"requestId": request_id})
    await until(lambda: entry.runtime_data.feeds.all[0].error == "no feed id in the answer")


@pytest.mark.parametrize(
    "text",
    [
        '2["device:feed:reply",{"feedId":',
        '2"text"',
        "2[]",
        "2[7]",
        '2["device:stateChange"]',
        '2["device:stateChange","text"]',
        '2["device:stateChange",{"online":"yes"}]',
        '2["device:new",{}]',
        '2["device:metaChange",{"id":7}]',
        '2["device:feed:reply",{"feedId":[],"value":1}]',
        '2["connect",{}]',
        '2["device:cmd:rpc",{"correlationId":"nobody"}]',
        "7",
        "x",
        '51-["device:feed:reply",{"_placeholder":true,"num":0}]',
        '3["device:feed:reply"]',
    ],
)
async def test_what_is_malformed_disturbs_nothing(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry, text: str
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    await cloud.say_raw(text)
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    assert cloud.counts["connect"] == 1


async def test_devices_come_and_go(hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry) -> None:
    await start(hass, cloud, add_entry(power_feed()))
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    assert (await is_shown(hass, ONLINE, "on")).attributes["device_class"] == "connectivity"
    await is_shown(hass, "binary_sensor.other_connectivity", "off")
    await cloud.set_online(GATEWAY, False)
    await is_shown(hass, ONLINE, "off")
    await is_shown(hass, POWER, "unavailable")
    await cloud.set_online(GATEWAY, True)
    await is_shown(hass, ONLINE, "on")
    await until(lambda: cloud.counts["device:feed"] == 2 and cloud.feeds)
    await until(lambda: len(cloud.feeds) == 1)
    await send(cloud)
    await is_shown(hass, POWER, "66920")


async def test_a_new_device_appears_by_itself(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    new = "102b5359-eb59-479d-a471-552f7ca2c093"
    cloud.add_device(new, "Third", online=False)
    await cloud.announce(new)
    state = await shown(
        hass, "event.ardexa_dev_workgroup_event", lambda state: state.attributes["event_type"]
    )
    assert state.attributes["event_type"] == "device_new"
    assert state.attributes["device_id"] == new
    assert state.attributes["name"] == "Third"
    device = dr.async_get(hass).async_get(device_of(hass, entry, new))
    assert device is not None
    assert device.name == "Third"
    assert device.manufacturer == "Ardexa"


async def test_the_entities_of_a_new_device_are_called_by_its_name(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    await start(hass, cloud, add_entry())
    cloud.add_device("102b5359", "Third", online=False)
    await cloud.announce("102b5359")
    await is_shown(hass, "binary_sensor.third_connectivity", "off")


async def test_a_new_device_that_the_list_lacks_is_called_by_its_id(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    await start(hass, cloud, add_entry())
    cloud.add_device("102b5359", "Third", online=False)
    await cloud.announce("102b5359")
    del cloud.devices["102b5359"]
    await is_shown(hass, "binary_sensor.102b5359_connectivity", "off")


async def test_a_device_that_comes_online_before_the_list_has_its_name_is_online(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    await start(hass, cloud, add_entry())
    cloud.add_device("102b5359", "Third", online=False)
    await cloud.announce("102b5359")
    await cloud.set_online("102b5359", True)
    del cloud.devices["102b5359"]  # so that the push alone tells
    await is_shown(hass, "binary_sensor.102b5359_connectivity", "on")


async def test_a_state_of_an_unknown_device_has_the_devices_asked_for(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, cloud, entry)
    cloud.add_device("third", "Third")
    await cloud.set_online("third", True)
    await is_shown(hass, "binary_sensor.third_connectivity", "on")


async def test_what_changes_while_the_connection_opens_has_the_devices_asked_for(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    @asynccontextmanager
    async def open_and_tell(api: Api, listener: Listener) -> AsyncIterator[Session]:
        async with open_session(api, listener) as session:
            cloud.add_device("third", "Third")
            listener.take_push("device:metaChange", {"id": "third"})
            yield session

    entry = add_entry()
    with patch("custom_components.grid_telemetry.links.ardexa.link.open_session", open_and_tell):
        await start(hass, cloud, entry)
    await is_shown(hass, "binary_sensor.third_connectivity", "on")


async def test_changed_metadata_is_told_and_taken_over(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    meta = {**META, "inverter_fields": [{"name": "AC Power", "expect": "decimal", "unit": "kW"}]}
    await cloud.change_meta(GATEWAY, meta)
    state = await shown(
        hass, "event.gateway_device_event", lambda state: state.attributes.get("event_type")
    )
    assert state.attributes["event_type"] == "meta_changed"
    await until(lambda: cloud.counts["connect"] == 2 and len(cloud.feeds) == 1)
    assert next(iter(entry.subentries.values())).data["fields"][0]["unit"] == "kW"
    assert await cloud.publish(GATEWAY, "solar", "inverter-01", {"AC Power": 5})
    # The user goes on to see watts.
    assert float((await is_shown(hass, POWER, "5000.0")).state) == 5000


async def test_a_device_that_left_the_workgroup_can_be_removed(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    registry = dr.async_get(hass)
    other = registry.async_get(device_of(hass, entry, OTHER))
    assert isinstance(other, dr.DeviceEntry)
    assert not await async_remove_config_entry_device(hass, entry, other)
    del cloud.devices[OTHER]
    await cloud.change_meta(GATEWAY, META)
    await until(lambda: cloud.counts["devices"] == 3)
    await is_shown(hass, "binary_sensor.other_connectivity", "unavailable")
    assert await async_remove_config_entry_device(hass, entry, other)
    for device in dr.async_entries_for_config_entry(registry, entry.entry_id):
        assert isinstance(device, dr.DeviceEntry)
        assert await async_remove_config_entry_device(hass, entry, device) is (device == other)


# --- what breaks


async def test_feeds_resume_after_the_server_was_killed(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    await start(hass, cloud, add_entry(power_feed()))
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    await cloud.relay.stop()
    await is_shown(hass, ONLINE, "unavailable")
    await is_shown(hass, POWER, "unavailable")
    await is_shown(hass, "binary_sensor.ardexa_dev_connected", "off")
    await until(lambda: not cloud.feeds)
    await cloud.relay.start()
    await until(lambda: cloud.feeds)
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    await is_shown(hass, ONLINE, "on")
    assert cloud.refused == []


async def test_a_short_outage_leaves_no_gap(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    gaps: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        if state is not None and state.state == "unavailable":
            gaps.append(state.entity_id)

    hass.bus.async_listen("state_changed", note)
    cloud.relay.cut()
    await until(lambda: cloud.counts["connect"] == 2 and cloud.feeds)
    await send(cloud, **{"AC Power": 1})
    await is_shown(hass, POWER, "1")
    assert gaps == []


async def test_feeds_resume_after_the_server_kicked_us(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    await start(hass, cloud, add_entry(power_feed()))
    for times in (2, 3):
        await cloud.kick()
        await until(lambda times=times: cloud.counts["connect"] == times and cloud.feeds)
    await send(cloud)
    await is_shown(hass, POWER, "66920")


async def test_a_server_that_kicks_at_once_is_not_taken_for_connected(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    cloud.behaviour.kick_at_once = True
    entry = add_entry(power_feed())
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: cloud.counts["connect"] >= 3)
    cloud.behaviour.kick_at_once = False
    await until(lambda: cloud.feeds)
    await send(cloud)
    await is_shown(hass, POWER, "66920")


@pytest.mark.parametrize("cloud", [0.5], indirect=True)
async def test_a_silent_server_is_noticed(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    await start(hass, cloud, add_entry(power_feed()))
    await send(cloud)
    cloud.relay.freeze()
    await until(lambda: cloud.counts["device:feed"] >= 2)
    await until(lambda: any(feed.sid == cloud.clients[-1] for feed in cloud.feeds.values()))
    await send(cloud, **{"AC Power": 5})
    await is_shown(hass, POWER, "5")


async def test_feeds_of_many_are_all_asked_for_again(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    fields = [{"name": f"f{number}", "expect": "decimal"} for number in range(100)]
    cloud.devices[GATEWAY].meta = {
        "tail": [{"table": "t", "source": "s", "expect": "csv", "fields": fields}]
    }
    entry = add_entry(
        *(
            feed(
                {**item, "unit": None},
                table="t",
                source="s",
                field=item["name"],
                title=item["name"],
            )
            for item in fields
        )
    )
    await start(hass, cloud, entry)
    assert len(cloud.feeds) == 100
    cloud.relay.cut()
    await until(lambda: cloud.counts["connect"] == 2 and len(cloud.feeds) == 100)
    row = {f"f{number}": number for number in range(100)}
    assert await cloud.publish(GATEWAY, "t", "s", row) == 100
    for number in (0, 99):
        await is_shown(hass, f"sensor.f{number}_f{number}", str(number))


@pytest.mark.parametrize("as_object", [False, True])
async def test_a_refused_feed_is_a_repair_until_it_is_accepted(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry, as_object: bool
) -> None:
    cloud.behaviour.object_errors = as_object
    entry = add_entry(feed({"name": "x", "expect": None, "unit": None}, source="nowhere"))
    await start(hass, cloud, entry)
    issues = ir.async_get(hass).issues
    [issue] = [issue for issue in issues.values() if issue.domain == DOMAIN]
    assert issue.translation_key == "ardexa_feed_refused"
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["error"] == "Unknown table or source"
    cloud.devices[GATEWAY].meta = {"run": [{"table": "solar", "source": "nowhere"}]}
    await cloud.set_online(GATEWAY, True)
    await until(lambda: not [issue for issue in issues.values() if issue.domain == DOMAIN])


async def test_a_feed_of_a_device_that_is_offline_is_no_repair(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    cloud.devices[GATEWAY].online = False
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    assert not [item for item in ir.async_get(hass).issues.values() if item.domain == DOMAIN]
    assert entry.runtime_data.feeds.all[0].error == "Device is offline"
    await cloud.set_online(GATEWAY, True)
    await until(lambda: cloud.feeds)


async def test_the_token_is_never_logged(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    cloud.relay.cut()
    await until(lambda: cloud.counts["connect"] == 2 and cloud.feeds)
    cloud.behaviour.reject = ("No", None)
    await cloud.kick()
    await until(lambda: cloud.counts["connect"] >= 4)
    await cloud.relay.stop()
    await asyncio.sleep(0)
    ours = [
        record.getMessage() + (record.exc_text or "")
        for record in caplog.records
        if not record.name.startswith("aiohttp.access")  # the server's own
    ]
    assert any("token=***" in text for text in ours)
    assert not [text for text in ours if cloud.token in text]


async def test_diagnostics_tell_of_everything_but_the_token(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    await send(cloud)
    await is_shown(hass, POWER, "66920")
    told = await async_get_config_entry_diagnostics(hass, entry)
    assert cloud.token not in str(told)
    link = told["link"]
    assert link["health"]["connected"]
    assert link["token_expires"]
    assert link["messages"] == 1
    [told_feed] = link["feeds"]
    assert told_feed["live"]
    assert told_feed["field"] == "AC Power"
    assert link["devices"][0]["scenarios"] == ["data.cpu_usage", "solar.inverter-01"]


async def test_a_missing_privilege_is_a_repair_until_it_is_there(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DestinationRefused, "retry_after_s", 0.05)
    cloud.behaviour.reject = ("Permission denied", {"message": "Control Devices"})
    entry = add_entry(power_feed())
    assert await hass.config_entries.async_setup(entry.entry_id)
    issues = ir.async_get(hass).issues
    await until(lambda: [issue for issue in issues.values() if issue.domain == DOMAIN])
    [issue] = [issue for issue in issues.values() if issue.domain == DOMAIN]
    assert issue.translation_key == "ardexa_no_privilege"
    cloud.behaviour.reject = None
    await until(lambda: cloud.feeds)
    assert not [issue for issue in issues.values() if issue.domain == DOMAIN]


async def test_a_feed_that_nobody_answers_is_asked_for_again(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = "custom_components.grid_telemetry.links.ardexa.feeds"
    monkeypatch.setattr(f"{package}.UNANSWERED_RETRY_S", 0.1)
    cloud.behaviour.no_answer = {"device:feed"}
    entry = add_entry(power_feed())
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: cloud.counts["device:feed"] >= 3)
    cloud.behaviour.no_answer = set()
    await until(lambda: cloud.feeds)
    await send(cloud)
    await is_shown(hass, POWER, "66920")


async def test_a_cloud_that_cannot_renew_the_token_now_is_asked_again_later(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    cloud.behaviour.renew_status = 500
    cloud.token = cloud.issue(4000, age_s=3500)
    entry = add_entry()
    await start(hass, cloud, entry)
    assert cloud.counts["renew"] == 1
    assert not hass.config_entries.flow.async_progress()
    for status, answer in ((200, {}), (200, {"token": ""}), (200, ["token"])):
        cloud.behaviour.renew_status, cloud.behaviour.renew_answer = status, answer
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(hours=1, seconds=1))
        count = cloud.counts["renew"]
        await until(lambda count=count: cloud.counts["renew"] > count)
        await hass.async_block_till_done()
        assert entry.data["token"] == cloud.token
        assert not hass.config_entries.flow.async_progress()


async def test_an_entry_is_removed_with_all_that_is_its(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    await hass.config_entries.async_remove(entry.entry_id)
    await until(lambda: not cloud.clients)
    assert hass.states.get(POWER) is None
    assert hass.states.get(ONLINE) is None


async def test_a_unit_that_was_typed_stays_where_the_metadata_has_none(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    feed = power_feed()
    feed["data"]["fields"] = [{"name": "AC Power", "expect": None, "unit": "kW"}]
    entry = add_entry(feed)
    meta = {**META, "inverter_fields": [{"name": "AC Power", "expect": "decimal"}]}
    cloud.add_device(GATEWAY, "Gateway", meta)
    assert await hass.config_entries.async_setup(entry.entry_id)
    [subentry] = entry.subentries
    await until(lambda: entry.subentries[subentry].data["fields"][0]["expect"] == "decimal")
    assert entry.subentries[subentry].data["fields"] == [
        {"name": "AC Power", "expect": "decimal", "unit": "kW"}
    ]
    await until(lambda: cloud.counts["connect"] == 2 and len(cloud.feeds) == 1)
