"""SolarNode link: the readings of a SolarNode, shown as sensors, and its setup commands."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NoReturn

from homeassistant.components.sensor import SensorStateClass
from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntry, DeviceInfo
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from ...connection.errors import DestinationRefused, LinkError
from ...connection.health import Health, LinkWithHealth, health_entities
from ...connection.issues import Issues
from ...connection.kept import KeptConnection
from ...connection.traffic import traffic_of
from ...const import DOMAIN
from ...entities.diagnostic import DiagnosticSensor, DiagnosticSensorDescription
from ...entities.link_entities import link_device_info
from ...link import GridTelemetryConfigEntry, LinkWithDynamicDevices
from ...protocols.stomp.patterns import matches
from ...protocols.stomp.reply import Reply
from ...vocabulary.datum import Datum, Group
from .client import NoAnswer, NodeParameters, NodeSession, open_session
from .const import CONF_INTERVAL_S, CONF_LIVE_SOURCES, CONF_LOGIN, CONF_SOURCES, MAX_SENSORS
from .entities import CREATED, CreatedSensor, PropertySensor, SourceSensor
from .latest import Latest, read_latest
from .live import follow_live
from .payload import LiveDatum
from .request_batches import Plan

MODEL: Final = "SolarNode"
LAST_RETRY_S: Final = 60.0
"""A node may be restarted at any time; the growing waits end with this one."""
_ISSUES: Final = ("solarnode_clock", "solarnode_reply_too_large")


class SolarNodeLink(LinkWithHealth, LinkWithDynamicDevices):
    """One node."""

    platforms: Sequence[Platform] = (Platform.BINARY_SENSOR, Platform.SENSOR)

    def __init__(self, hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
        self.health = Health()
        self._hass = hass
        self._entry = entry
        self._parameters = parameters_of(entry.data)
        self._plan = Plan(entry.data[CONF_SOURCES], matches)
        self._device = link_device_info(entry, MODEL)
        self._traffic = traffic_of(hass, entry.entry_id)
        self._session: NodeSession | None = None
        self._server = ""
        self._unreadable = 0
        self._live: dict[str, LiveDatum] = {}
        self._live_supported: bool | None = None
        self._sensors: dict[tuple[str, str], SourceSensor] = {}
        self._sources: frozenset[str] | None = None  # of the last round; None before the first
        self._add: AddConfigEntryEntitiesCallback | None = None
        self._issues = Issues(hass, entry)
        self._connection = KeptConnection(
            hass,
            entry,
            health=self.health,
            connect=self._open_session,
            run=self._run,
            last_retry_s=LAST_RETRY_S,
        )

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return what shows how the connection fares."""
        entities = health_entities(self._entry, self._device, self.health, queues=False)[platform]
        if platform is Platform.SENSOR:
            entities.append(
                DiagnosticSensor(
                    self._entry,
                    self._device,
                    DiagnosticSensorDescription(
                        key="solarnode_sources",
                        state_class=SensorStateClass.MEASUREMENT,
                        value_fn=lambda: len(self._sources or ()),
                    ),
                )
            )
        return {None: entities}

    def add_entities_with(self, platform: Platform, add: AddConfigEntryEntitiesCallback) -> None:
        """Take what adds the sensors of sources."""
        if platform is Platform.SENSOR:
            self._add = add

    def is_gone(self, device: DeviceEntry) -> bool:
        """Return whether the node was asked for its sources and has this one no more."""
        if self._sources is None:
            return False
        known = {self._identifier(source) for source in self._sources} | {self._entry.entry_id}
        return not any(identifier in known for _, identifier in device.identifiers)

    async def async_start(self) -> None:
        """Connect, and show what comes."""
        self._connection.start()

    async def async_stop(self) -> None:
        """End the connection."""
        await self._connection.stop()
        self._issues.clear()

    async def async_command(
        self, destination: str, headers: Mapping[str, str], body: str, within_s: float
    ) -> Reply:
        """Send a setup command and return the reply; raises `HomeAssistantError`."""
        problem = "solarnode_not_connected"
        if (session := self._session) is not None:
            try:
                return await session.command(destination, headers, body, within_s=within_s)
            except NoAnswer:
                problem = "solarnode_no_answer"
            except LinkError:
                problem = "solarnode_broken_off"
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key=problem,
            translation_placeholders={"title": self._entry.title, "destination": destination},
        )

    def diagnostics(self) -> dict[str, Any]:
        """Return health and what the node has."""
        return {
            "health": self.health.connection_as_dict(),
            "server": self._server,
            "sources": sorted(self._sources or ()),
            "sensors": len(self._sensors),
            "unavailable": sum(not sensor.available for sensor in self._sensors.values()),
            "unreadable_datum": self._unreadable,
            "requests_per_round": len(self._plan.requests),
            "live_supported": self._live_supported,
        }

    # --- the connection

    @asynccontextmanager
    async def _open_session(self) -> AsyncIterator[NodeSession]:
        """Log in, which the first round proves; what is shown is over when the session is."""
        try:
            async with open_session(self._parameters, self._traffic) as session:
                self._server = session.server
                await self._poll(session)
                for key in _ISSUES:
                    self._issues.set(False, key)
                self._session = session
                yield session
        except DestinationRefused as err:
            if err.reason in _ISSUES:
                self._issues.set(True, err.reason)
            raise
        finally:
            self._session = None
            self._live.clear()
            for sensor in self._sensors.values():
                sensor.show_value(None)

    async def _run(self, session: NodeSession) -> None:
        """Poll, and follow what is live, until the end of the session."""
        reason: LinkError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._entry.data[CONF_LIVE_SOURCES]:
                    group.create_task(self._follow(session, source))
                await self._poll_on(session)
        except* LinkError as errors:
            # All of them heard of the same end; what polls, which comes last, knows more of it.
            *_, last = errors.exceptions
            reason = last if isinstance(last, LinkError) else None
        if reason is not None:
            raise reason

    async def _poll_on(self, session: NodeSession) -> NoReturn:
        loop, interval_s = self._hass.loop, self._entry.data[CONF_INTERVAL_S]
        due = loop.time()
        while True:
            due = max(due + interval_s, loop.time())
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await session.closed()
            await self._poll(session)

    async def _poll(self, session: NodeSession) -> None:
        self._take(await read_latest(session, self._plan, self._known_sources))

    async def _follow(self, session: NodeSession, source: str) -> None:
        """Follow a source live; one that the node does not stream is polled only."""
        self._live_supported = await follow_live(session, source, self._take_live)

    def _known_sources(self) -> set[str]:
        """Return the sources that there have been so far, also before a restart."""
        prefix = self._identifier("")
        known = {source for source, _ in self._sensors}
        for device in dr.async_entries_for_config_entry(
            dr.async_get(self._hass), self._entry.entry_id
        ):
            known |= {
                identifier.removeprefix(prefix)
                for _, identifier in device.identifiers
                if identifier.startswith(prefix)
            }
        return known

    # --- what it says

    @callback
    def _take(self, latest: Latest) -> None:
        """Show a round; what it does not have is unavailable."""
        self._unreadable += latest.unreadable
        self._sources = frozenset(datum.source_id for datum in latest.datum)
        seen: set[tuple[str, str]] = set()
        new: list[SourceSensor] = []
        try:
            for datum in latest.datum:
                self._show(datum, seen, new)
        finally:
            # Also those that were made before the one that is too many.
            if self._add is not None and new:
                self._add(new)
        for key, sensor in self._sensors.items():
            if key not in seen:
                sensor.show_value(None)

    def _show(self, datum: Datum, seen: set[tuple[str, str]], new: list[SourceSensor]) -> None:
        """Show a datum, and add the sensors that are new to those given.

        Raises `DestinationRefused` for more sensors than there can be.
        """
        source = datum.source_id
        live = self._live.get(source)
        if live is not None and live.at < datum.created:
            live = None
        values = {name: (group, value) for group, name, value in datum.values() if name != CREATED}
        for name in (CREATED, *values):
            seen.add((source, name))
            if (source, name) not in self._sensors:
                group = values[name][0] if name in values else None
                new.append(self._new_sensor(source, name, group))
        for name, (group, value) in values.items():
            sensor = self._sensors[source, name]
            if isinstance(sensor, PropertySensor) and (live is None or name not in live.values):
                sensor.show(group, value, datum.created)
        self._sensors[source, CREATED].show_value(live.at if live else datum.created)

    def _new_sensor(self, source: str, name: str, group: Group | None) -> SourceSensor:
        if len(self._sensors) >= MAX_SENSORS:
            raise DestinationRefused("solarnode_too_many_sensors", str(MAX_SENSORS))
        identifier = self._identifier(source)

        @callback
        def left() -> None:
            """Forget one that was removed, so that it can come back."""
            self._sensors.pop((source, name), None)

        device_info = DeviceInfo(
            identifiers={(DOMAIN, identifier)},
            manufacturer="SolarNetwork",
            model="SolarNode source",
            name=source,
        )
        sensor = self._sensors[source, name] = (
            CreatedSensor(identifier, name, device_info, left)
            if group is None
            else PropertySensor(identifier, name, group, device_info, left)
        )
        return sensor

    def _identifier(self, source: str) -> str:
        """Return what identifies a source among all of Grid Telemetry."""
        return f"{self._entry.entry_id}_{source}"

    @callback
    def _take_live(self, source: str, live: LiveDatum) -> None:
        """Show live values of what is polled too; the poll tells what kind they are."""
        self._live[source] = live
        self._live_supported = True
        for name, value in live.values.items():
            sensor = self._sensors.get((source, name))
            if isinstance(sensor, PropertySensor):
                sensor.show(sensor.property_group, value, live.at)
        created = self._sensors.get((source, CREATED))
        if created is not None:
            created.show_value(live.at)


def parameters_of(data: Mapping[str, Any]) -> NodeParameters:
    """Return what an entry says of the connection."""
    return NodeParameters(
        host=data[CONF_HOST],
        port=data[CONF_PORT],
        login=data[CONF_LOGIN],
        password=data[CONF_PASSWORD],
    )


async def async_setup_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> SolarNodeLink:
    """Return the link of an entry; its node need not answer yet."""
    return SolarNodeLink(hass, entry)
