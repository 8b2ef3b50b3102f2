"""What clients may use of a setup server, and what has become of them."""

from dataclasses import dataclass

from ...listener import ListenerLimits, Refusals


@dataclass(frozen=True, kw_only=True)
class Limits(ListenerLimits):
    """What clients may use of a setup server; times in seconds, sizes in bytes."""

    unauthenticated_s: float = 15.0
    """From the connection, with TLS from the end of its handshake, to the log-in."""
    frame_s: float = 30.0
    """From the first byte of a frame to its last."""
    stall_s: float = 30.0
    """So long a client may not read what is sent to it."""
    header_bytes: int = 8192
    """Of one frame."""
    headers: int = 48
    body_bytes: int = 4096
    subscriptions: int = 32
    """Of one client."""
    commands: int = 16
    """Of one client, at the same time."""
    waiting_commands: int = 16
    """Of one client, that wait until others of its are done; then nothing more is read from it."""
    all_commands: int = 64
    """Of all clients, at the same time."""


@dataclass(kw_only=True)
class Health(Refusals):
    """What a setup server has done since it was made."""

    commands: int = 0
    """That came, whatever was answered."""
