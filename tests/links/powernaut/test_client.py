import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
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
    PublishRefused,
    login_test,
    open_session,
)

from .mqtt_server import (
    CONNECT,
    DISCONNECT,
    PUBLISH,
    SUBSCRIBE,
    UNSUBSCRIBE,
    Script,
    connack,
    serve,
)

pytestmark = pytest.mark.usefixtures("socket_enabled")


@asynccontextmanager
async def broker(tmp_path: Path, script: Script) -> AsyncIterator[Login]:
    async with serve(tmp_path, script) as (port, context):
        yield Login(host="127.0.0.1", port=port, key="key", secret="secret", context=context)


@asynccontextmanager
async def session(tmp_path: Path, script: Script, qos: int = 1) -> AsyncIterator[PowernautSession]:
    async with (
        broker(tmp_path, script) as login,
        asyncio.timeout(10),
        open_session(login, "gt0123456789", qos) as opened,
    ):
        yield opened


async def end_of(opened: PowernautSession) -> LinkError:
    with pytest.raises(LinkError) as end:
        async for _ in opened.messages():
            pass
    return end.value


async def until(script: Script, closed: int) -> None:
    async with asyncio.timeout(10):
        while script.closed < closed:
            await asyncio.sleep(0.01)


async def test_the_session_is_kept_by_the_broker(tmp_path: Path) -> None:
    script = Script()
    async with broker(tmp_path, script) as login:
        async with open_session(login, "gt0123456789", 1):
            pass
        await until(script, closed=1)
    kind, body = script.got[0]
    assert kind == CONNECT
    assert body[:7] == b"\x00\x04MQTT\x05"  # MQTT 5
    assert body[7] & 0b10 == 0  # clean start off
    assert b"\x11\x00\x01\x51\x80" in body  # session expiry interval: a day
    assert b"\x00\x0cgt0123456789" in body
    assert body.endswith(b"\x00\x03key\x00\x06secret")
    assert script.got[-1][0] == DISCONNECT


async def test_a_test_of_the_login_leaves_no_session_behind(tmp_path: Path) -> None:
    script = Script()
    async with broker(tmp_path, script) as login:
        await login_test(login)
    body = script.got[0][1]
    assert body[7] & 0b10  # clean start
    assert b"\x11\x00\x00\x00\x00" in body
    assert b"gt0123456789" not in body


@pytest.mark.parametrize("qos", [1])
async def test_a_message_goes_out_with_its_quality_and_never_retained(
    tmp_path: Path, qos: int
) -> None:
    script = Script()
    async with session(tmp_path, script, qos) as opened:
        await opened.publish("site/x/data", b"{}")
    assert (PUBLISH, b"\x00\x0bsite/x/data\x00\x01\x00{}") in script.got


async def test_a_refused_message_is_told_from_a_taken_one(tmp_path: Path) -> None:
    async with session(tmp_path, Script(puback=0x87)) as opened:
        with pytest.raises(PublishRefused, match="Not authorized"):
            await opened.publish("site/x/data", b"{}")


async def test_the_window_is_as_wide_as_the_broker_allows(tmp_path: Path) -> None:
    async with session(tmp_path, Script(connack=connack(0, b"\x21\x00\x05"))) as opened:
        assert opened.window == 5


async def test_subscriptions_that_are_refused_are_returned(tmp_path: Path) -> None:
    topics = [f"resource/{number}/commands/setpoint" for number in range(150)]
    script = Script(suback=0x87)
    async with session(tmp_path, script) as opened:
        assert await opened.subscribe(topics) == topics
    assert [kind for kind, _ in script.got].count(SUBSCRIBE) == 2


async def test_a_subscription_can_be_given_up(tmp_path: Path) -> None:
    script = Script()
    async with session(tmp_path, script) as opened:
        assert await opened.subscribe(["resource/1/commands/setpoint"]) == []
        await opened.unsubscribe("resource/1/commands/setpoint")
    assert UNSUBSCRIBE in [kind for kind, _ in script.got]


async def test_commands_come_in(tmp_path: Path) -> None:
    command = b"\x30\x0d\x00\x08resource\x00{}"
    async with session(tmp_path, Script(after_connack=command)) as opened:
        async for topic, payload in opened.messages():
            assert (topic, payload) == ("resource", b"{}")
            break


