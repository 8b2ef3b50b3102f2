"""The rows of the file: how records become rows, and what is done to them.

No statement here holds anything but constants of this module beside its parameters.
"""

from collections.abc import Iterable, Iterator, Mapping
import json
import sqlite3
from typing import Final, Literal
import zlib

from .record import Destination, Lane, Mark, RefusedRecord, StoredRecord

COLUMNS: Final = (
    "id, kind, device, at_ms, samples, lane, queued_at, body, mark_key, mark_value, checksum"
)
# A flipped bit in this column must not fill the outbox.
SAMPLES: Final = (
    "CASE WHEN typeof(samples) = 'integer' AND samples BETWEEN 0 AND 100000 THEN samples ELSE 1 END"
)
# A flipped bit in this one must not give a time that no calendar has: years 1 to 9999.
_IS_INSTANT: Final = (
    "typeof(at_ms) = 'integer' AND at_ms BETWEEN -62135596800000 AND 253402300799999"
)

type Value = int | float | str | bytes | None
type Row = tuple[Value, ...]

_MAX_DAMAGED_ROWS: Final = 1000


def row_of(record: StoredRecord, queued_at: int) -> Row:
    """Return a record as a row of its table."""
    mark = record.mark
    return checked(
        record.id,
        record.destination.kind.encode(),
        record.destination.device.encode(),
        record.at_ms,
        record.samples,
        int(record.lane),
        queued_at,
        body=record.body.encode(),
        mark=(None, None) if mark is None else (mark.key.encode(), mark.value.encode()),
    )


def record_of(row: Row) -> StoredRecord | None:
    """Return the record of a row, None if the row is damaged."""
    *fields, body, mark_key, mark_value, checksum = row
    if not isinstance(body, bytes) or checksum != _checksum((*fields, mark_key, mark_value), body):
        return None
    id_, kind, device, at_ms, samples, lane, _ = fields
    match id_, kind, device, at_ms, samples, lane:
        case int(), bytes(), bytes(), int(), int(), int():
            return StoredRecord(
                Destination(kind.decode(), device.decode()),
                at_ms,
                body.decode(),
                samples,
                id_,
                lane=Lane(lane),
                mark=(
                    Mark(mark_key.decode(), mark_value.decode())
                    if isinstance(mark_key, bytes) and isinstance(mark_value, bytes)
                    else None
                ),
            )
        case _:
            return None


def select(db: sqlite3.Connection, lane: Lane, after_id: int, before_id: int) -> Iterator[Row]:
    """Yield the rows of a lane between two ids, both left out."""
    yield from db.execute(
        # A lane that is damaged is in no lane; its row is yielded with the samples, to be found.
        f"SELECT {COLUMNS} FROM record WHERE id > ? AND id < ? AND"
        f" CASE WHEN lane IN (0, 1, 2) THEN lane ELSE {Lane.SAMPLES:d} END = ? ORDER BY id",
        (after_id, before_id, lane),
    )


def insert_rows(db: sqlite3.Connection, rows: Iterable[Row], *, ignore: bool = False) -> None:
    """Add rows to the queue; an id that is there already is an error unless it is ignored."""
    db.executemany(
        f"INSERT {'OR IGNORE ' if ignore else ''}INTO record ({COLUMNS})"
        " VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), ?, ?, ?, ?, ?,"
        " CAST(? AS TEXT), CAST(? AS TEXT), ?)",
        rows,
    )


def checked(*head: Value, body: bytes, mark: tuple[Value, Value] = (None, None)) -> Row:
    """Return the fields of a row with their checksum behind them."""
    return (*head, body, *mark, _checksum((*head, *mark), body))


def _checksum(fields: Row, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(repr(fields).encode()))


def intact(rows: Iterable[Row], damaged: list[int]) -> Iterator[StoredRecord]:
    """Yield the records of rows, and note the ids of those whose checksum is wrong."""
    for row in rows:
        if (record := record_of(row)) is not None:
            yield record
        elif isinstance(row[0], int):
            damaged.append(row[0])


