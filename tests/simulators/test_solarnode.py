"""The stand-in for a SolarNode behaves as the original: facts of its source and of its tests."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
import json
import re
from typing import Any

import pytest

from simulators.setup_client import SetupClient
from simulators.solarnode import Reply, SolarNode
from simulators.solarnode_datum import HouseDatum, created
from simulators.solarnode_wire import ant_matches, escape, plain, sns_signature

pytestmark = pytest.mark.usefixtures("socket_enabled")

LOGIN = "me@example.com"
WITHIN_S = 10
LATEST = "SEND\ndestination:/setup/datum/latest\nrequest-id:7\n\n"
ALL = "SUBSCRIBE\nid:0\ndestination:/setup/**\n\n"


class Client:
    """Text out, text in; nothing is escaped or undone on the way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *frames: str) -> None:
        self._writer.write("".join(f"{frame}\0" for frame in frames).encode())
        await self._writer.drain()

    async def receive(self) -> str:
        async with asyncio.timeout(WITHIN_S):
            return (await self._reader.readuntil(b"\0"))[:-1].decode()

    async def closed(self) -> bool:
        async with asyncio.timeout(WITHIN_S):
            try:
                return await self._reader.read() == b""
            except ConnectionResetError:
                return True

    async def nothing_came(self) -> bool:
        """Say whether the next answer is that to another command."""
        await self.send("SEND\ndestination:/setup/marker\n\n")
        return "destination:/setup/marker" in await self.receive()


@asynccontextmanager
async def connected(node: SolarNode) -> AsyncGenerator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def logged_in(node: SolarNode) -> AsyncGenerator[Client]:
    async with connected(node) as client:
        await client.send(f"CONNECT\nlogin:{LOGIN}\n\n")
        await client.receive()
        await client.send(authentication(node), ALL)
        yield client


def authentication(
    node: SolarNode, *, offset: timedelta = timedelta(), **changes: str | None
) -> str:
    """Return the frame that logs in; None leaves a header out."""
    at = datetime.now(UTC) + offset
    date = f"{at:%a, %d %b %Y %H:%M:%S GMT}"
    signature = sns_signature(node.stored_hash, {"date": date}, ["date"], f"{at:%Y%m%dT%H%M%SZ}")
    headers: dict[str, str | None] = {
        "destination": "/setup/authenticate",
        "date": escape(date),
        "authorization": f"SNS Credential={LOGIN},SignedHeaders=date,Signature={signature}",
        **changes,
    }
    lines = [f"{name}:{value}" for name, value in headers.items() if value is not None]
    return "\n".join(["SEND", *lines, "", ""])


@pytest.fixture
async def node() -> AsyncGenerator[SolarNode]:
    async with SolarNode(login=LOGIN, latest=lambda: HOUSE) as running:
        running.handlers["/setup/marker"] = lambda _: Reply()
        yield running


HOUSE = HouseDatum()()


def test_the_signature_is_that_of_the_vector() -> None:
    assert (
        sns_signature(
            "$2a$10$upVbEZHge9Iph1NN3L6ENODRqbv3/HbbP2VX8wtQFRKPgG6ru8BzW",
            {"date": "Mon, 16 Aug 2021 02:27:39 GMT"},
            ["date"],
            "20210816T022739Z",
        )
        == "37dd29bbb8cae7a252bc5cf3dae754433572e9d352118673a68fe558058e5bc1"
    )


def test_escapes_are_those_of_the_vector() -> None:
    assert escape("a:b:c\\d\ne\r") == "a\\cb\\cc\\\\d\\ne\\r"
    assert plain("a\\cb\\cc\\\\d\\ne\\r") == "a:b:c\\d\ne\r"


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/setup/**", "/setup/datum/latest", True),
        ("/setup/**", "/setup", True),
        ("/setup/*", "/setup/datum/latest", False),
        ("/setup/**/live", "/setup/live", True),
        ("**", "Weather", True),
        ("/meter/?", "/meter/1", True),
        ("/meter/?", "/meter/12", False),
        ("/meter/1", "/meter/1", True),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    assert ant_matches(pattern, path) is fits


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (1718141950.0, "2024-06-11 21:39:10Z"),
        (1718141950.005, "2024-06-11 21:39:10.005Z"),
        (1718141950.5, "2024-06-11 21:39:10.5Z"),
    ],
)
def test_times_are_written_without_zeros_at_the_end(at: float, text: str) -> None:
    assert created(at) == text


