"""The setup server itself: who may connect, and who has to make room."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
import random
import socket
import ssl
from typing import Final

from ...listener import LOOPBACK, Network, is_stopping
from ..errors import StompProtocolError
from .guard import Guard, address_of, place_of
from .limits import Health, Limits
from .login import Credentials, Refusal
from .session import Services, Session, Stage, forget_where
from .task_limiter import Places

# So many connections are taken up in one turn of the event loop; more wait in the kernel.
_TAKEN_AT_ONCE: Final = 4
_WAITING: Final = 128
_READ_BYTES: Final = 16 * 1024


class StompServer:
    """A setup server: start, and stop. Belongs to the running event loop."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        credentials: Credentials,
        services: Services,
        guard: Guard,
        allowed_networks: Sequence[Network] = LOOPBACK,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._host, self._port = host, port
        self._allowed = allowed_networks
        self._tls = tls
        self.credentials = credentials
        self.services = services
        self.guard = guard
        self.limits = limits or Limits()
        self.health = Health()
        self.places = Places(self.limits.all_commands)
        self._sessions: set[Session] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._server is None:
            return self._port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen; raises OSError where the address cannot be had."""
        sock = _bound(self._host, self._port)
        self._server = await asyncio.start_server(
            self._accepted, sock=sock, backlog=_TAKEN_AT_ONCE, limit=_READ_BYTES
        )
        # To asyncio the backlog is also how many connections it takes up at once.
        sock.listen(_WAITING)

    async def stop(self) -> None:
        """End all connections and commands; the port is free when this returns."""
        if self._server is not None:
            self._server.close()
        sessions, tasks = tuple(self._sessions), tuple(self._tasks)
        for session in sessions:
            session.close_streams()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for session in sessions:
            # A task that is cancelled before its first step does nothing, not even clear up.
            session.drop()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def run(self, task: asyncio.Task[None]) -> None:
        """Look after a task."""
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def streams(self) -> int:
        """Return how many streams of live datum there are."""
        return sum(len(session.streams) for session in self._sessions)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let a client in, if there is room or if room can be made."""
        peer = writer.get_extra_info("peername")
        if peer is None or is_stopping(self._server):
            # It went before it was let in, or came as the server stopped.
            writer.transport.abort()
            return
        address = address_of(peer[0])
        if not any(address in network for network in self._allowed):
            self.health.refuse(address, "Not in an allowed network")
            writer.transport.abort()
            return
        if len(self._sessions) >= self.limits.connections and not self._make_room(address):
            self.health.refuse(address, f"More than {self.limits.connections} connections")
            writer.transport.abort()
            return
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        session = Session(reader, writer, address, self)
        self._sessions.add(session)
        self.run(asyncio.create_task(self._serve(session, writer)))
        self.health.connections = len(self._sessions)

    def _make_room(self, newcomer: IPv4Address | IPv6Address) -> bool:
        """End a connection in favour of a new one; return whether that was possible.

        Only those that are not logged in have to go: of the address that has most of them, the
        newcomer's counted, one of those that have come least far. So who holds many connections
        open keeps out nobody but himself, and not even that for sure.
        """
        waiting = [session for session in self._sessions if session.stage < Stage.AUTHENTICATED]
        if not waiting:
            return False
        crowds = Counter(session.place for session in waiting)
        if (place := place_of(newcomer)) in crowds:
            crowds[place] += 1
        size = max(crowds.values())
        crowd = [session for session in waiting if crowds[session.place] == size]
        stage = min(session.stage for session in crowd)
        victim = random.choice(  # noqa: S311 - nobody gains from foreseeing it
            [session for session in crowd if session.stage is stage]
        )
        self.health.refuse(victim.address, "Had to make room before it was logged in")
        self._sessions.discard(victim)
        victim.drop()
        return True

    async def _serve(self, session: Session, writer: asyncio.StreamWriter) -> None:
        """Serve a client to its last byte."""
        try:
            if self._tls is not None and not writer.is_closing():
                await writer.start_tls(
                    self._tls, ssl_handshake_timeout=self.limits.unauthenticated_s
                )
            await session.serve()
            await session.goodbye()
        except (Refusal, StompProtocolError) as err:
            self.health.refuse(session.address, str(err))
            session.refuse(str(err))
            await session.goodbye()
        except TimeoutError:
            self.health.refuse(session.address, "Nothing came in time")
        except OSError as err:
            # It has gone.
            forget_where(err)
        finally:
            session.drop()
            self._sessions.discard(session)
            self.health.connections = len(self._sessions)


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address; raises OSError where it cannot be had."""
    address = ip_address(host)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
