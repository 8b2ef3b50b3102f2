"""What the broker says, and what it means for the entry: the table of docs/reliability.md."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import socket
import ssl
from unittest.mock import patch

import pytest

from custom_components.grid_telemetry.connection.errors import (
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
    LinkError,
)
from custom_components.grid_telemetry.links.powernaut.client import (
    Login,
    PowernautSession,
    login_test,
    open_session,
)
from custom_components.grid_telemetry.protocols.mqtt import (
    MqttPublishRefused,
    MqttSession,
    MqttTooLarge,
)
from tests.protocols.mqtt.scripted import (
    CONNECT,
    DISCONNECT,
    PUBACK,
    PUBLISH,
    UNSUBSCRIBE,
    Script,
    connack,
    message,
    packet,
    serve,
    text,
)

pytestmark = pytest.mark.usefixtures("socket_enabled")


@asynccontextmanager
async def broker(tmp_path: Path, script: Script) -> AsyncIterator[Login]:
    async with serve(tmp_path, script) as (port, context):
        assert context is not None
        yield Login(host="127.0.0.1", port=port, key="key", secret="secret", context=context)


@asynccontextmanager
async def session(tmp_path: Path, script: Script, qos: int = 1) -> AsyncIterator[PowernautSession]:
    async with (
        broker(tmp_path, script) as login,
        asyncio.timeout(10),
        open_session(login, "gt0123456789", qos, MqttSession()) as opened,
    ):
        yield opened


async def end_of(opened: PowernautSession) -> LinkError:
    with pytest.raises(LinkError) as end:
        async for _ in opened.messages():
            pass
    return end.value


async def test_the_session_is_kept_by_the_broker(tmp_path: Path) -> None:
    script = Script()
    async with session(tmp_path, script):
        pass
    body = script.of(CONNECT)[0]
    assert body[:7] == b"\x00\x04MQTT\x05"  # MQTT 5
    assert body[7] & 0b10 == 0  # clean start off
    assert b"\x11\x00\x01\x51\x80" in body  # session expiry interval: a day
    assert b"\x00\x0cgt0123456789" in body
    assert body.endswith(b"\x00\x03key\x00\x06secret")
    assert script.got[-1] == (DISCONNECT, b"")


async def test_a_test_of_the_login_leaves_no_session_behind(tmp_path: Path) -> None:
    script = Script()
    async with broker(tmp_path, script) as login:
        await login_test(login)
    body = script.of(CONNECT)[0]
    assert body[7] & 0b10  # clean start
    assert b"\x11\x00\x00\x00\x00" in body
    assert b"gt0123456789" not in body


async def test_a_message_goes_out_and_an_activation_comes_in(tmp_path: Path) -> None:
    script = Script(after_connack=message("resource/1", b"{}", qos=1, packet_id=3))
    async with session(tmp_path, script) as opened:
        await opened.publish("site/x/data", b"{}")
        async for activation in opened.messages():
            assert script.of(PUBACK) == []
            opened.acknowledge(activation)
            break
        await opened.unsubscribe("resource/1")
    assert len(script.of(PUBLISH)) == len(script.of(UNSUBSCRIBE)) == 1
    assert script.of(PUBACK) == [b"\x00\x03"]


async def test_the_limits_of_the_broker_are_known(tmp_path: Path) -> None:
    script = Script(connack=connack(0, b"\x21\x00\x05\x27\x00\x00\x00\x40"))
    async with session(tmp_path, script) as opened:
        assert opened.window == 5
        limit = opened.payload_limit("site/x/data")
        assert limit is not None
        with pytest.raises(MqttTooLarge):
            opened.publish("site/x/data", bytes(limit + 20))


async def test_a_broker_that_takes_qos_0_only_is_of_no_use(tmp_path: Path) -> None:
    with pytest.raises(DestinationRefused, match="QoS 0"):
        async with session(tmp_path, Script(connack=connack(0, b"\x24\x00"))):
            pass


# --- the table

LOGINS = [
    (0x80, ConnectionFailed, "broker_refused", None),
    (0x81, ConnectionFailed, "broker_refused", None),
    (0x82, ConnectionFailed, "broker_refused", None),
    (0x83, ConnectionFailed, "broker_refused", None),
    (0x84, DestinationRefused, "no_mqtt5", 300),
    (0x85, DestinationRefused, "client_id_refused", 300),
    (0x86, CredentialsRefused, "invalid_auth", 300),
    (0x87, CredentialsRefused, "invalid_auth", 300),
    (0x88, ConnectionFailed, "broker_refused", None),
    (0x89, ConnectionFailed, "broker_refused", None),
    (0x8A, ConnectionFailed, "broker_refused", 300),
    (0x8C, ConnectionFailed, "broker_refused", None),
    (0x90, ConnectionFailed, "broker_refused", None),
    (0x95, ConnectionFailed, "broker_refused", None),
    (0x97, ConnectionFailed, "broker_refused", None),
    (0x99, ConnectionFailed, "broker_refused", None),
    (0x9A, ConnectionFailed, "broker_refused", None),
    (0x9B, ConnectionFailed, "broker_refused", None),
    (0x9C, ConnectionFailed, "broker_refused", None),
    (0x9D, ConnectionFailed, "broker_refused", 300),
    (0x9F, ConnectionFailed, "broker_refused", 60),
]
"""Every reason code of CONNACK (OASIS, 3.2.2.2)."""


@pytest.mark.parametrize(("code", "kind", "reason", "retry_after_s"), LOGINS)
async def test_a_refused_login_is_told_by_its_reason(
    tmp_path: Path, code: int, kind: type[LinkError], reason: str, retry_after_s: float | None
) -> None:
    script = Script(connack=connack(code, text(0x1F, "because")))
    async with broker(tmp_path, script) as login:
        with pytest.raises(LinkError) as refusal:
            await login_test(login)
    error = refusal.value
    assert (type(error), error.reason, error.retry_after_s) == (kind, reason, retry_after_s)
    assert error.detail.endswith(f"(0x{code:02X}): because")


ENDS = [
    (0x00, ConnectionFailed, "broker_ended", None),
    (0x80, ConnectionFailed, "broker_ended", None),
    (0x81, ConnectionFailed, "broker_ended", None),
    (0x82, ConnectionFailed, "broker_ended", None),
    (0x83, ConnectionFailed, "broker_ended", None),
    (0x87, DestinationRefused, "not_authorized", 300),
    (0x89, ConnectionFailed, "broker_ended", None),
    (0x8B, ConnectionFailed, "broker_ended", None),
    (0x8D, ConnectionFailed, "broker_ended", None),
    (0x8E, DestinationRefused, "session_taken_over", 300),
    (0x8F, ConnectionFailed, "broker_ended", None),
    (0x90, ConnectionFailed, "broker_ended", None),
    (0x93, ConnectionFailed, "broker_ended", None),
    (0x94, ConnectionFailed, "broker_ended", None),
    (0x95, ConnectionFailed, "broker_ended", None),
    (0x96, ConnectionFailed, "broker_ended", None),
    (0x97, ConnectionFailed, "broker_ended", None),
    (0x98, ConnectionFailed, "broker_ended", None),
    (0x99, ConnectionFailed, "broker_ended", None),
    (0x9A, ConnectionFailed, "broker_ended", None),
    (0x9B, ConnectionFailed, "broker_ended", None),
    (0x9C, ConnectionFailed, "broker_ended", None),
    (0x9D, ConnectionFailed, "broker_ended", 300),
    (0x9E, ConnectionFailed, "broker_ended", None),
    (0x9F, ConnectionFailed, "broker_ended", 60),
    (0xA0, ConnectionFailed, "broker_ended", None),
    (0xA1, ConnectionFailed, "broker_ended", None),
    (0xA2, ConnectionFailed, "broker_ended", None),
    (0x77, ConnectionFailed, "broker_ended", None),  # no reason that exists
]
"""Every reason code of a server's DISCONNECT (OASIS, 3.14.2.1)."""