async def test_connected_has_its_headers_in_order_and_no_heart_beat(node: SolarNode) -> None:
    async with connected(node) as client:
        await client.send(f"CONNECT\naccept-version:1.2\nheart-beat:1,1\nlogin:{LOGIN}\n\n")
        lines = (await client.receive()).split("\n")
    assert lines[:3] == ["CONNECTED", "version:1.2", "server:SolarNode-Setup/1.0.0"]
    assert re.fullmatch(r"session:[0-9a-f-]{36}", lines[3])
    assert lines[4:7] == ["message:Please authenticate.", "authenticate:SNS", "auth-hash:bcrypt"]
    assert re.fullmatch(r"auth-hash-param-salt:\$2a\$\d\d\$.{22}", lines[7])
    assert lines[8:] == ["", ""]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (ALL, "Must start with CONNECT or STOMP frame."),
        ("CONNECT\n\n", "The login header is required."),
        ("STOMP\nlogin:\n\n", "The login header is required."),
        ("CONNECT\nlogin:nobody\n\n", "Unauthorized."),
    ],
)
async def test_what_connect_is_refused_for(node: SolarNode, frame: str, message: str) -> None:
    async with connected(node) as client:
        await client.send(frame)
        assert await client.receive() == f"ERROR\nmessage:{message}\n\n"
        assert await client.closed()


SKEW = "Invalidate date header value\\\\c too much skew."
DENIED = "Authorization denied\\\\c"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"date": None}, "Missing date header."),
        # A second colon that is not escaped: the whole line is dropped.
        ({"date": "Mon, 16 Aug 2021 02:27:39 GMT"}, "Missing date header."),
        (
            {"date": "yesterday"},
            "Invalidate date header value. Must be HTTP Date header format.",
        ),
        ({"offset": timedelta(seconds=-302)}, SKEW),
        ({"offset": timedelta(seconds=302)}, SKEW),
        ({"authorization": "Basic abc"}, f"{DENIED} Unsupported authorization scheme."),
        (
            {"authorization": "SNS Signature=x,Credential=you,SignedHeaders=date"},
            f"{DENIED} credential does not match session login.",
        ),
        (
            {"authorization": f"SNS Signature=x,Credential={LOGIN},SignedHeaders=date"},
            "Authorization deined\\\\c invalid signature.",
        ),
        ({"destination": "/setup/identity"}, "Not authorized."),
        ({"destination": None}, "Missing destination header."),
    ],
)
async def test_what_authentication_is_refused_for(
    node: SolarNode, changes: dict[str, Any], message: str
) -> None:
    async with connected(node) as client:
        await client.send(f"CONNECT\nlogin:{LOGIN}\n\n")
        await client.receive()
        await client.send(authentication(node, **changes))
        assert await client.receive() == f"ERROR\nmessage:{message}\n\n"
        assert await client.closed()
    assert node.logins == 0


async def test_a_login_is_taken_without_a_word(node: SolarNode) -> None:
    async with logged_in(node) as client:
        assert await client.nothing_came()
    assert node.logins == 1


@pytest.mark.parametrize("offset_s", [-290, 290])
async def test_less_than_five_minutes_of_skew_will_do(node: SolarNode, offset_s: int) -> None:
    async with connected(node) as client:
        await client.send(f"CONNECT\nlogin:{LOGIN}\n\n")
        await client.receive()
        await client.send(authentication(node, offset=timedelta(seconds=offset_s)), ALL)
        assert await client.nothing_came()


async def test_a_subscription_before_the_login_is_refused(node: SolarNode) -> None:
    async with connected(node) as client:
        await client.send(f"CONNECT\nlogin:{LOGIN}\n\n", ALL)
        await client.receive()
        assert await client.receive() == "ERROR\nmessage:Not authorized.\n\n"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("CONNECT\nlogin:me\n\n", "Already connected."),
        ("UNSUBSCRIBE\nid:0\n\n", "Unsupported STOMP command"),
        ("DISCONNECT\nreceipt:1\n\n", "Unsupported STOMP command"),
        ("ACK\nid:0\n\n", "Unsupported STOMP command"),
        ("SUBSCRIBE\ndestination:/setup/**\n\n", "Missing id header."),
        ("SUBSCRIBE\nid:1\n\n", "Missing destination header."),
        ("SEND\n\n", "Missing destination header."),
    ],
)
async def test_what_ends_a_session(node: SolarNode, frame: str, message: str) -> None:
    async with logged_in(node) as client:
        await client.send(frame)
        assert await client.receive() == f"ERROR\nmessage:{message}\n\n"
        assert await client.closed()


