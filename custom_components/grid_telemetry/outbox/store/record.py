"""What an outbox keeps: records, where they go, and what can be wrong with the file."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple


class Lane(IntEnum):
    """Which records go out before which; within a lane the order is that of `put`."""

    MESSAGES = 0
    """Events and the like, each of which may undo the one before."""
    SAMPLES = 1
    """What is measured: the present before the backlog, the backlog oldest first."""
    HISTORY = 2
    """What was asked for afterwards; waits until there is nothing else."""


class Destination(NamedTuple):
    """Where a record goes on the platform."""

    kind: str
    """The kind of message; a platform takes or refuses a kind as a whole."""
    device: str = ""
    """What it is about; records of one kind and one device may share a packet."""


class Mark(NamedTuple):
    """What the platform knows once a record is delivered.

    It is written in the transaction that removes the record, so that both are lost together or
    not at all.
    """

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Record:
    """What a forwarder wants to have delivered, in the platform's own terms."""

    destination: Destination
    at_ms: int
    """The instant it is about, in epoch milliseconds."""
    body: str
    samples: int
    """How many samples it counts for."""
    lane: Lane = field(default=Lane.SAMPLES, kw_only=True)
    mark: Mark | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class StoredRecord(Record):
    """A record with its place in the queue."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRecord:
    """A record that the platform refused, with its words."""

    id: int
    destination: Destination
    at_ms: int
    body: str
    samples: int
    refused_ms: int
    """When, in epoch milliseconds."""
    reason: str


class Trouble(StrEnum):
    """What can be wrong with an outbox."""

    UNWRITABLE = "outbox_unwritable"
    """The file cannot be written; records are held in memory."""
    UNREADABLE = "outbox_unreadable"
    """The file cannot be read; only what is held in memory is delivered."""
    CORRUPT = "outbox_corrupt"
    """A damaged file was set aside; what could be read of it was taken over."""
    FOREIGN = "outbox_foreign"
    """A file of a later version, or of something else, was set aside."""
    DAMAGED = "outbox_damaged"
    """Records were damaged, and set aside within the file."""
    FULL = "outbox_full"
    """More samples than the bound waited, and some were dropped; the detail is the bound."""
    TOO_OLD = "outbox_too_old"
    """Records waited for longer than the bound and were dropped; the detail is it, in days."""
