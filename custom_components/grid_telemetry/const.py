"""Names that more than one module needs."""

from typing import Final

DOMAIN: Final = "grid_telemetry"
MANUFACTURER: Final = "Grid Telemetry"

ENTRY_VERSION: Final = 1
ENTRY_MINOR_VERSION: Final = 2
"""2: meters are known by their serial number, or by line and unit."""

CONF_KIND: Final = "kind"
"""In the data of an entry: which kind of link it is, the name of a folder below `links/`."""

MAP_FOLDER: Final = (DOMAIN, "meters")
"""Where users keep register maps of their own, in the folder of `configuration.yaml`."""
CONTEXT_DRIVEN: Final = "driven"
"""In the context of a flow that a file answers: it goes on with no other."""
