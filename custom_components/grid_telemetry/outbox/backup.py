"""Backups of Home Assistant while an outbox is written to.

Home Assistant archives a file and its -wal one after the other. While that goes on the main file
must not change, or the two do not fit together.
"""

import logging
from typing import Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .actions import DurableForwarder
from .store import OutboxError

_LOGGER = logging.getLogger(__name__)
_RUNNING: Final[HassKey[bool]] = HassKey(f"{DOMAIN}_backup")


def backup_is_running(hass: HomeAssistant) -> bool:
    """Return whether an outbox that is opened now must leave its main file as it is."""
    return hass.data.get(_RUNNING, False)


async def async_hold_checkpoints(hass: HomeAssistant, *, hold: bool) -> None:
    """Leave the main files of all outboxes as they are, or no longer; never raises."""
    hass.data[_RUNNING] = hold
    for entry in hass.config_entries.async_entries(DOMAIN):
        if entry.state is not ConfigEntryState.LOADED:
            continue
        if isinstance(link := entry.runtime_data, DurableForwarder):
            try:
                await link.outbox.hold_checkpoints(hold=hold)
            except OutboxError as err:  # it was closed meanwhile, and so wrote what it had to
                _LOGGER.debug("%s: %s", entry.title, err)
