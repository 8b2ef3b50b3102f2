"""The outbox: the durable queue of one forwarder, in a SQLite file. No Home Assistant in it."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from itertools import takewhile
import json
import logging
from pathlib import Path
import sqlite3
import time
from typing import Final

_LOGGER = logging.getLogger(__name__)

MAX_HELD_SAMPLES: Final = 50_000
"""So many samples are kept in memory while the file cannot be written."""
_MAX_READ_CHARS: Final = 1024 * 1024  # of bodies, in one answer of `next`
_RELIEF: Final = 0.9  # of the bound: below it a full outbox counts as well again

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    queued_at INTEGER NOT NULL, -- epoch seconds; the age that counts, for old data may be queued
    body TEXT NOT NULL
);
CREATE INDEX record_by_lane ON record (lane);
CREATE TABLE total (delivered INTEGER NOT NULL, dropped INTEGER NOT NULL);
INSERT INTO total VALUES (0, 0);
"""
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PASSING: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY})
_SIDE_FILES: Final = ("-wal", "-shm")


class Lane(IntEnum):
    """Which records go out before which; within a lane the order is that of `put`."""

    MESSAGES = 0
    """Events and the like, each of which may undo the one before."""
    SAMPLES = 1
    """What is measured: the present before the backlog, the backlog oldest first."""
    HISTORY = 2
    """What was asked for afterwards; waits until there is nothing else."""


_DISPENSABLE_FIRST: Final = (
    "SELECT id, samples FROM record WHERE lane = 2 ORDER BY id",  # the history
    "SELECT id, samples FROM record ORDER BY id",
)


@dataclass(frozen=True, slots=True)
class Record:
    """What a forwarder wants to have delivered, in the platform's own terms."""

    topic: str
    """Groups what may go together into one packet."""
    at_ms: int
    """The instant it is about, in epoch milliseconds."""
    body: str
    samples: int
    """How many samples it counts for."""
    lane: Lane = field(default=Lane.SAMPLES, kw_only=True)


@dataclass(frozen=True, slots=True)
class StoredRecord(Record):
    """A record with its place in the queue."""

    id: int


class Trouble(StrEnum):
    """What can be wrong with an outbox."""

    UNWRITABLE = "outbox_unwritable"
    """The file cannot be written; records are held in memory."""
    CORRUPT = "outbox_corrupt"
    """A file could not be read and was set aside; it lies there still."""
    FULL = "outbox_full"
    """A bound was met, and records were dropped."""


