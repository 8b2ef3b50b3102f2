"""A gateway between a client and simulated meters, with the faults that real lines have."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
import random
from typing import Self

_ANSWER_BYTES = 300


@dataclass
class Faults:
    """What goes wrong on the way back; it can be changed while the gateway runs."""

    # The share of answers in which a byte is turned over.
    garbled: float = 0.0
    # Seconds that the answers of a unit come late by.
    late_s: dict[int, float] | None = None
    # Seconds for which the gateway refuses everybody after a client has gone; None takes several
    # clients at once.
    one_client_s: float | None = None


class Gateway:
    """Passes frames on between clients and a meter server, one request at a time.

    `unit_at` is where the frames of the transport have the unit id: 6 for Modbus TCP, 0 for RTU.
    """

    def __init__(self, upstream_port: int, *, unit_at: int, faults: Faults | None = None) -> None:
        self.port = 0
        self.faults = faults or Faults()
        # How many clients were served and how many turned away.
        self.clients = 0
        self.refused = 0
        self._upstream_port = upstream_port
        self._unit_at = unit_at
        self._random = random.Random(1)
        self._server: asyncio.Server | None = None
        self._busy = False
        self._free_at = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        self.drop()
        for task in self._tasks:
            task.cancel()
        await self._server.wait_closed()

    def drop(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time()
        if self.faults.one_client_s is not None and (self._busy or now < self._free_at):
            self.refused += 1
            writer.close()
            return
        self.clients += 1
        self._busy = True
        self._writers.add(writer)
        upstream, to_meters = await asyncio.open_connection("127.0.0.1", self._upstream_port)
        self._writers.add(to_meters)
        back = asyncio.ensure_future(self._pass(upstream, self._answer(writer)))
        try:
            await self._pass(reader, to_meters.write)
        finally:
            back.cancel()
            self._writers -= {writer, to_meters}
            to_meters.close()
            writer.close()
            self._busy = False
            self._free_at = asyncio.get_running_loop().time() + (self.faults.one_client_s or 0.0)

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, write: Callable[[bytes], None]) -> None:
        with suppress(ConnectionError):
            while frame := await reader.read(_ANSWER_BYTES):
                write(frame)

    def _answer(self, writer: asyncio.StreamWriter) -> Callable[[bytes], None]:
        """Return what passes an answer on, with the faults of the moment."""

        async def later(seconds: float, frame: bytes) -> None:
            await asyncio.sleep(seconds)
            if not writer.is_closing():
                writer.write(frame)

        def answer(frame: bytes) -> None:
            if self._random.random() < self.faults.garbled:
                at = self._random.randrange(len(frame))
                frame = frame[:at] + bytes([frame[at] ^ 0x55]) + frame[at + 1 :]
            late_s = (self.faults.late_s or {}).get(frame[self._unit_at], 0.0)
            if not late_s:
                writer.write(frame)
                return
            task = asyncio.ensure_future(later(late_s, frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return answer
