"""Names of what a Sparkplug entry and its subentries store."""

from enum import StrEnum
from typing import Final

KIND: Final = "sparkplug"

CONF_TRANSPORT: Final = "transport"
CONF_PATH: Final = "path"
CONF_VERSION: Final = "mqtt_version"
CONF_CA_FILE: Final = "ca_file"
CONF_CERTIFICATE: Final = "certificate"
CONF_KEY: Final = "key"
CONF_GROUP_ID: Final = "group_id"
CONF_NODE_ID: Final = "node_id"
CONF_PRIMARY_HOST: Final = "primary_host"
CONF_INTERVAL_S: Final = "interval_s"

SUBENTRY_DEVICE: Final = "sparkplug_device"
SUBENTRY_COMMAND: Final = "sparkplug_command"

CONF_DEVICE_ID: Final = "device_id"
CONF_NAME: Final = "name"
CONF_METRIC: Final = "metric"
CONF_DATA_TYPE: Final = "data_type"
CONF_QUANTITY: Final = "quantity"
CONF_ACTION: Final = "action"
CONF_TIME_LIMIT_S: Final = "time_limit_s"

DEFAULT_PORT: Final = 1883
DEFAULT_PATH: Final = "/mqtt"
DEFAULT_INTERVAL_S: Final = 10
DEFAULT_TIME_LIMIT_S: Final = 30


class TransportKind(StrEnum):
    """How the broker is reached."""

    TCP = "tcp"
    TLS = "tls"
    WEBSOCKET = "websocket"
    SECURE_WEBSOCKET = "secure_websocket"


SECURE: Final = frozenset({TransportKind.TLS, TransportKind.SECURE_WEBSOCKET})
OVER_WEBSOCKET: Final = frozenset({TransportKind.WEBSOCKET, TransportKind.SECURE_WEBSOCKET})
