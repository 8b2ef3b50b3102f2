"""What the entities of a publisher show of its health."""

from collections.abc import Callable

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass
from homeassistant.const import UnitOfInformation

from ...entities.diagnostic import FigureDescription, Rate
from ...protocols.sttp.publisher import Publisher


def figures(publisher: Publisher, now: Callable[[], float]) -> list[FigureDescription]:
    """Return the figures of a publisher; `now` is a clock in seconds."""
    health = publisher.health
    return [
        FigureDescription(
            key="sttp_subscribers",
            state_class=SensorStateClass.MEASUREMENT,
            value_fn=lambda: len(publisher.subscribers()),
        ),
        FigureDescription(
            key="sttp_rate",
            native_unit_of_measurement="1/s",
            state_class=SensorStateClass.MEASUREMENT,
            suggested_display_precision=1,
            value_fn=Rate(lambda: health.measurements, now),
        ),
        FigureDescription(
            key="sttp_bytes",
            device_class=SensorDeviceClass.DATA_SIZE,
            native_unit_of_measurement=UnitOfInformation.BYTES,
            suggested_unit_of_measurement=UnitOfInformation.MEGABYTES,
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: health.bytes,
        ),
        FigureDescription(
            key="sttp_dropped",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: health.dropped,
        ),
        FigureDescription(
            key="sttp_last_refusal",
            value_fn=lambda: health.last_refusal,
        ),
    ]
