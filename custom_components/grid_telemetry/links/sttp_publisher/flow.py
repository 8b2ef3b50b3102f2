"""Config steps of the STTP publisher link: where it listens, and to whom it opens."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.data_entry_flow import section
import voluptuous as vol

from ...const import CONF_KIND
from ...forms.entry_flow import EntryFlow
from ...forms.fields import whole_number
from ...forms.listener import (
    address_of,
    async_try_to_listen,
    listener_data,
    listener_fields,
    validation_errors,
)
from ...forms.tls import SERVER_TLS_FIELDS, server_tls_data
from ...protocols.sttp import DEFAULT_PORT
from .const import CONF_MAX_SUBSCRIBERS, DEFAULT_MAX_SUBSCRIBERS, KIND
from .subentries import SUBENTRY_FLOWS

__all__ = ["FLOW", "SUBENTRY_FLOWS"]

SECTION_TLS = "tls"

_SCHEMA = vol.Schema(
    {
        **listener_fields(DEFAULT_PORT),
        vol.Required(CONF_MAX_SUBSCRIBERS, default=DEFAULT_MAX_SUBSCRIBERS): whole_number(1, 1_000),
        vol.Required(SECTION_TLS): section(vol.Schema(SERVER_TLS_FIELDS), {"collapsed": True}),
    }
)


class SttpPublisherFlow(EntryFlow):
    """The steps of an STTP publisher's entry."""

    async def async_step_sttp_publisher(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask where to listen and whom to let in, and try to listen there."""
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            data = _data_of(user_input)
            if not (errors := validation_errors(data)):
                await self.async_set_unique_id(_unique_id(data))
                self._abort_if_taken()
                errors, detail = await async_try_to_listen(self.hass, data, self._current)
            if not errors:
                return self._save(data, lambda data: f"STTP {address_of(data)}")
        suggested: Mapping[str, Any] = user_input or {}
        if not suggested and (current := self._current) is not None:
            stored = current.data
            suggested = {**stored, SECTION_TLS: stored}
        return self.async_show_form(
            step_id="sttp_publisher",
            data_schema=self.add_suggested_values_to_schema(_SCHEMA, suggested),
            errors=errors,
            description_placeholders={"error": detail},
        )

    async def async_step_sttp_publisher_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change where it listens and whom it lets in."""
        return await self.async_step_sttp_publisher(user_input)


def _data_of(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store."""
    return {
        CONF_KIND: KIND,
        **{key: value for key, value in user_input.items() if key != SECTION_TLS},
        **listener_data(user_input),
        **server_tls_data(user_input.get(SECTION_TLS, {})),
    }


def _unique_id(data: Mapping[str, Any]) -> str:
    """Return what two entries for the same server have in common."""
    return f"sttp_publisher/{address_of(data)}"


FLOW: Final = SttpPublisherFlow
