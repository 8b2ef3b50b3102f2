"""The setup server as its clients see it: the table of SolarNode's own tests, and beyond."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.grid_telemetry.protocols.stomp.reply import Reply
from custom_components.grid_telemetry.protocols.stomp.server import Limits, StompServer

from .setup_client import LOGIN, SALT, SetupClient, frame, login_headers
from .setup_house import House, Start

pytestmark = pytest.mark.usefixtures("socket_enabled")


async def test_connect_without_headers_is_refused(client: SetupClient) -> None:
    client.send("CONNECT")
    assert await client.error() == "The login header is required."


async def test_connect_with_an_unknown_login_is_refused(client: SetupClient) -> None:
    client.send("CONNECT", {"login": "nobody"})
    assert await client.error() == "Unauthorized."


@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
async def test_connect_is_answered_with_what_a_log_in_needs(
    client: SetupClient, command: str
) -> None:
    client.send(command, {"accept-version": "1.2", "host": "localhost", "login": LOGIN})
    connected = await client.read()
    assert connected.command == "CONNECTED"
    session = connected.headers["session"]
    assert list(connected.headers.items()) == [
        ("version", "1.2"),
        ("server", "SolarNode-Setup/1.0.0"),
        ("session", session),
        ("message", "Please authenticate."),
        ("authenticate", "SNS"),
        ("auth-hash", "bcrypt"),
        ("auth-hash-param-salt", SALT),
    ]


async def test_another_frame_than_connect_does_not_begin(client: SetupClient) -> None:
    client.send("SEND", {"destination": "/setup/authenticate"})
    assert await client.error() == "Must start with CONNECT or STOMP frame."


async def connected(client: SetupClient) -> SetupClient:
    client.send("CONNECT", {"login": LOGIN})
    await client.read()
    return client


async def test_connecting_twice_is_refused(client: SetupClient) -> None:
    await connected(client)
    client.send("STOMP", {"login": LOGIN})
    assert await client.error() == "Already connected."


@pytest.mark.parametrize("command", ["ACK", "NACK", "BEGIN", "COMMIT", "ABORT", "COFFEE"])
async def test_other_commands_are_refused(client: SetupClient, command: str) -> None:
    await connected(client)
    client.send(command, {"id": "0"})
    assert await client.error() == "Unsupported STOMP command"


async def test_a_log_in_is_answered_by_silence(house: House, client: SetupClient) -> None:
    house.answers(200)
    await connected(client)
    client.send("SEND", login_headers())
    client.send("SUBSCRIBE", {"id": "0", "destination": "/setup/**"})
    assert (await client.ask("/setup/x")).command == "MESSAGE"


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"date": None}, "Missing date header."),
        ({"date": "now"}, "Invalidate date header value. Must be HTTP Date header format."),
        ({"authorization": None}, "Authorization denied: the scheme is not SNS"),
        ({"authorization": "SNS Credential=solar"}, "Authorization denied: without SignedHeaders"),
        (
            {"authorization": "SNS Credential=moon,SignedHeaders=date,Signature=00"},
            "Authorization denied: credential does not match session login.",
        ),
        (
            {"authorization": "SNS Credential=solar,SignedHeaders=date,Signature=00"},
            "Authorization deined: invalid signature.",
        ),
        ({"destination": None}, "Missing destination header."),
    ],
)
async def test_a_log_in_that_is_wrong_is_told_so(
    client: SetupClient, headers: dict[str, str | None], text: str
) -> None:
    await connected(client)
    changed = {**login_headers(), **headers}
    client.send("SEND", {name: value for name, value in changed.items() if value is not None})
    assert await client.error() == text


@pytest.mark.parametrize("seconds", [-310, 310])
async def test_a_date_of_another_time_is_refused(client: SetupClient, seconds: int) -> None:
    await connected(client)
    client.send("SEND", login_headers(at=datetime.now(UTC) + timedelta(seconds=seconds)))
    assert await client.error() == "Invalidate date header value: too much skew."


@pytest.mark.parametrize("seconds", [-290, 290])
async def test_clocks_may_differ_by_five_minutes(client: SetupClient, seconds: int) -> None:
    await connected(client)
    client.send("SEND", login_headers(at=datetime.now(UTC) + timedelta(seconds=seconds)))
    client.send("SUBSCRIBE", {"id": "0", "destination": "/x", "receipt": "in"})
    assert (await client.read()).command == "RECEIPT"


@pytest.mark.parametrize(
    ("command", "headers"),
    [
        ("SEND", {"destination": "/setup/datum/latest"}),
        ("SUBSCRIBE", {"id": "0", "destination": "/setup/**"}),
        ("UNSUBSCRIBE", {"id": "0"}),
    ],
)
async def test_nothing_is_to_be_had_without_a_log_in(
    client: SetupClient, command: str, headers: dict[str, str]
) -> None:
    await connected(client)
    client.send(command, headers)
    assert await client.error() == "Not authorized."


@pytest.mark.parametrize(
    ("command", "headers", "text"),
    [
        ("SUBSCRIBE", {"destination": "/setup/**"}, "Missing id header."),
        ("SUBSCRIBE", {"id": "1"}, "Missing destination header."),
        ("UNSUBSCRIBE", {}, "Missing id header."),
        ("SEND", {}, "Missing destination header."),
        ("SEND", {"destination": "/" * 256}, "The destination header is too long."),
        (
            "SUBSCRIBE",
            {"id": "1", "destination": "/*" * 128},
            "The destination header is too long.",
        ),
    ],
)
async def test_headers_that_are_needed(
    user: SetupClient, command: str, headers: dict[str, str], text: str
) -> None:
    user.send(command, headers)
    assert await user.error() == text


async def test_all_can_be_sent_in_one_piece(house: House, server: StompServer) -> None:
    house.answers(200, result="Good day to you, sir.")
    client = await SetupClient.connect(server.port)
    client.write(
        frame("CONNECT", {"login": LOGIN})
        + b"\n\r\n"
        + frame("SEND", login_headers())
        + frame("SUBSCRIBE", {"id": "0", "destination": "/setup/**"})
        + frame("SEND", {"destination": "/setup/hello"})
        + frame("DISCONNECT", {"receipt": "bye"})
    )
    assert [(await client.read()).command for _ in range(3)] == ["CONNECTED", "MESSAGE", "RECEIPT"]
    await client.closed()
    await client.close()


async def test_a_wrong_log_in_ends_all_that_was_sent_after_it(
    house: House, server: StompServer
) -> None:
    ran: list[str] = []

    async def handler(destination: str, *_: object) -> Reply:
        ran.append(destination)
        return Reply(status=200)

    house.handler = handler
    client = await SetupClient.connect(server.port)
    client.write(
        frame("CONNECT", {"login": LOGIN})
        + frame("SEND", login_headers("$2a$04$another"))
        + frame("SUBSCRIBE", {"id": "0", "destination": "/**"})
        + frame("SEND", {"destination": "/system/reboot"})
    )
    await client.read()
    assert await client.error() == "Authorization deined: invalid signature."
    assert not ran
    await client.close()


async def test_a_reply_as_it_goes_over_the_wire(house: House, user: SetupClient) -> None:
    house.answers(200, "At 10:30, sir.", "Good day to you, sir.")
    user.raw = b""
    await user.ask("/setup/hello", {"request-id": "2", "foo": "b:r"})
    assert user.raw == (
        b"MESSAGE\ndestination:/setup/hello\nrequest-id:2\nfoo:b\\cr\n"
        b"status:200\nmessage:At 10\\c30, sir.\nsubscription:0\nmessage-id:0\n"
        b"content-type:application/json;charset=utf-8\ncontent-length:23\n\n"
        b'"Good day to you, sir."\0'
    )


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (200, None),
        (202, None),
        (404, None),
        (422, "That will not do."),
        (500, "Out of order: 17"),
        (8675309, "Jenny"),
    ],
)
async def test_status_and_message_are_passed_on(
    house: House, user: SetupClient, status: int, message: str | None
) -> None:
    house.answers(status, message)
    reply = await user.ask("/setup/hello", {"foo": "bar"})
    assert reply.command == "MESSAGE"
    assert reply.headers["status"] == str(status)
    assert reply.headers.get("message") == message
    assert reply.headers["foo"] == "bar"
    assert reply.body == b""
    assert "content-length" not in reply.headers


async def test_the_request_comes_back_without_its_length_and_its_secrets(
    house: House, user: SetupClient
) -> None:
    house.answers(200)
    reply = await user.ask(
        "/setup/x",
        {
            "content-type": "text/plain",
            "content-length": "2",
            "message": "m",
            "password": "p",
            "status": "s",
            "subscription": "s",
            "message-id": "i",
        },
        "[]",
    )
    assert dict(reply.headers) == {
        "content-type": "text/plain",
        "status": "200",
        "destination": "/setup/x",
        "subscription": "0",
        "message-id": "0",
    }


async def test_what_the_handler_gets(house: House, user: SetupClient) -> None:
    got: list[tuple[str, dict[str, str], str | None]] = []

    async def handler(destination: str, parameters: Mapping[str, str], body: str | None) -> Reply:
        got.append((destination, dict(parameters), body))
        return Reply(status=200)

    house.handler = handler
    await user.ask(
        "/setup/x",
        {"request-id": "1", "content-type": "text/plain", "ssid": "a:b\\c\nd"},
        '{"not": "parsed"}',
    )
    await user.ask("/setup/y")
    assert got == [
        ("/setup/x", {"content-type": "text/plain", "ssid": "a:b\\c\nd"}, '{"not": "parsed"}'),
        ("/setup/y", {}, None),
    ]


async def test_the_body_is_text_whatever_is_in_it(house: House, user: SetupClient) -> None:
    async def handler(_: str, __: object, body: str | None) -> Reply:
        return Reply(status=200, message=body)

    house.handler = handler
    user.write(b"SEND\ndestination:/x\ncontent-length:4\n\n\xff\x00ab\0")
    assert (await user.read()).headers["message"] == "\ufffdab"


async def test_of_a_header_that_comes_twice_the_first_counts(
    house: House, user: SetupClient
) -> None:
    house.answers(200)
    user.write(b"SEND\ndestination:/x\ndestination:/y\nfoo:1\nfoo:2\n\n\0")
    reply = await user.read()
    assert (reply.headers["destination"], reply.headers["foo"]) == ("/x", "1")


async def test_commands_run_at_the_same_time(house: House, user: SetupClient) -> None:
    gate = asyncio.Event()

    async def handler(destination: str, *_: object) -> Reply:
        if destination == "/slow":
            await gate.wait()
        return Reply(status=200)

    house.handler = handler
    user.send("SEND", {"destination": "/slow", "request-id": "1"})
    assert (await user.ask("/fast", {"request-id": "2"})).headers["request-id"] == "2"
    gate.set()
    assert (await user.read()).headers["request-id"] == "1"


async def test_a_command_is_carried_out_though_its_sender_has_gone(
    house: House, user: SetupClient
) -> None:
    began, gate, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handler(*_: object) -> Reply:
        began.set()
        await gate.wait()
        done.set()
        return Reply(status=200)

    house.handler = handler
    user.send("SEND", {"destination": "/slow"})
    await began.wait()
    user.send("DISCONNECT")
    await user.closed()
    gate.set()
    async with asyncio.timeout(10):
        await done.wait()


async def test_no_more_commands_of_a_client_run_than_allowed(house: House, start: Start) -> None:
    server = await start(limits=Limits(commands=2))
    client = await SetupClient.log_in(server.port)
    running: list[str] = []
    changed, gate = asyncio.Event(), asyncio.Semaphore(0)

    async def handler(destination: str, *_: object) -> Reply:
        running.append(destination)
        changed.set()
        await gate.acquire()
        return Reply(status=200)

    house.handler = handler
    for number in range(3):
        client.send("SEND", {"destination": f"/{number}"})
    other = await SetupClient.log_in(server.port)
    other.send("SEND", {"destination": "/other"})
    while "/other" not in running:
        await changed.wait()
        changed.clear()
    assert running == ["/0", "/1", "/other"]
    for _ in range(4):
        gate.release()
    assert sorted([(await client.read()).headers["destination"] for _ in range(3)]) == [
        *("/0", "/1", "/2")
    ]
    await client.close()
    await other.close()


async def test_a_reply_goes_to_every_subscription_that_fits(
    house: House, server: StompServer
) -> None:
    house.answers(200)
    client = await SetupClient.log_in(server.port, subscribe=None)
    for subscription, destination in {
        "b": "/setup/**",
        "a": "/setup/?",
        "c": "/setup/*/y",
        "d": "/setup/x",
        "e": "/other",
    }.items():
        client.send("SUBSCRIBE", {"id": subscription, "destination": destination})
    client.send("SEND", {"destination": "/setup/x"})
    replies = [await client.read() for _ in range(3)]
    assert [reply.headers["subscription"] for reply in replies] == ["a", "b", "d"]
    assert [reply.headers["message-id"] for reply in replies] == ["0", "1", "2"]
    await client.close()


async def test_without_a_subscription_there_is_no_reply(house: House, server: StompServer) -> None:
    house.answers(200)
    client = await SetupClient.log_in(server.port, subscribe="/setup/**")
    client.send("SEND", {"destination": "/system/reboot"})
    assert (await client.ask("/setup/x")).headers["destination"] == "/setup/x"
    assert server.health.commands == 2
    await client.close()


async def test_a_subscription_of_the_same_id_takes_the_place_of_the_first(
    house: House, user: SetupClient
) -> None:
    house.answers(200)
    assert (await user.ask("/b")).headers["destination"] == "/b"
    user.send("SUBSCRIBE", {"id": "0", "destination": "/a"})
    user.send("SEND", {"destination": "/b"})
    assert (await user.ask("/a")).headers["destination"] == "/a"


async def test_unsubscribing_ends_the_replies(house: House, user: SetupClient) -> None:
    house.answers(200)
    user.send("SUBSCRIBE", {"id": "1", "destination": "/a"})
    user.send("UNSUBSCRIBE", {"id": "0", "receipt": "one"})
    user.send("UNSUBSCRIBE", {"id": "unknown", "receipt": "two"})
    assert [(await user.read()).headers["receipt-id"] for _ in range(2)] == ["one", "two"]
    user.send("SEND", {"destination": "/b"})
    assert (await user.ask("/a")).headers["subscription"] == "1"


async def test_disconnecting_is_confirmed(user: SetupClient) -> None:
    user.send("DISCONNECT", {"receipt": "a:b"})
    receipt = await user.read()
    assert (receipt.command, receipt.headers) == ("RECEIPT", {"receipt-id": "a:b"})
    await user.closed()


async def test_disconnecting_needs_no_log_in(client: SetupClient) -> None:
    await connected(client)
    client.send("DISCONNECT")
    await client.closed()


async def test_logging_in_again_is_no_command(house: House, user: SetupClient) -> None:
    house.answers(200)
    for again in (login_headers(at=datetime.now(UTC) - timedelta(seconds=7)), {}):
        reply = await user.ask("/setup/authenticate", {**again, "request-id": "1"})
        assert (reply.headers["status"], reply.headers["request-id"]) == ("404", "1")
        assert "authorization" not in reply.headers
    assert (await user.ask("/x")).headers["status"] == "200"


async def test_a_log_in_can_ask_for_a_receipt(client: SetupClient) -> None:
    client.send("CONNECT", {"login": LOGIN})
    await client.read()
    client.send("SEND", {**login_headers(), "receipt": "in"})
    receipt = await client.read()
    assert (receipt.command, receipt.headers) == ("RECEIPT", {"receipt-id": "in"})


async def test_a_receipt_says_that_a_command_has_come(house: House, user: SetupClient) -> None:
    gate = asyncio.Event()

    async def handler(*_: object) -> Reply:
        await gate.wait()
        return Reply()

    house.handler = handler
    user.send("SEND", {"destination": "/slow", "receipt": "got it"})
    receipt = await user.read()
    assert (receipt.command, receipt.headers) == ("RECEIPT", {"receipt-id": "got it"})
    gate.set()
    assert (await user.read()).headers["status"] == "200"


@pytest.mark.parametrize(
    ("data", "body", "headers"),
    [
        # Characters counted in place of bytes, as String.length() does.
        ("SEND\ndestination:/x\ncontent-length:6\n\nZürich\0", "Zürich", {}),
        ("SEND\ndestination:/x\ncontent-length:2\n\nüü\0", "üü", {}),
        ("SEND\ndestination:/x\nbad:a\\tb\n\n\0", None, {"bad": "a\\tb"}),
        ("SEND\ndestination:/x\nbad:a\\\n\n\0", None, {"bad": "a\\"}),
        ("SEND\nno colon\ndestination:/x\n\n\0", None, {}),
        ("SEND\n:no name\ndestination:/x\n\n\0", None, {}),
    ],
)
async def test_a_slip_of_a_client_is_answered_and_the_session_lives(
    house: House, user: SetupClient, data: str, body: str | None, headers: dict[str, str]
) -> None:
    got: list[tuple[dict[str, str], str | None]] = []

    async def handler(_: str, parameters: Mapping[str, str], body: str | None) -> Reply:
        got.append((dict(parameters), body))
        return Reply()

    house.handler = handler
    user.write(data.encode())
    assert (await user.read()).headers["status"] == "200"
    assert got == [(headers, body)]
    assert (await user.ask("/y")).headers["destination"] == "/y"


async def test_a_client_that_escapes_twice_is_understood(house: House, server: StompServer) -> None:
    got: list[tuple[str, dict[str, str]]] = []

    async def handler(destination: str, parameters: Mapping[str, str], _: str | None) -> Reply:
        got.append((destination, dict(parameters)))
        return Reply()

    def escaped(headers: dict[str, str]) -> dict[str, str]:
        return {
            name: value.replace("\\", "\\\\").replace(":", "\\c") for name, value in headers.items()
        }

    house.handler = handler
    client = await SetupClient.connect(server.port)
    client.send("CONNECT", {"login": LOGIN})
    await client.read()
    client.send("SEND", escaped(login_headers()))
    client.send("SUBSCRIBE", escaped({"id": "0", "destination": "/a:b"}))
    client.send("SEND", escaped({"destination": "/a:b", "path": "c:\\d"}))
    reply = await client.read()
    assert (reply.headers["destination"], reply.headers["path"]) == ("/a:b", "c:\\d")
    assert got == [("/a:b", {"path": "c:\\d"})]
    await client.close()


async def test_what_looks_like_an_escape_stays_with_a_client_that_escapes_once(
    house: House, user: SetupClient
) -> None:
    house.answers(200)
    assert (await user.ask("/x", {"path": "\\new\\cup"})).headers["path"] == "\\new\\cup"


async def test_a_stopped_server_has_no_clients_and_no_port(
    server: StompServer, user: SetupClient
) -> None:
    port = server.port
    await server.stop()
    await user.closed()
    with pytest.raises(ConnectionRefusedError):
        await SetupClient.connect(port)


async def test_a_stopped_server_ends_its_commands(
    house: House, server: StompServer, user: SetupClient
) -> None:
    began = asyncio.Event()
    ended: list[bool] = []

    async def handler(*_: object) -> Reply:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)
        raise AssertionError

    house.handler = handler
    user.send("SEND", {"destination": "/slow"})
    await began.wait()
    await server.stop()
    assert ended == [True]
