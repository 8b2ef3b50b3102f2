"""Names of the data that Modbus entries and their meters keep."""

from typing import Final

SUBENTRY_METER: Final = "meter"
CONF_UNIT_ID: Final = "unit_id"
CONF_REGISTER_MAP: Final = "register_map"
CONF_METER_NAME: Final = "meter_name"
CONF_FAST_INTERVAL_S: Final = "fast_interval_s"
CONF_SLOW_INTERVAL_S: Final = "slow_interval_s"

CONF_TRANSPORT: Final = "transport"
CONF_BAUDRATE: Final = "baudrate"
CONF_BYTESIZE: Final = "bytesize"
CONF_PARITY: Final = "parity"
CONF_STOPBITS: Final = "stopbits"
CONF_VERIFY: Final = "verify"
CONF_CA_FILE: Final = "ca_file"
CONF_CLIENT_CERT: Final = "client_cert"
CONF_CLIENT_KEY: Final = "client_key"
CONF_CLIENT_KEY_PASSWORD: Final = "client_key_password"  # noqa: S105 (the name of a field)
