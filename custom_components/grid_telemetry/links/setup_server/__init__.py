"""The setup server: setup commands of SolarNode clients."""

from typing import Final

from ...link import Direction, LinkModule
from .const import CONF_PASSWORD_HASH, KIND

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    direction=Direction.SERVE,
    secrets=frozenset({CONF_PASSWORD_HASH}),
)
