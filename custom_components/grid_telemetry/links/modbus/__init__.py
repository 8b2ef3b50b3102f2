"""Modbus meters as sensors."""

from typing import Final

from homeassistant.config_entries import SOURCE_DHCP, SOURCE_ZEROCONF

from ...link import Direction, LinkModule
from .actions import ACTIONS
from .const import CONF_ANNOUNCED_AS, CONF_CLIENT_KEY_PASSWORD, CONF_IDENTITY, KIND, SUBENTRY_METER

LINK: Final = LinkModule(
    kind=KIND,
    package=__name__,
    direction=Direction.READ,
    first_subentry=SUBENTRY_METER,
    actions=ACTIONS,
    discovery=frozenset({SOURCE_DHCP, SOURCE_ZEROCONF}),
    secrets=frozenset({CONF_ANNOUNCED_AS, CONF_CLIENT_KEY_PASSWORD, CONF_IDENTITY}),
)
