"""SNS, the way in which a setup client of SolarNode proves that it knows the password.

The password itself never travels: it is hashed by bcrypt with the server's salt, and the hash
keys an HMAC over the headers of one SEND frame. So whoever has the hash can log in.

Source: SnsAuthorizationBuilder of SolarNetwork, and its tests.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
import hashlib
import hmac
import re
from typing import Final, Self, override

import bcrypt

SCHEME: Final = "SNS"
VERB: Final = "SEND"
AUTHENTICATE: Final = "/setup/authenticate"
MAX_SKEW_S: Final = 300
"""So far the date may be from the server's clock."""
MAX_PASSWORD_BYTES: Final = 72
"""More than these bcrypt does not take."""

_COST: Final = 10
_HASH: Final = re.compile(r"(\$2[abxy]\$\d{2}\$.{22}).+")
_NO_BODY: Final = hashlib.sha256(b"").hexdigest()
_SPACES: Final = re.compile(r" {2,}")


class SnsError(ValueError):
    """A date or an authorization that cannot be read; the text says why."""


def hash_password(password: str, salt: str | None = None) -> str:
    """Return the bcrypt hash of a password, by default with a new salt.

    Takes some 60 ms. Raises ValueError for a password of more than 72 bytes in UTF-8 and for what
    is no salt.
    """
    # SolarNode's own prefix; who else implements bcrypt may not know a newer one.
    salt_bytes = bcrypt.gensalt(_COST, prefix=b"2a") if salt is None else salt.encode()
    return bcrypt.hashpw(password.encode(), salt_bytes).decode()


def salt_of(password_hash: str) -> str:
    """Return the salt within a bcrypt hash; raises ValueError where it is none."""
    if (match := _HASH.fullmatch(password_hash)) is None:
        raise ValueError("not a bcrypt hash")
    return match[1]


def secret_of(password_hash: str) -> str:
    """Return the secret that a password, by its hash, stands for."""
    return hashlib.sha256(password_hash.encode()).hexdigest()


def http_date(date: datetime) -> str:
    """Return a date in the form of HTTP, in whole seconds of UTC."""
    return format_datetime(date.astimezone(UTC), usegmt=True)


def parse_http_date(text: str) -> datetime:
    """Return the date that `http_date` wrote; raises SnsError."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError) as err:
        raise SnsError("not a date of HTTP") from err
    if date.tzinfo is None:
        raise SnsError("a date without its zone")
    try:
        return date.astimezone(UTC)
    except OverflowError as err:
        raise SnsError("a date beyond the calendar") from err


def canonical_request(verb: str, path: str, headers: Iterable[tuple[str, str]]) -> str:
    """Return the text that is signed; a header with several values comes several times."""
    lines = sorted(
        ((name.lower(), _SPACES.sub(" ", value.strip())) for name, value in headers),
        key=lambda header: header[0],
    )
    names = ";".join(dict.fromkeys(name for name, _ in lines))
    return "\n".join(
        [verb, path, *(f"{name}:{value}" for name, value in lines), names, _NO_BODY],
    )


def signing_key(secret: str, date: datetime) -> bytes:
    """Return the key of a day."""
    day = f"{date.astimezone(UTC):%Y%m%d}"
    return _hmac(_hmac(f"{SCHEME}{secret}".encode(), day), "sns_request")


def signature_data(date: datetime, canonical: str) -> str:
    """Return what the key is applied to."""
    instant = f"{date.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return f"{SCHEME}-HMAC-SHA256\n{instant}\n{digest}"


def sign(
    secret: str,
    date: datetime,
    headers: Iterable[tuple[str, str]],
    *,
    verb: str = VERB,
    path: str = AUTHENTICATE,
) -> str:
    """Return the signature of a frame; the date has to be among its headers, unescaped."""
    data = signature_data(date, canonical_request(verb, path, headers))
    return _hmac(signing_key(secret, date), data).hex()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


@dataclass(frozen=True, kw_only=True, slots=True)
class Authorization:
    """The header `authorization`; `str` gives it as it goes over the wire."""

    credential: str
    """The login."""
    signed_headers: tuple[str, ...]
    signature: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the parts, which may come in any order; raises SnsError."""
        scheme, _, rest = text.partition(" ")
        if scheme != SCHEME:
            raise SnsError(f"the scheme is not {SCHEME}")
        parts: dict[str, str] = {}
        for part in rest.split(","):
            name, _, value = part.partition("=")
            parts[name.strip()] = value.strip()
        try:
            return cls(
                credential=parts["Credential"],
                signed_headers=tuple(filter(None, parts["SignedHeaders"].split(";"))),
                signature=parts["Signature"],
            )
        except KeyError as err:
            raise SnsError(f"without {err.args[0]}") from err

    @override
    def __str__(self) -> str:
        return (
            f"{SCHEME} Credential={self.credential},"
            f"SignedHeaders={';'.join(self.signed_headers)},Signature={self.signature}"
        )

    @override
    def __repr__(self) -> str:
        """Return it without the signature."""
        return f"Authorization({self.credential})"


def authenticate(login: str, password_hash: str, now: datetime) -> dict[str, str]:
    """Return the headers of the frame that logs a client in, with the destination."""
    date = http_date(now)
    signature = sign(secret_of(password_hash), now, [("date", date)])
    authorization = Authorization(credential=login, signed_headers=("date",), signature=signature)
    return {"destination": AUTHENTICATE, "date": date, "authorization": str(authorization)}


def verify(
    authorization: Authorization, secret: str, date: datetime, headers: Iterable[tuple[str, str]]
) -> bool:
    """Return whether the signature is that of a frame with these headers.

    The date is always among what has to be signed, and each name that is said to be signed.
    """
    wanted = {"date", *(name.lower() for name in authorization.signed_headers)}
    signed = [(name, value) for name, value in headers if name.lower() in wanted]
    if {name.lower() for name, _ in signed} != wanted:
        return False
    expected = sign(secret, date, signed)
    return hmac.compare_digest(expected.encode(), authorization.signature.encode())
