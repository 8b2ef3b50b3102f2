"""The steps of a Scout entry, its devices and its alarms, as a user goes through them."""

from collections.abc import Generator
from typing import Any
from unittest.mock import AsyncMock, patch

from homeassistant.config_entries import SOURCE_USER, ConfigSubentryData
from homeassistant.const import CONF_HOST, CONF_TOKEN, CONF_URL
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.connection.errors import (
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
    LinkError,
)
from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.scout.const import (
    DEFAULT_URL,
    SUBENTRY_ALARM,
    SUBENTRY_DEVICE,
)
from tests.links.flows import fill_in

pytestmark = pytest.mark.usefixtures("no_setup")

LOGIN = {
    CONF_URL: DEFAULT_URL,
    CONF_HOST: "pro",
    "claim_id": "Abcd1234",
    CONF_TOKEN: "s3cret",
    "allow_plain": False,
}
GATEWAY = {
    "serial_number": "HA-1",
    "gateway_type": "HOME_ASSISTANT",
    "hardware_version": "1.0",
    "interval_s": 60,
    "max_age_days": 30,
    "max_samples": 1_000_000,
}


@pytest.fixture(autouse=True)
def login() -> Generator[AsyncMock]:
    """Stand for the platform's answer to a login."""
    with patch(
        "custom_components.grid_telemetry.links.scout.flow.login_test", autospec=True
    ) as mock:
        yield mock


def entry_of(hass: HomeAssistant, *subentries: ConfigSubentryData) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Circutor Scout Abcd1234",
        unique_id="scout.circutor.com/pro/Abcd1234",
        data={CONF_KIND: "scout", **LOGIN, **GATEWAY},
        subentries_data=subentries,
    )
    entry.add_to_hass(hass)
    return entry


async def begin(hass: HomeAssistant) -> dict[str, Any]:
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert result["type"] is FlowResultType.MENU
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": "send"}
    )
    assert "scout" in result["menu_options"]
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": "scout"}
    )
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "scout"
    return dict(result)


async def test_a_login_that_works_makes_an_entry(hass: HomeAssistant) -> None:
    result = await begin(hass)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], LOGIN)
    assert result["step_id"] == "scout_gateway"
    suggested = {
        str(key): (key.description or {}).get("suggested_value")
        for key in result["data_schema"].schema
    }
    assert suggested["serial_number"]
    result = await hass.config_entries.flow.async_configure(result["flow_id"], GATEWAY)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == f"Circutor Scout {GATEWAY['serial_number']}"
    assert LOGIN["claim_id"] not in result["title"]
    assert result["data"] == {CONF_KIND: "scout", **LOGIN, **GATEWAY}
    assert result["result"].unique_id == "scout.circutor.com/pro/Abcd1234"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (CredentialsRefused("invalid_auth"), "invalid_auth"),
        (DestinationRefused("unknown_host"), "unknown_host"),
        (ConnectionFailed("tls_failed"), "tls_failed"),
        (ConnectionFailed("wrong_url"), "wrong_url"),
    ],
)
async def test_a_refused_login_says_why_and_can_be_corrected(
    hass: HomeAssistant, login: AsyncMock, error: LinkError, text: str
) -> None:
    login.side_effect = error
    result = await begin(hass)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], LOGIN)
    assert result["errors"] == {"base": text}
    login.side_effect = None
    result = await hass.config_entries.flow.async_configure(result["flow_id"], LOGIN)
    assert result["step_id"] == "scout_gateway"


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"claim_id": "short"}, {"claim_id": "invalid_claim_id"}),
        ({CONF_URL: "https://scout.circutor.com"}, {CONF_URL: "invalid_url"}),
        ({CONF_URL: "wss://[scout.circutor.com/ws"}, {CONF_URL: "invalid_url"}),
        ({CONF_URL: "ws://192.168.1.5:99999/ws"}, {CONF_URL: "invalid_url"}),
        ({CONF_URL: "wss://scout.local:https/ws"}, {CONF_URL: "invalid_url"}),
        ({CONF_URL: "wss:///ws"}, {CONF_URL: "invalid_url"}),
        ({CONF_TOKEN: "two\nlines"}, {CONF_TOKEN: "not_a_header_value"}),
        ({CONF_HOST: "pro\n"}, {CONF_HOST: "not_a_header_value"}),
    ],
)
async def test_bad_input_is_refused_before_anything_is_sent(
    hass: HomeAssistant, login: AsyncMock, change: dict[str, Any], errors: dict[str, str]
) -> None:
    result = await begin(hass)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], LOGIN | change)
    assert result["errors"] == errors
    login.assert_not_called()


