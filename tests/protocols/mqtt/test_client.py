"""The client against a broker that says what a real one rarely says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import itertools
from pathlib import Path
import socket
import ssl
from typing import Any
from unittest.mock import patch

import pytest

from custom_components.grid_telemetry.protocols.mqtt import (
    Message,
    MqttConnection,
    MqttConnectionLost,
    MqttConnectRefused,
    MqttDisconnected,
    MqttError,
    MqttParameters,
    MqttProtocolError,
    MqttPublishRefused,
    MqttSession,
    MqttTooLarge,
    MqttTransportError,
    TransportFailure,
    Version,
    Will,
    connect,
)

from .scripted import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
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
async def broker(script: Script, **changes: Any) -> AsyncIterator[MqttParameters]:
    async with serve(None, script) as (port, _):
        yield MqttParameters(host="127.0.0.1", port=port, client_id="gateway", **changes)


@asynccontextmanager
async def connected(
    script: Script, session: MqttSession | None = None, **changes: Any
) -> AsyncIterator[MqttConnection]:
    async with broker(script, **changes) as parameters, asyncio.timeout(10):
        connection = await connect(parameters, session)
        try:
            yield connection
        finally:
            await connection.close()


async def end_of(connection: MqttConnection) -> MqttError | None:
    async with asyncio.timeout(10):
        return await connection.wait_closed()


async def next_message(connection: MqttConnection) -> Message:
    async for each in connection.messages():
        return each
    raise AssertionError("no message")


# --- the beginning


async def test_over_tls_the_server_is_verified(tmp_path: Path) -> None:
    script = Script()
    async with serve(tmp_path, script) as (port, context):
        parameters = MqttParameters(host="127.0.0.1", port=port, client_id="g", tls=context)
        connection = await connect(parameters)
        await connection.close()
        untrusting = MqttParameters(
            host="127.0.0.1", port=port, client_id="g", tls=ssl.create_default_context()
        )
        with pytest.raises(MqttTransportError) as failure:
            await connect(untrusting)
    assert failure.value.failure is TransportFailure.TLS
    assert script.got == [script.got[0], (DISCONNECT, b"")]


@pytest.mark.parametrize("version", Version)
async def test_user_password_and_will_are_in_connect(version: Version) -> None:
    script = Script(version=version)
    if version is Version.MQTT_3_1_1:
        script.connack = b"\x20\x02\x00\x00"
    async with connected(
        script,
        version=version,
        username="key",
        password="secret",
        will=Will(topic="gone", payload=b"1"),
    ):
        pass
    [body] = script.of(CONNECT)
    assert body[6:8] == bytes((version, 0b11001110))
    assert body.endswith(b"\x00\x04gone\x00\x011\x00\x03key\x00\x06secret")


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionRefusedError(), TransportFailure.CANNOT_CONNECT),
        (socket.gaierror(), TransportFailure.UNKNOWN_SERVER),
        (UnicodeError(), TransportFailure.UNKNOWN_SERVER),
        (TimeoutError(), TransportFailure.TIMEOUT),
        (ssl.SSLCertVerificationError(1, "expired"), TransportFailure.TLS),
    ],
)
async def test_a_server_that_is_not_there_is_told(
    error: Exception, failure: TransportFailure
) -> None:
    with (
        patch("asyncio.open_connection", side_effect=error),
        pytest.raises(MqttTransportError) as raised,
    ):
        await connect(MqttParameters(host="there", port=1, client_id="g"))
    assert raised.value.failure is failure


async def test_a_server_that_does_not_answer_is_left() -> None:
    script = Script(connack=None)
    async with broker(script, timeout_s=0.1) as parameters:
        with pytest.raises(MqttTransportError) as failure:
            await connect(parameters)
        await script.until(lambda: script.closed == 1)
    assert failure.value.failure is TransportFailure.TIMEOUT


async def test_an_attempt_that_is_given_up_leaves_no_connection() -> None:
    script = Script(connack=None)
    async with broker(script) as parameters:
        task = asyncio.create_task(connect(parameters))
        await script.until_got(CONNECT)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await script.until(lambda: script.closed == 1)
    assert (task.cancelled(), script.connections) == (True, 1)


async def test_a_refused_log_in_has_code_and_text() -> None:
    script = Script(connack=connack(0x97, text(0x1F, "10 a day")))
    with pytest.raises(MqttConnectRefused) as refusal:
        async with connected(script):
            pass
    assert (refusal.value.code, refusal.value.text) == (0x97, "10 a day")
    assert str(refusal.value) == "quota exceeded (0x97): 10 a day"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"\xd0\x00", MqttProtocolError),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", MqttProtocolError),
        (connack(0, present=True), MqttProtocolError),  # after a clean start [3.2.2-4]
    ],
)
async def test_an_answer_that_is_none_is_told(answer: bytes, error: type[MqttError]) -> None:
    with pytest.raises(error):
        async with connected(Script(connack=answer)):
            pass


async def test_a_server_that_hangs_up_in_place_of_an_answer_is_told() -> None:
    script = Script(connack=None)
    async with broker(script) as parameters:
        task = asyncio.create_task(connect(parameters))
        await script.until_got(CONNECT)
        script.hang_up()
        with pytest.raises(MqttConnectionLost):
            await task


# --- what the server says in CONNACK


async def test_the_window_is_as_wide_as_the_server_allows() -> None:
    script = Script(connack=connack(0, b"\x21\x00\x02"), silent={PUBLISH})
    async with connected(script) as connection:
        assert connection.window == 2
        connection.publish("t", b"", 1)
        connection.publish("t", b"", 1)
        with pytest.raises(ValueError, match="on their way"):
            connection.publish("t", b"", 1)


@pytest.mark.parametrize(("maximum", "first_byte"), [(0, 0x30), (1, 0x32)])
async def test_no_message_has_more_qos_than_the_server_takes(maximum: int, first_byte: int) -> None:
    """[3.2.2-11]."""
    script = Script(connack=connack(0, bytes((0x24, maximum))))
    async with connected(script) as connection:
        await connection.publish("t", b"x", 2)
        await script.until_got(PUBLISH)
    assert script.raw[1][0] == first_byte


async def test_no_packet_is_larger_than_the_server_takes() -> None:
    """[3.2.2-15]."""
    script = Script(connack=connack(0, b"\x27\x00\x00\x00\x40"))
    topics = [f"resource/{number}" for number in range(10)]
    async with connected(script) as connection:
        limit = connection.payload_limit("topic")
        assert limit is not None
        await connection.publish("topic", bytes(limit), 1)
        with pytest.raises(MqttTooLarge):
            connection.publish("topic", bytes(100), 1)
        answers = await connection.subscribe(topics, 1)
        with pytest.raises(MqttTooLarge):
            await connection.subscribe(["x" * 100], 1)
    assert [answer.topic for answer in answers] == topics
    assert len(script.of(SUBSCRIBE)) > 1
    assert max(map(len, script.raw[1:])) <= 64


async def test_a_server_without_limits_has_none() -> None:
    async with connected(Script()) as connection:
        assert connection.payload_limit("topic") is None
        assert (connection.window, connection.maximum_qos) == (32, 2)
        assert connection.keep_alive_s == 15 * 0.75


async def test_the_keep_alive_of_the_server_is_kept() -> None:
    """[3.2.2-21]."""
    script = Script(connack=connack(0, b"\x13\x00\x01"))
    async with connected(script, keep_alive_s=600) as connection:
        assert connection.keep_alive_s < 1
        await script.until_got(PINGREQ)
        assert connection.is_open


async def test_a_server_that_falls_silent_is_lost() -> None:
    script = Script(connack=connack(0, b"\x13\x00\x01"), silent={PINGREQ})
    async with connected(script) as connection:
        assert isinstance(await end_of(connection), MqttConnectionLost)


# --- messages out


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_message_goes_out_with_its_quality_and_never_retained(qos: int) -> None:
    script = Script()
    async with connected(script, MqttSession(last_packet_id=6)) as connection:
        await connection.publish("site/x/data", b"{}", qos)
        await script.until_got(PUBLISH)
    identifier = b"\x00\x07" if qos else b""
    assert script.raw[1] == packet(0x30 | qos << 1, b"\x00\x0bsite/x/data" + identifier + b"\x00{}")
    assert script.of(PUBREL) == ([b"\x00\x07"] if qos == 2 else [])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"\x87", "not authorized (0x87)"),
        (b"\x97\x00", "quota exceeded (0x97)"),
        (b"\x99\x07" + text(0x1F, "JSON"), "payload format invalid (0x99): JSON"),
    ],
)
@pytest.mark.parametrize("qos", [1, 2])
async def test_a_refused_message_is_told_from_a_taken_one(
    qos: int, answer: bytes, told: str
) -> None:
    script = Script(puback=answer, pubrec=answer)
    async with connected(script) as connection:
        with pytest.raises(MqttPublishRefused) as refusal:
            await connection.publish("t", b"{}", qos)
        assert str(refusal.value) == told
        assert script.of(PUBREL) == []
        script.puback = script.pubrec = b""
        await connection.publish("t", b"{}", qos)  # its place in the window is free again


async def test_no_subscriber_is_no_refusal() -> None:
    async with connected(Script(puback=b"\x10")) as connection:
        await connection.publish("t", b"{}", 1)


async def test_an_acknowledgement_that_comes_too_late_is_passed_over() -> None:
    async with connected(Script()) as connection:
        late = connection.publish("t", b"{}", 1)
        late.cancel()
        await connection.publish("t", b"{}", 1)


async def test_what_was_on_its_way_fails_with_the_connection() -> None:
    script = Script(silent={PUBLISH})
    async with connected(script) as connection:
        future = connection.publish("t", b"{}", 1)
        await script.until_got(PUBLISH)
        script.say(b"\xe0\x01\x8b")
        with pytest.raises(MqttDisconnected):
            await future
        with pytest.raises(MqttDisconnected):
            connection.publish("t", b"{}", 1)


async def test_an_identifier_that_is_taken_is_passed_over() -> None:
    script = Script(silent={PUBLISH})
    async with connected(script, MqttSession(last_packet_id=65_534)) as connection:
        for _ in range(3):
            connection.publish("t", b"", 1)
        await script.until_got(PUBLISH, 3)
        assert connection.is_open
    assert [body[3:5] for body in script.of(PUBLISH)] == [b"\xff\xff", b"\x00\x01", b"\x00\x02"]


# --- QoS 2 over a lost connection


async def test_a_message_that_the_server_has_is_delivered_though_the_connection_is_lost() -> None:
    """PUBREC came, so the message is the server's; only its identifier is still to be released."""
    state = MqttSession(last_packet_id=6)
    script = Script(silent={PUBREL})
    async with connected(script, state, clean_start=False) as connection:
        future = connection.publish("t", b"{}", 2)
        await script.until_got(PUBREL)
        script.hang_up()
        await end_of(connection)
        await future
    assert state.unreleased == {7}
    again = Script(connack=connack(0, present=True))
    async with connected(again, state, clean_start=False) as connection:
        await again.until_got(PUBREL)
        await connection.publish("t", b"{}", 2)
    assert again.of(PUBREL)[0] == b"\x00\x07"
    assert state.unreleased == set()


