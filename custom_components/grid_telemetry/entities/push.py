"""Entities whose link tells them what to show."""

from typing import override

from homeassistant.core import callback
from homeassistant.helpers.entity import Entity


class PushEntity(Entity):
    """Shows what its link tells of, from the time that Home Assistant has added it."""

    _attr_has_entity_name = True
    _attr_should_poll = False
    is_added = False
    """Whether Home Assistant has it; one that is disabled is never added."""

    @override
    async def async_added_to_hass(self) -> None:
        self.is_added = True

    @override
    async def async_will_remove_from_hass(self) -> None:
        self.is_added = False

    @callback
    def write(self) -> None:
        """Write the state, if anybody can see it."""
        if self.is_added:
            self.async_write_ha_state()
