"""Names of what a virtual meter's entry and its subentries store."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

KIND: Final = "virtual_meter"

CONF_TRANSPORT: Final = "transport"
CONF_MASTER: Final = "master"
"""The device that reads the meter, as a key of `masters.MASTERS`, or another one."""
CONF_MAX_CLIENTS: Final = "max_clients"

DEFAULT_PORT: Final = 502
DEFAULT_MAX_CLIENTS: Final = 8

# Not `meter`, which is the Modbus link's: the texts of a subentry belong to its type.
SUBENTRY_METER: Final = "virtual_meter"
CONF_UNIT_ID: Final = "unit_id"
CONF_PROFILE: Final = "profile"
CONF_QUANTITY: Final = "quantity"
CONF_ANY_UNIT_ID: Final = "any_unit_id"
"""Whether the meter answers for every unit id, as the only one on its port."""
CONF_POSITIVE_POWER: Final = "positive_power"
"""Whether a positive power is imported or exported; what is not there is left to the profile."""
CONF_WHEN_OLD: Final = "when_old"
"""What is done with a power that is too old; what is not there is left to the profile."""

EXPORT: Final = "export"
IMPORT: Final = "import"


class Transport(StrEnum):
    """What the meters are served on."""

    TCP = "tcp"
    RTU_OVER_TCP = "rtu_over_tcp"
    SERIAL = "serial"


SUNSPEC_PROFILES: Final = (
    "sunspec_213",
    "sunspec_203",
    "sunspec_213_padded",
    "sunspec_203_padded",
    "fronius_213",
    "fronius_203",
)
"""The meters that are played after the standard."""

PROFILES: Final[Mapping[str, str]] = {
    "fronius_ts_rtu": "fronius_smart_meter_ts",
    "eastron_sdm630": "eastron_sdm630",
    "eastron_sdm630_both": "eastron_sdm630",
    "eastron_sdm230": "eastron_sdm230",
    "eastron_sdm120": "eastron_sdm120",
    "chint_dtsu666": "chint_dtsu666",
    "chint_dtsu666_growatt": "chint_dtsu666",
    "chint_dtsu666_foxess": "chint_dtsu666_from_0x1510",
    "chint_ddsu666": "chint_ddsu666",
    "carlo_gavazzi_em24_ethernet": "carlo_gavazzi_em24_e1",
    "carlo_gavazzi_em24": "carlo_gavazzi_em24",
    "carlo_gavazzi_et340": "carlo_gavazzi_em24_e1",
    "carlo_gavazzi_em540": "carlo_gavazzi_em530_em540",
    "huawei_dtsu666_h": "huawei_dtsu666_h",
    "sungrow_dtsu666_20": "sungrow_dtsu666_20",
    "solaredge_se_mtr_3y": "solaredge_se_mtr_3y",
    "abb_b23": "abb_ab_series",
    "socomec_countis_e34": "socomec_countis_e3_e4",
}
"""The meters that are played after a register map, and that map."""
