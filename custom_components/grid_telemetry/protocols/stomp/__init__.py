"""STOMP: frames, clients over WebSocket and TCP, and the setup protocol on top of it.

Frames and errors are here; what needs more stands in modules of its own, so that it is loaded when
it is used: `client` (WebSocket, by aiohttp), `tcp` (plain TCP), `server` (setup server), `sns` (its
log-in, by bcrypt), `reply` and `headers` (of setup commands), `patterns` (of destinations).

After the specification of STOMP 1.2, https://stomp.github.io/stomp-specification-1.2.html, and
SolarNetwork's setup protocol as its node and its clients have it.
"""

from .errors import (
    StompConnectionLost,
    StompError,
    StompFrameError,
    StompLimitError,
    StompProtocolError,
)
from .frames import Decoder, Frame, Heartbeat, StompVersion, encode

__all__ = [
    "Decoder",
    "Frame",
    "Heartbeat",
    "StompConnectionLost",
    "StompError",
    "StompFrameError",
    "StompLimitError",
    "StompProtocolError",
    "StompVersion",
    "encode",
]
