"""Sparkplug B: the states of sensors to any SCADA system or historian that speaks it over MQTT."""

from typing import Final

from ...link import LinkModule
from .actions import ACTIONS
from .const import KIND, SUBENTRY_DEVICE

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    forwards=True,
    first_subentry=SUBENTRY_DEVICE,
    actions=ACTIONS,
)
