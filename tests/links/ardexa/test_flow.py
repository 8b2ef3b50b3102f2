"""The config flow against the cloud: what works, and every error told apart."""

from collections.abc import AsyncGenerator
import json
import ssl
from typing import Any
from unittest.mock import patch

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientSession,
    WSMsgType,
    web,
)
from aiohttp.client_reqrep import ConnectionKey
from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN
from simulators.ardexa import Ardexa

from .conftest import AddEntry, power_feed, start, until

FLOW = "custom_components.grid_telemetry.links.ardexa.flow"


def answers(cloud: Ardexa, **changes: Any) -> dict[str, Any]:
    return {
        "url": cloud.url,
        "workgroup": "dev",
        "token": cloud.token,
        "allow_operations": False,
        **changes,
    }


async def begin(hass: HomeAssistant) -> ConfigFlowResult:
    result = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": "ardexa"}
    )
    assert result["step_id"] == "ardexa"
    return result


async def enter(hass: HomeAssistant, data: dict[str, Any]) -> ConfigFlowResult:
    result = await begin(hass)
    return await hass.config_entries.flow.async_configure(result["flow_id"], data)


async def close(hass: HomeAssistant) -> None:
    for entry in hass.config_entries.async_entries(DOMAIN):
        await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()


async def test_an_entry_is_made(hass: HomeAssistant, cloud: Ardexa) -> None:
    result = await enter(hass, answers(cloud, url=f"{cloud.url}/", token=f" {cloud.token}"))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Ardexa dev"
    assert result["data"] == {"kind": "ardexa", **answers(cloud)}
    await hass.async_block_till_done()
    # One feed was asked for, to see whether we may, and stopped.
    assert [event for event, _ in cloud.requests[:2]] == ["device:feed", "device:feed:stop"]
    assert cloud.refused == []
    await close(hass)


async def test_a_workgroup_without_scenarios_will_do(hass: HomeAssistant, cloud: Ardexa) -> None:
    cloud.devices.clear()
    result = await enter(hass, answers(cloud))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert cloud.requests == []
    await close(hass)


async def test_a_device_without_scenarios_is_passed_over(
    hass: HomeAssistant, cloud: Ardexa
) -> None:
    for device in cloud.devices.values():
        device.meta = {}
    result = await enter(hass, answers(cloud))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert cloud.requests == []
    await close(hass)


