"""Config steps of the STTP publisher link: where it listens, and to whom it opens."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import TextSelector, TextSelectorConfig
import voluptuous as vol

from ...const import CONF_KIND
from ...forms.entry_flow import EntryFlow
from ...forms.fields import whole_number
from ...forms.listener import (
    address_of,
    async_listening_schema,
    async_try_to_listen,
    listener_data,
    listener_fields,
    validation_errors,
)
from ...forms.tls import CONF_CERTIFICATE, SERVER_TLS_FIELDS, server_tls_data
from ...forms.written import Written, one_form
from ...protocols.sttp import DEFAULT_PORT, fingerprint_of, target_of
from .const import (
    CONF_FINGERPRINTS,
    CONF_MAX_SUBSCRIBERS,
    CONF_TARGETS,
    DEFAULT_MAX_SUBSCRIBERS,
    KIND,
)
from .subentries import SUBENTRY_FLOWS

__all__ = ["FLOW", "SUBENTRY_FLOWS"]

SECTION_TLS = "tls"
SECTION_DIALING = "dialing"

_SCHEMA = vol.Schema(
    {
        **listener_fields(DEFAULT_PORT),
        vol.Required(CONF_MAX_SUBSCRIBERS, default=DEFAULT_MAX_SUBSCRIBERS): whole_number(1, 1_000),
        vol.Optional(SECTION_DIALING): section(
            vol.Schema(
                {
                    vol.Optional(CONF_TARGETS): TextSelector(TextSelectorConfig(multiple=True)),
                    vol.Optional(CONF_FINGERPRINTS): TextSelector(
                        TextSelectorConfig(multiple=True)
                    ),
                }
            ),
            {"collapsed": True},
        ),
        vol.Required(SECTION_TLS): section(vol.Schema(SERVER_TLS_FIELDS), {"collapsed": True}),
    }
)


class SttpPublisherFlow(EntryFlow):
    """The steps of an STTP publisher's entry."""

    @classmethod
    def written(cls) -> Written:
        """Return how a publisher is written in a file."""
        return Written(
            schemas=one_form(_SCHEMA),
            opens=True,
        )

    async def async_step_sttp_publisher(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask where to listen and whom to let in, and try to listen there."""
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            user_input = self._without_name(user_input)
            data = _data_of(user_input)
            if not (errors := validation_errors(data) | _dialing_errors(data)):
                await self.async_set_unique_id(_unique_id(data))
                self._abort_if_taken()
                errors, detail = await async_try_to_listen(self.hass, data, self._current)
            if not errors:
                return self._save(data, lambda data: f"STTP {address_of(data)}")
        suggested: Mapping[str, Any] = user_input or {}
        if not suggested and (current := self._current) is not None:
            stored = current.data
            suggested = {**stored, SECTION_DIALING: stored, SECTION_TLS: stored}
        return self.async_show_form(
            step_id="sttp_publisher",
            data_schema=self._form_with_name(
                await async_listening_schema(self.hass, _SCHEMA), suggested
            ),
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
        **{
            key: value
            for key, value in user_input.items()
            if key not in (SECTION_TLS, SECTION_DIALING)
        },
        **{key: value for key, value in user_input.get(SECTION_DIALING, {}).items() if value},
        **listener_data(user_input),
        **server_tls_data(user_input.get(SECTION_TLS, {})),
    }


def _dialing_errors(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the errors of what is dialled; they stand over the form, for it is in a section."""
    try:
        for text in data.get(CONF_TARGETS, ()):
            target_of(text, DEFAULT_PORT)
    except ValueError:
        return {"base": "sttp_invalid_target"}
    try:
        for text in data.get(CONF_FINGERPRINTS, ()):
            fingerprint_of(text)
    except ValueError:
        return {"base": "sttp_invalid_fingerprint"}
    if data.get(CONF_FINGERPRINTS) and CONF_CERTIFICATE not in data:
        return {"base": "sttp_fingerprint_without_tls"}
    return {}


def _unique_id(data: Mapping[str, Any]) -> str:
    """Return what two entries for the same server have in common."""
    return f"sttp_publisher/{address_of(data)}"


FLOW: Final = SttpPublisherFlow
