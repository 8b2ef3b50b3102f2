"""The action that sends a setup command to a node."""

from typing import Final

from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from ...action import ENTRY_FIELD, Action
from .const import COMMAND_WITHIN_S

ATTR_DESTINATION: Final = "destination"
ATTR_HEADERS: Final = "headers"
ATTR_BODY: Final = "body"
ATTR_TIMEOUT: Final = "timeout"

_SCHEMA = vol.Schema(
    {
        **ENTRY_FIELD,
        vol.Required(ATTR_DESTINATION): vol.All(cv.string, vol.Length(min=1)),
        vol.Optional(ATTR_HEADERS, default=dict): {
            vol.All(cv.string, vol.Length(min=1)): cv.string
        },
        # A template that renders JSON text arrives as what it stands for.
        vol.Optional(ATTR_BODY, default=""): vol.Any(str, dict, list, int, float),
        vol.Optional(ATTR_TIMEOUT, default=COMMAND_WITHIN_S): vol.All(
            vol.Coerce(float), vol.Range(min=1, max=600)
        ),
    }
)

ACTIONS: Final = (
    # It can restart a machine.
    Action(name="solarnode_command", schema=_SCHEMA, handler="async_command"),
)