async def test_an_identity_that_would_break_a_header_is_refused(hass: HomeAssistant) -> None:
    result = await begin(hass)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], LOGIN)
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], GATEWAY | {"serial_number": "a\nb"}
    )
    assert result["errors"] == {"serial_number": "not_a_header_value"}
    result = await hass.config_entries.flow.async_configure(result["flow_id"], GATEWAY)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_the_same_gateway_is_set_up_once(hass: HomeAssistant) -> None:
    entry_of(hass)
    result = await begin(hass)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], LOGIN)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def reconfigure(hass: HomeAssistant, entry: MockConfigEntry, step: str) -> dict[str, Any]:
    """Choose what to change of an entry."""
    result = await entry.start_reconfigure_flow(hass)
    assert result["type"] is FlowResultType.MENU
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": step}
    )
    assert result["step_id"] == step
    return dict(result)


def suggestions(result: dict[str, Any]) -> dict[str, Any]:
    return {
        str(key): (key.description or {}).get("suggested_value")
        for key in result["data_schema"].schema
    }


async def test_reconfigure_changes_the_login(hass: HomeAssistant, login: AsyncMock) -> None:
    entry = entry_of(hass)
    result = await reconfigure(hass, entry, "scout")
    shown = suggestions(result)
    assert shown["claim_id"] == "Abcd1234"
    assert shown[CONF_TOKEN] is None  # a stored secret is never shown
    result = dict(
        await hass.config_entries.flow.async_configure(
            result["flow_id"], LOGIN | {CONF_TOKEN: "new"}
        )
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reconfigure_successful"
    assert entry.data == {CONF_KIND: "scout", **LOGIN, **GATEWAY, CONF_TOKEN: "new"}
    login.assert_called_once()


async def test_an_empty_token_keeps_the_old_one_and_nothing_new_is_not_tried(
    hass: HomeAssistant, login: AsyncMock
) -> None:
    entry = entry_of(hass)
    without = {key: LOGIN[key] for key in LOGIN if key != CONF_TOKEN}
    result = await reconfigure(hass, entry, "scout")
    await hass.config_entries.flow.async_configure(result["flow_id"], without)
    assert entry.data[CONF_TOKEN] == LOGIN[CONF_TOKEN]
    login.assert_not_called()

    result = await reconfigure(hass, entry, "scout")
    await hass.config_entries.flow.async_configure(
        result["flow_id"], without | {CONF_URL: "wss://scout.example/ws"}
    )
    assert entry.data[CONF_TOKEN] == LOGIN[CONF_TOKEN]
    login.assert_called_once()


async def test_the_identity_is_changed_without_a_login(
    hass: HomeAssistant, login: AsyncMock
) -> None:
    entry = entry_of(hass)
    unique_id = entry.unique_id
    identity = {key: GATEWAY[key] for key in GATEWAY if key not in ("max_age_days", "max_samples")}
    result = await reconfigure(hass, entry, "scout_identity")
    result = dict(
        await hass.config_entries.flow.async_configure(
            result["flow_id"], identity | {"serial_number": "a\nb"}
        )
    )
    assert result["errors"] == {"serial_number": "not_a_header_value"}
    await hass.config_entries.flow.async_configure(result["flow_id"], identity | {"interval_s": 10})
    assert entry.data == {CONF_KIND: "scout", **LOGIN, **GATEWAY, "interval_s": 10}
    assert entry.unique_id == unique_id
    login.assert_not_called()


async def test_the_limits_are_raised_while_the_platform_is_away(
    hass: HomeAssistant, login: AsyncMock
) -> None:
    login.side_effect = ConnectionFailed("cannot_connect")
    entry = entry_of(hass)
    result = await reconfigure(hass, entry, "scout_limits")
    assert suggestions(result)["max_samples"] == GATEWAY["max_samples"]
    result = dict(
        await hass.config_entries.flow.async_configure(
            result["flow_id"], {"max_age_days": 30, "max_samples": 5_000_000}
        )
    )
    assert result["reason"] == "reconfigure_successful"
    assert entry.data == {
        CONF_KIND: "scout",
        **LOGIN,
        **GATEWAY,
        "max_age_days": 30,
        "max_samples": 5_000_000,
    }
    login.assert_not_called()


async def test_reconfigure_does_not_take_another_entrys_gateway(hass: HomeAssistant) -> None:
    entry = entry_of(hass)
    MockConfigEntry(
        domain=DOMAIN,
        unique_id="scout.circutor.com/pro/Other567",
        data={CONF_KIND: "scout", **LOGIN, **GATEWAY},
    ).add_to_hass(hass)
    result = await reconfigure(hass, entry, "scout")
    result = dict(
        await hass.config_entries.flow.async_configure(
            result["flow_id"], LOGIN | {"claim_id": "Other567"}
        )
    )
    assert result["reason"] == "already_configured"


async def test_reauth_asks_for_the_token_until_it_works(
    hass: HomeAssistant, login: AsyncMock
) -> None:
    entry = entry_of(hass)
    result = await entry.start_reauth_flow(hass)
    assert result["step_id"] == "scout_reauth_confirm"
    assert result["description_placeholders"]["claim_id"] == "Abcd1234"
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {CONF_TOKEN: "a\nb"})
    assert result["errors"] == {CONF_TOKEN: "not_a_header_value"}
    login.assert_not_called()
    login.side_effect = CredentialsRefused("invalid_auth")
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {CONF_TOKEN: "wrong"}
    )
    assert result["errors"] == {"base": "invalid_auth"}
    login.side_effect = None
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {CONF_TOKEN: "new"})
    assert result["reason"] == "reauth_successful"
    assert entry.data[CONF_TOKEN] == "new"


