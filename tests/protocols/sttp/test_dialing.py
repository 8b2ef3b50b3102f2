"""The publisher dials out to subscribers that listen."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
import ssl

import pytest

from custom_components.grid_telemetry.protocols.sttp import (
    Dialing,
    Target,
    fingerprint_of,
    target_of,
)
from custom_components.grid_telemetry.protocols.sttp.constants import ServerCommand, ServerResponse
from custom_components.grid_telemetry.protocols.sttp.frames import OperationalModes
from custom_components.grid_telemetry.protocols.sttp.publisher.connection import Connection

from .conftest import Serve
from .samples import ALL, frame, metadata
from .test_tls import certificate, client, server
from .wire import WireSubscriber

__all__ = ["certificate", "client", "server"]

TIMEOUT_S = 10.0


class Waiting:
    """A subscriber that listens, as the reference's do for a reverse connection."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[WireSubscriber] = asyncio.Queue()
        self.server: asyncio.Server | None = None

    async def listen(self, tls: ssl.SSLContext | None = None, port: int = 0) -> Target:
        self.server = await asyncio.start_server(self._take, "127.0.0.1", port, ssl=tls)
        return Target(host="127.0.0.1", port=self.server.sockets[0].getsockname()[1])

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.arrived.put_nowait(WireSubscriber(reader, writer, OperationalModes()))

    async def next(self) -> WireSubscriber:
        async with asyncio.timeout(TIMEOUT_S):
            subscriber = await self.arrived.get()
        # As with any other connection it is the subscriber that begins.
        subscriber.send(ServerCommand.DEFINE_OPERATIONAL_MODES, subscriber.modes.encode())
        await subscriber.expect(ServerResponse.SUCCEEDED)
        return subscriber

    async def close(self) -> None:
        while not self.arrived.empty():
            await self.arrived.get_nowait().close()
        if self.server is not None:
            self.server.close()


@pytest.fixture
async def waiting(stack: AsyncExitStack) -> AsyncGenerator[Waiting]:
    """Listen for publishers."""
    it = Waiting()
    yield it
    await it.close()


def dialing(*targets: Target, **more: object) -> Dialing:
    return Dialing(targets=targets, first_wait_s=0.01, longest_wait_s=0.02, **more)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.001)


async def test_several_subscribers_are_dialled_and_served(
    serve: Serve, waiting: Waiting, stack: AsyncExitStack
) -> None:
    other = Waiting()
    stack.push_async_callback(other.close)
    publisher = await serve(dialing=dialing(await waiting.listen(), await other.listen()))
    publisher.define_metadata(metadata(3))
    for each in (waiting, other):
        subscriber = await each.next()
        stack.push_async_callback(subscriber.close)
        await subscriber.subscribed(ALL)
        publisher.publish(frame(3))
        assert len((await subscriber.packet())[1]) == 3
    assert [info.address for info in publisher.subscribers()] == ["127.0.0.1"] * 2


async def test_a_lost_subscriber_is_dialled_again(
    serve: Serve, waiting: Waiting, stack: AsyncExitStack
) -> None:
    publisher = await serve(dialing=dialing(await waiting.listen()))
    publisher.define_metadata(metadata(1))
    first = await waiting.next()
    await first.close()
    second = await waiting.next()
    stack.push_async_callback(second.close)
    await second.subscribed(ALL)


async def test_whoever_is_not_there_yet_is_dialled_until_it_is(
    serve: Serve, waiting: Waiting, stack: AsyncExitStack
) -> None:
    target = await waiting.listen()
    await waiting.close()
    publisher = await serve(dialing=dialing(target))
    await until(lambda: publisher.health.refused >= 3)
    assert publisher.health.last_refusal is not None
    assert publisher.health.last_refusal.startswith(f"127.0.0.1:{target.port}: ")
    await waiting.listen(port=target.port)
    stack.push_async_callback((await waiting.next()).close)


@pytest.mark.parametrize("error", [RuntimeError("a mistake of ours"), asyncio.CancelledError()])
async def test_what_nobody_expected_does_not_end_the_dialling(
    serve: Serve,
    waiting: Waiting,
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
) -> None:
    async def handshake(connection: Connection) -> None:
        monkeypatch.undo()
        raise error

    monkeypatch.setattr(Connection, "handshake", handshake)
    publisher = await serve(dialing=dialing(target := await waiting.listen()))
    async with asyncio.timeout(TIMEOUT_S):
        first = await waiting.arrived.get()
    stack.push_async_callback(first.close)
    await first.closed()
    stack.push_async_callback((await waiting.next()).close)
    assert publisher.health.last_refusal == f"{target}: {error!r}"
    assert f"Unexpected error with the subscriber at {target}" in caplog.text


