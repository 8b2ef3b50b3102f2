"""The listener that every server has: who is let in, who makes room, and what ends."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
import errno
from ipaddress import ip_address, ip_network
import logging
from math import inf
import socket
import ssl
from typing import Any
from unittest.mock import Mock

import pytest

from custom_components.grid_telemetry.protocols.listener import (
    Listener,
    ListenerLimits,
    Peer,
    Refusals,
    address_of,
    bound_socket,
    origin_of,
    share_of,
)
from simulators.certificates import Authority

pytestmark = pytest.mark.usefixtures("socket_enabled")

WITHIN_S = 20


class Server:
    """Serves by listening to what is said; "keep" is not to make room, "far" comes far."""

    def __init__(self, **settings: Any) -> None:
        self.refusals = Refusals()
        self.peers: list[Peer] = []
        self.listener = Listener(
            self._serve,
            **{
                "host": "127.0.0.1",
                "port": 0,
                "refusals": self.refusals,
                "limits": ListenerLimits(),
                **settings,
            },
        )

    async def _serve(self, peer: Peer) -> None:
        reader, writer = await peer.open_streams()
        self.peers.append(peer)
        while data := await reader.read(100):
            peer.heard()
            if data == b"keep":
                peer.kept_until = inf
            if data == b"far":
                peer.standing = 1
            writer.write(b"heard")


type Serve = Callable[..., Server]
type Connect = Callable[..., Any]


@pytest.fixture
def serve(stack: AsyncExitStack) -> Serve:
    """Start a server."""

    def start(**settings: Any) -> Server:
        server = Server(**settings)
        server.listener.start()
        stack.push_async_callback(server.listener.stop)
        return server

    return start


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, text: str) -> None:
        self.writer.write(text.encode())
        async with asyncio.timeout(WITHIN_S):
            assert await self.reader.readexactly(5) == b"heard"

    async def ended(self) -> bool:
        """Wait for the end of the connection, without a word."""
        async with asyncio.timeout(WITHIN_S):
            try:
                return not await self.reader.read()
            except ConnectionError:
                return True


@pytest.fixture
def connect(stack: AsyncExitStack) -> Connect:
    """Connect to a server."""

    async def client(server: Server, source: str = "127.0.0.1", **how: Any) -> Client:
        streams = await asyncio.open_connection(
            "127.0.0.1", server.listener.port, local_addr=(source, 0), **how
        )
        stack.callback(streams[1].close)
        return Client(*streams)

    return client


@pytest.fixture
def tls(tmp_path: Any) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server and of its client."""
    authority = Authority(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(*authority.sign("home"))
    return server, ssl.create_default_context(cafile=authority.ca_file)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.001)


def test_addresses_are_as_people_write_them() -> None:
    assert address_of("::ffff:192.0.2.1") == ip_address("192.0.2.1")
    assert address_of("fe80::1%eth0") == ip_address("fe80::1")
    assert address_of("192.0.2.1") == ip_address("192.0.2.1")


def test_a_host_of_ipv6_comes_from_its_network() -> None:
    assert origin_of(ip_address("2001:db8::1")) == ip_network("2001:db8::/64")
    assert origin_of(ip_address("192.0.2.1")) == ip_address("192.0.2.1")


@pytest.mark.parametrize(("connections", "share"), [(1, 1), (2, 1), (3, 2), (8, 6), (32, 24)])
def test_one_address_leaves_room_for_others(connections: int, share: int) -> None:
    assert share_of(connections) == share


async def test_every_address_of_the_machine_is_ipv4_and_ipv6(
    serve: Serve, connect: Connect
) -> None:
    server = serve(host="::")
    assert server.listener._sock is not None
    assert server.listener._sock.family == socket.AF_INET6
    await (await connect(server)).say("hello")
    assert server.peers[0].address == ip_address("127.0.0.1")
    assert server.peers[0].local_address == "127.0.0.1"


async def test_whoever_is_in_no_allowed_network_is_not_let_in(
    serve: Serve, connect: Connect
) -> None:
    server = serve(host="::", allowed_networks=[ip_network("::1/128")])
    assert await (await connect(server)).ended()
    assert server.refusals.last_refusal == "127.0.0.1: Not in an allowed network"


