"""The action of the toy link."""

from typing import Final

import voluptuous as vol

from custom_components.grid_telemetry.action import ENTRY_FIELD, Action

ACTIONS: Final = (Action(name="toy_send", schema=vol.Schema(ENTRY_FIELD), handler="async_send"),)
