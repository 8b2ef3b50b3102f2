"""The publisher's end of TSSC."""

from collections.abc import Iterable, Iterator
from typing import Final

from ..constants import MAX_PACKET
from ..measurement import Frame
from .block import Block
from .row import CHANGE_BYTES, VALUE_BYTES, Row, told_by
from .state import HEADER, MAX_COUNT, VERSION, Point, Times

type _Item = tuple[int, Point, int, int, int, int]
"""Signal index and its point, ticks, state flags, by what the value is told, its difference."""

# A block is closed when fewer bytes than this are left in it; the longest measurement needs less.
_RESERVE: Final = 100


class TsscEncoder:
    """One for all subscribers who get the same blocks."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the state: any decoder can start with the next block, whose sequence is 0."""
        self._sequence = 0
        self._points: dict[int, Point] = {}
        self._last = Point(0)
        self._times = Times()
        self._before: Frame | None = None
        self._row: Row | None = None

    def encode(
        self, frames: Iterable[Frame], limit: int = MAX_PACKET
    ) -> Iterator[tuple[bytes, int]]:
        """Yield blocks of at most limit bytes, header included, each with its number of samples."""
        block = self._block()
        room = limit - _RESERVE
        for frame in frames:
            needs = CHANGE_BYTES + VALUE_BYTES * len(frame)
            if needs < room and (row := self._row_of(frame)) is not None:
                if len(block.data) + needs > room or block.count + len(frame) > MAX_COUNT:
                    yield self._close(block)
                    block = self._block()
                self._last = row.encode(block, self._last, self._times, frame)
                block.count += len(frame)
                continue
            items = self._items(frame)
            while self._fill(block, items, room):
                if len(block.data) > room or block.count == MAX_COUNT:
                    yield self._close(block)
                    block = self._block()
        if block.count:
            yield self._close(block)

    def _block(self) -> Block:
        return Block(HEADER.pack(VERSION, self._sequence))

    def _close(self, block: Block) -> tuple[bytes, int]:
        self._sequence = self._sequence % 0xFFFF + 1
        return block.close(self._last), block.count

    def _row_of(self, frame: Frame) -> Row | None:
        """Return the row that a frame can be encoded with, when it follows one of its kind."""
        row, before = self._row, self._before
        self._before = frame
        if row is not None:
            if row.fits(frame):
                return row
            row.leave()
            self._row = None
        if (
            before is None
            or frame.indexes is not before.indexes
            or frame.time is None
            or frame.state is None
        ):
            return None
        points = [self._points[index] for index in frame.indexes]
        if len(set(frame.indexes)) < len(frame) or any(
            point.flags1 != frame.state for point in points
        ):
            # A signal twice, or other flags before.
            return None
        self._row = Row(frame.indexes, points, frame.state)
        return self._row

    def _items(self, frame: Frame) -> Iterator[_Item]:
        """Return the measurements of a frame one by one, with what is known of their signals."""
        if self._row is not None:
            self._row.leave()
            self._row = None
        known = self._points
        points: list[Point] = []
        for index in frame.indexes:
            if (point := known.get(index)) is None:
                point = known[index] = Point(index + 1)
            points.append(point)
        return zip(
            frame.indexes,
            points,
            frame.times,
            frame.flags,
            *told_by(points, frame.bits),
            strict=True,
        )

    def _fill(self, block: Block, items: Iterator[_Item], room: int) -> int:
        """Put measurements into a block until it is full; return how many."""
        times, last, count = self._times, self._last, 0
        most = MAX_COUNT - block.count
        for index, point, time, flags, told, difference in items:
            if last.next_id != index or times.last != time or point.flags1 != flags:
                block.put_changes(last, index, times, time, point, flags)
            block.put_value(last, told, difference)
            last = point
            count += 1
            if len(block.data) > room or count == most:
                break
        self._last = last
        block.count += count
        return count
