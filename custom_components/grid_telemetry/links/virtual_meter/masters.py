"""The devices that read a meter, and which meter each wants; docs/virtual-meter.md has the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ...meters import WhenOld
from .const import Transport

_RS485: Final = (Transport.SERIAL, Transport.RTU_OVER_TCP)


@dataclass(frozen=True, kw_only=True)
class Master:
    """A device that reads a meter."""

    profile: str
    unit_id: int = 1
    any_unit_id: bool = False
    transports: tuple[Transport, ...] = _RS485
    max_age_s: int | None = None
    """How old a power may be; None leaves it to the profile, as with the next ones."""
    when_old: WhenOld | None = None
    positive_power: str | None = None


OTHER: Final = "other"
"""A device that is not in the list."""

# RS-485 is 9600 baud without parity for all of them.
MASTERS: Final[Mapping[str, Master]] = {
    "fronius_tcp": Master(
        profile="fronius_213", any_unit_id=True, transports=(Transport.TCP,), max_age_s=10
    ),
    "fronius_rs485": Master(profile="fronius_ts_rtu"),
    "solax_x1": Master(profile="eastron_sdm120", max_age_s=5, when_old=WhenOld.SILENCE),
    "solax_x3": Master(profile="eastron_sdm230", max_age_s=5, when_old=WhenOld.SILENCE),
    "solax_x3_hybrid": Master(profile="chint_dtsu666", max_age_s=5),
    "victron_tcp": Master(profile="carlo_gavazzi_em24_ethernet", transports=(Transport.TCP,)),
    "victron_rs485": Master(profile="carlo_gavazzi_et340"),
    "growatt_mod": Master(profile="chint_dtsu666_growatt", unit_id=4),
    "growatt_min": Master(profile="chint_ddsu666", unit_id=3),
    "growatt_mic": Master(profile="eastron_sdm630", unit_id=2, when_old=WhenOld.SILENCE),
    "solis": Master(profile="eastron_sdm630", when_old=WhenOld.SILENCE),
    "deye": Master(profile="chint_dtsu666"),
    "sofar": Master(profile="chint_dtsu666"),
    "hoymiles": Master(profile="chint_dtsu666", unit_id=0x9F),
    "foxess": Master(profile="chint_dtsu666_foxess"),
    "huawei": Master(profile="huawei_dtsu666_h", unit_id=11),
    "sungrow": Master(profile="sungrow_dtsu666_20", unit_id=254),
    "solaredge": Master(profile="solaredge_se_mtr_3y", unit_id=2),
    "alfen": Master(profile="socomec_countis_e34", transports=(Transport.TCP,)),
    "evcc": Master(profile="eastron_sdm630", transports=(Transport.TCP,)),
    "cfos": Master(profile="eastron_sdm630_both", transports=(Transport.TCP,)),
}
