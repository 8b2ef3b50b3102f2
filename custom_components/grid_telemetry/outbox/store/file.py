"""The file of an outbox: its schema, its versions, and how it is opened.

Every row carries a checksum, for a bit that flips in a value is no damage to SQLite.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
import sqlite3
from typing import Final

from .rows import COLUMNS, checked, insert_rows

SIDE_FILES: Final = ("-wal", "-shm")

_APPLICATION_ID: Final = 0x47544F42  # "GTOB"
_VERSION: Final = 2
_RECORD: Final = """(
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    device TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    queued_at INTEGER NOT NULL, -- by the age clock, in seconds; old data may be queued
    body BLOB NOT NULL,
    mark_key TEXT,
    mark_value TEXT,
    checksum INTEGER NOT NULL"""
# The lanes have no index: a damaged entry in one would hide a record for ever.
_SCHEMA: Final = f"""
CREATE TABLE record {_RECORD}
);
CREATE TABLE refused {_RECORD},
    refused_ms INTEGER NOT NULL,
    reason TEXT NOT NULL
);
CREATE TABLE damaged ({COLUMNS});
CREATE TABLE mark (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE state (
    delivered INTEGER NOT NULL,
    dropped INTEGER NOT NULL,
    damaged INTEGER NOT NULL,
    queued INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    age_s REAL NOT NULL,
    wall_s REAL NOT NULL
);
"""


class ForeignFileError(Exception):
    """The file is of a later version, or no outbox at all."""


@dataclass(frozen=True, kw_only=True)
class State:
    """The figures that are kept over restarts."""

    delivered: int = 0
    dropped: int = 0
    damaged: int = 0
    queued: int = 0
    """Samples in the file."""
    last_id: int = 0
    age_s: float
    """The reading of the age clock."""
    wall_s: float
    """The time of day that belongs to it."""


def connect(path: Path, *, now_s: float, wall_s: float) -> sqlite3.Connection:
    """Open or create the file for one writer alone, and bring it to the present version.

    Raises `sqlite3.Error`, OSError and `ForeignFileError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    db = sqlite3.connect(path, isolation_level=None, timeout=0.1)
    try:
        # Two writers would give the same ids to different records.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        # Before the first table: the file can then give pages back. Otherwise without effect.
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA journal_size_limit = 4194304")
        _bring_up_to_date(db, now_s, wall_s)
        db.execute("PRAGMA incremental_vacuum").fetchall()
        check(db)
        db.text_factory = bytes
    except BaseException:
        db.close()
        raise
    return db


def connect_for_reading(path: Path) -> sqlite3.Connection:
    """Open the file where nothing can be written, such as a disk that has become read-only.

    Raises `sqlite3.Error` and `ForeignFileError`, also for an earlier version.
    """
    wal = Path(f"{path}-wal")
    # A file that was not closed is read with what is in its -wal. SQLite does that without a lock
    # and without a -shm in this way only; where there is no -wal it has to be told so.
    mode = "vfs=unix-none" if wal.exists() and wal.stat().st_size else "immutable=1"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&{mode}", uri=True)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        _require_present_version(db)
        db.text_factory = bytes
    except BaseException:
        db.close()
        raise
    return db


def _require_present_version(db: sqlite3.Connection) -> None:
    if (version := _version(db)) != _VERSION:
        raise ForeignFileError(f"version {version}")


def check(db: sqlite3.Connection) -> None:
    """Raise `sqlite3.DatabaseError` if the structure of the file is damaged."""
    [found] = db.execute("PRAGMA quick_check(1)").fetchone()
    if found not in {"ok", b"ok"}:
        error = sqlite3.DatabaseError(str(found))
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _version(db: sqlite3.Connection) -> int:
    """Return the version of the schema, 0 for an empty file; raises `ForeignFileError`."""
    [version] = db.execute("PRAGMA user_version").fetchone()
    [application] = db.execute("PRAGMA application_id").fetchone()
    tables = {name for [name] in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if version == 0 and application == 0 and not tables:
        return 0
    if version == 1 and application == 0 and tables == {"record", "total"}:
        return 1
    if version == _VERSION and application == _APPLICATION_ID:
        return _VERSION
    raise ForeignFileError(f"version {version}, application {application:#x}")


def _bring_up_to_date(db: sqlite3.Connection, now_s: float, wall_s: float) -> None:
    version = _version(db)
    if version == _VERSION:
        return
    with transaction(db):
        if version == 1:
            db.execute("ALTER TABLE record RENAME TO record_1")
        for statement in _SCHEMA.split(";\n"):
            db.execute(statement)
        write_state(db, State(age_s=now_s, wall_s=wall_s), insert=True)
        if version == 1:
            _migrate_from_1(db)
        db.execute(f"PRAGMA user_version = {_VERSION}")
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")


def _migrate_from_1(db: sqlite3.Connection) -> None:
    """Take over a file of version 1, whose topic was kind/device and whose ages were wall clock."""
    rows = db.execute(
        "SELECT id, CAST(topic AS BLOB), at_ms, samples, lane, queued_at, CAST(body AS BLOB)"
        " FROM record_1"
    )
    for id_, topic, at_ms, samples, lane, queued_at, body in rows:
        kind, _, device = topic.partition(b"/")
        fields = (id_, kind, device, at_ms, samples, lane, queued_at)
        insert_rows(db, [checked(*fields, body=body)])
    delivered, dropped = db.execute("SELECT delivered, dropped FROM total").fetchone()
    last_id, newest, queued = db.execute(
        "SELECT coalesce(max(id), 0), max(queued_at), coalesce(sum(samples), 0) FROM record_1"
    ).fetchone()
    state = read_state(db)
    write_state(
        db,
        State(
            delivered=delivered,
            dropped=dropped,
            queued=queued,
            last_id=last_id,
            age_s=state.age_s if newest is None else newest,
            wall_s=state.wall_s if newest is None else newest,
        ),
    )
    db.execute("DROP TABLE record_1")
    db.execute("DROP TABLE total")


def read_state(db: sqlite3.Connection) -> State:
    """Return the figures of the file."""
    delivered, dropped, damaged, queued, last_id, age_s, wall_s = db.execute(
        "SELECT delivered, dropped, damaged, queued, last_id, age_s, wall_s FROM state"
    ).fetchone()
    return State(
        delivered=delivered,
        dropped=dropped,
        damaged=damaged,
        queued=queued,
        last_id=last_id,
        age_s=age_s,
        wall_s=wall_s,
    )


def write_state(db: sqlite3.Connection, state: State, *, insert: bool = False) -> None:
    """Keep the figures."""
    values = (
        state.delivered,
        state.dropped,
        state.damaged,
        state.queued,
        state.last_id,
        state.age_s,
        state.wall_s,
    )
    if insert:
        db.execute("INSERT INTO state VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    else:
        db.execute(
            "UPDATE state SET delivered = ?, dropped = ?, damaged = ?, queued = ?, last_id = ?,"
            " age_s = ?, wall_s = ?",
            values,
        )


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Do all of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def allow_checkpoints(db: sqlite3.Connection, *, allow: bool) -> None:
    """Let the -wal be written into the main file, or leave that as it is."""
    db.execute(f"PRAGMA wal_autocheckpoint = {1000 if allow else 0}").fetchall()
    db.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, not allow)
