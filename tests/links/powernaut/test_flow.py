"""The steps of a Powernaut entry, as a user goes through them."""

from collections.abc import Generator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, patch

from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.test_util.aiohttp import AiohttpClientMocker

from custom_components.grid_telemetry.connection.errors import (
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
    LinkError,
)
from custom_components.grid_telemetry.const import DOMAIN

from .conftest import ENTRY_DATA, PACKAGE, AddEntry, FakeApi
from .samples import SITE_ID, listed, resource, site

pytestmark = pytest.mark.usefixtures("api", "no_setup")

OTHER_SITE = "0d4c4b2e-9a53-4c1f-8a60-0a8b3c7de0ff"
LOGIN = {"site_key": "key", "secret": "secret", "qos": "1"}


@pytest.fixture(autouse=True)
def login() -> Generator[AsyncMock]:
    """Stand for the broker's answer to a login."""
    with patch(f"{PACKAGE}.flow.login_test", autospec=True) as mock:
        yield mock


async def begin(hass: HomeAssistant, environment: str) -> ConfigFlowResult:
    flows = hass.config_entries.flow
    result = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await flows.async_configure(result["flow_id"], {"next_step_id": "powernaut"})
    assert result["type"] is FlowResultType.MENU
    step = f"powernaut_{environment}"
    result = await flows.async_configure(result["flow_id"], {"next_step_id": step})
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, step)
    return result


async def go_on(
    hass: HomeAssistant, result: ConfigFlowResult, user_input: dict[str, Any]
) -> ConfigFlowResult:
    result = await hass.config_entries.flow.async_configure(result["flow_id"], user_input)
    await hass.async_block_till_done()
    return result


