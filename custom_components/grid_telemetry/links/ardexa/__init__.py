"""Ardexa: live feeds as sensors, remote operations as actions."""

from typing import Final

from ...link import LinkModule
from .actions import ACTIONS
from .const import KIND

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    actions=ACTIONS,
)
