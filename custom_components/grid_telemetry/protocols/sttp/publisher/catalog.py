"""What a publisher has on offer: metadata, signals, and what filter expressions select of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Final
from uuid import UUID

from .. import dataset
from ..cache import SignalKey
from ..dataset import Table
from ..filter import Names, select
from ..frames import deflate
from ..metadata import MeasurementDetail, Metadata

# Whoever asks waits this many times as long as the work took: a fifth of the time at most goes
# into questions, however many ask.
_REST: Final = 4
_LONGEST_REST_S: Final = 1.0


class Catalog:
    """Metadata in the forms that subscribers ask for.

    A signal keeps its index for as long as the catalog lives, even while it is not in the metadata:
    what subscribers know stays true.
    """

    def __init__(self) -> None:
        self.indexes: dict[int, int] = {}
        """Signal index by the integer of the signal ID."""
        self._ever: dict[int, int] = {}
        self._keys: dict[int, SignalKey] = {}
        self._busy = asyncio.Lock()
        self.define(Metadata())

    def define(self, metadata: Metadata) -> None:
        """Take other metadata."""
        self.indexes = {
            signal.signal_id.int: self._ever.setdefault(signal.signal_id.int, len(self._ever))
            for signal in metadata.measurements
        }
        self._keys = {
            self.indexes[signal.signal_id.int]: _key(signal) for signal in metadata.measurements
        }
        self._tables = metadata.tables()
        self._names = Names(metadata.active_measurements())
        self._documents: dict[bool, bytes] = {}

    @asynccontextmanager
    async def _at_work(self) -> AsyncIterator[None]:
        """Let one question be worked on at a time, with rests between."""
        async with self._busy:
            begun = perf_counter()
            yield
            await asyncio.sleep(min(_REST * (perf_counter() - begun), _LONGEST_REST_S))

    async def select(self, expression: str) -> dict[int, SignalKey]:
        """Return the signals that a filter expression selects, by index; raises FilterError."""
        async with self._at_work():
            # As one, whatever is defined meanwhile.
            names, indexes, keys = self._names, self.indexes, self._keys
            rows = await select(expression, [names.table], names.table.name, names)
        signal_ids = (row["SignalID"] for row in rows.get(names.table.name, []))
        selected = [indexes[item.int] for item in signal_ids if isinstance(item, UUID)]
        return {index: keys[index] for index in selected}

    async def document(self, *, compressed: bool, filters: str = "") -> bytes:
        """Return the metadata, or what filters leave of it, as XML; raises FilterError."""
        if not filters and (ready := self._documents.get(compressed)) is not None:
            return ready
        async with self._at_work():
            tables, documents = self._tables, self._documents
            # After a change all ask at once: who waited here finds what the first had written.
            if not filters and (ready := documents.get(compressed)) is not None:
                return ready
            if filters:
                rows = await select(filters, tables, "MeasurementDetail")
                tables = [
                    Table(
                        name=table.name,
                        columns=table.columns,
                        rows=rows.get(table.name, table.rows),
                    )
                    for table in tables
                ]
            document = await asyncio.to_thread(_write, tables, compressed)
            if not filters:
                documents[compressed] = document
            return document


def _key(signal: MeasurementDetail) -> SignalKey:
    """Return the key of a signal; its number is 0 where "source:number" has none of 64 bits."""
    source, _, number = signal.id.rpartition(":")
    fits = number.isdecimal() and len(number) < 20
    return SignalKey(signal_id=signal.signal_id, source=source, id=int(number) if fits else 0)


def _write(tables: list[Table], compressed: bool) -> bytes:
    document = dataset.to_xml(tables)
    return deflate(document) if compressed else document
