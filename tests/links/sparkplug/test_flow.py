"""The steps of a Sparkplug entry, its devices and its writable metrics, as a user goes through."""

from collections.abc import Generator
from typing import Any
from unittest.mock import AsyncMock, patch

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.connection.errors import (
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
    LinkError,
)
from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.sparkplug.const import (
    SUBENTRY_COMMAND,
    SUBENTRY_DEVICE,
)

from ..flows import begin_link, fill_in, register_meter, save, suggested
from .conftest import command, device, point

pytestmark = pytest.mark.usefixtures("no_setup")

MORE = {"mqtt_version": "5", "path": "/mqtt"}
BROKER = {"host": "broker.lan", "port": 1883, "transport": "tcp"}
LOGIN = {"username": "edge", "password": "s3cret"}
NODE = {"group_id": "Plant 1", "node_id": "Home"}
LIMITS = {"interval_s": 10, "max_age_days": 30, "max_samples": 1_000_000}
UNIQUE_ID = "sparkplug/broker.lan:1883/plant 1/home"


@pytest.fixture(autouse=True)
def login() -> Generator[AsyncMock]:
    """Stand for the broker's answer to a login."""
    with patch(
        "custom_components.grid_telemetry.links.sparkplug.flow.login_test", autospec=True
    ) as mock:
        yield mock


def entry_of(hass: HomeAssistant, *subentries: ConfigSubentryData, **more: Any) -> MockConfigEntry:
    data = {CONF_KIND: "sparkplug", **BROKER, **LOGIN, **MORE, **NODE, **LIMITS, **more}
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Sparkplug Plant 1/Home",
        unique_id=UNIQUE_ID,
        data=data,
        subentries_data=subentries,
    )
    entry.add_to_hass(hass)
    return entry


async def configure(hass: HomeAssistant, flow_id: str, user_input: dict[str, Any]) -> Any:
    return await hass.config_entries.flow.async_configure(flow_id, user_input)


async def reconfigure(hass: HomeAssistant, entry: MockConfigEntry, step: str) -> Any:
    """Choose what to change of an entry."""
    result = await entry.start_reconfigure_flow(hass)
    assert result["type"] is FlowResultType.MENU
    result = await configure(hass, result["flow_id"], {"next_step_id": step})
    assert result["step_id"] == step
    return result


async def test_a_broker_and_a_node_make_an_entry(hass: HomeAssistant, login: AsyncMock) -> None:
    flow_id = await begin_link(hass, "sparkplug")
    result = await configure(hass, flow_id, {**BROKER, **LOGIN, "more": MORE})
    assert result["step_id"] == "sparkplug_node"
    result = await configure(hass, flow_id, {**NODE, **LIMITS, "primary_host": " scada "})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Sparkplug Plant 1/Home"
    assert result["result"].unique_id == UNIQUE_ID
    assert result["data"] == {
        CONF_KIND: "sparkplug",
        **BROKER,
        **LOGIN,
        **MORE,
        **NODE,
        **LIMITS,
        "primary_host": "scada",
    }
    *_, topics = login.call_args.args
    assert topics == (
        "spBv1.0/Plant 1/NCMD/Home",
        "spBv1.0/STATE/scada",
        "STATE/scada",
    )


