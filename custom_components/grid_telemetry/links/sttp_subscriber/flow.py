"""Config steps of the STTP subscriber link: the publisher, and what to subscribe to.

The publisher is connected to, or waited for where it dials out: it is one form for both.
"""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult, ConfigSubentryFlow
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
)
import voluptuous as vol

from ...connection.errors import LinkError
from ...connection.wording import in_words
from ...const import CONF_KIND
from ...forms.entry_flow import EntryFlow
from ...forms.fields import PORT, RangedNumber
from ...forms.listener import (
    CONF_ALLOWED_NETWORKS,
    DEFAULT_NETWORKS,
    address_of,
    async_try_to_listen,
    validation_errors,
)
from ...forms.tls import CONF_CLIENT_CA
from ...forms.written import Written, one_form
from ...protocols.sttp import DEFAULT_PORT, fingerprint_of
from .client import async_parameters, async_try_subscription, listens
from .const import (
    CONF_CA_FILE,
    CONF_CERTIFICATE,
    CONF_CONNECTION,
    CONF_FILTER_EXPRESSION,
    CONF_FINGERPRINTS,
    CONF_INTERVAL_S,
    CONF_KEY,
    CONF_METADATA,
    CONF_USE_TLS,
    CONNECTION_DIAL,
    CONNECTION_LISTEN,
    DEFAULT_FILTER_EXPRESSION,
    DEFAULT_INTERVAL_S,
    KIND,
    METADATA_ALL,
    METADATA_EXTERNAL,
    METADATA_INTERNAL,
)

SECTION_TLS = "tls"
SECTION_LISTENING = "listening"

_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_CONNECTION, default=CONNECTION_DIAL): SelectSelector(
            SelectSelectorConfig(
                options=[CONNECTION_DIAL, CONNECTION_LISTEN],
                translation_key="sttp_connection",
            )
        ),
        vol.Required(CONF_HOST): TextSelector(),
        vol.Required(CONF_PORT, default=DEFAULT_PORT): PORT,
        vol.Required(CONF_FILTER_EXPRESSION, default=DEFAULT_FILTER_EXPRESSION): TextSelector(
            TextSelectorConfig(multiline=True)
        ),
        vol.Required(CONF_INTERVAL_S, default=DEFAULT_INTERVAL_S): RangedNumber(
            NumberSelectorConfig(
                min=0.1,
                max=3_600,
                step="any",
                mode=NumberSelectorMode.BOX,
                unit_of_measurement="s",
            )
        ),
        vol.Required(CONF_METADATA, default=METADATA_ALL): SelectSelector(
            SelectSelectorConfig(
                options=[METADATA_ALL, METADATA_INTERNAL, METADATA_EXTERNAL],
                translation_key="sttp_metadata",
            )
        ),
        vol.Optional(SECTION_LISTENING): section(
            vol.Schema(
                {
                    vol.Optional(
                        CONF_ALLOWED_NETWORKS, default=list(DEFAULT_NETWORKS)
                    ): TextSelector(TextSelectorConfig(multiple=True)),
                    vol.Optional(CONF_FINGERPRINTS): TextSelector(
                        TextSelectorConfig(multiple=True)
                    ),
                }
            ),
            {"collapsed": True},
        ),
        vol.Required(CONF_USE_TLS, default=False): BooleanSelector(),
        vol.Required(SECTION_TLS): section(
            vol.Schema(
                {
                    vol.Optional(CONF_CA_FILE): TextSelector(),
                    vol.Optional(CONF_CERTIFICATE): TextSelector(),
                    vol.Optional(CONF_KEY): TextSelector(),
                }
            ),
            {"collapsed": True},
        ),
    }
)


