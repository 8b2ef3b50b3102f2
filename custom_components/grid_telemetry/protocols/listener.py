"""What the servers that listen in the network share."""

import asyncio
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

type Network = IPv4Network | IPv6Network

LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


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


def is_stopping(server: asyncio.Server | None) -> bool:
    """Return whether a server was closed.

    It may be handed a connection yet that the event loop had taken up before, and would wait for
    the end of that.
    """
    return server is not None and not server.is_serving()
