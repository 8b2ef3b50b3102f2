"""A running edge node, against Mosquitto and a strict host that refuses what breaks a rule."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.links.sparkplug.link import SparkplugLink
from custom_components.grid_telemetry.links.sparkplug.payload import data_records
from custom_components.grid_telemetry.protocols.sparkplug import Reading
from simulators.sparkplug import HOST_ID, Host, Sparkplug
from simulators.sparkplug_messages import Arrival, Ledger

from .conftest import AddEntry, command, device, point

pytestmark = pytest.mark.needs("mosquitto")

NAMES = ("power", "energy")
POWER, ENERGY = "sensor.power", "sensor.energy"


def set_power(hass: HomeAssistant, value: object) -> None:
    hass.states.async_set(POWER, str(value), {"unit_of_measurement": "W"})


def set_energy(hass: HomeAssistant, value: object) -> None:
    hass.states.async_set(ENERGY, str(value), {"unit_of_measurement": "kWh"})


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> SparkplugLink:
    assert await hass.config_entries.async_setup(entry.entry_id)
    return entry.runtime_data


def powers(ledger: Ledger, *, historical: bool | None = None) -> list[Any]:
    return [each.value for each in ledger.samples("meter", "power", historical=historical)]


def meter(**more: Any) -> Any:
    return device("meter", point(POWER, "power"), point(ENERGY, "energy"), **more)


async def sampled(hass: HomeAssistant, link: SparkplugLink, *values: float) -> None:
    """Have values sampled, one in each slot."""
    for value in values:
        set_power(hass, value)
        before = link.outbox.last_id
        async with asyncio.timeout(5):
            while link.outbox.last_id == before:
                await asyncio.sleep(0.02)


async def test_what_is_sampled_arrives_live_behind_its_birth(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    set_power(hass, 100)
    set_energy(hass, 5)
    link = await start(hass, add_entry(meter()))
    ledger = scada.ledger
    await scada.until(lambda: "meter" in ledger.devices, "the birth of the device")
    assert ledger.declared["meter"]["power"] == (10, {"engUnit": "W", "Quality": 192})
    births = {each.name: each for each in ledger.arrivals if each.is_birth}
    assert births["power"].value == 100
    assert births["energy"].value == 5
    await sampled(hass, link, 200, 300)
    await scada.until(lambda: powers(ledger, historical=False)[-2:] == [200, 300], "the values")
    await scada.until(lambda: not link.outbox.queued_samples, "an empty outbox")


async def test_the_time_of_a_value_is_that_of_its_measurement(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    set_power(hass, 100)
    measured_ms = round(hass.states.get(POWER).last_reported_timestamp * 1000)
    await start(hass, add_entry(meter()))
    await scada.until(lambda: powers(scada.ledger), "a sample")
    assert scada.ledger.samples("meter", "power")[0].timestamp_ms == measured_ms


async def test_what_has_not_changed_is_not_sent_again(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    set_power(hass, 100)
    set_energy(hass, 5)
    link = await start(hass, add_entry(meter()))
    await sampled(hass, link, 200, 300, 400)
    await scada.until(lambda: powers(scada.ledger)[-1:] == [400], "the last value")
    assert [each.value for each in scada.ledger.samples("meter", "energy")] == [5]


async def test_a_point_without_a_value_is_null_and_bad(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    set_power(hass, 100)
    set_energy(hass, 5)
    link = await start(hass, add_entry(meter()))
    await sampled(hass, link, 200)
    set_energy(hass, "unavailable")
    await sampled(hass, link, 300)

    def last() -> Arrival:
        return scada.ledger.samples("meter", "energy")[-1]

    await scada.until(lambda: (last().value, last().quality) == (None, 0), "null")
    set_energy(hass, 6)
    await scada.until(lambda: (last().value, last().quality) == (6, 192), "the value again")


async def test_a_silent_meter_dies_and_is_born_again(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    set_power(hass, 100)
    set_energy(hass, 5)
    link = await start(hass, add_entry(meter(), device("other", point(POWER, "power"))))
    await sampled(hass, link, 200)
    set_power(hass, "unavailable")
    set_energy(hass, "unknown")
    ledger = scada.ledger
    await scada.until(lambda: ledger.born and not ledger.devices, "both deaths")
    assert {"DDEATH/meter", "DDEATH/other"} <= set(ledger.types)
    await sampled(hass, link, 300)
    await scada.until(lambda: ledger.devices == {"meter", "other"}, "both births")
    [*_, last] = [each for each in ledger.arrivals if each.is_birth and each.name == "energy"]
    assert last.value is None
    assert [each.value for each in ledger.arrivals if each.name == "power"][-1] == 300


async def test_a_meter_that_is_silent_from_the_start_is_not_alive(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    link = await start(hass, add_entry(meter()))
    await scada.until(lambda: "DDEATH/meter" in scada.ledger.types, "the death")
    assert not scada.ledger.devices
    await scada.host.request_births()
    await scada.until(lambda: scada.ledger.births == 2, "the birth of the node")
    await asyncio.sleep(0.1)
    assert not scada.ledger.devices
    assert link.diagnostics()["silent"] == ["meter"]


async def test_what_was_sampled_while_the_broker_was_away_is_historical(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    set_power(hass, 1)
    link = await start(hass, add_entry(meter()))
    await scada.until(lambda: powers(scada.ledger), "a sample")
    await scada.broker.kill()
    await sampled(hass, link, 2, 3, 4)
    await scada.broker.start()
    assert hass.states.get("binary_sensor.sparkplug_connected").state == "off"
    link.delivery._connection.retry_now()
    await scada.until(lambda: {2, 3, 4} <= set(powers(scada.ledger, historical=True)), "the past")
    past = powers(scada.ledger, historical=True)
    assert past == sorted(past)
    await sampled(hass, link, 5)
    await scada.until(lambda: powers(scada.ledger, historical=False)[-1] == 5, "the present")
    assert scada.ledger.births >= 2


async def test_while_the_primary_host_is_offline_samples_wait(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    await scada.host.go_offline()
    set_power(hass, 1)
    link = await start(hass, add_entry(meter(), primary_host=HOST_ID))
    await sampled(hass, link, 2, 3)
    assert link.health.last_error == "primary_host_offline"
    assert not link.health.connected
    assert link.outbox.queued_samples == 2
    await scada.host.go_online()
    ledger = scada.ledger
    await scada.until(lambda: not link.outbox.queued_samples, "an empty outbox")
    assert ledger.types[:2] == ["NBIRTH", "DBIRTH/meter"]
    assert {2, 3} <= {each.value for each in ledger.arrivals if each.name == "power"}
    await scada.until(
        lambda: hass.states.get("binary_sensor.sparkplug_connected").state == "on", "connected"
    )


async def test_a_node_dies_with_its_primary_host_and_comes_back_with_it(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    set_power(hass, 1)
    link = await start(hass, add_entry(meter(), primary_host=HOST_ID))
    await scada.until(lambda: powers(scada.ledger), "a sample")
    await scada.until(lambda: not link.outbox.queued_samples, "an empty outbox")
    for leave in (scada.host.go_offline, scada.host.crash):
        before = scada.ledger.births
        await leave()
        await scada.until(lambda: not link.health.connected, "the loss of the host")
        await sampled(hass, link, 2 * before, 2 * before + 1)
        assert link.outbox.queued_samples
        await scada.host.go_online()
        await scada.until(lambda: not link.outbox.queued_samples, "an empty outbox", 30)
        assert scada.ledger.births > before
        assert {2 * before, 2 * before + 1} <= set(powers(scada.ledger, historical=True))


async def test_a_host_that_speaks_the_older_form_is_understood(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    await scada.host.go_offline()
    old = Host(scada.broker.plain_port, scada.ledger, host_id="old", old_form=True)
    set_power(hass, 1)
    link = await start(hass, add_entry(meter(), primary_host="old"))
    await sampled(hass, link, 2)
    assert not scada.ledger.births
    await old.go_online()
    await scada.until(lambda: scada.ledger.births, "the birth")
    await old.go_offline()
    await scada.until(lambda: not link.health.connected, "the loss of the host")


async def test_a_primary_host_that_is_never_heard_is_told(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    entry = add_entry(meter(), primary_host="mistyped")
    link = await start(hass, entry)
    await scada.until(lambda: link.health.last_error == "primary_host_offline", "waiting")
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=11))
    issues = ir.async_get(hass)
    issue_id = f"sparkplug_host_not_heard_{entry.entry_id}"
    issue = issues.async_get_issue(DOMAIN, issue_id)
    assert issue is not None
    assert issue.translation_placeholders["host"] == "mistyped"
    await hass.config_entries.async_unload(entry.entry_id)
    assert issues.async_get_issue(DOMAIN, issue_id) is None


async def test_births_are_sent_again_when_they_are_asked_for(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    """At most once in five seconds; who asks in between gets them when those are over."""
    set_power(hass, 1)
    link = await start(hass, add_entry(meter()))
    await scada.until(lambda: "meter" in scada.ledger.devices, "the birth")
    for _ in range(5):
        await scada.host.request_births()
    await asyncio.sleep(1)
    assert scada.ledger.births == 1
    await scada.until(lambda: scada.ledger.births == 2, "the births")
    await sampled(hass, link, 2)
    await scada.until(lambda: powers(scada.ledger)[-1] == 2, "what came behind them")
    assert link.figures.births == 2


async def test_an_action_sends_the_births(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    set_power(hass, 1)
    link = await start(hass, add_entry(meter()))
    await scada.until(lambda: "meter" in scada.ledger.devices, "the birth")
    answer = await hass.services.async_call(
        DOMAIN, "sparkplug_rebirth", blocking=True, return_response=True
    )
    assert answer == {"devices": ["meter"]}
    await scada.until(lambda: scada.ledger.births == 2, "the births")
    await scada.broker.stop()
    await scada.until(lambda: not link.health.connected, "the loss")
    with pytest.raises(HomeAssistantError, match="no session"):
        await hass.services.async_call(DOMAIN, "sparkplug_rebirth", blocking=True)


async def test_a_new_point_is_in_the_next_birth(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    set_power(hass, 1)
    set_energy(hass, 5)
    entry = add_entry(device("meter", point(POWER, "power")))
    await start(hass, entry)
    await scada.until(lambda: "meter" in scada.ledger.devices, "the birth")
    [subentry] = entry.subentries.values()
    points = [*subentry.data["points"], point(ENERGY, "energy", "float")]
    hass.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, "points": points}
    )
    await scada.until(
        lambda: "energy" in scada.ledger.declared.get("meter", {}), "the birth with it"
    )
    assert scada.ledger.declared["meter"]["energy"][0] == 9


async def test_samples_of_a_point_that_is_mapped_no_more_are_counted(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    await scada.host.go_offline()
    set_power(hass, 1)
    set_energy(hass, 5)
    entry = add_entry(meter(), primary_host=HOST_ID)
    link = await start(hass, entry)
    await sampled(hass, link, 2)
    [subentry] = entry.subentries.values()
    points = [each for each in subentry.data["points"] if each["name"] == "power"]
    hass.config_entries.async_update_subentry(
        entry, subentry, data={**subentry.data, "points": points}
    )
    await hass.async_block_till_done()
    await scada.host.go_online()
    link = entry.runtime_data
    await scada.until(lambda: not link.outbox.queued_samples, "an empty outbox")
    assert link.diagnostics()["unmapped"] == 1


async def test_bd_seq_goes_on_over_restarts(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    entry = add_entry(meter())
    numbers = []
    for _ in range(3):
        link = await start(hass, entry)
        await scada.until(lambda: scada.ledger.born, "the birth")
        numbers.append(link.node.bd_seq)
        await hass.config_entries.async_unload(entry.entry_id)
        await scada.until(lambda: not scada.ledger.born, "the death")
    assert numbers == [0, 1, 2]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("transport", ["tls", "websocket", "secure_websocket"])
async def test_every_way_to_a_broker(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry, transport: str, version: str
) -> None:
    broker = scada.broker
    ports = {
        "tls": broker.client_certificate_port,
        "websocket": broker.websocket_port,
        "secure_websocket": broker.secure_websocket_port,
    }
    files: dict[str, str] = {}
    if transport != "websocket":
        certificate, key = broker.sign("client")
        files = {
            "ca_file": str(broker.ca_file),
            "certificate": str(certificate),
            "key": str(key),
        }
    set_power(hass, 7)
    entry = add_entry(
        meter(), port=ports[transport], transport=transport, mqtt_version=version, **files
    )
    await start(hass, entry)
    await scada.until(lambda: powers(scada.ledger) == [7], "a sample")
    await hass.config_entries.async_unload(entry.entry_id)
    await scada.until(lambda: not scada.ledger.born, "the death")


async def test_files_that_are_not_there_are_told(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    link = await start(hass, add_entry(meter(), transport="tls", ca_file="/nowhere.pem"))
    await scada.until(lambda: link.health.last_error == "certificate_file", "the error")


async def test_what_is_kept_goes_with_the_entry(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry, tmp_path: Path
) -> None:
    entry = add_entry(meter())
    await start(hass, entry)
    await scada.until(lambda: scada.ledger.born, "the birth")
    assert list(tmp_path.rglob(f"*{entry.entry_id}*"))
    await hass.config_entries.async_remove(entry.entry_id)
    assert not list(tmp_path.rglob(f"*{entry.entry_id}*"))


async def test_diagnostics_tell_how_it_fares_and_no_secret(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    set_power(hass, 1)
    entry = add_entry(
        meter(),
        command("meter", "mode", "double", action={"action": "script.x"}),
        primary_host=HOST_ID,
    )
    await start(hass, entry)
    await scada.until(lambda: powers(scada.ledger), "a sample")
    found = await async_get_config_entry_diagnostics(hass, entry)
    assert "it sends" not in str(found)
    link = found.get("link", found)
    assert "'births': 1" in str(link)
    assert "'primary_host_online': True" in str(link)
    assert "'points': {'meter': 2}" in str(link)
    assert hass.states.get("sensor.sparkplug_primary_host").state in ("online", "offline")


async def test_the_backlog_of_a_meter_that_is_silent_by_now_is_sent(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    """It is born for the sake of it, and dies again."""
    await scada.host.go_offline()
    set_power(hass, 1)
    link = await start(hass, add_entry(meter(), primary_host=HOST_ID))
    await sampled(hass, link, 2, 3)
    set_power(hass, "unavailable")
    async with asyncio.timeout(5):
        while not link.diagnostics()["silent"]:
            await asyncio.sleep(0.02)
    await scada.host.go_online()
    await scada.until(lambda: not link.outbox.queued_samples, "an empty outbox")
    assert powers(scada.ledger, historical=True) == [2, 3]
    await scada.until(lambda: "DDEATH/meter" in scada.ledger.types, "the death")
    assert not scada.ledger.devices


async def test_a_large_backlog_arrives_in_order(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    """More than one packet, and more than one read of the outbox, holds."""
    await scada.host.go_offline()
    link = await start(hass, add_entry(meter(), primary_host=HOST_ID))
    await link.outbox.put(
        [
            record
            for number in range(3_000)
            for record in data_records(
                "meter",
                number,
                [(name, Reading(value=float(number), timestamp_ms=number)) for name in NAMES],
            )
        ]
    )
    await scada.host.go_online()
    await scada.until(lambda: not link.outbox.queued_samples, "an empty outbox")
    for name in NAMES:
        arrivals = scada.ledger.samples("meter", name, historical=True)
        assert [each.value for each in arrivals] == list(range(3_000))


async def test_a_number_that_does_not_fit_its_type_is_null_and_bad(
    hass: HomeAssistant, scada: Sparkplug, add_entry: AddEntry
) -> None:
    """Never another number; in the birth as in the data."""
    set_power(hass, 2**40)
    link = await start(hass, add_entry(device("meter", point(POWER, "power", "int32"))))
    await scada.until(lambda: "meter" in scada.ledger.devices, "the birth")
    [birth] = [each for each in scada.ledger.arrivals if each.is_birth]
    assert (birth.value, birth.quality) == (None, 0)
    await sampled(hass, link, 5.4)
    await scada.until(lambda: powers(scada.ledger)[-1:] == [5], "the value")
    await sampled(hass, link, -(2**40))
    await scada.until(lambda: powers(scada.ledger)[-1:] == [None], "null")
