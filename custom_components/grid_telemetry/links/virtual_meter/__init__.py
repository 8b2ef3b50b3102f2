"""The virtual meter: sensors as a Modbus meter."""

from typing import Final

from ...link import Direction, LinkModule
from .const import KIND, SUBENTRY_METER

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    direction=Direction.SERVE,
    forwards=True,
    first_subentry=SUBENTRY_METER,
)
