"""The forms of the toy link."""

from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult, ConfigSubentryFlow
from homeassistant.const import CONF_PORT
import voluptuous as vol

from custom_components.grid_telemetry.connection.errors import LinkError
from custom_components.grid_telemetry.const import CONF_KIND
from custom_components.grid_telemetry.forms.entry_flow import EntryFlow
from custom_components.grid_telemetry.forms.fields import PORT, SECRET

from .client import connect
from .const import CONF_KEY, KIND, SUBENTRY_DEVICE
from .subentries import DeviceSubentryFlow

_SCHEMA = vol.Schema({vol.Required(CONF_PORT): PORT, vol.Required(CONF_KEY): SECRET})


class ToyFlow(EntryFlow):
    """Ask where the platform is, and try it."""

    async def async_step_toy(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the port and the key."""
        errors: dict[str, str] = {}
        if user_input is not None:
            await self.async_set_unique_id(f"{KIND}/{user_input[CONF_PORT]}")
            self._abort_if_taken()
            try:
                async with connect(user_input[CONF_PORT], user_input[CONF_KEY]):
                    return self._save({CONF_KIND: KIND, **user_input}, lambda _: "Toy")
            except LinkError as err:
                errors["base"] = err.reason
        return self.async_show_form(
            step_id=KIND,
            data_schema=self.add_suggested_values_to_schema(_SCHEMA, user_input),
            errors=errors,
        )

    async def async_step_toy_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask again."""
        return await self.async_step_toy(user_input)


FLOW: Final = ToyFlow
SUBENTRY_FLOWS: Final[dict[str, type[ConfigSubentryFlow]]] = {SUBENTRY_DEVICE: DeviceSubentryFlow}