@pytest.mark.parametrize(
    ("environment", "domain"),
    [("production", "powernaut.io"), ("sandbox", "sandbox.powernaut.io")],
)
async def test_a_site_is_set_up_with_its_key_and_secret(
    hass: HomeAssistant,
    aioclient_mock: AiohttpClientMocker,
    login: AsyncMock,
    environment: str,
    domain: str,
) -> None:
    aioclient_mock.get(f"https://api.{domain}/v1/connect/resources", json=listed(resource()))
    aioclient_mock.get(
        f"https://api.{domain}/v1/connect/sites", json=listed(site(), site(status="deleted"))
    )
    result = await go_on(hass, await begin(hass, environment), {**LOGIN, "qos": "2"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Powernaut Home"
    assert result["data"] == {**ENTRY_DATA, "environment": environment, "qos": 2}
    assert result["result"].unique_id == f"api.{domain}/{SITE_ID}"
    tried = login.call_args.args[0]
    assert (tried.host, tried.port) == (f"mqtt.{domain}", 8883)
    assert (tried.key, tried.secret) == ("key", "secret")
    assert tried.context.minimum_version.name == "TLSv1_2"


async def test_a_platform_of_ones_own_has_its_own_addresses_and_authority(
    hass: HomeAssistant, aioclient_mock: AiohttpClientMocker, login: AsyncMock, tmp_path: Path
) -> None:
    from simulators.certificates import Authority  # noqa: PLC0415

    aioclient_mock.get("https://broker.lan:8443/v1/connect/sites", json=listed(site()))
    aioclient_mock.get("https://broker.lan:8443/v1/connect/resources", json=listed())
    addresses = {
        "api_url": "https://broker.lan:8443",
        "broker_host": "broker.lan",
        "broker_port": 18883,
        "ca_file": str(Authority(tmp_path).ca_file),
    }
    result = await go_on(hass, await begin(hass, "custom"), {**addresses, **LOGIN})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert addresses.items() <= result["data"].items()
    assert result["result"].unique_id == f"broker.lan:8443/{SITE_ID}"
    tried = login.call_args.args[0]
    assert (tried.host, tried.port) == ("broker.lan", 18883)
    assert len(tried.context.get_ca_certs()) == 1
    assert tried.context.minimum_version.name == "TLSv1_2"


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"api_url": "http://broker.lan"}, {"api_url": "powernaut_invalid_url"}),
        ({"api_url": "broker.lan"}, {"api_url": "powernaut_invalid_url"}),
        ({"api_url": "https://[broker.lan"}, {"api_url": "powernaut_invalid_url"}),
        ({"api_url": "https://broker.lan:99999"}, {"api_url": "powernaut_invalid_url"}),
        ({"ca_file": "/nowhere/ca.pem"}, {"base": "powernaut_ca_file"}),
        ({"site_key": "a:b"}, {"site_key": "powernaut_invalid_credential"}),
        ({"secret": "a\nb"}, {"secret": "powernaut_invalid_credential"}),
    ],
)
async def test_what_cannot_be_an_address_or_a_login_is_told_and_can_be_corrected(
    hass: HomeAssistant,
    aioclient_mock: AiohttpClientMocker,
    changes: dict[str, str],
    errors: dict[str, str],
) -> None:
    aioclient_mock.get("https://broker.lan/v1/connect/sites", json=listed(site()))
    aioclient_mock.get("https://broker.lan/v1/connect/resources", json=listed())
    right = {
        "api_url": "https://broker.lan",
        "broker_host": "broker.lan",
        "broker_port": 8883,
        **LOGIN,
    }
    result = await go_on(hass, await begin(hass, "custom"), {**right, **changes})
    assert (result["type"], result["errors"]) == (FlowResultType.FORM, errors)
    result = await go_on(hass, result, right)
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (CredentialsRefused("invalid_auth"), "powernaut_invalid_auth"),
        (ConnectionFailed("cannot_connect", "refused"), "powernaut_cannot_connect"),
        (ConnectionFailed("tls_failed", "expired"), "powernaut_tls_failed"),
        (ConnectionFailed("unknown_server"), "powernaut_unknown_server"),
        (ConnectionFailed("timeout_connect"), "powernaut_timeout_connect"),
        (ConnectionFailed("broker_refused"), "powernaut_broker_refused"),
        (ConnectionFailed("connection_lost"), "powernaut_connection_lost"),
        (ConnectionFailed("broker_ended"), "powernaut_broker_ended"),
        (ConnectionFailed("protocol_error"), "powernaut_protocol_error"),
        (DestinationRefused("no_mqtt5"), "powernaut_no_mqtt5"),
        (DestinationRefused("client_id_refused"), "powernaut_client_id_refused"),
        (DestinationRefused("not_authorized"), "powernaut_not_authorized"),
        (DestinationRefused("session_taken_over"), "powernaut_session_taken_over"),
    ],
)
async def test_what_the_broker_says_is_told_and_can_be_corrected(
    hass: HomeAssistant, login: AsyncMock, error: LinkError, key: str
) -> None:
    login.side_effect = error
    result = await go_on(hass, await begin(hass, "production"), LOGIN)
    assert result["errors"] == {"base": key}
    assert result["description_placeholders"] == {"error": error.detail}
    login.side_effect = None
    result = await go_on(hass, result, LOGIN)
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("status", "answer", "key"),
    [
        (401, None, "powernaut_invalid_auth"),
        (500, None, "powernaut_server_error"),
        (403, None, "powernaut_forbidden"),
        (404, None, "powernaut_unexpected_answer"),
        (429, None, "powernaut_rate_limited"),
        (200, {"hello": "world"}, "powernaut_unexpected_answer"),
        (200, listed(), "powernaut_no_site"),
    ],
)
async def test_what_the_api_says_is_told_and_can_be_corrected(
    hass: HomeAssistant,
    api: FakeApi,
    login: AsyncMock,
    status: int,
    answer: dict[str, Any] | None,
    key: str,
) -> None:
    api.answer("GET", "sites", answer, status)
    result = await go_on(hass, await begin(hass, "production"), LOGIN)
    assert result["errors"] == {"base": key}
    api.answer("GET", "sites", listed(site()))
    result = await go_on(hass, result, LOGIN)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_of_several_sites_one_is_chosen(hass: HomeAssistant, api: FakeApi) -> None:
    api.answer("GET", "sites", listed(site(), site(id=OTHER_SITE, external_id="Barn")))
    result = await go_on(hass, await begin(hass, "production"), LOGIN)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "powernaut_site")
    result = await go_on(hass, result, {"site_id": OTHER_SITE})
    assert (result["type"], result["title"]) == (FlowResultType.CREATE_ENTRY, "Powernaut Barn")


