"""Names of the data that Modbus entries and their meters keep."""

from typing import Final

KIND: Final = "modbus"

SUBENTRY_METER: Final = "meter"
CONF_UNIT_ID: Final = "unit_id"
CONF_REGISTER_MAP: Final = "register_map"
CONF_METER_NAME: Final = "meter_name"
CONF_FAST_INTERVAL_S: Final = "fast_interval_s"
CONF_SLOW_INTERVAL_S: Final = "slow_interval_s"
# The ratios of the transformers before a meter, where it does not tell them itself.
CONF_CURRENT_RATIO: Final = "current_ratio"
CONF_VOLTAGE_RATIO: Final = "voltage_ratio"
# Whether its power has the other sign.
CONF_TURN_SIGN: Final = "turn_sign"
# Where a device has its SunSpec model, in place of a register map.
CONF_SUNSPEC: Final = "sunspec"
# What the ids of its sensors and its device are made of.
CONF_IDENTITY: Final = "identity"
# What a meter had no value for when it was added.
CONF_ABSENT: Final = "absent"

CONF_TRANSPORT: Final = "transport"
# The name or MAC address by which the network knows the device again at another address.
CONF_ANNOUNCED_AS: Final = "announced_as"
CONF_VERIFY: Final = "verify"
CONF_CA_FILE: Final = "ca_file"
CONF_CLIENT_CERT: Final = "client_cert"
CONF_CLIENT_KEY: Final = "client_key"
CONF_CLIENT_KEY_PASSWORD: Final = "client_key_password"  # noqa: S105 (the name of a field)
