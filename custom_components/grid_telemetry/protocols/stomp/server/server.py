"""The setup server itself: its listener, its clients and what these share."""

import asyncio
from collections.abc import Sequence
import ssl

from ...listener import LOOPBACK, Listener, Network, Peer
from ..errors import StompProtocolError
from .guard import Guard
from .limits import Health, Limits
from .login import Credentials, Refusal
from .session import Services, Session


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
        self.credentials = credentials
        self.services = services
        self.guard = guard
        self.limits = limits or Limits()
        self.health = Health()
        self.turns = asyncio.Semaphore(self.limits.all_commands)
        self._sessions: set[Session] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = Listener(
            self._serve,
            host=host,
            port=port,
            refusals=self.health,
            limits=self.limits,
            allowed_networks=allowed_networks,
            tls=tls,
        )

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._listener.port

    @property
    def clients(self) -> int:
        """The number of connections."""
        return len(self._listener)

    async def start(self) -> None:
        """Listen; raises OSError where the address cannot be had."""
        self._listener.start()

    async def stop(self) -> None:
        """End all connections and commands; the port is free when this returns."""
        self._listener.close()
        for session in tuple(self._sessions):
            session.close_streams()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listener.stop()

    def run(self, task: asyncio.Task[None]) -> None:
        """Look after a task."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def streams(self) -> int:
        """Return how many streams of live datum there are."""
        return sum(len(session.streams) for session in self._sessions)

    async def _serve(self, peer: Peer) -> None:
        """Serve a client to its last byte."""
        session = Session(*await peer.open_streams(), peer, self)
        self._sessions.add(session)
        try:
            await session.serve()
            await session.goodbye()
        except (Refusal, StompProtocolError) as err:
            self.health.refuse(peer.address, str(err))
            session.refuse(str(err))
            await session.goodbye()
        except TimeoutError:
            self.health.refuse(peer.address, "Nothing came in time")
        finally:
            session.drop()
            self._sessions.discard(session)
