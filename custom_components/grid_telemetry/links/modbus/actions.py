"""The actions of Modbus meters."""

from typing import Final

from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from ...action import Action

ATTR_DEVICE: Final = "device_id"

ACTIONS: Final = (
    Action(
        name="report_meter",
        schema=vol.Schema({vol.Required(ATTR_DEVICE): cv.string}),
        handler="async_report_meter",
    ),
)
