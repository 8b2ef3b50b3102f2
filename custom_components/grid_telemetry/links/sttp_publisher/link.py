"""STTP publisher link: the states of sensors to any IEEE 2664 (STTP) subscriber that asks."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from homeassistant.const import Platform
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.json import json_dumps
from homeassistant.util import dt as dt_util

from ...connection.traffic import Direction, traffic_of
from ...entities.diagnostic import DiagnosticSensor
from ...entities.link_entities import link_device_info
from ...forms.listener import cannot_listen
from ...forms.tls import unreadable_file
from ...link import GridTelemetryConfigEntry, LinkWithLiveChanges
from ...points.counter_store import CounterStore
from ...points.issues import PointIssues
from ...points.point import moves_an_entity
from ...points.reader import LinkWithPoints, PresentPoint
from ...protocols.sttp import Measurement, SubscriberInfo
from ...protocols.sttp.metadata import Metadata, MetadataSource
from .const import EVENT_USER_COMMAND
from .devices import Device, Numbers, async_devices, async_remove_numbers, node_id
from .entities import diagnostic_sensors
from .history import RecorderHistory
from .mapping import Signal
from .metadata import keep_times, metadata_of
from .server import TlsContexts, publisher_of, tls_contexts
from .values import Values

MODEL = "STTP publisher"
GATHER_S = 1.0
"""Changes of the registries often come many at once; they are gathered for so long."""


class SttpPublisherLink(MetadataSource, LinkWithPoints, LinkWithLiveChanges):
    """One publisher: a server that subscribers connect to."""

    platforms: Sequence[Platform] = (Platform.SENSOR,)

    def __init__(
        self, hass: HomeAssistant, entry: GridTelemetryConfigEntry, tls: TlsContexts
    ) -> None:
        history = RecorderHistory(hass, lambda: self._signals)
        self.publisher = publisher_of(
            entry.data,
            tls,
            history,
            on_command=self._note_command,
            on_user_command=self._take_user_command,
        )
        self.metadata = Metadata()
        self._hass = hass
        self._entry = entry
        self._set_up_with = (entry.title, dict(entry.data))
        self._numbers = Numbers(hass, entry)
        self._devices: Sequence[Device] = ()
        self._signals: Sequence[Signal] = ()
        self._counters = CounterStore(hass, entry, lambda: self._values.readers)
        self._traffic = traffic_of(hass, entry.entry_id)
        self._values = Values(hass, self._publish, self._counters.restore)
        self._point_issues: PointIssues | None = None
        self._unlisten: list[CALLBACK_TYPE] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._adapting = asyncio.Lock()
        self._stopped = False

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return the health of the publisher."""
        device = link_device_info(self._entry, MODEL)
        now = self._hass.loop.time
        return {
            None: [
                DiagnosticSensor(self._entry, device, description)
                for description in diagnostic_sensors(self.publisher, now, self._values.stale)
            ]
        }

    async def async_setup(self) -> None:
        """Define what there is and listen; raises OSError where the port cannot be had."""
        await self._numbers.async_load()
        self._devices = await async_devices(self._entry, self._numbers)
        self._define()
        await self.publisher.start()

    async def async_start(self) -> None:
        """Publish the states, and follow the registries."""
        await self._counters.async_load()
        self._follow()
        self._unlisten = [
            self._hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._entity_changed),
            self._hass.bus.async_listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, self._gather),
        ]

    async def async_stop(self) -> None:
        """End; the port is free when this returns."""
        self._stopped = True
        async with self._adapting:
            # What it saves is not to come after what is deleted when the entry is removed.
            pass
        while self._unlisten:
            self._unlisten.pop()()
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._values.stop()
        if self._point_issues is not None:
            self._point_issues.stop()
        await self._counters.async_stop()
        await self.publisher.stop()

    async def async_apply_changes(self) -> bool:
        """Take over changed devices without disturbing subscribers, who are told of it."""
        if self._set_up_with != (self._entry.title, dict(self._entry.data)):
            return False
        async with self._adapting:
            devices = await async_devices(self._entry, self._numbers)
        if self._stopped:
            return True
        self._values.stop()
        self._devices = devices
        self._define()
        self._follow()
        return True

    async def async_refresh_metadata(self) -> Metadata:
        """Have subscribers take all metadata over anew, changed or not."""
        self._define(Metadata())
        return self.metadata

    def present_points(self) -> Mapping[str, Sequence[PresentPoint]]:
        """Return what would be published of each device now."""
        return {
            device.subentry_id: [self._values.present(signal) for signal in device.signals]
            for device in self._devices
        }

    def diagnostics(self) -> dict[str, Any]:
        """Return health, subscribers and what is published."""
        health = self.publisher.health
        return {
            "measurements": health.measurements,
            "bytes": health.bytes,
            "dropped": health.dropped,
            "refused": health.refused,
            "last_refusal": health.last_refusal,
            "subscribers": [
                {
                    "version": info.version,
                    "agent": info.agent,
                    "form": info.form,
                    "filter_expression": info.filter_expression,
                    "signals": info.signals,
                    "measurements": info.measurements,
                    "bytes": info.bytes,
                    "waiting_bytes": info.waiting_bytes,
                }
                for info in self.publisher.subscribers()
            ],
            "signals": {device.acronym: len(device.signals) for device in self._devices},
            "quality": self._values.as_dict(),
        }

    @callback
    def _take_user_command(self, sender: SubscriberInfo, number: int, data: bytes) -> None:
        """Tell automations of a command of a subscriber; what it means they know."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = None
        self._hass.bus.async_fire(
            EVENT_USER_COMMAND,
            {
                "config_entry_id": self._entry.entry_id,
                "subscriber_id": str(sender.id),
                "address": sender.address,
                "command": number,
                "data": data.hex(),
                "text": text,
            },
        )

    def _publish(self, measurements: list[Measurement]) -> None:
        """Publish values, and show them to whoever looks."""
        if self._traffic.watched:
            names = {signal.signal_id: signal.point.name for signal in self._signals}
            told = {names[each.signal_id]: each.value for each in measurements}
            self._traffic.note(
                Direction.OUT, "measurements", str(len(measurements)), json_dumps(told)
            ).confirmed_s = 0.0
        self.publisher.publish(measurements)

    def _note_command(self, peer: str, command: str, size: int) -> None:
        if self._traffic.watched:
            self._traffic.note(Direction.IN, command, peer, "").size = size

    def _define(self, before: Metadata | None = None) -> None:
        """Publish the metadata if it is other than before; by default than it was."""
        before = self.metadata if before is None else before
        new = metadata_of(
            self._hass, self._devices, node=node_id(self._entry), now=dt_util.utcnow()
        )
        if (new := keep_times(new, before)) != self.metadata:
            self.metadata = new
            self.publisher.define_metadata(new)

    @callback
    def _follow(self) -> None:
        """Publish the values of the present devices."""
        self._signals = [signal for device in self._devices for signal in device.signals]
        self._values.follow(self._signals)
        if self._point_issues is not None:
            self._point_issues.stop()
        self._point_issues = PointIssues(
            self._hass, self._entry, [signal.point for signal in self._signals]
        )
        self._point_issues.start()

    @callback
    def _entity_changed(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        """Go on with an entity under its new name, or without it."""
        if moves_an_entity(event.data):
            self._values.follow_names()
        self._gather(event)

    @callback
    def _gather(self, _: Event[Any]) -> None:
        if self._gathering is None:
            self._gathering = self._hass.loop.call_later(GATHER_S, self._registries_changed)

    @callback
    def _registries_changed(self) -> None:
        self._gathering = None
        self._define()


async def async_setup_link(
    hass: HomeAssistant, entry: GridTelemetryConfigEntry
) -> SttpPublisherLink:
    """Return the link of an entry, listening."""
    try:
        tls = await hass.async_add_executor_job(tls_contexts, entry.data)
    except OSError as err:
        raise unreadable_file(err) from err
    link = SttpPublisherLink(hass, entry, tls)
    # Gives the port back wherever the setup ends.
    entry.async_on_unload(link.async_stop)
    try:
        await link.async_setup()
    except OSError as err:
        raise cannot_listen(entry.data, err) from err
    return link


async def async_remove_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Delete the numbers that were given out."""
    await async_remove_numbers(hass, entry)
