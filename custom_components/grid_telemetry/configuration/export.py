"""The running entries as a site file: in a stable order, so that a difference can be read."""

from collections.abc import Mapping
from functools import partial
from typing import Any, override

from homeassistant.config_entries import SOURCE_IGNORE, ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.util import slugify
import yaml

from ..const import CONF_KIND, DOMAIN
from ..forms.written import Ask, Written
from .fields import kept, map_references
from .record import Known, Record, async_record
from .references import reference_to_device, reference_to_entity
from .site_file import (
    FORMAT,
    KEY_ENTRIES,
    KEY_FORMAT,
    KEY_ID,
    KEY_KIND,
    KEY_NAME,
    KEY_OWNED,
    KEY_SUBENTRIES,
    KEY_TYPE,
    WrittenKind,
    async_written_kinds,
)


class _Dumper(yaml.SafeDumper):
    """Indents lists, and writes what is asked for with its tag."""

    @override
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _ask(dumper: yaml.SafeDumper, _: Ask) -> yaml.Node:
    return dumper.represent_scalar("!ask", "")


_Dumper.add_representer(Ask, _ask)


def exported_fields(
    hass: HomeAssistant, written: Written, stored: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the fields of what is stored, entities and devices by what they are."""
    return map_references(
        written,
        written.written(stored),
        partial(reference_to_entity, hass),
        partial(reference_to_device, hass),
    )


def exported_entry(
    hass: HomeAssistant, entry: ConfigEntry[Any], kind: WrittenKind
) -> dict[str, Any]:
    """Return an entry as a file has it, without its id."""
    order = {name: number for number, name in enumerate(kind.subentries)}
    subentries = sorted(
        (each for each in entry.subentries.values() if each.subentry_type in order),
        key=lambda each: (order[each.subentry_type], each.title, str(each.unique_id)),
    )
    result: dict[str, Any] = {
        KEY_KIND: entry.data[CONF_KIND],
        KEY_NAME: entry.title,
        **exported_fields(hass, kind.entry, entry.data),
    }
    if subentries:
        result[KEY_SUBENTRIES] = [
            {
                KEY_TYPE: each.subentry_type,
                KEY_NAME: each.title,
                **exported_fields(hass, kind.subentries[each.subentry_type], each.data),
            }
            for each in subentries
        ]
    return result


def known(hass: HomeAssistant, entry: ConfigEntry[Any], kind: WrittenKind) -> Known:
    """Return an entry as it is remembered."""
    result: Known = kept(exported_entry(hass, entry, kind))
    return result


def our_entries(hass: HomeAssistant, kinds: Mapping[str, WrittenKind]) -> list[ConfigEntry[Any]]:
    """Return the entries that a file can describe, in the order of a file."""
    order = {name: number for number, name in enumerate(kinds)}
    entries = [
        entry
        for entry in hass.config_entries.async_entries(DOMAIN, include_disabled=False)
        if entry.source != SOURCE_IGNORE and entry.data.get(CONF_KIND) in order
    ]
    return sorted(
        entries, key=lambda each: (order[each.data[CONF_KIND]], each.title, each.entry_id)
    )


async def async_export(hass: HomeAssistant) -> str:
    """Return the text of a site file of the running entries."""
    kinds = await async_written_kinds(hass)
    record = await async_record(hass)
    entries = our_entries(hass, kinds)
    ids = _ids(entries, record)
    document = {
        KEY_FORMAT: FORMAT,
        KEY_ENTRIES: [
            {
                KEY_ID: ids[entry.entry_id],
                **({KEY_OWNED: True} if _is_owned(entry, record) else {}),
                **exported_entry(hass, entry, kinds[entry.data[CONF_KIND]]),
            }
            for entry in entries
        ],
    }
    return as_yaml(document)


def as_yaml(document: Any) -> str:
    """Return data as the text of a file."""
    return yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    ).replace("!ask ''", "!ask")


def _is_owned(entry: ConfigEntry[Any], record: Record) -> bool:
    known_of = record.entries.get(entry.entry_id)
    return known_of is not None and known_of.owned


def _ids(entries: list[ConfigEntry[Any]], record: Record) -> dict[str, str]:
    """Return the id of each entry: the one that a file gave it, or one made of its name."""
    ids = {
        entry.entry_id: record.entries[entry.entry_id].id
        for entry in entries
        if entry.entry_id in record.entries
    }
    taken = set(ids.values())
    for entry in entries:
        if entry.entry_id in ids:
            continue
        base = slugify(f"{entry.data[CONF_KIND]} {entry.title}")[:56]
        number, made = 1, base
        while made in taken:
            number, made = number + 1, f"{base}_{number + 1}"
        taken.add(made)
        ids[entry.entry_id] = made
    return ids
