"""How many commands may be under way."""

import asyncio
from typing import Any


class Places:
    """Room for so many tasks at the same time."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._tasks: set[asyncio.Task[Any]] = set()
        self._vacant = asyncio.Event()

    @property
    def taken(self) -> bool:
        """Return whether there is no room."""
        return len(self._tasks) >= self._count

    async def vacancy(self) -> None:
        """Wait until there is room for one more, which the caller then is to take at once."""
        while self.taken:
            self._vacant.clear()
            await self._vacant.wait()

    def take(self, task: asyncio.Task[Any]) -> None:
        """Take a place for as long as a task lasts."""
        self._tasks.add(task)
        task.add_done_callback(self._leave)

    def _leave(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._vacant.set()
