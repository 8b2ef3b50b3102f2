"""The session with a node, against the stand-in that behaves as the original."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
import socket
from unittest.mock import patch

import pytest

from custom_components.grid_telemetry.connection.errors import (
    ConnectionFailed,
    CredentialsRefused,
    DestinationRefused,
    LinkError,
)
from custom_components.grid_telemetry.links.solarnode import client
from custom_components.grid_telemetry.links.solarnode.client import (
    NoAnswer,
    NodeParameters,
    NodeSession,
    open_session,
)
from custom_components.grid_telemetry.links.solarnode.payload import LiveMessage
from simulators.solarnode import Reply, SolarNode

from .conftest import WITHIN_S, until

PING = "/setup/network/ping"
CLIENT = "custom_components.grid_telemetry.links.solarnode.client"


async def refusal(parameters: NodeParameters) -> LinkError:
    """Return why a login followed by a command fails."""
    with pytest.raises(LinkError) as raised:
        async with open_session(parameters) as session:
            await session.command(PING)
    return raised.value


@asynccontextmanager
async def server(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object],
) -> AsyncGenerator[NodeParameters]:
    """Run something else than a node."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        result = serve(reader, writer)
        if asyncio.iscoroutine(result):
            await result
        await reader.read()
        writer.close()

    running = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with running:
        port = running.sockets[0].getsockname()[1]
        yield NodeParameters(host="127.0.0.1", port=port, login="me", password="secret")


def connected(salt: str) -> str:
    headers = f"authenticate:SNS\nauth-hash:bcrypt\nauth-hash-param-salt:{salt}"
    return f"CONNECTED\n{headers}\n\n\0"


