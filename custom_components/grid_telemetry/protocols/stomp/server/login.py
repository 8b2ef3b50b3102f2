"""Who may log in, and whether somebody is that.

Texts of refusals are those that SolarNode sends, to the letter: clients compare them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ...listener import Address
from .. import sns
from .guard import Guard


class Refusal(Exception):  # noqa: N818 - it is what the peer gets
    """What the peer did is answered by an ERROR with this text, and ends the connection."""


class WrongGuess(Refusal):
    """A login or a signature that is not the right one."""


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Who may log in."""

    login: str
    password_hash: str = field(repr=False)

    @property
    def salt(self) -> str:
        """The salt that the client needs."""
        return sns.salt_of(self.password_hash)


def check(
    headers: Mapping[str, str], credentials: Credentials, guard: Guard, address: Address
) -> None:
    """Let a client in that knows the password, by the headers of its log-in; raises Refusal."""
    if (date_text := headers.get("date")) is None:
        raise Refusal("Missing date header.")
    try:
        date = sns.parse_http_date(date_text)
    except sns.SnsError as err:
        raise Refusal("Invalidate date header value. Must be HTTP Date header format.") from err
    now = datetime.now(UTC)
    if abs((now - date).total_seconds()) > sns.MAX_SKEW_S:
        raise Refusal("Invalidate date header value: too much skew.")
    try:
        authorization = sns.Authorization.parse(headers.get("authorization", ""))
    except sns.SnsError as err:
        raise Refusal(f"Authorization denied: {err}") from err
    if authorization.credential != credentials.login:
        raise WrongGuess("Authorization denied: credential does not match session login.")
    secret = sns.secret_of(credentials.password_hash)
    valid = sns.verify(authorization, secret, date, headers.items())
    if not valid or guard.is_replay(authorization.signature, date, now, address):
        raise WrongGuess("Authorization deined: invalid signature.")
