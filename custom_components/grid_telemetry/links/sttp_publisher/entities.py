"""What the entities of a publisher show of its health."""

from collections.abc import Callable, Sequence

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import UnitOfInformation

from ...entities.diagnostic import NONE, DiagnosticSensorDescription, Rate
from ...protocols.sttp import Publisher


def diagnostic_sensors(
    publisher: Publisher, now: Callable[[], float], stale: Callable[[], Sequence[str]]
) -> list[DiagnosticSensorDescription]:
    """Return the figures of a publisher; `now` is a clock in seconds."""
    health = publisher.health
    return [
        DiagnosticSensorDescription(
            key="sttp_subscribers",
            state_class=SensorStateClass.MEASUREMENT,
            value_fn=lambda: len(publisher.subscribers()),
        ),
        DiagnosticSensorDescription(
            key="sttp_rate",
            native_unit_of_measurement="1/s",
            state_class=SensorStateClass.MEASUREMENT,
            suggested_display_precision=1,
            value_fn=Rate(lambda: health.measurements, now),
        ),
        DiagnosticSensorDescription(
            key="sttp_bytes",
            device_class=SensorDeviceClass.DATA_SIZE,
            native_unit_of_measurement=UnitOfInformation.BYTES,
            suggested_unit_of_measurement=UnitOfInformation.MEGABYTES,
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: health.bytes,
        ),
        DiagnosticSensorDescription(
            key="sttp_dropped",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: health.dropped,
        ),
        DiagnosticSensorDescription(
            key="sttp_stale",
            state_class=SensorStateClass.MEASUREMENT,
            names_fn=stale,
        ),
        DiagnosticSensorDescription(
            key="sttp_last_refusal",
            value_fn=lambda: health.last_refusal or NONE,
        ),
    ]