async def test_an_answer_echoes_the_request(node: SolarNode) -> None:
    async with logged_in(node) as client:
        await client.send(f'{LATEST}["Weather"]')
        answer = await client.receive()
    head, _, body = answer.partition("\n\n")
    assert head.split("\n") == [
        "MESSAGE",
        "destination:/setup/datum/latest",
        "request-id:7",
        "status:200",
        "content-type:application/json;charset=utf-8",
        f"content-length:{len(body.encode())}",
        "subscription:0",
        "message-id:0",
    ]
    assert [item["sourceId"] for item in json.loads(body)] == ["Weather"]
    assert "\n" not in body


@pytest.mark.parametrize("argument", ["", "Weather,/house/**", '["Weather", "/house/*/?"]'])
async def test_sources_are_chosen_by_a_list(node: SolarNode, argument: str) -> None:
    async with logged_in(node) as client:
        await client.send(LATEST + argument)
        _, _, body = (await client.receive()).partition("\n\n")
    assert len(json.loads(body)) == 3


@pytest.mark.parametrize(("new", "backslashes"), [(True, "\\\\"), (False, "\\")])
async def test_answers_are_escaped_twice_by_new_nodes(
    node: SolarNode, new: bool, backslashes: str
) -> None:
    node.behaviour.netty_unescapes = new
    node.handlers["/setup/say"] = lambda given: Reply(message=f"{given['what']}: said")
    async with logged_in(node) as client:
        await client.send("SEND\ndestination:/setup/say\nwhat:a\\cb\n\n")
        answer = await client.receive()
    assert f"what:a{backslashes}cb\n" in answer
    assert f"message:a{backslashes}cb{backslashes}c said\n" in answer


async def test_the_length_of_a_request_is_echoed_before_no_body(node: SolarNode) -> None:
    async with logged_in(node) as client:
        await client.send("SEND\ndestination:/setup/marker\ncontent-length:4\n\nbody")
        answer = await client.receive()
    assert "content-length:4\n" in answer
    assert answer.endswith("\n\n")


async def test_without_a_subscription_that_fits_there_is_no_answer(node: SolarNode) -> None:
    async with logged_in(node) as client:
        await client.send("SEND\ndestination:/tea/order\n\n")
        assert await client.nothing_came()
        await client.send("SUBSCRIBE\nid:1\ndestination:/tea/*\n\n")
        await client.send("SEND\ndestination:/tea/order\n\n")
        assert "message:Order placed." in await client.receive()
    assert node.count("/tea/order") == 2


async def test_each_subscription_that_fits_has_its_answer(node: SolarNode) -> None:
    async with logged_in(node) as client:
        await client.send("SUBSCRIBE\nid:00\ndestination:/setup/*\n\n")
        await client.send("SEND\ndestination:/setup/marker\n\n")
        assert "subscription:0\n" in await client.receive()
        assert "subscription:00\n" in await client.receive()


@pytest.mark.parametrize(
    ("destination", "status"),
    [
        ("/setup/identity", 200),
        ("/setup/network/ping", 200),
        ("/setup/network/wifi", 200),
        ("/setup/network/wifi\nssid:home", 422),
        ("/setup/nothing", 404),
        ("/setup/fails", 500),
    ],
)
async def test_statuses(node: SolarNode, destination: str, status: int) -> None:
    def fail(_: object) -> Reply:
        raise RuntimeError("no")

    node.handlers["/setup/fails"] = fail
    async with logged_in(node) as client:
        await client.send(f"SEND\ndestination:{destination}\n\n")
        assert f"status:{status}\n" in await client.receive()


@pytest.mark.parametrize(
    "frame",
    [
        f"{LATEST}{'x' * 4097}",
        f"SEND\ncontent-length:5000\n\n{'x' * 5000}",
        f"SEND\nheader:{'x' * 1024}\n\n",
        "x" * 1025,
    ],
)
async def test_what_is_too_long_closes_without_a_word(node: SolarNode, frame: str) -> None:
    async with logged_in(node) as client:
        await client.send(frame)
        assert await client.closed()


async def test_what_just_fits_is_taken(node: SolarNode) -> None:
    async with logged_in(node) as client:
        await client.send(f"SEND\ndestination:/setup/marker\nx:{'x' * 1022}\n\n{'x' * 4096}")
        assert "status:200\n" in await client.receive()


