"""Config steps of a meter: what it is, then what it says, then it is saved."""

from collections.abc import Mapping
from typing import Any

from homeassistant.components.modbus import async_get_temporary_unit
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigSubentry,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
from homeassistant.helpers.translation import async_get_translations
from modbus_connection import ModbusConnectionError, ModbusError
import voluptuous as vol

from ...const import DOMAIN
from ...meters import RegisterMap
from ...quantities import QUANTITIES
from .client import REQUEST_TIMEOUT_S
from .const import (
    CONF_FAST_INTERVAL_S,
    CONF_METER_NAME,
    CONF_REGISTER_MAP,
    CONF_SLOW_INTERVAL_S,
    CONF_UNIT_ID,
    SUBENTRY_METER,
)
from .maps import async_load_register_maps
from .registers import Identity, RegisterReader
from .transport import modbus_params

# What a user can compare with the meter's own display, the most telling first.
_SHOWN = (
    "voltage",
    "voltage_l1",
    "current",
    "current_l1",
    "power",
    "frequency",
    "energy_import",
    "energy_export",
    "energy_sum",
)


class _NoMeterError(Exception):
    """The meter cannot be read; `key` is the error that the form shows."""

    def __init__(self, key: str, detail: str = "") -> None:
        super().__init__(detail)
        self.key = key


def _meters(entry: ConfigEntry) -> list[ConfigSubentry]:
    return list(entry.get_subentries_of_type(SUBENTRY_METER))