async def test_a_workgroup_is_set_up_once(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    add_entry()
    result = await enter(hass, answers(cloud))
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"url": "app.ardexa.com"}, {"url": "ardexa_invalid_url"}),
        ({"url": "http://192.0.2.1"}, {"url": "ardexa_invalid_url"}),
        ({"url": "http://app.ardexa.com"}, {"url": "ardexa_invalid_url"}),
        ({"url": "https://app.ardexa.com/path"}, {"url": "ardexa_invalid_url"}),
        ({"url": "https://[broken"}, {"url": "ardexa_invalid_url"}),
        ({"token": "two words"}, {"token": "ardexa_invalid_token"}),
        ({"token": "unknown"}, {"base": "ardexa_invalid_auth"}),
        ({"workgroup": "other"}, {"base": "ardexa_unknown_workgroup"}),
    ],
)
async def test_a_wrong_entry_is_told_and_can_be_set_right(
    hass: HomeAssistant, cloud: Ardexa, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    result = await enter(hass, answers(cloud, **changes))
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == errors
    result = await hass.config_entries.flow.async_configure(result["flow_id"], answers(cloud))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await close(hass)


async def test_an_expired_token_is_told_without_asking(hass: HomeAssistant, cloud: Ardexa) -> None:
    result = await enter(hass, answers(cloud, token=cloud.issue(10, age_s=20)))
    assert result["errors"] == {"token": "ardexa_token_expired"}
    assert not cloud.counts


async def test_a_missing_privilege_is_told_from_a_request(
    hass: HomeAssistant, cloud: Ardexa
) -> None:
    result = await enter(hass, answers(cloud, token=cloud.issue(privileged=False)))
    assert result["errors"] == {"base": "ardexa_no_privilege"}
    assert result["description_placeholders"] is not None
    assert "Control Devices" in result["description_placeholders"]["error"]


@pytest.mark.parametrize(
    ("reject", "error", "detail"),
    [
        (("Permission denied", None), "ardexa_no_privilege", "Permission denied"),
        (
            ("Not authorized", {"message": "Control Devices"}),
            "ardexa_no_privilege",
            "Not authorized (Control Devices)",
        ),
        (("Too many connections", None), "ardexa_rejected", "Too many connections"),
        (("Busy", {"code": 7}), "ardexa_rejected", "Busy (7)"),
    ],
)
async def test_a_rejected_connection_is_told_with_its_data(
    hass: HomeAssistant, cloud: Ardexa, reject: tuple[str, object], error: str, detail: str
) -> None:
    cloud.behaviour.reject = reject
    result = await enter(hass, answers(cloud))
    assert result["errors"] == {"base": error}
    assert result["description_placeholders"] == {"error": detail}


async def test_a_feed_that_is_refused_for_another_reason_is_no_error(
    hass: HomeAssistant, cloud: Ardexa
) -> None:
    for device in cloud.devices.values():
        device.online = False
    result = await enter(hass, answers(cloud))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await close(hass)


async def test_a_device_that_says_nothing_is_no_error(hass: HomeAssistant, cloud: Ardexa) -> None:
    cloud.behaviour.no_answer = {"device:feed"}
    with patch(f"{FLOW}.PRIVILEGE_WITHIN_S", 0.1):
        result = await enter(hass, answers(cloud))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await close(hass)


async def test_a_connection_that_breaks_off_is_told(hass: HomeAssistant, cloud: Ardexa) -> None:
    cloud.behaviour.no_answer = {"device:feed"}
    task = hass.async_create_task(enter(hass, answers(cloud)))
    await until(lambda: cloud.counts["device:feed"])
    cloud.relay.cut()
    assert (await task)["errors"] == {"base": "connection_lost"}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, "ardexa_server_error"),
        (302, "ardexa_wrong_server"),
        (429, "ardexa_too_many_requests"),
    ],
)
async def test_a_fault_of_the_cloud_is_told(
    hass: HomeAssistant, cloud: Ardexa, status: int, error: str
) -> None:
    cloud.behaviour.devices_status = status
    result = await enter(hass, answers(cloud))
    assert result["errors"] == {"base": error}


async def test_an_unreachable_cloud_is_told(hass: HomeAssistant, cloud: Ardexa) -> None:
    await cloud.relay.stop()
    result = await enter(hass, answers(cloud))
    assert result["errors"] == {"base": "ardexa_cannot_connect"}
    assert result["description_placeholders"] is not None
    assert cloud.token not in result["description_placeholders"]["error"]


KEY = ConnectionKey("app.ardexa.com", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (TimeoutError(), "ardexa_timeout"),
        (ClientConnectorDNSError(KEY, OSError(-2, "unknown")), "ardexa_unknown_host"),
        (ClientConnectorCertificateError(KEY, ssl.SSLError("expired")), "ardexa_tls_failed"),
    ],
)
async def test_what_keeps_from_connecting_is_told_apart(
    hass: HomeAssistant, cloud: Ardexa, error: Exception, key: str
) -> None:
    with patch.object(ClientSession, "get", side_effect=error):
        result = await enter(hass, answers(cloud))
    assert result["errors"] == {"base": key}


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("tok", "Cannot connect to host app.ardexa.com:443 [unknown]"),
        # One that is in the words themselves is not cut out of them.
        ("ardexa", "ClientConnectorDNSError"),
    ],
)
async def test_a_token_garbles_no_name(
    hass: HomeAssistant, cloud: Ardexa, token: str, words: str
) -> None:
    unknown = ClientConnectorDNSError(KEY, OSError(-2, "unknown"))
    with patch.object(ClientSession, "get", side_effect=unknown):
        result = await enter(hass, {**answers(cloud), "token": token})
    assert result["description_placeholders"] is not None
    assert result["description_placeholders"]["error"] == words


# --- other servers


