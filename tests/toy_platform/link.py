"""The toy link: the states of sensors to the toy platform, durably."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from homeassistant.const import CONF_PORT, Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity import Entity

from custom_components.grid_telemetry.connection.health import (
    Health,
    LinkWithHealth,
    health_entities,
)
from custom_components.grid_telemetry.connection.issues import Issues
from custom_components.grid_telemetry.entities.link_entities import link_device_info
from custom_components.grid_telemetry.link import GridTelemetryConfigEntry, Link
from custom_components.grid_telemetry.outbox.actions import DurableForwarder
from custom_components.grid_telemetry.outbox.delivery import Delivery
from custom_components.grid_telemetry.outbox.issues import show_trouble
from custom_components.grid_telemetry.outbox.path import async_remove_outbox, outbox_path
from custom_components.grid_telemetry.outbox.store import Limits, Outbox
from custom_components.grid_telemetry.points.point import Point
from custom_components.grid_telemetry.points.sampler import Sample, Sampler
from custom_components.grid_telemetry.points.table import CONF_POINTS

from .client import ToySession, connect
from .const import CONF_KEY, SUBENTRY_DEVICE
from .payload import pack, record


class ToyLink(LinkWithHealth, DurableForwarder, Link):
    """One connection to the toy platform."""

    platforms: Sequence[Platform] = (Platform.BINARY_SENSOR, Platform.SENSOR)

    def __init__(self, hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
        self._entry = entry
        self.health = Health()
        self._issues = Issues(hass, entry)
        self.outbox = Outbox(
            outbox_path(hass, entry),
            limits=Limits(max_age_s=86_400, max_samples=10_000),
            on_trouble=partial(show_trouble, self._issues),
        )
        self.delivery = Delivery(
            hass,
            entry,
            outbox=self.outbox,
            health=self.health,
            connect=self._connect,
            pack=pack,
            gather_s=0,
        )
        points = [
            Point.from_dict(point)
            for subentry in entry.get_subentries_of_type(SUBENTRY_DEVICE)
            for point in subentry.data[CONF_POINTS]
        ]
        self._sampler = Sampler(hass, entry, points, 1, self._async_take)

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return the health."""
        device = link_device_info(self._entry, "Toy")
        return {None: health_entities(self._entry, device, self.health)[platform]}

    async def async_start(self) -> None:
        """Sample and deliver."""
        self._sampler.start()
        self.delivery.start()

    async def async_stop(self) -> None:
        """End."""
        self._sampler.stop()
        await self.delivery.stop()
        await self.outbox.close()
        self._issues.clear()

    def diagnostics(self) -> dict[str, Any]:
        """Return the health."""
        return {"health": self.health.as_dict()}

    async def async_queue(self, name: str, at: float, value: float) -> None:
        """Queue a value."""
        await self.outbox.put([record(name, round(at * 1000), value)])
        self.delivery.wake()

    async def _async_take(self, at: float, samples: Sequence[Sample]) -> None:
        for sample in samples:
            await self.async_queue(sample.point.name, at, sample.value)

    def _connect(self) -> AbstractAsyncContextManager[ToySession]:
        return connect(self._entry.data[CONF_PORT], self._entry.data[CONF_KEY])


async def async_setup_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> ToyLink:
    """Return the link of an entry, its outbox open."""
    link = ToyLink(hass, entry)
    await link.outbox.open()
    return link


async def async_remove_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Delete the outbox."""
    await async_remove_outbox(hass, entry)
