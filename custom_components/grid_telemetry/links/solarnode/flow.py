"""Config steps of the SolarNode link: where the node is, as whom to log in, what to read."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult, ConfigSubentryFlow
from homeassistant.const import CONF_HOST, CONF_PASSWORD, CONF_PORT
from homeassistant.helpers.selector import (
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
    TextSelectorConfig,
)
import voluptuous as vol

from ...connection.errors import LinkError
from ...const import CONF_KIND
from ...forms.entry_flow import EntryFlow
from ...forms.fields import PORT, SECRET, RangedNumber, to_change, with_stored
from ...forms.written import Written, one_form
from ...protocols.stomp.patterns import is_pattern, matches
from ...protocols.stomp.sns import MAX_PASSWORD_BYTES
from .client import open_session
from .const import (
    CONF_INTERVAL_S,
    CONF_LIVE_SOURCES,
    CONF_LOGIN,
    CONF_SOURCES,
    DEFAULT_INTERVAL_S,
    DEFAULT_PORT,
    KIND,
    MAX_LIVE_SOURCES,
)
from .latest import Latest, read_latest
from .link import parameters_of
from .request_batches import Plan

_CREDENTIALS: dict[vol.Marker, Any] = {
    vol.Required(CONF_LOGIN): TextSelector(TextSelectorConfig(autocomplete="off")),
    vol.Required(CONF_PASSWORD): SECRET,
}
_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_HOST): TextSelector(),
        vol.Required(CONF_PORT, default=DEFAULT_PORT): PORT,
        **_CREDENTIALS,
        vol.Optional(CONF_SOURCES, default=list): TextSelector(TextSelectorConfig(multiple=True)),
        vol.Required(CONF_INTERVAL_S, default=DEFAULT_INTERVAL_S): RangedNumber(
            NumberSelectorConfig(
                min=1, max=3_600, step="any", mode=NumberSelectorMode.BOX, unit_of_measurement="s"
            )
        ),
        vol.Optional(CONF_LIVE_SOURCES, default=list): TextSelector(
            TextSelectorConfig(multiple=True)
        ),
    }
)
_REAUTH_SCHEMA = vol.Schema(_CREDENTIALS)
# A reply that breaks the connection is asked for again in parts; this is as far as a test goes.
_ATTEMPTS: Final = 6


class SolarNodeFlow(EntryFlow):
    """The steps of a SolarNode's entry."""

    @classmethod
    def written(cls) -> Written:
        """Return how a node is written in a file."""
        return Written(schemas=one_form(_SCHEMA))

    async def async_step_solarnode(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the node, the login and the sources, and try them."""
        errors: dict[str, str] = {}
        detail = ""
        schema, current = _SCHEMA, self._current
        if current is not None:
            schema = to_change(schema, CONF_PASSWORD)
        if user_input is not None:
            user_input = self._without_name(user_input)
            if current is not None:
                user_input = with_stored(user_input, current.data, CONF_PASSWORD)
            data = _data_of(user_input)
            await self.async_set_unique_id(f"solarnode/{data[CONF_HOST].lower()}:{data[CONF_PORT]}")
            self._abort_if_taken()
            errors, detail = await _async_try(data)
            if not errors:
                return self._save(data, lambda data: f"SolarNode {data[CONF_HOST]}")
        suggested: Mapping[str, Any] = user_input or ({} if current is None else current.data)
        if current is not None:
            # The password is never shown again.
            suggested = {key: suggested[key] for key in suggested if key != CONF_PASSWORD}
        return self.async_show_form(
            step_id="solarnode",
            data_schema=self._form_with_name(schema, suggested),
            errors=errors,
            description_placeholders={"error": detail},
        )

    async def async_step_solarnode_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the node, the login or what is read."""
        return await self.async_step_solarnode(user_input)

    async def async_step_solarnode_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a new login and try it."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            # Which sources there are is no matter of the login.
            errors, detail = await _async_try({**entry.data, **user_input, CONF_SOURCES: []})
            if not errors:
                return self._change(entry, {**entry.data, **user_input})
        return self.async_show_form(
            step_id="solarnode_reauth_confirm",
            data_schema=self.add_suggested_values_to_schema(
                _REAUTH_SCHEMA, {CONF_LOGIN: entry.data[CONF_LOGIN]}
            ),
            errors=errors,
            description_placeholders={"title": entry.title, "error": detail},
        )


def _data_of(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store."""
    return {
        CONF_KIND: KIND,
        **user_input,
        CONF_HOST: user_input[CONF_HOST].strip(),
        CONF_SOURCES: _names(user_input[CONF_SOURCES]),
        CONF_LIVE_SOURCES: _names(user_input[CONF_LIVE_SOURCES]),
    }


def _names(given: list[str]) -> list[str]:
    """Return names without blanks around them, each once."""
    return list(dict.fromkeys(name.strip() for name in given if name.strip()))


async def _async_try(data: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """Log in and read; return the errors by field and what is said of them."""
    if not data[CONF_LOGIN].isprintable() or set(":,") & set(data[CONF_LOGIN]):
        return {CONF_LOGIN: "solarnode_invalid_login"}, ""
    if len(data[CONF_PASSWORD].encode()) > MAX_PASSWORD_BYTES or "\0" in data[CONF_PASSWORD]:
        return {CONF_PASSWORD: "solarnode_password_too_long"}, ""
    live = data[CONF_LIVE_SOURCES]
    if len(live) > MAX_LIVE_SOURCES or any(is_pattern(source) for source in live):
        return {CONF_LIVE_SOURCES: "solarnode_live_sources"}, ""
    try:
        latest = await _async_read(data)
    except LinkError as err:
        return {"base": err.reason}, err.detail
    if data[CONF_SOURCES] and not latest.datum:
        return {CONF_SOURCES: "solarnode_no_sources"}, ""
    return {}, ""


async def _async_read(data: Mapping[str, Any]) -> Latest:
    """Return the latest datum; raises a `LinkError`."""
    plan = Plan(data[CONF_SOURCES], matches)
    attempts = 1
    while True:
        try:
            async with open_session(parameters_of(data)) as session:
                return await read_latest(session, plan, lambda: ())
        except LinkError as err:
            if err.reason != "connection_lost" or attempts == _ATTEMPTS:
                raise
            attempts += 1


FLOW: Final = SolarNodeFlow
SUBENTRY_FLOWS: Final[dict[str, type[ConfigSubentryFlow]]] = {}
