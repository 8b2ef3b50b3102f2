"""STTP subscriber link: the signals of any IEEE 2664 (STTP) publisher, shown as sensors."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn
from uuid import UUID

from homeassistant.components.sensor import SensorStateClass
from homeassistant.const import Platform
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.json import json_dumps
from homeassistant.util import dt as dt_util

from ...connection.errors import DestinationRefused, LinkError
from ...connection.health import Health, LinkWithHealth, health_entities
from ...connection.issues import Issues
from ...connection.kept import KeptConnection
from ...connection.traffic import Direction, traffic_of
from ...const import DOMAIN
from ...entities.diagnostic import NONE, DiagnosticSensor, DiagnosticSensorDescription, Rate
from ...entities.link_entities import link_device_info
from ...forms.listener import cannot_listen
from ...forms.tls import unreadable_file
from ...link import GridTelemetryConfigEntry, LinkWithDynamicDevices
from ...protocols.sttp import (
    Measurement,
    Metadata,
    MetadataSource,
    PublisherListener,
    SignalKey,
    SttpRefusedError,
    Subscriber,
    SubscriberParameters,
)
from .client import (
    async_arrival,
    async_listener,
    async_parameters,
    check_number,
    listens,
    open_session,
    received,
)
from .const import CONF_INTERVAL_S
from .entities import SignalSensor, device_identifier, signal_sensor
from .payload import signals_of
from .recovery import Recovery

MODEL: Final = "STTP publisher"
METADATA_WITHIN_S: Final = 30.0
ANSWER_WITHIN_S: Final = 5.0
"""So long an answer to a user command is waited for; many publishers give none."""
RECOVER_INTERVAL: Final = timedelta(minutes=5)
NEXT_ARRIVAL_S: Final = 1.0
"""The wait before the next publisher that has dialled in is taken; they wait before they dial."""


class SttpSubscriberLink(LinkWithHealth, MetadataSource, LinkWithDynamicDevices):
    """One subscription."""

    platforms: Sequence[Platform] = (Platform.BINARY_SENSOR, Platform.SENSOR)

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        parameters: SubscriberParameters,
        listener: PublisherListener | None,
    ) -> None:
        self.health = Health()
        self._traffic = traffic_of(hass, entry.entry_id)
        self.subscriber = Subscriber(
            parameters,
            on_measurements=self._take,
            on_metadata=self._take_metadata,
            on_signals=self._take_signals,
        )
        self.listener = listener
        """Where it waits for its publisher; None where it dials."""
        self._hass = hass
        self._entry = entry
        self._device = link_device_info(entry, MODEL)
        self._metadata: Metadata | None = None
        self._metadata_came = asyncio.Event()
        self._keys: Sequence[SignalKey] = ()
        self._subscribed = asyncio.Event()
        self._signals_came = asyncio.Event()
        self._sensors: dict[UUID, SignalSensor] = {}
        self._latest: dict[UUID, Measurement] = {}
        self._add: AddConfigEntryEntitiesCallback | None = None
        self._issues = Issues(hass, entry)
        self._connection = KeptConnection(
            hass,
            entry,
            health=self.health,
            connect=self._open_session,
            run=self._run,
        )
        self.recovery = Recovery(hass, parameters, self._with_mean)
        self._heard: datetime | None = None
        """When the last measurement came."""
        self._lost: datetime | None = None
        """When the last one came before a connection was lost that is not back yet."""
        self._recovering: asyncio.Task[None] | None = None
        self._unlisten: list[CALLBACK_TYPE] = []

    @property
    def metadata(self) -> Metadata:
        """What the publisher tells of itself; nothing where it does not."""
        return self._metadata or Metadata()

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return what shows how the subscription fares."""
        entities = health_entities(self._entry, self._device, self.health, queues=False)[platform]
        if platform is Platform.SENSOR:
            rate = Rate(lambda: self.subscriber.measurements, self._hass.loop.time)
            entities += [
                DiagnosticSensor(self._entry, self._device, description)
                for description in (
                    DiagnosticSensorDescription(
                        key="sttp_signals",
                        state_class=SensorStateClass.MEASUREMENT,
                        value_fn=lambda: len(self._sensors),
                    ),
                    DiagnosticSensorDescription(
                        key="sttp_rate",
                        native_unit_of_measurement="1/s",
                        state_class=SensorStateClass.MEASUREMENT,
                        suggested_display_precision=1,
                        value_fn=rate,
                    ),
                )
            ]
            if (listener := self.listener) is not None:
                refusals = listener.refusals
                last_refusal = DiagnosticSensorDescription(
                    key="sttp_last_refusal",
                    value_fn=lambda: refusals.last_refusal or NONE,
                )
                entities.append(DiagnosticSensor(self._entry, self._device, last_refusal))
        return {None: entities}

    def add_entities_with(self, platform: Platform, add: AddConfigEntryEntitiesCallback) -> None:
        """Take what adds the sensors of signals."""
        if platform is Platform.SENSOR:
            self._add = add

    def is_gone(self, device: DeviceEntry) -> bool:
        """Return whether the publisher was asked for its devices and has this one no more."""
        known = {
            device_identifier(self._entry.entry_id, sensor.signal.device.acronym)
            for sensor in self._sensors.values()
            if sensor.signal.device is not None
        } | {self._entry.entry_id}
        return self._subscribed.is_set() and not any(
            identifier in known for _, identifier in device.identifiers
        )

    async def async_start(self) -> None:
        """Connect, and show what comes."""
        self._unlisten = [
            async_track_time_interval(
                self._hass,
                self._show,
                timedelta(seconds=self._entry.data[CONF_INTERVAL_S]),
            ),
            async_track_time_interval(self._hass, self._recover, RECOVER_INTERVAL),
        ]
        self._connection.start()

    async def async_stop(self) -> None:
        """End the connection."""
        while self._unlisten:
            self._unlisten.pop()()
        if self._recovering is not None:
            self._recovering.cancel()
            await asyncio.wait({self._recovering})
        await self._connection.stop()
        if self.listener is not None:
            await self.listener.stop()
        self._issues.clear()

    async def async_refresh_metadata(self) -> Metadata:
        """Ask the publisher for its metadata; signals that are new appear, and others go."""
        if not self.health.connected:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="sttp_not_connected",
                translation_placeholders={"title": self._entry.title},
            )
        self._metadata_came.clear()
        self.subscriber.refresh_metadata()
        try:
            async with asyncio.timeout(METADATA_WITHIN_S):
                await self._metadata_came.wait()
        except TimeoutError as err:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="sttp_no_metadata",
                translation_placeholders={"title": self._entry.title},
            ) from err
        return self.metadata

    async def async_send_command(self, number: int, data: bytes) -> str | None:
        """Send a user command, and return what the publisher answers if it does."""
        problem, detail = "sttp_not_connected", ""
        try:
            return await self.subscriber.user_command(number, data, within_s=ANSWER_WITHIN_S)
        except SttpRefusedError as err:
            problem, detail = "sttp_command_refused", str(err)
        except ConnectionResetError:
            pass
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key=problem,
            translation_placeholders={"title": self._entry.title, "error": detail},
        )

    def diagnostics(self) -> dict[str, Any]:
        """Return health, counters and what is subscribed to."""
        return {
            "health": self.health.connection_as_dict(),
            "measurements": self.subscriber.measurements,
            "bytes": self.subscriber.bytes,
            "metadata": {
                "devices": len(self.metadata.devices),
                "measurements": len(self.metadata.measurements),
                "phasors": len(self.metadata.phasors),
                "schema_version": self.metadata.schema_version,
            },
            "subscribed": len(self._keys),
            "signals": len(self._sensors),
            "unavailable": sum(not sensor.available for sensor in self._sensors.values()),
            "listener": None
            if self.listener is None
            else {
                "refused": self.listener.refusals.refused,
                "last_refusal": self.listener.refusals.last_refusal,
            },
        }

    @asynccontextmanager
    async def _open_session(self) -> AsyncIterator[asyncio.Task[None]]:
        """Subscribe; what is shown is over when the session is."""
        self._subscribed.clear()
        try:
            arrived = None if self.listener is None else await async_arrival(self.listener)
            async with open_session(self.subscriber, self._subscribed, arrived) as receiving:
                self._issues.set(False, "sttp_refused")
                yield receiving
        except DestinationRefused as err:
            self._issues.set(True, "sttp_refused", detail=err.detail)
            self._wait_as_listener(err)
            raise
        except LinkError as err:
            self._wait_as_listener(err)
            raise
        finally:
            self._lost = self._lost or self._heard
            self._latest.clear()
            for sensor in self._sensors.values():
                sensor.show(None)

    def _wait_as_listener(self, err: LinkError) -> None:
        """Have the next publisher that dials in taken soon: it is not us who would be a bother."""
        if self.listener is not None:
            err.retry_after_s = NEXT_ARRIVAL_S

    async def _run(self, receiving: asyncio.Task[None]) -> None:
        """Follow what is subscribed to until the end of the session."""
        following = asyncio.create_task(self._follow())
        try:
            await asyncio.wait({receiving, following}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                following.result()
            await received(receiving)
        finally:
            following.cancel()
            await asyncio.wait({following})

    async def _follow(self) -> NoReturn:
        """Have a sensor for each signal, and for no other."""
        while True:
            await self._signals_came.wait()
            self._signals_came.clear()
            signals = signals_of(self._metadata, self._keys)
            for signal_id, sensor in list(self._sensors.items()):
                if signals.get(signal_id) != sensor.signal:
                    del self._sensors[signal_id]
                    await sensor.async_leave()
            new = {
                signal_id: signal_sensor(self._entry.entry_id, signal, self._device)
                for signal_id, signal in signals.items()
                if signal_id not in self._sensors
            }
            self._sensors |= new
            if self._add is not None and new:
                self._add(new.values())
                # One that is not all there yet could not be taken away again.
                for sensor in new.values():
                    await sensor.settled.wait()

    @callback
    def _take(self, measurements: Iterable[Measurement]) -> None:
        self._heard = dt_util.utcnow()
        if self._traffic.watched:
            measurements = list(measurements)
            told = {str(each.signal_id): each.value for each in measurements}
            self._traffic.note(
                Direction.IN, "measurements", str(len(measurements)), json_dumps(told)
            )
        if self._lost is not None:
            # The past comes over a connection of its own, and here it is not us who dials.
            if self.listener is None:
                self.recovery.note(self._lost, self._heard)
            self._lost = None
        self._latest.update({item.signal_id: item for item in measurements})

    @callback
    def _take_metadata(self, metadata: Metadata) -> None:
        self._metadata = metadata
        self._metadata_came.set()

    @callback
    def _take_signals(self, signals: Mapping[int, SignalKey]) -> None:
        check_number(signals)
        self._keys = list(signals.values())
        self._signals_came.set()
        self._subscribed.set()

    @callback
    def _recover(self, _: datetime) -> None:
        """Have the outages that are over recovered, unless that is under way."""
        if self.health.connected and (self._recovering is None or self._recovering.done()):
            self._recovering = self._entry.async_create_background_task(
                self._hass, self.recovery.async_recover(), "sttp recovery"
            )

    def _with_mean(self) -> Mapping[UUID, str]:
        """Return the entity ids of signals whose mean is kept, in the unit that they come in."""
        return {
            signal_id: sensor.entity_id
            for signal_id, sensor in self._sensors.items()
            if sensor.state_class is SensorStateClass.MEASUREMENT
            and sensor.unit_of_measurement == sensor.signal.unit
        }

    @callback
    def _show(self, _: datetime) -> None:
        """Show the latest value of each signal that has a new one."""
        latest, self._latest = self._latest, {}
        for signal_id, measurement in latest.items():
            if (sensor := self._sensors.get(signal_id)) is not None:
                sensor.show(measurement)


async def async_setup_link(
    hass: HomeAssistant, entry: GridTelemetryConfigEntry
) -> SttpSubscriberLink:
    """Return the link of an entry; its publisher need not answer, or dial in, yet."""
    listener: PublisherListener | None = None
    try:
        parameters = await async_parameters(hass, entry.data)
        if listens(entry.data):
            listener = await async_listener(hass, entry.data, parameters)
    except OSError as err:
        raise unreadable_file(err) from err
    if listener is not None:
        # Gives the port back wherever the setup ends.
        entry.async_on_unload(listener.stop)
        try:
            listener.start()
        except OSError as err:
            raise cannot_listen(entry.data, err) from err
    return SttpSubscriberLink(hass, entry, parameters, listener)
