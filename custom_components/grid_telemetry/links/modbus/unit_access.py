"""A look at the line of an entry, for a form: polls on the same line take turns with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from homeassistant.components.modbus import async_get_temporary_unit
from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from modbus_connection import ModbusConnectionError, ModbusError, ModbusUnit
import voluptuous as vol

from ...forms.fields import whole_number
from .const import CONF_FAST_INTERVAL_S, CONF_SLOW_INTERVAL_S, CONF_UNIT_ID, SUBENTRY_METER
from .line import Line
from .link import ModbusLink
from .timed_unit import REQUEST_TIMEOUT_S, Reads
from .transport import is_numbered, is_shared, modbus_params
from .wording import modbus_words


class NoMeterError(Exception):
    """The meter cannot be read; `key` is the error that the form shows."""

    def __init__(self, key: str, detail: str = "") -> None:
        super().__init__(detail)
        self.key = key


def meters_of(entry: ConfigEntry) -> list[ConfigSubentry]:
    """Return the meters of a line."""
    return list(entry.get_subentries_of_type(SUBENTRY_METER))


@asynccontextmanager
async def async_look(
    hass: HomeAssistant,
    entry: ConfigEntry,
    unit_id: int,
    *,
    timeout_s: float = REQUEST_TIMEOUT_S,
) -> AsyncIterator[ModbusUnit]:
    """Hold a unit for a while; an answer on its line may take so long, and never less than usual.

    Whatever keeps its meter from being read comes out as `NoMeterError`.
    """
    try:
        async with async_get_temporary_unit(hass, modbus_params(entry.data), unit_id) as unit:
            unit.require_timeout(max(REQUEST_TIMEOUT_S, timeout_s))
            try:
                longest_s = max(REQUEST_TIMEOUT_S, timeout_s)
                yield Reads(unit, unit_id, _line(entry), longest_s=longest_s).unit
            finally:
                # A meter that is polled as this unit goes on to need what it asked for.
                polled = any(meter.data[CONF_UNIT_ID] == unit_id for meter in meters_of(entry))
                unit.require_timeout(REQUEST_TIMEOUT_S if polled else None)
                if timeout_s > REQUEST_TIMEOUT_S and not is_shared(hass, entry):
                    # The library gives up a longer wait with the next connection only.
                    with suppress(ModbusConnectionError):
                        await unit.disconnect()
    except ModbusConnectionError as err:
        raise NoMeterError("cannot_connect", modbus_words(err)) from err
    except ModbusError as err:
        raise NoMeterError("no_answer", modbus_words(err)) from err
    except HomeAssistantError as err:
        raise NoMeterError("device_in_use", str(err)) from err


@asynccontextmanager
async def async_in_turn(
    hass: HomeAssistant, entry: ConfigEntry, unit_id: int, *, timeout_s: float = REQUEST_TIMEOUT_S
) -> AsyncIterator[Reads]:
    """Hold a unit whose reads take turns with the polls; raises what Home Assistant does.

    An answer may take so long, and never less than usual.
    """
    longest_s = max(REQUEST_TIMEOUT_S, timeout_s)
    async with async_get_temporary_unit(hass, modbus_params(entry.data), unit_id) as unit:
        yield Reads(unit, unit_id, _line(entry), longest_s=longest_s)


def _line(entry: ConfigEntry) -> Line:
    """Return the line that the polls of an entry share, or one for this look alone."""
    link = entry.runtime_data if entry.state is ConfigEntryState.LOADED else None
    return link.line if isinstance(link, ModbusLink) else Line(numbered=is_numbered(entry.data))


def unit_id_selector() -> vol.All[int]:
    """Return the field for the Modbus address of a meter."""
    return whole_number(1, 255)


def interval_fields() -> dict[vol.Marker, vol.All[int]]:
    """Return the fields for how often a meter is read."""
    seconds = whole_number(1, 3600, "s")
    return {
        vol.Required(CONF_FAST_INTERVAL_S, default=4): seconds,
        vol.Required(CONF_SLOW_INTERVAL_S, default=30): seconds,
    }
