"""Sparkplug as a platform of the demo."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..home_assistant import HomeAssistant, Json
from ..programs import until
from ..sparkplug import HOST_ID, NODE_PASSWORD, NODE_USER, Sparkplug
from ..sparkplug_messages import BOOLEAN, Arrival
from . import Received

INTERVAL_S = 10
DEVICE, SWITCH = "controls", "alarm"


class SparkplugPlatform:
    """What the host behind the broker has."""

    def __init__(self, stand_in: Sparkplug, interval_s: int = INTERVAL_S) -> None:
        """Take the stand-in to look into."""
        self._stand_in = stand_in
        self._interval_s = interval_s
        self.expected: set[tuple[str, str]] = set()

    async def configure(self, home: HomeAssistant, devices: list[str]) -> None:
        """Make the entry and a device for each meter."""
        entry_id = await self.add_entry(home)
        for number, device in enumerate(devices):
            await self.add_device(home, entry_id, f"meter-{number}", device)
        await self._add_switch(home, entry_id)

    async def add_device(self, home: HomeAssistant, entry_id: str, name: str, device: str) -> None:
        """Send all readings of a device, under a name."""
        await home.add_subentry(
            entry_id,
            "sparkplug_device",
            {
                "user": {"device_id": name, "devices": [device], "entities": []},
                "mapping": {"next_step_id": "points"},
                "points": partial(self._points, name),
            },
        )

    async def add_entry(self, home: HomeAssistant) -> str:
        """Make the entry, whose values wait while the host is offline."""
        stand_in = self._stand_in
        return await home.add_entry(
            "grid_telemetry",
            {
                "user": {"next_step_id": "sparkplug"},
                "sparkplug": {
                    "host": "127.0.0.1",
                    "port": stand_in.broker.plain_port,
                    "transport": "tcp",
                    "username": NODE_USER,
                    "password": NODE_PASSWORD,
                    "more": {"mqtt_version": "5", "path": "/mqtt"},
                },
                "sparkplug_node": {
                    "group_id": stand_in.ledger.group_id,
                    "node_id": stand_in.ledger.node_id,
                    "primary_host": HOST_ID,
                    "interval_s": self._interval_s,
                    "max_age_days": 30,
                    "max_samples": 1_000_000,
                },
            },
        )

    async def _add_switch(self, home: HomeAssistant, entry_id: str) -> None:
        """Have the host switch something, and expect the answer."""
        await home.add_subentry(
            entry_id,
            "sparkplug_command",
            {
                "user": {
                    "device_id": DEVICE,
                    "metric": SWITCH,
                    "data_type": "boolean",
                    "entity": "input_boolean.alarm",
                    "time_limit_s": 10,
                }
            },
        )
        self.expected.add((DEVICE, SWITCH))

        async def is_there() -> bool:
            return DEVICE in self._stand_in.ledger.devices

        await until(is_there, 60, "the birth of the switch")
        await self._stand_in.host.write(DEVICE, SWITCH, True, BOOLEAN)

    def _points(self, device: str, step: Json) -> Json:
        """Take what the form suggests, in a folder."""
        (field,) = step["data_schema"]
        rows: list[dict[str, Any]] = field["description"]["suggested_value"]
        for row in rows:
            row["name"] = f"readings/{row['name']}"
            self.expected.add((device, row["name"]))
        return {"points": rows}

    def received(self) -> list[Received]:
        """Return what the host took as data, or as a birth where nothing has changed since."""
        counts: Counter[tuple[str, str]] = Counter()
        newest: dict[tuple[str, str], Arrival] = {}
        for arrival in self._stand_in.ledger.arrivals:
            if arrival.value is None:
                continue
            point = arrival.device, arrival.name
            counts[point] += 1
            if point not in newest or arrival.timestamp_ms >= newest[point].timestamp_ms:
                newest[point] = arrival
        return [
            Received(
                device=device,
                name=name,
                value=str(last.value) if isinstance(last.value, bool) else last.value or 0,
                at=last.timestamp_ms / 1000,
                count=counts[device, name],
            )
            for (device, name), last in newest.items()
        ]

    def refused(self) -> list[str]:
        """Return what broke a rule."""
        return self._stand_in.ledger.refused


@asynccontextmanager
async def run_sparkplug(folder: Path, _real_brokers: bool) -> AsyncIterator[SparkplugPlatform]:
    """Run the stand-in, whose broker is a real one in any case."""
    async with Sparkplug(folder) as stand_in:
        await stand_in.host.go_online()
        yield SparkplugPlatform(stand_in)