async def test_an_identifier_that_the_server_may_hold_is_not_used_for_a_new_message() -> None:
    """It would take the new message for a duplicate, and drop it."""
    state = MqttSession(last_packet_id=6)
    script = Script(silent={PUBLISH})
    async with connected(script, state, clean_start=False) as connection:
        lost = connection.publish("t", b"{}", 2)
        await script.until_got(PUBLISH)
        script.hang_up()
        with pytest.raises(MqttConnectionLost):
            await lost
    state.last_packet_id = 6
    again = Script(connack=connack(0, present=True), silent={PUBREL, PUBLISH})
    async with connected(again, state, clean_start=False) as connection:
        connection.publish("t", b"{}", 2)
        await again.until_got(PUBLISH)
    assert again.of(PUBREL) == [b"\x00\x07"]
    assert again.of(PUBLISH)[0][3:5] == b"\x00\x08"


async def test_a_session_that_the_server_forgot_begins_anew() -> None:
    state = MqttSession(unreleased={7}, received={9})
    script = Script()
    async with connected(script, state, clean_start=False) as connection:
        await connection.publish("t", b"{}", 1)
    assert (state.unreleased, state.received, script.of(PUBREL)) == (set(), set(), [])


async def test_a_stray_pubrec_is_released() -> None:
    script = Script()
    async with connected(script):
        script.say(b"\x50\x02\x00\x63\x50\x03\x00\x64\x92")
        await script.until_got(PUBREL)
    assert script.of(PUBREL) == [b"\x00\x63"]


# --- subscriptions


async def test_each_topic_of_a_subscription_has_its_answer() -> None:
    topics = [f"resource/{number}" for number in range(150)]
    script = Script(
        suback=lambda topic: 0x87 if topic.endswith("7") else 1,
        suback_properties=text(0x1F, "ask the owner"),
    )
    async with connected(script) as connection:
        answers = await connection.subscribe(topics, 1)
    assert [answer.topic for answer in answers] == topics
    refused = [answer for answer in answers if answer.refused]
    assert len(refused) == 15
    assert refused[0].reason == "not authorized (0x87): ask the owner"
    assert len(script.of(SUBSCRIBE)) == 2


async def test_a_server_that_answers_for_other_topics_is_left() -> None:
    script = Script(silent={SUBSCRIBE})
    async with connected(script, MqttSession(last_packet_id=0)) as connection:
        task = asyncio.create_task(connection.subscribe(["a", "b"], 1))
        await script.until_got(SUBSCRIBE)
        script.say(b"\x90\x04\x00\x01\x00\x01")
        with pytest.raises(MqttProtocolError):
            await task
    assert script.got[-1] == (DISCONNECT, b"\x82")


async def test_a_subscription_without_an_answer_ends_the_connection() -> None:
    script = Script(silent={SUBSCRIBE})
    async with connected(script, timeout_s=0.2) as connection:
        with pytest.raises(MqttConnectionLost):
            await connection.subscribe(["a"], 1)
        assert not connection.is_open


