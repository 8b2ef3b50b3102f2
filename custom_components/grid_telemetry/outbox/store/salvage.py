"""What can still be read of a damaged file."""

from collections.abc import Callable, Iterator
from functools import partial
import sqlite3
from typing import Final

from .rows import COLUMNS, Row, insert_rows, record_of

_LAST_ID: Final = 2**62


def salvaged_rows(db: sqlite3.Connection) -> Iterator[Row]:
    """Yield every row of the queue that a damaged file still gives, leaving out what it does not.

    Where reading on fails, the next id that can be read is found by steps that double, then by
    halving.
    """
    after, skip = -1, 1
    while after < _LAST_ID:
        began = after
        try:
            for row in db.execute(
                f"SELECT {COLUMNS} FROM record WHERE id > ? ORDER BY id", (after,)
            ):
                yield row
                [id_, *_] = row
                after = max(after, id_) if isinstance(id_, int) else after
        except sqlite3.DatabaseError:
            if after > began:
                skip = 1
                after = _before_next_readable(db, after)
            else:  # the rows found are in disorder: they would be found again and again
                after += skip
                skip *= 2
        else:
            return


def _before_next_readable(db: sqlite3.Connection, after: int) -> int:
    """Return the id behind which reading can go on."""

    def readable(id_: int) -> bool:
        try:
            db.execute(
                f"SELECT {COLUMNS} FROM record WHERE id >= ? ORDER BY id LIMIT 1", (id_,)
            ).fetchone()
        except sqlite3.DatabaseError:
            return False
        return True

    step = 1
    while not readable(after + step):
        step *= 2
        if after + step >= _LAST_ID:
            return _LAST_ID
    low, high = after + step // 2, after + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if readable(middle) else (middle, high)
    return high - 1


def from_damaged[R](step: Callable[[], R]) -> R | None:
    """Return what a step on a damaged file gives, None where it cannot be read."""
    try:
        return step()
    except sqlite3.DatabaseError, TypeError:
        return None


def take_over(old: sqlite3.Connection, new: sqlite3.Connection) -> tuple[int, int]:
    """Copy what can be read of a damaged file: samples taken over, damaged records."""
    samples = damaged = 0

    def intact() -> Iterator[Row]:
        nonlocal samples, damaged
        for row in salvaged_rows(old):
            if (record := record_of(row)) is not None:
                samples += record.samples
                yield row
            else:
                damaged += 1

    insert_rows(new, intact(), ignore=True)
    for table in ("refused", "mark"):
        query = f"SELECT * FROM {table}"
        for row in from_damaged(partial(_all_rows, old, query)) or ():
            places = ", ".join("?" * len(row))
            new.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)
    return samples, damaged


def _all_rows(db: sqlite3.Connection, query: str) -> list[Row]:
    return db.execute(query).fetchall()