class OtherServer:
    """A server that is not Ardexa's present one."""

    def __init__(self) -> None:
        self.polling: tuple[int, str] = (200, "")
        self.devices: tuple[int, str] = (200, "[]")
        self.opening: list[str] | None = None
        self.url = ""

    async def rest(self, request: web.Request) -> web.Response:
        status, text = self.devices
        return web.Response(status=status, text=text)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        if request.query["transport"] == "polling":
            status, text = self.polling
            return web.Response(status=status, text=text)
        if self.opening is None:
            return web.Response(status=400)
        response = web.WebSocketResponse()
        await response.prepare(request)
        for text in self.opening:
            await response.send_str(text)
        async for message in response:
            assert message.type is WSMsgType.TEXT
        return response


@pytest.fixture
async def server(socket_enabled: None) -> AsyncGenerator[OtherServer]:
    other = OtherServer()
    application = web.Application()
    application.router.add_get("/api/v1/devices/dev", other.rest)
    application.router.add_get("/socket.io-client/", other.socket)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    other.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield other
    await runner.cleanup()


async def errors_of(hass: HomeAssistant, server: OtherServer) -> Any:
    data = {"url": server.url, "workgroup": "dev", "token": "token", "allow_operations": False}
    return (await enter(hass, data))["errors"]


OPEN = json.dumps({"sid": "x", "upgrades": [], "pingInterval": 25000, "pingTimeout": 20000})


@pytest.mark.parametrize(
    ("polling", "error"),
    [
        ((200, f"97:0{OPEN}2:40"), "ardexa_older_generation"),
        ((400, '{"code":5,"message":"Unsupported protocol version"}'), "ardexa_other_generation"),
    ],
)
async def test_another_socket_io_is_told_by_polling(
    hass: HomeAssistant, server: OtherServer, polling: tuple[int, str], error: str
) -> None:
    server.polling = polling
    assert await errors_of(hass, server) == {"base": error}


async def test_an_older_socket_io_is_told_without_polling_too(
    hass: HomeAssistant, server: OtherServer
) -> None:
    server.polling = (400, '{"code":0,"message":"Transport unknown"}')
    server.opening = [f"0{OPEN}", "40"]
    assert await errors_of(hass, server) == {"base": "ardexa_older_generation"}


@pytest.mark.parametrize(
    ("devices", "error"),
    [
        ((200, "<html>"), "ardexa_wrong_server"),
        ((200, '"text"'), "ardexa_wrong_server"),
        ((200, '{"answer": 42}'), "ardexa_wrong_server"),
        ((200, "[{}]"), "ardexa_wrong_server"),
        ((200, "[7]"), "ardexa_wrong_server"),
        ((404, "<html>"), "ardexa_wrong_server"),
        ((418, "{}"), "ardexa_wrong_server"),
        ((403, '{"error": {"message": "No"}}'), "ardexa_unknown_workgroup"),
        ((401, "[]"), "ardexa_invalid_auth"),
    ],
)
async def test_what_is_not_ardexa_is_told(
    hass: HomeAssistant, server: OtherServer, devices: tuple[int, str], error: str
) -> None:
    server.devices = devices
    assert await errors_of(hass, server) == {"base": error}


@pytest.mark.parametrize(
    ("opening", "error"),
    [
        (None, "ardexa_rejected"),
        (["x"], "ardexa_cannot_connect"),
        (["0{}"], "ardexa_cannot_connect"),
        (["2"], "ardexa_cannot_connect"),
        (["0"], "ardexa_cannot_connect"),
        ([f"0{OPEN}"], "ardexa_timeout"),
        ([], "ardexa_timeout"),
    ],
)
async def test_a_websocket_of_something_else_is_told(
    hass: HomeAssistant, server: OtherServer, opening: list[str] | None, error: str
) -> None:
    server.opening = opening
    with patch("custom_components.grid_telemetry.links.ardexa.client.OPENED_WITHIN_S", 1):
        assert await errors_of(hass, server) == {"base": error}


async def test_a_websocket_that_wants_another_login_is_told(
    hass: HomeAssistant, server: OtherServer
) -> None:
    async def socket(request: web.Request) -> web.Response:
        return web.Response(status=200 if request.query["transport"] == "polling" else 403)

    application = web.Application()
    application.router.add_get("/api/v1/devices/dev", server.rest)
    application.router.add_get("/socket.io-client/", socket)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    assert await errors_of(hass, server) == {"base": "ardexa_no_privilege"}
    await runner.cleanup()


