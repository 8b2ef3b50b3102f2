"""A site file: what it may say, and where it and its templates are read from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
import re
from types import MappingProxyType
from typing import Any, Final

from homeassistant.core import HomeAssistant

from ..const import DOMAIN
from ..forms.written import Fields, Written, fields_in, written_of
from ..links.registry import LINKS
from .document import (
    KEY_USE,
    KEY_VARIABLES,
    MAX_BYTES,
    Expansion,
    Faults,
    Items,
    Map,
    Place,
    ReadTemplate,
    SiteFileError,
    place_of,
    read_text,
)
from .fields import check_fields

FILE_NAME: Final = "site.yaml"
FORMAT: Final = 1

KEY_FORMAT: Final = "site_file"
KEY_ENTRIES: Final = "entries"
KEY_ID: Final = "id"
KEY_KIND: Final = "kind"
KEY_NAME: Final = "name"
KEY_OWNED: Final = "owned"
KEY_SUBENTRIES: Final = "subentries"
KEY_TYPE: Final = "type"

FILE_KEYS: Final = (KEY_FORMAT, KEY_OWNED, KEY_VARIABLES, KEY_USE, KEY_ENTRIES)
ENTRY_KEYS: Final = (KEY_ID, KEY_KIND, KEY_NAME, KEY_OWNED, KEY_USE, KEY_SUBENTRIES)
SUBENTRY_KEYS: Final = (KEY_TYPE, KEY_NAME, KEY_USE)

_ID: Final = re.compile(r"[a-z0-9_]{1,64}")


@dataclass(frozen=True, kw_only=True)
class WrittenKind:
    """How a kind of links is written."""

    entry: Written
    subentries: Mapping[str, Written]


@dataclass(frozen=True, kw_only=True)
class SiteSubentry:
    """What a file says of a subentry."""

    type: str
    name: str | None
    fields: Fields


@dataclass(frozen=True, kw_only=True)
class SiteEntry:
    """What a file says of an entry."""

    id: str
    """By which it is known again, whatever of it changes."""
    kind: str
    name: str | None
    owned: bool
    """Whether the file owns it: what it no longer names is removed, and a change is told."""
    fields: Fields = field(repr=False)
    subentries: tuple[SiteSubentry, ...] = ()
    secrets: Mapping[str, str] | None = field(default=None, repr=False)
    """The secrets that it may name, where a centre wrote it; None are those of `secrets.yaml`."""


@dataclass(frozen=True, kw_only=True)
class SiteFile:
    """What a file says of a site."""

    entries: tuple[SiteEntry, ...]


async def async_written_kinds(hass: HomeAssistant) -> dict[str, WrittenKind]:
    """Return how each kind is written, in the order of the menu."""
    kinds: dict[str, WrittenKind] = {}
    for kind, module in LINKS.items():
        flows = await module.async_flows(hass)
        if (entry := written_of(flows.FLOW)) is None:
            continue
        subentries = {name: written_of(flow) for name, flow in flows.SUBENTRY_FLOWS.items()}
        kinds[kind] = WrittenKind(
            entry=entry,
            subentries={
                name: written for name, written in subentries.items() if written is not None
            },
        )
    return kinds


def folder_of(hass: HomeAssistant) -> Path:
    """Return the folder of the site file and of its templates."""
    return Path(hass.config.path(DOMAIN))


async def async_read_site_file(hass: HomeAssistant, text: str | None = None) -> SiteFile:
    """Return what a text says, or else what the file in the configuration folder says.

    Raises `SiteFileError`.
    """
    kinds = await async_written_kinds(hass)
    folder = folder_of(hass)

    def read() -> SiteFile:
        return parse_site_file(
            FILE_NAME,
            _text_of(folder / FILE_NAME) if text is None else text,
            kinds,
            template_reader(folder / "templates"),
        )

    return await hass.async_add_executor_job(read)


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as err:
        raise SiteFileError(f"{path.name}: {err}") from err


def template_reader(folder: Path) -> ReadTemplate:
    """Return what reads the user's templates, which come first, and those that are shipped."""

    def read(name: str) -> str:
        paths = shipped_templates() | {path.stem: path for path in folder.glob("*.yaml")}
        if name not in paths:
            raise KeyError(sorted(paths))
        return _text_of(paths[name])

    return read


def shipped_templates() -> dict[str, Path]:
    """Return the files of the templates that the kinds ship, each in a folder of its package."""
    links = Path(__file__).parents[1] / "links"
    return {path.stem: path for path in sorted(links.glob("*/templates/*.yaml"))}


