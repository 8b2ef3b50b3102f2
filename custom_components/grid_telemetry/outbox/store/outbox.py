"""The outbox: the durable queue of one forwarder."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
import logging
from pathlib import Path
import sqlite3
import time
from typing import Final

from .age_clock import AgeClock
from .file import (
    SIDE_FILES,
    ForeignFileError,
    State,
    allow_checkpoints,
    check,
    connect,
    connect_for_reading,
    read_state,
    transaction,
    write_state,
)
from .record import Lane, Record, RefusedRecord, StoredRecord, Trouble
from .rows import (
    SAMPLES,
    delete,
    insert_rows,
    intact,
    move_damaged,
    move_refused,
    oldest_ms,
    refused,
    refused_rows,
    row_of,
    samples_in,
    select,
    too_old,
    trim_refused,
)
from .salvage import from_damaged, take_over

_LOGGER = logging.getLogger(__name__)

_MAX_READ_CHARS: Final = 1024 * 1024  # of bodies, in one answer of `next`
_DAY_S: Final = 86_400
_RELIEF: Final = 0.9  # of the bound: below it a full outbox counts as well again
# Ids that are given before the file could be opened; none in a file is as high.
_PROVISIONAL_ID: Final = 2**61

_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PASSING: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY})
_SET_ASIDE_AS: Final = {Trouble.CORRUPT: "corrupt", Trouble.FOREIGN: "foreign"}

_DISPENSABLE_FIRST: Final = (
    f"SELECT id, {SAMPLES} FROM record WHERE lane = 2 ORDER BY id",  # the history
    f"SELECT id, {SAMPLES} FROM record ORDER BY id",
)


class OutboxError(Exception):
    """What was asked for could not be done to the file."""


class OutboxClosedError(OutboxError):
    """The outbox was closed before."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The bounds of an outbox."""

    max_age_s: float
    max_samples: int
    max_held_samples: int = 50_000
    """So many are kept in memory while the file cannot be written."""
    max_refused_records: int = 1_000
    max_refused_bytes: int = 16 * 1024 * 1024
    reopen_after_s: float = 10.0
    """So long after it failed to open the file, or to write to it, it opens it anew."""


