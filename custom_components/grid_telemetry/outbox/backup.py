"""Backups of Home Assistant while an outbox is written to.

Home Assistant archives a file and its -wal one after the other. While that goes on the main file
must not change, or the two do not fit together.
"""

from contextlib import suppress
from typing import Final
from weakref import WeakSet

from homeassistant.core import HomeAssistant
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .store import Outbox, OutboxClosedError

_RUNNING: Final[HassKey[bool]] = HassKey(f"{DOMAIN}_backup")
_OPENED: Final[HassKey[WeakSet[Outbox]]] = HassKey(f"{DOMAIN}_outboxes")


async def async_open_outbox(hass: HomeAssistant, outbox: Outbox) -> None:
    """Open an outbox, and have backups hold its checkpoints until it is closed."""
    # Before it opens: a backup may begin or end while it does, and while its entry is set up.
    _opened(hass).add(outbox)
    await outbox.open(checkpoints=not hass.data.get(_RUNNING, False))


async def async_hold_checkpoints(hass: HomeAssistant, *, hold: bool) -> None:
    """Leave the main files of all outboxes as they are, or no longer; never raises."""
    hass.data[_RUNNING] = hold
    for outbox in tuple(_opened(hass)):
        with suppress(OutboxClosedError):  # it has written what it had to
            await outbox.hold_checkpoints(hold=hold)


def _opened(hass: HomeAssistant) -> WeakSet[Outbox]:
    return hass.data.setdefault(_OPENED, WeakSet())
