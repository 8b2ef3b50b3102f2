"""Sparkplug link: the states of sensors to SCADA systems and historians, by Sparkplug B."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
import time
from typing import Any, Final

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity import Entity

from ...commands.event import fires
from ...commands.registry import Registry
from ...connection.errors import LinkError
from ...connection.health import Health, LinkWithHealth, health_entities
from ...connection.issues import Issues
from ...const import DOMAIN
from ...entities.diagnostic import DiagnosticSensor
from ...entities.link_entities import link_device_info
from ...entry_store import EntryStore, async_remove_store, entry_store
from ...link import GridTelemetryConfigEntry, Link
from ...outbox.actions import DurableForwarder
from ...outbox.backup import async_open_outbox
from ...outbox.delivery import Delivery
from ...outbox.entry import outbox_of
from ...outbox.issues import show_paused, show_refused
from ...outbox.path import async_remove_outbox
from ...outbox.store import OutboxClosedError
from ...points.counter_store import CounterStore
from ...points.point import Point, Refusal, Take, entity_id_of
from ...points.reader import LinkWithPoints, PresentPoint
from ...points.sampler import Sample, Sampler
from ...points.table import CONF_MAX_AGE_S, CONF_POINTS
from ...protocols.mqtt import Will
from ...protocols.sparkplug import (
    CommandReceived,
    DataType,
    EdgeNode,
    Quality,
    Reading,
    Value,
    as_type,
)
from .client import (
    HOST_OFFLINE,
    Figures,
    Hooks,
    SparkplugSession,
    async_parameters,
    client_id_of,
    open_session,
)
from .const import (
    CONF_DATA_TYPE,
    CONF_DEVICE_ID,
    CONF_GROUP_ID,
    CONF_INTERVAL_S,
    CONF_NODE_ID,
    CONF_PRIMARY_HOST,
    SUBENTRY_COMMAND,
    SUBENTRY_DEVICE,
)
from .entities import diagnostic_sensors
from .mapping import DATA_TYPES, definition_of, unit_sent
from .payload import NamedReading, data_records, pack
from .writable import Writable, WritableStates

MODEL: Final = "Sparkplug B"
HOST_ISSUE: Final = "sparkplug_host_not_heard"

_HOST_ISSUE_AFTER_S: Final = 600.0
_FAILED: Final = 400
_STORE_VERSION: Final = 1

type _Updates = Sequence[tuple[str, Sequence[NamedReading]]]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _quality(value: Value | None, *, is_stale: bool) -> Quality:
    if value is None:
        return Quality.BAD
    return Quality.STALE if is_stale else Quality.GOOD


class SparkplugLink(LinkWithHealth, LinkWithPoints, DurableForwarder, Link):
    """One edge node: samples its points, delivers them, and takes commands."""

    platforms: Sequence[Platform] = (Platform.BINARY_SENSOR, Platform.SENSOR)

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        store: EntryStore[dict[str, int]],
        last_bd_seq: int | None,
    ) -> None:
        data = entry.data
        self._hass = hass
        self._entry = entry
        self._store = store
        self.figures = Figures()
        self.node = EdgeNode(
            data[CONF_GROUP_ID],
            data[CONF_NODE_ID],
            primary_host=data.get(CONF_PRIMARY_HOST),
            last_bd_seq=last_bd_seq,
        )
        self._types: dict[tuple[str, str], DataType] = {}
        # Two devices may send the same point; it is read once.
        self._devices_of: dict[Point, list[str]] = {}
        self._points: dict[str, set[str]] = {}
        self._writables: dict[tuple[str, str], Writable] = {}
        self._define()
        self.commands = Registry(fires(hass, entry.entry_id))
        self.commands.define(each.registration() for each in self._writables.values())
        self._states = WritableStates(hass, self._writables, self._async_written_elsewhere)
        # What was queued last of each metric: only what changes is sent.
        self._last: dict[tuple[str, str], Reading] = {}
        self._silent: set[str] = set()
        self._session: SparkplugSession | None = None
        self._host_timer: asyncio.TimerHandle | None = None
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
            on_paused=partial(show_paused, self._issues),
        )
        self._sampler = Sampler(
            hass,
            entry,
            tuple(self._devices_of),
            data[CONF_INTERVAL_S],
            self._async_take,
            flow_limits=self._flow_limits(),
            health=self.health,
            empty_slots=True,
        )
        self._counters = CounterStore(hass, entry, lambda: self._sampler.readers)
        self._hooks = Hooks(
            last_id=lambda: self.outbox.last_id,
            silent=lambda: tuple(self._silent),
            on_command=self._async_command,
            on_host=self._async_host_changed,
        )

    def _define(self) -> None:
        """Define the devices of the node: their points, and what may be written of them."""
        now_ms = _now_ms()
        definitions: dict[str, list[Any]] = {}
        for subentry in self._entry.get_subentries_of_type(SUBENTRY_DEVICE):
            device_id = subentry.data[CONF_DEVICE_ID]
            definitions[device_id] = []
            self._points[device_id] = set()
            for stored in subentry.data[CONF_POINTS]:
                point = Point.from_dict(stored)
                self._devices_of.setdefault(point, []).append(device_id)
                self._points[device_id].add(point.name)
                self._types[device_id, point.name] = DATA_TYPES[stored[CONF_DATA_TYPE]]
                unit = unit_sent(self._hass, point, entity_id_of(self._hass, point))
                definitions[device_id].append(definition_of(stored, unit))
        for subentry in self._entry.get_subentries_of_type(SUBENTRY_COMMAND):
            writable = Writable(self._hass, subentry.data)
            device_id, name = writable.device_id, writable.definition.name
            if (device_id, name) in self._types:
                continue  # a point was given its name since
            self._writables[device_id, name] = writable
            definitions.setdefault(device_id, []).append(writable.definition)
        for device_id, metrics in definitions.items():
            self.node.define(device_id, metrics, timestamp_ms=now_ms)

    def _flow_limits(self) -> dict[Point, float]:
        """Return how old a value may be, by point, of the devices that have a limit."""
        return {
            Point.from_dict(stored): float(max_age_s)
            for subentry in self._entry.get_subentries_of_type(SUBENTRY_DEVICE)
            if (max_age_s := subentry.data.get(CONF_MAX_AGE_S)) is not None
            for stored in subentry.data[CONF_POINTS]
        }

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return the health of the node."""
        device = link_device_info(self._entry, MODEL)
        entities = list(health_entities(self._entry, device, self.health)[platform])
        if platform is Platform.SENSOR:
            entities += [
                DiagnosticSensor(self._entry, device, description)
                for description in diagnostic_sensors(
                    self.node, self.figures, lambda: self._session is not None
                )
            ]
        return {None: entities}

    async def async_start(self) -> None:
        """Sample, take commands and deliver."""
        await self._counters.async_load()
        self._sampler.start()
        self._read_all()
        self._states.start()
        self._entry.async_on_unload(self.health.listen(self._async_show_refused))
        self._async_show_refused()
        self.delivery.start()

    async def async_stop(self) -> None:
        """Say that the node goes; what is in the outbox waits there."""
        self._sampler.stop()
        self._states.stop()
        self._stop_host_timer()
        await self._counters.async_stop()
        await self.delivery.stop()
        await self.outbox.close()
        self._issues.clear()

    def present_points(self) -> Mapping[str, Sequence[PresentPoint]]:
        """Return what would be sent of each device now."""
        return {
            subentry.subentry_id: [
                self._sampler.present(Point.from_dict(stored))
                for stored in subentry.data[CONF_POINTS]
            ]
            for subentry in self._entry.get_subentries_of_type(SUBENTRY_DEVICE)
        }

    def diagnostics(self) -> dict[str, Any]:
        """Return health, counters and the size of the mapping."""
        figures = self.figures
        return {
            "health": self.health.as_dict(),
            "sampler": self._sampler.as_dict(),
            "points": {device_id: len(names) for device_id, names in self._points.items()},
            "writable": len(self._writables),
            "silent": sorted(self._silent),
            "births": figures.births,
            "bd_seq": self.node.bd_seq,
            "primary_host_online": self.node.host.online if self.node.primary_host else None,
            "sent_again": figures.sent_again,
            "unmapped": figures.unmapped,
            "commands": figures.commands,
            "refused_commands": figures.refused_commands,
            "last_refusal": figures.last_refusal,
        }

    def send_births(self) -> list[str] | None:
        """Send all births again and return the devices; None while there is no session."""
        if self._session is None:
            return None
        try:
            self._session.send_births()
        except LinkError:  # its reader tells it too
            return None
        return [device_id for device_id in self.node.devices if self.node.is_born(device_id)]

    # --- the connection

    @asynccontextmanager
    async def _open_session(self) -> AsyncIterator[SparkplugSession]:
        """Connect with a new bdSeq, which the next run of Home Assistant goes on from."""
        will = self.node.begin_session()
        await self._store.async_save(lambda: {"bd_seq": self.node.bd_seq})
        data = self._entry.data
        parameters = await async_parameters(
            self._hass, data, client_id_of(data[CONF_GROUP_ID], data[CONF_NODE_ID])
        )
        parameters = replace(
            parameters, will=Will(topic=will.topic, payload=will.payload, qos=will.qos)
        )
        async with open_session(parameters, will, self.node, self.figures, self._hooks) as session:
            self._session = session
            self._stop_host_timer()
            self._issues.set(False, HOST_ISSUE)
            try:
                yield session
            finally:
                self._session = None

    @callback
    def _async_host_changed(self) -> None:
        """Show that the host is waited for, and ask whether its id is right if it never speaks."""
        if self.node.may_be_born or self._session is not None:
            return
        self.health.last_error = HOST_OFFLINE
        self.health.last_error_detail = self.node.primary_host
        self.health.notify()
        if self._host_timer is None:
            self._host_timer = self._hass.loop.call_later(
                _HOST_ISSUE_AFTER_S, self._async_show_host_issue
            )

    @callback
    def _async_show_host_issue(self) -> None:
        self._issues.set(not self.node.host.heard, HOST_ISSUE, host=self.node.primary_host or "")

    @callback
    def _stop_host_timer(self) -> None:
        if self._host_timer is not None:
            self._host_timer.cancel()
            self._host_timer = None

    @callback
    def _async_show_refused(self) -> None:
        show_refused(self._issues, self.outbox.refused_records)

    # --- samples

    def _read_all(self) -> None:
        """Have what the points are worth now in the first births."""
        now_ms = _now_ms()
        for reader in self._sampler.readers:
            if isinstance(reading := reader.read(), Refusal):
                continue
            for device_id in self._devices_of[reader.point]:
                name = reader.point.name
                value = as_type(self._types[device_id, name], reading.value)
                self.node.update(
                    device_id,
                    name,
                    Reading(
                        value=value,
                        timestamp_ms=min(now_ms, round(reading.reported_at * 1000)),
                        quality=_quality(value, is_stale=reading.is_stale),
                    ),
                )
        for (device_id, name), writable in self._writables.items():
            self.node.update(device_id, name, writable.reading(now_ms))

    async def _async_take(self, at: float, samples: Sequence[Sample]) -> None:
        """Queue what has changed since the slot before, and tell of devices that come and go."""
        at_ms = round(at * 1000)
        found: dict[str, dict[str, Reading]] = {device_id: {} for device_id in self._points}
        for sample in samples:
            for device_id in self._devices_of[sample.point]:
                found[device_id][sample.point.name] = self._reading(device_id, sample)
        changed: list[tuple[str, list[NamedReading]]] = []
        back: list[str] = []
        for device_id, readings in found.items():
            if not readings:
                self._fall_silent(device_id, at_ms)
                continue
            if device_id in self._silent:
                self._silent.discard(device_id)
                back.append(device_id)
            for name in self._points[device_id] - readings.keys():
                readings[name] = Reading(value=None, timestamp_ms=at_ms, quality=Quality.BAD)
            if news := [each for each in readings.items() if self._is_news(device_id, *each)]:
                changed.append((device_id, news))
        await self._async_queue(at_ms, changed)
        for device_id in back:
            self._bear(device_id)

    def _reading(self, device_id: str, sample: Sample) -> Reading:
        """Return a sample as the metric of a device has it, with the time it was measured."""
        name = sample.point.name
        value: Value | None = as_type(self._types[device_id, name], sample.value)
        measured = sample.at if sample.point.take is not Take.INSTANT else sample.measured_at
        timestamp_ms = round(measured * 1000)
        last = self._last.get((device_id, name)) or self.node.present(device_id, name)
        if last.value is None:
            # A value may be believed later than it was measured, and was none until then.
            timestamp_ms = max(timestamp_ms, last.timestamp_ms)
        return Reading(
            value=value,
            timestamp_ms=timestamp_ms,
            quality=_quality(value, is_stale=sample.is_stale),
        )

    def _is_news(self, device_id: str, name: str, reading: Reading) -> bool:
        """Return whether a reading differs from what was queued last, and remember it."""
        last = self._last.get((device_id, name))
        if last is None and reading.value is None:
            return False
        if last is not None and (last.value, last.quality) == (reading.value, reading.quality):
            return False
        self._last[device_id, name] = reading
        return True

    async def _async_queue(self, at_ms: int, changed: _Updates) -> None:
        """Put readings into the outbox, and then tell them to the births that follow.

        In this order a birth never knows of a value that waits behind it as live. Where the link
        was stopped meanwhile nothing is done; the next births tell what holds then.
        """
        records = [
            record
            for device_id, readings in changed
            for record in data_records(device_id, at_ms, readings)
        ]
        try:
            await self.outbox.put(records)
        except OutboxClosedError:
            return
        for device_id, readings in changed:
            for name, reading in readings:
                self.node.update(device_id, name, reading)
        self.delivery.wake()

    def _fall_silent(self, device_id: str, at_ms: int) -> None:
        """Note that a device has no value at all, and tell its death.

        It may have been born since for the sake of its backlog.
        """
        if device_id not in self._silent:
            self._silent.add(device_id)
            for name in self._points[device_id]:
                self._last.pop((device_id, name), None)
                nothing = Reading(value=None, timestamp_ms=at_ms, quality=Quality.BAD)
                self.node.update(device_id, name, nothing)
        if self._session is not None and self.node.is_born(device_id):
            with suppress(LinkError):  # the end of the session is told by its reader
                self._session.send_device_death(device_id)

    def _bear(self, device_id: str) -> None:
        if self._session is not None and not self.node.is_born(device_id):
            with suppress(LinkError):
                self._session.send_device_birth(device_id)

    # --- commands

    @callback
    def _async_command(self, command: CommandReceived) -> None:
        self._entry.async_create_background_task(
            self._hass, self._async_run(command), f"{self._entry.title} command"
        )

    async def _async_run(self, command: CommandReceived) -> None:
        """Run a command and answer with the value that the metric has then."""
        writable = self._writables[command.device_id, command.name]
        reply = await self.commands.run(writable.command(command.value))
        if reply.status >= _FAILED:
            self.figures.refused_commands += 1
            self.figures.last_refusal = f"{writable.destination[1:]}: {reply.message}"
        else:
            writable.note_written(command.value)
        now_ms = _now_ms()
        reading = replace(writable.reading(now_ms), timestamp_ms=now_ms)
        await self._async_tell([(command.device_id, [(command.name, reading)])], now_ms)

    @callback
    def _async_written_elsewhere(self, writable: Writable) -> None:
        """Queue the new state of an entity that hosts may write."""
        now_ms = _now_ms()
        device_id, name = writable.device_id, writable.definition.name
        reading = writable.reading(now_ms)
        if self._is_news(device_id, name, reading):
            self._entry.async_create_task(
                self._hass, self._async_tell([(device_id, [(name, reading)])], now_ms)
            )

    async def _async_tell(self, changed: _Updates, now_ms: int) -> None:
        for device_id, readings in changed:
            for name, reading in readings:
                self._last[device_id, name] = reading
        await self._async_queue(now_ms, changed)


def entry_title(data: Mapping[str, Any]) -> str:
    """Return what an entry is called."""
    return f"Sparkplug {data[CONF_GROUP_ID]}/{data[CONF_NODE_ID]}"


def _store_key(entry_id: str) -> str:
    return f"{DOMAIN}.sparkplug_{entry_id}"


async def async_setup_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> SparkplugLink:
    """Return the link of an entry, its outbox open."""
    store: EntryStore[dict[str, int]] = entry_store(
        hass, _STORE_VERSION, _store_key(entry.entry_id)
    )
    stored = await store.async_load() or {}
    link = SparkplugLink(hass, entry, store, stored.get("bd_seq"))
    try:
        await async_open_outbox(hass, link.outbox)
        # Before there are entities: a count that begins at 0 counts for statistics once more.
        link.delivery.show_queue()
    except BaseException:
        await link.outbox.close()
        raise
    return link


async def async_remove_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Delete the outbox, files set aside included, and what is known of the sessions."""
    await async_remove_outbox(hass, entry)
    await async_remove_store(hass, _STORE_VERSION, _store_key(entry.entry_id))
