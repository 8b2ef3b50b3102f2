"""The load generator has nothing to ask."""

from typing import Any

from homeassistant.config_entries import ConfigFlow, ConfigFlowResult


class LoadgenConfigFlow(ConfigFlow, domain="loadgen"):
    """Make the entry at once."""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Make the entry."""
        return self.async_create_entry(title="Load", data={})
