"""Circutor Scout: metrics, attributes, events and waveforms, delivered durably."""

from typing import Final

from ...link import LinkModule
from .actions import ACTIONS
from .const import CONF_CLAIM_ID, KIND, SUBENTRY_DEVICE

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    first_subentry=SUBENTRY_DEVICE,
    forwards=True,
    actions=ACTIONS,
    secrets=frozenset({CONF_CLAIM_ID}),
)
