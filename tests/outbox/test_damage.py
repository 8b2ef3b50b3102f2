"""Damaged, foreign and read-only files, and copies that are made while an outbox is written to."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import random
import shutil
import sqlite3
import subprocess
from unittest.mock import patch

import pytest

from custom_components.grid_telemetry.outbox.store import (
    Destination,
    Lane,
    Limits,
    Mark,
    Outbox,
    OutboxClosedError,
    OutboxError,
    Record,
    Trouble,
)

type Open = Callable[..., object]

METRIC = Destination("METRIC", "MAIN")
RECORDS = 2000


@pytest.fixture
def troubles() -> dict[Trouble, str | None]:
    return {}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
async def make(
    path: Path, troubles: dict[Trouble, str | None]
) -> AsyncIterator[Callable[[], Outbox]]:
    made: list[Outbox] = []

    def make(where: Path = path) -> Outbox:
        made.append(
            Outbox(
                where,
                limits=Limits(max_age_s=1e9, max_samples=10**9, reopen_after_s=0),
                on_trouble=lambda trouble, detail: troubles.update({trouble: detail}),
            )
        )
        return made[-1]

    yield make
    for outbox in made:
        await outbox.close()


async def fill(outbox: Outbox, records: int = RECORDS) -> None:
    await outbox.open()
    await outbox.put(
        [Record(METRIC, number, f'{{"number":{number}}}' * 4, 1) for number in range(records)]
    )


async def drain(outbox: Outbox) -> set[int]:
    """Deliver everything that can be read."""
    seen: set[int] = set()
    for lane in Lane:
        last = 0
        while found := await outbox.next(500, lane=lane, after_id=last):
            for record in found:
                assert record.body == f'{{"number":{record.at_ms}}}' * 4
            seen |= {record.at_ms for record in found}
            last = found[-1].id
            await outbox.remove([record.id for record in found])
    return seen


def flip(path: Path, dice: random.Random, *, first: int = 0) -> None:
    with path.open("r+b") as file:
        size = path.stat().st_size
        place = dice.randrange(first, size)
        file.seek(place)
        [byte] = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << dice.randrange(8)]))


async def test_a_body_that_is_no_text_any_more_is_set_aside_and_the_others_go_out(
    make: Callable[[], Outbox], path: Path, troubles: dict[Trouble, str | None]
) -> None:
    outbox = make()
    await fill(outbox, 626)
    await outbox.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE record SET body = x'fffe' WHERE id = 300")
    db.commit()
    db.close()
    again = make()
    await again.open()
    assert await drain(again) == set(range(626)) - {299}
    assert (again.queued_records, again.damaged_samples, again.dropped_samples) == (0, 1, 1)
    assert troubles == {Trouble.DAMAGED: "1 records"}
    await again.close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT id, body FROM damaged").fetchall() == [(300, b"\xff\xfe")]
    db.close()


@pytest.mark.parametrize("seed", range(25))
async def test_a_flipped_bit_costs_a_few_records_at_the_most_and_strands_none(
    make: Callable[[], Outbox], path: Path, tmp_path: Path, seed: int
) -> None:
    outbox = make()
    await fill(outbox, 1000)
    await outbox.close()
    flip(path, random.Random(seed), first=100)  # behind the header
    again = make()
    await again.open()
    await again.put([Record(METRIC, 5000, '{"number":5000}' * 4, 1)])
    seen = await drain(again)
    await again.verify()
    seen |= await drain(again)
    assert again.queued_records == 0
    assert 5000 in seen
    in_schema = seen == {5000}  # nothing can be read without it
    assert len(seen) >= 1001 - 60 or in_schema
    assert again.delivered_samples + again.dropped_samples >= 1001 or in_schema


async def test_what_can_be_read_of_a_damaged_file_is_taken_over(
    make: Callable[[], Outbox], path: Path, troubles: dict[Trouble, str | None]
) -> None:
    outbox = make()
    await fill(outbox, 5000)
    await outbox.put([Record(METRIC, 1, "{}", 1, mark=Mark("alarm", "on"))])
    await outbox.remove([outbox.last_id])
    await outbox.refuse([1], "no")
    await outbox.close()
    data = bytearray(path.read_bytes())
    pages = range(10 * 4096, len(data), 40 * 4096)
    for page in pages:
        data[page : page + 100] = b"\xff" * 100
    path.write_bytes(data)
    again = make()
    await again.open()
    assert (troubles[Trouble.CORRUPT] or "").startswith("outbox.db.corrupt-")
    await again.put([Record(METRIC, 6000, '{"number":6000}' * 4, 1)])
    seen = await drain(again)
    assert len(seen) > 5000 - 70 * len(pages)
    assert len(seen) + again.damaged_samples == 5000
    assert again.delivered_samples == len(seen) + 1
    assert (again.marks, again.refused_records) == ({"alarm": "on"}, 1)
    [refused] = await again.refused(10)
    assert (refused.at_ms, refused.reason) == (0, "no")


async def test_what_the_disk_does_not_take_over_is_taken_over_when_it_does(
    make: Callable[[], Outbox], path: Path
) -> None:
    outbox = make()
    await fill(outbox, 1000)
    await outbox.close()
    again = make()
    await again.open()
    data = bytearray(path.read_bytes())
    data[10 * 4096 : 10 * 4096 + 100] = b"\xff" * 100
    path.write_bytes(data)
    failing = sqlite3.OperationalError("disk I/O error")
    with patch(f"{Outbox.__module__}.write_state", side_effect=failing):
        for number in range(6000, 6003):
            await again.put([Record(METRIC, number, f'{{"number":{number}}}' * 4, 1)])
    assert (again.damaged_samples, again.dropped_samples) == (0, 0)
    seen = await drain(again)
    assert len(seen) > 900
    assert len(seen) + again.damaged_samples == 1003
    assert again.delivered_samples == len(seen)


@pytest.mark.parametrize("what", ["later version", "another program's"])
async def test_a_foreign_file_is_set_aside_and_holds_nothing_up(
    make: Callable[[], Outbox], path: Path, troubles: dict[Trouble, str | None], what: str
) -> None:
    if what == "later version":
        outbox = make()
        await fill(outbox, 10)
        await outbox.close()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE other (x)")
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()
    again = make()
    await again.open()
    name = troubles[Trouble.FOREIGN]
    assert name is not None
    assert path.with_name(name).exists()
    await again.put([Record(METRIC, 20, '{"number":20}' * 4, 1)])
    assert Trouble.UNWRITABLE not in troubles
    # What this version understands of it is delivered all the same.
    assert await drain(again) == {20} | (set(range(10)) if what == "later version" else set())


async def test_a_file_of_the_first_version_is_taken_over(
    make: Callable[[], Outbox], path: Path, troubles: dict[Trouble, str | None]
) -> None:
    db = sqlite3.connect(path)
    db.executescript(
        """
        CREATE TABLE record (id INTEGER PRIMARY KEY, topic TEXT NOT NULL, at_ms INTEGER NOT NULL,
            samples INTEGER NOT NULL, lane INTEGER NOT NULL, queued_at INTEGER NOT NULL,
            body TEXT NOT NULL);
        CREATE INDEX record_by_lane ON record (lane);
        CREATE TABLE total (delivered INTEGER NOT NULL, dropped INTEGER NOT NULL);
        INSERT INTO total VALUES (7, 3);
        INSERT INTO record VALUES (5, 'METRIC/a/b', 9, 2, 1, 1790000000, '{"é":1}');
        PRAGMA user_version = 1;
        """
    )
    db.close()
    outbox = make()
    await outbox.open()
    [record] = await outbox.next(10)
    assert record.destination == Destination("METRIC", "a/b")
    assert (record.id, record.at_ms, record.samples, record.body) == (5, 9, 2, '{"é":1}')
    assert (outbox.delivered_samples, outbox.dropped_samples, outbox.last_id) == (7, 3, 5)
    assert troubles == {}


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a file system read-only, which takes root."""
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "none", folder], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("a file system can be mounted by root only")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "killed"])
async def test_a_backlog_on_a_disk_that_is_read_only_at_the_start_is_delivered(
    make: Callable[..., Outbox], disk: Path, troubles: dict[Trouble, str | None], closed: bool
) -> None:
    path = disk / "outbox.db"
    before = make(path)
    await fill(before, 200)
    if closed:
        await before.close()
    else:  # as it lies there after a power cut
        copy = disk / "copy"
        copy.mkdir()
        for file in disk.glob("outbox.db*"):
            shutil.copy(file, copy)
        path = copy / "outbox.db"
        await before.close()
    outbox = make(path)
    with read_only(disk):
        await outbox.open()
        await outbox.put([Record(METRIC, 300, '{"number":300}' * 4, 1)])
        seen = {record.at_ms for record in await outbox.next(100)}
        assert seen == set(range(100))
        assert Trouble.UNREADABLE not in troubles
        assert troubles[Trouble.UNWRITABLE]
        await outbox.remove([record.id for record in await outbox.next(100)])
        assert [record.at_ms for record in await outbox.next(1)] == [100]
    await outbox.put([Record(METRIC, 301, '{"number":301}' * 4, 1)])
    assert troubles[Trouble.UNWRITABLE] is None
    assert await drain(outbox) == {*range(100, 200), 300, 301}
    assert outbox.delivered_samples == 202


