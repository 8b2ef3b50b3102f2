"""Scout link: the states of sensors to Circutor Scout, by STOMP over WebSocket."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
import time
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import Platform, __version__ as ha_version
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.entity import Entity

from ...connection.health import Health, LinkWithHealth, health_entities
from ...connection.issues import Issues
from ...entities.link_entities import link_device_info
from ...link import GridTelemetryConfigEntry, Link
from ...outbox.actions import DurableForwarder, outbox_errors
from ...outbox.backup import async_open_outbox
from ...outbox.delivery import Delivery
from ...outbox.entry import outbox_of
from ...outbox.issues import show_paused, show_refused
from ...outbox.packet import Packet
from ...outbox.path import async_remove_outbox
from ...outbox.store import Lane, OutboxClosedError, Record
from ...points.counter_store import CounterStore
from ...points.point import Point
from ...points.reader import LinkWithTrial, PresentPoint, Reading, TriedPoint, tried
from ...points.sampler import Sample, Sampler
from ...points.table import CONF_MAX_AGE_S, CONF_POINTS
from .alarms import Alarms
from .attributes import attributes_of
from .client import ScoutSession, open_session, parameters_of
from .const import (
    CONF_ALLOW_PLAIN,
    CONF_CLAIM_ID,
    CONF_CONNECTION_TYPE,
    CONF_FIRMWARE_MEASURE,
    CONF_FIRMWARE_VERSION,
    CONF_GATEWAY_DEVICE_ID,
    CONF_GATEWAY_TYPE,
    CONF_HARDWARE_VERSION,
    CONF_INTERVAL_S,
    CONF_SERIAL_NUMBER,
    SUBENTRY_DEVICE,
)
from .payload import (
    EXPORT_CONNECTED,
    MAIN_DEVICE,
    EventStatus,
    Gateway,
    attributes_record,
    event_record,
    metric_records,
    pack,
    packet_of,
)

_RELOAD_WITHIN_S = 30
_TRIED_WITHIN_S = 10.0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _values_of(points: Sequence[PresentPoint]) -> dict[str, float]:
    """Return the values that there are, by the names of their points."""
    return {
        each.point.name: each.reading.value for each in points if isinstance(each.reading, Reading)
    }


class ScoutLink(LinkWithHealth, LinkWithTrial, DurableForwarder, Link):
    """One gateway on the platform: samples its points and delivers them."""

    platforms: Sequence[Platform] = (Platform.BINARY_SENSOR, Platform.SENSOR)

    def __init__(self, hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
        data = entry.data
        self._hass = hass
        self._entry = entry
        self.interval_s: int = data[CONF_INTERVAL_S]
        self.gateway = Gateway(
            claim_id=data[CONF_CLAIM_ID],
            serial_number=data[CONF_SERIAL_NUMBER],
            gateway_type=data[CONF_GATEWAY_TYPE],
            firmware_version=data.get(CONF_FIRMWARE_VERSION) or ha_version,
            hardware_version=data[CONF_HARDWARE_VERSION],
            firmware_measure=data.get(CONF_FIRMWARE_MEASURE),
        )
        self.devices: dict[str, tuple[Point, ...]] = {
            subentry.data[CONF_GATEWAY_DEVICE_ID]: tuple(
                Point.from_dict(point) for point in subentry.data[CONF_POINTS]
            )
            for subentry in entry.get_subentries_of_type(SUBENTRY_DEVICE)
        }
        self._connection_types: dict[str, str] = {
            subentry.data[CONF_GATEWAY_DEVICE_ID]: connection_type
            for subentry in entry.get_subentries_of_type(SUBENTRY_DEVICE)
            if (connection_type := subentry.data.get(CONF_CONNECTION_TYPE))
        }
        # Two devices may send the same point; it is read once.
        self._devices_of: dict[Point, list[str]] = {}
        for device_id, points in self.devices.items():
            for point in points:
                self._devices_of.setdefault(point, []).append(device_id)
        # Without an oldest value all is sent, however old; its age is told all the same.
        flow_limits = {
            point: float(max_age_s)
            for subentry in entry.get_subentries_of_type(SUBENTRY_DEVICE)
            if (max_age_s := subentry.data.get(CONF_MAX_AGE_S)) is not None
            for point in self.devices[subentry.data[CONF_GATEWAY_DEVICE_ID]]
        }
        self.health = Health()
        self._issues = Issues(hass, entry)
        self.outbox = outbox_of(hass, entry, self._issues)
        self.delivery = Delivery(
            hass,
            entry,
            outbox=self.outbox,
            health=self.health,
            connect=self._open_session,
            pack=pack,
            greet=self._greetings,
            on_dropped=self._async_dropped,
            on_paused=partial(show_paused, self._issues),
        )
        self._sampler = Sampler(
            hass,
            entry,
            tuple(self._devices_of),
            self.interval_s,
            self._async_take,
            flow_limits=flow_limits,
            health=self.health,
        )
        self._counters = CounterStore(hass, entry, lambda: self._sampler.readers)
        self.alarms = Alarms(hass, entry, self._issues, self.outbox, self._async_queue_soon)
        self._attributes_sent: dict[str, dict[str, str]] = {}

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return the health of the gateway."""
        device = link_device_info(self._entry, "Circutor Scout")
        return {None: health_entities(self._entry, device, self.health)[platform]}

    async def async_start(self) -> None:
        """Sample, watch the alarms and deliver."""
        self._attributes_sent = self.device_attributes()
        await self._counters.async_load()
        self._sampler.start()
        self.alarms.start()
        self._entry.async_on_unload(
            self._hass.bus.async_listen(
                dr.EVENT_DEVICE_REGISTRY_UPDATED, self._async_device_changed
            )
        )
        self._entry.async_on_unload(self.health.listen(self._async_show_refused))
        self._async_show_refused()
        self.delivery.start()

    async def async_stop(self) -> None:
        """End; what is in the outbox waits there."""
        self._sampler.stop()
        await self._counters.async_stop()
        self.alarms.stop()
        await self.delivery.stop()
        await self.outbox.close()
        self._issues.clear()

    def diagnostics(self) -> dict[str, Any]:
        """Return health, counters and the size of the mapping."""
        return {
            "health": self.health.as_dict(),
            "sampler": self._sampler.as_dict(),
            "points": {device: len(points) for device, points in self.devices.items()},
        }

    def present_points(self) -> Mapping[str, Sequence[PresentPoint]]:
        """Return what would be sent of each device now."""
        return {
            subentry.subentry_id: [
                self._sampler.present(point)
                for point in self.devices[subentry.data[CONF_GATEWAY_DEVICE_ID]]
            ]
            for subentry in self._entry.get_subentries_of_type(SUBENTRY_DEVICE)
        }

    async def async_try_points(self) -> Mapping[str, Sequence[TriedPoint]]:
        """Send a sample of every point now, as it would go out at the next slot."""
        present = self.present_points()
        at_ms = _now_ms()
        devices = {
            subentry.subentry_id: subentry.data[CONF_GATEWAY_DEVICE_ID]
            for subentry in self._entry.get_subentries_of_type(SUBENTRY_DEVICE)
        }
        records = [
            record
            for subentry_id, points in present.items()
            if (data := _values_of(points))
            for record in metric_records(devices[subentry_id], at_ms, data)
        ]
        with outbox_errors():
            before = self.outbox.last_id
            await self.async_queue(records)
            await self.delivery.flush(_TRIED_WITHIN_S)
            waiting = {
                record.destination.device
                for record in await self.outbox.next(
                    len(records) + 1, lane=Lane.SAMPLES, after_id=before
                )
                if record.at_ms == at_ms
            }
            refused = {
                record.destination.device: record.reason
                for record in await self.outbox.refused(len(records) + 1)
                if record.at_ms == at_ms
            }
        return {
            subentry_id: [
                tried(each, devices[subentry_id], waiting=waiting, refused=refused)
                for each in points
            ]
            for subentry_id, points in present.items()
        }

    def device_attributes(self) -> dict[str, dict[str, str]]:
        """Return what the device registry knows of the gateway's devices."""
        return attributes_of(self._hass, self.devices, self._connection_types)

    def present_slot(self) -> float:
        """Return the start of the present interval, in epoch seconds."""
        return time.time() // self.interval_s * self.interval_s

    async def async_queue(self, records: Sequence[Record]) -> None:
        """Put records into the outbox and have them sent; returns when they are kept."""
        await self.outbox.put(records)
        self.delivery.wake()

    @property
    def running(self) -> ScoutLink:
        """The link that runs now in place of this one, after a reload of the entry."""
        if self._entry.state is ConfigEntryState.LOADED and isinstance(
            running := self._entry.runtime_data, ScoutLink
        ):
            return running
        return self

    async def async_queue_when_running(self, records: Sequence[Record]) -> None:
        """Put records into the outbox of the entry, waiting while it is being reloaded.

        For work that lasts: a change of a subentry reloads the entry meanwhile. Raises a
        `HomeAssistantError` if it does not come back.
        """
        for _ in range(_RELOAD_WITHIN_S):
            try:
                await self.running.async_queue(records)
            except OutboxClosedError:
                await asyncio.sleep(1)
            else:
                return
        with outbox_errors():
            await self.running.async_queue(records)

    @callback
    def _async_queue_soon(self, record: Record) -> None:
        self._entry.async_create_task(self._hass, self._async_queue_if_open(record))

    async def _async_queue_if_open(self, record: Record) -> None:
        with suppress(OutboxClosedError):  # it was stopped; after the next start it looks again
            await self.async_queue([record])

    @callback
    def _async_dropped(self) -> None:
        self._entry.async_create_task(self._hass, self._async_reconcile())

    async def _async_reconcile(self) -> None:
        with suppress(OutboxClosedError):
            await self.alarms.async_reconcile()

    @callback
    def _async_show_refused(self) -> None:
        show_refused(self._issues, self.outbox.refused_records)

    async def _async_take(self, at: float, samples: Sequence[Sample]) -> None:
        """Turn the samples of one slot into a record for each device."""
        by_device: dict[str, dict[str, float]] = {}
        for sample in samples:
            for device_id in self._devices_of[sample.point]:
                by_device.setdefault(device_id, {})[sample.point.name] = sample.value
        at_ms = round(at * 1000)
        await self.async_queue(
            [
                record
                for device_id, data in by_device.items()
                for record in metric_records(device_id, at_ms, data)
            ]
        )

    def _open_session(self) -> AbstractAsyncContextManager[ScoutSession]:
        return open_session(
            self._hass,
            parameters_of(self._entry.data),
            self.gateway,
            allow_plain=self._entry.data[CONF_ALLOW_PLAIN],
        )

    def _greetings(self) -> list[Packet]:
        """Return what a gateway says when it is back: an event and its attributes."""
        self._attributes_sent = self.device_attributes()
        now_ms = _now_ms()
        return [
            packet_of(record)
            for record in (
                event_record(
                    MAIN_DEVICE, now_ms, event_type=EXPORT_CONNECTED, status=EventStatus.INFO
                ),
                attributes_record(now_ms, self.gateway.attributes(), self._attributes_sent),
            )
        ]

    @callback
    def _async_device_changed(self, event: Event[Any]) -> None:
        """Send the attributes again when the registry has news of them."""
        present = self.device_attributes()
        changed = {
            device_id: attributes
            for device_id, attributes in present.items()
            if attributes != self._attributes_sent.get(device_id)
        }
        if changed:
            self._attributes_sent = present
            self._async_queue_soon(attributes_record(_now_ms(), {}, changed))


def entry_title(data: Mapping[str, Any]) -> str:
    """Return what an entry is called: it stands in logs, entity ids and answers to others."""
    return f"Circutor Scout {data[CONF_SERIAL_NUMBER]}"


async def async_setup_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> ScoutLink:
    """Return the link of an entry, its outbox open, with the alarms that were on before."""
    link = ScoutLink(hass, entry)
    try:
        await async_open_outbox(hass, link.outbox)
        # Before there are entities: a count that begins at 0 counts for statistics once more.
        link.delivery.show_queue()
        await link.alarms.async_load()
    except BaseException:
        await link.outbox.close()
        raise
    return link


async def async_remove_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Delete the outbox, files set aside included."""
    await async_remove_outbox(hass, entry)
