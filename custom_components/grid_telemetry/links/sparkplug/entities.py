"""What the entities of a Sparkplug node show beside its health."""

from collections.abc import Callable

from homeassistant.components.sensor import SensorDeviceClass, SensorStateClass

from ...entities.diagnostic import DiagnosticSensorDescription
from ...protocols.sparkplug import EdgeNode
from .client import Figures

HOST_ONLINE = "online"
HOST_OFFLINE = "offline"


def diagnostic_sensors(
    node: EdgeNode, figures: Figures, connected: Callable[[], bool]
) -> list[DiagnosticSensorDescription]:
    """Return the figures of a node; the state of its host only where it has one."""

    def host() -> str:
        return HOST_ONLINE if connected() and node.host.online else HOST_OFFLINE

    sensors = [
        DiagnosticSensorDescription(
            key="sparkplug_births",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: figures.births,
        ),
        DiagnosticSensorDescription(
            key="sparkplug_sent_again",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: figures.sent_again,
        ),
        DiagnosticSensorDescription(
            key="sparkplug_commands",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: figures.commands,
        ),
        DiagnosticSensorDescription(
            key="sparkplug_refused_commands",
            state_class=SensorStateClass.TOTAL_INCREASING,
            value_fn=lambda: figures.refused_commands,
        ),
        DiagnosticSensorDescription(
            key="sparkplug_last_refusal",
            value_fn=lambda: figures.last_refusal,
        ),
    ]
    if node.primary_host is not None:
        sensors.append(
            DiagnosticSensorDescription(
                key="sparkplug_primary_host",
                device_class=SensorDeviceClass.ENUM,
                options=[HOST_ONLINE, HOST_OFFLINE],
                value_fn=host,
            )
        )
    return sensors
