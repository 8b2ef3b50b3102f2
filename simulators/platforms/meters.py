"""The meters beside the platforms of the demo: what Home Assistant reads from each of them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

from ..home_assistant import HomeAssistant, Json
from . import Received

_POLL_S = 1.0
_SHOWN = "power"


class Meters:
    """What the power sensors of all meters say."""

    def __init__(self) -> None:
        """Start without any."""
        self.expected: set[tuple[str, str]] = set()
        self._sensors: dict[str, str] = {}
        self._received: dict[str, Received] = {}
        self._counts: Counter[str] = Counter()

    async def configure(self, home: HomeAssistant, devices: list[str]) -> None:
        """Expect the power of these meters."""
        names = {device["id"]: device["name"] for device in await home.devices()}
        self._sensors = {
            entity["entity_id"]: names[entity["device_id"]]
            for entity in await home.entities()
            if entity["device_id"] in devices and entity["translation_key"] == _SHOWN
        }
        self.expected = {(name, _SHOWN) for name in self._sensors.values()}

    async def look(self, home: HomeAssistant) -> None:
        """Take what Home Assistant has, again and again until cancelled."""
        while True:
            states = await home.states()
            for entity_id, name in self._sensors.items():
                if (state := states.get(entity_id)) is not None:
                    self._take(name, state)
            await asyncio.sleep(_POLL_S)

    def _take(self, name: str, state: Json) -> None:
        try:
            value = float(state["state"])
        except ValueError:
            return
        at = datetime.fromisoformat(state["last_reported"]).timestamp()
        if name not in self._received or at > self._received[name].at:
            self._counts[name] += 1
        self._received[name] = Received(
            device=name, name=_SHOWN, value=value, at=at, count=self._counts[name]
        )

    def received(self) -> list[Received]:
        """Return the last value of each meter."""
        return list(self._received.values())

    def refused(self) -> list[str]:
        """Return nothing: Home Assistant shows what it reads."""
        return []


@asynccontextmanager
async def run_meters(home: HomeAssistant, devices: list[str]) -> AsyncIterator[Meters]:
    """Look at meters for as long as Home Assistant runs."""
    meters = Meters()
    await meters.configure(home, devices)
    looking = asyncio.create_task(meters.look(home))
    try:
        yield meters
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