async def test_what_was_emptied_is_not_stored(hass: HomeAssistant) -> None:
    flow_id = await begin_link(hass, "sparkplug")
    emptied = {"username": "", "password": "", "more": {**MORE, "ca_file": ""}}
    await configure(hass, flow_id, {**BROKER, **emptied})
    result = await configure(hass, flow_id, {**NODE, **LIMITS, "primary_host": ""})
    assert result["data"].keys() == {CONF_KIND, *BROKER, *MORE, *NODE, *LIMITS}


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (CredentialsRefused("invalid_auth", "bad"), "sparkplug_invalid_auth"),
        (DestinationRefused("no_mqtt5", "x"), "sparkplug_no_mqtt5"),
        (DestinationRefused("client_id_refused", "x"), "sparkplug_client_id_refused"),
        (DestinationRefused("not_authorized", "x"), "sparkplug_not_authorized"),
        (DestinationRefused("session_taken_over", "x"), "sparkplug_session_taken_over"),
        (DestinationRefused("subscription_refused", "x"), "sparkplug_subscription_refused"),
        *(
            (ConnectionFailed(reason, "x"), f"sparkplug_{reason}")
            for reason in (
                "unknown_server",
                "cannot_connect",
                "tls_failed",
                "timeout_connect",
                "wrong_url",
                "broker_refused",
                "broker_ended",
                "connection_lost",
                "protocol_error",
                "certificate_file",
            )
        ),
        (ValueError("a null character"), "sparkplug_invalid_credential"),
    ],
)
async def test_what_the_broker_says_is_told(
    hass: HomeAssistant, login: AsyncMock, error: LinkError | ValueError, key: str
) -> None:
    """In both steps; the form keeps what was typed."""
    flow_id = await begin_link(hass, "sparkplug")
    login.side_effect = error
    result = await configure(hass, flow_id, {**BROKER, "more": MORE})
    assert result["errors"] == {"base": key}
    login.side_effect = None
    await configure(hass, flow_id, {**BROKER, "more": MORE})
    login.side_effect = error
    result = await configure(hass, flow_id, {**NODE, **LIMITS})
    assert result["step_id"] == "sparkplug_node"
    assert result["errors"] == {"base": key}
    login.side_effect = None
    result = await configure(hass, flow_id, {**NODE, **LIMITS})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"more": {**MORE, "ca_file": "/ca.pem"}}, {"transport": "sparkplug_files_without_tls"}),
        (
            {"transport": "tls", "more": {**MORE, "key": "/key.pem"}},
            {"base": "certificate_missing"},
        ),
        ({"password": "x"}, {"username": "sparkplug_username_missing"}),
    ],
)
async def test_what_cannot_be_is_told(
    hass: HomeAssistant, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    flow_id = await begin_link(hass, "sparkplug")
    result = await configure(hass, flow_id, {**BROKER, "more": MORE, **changes})
    assert result["errors"] == errors


@pytest.mark.parametrize("field", ["group_id", "node_id", "primary_host"])
async def test_an_id_has_no_signs_of_topics(hass: HomeAssistant, field: str) -> None:
    flow_id = await begin_link(hass, "sparkplug")
    await configure(hass, flow_id, {**BROKER, "more": MORE})
    result = await configure(hass, flow_id, {**NODE, **LIMITS, field: "a/b"})
    assert result["errors"] == {field: "sparkplug_invalid_id"}


async def test_a_node_is_set_up_once(hass: HomeAssistant) -> None:
    entry_of(hass)
    flow_id = await begin_link(hass, "sparkplug")
    await configure(hass, flow_id, {**BROKER, "more": MORE})
    result = await configure(hass, flow_id, {"group_id": "plant 1", "node_id": "HOME", **LIMITS})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_an_entry_can_be_changed(hass: HomeAssistant) -> None:
    """The password is asked for anew, and shown nowhere."""
    entry = entry_of(hass)
    result = await reconfigure(hass, entry, "sparkplug")
    assert result["step_id"] == "sparkplug"
    assert "s3cret" not in str(result["data_schema"].schema)
    result = await configure(hass, result["flow_id"], {**BROKER, "port": 8884, "more": MORE})
    result = await configure(hass, result["flow_id"], {**NODE, **LIMITS, "node_id": "Other"})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    assert entry.title == "Sparkplug Plant 1/Other"
    assert entry.unique_id == "sparkplug/broker.lan:8884/plant 1/other"
    assert entry.data["port"] == 8884
    assert "password" not in entry.data


async def test_the_limits_are_raised_while_the_broker_is_away(
    hass: HomeAssistant, login: AsyncMock
) -> None:
    login.side_effect = ConnectionFailed("cannot_connect")
    entry = entry_of(hass)
    before, unique_id = dict(entry.data), entry.unique_id
    result = await reconfigure(hass, entry, "sparkplug_limits")
    result = await configure(
        hass, result["flow_id"], {"max_age_days": 90, "max_samples": 5_000_000}
    )
    assert result["reason"] == "reconfigure_successful"
    assert entry.data == {**before, "max_age_days": 90, "max_samples": 5_000_000}
    assert entry.unique_id == unique_id
    login.assert_not_called()


async def test_a_new_login_is_tried(hass: HomeAssistant, login: AsyncMock) -> None:
    entry = entry_of(hass)
    result = await entry.start_reauth_flow(hass)
    assert result["step_id"] == "sparkplug_reauth_confirm"
    login.side_effect = CredentialsRefused("invalid_auth", "bad")
    result = await configure(hass, result["flow_id"], {"username": "edge", "password": "old"})
    assert result["errors"] == {"base": "sparkplug_invalid_auth"}
    login.side_effect = None
    result = await configure(hass, result["flow_id"], {"username": "edge", "password": "new"})
    assert result["reason"] == "reauth_successful"
    assert entry.data["password"] == "new"


async def add(hass: HomeAssistant, entry: MockConfigEntry, kind: str, data: dict[str, Any]) -> Any:
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, kind), context={"source": "user"}
    )
    assert result["type"] is FlowResultType.FORM
    result = await hass.config_entries.subentries.async_configure(result["flow_id"], data)
    return await fill_in(hass, result)


