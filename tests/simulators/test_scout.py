"""The stand-in for Scout: that it is as strict as it says, and answers as RabbitMQ does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
import json
from pathlib import Path
import threading
from typing import Any

import aiohttp
from aiohttp import WSMsgType
import pytest
from stomp import ConnectionListener
from stomp.adapter.ws import WSStompConnection
from stomp.exception import NotConnectedException
from stomp.utils import Frame

from simulators.certificates import Authority
from simulators.programs import Program
from simulators.scout import ScoutServer
from tests.fixtures.scout import CLAIM_ID, HEADERS, METRICS, TOKEN, Platform, metric

OTHER_HOST = "Virtual host 'other' access denied"
LOGIN = {"accept-version": "1.2", "host": "pro", "login": CLAIM_ID, "passcode": TOKEN}


def frame(command: str, headers: dict[str, str], body: str = "") -> str:
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    return f"{command}\n{lines}\n{body}\0"


def connect_frame(**changes: str) -> str:
    return frame("CONNECT", LOGIN | {name.replace("_", "-"): v for name, v in changes.items()})


def send_frame(body: str, destination: str = METRICS, **headers: str) -> str:
    return frame("SEND", {"destination": destination, "receipt": "r", **HEADERS, **headers}, body)


type Answer = tuple[str, str] | tuple[int, str]


class Talk:
    """A WebSocket over which a test writes what it likes."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket

    async def say(self, *texts: str) -> None:
        for text in texts:
            await self.websocket.send_str(text)

    async def hear(self) -> Answer:
        """Return the command and head or message text of a frame, or how the server closed."""
        async with asyncio.timeout(5):
            while True:
                message = await self.websocket.receive()
                if message.type is WSMsgType.CLOSE:
                    return message.data, message.extra
                if message.type is WSMsgType.CLOSED:
                    return 1006, ""
                assert message.type is WSMsgType.TEXT, message
                if text := message.data.strip("\n\0"):
                    return text.partition("\n")[0], text.partition("\n")[2]


@asynccontextmanager
async def talk(session: aiohttp.ClientSession, url: str, *texts: str) -> AsyncIterator[Talk]:
    """Open a WebSocket and say something."""
    async with session.ws_connect(url) as websocket:
        conversation = Talk(websocket)
        await conversation.say(*texts)
        yield conversation


def error_text(message: str, detail: str) -> str:
    return (
        f"message:{message}\ncontent-type:text/plain\nversion:1.0,1.1,1.2\n"
        f"content-length:{len(detail)}\n\n{detail}".strip("\n")
    )


@pytest.mark.parametrize(
    ("said", "message", "detail"),
    [
        (
            connect_frame(passcode="no"),
            "Bad CONNECT",
            f"Access refused for user '{CLAIM_ID}'\n",
        ),
        (connect_frame(login="a\\cb"), "Bad CONNECT", "Access refused for user 'a:b'\n"),
        (frame("CONNECT", {}), "Bad CONNECT", "Virtual host '/' access denied"),
        (frame("CONNECT", {"host": "pro"}), "Bad CONNECT", "Access refused for user 'guest'\n"),
        (connect_frame(host="other", passcode="no"), "Bad CONNECT", OTHER_HOST),
        (connect_frame(host="other"), "Bad CONNECT", OTHER_HOST),
        (
            connect_frame(accept_version="9.9"),
            "Version mismatch",
            "Supported versions are 1.0,1.1,1.2\n",
        ),
        (send_frame("{}"), "Illegal command", "You must log in using CONNECT first"),
    ],
)
async def test_a_refused_login_leaves_the_connection_open(
    platform: Platform, session: aiohttp.ClientSession, said: str, message: str, detail: str
) -> None:
    async with talk(session, platform.url, said) as conversation:
        assert await conversation.hear() == ("ERROR", error_text(message, detail))
        await conversation.say(connect_frame())
        command, _ = await conversation.hear()
        assert command == "CONNECTED"


