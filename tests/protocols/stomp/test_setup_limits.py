"""What a client of a setup server may not do, and what becomes of it."""

import asyncio
import ssl
from typing import Any

import pytest

from custom_components.grid_telemetry.protocols.stomp.reply import Reply
from custom_components.grid_telemetry.protocols.stomp.server import Limits, StompServer
from simulators.certificates import Authority

from .setup_client import LOGIN, SetupClient, frame, login_headers
from .setup_house import House, Start

pytestmark = pytest.mark.usefixtures("socket_enabled")


async def test_who_does_not_log_in_is_dropped(start: Start) -> None:
    server = await start(limits=Limits(unauthenticated_s=0.2))
    silent = await SetupClient.connect(server.port)
    half = await SetupClient.connect(server.port)
    half.send("CONNECT", {"login": LOGIN})
    await half.read()
    slow = await SetupClient.connect(server.port)
    slow.write(b"CONN")
    for client in (silent, half, slow):
        await client.closed()
        await client.close()
    assert server.health.refused == 3


async def test_who_is_logged_in_may_be_silent(start: Start, house: House) -> None:
    house.answers(200)
    server = await start(limits=Limits(unauthenticated_s=0.3, frame_s=0.3))
    client = await SetupClient.log_in(server.port)
    client.write(b"\n")
    await asyncio.sleep(0.6)
    assert (await client.ask("/x")).headers["status"] == "200"
    await client.close()


async def test_who_waits_for_a_place_is_not_cut_off(start: Start, house: House) -> None:
    server = await start(
        limits=Limits(unauthenticated_s=0.4, frame_s=0.4, commands=2, waiting_commands=0)
    )
    ended = asyncio.Event()

    async def handler(*_: object) -> Reply:
        await ended.wait()
        return Reply(status=200)

    house.handler = handler
    client = await SetupClient.connect(server.port)
    client.send("CONNECT", {"login": LOGIN})
    await client.read()
    # As clients do that pipeline; the last frame is not complete yet.
    client.write(
        frame("SEND", login_headers())
        + frame("SUBSCRIBE", {"id": "0", "destination": "/**"})
        + b"".join(frame("SEND", {"destination": f"/{number}"}) for number in range(3))
        + b"SEND\ndestination:/3"
    )
    await asyncio.sleep(1)
    ended.set()
    for _ in range(3):
        assert (await client.read()).headers["status"] == "200"
    # From here on the frame that has begun has its time.
    client.write(b"\n\n\0")
    assert (await client.read()).headers["destination"] == "/3"
    await client.close()


async def test_a_frame_has_to_come_to_its_end(start: Start) -> None:
    server = await start(limits=Limits(frame_s=0.3))
    client = await SetupClient.log_in(server.port)

    async def dribble() -> None:
        for _ in range(200):
            client.write(b"x")
            await asyncio.sleep(0.05)

    client.write(b"SEND\n")
    task = asyncio.create_task(dribble())
    await client.closed()
    task.cancel()
    await client.close()
    assert server.health.last_refusal == "127.0.0.1: Nothing came in time"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (frame("SEND", {"destination": "/x"}, "x" * 4097), "a body of more than 4096 bytes"),
        (
            frame("SEND", {"destination": "/x", "content-length": "4097"}),
            "a body of 4097 bytes, more than 4096",
        ),
        (frame("SEND", {"x": "x" * 9000}), "more than 8192 bytes of headers"),
        (frame("SEND", {str(n): "" for n in range(100)}), "more than 48 headers"),
        (b"SEND\n\xff:1\n\n\0", "headers are not UTF-8"),
        (b"GET / HTTP/1.1\nHost: x\n\n\0", "no command where one should be"),
    ],
)
async def test_what_is_too_long_or_no_stomp_is_refused(
    user: SetupClient, data: bytes, text: str
) -> None:
    user.write(data)
    assert await user.error() == text


async def test_slow_commands_do_not_keep_a_client_from_subscribing(
    start: Start, house: House
) -> None:
    server = await start(limits=Limits(commands=2, waiting_commands=1))
    ended = asyncio.Event()

    async def handler(*_: object) -> Reply:
        await ended.wait()
        return Reply()

    house.handler = handler
    client = await SetupClient.log_in(server.port)
    for number in range(2):
        client.send("SEND", {"destination": f"/{number}"})
    client.send("SEND", {"destination": "/waiting"})
    client.send("SUBSCRIBE", {"id": "more", "destination": "/x", "receipt": "subscribed"})
    assert (await client.read()).headers == {"receipt-id": "subscribed"}
    # One more has to wait outside, and with it all that is sent behind it.
    client.send("SEND", {"destination": "/outside"})
    client.send("UNSUBSCRIBE", {"id": "more", "receipt": "unsubscribed"})
    ended.set()
    seen = [await client.read() for _ in range(5)]
    assert [each.command for each in seen].count("MESSAGE") == 4
    await client.close()


async def test_a_body_of_the_longest_length_passes(user: SetupClient) -> None:
    assert (await user.ask("/x", body="x" * 4096)).headers["status"] == "404"


