"""The reference in a process of its own, seen from a test."""

import asyncio
from collections.abc import Callable
import json
from pathlib import Path
import sys
from typing import Any, Self
from uuid import UUID

from custom_components.grid_telemetry.protocols.sttp import dataset
from custom_components.grid_telemetry.protocols.sttp.measurement import Measurement
from custom_components.grid_telemetry.protocols.sttp.metadata import Metadata

_TIMEOUT_S = 20.0


class Peer:
    """Tells the reference what to do, and collects what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._changed = asyncio.Event()
        self.events: list[dict[str, Any]] = []
        self.measurements: list[Measurement] = []
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, role: str, settings: dict[str, Any]) -> Self:
        """Start the reference as subscriber or publisher."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("reference.py")),
            role,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=16 * 1024 * 1024,
        )
        peer = cls(process)
        await peer.event("ready")
        if role == "subscriber":
            await peer.do("connect", **settings)
            await peer.event("connected")
        else:
            await peer.do("start")
        return peer

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            event = json.loads(line)
            if event["event"] == "measurements":
                self.measurements += [
                    Measurement(UUID(signal), value, time, flags)
                    for signal, value, time, flags in event["items"]
                ]
            else:
                self.events.append(event)
            self._changed.set()

    async def do(self, what: str, **details: Any) -> None:
        """Have the reference do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what, **details}).encode() + b"\n")
        await self._process.stdin.drain()

    async def define(self, offered: Metadata) -> None:
        """Have the reference publish metadata."""
        before = len(self._defined())
        await self.do("metadata", xml=dataset.to_xml(offered.tables()).decode())
        await self.until(lambda: len(self._defined()) > before)

    def _defined(self) -> list[dict[str, Any]]:
        return [item for item in self.all("status") if "Metadata defined" in item["text"]]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the reference says to fulfil a condition."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{len(self.measurements)} measurements, {self.events}") from None

    def all(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a name."""
        return [event for event in self.events if event["event"] == name]

    async def event(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait for an event, or for so many of its name; return the last."""
        await self.until(lambda: len(self.all(name)) >= count)
        return self.all(name)[count - 1]

    async def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading
