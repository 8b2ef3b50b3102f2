"""SolarNode as a platform of the demo: what a node measures, seen as states in Home Assistant."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
import time
from typing import Final

from aiohttp import ClientError

from ..home_assistant import ApiError, HomeAssistant, Json
from ..solarnode import Behaviour, SolarNode
from ..solarnode_datum import Datum, HouseDatum
from . import Received

LOGIN: Final = "demo@example.com"
PASSWORD: Final = "solarnode"  # noqa: S105 - of a stand-in on this machine
LOOK_S: Final = 1.0
NODE: Final = "SolarNode"
# A longer reply does not pass, so that the requests have to be split.
REPLY_LIMIT: Final = 900
# What Home Assistant shows in another unit than the node has.
_FACTORS: Final = {"wattHours": 0.001, "wattHoursReverse": 0.001}


class Node:
    """The stand-in, and what Home Assistant shows of it."""

    def __init__(self) -> None:
        """Prepare a node in a house of its own."""
        self._house = HouseDatum()
        self._given: dict[tuple[str, str], set[float | str]] = defaultdict(set)
        self.node = SolarNode(
            login=LOGIN,
            password=PASSWORD,
            latest=self._latest,
            behaviour=Behaviour(live=True),
        )
        self.expected: set[tuple[str, str]] = set()
        self._entities: dict[str, tuple[str, str]] = {}
        self._received: dict[tuple[str, str], Received] = {}
        self._refused: list[str] = []
        self._limited_at = 0.0
        self._looking: asyncio.Task[None] | None = None

    def _latest(self) -> list[Datum]:
        """Give the datum, and keep what was given."""
        datum = self._house()
        for item in datum:
            for name, value in _properties(item).items():
                self._given[item["sourceId"], name].add(value)
        return datum

    async def configure(self, home: HomeAssistant, devices: list[str]) -> None:
        """Connect Home Assistant to the node, try a command, and begin to look."""
        entry_id = await home.add_entry(
            "grid_telemetry",
            {
                "user": {"next_step_id": "solarnode"},
                "solarnode": {
                    "host": "127.0.0.1",
                    "port": self.node.port,
                    "login": LOGIN,
                    "password": PASSWORD,
                    "interval_s": 2,
                    "live_sources": ["/house/meter/1"],
                },
            },
        )
        self.expected = {
            (item["sourceId"], name) for item in self._latest() for name in _properties(item)
        }
        self.expected |= {(NODE, "command"), (NODE, "live datum")}
        # From here on a long reply breaks the connection; what counts is what comes in spite of it.
        self.node.behaviour.reply_limit = REPLY_LIMIT
        self._limited_at = time.time()
        self._looking = asyncio.create_task(self._look(home, entry_id))

    async def stop(self) -> None:
        """End to look."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look(self, home: HomeAssistant, entry_id: str) -> None:
        while True:
            try:
                await self._command(home, entry_id)
                prefix = f"{entry_id}_"
                for entity in await home.entities():
                    for key in self.expected:
                        if entity["unique_id"] == prefix + "|".join(key):
                            self._entities[entity["entity_id"]] = key
                self._take(await home.states())
            except ClientError, ApiError:
                pass  # Home Assistant is busy or about to stop
            await asyncio.sleep(LOOK_S)

    async def _command(self, home: HomeAssistant, entry_id: str) -> None:
        """Send a command to the node, and check what comes back."""
        answer = await home.call(
            "grid_telemetry.solarnode_command",
            response=True,
            config_entry_id=entry_id,
            destination="/coffee/order",
        )
        if answer != {"status": 418, "message": "I'm a tea pot.", "result": None}:
            self._refused.append(f"the command was answered {answer}")
        self._note((NODE, "command"), answer["status"], time.time())
        if self.node.live_count:
            self._note((NODE, "live datum"), self.node.live_count, time.time())

    def _take(self, states: dict[str, Json]) -> None:
        """Take the states over; each value must be one that the node gave."""
        for entity_id, key in self._entities.items():
            state = states.get(entity_id)
            if state is None or state["state"] in ("unavailable", "unknown"):
                continue
            text = state["state"]
            try:
                value: float | str = float(text)
            except ValueError:
                value = text
            factor = _FACTORS.get(key[1], 1.0)
            if not any(_same(value, given, factor) for given in self._given[key]):
                self._refused.append(f"{entity_id} shows {text}, which the node never had")
            at = datetime.fromisoformat(state["last_updated"]).timestamp()
            if at > self._limited_at:
                self._note(key, value, at)

    def _note(self, key: tuple[str, str], value: float | str, at: float) -> None:
        before = self._received.get(key)
        count = 1 if before is None else before.count + (before.at != at)
        self._received[key] = Received(device=key[0], name=key[1], value=value, at=at, count=count)

    def received(self) -> list[Received]:
        """Return what Home Assistant shows."""
        return list(self._received.values())

    def refused(self) -> list[str]:
        """Return what it should not have shown."""
        return self._refused


def _properties(datum: Datum) -> dict[str, float | str]:
    return {**datum["i"], **datum.get("a", {}), **datum.get("s", {})}


def _same(value: float | str, given: float | str, factor: float) -> bool:
    if isinstance(value, str) or isinstance(given, str):
        return value == given
    return abs(value - given * factor) < 1e-6


@asynccontextmanager
async def run_solarnode(folder: Path, real_brokers: bool) -> AsyncIterator[Node]:
    """Run the stand-in; a real SolarNode is not to be had."""
    platform = Node()
    async with platform.node:
        try:
            yield platform
        finally:
            await platform.stop()
