"""Reverse connections: the publisher dials out to subscribers that listen.

For a publisher behind NAT or in a secure zone. But for who opens the connection it is the same: the
subscriber defines operational modes and subscribes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
import logging
from math import inf
import random
import ssl
from typing import Final

from ...listener import address_of, keep_alive
from ..connecting import check_fingerprint, connect
from ..frames import SttpError

_LOGGER = logging.getLogger(__name__)

# A connection that lasted so long was no failed attempt.
_LASTED_S: Final = 60.0

type Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A subscriber that listens."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return it as it is typed."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Dialing:
    """How to dial out; times in seconds."""

    targets: Collection[Target] = ()
    tls: ssl.SSLContext | None = None
    fingerprints: frozenset[str] = frozenset()
    """SHA-256 of the certificates that subscribers may show, in hex; empty allows any that `tls`
    accepts."""
    first_wait_s: float = 1.0
    longest_wait_s: float = 300.0


async def keep_dialing(
    target: Target, dialing: Dialing, serve: Serve, failed: Callable[[Target, str], None]
) -> None:
    """Connect and serve, again and again, with growing waits while it cannot be reached."""
    loop = asyncio.get_running_loop()
    wait_s = dialing.first_wait_s
    while True:
        begun = loop.time()
        try:
            reader, writer = await connect(target.host, target.port, dialing.tls)
            try:
                keep_alive(writer.get_extra_info("socket"))
                check_fingerprint(writer, dialing.fingerprints)
                await serve(reader, writer)
            finally:
                writer.transport.abort()
        except TimeoutError:
            failed(target, "No answer")
        except (OSError, SttpError) as err:
            failed(target, str(err))
        except asyncio.CancelledError as err:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            # Not ours: something that was waited for was cancelled elsewhere.
            _unexpected(target, err, failed)
        except Exception as err:  # noqa: BLE001 - whatever it is, the subscriber is dialled again
            _unexpected(target, err, failed)
        if loop.time() - begun > _LASTED_S:
            wait_s = dialing.first_wait_s
        # Many publishers lose the same subscriber at the same time.
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
        wait_s = min(2 * wait_s, dialing.longest_wait_s)


def _unexpected(target: Target, err: BaseException, failed: Callable[[Target, str], None]) -> None:
    _LOGGER.error("Unexpected error with the subscriber at %s", target, exc_info=err)
    failed(target, repr(err))


class Dialled:
    """The other end of a connection that was dialled, as far as a server has to know one."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        """Take a connection; raises ConnectionResetError where its other end is gone already."""
        if (peer := writer.get_extra_info("peername")) is None:
            raise ConnectionResetError("The connection was reset at once")
        host, self.port = peer[:2]
        self.address = address_of(host)
        self.local_address = str(address_of(writer.get_extra_info("sockname")[0]))
        self.standing = 0
        self.kept_until = inf

    def heard(self) -> None:
        """Never has to make room, for it was asked in."""


def target_of(text: str, default_port: int) -> Target:
    """Read "host", "host:port" or "[IPv6]:port"; raises ValueError."""
    host, port = text.strip(), str(default_port)
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif host.count(":") == 1:
        host, port = host.split(":")
    if not host or any(letter.isspace() for letter in host) or not port.isdecimal():
        raise ValueError(f"Not an address: {text}")
    if not 0 < int(port[:6]) < 65_536:
        raise ValueError(f"Not a port: {text}")
    return Target(host=host, port=int(port))
