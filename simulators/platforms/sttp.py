"""STTP as a platform of the demo: the reference's own subscriber, connected to Home Assistant."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
import json
from pathlib import Path
from typing import Any

from ..home_assistant import HomeAssistant, Json
from ..programs import Program, free_port
from . import Received


class Sttp:
    """What the reference received."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        """Take a folder for the reference, and what ends it."""
        self._folder = folder
        self._stack = stack
        self._file = folder / "received.json"
        self._port = free_port()
        self.expected: set[tuple[str, str]] = set()

    async def configure(self, home: HomeAssistant, devices: list[str]) -> None:
        """Make the publisher with a device for each meter, and subscribe to it."""
        entry_id = await home.add_entry(
            "grid_telemetry",
            {
                "user": {"next_step_id": "sttp_publisher"},
                "sttp_publisher": {
                    "host": "127.0.0.1",
                    "port": self._port,
                    "allowed_networks": ["127.0.0.0/8"],
                    "max_subscribers": 32,
                    "tls": {},
                },
            },
        )
        for number, device in enumerate(devices, 1):
            acronym = f"METER{number}"

            def points(step: Json, acronym: str = acronym) -> Json:
                """Take what the form suggests."""
                (field,) = step["data_schema"]
                rows: list[dict[str, Any]] = field["description"]["suggested_value"]
                self.expected |= {(acronym, row["name"]) for row in rows}
                return {"points": rows}

            await home.add_subentry(
                entry_id,
                "sttp_device",
                {
                    "user": {
                        "acronym": acronym,
                        "devices": [device],
                        "entities": [],
                        "max_age_s": 60,
                    },
                    "mapping": {"next_step_id": "points"},
                    "points": points,
                },
            )
        log = self._folder / "reference.log"
        reference = Program.module(
            "simulators.sttp_reference", str(self._port), str(self._file), log=log
        )
        await self._stack.enter_async_context(reference)

    def _snapshot(self) -> dict[str, Any]:
        if not self._file.exists():
            return {"signals": {}, "troubles": []}
        snapshot: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
        return snapshot

    def received(self) -> list[Received]:
        """Return the newest value of every signal."""
        return [
            Received(
                device=device,
                name=tag.removeprefix(f"{device}:"),
                value=value,
                at=at,
                count=count,
            )
            for tag, (device, value, at, count) in self._snapshot()["signals"].items()
        ]

    def refused(self) -> list[str]:
        """Return what the reference complained of."""
        troubles: list[str] = self._snapshot()["troubles"]
        return troubles


@asynccontextmanager
async def run_sttp(folder: Path, real_brokers: bool) -> AsyncIterator[Sttp]:
    """Prepare the reference, which is the real thing in any case."""
    async with AsyncExitStack() as stack:
        yield Sttp(folder, stack)
