"""Virtual meter link: the states of sensors, served as Modbus meters that others can read."""

from collections.abc import Mapping, Sequence
from typing import Any

from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers.entity import Entity

from ...connection.traffic import traffic_of
from ...const import DOMAIN
from ...entities.diagnostic import DiagnosticSensor
from ...entities.link_entities import link_device_info
from ...forms.listener import cannot_listen
from ...link import GridTelemetryConfigEntry, Link
from ...points.counter_store import CounterStore
from ...points.issues import PointIssues
from ...points.reader import LinkWithPoints, PresentPoint
from ...protocols.modbus_server.server import SerialServer, TcpServer
from .const import SUBENTRY_METER
from .entities import diagnostic_sensors
from .issues import UnmetRequests
from .meter import PlayedMeter, meter_of, own_folder
from .payload import UnknownMeterError
from .server import place_of, server_of
from .store import ServedStore, async_remove_served

MODEL = "Virtual meter"


class VirtualMeterLink(LinkWithPoints, Link):
    """A port or a line with the meters that are played on it."""

    platforms: Sequence[Platform] = (Platform.SENSOR,)

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        server: TcpServer | SerialServer,
        meters: Sequence[PlayedMeter],
    ) -> None:
        self.server = server
        self._hass = hass
        self._entry = entry
        self._meters = meters
        self._point_issues = PointIssues(
            hass, entry, [point for meter in meters for point in meter.points]
        )
        self.counters = CounterStore(
            hass, entry, lambda: [each for meter in meters for each in meter.readers.readers]
        )
        self._served = ServedStore(hass, entry, meters)
        self._unmet = UnmetRequests(hass, entry, server.health, meters)

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return the health of the server."""
        device = link_device_info(self._entry, MODEL)
        return {
            None: [
                DiagnosticSensor(self._entry, device, description)
                for description in diagnostic_sensors(
                    self.server, self._meters, self._hass.loop.time
                )
            ]
        }

    async def async_load(self) -> None:
        """Have the meters go on with what was known and served before."""
        await self.counters.async_load()
        await self._served.async_load()

    async def async_start(self) -> None:
        """Follow the registry; the server was started with the link."""
        for meter in self._meters:
            meter.readers.start()
        self._point_issues.start()
        self._unmet.start()

    async def async_stop(self) -> None:
        """End; the port or the line is free when this returns."""
        for meter in self._meters:
            meter.readers.stop()
        self._point_issues.stop()
        self._unmet.stop()
        await self.server.stop()
        # Not before: what is served until then is kept too.
        await self._served.async_stop()
        await self.counters.async_stop()

    def present_points(self) -> Mapping[str, Sequence[PresentPoint]]:
        """Return what each meter would be read as now."""
        return {
            meter.subentry_id: [reader.present() for reader in meter.readers.readers]
            for meter in self._meters
        }

    def diagnostics(self) -> dict[str, Any]:
        """Return the health, and what cannot be read of each meter."""
        health = self.server.health
        return {
            "clients": self.server.clients,
            "requests": health.requests,
            "refused": health.refused,
            "expired": health.expired,
            "last_refusal": health.last_refusal,
            "asked": {
                f"unit {unit}, client {number}": asked.pdu.hex(" ")
                for number, ((_, unit), asked) in enumerate(health.asked.items(), 1)
            },
            "stale": {meter.unit: meter.stale() for meter in self._meters},
        }


async def async_setup_link(
    hass: HomeAssistant, entry: GridTelemetryConfigEntry
) -> VirtualMeterLink:
    """Return the link of an entry, listening."""
    subentries = list(entry.get_subentries_of_type(SUBENTRY_METER))
    try:
        meters = await hass.async_add_executor_job(
            lambda: [meter_of(hass, subentry) for subentry in subentries]
        )
    except UnknownMeterError as err:
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key="unknown_meter",
            translation_placeholders={"meter": str(err), "folder": str(own_folder(hass))},
        ) from err
    server = server_of(entry.data, meters, traffic_of(hass, entry.entry_id))
    link = VirtualMeterLink(hass, entry, server, meters)
    await link.async_load()
    # Gives the port back wherever the setup ends.
    entry.async_on_unload(server.stop)
    try:
        await server.start()
    except OSError as err:
        await link.async_stop()
        if isinstance(server, TcpServer):
            raise cannot_listen(entry.data, err) from err
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="cannot_serve",
            translation_placeholders={
                "place": place_of(entry.data),
                "error": err.strerror or str(err),
            },
        ) from err
    return link


async def async_remove_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Delete what was kept of the entry's counters."""
    await async_remove_served(hass, entry)
