"""The clock that ages, guards and means count by."""

import time
from typing import Final

_BOOT: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def elapsed_s() -> float:
    """Return seconds that only go forward, whatever is done to the wall clock.

    Time for which the machine was suspended counts where the system tells it (Linux); Python's
    monotonic clock leaves it out there.
    """
    if _BOOT is None:
        return time.monotonic()
    suspended_s = time.clock_gettime(_BOOT) - time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic() + suspended_s