@pytest.mark.parametrize(
    "frame", ["HELLO\n\n", "SEND\ndestination:a\\tb\n\n", "SEND\ncontent-length:1\n\nab"]
)
async def test_after_a_bad_frame_nothing_is_understood(node: SolarNode, frame: str) -> None:
    async with logged_in(node) as client:
        await client.send(frame)
        await client.send("SEND\ndestination:/setup/marker\n\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.receive()


async def test_line_ends_between_frames_and_in_pieces_are_passed_over(node: SolarNode) -> None:
    async with logged_in(node) as client:
        for piece in "\n\r\nSEND\r\ndestination:/setup/marker\r\n\r\n":
            client._writer.write(piece.encode())
            await client._writer.drain()
        await client.send("")
        assert "status:200\n" in await client.receive()


# --- the newer version


async def test_the_newer_version_gives_receipts_and_takes_leave(node: SolarNode) -> None:
    node.behaviour.live = True
    async with logged_in(node) as client:
        await client.send("SUBSCRIBE\nid:1\ndestination:/tea/*\nreceipt:r\\c1\n\n")
        assert await client.receive() == "RECEIPT\nreceipt-id:r\\c1\n\n"
        await client.send("UNSUBSCRIBE\nid:1\nreceipt:2\n\n", "UNSUBSCRIBE\nid:nothing\n\n")
        assert await client.receive() == "RECEIPT\nreceipt-id:2\n\n"
        await client.send("SEND\ndestination:/tea/order\n\n")
        assert await client.nothing_came()
        await client.send("DISCONNECT\nreceipt:3\n\n")
        assert await client.receive() == "RECEIPT\nreceipt-id:3\n\n"
        assert await client.closed()


def live(key: str, source: str = "Weather", **headers: str) -> str:
    given = {"id": key, "destination": "/setup/datum/live", "source-id": source, **headers}
    lines = [f"{name}:{value}" for name, value in given.items()]
    return "\n".join(["SUBSCRIBE", *lines, "", ""])


async def test_live_datum_come_at_once(node: SolarNode) -> None:
    node.behaviour.live = True
    async with logged_in(node) as client:
        await client.send(live("a", properties="temp, nothing"))
        head, _, body = (await client.receive()).partition("\n\n")
        assert "subscription:a" in head.split("\n")
        assert "source-id:Weather" in head.split("\n")
        assert json.loads(body).keys() == {"t", "temp"}
        await client.send("UNSUBSCRIBE\nid:a\n\n")
        assert await client.nothing_came()
    assert node.live_count == 0


@pytest.mark.parametrize(
    ("frame", "status", "message"),
    [
        (live("c", ""), 422, "Missing source-id header."),
        (live("c", interval="soon"), 422, "Invalid interval header."),
        (live("c", properties="x," * 33), 422, "Too many properties; at most 32 allowed."),
        (live("a"), 422, "Subscription ID already in use."),
        (live("c"), 429, "Too many live subscriptions for this session."),
    ],
)
async def test_what_live_datum_are_refused_for(
    node: SolarNode, frame: str, status: int, message: str
) -> None:
    node.behaviour.live = True
    async with logged_in(node) as client:
        await client.send(live("a"), live("b"))
        await client.receive()
        await client.receive()
        await client.send(frame)
        answer = await client.receive()
    assert f"status:{status}\n" in answer
    assert f"message:{message}\n" in answer


async def test_a_node_streams_to_four_at_most(node: SolarNode) -> None:
    node.behaviour.live = True
    async with logged_in(node) as one, logged_in(node) as two, logged_in(node) as three:
        for client in (one, two):
            await client.send(live("a"), live("b"))
            await client.receive()
            await client.receive()
        await three.send(live("a"))
        assert "status:429\n" in await three.receive()


async def test_live_datum_end_after_their_time(node: SolarNode) -> None:
    node.behaviour.live = True
    node.behaviour.live_duration_s = 0.05
    async with logged_in(node) as client:
        await client.send(live("a"))
        await client.receive()
        assert "status:410\n" in await client.receive()
    assert node.live_count == 0


async def test_live_datum_of_nothing_end_soon(node: SolarNode) -> None:
    node.behaviour.live = True
    node.behaviour.live_grace_s = 0.05
    async with logged_in(node) as client:
        await client.send(live("a", "/nowhere"))
        assert "status:404\n" in await client.receive()


async def test_a_bridge_on_the_way_may_break_long_replies(node: SolarNode) -> None:
    node.behaviour.reply_limit = 4096
    node.handlers["/setup/long"] = lambda _: Reply(result="x" * 5000)
    async with logged_in(node) as client:
        assert await client.nothing_came()
        await client.send("SEND\ndestination:/setup/long\n\n")
        assert await client.closed()


async def test_an_independent_client_gets_on_with_it(node: SolarNode) -> None:
    node.behaviour.live = True
    async with SetupClient(node.port, login=LOGIN, password=node.password) as client:
        answer = await client.ask("/setup/datum/latest", '["Weather"]')
        assert (answer.status, answer.result[0]["sourceId"]) == (200, "Weather")
        assert (await client.ask("/setup/nothing")).status == 404
        client.follow("Weather", "live")
        assert (await client.live.get()).result["temp"] == 18.3
