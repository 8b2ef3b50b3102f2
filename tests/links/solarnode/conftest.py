"""A node of the simulated kind, and an entry for it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from homeassistant.core import HomeAssistant, State
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.solarnode.client import NodeParameters
from simulators.solarnode import SolarNode
from simulators.solarnode_datum import Datum

WITHIN_S = 10
LOGIN = "me@example.com"
PASSWORD = "password123"

type AddEntry = Callable[..., MockConfigEntry]


class Readings(list[Datum]):
    """What the node has, which a test may change."""

    def __call__(self) -> list[Datum]:
        return list(self)


def datum(source: str, created: str = "2026-11-20 12:00:00Z", **groups: Any) -> Datum:
    return {"created": created, "sourceId": source, **groups}


@pytest.fixture
def readings() -> Readings:
    return Readings([datum("/meter/1", i={"watts": 1500, "voltage": 230.4})])


@pytest.fixture
async def node(socket_enabled: None, readings: Readings) -> AsyncGenerator[SolarNode]:
    """Run a node of version 4.0.0."""
    async with SolarNode(login=LOGIN, password=PASSWORD, latest=readings) as running:
        yield running


@pytest.fixture
def parameters(node: SolarNode) -> NodeParameters:
    return NodeParameters(host="127.0.0.1", port=node.port, login=LOGIN, password=PASSWORD)


@pytest.fixture
def add_entry(hass: HomeAssistant, node: SolarNode) -> AddEntry:
    """Return a function that adds an entry for the node."""

    def add(**changes: Any) -> MockConfigEntry:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Node",
            unique_id=f"solarnode/127.0.0.1:{node.port}",
            data={
                CONF_KIND: "solarnode",
                "host": "127.0.0.1",
                "port": node.port,
                "login": LOGIN,
                "password": PASSWORD,
                "sources": [],
                "interval_s": 0.05,
                "live_sources": [],
                **changes,
            },
        )
        entry.add_to_hass(hass)
        return entry

    return add


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.01)


async def shown(hass: HomeAssistant, name: str, value: str | Callable[[State], object]) -> State:
    """Wait until a sensor shows a value, or what a condition asks for; return its state."""

    def found() -> bool:
        state = hass.states.get(f"sensor.{name}")
        if state is None:
            return False
        return state.state == value if isinstance(value, str) else bool(value(state))

    await until(found)
    state = hass.states.get(f"sensor.{name}")
    assert state is not None
    return state


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set the entry up and wait until it has read the node."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entry.runtime_data.health.connected)
    await hass.async_block_till_done()
