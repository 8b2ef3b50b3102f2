"""How either end of STTP opens a connection."""

import asyncio
import socket
import ssl
from typing import Final

_CONNECT_S: Final = 15.0


async def connect(
    host: str, port: int, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect; raises OSError where that cannot be, of which TimeoutError is one."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            return await asyncio.open_connection(host, port, ssl=tls)
    except UnicodeError as err:  # no name that a host can have
        raise socket.gaierror(socket.EAI_NONAME, str(err)) from err
