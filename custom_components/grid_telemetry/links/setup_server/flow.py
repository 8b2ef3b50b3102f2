"""Config steps of the setup server link: where it listens, who may log in, what is shown."""

from collections.abc import Mapping
from ipaddress import ip_address
import re
import secrets
from types import MappingProxyType
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.const import CONF_HOST, CONF_PASSWORD
from homeassistant.data_entry_flow import section
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.selector import (
    BooleanSelector,
    ObjectSelector,
    ObjectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
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
from ...protocols.stomp.sns import MAX_PASSWORD_BYTES, hash_password
from .const import (
    CONF_ALLOW_REBOOT,
    CONF_ALLOW_RESTART,
    CONF_DEVICE,
    CONF_LOGIN,
    CONF_MAX_BODY_BYTES,
    CONF_MAX_CONNECTIONS,
    CONF_NODE_ID,
    CONF_PASSWORD_HASH,
    CONF_SOURCE_ID,
    CONF_SOURCES,
    DEFAULT_LOGIN,
    DEFAULT_MAX_BODY_BYTES,
    DEFAULT_MAX_CONNECTIONS,
    DEFAULT_PORT,
    KIND,
)
from .sources import default_source_id, suggested_sources
from .subentries import SUBENTRY_FLOWS

__all__ = ["FLOW", "SUBENTRY_FLOWS"]

SECTION_LIMITS: Final = "limits"
SECTION_TLS: Final = "tls"
_OPTIONS: Final = (CONF_ALLOW_RESTART, CONF_ALLOW_REBOOT, CONF_NODE_ID)
# Characters; the log-in can be tried from wherever the server listens.
_MIN_PASSWORD: Final = 12
_GENERATED_BYTES: Final = 15
# A login travels in the headers and in the authorization, whose parts end at commas.
_LOGIN: Final = re.compile(r"[^\s,:;=\\\x00-\x1f\x7f]{1,64}")
_PASSWORD: Final = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="new-password")
)
_LIMITS: Final = vol.Schema(
    {
        vol.Required(CONF_MAX_CONNECTIONS, default=DEFAULT_MAX_CONNECTIONS): whole_number(1, 256),
        vol.Required(CONF_MAX_BODY_BYTES, default=DEFAULT_MAX_BODY_BYTES): whole_number(
            256, 1_048_576
        ),
    }
)
_SOURCES_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_SOURCES): ObjectSelector(
            ObjectSelectorConfig(
                multiple=True,
                label_field=CONF_DEVICE,
                description_field=CONF_SOURCE_ID,
                translation_key="setup_source",
                fields={
                    CONF_DEVICE: {"required": True, "selector": {"device": {}}},
                    CONF_SOURCE_ID: {"selector": {"text": {}}},
                },
            )
        )
    }
)


_SCHEMA: Final = vol.Schema(
    {
        **listener_fields(DEFAULT_PORT),
        vol.Required(CONF_LOGIN, default=DEFAULT_LOGIN): TextSelector(
            TextSelectorConfig(autocomplete="username")
        ),
        vol.Optional(CONF_PASSWORD): _PASSWORD,
        vol.Required(CONF_ALLOW_RESTART, default=False): BooleanSelector(),
        vol.Required(CONF_ALLOW_REBOOT, default=False): BooleanSelector(),
        vol.Optional(CONF_NODE_ID): whole_number(1, 2**53 - 1),
        vol.Required(SECTION_LIMITS): section(_LIMITS, {"collapsed": True}),
        vol.Required(SECTION_TLS): section(vol.Schema(SERVER_TLS_FIELDS), {"collapsed": True}),
    }
)


