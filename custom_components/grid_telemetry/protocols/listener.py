"""What servers on TCP share: an address to listen on, who is let in, and who has to make room.

A listener takes connections up itself, one in each turn of the event loop, so that a stranger is
turned away before anything is made for it, and so that a TLS handshake can be cut off like any
other step of a connection. asyncio's own servers do neither.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
import errno
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import inf
import socket
import ssl
from typing import Final

type Address = IPv4Address | IPv6Address
type Network = IPv4Network | IPv6Network
type Origin = IPv4Address | IPv6Network
"""Where a peer comes from: an IPv4 address, or the network (/64) that an IPv6 host chooses from."""

LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
READ_BYTES: Final = 16 * 1024

# More connections wait in the kernel while those before them are taken up.
_BACKLOG: Final = 128
# A process without free descriptors gets no connection by trying at once again.
_RETRY_S: Final = 1.0
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# A peer that is gone without a word is found after 30 s of silence and three questions, or when
# what was sent to it is not acknowledged for 60 s. Names, because not every system has them all.
_KEEP_ALIVE: Final = (
    ("TCP_KEEPIDLE", 30),
    ("TCP_KEEPINTVL", 10),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", 60_000),
)


@dataclass(frozen=True, kw_only=True)
class ListenerLimits:
    """What peers may use of a listener."""

    connections: int = 32
    """Of all peers."""
    connections_per_address: int = 24
    """Of one IPv4 address, or of one IPv6 network of 64 bits."""
    tls_handshake_s: float = 10.0
    """From the connection to the end of its TLS handshake."""


def share_of(connections: int) -> int:
    """Return how many of so many connections one address may have: a quarter is for others."""
    return connections - connections // 4 if connections > 3 else max(1, connections - 1)


@dataclass(kw_only=True)
class Refusals:
    """What a server has not taken since it was made."""

    refused: int = 0
    """Connections, and what came over those that were let in."""
    last_refusal: str | None = None

    def refuse(self, peer: object, why: str) -> None:
        """Count a refusal."""
        self.refused += 1
        self.last_refusal = f"{peer}: {why}"


def address_of(text: str) -> Address:
    """Return the address of a peer, without its interface, and IPv4 as such.

    A socket for IPv4 and IPv6 has IPv4 peers as IPv6 addresses (RFC 4291, 2.5.5.2). Raises
    ValueError.
    """
    address = ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def origin_of(address: Address) -> Origin:
    """Return where an address comes from, as far as connections are counted by it."""
    if isinstance(address, IPv4Address):
        return address
    return IPv6Network((int(address) >> 64 << 64, 64))


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an IP address; `::` is every address, of IPv4 too.

    Raises OSError where the address cannot be had, with `errno.EADDRINUSE` and
    `errno.EADDRNOTAVAIL` as the system has them, and `socket.gaierror` where it is no IP address.
    """
    flags = socket.AI_NUMERICHOST | socket.AI_PASSIVE
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=flags
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        # Or a port that was just given up could not be had for a minute.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def keep_alive(sock: socket.socket) -> None:
    """Have the system find out when the peer of a connection is gone without a word."""
    for name, value in _KEEP_ALIVE:
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class HandshakeFailed(ConnectionError):  # noqa: N818 - an event as much as an error
    """A peer did not come to the end of its TLS handshake; the text says why."""


