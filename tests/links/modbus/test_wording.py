"""What went wrong on a line, in words."""

from modbus_connection import (
    ModbusConnectionError,
    ModbusDesyncError,
    ModbusError,
    ModbusExceptionError,
    ModbusTimeoutError,
)
import pytest

from custom_components.grid_telemetry.links.modbus.wording import modbus_words


def refused() -> Exception:
    err = ModbusConnectionError("could not connect to 192.0.2.1:502")
    err.__cause__ = ConnectionRefusedError(111, "Connect call failed ('192.0.2.1', 502)")
    return err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ModbusTimeoutError("read(): Response timeout for transaction with ID 0x0001"),
            "no answer in time",
        ),
        (ModbusExceptionError.from_code(2, "read(): IllegalDataAddress"), "Modbus exception 2"),
        (refused(), "Connection refused"),
        (
            ModbusDesyncError("Transaction ID mismatch"),
            "a damaged answer, or one to another question",
        ),
        (ModbusError("something else"), "something else"),
        (ValueError("no Modbus at all"), "no Modbus at all"),
    ],
)
def test_function_names_and_transaction_ids_are_left_out(error: Exception, words: str) -> None:
    assert modbus_words(error) == words