@pytest.mark.parametrize(
    ("said", "message", "detail"),
    [
        (
            send_frame("{}", "/exchange/metrics/a/b"),
            "Invalid destination",
            "'/metrics/a/b' is not a valid exchange destination\n",
        ),
        (send_frame("{}", "/nowhere"), "Unknown destination", None),
        (
            frame("SEND", {}),
            "Missing destination",
            "\"SEND\" must include a 'destination' header\n",
        ),
        (
            send_frame("{}", **{"message-id": "1"}),
            "Invalid header",
            "'message-id' is not allowed on 'SEND'.\n",
        ),
        (frame("HELLO", {}), "Bad command", 'Could not interpret command "HELLO"\n'),
    ],
)
async def test_a_soft_error_leaves_the_connection_open(
    platform: Platform,
    session: aiohttp.ClientSession,
    said: str,
    message: str,
    detail: str | None,
) -> None:
    async with talk(session, platform.url, connect_frame(), said) as conversation:
        await conversation.hear()
        command, text = await conversation.hear()
        assert command == "ERROR"
        if detail is None:
            assert text.startswith(f"message:{message}\n")
        else:
            assert text == error_text(message, detail)
        await conversation.say(send_frame(metric(1)))
        assert await conversation.hear() == ("RECEIPT", "receipt-id:r")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("CONNECT\nhost\n\n\0", '{header_no_value,"host"}'),
        ("CONNECT\nhost:a\\x\n\n\0", None),
        ("CONNECT\nhost:a\rb\n\n\0", None),
    ],
)
async def test_a_malformed_frame_is_closed_upon(
    platform: Platform, session: aiohttp.ClientSession, said: str, reason: str | None
) -> None:
    async with talk(session, platform.url, said) as conversation:
        code, text = await conversation.hear()
    assert code == 1007
    assert reason in {None, text}