@pytest.mark.parametrize("form", ["short", "empty", "text"])
@pytest.mark.parametrize(("code", "kind", "reason", "retry_after_s"), ENDS)
async def test_the_broker_says_why_it_ends_a_connection(
    tmp_path: Path,
    code: int,
    kind: type[LinkError],
    reason: str,
    retry_after_s: float | None,
    form: str,
) -> None:
    properties = {"short": b"", "empty": b"\x00", "text": b"\x05" + text(0x1F, "so")}[form]
    script = Script(after_suback=packet(0xE0, bytes((code,)) + properties))
    async with session(tmp_path, script) as opened:
        assert await opened.subscribe(["resource/1/commands/setpoint"]) == []
        error = await end_of(opened)
    assert (type(error), error.reason, error.retry_after_s) == (kind, reason, retry_after_s)
    assert error.detail.endswith(f"(0x{code:02X})" + (": so" if form == "text" else ""))


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])
async def test_a_refused_message_is_told_from_a_taken_one(tmp_path: Path, code: int) -> None:
    """Every reason code of PUBACK that is a refusal (OASIS, 3.4.2.1)."""
    async with session(tmp_path, Script(puback=bytes((code,)))) as opened:
        with pytest.raises(MqttPublishRefused, match=f"0x{code:02X}"):
            await opened.publish("site/x/data", b"{}")


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2])
async def test_subscriptions_that_are_refused_are_returned(tmp_path: Path, code: int) -> None:
    """Every reason code of SUBACK that is a refusal (OASIS, 3.9.3)."""
    async with session(tmp_path, Script(suback=code)) as opened:
        [refused] = await opened.subscribe(["resource/1/commands/setpoint"])
    assert (refused.code, f"0x{code:02X}" in refused.reason) == (code, True)


