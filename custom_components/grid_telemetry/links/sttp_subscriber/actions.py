"""The action that sends a user command to a publisher."""

from typing import Any, Final

from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from ...action import ENTRY_FIELD, Action

ATTR_COMMAND: Final = "command"
ATTR_TEXT: Final = "text"
ATTR_DATA: Final = "data"

MAX_BYTES: Final = 4_096
_ONE_PAYLOAD: Final = "payload"


def _bytes_of_hex(value: Any) -> bytes:
    try:
        data = bytes.fromhex(cv.string(value))
    except ValueError as err:
        raise vol.Invalid("bytes in hexadecimal are expected") from err
    return bytes(vol.Length(max=MAX_BYTES)(data))


def _bytes_of_text(value: Any) -> bytes:
    try:
        data = cv.string(value).encode()
    except UnicodeEncodeError as err:
        raise vol.Invalid("text that is no Unicode") from err
    return bytes(vol.Length(max=MAX_BYTES)(data))


_SCHEMA = vol.Schema(
    {
        **ENTRY_FIELD,
        vol.Required(ATTR_COMMAND): vol.All(vol.Coerce(int), vol.Range(min=0, max=15)),
        vol.Exclusive(ATTR_TEXT, _ONE_PAYLOAD): _bytes_of_text,
        vol.Exclusive(ATTR_DATA, _ONE_PAYLOAD): _bytes_of_hex,
    }
)

ACTIONS: Final = (Action(name="sttp_send_command", schema=_SCHEMA, handler="async_send_command"),)
