"""What waits in the outbox for a Sparkplug host: readings of one device, as text.

No I/O and no Home Assistant here. A record is a list of readings, each of which is a name, a value
(null where there is none), when it was measured in epoch milliseconds, and its quality where that
is not good. A packet is several records of one device, a line each. Aliases and `seq` belong to a
session, so the bytes that go out are made when they do.
"""

from collections.abc import Iterable, Iterator, Sequence
import json
import re
from typing import Any, Final

from ...outbox.packet import Packet
from ...outbox.store import Destination, Lane, Record, StoredRecord
from ...protocols.sparkplug import Quality, Reading

DATA: Final = "DDATA"
"""The kind of message that the records of the outbox are for."""

METRIC_PATTERN: Final = re.compile(r"(?!/)[^\x00-\x1f\x7f\ud800-\udfff]{1,255}(?<!/)")
"""Of the name of a metric, which may have folders; its length is ours."""

_MAX_SAMPLES_PER_PACKET: Final = 500
_MAX_SAMPLES_PER_RECORD: Final = 500

type NamedReading = tuple[str, Reading]


def data_records(device_id: str, at_ms: int, readings: Sequence[NamedReading]) -> Iterator[Record]:
    """Return the records with readings of a device that were taken at one instant."""
    for start in range(0, len(readings), _MAX_SAMPLES_PER_RECORD):
        some = readings[start : start + _MAX_SAMPLES_PER_RECORD]
        yield Record(
            destination=Destination(DATA, device_id),
            at_ms=at_ms,
            body=json.dumps(
                [_plain(*reading) for reading in some],
                ensure_ascii=False,
                allow_nan=False,
                separators=(",", ":"),
            ),
            samples=len(some),
            lane=Lane.SAMPLES,
        )


def _plain(name: str, reading: Reading) -> list[Any]:
    plain = [name, reading.value, reading.timestamp_ms]
    if reading.quality is not Quality.GOOD:
        plain.append(int(reading.quality))
    return plain


def pack(records: Iterable[StoredRecord]) -> Iterator[Packet]:
    """Join the records of each device into packets; those of one device keep their order."""
    joined: dict[Destination, tuple[list[StoredRecord], int]] = {}
    for record in records:
        some, samples = joined.get(record.destination, ([], 0))
        if some and samples + record.samples > _MAX_SAMPLES_PER_PACKET:
            yield _packet_of(some, samples)
            some, samples = [], 0
        some.append(record)
        joined[record.destination] = some, samples + record.samples
    for some, samples in joined.values():
        yield _packet_of(some, samples)


def _packet_of(records: Sequence[StoredRecord], samples: int) -> Packet:
    return Packet(
        ids=tuple(record.id for record in records),
        samples=samples,
        destination=records[0].destination,
        body="\n".join(record.body for record in records).encode(),
    )


def readings_of(body: bytes) -> list[NamedReading]:
    """Return the readings of a packet, in the order that they were taken in."""
    return [
        (
            name,
            Reading(
                value=value,
                timestamp_ms=timestamp_ms,
                quality=Quality(quality[0]) if quality else Quality.GOOD,
            ),
        )
        for line in body.split(b"\n")
        for name, value, timestamp_ms, *quality in json.loads(line)
    ]
