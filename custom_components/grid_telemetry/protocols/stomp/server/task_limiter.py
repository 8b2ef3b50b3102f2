"""How many tasks there may be."""

import asyncio
from typing import Any


class TaskLimiter:
    """Room for so many tasks at the same time."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._tasks: set[asyncio.Task[Any]] = set()
        self._vacant = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Return whether there is no room for one more."""
        return len(self._tasks) >= self._count

    async def vacancy(self) -> None:
        """Wait until there is room for one more, which the caller then is to add at once."""
        while self.is_full:
            self._vacant.clear()
            await self._vacant.wait()

    def add(self, task: asyncio.Task[Any]) -> None:
        """Count a task for as long as it lasts."""
        self._tasks.add(task)
        task.add_done_callback(self._remove)

    def _remove(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._vacant.set()