def says(text: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
    return lambda _, writer: writer.write(text.encode())


@pytest.mark.parametrize("netty_unescapes", [True, False])
async def test_a_command_is_answered_by_old_nodes_and_new_ones(
    node: SolarNode, parameters: NodeParameters, netty_unescapes: bool
) -> None:
    node.behaviour.netty_unescapes = netty_unescapes
    node.handlers["/setup/hello"] = lambda given: Reply(
        message="Done: a\\b,\nall", result=[given["who"], given["arg"]]
    )
    async with open_session(parameters) as session:
        reply = await session.command("/setup/hello", {"who": "a:b"}, 'say "é"')
        assert session.server == "SolarNode-Setup/1.0.0"
    assert (reply.status, reply.message) == (200, "Done: a\\b,\nall")
    assert reply.result == ["a:b", 'say "é"']
    assert node.logins == 1


@pytest.mark.parametrize(
    ("destination", "status", "message"),
    [
        ("/tea/order", 200, "Order placed."),
        ("/coffee/order", 418, "I'm a tea pot."),
        ("/setup/nothing", 404, None),
        ("/system/reboot", 200, None),
    ],
)
async def test_what_a_node_answers(
    node: SolarNode, parameters: NodeParameters, destination: str, status: int, message: str | None
) -> None:
    async with open_session(parameters) as session:
        reply = await session.command(destination)
        assert (reply.status, reply.message, reply.result) == (status, message, None)
        # Subscribed to before the first one only.
        assert (await session.command(destination)).status == status
    assert sum(frame.command == "SUBSCRIBE" for frame in node.requests) == (
        1 if destination.startswith("/setup/") else 2
    )


async def test_a_handler_that_fails_is_told(node: SolarNode, parameters: NodeParameters) -> None:
    def fail(_: object) -> Reply:
        raise RuntimeError("no such: thing")

    node.handlers["/setup/fail"] = fail
    async with open_session(parameters) as session:
        reply = await session.command("/setup/fail")
    assert (reply.status, reply.message) == (500, "no such: thing")


async def test_commands_at_once_get_each_its_own_answer(
    node: SolarNode, parameters: NodeParameters
) -> None:
    node.handlers["/setup/echo"] = lambda given: Reply(result=given["arg"])
    async with open_session(parameters) as session:
        replies = await asyncio.gather(
            *(session.command("/setup/echo", body=str(number)) for number in range(50))
        )
    assert [reply.result for reply in replies] == [str(number) for number in range(50)]


async def test_a_wrong_password_is_told(node: SolarNode, parameters: NodeParameters) -> None:
    error = await refusal(replace(parameters, password="wrong"))
    assert isinstance(error, CredentialsRefused)
    assert (error.reason, error.detail) == (
        "solarnode_wrong_password",
        "Authorization deined: invalid signature.",
    )


async def test_an_unknown_login_is_told(node: SolarNode, parameters: NodeParameters) -> None:
    error = await refusal(replace(parameters, login="nobody"))
    assert isinstance(error, CredentialsRefused)
    assert error.reason == "solarnode_unknown_login"


@pytest.mark.parametrize("offset_s", [-310, 310])
async def test_a_clock_that_is_off_is_told_from_a_wrong_password(
    node: SolarNode, parameters: NodeParameters, offset_s: float
) -> None:
    node.behaviour.clock_offset_s = offset_s
    error = await refusal(parameters)
    assert isinstance(error, DestinationRefused)
    assert error.reason == "solarnode_clock"


async def test_a_clock_that_is_a_little_off_does_no_harm(
    node: SolarNode, parameters: NodeParameters
) -> None:
    node.behaviour.clock_offset_s = 290
    async with open_session(parameters) as session:
        assert (await session.command(PING)).status == 200


async def test_a_port_that_nobody_listens_on_is_told(
    node: SolarNode, parameters: NodeParameters
) -> None:
    await node.stop()
    assert (await refusal(parameters)).reason == "solarnode_cannot_connect"


async def test_a_name_that_is_not_known_is_told(parameters: NodeParameters) -> None:
    with patch("asyncio.open_connection", side_effect=socket.gaierror(-2, "unknown")):
        assert (await refusal(parameters)).reason == "solarnode_unknown_host"


async def test_a_host_that_does_not_answer_is_told(parameters: NodeParameters) -> None:
    with patch("asyncio.open_connection", side_effect=TimeoutError):
        assert (await refusal(parameters)).reason == "solarnode_timeout"


async def test_a_node_that_is_deaf_is_told(node: SolarNode, parameters: NodeParameters) -> None:
    node.behaviour.deaf = True
    with patch(f"{CLIENT}._LOGIN_WITHIN_S", 0.05):
        assert (await refusal(parameters)).reason == "solarnode_timeout"


async def test_a_node_that_is_silent_gives_no_answer(
    node: SolarNode, parameters: NodeParameters
) -> None:
    node.behaviour.silent = True
    async with open_session(parameters) as session:
        with pytest.raises(NoAnswer):
            await session.command(PING, within_s=0.05)


async def test_an_answer_that_comes_too_late_is_passed_over(
    node: SolarNode, parameters: NodeParameters
) -> None:
    async with open_session(parameters) as session:
        with pytest.raises(NoAnswer):
            await session.command(PING, within_s=0)
        assert (await session.command(PING)).status == 200


async def test_a_node_that_closes_ends_what_waits(
    node: SolarNode, parameters: NodeParameters
) -> None:
    async with open_session(parameters) as session:
        await session.command(PING)
        node.behaviour.silent = True
        waiting = asyncio.create_task(session.command(PING))
        await until(lambda: node.count(PING) == 2)
        node.drop_connections()
        with pytest.raises(ConnectionFailed, match="connection_lost"):
            await waiting
        with pytest.raises(ConnectionFailed, match="connection_lost"):
            await session.closed()
        with pytest.raises(ConnectionFailed, match="connection_lost"):
            await session.command(PING)


async def test_a_refused_connection_that_closes_while_we_write_is_told(
    node: SolarNode, parameters: NodeParameters
) -> None:
    async with open_session(parameters) as session:
        await session.command(PING)
        with (
            patch.object(
                session._stream._writer, "drain", side_effect=ConnectionResetError("reset")
            ),
            pytest.raises(ConnectionFailed, match="lost while writing"),
        ):
            await session.command(PING)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "no command"),
        ("CONNECTED\nversion:1.2\n\n\0", "CONNECTED without SNS"),
        ("MESSAGE\n\n\0", "MESSAGE without SNS"),
        (
            "CONNECTED\nauthenticate:SNS\nauth-hash:md5\n\n\0",
            "CONNECTED without SNS",
        ),
        # It would take a day.
        (connected("$2a$31$upVbEZHge9Iph1NN3L6ENO"), "CONNECTED without SNS"),
        # The placeholder of SolarNode's handbook.
        (connected("$2a$10$1234567890123456789012"), "bcrypt"),
    ],
)
async def test_what_is_no_node_is_told(socket_enabled: None, text: str, detail: str) -> None:
    async with server(says(text)) as parameters:
        error = await refusal(parameters)
    assert error.reason == "solarnode_wrong_protocol"
    assert detail in error.detail


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ERROR\nmessage:Authorization deined\\\\c user unavailable.\n\n\0", "unknown_login"),
        ("ERROR\nmessage:Authorization denied\\c user not available.\n\n\0", "unknown_login"),
        ("ERROR\nmessage:Authorization denied\\c replayed.\n\n\0", "refused"),
        ("ERROR\n\n\0", "refused"),
        ("CONNECTED\n\n\0", "wrong_protocol"),
        ("MESSAGE\nnonsense\n\n\0", "wrong_protocol"),
        (f"MESSAGE\ncontent-length:{2**30}\n\n", "reply_too_large"),
    ],
)
async def test_what_a_node_may_say_in_place_of_an_answer(
    node: SolarNode, parameters: NodeParameters, text: str, reason: str
) -> None:
    async with open_session(parameters) as session:
        await session.command(PING)
        (connection,) = node._sessions
        connection._writer.write(text.encode())
        with pytest.raises(LinkError) as raised:
            await session.closed()
    assert raised.value.reason == f"solarnode_{reason}"


