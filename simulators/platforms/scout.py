"""Scout as a platform of the demo."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
import json
from pathlib import Path
from typing import Any

from ..home_assistant import HomeAssistant, Json
from ..rabbitmq import Observer, RabbitMq
from ..scout import ScoutServer
from ..scout_messages import Event, Ledger, Metric
from . import Received

INTERVAL_S = 10
CLAIM_ID = "DEMO2026"
TOKEN = "a token of the demo"  # noqa: S105


class Scout:
    """What the stand-in, or RabbitMQ in its place, has in its ledger."""

    def __init__(
        self, url: str, ledger: Ledger, interval_s: int = INTERVAL_S, take: str = "instant"
    ) -> None:
        """Take the address for Home Assistant, the ledger to look into and how values are taken."""
        self._url = url
        self._ledger = ledger
        self._interval_s = interval_s
        self._take = take
        self.expected: set[tuple[str, str]] = set()

    async def configure(self, home: HomeAssistant, devices: list[str]) -> None:
        """Make the entry, a device for each meter and an alarm."""
        entry_id = await home.add_entry(
            "grid_telemetry",
            {
                "user": {"next_step_id": "scout"},
                "scout": {
                    "url": self._url,
                    "host": "pro",
                    "claim_id": CLAIM_ID,
                    "token": TOKEN,
                    "allow_plain": True,
                },
                "scout_gateway": {
                    "serial_number": "DEMO-GATEWAY",
                    "gateway_type": "HOME_ASSISTANT",
                    "firmware_version": "1.0",
                    "hardware_version": "1.0",
                    "interval_s": self._interval_s,
                    "max_age_days": 30,
                    "max_samples": 1_000_000,
                },
            },
        )
        for number, device in enumerate(devices):
            name = f"METER{number}" if number else "MAIN"
            await home.add_subentry(
                entry_id,
                "device",
                {
                    "user": {"gateway_device_id": name, "devices": [device], "entities": []},
                    "mapping": {"next_step_id": "points"},
                    "points": partial(self._points, name),
                },
            )
        await home.add_subentry(
            entry_id,
            "alarm",
            {
                "user": {
                    "entity": "binary_sensor.alarm",
                    "event_type": "ALARM_DEVICE",
                    "gateway_device_id": "MAIN",
                    "custom_name": "Alarm of the demo",
                }
            },
        )
        self.expected.add(("MAIN", "ALARM_DEVICE"))

    def _points(self, device: str, step: Json) -> Json:
        """Take what the form suggests, and a code of our own where it knows none."""
        (field,) = step["data_schema"]
        rows: list[dict[str, Any]] = field["description"]["suggested_value"]
        for row in rows:
            row["code"] = row["code"] or row["entity"].partition(".")[2].upper()
            if self._take != "instant":
                row["take"] = self._take
            self.expected.add((device, row["code"]))
        return {"points": rows}

    def received(self) -> list[Received]:
        """Return what the ledger took."""
        counts: Counter[tuple[str, str]] = Counter()
        newest: dict[tuple[str, str], Metric | Event] = {}
        for metric in self._ledger.metrics:
            counts[metric.device, metric.code] += 1
            newest[metric.device, metric.code] = metric
        for event in self._ledger.events:
            counts[event.device, event.type] += 1
            newest[event.device, event.type] = event
        return [
            Received(
                device=device,
                name=name,
                value=_shown(last),
                at=last.ts.timestamp(),
                count=counts[device, name],
            )
            for (device, name), last in newest.items()
        ]

    def refused(self) -> list[str]:
        """Return what the ledger refused."""
        return self._ledger.refusals


@asynccontextmanager
async def run_scout(folder: Path, real_brokers: bool) -> AsyncIterator[Scout]:
    """Run the stand-in, or RabbitMQ in its place."""
    if real_brokers:
        async with (
            RabbitMq(folder=folder / "rabbitmq", claim_id=CLAIM_ID, token=TOKEN) as broker,
            Observer(broker=broker) as observer,
        ):
            yield Scout(broker.url, observer)
    else:
        async with ScoutServer(claim_id=CLAIM_ID, token=TOKEN) as server:
            yield Scout(server.url, server)


def _shown(last: Metric | Event) -> float | str:
    """Return a number, or the text of an event and of a code with several numbers."""
    if isinstance(last, Event):
        return last.status
    return json.dumps(last.value) if isinstance(last.value, dict) else last.value
