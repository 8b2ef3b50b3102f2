"""What the entities of a virtual meter's link show of its health."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.util import dt as dt_util

from ...entities.diagnostic import NONE, DiagnosticSensorDescription, Rate
from ...protocols.modbus_server import SerialServer, TcpServer


def diagnostic_sensors(
    server: TcpServer | SerialServer, stale: Callable[[], Sequence[str]], now: Callable[[], float]
) -> list[DiagnosticSensorDescription]:
    """Return the figures of a server; `now` is the loop's clock in seconds."""
    health = server.health

    def last_request() -> datetime | None:
        """Return its time to the minute: a client asks again and again."""
        if health.last_request is None:
            return None
        at = dt_util.utcnow() - timedelta(seconds=now() - health.last_request)
        return at.replace(second=0, microsecond=0)

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
            value_fn=last_request,
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
            value_fn=lambda: len(stale()),
            names_fn=stale,
        ),
    ]
