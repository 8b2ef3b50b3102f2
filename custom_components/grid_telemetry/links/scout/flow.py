"""Config steps of the Scout link: the login, the gateway's identity, devices and alarms."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from homeassistant.config_entries import ConfigEntry, ConfigFlowResult
from homeassistant.const import CONF_HOST, CONF_TOKEN, CONF_URL
from homeassistant.helpers import instance_id
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from ...connection.errors import LinkError
from ...const import CONF_KIND, CONTEXT_DRIVEN
from ...forms.entry_flow import EntryFlow
from ...forms.fields import SECRET, is_url, to_change, whole_number, with_stored
from ...forms.written import Written, one_form
from ...outbox.entry import LIMIT_FIELDS
from .client import login_test, parameters_of
from .const import (
    CONF_ALLOW_PLAIN,
    CONF_CLAIM_ID,
    CONF_FIRMWARE_MEASURE,
    CONF_FIRMWARE_VERSION,
    CONF_GATEWAY_TYPE,
    CONF_HARDWARE_VERSION,
    CONF_INTERVAL_S,
    CONF_SERIAL_NUMBER,
    DEFAULT_GATEWAY_TYPE,
    DEFAULT_HARDWARE_VERSION,
    DEFAULT_HOST,
    DEFAULT_INTERVAL_S,
    DEFAULT_URL,
    KIND,
)
from .link import entry_title
from .payload import CLAIM_ID_PATTERN
from .subentries import SUBENTRY_FLOWS

__all__ = ["FLOW", "SUBENTRY_FLOWS"]

_LOGIN_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_URL, default=DEFAULT_URL): TextSelector(
            TextSelectorConfig(type=TextSelectorType.URL)
        ),
        vol.Required(CONF_HOST, default=DEFAULT_HOST): TextSelector(),
        vol.Required(CONF_CLAIM_ID): TextSelector(),
        vol.Required(CONF_TOKEN): SECRET,
        vol.Required(CONF_ALLOW_PLAIN, default=False): BooleanSelector(),
    }
)
_TOKEN_SCHEMA = vol.Schema({vol.Required(CONF_TOKEN): SECRET})


_IDENTITY_FIELDS = {
    vol.Required(CONF_SERIAL_NUMBER): TextSelector(),
    vol.Required(CONF_GATEWAY_TYPE, default=DEFAULT_GATEWAY_TYPE): TextSelector(),
    vol.Optional(CONF_FIRMWARE_VERSION): TextSelector(),
    vol.Required(CONF_HARDWARE_VERSION, default=DEFAULT_HARDWARE_VERSION): TextSelector(),
    vol.Optional(CONF_FIRMWARE_MEASURE): TextSelector(),
    vol.Required(CONF_INTERVAL_S, default=DEFAULT_INTERVAL_S): whole_number(1, 3600, "s"),
}
_GATEWAY_SCHEMA = vol.Schema({**_IDENTITY_FIELDS, **LIMIT_FIELDS})
_IDENTITY_SCHEMA = vol.Schema(_IDENTITY_FIELDS)
_LIMITS_SCHEMA = vol.Schema(dict(LIMIT_FIELDS))


class ScoutFlow(EntryFlow):
    """The steps of a Scout entry."""

    @classmethod
    def written(cls) -> Written:
        """Return how a gateway is written in a file."""
        return Written(schemas=one_form({**_LOGIN_SCHEMA.schema, **_GATEWAY_SCHEMA.schema}))

    _scout_login: dict[str, Any]
    _scout_error = ""

    async def async_step_scout(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the address and the login of the gateway, and try them."""
        errors: dict[str, str] = {}
        current = self._current
        if user_input is not None:
            login = user_input
            if current is not None:
                login = with_stored(user_input, current.data, CONF_TOKEN)
            if not _is_unchanged(current, login):
                errors = await self._async_try_login(login)
            if not errors:
                await self.async_set_unique_id(_unique_id(login))
                self._abort_if_taken()
                if current is not None and CONTEXT_DRIVEN not in self.context:
                    return self._save({**current.data, **login}, entry_title)
                self._scout_login = login
                return await self.async_step_scout_gateway()
        suggested: dict[str, Any] = user_input or {}
        if not suggested and current is not None:
            # The token is never shown again.
            suggested = {key: current.data[key] for key in current.data if key != CONF_TOKEN}
        schema = _LOGIN_SCHEMA if current is None else to_change(_LOGIN_SCHEMA, CONF_TOKEN)
        return self.async_show_form(
            step_id="scout",
            data_schema=self.add_suggested_values_to_schema(schema, suggested),
            errors=errors,
            description_placeholders={"error": self._scout_error},
        )

    async def async_step_scout_gateway(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask how the gateway names itself, how often it sends and how much it keeps."""
        current = self._current
        if user_input is not None:
            user_input = self._without_name(user_input)
        errors = _header_errors(user_input)
        if user_input is not None and not errors:
            return self._save({CONF_KIND: KIND, **self._scout_login, **user_input}, entry_title)
        if user_input is None and current is not None:
            user_input = dict(current.data)
        if user_input is None:
            installation = await instance_id.async_get(self.hass)
            user_input = {CONF_SERIAL_NUMBER: installation[:12].upper()}
        return self.async_show_form(
            step_id="scout_gateway",
            data_schema=self._form_with_name(_GATEWAY_SCHEMA, user_input),
            errors=errors,
        )

    async def async_step_scout_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what to change: what needs no login can be changed while the platform is away.

        A file says all of it.
        """
        if CONTEXT_DRIVEN in self.context:
            return await self.async_step_scout(user_input)
        return self.async_show_menu(
            step_id="scout_reconfigure",
            menu_options=["scout", "scout_identity", "scout_limits"],
        )

    async def async_step_scout_identity(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change how the gateway names itself, and how often it sends."""
        stored = self._get_reconfigure_entry().data
        if user_input is not None:
            user_input = self._without_name(user_input)
        errors = _header_errors(user_input)
        if user_input is not None and not errors:
            optional = (CONF_FIRMWARE_VERSION, CONF_FIRMWARE_MEASURE)
            kept = {key: stored[key] for key in stored if key not in optional}
            return await self._async_keep_connection({**kept, **user_input}, entry_title)
        return self.async_show_form(
            step_id="scout_identity",
            data_schema=self._form_with_name(_IDENTITY_SCHEMA, user_input or dict(stored)),
            errors=errors,
        )

    async def async_step_scout_limits(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change how much is kept while the platform cannot be reached."""
        return await self._async_change_apart(
            "scout_limits", _LIMITS_SCHEMA, user_input, entry_title
        )

    async def async_step_scout_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a new token and try it."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = await self._async_try_login({**entry.data, **user_input})
            if not errors:
                return self._change(entry, {**entry.data, **user_input})
        return self.async_show_form(
            step_id="scout_reauth_confirm",
            data_schema=_TOKEN_SCHEMA,
            errors=errors,
            description_placeholders={
                "claim_id": entry.data[CONF_CLAIM_ID],
                "error": self._scout_error,
            },
        )

    async def _async_try_login(self, data: dict[str, Any]) -> dict[str, str]:
        """Return the errors of a login, by field; none when the platform took it."""
        if not CLAIM_ID_PATTERN.fullmatch(data[CONF_CLAIM_ID]):
            return {CONF_CLAIM_ID: "invalid_claim_id"}
        if not is_url(data[CONF_URL], "ws", "wss"):
            return {CONF_URL: "invalid_url"}
        for field in (CONF_HOST, CONF_TOKEN):
            if not data[field].isprintable():
                return {field: "not_a_header_value"}
        try:
            await login_test(self.hass, parameters_of(data), allow_plain=data[CONF_ALLOW_PLAIN])
        except LinkError as err:
            self._scout_error = err.detail
            return {"base": err.reason}
        return {}


def _is_unchanged(current: ConfigEntry | None, login: Mapping[str, Any]) -> bool:
    """Return whether a login is the one that is stored, which is not tried again."""
    return current is not None and all(current.data.get(key) == login[key] for key in login)


def _header_errors(user_input: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the fields that would break a header."""
    return {
        key: "not_a_header_value"
        for key, value in (user_input or {}).items()
        if isinstance(value, str) and not value.isprintable()
    }


def _unique_id(data: dict[str, Any]) -> str:
    """Return what tells gateways apart: the server, its virtual host and the claim id."""
    return f"{urlsplit(data[CONF_URL]).netloc.lower()}/{data[CONF_HOST]}/{data[CONF_CLAIM_ID]}"


FLOW: Final = ScoutFlow
