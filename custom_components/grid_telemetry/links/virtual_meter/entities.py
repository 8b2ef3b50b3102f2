"""What the entities of a virtual meter's link show of its health."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import UnitOfTime
from homeassistant.util import dt as dt_util

from ...entities.diagnostic import NONE, DiagnosticSensorDescription, Rate
from ...protocols.modbus_server import Health, SerialServer, TcpServer
from .meter import PlayedMeter


class _LastRequests:
    """When somebody asked last and who asked what, to the minute: clients ask again and again."""

    def __init__(self, health: Health, now: Callable[[], float]) -> None:
        """Take what a server knows, and the loop's clock."""
        self._health = health
        self._now = now
        self._names_at: datetime | None = None
        self._names: Sequence[str] = ()

    def at(self) -> datetime | None:
        """Return the time of the last request."""
        if self._health.last_request is None:
            return None
        at = dt_util.utcnow() - timedelta(seconds=self._now() - self._health.last_request)
        return at.replace(second=0, microsecond=0)

    def names(self) -> Sequence[str]:
        """Return the last request of each client to each unit, the newest first."""
        if (at := self.at()) != self._names_at:
            self._names_at = at
            self._names = [
                f"{client}: {asked.pdu.hex(' ')} of unit {unit}"
                for (client, unit), asked in reversed(self._health.asked.items())
            ]
        return self._names


def diagnostic_sensors(
    server: TcpServer | SerialServer, meters: Sequence[PlayedMeter], now: Callable[[], float]
) -> list[DiagnosticSensorDescription]:
    """Return the figures of a server; `now` is the loop's clock in seconds."""
    health = server.health
    last_requests = _LastRequests(health, now)

    def stale() -> Sequence[str]:
        return [f"{meter.unit}: {key}" for meter in meters for key in meter.stale()]

    def power_age_s() -> int | None:
        ages_s = [age_s for meter in meters if (age_s := meter.oldest_served_s()) is not None]
        return round(max(ages_s)) if ages_s else None

    return [
        DiagnosticSensorDescription(
            key="virtual_meter_clients",
            state_class=SensorStateClass.MEASUREMENT,
            value_fn=lambda: server.clients,
        ),
        DiagnosticSensorDescription(
            key="virtual_meter_rate",
            native_unit_of_measurement="1/s",
            state_class=SensorStateClass.MEASUREMENT,
            suggested_display_precision=1,
            value_fn=Rate(lambda: health.requests, now),
        ),
        DiagnosticSensorDescription(
            key="virtual_meter_last_request",
            device_class=SensorDeviceClass.TIMESTAMP,
            value_fn=last_requests.at,
            names_fn=last_requests.names,
            names_attribute="requests",
        ),
        DiagnosticSensorDescription(
            key="virtual_meter_power_age",
            device_class=SensorDeviceClass.DURATION,
            native_unit_of_measurement=UnitOfTime.SECONDS,
            state_class=SensorStateClass.MEASUREMENT,
            value_fn=power_age_s,
        ),
        DiagnosticSensorDescription(
            key="virtual_meter_expired",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: health.expired,
        ),
        DiagnosticSensorDescription(
            key="virtual_meter_refused",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: health.refused,
        ),
        DiagnosticSensorDescription(
            key="virtual_meter_last_refusal",
            value_fn=lambda: health.last_refusal or NONE,
        ),
        DiagnosticSensorDescription(
            key="virtual_meter_stale",
            state_class=SensorStateClass.MEASUREMENT,
            names_fn=stale,
        ),
    ]
