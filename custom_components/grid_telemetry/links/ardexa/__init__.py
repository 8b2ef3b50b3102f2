"""Ardexa: live feeds as sensors, remote operations as actions."""

from typing import Final

from ...link import Direction, LinkModule
from .actions import ACTIONS
from .const import KIND, SUBENTRY_FEED

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    direction=Direction.READ,
    first_subentry=SUBENTRY_FEED,
    actions=ACTIONS,
)