class Outbox:
    """Keeps records until they are removed, through restarts, `kill -9` and power cuts.

    Bound by age and by number of samples: the oldest records are dropped and counted, of too many
    samples those of the history lane first. What the file does not take (disk full, read-only) is
    held in memory, bounded too, and written as soon as it can be. The file is touched in one
    thread of its own only; the figures may be read at any time.
    """

    def __init__(
        self,
        path: Path,
        *,
        limits: Limits,
        on_trouble: Callable[[Trouble, str | None], None],
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; `on_trouble` hears of each trouble's begin (with a detail) and end (None)."""
        self.delivered_samples = 0
        """Removed as acknowledged, over all runs."""
        self.dropped_samples = 0
        """Lost to the bounds, to damage or to `clear`, over all runs."""
        self.damaged_samples = 0
        """Those of the dropped ones that were damaged in the file."""
        self.refused_records = 0
        """How many the platform refused; they wait for `retry_refused` or `delete_refused`."""
        self.failed_reads = 0
        """How often `next` could not read the file, and so did not see what is in it."""
        self.generation = 0
        """Rises when records have got new ids, so that all has to be read from the beginning."""
        self.last_id = 0
        """The id of the newest record; ids rise in the order of `put`."""
        self.marks: Mapping[str, str] = {}
        """What the platform knows: the marks of delivered records, the last of each key."""
        self._path = path
        self._limits = limits
        self._on_trouble = on_trouble
        self._monotonic = monotonic
        self._clock = AgeClock(wall, monotonic, now_s=wall())
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._closed = False
        self._db: sqlite3.Connection | None = None
        self._writable = False
        self._loaded = False
        self._checkpoints = True
        self._open_again_at = 0.0
        self._open_error: sqlite3.Error | OSError | None = None
        # Files that were set aside, and of which nothing could be taken over yet.
        self._to_salvage: list[Path] = []
        self._stored_records = self._stored_samples = 0
        self._stored_oldest_ms: int | None = None
        # What the file still lacks: records to be added, those to be deleted, those to be moved
        # to the refused ones with the reason, and marks of records that it never had.
        self._held: deque[StoredRecord] = deque()
        self._held_samples = 0
        self._gone: set[int] = set()
        self._refusals: dict[int, str] = {}
        self._new_marks: dict[str, str] = {}
        # Ids that were given before the file was open, and what became of them.
        self._renumbered: dict[int, int] = {}
        self._troubles: dict[Trouble, str] = {}
        self._reported: dict[Trouble, str] = {}

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

    async def open(self, *, checkpoints: bool = True) -> None:
        """Open or create the file; what goes wrong is a trouble, never an error."""
        self._checkpoints = checkpoints
        await self._run(self._open)

    async def put(self, records: Sequence[Record]) -> None:
        """Queue records; returns when they are on the disk, or held in memory for it.

        Raises `OutboxClosedError`, and `ValueError` for text that is not Unicode (lone surrogates);
        then nothing is queued.
        """
        for record in records:
            # The file would refuse it, and with it everything that is written later.
            for text in (*record.destination, record.body, *(record.mark or ())):
                text.encode()
        await self._run(self._put, records)

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
        """Take delivered records out and take over their marks; all in one transaction."""
        await self._run(self._remove, ids)

    async def refuse(self, ids: Collection[int], reason: str) -> None:
        """Set records aside that the platform refuses, with its words."""
        await self._run(self._refuse, ids, reason)

    async def refused(self, limit: int) -> list[RefusedRecord]:
        """Return the records that were refused, the newest first; raises `OutboxError`."""
        return await self._run(self._ask, lambda db: refused(db, limit))

    async def retry_refused(self, ids: Collection[int] | None = None) -> int:
        """Queue refused records again, all of them or some, and return how many that were.

        Raises `OutboxError`.
        """
        return await self._run(self._ask, lambda db: self._retry_refused(db, ids))

    async def delete_refused(self, ids: Collection[int] | None = None) -> int:
        """Drop refused records, all of them or some, and return how many that were.

        Raises `OutboxError`.
        """
        return await self._run(self._ask, lambda db: self._delete_refused(db, ids))

    async def awaited_marks(self) -> dict[str, str]:
        """Return the last mark of each key among the records that wait, refused ones included."""
        return await self._run(self._awaited_marks)

    async def verify(self) -> None:
        """Look for damage and count anew what waits; what cannot be read is set aside."""
        await self._run(self._verify)

    async def clear(self) -> int:
        """Drop everything and return how many samples that were; raises `OutboxError`."""
        return await self._run(self._clear)

    async def delete_set_aside(self) -> None:
        """Delete the files that were set aside, damaged or foreign ones; raises `OutboxError`."""
        await self._run(self._delete_set_aside)

    async def hold_checkpoints(self, *, hold: bool) -> None:
        """Leave the main file as it is from now on, or no longer; writes go on beside it.

        Whoever copies the main file and its -wal one after the other then has copied one state.
        """
        await self._run(self._hold_checkpoints, hold)

    async def close(self) -> None:
        """Close the file for good; may be called again."""
        if not self._closed:
            self._closed = True
            await self._in_thread(self._close)
            await asyncio.to_thread(self._executor.shutdown)

    async def _run[**P, R](self, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Do a step in the thread of the outbox; raises `OutboxClosedError`."""
        if self._closed:
            raise OutboxClosedError(f"{self._path.name} is closed")
        return await self._in_thread(step, *args, **kwargs)

    async def _in_thread[**P, R](
        self, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Do a step in the thread of the outbox, then tell of troubles that came or went."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, lambda: step(*args, **kwargs))
        finally:
            self._report_troubles()

    def _report_troubles(self) -> None:
        for trouble in Trouble:
            detail = self._troubles.get(trouble)
            if detail == self._reported.get(trouble):
                continue
            if detail is None:
                del self._reported[trouble]
                _LOGGER.info("%s: %s is over", self._path.name, trouble)
            else:
                if trouble not in self._reported:
                    _LOGGER.warning("%s: %s: %s", self._path.name, trouble, detail)
                self._reported[trouble] = detail
            self._on_trouble(trouble, detail)

    # From here on everything runs in the thread of the outbox.

    def _open(self) -> None:
        self._flush()  # opens the file, or finds out why not, and trims
        if not self._loaded:
            self.last_id = max(self.last_id, _PROVISIONAL_ID)
        for trouble, name in _SET_ASIDE_AS.items():
            if set_aside := [path.name for path in self._files_set_aside(name)]:
                self._troubles[trouble] = max(set_aside)

    def _files_set_aside(self, name: str) -> Iterator[Path]:
        prefix = f"{self._path.name}.{name}-"
        if self._path.parent.is_dir():
            for path in self._path.parent.iterdir():
                if path.name.startswith(prefix) and not path.name.endswith(SIDE_FILES):
                    yield path

    def _put(self, records: Sequence[Record]) -> None:
        for record in records:
            self.last_id += 1
            self._held.append(
                StoredRecord(
                    record.destination,
                    record.at_ms,
                    record.body,
                    record.samples,
                    self.last_id,
                    lane=record.lane,
                    mark=record.mark,
                )
            )
            self._held_samples += record.samples
        self._flush()

    def _present_ids(self, ids: Iterable[int]) -> set[int]:
        """Return the ids that records have now, from those that were given out."""
        return {self._renumbered.pop(id_, id_) for id_ in ids}

    def _remove(self, ids: Collection[int]) -> None:
        gone = self._present_ids(ids)
        kept: deque[StoredRecord] = deque()
        for record in self._held:
            if record.id not in gone:
                kept.append(record)
                continue
            gone.discard(record.id)
            self._held_samples -= record.samples
            self.delivered_samples += record.samples
            if record.mark is not None:
                self._new_marks[record.mark.key] = record.mark.value
        self._held = kept
        self._gone |= gone
        # What is delivered goes out again; should there still be some that is too old, it is told.
        self._troubles.pop(Trouble.TOO_OLD, None)
        self._flush()
        if self.queued_samples < _RELIEF * self._limits.max_samples:
            self._troubles.pop(Trouble.FULL, None)

    def _refuse(self, ids: Collection[int], reason: str) -> None:
        self._refusals.update(dict.fromkeys(self._present_ids(ids), reason))
        self._flush()

    def _next(
        self, limit: int, lane: Lane, after_id: int, before_id: int | None
    ) -> list[StoredRecord]:
        before = before_id or self.last_id + 1
        damaged: list[int] = []

        def read(db: sqlite3.Connection) -> list[StoredRecord]:
            damaged.clear()
            return self._first(limit, intact(select(db, lane, after_id, before), damaged))

        try:
            found = self._on_file(read, self._reader)
        except (sqlite3.Error, OSError) as err:
            self.failed_reads += 1
            if self._path.exists() and _primary_code(err) not in _PASSING:
                self._troubles[Trouble.UNREADABLE] = str(err)
            self._disconnect()
            found = []
        else:
            self._troubles.pop(Trouble.UNREADABLE, None)
            if damaged:
                self._set_rows_aside(damaged)
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
            if record.id not in self._gone and record.id not in self._refusals:
                found.append(record)
                size += len(record.body)
                if len(found) == limit or size >= _MAX_READ_CHARS:
                    break
        return found

    def _set_rows_aside(self, ids: Sequence[int]) -> None:
        """Move damaged rows out of the queue; where that fails they are passed over again."""
        self._troubles[Trouble.DAMAGED] = f"{len(ids)} records"

        def move(db: sqlite3.Connection) -> None:
            with transaction(db):
                move_damaged(db, ids)
                _, samples = delete(db, ids)
                state = self._state()
                write_state(
                    db,
                    replace(
                        state,
                        dropped=state.dropped + samples,
                        damaged=state.damaged + samples,
                        queued=state.queued - samples,
                    ),
                )
            self._count_damaged(samples)

        try:
            move(self._writer())
            self._take_stock(self._writer())
        except (sqlite3.Error, OSError) as err:
            self._cannot_write(err)

    def _count_damaged(self, samples: int) -> None:
        self.damaged_samples += samples
        self.dropped_samples += samples

    def _ask[R](self, step: Callable[[sqlite3.Connection], R]) -> R:
        """Do what a user asked for, which fails where the file does."""
        try:
            return self._on_file(step, self._writer)
        except (sqlite3.Error, OSError) as err:
            raise OutboxError(str(err)) from err

    def _retry_refused(self, db: sqlite3.Connection, ids: Collection[int] | None) -> int:
        rows = (row for row in refused_rows(db) if ids is None or row[0] in ids)
        now = int(self._clock.now_s())
        damaged: list[int] = []
        records = list(intact(rows, damaged))
        with transaction(db):
            again = [
                row_of(replace(record, id=self.last_id + number), now)
                for number, record in enumerate(records, 1)
            ]
            insert_rows(db, again)
            self.last_id += len(again)
            _, samples = delete(db, [record.id for record in records], table="refused")
            move_damaged(db, damaged, table="refused")
            _, lost = delete(db, damaged, table="refused")
            state = self._state()
            write_state(
                db,
                replace(
                    state,
                    dropped=state.dropped + lost,
                    damaged=state.damaged + lost,
                    queued=state.queued + samples,
                ),
            )
        self._count_damaged(lost)
        if damaged:
            self._troubles[Trouble.DAMAGED] = f"{len(damaged)} records"
        self._take_stock(db)
        return len(again)

    def _delete_refused(self, db: sqlite3.Connection, ids: Collection[int] | None) -> int:
        chosen = [row[0] for row in refused_rows(db) if ids is None or row[0] in ids]
        with transaction(db):
            records, samples = delete(db, chosen, table="refused")
            state = self._state()
            write_state(db, replace(state, dropped=state.dropped + samples))
        self.dropped_samples += samples
        self._take_stock(db)
        return records

    def _awaited_marks(self) -> dict[str, str]:
        def read(db: sqlite3.Connection) -> dict[str, str]:
            rows = db.execute(
                "SELECT mark_key, mark_value FROM"
                " (SELECT id, mark_key, mark_value FROM record WHERE mark_key IS NOT NULL"
                " UNION SELECT id, mark_key, mark_value FROM refused WHERE mark_key IS NOT NULL)"
                " ORDER BY id"
            )
            return {
                key.decode(errors="replace"): value.decode(errors="replace") for key, value in rows
            }

        try:
            found = self._on_file(read, self._reader)
        except sqlite3.Error, OSError:
            found = {}
        return found | {each.mark.key: each.mark.value for each in self._held if each.mark}

    def _verify(self) -> None:
        def look(db: sqlite3.Connection) -> None:
            check(db)
            self._take_stock(db)

        try:
            self._on_file(look, self._reader)
        except (sqlite3.Error, OSError) as err:
            self._troubles[Trouble.UNREADABLE] = str(err)

    def _clear(self) -> int:
        """Start with a new file: also a full disk lets go of the old one."""
        samples = self.queued_samples + self._refused_samples()
        if self._checkpoints:
            self._disconnect()
            try:
                for suffix in (*SIDE_FILES, ""):  # in this order nothing old is left for the new
                    Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            except OSError as err:
                raise OutboxError(str(err)) from err
            self._stored_records = self._stored_samples = self.refused_records = 0
            self._stored_oldest_ms = None
            self._open_again_at = 0.0
        else:  # whoever copies the file now must not find another
            self._ask(self._delete_all)
        self._held.clear()
        self._held_samples = 0
        self._gone.clear()
        self._refusals.clear()
        self._new_marks = dict(self.marks)
        self.dropped_samples += samples
        self._troubles.pop(Trouble.FULL, None)
        self._troubles.pop(Trouble.TOO_OLD, None)
        self._flush()
        return samples

    def _refused_samples(self) -> int:
        """Return how many samples the refused records have, 0 where the file does not tell."""
        try:
            return samples_in(self._reader(), "refused")
        except sqlite3.Error, OSError, ForeignFileError:
            return 0

    def _delete_set_aside(self) -> None:
        try:
            for trouble, name in _SET_ASIDE_AS.items():
                for path in list(self._files_set_aside(name)):
                    for suffix in (*SIDE_FILES, ""):
                        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
                self._troubles.pop(trouble, None)
        except OSError as err:
            raise OutboxError(str(err)) from err

    def _delete_all(self, db: sqlite3.Connection) -> None:
        with transaction(db):
            db.execute("DELETE FROM record")
            db.execute("DELETE FROM refused")
        self._take_stock(db)

    def _hold_checkpoints(self, hold: bool) -> None:
        def apply(db: sqlite3.Connection) -> None:
            if hold:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            allow_checkpoints(db, allow=not hold)

        try:
            self._on_file(apply, self._writer)
        except (sqlite3.Error, OSError) as err:
            self._cannot_write(err)
        self._checkpoints = not hold

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
            self._on_file(self._write, self._writer)
        except (sqlite3.Error, OSError) as err:
            self._cannot_write(err)
            self._trim_held()
        else:
            self._troubles.pop(Trouble.UNWRITABLE, None)

    def _cannot_write(self, err: sqlite3.Error | OSError) -> None:
        self._troubles[Trouble.UNWRITABLE] = str(err)
        if self._db is not None and not (
            isinstance(err, sqlite3.Error) and _primary_code(err) in _PASSING
        ):
            # A full or busy file will do when it has room or time. Otherwise it is opened anew in
            # a while; until then what is in it can perhaps still be read.
            self._writable = False
            self._open_error = err

    def _trim_held(self) -> None:
        """Drop what is too much for the memory, like `_trim` the history first."""
        surplus = self._held_samples - self._limits.max_held_samples
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

    def _on_file[R](
        self,
        step: Callable[[sqlite3.Connection], R],
        opened: Callable[[], sqlite3.Connection],
    ) -> R:
        """Do a step on the file; one that is no good is set aside, the step done on a new one."""
        try:
            return step(opened())
        except ForeignFileError:
            self._set_aside(Trouble.FOREIGN)
        except sqlite3.DatabaseError as err:
            if _primary_code(err) not in _CORRUPT:
                raise
            self._set_aside(Trouble.CORRUPT)
        return step(self._writer())

    def _reader(self) -> sqlite3.Connection:
        """Return a connection that reads; where nothing can be written, one that only reads."""
        if self._db is not None:
            return self._db
        try:
            return self._writer()
        except (sqlite3.Error, OSError) as err:
            # A file that another writer has locked is not read behind its back, nor one that is
            # yet to take over what was there before.
            if (
                self._to_salvage
                or _primary_code(err) in _CORRUPT | _PASSING
                or not self._path.exists()
            ):
                raise
            self._troubles[Trouble.UNWRITABLE] = str(err)
            return self._connected(connect_for_reading(self._path), writable=False)

    def _writer(self) -> sqlite3.Connection:
        """Return the connection that writes; opens the file where that is due."""
        if self._db is not None and self._writable:
            return self._db
        if self._open_error is not None and self._monotonic() < self._open_again_at:
            raise self._open_error
        self._open_again_at = self._monotonic() + self._limits.reopen_after_s
        self._disconnect()
        try:
            while self._to_salvage:
                self._salvage(self._to_salvage[0])
                del self._to_salvage[0]
            db = connect(self._path, now_s=self._clock.now_s(), wall_s=self._clock.wall_s())
        except (sqlite3.Error, OSError) as err:
            self._open_error = err
            raise
        self._open_error = None
        return self._connected(db, writable=True)

    def _connected(self, db: sqlite3.Connection, *, writable: bool) -> sqlite3.Connection:
        try:
            if writable:
                allow_checkpoints(db, allow=self._checkpoints)
            self._load(db)
        except BaseException:
            db.close()
            raise
        self._db, self._writable = db, writable
        return db

    def _load(self, db: sqlite3.Connection) -> None:
        """Learn what the file holds; what is held in memory comes behind it."""
        state = read_state(db)
        self._take_stock(db)
        if self._loaded:
            return
        self.delivered_samples += state.delivered
        self.dropped_samples += state.dropped
        self.damaged_samples += state.damaged
        self._clock.resume(state.age_s, state.wall_s)
        marks = {
            key.decode(errors="replace"): value.decode(errors="replace")
            for key, value in db.execute("SELECT key, value FROM mark")
        }
        self.marks = marks | self._new_marks
        [newest] = db.execute("SELECT coalesce(max(id), 0) FROM record").fetchone()
        self.last_id = max(state.last_id, newest)
        self._loaded = True
        if self._held:
            self._renumber_held()

    def _renumber_held(self) -> None:
        held: deque[StoredRecord] = deque()
        for record in self._held:
            self.last_id += 1
            self._renumbered[record.id] = self.last_id
            held.append(replace(record, id=self.last_id))
        self._held = held
        self.generation += 1

    def _take_stock(self, db: sqlite3.Connection) -> None:
        [self._stored_records] = db.execute("SELECT count(*) FROM record").fetchone()
        self._stored_samples = samples_in(db, "record")
        [self.refused_records] = db.execute("SELECT count(*) FROM refused").fetchone()
        self._stored_oldest_ms = oldest_ms(db)

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _set_aside(self, trouble: Trouble) -> None:
        """Rename the file; what can be read of it is taken over into the one that follows."""
        self._disconnect()
        name = f"{self._path.name}.{_SET_ASIDE_AS[trouble]}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        for suffix in (*SIDE_FILES, ""):
            path = Path(f"{self._path}{suffix}")
            if path.exists():
                path.rename(path.with_name(f"{name}{suffix}"))
        self._troubles[trouble] = name
        self._open_error = None
        self._to_salvage.append(self._path.with_name(name))

    def _salvage(self, source: Path) -> None:
        new = connect(self._path, now_s=self._clock.now_s(), wall_s=self._clock.wall_s())
        old = sqlite3.connect(source)
        old.text_factory = bytes
        try:
            before = self._state() if self._loaded else from_damaged(lambda: read_state(old))
            lost = 0
            with transaction(new):
                samples, damaged = take_over(old, new)
                if before is not None:
                    lost = max(0, before.queued - samples)
                    write_state(
                        new,
                        replace(
                            before,
                            dropped=before.dropped + lost,
                            damaged=before.damaged + lost,
                            queued=samples,
                        ),
                    )
            if self._loaded:
                self._count_damaged(lost)
            _LOGGER.warning(
                "%s: %d samples were taken over from the file set aside, %d records were damaged",
                self._path.name,
                samples,
                damaged,
            )
        finally:
            old.close()
            new.close()

    def _state(self) -> State:
        """Return the figures as they are known here."""
        return State(
            delivered=self.delivered_samples,
            dropped=self.dropped_samples,
            damaged=self.damaged_samples,
            queued=self._stored_samples,
            last_id=self.last_id,
            age_s=self._clock.now_s(),
            wall_s=self._clock.wall_s(),
        )

    def _write(self, db: sqlite3.Connection) -> None:
        """Bring the file up to date in one transaction, and forget what it was lacking."""
        # Power may fail at any time. What is queued must outlast that; what is removed may come
        # back, to be delivered twice, which saves waiting for the disk.
        lacks = self._held or self._refusals or self._new_marks
        db.execute(f"PRAGMA synchronous = {'FULL' if lacks else 'NORMAL'}")
        marks = dict(self._new_marks)
        now = int(self._clock.now_s())
        with transaction(db):
            insert_rows(db, (row_of(record, now) for record in self._held))
            refused_records, refused = move_refused(db, self._refusals, self._clock.wall_s())
            removed_records, delivered = delete(db, self._gone, marks)
            samples = self._stored_samples + self._held_samples - delivered - refused
            outdated, (dropped_records, dropped) = self._trim(
                db, now, samples - self._limits.max_samples
            )
            dropped_refused = (
                trim_refused(db, self._limits.max_refused_records, self._limits.max_refused_bytes)
                if self._refusals
                else 0
            )
            db.executemany("INSERT OR REPLACE INTO mark VALUES (?, ?)", marks.items())
            state = self._state()
            write_state(
                db,
                replace(
                    state,
                    delivered=state.delivered + delivered,
                    dropped=state.dropped + dropped + dropped_refused,
                    queued=samples - dropped,
                ),
            )
            oldest = oldest_ms(db)
        self._stored_records += (
            len(self._held) - removed_records - dropped_records - refused_records
        )
        self._stored_samples = samples - dropped
        self._stored_oldest_ms = oldest
        self.delivered_samples += delivered
        self.dropped_samples += dropped + dropped_refused
        if marks:
            self.marks = {**self.marks, **marks}
        if outdated:
            self._troubles[Trouble.TOO_OLD] = f"{self._limits.max_age_s / _DAY_S:g}"
        if dropped > outdated:
            self._troubles[Trouble.FULL] = f"{self._limits.max_samples:,}"
        if self._refusals:
            [self.refused_records] = db.execute("SELECT count(*) FROM refused").fetchone()
        self._held.clear()
        self._held_samples = 0
        self._gone.clear()
        self._refusals.clear()
        self._new_marks.clear()

    def _trim(self, db: sqlite3.Connection, now: int, surplus: int) -> tuple[int, tuple[int, int]]:
        """Drop what is too old, then the surplus: samples too old; records and samples in all.

        Of the surplus the history goes first: it can be asked for again, live samples cannot.
        """
        records, dropped = delete(db, list(too_old(db, now, self._limits.max_age_s)))
        outdated = dropped
        for selected in _DISPENSABLE_FIRST:
            if (left := surplus - dropped) <= 0:
                break
            ids: list[int] = []
            for id_, samples in db.execute(selected):
                ids.append(id_)
                left -= samples
                if left <= 0:
                    break
            more_records, more_samples = delete(db, ids)
            records += more_records
            dropped += more_samples
        return outdated, (records, dropped)


def _primary_code(err: Exception) -> int:
    return getattr(err, "sqlite_errorcode", 0) & 0xFF  # the rest tells variants of it