async def test_the_login_tells_what_was_agreed_on(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    said = connect_frame(accept_version="1.0,1.1", **{"heart-beat": "20000,10000"})
    async with talk(session, platform.url, said) as conversation:
        command, head = await conversation.hear()
    assert command == "CONNECTED"
    assert {"version:1.1", "heart-beat:10000,20000"} < set(head.splitlines())


async def test_a_client_that_stops_to_beat_is_closed_upon(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    said = connect_frame(**{"heart-beat": "1000,0"})
    async with talk(session, platform.url, said) as conversation:
        await conversation.hear()
        assert await conversation.hear() == (1000, "STOMP died")


async def test_the_server_beats_twice_as_often_as_asked(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    said = connect_frame(**{"heart-beat": "0,2000"})
    async with talk(session, platform.url, said) as conversation:
        await conversation.hear()
        async with asyncio.timeout(1.9):
            assert (await conversation.websocket.receive()).data == "\n"


async def test_a_second_login_on_one_connection_is_closed_upon(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    async with talk(session, platform.url, connect_frame(), connect_frame()) as conversation:
        await conversation.hear()
        code, _ = await conversation.hear()
    assert code in {1011, 1006}  # RabbitMQ crashes over it, at one place or another


async def test_frames_may_be_cut_and_joined(
    platform: Platform, session: aiohttp.ClientSession
) -> None:
    text = connect_frame() + "\n" + send_frame(metric(1)) + send_frame(metric(2)) + "\r\n"
    async with talk(session, platform.url, text[:30], text[30:200], text[200:]) as conversation:
        await conversation.hear()
        await platform.ledger.wait_for(lambda: platform.ledger.messages == 2, 5)


@pytest.mark.parametrize(
    ("said", "message", "refusal"),
    [
        (
            send_frame("{}", f"/exchange/metric/gateways.{CLAIM_ID}"),
            "not_found",
            "NOT_FOUND - no exchange 'metric' in vhost 'pro'",
        ),
        (send_frame("{}", "/exchange/metrics/gateways.OTHER"), "access_refused", "gateways.OTHER"),
        (send_frame("{}"), "Refused", "METRIC: without gateway_device_id, metrics"),
        (send_frame("{}", **{"myc-hw-version": ""}), "Refused", "nothing in myc-hw-version"),
        (send_frame(f'{{"a":"{"x" * 70_000}"}}'), "Refused", "more than 65536"),
        (frame("SUBSCRIBE", {"id": "1"}), "access_refused", "SUBSCRIBE refused"),
    ],
)
async def test_what_scout_cannot_use_ends_the_connection_and_is_remembered(
    scout: ScoutServer, session: aiohttp.ClientSession, said: str, message: str, refusal: str
) -> None:
    async with talk(session, scout.url, connect_frame(), said) as conversation:
        await conversation.hear()
        command, text = await conversation.hear()
        assert command == "ERROR"
        assert text.startswith(f"message:{message}\n")
        assert await conversation.hear() == (1000, "STOMP died")
    assert refusal in scout.refusals[0]
    assert scout.messages == 0


async def test_exchanges_can_be_missing_or_forbidden(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    scout.behaviour.missing_exchanges.add("metrics")
    async with talk(session, scout.url, connect_frame(), send_frame(metric(1))) as conversation:
        await conversation.hear()
        assert "message:not_found" in (await conversation.hear())[1]
    scout.behaviour.missing_exchanges.clear()
    scout.behaviour.forbidden_exchanges.add("metrics")
    async with talk(session, scout.url, connect_frame(), send_frame(metric(1))) as conversation:
        await conversation.hear()
        assert "message:access_refused" in (await conversation.hear())[1]


@pytest.mark.parametrize(
    "said",
    [
        "CONNECT\nhost:\xe9\n\n\0".encode("latin-1"),
        b"CONNECT\0",
        b"SEND\ncontent-length:x\n\n\0",
        b"SEND\ncontent-length:1\n\nab\0",
        b"x" * 1_100_000,
    ],
)
async def test_malformed_bytes_are_closed_upon(
    scout: ScoutServer, session: aiohttp.ClientSession, said: bytes
) -> None:
    async with session.ws_connect(scout.url) as websocket:
        await websocket.send_bytes(said)
        assert (await Talk(websocket).hear())[0] == 1007
    assert scout.refusals[0].startswith("malformed frame")


async def test_an_idle_client_is_closed_upon(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    scout.behaviour.idle_timeout_s = 0.1
    async with talk(session, scout.url, connect_frame()) as conversation:
        await conversation.hear()
        assert await conversation.hear() == (1000, "")


async def test_a_goodbye_is_confirmed(scout: ScoutServer, session: aiohttp.ClientSession) -> None:
    said = frame("DISCONNECT", {"receipt": "bye"})
    async with talk(session, scout.url, connect_frame(), said) as conversation:
        await conversation.hear()
        assert await conversation.hear() == ("RECEIPT", "receipt-id:bye")
        assert await conversation.hear() == (1000, "STOMP died")


async def test_it_speaks_tls(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    authority = Authority(tmp_path)
    async with ScoutServer(ssl_context=authority.server_context()) as server:
        assert server.url.startswith("wss://127.0.0.1:")
        async with session.ws_connect(server.url, ssl=authority.client_context()) as websocket:
            await websocket.send_str(connect_frame())
            assert (await Talk(websocket).hear())[0] == "CONNECTED"


async def test_the_report_is_served_and_written(
    session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    arguments = ("--login", CLAIM_ID, "--passcode", TOKEN, "--report", str(report))
    program = Program.module("simulators.scout", *arguments, log=tmp_path / "log")
    async with program:
        url = await _listening(program)
        async with talk(session, url, connect_frame(), send_frame(metric(1))) as conversation:
            await conversation.hear()
            assert await conversation.hear() == ("RECEIPT", "receipt-id:r")
        address = url.replace("ws://", "http://").replace("/ws/stomp", "/report")
        async with session.get(address) as response:
            served = await response.json()
    assert served["devices"]["MAIN"]["V_AN"]["value"] == 1.5
    assert json.loads(report.read_text()) == served


async def _listening(program: Program) -> str:
    async with asyncio.timeout(30):
        while "listening on " not in (text := program.log.read_text()):
            program.check()
            await asyncio.sleep(0.05)
    return text.split()[-1]


class _Listener(ConnectionListener):  # type: ignore[misc]
    """Keeps what stomp.py heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.receipts = threading.Semaphore(0)

    def on_receipt(self, received: Frame) -> None:
        self.receipts.release()

    def on_error(self, received: Frame) -> None:
        self.heard.append((received.headers["message"], received.body))
        self.receipts.release()


def _use_stomp_py(port: int, use: Callable[[Any], None]) -> list[tuple[str, str]]:
    """Connect with stomp.py, which lives in threads, and return the errors that it heard."""
    threads: list[threading.Thread] = []

    def run(target: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=target)
        threads.append(thread)
        thread.start()
        return thread

    connection = WSStompConnection([("127.0.0.1", port)], ws_path="/ws/stomp", vhost="pro")
    connection.transport.override_threading(run)
    listener = _Listener()
    connection.set_listener("test", listener)
    connection.connect(CLAIM_ID, TOKEN, wait=True)
    use(connection)
    assert listener.receipts.acquire(timeout=5)
    # The server closes after an error, and may have done so already.
    with suppress(NotConnectedException):
        connection.disconnect()
    for thread in threads:
        thread.join(5)
    return listener.heard


async def test_stomp_py_is_served(scout: ScoutServer) -> None:
    heard = await asyncio.to_thread(
        _use_stomp_py,
        scout.port,
        lambda peer: peer.send(METRICS, metric(7), headers=dict(HEADERS), receipt="1"),
    )
    assert heard == []
    assert [item.value for item in scout.metrics] == [7.5]


async def test_stomp_py_is_refused_what_scout_cannot_use(scout: ScoutServer) -> None:
    heard = await asyncio.to_thread(
        _use_stomp_py,
        scout.port,
        lambda peer: peer.send(METRICS, "{}", headers=dict(HEADERS), receipt="1"),
    )
    assert heard == [("Refused", "METRIC: without gateway_device_id, metrics")]
