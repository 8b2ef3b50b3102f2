"""From samples to records, and from records to packets."""

from collections.abc import Iterable, Iterator
import json

from custom_components.grid_telemetry.outbox.packet import Packet
from custom_components.grid_telemetry.outbox.store import Destination, Record, StoredRecord


def record(name: str, at_ms: int, value: float) -> Record:
    """Return the record of one value."""
    body = json.dumps({"name": name, "at": at_ms, "value": value})
    return Record(Destination("values"), at_ms, body, 1)


def pack(records: Iterable[StoredRecord]) -> Iterator[Packet]:
    """Make a packet of each record."""
    for each in records:
        yield Packet(
            ids=(each.id,), samples=1, destination=each.destination, body=each.body.encode()
        )
