"""A setup client in its barest form: what it is told to write, and the frames that come back."""

import asyncio
from collections import deque
from datetime import UTC, datetime
from email.utils import format_datetime
import hashlib
import hmac
import ssl
from typing import Self

from custom_components.grid_telemetry.protocols.stomp.frames import Decoder, Frame

WITHIN_S = 20
LOGIN = "solar"
PASSWORD = "a password"
# bcrypt of the password with the least cost there is: the tests hash it never.
PASSWORD_HASH = "$2a$04$ZekxbChxk.UsG.M91Laf2O3nvYyixXPeaz4u2wyHcNFlviTnGeKaC"
SALT = PASSWORD_HASH[:29]


def login_headers(
    password_hash: str = PASSWORD_HASH, *, at: datetime | None = None, login: str = LOGIN
) -> dict[str, str]:
    """Sign a log-in, written down anew from the description of the scheme."""

    def mac(key: bytes, text: str) -> bytes:
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    at = (at or datetime.now(UTC)).replace(microsecond=0)
    date = format_datetime(at, usegmt=True)
    secret = hashlib.sha256(password_hash.encode()).hexdigest()
    key = mac(mac(f"SNS{secret}".encode(), at.strftime("%Y%m%d")), "sns_request")
    canonical = f"SEND\n/setup/authenticate\ndate:{date}\ndate\n{hashlib.sha256(b'').hexdigest()}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = mac(key, f"SNS-HMAC-SHA256\n{at:%Y%m%dT%H%M%SZ}\n{digest}").hex()
    return {
        "destination": "/setup/authenticate",
        "date": date,
        "authorization": f"SNS Credential={login},SignedHeaders=date,Signature={signature}",
    }


def frame(command: str, headers: dict[str, str] | None = None, body: str = "") -> bytes:
    """Write a frame with every colon, backslash and line end in values escaped."""

    def escaped(text: str) -> str:
        return (
            text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n").replace(":", "\\c")
        )

    lines = "".join(f"{name}:{escaped(value)}\n" for name, value in (headers or {}).items())
    return f"{command}\n{lines}\n{body}\0".encode()


class SetupClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.raw = b""
        self._decoder = Decoder(max_body_bytes=2**24)
        self._frames: deque[Frame] = deque()

    @classmethod
    async def connect(
        cls, port: int, *, source: str | None = None, tls: ssl.SSLContext | None = None
    ) -> Self:
        address = None if source is None else (source, 0)
        async with asyncio.timeout(WITHIN_S):
            return cls(
                *await asyncio.open_connection("127.0.0.1", port, local_addr=address, ssl=tls)
            )

    @classmethod
    async def log_in(
        cls,
        port: int,
        *,
        subscribe: str | None = "/**",
        at: datetime | None = None,
        **how: str,
    ) -> Self:
        """Return a connection that is logged in, and subscribed to everything."""
        client = await cls.connect(port, **how)  # type: ignore[arg-type]
        client.send("CONNECT", {"login": LOGIN})
        assert (await client.read()).command == "CONNECTED"
        client.send("SEND", login_headers(at=at))
        if subscribe is not None:
            client.send("SUBSCRIBE", {"id": "0", "destination": subscribe, "receipt": "in"})
            assert (await client.read()).command == "RECEIPT"
        return client

    def send(self, command: str, headers: dict[str, str] | None = None, body: str = "") -> None:
        self.write(frame(command, headers, body))

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self) -> Frame:
        """Return the next frame; raises EOFError at the end of the connection."""
        async with asyncio.timeout(WITHIN_S):
            while not self._frames:
                data = await self.reader.read(65536)
                if not data:
                    raise EOFError
                self.raw += data
                self._frames.extend(
                    item for item in self._decoder.feed(data) if isinstance(item, Frame)
                )
        return self._frames.popleft()

    async def ask(
        self, destination: str, headers: dict[str, str] | None = None, body: str = ""
    ) -> Frame:
        """Send a command and return the next frame, its answer."""
        self.send("SEND", {"destination": destination, **(headers or {})}, body)
        return await self.read()

    async def error(self) -> str:
        """Return the message of the ERROR that ends the connection."""
        last = await self.read()
        assert (last.command, list(last.headers), last.body) == ("ERROR", ["message"], b"")
        await self.closed()
        await self.close()
        return last.headers["message"]

    async def closed(self) -> None:
        """Wait until the server has closed the connection, without another frame."""
        try:
            late = await self.read()
        except EOFError, ConnectionError:
            return
        raise AssertionError(f"{late} in place of the end")

    async def close(self) -> None:
        self.writer.close()
        try:
            async with asyncio.timeout(WITHIN_S):
                await self.writer.wait_closed()
        except OSError:
            pass
