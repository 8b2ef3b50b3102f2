"""Config steps of the virtual meter link: the port or the line that it is read on."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import (
    ConfigEntry,
    ConfigEntryState,
    ConfigFlowResult,
)
from homeassistant.const import CONF_DEVICE
import voluptuous as vol

from ...connection.traffic import Traffic
from ...const import CONF_KIND
from ...forms.entry_flow import EntryFlow
from ...forms.fields import whole_number
from ...forms.listener import (
    async_listening_schema,
    async_try_to_listen,
    listener_data,
    listener_fields,
    validation_errors,
)
from ...forms.serial_line import SERIAL_FIELDS, serial_input
from ...forms.written import Written
from .const import (
    CONF_MASTER,
    CONF_MAX_CLIENTS,
    CONF_TRANSPORT,
    DEFAULT_MAX_CLIENTS,
    DEFAULT_PORT,
    KIND,
    Transport,
)
from .masters import MASTERS, OTHER
from .server import place_of, server_of
from .subentries import MASTER_SELECTOR, SUBENTRY_FLOWS

__all__ = ["FLOW", "SUBENTRY_FLOWS"]

_PORT_SCHEMA: Final = vol.Schema(
    {
        **listener_fields(DEFAULT_PORT),
        vol.Required(CONF_MAX_CLIENTS, default=DEFAULT_MAX_CLIENTS): whole_number(1, 32),
    }
)
_SCHEMAS: Final = {
    Transport.TCP: _PORT_SCHEMA,
    Transport.RTU_OVER_TCP: _PORT_SCHEMA,
    Transport.SERIAL: vol.Schema(SERIAL_FIELDS),
}


class VirtualMeterFlow(EntryFlow):
    """The steps of a virtual meter's entry: one form for each transport, new or to change."""

    _master: str = OTHER

    @classmethod
    def written(cls) -> Written:
        """Return how a virtual meter is written in a file."""
        return Written(
            schemas={str(key): schema for key, schema in _SCHEMAS.items()},
            choice=CONF_TRANSPORT,
            opens=True,
            # Who reads it decides on what the forms propose, and a file says all of that.
            answers=lambda fields: {**fields, CONF_MASTER: OTHER},
        )

    async def async_step_virtual_meter(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask which device will read the meter."""
        if user_input is None:
            return self.async_show_form(
                step_id="virtual_meter",
                data_schema=vol.Schema({vol.Required(CONF_MASTER): MASTER_SELECTOR}),
            )
        self._master = user_input[CONF_MASTER]
        master = MASTERS.get(self._master)
        if master is not None and len(master.transports) == 1:
            return await self._async_serving_step(master.transports[0], None)
        if master is not None:
            return await self.async_step_virtual_meter_rs485()
        return await self.async_step_virtual_meter_transport()

    async def async_step_virtual_meter_transport(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask how the meter is read."""
        return self.async_show_menu(
            step_id="virtual_meter_transport",
            menu_options=[f"virtual_meter_{transport}" for transport in Transport],
        )

    async def async_step_virtual_meter_rs485(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask what the line of the device is wired to."""
        return self.async_show_menu(
            step_id="virtual_meter_rs485",
            menu_options=[
                f"virtual_meter_{transport}"
                for transport in (Transport.SERIAL, Transport.RTU_OVER_TCP)
            ],
        )

    async def async_step_virtual_meter_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the port or the line."""
        transport = Transport(self._get_reconfigure_entry().data[CONF_TRANSPORT])
        return await self._async_serving_step(transport, user_input)

    async def async_step_virtual_meter_tcp(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port of a Modbus TCP meter."""
        return await self._async_serving_step(Transport.TCP, user_input)

    async def async_step_virtual_meter_rtu_over_tcp(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the port of a meter behind a converter that passes a serial line on."""
        return await self._async_serving_step(Transport.RTU_OVER_TCP, user_input)

    async def async_step_virtual_meter_serial(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a serial port."""
        return await self._async_serving_step(Transport.SERIAL, user_input)

    async def _async_serving_step(
        self, transport: Transport, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Ask where to serve, and try to serve there."""
        current = self._current
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None:
            user_input = self._without_name(user_input)
            master = self._master if current is None else current.data.get(CONF_MASTER, OTHER)
            data = {
                CONF_KIND: KIND,
                CONF_MASTER: master,
                CONF_TRANSPORT: transport,
                **user_input,
            }
            if transport is not Transport.SERIAL:
                data |= listener_data(user_input)
                errors = validation_errors(data)
            if not errors:
                unique_id = f"virtual_meter/{place_of(data)}"
                await self.async_set_unique_id(unique_id, raise_on_progress=current is None)
                self._abort_if_taken()
                errors, detail = await self._async_try_to_serve(data, current)
            if not errors:
                return self._save(data, lambda data: f"Virtual meter {place_of(data)}")
        suggested = user_input or ({} if current is None else serial_input(current.data))
        return self.async_show_form(
            step_id=f"virtual_meter_{transport}",
            data_schema=self._form_with_name(
                await async_listening_schema(self.hass, _SCHEMAS[transport]), suggested
            ),
            errors=errors,
            description_placeholders={"error": detail},
        )

    async def _async_try_to_serve(
        self, data: Mapping[str, Any], current: ConfigEntry | None
    ) -> tuple[dict[str, str], str]:
        """Listen, or open the line; return the errors by field, and the system's words."""
        if data[CONF_TRANSPORT] != Transport.SERIAL:
            return await async_try_to_listen(self.hass, data, current)
        if (
            current is not None
            and current.state is ConfigEntryState.LOADED
            and current.data[CONF_DEVICE] == data[CONF_DEVICE]
        ):
            # The entry has the line itself, and only how it is used changes.
            return {}, ""
        server = server_of(data, (), Traffic())
        try:
            await server.start()
        except OSError as err:
            return {"base": "cannot_open"}, err.strerror or str(err)
        await server.stop()
        return {}, ""


FLOW: Final = VirtualMeterFlow
