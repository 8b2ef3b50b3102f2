"""Names of what an Ardexa entry and its feeds store."""

from typing import Final

KIND: Final = "ardexa"

CONF_URL: Final = "url"
CONF_WORKGROUP: Final = "workgroup"
CONF_TOKEN: Final = "token"  # noqa: S105 - a name
CONF_ALLOW_OPERATIONS: Final = "allow_operations"

SUBENTRY_FEED: Final = "feed"
CONF_DEVICE: Final = "device"
CONF_TABLE: Final = "table"
CONF_SOURCE: Final = "source"
CONF_FIELD: Final = "field"
CONF_FIELDS: Final = "fields"
CONF_UNIT: Final = "unit"
CONF_STALE_AFTER_S: Final = "stale_after_s"

DEFAULT_URL: Final = "https://app.ardexa.com"
DEFAULT_STALE_AFTER_S: Final = 300

EVENT_OPERATION: Final = "grid_telemetry_ardexa_operation"
"""On Home Assistant's bus: who ran or changed what on which device."""

UPGRADE_STEP_WITHIN_S: Final = 180.0
"""So long an upgrade of an agent may take for each of its steps."""