async def test_a_port_that_another_one_has_cannot_be_had(serve: Serve) -> None:
    port = serve().listener.port
    for host in ("127.0.0.1", "0.0.0.0", "::"):
        with pytest.raises(OSError, match="in use") as in_use:
            bound_socket(host, port)
        assert in_use.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("host", ["192.0.2.1", "fe80::1%nowhere"])
def test_what_is_no_address_of_this_machine_cannot_be_had(host: str) -> None:
    with pytest.raises(OSError, match=r"."):
        bound_socket(host, 0)


async def test_a_peer_that_is_gone_without_a_word_is_found_within_a_minute(
    serve: Serve, connect: Connect
) -> None:
    server = serve()
    await (await connect(server)).say("hello")
    sock = server.peers[0]._sock
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    idle, interval, count, unacknowledged = (
        sock.getsockopt(socket.IPPROTO_TCP, option)
        for option in (
            *(socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT),
            socket.TCP_USER_TIMEOUT,
        )
    )
    assert idle + count * interval == 60
    assert unacknowledged == 60_000


async def test_who_was_silent_longest_makes_room(serve: Serve, connect: Connect) -> None:
    server = serve(limits=ListenerLimits(connections=3))
    first, second, third = [await connect(server) for _ in range(3)]
    for client in (second, third, first):
        await client.say("hello")
    fourth = await connect(server)
    await fourth.say("hello")
    assert await second.ended()
    await first.say("still here")
    assert len(server.listener) == 3
    assert server.refusals.last_refusal == "127.0.0.1: Had to make room for another connection"


async def test_who_has_come_further_stays(serve: Serve, connect: Connect) -> None:
    server = serve(limits=ListenerLimits(connections=2))
    first, second = await connect(server), await connect(server)
    await first.say("far")
    await second.say("hello")
    await (await connect(server)).say("hello")
    assert await second.ended()
    await first.say("still here")


async def test_who_need_not_make_room_stays(serve: Serve, connect: Connect) -> None:
    server = serve(limits=ListenerLimits(connections=2))
    clients = [await connect(server) for _ in range(2)]
    for client in clients:
        await client.say("keep")
    assert await (await connect(server)).ended()
    assert server.refusals.last_refusal == "127.0.0.1: More than 2 connections"
    for client in clients:
        await client.say("still here")


async def test_of_a_crowd_one_makes_room_and_not_who_is_alone(
    serve: Serve, connect: Connect
) -> None:
    server = serve(limits=ListenerLimits(connections=4))
    alone = await connect(server, "127.0.0.9")
    await alone.say("hello")
    for _ in range(20):
        await (await connect(server)).say("hello")
    await alone.say("still here")


async def test_one_address_has_a_limit_of_its_own(serve: Serve, connect: Connect) -> None:
    server = serve(limits=ListenerLimits(connections=8, connections_per_address=2))
    first, second = await connect(server), await connect(server)
    await first.say("keep")
    await second.say("hello")
    third = await connect(server)
    await third.say("keep")
    assert await second.ended()
    assert await (await connect(server)).ended()
    assert server.refusals.last_refusal == "127.0.0.1: More than 2 connections from there"
    await (await connect(server, "127.0.0.9")).say("hello")


async def test_the_port_is_free_at_once_whoever_is_connected(
    serve: Serve, connect: Connect
) -> None:
    server = serve()
    port = server.listener.port
    client = await connect(server)
    await client.say("hello")
    await server.listener.stop()
    await server.listener.stop()
    assert server.listener.port == 0
    assert len(server.listener) == 0
    bound_socket("127.0.0.1", port).close()
    assert await client.ended()


async def test_who_comes_as_the_server_stops_is_not_let_in(serve: Serve) -> None:
    server = serve()
    client = socket.create_connection(("127.0.0.1", server.listener.port))
    server.listener.close()
    server.listener._accept()
    await asyncio.sleep(0)
    assert not server.peers
    client.close()