async def test_a_connection_that_just_breaks_has_no_reason(tmp_path: Path) -> None:
    script = Script()
    async with session(tmp_path, script) as opened:
        script.hang_up()
        error = await end_of(opened)
    assert (type(error), error.reason) == (ConnectionFailed, "connection_lost")


async def test_what_is_no_mqtt_is_told(tmp_path: Path) -> None:
    async with session(tmp_path, Script(after_connack=b"\xff\xff")) as opened:
        error = await end_of(opened)
    assert (type(error), error.reason) == (ConnectionFailed, "protocol_error")
    async with broker(tmp_path, Script(connack=b"HTTP/1.1 400\r\n\r\n")) as login:
        with pytest.raises(ConnectionFailed, match="protocol_error"):
            await login_test(login)


async def test_nothing_can_be_sent_over_a_connection_that_is_gone(tmp_path: Path) -> None:
    async with session(tmp_path, Script(after_suback=b"\xe0\x01\x8b")) as opened:
        await opened.subscribe(["resource/1/commands/setpoint"])
        await end_of(opened)
        for use in (
            opened.subscribe(["resource/1/commands/setpoint"]),
            opened.unsubscribe("resource/1/commands/setpoint"),
        ):
            with pytest.raises(ConnectionFailed):
                await use
        with pytest.raises(ConnectionFailed):
            opened.publish("site/x/data", b"{}")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(), "cannot_connect"),
        (TimeoutError(), "timeout_connect"),
        (socket.gaierror(), "unknown_server"),
        (ssl.SSLCertVerificationError(1, "expired"), "tls_failed"),
    ],
)
async def test_a_server_that_is_not_there_is_told(error: OSError, reason: str) -> None:
    login = Login(host="there", port=1, key="", secret="", context=ssl.create_default_context())
    with (
        patch("asyncio.open_connection", side_effect=error),
        pytest.raises(ConnectionFailed) as failure,
    ):
        await login_test(login)
    assert failure.value.reason == reason
