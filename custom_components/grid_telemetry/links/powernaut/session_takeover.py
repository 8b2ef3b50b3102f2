"""A broker that closes without a reason, again and again: perhaps another client has our name.

A broker that follows MQTT 5 says why it ends a connection. Some do not (Mosquitto before 2.0.15)
and just close it; two clients of one name then take turns, each thrown out when the other comes.
A network that drops everything looks the same, so this is no more than a hint.
"""

from typing import Final

from ...connection.errors import LinkError

TAKEN_OVER: Final = "session_taken_over"

QUICK_END_S: Final = 30
"""A connection that was accepted and is closed so soon may have been taken over."""
QUICK_ENDS: Final = 3


class QuickEnds:
    """Counts connections that were accepted and then closed without a reason, in a row."""

    def __init__(self) -> None:
        """Begin with none."""
        self._count = 0

    def is_one_too_many(self, error: LinkError, lasted_s: float) -> bool:
        """Take the end of a connection, and return whether it is time for a hint."""
        if error.reason != "connection_lost" or lasted_s > QUICK_END_S:
            self._count = 0
            return False
        self._count += 1
        return self._count >= QUICK_ENDS
