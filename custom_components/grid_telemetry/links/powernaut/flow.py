"""Config steps of the Powernaut link: where the platform is, the login, the site."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigFlowResult,
)
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from ...connection.errors import LinkError
from ...const import CONF_KIND
from ...forms.entry_flow import EntryFlow
from ...forms.fields import PORT, SECRET, is_url, to_change, with_stored
from ...forms.written import Written
from .api import Forbidden, RequestRefused
from .client import login_test
from .connection import async_connections, endpoints_of
from .const import (
    CONF_API_URL,
    CONF_BROKER_HOST,
    CONF_BROKER_PORT,
    CONF_CA_FILE,
    CONF_ENVIRONMENT,
    CONF_QOS,
    CONF_SECRET,
    CONF_SITE_ID,
    CONF_SITE_KEY,
    DEFAULT_BROKER_PORT,
    DEFAULT_QOS,
    KIND,
    Environment,
)
from .rest_payload import Site
from .subentries import SUBENTRY_FLOWS

__all__ = ["FLOW", "SUBENTRY_FLOWS"]

_CREDENTIALS: dict[vol.Marker, Any] = {
    vol.Required(CONF_SITE_KEY): TextSelector(TextSelectorConfig(autocomplete="off")),
    vol.Required(CONF_SECRET): SECRET,
}
_QOS: dict[vol.Marker, Any] = {
    vol.Required(CONF_QOS, default=str(DEFAULT_QOS)): vol.All(
        SelectSelector(SelectSelectorConfig(options=["1", "2"], translation_key="powernaut_qos")),
        vol.Coerce(int),
    )
}
_CLOUD_SCHEMA = vol.Schema({**_CREDENTIALS, **_QOS})
_CUSTOM_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_API_URL): TextSelector(TextSelectorConfig(type=TextSelectorType.URL)),
        vol.Required(CONF_BROKER_HOST): TextSelector(),
        vol.Required(CONF_BROKER_PORT, default=DEFAULT_BROKER_PORT): PORT,
        vol.Optional(CONF_CA_FILE): TextSelector(),
        **_CREDENTIALS,
        **_QOS,
    }
)
_REAUTH_SCHEMA = vol.Schema(_CREDENTIALS)


class PowernautFlow(EntryFlow):
    """The steps of a Powernaut entry."""

    @classmethod
    def written(cls) -> Written:
        """Return how a site of the platform is written in a file."""
        site: dict[vol.Marker, Any] = {vol.Optional(CONF_SITE_ID): TextSelector()}
        cloud = _CLOUD_SCHEMA.extend(site)
        return Written(
            schemas={
                Environment.PRODUCTION: cloud,
                Environment.SANDBOX: cloud,
                Environment.CUSTOM: _CUSTOM_SCHEMA.extend(site),
            },
            choice=CONF_ENVIRONMENT,
        )

    _powernaut_data: dict[str, Any]
    _powernaut_sites: list[Site]
    _powernaut_error = ""

    async def async_step_powernaut(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask where the platform is."""
        return self.async_show_menu(
            step_id="powernaut",
            menu_options=[f"powernaut_{environment}" for environment in Environment],
        )

    async def async_step_powernaut_production(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the login."""
        return await self._async_powernaut_login(Environment.PRODUCTION, user_input)

    async def async_step_powernaut_sandbox(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the login of the sandbox."""
        return await self._async_powernaut_login(Environment.SANDBOX, user_input)

    async def async_step_powernaut_custom(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the addresses of an own platform, and the login."""
        return await self._async_powernaut_login(Environment.CUSTOM, user_input)

    async def _async_powernaut_login(
        self, environment: Environment, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        errors: dict[str, str] = {}
        schema = _CUSTOM_SCHEMA if environment is Environment.CUSTOM else _CLOUD_SCHEMA
        if self.source == SOURCE_RECONFIGURE:
            schema = to_change(schema, CONF_SECRET)
        if user_input is not None:
            data = {CONF_ENVIRONMENT: environment, **user_input}
            if self.source == SOURCE_RECONFIGURE:
                data = with_stored(data, self._get_reconfigure_entry().data, CONF_SECRET)
            errors = await self._async_powernaut_try(data)
            if not errors:
                self._powernaut_data = data
                return await self.async_step_powernaut_site()
        suggested: dict[str, Any] = user_input or {}
        if not suggested and self.source == SOURCE_RECONFIGURE:
            stored = self._get_reconfigure_entry().data
            # The secret is never shown again.
            suggested = {key: stored[key] for key in stored if key != CONF_SECRET}
        if CONF_QOS in suggested:
            suggested = {**suggested, CONF_QOS: str(suggested[CONF_QOS])}
        return self.async_show_form(
            step_id=f"powernaut_{environment}",
            data_schema=self.add_suggested_values_to_schema(schema, suggested),
            errors=errors,
            description_placeholders={"error": self._powernaut_error},
        )

    async def async_step_powernaut_site(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask which site it is, where the credentials open more than one."""
        sites = {site.id: site for site in self._powernaut_sites}
        if user_input is not None:
            return await self._async_powernaut_save(sites[user_input[CONF_SITE_ID]])
        if self.source == SOURCE_RECONFIGURE:
            return await self._async_powernaut_save(
                sites[self._get_reconfigure_entry().data[CONF_SITE_ID]]
            )
        if len(sites) == 1:
            return await self._async_powernaut_save(self._powernaut_sites[0])
        options = [SelectOptionDict(value=site.id, label=site.name) for site in sites.values()]
        return self.async_show_form(
            step_id="powernaut_site",
            data_schema=vol.Schema(
                {vol.Required(CONF_SITE_ID): SelectSelector(SelectSelectorConfig(options=options))}
            ),
        )

    async def _async_powernaut_save(self, site: Site) -> ConfigFlowResult:
        data = {CONF_KIND: KIND, **self._powernaut_data, CONF_SITE_ID: site.id}
        await self.async_set_unique_id(
            f"{urlsplit(endpoints_of(data).api_url).netloc.lower()}/{site.id}"
        )
        self._abort_if_taken()  # an own platform may have moved
        # A site that gets another name on the platform keeps the one it has here.
        return self._save(data, lambda _: f"Powernaut {site.name}")

    async def async_step_powernaut_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the login, the addresses or the quality of service."""
        environment = Environment(self._get_reconfigure_entry().data[CONF_ENVIRONMENT])
        return await self._async_powernaut_login(environment, None)

    async def async_step_powernaut_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for new credentials and try them."""
        entry = self._get_reauth_entry()
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = await self._async_powernaut_try({**entry.data, **user_input})
            if not errors:
                return self._change(entry, {**entry.data, **user_input})
        return self.async_show_form(
            step_id="powernaut_reauth_confirm",
            data_schema=self.add_suggested_values_to_schema(
                _REAUTH_SCHEMA, {CONF_SITE_KEY: entry.data[CONF_SITE_KEY]}
            ),
            errors=errors,
            description_placeholders={"title": entry.title, "error": self._powernaut_error},
        )

    async def _async_powernaut_try(self, data: Mapping[str, Any]) -> dict[str, str]:
        """Try the API and the broker; return the errors by field, none when both are open."""
        if errors := _form_errors(data):
            return errors
        try:
            api, login = await async_connections(self.hass, data)
            self._powernaut_sites = [site for site in await api.sites() if not site.deleted]
            await login_test(login)
        except LinkError as err:
            self._powernaut_error = err.detail
            return {"base": f"powernaut_{err.reason}"}
        except RequestRefused as err:
            self._powernaut_error = str(err)
            forbidden = isinstance(err, Forbidden)
            return {"base": f"powernaut_{'forbidden' if forbidden else 'unexpected_answer'}"}
        return self._powernaut_site_errors()

    def _powernaut_site_errors(self) -> dict[str, str]:
        """Return what is wrong with the sites that the credentials open."""
        if not self._powernaut_sites:
            return {"base": "powernaut_no_site"}
        entry = self._powernaut_entry()
        site_ids = {site.id for site in self._powernaut_sites}
        if entry is not None and entry.data[CONF_SITE_ID] not in site_ids:
            return {"base": "powernaut_other_site"}
        return {}

    def _powernaut_entry(self) -> ConfigEntry | None:
        """Return the entry that gets a new login; None where one is being made."""
        if self.source == SOURCE_RECONFIGURE:
            return self._get_reconfigure_entry()
        if self.source == SOURCE_REAUTH:
            return self._get_reauth_entry()
        return None


def _form_errors(data: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with what was entered, by field, before anything is tried."""
    for field in (CONF_SITE_KEY, CONF_SECRET):
        if not data[field].isprintable() or (field == CONF_SITE_KEY and ":" in data[field]):
            return {field: "powernaut_invalid_credential"}
    if data[CONF_ENVIRONMENT] == Environment.CUSTOM and not is_url(data[CONF_API_URL], "https"):
        return {CONF_API_URL: "powernaut_invalid_url"}
    return {}


FLOW: Final = PowernautFlow
