"""The codes that a user brought along, offered for every device of every gateway."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util.hass_dict import HassKey

from ...const import DOMAIN
from ...entry_store import EntryStore, entry_store
from ...points.table import CONF_ENTITY, CONF_FACTOR, CONF_POINTS, CONF_UNIT, Row
from .code_table import Code
from .const import CONF_CODE

_VERSION: Final = 1
_CODES: Final[HassKey[tuple[Code, ...]]] = HassKey(f"{DOMAIN}.scout_codes")


def _store(hass: HomeAssistant) -> EntryStore[list[dict[str, str | None]]]:
    return entry_store(hass, _VERSION, f"{DOMAIN}.scout_codes")


async def async_load_codes(hass: HomeAssistant) -> None:
    """Read the user's codes, once."""
    if _CODES not in hass.data:
        stored = await _store(hass).async_load() or []
        hass.data[_CODES] = tuple(
            Code(code=str(each["code"]), quantity=each["quantity"], unit=each["unit"])
            for each in stored
        )


async def async_save_codes(hass: HomeAssistant, codes: Sequence[Code]) -> None:
    """Take the codes in place of those that there were."""
    hass.data[_CODES] = tuple(codes)
    await _store(hass).async_save(lambda: [code.as_dict() for code in codes])


def own_codes(hass: HomeAssistant) -> list[str]:
    """Return the user's codes, in the order of their table."""
    return [code.code for code in hass.data.get(_CODES, ())]


def code_of(hass: HomeAssistant, quantities: Sequence[str]) -> Code | None:
    """Return the user's code of the first quantity that has one."""
    codes: tuple[Code, ...] = hass.data.get(_CODES, ())
    by_quantity = {code.quantity: code for code in reversed(codes)}
    return next((by_quantity[key] for key in quantities if key in by_quantity), None)


def _kind_of(entry: er.RegistryEntry | None) -> tuple[str, str] | None:
    """Return what the same sensor of another device of its kind has as well."""
    if entry is None:
        return None
    name = entry.translation_key or entry.original_name
    return None if name is None else (entry.platform, name)


def mapping_of_others(
    hass: HomeAssistant, devices: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what the entry's other devices send, by the kind of their sensors."""
    registry = er.async_get(hass)
    known: dict[tuple[str, str], dict[str, Any]] = {}
    for device in devices:
        for stored in device[CONF_POINTS]:
            entity_id = er.async_resolve_entity_id(registry, stored[CONF_ENTITY])
            entry = None if entity_id is None else registry.async_get(entity_id)
            if (kind := _kind_of(entry)) is not None and not stored["name"].endswith(
                ("_MIN", "_MAX")
            ):
                known.setdefault(kind, stored)
    return known


def as_others_have_it(
    hass: HomeAssistant, rows: Sequence[Row], devices: Sequence[Mapping[str, Any]]
) -> list[Row]:
    """Return rows with the code, unit and factor that another device of the entry has them with.

    A code that was suggested for another sensor goes to the one that the other devices have.
    """
    registry = er.async_get(hass)
    known = mapping_of_others(hass, devices)
    same: dict[str, Mapping[str, Any]] = {}
    """By the code, what another device has of it; each code goes to one row."""
    codes: list[str | None] = []
    for row in rows:
        kind = _kind_of(registry.async_get(row[CONF_ENTITY]))
        stored = None if kind is None else known.get(kind)
        is_new = stored is not None and stored["name"] not in same
        codes.append(str(stored["name"]) if stored is not None and is_new else None)
        if stored is not None and is_new:
            same[stored["name"]] = stored
    return [
        _with(row, same[code])
        if code is not None
        else {**row, CONF_CODE: "" if row[CONF_CODE] in same else row[CONF_CODE]}
        for row, code in zip(rows, codes, strict=True)
    ]


def _with(row: Row, stored: Mapping[str, Any]) -> Row:
    more = {key: stored[key] for key in (CONF_UNIT, CONF_FACTOR) if stored.get(key)}
    return {**row, CONF_CODE: stored["name"], **more}
