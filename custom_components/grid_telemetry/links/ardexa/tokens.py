"""The life of an API token, which is a JSON Web Token: read here, never verified."""

import base64
import binascii
from dataclasses import dataclass
import json
from typing import Final

LAST_DAYS_S: Final = 7 * 86_400
"""A token is renewed in its last quarter, and not earlier than a week before its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifetime:
    """When a token was issued and expires, in epoch seconds."""

    issued_at: float | None
    expires_at: float

    def is_over(self, now: float) -> bool:
        """Return whether the token is of no use any more; then it cannot be renewed either."""
        return now >= self.expires_at

    def is_ending(self, now: float) -> bool:
        """Return whether it is time to renew the token."""
        last_s: float = LAST_DAYS_S
        if self.issued_at is not None:
            last_s = min(last_s, (self.expires_at - self.issued_at) / 4)
        return now >= self.expires_at - last_s


def lifetime_of(token: str) -> Lifetime | None:
    """Return the lifetime of a token; None where it does not tell."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except binascii.Error, ValueError, RecursionError:
        return None
    match claims:
        case {"exp": int() | float() as expires_at, "iat": int() | float() as issued_at}:
            return Lifetime(issued_at=issued_at, expires_at=expires_at)
        case {"exp": int() | float() as expires_at}:
            return Lifetime(issued_at=None, expires_at=expires_at)
        case _:
            return None