class MeterSubentryFlow(ConfigSubentryFlow):
    """Add a meter to a line, or change one."""

    def __init__(self) -> None:
        self._maps: Mapping[str, RegisterMap] = {}
        self._input: dict[str, Any] = {}
        self._found: dict[str, str] = {}

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Ask what the meter is and how often it shall be read."""
        return await self._async_meter_step("user", user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change a meter; its sensors and their history stay."""
        return await self._async_meter_step("reconfigure", user_input)

    async def async_step_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show what the meter says, to be compared with its display."""
        if user_input is not None:
            return self._finish()
        return self.async_show_form(
            step_id="confirm", data_schema=vol.Schema({}), description_placeholders=self._found
        )

    @property
    def _current(self) -> ConfigSubentry | None:
        """Return the meter that is changed; None for a new one."""
        return self._get_reconfigure_subentry() if self.source == SOURCE_RECONFIGURE else None

    async def _async_meter_step(
        self, step_id: str, user_input: dict[str, Any] | None
    ) -> SubentryFlowResult:
        if not self._maps:
            self._maps = await async_load_register_maps(self.hass)
        errors: dict[str, str] = {}
        detail = ""
        if user_input is not None and not (errors := self._check(user_input)):
            self._input = user_input
            if self._asks_same_registers():
                return self._finish()
            try:
                await self._async_look()
            except _NoMeterError as err:
                errors["base"] = err.key
                detail = str(err)
            else:
                return await self.async_step_confirm()
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                self._schema(), user_input or self._suggested()
            ),
            errors=errors,
            description_placeholders={"error": detail},
        )

    def _schema(self) -> vol.Schema:
        def seconds() -> vol.All[Any]:
            return vol.All(
                NumberSelector(
                    NumberSelectorConfig(
                        min=1,
                        max=3600,
                        step=1,
                        mode=NumberSelectorMode.BOX,
                        unit_of_measurement="s",
                    )
                ),
                vol.Coerce(int),
            )

        options = [
            SelectOptionDict(
                value=key,
                label=register_map.label + ("" if register_map.verified else " (unverified)"),
            )
            for key, register_map in self._maps.items()
        ]
        return vol.Schema(
            {
                vol.Required(CONF_UNIT_ID, default=1): vol.All(
                    NumberSelector(
                        NumberSelectorConfig(min=1, max=255, step=1, mode=NumberSelectorMode.BOX)
                    ),
                    vol.Coerce(int),
                ),
                vol.Required(CONF_REGISTER_MAP): SelectSelector(
                    SelectSelectorConfig(
                        options=sorted(options, key=lambda option: option["label"]),
                        mode=SelectSelectorMode.DROPDOWN,
                    )
                ),
                vol.Optional(CONF_METER_NAME): TextSelector(),
                vol.Required(CONF_FAST_INTERVAL_S, default=4): seconds(),
                vol.Required(CONF_SLOW_INTERVAL_S, default=30): seconds(),
            }
        )

    def _suggested(self) -> dict[str, Any]:
        if (current := self._current) is None:
            return {}
        return {**current.data, CONF_METER_NAME: current.title}

    def _others(self) -> list[ConfigSubentry]:
        """Return the other meters on the line."""
        current = self._current
        return [
            meter
            for meter in _meters(self._get_entry())
            if current is None or meter.subentry_id != current.subentry_id
        ]

    def _check(self, user_input: dict[str, Any]) -> dict[str, str]:
        errors = {}
        if any(meter.data[CONF_UNIT_ID] == user_input[CONF_UNIT_ID] for meter in self._others()):
            errors[CONF_UNIT_ID] = "unit_in_use"
        if user_input[CONF_SLOW_INTERVAL_S] < user_input[CONF_FAST_INTERVAL_S]:
            errors[CONF_SLOW_INTERVAL_S] = "slow_below_fast"
        return errors

    def _asks_same_registers(self) -> bool:
        """Return whether only names or intervals change, which needs no answer of the meter."""
        current = self._current
        return current is not None and all(
            current.data[key] == self._input[key] for key in (CONF_UNIT_ID, CONF_REGISTER_MAP)
        )

    async def _async_look(self) -> None:
        """Read the meter and keep what it says for the next step."""
        register_map = self._maps[self._input[CONF_REGISTER_MAP]]
        identity, values = await self._async_read(register_map)
        names = await async_get_translations(
            self.hass, self.hass.config.language, "entity", [DOMAIN]
        )
        lines = []
        for key in [key for key in _SHOWN if key in values] or list(values):
            quantity = QUANTITIES[key]
            name = names.get(f"component.{DOMAIN}.entity.sensor.{key}.name", key)
            value = f"{values[key]:.{quantity.precision}f} {quantity.unit or ''}".strip()
            lines.append(f"- {name}: {value}")
        self._found = {
            "meter": register_map.label,
            "unit_id": str(self._input[CONF_UNIT_ID]),
            "serial_number": identity.serial_number or "-",
            "values": "\n".join(lines),
        }

    async def _async_read(self, register_map: RegisterMap) -> tuple[Identity, Mapping[str, float]]:
        """Read everything once; polls that run on the same line take turns with it.

        Raises `_NoMeterError`.
        """
        entry = self._get_entry()
        unit_id = self._input[CONF_UNIT_ID]
        values: dict[str, float] = {}
        try:
            async with async_get_temporary_unit(
                self.hass, modbus_params(entry.data), unit_id
            ) as unit:
                unit.require_timeout(REQUEST_TIMEOUT_S)
                reader = RegisterReader(unit, register_map)
                try:
                    values |= await reader.read(register_map.quantities)
                    while reader.searching:
                        values |= await reader.read(register_map.quantities)
                    identity = await reader.identify()
                finally:
                    # A meter that is polled as this unit goes on to need it.
                    if all(meter.data[CONF_UNIT_ID] != unit_id for meter in _meters(entry)):
                        unit.require_timeout(None)
        except ModbusConnectionError as err:
            raise _NoMeterError("cannot_connect", str(err)) from err
        except ModbusError as err:
            raise _NoMeterError("no_answer", str(err)) from err
        except HomeAssistantError as err:
            raise _NoMeterError("device_in_use", str(err)) from err
        if not values:
            raise _NoMeterError("map_mismatch")
        return identity, values

    def _finish(self) -> SubentryFlowResult:
        data = dict(self._input)
        title = data.pop(CONF_METER_NAME, None) or self._default_title()
        if (current := self._current) is None:
            return self.async_create_entry(
                title=title, data=data, unique_id=str(data[CONF_UNIT_ID])
            )
        return self.async_update_and_abort(
            self._get_entry(),
            current,
            title=title,
            data=data,
            unique_id=str(data[CONF_UNIT_ID]),
        )

    def _default_title(self) -> str:
        register_map = self._maps[self._input[CONF_REGISTER_MAP]]
        title = f"{register_map.manufacturer} {register_map.models[0]}"
        if any(meter.title == title for meter in self._others()):
            title = f"{title} {self._input[CONF_UNIT_ID]}"
        return title
