"""An entry that publishes, and a subscriber to it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.sttp_publisher.const import SUBENTRY_DEVICE
from custom_components.grid_telemetry.protocols.sttp.measurement import Measurement
from custom_components.grid_telemetry.protocols.sttp.metadata import MeasurementDetail, Metadata
from custom_components.grid_telemetry.protocols.sttp.subscriber import (
    Subscriber,
    SubscriberParameters,
)
from simulators.programs import free_port
from tests.clock import clocks_ahead

WITHIN_S = 10
ALL = "FILTER ActiveMeasurements WHERE True"

type AddEntry = Callable[..., MockConfigEntry]
type Forward = Callable[[float], None]
type Listen = Callable[..., Awaitable[Listener]]


def point(entity: str, name: str, signal: str = "ALOG", **more: Any) -> dict[str, Any]:
    return {"entity": entity, "name": name, "signal": signal, "phase": None, **more}


def device(acronym: str, *points: dict[str, Any], max_age_s: int = 300) -> ConfigSubentryData:
    return ConfigSubentryData(
        subentry_type=SUBENTRY_DEVICE,
        title=acronym,
        unique_id=None,
        data={"acronym": acronym, "max_age_s": max_age_s, "points": list(points)},
    )


@pytest.fixture
def forward(hass: HomeAssistant) -> Generator[Forward]:
    """Return a function that sets the clock forward, by less than any socket waits.

    The event loop's own clock runs on: there are real sockets, which a frozen one would stop.
    """

    def forward_by(seconds: float) -> None:
        ahead.seconds += seconds
        async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=6))

    with clocks_ahead() as ahead:
        yield forward_by


@pytest.fixture
def add_entry(hass: HomeAssistant, socket_enabled: None) -> AddEntry:
    """Return a function that adds an entry on a free port, with subentries."""

    def add(*subentries: ConfigSubentryData, **changes: Any) -> MockConfigEntry:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="STTP",
            data={
                CONF_KIND: "sttp_publisher",
                "host": "127.0.0.1",
                "port": free_port(),
                "allowed_networks": ["127.0.0.0/8"],
                "max_subscribers": 32,
                **changes,
            },
            subentries_data=subentries,
        )
        entry.add_to_hass(hass)
        return entry

    return add


class Listener:
    """A subscriber to everything, and what it has."""

    def __init__(self, port: int, **parameters: Any) -> None:
        self.measurements: list[Measurement] = []
        self.metadata: list[Metadata] = []
        self.caches = 0
        self._changed = asyncio.Event()
        self.subscriber = Subscriber(
            SubscriberParameters(
                **{"host": "127.0.0.1", "port": port, "filter_expression": ALL, **parameters}
            ),
            on_measurements=self._take,
            on_metadata=self._take_metadata,
            on_signals=self._take_signals,
        )
        self.task = asyncio.create_task(self.subscriber.run())
        self.task.add_done_callback(lambda _: self._changed.set())

    def _take(self, measurements: list[Measurement]) -> None:
        self.measurements += measurements
        self._changed.set()

    def _take_metadata(self, metadata: Metadata) -> None:
        self.metadata.append(metadata)
        self._changed.set()

    def _take_signals(self, _: object) -> None:
        self.caches += 1
        self._changed.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def detail(self, name: str) -> MeasurementDetail:
        """Return the newest metadata of a signal by the end of its tag."""
        (found,) = (
            detail
            for detail in self.metadata[-1].measurements
            if detail.point_tag.endswith(f":{name}")
        )
        return found

    def of(self, signal_id: UUID) -> list[Measurement]:
        return [item for item in self.measurements if item.signal_id == signal_id]

    async def newest(
        self, name: str, condition: Callable[[Measurement], object] = lambda _: True
    ) -> Measurement:
        """Wait until the newest measurement of a signal fulfils a condition, and return it."""
        await self.until(lambda: self.metadata)
        signal_id = self.detail(name).signal_id
        await self.until(lambda: (own := self.of(signal_id)) and condition(own[-1]))
        return self.of(signal_id)[-1]

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError, OSError):
            await self.task


@pytest.fixture
async def listen(socket_enabled: None) -> AsyncGenerator[Listen]:
    """Subscribe to an entry's publisher."""
    listeners: list[Listener] = []

    async def start(entry: MockConfigEntry, **parameters: Any) -> Listener:
        listener = Listener(entry.data["port"], **parameters)
        listeners.append(listener)
        await listener.until(lambda: listener.caches or listener.task.done())
        return listener

    yield start
    for listener in listeners:
        await listener.stop()