async def test_a_copy_made_file_by_file_while_it_drains_is_whole(
    make: Callable[..., Outbox], path: Path, tmp_path: Path
) -> None:
    outbox = make()
    await fill(outbox, 20_000)
    for number in range(10):
        target = tmp_path / str(number)
        target.mkdir()
        await outbox.hold_checkpoints(hold=True)
        shutil.copy(path, target)
        for _ in range(8):  # the file goes on to be drained, and then the -wal is copied
            found = await outbox.next(200)
            await outbox.remove([record.id for record in found])
            await outbox.put([Record(METRIC, 1, '{"number":1}' * 4, 1)])
        shutil.copy(f"{path}-wal", target)
        await outbox.hold_checkpoints(hold=False)
        restored = make(target / "outbox.db")
        await restored.open()
        assert restored.queued_records == outbox.queued_records
        assert len(await restored.next(100)) == 100
        await restored.close()
        assert list(target.glob("*.corrupt-*")) == []


async def test_clearing_and_closing_during_a_backup_leave_the_file_as_it_is(
    make: Callable[..., Outbox], path: Path
) -> None:
    outbox = make()
    await fill(outbox, 100)
    await outbox.hold_checkpoints(hold=True)
    before = path.read_bytes()
    assert await outbox.clear() == 100
    await outbox.put([Record(METRIC, 1, "{}", 1)])
    await outbox.close()
    assert path.read_bytes() == before
    again = make()
    await again.open()
    assert (again.queued_records, again.dropped_samples) == (1, 100)