class Peer:
    """A connection, from the moment when it is taken up."""

    def __init__(
        self, sock: socket.socket, source: tuple[str, int], tls: ssl.SSLContext | None, tls_s: float
    ) -> None:
        """Take a connection over, with the address and the port that it comes from."""
        self.address = address_of(source[0])
        self.origin = origin_of(self.address)
        self.port = source[1]
        self.local_address = str(address_of(sock.getsockname()[0]))
        """The address of this machine that it has connected to."""
        self.standing = 0
        """How far it has come: who has come least far makes room first. The server raises it."""
        self.kept_until = -inf
        """By the loop's clock: until then it need not make room. The server sets it."""
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._tls, self._tls_s = tls, tls_s
        self._transport: asyncio.Transport | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._heard = self._loop.time()
        self._dropped = asyncio.Event()

    def heard(self) -> None:
        """Note that it has said something: who was silent longest makes room first."""
        self._heard = self._loop.time()

    def precedence(self) -> tuple[int, float]:
        """Return a key that sorts peers so that who has to make room first comes first."""
        return self.standing, self._heard

    async def open[P: asyncio.BaseProtocol](
        self, make: Callable[[], P]
    ) -> tuple[asyncio.Transport, P]:
        """Return its transport and protocol, after the TLS handshake where the listener has TLS.

        Raises HandshakeFailed. Has to be called once.
        """
        try:
            async with asyncio.timeout(None if self._tls is None else self._tls_s):
                made = await self._loop.connect_accepted_socket(make, self._sock, ssl=self._tls)
        except TimeoutError as err:
            raise HandshakeFailed(f"No TLS within {self._tls_s:g} s") from err
        except OSError as err:
            raise HandshakeFailed(f"No TLS: {getattr(err, 'reason', None) or err}") from err
        self._transport = made[0]
        return made

    async def open_streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return its streams, as `open` does."""
        reader = asyncio.StreamReader(READ_BYTES, self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        transport, _ = await self.open(lambda: protocol)
        # Kept, because a writer complains of what it has not closed itself when it is let go of.
        self._writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        return reader, self._writer

    async def pause(self, delay_s: float) -> None:
        """Let it wait; raises ConnectionAbortedError where it was dropped meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._dropped.wait()
        if self._dropped.is_set():
            raise ConnectionAbortedError("dropped while it waited")

    def drop(self) -> None:
        """End it at once; what serves it sees the end of its transport and ends by itself."""
        self._dropped.set()
        if self._transport is not None:
            self._transport.abort()
        elif self._task is not None:
            # It has not come further than its TLS handshake.
            self._task.cancel()

    def run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Serve it in a task; its connection ends with that. For its listener."""
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._close)
        return self._task

    def _close(self, _: asyncio.Task[None]) -> None:
        if self._transport is not None:
            self._transport.abort()
        else:
            # Cancelled before the transport took it, if need be before its task took a step.
            self._sock.close()


class Listener:
    """Listens on a TCP port, and serves whom it lets in. Belongs to the running event loop.

    A server has one and gives it what serves a peer: a coroutine function that opens the peer
    and returns when that has gone. OSError is taken for the end of the connection.

    Nobody can keep others out: a newcomer beyond the limits takes the place of a peer that has to
    make room. Of the origin with most of those, the newcomer's counted, it is the one that has
    come least far, and of several the one that was silent longest.
    """

    def __init__(
        self,
        serve: Callable[[Peer], Coroutine[None, None, None]],
        *,
        host: str,
        port: int,
        refusals: Refusals,
        limits: ListenerLimits,
        allowed_networks: Sequence[Network] = LOOPBACK,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare to listen on an IP address; with port 0 the system chooses one."""
        self._serve = serve
        self._host, self._port = host, port
        self._refusals = refusals
        self._limits = limits
        self._allowed = allowed_networks
        self._tls = tls
        self._sock: socket.socket | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._peers: set[Peer] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many peers there are."""
        return len(self._peers)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._sock is None:
            return self._port
        port: int = self._sock.getsockname()[1]
        return port

    def start(self) -> None:
        """Listen; raises OSError as `bound_socket` does."""
        self._sock = bound_socket(self._host, self._port)
        asyncio.get_running_loop().add_reader(self._sock, self._accept)

    def close(self) -> None:
        """Let nobody in any more; the port is free when this returns. May be called again."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._sock is not None:
            asyncio.get_running_loop().remove_reader(self._sock)
            self._sock.close()
            self._sock = None

    async def stop(self) -> None:
        """Let nobody in any more and end all connections. May be called again."""
        self.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self) -> None:
        """Take one connection up; the loop calls again while there are more."""
        if self._sock is None:
            return
        try:
            sock, source = self._sock.accept()
        except OSError as err:
            # Any other error is of a connection that went before it was taken up.
            if err.errno in _OUT_OF_RESOURCES:
                self._rest(self._sock)
            return
        try:
            sock.setblocking(False)
            keep_alive(sock)
            peer = Peer(sock, source[:2], self._tls, self._limits.tls_handshake_s)
        except OSError:
            # Some systems refuse to be asked about a connection that has gone.
            sock.close()
            return
        if (why := self._refusal(peer)) is not None:
            self._refusals.refuse(peer.address, why)
            sock.close()
            return
        self._peers.add(peer)
        task = peer.run(self._served(peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._peers.discard(peer))

    def _rest(self, sock: socket.socket) -> None:
        """Take nobody up for a moment."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock)
        self._retry = loop.call_later(_RETRY_S, lambda: loop.add_reader(sock, self._accept))

    async def _served(self, peer: Peer) -> None:
        try:
            await self._serve(peer)
        except HandshakeFailed as err:
            self._refusals.refuse(peer.address, str(err))
        except OSError:
            # It has gone.
            pass

    def _refusal(self, newcomer: Peer) -> str | None:
        """Return why a peer cannot be let in; make room for it where that is possible."""
        if not any(newcomer.address in network for network in self._allowed):
            return "Not in an allowed network"
        limits = self._limits
        neighbours = [peer for peer in self._peers if peer.origin == newcomer.origin]
        if len(neighbours) >= limits.connections_per_address and not self._make_room(neighbours):
            return f"More than {limits.connections_per_address} connections from there"
        if len(self._peers) >= limits.connections and not self._make_room(
            self._peers, newcomer.origin
        ):
            return f"More than {limits.connections} connections"
        return None

    def _make_room(self, peers: Iterable[Peer], newcomer: Origin | None = None) -> bool:
        """End a connection in favour of a new one; return whether that was possible."""
        now = asyncio.get_running_loop().time()
        able = [peer for peer in peers if peer.kept_until <= now]
        if not able:
            return False
        crowds = Counter(peer.origin for peer in able)
        if newcomer is not None and newcomer in crowds:
            crowds[newcomer] += 1
        size = max(crowds.values())
        victim = min((peer for peer in able if crowds[peer.origin] == size), key=Peer.precedence)
        self._refusals.refuse(victim.address, "Had to make room for another connection")
        self._peers.discard(victim)
        victim.drop()
        return True
