"""Opens a connection once, to see that somebody is there."""

import asyncio
import socket
import ssl

from homeassistant.components.modbus import async_get_temporary_unit
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from modbus_connection import ModbusConnectionError, ModbusError

from ...connection.wording import in_words, words_of
from .transport import ModbusParams

# How long the test of a connection may take.
_TEST_S = 5.0


async def async_open(hass: HomeAssistant, params: ModbusParams) -> tuple[str | None, str]:
    """Open a connection; return the key of an error and what the system says of it.

    No meter need answer, since which units there are is not known yet. Over UDP nothing but an
    answer would prove that somebody is there, so there the meters are the test.
    """
    try:
        async with async_get_temporary_unit(hass, params, 1) as unit:
            try:
                async with asyncio.timeout(_TEST_S):
                    await unit.read_holding_registers(0, 1)
            except ModbusConnectionError as err:
                return _reason(err)
            except TimeoutError as err:
                return (None, "") if unit.connected else ("timeout", str(err) or f"{_TEST_S:.0f} s")
            except ModbusError:
                # Somebody answered, if only to refuse.
                return None, ""
    except OSError as err:
        # A certificate or key that cannot be read.
        return "certificate_file", in_words(str(err))
    except HomeAssistantError as err:
        return "device_in_use", str(err)
    return None, ""


def _reason(err: ModbusConnectionError) -> tuple[str, str]:
    """Return why a connection could not be opened."""
    cause: BaseException = err
    while cause.__cause__ is not None:
        cause = cause.__cause__
    match cause:
        case ssl.SSLError():
            key = "tls_failed"
        case socket.gaierror():
            key = "invalid_host"
        case _:
            key = "cannot_connect"
    return key, words_of(err)
