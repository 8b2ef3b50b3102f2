import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
import resource
import signal
import sqlite3
import stat
import sys
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.grid_telemetry.outbox.store import (
    Destination,
    Lane,
    Limits,
    Outbox,
    Record,
    StoredRecord,
    Trouble,
)

type Troubles = list[tuple[Trouble, str | None]]
type Make = Callable[..., Outbox]

WRITER = """
import asyncio, pathlib, sys
from custom_components.grid_telemetry.outbox.store import Destination, Limits, Outbox, Record

T = Destination("T")

async def main():
    outbox = Outbox(
        pathlib.Path(sys.argv[1]),
        limits=Limits(max_age_s=1e9, max_samples=10**9),
        on_trouble=lambda *_: None,
    )
    await outbox.open()
    number = 0
    while True:
        await outbox.put([Record(T, number, "x" * 300, 1), Record(T, number + 1, "y", 1)])
        number += 2
        print(number, flush=True)
        if number % 10 == 0:
            first = await outbox.next(1)
            await outbox.remove([first[0].id])

asyncio.run(main())
"""


T = Destination("T")


def record(number: int, samples: int = 1, body: str = "{}") -> Record:
    return Record(Destination("METRIC", "MAIN"), number, body, samples)


class Clocks:
    """The time of day and the monotonic clock, each set as a test wants."""

    def __init__(self) -> None:
        self.wall_s = 1_790_000_000.0
        self.monotonic_s = 1000.0

    def wall(self) -> float:
        return self.wall_s

    def monotonic(self) -> float:
        return self.monotonic_s

    def pass_time(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds

    def boot(self, seconds_off: float = 0) -> None:
        """Begin to count anew, as after a restart of the machine."""
        self.wall_s += seconds_off
        self.monotonic_s = 5.0


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "storage" / "outbox.db"


@pytest.fixture
def troubles() -> Troubles:
    return []


@pytest.fixture
async def make(path: Path, troubles: Troubles, clocks: Clocks) -> AsyncIterator[Make]:
    made: list[Outbox] = []

    def make(max_age_s: float = 86_400, max_samples: int = 1000, **limits: float) -> Outbox:
        outbox = Outbox(
            path,
            limits=Limits(
                max_age_s=max_age_s, max_samples=max_samples, **{"reopen_after_s": 0, **limits}
            ),
            on_trouble=lambda trouble, detail: troubles.append((trouble, detail)),
            wall=clocks.wall,
            monotonic=clocks.monotonic,
        )
        made.append(outbox)
        return outbox

    yield make
    for outbox in made:
        await outbox.close()


async def limit_pages(outbox: Outbox, more: int | None) -> None:
    """Let the disk be full after so many more pages of the database; None takes it away."""

    def limit() -> None:
        assert outbox._db is not None
        [pages] = outbox._db.execute("PRAGMA page_count").fetchone()
        outbox._db.execute(f"PRAGMA max_page_count = {2**30 if more is None else pages + more}")

    await outbox._run(limit)


def bodies(records: list[StoredRecord]) -> list[int]:
    return [stored.at_ms for stored in records]


async def test_records_come_out_in_the_order_they_were_put(make: Make) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([record(1, 3), record(2)])
    await outbox.put([Record(Destination("EVENT", "MAIN"), 3, '{"text":"é"}', 1)])
    found = await outbox.next(10)
    assert bodies(found) == [1, 2, 3]
    assert found[2] == StoredRecord(Destination("EVENT", "MAIN"), 3, '{"text":"é"}', 1, found[2].id)
    assert found[0].id < found[1].id < found[2].id == outbox.last_id
    assert (outbox.queued_records, outbox.queued_samples, outbox.oldest_at_ms) == (3, 5, 1)


async def test_an_answer_is_bound_by_number_and_by_ids_on_either_side(make: Make) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([record(number) for number in range(10)])
    ids = [stored.id for stored in await outbox.next(10)]
    assert bodies(await outbox.next(3)) == [0, 1, 2]
    assert bodies(await outbox.next(10, after_id=ids[6])) == [7, 8, 9]
    assert bodies(await outbox.next(10, before_id=ids[2])) == [0, 1]
    assert bodies(await outbox.next(10, after_id=ids[2], before_id=ids[5])) == [3, 4]
    assert await outbox.next(10, after_id=ids[9]) == []


async def test_each_lane_is_read_by_itself_from_the_file_and_from_memory(make: Make) -> None:
    outbox = make()
    await outbox.open()
    records = [Record(T, number, "x" * 5000, 1, lane=Lane(number % 3)) for number in range(9)]
    await outbox.put(records)
    assert bodies(await outbox.next(10, lane=Lane.MESSAGES)) == [0, 3, 6]
    assert bodies(await outbox.next(10)) == [1, 4, 7]
    found = await outbox.next(2, lane=Lane.HISTORY)
    assert bodies(found) == [2, 5]
    assert {stored.lane for stored in found} == {Lane.HISTORY}
    await limit_pages(outbox, 0)
    await outbox.put(records)
    newer = {"after_id": outbox.last_id - 9}
    assert bodies(await outbox.next(10, lane=Lane.MESSAGES, **newer)) == [0, 3, 6]
    assert bodies(await outbox.next(10, lane=Lane.SAMPLES, **newer)) == [1, 4, 7]


async def test_an_answer_is_bound_by_its_size(make: Make) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([record(number, body="x" * 400_000) for number in range(10)])
    assert bodies(await outbox.next(10)) == [0, 1, 2]


async def test_removed_records_are_counted_as_delivered(make: Make) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([record(number, 2) for number in range(6)])
    found = await outbox.next(10)
    await outbox.remove([found[0].id, found[1].id, found[4].id])
    assert bodies(await outbox.next(10)) == [2, 3, 5]
    assert (outbox.delivered_samples, outbox.queued_samples, outbox.oldest_at_ms) == (6, 6, 2)
    await outbox.remove([found[0].id])  # again, as after a lost connection
    assert outbox.delivered_samples == 6
    await outbox.remove([stored.id for stored in found])
    assert (outbox.queued_records, outbox.queued_samples, outbox.oldest_at_ms) == (0, 0, None)


async def test_a_restart_finds_records_and_counters(make: Make) -> None:
    first = make(max_samples=5)
    await first.open()
    await first.put([record(number) for number in range(7)])
    await first.remove([(await first.next(1))[0].id])
    await first.close()
    await first.close()

    second = make(max_samples=5)
    await second.open()
    assert bodies(await second.next(10)) == [3, 4, 5, 6]
    assert (second.queued_records, second.queued_samples, second.oldest_at_ms) == (4, 4, 3)
    assert (second.delivered_samples, second.dropped_samples) == (1, 2)


async def test_ids_rise_over_restarts_also_when_everything_was_removed(make: Make) -> None:
    first = make()
    await first.open()
    await first.put([record(1)])
    last_id = first.last_id
    await first.remove([last_id])
    await first.close()
    second = make()
    await second.open()
    await second.put([record(2)])
    assert second.last_id > last_id


async def test_an_id_is_not_used_again_for_a_newer_record(make: Make) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([record(1), record(2)])
    removed = outbox.last_id
    await outbox.remove([removed])
    await outbox.put([record(3)])
    assert [stored.at_ms for stored in await outbox.next(5, after_id=removed)] == [3]


async def test_above_the_number_the_oldest_are_dropped_and_counted(
    make: Make, troubles: Troubles
) -> None:
    outbox = make(max_samples=10)
    await outbox.open()
    await outbox.put([record(number, 3) for number in range(3)])
    assert troubles == []
    await outbox.put([record(3, 3), record(4, 1)])
    assert bodies(await outbox.next(10)) == [1, 2, 3, 4]
    assert (outbox.queued_samples, outbox.dropped_samples) == (10, 3)
    [(trouble, detail)] = troubles
    assert (trouble, detail) == (Trouble.FULL, "10")


async def test_of_too_many_samples_the_history_goes_first_whichever_was_there_first(
    make: Make, troubles: Troubles
) -> None:
    outbox = make(max_samples=10)
    await outbox.open()
    await outbox.put([record(number) for number in range(6)])
    history = [Record(T, number, "{}", 1, lane=Lane.HISTORY) for number in range(10, 20)]
    await outbox.put(history)
    assert bodies(await outbox.next(20)) == list(range(6))
    assert bodies(await outbox.next(20, lane=Lane.HISTORY)) == [16, 17, 18, 19]
    assert (outbox.queued_records, outbox.queued_samples, outbox.dropped_samples) == (10, 10, 6)
    assert [trouble for trouble, _ in troubles] == [Trouble.FULL]
    await outbox.put([record(number) for number in range(6, 12)])
    assert await outbox.next(20, lane=Lane.HISTORY) == []
    assert bodies(await outbox.next(20)) == list(range(2, 12))
    assert (outbox.queued_records, outbox.queued_samples, outbox.dropped_samples) == (10, 10, 12)


async def test_what_waited_too_long_makes_room_before_the_history_does(
    make: Make, clocks: Clocks
) -> None:
    outbox = make(max_age_s=3600, max_samples=4)
    await outbox.open()
    await outbox.put([record(0), record(1)])
    clocks.pass_time(3601)
    await outbox.put([Record(T, number, "{}", 1, lane=Lane.HISTORY) for number in range(3)])
    assert await outbox.next(10) == []
    assert bodies(await outbox.next(10, lane=Lane.HISTORY)) == [0, 1, 2]


async def test_a_full_outbox_is_well_again_when_enough_was_delivered(
    make: Make, troubles: Troubles
) -> None:
    outbox = make(max_samples=10)
    await outbox.open()
    await outbox.put([record(number) for number in range(12)])
    await outbox.remove([(await outbox.next(1))[0].id])
    assert [detail is None for _, detail in troubles] == [False]
    await outbox.remove([(await outbox.next(1))[0].id])
    assert [detail is None for _, detail in troubles] == [False, True]


async def test_what_waited_too_long_is_told_in_days_until_something_is_delivered(
    make: Make, clocks: Clocks, troubles: Troubles
) -> None:
    outbox = make(max_age_s=1.5 * 86_400)
    await outbox.open()
    await outbox.put([record(1)])
    clocks.pass_time(2 * 86_400)
    await outbox.put([record(2)])
    assert troubles == [(Trouble.TOO_OLD, "1.5")]
    await outbox.remove([(await outbox.next(1))[0].id])
    assert troubles[1:] == [(Trouble.TOO_OLD, None)]


async def test_records_that_waited_too_long_are_dropped(make: Make, clocks: Clocks) -> None:
    outbox = make(max_age_s=3600)
    await outbox.open()
    await outbox.put([record(1)])
    clocks.pass_time(1800)
    await outbox.put([record(2)])
    clocks.pass_time(1801)
    await outbox.put([record(3)])
    assert bodies(await outbox.next(10)) == [2, 3]
    await outbox.close()

    clocks.boot(seconds_off=7200)
    reopened = make(max_age_s=3600)
    await reopened.open()
    assert (reopened.queued_records, reopened.dropped_samples) == (2, 1)
    clocks.pass_time(3600)  # for so long the time of day has agreed with the other clock
    await reopened.put([record(4)])
    assert bodies(await reopened.next(10)) == [4]
    assert reopened.dropped_samples == 3


@pytest.mark.parametrize("jump_s", [366 * 86_400, -366 * 86_400])
async def test_a_clock_that_jumps_drops_nothing(make: Make, clocks: Clocks, jump_s: float) -> None:
    outbox = make(max_age_s=86_400, max_samples=10**6)
    await outbox.open()
    await outbox.put([record(number) for number in range(1000)])
    clocks.wall_s += jump_s
    for _ in range(10):  # also when it stays as it is for hours
        await outbox.put([record(2000)])
        clocks.pass_time(1000)
    clocks.wall_s -= jump_s
    await outbox.put([record(2001)])
    assert (outbox.queued_records, outbox.dropped_samples) == (1011, 0)
    assert outbox.oldest_at_ms == 0


async def test_a_record_of_the_future_keeps_its_time_and_lets_the_others_age(
    make: Make, clocks: Clocks
) -> None:
    outbox = make(max_age_s=3600)
    await outbox.open()
    clocks.wall_s += 366 * 86_400
    await outbox.put([record(round(clocks.wall_s * 1000))])
    clocks.wall_s -= 366 * 86_400
    await outbox.put([record(1)])
    assert [each.at_ms for each in await outbox.next(10)] == [
        round((clocks.wall_s + 366 * 86_400) * 1000),
        1,
    ]
    clocks.pass_time(3601)
    await outbox.put([record(2)])
    assert bodies(await outbox.next(10)) == [2]


@pytest.mark.parametrize("wrong_by_s", [366 * 86_400, -366 * 86_400])
async def test_a_wrong_clock_at_the_start_that_is_soon_set_right_drops_nothing(
    make: Make, clocks: Clocks, wrong_by_s: float
) -> None:
    first = make(max_age_s=86_400)
    await first.open()
    await first.put([record(1)])
    await first.close()
    clocks.boot(seconds_off=60 + wrong_by_s)
    second = make(max_age_s=86_400)
    await second.open()
    clocks.pass_time(600)
    await second.put([record(2)])
    await second.close()  # the time it was off is not lost with another restart
    clocks.boot(seconds_off=60 - wrong_by_s)
    third = make(max_age_s=86_400)
    await third.open()
    for _ in range(5):
        clocks.pass_time(1000)
        await third.put([record(3)])
    assert (third.queued_records, third.dropped_samples) == (7, 0)
    clocks.pass_time(86_400 - 5000 - 700)
    await third.put([record(4)])
    assert (third.queued_records, third.dropped_samples) == (7, 1)


async def test_old_data_that_is_queued_now_is_kept(make: Make, clocks: Clocks) -> None:
    outbox = make(max_age_s=3600)
    await outbox.open()
    await outbox.put([record(0)])  # of 1970, from a backfill
    clocks.pass_time(60)
    await outbox.put([record(1)])
    assert bodies(await outbox.next(10)) == [0, 1]


async def test_clearing_drops_everything_and_says_how_much(
    make: Make, path: Path, troubles: Troubles
) -> None:
    outbox = make(max_samples=10)
    await outbox.open()
    await outbox.put([record(number, 2) for number in range(6)])
    assert await outbox.clear() == 10
    assert (outbox.queued_samples, outbox.dropped_samples, outbox.oldest_at_ms) == (0, 12, None)
    assert troubles[-1] == (Trouble.FULL, None)
    await outbox.put([record(9)])
    assert bodies(await outbox.next(10)) == [9]
    await outbox.close()
    reopened = make()
    await reopened.open()
    assert (reopened.queued_samples, reopened.dropped_samples) == (1, 12)


async def test_the_file_and_its_company_are_for_the_owner_only(make: Make, path: Path) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([record(1)])
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"outbox.db", "outbox.db-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_the_file_gives_pages_back_when_it_is_opened(make: Make, path: Path) -> None:
    first = make(max_samples=100_000)
    await first.open()
    await first.put([record(number, body="x" * 1000) for number in range(5000)])
    await first.remove([stored.id for stored in await first.next(5000)])
    while found := await first.next(5000):
        await first.remove([stored.id for stored in found])
    await first.close()
    assert path.stat().st_size > 5_000_000
    second = make()
    await second.open()
    await second.close()
    assert path.stat().st_size < 100_000


async def test_kill_9_loses_nothing_that_was_put(make: Make, path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    acknowledged = 0
    while acknowledged < 300:
        acknowledged = int(await process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    while line := await process.stdout.readline():
        acknowledged = int(line)
    await process.wait()

    outbox = make(max_samples=10**6)
    await outbox.open()
    found = [stored.at_ms for stored in await outbox.next(10_000)]
    removed = outbox.delivered_samples
    assert removed in {acknowledged // 10, acknowledged // 10 - 1}
    assert found == list(range(removed, removed + len(found)))
    assert found[-1] >= acknowledged - 1


async def test_a_full_disk_is_a_trouble_and_the_records_are_held_in_memory(
    make: Make, troubles: Troubles, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = make(max_samples=10**6)
    await outbox.open()
    await outbox.put([record(0, body="x" * 5000)])
    await limit_pages(outbox, 1)
    for number in range(1, 10):
        await outbox.put([record(number, body="x" * 5000)])
    assert bodies(await outbox.next(1)) == [0]
    assert [trouble for trouble, _ in troubles] == [Trouble.UNWRITABLE]
    assert "full" in (troubles[0][1] or "")
    assert len(caplog.records) == 1

    assert outbox.queued_records == 10
    seen: list[int] = []
    last = 0
    while found := await outbox.next(4, after_id=last):
        seen += bodies(found)
        last = found[-1].id
    assert seen == list(range(10))


async def test_what_was_held_is_written_in_order_when_there_is_room_again(
    make: Make, troubles: Troubles
) -> None:
    outbox = make(max_samples=10**6)
    await outbox.open()
    await limit_pages(outbox, 0)
    for number in range(5):
        await outbox.put([record(number, body="x" * 5000)])
    await limit_pages(outbox, None)
    await outbox.put([record(5)])
    assert troubles[-1] == (Trouble.UNWRITABLE, None)
    await outbox.close()
    reopened = make()
    await reopened.open()
    assert bodies(await reopened.next(10)) == [0, 1, 2, 3, 4, 5]


async def test_memory_is_bound_while_the_disk_is_full(make: Make) -> None:
    outbox = make(max_samples=10**6, max_held_samples=10)
    await outbox.open()
    await limit_pages(outbox, 0)
    for number in range(8):
        await outbox.put([record(number, 3, body="x" * 5000)])
    held = bodies(await outbox.next(100))
    assert held == [5, 6, 7]
    assert (outbox.queued_samples, outbox.dropped_samples) == (9, 15)


async def test_memory_too_gives_up_the_history_first(make: Make) -> None:
    outbox = make(max_samples=10**6, max_held_samples=10)
    await outbox.open()
    await limit_pages(outbox, 0)
    await outbox.put([record(number, body="x" * 5000) for number in range(8)])
    await outbox.put([Record(T, number, "x", 1, lane=Lane.HISTORY) for number in range(8)])
    assert bodies(await outbox.next(100)) == list(range(8))
    assert bodies(await outbox.next(100, lane=Lane.HISTORY)) == [6, 7]
    assert (outbox.queued_samples, outbox.dropped_samples) == (10, 6)


async def test_held_records_can_be_delivered_without_the_disk(make: Make) -> None:
    outbox = make(max_samples=10**6)
    await outbox.open()
    await limit_pages(outbox, 0)
    await outbox.put([record(number, 2, body="x" * 5000) for number in range(3)])
    found = await outbox.next(2)
    await outbox.remove([stored.id for stored in found])
    assert (outbox.delivered_samples, outbox.queued_samples) == (4, 2)
    assert bodies(await outbox.next(10)) == [2]


@contextmanager
def failing_disk() -> Iterator[None]:
    """Let every write fail as on a broken disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, limits[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


async def test_records_delivered_while_the_file_cannot_be_written_are_not_sent_again(
    make: Make, troubles: Troubles
) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([record(number) for number in range(4)])
    found = await outbox.next(2)
    with failing_disk():
        await outbox.remove([stored.id for stored in found])
        assert [trouble for trouble, _ in troubles] == [Trouble.UNWRITABLE]
        assert bodies(await outbox.next(10)) == [2, 3]
    await outbox.put([record(4)])
    assert troubles[-1] == (Trouble.UNWRITABLE, None)
    assert outbox.delivered_samples == 2
    assert bodies(await outbox.next(10)) == [2, 3, 4]


async def test_of_two_writers_one_holds_its_records_until_the_other_has_gone(
    make: Make, troubles: Troubles
) -> None:
    first, second = make(), make()
    await first.open()
    await second.open()
    for number in range(0, 20, 2):
        await first.put([record(number)])
        await second.put([record(number + 1)])
        if number == 0:
            assert troubles == [(Trouble.UNWRITABLE, "database is locked")]
            [held] = await second.next(10)
    await first.close()
    await second.remove([held.id])  # which has got another id by now
    await second.put([record(100)])
    assert troubles[-1] == (Trouble.UNWRITABLE, None)
    assert second.generation == 1
    found = await second.next(1000)
    assert sorted(bodies(found)) == [0, *range(2, 20), 100]
    assert [stored.id for stored in found] == sorted({stored.id for stored in found})


async def test_what_is_in_a_file_that_fails_to_be_written_can_still_be_read(
    make: Make, troubles: Troubles
) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([record(number) for number in range(3)])
    with failing_disk():
        await outbox.put([record(3, body="x" * 50_000)])
        await outbox.put([record(4)])
        assert [trouble for trouble, _ in troubles] == [Trouble.UNWRITABLE]
        assert bodies(await outbox.next(10)) == [0, 1, 2]
        assert bodies(await outbox.next(10, after_id=outbox.last_id - 2)) == [3, 4]
    await outbox.put([record(5)])
    assert troubles[-1] == (Trouble.UNWRITABLE, None)
    assert bodies(await outbox.next(10)) == [0, 1, 2, 3, 4, 5]


async def test_an_answer_without_what_is_in_the_file_is_told_apart(
    make: Make, troubles: Troubles
) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([record(1)])
    assert outbox.failed_reads == 0
    with patch.object(outbox, "_on_file", side_effect=sqlite3.OperationalError("disk I/O error")):
        assert await outbox.next(10) == []
    assert outbox.failed_reads == 1
    assert troubles == [(Trouble.UNREADABLE, "disk I/O error")]
    assert bodies(await outbox.next(10)) == [1]
    assert outbox.failed_reads == 1


@pytest.mark.parametrize(("kind", "body"), [("T\ud83d", "{}"), ("T", '"\udd25"')])
async def test_text_that_is_not_unicode_is_refused_and_does_no_harm(
    make: Make, troubles: Troubles, kind: str, body: str
) -> None:
    outbox = make()
    await outbox.open()
    with pytest.raises(ValueError, match="surrogates"):
        await outbox.put([record(1), Record(Destination(kind), 2, body, 1)])
    assert outbox.queued_records == 0
    await outbox.put([record(3)])
    assert bodies(await outbox.next(10)) == [3]
    assert troubles == []


async def test_a_place_that_cannot_be_written_at_all_leaves_the_memory(
    make: Make, path: Path, troubles: Troubles, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.write_text("a file where the directory should be")
    outbox = make()
    await outbox.open()
    await outbox.put([record(1)])
    assert bodies(await outbox.next(10)) == [1]
    assert [trouble for trouble, _ in troubles] == [Trouble.UNWRITABLE]

    path.parent.unlink()
    await outbox.put([record(2)])
    assert troubles[-1] == (Trouble.UNWRITABLE, None)
    assert bodies(await outbox.next(10)) == [1, 2]
    await outbox.close()
    assert path.exists()
    assert "lost" not in caplog.text


async def test_what_is_still_in_memory_at_the_end_is_said_to_be_lost(
    make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.write_text("a file where the directory should be")
    outbox = make()
    await outbox.open()
    await outbox.put([record(1, 7)])
    await outbox.close()
    assert "7 samples held in memory are lost" in caplog.text


async def test_a_file_that_is_no_database_is_set_aside_and_named(
    make: Make, path: Path, troubles: Troubles, freezer: FrozenDateTimeFactory
) -> None:
    freezer.move_to("2026-03-01T12:00:00Z")
    path.parent.mkdir()
    path.write_bytes(b"this is no database at all" * 1000)
    outbox = make()
    await outbox.open()
    name = "outbox.db.corrupt-20260301T120000Z"
    assert troubles == [(Trouble.CORRUPT, name)]
    assert (path.parent / name).read_bytes().startswith(b"this is no")
    await outbox.put([record(1)])
    assert bodies(await outbox.next(10)) == [1]
    await outbox.close()

    # as long as it lies there, it is told of
    troubles.clear()
    reopened = make()
    await reopened.open()
    assert troubles == [(Trouble.CORRUPT, name)]
    await reopened.close()
    (path.parent / name).unlink()
    troubles.clear()
    again = make()
    await again.open()
    assert troubles == []


async def test_a_file_that_gets_damaged_while_in_use_is_set_aside(
    make: Make, path: Path, troubles: Troubles
) -> None:
    outbox = make()
    await outbox.open()
    await outbox.put([record(number, body="x" * 5000) for number in range(100)])
    await outbox.close()
    data = bytearray(path.read_bytes())
    for page in range(5 * 4096, len(data), 4096):
        data[page : page + 200] = b"\xff" * 200
    path.write_bytes(data)

    damaged = make()
    await damaged.open()
    await damaged.put([record(200)])
    await damaged.next(1000)
    assert [trouble for trouble, _ in troubles] == [Trouble.CORRUPT]
    await damaged.put([record(201)])
    assert bodies(await damaged.next(1000))[-1] == 201
    assert len([file for file in path.parent.iterdir() if "corrupt" in file.name]) >= 1


async def test_the_side_files_are_set_aside_too(make: Make, path: Path) -> None:
    path.parent.mkdir()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").write_bytes(b"no database" * 1000)
    outbox = make()
    await outbox.open()
    names = {file.name.partition("Z")[2] for file in path.parent.iterdir() if "corr" in file.name}
    assert names >= {""}
    await outbox.put([record(1)])
    assert bodies(await outbox.next(10)) == [1]


async def test_a_cancelled_put_does_not_disturb_the_next(make: Make) -> None:
    outbox = make()
    await outbox.open()
    task = asyncio.create_task(outbox.put([record(1)]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await outbox.put([record(2)])
    assert bodies(await outbox.next(10))[-1] == 2
