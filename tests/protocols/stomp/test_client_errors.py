"""How the client tells apart what a server, a network or a certificate can do to it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
import ssl

import aiohttp
from aiohttp import web
import pytest

from custom_components.grid_telemetry.protocols.stomp.client import connect
from custom_components.grid_telemetry.protocols.stomp.errors import (
    StompAuthenticationError,
    StompConnectError,
    StompConnectionLost,
    StompError,
    StompFrameError,
    StompLimitError,
    StompProtocolError,
    StompServerError,
    StompTransportError,
    TransportFailure,
)
from simulators.certificates import Authority
from simulators.programs import free_port
from simulators.scout import ScoutServer
from tests.fixtures.scout import (
    HEADERS,
    METRICS,
    TOKEN,
    connected,
    metric,
    parameters,
    send_without_end,
)
from tests.fixtures.websocket import serve, serve_app

type Script = Callable[[web.WebSocketResponse], Awaitable[None]]

CONNECTED = "CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0"


async def _read_to_the_end(websocket: web.WebSocketResponse) -> None:
    async for _ in websocket:
        pass


def answering(*messages: str | bytes) -> Callable[..., Awaitable[None]]:
    """Return a handler that answers CONNECT with WebSocket messages, then only reads."""

    async def handle(websocket: web.WebSocketResponse, request: web.Request) -> None:
        await websocket.receive()
        for message in messages:
            if isinstance(message, str):
                await websocket.send_str(message)
            else:
                await websocket.send_bytes(message)
        await _read_to_the_end(websocket)

    return handle


async def refused(session: aiohttp.ClientSession, *messages: str | bytes) -> StompError:
    """Connect to a server that answers so, and return the error."""
    async with serve(answering(*messages)) as url:
        with pytest.raises(StompError) as caught:
            await connect(session, parameters(url, connect_timeout_s=5))
    return caught.value


async def ended(session: aiohttp.ClientSession, *messages: str | bytes) -> StompError | None:
    """Log in at a server that then says so, and return why the connection ended."""
    async with (
        serve(answering(CONNECTED, *messages)) as url,
        connected(session, url) as connection,
        asyncio.timeout(5),
    ):
        return await connection.wait_closed()


async def test_frames_may_come_in_pieces_as_bytes_and_several_at_once(
    session: aiohttp.ClientSession,
) -> None:
    async def handle(websocket: web.WebSocketResponse, request: web.Request) -> None:
        await websocket.receive()
        for piece in (b"\n\r\nCONN", b"ECTED\nversion:1.2\n", b"\n\0\n"):
            await websocket.send_bytes(piece)
        await websocket.receive()
        await websocket.receive()
        await websocket.send_str("RECEIPT\nreceipt-id:2\n\n\0\nRECEIPT\nreceipt-id:9\n\n\0REC")
        await websocket.send_str("EIPT\nreceipt-id:1\n\n\0")
        await _read_to_the_end(websocket)

    async with serve(handle) as url, connected(session, url) as connection:
        receipts = [await connection.send(METRICS, HEADERS, metric(n)) for n in range(2)]
        async with asyncio.timeout(5):
            await asyncio.gather(*receipts)


async def test_what_comes_together_with_connected_counts(session: aiohttp.ClientSession) -> None:
    async with (
        serve(answering(CONNECTED + "ERROR\nmessage:stop\n\nnow\0")) as url,
        connected(session, url) as connection,
    ):
        reason = await connection.wait_closed()
    assert isinstance(reason, StompServerError)
    assert str(reason) == "stop: now"


async def test_the_client_shows_life_before_a_beat_is_due(session: aiohttp.ClientSession) -> None:
    beats: asyncio.Queue[object] = asyncio.Queue()

    async def handle(websocket: web.WebSocketResponse, request: web.Request) -> None:
        request_frame = await websocket.receive_str()
        await beats.put("heart-beat:1000,1000\n" in request_frame)
        await websocket.send_str(CONNECTED)
        async for message in websocket:
            await beats.put(message.data)

    async with serve(handle) as url, connected(session, url, heartbeat_s=1.0):
        assert await beats.get() is True
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert [await beats.get() for _ in range(2)] == ["\n"] * 2
        assert 1.0 < loop.time() - started < 2.0


async def test_an_older_version_is_spoken(session: aiohttp.ClientSession) -> None:
    sent: asyncio.Queue[str] = asyncio.Queue()

    async def handle(websocket: web.WebSocketResponse, request: web.Request) -> None:
        await sent.put(await websocket.receive_str())
        await websocket.send_str("CONNECTED\n\n\0")
        async for message in websocket:
            await sent.put(message.data)

    async with serve(handle) as url, connected(session, url) as connection:
        assert "accept-version:1.0,1.1,1.2\n" in await sent.get()
        assert connection.version == "1.0"
        await connection.send("/x", {"date": "a:b"}, "")
        assert "date:a:b\n" in await sent.get()


async def test_other_refusals_keep_their_text(session: aiohttp.ClientSession) -> None:
    error = await refused(
        session, "ERROR\nmessage:Version mismatch\n\nSupported versions are 9\n\0"
    )
    assert type(error) is StompConnectError
    assert str(error) == "Version mismatch: Supported versions are 9"
    assert str(await refused(session, "ERROR\nmessage:no\n\n\0")) == "no"


async def test_a_refusal_that_quotes_the_passcode_does_not_pass_it_on(
    session: aiohttp.ClientSession,
) -> None:
    error = await refused(
        session, f"ERROR\nmessage:bad {TOKEN}\n\nAccess refused: passcode\\c{TOKEN}\0"
    )
    assert isinstance(error, StompAuthenticationError)
    assert TOKEN not in repr(error)


async def test_a_long_refusal_is_cut(session: aiohttp.ClientSession) -> None:
    error = await refused(session, f"ERROR\nmessage:{'m' * 9000}\n\n{'b' * 90000}\0")
    assert isinstance(error, StompConnectError)
    assert (len(error.message), len(error.body)) == (500, 500)


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ("hello\n\n\0", StompFrameError, "no command"),
        ("x" * 20_000, StompLimitError, "headers"),
        ("MESSAGE\n\n\0", StompProtocolError, "MESSAGE in answer to CONNECT"),
        ("CONNECTED\nversion:2.0\n\n\0", StompProtocolError, "not offered"),
        ("CONNECTED\nheart-beat:x,1\n\n\0", StompProtocolError, "heart-beat"),
        (b"x" * 5_000_000, StompProtocolError, "not a WebSocket message"),
    ],
)
async def test_a_malformed_answer_to_connect_is_told(
    session: aiohttp.ClientSession, answer: str, error: type[StompError], text: str
) -> None:
    caught = await refused(session, answer)
    assert isinstance(caught, error)
    assert text in str(caught)


@pytest.mark.parametrize(
    ("message", "error", "text"),
    [
        ("hello\n\n\0", StompFrameError, "no command"),
        ("MESSAGE\n\n\0", StompProtocolError, "MESSAGE from the server"),
        (b"ERROR\ncontent-length:9999999\n\n", StompLimitError, "9999999 bytes"),
    ],
)
async def test_a_malformed_message_ends_the_connection(
    session: aiohttp.ClientSession, message: str, error: type[StompError], text: str
) -> None:
    reason = await ended(session, message)
    assert isinstance(reason, error)
    assert text in str(reason)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_close_is_told_with_its_code_and_reason(
    session: aiohttp.ClientSession, when: str
) -> None:
    async def handle(websocket: web.WebSocketResponse, request: web.Request) -> None:
        await websocket.receive()
        if when == "after":
            await websocket.send_str(CONNECTED)
        await websocket.close(code=1001, message=b"going away")

    async with serve(handle) as url:
        if when == "before":
            with pytest.raises(StompConnectionLost) as caught:
                await connect(session, parameters(url))
            reason: StompError | None = caught.value
        else:
            async with connected(session, url) as connection:
                reason = await connection.wait_closed()
    assert isinstance(reason, StompConnectionLost)
    assert (reason.code, reason.reason) == (1001, "going away")
    assert str(reason) == "closed by the server with code 1001 going away"


async def test_a_close_over_syntax_is_a_protocol_error(session: aiohttp.ClientSession) -> None:
    async def handle(websocket: web.WebSocketResponse, request: web.Request) -> None:
        await websocket.receive()
        await websocket.close(code=1007, message=b"{bad_escape}")

    async with serve(handle) as url:
        with pytest.raises(StompProtocolError, match=r"1007 {bad_escape}"):
            await connect(session, parameters(url))


async def test_a_connection_that_is_cut_before_the_login_is_lost(
    session: aiohttp.ClientSession,
) -> None:
    async def handle(websocket: web.WebSocketResponse, request: web.Request) -> None:
        assert request.transport is not None
        request.transport.abort()

    async with serve(handle) as url:
        with pytest.raises(StompConnectionLost):
            await connect(session, parameters(url))


async def test_the_client_closes_after_a_refused_login(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(StompAuthenticationError):
        await connect(session, parameters(scout.url, passcode="wrong"))
    await scout.wait_for(lambda: not scout.connections, 5)


@pytest.mark.parametrize("answer", ["none", "half"])
async def test_no_answer_in_time(session: aiohttp.ClientSession, answer: str) -> None:
    async with serve(answering(*(["CONNECTED\n"] if answer == "half" else []))) as url:
        with pytest.raises(StompTransportError) as caught:
            await connect(session, parameters(url, connect_timeout_s=0.2))
    assert caught.value.kind is TransportFailure.TIMEOUT
    assert str(caught.value) == "no answer within 0.2 s"


async def test_a_server_that_does_not_even_answer_http(socket_enabled: None) -> None:
    done = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    impatient = aiohttp.ClientTimeout(total=0.1)
    async with server, aiohttp.ClientSession(timeout=impatient) as session:
        with pytest.raises(StompTransportError) as caught:
            await connect(session, parameters(url))
        done.set()
    assert caught.value.kind is TransportFailure.TIMEOUT


async def test_a_network_that_is_not_there(scout: ScoutServer) -> None:
    connector = aiohttp.TCPConnector(local_addr=("192.0.2.1", 0))
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(StompTransportError) as caught:
            await connect(session, parameters(scout.url))
    assert caught.value.kind is TransportFailure.OTHER


async def test_a_refusal_from_a_server_that_does_not_read_ends_in_time(
    session: aiohttp.ClientSession,
) -> None:
    stalled, done = asyncio.Event(), asyncio.Event()

    async def handle(websocket: web.WebSocketResponse, request: web.Request) -> None:
        await websocket.receive()
        await websocket.send_str(CONNECTED)
        await stalled.wait()
        await websocket.send_str("ERROR\nmessage:enough\n\n\0")
        await done.wait()

    async with serve(handle) as url, connected(session, url) as connection:
        sender = asyncio.create_task(send_without_end(connection))
        await asyncio.wait({sender}, timeout=0.5)
        stalled.set()
        async with asyncio.timeout(5):
            with pytest.raises(StompServerError, match="enough"):
                await sender
            await connection.close()
        done.set()


async def test_a_login_that_is_cancelled_leaves_nothing(session: aiohttp.ClientSession) -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def handle(websocket: web.WebSocketResponse, request: web.Request) -> None:
        await websocket.receive()
        asked.set()
        await _read_to_the_end(websocket)
        gone.set()

    async with serve(handle) as url:
        task = asyncio.create_task(connect(session, parameters(url)))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            await gone.wait()


async def test_a_refused_connection(session: aiohttp.ClientSession) -> None:
    port = free_port()
    with pytest.raises(StompTransportError) as caught:
        await connect(session, parameters(f"ws://127.0.0.1:{port}/"))
    assert caught.value.kind is TransportFailure.REFUSED
    assert str(caught.value) == f"127.0.0.1 port {port} refuses connections"


class _NoAddresses(aiohttp.abc.AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[object]:
        raise OSError(None, "no such name")

    async def close(self) -> None:
        pass


async def test_a_name_without_address(socket_enabled: None) -> None:
    connector = aiohttp.TCPConnector(resolver=_NoAddresses())
    async with aiohttp.ClientSession(connector=connector) as session:
        with pytest.raises(StompTransportError) as caught:
            await connect(session, parameters("wss://scout.invalid/ws/stomp"))
    assert caught.value.kind is TransportFailure.DNS
    assert str(caught.value) == "scout.invalid has no address"


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1/", "wss://me:hush@[::1/"])
async def test_an_address_that_is_none(session: aiohttp.ClientSession, url: str) -> None:
    with pytest.raises(StompTransportError) as caught:
        await connect(session, parameters(url))
    assert caught.value.kind is TransportFailure.OTHER
    assert "hush" not in repr(caught.value)


async def test_a_server_that_is_no_websocket(
    scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(StompTransportError) as caught:
        await connect(session, parameters(scout.url.replace("/ws/stomp", "/report")))
    assert (caught.value.kind, caught.value.status) == (TransportFailure.HTTP_STATUS, 200)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_server_with_a_trusted_certificate(
    authority: Authority, session: aiohttp.ClientSession
) -> None:
    server = ScoutServer(ssl_context=authority.server_context())
    async with (
        server,
        connected(session, server.url, ssl=authority.client_context()) as connection,
    ):
        await (await connection.send(METRICS, HEADERS, metric(1)))
    assert server.messages == 1


async def test_a_server_that_does_not_read_is_given_up_over_tls_too(
    authority: Authority, session: aiohttp.ClientSession
) -> None:
    server = ScoutServer(ssl_context=authority.server_context())
    trust = authority.client_context()
    async with server, connected(session, server.url, ssl=trust, heartbeat_s=0.3) as connection:
        server.stop_reading()
        async with asyncio.timeout(10):
            with pytest.raises(StompConnectionLost, match="did not read"):
                await send_without_end(connection)
            await connection.close()


@pytest.mark.parametrize(
    ("expired", "address", "trusted", "text"),
    [
        (True, "127.0.0.1", True, "certificate has expired"),
        (False, "127.0.0.2", True, "IP address mismatch"),
        (False, "127.0.0.1", False, "unable to get local issuer certificate"),
    ],
)
async def test_a_certificate_that_does_not_hold(
    authority: Authority,
    session: aiohttp.ClientSession,
    expired: bool,
    address: str,
    trusted: bool,
    text: str,
) -> None:
    server = ScoutServer(ssl_context=authority.server_context(address, expired=expired))
    context: ssl.SSLContext | bool = authority.client_context() if trusted else True
    async with server:
        with pytest.raises(StompTransportError) as caught:
            await connect(session, parameters(server.url, ssl=context))
    assert caught.value.kind is TransportFailure.TLS
    assert text in str(caught.value)
    assert server.logins == 0


async def test_tls_to_a_server_without(scout: ScoutServer, session: aiohttp.ClientSession) -> None:
    with pytest.raises(StompTransportError) as caught:
        await connect(session, parameters(scout.url.replace("ws:", "wss:")))
    assert caught.value.kind is TransportFailure.TLS


async def test_a_redirect_away_from_tls_is_not_followed_to_a_login(
    authority: Authority, scout: ScoutServer, session: aiohttp.ClientSession
) -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(scout.url.replace("ws:", "http:"))

    app = web.Application()
    app.router.add_get("/", redirect)
    async with serve_app(app, ssl=authority.server_context()) as address:
        with pytest.raises(StompTransportError) as caught:
            await connect(session, parameters(f"wss://{address}/", ssl=authority.client_context()))
    assert caught.value.kind is TransportFailure.TLS
    assert scout.logins == 0
    assert not scout.refusals
