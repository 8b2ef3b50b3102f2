"""What the action of the toy link does."""

from homeassistant.core import ServiceCall, ServiceResponse

from custom_components.grid_telemetry.action import link_for

from .link import ToyLink


async def async_send(call: ServiceCall) -> ServiceResponse:
    """Queue a hello, and return how many samples wait."""
    link = link_for(call, ToyLink)
    await link.async_queue("hello", 0, 1.0)
    return {"queued": link.outbox.queued_samples}