class Outbox:
    """Keeps records until they are removed, through restarts, `kill -9` and power cuts.

    Bound by age and by number of samples: the oldest records are dropped and counted, of too many
    samples those of the history lane first. What the file does not take (disk full, read-only) is
    held in memory, bounded too, and written as soon as it can be. The file is touched in one
    thread of its own only; the counters and `last_id` may be read at any time.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_age_s: float,
        max_samples: int,
        on_trouble: Callable[[Trouble, str | None], None],
    ) -> None:
        """Prepare; `on_trouble` hears of each trouble's begin (with a detail) and end (None)."""
        self.delivered_samples = 0
        """Removed as acknowledged, over all runs."""
        self.dropped_samples = 0
        """Lost to the bounds or to `clear`, over all runs."""
        self.failed_reads = 0
        """How often `next` could not read the file, and so did not see what is in it."""
        self.last_id = 0
        """The id of the newest record; ids rise in the order of `put`."""
        self._path = path
        self._max_age_s = max_age_s
        self._max_samples = max_samples
        self._on_trouble = on_trouble
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="grid_telemetry outbox")
        self._closed = False
        self._db: sqlite3.Connection | None = None
        self._reopen = False
        self._stored_records = self._stored_samples = 0
        self._stored_oldest_ms: int | None = None
        self._stored_last_id = 0
        # What the file still lacks: records to be added, and ids to be deleted.
        self._held: deque[StoredRecord] = deque()
        self._held_samples = 0
        self._gone: set[int] = set()
        self._troubles: dict[Trouble, str] = {}
        self._told: dict[Trouble, str] = {}

    @property
    def queued_samples(self) -> int:
        """How many samples wait."""
        return self._stored_samples + self._held_samples

    @property
    def queued_records(self) -> int:
        """How many records wait."""
        return self._stored_records + len(self._held)

    @property
    def oldest_at_ms(self) -> int | None:
        """The instant that the first record in the queue is about, in epoch milliseconds."""
        if self._stored_oldest_ms is not None:
            return self._stored_oldest_ms
        return self._held[0].at_ms if self._held else None

    async def open(self) -> None:
        """Open or create the file; what goes wrong is a trouble, never an error."""
        await self._run(self._open)

    async def put(self, records: Sequence[Record]) -> None:
        """Queue records; returns when they are on the disk, or held in memory for it.

        Raises `ValueError`, and queues nothing, for text that is not Unicode (lone surrogates).
        """
        for record in records:
            # The file would refuse it, and with it everything that is written later.
            record.topic.encode()
            record.body.encode()
        first = self.last_id + 1
        stored = [
            StoredRecord(
                record.topic, record.at_ms, record.body, record.samples, id_, lane=record.lane
            )
            for id_, record in enumerate(records, first)
        ]
        self.last_id += len(stored)
        await self._run(self._put, stored)

    async def next(
        self,
        limit: int,
        *,
        lane: Lane = Lane.SAMPLES,
        after_id: int = 0,
        before_id: int | None = None,
    ) -> list[StoredRecord]:
        """Return the first records of a lane whose ids lie between the two, both left out.

        Fewer than `limit` when no more are there, or when they are large: the bodies of one
        answer stay around 1 MiB. An empty answer means that there are none. When the file cannot
        be read, which `failed_reads` tells, the answer has only what is held in memory.
        """
        return await self._run(self._next, limit, lane, after_id, before_id)

    async def remove(self, ids: Collection[int]) -> None:
        """Take delivered records out; all in one transaction."""
        await self._run(self._remove, ids)

    async def clear(self) -> int:
        """Drop everything and return how many samples that were; raises OSError."""
        return await self._run(self._clear)

    async def close(self) -> None:
        """Close the file for good; may be called again."""
        if not self._closed:
            self._closed = True
            await self._run(self._close)
            await asyncio.to_thread(self._executor.shutdown)

    async def _run[**P, R](self, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do a step in the thread of the outbox, then tell of troubles that came or went."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, lambda: step(*args, **kwargs))
        finally:
            self._tell_troubles()

    def _tell_troubles(self) -> None:
        for trouble in Trouble:
            detail = self._troubles.get(trouble)
            if detail == self._told.get(trouble):
                continue
            if detail is None:
                del self._told[trouble]
                _LOGGER.info("%s: %s is over", self._path.name, trouble)
            else:
                self._told[trouble] = detail
                _LOGGER.warning("%s: %s: %s", self._path.name, trouble, detail)
            self._on_trouble(trouble, detail)

    # From here on everything runs in the thread of the outbox.

    def _open(self) -> None:
        self._flush()  # opens the file, or finds out why not, and trims
        # Ids rise from run to run with the time: those given while the file cannot be opened
        # still come after the ones in it.
        self.last_id = max(self._stored_last_id, time.time_ns() // 1_000_000)
        set_aside = [path.name for path in self._set_aside_files()]
        if set_aside:
            self._troubles[Trouble.CORRUPT] = max(set_aside)

    def _set_aside_files(self) -> Iterator[Path]:
        prefix = f"{self._path.name}.corrupt-"
        if self._path.parent.is_dir():
            for path in self._path.parent.iterdir():
                if path.name.startswith(prefix) and not path.name.endswith(_SIDE_FILES):
                    yield path

    def _put(self, records: Iterable[StoredRecord]) -> None:
        for record in records:
            self._held.append(record)
            self._held_samples += record.samples
        self._flush()

    def _remove(self, ids: Collection[int]) -> None:
        self._gone.update(ids)
        if self._held:
            delivered = sum(record.samples for record in self._held if record.id in self._gone)
            self._held = deque(record for record in self._held if record.id not in self._gone)
            self._held_samples -= delivered
            self.delivered_samples += delivered
        self._flush()
        if self.queued_samples < _RELIEF * self._max_samples:
            self._troubles.pop(Trouble.FULL, None)

    def _next(
        self, limit: int, lane: Lane, after_id: int, before_id: int | None
    ) -> list[StoredRecord]:
        before = before_id or self.last_id + 1

        def select(db: sqlite3.Connection) -> list[StoredRecord]:
            rows = db.execute(
                "SELECT topic, at_ms, body, samples, id FROM record"
                " WHERE lane = ? AND id > ? AND id < ? ORDER BY id",
                (lane, after_id, before),
            )
            return self._first(limit, (StoredRecord(*row, lane=lane) for row in rows))

        try:
            found = self._with_file(select)
        except (sqlite3.Error, OSError) as err:
            self._troubles[Trouble.UNWRITABLE] = str(err)
            self.failed_reads += 1
            self._disconnect()
            found = []
        if self._held and not found:
            held = (
                record
                for record in self._held
                if record.lane is lane and after_id < record.id < before
            )
            found = self._first(limit, held)
        return found

    def _first(self, limit: int, records: Iterable[StoredRecord]) -> list[StoredRecord]:
        """Return the first records, within the number and the size of one answer."""
        found: list[StoredRecord] = []
        size = 0
        for record in records:
            if record.id not in self._gone:
                found.append(record)
                size += len(record.body)
                if len(found) == limit or size >= _MAX_READ_CHARS:
                    break
        return found

    def _clear(self) -> int:
        """Start with a new file: also a full disk lets go of the old one."""
        samples = self.queued_samples
        self._disconnect()
        for suffix in (*_SIDE_FILES, ""):  # in this order nothing old is left for the new file
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        self._held.clear()
        self._gone.clear()
        self._stored_records = self._stored_samples = self._held_samples = 0
        self._stored_oldest_ms = None
        self.dropped_samples += samples
        self._troubles.pop(Trouble.FULL, None)
        self._flush()
        return samples

    def _close(self) -> None:
        self._flush()
        if self._held:
            _LOGGER.warning(
                "%s: %d samples held in memory are lost", self._path.name, self._held_samples
            )
        self._disconnect()

    def _flush(self) -> None:
        """Write what the file lacks, or hold it a while longer."""
        try:
            self._with_file(self._write, reopen=self._reopen)
        except (sqlite3.Error, OSError) as err:
            self._troubles[Trouble.UNWRITABLE] = str(err)
            # A full or busy file will do when it has room or time. Otherwise the next attempt
            # begins with opening it anew; meanwhile what is in it can perhaps still be read.
            self._reopen = not (isinstance(err, sqlite3.Error) and _primary_code(err) in _PASSING)
            self._trim_held()
        else:
            self._troubles.pop(Trouble.UNWRITABLE, None)

    def _trim_held(self) -> None:
        """Drop what is too much for the memory, like `_trim` the history first."""
        surplus = self._held_samples - MAX_HELD_SAMPLES
        if surplus <= 0:
            return
        dropped = 0
        ids: set[int] = set()
        for record in sorted(self._held, key=lambda record: record.lane is not Lane.HISTORY):
            if dropped >= surplus:
                break
            ids.add(record.id)
            dropped += record.samples
        self._held = deque(record for record in self._held if record.id not in ids)
        self._held_samples -= dropped
        self.dropped_samples += dropped

    def _with_file[R](self, step: Callable[[sqlite3.Connection], R], *, reopen: bool = False) -> R:
        """Do a step on the file; a corrupt one is set aside, and the step done on a new one."""
        try:
            return step(self._connect() if reopen or self._db is None else self._db)
        except sqlite3.DatabaseError as err:
            if _primary_code(err) not in _CORRUPT:
                raise
            self._set_aside()
            return step(self._connect())

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        self._path.chmod(0o600)
        db = sqlite3.connect(self._path, isolation_level=None)
        try:
            # Before the first table: the file can then give pages back. Otherwise without effect.
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA journal_size_limit = 4194304")
            [version] = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            db.execute("PRAGMA incremental_vacuum").fetchall()
            self._take_stock(db)
        except BaseException:
            db.close()
            raise
        self._disconnect()
        self._db = db
        self._reopen = False
        return db

    def _take_stock(self, db: sqlite3.Connection) -> None:
        """Learn what the file holds; reads all of it, and so finds most damage too."""
        self._stored_records, self._stored_samples, self._stored_last_id = db.execute(
            "SELECT count(*), coalesce(sum(samples), 0), coalesce(max(id), 0) FROM record"
        ).fetchone()
        delivered, dropped = db.execute("SELECT delivered, dropped FROM total").fetchone()
        self._stored_oldest_ms = _oldest_ms(db)
        self.delivered_samples = max(self.delivered_samples, delivered)
        self.dropped_samples = max(self.dropped_samples, dropped)

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _set_aside(self) -> None:
        self._disconnect()
        name = f"{self._path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        for suffix in (*_SIDE_FILES, ""):
            path = Path(f"{self._path}{suffix}")
            if path.exists():
                path.rename(path.with_name(f"{name}{suffix}"))
        self._troubles[Trouble.CORRUPT] = name

    def _write(self, db: sqlite3.Connection) -> None:
        """Bring the file up to date in one transaction, and forget what it was lacking."""
        # Power may fail at any time. What is queued must outlast that; what is removed may come
        # back, to be delivered twice, which saves waiting for the disk.
        db.execute(f"PRAGMA synchronous = {'FULL' if self._held else 'NORMAL'}")
        db.execute("BEGIN IMMEDIATE")
        try:
            removed_records, delivered = _delete(db, self._gone)
            db.executemany(
                "INSERT OR REPLACE INTO record (id, topic, at_ms, samples, lane, queued_at, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                self._rows(),
            )
            samples = self._stored_samples - delivered + self._held_samples
            dropped_records, dropped = self._trim(db, samples - self._max_samples)
            db.execute(
                "UPDATE total SET delivered = ?, dropped = ?",
                (self.delivered_samples + delivered, self.dropped_samples + dropped),
            )
            oldest_ms = _oldest_ms(db)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._stored_records += len(self._held) - removed_records - dropped_records
        self._stored_samples = samples - dropped
        self._stored_oldest_ms = oldest_ms
        self.delivered_samples += delivered
        self.dropped_samples += dropped
        if dropped:
            self._troubles[Trouble.FULL] = (
                f"more than {self._max_samples} samples, or older than {self._max_age_s:.0f} s"
            )
        self._held.clear()
        self._held_samples = 0
        self._gone.clear()

    def _rows(self) -> Iterator[tuple[int, str, int, int, int, int, str]]:
        now = int(time.time())
        for each in self._held:
            yield each.id, each.topic, each.at_ms, each.samples, each.lane, now, each.body

    def _trim(self, db: sqlite3.Connection, surplus: int) -> tuple[int, int]:
        """Drop what is too old, then the surplus: records, samples.

        Of the surplus the history goes first: it can be asked for again, live samples cannot.
        """
        oldest_allowed = time.time() - self._max_age_s
        rows = db.execute("SELECT id, queued_at FROM record ORDER BY id")
        records, dropped = _delete(
            db, [id_ for id_, _ in takewhile(lambda row: row[1] < oldest_allowed, rows)]
        )
        for select in _DISPENSABLE_FIRST:
            if (left := surplus - dropped) <= 0:
                break
            ids: list[int] = []
            for id_, samples in db.execute(select):
                ids.append(id_)
                left -= samples
                if left <= 0:
                    break
            more_records, more_samples = _delete(db, ids)
            records += more_records
            dropped += more_samples
        return records, dropped


def _delete(db: sqlite3.Connection, ids: Collection[int]) -> tuple[int, int]:
    """Delete records by their ids: records, samples."""
    if not ids:
        return 0, 0
    deleted = db.execute(
        "DELETE FROM record WHERE id IN (SELECT value FROM json_each(?)) RETURNING samples",
        (json.dumps(list(ids)),),
    ).fetchall()
    return len(deleted), sum(samples for [samples] in deleted)


def _oldest_ms(db: sqlite3.Connection) -> int | None:
    row: tuple[int] | None = db.execute("SELECT at_ms FROM record ORDER BY id LIMIT 1").fetchone()
    return None if row is None else row[0]


def _primary_code(err: sqlite3.Error) -> int:
    return getattr(err, "sqlite_errorcode", 0) & 0xFF  # the rest tells variants of it
