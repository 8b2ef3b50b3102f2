"""Powernaut against a real broker (Mosquitto, TLS) and a strict observer behind it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
import gc
from pathlib import Path
import ssl
import time
from typing import Any

import aiomqtt
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.grid_telemetry.const import DOMAIN
from simulators.mosquitto import Mosquitto
from simulators.powernaut import Powernaut, connection_of

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("mosquitto"),
    pytest.mark.usefixtures("socket_enabled"),
]

SETPOINT = "sensor.battery_setpoint"


@pytest.fixture(autouse=True)
def custom_integrations(enable_custom_integrations: None) -> None:
    """Let Home Assistant find the integration of this checkout."""


@pytest.fixture
async def platform(tmp_path: Path, socket_enabled: None) -> AsyncGenerator[Powernaut]:
    stand_in = Powernaut(tmp_path)
    stand_in.add_resource("Battery", "static_battery", capacity_kwh="10.0")
    stand_in.add_resource("Solar", "photovoltaic")
    async with stand_in:
        await stand_in.until_it_observes()
        yield stand_in


@pytest.fixture
async def sensors(hass: HomeAssistant) -> AsyncGenerator[None]:
    """Measure every half second, as fast meters do."""

    async def measure() -> None:
        while True:
            for name, value, unit in (
                ("grid", 1.5, "kW"),
                ("battery", -2500, "W"),
                ("charge", 81.5, "%"),
                ("solar", 3000, "W"),
            ):
                hass.states.async_set(f"sensor.{name}", str(value), {"unit_of_measurement": unit})
            await asyncio.sleep(0.5)

    task = asyncio.create_task(measure())
    await asyncio.sleep(0)
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def log_in(hass: HomeAssistant, platform: Powernaut, **changes: Any) -> ConfigFlowResult:
    flows = hass.config_entries.flow
    result = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    for step in (
        {"next_step_id": "powernaut"},
        {"next_step_id": "powernaut_custom"},
        {**connection_of(platform), "qos": "1", **changes},
    ):
        result = await flows.async_configure(result["flow_id"], step)
    return result


async def add_entry(hass: HomeAssistant, platform: Powernaut, **changes: Any) -> ConfigEntry[Any]:
    """Set the site up with a meter and both resources."""
    result = await log_in(hass, platform, **changes)
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    entry: ConfigEntry[Any] = result["result"]
    power = {"invert": False, "max_age_s": 60}
    battery, solar = platform.book.resources
    for kind, *steps in (
        ("site", {**power, "power_entity": "sensor.grid"}),
        (
            "resource",
            {"resource_id": battery},
            {
                **power,
                "power_entity": "sensor.battery",
                "soc_entity": "sensor.charge",
                "capacity_kwh": 10,
            },
        ),
        ("resource", {"resource_id": solar}, {**power, "power_entity": "sensor.solar"}),
    ):
        # A handshake that is cut off by the reload is an error to the stand-in.
        await until(lambda: entry.runtime_data.view.data.last_seen)
        subentries = hass.config_entries.subentries
        made = await subentries.async_init((entry.entry_id, kind), context={"source": SOURCE_USER})
        for step in steps:
            made = await subentries.async_configure(made["flow_id"], step)
        assert made["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done(wait_background_tasks=False)
    return entry


async def until(condition: Callable[[], object], timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.05)


def slots(platform: Powernaut, platform_id: str) -> list[int]:
    """Return the slots that readings are of: the measurement was in the four seconds before."""
    return [-(-reading.time // 4) * 4 for reading in platform.of(platform_id)]


def issues(hass: HomeAssistant) -> set[str | None]:
    return {
        issue.translation_key
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN and issue.active
    }


@pytest.mark.parametrize("qos", ["1", "2"])
@pytest.mark.usefixtures("sensors")
async def test_the_stream_is_what_the_platform_takes(
    hass: HomeAssistant, platform: Powernaut, qos: str
) -> None:
    await add_entry(hass, platform, qos=qos)
    battery, solar = platform.book.resources
    await until(lambda: len(platform.of(battery)) >= 3)
    assert platform.refusals() == []
    for platform_id, value, soc in (
        (platform.book.site_id, 1500, None),
        (battery, -2500, 8150),
        (solar, 3000, None),
    ):
        readings = platform.of(platform_id)
        assert {(reading.value, reading.soc) for reading in readings} == {(value, soc)}
        found = slots(platform, platform_id)
        assert found == list(range(found[0], found[0] + 4 * len(found), 4))
    *_, connection = platform.broker.connections()
    assert (connection.protocol, connection.clean_start) == (5, False)


@pytest.mark.usefixtures("sensors")
async def test_a_broker_that_goes_and_comes_back_gets_what_it_missed(
    hass: HomeAssistant, platform: Powernaut
) -> None:
    entry = await add_entry(hass, platform)
    battery, _ = platform.book.resources
    await until(lambda: len(platform.of(battery)) >= 1)
    await platform.broker.stop()
    await asyncio.sleep(9)
    await platform.broker.start()
    await until(lambda: any(reading.batch > 1 for reading in platform.of(battery)))
    count = len(platform.of(battery))
    await until(lambda: len(platform.of(battery)) > count)
    found = sorted(set(slots(platform, battery)))
    assert found == list(range(found[0], found[0] + 4 * len(found), 4))
    assert platform.refusals() == []
    assert entry.runtime_data.health.dropped == 0


@pytest.mark.usefixtures("sensors")
async def test_an_activation_arrives_also_while_we_were_away(
    hass: HomeAssistant, platform: Powernaut
) -> None:
    entry = await add_entry(hass, platform)
    battery, _ = platform.book.resources
    await until(lambda: platform.of(battery))
    start = datetime.now(UTC)
    await platform.activate(battery, start, start + timedelta(minutes=15), -1500)
    await until(lambda: hass.states.get(SETPOINT).state == "-1500")  # type: ignore[union-attr]

    await hass.config_entries.async_unload(entry.entry_id)
    await platform.activate(battery, start, start + timedelta(minutes=15), 700)
    await hass.config_entries.async_setup(entry.entry_id)
    assert hass.states.get(SETPOINT).state == "-1500"  # type: ignore[union-attr]
    await until(lambda: hass.states.get(SETPOINT).state == "700")  # type: ignore[union-attr]

    await platform.activate(battery, start, start + timedelta(minutes=15), None)
    await until(lambda: hass.states.get(SETPOINT).state == "unknown")  # type: ignore[union-attr]


async def test_a_wrong_secret_is_told(hass: HomeAssistant, platform: Powernaut) -> None:
    result = await log_in(hass, platform, secret="wrong")
    assert result["errors"] == {"base": "powernaut_invalid_auth"}


@pytest.mark.usefixtures("sensors")
async def test_credentials_that_were_replaced_are_asked_for(
    hass: HomeAssistant, platform: Powernaut
) -> None:
    entry = await add_entry(hass, platform)
    battery, _ = platform.book.resources
    await until(lambda: platform.of(battery))
    await platform.broker.stop()
    await asyncio.sleep(0.5)
    platform.book.secret = "another"
    platform.broker.write_users(platform._users())
    await platform.broker.start()
    await until(hass.config_entries.flow.async_progress)
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    result = await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"site_key": platform.book.key, "secret": "another"}
    )
    assert result["reason"] == "reauth_successful"
    # The entry is set up anew meanwhile.
    await until(
        lambda: entry.state is ConfigEntryState.LOADED and entry.runtime_data.health.connected
    )
    names = {
        connection.client_id
        for connection in platform.broker.connections()
        if not connection.clean_start and connection.user == platform.book.key
    }
    assert len(names) == 1  # the session was not lost


# paho leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore:.*<ssl.SSLSocket")
async def test_a_certificate_that_has_expired_is_told(
    hass: HomeAssistant, platform: Powernaut, tmp_path: Path
) -> None:
    folder = tmp_path / "expired"
    folder.mkdir()
    async with Mosquitto(folder, {}, expired_certificate=True) as expired:
        both = folder / "both.pem"
        both.write_text(platform.broker.ca_file.read_text() + expired.ca_file.read_text())
        result = await log_in(hass, platform, broker_port=expired.port, ca_file=str(both))
    assert result["errors"] == {"base": "powernaut_tls_failed"}
    assert "certificate has expired" in result["description_placeholders"]["error"]
    gc.collect()


@pytest.mark.usefixtures("sensors")
async def test_another_client_under_our_name_is_told(
    hass: HomeAssistant, platform: Powernaut
) -> None:
    entry = await add_entry(hass, platform)
    battery, _ = platform.book.resources
    await until(lambda: platform.of(battery))
    *_, ours = platform.broker.connections()
    context = ssl.create_default_context(cafile=platform.broker.ca_file)

    async def fight() -> None:
        """Come back a moment after being thrown out, again and again."""
        while True:
            with suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(
                    "127.0.0.1",
                    platform.broker.port,
                    username=platform.book.key,
                    password=platform.book.secret,
                    identifier=ours.client_id,
                    protocol=aiomqtt.ProtocolVersion.V5,
                    tls_context=context,
                ) as client:
                    async for _ in client.messages:
                        pass
            await asyncio.sleep(0.5)

    rival = asyncio.create_task(fight())
    try:
        # Mosquitto before 2.0.15 gives no reason, so it is told as a hint, and tried again soon.
        await until(lambda: issues(hass) & {"powernaut_taken_over", "powernaut_quick_ends"})
        assert len(platform.broker.connections()) < 20
        assert entry.runtime_data.health.last_error in {"connection_lost", "session_taken_over"}
    finally:
        rival.cancel()
        with suppress(asyncio.CancelledError):
            await rival


@pytest.mark.usefixtures("sensors")
async def test_a_resource_that_is_deleted_on_the_platform_is_told(
    hass: HomeAssistant, platform: Powernaut
) -> None:
    entry = await add_entry(hass, platform)
    battery, solar = platform.book.resources
    await until(lambda: platform.of(solar))
    platform.remove_resource(solar)
    await until(lambda: entry.runtime_data.health.dropped)  # the broker refuses it at once
    await entry.runtime_data.view.async_refresh()
    assert issues(hass) == {"powernaut_gone"}
    dropped, count = entry.runtime_data.health.dropped, len(platform.of(battery))
    await until(lambda: len(platform.of(battery)) > count + 1)
    assert entry.runtime_data.health.dropped == dropped


@pytest.mark.usefixtures("sensors")
async def test_a_platform_whose_clock_differs_is_told(
    hass: HomeAssistant, platform: Powernaut
) -> None:
    platform.book.clock_ahead_s = 75
    entry = await add_entry(hass, platform)
    await until(lambda: "powernaut_clock_behind" in issues(hass))
    await until(lambda: any(" s old" in line for line in platform.refused))
    platform.book.clock_ahead_s = 0
    await entry.runtime_data.view.async_refresh()
    assert issues(hass) == set()


async def test_the_stand_in_refuses_what_the_platform_refuses(platform: Powernaut) -> None:
    context = ssl.create_default_context(cafile=platform.broker.ca_file)
    topic = f"site/{platform.book.site_id}/data"
    now = int(time.time())

    def client(version: aiomqtt.ProtocolVersion) -> aiomqtt.Client:
        return aiomqtt.Client(
            "127.0.0.1",
            platform.broker.port,
            username=platform.book.key,
            password=platform.book.secret,
            identifier="old",
            protocol=version,
            tls_context=context,
        )

    async with client(aiomqtt.ProtocolVersion.V5) as good:
        await good.publish(topic, f'{{"value":1,"time":{now}}}', qos=0)
        await good.publish(topic, f'{{"value":1,"time":{now}}}', qos=1, retain=True)
        await good.publish(topic, f'{{"value":1.5,"time":{now}}}', qos=1)
        await good.publish(topic, f'{{"value":1,"time":{now - 62}}}', qos=1)
        await good.publish("site/other/data", f'{{"value":1,"time":{now}}}', qos=1)
        await good.publish(topic, f'{{"value":2,"time":{now}}}', qos=1)
    await until(lambda: platform.readings)
    assert [reading.value for reading in platform.readings] == [2]
    reasons = [line.partition(": ")[2] for line in platform.refused]
    assert reasons[:3] == ["QoS 0", "retained", "value is no integer: 1.5"]
    assert reasons[3].endswith(" s old")
    assert len(reasons) == 4  # the other site's topic was closed to us by the broker itself
    async with client(aiomqtt.ProtocolVersion.V311):
        pass
    assert platform.refusals()[-1] == "old: MQTT version 2"
