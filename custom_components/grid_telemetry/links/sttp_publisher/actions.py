"""Actions of both STTP links, and on the subscribers of a publisher."""

from typing import Final
from uuid import UUID

from homeassistant.core import SupportsResponse
import voluptuous as vol

from ...action import ENTRY_FIELD, Action

ATTR_SUBSCRIBER: Final = "subscriber_id"

_ENTRY_SCHEMA = vol.Schema(ENTRY_FIELD)
_DISCONNECT_SCHEMA = vol.Schema({**ENTRY_FIELD, vol.Required(ATTR_SUBSCRIBER): vol.Coerce(UUID)})

ACTIONS: Final = (
    Action(name="sttp_refresh_metadata", schema=_ENTRY_SCHEMA, handler="async_refresh_metadata"),
    Action(
        name="sttp_list_subscribers",
        schema=_ENTRY_SCHEMA,
        handler="async_list_subscribers",
        response=SupportsResponse.ONLY,
    ),
    Action(
        name="sttp_disconnect_subscriber", schema=_DISCONNECT_SCHEMA, handler="async_disconnect"
    ),
)
