"""A Powernaut entry that runs: what goes out, what comes in, what the user sees of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
import itertools
from typing import Any
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.diagnostics import REDACTED
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er, issue_registry as ir
from homeassistant.helpers.storage import Store
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.grid_telemetry.connection.errors import (
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
)
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import async_get_config_entry_diagnostics

from .conftest import (
    AddEntry,
    FakeApi,
    FakeBroker,
    battery_subentry,
    meter_subentry,
    site_subentry,
    solar_subentry,
)
from .samples import BATTERY_ID, SITE_ID, SOLAR_ID, listed, resource, site, solar

NOON = 1_772_366_400
BATTERY = f"resource/{BATTERY_ID}/data"
SOLAR = f"resource/{SOLAR_ID}/data"
SITE = f"site/{SITE_ID}/data"


@pytest.fixture(autouse=True)
def at_noon(freezer: FrozenDateTimeFactory) -> None:
    freezer.move_to("2026-03-01T12:00:00.1Z")


def measure(hass: HomeAssistant, name: str, value: object, unit: str = "W") -> None:
    hass.states.async_set(f"sensor.{name}", str(value), {"unit_of_measurement": unit})


def measure_all(hass: HomeAssistant) -> None:
    measure(hass, "grid", 1.25, "kW")
    measure(hass, "battery", -2500)
    measure(hass, "charge", 81.5, "%")
    measure(hass, "solar", 3000.4)


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await settle(hass)


async def settle(hass: HomeAssistant) -> None:
    """Let everything run that can, background tasks included."""
    for _ in range(3):
        await asyncio.sleep(0)
        await hass.async_block_till_done()


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    """Let time pass, every timer on its time."""
    while seconds > 0:
        freezer.tick(min(1, seconds))
        seconds -= 1
        async_fire_time_changed(hass)
        await settle(hass)


async def next_slot(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    measure_all(hass)
    await pass_time(hass, freezer, 4)


def state(hass: HomeAssistant, entity_id: str) -> str:
    found = hass.states.get(entity_id)
    assert found is not None
    return found.state


def issues(hass: HomeAssistant) -> set[str]:
    return {
        issue.translation_key or ""
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN and issue.active
    }


async def test_every_slot_has_a_message_for_the_site_and_each_resource(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await start(hass, add_entry(site_subentry(), battery_subentry(), solar_subentry()))
    for _ in range(3):
        await next_slot(hass, freezer)
    session = broker.session
    assert session.of(SITE) == [{"value": 1250, "time": NOON + slot} for slot in (0, 4, 8)]
    assert session.of(BATTERY) == [
        {"value": -2500, "soc": 8150, "time": NOON + slot} for slot in (0, 4, 8)
    ]
    assert session.of(SOLAR) == [{"value": -3000, "time": NOON + slot} for slot in (0, 4, 8)]
    assert len(session.sent) == 9


async def test_points_are_tried_with_the_next_slot(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    entry = add_entry(site_subentry(), battery_subentry())
    await start(hass, entry)
    measure(hass, "grid", 1.25, "kW")
    measure(hass, "battery", "unavailable")
    trying = hass.async_create_background_task(entry.runtime_data.async_try_points(), "try")
    measure(hass, "grid", 1.25, "kW")
    await pass_time(hass, freezer, 12)
    told = await trying
    site, battery = told.values()
    assert [(each.outcome, each.value) for each in site] == [("taken", 1250)]
    assert [each.outcome for each in battery] == ["no_value", "no_value"]


async def test_the_connection_has_a_name_of_its_own_that_it_keeps(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    entry = add_entry(qos=2)
    await start(hass, entry)
    await hass.config_entries.async_reload(entry.entry_id)
    await settle(hass)
    [(login, name, qos), (_, again, _)] = broker.logins
    assert (login.host, login.port, login.key, login.secret) == (
        "mqtt.powernaut.io",
        8883,
        "key",
        "secret",
    )
    assert qos == 2
    assert name == again
    assert name.isalnum()
    assert len(name) <= 23
    assert entry.entry_id.endswith(name.removeprefix("gt"))


@pytest.mark.parametrize("value", ["unknown", "unavailable", "nan", "inf", "5e12", "much"])
async def test_what_is_no_power_is_skipped_and_counted(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
    value: str,
) -> None:
    entry = add_entry(battery_subentry(), solar_subentry())
    await start(hass, entry)
    measure_all(hass)
    measure(hass, "battery", value)
    await pass_time(hass, freezer, 4)
    assert broker.session.of(BATTERY) == []
    assert len(broker.session.of(SOLAR)) == 1
    diagnostics = entry.runtime_data.diagnostics()
    assert sum([*diagnostics["sampler"]["skipped"].values(), *diagnostics["skipped"].values()]) == 1


async def test_a_value_that_is_not_measured_anew_keeps_its_time_and_then_ends(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    entry = add_entry(solar_subentry(max_age_s=10))
    await start(hass, entry)
    measure(hass, "solar", 5)
    await pass_time(hass, freezer, 20)
    assert broker.session.of(SOLAR) == [{"value": -5, "time": NOON}] * 2
    assert entry.runtime_data.diagnostics()["skipped"] == {"stale": 3}


async def test_while_disconnected_less_than_a_minute_is_kept(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    entry = add_entry(solar_subentry())
    await start(hass, entry)
    await next_slot(hass, freezer)
    assert state(hass, "binary_sensor.powernaut_home_connected") == "on"
    broker.error = ConnectionFailed("cannot_connect")
    broker.session.end(ConnectionFailed("connection_lost"))
    for _ in range(30):
        await next_slot(hass, freezer)
    assert state(hass, "binary_sensor.powernaut_home_connected") == "off"
    assert state(hass, "sensor.powernaut_home_queued") == "13"
    dropped = entry.runtime_data.health.dropped
    broker.error = None
    while len(broker.sessions) < 2:
        await next_slot(hass, freezer)
    [array, *_] = broker.session.of(SOLAR)
    now = int(freezer.time_to_freeze.timestamp())
    assert isinstance(array, list)
    assert min(element["time"] for element in array) >= now - 55 - 4  # sent during the last slot
    assert [later["time"] - earlier["time"] for earlier, later in itertools.pairwise(array)] == [
        4
    ] * (len(array) - 1)
    health = entry.runtime_data.health
    assert health.dropped >= dropped == 17
    assert (health.queued, health.last_error) == (0, "cannot_connect")


def command(start: str, end: str, watts: float | None) -> dict[str, Any]:
    return {
        "timing": {"start": f"2026-03-01T{start}Z", "end": f"2026-03-01T{end}Z"},
        "value": watts,
    }


COMMANDS = f"resource/{BATTERY_ID}/commands/setpoint"
SETPOINT = "sensor.home_battery_setpoint"
ACTIVATION = "binary_sensor.home_battery_activation"
EVENT = "event.home_battery_command"


async def receive(hass: HomeAssistant, broker: FakeBroker, payload: bytes | dict[str, Any]) -> None:
    broker.session.receive(COMMANDS, payload)
    await settle(hass)


def setpoint(hass: HomeAssistant) -> tuple[str, str]:
    """Return the setpoint and whether an activation is in force, which have to agree."""
    return state(hass, SETPOINT), state(hass, ACTIVATION)


BASELINE = ("unknown", "off")


async def test_commands_are_asked_for_except_those_of_meters(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    await start(hass, add_entry(site_subentry(), battery_subentry(), meter_subentry()))
    assert broker.session.subscribed == [COMMANDS]
    assert hass.states.get("sensor.sub_meter_setpoint") is None
    assert hass.states.get("sensor.sub_meter_last_seen_by_powernaut") is not None


async def test_a_window_begins_and_ends_on_time_without_a_message(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await start(hass, add_entry(battery_subentry()))
    assert setpoint(hass) == BASELINE
    await receive(hass, broker, command("12:00:10", "12:00:20", -2500))
    assert setpoint(hass) == BASELINE
    await pass_time(hass, freezer, 9.8)
    assert setpoint(hass) == BASELINE
    await pass_time(hass, freezer, 0.2)
    assert setpoint(hass) == ("-2500", "on")
    found = hass.states.get(SETPOINT)
    assert found is not None
    assert found.attributes["start"] == "2026-03-01T12:00:10+00:00"
    assert found.attributes["end"] == "2026-03-01T12:00:20+00:00"
    await pass_time(hass, freezer, 9.8)
    assert setpoint(hass) == ("-2500", "on")
    await pass_time(hass, freezer, 0.2)
    assert setpoint(hass) == BASELINE


async def test_zero_is_a_real_setpoint(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    await start(hass, add_entry(battery_subentry()))
    await receive(hass, broker, command("11:50:00", "12:05:00", 0))
    assert setpoint(hass) == ("0", "on")


async def test_a_cancellation_ends_a_window(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    await start(hass, add_entry(battery_subentry()))
    await receive(hass, broker, command("12:00:00", "12:15:00", 1000))
    assert setpoint(hass) == ("1000", "on")
    await receive(hass, broker, command("12:00:00", "12:15:00", None))
    assert setpoint(hass) == BASELINE


async def test_a_later_command_replaces_the_one_for_the_same_window(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    await start(hass, add_entry(battery_subentry()))
    await receive(hass, broker, command("12:00:00", "12:15:00", 1000))
    await receive(hass, broker, command("12:00:00", "12:15:00", -700.5))
    assert setpoint(hass) == ("-700.5", "on")


async def test_windows_that_meet_follow_one_another(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await start(hass, add_entry(battery_subentry()))
    await receive(hass, broker, command("12:00:00", "12:15:00", 1000))
    await receive(hass, broker, command("12:15:00", "12:30:00", 2000))
    freezer.move_to("2026-03-01T12:14:59.9Z")
    async_fire_time_changed(hass)
    await settle(hass)
    assert setpoint(hass) == ("1000", "on")
    await pass_time(hass, freezer, 0.1)
    assert setpoint(hass) == ("2000", "on")


async def test_windows_are_kept_over_a_restart(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    entry = add_entry(battery_subentry())
    await start(hass, entry)
    await receive(hass, broker, command("12:00:00", "12:15:00", 1000))
    await receive(hass, broker, command("12:15:00", "12:30:00", 2000))
    await receive(hass, broker, command("13:00:00", "13:15:00", 3000))
    await hass.config_entries.async_unload(entry.entry_id)
    assert len(hass_storage[f"{DOMAIN}.activations_{entry.entry_id}"]["data"][BATTERY_ID]) == 3

    freezer.move_to("2026-03-01T12:20:00Z")
    await start(hass, entry)
    assert setpoint(hass) == ("2000", "on")  # in mid-window, without a message
    freezer.move_to("2026-03-01T12:30:00Z")
    async_fire_time_changed(hass)
    await settle(hass)
    assert setpoint(hass) == BASELINE
    freezer.move_to("2026-03-01T13:00:00Z")
    async_fire_time_changed(hass)
    await settle(hass)
    assert setpoint(hass) == ("3000", "on")


async def test_windows_are_written_down_soon_and_not_only_at_the_end(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    entry = add_entry(battery_subentry())
    await start(hass, entry)
    await receive(hass, broker, command("12:15:00", "12:30:00", 2000))
    await pass_time(hass, freezer, 1)
    assert hass_storage[f"{DOMAIN}.activations_{entry.entry_id}"]["data"] == {
        BATTERY_ID: [
            {
                "start": "2026-03-01T12:15:00+00:00",
                "end": "2026-03-01T12:30:00+00:00",
                "watts": 2000,
            }
        ]
    }


async def test_activations_are_removed_with_the_entry(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    entry = add_entry(battery_subentry())
    await start(hass, entry)
    await receive(hass, broker, command("12:15:00", "12:30:00", 2000))
    await hass.config_entries.async_remove(entry.entry_id)
    await pass_time(hass, freezer, 2)
    assert f"{DOMAIN}.activations_{entry.entry_id}" not in hass_storage


async def test_a_clock_that_is_set_forward_is_noticed_within_a_minute(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await start(hass, add_entry(battery_subentry()))
    await receive(hass, broker, command("13:00:00", "13:15:00", 2000))
    freezer.tick(timedelta(hours=1))  # the timers run by another clock
    async_fire_time_changed(hass)
    await settle(hass)
    assert setpoint(hass) == ("2000", "on")


async def test_each_command_is_an_event(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    await start(hass, add_entry(battery_subentry()))
    assert state(hass, EVENT) == "unknown"
    await receive(hass, broker, command("12:15:00", "12:30:00", 2000))
    found = hass.states.get(EVENT)
    assert found is not None
    assert {key: found.attributes[key] for key in ("event_type", "start", "end", "setpoint")} == {
        "event_type": "activation",
        "start": "2026-03-01T12:15:00+00:00",
        "end": "2026-03-01T12:30:00+00:00",
        "setpoint": 2000,
    }
    await receive(hass, broker, command("12:15:00", "12:30:00", None))
    found = hass.states.get(EVENT)
    assert found is not None
    assert (found.attributes["event_type"], found.attributes["setpoint"]) == ("cancellation", None)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"setpoint 5", "malformed"),
        (command("12:00:00", "12:15:00", True), "malformed"),
        (command("11:00:00", "11:15:00", 5), "past"),
    ],
)
async def test_what_is_refused_is_told_and_never_acted_upon(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    caplog: pytest.LogCaptureFixture,
    payload: bytes | dict[str, Any],
    reason: str,
) -> None:
    await start(hass, add_entry(battery_subentry()))
    await receive(hass, broker, command("12:00:00", "12:15:00", 1000))
    await receive(hass, broker, payload)
    assert setpoint(hass) == ("1000", "on")
    found = hass.states.get(EVENT)
    assert found is not None
    assert (found.attributes["event_type"], found.attributes["reason"]) == ("refused", reason)
    assert f"Home battery: activation refused, {reason}" in caplog.text


async def test_commands_for_what_is_not_set_up_are_no_longer_asked_for(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    await start(hass, add_entry(battery_subentry()))
    topic = f"resource/{SOLAR_ID}/commands/setpoint"
    broker.session.receive(topic, command("12:00:00", "12:15:00", 1000))
    await settle(hass)
    assert broker.session.unsubscribed == [topic]


async def test_a_subscription_that_is_refused_leaves_the_rest_running(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = add_entry(battery_subentry())
    broker.refuses = {COMMANDS: (0x97, "one a site")}
    await start(hass, entry)
    await next_slot(hass, freezer)
    told = "quota exceeded (0x97): one a site"
    assert (
        f"Powernaut Home: the broker refuses the activations of Home battery: {told}" in caplog.text
    )
    assert len(broker.session.of(BATTERY)) == 1
    assert issues(hass) == {"powernaut_activations_refused"}
    last_error = hass.states.get("sensor.powernaut_home_last_error")
    assert last_error is not None
    assert last_error.state == "subscription_refused"
    assert last_error.attributes["detail"] == f"Home battery: {told}"
    broker.session.refuses = {}
    for _ in range(76):  # it is asked for again after five minutes
        await next_slot(hass, freezer)
    assert broker.session.subscribed == [COMMANDS, COMMANDS]
    assert issues(hass) == set()


@pytest.mark.parametrize("code", [0x87, 0x97, 0x99])
async def test_a_message_that_is_refused_is_told_and_leaves_the_rest_running(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
    code: int,
) -> None:
    broker.refuses = {BATTERY: (code, "because")}
    entry = add_entry(battery_subentry(), solar_subentry())
    await start(hass, entry)
    await next_slot(hass, freezer)
    await next_slot(hass, freezer)
    assert len(broker.session.of(SOLAR)) == len(broker.session.of(BATTERY)) == 2
    [issue] = ir.async_get(hass).issues.values()
    assert issue.translation_key == "powernaut_data_refused"
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["name"] == "Home battery"
    assert issue.translation_placeholders["reason"].endswith(f"(0x{code:02X}): because")
    assert state(hass, "sensor.powernaut_home_last_error") == "message_refused"
    assert entry.runtime_data.health.dropped == 2
    broker.session.refuses = {}
    await next_slot(hass, freezer)
    assert issues(hass) == set()


async def test_a_sensor_that_reports_changes_only_is_told_by_name(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await start(hass, add_entry(battery_subentry(), solar_subentry()))
    measure_all(hass)
    for _ in range(48):
        measure(hass, "battery", -2500)
        measure(hass, "solar", 100)
        await pass_time(hass, freezer, 4)
    [issue] = ir.async_get(hass).issues.values()
    assert (issue.translation_key, issue.translation_placeholders) == (
        "powernaut_silent",
        {
            "title": "Powernaut Home",
            "name": "Home battery",
            "entity": "sensor.charge",
            "seconds": "60",
        },
    )
    assert "soc" not in broker.session.of(BATTERY)[-1]
    assert state(hass, "binary_sensor.powernaut_home_connected") == "on"
    await next_slot(hass, freezer)
    assert issues(hass) == set()


async def test_when_the_platform_last_saw_data_is_shown(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await start(hass, add_entry(battery_subentry(), solar_subentry()))
    battery, house = (
        "sensor.home_battery_last_seen_by_powernaut",
        "sensor.powernaut_home_last_seen_by_powernaut",
    )
    assert state(hass, battery) == "2026-03-01T11:59:00+00:00"
    assert state(hass, house) == "unknown"
    api.answer("GET", "sites", listed(site(last_seen_at="2026-03-01T12:04:00Z")))
    api.answer("GET", "resources", listed(solar()))
    await pass_time(hass, freezer, 301)
    assert state(hass, house) == "2026-03-01T12:04:00+00:00"
    assert state(hass, battery) == "unavailable"
    api.answer("GET", "sites", status=500)
    await pass_time(hass, freezer, 301)
    assert state(hass, house) == "unavailable"


async def test_a_resource_that_is_gone_is_told_and_left_alone(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    entry = add_entry(battery_subentry(), solar_subentry())
    api.answer("GET", "resources", listed(resource()))
    await start(hass, entry)
    assert issues(hass) == {"powernaut_gone"}
    await next_slot(hass, freezer)
    assert broker.session.of(SOLAR) == []
    assert len(broker.session.of(BATTERY)) == 1
    assert entry.runtime_data.diagnostics()["unknown_on_platform"] == [SOLAR_ID]

    broker.session.end(ConnectionFailed("connection_lost"))
    await pass_time(hass, freezer, 2)
    assert broker.session.subscribed == [COMMANDS]

    api.answer("GET", "resources", listed(resource(), solar()))
    await pass_time(hass, freezer, 301)
    assert "powernaut_gone" not in issues(hass)
    await next_slot(hass, freezer)
    assert len(broker.session.of(SOLAR)) == 1
    # asked for again, and what was subscribed all the while is not
    assert broker.session.subscribed == [COMMANDS, f"resource/{SOLAR_ID}/commands/setpoint"]


async def test_a_resource_that_comes_back_gets_its_activations_in_any_connection(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await start(hass, add_entry(battery_subentry()))
    api.answer("GET", "resources", listed())  # the platform's maintenance
    await pass_time(hass, freezer, 301)
    broker.session.end(ConnectionFailed("connection_lost"))
    await pass_time(hass, freezer, 12)
    assert broker.session.subscribed == []
    broker.session.refuses = {COMMANDS: (0x87, "")}
    for number in range(1, 3):
        api.answer("GET", "resources", listed(resource()))
        await pass_time(hass, freezer, 301)
        assert broker.session.subscribed == [COMMANDS] * number
        assert caplog.text.count("refuses the activations of Home battery") == 1
        api.answer("GET", "resources", listed())
        await pass_time(hass, freezer, 301)
        broker.session.refuses = {}
    assert len(broker.sessions) == 2


async def test_data_that_the_platform_does_not_see_is_told_after_ten_minutes(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    api.answer("GET", "resources", listed(resource(), solar(last_seen_at=None)))
    await start(hass, add_entry(battery_subentry(), solar_subentry()))
    for _ in range(149):
        await next_slot(hass, freezer)
    assert issues(hass) == set()
    api.answer("GET", "resources", listed(resource(last_seen_at="2026-03-01T12:09:00Z"), solar()))
    for _ in range(80):
        await next_slot(hass, freezer)
    assert {
        issue.translation_placeholders["name"]
        for issue in ir.async_get(hass).issues.values()
        if issue.translation_key == "powernaut_not_seen" and issue.translation_placeholders
    } == {"Solar panels"}
    later = "2026-03-01T12:19:00Z"
    api.answer("GET", "resources", listed(resource(last_seen_at=later), solar(last_seen_at=later)))
    for _ in range(80):
        await next_slot(hass, freezer)
    assert issues(hass) == set()


@pytest.mark.parametrize(
    ("ahead_s", "told"),
    [
        (0, set()),
        (20, set()),
        (-20, set()),
        (70, {"powernaut_clock_behind"}),
        (-70, {"powernaut_clock_ahead"}),
    ],
)
async def test_a_clock_that_is_wrong_is_told(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
    ahead_s: int,
    told: set[str],
) -> None:
    api.clock_ahead_s = ahead_s
    await start(hass, add_entry())
    assert issues(hass) == told
    api.clock_ahead_s = 0
    await pass_time(hass, freezer, 301)
    assert issues(hass) == set()


async def test_a_charge_above_the_capacity_is_told_and_left_out(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await start(hass, add_entry(battery_subentry(soc_unit="Wh")))
    measure(hass, "battery", 5)
    measure(hass, "charge", 10.1, "kWh")
    await pass_time(hass, freezer, 4)
    assert broker.session.of(BATTERY) == [{"value": 5, "time": NOON}]
    assert issues(hass) == {"powernaut_soc"}
    measure(hass, "charge", 9.9, "kWh")
    await pass_time(hass, freezer, 4)
    assert broker.session.of(BATTERY)[-1]["soc"] == 9900
    assert issues(hass) == set()


async def test_what_is_gone_is_told_of_no_charge(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    entry = add_entry(battery_subentry(soc_unit="Wh"), solar_subentry())
    await start(hass, entry)
    measure_all(hass)
    measure(hass, "charge", 10.1, "kWh")
    await pass_time(hass, freezer, 4)
    assert issues(hass) == {"powernaut_soc"}
    api.answer("GET", "resources", listed(solar()))
    await entry.runtime_data.view.async_refresh()
    await next_slot(hass, freezer)
    assert issues(hass) == {"powernaut_gone"}


async def test_credentials_that_the_broker_refuses_are_asked_for(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    broker.error = CredentialsRefused("invalid_auth")
    entry = add_entry()
    await start(hass, entry)
    [flow] = hass.config_entries.flow.async_progress()
    assert (flow["context"]["source"], flow["context"]["entry_id"]) == (
        SOURCE_REAUTH,
        entry.entry_id,
    )
    assert flow["step_id"] == "powernaut_reauth_confirm"


async def test_credentials_that_the_api_refuses_are_asked_for(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    api.answer("GET", "sites", status=401)
    await start(hass, add_entry())
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH


async def test_another_client_under_our_name_is_told_and_not_fought(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await start(hass, add_entry())
    await pass_time(hass, freezer, 60)
    broker.session.end(DestinationRefused("session_taken_over"))
    await pass_time(hass, freezer, 2)
    assert issues(hass) == {"powernaut_taken_over"}
    assert state(hass, "sensor.powernaut_home_last_error") == "session_taken_over"
    await pass_time(hass, freezer, 265)
    assert len(broker.sessions) == 1
    await pass_time(hass, freezer, 70)
    assert len(broker.sessions) == 2
    broker.session.end(ConnectionFailed("connection_lost"))
    await pass_time(hass, freezer, 3)
    assert issues(hass) == {"powernaut_taken_over"}  # it may come back
    freezer.tick(601)
    async_fire_time_changed(hass)
    await settle(hass)
    assert issues(hass) == set()


async def test_a_broker_that_closes_without_a_reason_is_told_and_tried_again_soon(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    await start(hass, add_entry())
    for number in range(1, 4):
        assert len(broker.sessions) == number
        assert issues(hass) == set()
        broker.session.end(ConnectionFailed("connection_lost"))
        await pass_time(hass, freezer, 10)
    assert issues(hass) == {"powernaut_quick_ends"}
    assert len(broker.sessions) == 4
    await pass_time(hass, freezer, 601)
    assert issues(hass) == set()


@pytest.mark.parametrize("code", ["0x8B", "0x89", "0x97", "0x98", "0x9C"])
async def test_a_broker_that_ends_connections_for_its_own_reasons_is_tried_again_soon(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
    code: str,
) -> None:
    await start(hass, add_entry(battery_subentry()))
    for number in range(1, 5):
        assert len(broker.sessions) == number
        broker.session.end(ConnectionFailed("broker_ended", f"a reason ({code})"))
        await pass_time(hass, freezer, 10)
    assert issues(hass) == set()
    await receive(hass, broker, command("12:00:00", "12:15:00", 1000))
    assert setpoint(hass) == ("1000", "on")


async def spin() -> None:
    """Let run what can, though something waits for the storage."""
    for _ in range(20):
        await asyncio.sleep(0)


@contextmanager
def slow_storage() -> Iterator[asyncio.Event]:
    """Have nothing written before an event is set."""
    slow = asyncio.Event()
    write = Store.async_save

    async def write_slowly(store: Store[Any], data: Any) -> None:
        await slow.wait()
        await write(store, data)

    with patch.object(Store, "async_save", write_slowly):
        yield slow


async def test_an_activation_is_acknowledged_once_it_is_stored(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
) -> None:
    entry = add_entry(battery_subentry())
    await start(hass, entry)
    key = f"{DOMAIN}.activations_{entry.entry_id}"
    with slow_storage() as slow:
        broker.session.receive(COMMANDS, command("12:00:00", "12:15:00", 1000))
        await spin()
        broker.session.receive(COMMANDS, command("12:00:00", "12:15:00", 2000))
        await spin()
        assert setpoint(hass) == ("2000", "on")  # at once
        assert broker.session.acknowledged == []
        slow.set()
        await settle(hass)
    assert sorted(broker.session.acknowledged) == [1, 2]
    assert [one["watts"] for one in hass_storage[key]["data"][BATTERY_ID]] == [2000]


async def test_a_reload_while_the_storage_is_slow_forgets_no_activation(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
) -> None:
    entry = add_entry(battery_subentry())
    await start(hass, entry)
    await receive(hass, broker, command("12:00:00", "12:15:00", 1000))
    with slow_storage() as slow:
        broker.session.receive(COMMANDS, command("12:00:00", "12:15:00", 2000))
        await spin()
        reload = hass.async_create_task(hass.config_entries.async_reload(entry.entry_id))
        await spin()
        slow.set()
        await reload
        await settle(hass)
    assert setpoint(hass) == ("2000", "on")


async def test_a_removed_entry_leaves_no_file_though_the_storage_is_slow(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
) -> None:
    entry = add_entry(battery_subentry())
    await start(hass, entry)
    with slow_storage() as slow:
        broker.session.receive(COMMANDS, command("12:00:00", "12:15:00", 2000))
        await spin()
        removal = hass.async_create_task(hass.config_entries.async_remove(entry.entry_id))
        await spin()
        slow.set()
        await removal
        await settle(hass)
    assert f"{DOMAIN}.activations_{entry.entry_id}" not in hass_storage


async def test_a_listener_that_fails_leaves_the_others_and_the_timer(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = add_entry(battery_subentry())
    await start(hass, entry)
    schedule = entry.runtime_data.schedule.resources[BATTERY_ID]

    def fail() -> None:
        raise RuntimeError("a broken entity")

    schedule._on_change.insert(0, fail)
    await receive(hass, broker, command("12:00:00", "12:00:20", 1000))
    assert setpoint(hass) == ("1000", "on")
    await pass_time(hass, freezer, 20)
    assert setpoint(hass) == BASELINE
    assert "Home battery: a listener failed" in caplog.text


async def test_nothing_is_left_when_the_entry_is_unloaded(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    api.clock_ahead_s = 100
    entry = add_entry(battery_subentry())
    await start(hass, entry)
    await next_slot(hass, freezer)
    assert issues(hass)
    link = entry.runtime_data
    assert await hass.config_entries.async_unload(entry.entry_id)
    await settle(hass)
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert issues(hass) == set()
    sent = len(broker.session.sent)
    await next_slot(hass, freezer)
    assert len(broker.session.sent) == sent
    await link.async_stop()  # may be called again


async def test_an_authority_that_cannot_be_read_is_tried_again(
    hass: HomeAssistant, broker: FakeBroker, add_entry: AddEntry
) -> None:
    entry = add_entry(
        environment="custom",
        api_url="https://broker.lan",
        broker_host="broker.lan",
        broker_port=8883,
        ca_file="/nowhere/ca.pem",
    )
    await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "powernaut_ca_file"


async def test_devices_belong_to_their_subentries(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    entry = add_entry(site_subentry(), battery_subentry(), solar_subentry())
    await start(hass, entry)
    devices = {
        device.name: device
        for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    }
    assert set(devices) == {"Powernaut Home", "Home battery", "Solar panels"}
    assert devices["Home battery"].model == "Static battery"
    entities = er.async_entries_for_device(er.async_get(hass), devices["Home battery"].id)
    assert {entity.translation_key for entity in entities} == {
        "powernaut_setpoint",
        "powernaut_activation",
        "powernaut_command",
        "powernaut_report",
        "powernaut_last_seen",
    }
    [battery, _] = entry.get_subentries_of_type("resource")
    assert {entity.config_subentry_id for entity in entities} == {battery.subentry_id}


async def test_diagnostics_hide_the_credentials(
    hass: HomeAssistant,
    api: FakeApi,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    entry = add_entry(site_subentry(), battery_subentry())
    await start(hass, entry)
    await next_slot(hass, freezer)
    await receive(hass, broker, command("12:15:00", "12:30:00", 2000))
    diagnostics = await async_get_config_entry_diagnostics(hass, entry)
    assert diagnostics["entry"]["site_key"] == diagnostics["entry"]["secret"] == REDACTED
    link = diagnostics["link"]
    assert link["health"]["delivered"] == 2
    assert link["activations"] == {
        "Home battery": [
            {
                "start": "2026-03-01T12:15:00+00:00",
                "end": "2026-03-01T12:30:00+00:00",
                "watts": 2000,
            }
        ]
    }
    assert link["last_seen"] == {"Home battery": "2026-03-01T11:59:00+00:00"}
