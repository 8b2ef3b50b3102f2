"""The forms of a kind, answered from a file: the only way in which a file makes or changes."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import (
    FlowManager,
    FlowResultType,
    InvalidData,
    UnknownFlow,
)
from homeassistant.helpers.translation import async_get_translations

from ..const import CONF_KIND, CONTEXT_DRIVEN, DOMAIN
from ..forms.written import Fields, Written, filled
from ..links.registry import LINKS

_MAX_STEPS: Final = 20
_CHANGED: Final = "reconfigure_successful"


class FormRefusedError(Exception):
    """A form did not take what the file says; the text is the form's own."""


async def async_add_entry(
    hass: HomeAssistant, kind: str, written: Written, fields: Fields
) -> ConfigEntry[Any]:
    """Make an entry by its forms. Raises `FormRefusedError`."""
    result = await _async_drive(
        hass,
        hass.config_entries.flow,
        DOMAIN,
        # The form that would follow is answered from the file as well, by a flow of its own.
        {"source": SOURCE_USER, CONTEXT_DRIVEN: True},
        written,
        fields,
        ("config", kind),
    )
    entry: ConfigEntry[Any] = result["result"]
    return entry


async def async_change_entry(
    hass: HomeAssistant, entry: ConfigEntry[Any], written: Written, fields: Fields
) -> None:
    """Change an entry by its forms. Raises `FormRefusedError`."""
    await _async_drive(
        hass,
        hass.config_entries.flow,
        DOMAIN,
        {"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id, CONTEXT_DRIVEN: True},
        written,
        fields,
        ("config", entry.data[CONF_KIND]),
    )


async def async_add_subentry(
    hass: HomeAssistant, entry: ConfigEntry[Any], kind: str, written: Written, fields: Fields
) -> str:
    """Make a subentry by its forms and return its id. Raises `FormRefusedError`."""
    before = set(entry.subentries)
    await _async_drive(
        hass,
        hass.config_entries.subentries,
        (entry.entry_id, kind),
        {"source": SOURCE_USER},
        written,
        fields,
        ("config_subentries", kind),
    )
    return next(iter(set(entry.subentries) - before))


async def async_change_subentry(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    subentry_id: str,
    written: Written,
    fields: Fields,
) -> None:
    """Change a subentry by its forms. Raises `FormRefusedError`."""
    kind = entry.subentries[subentry_id].subentry_type
    await _async_drive(
        hass,
        hass.config_entries.subentries,
        (entry.entry_id, kind),
        {"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id},
        written,
        fields,
        ("config_subentries", kind),
    )


async def _async_drive(
    hass: HomeAssistant,
    manager: FlowManager[Any, Any, Any],
    handler: Any,
    context: Mapping[str, Any],
    written: Written,
    fields: Fields,
    texts: tuple[str, str],
) -> Any:
    """Go through the forms of a flow and return how it ended."""
    answers = written.answers(fields)
    menus = {**written.menus, **_kind_menus(texts)}
    answered: set[str] = set()
    result = await manager.async_init(handler, context=context)
    try:
        while not await _async_is_done(hass, texts, result):
            step = result["step_id"]
            # A step that comes back without an error would do so for ever.
            if step in answered or len(answered) > _MAX_STEPS:
                raise FormRefusedError(f"{step}?")
            answered.add(step)
            if result["type"] is FlowResultType.MENU:
                option = menus.get(step, f"{step}_{written.variant(fields)}")
                if option not in result["menu_options"]:
                    # A menu that comes behind another step has a word more in its name.
                    option = f"{step.rpartition('_')[0]}_{written.variant(fields)}"
                if option not in result["menu_options"]:
                    raise FormRefusedError(f"{step}: {option}?")
                user_input: dict[str, Any] = {"next_step_id": option}
            else:
                schema = result["data_schema"]
                user_input = {} if schema is None else filled(schema, answers)
            try:
                result = await manager.async_configure(result["flow_id"], user_input)
            except InvalidData as err:
                raise FormRefusedError(_invalid(err.schema_errors)) from err
        return result
    finally:
        # It is gone where it ended.
        with suppress(UnknownFlow):
            manager.async_abort(result["flow_id"])


def _kind_menus(texts: tuple[str, str]) -> dict[str, str]:
    """Return the way to a kind of entry through the first menus."""
    category, kind = texts
    if category != "config":
        return {}
    direction = LINKS[kind].direction
    return {"user": kind} if direction is None else {"user": direction, direction: kind}


async def _async_is_done(
    hass: HomeAssistant, texts: tuple[str, str], result: Mapping[str, Any]
) -> bool:
    """Return whether a flow has ended as it should. Raises `FormRefusedError`."""
    match result["type"]:
        case FlowResultType.CREATE_ENTRY:
            return True
        case FlowResultType.ABORT:
            if result["reason"] == _CHANGED:
                return True
            text = await _async_text(hass, texts, "abort", result["reason"], result)
            raise FormRefusedError(text)
        case FlowResultType.MENU:
            return False
        case FlowResultType.FORM:
            if errors := result.get("errors"):
                raise FormRefusedError(await _async_errors(hass, texts, errors, result))
            return False
        case _:
            raise FormRefusedError(f"{result['step_id']}?")


def _invalid(errors: Mapping[str, Any]) -> str:
    """Return what a schema said of the fields."""
    return "; ".join(
        f"{key}: {_invalid(text) if isinstance(text, Mapping) else text}"
        for key, text in errors.items()
    )


async def _async_errors(
    hass: HomeAssistant,
    texts: tuple[str, str],
    errors: Mapping[str, str],
    result: Mapping[str, Any],
) -> str:
    """Return the errors of a form in words."""
    words = []
    for field, key in errors.items():
        text = await _async_text(hass, texts, "error", key, result)
        words.append(text if field == "base" else f"{field}: {text}")
    return "; ".join(words)


async def _async_text(
    hass: HomeAssistant, texts: tuple[str, str], what: str, key: str, result: Mapping[str, Any]
) -> str:
    """Return a text of a flow with its placeholders filled in."""
    category, kind = texts
    known = await async_get_translations(hass, hass.config.language, category, [DOMAIN])
    place = f"{category}.{what}" if category == "config" else f"{category}.{kind}.{what}"
    text = known.get(f"component.{DOMAIN}.{place}.{key}", key)
    for name, value in (result.get("description_placeholders") or {}).items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
