"""A complete platform in one folder: what `docs/adding-a-platform.md` says is all that it takes.

It sends each sample as a line of JSON over TCP, and takes a line with its number as the
acknowledgement.
"""

from typing import Final

from custom_components.grid_telemetry.link import LinkModule

from .actions import ACTIONS
from .const import CONF_KEY, KIND, SUBENTRY_DEVICE

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    first_subentry=SUBENTRY_DEVICE,
    actions=ACTIONS,
    secrets=frozenset({CONF_KEY}),
)
