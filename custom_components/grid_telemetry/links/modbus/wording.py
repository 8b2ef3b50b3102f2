"""What went wrong on a line, in words: without function names, addresses and transaction ids."""

from modbus_connection import (
    ModbusConnectionError,
    ModbusError,
    ModbusExceptionError,
    ModbusProtocolError,
    ModbusTimeoutError,
)

from ...connection.wording import words_of


def modbus_words(err: Exception) -> str:
    """Return what an error of a meter or its line means."""
    match err:
        case ModbusTimeoutError():
            return "no answer in time"
        case ModbusExceptionError(exception_code=code) if code is not None:
            return f"Modbus exception {int(code)}"
        case ModbusConnectionError():
            return words_of(err)
        case ModbusProtocolError():
            return "a damaged answer, or one to another question"
        case ModbusError():
            return words_of(err)
        case _:
            return str(err)
