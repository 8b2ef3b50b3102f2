"""Commands of the user's own: a destination that calls an action of Home Assistant."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import replace
import logging
from typing import Any, Final

from homeassistant.core import Context, HomeAssistant, ServiceResponse, SupportsResponse
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv, service
from homeassistant.helpers.trace import script_execution_get, trace_clear, trace_get
import voluptuous as vol

from ..protocols.stomp.reply import Reply, Status
from .command import Command
from .registry import Registration

_LOGGER = logging.getLogger(__name__)

ACTION_NAME: Final = "action"
"""The key of a step that holds what it calls."""

_STATUS: Final = "status_code"
_MESSAGE: Final = "message"
_RESULT: Final = "result"
# What a script's trace says of a run that did not come to its end.
_BROKEN_OFF: Final = {
    "aborted": Reply(
        status=Status.DECLINED,
        message="The script broke off: a condition of it is not met, or it stopped with an error.",
    ),
    "failed_single": Reply(status=Status.FAILED, message="The script is running already."),
    "failed_max_runs": Reply(
        status=Status.FAILED, message="The script is running as often as it may at the same time."
    ),
    "disallowed_recursion_detected": Reply(
        status=Status.FAILED, message="The script would call itself."
    ),
    "cancelled": Reply(status=Status.FAILED, message="The script was stopped."),
    "error": Reply(status=Status.FAILED, message="The script failed."),
}


def one_action(steps: Any) -> Mapping[str, Any] | None:
    """Return the one call of an action that the editor's steps consist of, None if they do not."""
    if not isinstance(steps, list) or len(steps) != 1 or not isinstance(steps[0], dict):
        return None
    step = {key: value for key, value in steps[0].items() if key in (ACTION_NAME, "data", "target")}
    try:
        cv.SERVICE_SCHEMA(step)
        cv.service(step.get(ACTION_NAME))
    except vol.Invalid:
        return None
    return step


def with_steps(fields: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return fields with the one call of an action as the editor has it, which is a list."""
    action = fields.get(key)
    return dict(fields) if action is None or isinstance(action, list) else {**fields, key: [action]}


def own_command(
    hass: HomeAssistant, destination: str, action: Mapping[str, Any], time_limit_s: float
) -> Registration:
    """Return the command for a destination, or a pattern of them.

    The action is one step as the editor of scripts writes it. Its data may have templates that
    use `destination`, `headers` and `arg`; an action that takes any data, as a script does, gets
    the three as data too.
    """

    async def call(command: Command) -> Reply:
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
            _run(
                hass.services.async_call(
                    domain,
                    name,
                    data,
                    blocking=True,
                    context=Context(),
                    target=target,
                    return_response=answers,
                )
            ),
            f"setup command {command.destination}",
        )
        return await _result_of(task, time_limit_s)

    return Registration(pattern=destination, handler=call, time_limit_s=time_limit_s)


async def _run(call: Awaitable[ServiceResponse]) -> Reply:
    """Return the reply of an action that is called.

    A script that does not run, or that breaks off, answers as one that ends well does. What became
    of it stands in its trace, which belongs to the task that has called it.
    """
    trace_clear()
    response = await call
    if (reply := _BROKEN_OFF.get(script_execution_get() or "")) is None:
        return _reply_of(response)
    if reply.status != Status.DECLINED or (reason := _reason()) is None:
        return reply
    return replace(reply, message=reason)


def _reason() -> str | None:
    """Return what a script said when it stopped itself with an error."""
    for steps in reversed((trace_get(clear=False) or {}).values()):
        for step in reversed(steps):
            result = step.as_dict().get("result") or {}
            if result.get("error") and (text := result.get("stop")):
                return str(text)
    return None


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


def _reply_of(response: ServiceResponse) -> Reply:
    """Return what an action's response says; one without the three names is itself the result."""
    if not response:
        return Reply()
    if not response.keys() & {_STATUS, _MESSAGE, _RESULT}:
        return Reply(result=response)
    status, message = response.get(_STATUS, Status.DONE), response.get(_MESSAGE)
    try:
        number = int(str(status))
    except ValueError as err:
        raise HomeAssistantError(f"{_STATUS} is no number: {str(status)[:40]!r}") from err
    return Reply(
        status=number,
        message=None if message is None else str(message),
        result=response.get(_RESULT),
    )
