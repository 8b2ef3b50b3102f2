"""STTP publisher (IEEE 2664)."""

from typing import Final

from ...link import LinkModule
from .actions import ACTIONS
from .const import KIND

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    forwards=True,
    actions=ACTIONS,
)
