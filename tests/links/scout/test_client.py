"""What each wrong input of a login is told as; the reasons are keys of the texts for the user."""

from contextlib import AbstractContextManager
import socket
from typing import Any
from unittest.mock import AsyncMock, patch

from aiohttp.abc import ResolveResult
from aiohttp.resolver import AsyncResolver
from homeassistant.core import HomeAssistant
import pytest

from custom_components.grid_telemetry.connection.errors import (
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
    LinkError,
)
from custom_components.grid_telemetry.links.scout.client import (
    login_test,
    open_session,
    parameters_of,
)
from custom_components.grid_telemetry.links.scout.payload import Gateway
from custom_components.grid_telemetry.protocols.stomp.client import connect
from custom_components.grid_telemetry.protocols.stomp.errors import (
    StompConnectionLost,
    StompDestinationError,
    StompError,
    StompServerError,
    StompTransportError,
    TransportFailure,
)
from simulators.scout import ScoutServer

from .conftest import entry_data

GATEWAY = Gateway(
    claim_id="ABCD1234",
    serial_number="1",
    gateway_type="T",
    firmware_version="1",
    hardware_version="1",
)


async def login(hass: HomeAssistant, server: ScoutServer, **changes: Any) -> None:
    data = entry_data(server) | changes
    await login_test(hass, parameters_of(data), allow_plain=data["allow_plain"])


async def test_the_right_login_is_taken(hass: HomeAssistant, server: ScoutServer) -> None:
    await login(hass, server)
    assert server.logins == 1


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"token": "wrong"}, CredentialsRefused, "invalid_auth"),
        ({"host": "other"}, DestinationRefused, "unknown_host"),
        ({"url": "ws://127.0.0.1:1/ws/stomp"}, ConnectionFailed, "cannot_connect"),
        ({"url": "ws://8.8.8.8/ws/stomp"}, ConnectionFailed, "plain_refused"),
        ({"allow_plain": False}, ConnectionFailed, "plain_refused"),
    ],
)
async def test_a_wrong_login_says_what_is_wrong(
    hass: HomeAssistant,
    server: ScoutServer,
    changes: dict[str, Any],
    error: type[LinkError],
    reason: str,
) -> None:
    with pytest.raises(error) as raised:
        await login(hass, server, **changes)
    assert raised.value.reason == reason
    assert server.token not in str(raised.value)


async def test_another_path_is_told_as_a_wrong_address(
    hass: HomeAssistant, server: ScoutServer
) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        await login(hass, server, url=server.url.replace("/ws/stomp", "/elsewhere"))
    assert raised.value.reason == "wrong_url"


def resolving(*addresses: str, port: int = 0) -> AbstractContextManager[AsyncMock]:
    """Have every name resolve to some addresses, in turn; to none after that."""
    found = [
        [
            ResolveResult(
                hostname="scout.example",
                host=address,
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]
        for address in addresses
    ]
    return patch.object(AsyncResolver, "resolve", side_effect=[*found, OSError(None, "unknown")])


async def test_an_unknown_name_is_told_as_such(hass: HomeAssistant, server: ScoutServer) -> None:
    with resolving(), pytest.raises(ConnectionFailed) as raised:
        await login(hass, server, url="ws://scout.invalid/ws/stomp")
    assert raised.value.reason == "unknown_server"


async def test_without_tls_the_address_that_was_connected_to_is_the_one_that_is_checked(
    hass: HomeAssistant, server: ScoutServer
) -> None:
    """A name can have another address by the time that it is looked up again."""
    url = server.url.replace("127.0.0.1", "scout.example")
    with resolving("127.0.0.1", port=server.port) as resolve:
        await login(hass, server, url=url)
    assert (server.logins, resolve.await_count) == (1, 1)


async def test_without_tls_nothing_is_said_to_a_server_elsewhere(
    hass: HomeAssistant, server: ScoutServer
) -> None:
    url = server.url.replace("127.0.0.1", "elsewhere.example")
    with (
        resolving("127.0.0.1", port=server.port),
        patch(f"{connect.__module__}.peer_address", return_value="8.8.8.8"),
        pytest.raises(ConnectionFailed) as raised,
    ):
        await login(hass, server, url=url)
    assert raised.value.reason == "plain_refused"
    assert (server.logins, server.messages) == (0, 0)


@pytest.mark.parametrize("url", ["ws://127.0.0.1:99999/ws", "wss://127.0.0.1:99999/ws"])
async def test_a_port_that_cannot_be_is_told_as_an_unknown_server(
    hass: HomeAssistant, server: ScoutServer, url: str
) -> None:
    with pytest.raises(ConnectionFailed) as raised:
        await login(hass, server, url=url)
    assert raised.value.reason == "unknown_server"
    assert raised.value.detail


@pytest.mark.parametrize("claim_id", ["ABCD1234", "abcd1234"])
async def test_the_claim_id_is_not_told(
    hass: HomeAssistant, server: ScoutServer, claim_id: str
) -> None:
    with pytest.raises(CredentialsRefused) as raised:
        await login(hass, server, claim_id=claim_id, token="wrong")
    assert "abcd1234" not in str(raised.value).lower()
    assert "user '**'" in raised.value.detail


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (TransportFailure.TLS, "tls_failed"),  # expired, untrusted or for another name
        (TransportFailure.DNS, "unknown_server"),
        (TransportFailure.TIMEOUT, "timeout_connect"),
        (TransportFailure.OTHER, "cannot_connect"),
    ],
)
async def test_each_failure_of_the_transport_has_a_text(
    hass: HomeAssistant, server: ScoutServer, kind: TransportFailure, reason: str
) -> None:
    with (
        patch(
            "custom_components.grid_telemetry.links.scout.client.connect",
            side_effect=StompTransportError(kind, "as the library says it"),
        ),
        pytest.raises(ConnectionFailed) as raised,
    ):
        await login(hass, server, url="wss://127.0.0.1/ws/stomp")
    assert raised.value.reason == reason


@pytest.mark.parametrize(
    ("end", "reason", "blame"),
    [
        (StompConnectionLost("closed", code=1000, reason="STOMP died"), "session_ended", "unknown"),
        (StompConnectionLost("closed", code=1009), "message_too_large", "packet"),
        (StompDestinationError("not_found", "no exchange"), "destination_refused", "kind"),
        (StompServerError("Refused", "no JSON"), "message_refused", "packet"),
        (StompConnectionLost("closed", code=1001), "connection_lost", None),
        (StompConnectionLost("closed", code=1012), "connection_lost", None),
        (StompConnectionLost("cut"), "connection_lost", None),
        (StompServerError("connection_forced", "shutdown"), "connection_lost", None),
    ],
)
async def test_who_is_to_blame_for_an_end_is_told_by_how_it_came(
    hass: HomeAssistant, server: ScoutServer, end: StompError, reason: str, blame: str | None
) -> None:
    async with open_session(
        hass, parameters_of(entry_data(server)), GATEWAY, allow_plain=True
    ) as session:
        with (
            patch.object(session._connection, "wait_closed", return_value=end),
            pytest.raises(LinkError) as raised,
        ):
            await session.closed()
    assert raised.value.reason == reason
    assert getattr(raised.value, "blame", None) == blame