def too_old(db: sqlite3.Connection, now: int, max_age_s: float) -> Iterator[int]:
    """Yield the ids of records that waited too long; they age in the order of their ids."""
    for id_, queued_at in db.execute("SELECT id, queued_at FROM record ORDER BY id"):
        if not isinstance(queued_at, int) or queued_at > now:
            continue  # damaged: it must not keep those behind it from ageing
        if queued_at >= now - max_age_s:
            return
        yield id_


def delete(
    db: sqlite3.Connection,
    ids: Iterable[Value],
    marks: dict[str, str] | None = None,
    *,
    table: Literal["record", "refused"] = "record",
) -> tuple[int, int]:
    """Delete rows by their ids: records, samples. Their marks are added to those given."""
    chosen = json.dumps(list(ids))
    if chosen == "[]":
        return 0, 0
    deleted = db.execute(
        f"DELETE FROM {table} WHERE id IN (SELECT value FROM json_each(?))"
        f" RETURNING id, {SAMPLES}, mark_key, mark_value",
        (chosen,),
    ).fetchall()
    if marks is not None:
        for _, _, key, value in sorted(row for row in deleted if row[2] is not None):
            marks[key.decode()] = value.decode()
    return len(deleted), sum(samples for _, samples, _, _ in deleted)


def refused_rows(db: sqlite3.Connection) -> list[Row]:
    """Return the rows of the refused records."""
    return db.execute(f"SELECT {COLUMNS} FROM refused ORDER BY id").fetchall()


def samples_in(db: sqlite3.Connection, table: Literal["record", "refused"]) -> int:
    """Return how many samples the rows of a table count for."""
    samples: int
    [samples] = db.execute(f"SELECT coalesce(sum({SAMPLES}), 0) FROM {table}").fetchone()
    return samples


def move_damaged(
    db: sqlite3.Connection,
    ids: Iterable[int],
    *,
    table: Literal["record", "refused"] = "record",
) -> None:
    """Copy damaged rows to where they are kept for whoever can read them, up to a number."""
    db.executemany(
        f"INSERT INTO damaged SELECT {COLUMNS} FROM {table} WHERE id = ?"
        f" AND (SELECT count(*) FROM damaged) < {_MAX_DAMAGED_ROWS}",
        [(id_,) for id_ in ids],
    )


def move_refused(
    db: sqlite3.Connection, refusals: Mapping[int, str], wall_s: float
) -> tuple[int, int]:
    """Move records to the refused ones: records, samples."""
    db.executemany(
        f"INSERT OR REPLACE INTO refused SELECT {COLUMNS}, ?, ? FROM record WHERE id = ?",
        [(round(wall_s * 1000), reason, id_) for id_, reason in refusals.items()],
    )
    return delete(db, refusals.keys())


def trim_refused(db: sqlite3.Connection, max_records: int, max_bytes: int) -> int:
    """Drop the oldest refused records beyond the bounds and return how many samples that were."""
    size = dropped = 0
    rows = db.execute(
        f"SELECT id, length(body), {SAMPLES} FROM refused ORDER BY id DESC"
    ).fetchall()
    for number, (id_, length, samples) in enumerate(rows, 1):
        size += length
        if number > max_records or size > max_bytes:
            db.execute("DELETE FROM refused WHERE id = ?", (id_,))
            dropped += samples
    return dropped


def refused(db: sqlite3.Connection, limit: int) -> list[RefusedRecord]:
    """Return the refused records, the newest first."""
    rows = db.execute(
        f"SELECT {COLUMNS}, refused_ms, reason FROM refused ORDER BY id DESC LIMIT ?", (limit,)
    ).fetchall()
    found: list[RefusedRecord] = []
    for *row, refused_ms, reason in rows:
        if (record := record_of(tuple(row))) is not None:
            found.append(
                RefusedRecord(
                    id=record.id,
                    destination=record.destination,
                    at_ms=record.at_ms,
                    body=record.body,
                    samples=record.samples,
                    refused_ms=refused_ms,
                    reason=reason.decode(errors="replace"),
                )
            )
    return found


def oldest_ms(db: sqlite3.Connection) -> int | None:
    """Return the instant of the first record that has one, in epoch milliseconds."""
    row: tuple[int] | None = db.execute(
        f"SELECT at_ms FROM record WHERE {_IS_INSTANT} ORDER BY id LIMIT 1"
    ).fetchone()
    return None if row is None else row[0]