async def test_a_backup_that_finds_a_foreign_file_sets_it_aside(
    make: Callable[..., Outbox], path: Path, troubles: dict[Trouble, str | None]
) -> None:
    """A backup can come to an outbox before it was opened."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE other (x)")
    db.close()
    outbox = make()
    await outbox.hold_checkpoints(hold=True)
    assert Trouble.FOREIGN in troubles
    await outbox.open(checkpoints=False)
    before = path.read_bytes()
    await outbox.put([Record(METRIC, 1, "{}", 1)])
    assert outbox.queued_records == 1
    assert path.read_bytes() == before


async def test_a_closed_outbox_says_so(make: Callable[..., Outbox]) -> None:
    outbox = make()
    await outbox.open()
    await outbox.close()
    for use in (
        outbox.put([Record(METRIC, 1, "{}", 1)]),
        outbox.clear(),
        outbox.refused(1),
        outbox.retry_refused(),
    ):
        with pytest.raises(OutboxClosedError):
            await use


async def test_refused_records_are_bounded_and_cannot_be_had_from_a_broken_disk(
    tmp_path: Path,
) -> None:
    outbox = Outbox(
        tmp_path / "outbox.db",
        limits=Limits(
            max_age_s=1e9,
            max_samples=10**6,
            max_refused_records=3,
            max_refused_bytes=1000,
            reopen_after_s=0,
        ),
        on_trouble=lambda *_: None,
    )
    await outbox.open()
    await outbox.put([Record(METRIC, number, "x" * 10, 2) for number in range(5)])
    await outbox.refuse([record.id for record in await outbox.next(5)], "no")
    assert [each.at_ms for each in await outbox.refused(10)] == [4, 3, 2]
    assert (outbox.refused_records, outbox.dropped_samples) == (3, 4)
    await outbox.put([Record(METRIC, 9, "x" * 999, 2)])
    await outbox.refuse([record.id for record in await outbox.next(1)], "no")
    assert [each.at_ms for each in await outbox.refused(10)] == [9]
    assert outbox.queued_samples == 0
    await outbox.close()
    again = Outbox(
        tmp_path / "no folder" / "outbox.db",
        limits=Limits(max_age_s=1e9, max_samples=10**6),
        on_trouble=lambda *_: None,
    )
    (tmp_path / "no folder").write_text("a file")
    await again.open()
    with pytest.raises(OutboxError):
        await again.refused(1)
    await again.close()


async def test_what_was_refused_and_is_queued_again_tells_how_old_it_is(
    make: Callable[..., Outbox],
) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([Record(METRIC, 7, "{}", 1)])
    await outbox.refuse([record.id for record in await outbox.next(1)], "no")
    assert outbox.oldest_at_ms is None
    assert await outbox.retry_refused() == 1
    assert outbox.oldest_at_ms == 7


async def test_a_refused_record_that_is_damaged_is_counted_when_it_should_be_sent_again(
    make: Callable[..., Outbox], path: Path, troubles: dict[Trouble, str | None]
) -> None:
    outbox = make()
    await fill(outbox, 3)
    await outbox.refuse([record.id for record in await outbox.next(3)], "no")
    await outbox.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE refused SET body = x'fffe' WHERE id = 2")
    db.commit()
    db.close()
    again = make()
    await again.open()
    assert await again.retry_refused() == 2
    assert (again.refused_records, again.queued_samples) == (0, 2)
    assert (again.damaged_samples, again.dropped_samples) == (1, 1)
    assert troubles == {Trouble.DAMAGED: "1 records"}
    assert await drain(again) == {0, 2}
    await again.close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT id, body FROM damaged").fetchall() == [(2, b"\xff\xfe")]
    db.close()


async def test_a_flipped_bit_in_the_time_of_a_record_is_not_taken_for_how_old_it_is(
    make: Callable[..., Outbox], path: Path
) -> None:
    outbox = make()
    await fill(outbox, 4)
    await outbox.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE record SET at_ms = 1 << 60 WHERE id = 1")
    db.execute("UPDATE record SET at_ms = 'x' WHERE id = 2")
    db.commit()
    db.close()
    again = make()
    await again.open()
    assert again.oldest_at_ms == 2
    assert await drain(again) == {2, 3}


async def test_what_the_disk_does_not_take_is_not_counted_as_dropped(
    make: Callable[..., Outbox], path: Path
) -> None:
    outbox = make()
    await fill(outbox, 3)
    await outbox.refuse([record.id for record in await outbox.next(1)], "no")
    await outbox.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE record SET body = x'fffe' WHERE id = 2")
    db.commit()
    db.close()
    again = make()
    await again.open()
    failing = sqlite3.OperationalError("disk I/O error")
    with patch(f"{Outbox.__module__}.write_state", side_effect=failing):
        for _ in range(2):
            assert [record.at_ms for record in await again.next(5)] == [2]
            with pytest.raises(OutboxError):
                await again.delete_refused()
    assert (again.damaged_samples, again.dropped_samples) == (0, 0)
    assert [record.at_ms for record in await again.next(5)] == [2]
    assert await again.delete_refused() == 1
    assert (again.damaged_samples, again.dropped_samples) == (1, 2)


@pytest.mark.parametrize("in_backup", [False, True])
async def test_clearing_drops_what_was_refused_as_well(
    make: Callable[..., Outbox], in_backup: bool
) -> None:
    outbox = make()
    await fill(outbox, 5)
    await outbox.refuse([1, 2], "no")
    await outbox.hold_checkpoints(hold=in_backup)
    assert await outbox.clear() == 5
    assert (outbox.refused_records, outbox.queued_samples, outbox.dropped_samples) == (0, 0, 5)
    await outbox.close()
    again = make()
    await again.open()
    assert (again.refused_records, again.dropped_samples) == (0, 5)


async def test_clearing_a_file_that_cannot_be_read_drops_what_is_known_to_wait(
    make: Callable[..., Outbox], path: Path
) -> None:
    outbox = make()
    path.mkdir()
    await outbox.open()
    await outbox.put([Record(METRIC, 1, "{}", 1)])
    path.rmdir()
    path.symlink_to(path.with_name("loop"))
    path.with_name("loop").symlink_to(path)
    assert await outbox.clear() == 1
    assert outbox.dropped_samples == 1


async def test_clearing_that_fails_loses_nothing_of_what_is_held(
    make: Callable[..., Outbox],
) -> None:
    outbox = make()
    await fill(outbox, 2)
    failing = sqlite3.OperationalError("disk I/O error")
    with patch(f"{Outbox.__module__}.write_state", side_effect=failing):
        await outbox.put([Record(METRIC, 2, '{"number":2}' * 4, 1)])
        with (
            patch.object(Path, "unlink", side_effect=OSError("read-only")),
            pytest.raises(OutboxError),
        ):
            await outbox.clear()
        assert (outbox.queued_samples, outbox.dropped_samples) == (3, 0)
    assert await drain(outbox) == {0, 1, 2}


async def test_marks_are_kept_with_what_told_them(make: Callable[..., Outbox]) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([Record(METRIC, 1, "{}", 1, mark=Mark("a", value)) for value in ("on", "off")])
    await outbox.put([Record(METRIC, 1, "{}", 1, mark=Mark("b", "on"))])
    assert (outbox.marks, await outbox.awaited_marks()) == ({}, {"a": "off", "b": "on"})
    first, second, third = await outbox.next(3)
    await outbox.remove([first.id, second.id])
    await outbox.refuse([third.id], "no")
    await outbox.close()
    again = make()
    await again.open()
    assert (again.marks, await again.awaited_marks()) == ({"a": "off"}, {"b": "on"})
    await again.clear()
    assert (again.marks, await again.awaited_marks()) == ({"a": "off"}, {})
