"""Names of what a virtual meter's entry and its subentries store."""

from enum import StrEnum
from typing import Final

KIND: Final = "virtual_meter"

CONF_TRANSPORT: Final = "transport"
CONF_MAX_CLIENTS: Final = "max_clients"

DEFAULT_PORT: Final = 502
DEFAULT_MAX_CLIENTS: Final = 8

# Not `meter`, which is the Modbus link's: the texts of a subentry belong to its type.
SUBENTRY_METER: Final = "virtual_meter"
CONF_UNIT_ID: Final = "unit_id"
CONF_PROFILE: Final = "profile"
CONF_QUANTITY: Final = "quantity"


class Transport(StrEnum):
    """What the meters are served on."""

    TCP = "tcp"
    RTU_OVER_TCP = "rtu_over_tcp"
    SERIAL = "serial"


class Profile(StrEnum):
    """The meter that is played."""

    SUNSPEC_203 = "sunspec_203"
    SUNSPEC_213 = "sunspec_213"
    EASTRON_SDM630 = "eastron_sdm630"
    EASTRON_SDM120 = "eastron_sdm120"


PROFILE_NAMES: Final = {
    Profile.SUNSPEC_203: "SunSpec 203",
    Profile.SUNSPEC_213: "SunSpec 213",
    Profile.EASTRON_SDM630: "Eastron SDM630",
    Profile.EASTRON_SDM120: "Eastron SDM120",
}
