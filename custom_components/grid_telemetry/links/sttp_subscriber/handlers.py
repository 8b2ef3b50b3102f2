"""What the action of the STTP subscriber link does."""

from homeassistant.core import ServiceCall, ServiceResponse

from ...action import link_for
from .actions import ATTR_COMMAND, ATTR_DATA, ATTR_TEXT
from .link import SttpSubscriberLink


async def async_send_command(call: ServiceCall) -> ServiceResponse:
    """Send a user command and return what the publisher answers, None if it does not."""
    payload: bytes = call.data.get(ATTR_TEXT, call.data.get(ATTR_DATA, b""))
    link = link_for(call, SttpSubscriberLink)
    return {"answer": await link.async_send_command(call.data[ATTR_COMMAND], payload)}
