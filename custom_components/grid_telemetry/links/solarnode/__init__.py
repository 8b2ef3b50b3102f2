"""A SolarNode: its readings as sensors, setup commands as an action."""

from typing import Final

from ...link import Direction, LinkModule
from .actions import ACTIONS
from .const import KIND

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    direction=Direction.READ,
    actions=ACTIONS,
)
