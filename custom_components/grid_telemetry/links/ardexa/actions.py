"""Actions of the Ardexa link: the remote operations of a device, each with its response."""

from typing import Any, Final

from homeassistant.helpers import config_validation as cv
import orjson
import voluptuous as vol

from ...action import ENTRY_FIELD, Action
from .const import UPGRADE_STEP_WITHIN_S
from .payload import Json

ATTR_DEVICE: Final = "device_id"
ATTR_COMMAND: Final = "command"
ATTR_CONFIG: Final = "config"
ATTR_TIMEOUT: Final = "timeout"

DEFAULT_TIMEOUT_S: Final = 60


def _json_object(value: Any) -> Json:
    """Return an object that JSON can carry as it is."""
    if not isinstance(value, dict):
        raise vol.Invalid("an object is expected")
    try:
        orjson.dumps(value)
    except TypeError as err:
        raise vol.Invalid(str(err)) from err
    return value


def _fields(
    more: dict[vol.Marker, Any] | None = None, timeout_s: float = DEFAULT_TIMEOUT_S
) -> vol.Schema:
    return vol.Schema(
        {
            vol.Required(ATTR_DEVICE): cv.string,
            vol.Optional(ATTR_TIMEOUT, default=timeout_s): vol.All(
                vol.Coerce(float), vol.Range(min=1, max=3600)
            ),
            **(more or {}),
        }
    )


_TEXT = vol.All(cv.string, vol.Length(min=1))


def _operation(name: str, schema: vol.Schema) -> Action:
    return Action(name=f"ardexa_{name}", schema=schema, handler=f"async_{name}")


ACTIONS: Final = (
    _operation("run_command", _fields({vol.Required(ATTR_COMMAND): _TEXT})),
    _operation("test_config", _fields({vol.Required(ATTR_CONFIG): _json_object})),
    _operation("apply_config", _fields({vol.Required(ATTR_CONFIG): _json_object})),
    _operation("apply_yaml_config", _fields({vol.Required(ATTR_CONFIG): _TEXT})),
    _operation("refresh_meta", _fields()),
    _operation("upgrade_agent", _fields(timeout_s=UPGRADE_STEP_WITHIN_S)),
    _operation("send_ardexactl", _fields()),
    _operation("send_ardpkg", _fields()),
    _operation("stop_all_feeds", vol.Schema(ENTRY_FIELD)),
)
