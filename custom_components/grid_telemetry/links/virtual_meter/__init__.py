"""The virtual meter: sensors as a Modbus meter."""

from typing import Final

from ...link import LinkModule
from .const import KIND, SUBENTRY_METER

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    forwards=True,
    first_subentry=SUBENTRY_METER,
)
