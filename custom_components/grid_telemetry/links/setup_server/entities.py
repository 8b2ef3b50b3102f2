"""What the entities of a setup server show of its health."""

from homeassistant.components.sensor import SensorStateClass

from ...entities.diagnostic import NONE, DiagnosticSensorDescription
from ...protocols.stomp.server import StompServer


def diagnostic_sensors(server: StompServer) -> list[DiagnosticSensorDescription]:
    """Return the figures of a server."""
    health = server.health
    return [
        DiagnosticSensorDescription(
            key="setup_clients",
            state_class=SensorStateClass.MEASUREMENT,
            value_fn=lambda: server.clients,
        ),
        DiagnosticSensorDescription(
            key="setup_commands",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: health.commands,
        ),
        DiagnosticSensorDescription(
            key="setup_refused",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: health.refused,
        ),
        DiagnosticSensorDescription(
            key="setup_last_refusal",
            value_fn=lambda: health.last_refusal or NONE,
        ),
    ]