async def test_a_subscription_can_be_given_up() -> None:
    script = Script()
    async with connected(script) as connection:
        await connection.unsubscribe(["a"])
    assert len(script.of(UNSUBSCRIBE)) == 1


# --- messages in


@pytest.mark.parametrize(("qos", "answer"), [(1, PUBACK), (2, PUBREC)])
async def test_a_message_is_acknowledged_when_its_reader_says_so(qos: int, answer: int) -> None:
    script = Script(after_connack=message("t", b"{}", qos=qos, packet_id=5))
    async with connected(script) as connection:
        came = await next_message(connection)
        await connection.ping()
        assert script.of(answer) == []
        connection.acknowledge(came)
        connection.acknowledge(came)
        await script.until_got(answer)
        await connection.ping()
    assert (came.topic, came.payload, came.qos) == ("t", b"{}", qos)
    assert script.of(answer) == [b"\x00\x05"]
    assert len(script.of(PUBCOMP)) == (qos == 2)


async def test_a_message_of_qos_2_is_taken_once() -> None:
    state = MqttSession()
    script = Script(
        connack=connack(0, present=True), after_connack=message("t", b"1", qos=2, packet_id=5)
    )
    script.silent = {PUBREC}
    async with connected(script, state, clean_start=False) as connection:
        connection.acknowledge(await next_message(connection))
        await script.until_got(PUBREC)
    again = Script(
        connack=connack(0, present=True),
        after_connack=message("t", b"1", qos=2, packet_id=5)
        + b"\x62\x02\x00\x05"
        + message("t", b"2", qos=2, packet_id=5),
    )
    async with connected(again, state, clean_start=False) as connection:
        assert (await next_message(connection)).payload == b"2"
        await again.until_got(PUBCOMP)
    assert again.of(PUBREC) == [b"\x00\x05"]


