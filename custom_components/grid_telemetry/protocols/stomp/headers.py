"""Headers of a setup command that are not parameters of it."""

from typing import Final

RESERVED_HEADERS: Final = frozenset(
    {
        *("accept-version", "host", "login", "passcode", "heart-beat", "version", "session"),
        *("server", "destination", "id", "ack", "transaction", "receipt", "message-id"),
        *("subscription", "receipt-id", "message", "content-length"),
        *("authenticate", "authorization", "auth-hash", "date", "request-id", "status"),
    }
)
"""Those of STOMP itself but `content-type`, and those of the setup protocol."""
