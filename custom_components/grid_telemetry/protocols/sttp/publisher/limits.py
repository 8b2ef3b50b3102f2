"""What subscribers may use of a publisher, and what has become of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from ...listener import ListenerLimits, Refusals


@dataclass(frozen=True, kw_only=True)
class Limits(ListenerLimits):
    """What subscribers may use of a publisher; times in seconds, sizes in bytes."""

    handshake_s: float = 10.0
    """From the connection, with TLS from the end of its handshake, to the operational modes."""
    frame_s: float = 30.0
    """From the length of a command to its end."""
    frame_bytes: int = 1_048_576
    """Of one command."""
    past: timedelta = timedelta(days=31)
    """The longest that one temporal subscription asks for."""
    replays: int = 2
    """Temporal subscriptions served at the same time; others wait."""
    user_commands: int = 10
    """Of one subscriber, in a second."""
    user_command_bytes: int = 4_096
    buffer_bytes: int = 4_194_304
    """Waiting for a subscriber that does not read fast enough; then it is dropped."""


@dataclass(kw_only=True)
class PublisherHealth(Refusals):
    """What a publisher has done since it was made."""

    measurements: int = 0
    """Delivered: each as often as there were subscribers for it."""
    bytes: int = 0
    dropped: int = 0
    """Subscribers that did not read fast enough."""

    def drop(self, peer: object) -> None:
        """Count a subscriber that is dropped."""
        self.dropped += 1
        self.last_refusal = f"{peer}: Dropped, for it did not read fast enough"


@dataclass(frozen=True, kw_only=True)
class SubscriberInfo:
    """A subscriber as its publisher sees it."""

    id: UUID
    address: str
    port: int
    since: datetime
    version: int
    agent: str
    """What it says that it is (assemblyInfo)."""
    filter_expression: str
    form: str
    """TSSC or compact, over TCP or UDP; empty without a subscription."""
    signals: int
    measurements: int
    """Sent since it connected, as are the bytes."""
    bytes: int
    waiting_bytes: int
    """Not yet taken by its end of the connection."""
