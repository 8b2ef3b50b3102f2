"""Names of the toy link."""

from typing import Final

KIND: Final = "toy"
SUBENTRY_DEVICE: Final = "toy_device"
CONF_KEY: Final = "key"
CONF_DEVICE_ID: Final = "device_id"
CONF_NAME: Final = "name"
