"""Commands of the user's own: a destination that calls an action of Home Assistant."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.core import Context, HomeAssistant, ServiceResponse, SupportsResponse
from homeassistant.helpers import service
import voluptuous as vol

from .command import Command, Outcome
from .registry import Registration

_STATUS: Final = "status_code"
_MESSAGE: Final = "message"
_RESULT: Final = "result"


def own_command(
    hass: HomeAssistant, destination: str, action: Mapping[str, Any], time_limit_s: float
) -> Registration:
    """Return the command for a destination, or a pattern of them.

    The action is one step as the editor of scripts writes it. Its data may have templates that
    use `destination`, `headers` and `arg`; an action that takes any data, as a script does, gets
    the three as data too.
    """

    async def call(command: Command) -> Outcome:
        given = {
            "destination": command.destination,
            "headers": dict(command.headers),
            "arg": command.arg,
        }
        prepared = service.async_prepare_call_from_config(
            hass, dict(action), given, validate_config=True
        )
        domain, name = prepared["domain"], prepared["service"]
        data, target = prepared["service_data"] or {}, prepared["target"] or {}
        if _takes(hass, domain, name, {**data, **target, **given}):
            data = {**data, **given}
        answers = (
            hass.services.has_service(domain, name)
            and hass.services.supports_response(domain, name) is not SupportsResponse.NONE
        )
        response = await hass.services.async_call(
            domain,
            name,
            data,
            blocking=True,
            context=Context(),
            target=target,
            return_response=answers,
        )
        return _outcome(response)

    return Registration(pattern=destination, handler=call, time_limit_s=time_limit_s)


def _takes(hass: HomeAssistant, domain: str, name: str, data: dict[str, Any]) -> bool:
    """Return whether an action accepts such data."""
    action = hass.services.async_services_for_domain(domain).get(name)
    if action is None or action.schema is None:
        return True
    try:
        action.schema(data)
    except vol.Invalid:
        return False
    return True


def _outcome(response: ServiceResponse) -> Outcome:
    """Return what an action's response says; one without the three names is itself the result."""
    if not response:
        return Outcome()
    if not response.keys() & {_STATUS, _MESSAGE, _RESULT}:
        return Outcome(result=response)
    status, message = response.get(_STATUS), response.get(_MESSAGE)
    return Outcome(
        status=None if status is None else vol.Coerce(int)(status),
        message=None if message is None else str(message),
        result=response.get(_RESULT),
    )
