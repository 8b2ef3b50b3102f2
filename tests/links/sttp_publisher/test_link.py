"""The running publisher: what subscribers receive of Home Assistant's states."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from math import isnan
from pathlib import Path
import ssl
import time
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.grid_telemetry.connection.traffic import traffic_of
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.forms.tls import client_context, server_context
from custom_components.grid_telemetry.protocols.sttp import ticks
from custom_components.grid_telemetry.protocols.sttp.constants import StateFlags
from custom_components.grid_telemetry.vocabulary.clock import elapsed_s
from simulators.certificates import Authority

from .conftest import AddEntry, Forward, Listen, Listener, device, point

POWER = {"unit_of_measurement": "W", "device_class": "power", "friendly_name": "Power"}


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


def listening(entry: MockConfigEntry) -> bool:
    return bool(entry.state is ConfigEntryState.LOADED)


def registered(hass: HomeAssistant, name: str = "power", **more: Any) -> er.RegistryEntry:
    """Register a sensor as an integration would."""
    return er.async_get(hass).async_get_or_create(
        "sensor",
        "test",
        name,
        suggested_object_id=name,
        original_name=name.capitalize(),
        unit_of_measurement="W",
        **more,
    )


async def test_a_state_is_published_converted_with_the_time_of_its_report(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    entry = add_entry(device("METER", point("sensor.power", "P", unit="kW", factor=2)))
    hass.states.async_set("sensor.power", "1500", POWER)
    await start(hass, entry)
    listener = await listen(entry)
    measurement = await listener.newest("P")
    state = hass.states.get("sensor.power")
    assert state is not None
    assert measurement.value == 3.0
    assert measurement.flags == StateFlags.NORMAL
    assert measurement.timestamp == ticks.from_epoch(state.last_reported_timestamp)


async def test_changes_arrive_as_they_happen(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    entry = add_entry(device("METER", point("sensor.power", "P")))
    await start(hass, entry)
    listener = await listen(entry)
    for value in range(20):
        hass.states.async_set("sensor.power", str(value), POWER)
    await listener.newest("P", lambda item: item.value == 19)
    values = [item.value for item in listener.measurements if not isnan(item.value)]
    assert list(dict.fromkeys(values)) == list(range(20))


async def test_a_report_of_the_same_value_is_a_newer_measurement(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    entry = add_entry(device("METER", point("sensor.power", "P")))
    hass.states.async_set("sensor.power", "1", POWER)
    await start(hass, entry)
    listener = await listen(entry)
    first = await listener.newest("P")
    hass.states.async_set("sensor.power", "1", POWER)
    await listener.newest("P", lambda item: item.timestamp > first.timestamp)


@pytest.mark.parametrize("state", ["unavailable", "unknown", "soon"])
async def test_what_is_no_number_is_bad(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen, state: str
) -> None:
    entry = add_entry(device("METER", point("sensor.power", "P")))
    hass.states.async_set("sensor.power", "1", POWER)
    await start(hass, entry)
    listener = await listen(entry)
    hass.states.async_set("sensor.power", state, POWER)
    measurement = await listener.newest("P", lambda item: item.flags)
    assert isnan(measurement.value)
    assert measurement.flags & StateFlags.BAD_DATA


async def test_a_restored_state_is_not_published_as_fresh(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    entry = add_entry(device("METER", point("sensor.power", "P")))
    hass.states.async_set("sensor.power", "17", {**POWER, "restored": True})
    await start(hass, entry)
    measurement = await (await listen(entry)).newest("P")
    assert isnan(measurement.value)
    assert measurement.flags & StateFlags.BAD_DATA


async def test_a_state_that_is_reported_no_more_is_suspect(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen, forward: Forward
) -> None:
    entry = add_entry(device("METER", point("sensor.power", "P"), max_age_s=60))
    hass.states.async_set("sensor.power", "5", POWER)
    await start(hass, entry)
    listener = await listen(entry)
    fresh = await listener.newest("P")
    assert fresh.flags == StateFlags.NORMAL
    forward(61)
    stale = await listener.newest("P", lambda item: item.flags)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=12))
    await hass.async_block_till_done()
    figure = hass.states.get("sensor.sttp_stale_points")
    assert figure is not None
    assert (figure.state, figure.attributes["points"]) == ("1", ["P"])
    assert stale == fresh._replace(flags=int(StateFlags.SUSPECT_TIME))
    hass.states.async_set("sensor.power", "5", POWER, timestamp=time.time() + 61)
    again = await listener.newest("P", lambda item: not item.flags)
    assert again.timestamp > fresh.timestamp


async def test_a_counter_is_not_suspect_for_its_age(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen, forward: Forward
) -> None:
    counter = {"unit_of_measurement": "kWh", "state_class": "total_increasing"}
    entry = add_entry(
        device("METER", point("sensor.energy", "E"), point("sensor.power", "P"), max_age_s=60)
    )
    hass.states.async_set("sensor.energy", "5", counter)
    hass.states.async_set("sensor.power", "5", POWER)
    await start(hass, entry)
    listener = await listen(entry)
    await listener.newest("E")
    await listener.newest("P")
    forward(61)
    await listener.newest("P", lambda item: item.flags)
    assert (await listener.newest("E")).flags == StateFlags.NORMAL


async def test_a_counter_that_fell_is_published_once_it_is_believed(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen, forward: Forward
) -> None:
    counter = {"unit_of_measurement": "kWh", "state_class": "total_increasing"}
    entry = add_entry(device("METER", point("sensor.energy", "E")))
    hass.states.async_set("sensor.energy", "500", counter)
    await start(hass, entry)
    listener = await listen(entry)
    assert (await listener.newest("E")).value == 500
    hass.states.async_set("sensor.energy", "2", counter)
    await hass.async_block_till_done()
    for _ in range(3):
        # It is not reported again: that it stands is as good.
        forward(31)
        await hass.async_block_till_done()
    await listener.newest("E", lambda item: item.value == 2)
    received = listener.of(listener.detail("E").signal_id)
    assert list(dict.fromkeys(item.value for item in received)) == [500, 2]


async def test_an_entity_that_takes_anothers_place_goes_on_as_its_signal(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    old, new = registered(hass, "old"), registered(hass, "new")
    entry = add_entry(device("METER", point(old.id, "P")))
    await start(hass, entry)
    listener = await listen(entry)
    await listener.until(lambda: listener.metadata)
    before = listener.detail("P").signal_id
    moved = point(new.id, "P", identity=old.id)
    for points, expected in (([moved], 2), ([moved, point(old.id, "Q")], 3)):
        (subentry,) = entry.subentries.values()
        hass.config_entries.async_update_subentry(
            entry, subentry, data={**subentry.data, "points": points}
        )
        await listener.until(lambda expected=expected: len(listener.metadata) == expected)
        # The old one has its own again when it is back.
        owner = "P" if expected == 2 else "Q"
        assert listener.detail(owner).signal_id == before
    assert listener.detail("P").signal_id != before


async def test_small_changes_wait_for_the_longest_pause(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen, forward: Forward
) -> None:
    entry = add_entry(
        device("METER", point("sensor.power", "P", min_change=10, max_pause_s=30), max_age_s=600)
    )
    hass.states.async_set("sensor.power", "100", POWER)
    await start(hass, entry)
    listener = await listen(entry)
    await listener.newest("P")
    for value in ("105", "95", "100", "111", "108"):
        hass.states.async_set("sensor.power", value, POWER)
        await hass.async_block_till_done()
    await listener.newest("P", lambda item: item.value == 111)
    with patch(
        "custom_components.grid_telemetry.links.sttp_publisher.values.elapsed_s",
        lambda: elapsed_s() + 31,
    ):
        forward(31)
        await listener.newest("P", lambda item: item.value == 108)
    # A subscriber may be sent the newest value once more as its subscription begins.
    received = listener.of(listener.detail("P").signal_id)
    assert list(dict.fromkeys(item.value for item in received)) == [100, 111, 108]


async def test_metadata_tells_of_device_and_entity(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    owner = MockConfigEntry(domain="test")
    owner.add_to_hass(hass)
    house = dr.async_get(hass).async_get_or_create(
        config_entry_id=owner.entry_id,
        identifiers={("test", "1")},
        name="House",
        manufacturer="Eastron",
        model="SDM630",
    )
    power = registered(hass, device_id=house.id, config_entry=owner)
    entry = add_entry(device("METER", point(power.id, "P", unit="kW")))
    await start(hass, entry)
    listener = await listen(entry)
    (detail,) = listener.metadata[-1].devices
    assert (detail.acronym, detail.name, detail.vendor_acronym, detail.vendor_device_name) == (
        "METER",
        "House",
        "Eastron",
        "SDM630",
    )
    signal = listener.detail("P")
    assert signal.id == "HA:1"
    assert signal.point_tag == "METER:P"
    assert signal.signal_reference == "METER-AV1"
    assert signal.signal_acronym == "ALOG"
    assert signal.description == "Power [kW]"
    assert signal.alternate_tag == "sensor.power"


async def test_magnitudes_and_angles_of_a_phase_make_phasors(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    entry = add_entry(
        device(
            "PMU",
            point("sensor.f", "F", "FREQ"),
            point("sensor.u", "U", "VPHM"),
            point("sensor.u1", "U1", "VPHM", phase="A"),
            point("sensor.u2", "U2", "VPHM", phase="B"),
            point("sensor.a2", "A2", "VPHA", phase="B"),
            point("sensor.i1", "I1", "IPHM", phase="A"),
            point("sensor.b1", "B1", "IPHA", phase="A"),
        )
    )
    await start(hass, entry)
    listener = await listen(entry)
    references = {
        detail.point_tag.partition(":")[2]: (
            detail.signal_reference,
            detail.phasor_source_index,
        )
        for detail in listener.metadata[-1].measurements
    }
    assert references == {
        "F": ("PMU-FQ", 0),
        "U": ("PMU-PM3", 0),
        "U1": ("PMU-PM4", 0),
        "U2": ("PMU-PM1", 1),
        "A2": ("PMU-PA1", 1),
        "I1": ("PMU-PM2", 2),
        "B1": ("PMU-PA2", 2),
    }
    assert [
        (phasor.label, phasor.type, phasor.phase, phasor.source_index)
        for phasor in listener.metadata[-1].phasors
    ] == [("U2", "V", "B", 1), ("I1", "I", "A", 2)]


async def test_a_rename_is_followed_without_a_gap_and_keeps_the_signal(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen, forward: Forward
) -> None:
    power = registered(hass)
    entry = add_entry(device("METER", point(power.id, "P")))
    hass.states.async_set("sensor.power", "1", POWER)
    await start(hass, entry)
    listener = await listen(entry)
    await listener.newest("P")
    signal_id = listener.detail("P").signal_id
    updated = listener.detail("P").updated_on
    er.async_get(hass).async_update_entity("sensor.power", new_entity_id="sensor.grid")
    hass.states.async_remove("sensor.power")
    await hass.async_block_till_done()
    hass.states.async_set("sensor.grid", "2", POWER)
    forward(1.5)
    await listener.newest("P", lambda item: item.value == 2)
    await listener.until(lambda: len(listener.metadata) > 1)
    renamed = listener.detail("P")
    assert renamed.signal_id == signal_id
    assert renamed.id == "HA:1"
    assert renamed.alternate_tag == "sensor.grid"
    assert renamed.updated_on > updated
    assert not any(isnan(item.value) for item in listener.measurements)


async def test_an_entity_that_is_removed_is_bad_and_reported(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    power = registered(hass)
    entry = add_entry(device("METER", point(power.id, "P")))
    hass.states.async_set("sensor.power", "1", POWER)
    await start(hass, entry)
    listener = await listen(entry)
    await listener.newest("P")
    er.async_get(hass).async_remove("sensor.power")
    hass.states.async_remove("sensor.power")
    await listener.newest("P", lambda item: isnan(item.value))
    assert any(
        issue.translation_key == "entities_removed" for issue in ir.async_get(hass).issues.values()
    )


async def test_a_state_that_never_comes_back_after_a_rename_is_bad(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen, forward: Forward
) -> None:
    power = registered(hass)
    entry = add_entry(device("METER", point(power.id, "P")))
    hass.states.async_set("sensor.power", "1", POWER)
    await start(hass, entry)
    listener = await listen(entry)
    await listener.newest("P")
    er.async_get(hass).async_update_entity("sensor.power", new_entity_id="sensor.grid")
    hass.states.async_remove("sensor.power")
    await hass.async_block_till_done()
    forward(3)
    await listener.newest("P", lambda item: isnan(item.value))


async def test_a_changed_device_is_told_on_the_same_connection(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    entry = add_entry(device("METER", point("sensor.power", "P")))
    hass.states.async_set("sensor.power", "1", POWER)
    hass.states.async_set("sensor.more", "2", POWER)
    await start(hass, entry)
    listener = await listen(entry)
    await listener.newest("P")
    before = listener.detail("P")
    (subentry,) = entry.subentries.values()
    hass.config_entries.async_update_subentry(
        entry,
        subentry,
        data={
            **subentry.data,
            "points": [*subentry.data["points"], point("sensor.more", "MORE")],
        },
    )
    await listener.until(lambda: len(listener.metadata) > 1)
    assert (await listener.newest("MORE")).value == 2
    assert listener.detail("P") == before
    assert listener.detail("MORE").id == "HA:2"
    assert listener.detail("MORE").updated_on > before.updated_on
    hass.states.async_set("sensor.power", "3", POWER)
    await listener.newest("P", lambda item: item.value == 3)
    assert not listener.task.done()


async def test_a_number_is_never_given_twice(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    entry = add_entry(device("ONE", point("sensor.a", "A")), device("TWO", point("sensor.b", "B")))
    await start(hass, entry)
    _, two = entry.subentries.values()
    hass.config_entries.async_remove_subentry(entry, two.subentry_id)
    await hass.async_block_till_done()
    assert await hass.config_entries.async_reload(entry.entry_id)
    three = device("THREE", point("sensor.c", "C"))
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data=three["data"],  # type: ignore[arg-type]
            subentry_type=three["subentry_type"],
            title="THREE",
            unique_id=None,
        ),
    )
    await hass.async_block_till_done()
    listener = await listen(entry)
    assert {detail.point_tag: detail.id for detail in listener.metadata[-1].measurements} == {
        "ONE:A": "HA:1",
        "THREE:C": "HA:3",
    }


async def test_ids_outlive_a_reload_and_go_with_the_entry(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen, hass_storage: dict[str, Any]
) -> None:
    entry = add_entry(device("METER", point("sensor.a", "A")))
    await start(hass, entry)
    first = await listen(entry)
    assert await hass.config_entries.async_reload(entry.entry_id)
    second = await listen(entry)
    assert first.detail("A").signal_id == second.detail("A").signal_id
    assert first.detail("A").id == second.detail("A").id
    key = f"{DOMAIN}.sttp_numbers_{entry.entry_id}"
    assert hass_storage[key]["data"] == {"sensor.a": 1}
    await hass.config_entries.async_remove(entry.entry_id)
    assert key not in hass_storage


async def test_changed_connection_settings_are_a_reload(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    entry = add_entry(device("METER", point("sensor.a", "A")))
    await start(hass, entry)
    listener = await listen(entry)
    hass.config_entries.async_update_entry(entry, data={**entry.data, "max_subscribers": 1})
    await listener.until(listener.task.done)
    await hass.async_block_till_done()
    await listen(entry)
    refused = Listener(entry.data["port"])
    await refused.until(refused.task.done)
    assert isinstance(refused.task.exception(), OSError)


async def test_the_figures_show_who_is_there(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen, forward: Forward
) -> None:
    entry = add_entry(device("METER", point("sensor.power", "P")))
    hass.states.async_set("sensor.power", "1", POWER)
    await start(hass, entry)
    assert _figure(hass, "subscribers") == "0"
    listener = await listen(entry)
    await listener.newest("P")
    forward(6)
    await hass.async_block_till_done()
    assert _figure(hass, "subscribers") == "1"
    assert float(_figure(hass, "data")) > 0
    assert _figure(hass, "dropped_subscribers") == "0"
    assert _figure(hass, "last_refusal") == "none"
    assert float(_figure(hass, "measurements_per_second")) >= 0
    diagnostics = await async_get_config_entry_diagnostics(hass, entry)
    assert diagnostics["link"]["signals"] == {"METER": 1}
    assert diagnostics["link"]["quality"] == {"good": 1, "stale": 0, "bad": 0}
    (subscriber,) = diagnostics["link"]["subscribers"]
    assert subscriber["signals"] == 1


def _figure(hass: HomeAssistant, name: str) -> str:
    state = hass.states.get(f"sensor.sttp_{name}")
    assert state is not None
    return state.state


async def test_a_port_that_is_taken_is_tried_again_later(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry()
    await start(hass, entry)
    other = add_entry(port=entry.data["port"])
    assert not await hass.config_entries.async_setup(other.entry_id)
    assert other.state is ConfigEntryState.SETUP_RETRY
    assert other.error_reason_translation_key == "cannot_listen"
    assert await hass.config_entries.async_unload(entry.entry_id)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(minutes=2))
    await hass.async_block_till_done(wait_background_tasks=True)
    assert listening(other)


async def test_with_tls_a_subscriber_needs_a_certificate_where_one_is_asked(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    certificate, key = (str(path) for path in authority.sign("home"))
    ca = str(authority.ca_file)
    entry = add_entry(
        device("METER", point("sensor.power", "P")), certificate=certificate, key=key, client_ca=ca
    )
    await start(hass, entry)
    stranger = await listen(entry, tls=client_context(ca))
    assert isinstance(stranger.task.exception(), OSError)
    known = await listen(entry, tls=client_context(ca, certificate, key))
    await known.newest("P")


async def test_subscribers_that_are_given_are_dialled_over_tls(
    hass: HomeAssistant, add_entry: AddEntry, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    certificate, key = (str(path) for path in authority.sign("home"))
    theirs, their_key = (str(path) for path in authority.sign("historian"))
    arrived: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(
        lambda _, writer: arrived.put_nowait(writer),
        "127.0.0.1",
        0,
        ssl=server_context(theirs, their_key, str(authority.ca_file)),
    )
    der = ssl.PEM_cert_to_DER_cert(Path(theirs).read_text(encoding="ascii"))
    entry = add_entry(
        certificate=certificate,
        key=key,
        targets=[f"127.0.0.1:{server.sockets[0].getsockname()[1]}"],
        fingerprints=[sha256(der).hexdigest()],
    )
    await start(hass, entry)
    async with asyncio.timeout(10):
        writer = await arrived.get()
    # It shows its own certificate, too.
    assert writer.get_extra_info("peercert")["subject"] == ((("commonName", "home"),),)
    writer.close()
    assert await hass.config_entries.async_unload(entry.entry_id)
    server.close()


async def test_a_certificate_that_cannot_be_read_is_told(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry(certificate="/nowhere/certificate.pem")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.error_reason_translation_key == "certificate_file"


async def test_an_entry_that_is_removed_while_it_takes_a_change_over_leaves_nothing(
    hass: HomeAssistant, add_entry: AddEntry, hass_storage: dict[str, Any]
) -> None:
    hass.states.async_set("sensor.power", "1", POWER)
    entry = add_entry(device("ONE", point("sensor.power", "A")))
    await start(hass, entry)
    link, save = entry.runtime_data, Store.async_save

    async def slow_save(self: Store[Any], data: Any) -> None:
        await asyncio.sleep(0.1)
        await save(self, data)

    with patch.object(Store, "async_save", slow_save):
        added = device("TWO", point("sensor.gone", "G"))
        hass.config_entries.async_add_subentry(
            entry,
            ConfigSubentry(
                data=MappingProxyType(added["data"]),
                subentry_type=added["subentry_type"],
                title=added["title"],
                unique_id=None,
            ),
        )
        await asyncio.sleep(0.02)
        await hass.config_entries.async_remove(entry.entry_id)
        await hass.async_block_till_done()
    assert not link._values._unlisten
    assert not [key for key in hass_storage if entry.entry_id in key]
    assert ir.async_get(hass).issues == {}


async def test_whoever_looks_sees_the_commands_and_the_values(
    hass: HomeAssistant, add_entry: AddEntry, listen: Listen
) -> None:
    entry = add_entry(device("METER", point("sensor.power", "P")))
    hass.states.async_set("sensor.power", "1", POWER)
    await start(hass, entry)
    traffic = traffic_of(hass, entry.entry_id)
    traffic.watch()
    listener = await listen(entry)
    hass.states.async_set("sensor.power", "2", POWER)
    await listener.newest("P", lambda item: item.value == 2)
    told = {message.kind: message for message in traffic.messages.values()}
    assert told["SUBSCRIBE"].size > 0
    assert told["measurements"].body == '{"P":2.0}'
