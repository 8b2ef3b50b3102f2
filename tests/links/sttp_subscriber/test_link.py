"""The running subscriber: what Home Assistant shows of a publisher's signals."""

import asyncio
from typing import Any
from unittest.mock import AsyncMock, patch

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry import async_remove_config_entry_device
from custom_components.grid_telemetry.connection.traffic import traffic_of
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.links.sttp_subscriber.entities import SignalSensor
from custom_components.grid_telemetry.protocols.sttp.constants import StateFlags
from custom_components.grid_telemetry.protocols.sttp.frames import SttpError
from custom_components.grid_telemetry.protocols.sttp.measurement import Measurement
from custom_components.grid_telemetry.protocols.sttp.publisher import Publisher
from custom_components.grid_telemetry.protocols.sttp.publisher.catalog import Catalog

from .conftest import AddEntry, detail, metadata, pass_time, publish, shown, signal_id, start, until


def sensors(entry: MockConfigEntry) -> list[SignalSensor]:
    return list(entry.runtime_data._sensors.values())


async def test_signals_become_sensors_on_their_devices(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    publisher.define_metadata(
        metadata(
            detail(1, "FREQ", "Shelby Frequency"),
            detail(2, "ALOG", "Energy [kWh]"),
            detail(3, "DIGI", "Breaker"),
            detail(4, "STAT", "Latency [ms]"),
            detail(5, "ALOG", "Load (MW)", device_acronym="CORDOVA"),
            detail(6, "ALOG", "Alone", device_acronym=""),
        )
    )
    entry = add_entry()
    await start(hass, entry, 6)
    for number in range(1, 7):
        publish(publisher, number, number + 0.1)
    state = await shown(hass, "shelby_frequency", lambda state: state.state == "1.1")
    assert state.attributes["unit_of_measurement"] == "Hz"
    assert state.attributes["device_class"] == "frequency"
    assert state.attributes["state_class"] == "measurement"
    energy = await shown(hass, "shelby_energy", lambda state: state.state == "2.1")
    assert energy.attributes["state_class"] == "total"
    breaker = await shown(hass, "shelby_breaker", lambda state: state.state == "3.1")
    assert "state_class" not in breaker.attributes
    await shown(hass, "cordova_load", lambda state: state.state == "5.1")
    await shown(hass, "grid_alone", lambda state: state.state == "6.1")
    latency = er.async_get(hass).async_get("sensor.shelby_latency")
    assert latency is not None
    assert latency.entity_category == "diagnostic"
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert {
        (device.name, device.manufacturer, device.model)
        for device in devices
        if isinstance(device, dr.DeviceEntry)
    } == {
        ("Grid", "Grid Telemetry", "STTP publisher"),
        ("Shelby", "SEL", "SEL 421"),
        ("Cordova", "SEL", "SEL 421"),
    }


async def test_bad_quality_is_unavailable(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    await start(hass, add_entry())
    publish(publisher, 1, 50)
    await shown(hass, "shelby_frequency", lambda state: state.state == "50.0")
    publish(publisher, 1, 51, StateFlags.BAD_DATA)
    await shown(hass, "shelby_frequency", lambda state: state.state == "unavailable")
    publish(publisher, 1, 52)
    await shown(hass, "shelby_frequency", lambda state: state.state == "52.0")


async def test_only_the_latest_value_of_an_interval_is_shown(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry(interval_s=3600)
    await start(hass, entry)
    link = entry.runtime_data
    seen: list[str] = []

    @callback
    def see(event: Event[EventStateChangedData]) -> None:
        seen.append(event.data["entity_id"])

    hass.bus.async_listen("state_changed", see)
    # As a publisher does that does not hold back what is asked of it.
    for value in range(100):
        link._take([Measurement(signal_id(1), value, 0)])
    await hass.async_block_till_done()
    assert "sensor.shelby_frequency" not in seen
    pass_time(hass, 3601)
    await shown(hass, "shelby_frequency", lambda state: state.state == "99.0")
    assert seen.count("sensor.shelby_frequency") == 1


async def test_a_lost_publisher_leaves_nothing_available_and_is_found_again(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    await start(hass, add_entry())
    publish(publisher, 1, 50)
    await shown(hass, "shelby_frequency", lambda state: state.state == "50.0")
    with patch("random.uniform", return_value=0):
        publisher.disconnect(publisher.subscribers()[0].id)
        await shown(hass, "shelby_frequency", lambda state: state.state == "unavailable")
        await until(lambda: any(info.signals for info in publisher.subscribers()))
    publish(publisher, 1, 51)
    await shown(hass, "shelby_frequency", lambda state: state.state == "51.0")


async def test_an_outage_is_noted_and_recovered_once_it_is_over(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    recovery = entry.runtime_data.recovery
    publish(publisher, 1, 50)
    await shown(hass, "shelby_frequency", lambda state: state.state == "50.0")
    with (
        patch("random.uniform", return_value=0),
        patch.object(recovery, "note") as note,
        patch.object(recovery, "async_recover", AsyncMock()) as recover,
    ):
        publisher.disconnect(publisher.subscribers()[0].id)
        await shown(hass, "shelby_frequency", lambda state: state.state == "unavailable")
        await until(lambda: any(info.signals for info in publisher.subscribers()))
        publish(publisher, 1, 51)
        await shown(hass, "shelby_frequency", lambda state: state.state == "51.0")
        note.assert_called_once()
        lost, back = note.call_args.args
        assert lost < back
        # It ends with the first measurement.
        publish(publisher, 1, 52)
        await shown(hass, "shelby_frequency", lambda state: state.state == "52.0")
        note.assert_called_once()
        pass_time(hass, 301)
        await until(lambda: recover.await_count)
    # Only of measurements the mean is kept.
    assert recovery._entities() == {signal_id(1): "sensor.shelby_frequency"}


async def test_new_signals_appear_and_others_go(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    publish(publisher, 1, 50)
    await shown(hass, "shelby_frequency", lambda state: state.state == "50.0")
    publisher.define_metadata(metadata(detail(2, "ALOG", "Load", device_acronym="CORDOVA")))
    await shown(hass, "shelby_frequency", lambda state: state.state == "unavailable")
    await shown(hass, "cordova_load", lambda state: state.state == "unavailable")
    publish(publisher, 2, 7)
    await shown(hass, "cordova_load", lambda state: state.state == "7.0")
    devices = {
        device.name: device
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
        if isinstance(device, dr.DeviceEntry)
    }
    assert await async_remove_config_entry_device(hass, entry, devices["Shelby"])
    assert not await async_remove_config_entry_device(hass, entry, devices["Cordova"])
    assert not await async_remove_config_entry_device(hass, entry, devices["Grid"])


async def test_a_signal_that_comes_back_has_its_sensor_again(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    er.async_get(hass).async_update_entity("sensor.shelby_frequency", name="Mine")
    publisher.define_metadata(metadata())
    await until(lambda: not entry.runtime_data._sensors)
    publisher.define_metadata(metadata(detail(1, "FREQ", "Frequency [mHz]")))
    await until(lambda: entry.runtime_data._sensors)
    publish(publisher, 1, 50_000)
    # Home Assistant goes on in the unit that it has shown so far.
    state = await shown(hass, "shelby_frequency", lambda state: state.state == "50.0")
    assert state.attributes["unit_of_measurement"] == "Hz"
    assert state.name == "Mine"


async def test_a_disabled_sensor_disturbs_nothing(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    er.async_get(hass).async_get_or_create(
        "sensor",
        DOMAIN,
        f"{entry.entry_id}_{signal_id(1)}",
        config_entry=entry,
        disabled_by=er.RegistryEntryDisabler.USER,
    )
    await start(hass, entry)
    publish(publisher, 1, 50)
    await until(lambda: entry.runtime_data.subscriber.measurements)
    publisher.define_metadata(metadata(detail(2, "ALOG", "Load")))
    await shown(hass, "shelby_load", lambda _: True)
    publish(publisher, 2, 1)
    await shown(hass, "shelby_load", lambda state: state.state == "1.0")


async def test_a_publisher_may_change_its_mind_faster_than_sensors_come_and_go(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    for number in range(10):
        publisher.define_metadata(metadata(detail(1, "ALOG", f"Load {number} [kW]")))
        await asyncio.sleep(0)
    await until(lambda: [item.signal.name for item in sensors(entry)] == ["Load 9"])
    publish(publisher, 1, 5)
    await shown(hass, "shelby_frequency", lambda state: state.name == "Shelby Load 9")
    await shown(hass, "shelby_frequency", lambda state: state.state == "5.0")


async def test_a_publisher_without_metadata_is_known_by_its_keys(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    with patch.object(Catalog, "document", side_effect=SttpError("No metadata for you")):
        await start(hass, entry)
        publish(publisher, 1, 50)
        await shown(hass, "grid_ppa_1", lambda state: state.state == "50.0")
    link = (await async_get_config_entry_diagnostics(hass, entry))["link"]
    assert (link["signals"], link["metadata"]["measurements"]) == (1, 0)


async def test_a_refusal_is_an_issue_until_it_is_over(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry(filter_expression="FILTER Nothing WHERE True")
    assert await hass.config_entries.async_setup(entry.entry_id)
    issue_id = f"sttp_refused_{entry.entry_id}"
    issues = ir.async_get(hass)
    await until(lambda: issues.async_get_issue(DOMAIN, issue_id))
    issue = issues.async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["title"] == "Grid"
    hass.config_entries.async_update_entry(entry, data={**entry.data, "filter_expression": "PPA:1"})
    await until(lambda: issues.async_get_issue(DOMAIN, issue_id) is None)


async def test_more_signals_than_there_can_be_sensors_are_refused(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    with patch("custom_components.grid_telemetry.links.sttp_subscriber.client.MAX_SIGNALS", 0):
        assert await hass.config_entries.async_setup(entry.entry_id)
        await until(lambda: entry.runtime_data.health.last_error)
    assert entry.runtime_data.health.last_error == "sttp_too_many_signals"


async def test_its_health_is_shown(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    publish(publisher, 1, 50)
    await shown(hass, "shelby_frequency", lambda state: state.state == "50.0")
    pass_time(hass, 6)
    await shown(hass, "grid_signals", lambda state: state.state == "1")
    await shown(hass, "grid_measurements_per_second", lambda state: float(state.state) >= 0)
    connected = hass.states.get("binary_sensor.grid_connected")
    assert connected is not None
    assert connected.state == "on"
    assert hass.states.get("sensor.grid_queued") is None
    link = (await async_get_config_entry_diagnostics(hass, entry))["link"]
    assert link["health"] == {"connected": True, "last_error": None, "last_error_detail": None}
    assert link["metadata"]["measurements"] == link["signals"] == 1
    assert link["unavailable"] == 0


async def test_metadata_is_asked_for_anew(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    answer = await hass.services.async_call(
        DOMAIN, "sttp_refresh_metadata", blocking=True, return_response=True
    )
    assert answer == {"devices": 1, "signals": 1}


async def test_metadata_that_does_not_come_is_told(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    with (
        patch(
            "custom_components.grid_telemetry.links.sttp_subscriber.link.METADATA_WITHIN_S", 0.01
        ),
        patch.object(entry.runtime_data.subscriber, "refresh_metadata"),
        pytest.raises(HomeAssistantError) as raised,
    ):
        await _refresh(hass)
    assert raised.value.translation_key == "sttp_no_metadata"


async def test_without_a_connection_there_is_nobody_to_ask(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    await publisher.stop()
    entry = add_entry()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entry.runtime_data.health.last_error)
    assert entry.runtime_data.health.last_error == "sttp_cannot_connect"
    with pytest.raises(HomeAssistantError) as raised:
        await _refresh(hass)
    assert raised.value.translation_key == "sttp_not_connected"


async def _refresh(hass: HomeAssistant) -> Any:
    return await hass.services.async_call(
        DOMAIN, "sttp_refresh_metadata", blocking=True, return_response=True
    )


async def test_a_certificate_that_cannot_be_read_is_told(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry(use_tls=True, ca_file="/nowhere/ca.pem")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "certificate_file"


async def test_unload_ends_the_connection(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    async with asyncio.timeout(5):
        while publisher.subscribers():
            await asyncio.sleep(0.01)
    assert await hass.config_entries.async_remove(entry.entry_id)


async def test_whoever_looks_sees_what_comes(
    hass: HomeAssistant, publisher: Publisher, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    traffic = traffic_of(hass, entry.entry_id)
    traffic.watch()
    publish(publisher, 1, 50)
    await shown(hass, "shelby_frequency", lambda state: state.state == "50.0")
    assert any(":50.0" in message.body for message in traffic.messages.values())