async def test_who_is_gone_before_it_is_taken_up_is_no_trouble(
    serve: Serve, connect: Connect
) -> None:
    server = serve()
    listening = server.listener._sock
    server.listener._sock = Mock(accept=Mock(side_effect=ConnectionAbortedError(103, "gone")))
    server.listener._accept()
    server.listener._sock = listening
    await (await connect(server)).say("hello")
    assert server.refusals.refused == 0


@pytest.mark.parametrize("refused", ["setsockopt", "getsockname"])
async def test_who_is_gone_as_it_is_taken_up_leaves_no_socket_behind(
    serve: Serve, connect: Connect, refused: str
) -> None:
    """As macOS does with a connection that was reset meanwhile."""
    server = serve()
    taken_up = Mock(**{f"{refused}.side_effect": OSError(errno.EINVAL, "Invalid argument")})
    taken_up.getsockname.return_value = ("127.0.0.1", 1)
    listening = server.listener._sock
    server.listener._sock = Mock(accept=Mock(return_value=(taken_up, ("127.0.0.1", 2))))
    server.listener._accept()
    server.listener._sock = listening
    taken_up.close.assert_called_once_with()
    assert len(server.listener) == 0
    await (await connect(server)).say("hello")


async def test_without_free_descriptors_it_rests_and_goes_on(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    listening = server.listener._sock
    assert listening is not None
    full = OSError(errno.EMFILE, "Too many open files")
    accept = Mock(side_effect=full)
    monkeypatch.setattr(
        server.listener, "_sock", Mock(accept=accept, fileno=listening.fileno, wraps=listening)
    )
    client = await connect(server)
    await until(lambda: accept.called)
    accept.side_effect = listening.accept
    await client.say("hello")
    assert accept.call_count == 2


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Callable[[], bool]:
    """Return whether no error was logged, of whatever strangers do."""
    return lambda: not [item for item in caplog.records if item.levelno >= logging.ERROR]


async def test_what_is_served_over_tls(
    serve: Serve, connect: Connect, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server = serve(tls=tls[0])
    client = await connect(server, ssl=tls[1], server_hostname="127.0.0.1")
    await client.say("hello")


async def test_a_handshake_has_its_time(
    serve: Serve,
    connect: Connect,
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
    quiet: Callable[[], bool],
) -> None:
    server = serve(tls=tls[0], limits=ListenerLimits(tls_handshake_s=0.1))
    silent = [await connect(server) for _ in range(5)]
    for client in silent:
        assert await client.ended()
    await until(lambda: len(server.listener) == 0)
    assert server.refusals.refused == 5
    assert server.refusals.last_refusal == "127.0.0.1: No TLS within 0.1 s"
    assert quiet()


async def test_plain_text_is_no_handshake(
    serve: Serve,
    connect: Connect,
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
    quiet: Callable[[], bool],
) -> None:
    server = serve(tls=tls[0])
    client = await connect(server)
    client.writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await client.ended()
    await until(lambda: server.refusals.refused)
    assert server.refusals.last_refusal is not None
    assert server.refusals.last_refusal.startswith("127.0.0.1: No TLS: ")
    assert quiet()


async def test_half_open_handshakes_make_room(
    serve: Serve,
    connect: Connect,
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
    quiet: Callable[[], bool],
) -> None:
    server = serve(tls=tls[0], limits=ListenerLimits(connections=4))
    silent = await asyncio.gather(*(connect(server) for _ in range(60)))
    client = await connect(server, ssl=tls[1], server_hostname="127.0.0.1")
    await client.say("keep")
    silent += await asyncio.gather(*(connect(server) for _ in range(60)))
    await client.say("still here")
    assert len(server.listener) <= 4
    await server.listener.stop()
    for each in silent:
        assert await each.ended()
    assert quiet()


async def test_a_peer_that_waits_can_be_dropped(serve: Serve, connect: Connect) -> None:
    server = serve()
    await (await connect(server)).say("hello")
    (peer,) = server.peers
    await peer.pause(0.01)
    waiting = asyncio.create_task(peer.pause(60))
    await asyncio.sleep(0)
    peer.drop()
    with pytest.raises(ConnectionAbortedError):
        await waiting