async def test_what_belongs_to_nothing_is_passed_over(
    node: SolarNode, parameters: NodeParameters
) -> None:
    async with open_session(parameters) as session:
        await session.command(PING)
        (connection,) = node._sessions
        connection._writer.write(
            b"MESSAGE\nrequest-id:stranger\n\n\0RECEIPT\nreceipt-id:7\n\n\0\n\n"
        )
        assert (await session.command(PING)).status == 200


@pytest.mark.parametrize(("status", "number"), [("abc", 0), ("", 0), ("9" * 5000, 0), ("202", 202)])
def test_a_status_that_is_no_number_is_zero(status: str, number: int) -> None:
    assert client._status({"status": status}) == number


async def test_no_secret_is_in_what_can_be_logged(
    node: SolarNode, parameters: NodeParameters
) -> None:
    assert parameters.password not in repr(parameters)
    error = await refusal(replace(parameters, password="my secret"))
    assert "my secret" not in repr(error)


# --- live datum


async def live(
    session: NodeSession, source: str, within_s: float = WITHIN_S
) -> tuple[str | None, asyncio.Queue[LiveMessage]]:
    messages: asyncio.Queue[LiveMessage] = asyncio.Queue()
    live_id = await session.subscribe_live(source, 1, messages.put_nowait, within_s=within_s)
    return live_id, messages


async def test_live_datum_come_where_the_node_knows_them(
    node: SolarNode, parameters: NodeParameters
) -> None:
    node.behaviour.live = True
    async with open_session(parameters) as session, asyncio.timeout(WITHIN_S):
        live_id, messages = await live(session, "/meter/1")
        assert live_id is not None
        message = await messages.get()
        assert message.status == 200
        assert '"watts":1500' in message.body
        await session.unsubscribe_live(live_id)
        await until(lambda: node.live_count == 0)
        await session.unsubscribe_live(live_id)  # no harm


async def test_a_node_that_knows_no_live_datum_is_recognized(
    node: SolarNode, parameters: NodeParameters
) -> None:
    async with open_session(parameters) as session:
        live_id, _ = await live(session, "/meter/1", within_s=0.05)
        assert live_id is None
        assert (await session.command(PING)).status == 200


async def test_more_live_sources_than_a_node_streams_are_refused(
    node: SolarNode, parameters: NodeParameters
) -> None:
    node.behaviour.live = True
    async with open_session(parameters) as session, asyncio.timeout(WITHIN_S):
        for source in ("/meter/1", "/meter/2"):
            await live(session, source)
        _, messages = await live(session, "/meter/3")
        message = await messages.get()
    assert (message.status, message.message) == (
        429,
        "Too many live subscriptions for this session.",
    )