@pytest.fixture
def meter(hass: HomeAssistant) -> dr.DeviceEntry:
    """Put a meter of ours, with a voltage, two energies and a diagnostic, into the registries."""
    source = MockConfigEntry(domain=DOMAIN, data={CONF_KIND: "modbus"})
    source.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=source.entry_id, identifiers={(DOMAIN, "meter")}, name="House"
    )
    registry = er.async_get(hass)
    for key, device_class, unit in (
        ("voltage_l1", "voltage", "V"),
        ("energy_import", "energy", "kWh"),
        ("power", "power", "W"),
    ):
        registry.async_get_or_create(
            "sensor",
            DOMAIN,
            key,
            suggested_object_id=f"house_{key}",
            config_entry=source,
            device_id=device.id,
            translation_key=key,
            original_device_class=device_class,
            unit_of_measurement=unit,
            capabilities={"state_class": "measurement"},
        )
    registry.async_get_or_create(
        "sensor",
        DOMAIN,
        "signal",
        config_entry=source,
        device_id=device.id,
        entity_category=er.EntityCategory.DIAGNOSTIC,
        capabilities={"state_class": "measurement"},
    )
    return device


async def begin_device(hass: HomeAssistant, entry: MockConfigEntry) -> dict[str, Any]:
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_DEVICE), context={"source": SOURCE_USER}
    )
    assert result["step_id"] == "user"
    return dict(result)


def shown_rows(result: Any) -> list[dict[str, Any]]:
    (key,) = result["data_schema"].schema
    rows: list[dict[str, Any]] = key.description["suggested_value"]
    return rows


async def test_a_meters_readings_get_the_codes_that_are_proven(
    hass: HomeAssistant, meter: dr.DeviceEntry
) -> None:
    entry = entry_of(hass)
    hass.states.async_set(
        "sensor.boiler", "12", {"device_class": "energy", "unit_of_measurement": "MWh"}
    )
    result = await begin_device(hass, entry)
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"],
        {"gateway_device_id": "2", "devices": [meter.id], "entities": ["sensor.boiler"]},
    )
    result = await fill_in(hass, result)
    assert result["step_id"] == "points"
    rows = {row["entity"]: row for row in shown_rows(result)}
    assert rows["sensor.house_voltage_l1"]["code"] == "V_AN"
    assert rows["sensor.house_energy_import"] == {
        "entity": "sensor.house_energy_import",
        "code": "P_CON_TOT_ENERGY",
        "unit": "Wh",
        "factor": 1,
    }
    # No code of a power is proven, and the meter's energy took the counter's code already.
    assert rows["sensor.house_power"]["code"] == ""
    assert rows["sensor.boiler"]["code"] == ""
    assert len(rows) == 4
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"points": list(rows.values())}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    registry = er.async_get(hass)
    assert subentry.title == "2"
    assert subentry.data["gateway_device_id"] == "2"
    assert [(point["entity"], point["name"]) for point in subentry.data["points"]] == [
        (registry.async_get("sensor.house_voltage_l1").id, "V_AN"),
        (registry.async_get("sensor.house_energy_import").id, "P_CON_TOT_ENERGY"),
    ]