async def test_a_meter_becomes_a_device(hass: HomeAssistant) -> None:
    """Quantities are names, units and types are theirs; folders are what the user makes of it."""
    entry = entry_of(hass)
    found = register_meter(hass, "m", "voltage_l1", "energy_import")
    hass.states.async_set("sensor.other", "1", {"unit_of_measurement": "l/min"})
    result = await add(
        hass,
        entry,
        SUBENTRY_DEVICE,
        {"device_id": "meter", "devices": [found], "entities": ["sensor.other"]},
    )
    rows = suggested(result)
    assert [(row["name"], row.get("unit"), row["data_type"]) for row in rows] == [
        ("voltage_l1", "V", "double"),
        ("energy_import", "kWh", "double"),
        ("other", "l/min", "double"),
    ]
    rows[0] |= {"name": "meter/phase a/voltage", "data_type": "float"}
    rows[2]["name"] = ""
    result = await save(hass, result, rows)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    [subentry] = entry.subentries.values()
    registry = er.async_get(hass)
    assert subentry.data["points"] == [
        {
            "entity": registry.async_get("sensor.m_voltage_l1").id,
            "name": "meter/phase a/voltage",
            "unit": "V",
            "factor": 1.0,
            "data_type": "float",
            "quantity": "voltage_l1",
        },
        {
            "entity": registry.async_get("sensor.m_energy_import").id,
            "name": "energy_import",
            "unit": "kWh",
            "factor": 1.0,
            "data_type": "double",
            "quantity": "energy_import",
        },
    ]


async def test_a_state_is_a_whole_number(hass: HomeAssistant) -> None:
    found = register_meter(hass, "m", "operating_state")
    result = await add(
        hass, entry_of(hass), SUBENTRY_DEVICE, {"device_id": "meter", "devices": [found]}
    )
    assert [row["data_type"] for row in suggested(result)] == ["int32"]


async def test_a_second_of_a_quantity_is_called_as_its_entity(hass: HomeAssistant) -> None:
    devices = [register_meter(hass, name, "power") for name in ("one", "two")]
    result = await add(
        hass, entry_of(hass), SUBENTRY_DEVICE, {"device_id": "meter", "devices": devices}
    )
    assert [row["name"] for row in suggested(result)] == ["power", "two_power"]


@pytest.mark.parametrize(
    ("names", "key"),
    [
        (["/voltage", "b"], "invalid_metric_name"),
        (["Voltage", "voltage"], "duplicate_metric_name"),
        (["", ""], "no_points"),
    ],
)
async def test_names_are_checked(hass: HomeAssistant, names: list[str], key: str) -> None:
    found = register_meter(hass, "m", "voltage_l1", "power")
    result = await add(
        hass, entry_of(hass), SUBENTRY_DEVICE, {"device_id": "meter", "devices": [found]}
    )
    rows = suggested(result)
    for row, name in zip(rows, names, strict=True):
        row["name"] = name
    result = await save(hass, result, rows)
    assert result["errors"] == {"base": key}