async def test_a_site_is_set_up_once(hass: HomeAssistant, add_entry: AddEntry) -> None:
    add_entry()
    result = await go_on(hass, await begin(hass, "production"), LOGIN)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_credentials_are_rotated_by_reconfiguring(
    hass: HomeAssistant, api: FakeApi, add_entry: AddEntry
) -> None:
    api.answer("GET", "sites", listed(site(id=OTHER_SITE, external_id="Barn"), site()))
    entry = add_entry(qos=2)
    result = await entry.start_reconfigure_flow(hass)
    assert result["step_id"] == "powernaut_production"
    suggested = {
        str(key): key.description["suggested_value"]
        for key in result["data_schema"].schema
        if key.description
    }
    assert suggested == {"site_key": "key", "qos": "2"}
    result = await go_on(hass, result, {"site_key": "new", "secret": "newer", "qos": "1"})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert entry.data == {**ENTRY_DATA, "site_key": "new", "secret": "newer"}
    assert entry.unique_id == f"api.powernaut.io/{SITE_ID}"


async def test_an_empty_secret_keeps_the_stored_one(
    hass: HomeAssistant, api: FakeApi, login: AsyncMock, add_entry: AddEntry
) -> None:
    entry = add_entry()
    result = await entry.start_reconfigure_flow(hass)
    result = await go_on(hass, result, {"site_key": "new", "qos": "1"})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert entry.data == {**ENTRY_DATA, "site_key": "new"}


def own_platform(hass: HomeAssistant, host: str) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=DOMAIN,
        title="Powernaut Home",
        unique_id=f"{host}/{SITE_ID}",
        data={
            **ENTRY_DATA,
            "environment": "custom",
            "api_url": f"https://{host}",
            "broker_host": host,
            "broker_port": 8883,
        },
    )
    entry.add_to_hass(hass)
    return entry


async def test_a_platform_of_ones_own_may_move(
    hass: HomeAssistant, aioclient_mock: AiohttpClientMocker
) -> None:
    for host in ("new.lan", "other.lan"):
        aioclient_mock.get(f"https://{host}/v1/connect/sites", json=listed(site()))
    entry = own_platform(hass, "old.lan")
    own_platform(hass, "other.lan")
    addresses = {"broker_host": "new.lan", "broker_port": 8883, **LOGIN}

    result = await entry.start_reconfigure_flow(hass)
    result = await go_on(hass, result, {"api_url": "https://other.lan", **addresses})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")

    result = await entry.start_reconfigure_flow(hass)
    result = await go_on(hass, result, {"api_url": "https://new.lan", **addresses})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert entry.unique_id == f"new.lan/{SITE_ID}"


async def test_credentials_of_another_site_are_not_taken(
    hass: HomeAssistant, api: FakeApi, add_entry: AddEntry
) -> None:
    entry = add_entry()
    api.answer("GET", "sites", listed(site(id=OTHER_SITE)))
    result = await go_on(hass, await entry.start_reconfigure_flow(hass), LOGIN)
    assert result["errors"] == {"base": "powernaut_other_site"}


async def test_new_credentials_are_asked_for_and_tried(
    hass: HomeAssistant, api: FakeApi, login: AsyncMock, add_entry: AddEntry
) -> None:
    entry = add_entry()
    result = await entry.start_reauth_flow(hass)
    assert result["step_id"] == "powernaut_reauth_confirm"
    new = {"site_key": "new", "secret": "newer"}

    login.side_effect = CredentialsRefused("invalid_auth", "135")
    result = await go_on(hass, result, new)
    assert result["errors"] == {"base": "powernaut_invalid_auth"}

    login.side_effect = None
    api.answer("GET", "sites", listed(site(id=OTHER_SITE)))
    result = await go_on(hass, result, new)
    assert result["errors"] == {"base": "powernaut_other_site"}

    api.answer("GET", "sites", listed(site()))
    result = await go_on(hass, result, new)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reauth_successful")
    assert entry.data == {**ENTRY_DATA, **new}
