"""Config steps of the STTP publisher link: where it listens, and to whom it opens."""

from collections.abc import Mapping
import errno
from ipaddress import ip_address, ip_network
from typing import Any

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
)
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    TextSelector,
    TextSelectorConfig,
)
import voluptuous as vol

from ...const import CONF_KIND, LinkKind
from ...sttp.constants import DEFAULT_PORT
from .const import (
    CONF_ALLOWED_NETWORKS,
    CONF_CERTIFICATE,
    CONF_CLIENT_CA,
    CONF_KEY,
    CONF_MAX_SUBSCRIBERS,
    DEFAULT_HOST,
    DEFAULT_MAX_SUBSCRIBERS,
    DEFAULT_NETWORKS,
)
from .server import async_tls_context, async_try_to_listen
from .subentries import SUBENTRY_FLOWS

__all__ = ["SUBENTRY_FLOWS", "SttpPublisherSteps"]

SECTION_TLS = "tls"
_ERRORS_BY_NUMBER: dict[int | None, tuple[str, str]] = {
    errno.EADDRINUSE: (CONF_PORT, "sttp_port_in_use"),
    # asyncio passes over addresses of other machines, and has no number when none is left.
    None: (CONF_HOST, "sttp_foreign_address"),
}


def _whole_number(low: int, high: int) -> vol.All[Any]:
    config = NumberSelectorConfig(min=low, max=high, step=1, mode=NumberSelectorMode.BOX)
    return vol.All(NumberSelector(config), vol.Coerce(int))


_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_HOST, default=DEFAULT_HOST): TextSelector(),
        vol.Required(CONF_PORT, default=DEFAULT_PORT): _whole_number(1, 65_535),
        vol.Required(CONF_ALLOWED_NETWORKS, default=list(DEFAULT_NETWORKS)): TextSelector(
            TextSelectorConfig(multiple=True)
        ),
        vol.Required(CONF_MAX_SUBSCRIBERS, default=DEFAULT_MAX_SUBSCRIBERS): _whole_number(
            1, 1_000
        ),
        vol.Required(SECTION_TLS): section(
            vol.Schema(
                {
                    vol.Optional(CONF_CERTIFICATE): TextSelector(),
                    vol.Optional(CONF_KEY): TextSelector(),
                    vol.Optional(CONF_CLIENT_CA): TextSelector(),
                }
            ),
            {"collapsed": True},
        ),
    }
)


class SttpPublisherSteps(ConfigFlow):
    """The steps of an STTP publisher's entry."""

    async def async_step_sttp_publisher(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask where to listen and whom to let in, and try to listen there."""
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            data = _data_of(user_input)
            if not (errors := _mistakes(data)):
                await self.async_set_unique_id(_unique_id(data))
                if (
                    self.source != SOURCE_RECONFIGURE
                    or self.unique_id != self._get_reconfigure_entry().unique_id
                ):
                    self._abort_if_unique_id_configured()
                errors, detail = await self._async_sttp_try(data)
            if not errors:
                title = f"STTP {_address(data)}"
                if self.source == SOURCE_RECONFIGURE:
                    return self.async_update_and_abort(
                        self._get_reconfigure_entry(),
                        unique_id=self.unique_id,
                        title=title,
                        data=data,
                    )
                return self.async_create_entry(title=title, data=data)
        suggested: Mapping[str, Any] = user_input or {}
        if not suggested and self.source == SOURCE_RECONFIGURE:
            stored = self._get_reconfigure_entry().data
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

    async def _async_sttp_try(self, data: Mapping[str, Any]) -> tuple[dict[str, str], str]:
        """Read the certificates and listen; return the errors by field, and the system's words."""
        try:
            await async_tls_context(self.hass, data)
        except OSError as err:
            return {"base": "certificate_file"}, str(err)
        port = data[CONF_PORT]
        if self.source == SOURCE_RECONFIGURE:
            entry = self._get_reconfigure_entry()
            if entry.state is ConfigEntryState.LOADED and entry.data[CONF_PORT] == port:
                # The entry has the port itself; what is left to try is the address.
                port = 0
        try:
            await async_try_to_listen(data[CONF_HOST], port)
        except OSError as err:
            field, key = _ERRORS_BY_NUMBER.get(err.errno, ("base", "sttp_cannot_listen"))
            return {field: key}, err.strerror or str(err)
        return {}, ""


def _data_of(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Return what to store; a file that was emptied comes as an empty text."""
    files = user_input.get(SECTION_TLS, {})
    return {
        CONF_KIND: LinkKind.STTP_PUBLISHER,
        **{key: value for key, value in user_input.items() if key != SECTION_TLS},
        CONF_HOST: user_input[CONF_HOST].strip(),
        CONF_ALLOWED_NETWORKS: [text.strip() for text in user_input[CONF_ALLOWED_NETWORKS]],
        **{key: value for key, value in files.items() if value},
    }


def _mistakes(data: Mapping[str, Any]) -> dict[str, str]:
    """Return the errors of what is no address, by field."""
    errors: dict[str, str] = {}
    try:
        ip_address(data[CONF_HOST])
    except ValueError:
        errors[CONF_HOST] = "sttp_invalid_address"
    try:
        for text in data[CONF_ALLOWED_NETWORKS]:
            ip_network(text)
    except ValueError:
        errors[CONF_ALLOWED_NETWORKS] = "sttp_invalid_network"
    if CONF_CERTIFICATE not in data and data.keys() & {CONF_KEY, CONF_CLIENT_CA}:
        errors["base"] = "sttp_certificate_missing"
    return errors


def _address(data: Mapping[str, Any]) -> str:
    host = data[CONF_HOST]
    return f"{f'[{host}]' if ':' in host else host}:{data[CONF_PORT]}"


def _unique_id(data: Mapping[str, Any]) -> str:
    """Return what two entries for the same server have in common."""
    return f"sttp_publisher/{_address(data)}"
