"""Names of what a Scout entry and its subentries store."""

from typing import Final

KIND: Final = "scout"

DEFAULT_URL: Final = "wss://scout.circutor.com/ws/stomp"
DEFAULT_HOST: Final = "pro"
DEFAULT_GATEWAY_TYPE: Final = "HOME_ASSISTANT"
DEFAULT_HARDWARE_VERSION: Final = "1.0"
DEFAULT_INTERVAL_S: Final = 60

CONF_ALLOW_PLAIN: Final = "allow_plain"
CONF_CLAIM_ID: Final = "claim_id"
CONF_GATEWAY_TYPE: Final = "gateway_type"
CONF_SERIAL_NUMBER: Final = "serial_number"
CONF_FIRMWARE_VERSION: Final = "firmware_version"
CONF_HARDWARE_VERSION: Final = "hardware_version"
CONF_FIRMWARE_MEASURE: Final = "firmware_measure"
CONF_INTERVAL_S: Final = "interval_s"

SUBENTRY_DEVICE: Final = "device"
SUBENTRY_ALARM: Final = "alarm"

CONF_GATEWAY_DEVICE_ID: Final = "gateway_device_id"
CONF_CODE: Final = "code"
CONF_CONNECTION_TYPE: Final = "connection_type"
CONF_EVENT_TYPE: Final = "event_type"
CONF_CUSTOM_NAME: Final = "custom_name"
CONF_INDEX: Final = "index"