@pytest.mark.parametrize(
    ("row", "text", "about"),
    [
        ({"code": "V AN"}, "invalid_code", "V AN"),
        ({"code": "X"}, "duplicate_code", "X"),
        ({"code": "V_AN", "factor": 0}, "zero_factor", "V_AN"),
        ({"code": "V_AN", "unit": "kWh"}, "wrong_unit", "sensor.house_voltage_l1: V → kWh"),
        (
            {"entity": "sensor.bare", "code": "N", "unit": "kWh"},
            "wrong_unit",
            "sensor.bare: (none) → kWh",
        ),
    ],
)
async def test_a_row_that_cannot_be_sent_is_named(
    hass: HomeAssistant, meter: dr.DeviceEntry, row: dict[str, Any], text: str, about: str
) -> None:
    result = await begin_device(hass, entry_of(hass))
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"gateway_device_id": "2", "devices": [meter.id], "entities": []}
    )
    result = await fill_in(hass, result)
    good = {"entity": "sensor.house_power", "code": "X"}
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"points": [good, {"entity": "sensor.house_voltage_l1", **row}]}
    )
    assert result["errors"] == {"base": text}
    assert result["description_placeholders"]["row"] == about
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"points": [good]}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("present", "suggested"),
    [("kWh", "Wh"), ("kvarh", "varh"), ("kVArh", "varh"), ("kVAh", "VAh"), ("KVAH", "VAh")],
)
async def test_every_energy_is_suggested_in_one_scale(
    hass: HomeAssistant, present: str, suggested: str
) -> None:
    hass.states.async_set("sensor.energy", "1", {"unit_of_measurement": present})
    result = await begin_device(hass, entry_of(hass))
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"gateway_device_id": "2", "devices": [], "entities": ["sensor.energy"]}
    )
    result = await fill_in(hass, result)
    (row,) = shown_rows(result)
    assert row["unit"] == suggested
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"points": [{**row, "code": "E"}]}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_a_row_can_be_three_points(hass: HomeAssistant, meter: dr.DeviceEntry) -> None:
    entry = entry_of(hass)
    result = await begin_device(hass, entry)
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"],
        {"gateway_device_id": "2", "devices": [meter.id], "entities": [], "max_age_s": 600},
    )
    result = await fill_in(hass, result)
    row = {"entity": "sensor.house_power", "code": "P", "take": "mean_min_max"}
    twice = {"entity": "sensor.house_voltage_l1", "code": "P_MAX"}
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"points": [row, twice]}
    )
    assert result["errors"] == {"base": "duplicate_code"}
    hass.states.async_set("sensor.boiler", "12", {"state_class": "total"})
    counter = {"entity": "sensor.boiler", "code": "E", "take": "mean"}
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"points": [row, counter]}
    )
    assert result["errors"] == {"base": "counter_is_instant"}
    assert result["description_placeholders"]["row"] == "sensor.boiler"
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"points": [row, {**counter, "take": "instant", "guard": "off"}]}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    assert subentry.data["max_age_s"] == 600
    assert [(point["name"], point.get("take")) for point in subentry.data["points"]] == [
        ("P", "mean"),
        ("P_MIN", "minimum"),
        ("P_MAX", "maximum"),
        ("E", None),
    ]
    result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"gateway_device_id": "2", "devices": [], "entities": []}
    )
    result = await fill_in(hass, result)
    assert [(row["code"], row.get("take"), row.get("guard")) for row in shown_rows(result)] == [
        ("P", "mean", None),
        ("P_MIN", "minimum", None),
        ("P_MAX", "maximum", None),
        ("E", None, "off"),
    ]


