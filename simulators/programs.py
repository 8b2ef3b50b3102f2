"""Programs that the demo, the end-to-end tests and the bench start, each stopped by its handle."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
import os
from pathlib import Path
import secrets
import shutil
import socket
import sys
from typing import Self

STOP_TIMEOUT_S = 30
# Has the kernel stop what we started when we are killed ourselves and cannot.
_TIED_TO_US = ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()
# Below those that Linux gives to outgoing connections.
_PORTS = range(20_000, 32_000)
# Names of the abstract namespace, each bound for as long as this process lasts.
_taken: list[socket.socket] = []


def free_port() -> int:
    """Return a TCP port of the loopback interface that nothing listens on.

    It stays its owner's while no server has it: no outgoing connection is given one of these, and
    no other process that asks here, as tests that run at the same time do.
    """
    while True:
        port = secrets.choice(_PORTS)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0grid-telemetry-port-{port}")
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        _taken.append(name)
        return port


async def until[T](probe: Callable[[], Awaitable[T | None]], timeout_s: float, what: str) -> T:
    """Probe a few times a second until the answer is true, and return it.

    Raises `TimeoutError` that says what was waited for.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                if answer := await probe():
                    return answer
                await asyncio.sleep(0.2)
    except TimeoutError as err:
        raise TimeoutError(f"{what}: not within {timeout_s:.0f} s") from err


class ProgramError(Exception):
    """A program that ended by itself."""


class Program:
    """A child process in a session of its own, so that only its owner's signals reach it."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Prepare the command; its output is appended to the log file."""
        self._command = command
        self._environment = environment or {}
        self._process: asyncio.subprocess.Process | None = None
        self.log = log

    @classmethod
    def module(cls, name: str, *arguments: str, log: Path) -> Self:
        """Prepare a Python module of this checkout."""
        return cls([sys.executable, "-m", name, *arguments], log)

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the process."""
        if shutil.which(self._command[0]) is None:
            raise ProgramError(f"{self._command[0]} is not installed")
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_TIED_TO_US,
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | self._environment,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise with the end of the log if the process has ended by itself."""
        if self._process is not None and (code := self._process.returncode) is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
            raise ProgramError(f"{' '.join(self._command)} ended with {code}:\n{tail}")

    async def until_it_listens(self, port: int, timeout_s: float = 30) -> None:
        """Return once something listens on a port of the loopback interface."""

        async def connects() -> bool:
            self.check()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await until(connects, timeout_s, f"{self._command} listening on port {port}")

    async def stop(self) -> None:
        """Ask the process to end, and end it if it does not."""
        if (process := self._process) is None:
            return
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
        await process.wait()
        self._process = None

    async def kill(self) -> None:
        """End the process as a power cut would, with SIGKILL."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._process = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Stop."""
        await self.stop()
