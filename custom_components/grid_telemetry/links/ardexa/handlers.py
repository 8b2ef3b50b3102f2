"""What the actions of the Ardexa link do: the remote operations of a device."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import ServiceCall, ServiceResponse, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
import yaml

from ...action import link_for
from ...const import DOMAIN
from . import operations
from .actions import ATTR_COMMAND, ATTR_CONFIG, ATTR_DEVICE, ATTR_TIMEOUT
from .client import BrokenOff, NoAnswer, OperationRefused, Session, TooLarge
from .const import EVENT_OPERATION
from .entities import UPGRADE_COMPLETE, UPGRADE_FAILED, UPGRADE_PROGRESS
from .link import ArdexaLink
from .payload import Json


@dataclass(frozen=True, kw_only=True)
class _Target:
    """What a call is for."""

    link: ArdexaLink
    device_id: str
    session: Session


async def _run_command(call: ServiceCall, target: _Target) -> Json:
    return await operations.run_command(
        target.session, target.device_id, call.data[ATTR_COMMAND], call.data[ATTR_TIMEOUT]
    )


async def _test_config(call: ServiceCall, target: _Target) -> Json:
    return await _configure(call, target, "testConfig")


async def _apply_config(call: ServiceCall, target: _Target) -> Json:
    return await _configure(call, target, "applyConfig")


async def _apply_yaml_config(call: ServiceCall, target: _Target) -> Json:
    text: str = call.data[ATTR_CONFIG]
    try:
        document = await call.hass.async_add_executor_job(yaml.safe_load, text)
    except (yaml.YAMLError, RecursionError) as err:
        raise _misuse("ardexa_invalid_yaml", error=str(err)) from err
    if not isinstance(document, dict):
        raise _misuse("ardexa_invalid_yaml", error="-")
    return await _configure(call, target, "applyYamlConfig")


async def _configure(call: ServiceCall, target: _Target, operation: str) -> Json:
    return await operations.configure(
        target.session,
        operation,
        target.device_id,
        call.data[ATTR_CONFIG],
        call.data[ATTR_TIMEOUT],
    )


async def _refresh_meta(call: ServiceCall, target: _Target) -> Json:
    return await _complete(call, target, "refreshMeta")


async def _send_ardexactl(call: ServiceCall, target: _Target) -> Json:
    return await _complete(call, target, "sendArdexactl")


async def _send_ardpkg(call: ServiceCall, target: _Target) -> Json:
    return await _complete(call, target, "sendArdpkg")


async def _complete(call: ServiceCall, target: _Target, operation: str) -> Json:
    return await operations.run_to_completion(
        target.session, operation, target.device_id, call.data[ATTR_TIMEOUT]
    )


async def _upgrade_agent(call: ServiceCall, target: _Target) -> Json:
    """Upgrade, and tell of each step by the entities of the device."""
    entities = target.link.workgroup.devices[target.device_id]
    if entities.upgrading:
        raise _misuse("ardexa_upgrading")

    @callback
    def take_step(status: str) -> None:
        entities.upgrade.show(status)
        entities.events.tell(UPGRADE_PROGRESS, {"status": status}, call.context)

    entities.upgrading = True
    try:
        result = await operations.upgrade(
            target.session, target.device_id, call.data[ATTR_TIMEOUT], take_step
        )
    except (OperationRefused, NoAnswer, BrokenOff) as err:
        entities.upgrade.show(f"Failed: {err}" if str(err) else "Failed")
        entities.events.tell(UPGRADE_FAILED, {"error": str(err)}, call.context)
        raise
    finally:
        entities.upgrading = False
    entities.events.tell(UPGRADE_COMPLETE, {"steps": len(result["steps"])}, call.context)
    return result


def _handler(
    run: Callable[[ServiceCall, _Target], Awaitable[Json]], *, guarded: bool = True
) -> Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]:
    """Return the handler of an operation on a device.

    One that runs code on the device or changes it is guarded: the entry has to allow it.
    """

    async def handle(call: ServiceCall) -> ServiceResponse:
        link, device_id = _device(call)
        if guarded and not link.allows_operations:
            raise _misuse("ardexa_not_allowed", title=link.title)
        target = _Target(link=link, device_id=device_id, session=_session(link))
        if guarded:
            await _leave_event(call, link, device_id)
        return await _answered(run(call, target), link)

    return handle


async def async_stop_all_feeds(call: ServiceCall) -> ServiceResponse:
    """Stop the feeds of an entry's connection, until the next one."""
    link = link_for(call, ArdexaLink)
    session = _session(link)
    stopped = [feed.title for feed in link.feeds.all if feed.feed_id is not None]
    link.feeds.forget()
    await _answered(session.emit("device:feed:stopAll"), link)
    await _leave_event(call, link, None)
    return {"stopped": list[Any](stopped)}


def _device(call: ServiceCall) -> tuple[ArdexaLink, str]:
    """Return the link and Ardexa's id of the device that a call is for."""
    registered = dr.async_get(call.hass).async_get(call.data[ATTR_DEVICE])
    for entry in call.hass.config_entries.async_entries(DOMAIN):
        if (
            registered is not None
            and entry.state is ConfigEntryState.LOADED
            and isinstance(link := entry.runtime_data, ArdexaLink)
            and (device_id := link.device_id_of(registered.identifiers)) is not None
        ):
            return link, device_id
    raise _misuse("ardexa_unknown_device", device=call.data[ATTR_DEVICE])


def _session(link: ArdexaLink) -> Session:
    if link.session is None:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="ardexa_not_connected",
            translation_placeholders={"title": link.title},
        )
    return link.session


async def _leave_event(call: ServiceCall, link: ArdexaLink, device_id: str | None) -> None:
    """Leave an event with who called, before anything is done."""
    user_id = call.context.user_id
    user = None if user_id is None else await call.hass.auth.async_get_user(user_id)
    told = {
        "action": call.service,
        # Nobody, where an automation called by itself.
        "user": None if user is None else user.name,
        "user_id": user_id,
    }
    link.workgroup.tell_operation(device_id, told, call.context)
    call.hass.bus.async_fire(
        EVENT_OPERATION,
        {
            **told,
            "device_id": call.data.get(ATTR_DEVICE),
            "ardexa_device_id": device_id,
            "command": call.data.get(ATTR_COMMAND),
        },
        context=call.context,
    )


async def _answered[T](work: Awaitable[T], link: ArdexaLink) -> T:
    """Return what is answered, or raise what went wrong in the user's words."""
    try:
        return await work
    except OperationRefused as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="ardexa_refused",
            translation_placeholders={"error": str(err)},
        ) from err
    except TooLarge as err:
        raise _misuse("ardexa_too_large_to_send", size=str(err)) from err
    except NoAnswer as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="ardexa_no_answer",
            translation_placeholders={"title": link.title},
        ) from err
    except BrokenOff as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="ardexa_broken_off",
            translation_placeholders={"title": link.title},
        ) from err


def _misuse(key: str, **placeholders: str) -> ServiceValidationError:
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )


async_run_command = _handler(_run_command)
async_test_config = _handler(_test_config, guarded=False)
async_apply_config = _handler(_apply_config)
async_apply_yaml_config = _handler(_apply_yaml_config)
async_refresh_meta = _handler(_refresh_meta)
async_upgrade_agent = _handler(_upgrade_agent)
async_send_ardexactl = _handler(_send_ardexactl)
async_send_ardpkg = _handler(_send_ardpkg)
