"""Commands of the user's own: a destination that calls an action of Home Assistant."""

import asyncio
from collections.abc import Mapping
import logging
from typing import Any, Final

from homeassistant.core import Context, HomeAssistant, ServiceResponse, SupportsResponse
from homeassistant.helpers import service
import voluptuous as vol

from .command import Command, Outcome
from .registry import Registration

_LOGGER = logging.getLogger(__name__)

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
        # In the background, or a stop of Home Assistant would wait for it.
        task = hass.async_create_background_task(
            hass.services.async_call(
                domain,
                name,
                data,
                blocking=True,
                context=Context(),
                target=target,
                return_response=answers,
            ),
            f"setup command {command.destination}",
        )
        return _outcome(await _result_of(task, time_limit_s))

    return Registration(pattern=destination, handler=call, time_limit_s=time_limit_s)


async def _result_of[T](task: asyncio.Task[T], time_limit_s: float) -> T:
    """Return what an action answers, which is cancelled when its time is over, and only then.

    It goes on when the client or the whole server goes: an action that reloads the server's entry
    would otherwise be cancelled by what it waits for.
    """
    timer = asyncio.get_running_loop().call_later(time_limit_s, task.cancel)

    def end(_: asyncio.Task[T]) -> None:
        timer.cancel()
        if abandoned and not task.cancelled() and (error := task.exception()) is not None:
            _LOGGER.warning("%s failed when nobody waited for it: %s", task.get_name(), error)

    abandoned = False
    task.add_done_callback(end)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        abandoned = True
        raise
    if task.cancelled():
        raise TimeoutError(f"Not finished within {time_limit_s:g} s.")
    return task.result()


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
