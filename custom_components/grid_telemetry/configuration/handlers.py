"""What the actions of configuration as data do."""

from collections.abc import Iterable

from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util.json import JsonObjectType, JsonValueType

from ..const import DOMAIN
from .actions import ATTR_CONFIGURATION
from .apply import Result, async_apply, async_plan
from .document import SiteFileError
from .drift import async_watch
from .export import async_export
from .plan import Step
from .site_file import SiteFile, async_read_site_file


async def async_handle_export(call: ServiceCall) -> ServiceResponse:
    """Return the running entries as the text of a site file."""
    return {ATTR_CONFIGURATION: await async_export(call.hass)}


async def async_handle_plan(call: ServiceCall) -> ServiceResponse:
    """Return what a file would change."""
    try:
        plan = await async_plan(call.hass, await _async_file(call))
    except SiteFileError as err:
        raise _invalid(err) from err
    return {
        str(step): [
            _told(each.id, each.title, changes=each.lines(), asks=each.asks)
            for each in plan.of(step)
        ]
        for step in Step
    }


def _told(site_id: str, title: str, **more: Iterable[str] | str | None) -> JsonValueType:
    """Return what is told of an entry; what there is nothing to say of is left out."""
    result: JsonObjectType = {"id": site_id, "title": title}
    for key, value in more.items():
        if value:
            result[key] = value if isinstance(value, str) else [*value]
    return result


async def async_handle_apply(call: ServiceCall) -> ServiceResponse:
    """Do what a file says and return what became of each entry."""
    try:
        outcomes = await async_apply(call.hass, await _async_file(call))
    except SiteFileError as err:
        raise _invalid(err) from err
    await async_watch(call.hass)
    return {
        str(result): [
            _told(each.id, each.title, changes=each.changes, asks=each.asks, error=each.error)
            for each in outcomes
            if each.result is result
        ]
        for result in Result
    }


async def _async_file(call: ServiceCall) -> SiteFile:
    return await async_read_site_file(call.hass, call.data.get(ATTR_CONFIGURATION))


def _invalid(err: SiteFileError) -> ServiceValidationError:
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key="site_file_invalid",
        translation_placeholders={"faults": str(err)},
    )
