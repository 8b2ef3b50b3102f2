"""Names of what a setup server's entry and its subentries store."""

from typing import Final

KIND: Final = "setup_server"

CONF_LOGIN: Final = "login"
CONF_PASSWORD_HASH: Final = "password_hash"  # noqa: S105
CONF_ALLOW_RESTART: Final = "allow_restart"
CONF_ALLOW_REBOOT: Final = "allow_reboot"
CONF_MAX_CONNECTIONS: Final = "max_connections"
CONF_MAX_BODY_BYTES: Final = "max_body_bytes"
CONF_NODE_ID: Final = "node_id"
CONF_SOURCES: Final = "sources"
CONF_DEVICE: Final = "device"
CONF_SOURCE_ID: Final = "source_id"

DEFAULT_PORT: Final = 8780
DEFAULT_LOGIN: Final = "solar"
DEFAULT_MAX_CONNECTIONS: Final = 32
DEFAULT_MAX_BODY_BYTES: Final = 4096

SUBENTRY_COMMAND: Final = "command"
CONF_DESTINATION: Final = "destination"
CONF_ACTION: Final = "action"
CONF_TIME_LIMIT_S: Final = "time_limit_s"

DEFAULT_TIME_LIMIT_S: Final = 30