async def test_messages_that_nobody_reads_are_held_back_by_the_server() -> None:
    count = 3000
    script = Script(after_connack=b"".join(message("t", b"%d" % n) for n in range(count)))
    async with connected(script) as connection:
        await asyncio.sleep(0.05)
        found = [each.payload async for each in _first(connection, count)]
    assert found == [b"%d" % n for n in range(count)]


async def _first(connection: MqttConnection, count: int) -> AsyncIterator[Message]:
    number = itertools.count(1)
    async for each in connection.messages():
        yield each
        if next(number) == count:
            return


async def test_too_many_unacknowledged_messages_end_the_connection() -> None:
    script = Script(
        after_connack=b"".join(message("t", b"", qos=1, packet_id=n) for n in (1, 2, 3))
    )
    async with connected(script, receive_maximum=2) as connection:
        assert isinstance(await end_of(connection), MqttProtocolError)
        await script.until_got(DISCONNECT)
    assert script.got[-1] == (DISCONNECT, b"\x93")


async def test_an_identifier_in_use_ends_the_connection() -> None:
    script = Script(after_connack=message("t", b"", qos=1, packet_id=1) * 2)
    async with connected(script) as connection:
        assert isinstance(await end_of(connection), MqttProtocolError)


# --- the end


async def test_a_goodbye_is_said_once() -> None:
    script = Script()
    async with connected(script) as connection:
        await connection.close(0x04)
        await connection.close()
        assert await end_of(connection) is None
        assert [each async for each in connection.messages()] == []
        with pytest.raises(MqttConnectionLost):
            await connection.ping()
        await script.until(lambda: script.closed == 1)
    assert script.got[1:] == [(DISCONNECT, b"\x04")]


@pytest.mark.parametrize(
    ("packet", "code", "told"),
    [
        (b"\xe0\x01\x8e", 0x8E, "session taken over (0x8E)"),
        (b"\xe0\x00", 0, "success (0x00)"),
        (
            b"\xe0\x0a\x9c\x08\x1c\x00\x05other",
            0x9C,
            "use another server (0x9C): other",
        ),
    ],
)
async def test_the_server_says_why_it_ends_a_connection(
    packet: bytes, code: int, told: str
) -> None:
    async with connected(Script(after_connack=packet)) as connection:
        with pytest.raises(MqttDisconnected) as end:
            await next_message(connection)
    assert (end.value.code, str(end.value)) == (code, told)


@pytest.mark.parametrize("rubbish", [b"\x20\x03\x00\x00\x00", b"\xff\x00"])
async def test_what_mqtt_does_not_allow_ends_the_connection(rubbish: bytes) -> None:
    script = Script(after_connack=rubbish)
    async with connected(script) as connection:
        assert isinstance(await end_of(connection), MqttProtocolError)
        with pytest.raises(MqttProtocolError):
            await connection.subscribe(["a"], 1)


async def test_a_connection_that_is_cut_is_lost() -> None:
    script = Script()
    async with connected(script) as connection:
        ping = asyncio.create_task(connection.ping())
        await ping
        script.writers[0].transport.abort()
        assert isinstance(await end_of(connection), MqttConnectionLost)


async def test_a_ping_that_is_not_answered_fails_with_the_connection() -> None:
    script = Script(silent={PINGREQ})
    async with connected(script) as connection:
        ping = asyncio.create_task(connection.ping())
        await script.until_got(PINGREQ)
        script.hang_up()
        with pytest.raises(MqttConnectionLost):
            await ping


async def test_mqtt_3_1_1_does_all_of_it() -> None:
    script = Script(version=4, connack=b"\x20\x02\x00\x00", suback=0x80)
    async with connected(script, version=Version.MQTT_3_1_1) as connection:
        for qos in (0, 1, 2):
            await connection.publish("t", b"{}", qos)
        [answer] = await connection.subscribe(["a"], 1)
        assert answer.refused
        await connection.unsubscribe(["a"])
        await connection.ping()
    assert script.got[-1] == (DISCONNECT, b"")