class SttpSubscriberFlow(EntryFlow):
    """The steps of an STTP subscriber's entry."""

    @classmethod
    def written(cls) -> Written:
        """Return how a subscription is written in a file."""
        return Written(
            schemas=one_form(_SCHEMA),
            opening_fields=frozenset({CONF_ALLOWED_NETWORKS, CONF_FINGERPRINTS}),
        )

    async def async_step_sttp_subscriber(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the publisher and what to subscribe to, and try it."""
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            user_input = self._without_name(user_input)
            data = _data_of(user_input)
            await self.async_set_unique_id(_unique_id(data))
            self._abort_if_taken()
            errors, detail = await self._async_try(data)
            if not errors:
                return self._save(data, _title)
        suggested: Mapping[str, Any] = user_input or {}
        if not suggested and (current := self._current) is not None:
            stored = current.data
            suggested = {**stored, SECTION_LISTENING: stored, SECTION_TLS: stored}
        return self.async_show_form(
            step_id="sttp_subscriber",
            data_schema=self._form_with_name(_SCHEMA, suggested),
            errors=errors,
            description_placeholders={"error": detail},
        )

    async def async_step_sttp_subscriber_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the publisher or what is subscribed to."""
        return await self.async_step_sttp_subscriber(user_input)

    async def _async_try(self, data: Mapping[str, Any]) -> tuple[dict[str, str], str]:
        """Subscribe or listen for a moment; return the errors by field, and what is said of them.

        A publisher that dials in may do so at any time: it is not waited for here.
        """
        if listens(data):
            server = {
                **data,
                **({CONF_CLIENT_CA: data[CONF_CA_FILE]} if CONF_CA_FILE in data else {}),
            }
            if errors := _listening_errors(server):
                return errors, ""
            return await async_try_to_listen(self.hass, server, self._current)
        error, detail = await self._async_sttp_subscribe(data)
        return {} if error is None else {"base": error}, detail

    async def _async_sttp_subscribe(self, data: Mapping[str, Any]) -> tuple[str | None, str]:
        """Subscribe for a moment; return the key of an error and what is said of it."""
        try:
            parameters = await async_parameters(self.hass, data)
        except OSError as err:
            return "certificate_file", in_words(str(err))
        try:
            count = await async_try_subscription(parameters)
        except LinkError as err:
            return err.reason, err.detail
        return (None, "") if count else ("sttp_no_signals", "")


def _data_of(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store; a file that was emptied comes as an empty text."""
    sections = (SECTION_TLS, SECTION_LISTENING)
    data: dict[str, Any] = {
        CONF_KIND: KIND,
        **{key: value for key, value in user_input.items() if key not in sections},
        CONF_HOST: user_input[CONF_HOST].strip(),
        CONF_FILTER_EXPRESSION: user_input[CONF_FILTER_EXPRESSION].strip(),
        **{key: value for key, value in user_input.get(SECTION_TLS, {}).items() if value},
    }
    if listens(data):
        listening = user_input.get(SECTION_LISTENING, {})
        networks = listening.get(CONF_ALLOWED_NETWORKS, DEFAULT_NETWORKS)
        data[CONF_ALLOWED_NETWORKS] = [text.strip() for text in networks]
        if fingerprints := listening.get(CONF_FINGERPRINTS):
            data[CONF_FINGERPRINTS] = fingerprints
    return data


def _listening_errors(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the errors of what is needed to listen; those of a section stand over the form."""
    errors = validation_errors(data)
    if CONF_ALLOWED_NETWORKS in errors:
        return {"base": errors[CONF_ALLOWED_NETWORKS]}
    if errors:
        return errors
    secure = data[CONF_USE_TLS]
    if secure and CONF_CERTIFICATE not in data:
        return {"base": "certificate_missing"}
    try:
        for text in data.get(CONF_FINGERPRINTS, ()):
            fingerprint_of(text)
    except ValueError:
        return {"base": "sttp_invalid_fingerprint"}
    if data.get(CONF_FINGERPRINTS) and not (secure and CONF_CA_FILE in data):
        # Without an authority a server asks for no certificate.
        return {"base": "sttp_fingerprint_without_authority"}
    return {}


def _unique_id(data: Mapping[str, Any]) -> str:
    """Return what two entries for the same subscription have in common."""
    if listens(data):
        return f"sttp_subscriber/{address_of(data)}"
    host = data[CONF_HOST].lower()
    return f"sttp_subscriber/{host}:{data[CONF_PORT]}/{data[CONF_FILTER_EXPRESSION]}"


def _title(data: Mapping[str, Any]) -> str:
    return f"STTP {data[CONF_HOST]}:{data[CONF_PORT]}"


FLOW: Final = SttpSubscriberFlow
SUBENTRY_FLOWS: Final[dict[str, type[ConfigSubentryFlow]]] = {}