async def test_a_client_has_so_many_subscriptions(start: Start) -> None:
    server = await start(limits=Limits(subscriptions=3))
    client = await SetupClient.log_in(server.port)
    for subscription in ("1", "2", "2", "2"):
        client.send("SUBSCRIBE", {"id": subscription, "destination": "/x"})
    client.send("SUBSCRIBE", {"id": "3", "destination": "/x"})
    assert await client.error() == "Too many subscriptions."


async def test_other_networks_are_not_let_in(start: Start) -> None:
    server = await start(allowed_networks=[])
    client = await SetupClient.connect(server.port)
    await client.closed()
    await client.close()
    assert server.health.last_refusal == "127.0.0.1: Not in an allowed network"


async def test_who_is_logged_in_is_not_put_out(start: Start, house: House) -> None:
    house.answers(200)
    server = await start(limits=Limits(connections=2))
    first, second = [await SetupClient.log_in(server.port) for _ in range(2)]
    third = await SetupClient.connect(server.port)
    await third.closed()
    assert server.health.last_refusal == "127.0.0.1: More than 2 connections"
    for client in (first, second):
        assert (await client.ask("/x")).headers["status"] == "200"
    for client in (first, second, third):
        await client.close()


async def test_who_is_not_logged_in_makes_room(start: Start, house: House) -> None:
    house.answers(200)
    server = await start(limits=Limits(connections=4))
    silent = [await SetupClient.connect(server.port) for _ in range(20)]
    client = await SetupClient.log_in(server.port)
    more = [await SetupClient.connect(server.port) for _ in range(20)]
    assert (await client.ask("/x")).headers["status"] == "200"
    assert server.clients <= 4
    for each in (client, *silent, *more):
        await each.close()


async def test_a_crowd_makes_room_before_a_single_client(start: Start) -> None:
    server = await start(limits=Limits(connections=4))
    single = await SetupClient.connect(server.port)
    crowd = [await SetupClient.connect(server.port, source="127.0.0.9") for _ in range(40)]
    single.send("CONNECT", {"login": LOGIN})
    assert (await single.read()).command == "CONNECTED"
    single.send("SEND", login_headers())
    single.send("DISCONNECT", {"receipt": "bye"})
    assert (await single.read()).command == "RECEIPT"
    for each in (single, *crowd):
        await each.close()


async def test_within_a_crowd_who_has_come_further_stays(start: Start) -> None:
    server = await start(limits=Limits(connections=4))
    client = await SetupClient.connect(server.port)
    client.send("CONNECT", {"login": LOGIN})
    assert (await client.read()).command == "CONNECTED"
    crowd = [await SetupClient.connect(server.port) for _ in range(40)]
    client.send("SEND", login_headers())
    client.send("DISCONNECT", {"receipt": "bye"})
    assert (await client.read()).command == "RECEIPT"
    for each in (client, *crowd):
        await each.close()


async def test_who_does_not_read_is_dropped(start: Start, house: House) -> None:
    house.answers(200, result="x" * 1_000_000)
    server = await start(limits=Limits(stall_s=0.3))
    client = await SetupClient.log_in(server.port)
    other = await SetupClient.log_in(server.port)
    for _ in range(30):
        client.send("SEND", {"destination": "/x"})
    async with asyncio.timeout(20):
        while server.clients > 1:
            await asyncio.sleep(0.05)
    house.answers(200)
    assert (await other.ask("/x")).headers["status"] == "200"
    await client.close()
    await other.close()


async def test_all_clients_together_run_so_many_commands(start: Start, house: House) -> None:
    server = await start(limits=Limits(commands=4, all_commands=5))
    running = highest = 0
    gate = asyncio.Semaphore(0)

    async def handler(*_: object) -> Reply:
        nonlocal running, highest
        running += 1
        highest = max(highest, running)
        await gate.acquire()
        running -= 1
        return Reply(status=200)

    house.handler = handler
    clients = [await SetupClient.log_in(server.port) for _ in range(3)]
    for client in clients:
        for _ in range(4):
            client.send("SEND", {"destination": "/x"})
    for _ in range(12):
        gate.release()
    for client in clients:
        for _ in range(4):
            assert (await client.read()).headers["status"] == "200"
        await client.close()
    assert highest <= 5


@pytest.fixture
def contexts(tmp_path: Any) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server and of its client."""
    authority = Authority(tmp_path)
    certificate, key = authority.sign("home")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=authority.ca_file)


async def test_with_tls_it_is_the_same(
    start: Start, house: House, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    house.answers(200)
    server = await start(tls=contexts[0])
    client = await SetupClient.connect(server.port, tls=contexts[1])
    client.send("CONNECT", {"login": LOGIN})
    await client.read()
    client.send("SEND", login_headers())
    client.send("SUBSCRIBE", {"id": "0", "destination": "/**"})
    assert (await client.ask("/x")).headers["status"] == "200"
    client.send("CONNECT", {"login": LOGIN})
    assert await client.error() == "Already connected."


async def test_with_tls_nothing_else_is_served(
    start: Start, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server = await start(tls=contexts[0], limits=Limits(tls_handshake_s=0.3))
    plain = await SetupClient.connect(server.port)
    plain.send("CONNECT", {"login": LOGIN})
    silent = await SetupClient.connect(server.port)
    for client in (plain, silent):
        await client.closed()
        await client.close()


async def test_the_port_is_known(server: StompServer) -> None:
    assert server.port
    await server.stop()
    assert server.port == 0
