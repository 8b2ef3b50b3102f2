"""Groups of meters: totals and differences."""

from typing import Final

from ...link import Direction, LinkModule
from .const import KIND, SUBENTRY_GROUP

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    direction=Direction.READ,
    first_subentry=SUBENTRY_GROUP,
)
