"""The event that tells automations of every setup command."""

from collections.abc import Callable
from functools import lru_cache
import re
from typing import Final

from homeassistant.core import HomeAssistant

from ..const import DOMAIN
from ..protocols.stomp.reply import Reply
from .command import Command

EVENT: Final = f"{DOMAIN}_setup_command"
HIDDEN: Final = "**"
_SECRET: Final = re.compile(
    r"pass|pwd|secret|token|key|auth|credential|signature|cookie", re.IGNORECASE
)


@lru_cache(maxsize=256)
def is_secret(name: str) -> bool:
    """Return whether a header of this name may hold a secret."""
    return _SECRET.search(name) is not None


def fires(hass: HomeAssistant, entry_id: str) -> Callable[[Command, Reply], None]:
    """Return what fires the event of a command that was answered.

    The body is left out: nobody knows whether there is a secret in it.
    """

    def fire(command: Command, reply: Reply) -> None:
        hass.bus.async_fire_internal(
            EVENT,
            {
                "config_entry_id": entry_id,
                "origin": command.origin,
                "destination": command.destination,
                "headers": {
                    name: HIDDEN if is_secret(name) else value
                    for name, value in command.headers.items()
                },
                "status": int(reply.status),
                "message": reply.message,
            },
        )

    return fire
