"""How either end of STTP opens a connection, and which certificates it knows."""

import asyncio
from collections.abc import Collection
from hashlib import sha256
import socket
import ssl
from typing import Final

from .frames import SttpError

_CONNECT_S: Final = 15.0

type Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(host: str, port: int, tls: ssl.SSLContext | None) -> Streams:
    """Connect; raises OSError where that cannot be, of which TimeoutError is one."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            return await asyncio.open_connection(host, port, ssl=tls)
    except UnicodeError as err:  # no name that a host can have
        raise socket.gaierror(socket.EAI_NONAME, str(err)) from err


def check_fingerprint(writer: asyncio.StreamWriter, allowed: Collection[str]) -> None:
    """Raise SttpError where a peer shows a certificate that is not allowed, or none."""
    if not allowed:
        return
    ssl_object: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    certificate = None if ssl_object is None else ssl_object.getpeercert(binary_form=True)
    if certificate is None:
        raise SttpError("The peer shows no certificate, but only known ones are allowed")
    if (fingerprint := sha256(certificate).hexdigest()) not in allowed:
        raise SttpError(f"The certificate with the fingerprint {fingerprint} is not allowed")


def fingerprint_of(text: str) -> str:
    """Return a fingerprint as it is compared; raises ValueError where it is no SHA-256 in hex."""
    digits = text.replace(":", "").replace(" ", "").lower()
    if len(bytes.fromhex(digits)) != sha256().digest_size:
        raise ValueError(f"Not a SHA-256 fingerprint: {text}")
    return digits