# --- changes


async def reauth(hass: HomeAssistant, entry: MockConfigEntry, token: str) -> ConfigFlowResult:
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["step_id"] == "ardexa_reauth_confirm"
    return await hass.config_entries.flow.async_configure(flow["flow_id"], {"token": token})


async def test_a_refused_token_is_asked_for_anew(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    old, cloud.token = cloud.token, cloud.issue()
    cloud.revoke(old)
    cloud.relay.cut()
    await until(hass.config_entries.flow.async_progress)
    result = await reauth(hass, entry, old)
    assert result["errors"] == {"base": "ardexa_invalid_auth"}
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"token": cloud.token}
    )
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reauth_successful"
    await until(lambda: cloud.feeds)
    assert entry.data["token"] == cloud.token


async def test_a_refused_token_at_the_start_is_asked_for_anew(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(token="unknown")
    assert not await hass.config_entries.async_setup(entry.entry_id)
    result = await reauth(hass, entry, cloud.token)
    assert result["reason"] == "reauth_successful"
    await hass.async_block_till_done()
    await until(lambda: entry.runtime_data.session)


async def test_a_cloud_that_is_away_at_the_start_is_tried_again(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    cloud.behaviour.devices_status = 503
    entry = add_entry()
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state.name == "SETUP_RETRY"
    assert entry.error_reason_translation_key == "ardexa_unreachable"


async def test_an_entry_is_reconfigured(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    entry = add_entry(allow_operations=False)
    await start(hass, cloud, entry)
    result = await entry.start_reconfigure_flow(hass)
    assert result["step_id"] == "ardexa_reconfigure"
    data = answers(cloud, allow_operations=True)
    del data["token"]  # stays as it is
    wrong = {**data, "workgroup": "other"}
    result = await hass.config_entries.flow.async_configure(result["flow_id"], wrong)
    assert result["errors"] == {"base": "ardexa_unknown_workgroup"}
    result = await hass.config_entries.flow.async_configure(result["flow_id"], data)
    assert result["reason"] == "reconfigure_successful"
    assert entry.data["allow_operations"]
    assert entry.data["token"] == cloud.token
    await hass.async_block_till_done()
    await until(lambda: entry.runtime_data.allows_operations)


async def test_an_entry_does_not_become_another_one_that_is_there(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    add_entry()
    entry = MockConfigEntry(
        domain=DOMAIN, unique_id="ardexa/other", data={"kind": "ardexa", **answers(cloud)}
    )
    entry.add_to_hass(hass)
    result = await entry.start_reconfigure_flow(hass)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], answers(cloud))
    assert result["reason"] == "already_configured"


# --- the token's renewal


async def test_a_token_that_ends_is_renewed_stored_and_used(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    old = cloud.token = cloud.issue(4000, age_s=3500)
    entry = add_entry(power_feed())
    await start(hass, cloud, entry)
    await until(lambda: entry.data["token"] != old)
    assert entry.data["token"] == cloud.token
    assert cloud.counts["renew"] == 1
    await hass.async_block_till_done()
    cloud.revoke(old)
    cloud.relay.cut()
    await until(lambda: cloud.counts["connect"] == 2 and cloud.feeds)
    assert not hass.config_entries.flow.async_progress()


async def test_a_token_with_time_left_is_left_alone(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    await start(hass, cloud, add_entry())
    assert cloud.counts["renew"] == 0


async def test_a_token_that_cannot_be_renewed_is_asked_for_while_it_still_works(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    cloud.token = cloud.issue(4000, age_s=3500, renewable=False)
    await start(hass, cloud, add_entry(power_feed()))
    assert cloud.feeds
    [flow] = hass.config_entries.flow.async_progress()
    assert flow["step_id"] == "ardexa_reauth_confirm"


async def test_a_token_that_expires_at_last_is_asked_for(
    hass: HomeAssistant, cloud: Ardexa, add_entry: AddEntry
) -> None:
    cloud.token = cloud.issue(4000, age_s=3999, renewable=False)
    entry = add_entry()
    await hass.config_entries.async_setup(entry.entry_id)
    await until(hass.config_entries.flow.async_progress)
