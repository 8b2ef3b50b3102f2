"""STTP publisher (IEEE 2664)."""

from typing import Final

from ...link import LinkModule
from .actions import ACTIONS
from .const import KIND, SUBENTRY_DEVICE

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    first_subentry=SUBENTRY_DEVICE,
    forwards=True,
    actions=ACTIONS,
)