async def test_a_device_without_any_code_is_not_saved(
    hass: HomeAssistant, meter: dr.DeviceEntry
) -> None:
    result = await begin_device(hass, entry_of(hass))
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"gateway_device_id": "2", "devices": [meter.id], "entities": []}
    )
    result = await fill_in(hass, result)
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"points": [{"entity": "sensor.house_power", "code": ""}]}
    )
    assert result["errors"] == {"base": "no_points"}


@pytest.mark.parametrize(
    ("user_input", "errors"),
    [
        ({"gateway_device_id": "MAIN"}, {"gateway_device_id": "device_id_in_use"}),
        ({"gateway_device_id": "\x01"}, {"gateway_device_id": "invalid_device_id"}),
        ({"gateway_device_id": "2"}, {"base": "nothing_to_send"}),
    ],
)
async def test_a_device_needs_an_id_of_its_own_and_something_to_send(
    hass: HomeAssistant, user_input: dict[str, Any], errors: dict[str, str]
) -> None:
    entry = entry_of(
        hass,
        ConfigSubentryData(
            subentry_type=SUBENTRY_DEVICE,
            title="MAIN",
            unique_id=None,
            data={"gateway_device_id": "MAIN", "points": []},
        ),
    )
    result = await begin_device(hass, entry)
    result = await hass.config_entries.subentries.async_configure(result["flow_id"], user_input)
    assert result["errors"] == errors


async def test_reconfiguring_a_device_follows_renames_and_adds(
    hass: HomeAssistant, meter: dr.DeviceEntry
) -> None:
    registry = er.async_get(hass)
    power = registry.async_get("sensor.house_power")
    assert power is not None
    entry = entry_of(
        hass,
        ConfigSubentryData(
            subentry_type=SUBENTRY_DEVICE,
            title="MAIN",
            unique_id=None,
            data={
                "gateway_device_id": "MAIN",
                "points": [
                    {"entity": power.id, "name": "P", "unit": "kW", "factor": 2},
                    {"entity": "0" * 32, "name": "GONE"},
                ],
            },
        ),
    )
    registry.async_update_entity("sensor.house_power", new_entity_id="sensor.grid")
    (subentry_id,) = entry.subentries
    result = await entry.start_subentry_reconfigure_flow(hass, subentry_id)
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"gateway_device_id": "3", "devices": [meter.id], "entities": []}
    )
    result = await fill_in(hass, result)
    rows = shown_rows(result)
    assert rows[0] == {"entity": "sensor.grid", "code": "P", "unit": "kW", "factor": 2}
    assert [row["entity"] for row in rows[1:]] == [
        "sensor.house_voltage_l1",
        "sensor.house_energy_import",
    ]
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], {"points": rows}
    )
    assert result["reason"] == "reconfigure_successful"
    (subentry,) = entry.subentries.values()
    assert subentry.title == "3"
    assert [point["name"] for point in subentry.data["points"]] == ["P", "V_AN", "P_CON_TOT_ENERGY"]


async def test_an_alarm_is_made_and_changed(hass: HomeAssistant) -> None:
    entry = entry_of(hass)
    hass.states.async_set("binary_sensor.leak", "off", {"friendly_name": "Leak"})
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, SUBENTRY_ALARM), context={"source": SOURCE_USER}
    )
    alarm = {
        "entity": "binary_sensor.leak",
        "event_type": "ALARM_DEVICE",
        "gateway_device_id": "MAIN",
        "custom_name": "Water",
    }
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], alarm | {"event_type": "no good", "gateway_device_id": "\x02"}
    )
    assert result["errors"] == {
        "event_type": "invalid_code",
        "gateway_device_id": "invalid_device_id",
    }
    result = await hass.config_entries.subentries.async_configure(result["flow_id"], alarm)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    (subentry,) = entry.subentries.values()
    assert subentry.title == "Leak → ALARM_DEVICE"
    assert subentry.data == alarm
    result = await entry.start_subentry_reconfigure_flow(hass, subentry.subentry_id)
    result = await hass.config_entries.subentries.async_configure(
        result["flow_id"], alarm | {"event_type": "OVERLOAD"}
    )
    assert result["reason"] == "reconfigure_successful"
    (subentry,) = entry.subentries.values()
    assert subentry.data["event_type"] == "OVERLOAD"