async def test_a_device_keeps_its_columns(hass: HomeAssistant) -> None:
    hass.states.async_set("sensor.power", "1", {"unit_of_measurement": "W"})
    entry = entry_of(hass, device("meter", point("sensor.power", "power", "int32")))
    [subentry] = entry.subentries.values()
    result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"device_id": "meter"}
    )
    [row] = suggested(await fill_in(hass, result))
    assert row == {
        "entity": "sensor.power",
        "name": "power",
        "data_type": "int32",
        "factor": 1.0,
    }


SETPOINT = {
    "device_id": "meter",
    "metric": "limits/export",
    "data_type": "double",
    "entity": "number.limit",
    "time_limit_s": 30,
}


async def test_an_entity_can_be_written(hass: HomeAssistant) -> None:
    entry = entry_of(hass)
    result = await add(hass, entry, SUBENTRY_COMMAND, SETPOINT)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    [subentry] = entry.subentries.values()
    assert subentry.title == "meter/limits/export → number.limit"
    assert dict(subentry.data) == SETPOINT


async def test_an_action_can_be_called(hass: HomeAssistant) -> None:
    entry = entry_of(hass)
    steps = [{"action": "script.boost", "metadata": {}, "data": {"for": "{{ arg }}"}}]
    given = {key: SETPOINT[key] for key in SETPOINT if key != "entity"}
    result = await add(hass, entry, SUBENTRY_COMMAND, {**given, "action": steps})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    [subentry] = entry.subentries.values()
    assert subentry.title == "meter/limits/export → script.boost"
    assert subentry.data["action"] == {"action": "script.boost", "data": {"for": "{{ arg }}"}}
    assert "entity" not in subentry.data


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"device_id": "a/b"}, {"device_id": "invalid_device_id"}),
        ({"metric": "limit/"}, {"metric": "invalid_metric_name"}),
        ({"metric": "POWER"}, {"metric": "metric_name_in_use"}),
        ({"metric": "Mode"}, {"metric": "metric_name_in_use"}),
        ({"data_type": "boolean"}, {"data_type": "wrong_data_type"}),
        ({"entity": None}, {"base": "nothing_to_call"}),
        ({"action": [{"delay": 1}]}, {"action": "one_action"}),
    ],
)
async def test_a_writable_metric_is_checked(
    hass: HomeAssistant, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    entry = entry_of(
        hass,
        device("meter", point("sensor.power", "power")),
        command("meter", "mode", "double", entity="number.mode"),
    )
    given = {key: value for key, value in {**SETPOINT, **changes}.items() if value is not None}
    result = await add(hass, entry, SUBENTRY_COMMAND, given)
    assert result["errors"] == errors


async def test_a_writable_metric_can_be_changed(hass: HomeAssistant) -> None:
    entry = entry_of(
        hass,
        command(
            "meter",
            "mode",
            "double",
            entity="number.mode",
            action={"action": "script.mode"},
        ),
    )
    [subentry] = entry.subentries.values()
    result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    assert "number.mode" in str([key.description for key in result["data_schema"].schema])
    result = await hass.config_entries.subentries.async_configure(result["flow_id"], SETPOINT)
    assert result["reason"] == "reconfigure_successful"
    assert dict(entry.subentries[subentry.subentry_id].data) == SETPOINT


async def test_what_a_writable_metric_has_not_is_not_suggested(hass: HomeAssistant) -> None:
    entry = entry_of(
        hass,
        command("meter", "mode", "double", entity="number.mode"),
        command("meter", "boost", "double", action={"action": "script.boost"}),
    )
    for subentry in entry.subentries.values():
        result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
        shown = {
            str(key)
            for key in result["data_schema"].schema
            if (key.description or {}).get("suggested_value") is not None
        }
        assert shown & {"entity", "action"} == subentry.data.keys() & {"entity", "action"}
