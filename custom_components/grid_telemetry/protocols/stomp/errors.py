"""What can go wrong with STOMP, told apart so that the caller knows what to do about it.

No message, repr or argument of these carries a passcode.
"""

from enum import StrEnum
import os
from typing import override


class StompError(Exception):
    """Base of all errors of this package."""


class StompProtocolError(StompError):
    """The peer sent what is not STOMP, or not allowed at this point."""


class StompFrameError(StompProtocolError):
    """A malformed frame; the text says what is wrong with it."""


class StompLimitError(StompProtocolError):
    """A frame beyond the limits of the decoder; the text says which."""


class TransportFailure(StrEnum):
    """Why no WebSocket came about."""

    TLS = "tls"
    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    HTTP_STATUS = "http_status"
    OTHER = "other"


class StompTransportError(StompError):
    """The server could not be reached, or did not get as far as an answer to CONNECT."""

    def __init__(self, kind: TransportFailure, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.status = status
        """The HTTP status that came in place of 101, with `TransportFailure.HTTP_STATUS`."""


class StompConnectionLost(StompError):  # noqa: N818 - an event as much as an error
    """The connection ended: closed by the server, silent, stalled, or cut.

    RabbitMQ before 3.10.14 closes with code 1000 and "STOMP died", without an ERROR frame, after
    a SEND to an exchange that is missing or forbidden. A beat that it missed looks the same, so
    only the caller can judge: the same end soon after the first SEND, again and again, is no
    accident.
    """

    def __init__(self, text: str, *, code: int | None = None, reason: str = "") -> None:
        super().__init__(text)
        self.code = code
        """The WebSocket close code of the server, None when there was none."""
        self.reason = reason
        """The text that the server closed with."""


class StompServerError(StompError):
    """The server sent an ERROR frame."""

    def __init__(self, message: str, body: str) -> None:
        super().__init__(message, body)
        self.message = message
        self.body = body

    @override
    def __str__(self) -> str:
        return f"{self.message}: {self.body}" if self.body else self.message


class StompConnectError(StompServerError):
    """The server refused CONNECT, for a reason that has no class of its own."""


class StompAuthenticationError(StompConnectError):
    """Login or passcode refused."""


class StompHostError(StompConnectError):
    """The virtual host is unknown or closed to this login."""


class StompDestinationError(StompServerError):
    """A destination is missing, malformed or closed to this login.

    An ERROR carries no receipt id, so every message without its receipt fails with the same
    error although one of them caused it.
    """


def system_words(err: OSError) -> str:
    """Return what the system says of an error, without the address that asyncio adds to it."""
    return os.strerror(err.errno) if err.errno and err.errno > 0 else err.strerror or str(err)
