"""Names that more than one module needs."""

from typing import Final

DOMAIN: Final = "grid_telemetry"
MANUFACTURER: Final = "Grid Telemetry"

CONF_KIND: Final = "kind"
"""In the data of an entry: which kind of link it is, the name of a folder below `links/`."""

MAP_FOLDER: Final = (DOMAIN, "meters")
"""Where users keep register maps of their own, in the folder of `configuration.yaml`."""