class SetupServerFlow(EntryFlow):
    """The steps of a setup server's entry."""

    @classmethod
    def written(cls) -> Written:
        """Return how a server is written in a file; its password is always asked for."""
        return Written(
            schemas=one_form({**_SCHEMA.schema, **_SOURCES_SCHEMA.schema}),
            asks=frozenset({CONF_PASSWORD}),
            menus={"setup_server_plain": "setup_server_sources"},
            opens=True,
        )

    _setup_data: dict[str, Any]
    _setup_input: Mapping[str, Any] = MappingProxyType({})
    """What was typed in the first form, which can be gone back to."""

    async def async_step_setup_server(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask where to listen and who may log in, and try to listen there."""
        current = self._current
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            user_input = self._without_name(user_input)
            self._setup_input = user_input
            data = _data_of(user_input)
            password = user_input.get(CONF_PASSWORD, "")
            if not (errors := _validation_errors(data, password)):
                unique_id = f"setup_server/{address_of(data)}"
                await self.async_set_unique_id(unique_id, raise_on_progress=current is None)
                self._abort_if_taken()
                errors, detail = await async_try_to_listen(self.hass, data, current)
            if not errors:
                return await self._async_take_password(data, password)
        suggested = user_input or self._setup_input
        if current is not None and not suggested:
            suggested = {**current.data, SECTION_LIMITS: current.data, SECTION_TLS: current.data}
        # Never shown again, not even to who has just typed it.
        suggested = {key: value for key, value in suggested.items() if key != CONF_PASSWORD}
        return self.async_show_form(
            step_id="setup_server",
            data_schema=self._form_with_name(
                await async_listening_schema(self.hass, _SCHEMA), suggested
            ),
            errors=errors,
            description_placeholders={"error": detail},
        )

    async def _async_take_password(self, data: dict[str, Any], password: str) -> ConfigFlowResult:
        """Go on with a password: the one that was typed, the present one, or a new one."""
        self._setup_data = data
        current = self._current
        if not password and current is not None:
            data[CONF_PASSWORD_HASH] = current.data[CONF_PASSWORD_HASH]
            return await self._async_confirm_plain()
        chosen = password or secrets.token_urlsafe(_GENERATED_BYTES)
        data[CONF_PASSWORD_HASH] = await self.hass.async_add_executor_job(hash_password, chosen)
        if password:
            return await self._async_confirm_plain()
        return self.async_show_form(
            step_id="setup_server_password",
            data_schema=vol.Schema({}),
            description_placeholders={"login": data[CONF_LOGIN], "password": chosen},
        )

    async def async_step_setup_server_password(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Go on when the generated password was seen; it is shown once."""
        return await self._async_confirm_plain()

    async def _async_confirm_plain(self) -> ConfigFlowResult:
        if _is_open(self._setup_data):
            return await self.async_step_setup_server_plain()
        return await self.async_step_setup_server_sources()

    async def async_step_setup_server_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change what was asked for; without a password, the present one stays."""
        return await self.async_step_setup_server(user_input)

    async def async_step_setup_server_plain(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Have it confirmed that others can read what goes over the network."""
        return self.async_show_menu(
            step_id="setup_server_plain", menu_options=["setup_server_sources", "setup_server"]
        )

    async def async_step_setup_server_sources(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the devices that are sources, and for their ids."""
        current = self._current
        errors: dict[str, str] = {}
        placeholders = {"source": ""}
        if user_input is not None:
            rows = self._completed(user_input[CONF_SOURCES])
            if (twice := _twice(rows)) is None:
                return self._save_setup_server(rows)
            errors["base"], placeholders["source"] = "setup_source_twice", twice
        else:
            rows = [] if current is None else list(current.data[CONF_SOURCES])
            known = {row[CONF_DEVICE] for row in rows}
            rows += [row for row in suggested_sources(self.hass) if row[CONF_DEVICE] not in known]
        return self.async_show_form(
            step_id="setup_server_sources",
            data_schema=self.add_suggested_values_to_schema(_SOURCES_SCHEMA, {CONF_SOURCES: rows}),
            errors=errors,
            description_placeholders=placeholders,
        )

    def _completed(self, rows: list[dict[str, Any]]) -> list[dict[str, str]]:
        """Return the rows of devices that are there, with the default where an id is missing."""
        registry = dr.async_get(self.hass)
        return [
            {
                CONF_DEVICE: device.id,
                CONF_SOURCE_ID: (row.get(CONF_SOURCE_ID) or "").strip()
                or default_source_id(device),
            }
            for row in rows
            if (device := registry.async_get(row[CONF_DEVICE])) is not None
        ]

    def _save_setup_server(self, rows: list[dict[str, str]]) -> ConfigFlowResult:
        data = {**self._setup_data, CONF_SOURCES: rows}
        return self._save(data, lambda data: f"Setup server {address_of(data)}")


def _data_of(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store, but for the password's hash and the sources."""
    return {
        CONF_KIND: KIND,
        **listener_data(user_input),
        CONF_LOGIN: user_input[CONF_LOGIN].strip(),
        **{key: user_input[key] for key in _OPTIONS if key in user_input},
        **user_input[SECTION_LIMITS],
        **server_tls_data(user_input[SECTION_TLS]),
    }


def _validation_errors(data: Mapping[str, Any], password: str) -> dict[str, str]:
    """Return what is wrong, by field."""
    errors = validation_errors(data)
    if not _LOGIN.fullmatch(data[CONF_LOGIN]):
        errors[CONF_LOGIN] = "setup_invalid_login"
    if password and len(password) < _MIN_PASSWORD:
        errors[CONF_PASSWORD] = "setup_password_too_short"
    if len(password.encode()) > MAX_PASSWORD_BYTES or "\0" in password:
        errors[CONF_PASSWORD] = "setup_password_too_long"
    return errors


def _is_open(data: Mapping[str, Any]) -> bool:
    """Return whether others than this machine can listen in."""
    return CONF_CERTIFICATE not in data and not ip_address(data[CONF_HOST]).is_loopback


def _twice(rows: list[dict[str, str]]) -> str | None:
    """Return a device or source id that stands twice."""
    for key in (CONF_DEVICE, CONF_SOURCE_ID):
        values = [row[key] for row in rows]
        for row in rows:
            if values.count(row[key]) > 1:
                return row[CONF_SOURCE_ID]
    return None


FLOW: Final = SetupServerFlow
