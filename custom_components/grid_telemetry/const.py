"""Names that more than one module needs."""

from enum import StrEnum
from typing import Final

DOMAIN: Final = "grid_telemetry"
MANUFACTURER: Final = "Grid Telemetry"

CONF_KIND: Final = "kind"


class LinkKind(StrEnum):
    """The outside system that one config entry connects to."""

    MODBUS = "modbus"
    SCOUT = "scout"
    POWERNAUT = "powernaut"
    STTP_PUBLISHER = "sttp_publisher"
    STTP_SUBSCRIBER = "sttp_subscriber"
    SETUP_SERVER = "setup_server"
    SOLARNODE = "solarnode"
    VIRTUAL_METER = "virtual_meter"
    GROUP = "group"
    ARDEXA = "ardexa"