@pytest.mark.parametrize(
    ("packet", "error"),
    [
        (b"\xe0\x01\x8e", DestinationRefused("session_taken_over")),
        (b"\xe0\x02\x8e\x00", DestinationRefused("session_taken_over")),
        (b"\xe0\x06\x8e\x04\x1f\x00\x01x", DestinationRefused("session_taken_over")),
        (b"\xe0\x01\x87", DestinationRefused("not_authorized")),
        (b"\xe0\x01\x8b", ConnectionFailed("connection_lost")),  # the server shuts down
        (b"\xe0\x01\x77", ConnectionFailed("connection_lost")),  # no reason that exists
        (b"\xe0\x00", ConnectionFailed("connection_lost")),
    ],
)
async def test_the_broker_says_why_it_ends_a_connection(
    tmp_path: Path, packet: bytes, error: LinkError
) -> None:
    script = Script(after_suback=packet)
    async with session(tmp_path, script) as opened:
        await opened.subscribe(["resource/1/commands/setpoint"])
        end = await end_of(opened)
    assert (type(end), end.reason) == (type(error), error.reason)


async def test_a_connection_that_ends_as_it_begins_is_not_taken_for_a_live_one(
    tmp_path: Path,
) -> None:
    with pytest.raises(DestinationRefused, match="session_taken_over"):
        async with session(tmp_path, Script(after_connack=b"\xe0\x01\x8e")):
            pass


async def test_nothing_can_be_sent_over_a_connection_that_is_gone(tmp_path: Path) -> None:
    async with session(tmp_path, Script(after_suback=b"\xe0\x01\x8b")) as opened:
        await opened.subscribe(["resource/1/commands/setpoint"])
        await end_of(opened)
        with pytest.raises(ConnectionFailed):
            opened.publish("site/x/data", b"{}")
        with pytest.raises(LinkError):
            await opened.subscribe(["resource/1/commands/setpoint"])
        await opened.unsubscribe("resource/1/commands/setpoint")


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (0x86, CredentialsRefused("invalid_auth")),
        (0x87, CredentialsRefused("invalid_auth")),
        (0x84, DestinationRefused("no_mqtt5")),
        (0x85, DestinationRefused("client_id_refused")),
        (0x88, ConnectionFailed("broker_refused")),
    ],
)
async def test_a_refused_login_is_told_by_its_reason(
    tmp_path: Path, reason: int, error: LinkError
) -> None:
    script = Script(connack=connack(reason))
    async with broker(tmp_path, script) as login:
        with pytest.raises(LinkError) as refusal:
            await login_test(login)
    assert (type(refusal.value), refusal.value.reason) == (type(error), error.reason)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(), "cannot_connect"),
        (socket.gaierror(), "unknown_server"),
        (TimeoutError(), "timeout_connect"),
        (ssl.SSLCertVerificationError(1, "certificate has expired"), "tls_failed"),
    ],
)
async def test_a_server_that_is_not_there_is_told(error: OSError, reason: str) -> None:
    login = Login(host="there", port=1, key="", secret="", context=ssl.create_default_context())
    with (
        patch("paho.mqtt.client.socket.create_connection", side_effect=error),
        pytest.raises(ConnectionFailed) as failure,
    ):
        await login_test(login)
    assert failure.value.reason == reason


async def test_a_broker_that_does_not_answer_is_left(tmp_path: Path) -> None:
    script = Script(connack=None)
    with patch("custom_components.grid_telemetry.links.powernaut.client.TIMEOUT_S", 0.1):
        async with broker(tmp_path, script) as login:
            with pytest.raises(ConnectionFailed) as failure:
                await login_test(login)
            await until(script, closed=1)
    assert failure.value.reason == "timeout_connect"


async def test_a_connection_that_is_given_up_while_it_opens_is_closed(tmp_path: Path) -> None:
    script = Script(connack=None)
    with patch("custom_components.grid_telemetry.links.powernaut.client.TIMEOUT_S", 0.2):
        async with broker(tmp_path, script) as login:
            task = asyncio.create_task(login_test(login))
            async with asyncio.timeout(10):
                while not script.got:
                    await asyncio.sleep(0.01)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            assert task.cancelled()
            await until(script, closed=1)
    assert script.connections == 1


async def test_an_acknowledgement_that_comes_too_late_is_passed_over(tmp_path: Path) -> None:
    async with session(tmp_path, Script()) as opened:
        late = opened.publish("site/x/data", b"{}")
        late.cancel()
        await opened.publish("site/x/data", b"{}")
