"""A setup server among enemies: it stays up, keeps its memory, and serves who may be served."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
import gc
import logging
import random
import tracemalloc

import pytest

from custom_components.grid_telemetry.protocols.stomp.server import StompServer

from .setup_client import LOGIN, PASSWORD_HASH, SetupClient, frame, login_headers
from .setup_house import House

pytestmark = pytest.mark.usefixtures("socket_enabled")

SEEDS = range(8)
CORPUS = [
    b"",
    b"\0",
    b"\n" * 70_000,
    b"\r" * 10,
    b"\r\n\r\n\0",
    b"CONNECT\n\n\0" * 3,
    b"CONNECT\nlogin:\n\n\0",
    b"CONNECT\n:solar\n\n\0",
    b"CONNECT\nlogin\n\n\0",
    b"connect\nlogin:solar\n\n\0",
    b"CONNECT\r\nlogin:solar\r\n\r\n\0SEND\r\n\r\n\0",
    b"CONNECT\nlogin:solar\ncontent-length:-1\n\n\0",
    b"CONNECT\nlogin:solar\ncontent-length:99999999999999999999\n\n\0",
    b"CONNECT\nlogin:solar\ncontent-length:2\n\nxxx\0",
    b"A" * 100_000,
    b"SEND\n" + b"a:b\n" * 20_000 + b"\n\0",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "CONNECT\nlogin:sölar\0\n\n\0".encode(),
]


def mutated(seed: int) -> Iterator[bytes]:
    """Yield pieces of a valid conversation with some of its bytes changed, lost or doubled."""
    chance = random.Random(seed)
    for _ in range(20):
        valid = (
            frame("CONNECT", {"login": LOGIN, "accept-version": "1.2"})
            + frame("SEND", login_headers())
            + frame("SUBSCRIBE", {"id": "0", "destination": "/**"})
            + frame("SUBSCRIBE", {"id": "l", "destination": "/setup/datum/live", "source-id": "M"})
            + frame("SEND", {"destination": "/setup/datum/latest", "x": "a:b\\c\n"}, "['a', \"b\"]")
            + frame("UNSUBSCRIBE", {"id": "0"})
        )
        data = bytearray(valid)
        for _ in range(chance.randint(1, 8)):
            start = chance.randrange(len(data))
            end = min(len(data), start + chance.choice((1, 1, 1, 4, 60)))
            match chance.randrange(4):
                case 0:
                    data[start:end] = chance.randbytes(end - start)
                case 1:
                    del data[start:end]
                case 2:
                    data[start:start] = data[start:end] * chance.choice((1, 1, 300))
                case _:
                    data[start:end] = chance.choice((b"\n", b"\0", b":", b"\\", b"\r\n"))
        yield bytes(data)


async def hit(port: int, data: bytes) -> None:
    """Send something and listen until the server has had enough, or does not care."""
    client = await SetupClient.connect(port, source="127.0.0.66")
    client.write(data)
    try:
        client.writer.write_eof()
        async with asyncio.timeout(20):
            await client.reader.read()
    except ConnectionError:
        pass
    await client.close()


@pytest.fixture(autouse=True)
async def legitimate(
    server: StompServer, house: House, caplog: pytest.LogCaptureFixture
) -> AsyncGenerator[None]:
    """A client is served before, during and after, and no log has a fault or a secret."""
    caplog.set_level(logging.DEBUG, "custom_components.grid_telemetry")
    # What it logs of each connection in debug mode keeps that alive.
    caplog.set_level(logging.WARNING, "asyncio")
    house.answers(200)
    client = await SetupClient.log_in(server.port)
    stop = asyncio.Event()

    async def serve() -> int:
        count = 0
        while not stop.is_set():
            assert (await client.ask("/x")).headers["status"] == "200"
            count += 1
            await asyncio.sleep(0.01)
        return count

    task = asyncio.create_task(serve())
    yield
    stop.set()
    assert await task > 0
    # Its log-in is not to look like one of those that were sent from elsewhere.
    newcomer = await SetupClient.log_in(server.port, at=datetime.now(UTC) + timedelta(seconds=60))
    assert (await newcomer.ask("/x")).headers["status"] == "200"
    await newcomer.close()
    await client.close()
    ours = [record for record in caplog.records if "grid_telemetry" in record.name]
    assert not [record for record in ours if record.levelno >= logging.ERROR]
    text = "\n".join(record.getMessage() for record in ours)
    for secret in (PASSWORD_HASH, "Signature", "authorization"):
        assert secret not in text


@pytest.mark.parametrize("data", CORPUS, ids=range(len(CORPUS)))
async def test_the_corpus(server: StompServer, data: bytes) -> None:
    await hit(server.port, data)


@pytest.mark.parametrize("seed", SEEDS)
async def test_mutated_conversations(server: StompServer, seed: int) -> None:
    # A wrong log-in would have the rest wait.
    for data in mutated(seed):
        server.guard._failures.clear()
        await hit(server.port, data)


async def test_mutations_within_a_conversation_that_is_logged_in(server: StompServer) -> None:
    chance = random.Random(7)
    commands = [b"SEND", b"SUBSCRIBE", b"UNSUBSCRIBE", b"NACK", b"MESSAGE", b"X" * 30]
    names = [b"destination", b"id", b"receipt", b"source-id", b"interval", b"", b"content-length"]
    values = [b"/x", b"/**", b"/setup/datum/live", b"", b"9" * 30, b"\\", b"\\c\\n", b"\xc3\xbc"]
    for _ in range(150):
        client = await SetupClient.log_in(server.port)
        for _ in range(chance.randint(1, 6)):
            headers = b"".join(
                b"%b:%b\n" % (chance.choice(names), chance.choice(values))
                for _ in range(chance.randrange(5))
            )
            body = chance.randbytes(chance.randrange(20)).replace(b"\0", b"")
            client.write(b"%b\n%b\n%b\0" % (chance.choice(commands), headers, body))
        client.writer.write_eof()
        try:
            async with asyncio.timeout(20):
                await client.reader.read()
        except ConnectionError:
            pass
        await client.close()


async def test_five_hundred_connections(server: StompServer) -> None:
    async def sit(number: int) -> SetupClient:
        client = await SetupClient.connect(server.port, source=f"127.0.0.{100 + number % 5}")
        client.write([b"", b"CONN", b"CONNECT\nlogin:solar\n\n\0"][number % 3])
        return client

    clients = await asyncio.gather(*(sit(number) for number in range(500)))
    assert server.clients <= 32
    newcomer = await SetupClient.log_in(server.port)
    assert (await newcomer.ask("/x")).headers["status"] == "200"
    for client in (newcomer, *clients):
        client.writer.transport.abort()


async def test_wrong_passwords_at_speed(server: StompServer) -> None:
    async def guess() -> None:
        for number in range(2):
            client = await SetupClient.connect(server.port, source="127.0.0.66")
            try:
                client.send("CONNECT", {"login": LOGIN})
                await client.read()
                client.send("SEND", login_headers(f"$2a$04$guess{number}"))
                assert await client.error() == "Authorization deined: invalid signature."
            except EOFError, ConnectionError:
                await client.close()  # it had to make room

    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(guess())
    assert server.clients <= 32


async def test_memory_is_bounded(server: StompServer) -> None:
    await attack_once(server)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            await asyncio.gather(*(attack_once(server) for _ in range(30)))
        async with asyncio.timeout(20):
            while server.clients > 1:
                await asyncio.sleep(0.01)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # Of 45 MB that were sent; what the client of the fixture keeps is in it.
    assert grown < 5_000_000


async def attack_once(server: StompServer) -> None:
    """Send a frame without end, until the connection is cut."""
    client = await SetupClient.connect(server.port, source="127.0.0.66")
    client.write(b"CONNECT\nlogin:solar\n\n")
    with suppress(ConnectionError):
        for _ in range(30):
            client.write(b"x" * 10_000)
            await client.writer.drain()
    client.writer.transport.abort()