async def test_a_name_that_no_host_can_have_is_told_and_dialled_on(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def open_connection(host: str, *_: object, **__: object) -> None:
        host.encode("idna")  # as the resolver begins

    monkeypatch.setattr(asyncio, "open_connection", open_connection)
    publisher = await serve(dialing=dialing(Target(host="two..dots", port=7165)))
    await until(lambda: publisher.health.refused >= 3)
    assert (publisher.health.last_refusal or "").startswith("two..dots:7165: ")


async def test_who_resets_the_connection_at_once_is_dialled_again(
    serve: Serve, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = asyncio.StreamWriter.get_extra_info

    def told_nothing(writer: asyncio.StreamWriter, name: str, default: object = None) -> object:
        return None if name == "peername" else told(writer, name, default)

    # As the system has it where a reset came before the transport asked.
    monkeypatch.setattr(asyncio.StreamWriter, "get_extra_info", told_nothing)
    publisher = await serve(dialing=dialing(await waiting.listen()))
    await until(lambda: publisher.health.refused >= 3)
    assert "reset at once" in (publisher.health.last_refusal or "")


async def test_who_speaks_something_else_is_left(serve: Serve, waiting: Waiting) -> None:
    publisher = await serve(dialing=dialing(await waiting.listen()))
    async with asyncio.timeout(TIMEOUT_S):
        subscriber = await waiting.arrived.get()
    subscriber.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await subscriber.closed()
    assert "is the limit" in (publisher.health.last_refusal or "")
    await subscriber.close()


async def test_dialling_has_tls_and_verifies_the_subscriber(
    serve: Serve,
    waiting: Waiting,
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    stack: AsyncExitStack,
) -> None:
    target = await waiting.listen(server)
    publisher = await serve(dialing=dialing(target, tls=client))
    publisher.define_metadata(metadata(1))
    subscriber = await waiting.next()
    stack.push_async_callback(subscriber.close)
    await subscriber.subscribed(ALL)
    stranger = await serve(dialing=dialing(target, tls=ssl.create_default_context()))
    await until(lambda: stranger.health.refused)
    assert "CERTIFICATE_VERIFY_FAILED" in (stranger.health.last_refusal or "")


def pinned() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def test_only_known_certificates_are_served_where_they_are_told(
    serve: Serve,
    waiting: Waiting,
    server: ssl.SSLContext,
    certificate: Path,
    stack: AsyncExitStack,
) -> None:
    target = await waiting.listen(server)
    der = ssl.PEM_cert_to_DER_cert(
        certificate.read_text().split("-----BEGIN PRIVATE")[0].split("-----BEGIN EC")[0]
    )
    fingerprint = sha256(der).hexdigest()
    stranger = await serve(
        dialing=dialing(target, tls=pinned(), fingerprints=frozenset({"00" * 32}))
    )
    await until(lambda: stranger.health.refused)
    assert f"{fingerprint} is not allowed" in (stranger.health.last_refusal or "")
    await stranger.stop()
    while not waiting.arrived.empty():
        await waiting.arrived.get_nowait().close()
    publisher = await serve(
        dialing=dialing(target, tls=pinned(), fingerprints=frozenset({fingerprint}))
    )
    publisher.define_metadata(metadata(1))
    subscriber = await waiting.next()
    stack.push_async_callback(subscriber.close)
    await subscriber.subscribed(ALL)


@pytest.mark.parametrize("known", [True, False])
async def test_who_connects_with_a_certificate_has_to_be_known_too(
    serve: Serve,
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    certificate: Path,
    known: bool,
    stack: AsyncExitStack,
) -> None:
    server.load_verify_locations(certificate)
    server.verify_mode = ssl.CERT_REQUIRED
    client.load_cert_chain(certificate)
    der = ssl.PEM_cert_to_DER_cert(
        certificate.read_text().split("-----BEGIN PRIVATE")[0].split("-----BEGIN EC")[0]
    )
    allowed = frozenset({sha256(der).hexdigest() if known else "00" * 32})
    publisher = await serve(tls=server, dialing=Dialing(fingerprints=allowed))
    publisher.define_metadata(metadata(1))
    subscriber = await WireSubscriber.connect(publisher.port, tls=client, handshake=False)
    stack.push_async_callback(subscriber.close)
    subscriber.send(ServerCommand.DEFINE_OPERATIONAL_MODES, subscriber.modes.encode())
    if known:
        await subscriber.expect(ServerResponse.SUCCEEDED)
    else:
        await subscriber.closed()
        assert "is not allowed" in (publisher.health.last_refusal or "")


async def test_without_tls_there_is_no_known_certificate(serve: Serve, waiting: Waiting) -> None:
    target = await waiting.listen()
    publisher = await serve(dialing=dialing(target, fingerprints=frozenset({"00" * 32})))
    await until(lambda: publisher.health.refused)
    await publisher.stop()
    assert "shows no certificate" in (publisher.health.last_refusal or "")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("historian", "historian:7165"),
        (" historian.example.com:7175 ", "historian.example.com:7175"),
        ("[fe80::1]:7000", "[fe80::1]:7000"),
        ("[fe80::1]", "[fe80::1]:7165"),
        ("fe80::1", "[fe80::1]:7165"),
        ("", None),
        (":7165", None),
        ("host:0", None),
        ("host:65536", None),
        ("host:http", None),
        ("two words", None),
    ],
)
def test_an_address_is_read(text: str, target: str | None) -> None:
    if target is None:
        with pytest.raises(ValueError, match="Not a"):
            target_of(text, 7165)
    else:
        assert str(target_of(text, 7165)) == target


def test_a_fingerprint_is_read() -> None:
    assert fingerprint_of("AB:" * 31 + "CD") == "ab" * 31 + "cd"
    for text in ("", "ab", "xy" * 32):
        with pytest.raises(ValueError, match=r"Not a SHA-256|non-hexadecimal"):
            fingerprint_of(text)
