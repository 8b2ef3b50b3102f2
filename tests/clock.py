"""Time that has passed for what reads points, where real sockets forbid to freeze all clocks."""

from collections.abc import Generator
from contextlib import contextmanager
import time
from types import SimpleNamespace
from unittest.mock import patch

from custom_components.grid_telemetry.vocabulary.clock import elapsed_s

READER = "custom_components.grid_telemetry.points.reader"


class Ahead:
    """By how much the clocks are ahead."""

    seconds = 0.0


@contextmanager
def clocks_ahead() -> Generator[Ahead]:
    """Set both clocks ahead by what is given, as if so much time had passed."""
    ahead = Ahead()
    with (
        patch(f"{READER}.elapsed_s", lambda: elapsed_s() + ahead.seconds),
        patch(f"{READER}.time", SimpleNamespace(time=lambda: time.time() + ahead.seconds)),
    ):
        yield ahead
