"""Names of what a SolarNode's entry stores."""

from typing import Final

KIND: Final = "solarnode"

CONF_LOGIN: Final = "login"
CONF_SOURCES: Final = "sources"
CONF_INTERVAL_S: Final = "interval_s"
CONF_LIVE_SOURCES: Final = "live_sources"

DEFAULT_PORT: Final = 8780
DEFAULT_INTERVAL_S: Final = 10

MAX_LIVE_SOURCES: Final = 2
"""More a node does not stream to one client."""
MAX_SENSORS: Final = 5_000
"""More sensors than Home Assistant is made for."""

COMMAND_WITHIN_S: Final = 15.0
"""So long a node may take to answer a setup command, unless told otherwise."""
