"""Config steps of the Modbus link: the way to the meters, tested before it is saved."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_IGNORE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowResult,
    ConfigSubentryFlow,
)
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from ...const import CONF_KIND, DOMAIN
from ...forms.fields import PORT
from ...forms.serial_line import CONF_BYTESIZE, SERIAL_FIELDS, number_choice, serial_input
from ...forms.written import Written
from .connection_test import async_open
from .const import (
    CONF_ANNOUNCED_AS,
    CONF_CA_FILE,
    CONF_CLIENT_CERT,
    CONF_CLIENT_KEY,
    CONF_CLIENT_KEY_PASSWORD,
    CONF_TRANSPORT,
    CONF_VERIFY,
    KIND,
    SUBENTRY_METER,
)
from .discovery_flow import DiscoverySteps
from .subentries import MeterSubentryFlow
from .transport import Transport, link_title, link_unique_id, modbus_params

SUBENTRY_FLOWS: dict[str, type[ConfigSubentryFlow]] = {SUBENTRY_METER: MeterSubentryFlow}

# Certificate files, seldom needed, behind a fold.
SECTION_CERTIFICATES = "certificates"


def _host_schema(port: int | None) -> vol.Schema:
    default = vol.UNDEFINED if port is None else port
    return vol.Schema(
        {
            vol.Required(CONF_HOST): TextSelector(),
            vol.Required(CONF_PORT, default=default): PORT,
        }
    )


_SCHEMAS: Mapping[Transport, vol.Schema] = {
    Transport.TCP: _host_schema(502),
    Transport.UDP: _host_schema(502),
    Transport.TLS: _host_schema(802).extend(
        {
            vol.Required(CONF_VERIFY, default=True): bool,
            vol.Required(SECTION_CERTIFICATES): section(
                vol.Schema(
                    {
                        vol.Optional(CONF_CA_FILE): TextSelector(),
                        vol.Optional(CONF_CLIENT_CERT): TextSelector(),
                        vol.Optional(CONF_CLIENT_KEY): TextSelector(),
                        vol.Optional(CONF_CLIENT_KEY_PASSWORD): TextSelector(
                            TextSelectorConfig(type=TextSelectorType.PASSWORD)
                        ),
                    }
                ),
                {"collapsed": True},
            ),
        }
    ),
    # Gateways of this kind have no port that most of them share.
    Transport.RTU_OVER_TCP: _host_schema(None),
    Transport.SERIAL: vol.Schema(
        {**SERIAL_FIELDS, vol.Required(CONF_BYTESIZE, default="8"): number_choice(7, 8)}
    ),
}


class ModbusFlow(DiscoverySteps):
    """The steps of a Modbus entry: one form for each transport, new or to change."""

    @classmethod
    def written(cls) -> Written:
        """Return how a line is written in a file."""
        return Written(
            schemas={str(key): schema for key, schema in _SCHEMAS.items()},
            choice=CONF_TRANSPORT,
        )

    async def async_step_modbus(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask how the meters are reached."""
        return self.async_show_menu(
            step_id="modbus", menu_options=[f"modbus_{transport}" for transport in Transport]
        )

    async def async_step_modbus_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the connection; its transport stays, since another one is another line."""
        return await self._async_transport_step(
            Transport(self._get_reconfigure_entry().data[CONF_TRANSPORT]), user_input
        )

    async def async_step_modbus_tcp(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a meter or gateway that speaks Modbus TCP."""
        return await self._async_transport_step(Transport.TCP, user_input)

    async def async_step_modbus_udp(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a meter or gateway that speaks Modbus UDP."""
        return await self._async_transport_step(Transport.UDP, user_input)

    async def async_step_modbus_tls(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a meter or gateway that speaks Modbus Security."""
        return await self._async_transport_step(Transport.TLS, user_input)

    async def async_step_modbus_rtu_over_tcp(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a converter that passes a serial line on as it is."""
        return await self._async_transport_step(Transport.RTU_OVER_TCP, user_input)

    async def async_step_modbus_serial(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a serial port."""
        return await self._async_transport_step(Transport.SERIAL, user_input)

    async def _async_transport_step(
        self, transport: Transport, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        current = self._current
        error: str | None = None
        detail = ""
        if user_input is not None:
            user_input = self._without_name(user_input)
            data = {CONF_TRANSPORT: transport, **user_input}
            # A field that was emptied comes as an empty text.
            files: dict[str, Any] = data.pop(SECTION_CERTIFICATES, {})
            data |= {key: value for key, value in files.items() if value}
            if current is not None and _is_still_there(current.data, data):
                data[CONF_ANNOUNCED_AS] = current.data[CONF_ANNOUNCED_AS]
            taken = self.hass.config_entries.async_entry_for_domain_unique_id(
                DOMAIN, link_unique_id(data)
            )
            # What was ignored when it was offered can be set up by hand.
            if taken is not None and taken is not current and taken.source != SOURCE_IGNORE:
                return self.async_abort(reason="already_configured")
            error, detail = await self._async_try(data, current)
            if error is None:
                return await self._async_finish(data, current)
        suggested = user_input or ({} if current is None else _as_input(current.data))
        return self.async_show_form(
            step_id=f"modbus_{transport}",
            data_schema=self._form_with_name(_SCHEMAS[transport], suggested),
            errors={} if error is None else {"base": error},
            description_placeholders={"error": detail},
        )

    async def _async_try(
        self, data: Mapping[str, Any], current: ConfigEntry | None
    ) -> tuple[str | None, str]:
        """Open the connection; return the key of an error and what the system says of it."""
        params = modbus_params(data)
        # One port cannot be open with two settings at once: the entry has to let go of it.
        let_go = (
            current is not None
            and current.state in (ConfigEntryState.LOADED, ConfigEntryState.SETUP_RETRY)
            and (present := modbus_params(current.data)).endpoint == params.endpoint
            and present != params
        )
        if current is not None and let_go:
            await self.hass.config_entries.async_unload(current.entry_id)
        error, detail = await async_open(self.hass, params)
        if current is not None and let_go and error is not None:
            await self.hass.config_entries.async_setup(current.entry_id)
        return error, detail

    async def _async_finish(
        self, data: dict[str, Any], current: ConfigEntry | None
    ) -> ConfigFlowResult:
        data = {CONF_KIND: KIND, **data}
        unique_id = link_unique_id(data)
        # A device that is offered at the moment can be set up by hand; that ends the offer.
        await self.async_set_unique_id(unique_id, raise_on_progress=False)
        if current is not None:
            self._free(unique_id, current)
        return self._save(data, link_title)


def _is_still_there(before: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
    """Return whether the device of an entry was seen in the network where the entry stays."""
    return CONF_ANNOUNCED_AS in before and all(
        before[key] == data[key] for key in (CONF_HOST, CONF_PORT)
    )


def _as_input(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of an entry in the shape of its form."""
    suggested = serial_input(data)
    return {**suggested, SECTION_CERTIFICATES: suggested}


FLOW: Final = ModbusFlow
