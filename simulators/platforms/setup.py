"""The setup server as a platform of the demo: a setup client that reads and commands."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
import json
from pathlib import Path
import time
from typing import Any, Final

from ..home_assistant import HomeAssistant, Json
from ..programs import free_port
from ..setup_client import Message, SetupClient, SetupError
from . import Received

LOGIN: Final = "solar"
PASSWORD: Final = "a password of the demo"  # noqa: S105
PAUSE_S: Final = 2.0
COMMANDS: Final = "commands"
# What the meters' quantities are called in a datum.
_PROPERTIES: Final = {
    "power": "watts",
    "current": "current",
    "voltage": "voltage",
    "frequency": "frequency",
    "energy_import": "wattHours",
    "energy_export": "wattHoursReverse",
    **{f"voltage_l{number}": f"voltage_{letter}" for number, letter in enumerate("abc", 1)},
    **{f"current_l{number}": f"current_{letter}" for number, letter in enumerate("abc", 1)},
}
# Destination, body, headers: what a client may try, and the status that it is to get.
_TRIALS: Final[tuple[tuple[str, str, dict[str, str], int], ...]] = (
    ("/setup/identity", "", {}, 200),
    ("/setup/network/ping", "", {}, 200),
    ("/setup/network/wifi", "", {}, 200),
    ("/setup/network/wifi", "", {"ssid": "x"}, 422),
    ("/house/greet", "Ada", {"from": "the demo"}, 209),
    ("/house/broken", "", {}, 500),
    ("/coffee/order", "", {}, 404),
    ("/system/restart", "", {}, 422),
    ("/system/reset", "", {}, 422),
)


class Setup:
    """What the client got."""

    def __init__(self) -> None:
        """Take a free port for the server."""
        self._port = free_port()
        self._newest: dict[tuple[str, str], tuple[float | str, float]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._refused: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self.expected: set[tuple[str, str]] = set()

    async def configure(self, home: HomeAssistant, devices: list[str]) -> None:
        """Make the server with two commands, and begin to ask it."""
        sources: dict[str, str] = {}

        def rows(step: Json) -> Json:
            """Take the meters that the form suggests, the first two under ids of our own."""
            (field,) = step["data_schema"]
            suggested: list[dict[str, str]] = field["description"]["suggested_value"]
            for row in suggested:
                if row["device"] in devices:
                    number = devices.index(row["device"]) + 1
                    row["source_id"] = sources[row["device"]] = f"/DEMO/METER/{number}"
            return {"sources": suggested}

        entry_id = await home.add_entry(
            "grid_telemetry",
            {
                "user": {"next_step_id": "setup_server"},
                "setup_server": {
                    "host": "127.0.0.1",
                    "port": self._port,
                    "allowed_networks": ["127.0.0.0/8"],
                    "login": LOGIN,
                    "password": PASSWORD,
                    "allow_restart": False,
                    "allow_reboot": False,
                    "limits": {"max_connections": 32, "max_body_bytes": 4096},
                    "tls": {},
                },
                "setup_server_sources": rows,
            },
        )
        for destination, action in (
            ("/house/greet", "script.setup_greet"),
            ("/house/broken", "script.setup_broken"),
        ):
            await home.add_subentry(
                entry_id,
                "command",
                {
                    "user": {
                        "destination": destination,
                        "action": [{"action": action}],
                        "time_limit_s": 10,
                    }
                },
            )
        self.expected = {
            (sources[entity["device_id"]], name)
            for entity in await home.entities()
            if entity["device_id"] in sources
            and entity["disabled_by"] is None
            and (name := _PROPERTIES.get(entity["translation_key"] or ""))
        }
        self.expected |= {(COMMANDS, _name(trial[0], trial[3])) for trial in _TRIALS}
        self.expected |= {(source, "live") for source in sources.values()}
        self._task = asyncio.create_task(self._ask(list(sources.values())))

    async def stop(self) -> None:
        """End asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _ask(self, sources: list[str]) -> None:
        """Ask again and again, over a connection that is made anew when it breaks."""
        while True:
            try:
                async with SetupClient(
                    self._port,
                    login=LOGIN,
                    password=PASSWORD,
                    subscribe=("/setup/**", "/system/*", "/house/**", "/coffee/*"),
                ) as client:
                    for source in sources:
                        client.follow(source, f"live {source}")
                    while True:
                        await self._round(client)
                        await asyncio.sleep(PAUSE_S)
            except (SetupError, TimeoutError, OSError) as err:
                self._refused.append(f"{type(err).__name__}: {err}")
                await asyncio.sleep(PAUSE_S)

    async def _round(self, client: SetupClient) -> None:
        latest = await client.ask("/setup/datum/latest", json.dumps(["/DEMO/**"]))
        for datum in latest.result:
            at = datetime.fromisoformat(datum["created"]).timestamp()
            for group in ("i", "a"):
                for name, value in datum.get(group, {}).items():
                    self._note((datum["sourceId"], name), value, at)
        while not client.live.empty():
            self._take_live(client.live.get_nowait())
        for destination, body, headers, status in _TRIALS:
            # What fails leaves an error in the log, which once is enough of.
            if status >= 500 and (COMMANDS, _name(destination, status)) in self._newest:
                continue
            reply = await client.ask(destination, body, **headers)
            if reply.status != status or (status == 209 and reply.result != "Hello Ada"):
                self._refused.append(f"{destination} was answered {reply}")
                continue
            self._note((COMMANDS, _name(destination, status)), status, time.time())

    def _take_live(self, message: Message) -> None:
        if message.status != 200 or "watts" not in message.result:
            self._refused.append(f"live datum: {message}")
            return
        at = message.result["t"] / 1000
        self._note((message.headers["source-id"], "live"), message.result["watts"], at)

    def _note(self, key: tuple[str, str], value: Any, at: float) -> None:
        if key not in self._newest or at > self._newest[key][1]:
            self._counts[key] += 1
            self._newest[key] = value, at

    def received(self) -> list[Received]:
        """Return what the client got."""
        return [
            Received(device=device, name=name, value=value, at=at, count=self._counts[device, name])
            for (device, name), (value, at) in self._newest.items()
        ]

    def refused(self) -> list[str]:
        """Return what went another way than it should."""
        return self._refused


def _name(destination: str, status: int) -> str:
    return f"{destination} {status}"


@asynccontextmanager
async def run_setup(folder: Path, real_brokers: bool) -> AsyncIterator[Setup]:
    """Prepare the client, which is the same in any case."""
    setup = Setup()
    try:
        yield setup
    finally:
        await setup.stop()
