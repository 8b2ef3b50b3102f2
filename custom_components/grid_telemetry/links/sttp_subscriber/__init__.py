"""STTP subscriber (IEEE 2664)."""

from typing import Final

from ...link import LinkModule
from .const import KIND

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
)
