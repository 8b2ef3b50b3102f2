"""What links on serial lines share: the fields of their forms, and the names of the settings."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from homeassistant.const import CONF_DEVICE
from homeassistant.helpers.selector import (
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    SerialPortSelector,
)
import voluptuous as vol

CONF_BAUDRATE: Final = "baudrate"
CONF_BYTESIZE: Final = "bytesize"
CONF_PARITY: Final = "parity"
CONF_STOPBITS: Final = "stopbits"

# The names of the form, and the letters of the line settings.
PARITIES: Mapping[str, Literal["N", "E", "O"]] = {"none": "N", "even": "E", "odd": "O"}


def number_choice(*options: int) -> vol.All[Any]:
    """Return the validator of a number out of a few."""
    # The frontend sends texts, a script may send numbers.
    return vol.All(
        vol.Coerce(str),
        SelectSelector(
            SelectSelectorConfig(
                options=[str(option) for option in options], mode=SelectSelectorMode.DROPDOWN
            )
        ),
        vol.Coerce(int),
    )


SERIAL_FIELDS: Final[dict[vol.Marker, Any]] = {
    vol.Required(CONF_DEVICE): SerialPortSelector(),
    vol.Required(CONF_BAUDRATE, default="9600"): number_choice(
        1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200
    ),
    vol.Required(CONF_PARITY, default="none"): SelectSelector(
        SelectSelectorConfig(
            options=list(PARITIES), mode=SelectSelectorMode.DROPDOWN, translation_key="parity"
        )
    ),
    vol.Required(CONF_STOPBITS, default="1"): number_choice(1, 2),
}


def serial_input(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of an entry in the shape of its form, whose choices are texts."""
    return {
        key: str(value) if key in (CONF_BAUDRATE, CONF_BYTESIZE, CONF_STOPBITS) else value
        for key, value in data.items()
    }
