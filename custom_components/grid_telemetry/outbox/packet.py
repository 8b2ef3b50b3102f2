"""A packet: records of the outbox, joined as a platform takes them. No Home Assistant in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Packet:
    """What goes out in one piece and is acknowledged in one piece."""

    ids: tuple[int, ...]
    """The outbox records in it."""
    samples: int
    topic: str
    body: bytes
