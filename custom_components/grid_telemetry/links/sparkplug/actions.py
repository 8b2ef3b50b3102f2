"""Actions of the Sparkplug link."""

from typing import Final

import voluptuous as vol

from ...action import ENTRY_FIELD, Action

ACTIONS: Final = (
    Action(name="sparkplug_rebirth", schema=vol.Schema(ENTRY_FIELD), handler="async_send_births"),
)
