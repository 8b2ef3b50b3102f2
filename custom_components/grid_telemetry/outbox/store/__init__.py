"""A durable queue in a SQLite file, for asyncio; the standard library is all that it needs.

`Outbox` keeps records until they are removed as delivered, through restarts, `kill -9`, power
cuts, full, read-only and failing disks, damaged files and clocks that jump. Nothing of Home
Assistant and nothing of this integration is in it.
"""

from .outbox import Limits, Outbox, OutboxClosedError, OutboxError
from .record import (
    Destination,
    Lane,
    Mark,
    Record,
    RefusedRecord,
    StoredRecord,
    Trouble,
)

__all__ = [
    "Destination",
    "Lane",
    "Limits",
    "Mark",
    "Outbox",
    "OutboxClosedError",
    "OutboxError",
    "Record",
    "RefusedRecord",
    "StoredRecord",
    "Trouble",
]
