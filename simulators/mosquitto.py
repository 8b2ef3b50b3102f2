"""A private Mosquitto (Debian's, 2.0): TLS, a password and a list of topics for each user.

Where it is asked for it also listens without TLS, and for WebSockets, with and without.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import getpass
import hashlib
import os
from pathlib import Path
import re
import shutil
import signal
from typing import Self

from .certificates import Authority
from .programs import Program, free_port

# Debian puts it where a user's PATH may not look.
EXECUTABLE = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

_CONFIGURATION = """\
user {user}
{listeners}
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/topics
persistence true
persistence_location {folder}/
max_queued_messages 100000
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
log_type notice
log_timestamp false
"""
_LISTENER = """\
listener {port} 127.0.0.1
protocol {protocol}
"""
_TLS = """\
certfile {certificate}
keyfile {key}
cafile {ca_file}
require_certificate {require_certificate}
tls_version tlsv1.2
"""
_PASSWORD_ROUNDS = 101
_CONNECTED = re.compile(r"New client connected from \S+ as (\S+) \(p(\d), c(\d), k\d+, u'(.*)'\)")


@dataclass(frozen=True, kw_only=True)
class User:
    """Who may connect, and what for; topics may hold wildcards."""

    password: str
    may_write: Sequence[str] = ()
    may_read: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A client that was let in, as the broker's log has it."""

    client_id: str
    user: str
    protocol: int
    """5 is MQTT 5, 2 is MQTT 3.1.1."""
    clean_start: bool


class Mosquitto:
    """One broker with its folder; it keeps its port and its sessions when it is started again."""

    def __init__(
        self,
        folder: Path,
        users: Mapping[str, User],
        *,
        expired_certificate: bool = False,
        more_ways: bool = False,
    ) -> None:
        """Lay out the folder, which must be there and empty.

        With more ways in it listens on the ports `plain_port`, `websocket_port`,
        `secure_websocket_port`, and `client_certificate_port`, where clients need certificates.
        """
        self.port = free_port()
        self._more_ways = more_ways
        if more_ways:
            self.plain_port, self.websocket_port = free_port(), free_port()
            self.secure_websocket_port, self.client_certificate_port = free_port(), free_port()
        self._folder = folder
        self._authority = Authority(folder)
        self.ca_file = self._authority.ca_file
        self._program = Program(
            [EXECUTABLE or "mosquitto", "-c", str(folder / "mosquitto.conf")],
            folder / "mosquitto.log",
        )
        self.use_certificate(expired=expired_certificate)
        self.write_users(users)

    def use_certificate(self, *, expired: bool) -> None:
        """Have another certificate from the next start on."""
        certificate, key = self._authority.sign("broker", expired=expired)

        def listener(port: int, protocol: str, *, tls: bool = True, clients: bool = False) -> str:
            lines = _LISTENER.format(port=port, protocol=protocol)
            if not tls:
                return lines
            return lines + _TLS.format(
                certificate=certificate,
                key=key,
                ca_file=self.ca_file,
                require_certificate=str(clients).lower(),
            )

        listeners = [listener(self.port, "mqtt")]
        if self._more_ways:
            listeners += [
                listener(self.plain_port, "mqtt", tls=False),
                listener(self.websocket_port, "websockets", tls=False),
                listener(self.secure_websocket_port, "websockets"),
                listener(self.client_certificate_port, "mqtt", clients=True),
            ]
        (self._folder / "mosquitto.conf").write_text(
            _CONFIGURATION.format(
                user=getpass.getuser(), listeners="".join(listeners), folder=self._folder
            )
        )

    def sign(self, name: str) -> tuple[Path, Path]:
        """Return certificate and key of another server, by the same authority."""
        return self._authority.sign(name)

    def write_users(self, users: Mapping[str, User]) -> None:
        """Say who may do what from the next start on."""
        (self._folder / "passwords").write_text(
            "".join(f"{name}:{_hash(user.password)}\n" for name, user in users.items())
        )
        (self._folder / "topics").write_text(
            "".join(
                "\n".join(
                    [
                        f"user {name}",
                        *(f"topic write {topic}" for topic in user.may_write),
                        *(f"topic read {topic}" for topic in user.may_read),
                        "",
                        "",
                    ]
                )
                for name, user in users.items()
            )
        )
        for name in ("passwords", "topics"):
            (self._folder / name).chmod(0o600)

    def set_users(self, users: Mapping[str, User]) -> None:
        """Change who may do what, while it runs."""
        self.write_users(users)
        os.kill(self._program.pid, signal.SIGHUP)

    def connections(self) -> list[Connection]:
        """Return every client that was let in since the folder was made."""
        log = self._program.log.read_text(errors="replace") if self._program.log.exists() else ""
        return [
            Connection(
                client_id=client_id,
                user=user,
                protocol=int(protocol),
                clean_start=clean == "1",
            )
            for client_id, protocol, clean, user in _CONNECTED.findall(log)
        ]

    def log(self) -> str:
        """Return what it logged since the folder was made."""
        return self._program.log.read_text(errors="replace")

    async def start(self) -> None:
        """Start, and return once it listens."""
        await self._program.start()
        await self._program.until_it_listens(self.port)
        if self._more_ways:  # it opens one after the other
            await self._program.until_it_listens(self.client_certificate_port)

    async def stop(self) -> None:
        """Stop; the sessions are kept for the next start."""
        await self._program.stop()

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self._program.kill()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop."""
        await self.stop()


def _hash(password: str) -> str:
    """Return a password as Mosquitto stores it: PBKDF2 with SHA-512."""
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _PASSWORD_ROUNDS)
    encoded = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"$7${_PASSWORD_ROUNDS}${'$'.join(encoded)}"