def parse_site_file(
    file: str,
    text: str,
    kinds: Mapping[str, WrittenKind],
    read_template: ReadTemplate,
    own_variables: Mapping[str, Any] = MappingProxyType({}),
    own_secrets: Mapping[str, str] | None = None,
) -> SiteFile:
    """Return what a text says. Raises `SiteFileError`. Blocking: it reads templates.

    Variables of the site's own come before those of the file, which then are defaults. With
    secrets of its own, those of `secrets.yaml` cannot be named.
    """
    document = read_text(file, text)
    faults = Faults()
    if not isinstance(document, Map):
        raise SiteFileError(f"{file}, line 1: expected {KEY_FORMAT} and {KEY_ENTRIES}")
    variables = document.get(KEY_VARIABLES, {})
    if not isinstance(variables, Mapping):
        faults.add(document.places[KEY_VARIABLES], KEY_VARIABLES, "expected names with values")
        variables = {}
    expansion = Expansion(read_template=read_template, faults=faults)
    document.pop(KEY_VARIABLES, None)
    document = expansion.expand(document, {**variables, **own_variables}, document.place)
    # What is missing for lack of a template or a variable is no fault of its own.
    faults.end()
    faults.check_keys(document, FILE_KEYS)
    if document.get(KEY_FORMAT) != FORMAT:
        faults.add(place_of(document, KEY_FORMAT), KEY_FORMAT, f"expected {FORMAT}")
    owned = _flag(document, KEY_OWNED, default=False, faults=faults)
    entries = _items(document, KEY_ENTRIES, faults)
    result = [_entry(raw, kinds, owned, faults) for raw in entries]
    _check_ids(result, entries, faults)
    faults.end()
    return SiteFile(
        entries=tuple(replace(entry, secrets=own_secrets) for entry in result if entry is not None)
    )


def _items(parent: Map, key: str, faults: Faults) -> list[Map]:
    """Return the mappings that a list consists of."""
    if (given := parent.get(key)) is None:
        return []
    if not isinstance(given, Items):
        faults.add(parent.places[key], key, "expected a list")
        return []
    result = []
    for each, place in zip(given, given.places, strict=True):
        if isinstance(each, Map):
            result.append(each)
        else:
            faults.add(place, key, "expected names with values")
    return result


def _flag(parent: Map, key: str, *, default: bool, faults: Faults) -> bool:
    value = parent.get(key, default)
    if isinstance(value, bool):
        return value
    faults.add(parent.places[key], key, "expected true or false")
    return default


def _text(parent: Map, key: str, faults: Faults) -> str | None:
    value = parent.get(key)
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    faults.add(parent.places[key], key, "expected a text; put it in quotes")
    return None


def _entry(
    raw: Map, kinds: Mapping[str, WrittenKind], owned: bool, faults: Faults
) -> SiteEntry | None:
    entry_id, kind = _text(raw, KEY_ID, faults), raw.get(KEY_KIND)
    if entry_id is None or not _ID.fullmatch(entry_id):
        faults.add(
            place_of(raw, KEY_ID), KEY_ID, "expected small letters, digits and _, at most 64"
        )
    if not isinstance(kind, str) or kind not in kinds:
        if KEY_KIND in raw:
            faults.unknown(raw.places[KEY_KIND], str(kind), KEY_KIND, kinds)
        else:
            faults.add(raw.place, KEY_KIND, "is missing")
        return None
    written = kinds[kind]
    name = _text(raw, KEY_NAME, faults)
    return SiteEntry(
        id=entry_id or "",
        kind=kind,
        name=name,
        owned=_flag(raw, KEY_OWNED, default=owned, faults=faults),
        fields=check_fields(written.entry, raw, ENTRY_KEYS, name, faults),
        subentries=tuple(
            subentry
            for each in _items(raw, KEY_SUBENTRIES, faults)
            if (subentry := _subentry(each, written.subentries, faults)) is not None
        ),
    )


def _subentry(raw: Map, kinds: Mapping[str, Written], faults: Faults) -> SiteSubentry | None:
    kind = raw.get(KEY_TYPE)
    if kind is None and len(kinds) == 1:
        kind = next(iter(kinds))
    if not isinstance(kind, str) or kind not in kinds:
        if KEY_TYPE in raw:
            faults.unknown(raw.places[KEY_TYPE], str(kind), KEY_TYPE, kinds)
        else:
            faults.add(raw.place, KEY_TYPE, f"is missing, one of {', '.join(kinds) or 'none'}")
        return None
    name = _text(raw, KEY_NAME, faults)
    written = kinds[kind]
    asked = {str(marker) for schema in written.schemas.values() for marker in fields_in(schema)}
    # A field of a form may have the name that a title has in the file.
    reserved = [key for key in SUBENTRY_KEYS if key not in asked or key == written.name_field]
    return SiteSubentry(
        type=kind, name=name, fields=check_fields(written, raw, reserved, name, faults)
    )


def _check_ids(entries: list[SiteEntry | None], raws: list[Map], faults: Faults) -> None:
    """Check that no two entries have the same id."""
    seen: dict[str, Place] = {}
    for entry, raw in zip(entries, raws, strict=True):
        if entry is None:
            continue
        place = place_of(raw, KEY_ID)
        if entry.id in seen:
            faults.add(place, entry.id, f"another entry has this id, in line {seen[entry.id].line}")
        seen[entry.id] = place
