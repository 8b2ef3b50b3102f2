"""Ardexa as a platform of the demo: what its devices feed, seen as states in Home Assistant."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
import time
from typing import Final

from aiohttp import ClientError

from ..ardexa import Ardexa
from ..home_assistant import ApiError, HomeAssistant, Json
from ..house import House
from . import Received

PUBLISH_S: Final = 1.0
LOOK_S: Final = 1.0
GATEWAY: Final = "666170e2-d3b2-49b7-88fc-542e1a2c9732"
DEVICE: Final = "Site gateway"
TABLE: Final = "solar"
SOURCE: Final = "inverter-01"
SINGLE: Final = "grid"
COMMAND: Final = "echo telemetry"
# The fields of the inverter's row, from what the house's meters measure.
FIELDS: Final = {
    "AC Power": ("power", "W", -1.0),
    "AC Voltage": ("voltage", "V", 1.0),
    "AC Current": ("current", "A", 1.0),
    "Energy": ("energy_export", "kWh", 1.0),
}
FREQUENCY: Final = "frequency"
META: Final[Json] = {
    "run": [{"table": SINGLE, "source": FREQUENCY, "expect": "decimal", "meta": {"units": "Hz"}}],
    "tail": [{"table": TABLE, "source": SOURCE, "expect": "csv", "fields": "inverter_fields"}],
    "inverter_fields": [
        {"name": name, "expect": "decimal", "meta": {"units": unit}}
        for name, (_, unit, _) in FIELDS.items()
    ],
}


class ArdexaPlatform:
    """The stand-in, and what Home Assistant shows of it."""

    def __init__(self, cloud: Ardexa) -> None:
        """Take the cloud, and give it a device in a house of its own."""
        self._cloud = cloud
        self._house = House(day_s=1200)
        self._given: dict[str, set[float]] = defaultdict(set)
        self.expected: set[tuple[str, str]] = set()
        self._received: dict[tuple[str, str], Received] = {}
        self._wrong: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []
        cloud.add_device(GATEWAY, DEVICE, META)

    async def configure(self, home: HomeAssistant, devices: list[str]) -> None:
        """Connect Home Assistant to the workgroup, add two feeds, and begin to feed and to look."""
        entry_id = await home.add_entry(
            "grid_telemetry",
            {
                "user": {"next_step_id": "ardexa"},
                "ardexa": {
                    "url": self._cloud.url,
                    "workgroup": self._cloud.workgroup,
                    "token": self._cloud.token,
                    "allow_operations": True,
                },
            },
        )
        await home.add_subentry(
            entry_id,
            "feed",
            {
                "user": {"device": GATEWAY},
                "feeds": {
                    "feeds": [f"{TABLE}.{SOURCE}", f"{SINGLE}.{FREQUENCY}"],
                    "stale_after_s": 60,
                },
            },
        )
        self.expected = {(TABLE, name) for name in FIELDS} | {
            (SINGLE, FREQUENCY),
            (DEVICE, "command"),
            (DEVICE, "online"),
        }
        self._tasks = [
            asyncio.create_task(self._publish()),
            asyncio.create_task(self._look(home, entry_id)),
        ]

    async def stop(self) -> None:
        """End to feed and to look."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _publish(self) -> None:
        while True:
            solar = self._house.solar()
            row = {name: round(factor * solar[key], 3) for name, (key, _, factor) in FIELDS.items()}
            frequency = round(solar["frequency"], 3)
            for name, value in (*row.items(), (FREQUENCY, frequency)):
                self._given[name].add(value)
            await self._cloud.publish(GATEWAY, TABLE, SOURCE, row)
            await self._cloud.publish(GATEWAY, SINGLE, FREQUENCY, frequency)
            await asyncio.sleep(PUBLISH_S)

    async def _look(self, home: HomeAssistant, entry_id: str) -> None:
        while True:
            try:
                await self._command(home, entry_id)
                states = await home.states()
                for entity in await home.entities():
                    if entity["config_entry_id"] == entry_id:
                        self._take(entity, states.get(entity["entity_id"]))
            except ClientError, ApiError:
                pass  # Home Assistant is busy or about to stop
            await asyncio.sleep(LOOK_S)

    async def _command(self, home: HomeAssistant, entry_id: str) -> None:
        """Run a command on the device, and check what comes back."""
        [device] = [
            device["id"]
            for device in await home.devices()
            if ["grid_telemetry", f"{entry_id}_{GATEWAY}"] in device["identifiers"]
        ]
        answer = await home.call(
            "grid_telemetry.ardexa_run_command", response=True, device_id=device, command=COMMAND
        )
        if answer != {"stdout": "telemetry\n", "stderr": "", "return_code": 0, "cut_off": False}:
            self._wrong.append(f"the command was answered {answer}")
        self._note((DEVICE, "command"), answer["stdout"].strip(), time.time())

    def _take(self, entity: Json, state: Json | None) -> None:
        """Take a state over; each value must be one that the device gave."""
        if state is None or state["state"] in ("unavailable", "unknown"):
            return
        at = datetime.fromisoformat(state["last_updated"]).timestamp()
        name = entity["unique_id"].partition("_")[2]
        if name == f"{GATEWAY}_online":
            self._note((DEVICE, "online"), state["state"], at)
            return
        key = (SINGLE, FREQUENCY) if name == "value" else (TABLE, name)
        if key not in self.expected:
            return
        value = float(state["state"])
        if value not in self._given[key[1]]:
            self._wrong.append(f"{entity['entity_id']} shows {value}, which was never fed")
        self._note(key, value, at)

    def _note(self, key: tuple[str, str], value: float | str, at: float) -> None:
        before = self._received.get(key)
        count = 1 if before is None else before.count + (before.at != at)
        self._received[key] = Received(device=key[0], name=key[1], value=value, at=at, count=count)

    def received(self) -> list[Received]:
        """Return what Home Assistant shows."""
        return list(self._received.values())

    def refused(self) -> list[str]:
        """Return what a strict cloud refuses, and what should not have been shown."""
        return self._cloud.refused + self._wrong


@asynccontextmanager
async def run_ardexa(_folder: Path, _real_brokers: bool) -> AsyncIterator[ArdexaPlatform]:
    """Run the stand-in."""
    async with Ardexa() as cloud:
        platform = ArdexaPlatform(cloud)
        try:
            yield platform
        finally:
            await platform.stop()
