"""Another client under our name: told apart from a broker that is merely lost.

A broker that follows MQTT 5 says why it ends a connection. Some do not (Mosquitto before 2.0.15)
and just close it; two clients then take turns, each thrown out when the other comes.
"""

from typing import Final

from ...connection.errors import DestinationRefused, LinkError

TAKEN_OVER: Final = "session_taken_over"

QUICK_END_S: Final = 30
"""A connection that was accepted and is closed so soon may have been taken over."""
QUICK_ENDS: Final = 3


class Takeovers:
    """Counts connections that were accepted and closed at once, in a row."""

    def __init__(self) -> None:
        """Begin with none."""
        self._quick_ends = 0

    def judge(self, error: LinkError, lasted_s: float) -> LinkError:
        """Return what the end of a connection means; a takeover is tried again much later."""
        if error.reason != "connection_lost" or lasted_s > QUICK_END_S:
            self._quick_ends = 0
            return error
        self._quick_ends += 1
        if self._quick_ends < QUICK_ENDS:
            return error
        self._quick_ends = 0
        return DestinationRefused(
            TAKEN_OVER, f"the broker closed {QUICK_ENDS} connections in a row right away"
        )
