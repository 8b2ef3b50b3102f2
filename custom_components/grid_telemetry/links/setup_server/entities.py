"""What the entities of a setup server show of its health."""

from homeassistant.components.sensor import SensorStateClass

from ...entities.diagnostic import FigureDescription
from ...protocols.stomp.server import Health


def figures(health: Health) -> list[FigureDescription]:
    """Return the figures of a server."""
    return [
        FigureDescription(
            key="setup_clients",
            state_class=SensorStateClass.MEASUREMENT,
            value_fn=lambda: health.connections,
        ),
        FigureDescription(
            key="setup_commands",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: health.commands,
        ),
        FigureDescription(
            key="setup_refused",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: health.refused,
        ),
        FigureDescription(
            key="setup_last_refusal",
            value_fn=lambda: health.last_refusal,
        ),
    ]
