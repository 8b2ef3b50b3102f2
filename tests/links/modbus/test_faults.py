"""The link behind a gateway with faults: what a meter shows is its own, and it comes back."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Literal

from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.modbus import client, entities, timed_unit
from custom_components.grid_telemetry.vocabulary.shown import Restraint
from simulators.gateway import Faults, Gateway
from simulators.meters import MeterServer, SimulatedMeter

from .conftest import meter
from .test_wire import available, until

TIMEOUT_S = 0.3

SHOWS_EVERY_READ = Restraint(every_s=0, share=0, least=0)

type Wire = Literal["tcp", "rtu_over_tcp"]


@pytest.fixture(autouse=True)
def short_timeout(monkeypatch: pytest.MonkeyPatch, socket_enabled: None) -> None:
    """Let a silent meter hold up the line, and the tests, for less time."""
    monkeypatch.setattr(client, "REQUEST_TIMEOUT_S", TIMEOUT_S)
    monkeypatch.setattr(timed_unit, "REQUEST_TIMEOUT_S", TIMEOUT_S)


@pytest.fixture(autouse=True)
def every_read_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sensors show each read, as they do where somebody uses them."""
    monkeypatch.setattr(entities, "restraint_of", lambda _: SHOWS_EVERY_READ)


class CountingMeter(SimulatedMeter):
    """A meter whose power is a thousand times its unit id, and a bit more with each read."""

    def __init__(self, unit: int) -> None:
        self._reads = 0
        super().__init__(unit, "eastron_sdm630", self._count)

    def _count(self) -> Mapping[str, float]:
        self._reads += 1
        return {"power": 1000.0 * self.unit + self._reads % 900}


@asynccontextmanager
async def running(
    hass: HomeAssistant, wire: Wire, faults: Faults, *units: int
) -> AsyncIterator[Gateway]:
    """Run a link with meters behind a gateway."""
    async with (
        MeterServer([CountingMeter(unit) for unit in units], transport=wire) as server,
        Gateway(server.port, unit_at=6 if wire == "tcp" else 0, faults=faults) as gateway,
    ):
        entry = MockConfigEntry(
            domain=DOMAIN,
            data={"kind": "modbus", "transport": wire, "host": "127.0.0.1", "port": gateway.port},
            subentries_data=[
                meter(unit, title=f"Meter {unit}", fast_interval_s=1, slow_interval_s=60)
                for unit in units
            ],
        )
        entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(entry.entry_id)
        yield gateway
        assert await hass.config_entries.async_unload(entry.entry_id)


async def powers(hass: HomeAssistant, unit_id: int, count: int) -> list[float]:
    """Return the next powers that a meter shows."""
    entity_id = er.async_get(hass).async_get_entity_id("sensor", DOMAIN, f"meter_{unit_id}_power")
    assert entity_id is not None
    shown: list[float] = []
    enough = asyncio.Event()

    @callback
    def changed(event: Event[EventStateChangedData]) -> None:
        if (new := event.data["new_state"]) is not None and available(new.state):
            shown.append(float(new.state))
            if len(shown) >= count:
                enough.set()

    stop = async_track_state_change_event(hass, entity_id, changed)
    async with asyncio.timeout(60):
        await enough.wait()
    stop()
    return shown


@pytest.mark.parametrize("wire", ["tcp", "rtu_over_tcp"])
async def test_an_answer_that_comes_late_is_never_taken_for_another(
    hass: HomeAssistant, wire: Wire
) -> None:
    async with running(hass, wire, Faults(late_s={2: 2 * TIMEOUT_S}), 1, 2, 3):
        for unit_id in (1, 3):
            shown = await powers(hass, unit_id, 4)
            assert all(1000 * unit_id < power < 1000 * unit_id + 1000 for power in shown)


async def test_a_garbled_answer_is_asked_for_again(hass: HomeAssistant) -> None:
    async with running(hass, "rtu_over_tcp", Faults(garbled=0.1), 1):
        assert all(1000 < power < 2000 for power in await powers(hass, 1, 8))


async def test_a_gateway_with_one_client_is_shared_and_comes_back(hass: HomeAssistant) -> None:
    async with running(hass, "tcp", Faults(one_client_s=0.5), 1, 2) as gateway:
        await until(hass, "power", available, unit_id=1)
        await until(hass, "power", available, unit_id=2)
        assert (gateway.clients, gateway.refused) == (1, 0)

        gateway.drop()
        for unit_id in (1, 2):
            await powers(hass, unit_id, 2)
        assert gateway.clients == 2
