"""What the meters of one link know of the line that they share."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
import time
from typing import Final

from ...connection.traffic import Traffic

LATE_S: Final = 1.0
"""So long after an answer went missing, or after one that may have been it, another can come."""


class Line:
    """Whose turn it is on a line, who answered last, and which answers may be yet to come.

    Frames of RTU have no number, so an answer that comes late looks like that to the next request
    to the same unit. After one went missing (see `missed`), that unit is left alone for a while,
    and its next answer is not believed: it only tells that the unit is there again.
    """

    def __init__(
        self,
        *,
        numbered: bool = True,
        is_shared: Callable[[], bool] = lambda: False,
        late_s: float | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        """Take whether frames are numbered, and whether others use the connection as well."""
        self.traffic = traffic or Traffic()
        self.meters = 0
        self.last_answer = float("-inf")
        """When any of the meters answered last, in seconds of the monotonic clock."""
        self.late_s = LATE_S if late_s is None else late_s
        self.is_shared = is_shared
        self._numbered = numbered
        self._turn = asyncio.Lock()
        # When the last answer of a unit went missing.
        self._missed: dict[int, float] = {}

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Hold the line for one request."""
        return self._turn

    def missed(self, unit_id: int) -> None:
        """Take note that a request to a unit got no answer, or one that does not fit."""
        if not self._numbered:
            self._missed[unit_id] = time.monotonic()

    def in_doubt(self, unit_id: int) -> bool:
        """Return whether the next answer of a unit may be the one to an earlier request."""
        return unit_id in self._missed

    async def quieten(self, unit_id: int) -> None:
        """Wait until no answer to what was missed is to be expected."""
        wait_s = self._missed[unit_id] + self.late_s - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def settle(self, unit_id: int) -> None:
        """Let all that is still owed come and go, after an answer that was not believed."""
        await asyncio.sleep(self.late_s)
        self._missed.pop(unit_id, None)
