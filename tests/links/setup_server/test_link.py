"""What clients can do with a server, and what users see of it."""

import asyncio
from datetime import UTC, datetime, timedelta
import json
import logging
from pathlib import Path
import socket
import ssl
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntryState, ConfigSubentry
from homeassistant.core import (
    Context,
    Event,
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockUser,
    async_capture_events,
    async_fire_time_changed,
)

from custom_components.grid_telemetry.commands.event import EVENT
from custom_components.grid_telemetry.connection.traffic import traffic_of
from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics
from custom_components.grid_telemetry.entities.diagnostic import UPDATE_INTERVAL
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES
from simulators.certificates import Authority
from tests.protocols.stomp.setup_client import LOGIN, SetupClient, login_headers

from .conftest import AddEntry, LogIn, command


@pytest.fixture
def meter(hass: HomeAssistant) -> str:
    """Return the id of a meter's device, one of our own with four quantities."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Line",
        data={CONF_KIND: "modbus"},
        subentries_data=[
            {"subentry_type": "meter", "title": "House", "unique_id": None, "data": {}}
        ],
    )
    entry.add_to_hass(hass)
    entry.mock_state(hass, ConfigEntryState.LOADED)
    (subentry,) = entry.subentries
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        config_subentry_id=subentry,
        identifiers={(DOMAIN, subentry)},
        name="House meter, L1",
    )
    for key, value in {
        "power": "-1520.5",
        "voltage_l1": "239.8",
        "energy_import": "6118.188",
        "energy_import_t1": "unavailable",
    }.items():
        quantity = QUANTITIES[key]
        entity = er.async_get(hass).async_get_or_create(
            "sensor",
            DOMAIN,
            f"{subentry}_{key}",
            config_entry=entry,
            config_subentry_id=subentry,
            device_id=device.id,
            translation_key=key,
            capabilities={"state_class": quantity.state_class},
            unit_of_measurement=quantity.unit,
            original_device_class=quantity.device_class,
            suggested_object_id=f"meter_{key}",
        )
        hass.states.async_set(entity.entity_id, value, {"unit_of_measurement": quantity.unit})
    return device.id


def stamp(hass: HomeAssistant, *entity_ids: str) -> str:
    """Return the time of the latest of some states as a datum has it."""
    latest = max(hass.states.get(each).last_reported_timestamp for each in entity_ids)
    at = datetime.fromtimestamp(latest, UTC)
    fraction = f".{at.microsecond // 1000:03}".rstrip("0").rstrip(".")
    return f"{at:%Y-%m-%d %H:%M:%S}{fraction}Z"


async def test_a_meter_is_a_source_without_being_chosen(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn, meter: str
) -> None:
    client = await log_in(add_entry())
    reply = await client.ask("/setup/datum/latest", {"request-id": "1"})
    assert (reply.headers["status"], reply.headers["request-id"]) == ("200", "1")
    assert reply.headers["content-type"] == "application/json;charset=utf-8"
    keys = ("power", "voltage_l1", "energy_import")
    created = stamp(hass, *(f"sensor.meter_{key}" for key in keys))
    assert reply.body.decode() == (
        f'[{{"created":"{created}","sourceId":"House meter L1",'
        '"i":{"watts":-1520.5,"voltage_a":239.8},"a":{"wattHours":6118188}}]'
    )


async def test_the_source_id_of_a_meter_can_be_chosen(
    add_entry: AddEntry, log_in: LogIn, meter: str
) -> None:
    entry = add_entry(sources=[{"device": meter, "source_id": "/HA/METER/1"}])
    reply = await (await log_in(entry)).ask("/setup/datum/latest")
    assert [datum["sourceId"] for datum in json.loads(reply.body)] == ["/HA/METER/1"]


@pytest.mark.parametrize(
    ("body", "sources"),
    [
        ("", ["/HA/METER/1", "Other"]),
        ("[]", ["/HA/METER/1", "Other"]),
        ('["/HA/**"]', ["/HA/METER/1"]),
        ('["Oth?r", "/HA/*/2"]', ["Other"]),
        ("Other,/HA/METER/*", ["/HA/METER/1", "Other"]),
        (" Other ", ["Other"]),
        ('["other", "/ha/meter/?"]', ["/HA/METER/1", "Other"]),
        ("OTHER", ["Other"]),
        # What is no array is a list with commas.
        ('["Other"', []),
        ("[,Other", ["Other"]),
        ("nothing", []),
    ],
)
async def test_sources_can_be_filtered(
    hass: HomeAssistant,
    add_entry: AddEntry,
    log_in: LogIn,
    meter: str,
    other: str,
    body: str,
    sources: list[str],
) -> None:
    entry = add_entry(
        sources=[
            {"device": meter, "source_id": "/HA/METER/1"},
            {"device": other, "source_id": "Other"},
            {"device": "gone", "source_id": "Gone"},
        ]
    )
    reply = await (await log_in(entry)).ask("/setup/datum/latest", body=body)
    assert [datum["sourceId"] for datum in json.loads(reply.body)] == sources


@pytest.mark.parametrize(
    ("body", "status"), [("[1]", "200"), ("[" * 100_000, "200"), (",".join("x" * 200), "422")]
)
async def test_a_filter_may_be_anything_but_endless(
    add_entry: AddEntry, log_in: LogIn, body: str, status: str
) -> None:
    client = await log_in(add_entry(max_body_bytes=1_000_000))
    reply = await client.ask("/setup/datum/latest", body=body)
    assert reply.headers["status"] == status


@pytest.fixture
def other(hass: HomeAssistant) -> str:
    """Return the id of a device of another integration."""
    entry = MockConfigEntry(domain="other")
    entry.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("other", "1")}, name="Battery"
    )
    for name, device_class, unit, state_class, value in (
        ("Power", "power", "kW", "measurement", "1.5"),
        ("Power in", "power", "W", "measurement", "20"),
        ("Charged", "energy", "kWh", "total_increasing", "2.5"),
        ("Discharged energy", "energy", "kWh", "total_increasing", "1.25"),
        ("Charge", "battery", "%", "measurement", "81"),
        ("charge", "battery", "%", "measurement", "82"),
        ("Odd voltage", "voltage", "furlongs", "measurement", "1"),
        ("Name", None, None, None, "text"),
    ):
        entity = er.async_get(hass).async_get_or_create(
            "sensor",
            "other",
            f"{name} {value}",
            config_entry=entry,
            device_id=device.id,
            original_name=name,
            original_device_class=device_class,
            unit_of_measurement=unit,
            capabilities=state_class and {"state_class": state_class},
        )
        hass.states.async_set(entity.entity_id, value, {"unit_of_measurement": unit})
    return device.id


async def test_a_device_of_another_integration_can_be_a_source(
    add_entry: AddEntry, log_in: LogIn, other: str
) -> None:
    entry = add_entry(sources=[{"device": other, "source_id": "B"}])
    reply = await (await log_in(entry)).ask("/setup/datum/latest")
    (datum,) = json.loads(reply.body)
    assert datum["i"] == {
        "watts": 1500,
        "powerIn": 20,
        "charge": 81,
        "charge_2": 82,
        "oddVoltage": 1,
    }
    assert datum["a"] == {"wattHours": 2500, "dischargedEnergy": 1.25}


async def test_new_meters_become_sources_and_silent_ones_have_no_datum(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn, request: pytest.FixtureRequest
) -> None:
    client = await log_in(add_entry())
    assert (await client.ask("/setup/datum/latest")).body == b"[]"
    device_id = request.getfixturevalue("meter")
    await hass.async_block_till_done()
    assert len(json.loads((await client.ask("/setup/datum/latest")).body)) == 1
    for entity in er.async_entries_for_device(er.async_get(hass), device_id):
        hass.states.async_set(entity.entity_id, "unavailable")
    assert (await client.ask("/setup/datum/latest")).body == b"[]"


async def test_meters_of_the_same_name_have_different_ids(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn, meter: str
) -> None:
    (entry,) = (entry for entry in hass.config_entries.async_entries(DOMAIN))
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(data={}, subentry_type="meter", title="Twin", unique_id=None),
    )
    subentry = list(entry.subentries)[1]
    twin = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id,
        config_subentry_id=subentry,
        identifiers={(DOMAIN, subentry)},
        name="House meter L1",
    )
    er.async_get(hass).async_get_or_create(
        "sensor",
        DOMAIN,
        f"{subentry}_power",
        config_entry=entry,
        config_subentry_id=subentry,
        device_id=twin.id,
        translation_key="power",
        capabilities={"state_class": "measurement"},
        unit_of_measurement="W",
        suggested_object_id="twin",
    )
    hass.states.async_set("sensor.twin", "7", {"unit_of_measurement": "W"})
    reply = await (await log_in(add_entry())).ask("/setup/datum/latest")
    assert {datum["sourceId"]: datum["i"]["watts"] for datum in json.loads(reply.body)} == {
        "House meter L1": -1520.5,
        "House meter L1 2": 7,
    }


async def test_live_datum(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn, meter: str
) -> None:
    client = await log_in(add_entry(sources=[{"device": meter, "source_id": "M"}]))
    client.send(
        "SUBSCRIBE",
        {"id": "live", "destination": "/setup/datum/live", "source-id": "M", "properties": "watts"},
    )
    first = await client.read()
    assert json.loads(first.body)["watts"] == -1520.5
    hass.states.async_set("sensor.meter_power", "11", {"unit_of_measurement": "W"})
    assert json.loads((await client.read()).body)["watts"] == 11


async def test_identity(add_entry: AddEntry, log_in: LogIn, hass: HomeAssistant) -> None:
    reply = await (await log_in(add_entry())).ask("/setup/identity")
    assert json.loads(reply.body).keys() == {"name", "version"}
    assert json.loads(reply.body)["name"] == hass.config.location_name


async def test_the_identity_has_the_id_of_the_node(add_entry: AddEntry, log_in: LogIn) -> None:
    reply = await (await log_in(add_entry(node_id=123))).ask("/setup/identity")
    assert json.loads(reply.body)["nodeId"] == 123


async def test_ping_tells_whether_all_connections_work(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    client = await log_in(add_entry())
    reply = await client.ask("/setup/network/ping")
    assert (reply.headers["status"], reply.body) == ("200", b"")
    assert reply.headers["message"] == "1 of 1 connections work."
    other = MockConfigEntry(domain=DOMAIN, title="Scout", data={CONF_KIND: "scout"})
    other.add_to_hass(hass)
    reply = await client.ask("/setup/network/ping")
    assert (reply.headers["status"], reply.body) == ("200", b"-1")
    assert reply.headers["message"] == "Not working: Scout."
    entity = er.async_get(hass).async_get_or_create(
        "binary_sensor", DOMAIN, "connected", config_entry=other
    )
    other.mock_state(hass, ConfigEntryState.LOADED)
    for state, body in (("on", b""), ("off", b"-1"), ("unavailable", b"-1")):
        hass.states.async_set(entity.entity_id, state, {"device_class": "connectivity"})
        assert (await client.ask(f"/setup/network/ping/{other.entry_id}")).body == body
    reply = await client.ask("/setup/network/ping/unknown")
    assert reply.headers["status"] == "404"
    other.mock_state(hass, ConfigEntryState.NOT_LOADED)


async def test_wifi_is_only_looked_at(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    client = await log_in(add_entry())
    adapters = [
        {"name": "eth0", "ipv4": [{"address": "192.0.2.1"}], "ipv6": []},
        {"name": "wlan0", "ipv4": [{"address": "192.0.2.7"}], "ipv6": [{"address": "fe80::1"}]},
    ]
    with patch(
        "custom_components.grid_telemetry.commands.built_in.network.async_get_adapters",
        return_value=adapters,
    ):
        reply = await client.ask("/setup/network/wifi")
    assert reply.body == b'{"active":true,"addresses":["192.0.2.7","fe80::1"]}'
    reply = await client.ask("/setup/network/wifi", {"ssid": "x", "password": "y"})
    assert reply.headers["status"] == "422"


@pytest.mark.parametrize(
    ("destination", "option", "action"),
    [
        ("/system/restart", "allow_restart", ("homeassistant", "restart")),
        ("/system/reboot", "allow_reboot", ("hassio", "host_reboot")),
    ],
)
async def test_a_restart_needs_to_be_allowed(
    hass: HomeAssistant,
    add_entry: AddEntry,
    log_in: LogIn,
    destination: str,
    option: str,
    action: tuple[str, str],
) -> None:
    called = asyncio.Event()
    calls: list[ServiceCall] = []

    @callback
    def take(call: ServiceCall) -> None:
        calls.append(call)
        called.set()

    hass.services.async_register(*action, take)
    reply = await (await log_in(add_entry())).ask(destination)
    assert (reply.headers["status"], calls) == ("422", [])
    reply = await (await log_in(add_entry(**{option: True}))).ask(destination)
    assert reply.headers["status"] == "200"
    async with asyncio.timeout(10):
        await called.wait()
    assert len(calls) == 1


async def test_a_machine_that_cannot_be_rebooted(add_entry: AddEntry, log_in: LogIn) -> None:
    reply = await (await log_in(add_entry(allow_reboot=True))).ask("/system/reboot")
    assert reply.headers["status"] == "422"
    assert reply.headers["message"] == "Home Assistant cannot reboot this machine."


async def test_there_is_no_reset(add_entry: AddEntry, log_in: LogIn) -> None:
    reply = await (await log_in(add_entry(allow_reboot=True, allow_restart=True))).ask(
        "/system/reset"
    )
    assert reply.headers["status"] == "422"


@pytest.fixture
async def scripts(hass: HomeAssistant) -> None:
    """Set scripts up that answer."""
    assert await async_setup_component(
        hass,
        "script",
        {
            "script": {
                "tea": {
                    "sequence": [
                        {
                            "variables": {
                                "answer": {
                                    "status_code": "{{ 418 if headers.kind == 'coffee' else 200 }}",
                                    "message": "{{ destination }}",
                                    "result": {"arg": "{{ arg }}", "sugar": "{{ sugar }}"},
                                }
                            }
                        },
                        {"stop": "served", "response_variable": "answer"},
                    ]
                },
                "silent": {"sequence": []},
                "slow": {"sequence": [{"wait_template": "{{ false }}"}]},
                "broken": {"sequence": [{"action": "script.not_there"}]},
                "closed": {
                    "sequence": [{"condition": "template", "value_template": "{{ false }}"}]
                },
                "refusing": {"sequence": [{"stop": "The boiler is off.", "error": True}]},
                "outer": {"sequence": [{"sequence": [{"stop": "Not now.", "error": True}]}]},
                "single": {"sequence": [{"wait_template": "{{ false }}", "timeout": 5}]},
                "parallel": {
                    "mode": "parallel",
                    "max": 2,
                    "sequence": [{"wait_template": "{{ false }}", "timeout": 5}],
                },
                "long": {"sequence": [{"delay": 5}, {"delay": 5}]},
            }
        },
    )


@pytest.mark.usefixtures("scripts")
async def test_a_command_of_ones_own_runs_a_script(add_entry: AddEntry, log_in: LogIn) -> None:
    client = await log_in(add_entry(command("/tea/*", "script.tea", data={"sugar": "two"})))
    reply = await client.ask("/tea/order", {"kind": "coffee"}, "as it is")
    assert (reply.headers["status"], reply.headers["message"]) == ("418", "/tea/order")
    assert json.loads(reply.body) == {"arg": "as it is", "sugar": "two"}


@pytest.mark.usefixtures("scripts")
async def test_a_script_without_an_answer_is_a_success(add_entry: AddEntry, log_in: LogIn) -> None:
    reply = await (await log_in(add_entry(command("/x", "script.silent")))).ask("/x")
    assert (reply.headers["status"], reply.body) == ("200", b"")


@pytest.mark.usefixtures("scripts")
async def test_what_a_script_raises_is_the_message(
    add_entry: AddEntry, log_in: LogIn, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await (await log_in(add_entry(command("/x", "script.broken")))).ask("/x")
    assert reply.headers["status"] == "500"
    assert "script.not_there" in reply.headers["message"]


_CONDITION = "The script broke off: a condition of it is not met, or it stopped with an error."


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize(
    ("script", "status", "message"),
    [
        ("closed", "422", _CONDITION),
        ("refusing", "422", "The boiler is off."),
        ("outer", "422", "Not now."),
    ],
)
async def test_a_script_that_breaks_off_has_not_done_it(
    add_entry: AddEntry, log_in: LogIn, script: str, status: str, message: str
) -> None:
    client = await log_in(
        add_entry(command("/x", f"script.{script}"), command("/y", "script.silent"))
    )
    reply = await client.ask("/x")
    assert (reply.headers["status"], reply.headers["message"]) == (status, message)
    # What became of one run is not said of the next.
    assert (await client.ask("/y")).headers["status"] == "200"


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize(
    ("script", "times", "message"),
    [
        ("single", 2, "The script is running already."),
        ("parallel", 3, "The script is running as often as it may at the same time."),
    ],
)
async def test_a_script_that_is_busy_has_not_run(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn, script: str, times: int, message: str
) -> None:
    client = await log_in(add_entry(command("/x", f"script.{script}")))
    for _ in range(times - 1):
        client.send("SEND", {"destination": "/x"})
    reply = await client.ask("/x")
    assert (reply.headers["status"], reply.headers["message"]) == ("500", message)
    await hass.services.async_call("script", "turn_off", {"entity_id": f"script.{script}"})


@pytest.mark.usefixtures("scripts")
async def test_a_script_that_somebody_stops_has_not_done_it(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    client = await log_in(add_entry(command("/x", "script.long")))
    client.send("SEND", {"destination": "/x"})
    async with asyncio.timeout(10):
        while hass.states.get("script.long").state != "on":
            await asyncio.sleep(0.01)
    await hass.services.async_call("script", "turn_off", {"entity_id": "script.long"})
    reply = await client.read()
    assert (reply.headers["status"], reply.headers["message"]) == ("500", "The script was stopped.")


@pytest.mark.usefixtures("scripts")
async def test_a_status_that_is_no_number_is_the_scripts_fault(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    async def answer(_: ServiceCall) -> ServiceResponse:
        return {"status_code": "fine"}

    hass.services.async_register("house", "look", answer, supports_response=SupportsResponse.ONLY)
    reply = await (await log_in(add_entry(command("/look", "house.look")))).ask("/look")
    assert reply.headers["status"] == "500"
    assert reply.headers["message"] == "status_code is no number: 'fine'"


@pytest.mark.usefixtures("scripts")
async def test_a_command_has_a_time_limit(add_entry: AddEntry, log_in: LogIn) -> None:
    entry = add_entry(command("/x", "script.slow", time_limit_s=1))
    reply = await (await log_in(entry)).ask("/x")
    assert reply.headers["status"] == "500"
    assert reply.headers["message"] == "Not finished within 1 s."


async def test_the_data_of_other_actions_may_have_templates(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    hass.states.async_set("input_boolean.boost", "off")
    await async_setup_component(
        hass, "input_number", {"input_number": {"level": {"min": 0, "max": 99}}}
    )
    client = await log_in(
        add_entry(
            command(
                "/level",
                "input_number.set_value",
                data={"value": "{{ headers.level }}"},
                target={"entity_id": "input_number.level"},
            )
        )
    )
    assert (await client.ask("/level", {"level": "42"})).headers["status"] == "200"
    assert hass.states.get("input_number.level").state == "42.0"
    for level, why in (("many", "float"), ("100", "Invalid value")):
        reply = await client.ask("/level", {"level": level})
        assert reply.headers["status"] == "422"
        assert why in reply.headers["message"]


async def test_an_action_that_answers_otherwise_is_itself_the_result(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    async def answer(call: ServiceCall) -> ServiceResponse:
        return {"seen": sorted(call.data), "at": dt_util.utc_from_timestamp(0)}  # type: ignore[dict-item]

    hass.services.async_register("house", "look", answer, supports_response=SupportsResponse.ONLY)
    client = await log_in(add_entry(command("/look", "house.look", data={"a": 1})))
    reply = await client.ask("/look")
    assert json.loads(reply.body) == {
        "seen": ["a", "arg", "destination", "headers"],
        "at": "1970-01-01T00:00:00+00:00",
    }


async def test_a_result_that_json_has_not_is_an_error(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    async def answer(_: ServiceCall) -> ServiceResponse:
        return {"result": object()}  # type: ignore[dict-item]

    hass.services.async_register("house", "look", answer, supports_response=SupportsResponse.ONLY)
    reply = await (await log_in(add_entry(command("/look", "house.look")))).ask("/look")
    assert reply.headers["status"] == "500"
    assert reply.headers["message"].startswith("Error encoding message body as JSON: ")


async def test_only_what_is_configured_can_be_called(add_entry: AddEntry, log_in: LogIn) -> None:
    client = await log_in(add_entry(command("/a/**", "homeassistant.check_config")))
    for destination in ("/homeassistant/restart", "/script/tea", "/setup/datum/live"):
        reply = await client.ask(destination)
        assert (reply.headers["status"], reply.body) == ("404", b"")


async def test_every_command_is_told_without_its_secrets(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    entry = add_entry()
    events: list[Event] = async_capture_events(hass, EVENT)
    client = await log_in(entry)
    await client.ask("/x", {"Wifi-Password": "hidden", "ssid": "shown"}, "a hidden body")
    (event,) = events
    assert event.data == {
        "config_entry_id": entry.entry_id,
        "origin": "setup_server",
        "destination": "/x",
        "headers": {"Wifi-Password": "**", "ssid": "shown"},
        "status": 404,
        "message": None,
    }


@pytest.mark.usefixtures("scripts")
async def test_the_action_runs_the_same_commands(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    entry = add_entry(command("/tea", "script.tea"))
    assert await hass.config_entries.async_setup(entry.entry_id)
    events: list[Event] = async_capture_events(hass, EVENT)
    response = await hass.services.async_call(
        DOMAIN,
        "setup_command",
        {
            "destination": "/tea",
            "headers": {"kind": "green"},
            "body": "arg",
            "config_entry_id": entry.entry_id,
        },
        blocking=True,
        return_response=True,
    )
    assert response == {
        "status": 200,
        "message": "/tea",
        "result": {"arg": "arg", "sugar": ""},
    }
    assert [event.data["origin"] for event in events] == ["action"]
    response = await hass.services.async_call(
        DOMAIN, "setup_command", {"destination": "/coffee"}, blocking=True, return_response=True
    )
    assert response == {"status": 404, "message": None, "result": None}


async def test_commands_are_taken_over_without_disturbing_clients(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    entry = add_entry()
    client = await log_in(entry)
    assert (await client.ask("/x")).headers["status"] == "404"

    async def answer(_: ServiceCall) -> None:
        """Do nothing."""

    hass.services.async_register("house", "look", answer)
    hass.config_entries.async_add_subentry(
        entry,
        ConfigSubentry(
            data={"destination": "/x", "action": {"action": "house.look"}, "time_limit_s": 5},
            subentry_type="command",
            title="/x",
            unique_id=None,
        ),
    )
    await hass.async_block_till_done()
    assert (await client.ask("/x")).headers["status"] == "200"


async def test_a_changed_password_ends_the_clients(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    entry = add_entry()
    client = await log_in(entry)
    other = "$2a$04$ZekxbChxk.UsG.M91Laf2O" + "x" * 31
    hass.config_entries.async_update_entry(entry, data={**entry.data, "password_hash": other})
    await hass.async_block_till_done()
    await client.closed()
    again = await SetupClient.connect(entry.data["port"])
    again.send("CONNECT", {"login": LOGIN})
    await again.read()
    again.send("SEND", login_headers())
    assert await again.error() == "Authorization deined: invalid signature."
    await again.close()


async def test_a_log_in_that_was_overheard_is_not_good_after_a_reload(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    entry = add_entry()
    assert await hass.config_entries.async_setup(entry.entry_id)
    old = login_headers(at=datetime.fromtimestamp(datetime.now(UTC).timestamp() - 5, UTC))

    async def replay() -> SetupClient:
        client = await SetupClient.connect(entry.data["port"])
        client.send("CONNECT", {"login": LOGIN})
        await client.read()
        client.send("SEND", old)
        return client

    client = await replay()
    client.send("SUBSCRIBE", {"id": "0", "destination": "/x", "receipt": "in"})
    assert (await client.read()).command == "RECEIPT"
    await client.close()
    await hass.config_entries.async_reload(entry.entry_id)
    assert await (await replay()).error() == "Authorization deined: invalid signature."


async def test_log_ins_are_remembered_over_a_restart(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn, hass_storage: dict[str, Any]
) -> None:
    entry = add_entry()
    await log_in(entry)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=2))
    await hass.async_block_till_done()
    key = f"{DOMAIN}.setup_logins_{entry.entry_id}"
    assert len(hass_storage[key]["data"]) == 1
    assert await hass.config_entries.async_remove(entry.entry_id)
    assert key not in hass_storage


async def test_a_removed_entry_leaves_no_log_ins_that_are_about_to_be_saved(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn, hass_storage: dict[str, Any]
) -> None:
    entry = add_entry()
    await log_in(entry)
    assert await hass.config_entries.async_remove(entry.entry_id)
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=60))
    await hass.async_block_till_done()
    assert f"{DOMAIN}.setup_logins_{entry.entry_id}" not in hass_storage


async def test_unloading_gives_the_port_back(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    entry = add_entry()
    client = await log_in(entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await client.closed()
    with socket.create_server(("127.0.0.1", entry.data["port"])):
        pass
    assert await hass.config_entries.async_remove(entry.entry_id)


async def test_a_port_in_use_is_tried_again(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry()
    with socket.create_server(("127.0.0.1", entry.data["port"])):
        await hass.config_entries.async_setup(entry.entry_id)
        assert entry.state is ConfigEntryState.SETUP_RETRY
    assert "address already in use" in entry.reason.lower()


async def test_a_certificate_that_is_gone_is_told(hass: HomeAssistant, add_entry: AddEntry) -> None:
    entry = add_entry(certificate="/nowhere.pem")
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY


async def test_the_server_speaks_tls(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("home")
    client = await log_in(
        add_entry(certificate=str(certificate), key=str(key)),
        tls=await hass.async_add_executor_job(
            lambda: ssl.create_default_context(cafile=authority.ca_file)
        ),
    )
    assert (await client.ask("/setup/identity")).headers["status"] == "200"


async def test_figures_tell_what_goes_on(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    client = await log_in(add_entry())
    await client.ask("/x")
    stranger = await SetupClient.connect(hass.config_entries.async_entries(DOMAIN)[0].data["port"])
    stranger.send("CONNECT", {"login": "x" * 300})
    await stranger.error()
    async_fire_time_changed(hass, dt_util.utcnow() + UPDATE_INTERVAL)
    await hass.async_block_till_done()
    assert hass.states.get("sensor.setup_clients").state in {"1", "2"}
    assert hass.states.get("sensor.setup_commands").state == "1"
    assert hass.states.get("sensor.setup_refused").state == "1"
    assert hass.states.get("sensor.setup_last_refusal").state == "127.0.0.1: Unauthorized."


async def test_a_figure_is_no_longer_than_a_state_can_be(
    hass: HomeAssistant, add_entry: AddEntry
) -> None:
    entry = add_entry()
    assert await hass.config_entries.async_setup(entry.entry_id)
    entry.runtime_data._server.health.last_refusal = "x" * 300
    async_fire_time_changed(hass, dt_util.utcnow() + UPDATE_INTERVAL)
    await hass.async_block_till_done()
    assert hass.states.get("sensor.setup_last_refusal").state == "x" * 255


async def test_no_secret_is_in_diagnostics_or_logs(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    entry = add_entry()
    client = await log_in(entry)
    await client.ask("/x", {"password": "hidden header"}, "hidden body")
    wrong = await SetupClient.connect(entry.data["port"])
    wrong.send("CONNECT", {"login": LOGIN})
    await wrong.read()
    headers = login_headers("$2a$04$another")
    wrong.send("SEND", headers)
    await wrong.error()
    diagnostics = await async_get_config_entry_diagnostics(hass, entry)
    assert diagnostics["link"]["commands"] == 1
    shown = json.dumps(diagnostics) + caplog.text
    signature = headers["authorization"].rpartition("=")[2]
    for secret in (entry.data["password_hash"], signature, "hidden header", "hidden body"):
        assert secret not in shown


async def test_a_command_may_reload_its_own_entry(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn
) -> None:
    assert await async_setup_component(hass, "homeassistant", {})
    entry = add_entry(
        command(
            "/reload",
            "homeassistant.reload_config_entry",
            data={"entry_id": "{{ headers.entry }}"},
        )
    )
    client = await log_in(entry)
    before = entry.runtime_data
    client.send("SEND", {"destination": "/reload", "entry": entry.entry_id})
    await client.closed()
    async with asyncio.timeout(10):
        while entry.state is not ConfigEntryState.LOADED or entry.runtime_data is before:
            await asyncio.sleep(0.01)
    assert (await (await log_in(entry)).ask("/setup/identity")).headers["status"] == "200"


async def test_an_action_that_nobody_waits_for_ends_in_the_log(
    hass: HomeAssistant,
    add_entry: AddEntry,
    log_in: LogIn,
    caplog: pytest.LogCaptureFixture,
) -> None:
    go_on = asyncio.Event()

    async def fail(_: ServiceCall) -> None:
        await go_on.wait()
        raise HomeAssistantError("the boiler is off")

    hass.services.async_register("test", "fail", fail)
    entry = add_entry(command("/x", "test.fail"))
    client = await log_in(entry)
    client.send("SEND", {"destination": "/x"})
    await client.ask("/setup/identity")
    assert await hass.config_entries.async_unload(entry.entry_id)
    go_on.set()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert "setup command /x failed when nobody waited for it: the boiler is off" in caplog.text


async def test_only_administrators_may_run_setup_commands(
    hass: HomeAssistant, add_entry: AddEntry, hass_read_only_user: MockUser
) -> None:
    entry = add_entry(allow_restart=True)
    assert await hass.config_entries.async_setup(entry.entry_id)
    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            DOMAIN,
            "setup_command",
            {"destination": "/system/restart"},
            blocking=True,
            return_response=True,
            context=Context(user_id=hass_read_only_user.id),
        )


async def test_whoever_looks_sees_a_command_and_its_reply(
    hass: HomeAssistant, add_entry: AddEntry, log_in: LogIn, meter: str
) -> None:
    entry = add_entry()
    client = await log_in(entry)
    traffic = traffic_of(hass, entry.entry_id)
    traffic.watch()
    await client.ask("/setup/datum/latest", {"request-id": "1"})
    [asked, answered] = traffic.messages.values()
    assert (asked.direction, asked.kind) == ("in", "/setup/datum/latest")
    assert asked.confirmed_s is not None
    assert (answered.direction, answered.about) == ("out", "200")
