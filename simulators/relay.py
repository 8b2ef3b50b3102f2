"""A relay for TCP that can be cut, frozen and brought back, as a network or a server can."""

import asyncio
from contextlib import suppress
from typing import Self


class Relay:
    """Passes bytes on between clients and a server on this machine."""

    def __init__(self, server_port: int) -> None:
        """Take where to pass it on to."""
        self.port = 0
        """Where clients connect to; it stays the same."""
        self._server_port = server_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing = asyncio.Event()
        self._passing.set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop to listen, and cut every connection, as when a process is killed."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Cut every connection."""
        for writer in self._writers:
            writer.transport.abort()

    def freeze(self) -> None:
        """Pass nothing on any more over the present connections, which stay open."""
        self._passing.clear()
        self._passing = asyncio.Event()
        self._passing.set()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop."""
        await self.stop()

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        passing = self._passing
        try:
            inner_reader, inner_writer = await asyncio.open_connection(
                "127.0.0.1", self._server_port
            )
            self._writers.add(inner_writer)
            try:
                await asyncio.gather(
                    self._pass_on(reader, inner_writer, passing),
                    self._pass_on(inner_reader, writer, passing),
                )
            finally:
                self._writers.discard(inner_writer)
                inner_writer.transport.abort()
        except ConnectionError:
            pass  # the server is down; the client is cut off as it would be without us
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    @staticmethod
    async def _pass_on(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passing: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await passing.wait()
                writer.write(data)
                await writer.drain()
            writer.close()
