"""What a file would change: told before anything is done, and what is done then."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
import json
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.yaml import SECRET_YAML, load_yaml_dict

from ..const import CONF_KIND
from ..forms.written import ASK, Ask, Fields, Written
from .document import Faults, Place, SecretName, SiteFileError
from .export import exported_fields, known, our_entries
from .fields import kept, map_references
from .record import EntryRecord, Known, Record
from .references import UnresolvedError, device_id_of_reference, entity_id_of_reference
from .site_file import (
    KEY_KIND,
    KEY_NAME,
    KEY_SUBENTRIES,
    KEY_TYPE,
    SiteEntry,
    SiteFile,
    SiteSubentry,
    WrittenKind,
)

_HEAD: Final = frozenset({KEY_KIND, KEY_NAME, KEY_SUBENTRIES, KEY_TYPE})
_SHOWN_CHARS: Final = 200


class Step(StrEnum):
    """What becomes of an entry or a subentry."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    KEEP = "keep"


@dataclass(frozen=True, kw_only=True)
class SubentryStep:
    """What becomes of a subentry."""

    step: Step
    wanted: SiteSubentry | None
    """None for one that is removed."""
    subentry_id: str | None
    """None for one that is added."""
    title: str
    changes: tuple[str, ...] = ()
    opens: bool = False


@dataclass(frozen=True, kw_only=True)
class EntryStep:
    """What becomes of an entry."""

    step: Step
    id: str
    kind: str
    title: str
    wanted: SiteEntry | None
    """None for one that is removed."""
    entry_id: str | None
    """None for one that is added."""
    settings: tuple[str, ...] = ()
    """What of its own fields changes."""
    subentries: tuple[SubentryStep, ...] = ()
    asks: tuple[str, ...] = ()
    """The secrets that nobody has given yet."""
    opens: bool = False
    """Whether a person has to agree: it lets others in, or lets them do something."""

    def lines(self) -> list[str]:
        """Return what changes, a line each."""
        return [
            *self.settings,
            *(
                f"{each.wanted.type if each.wanted else ''} {each.title}: {each.step}".strip()
                if not each.changes
                else f"{each.title}: {change}"
                for each in self.subentries
                if each.step is not Step.KEEP
                for change in (each.changes or ("",))
            ),
        ]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a file would do."""

    steps: tuple[EntryStep, ...] = field(default=())

    def of(self, step: Step) -> list[EntryStep]:
        """Return the entries that one thing becomes of."""
        return [each for each in self.steps if each.step is step]


def secret_names(entries: Iterable[SiteEntry]) -> set[str]:
    """Return the secrets that entries name."""
    return {
        value.name
        for entry in entries
        for value in entry.fields.values()
        if isinstance(value, SecretName)
    }


async def async_secrets(hass: HomeAssistant, file: SiteFile) -> dict[str, str]:
    """Return the secrets that a file names. Raises `SiteFileError` for one that there is not.

    A centre's file has those of the enrolment only: it could send any other one away.
    """
    found: dict[str, str] = {}
    for entry in file.entries:
        if entry.secrets is not None:
            found |= _known_secrets("enrolment", secret_names([entry]), entry.secrets)
    if names := secret_names(entry for entry in file.entries if entry.secrets is None):
        try:
            known = await hass.async_add_executor_job(load_yaml_dict, hass.config.path(SECRET_YAML))
        except (HomeAssistantError, OSError) as err:
            raise SiteFileError(f"{SECRET_YAML}: {err}") from err
        found |= _known_secrets(SECRET_YAML, names, known)
    return found


def _known_secrets(source: str, names: set[str], known: Mapping[str, Any]) -> dict[str, str]:
    faults = Faults()
    for name in sorted(names - known.keys()):
        faults.unknown(Place(file=source, line=1), name, "secret", known)
    faults.end()
    return {name: str(known[name]) for name in names}


def make_plan(
    hass: HomeAssistant,
    file: SiteFile,
    kinds: Mapping[str, WrittenKind],
    record: Record,
    secrets: Mapping[str, str],
) -> Plan:
    """Return what a file would change; nothing is done."""
    entries = our_entries(hass, kinds)
    matched = _matched(file, entries, record)
    steps = [
        _entry_step(hass, wanted, matched.get(wanted.id), kinds[wanted.kind], record, secrets)
        for wanted in file.entries
    ]
    named = {entry.entry_id for entry in matched.values()}
    gone = [
        entry
        for entry in entries
        if entry.entry_id not in named
        and (remembered := record.entries.get(entry.entry_id)) is not None
        and remembered.owned
    ]
    steps += [
        EntryStep(
            step=Step.REMOVE,
            id=record.entries[entry.entry_id].id,
            kind=entry.data[CONF_KIND],
            title=entry.title,
            wanted=None,
            entry_id=entry.entry_id,
        )
        for entry in gone
    ]
    return Plan(steps=tuple(steps))


def _matched(
    file: SiteFile, entries: list[ConfigEntry[Any]], record: Record
) -> dict[str, ConfigEntry[Any]]:
    """Return the entry of each id: the remembered one, else the one of its kind and name."""
    by_id = {
        record.entries[entry.entry_id].id: entry
        for entry in entries
        if entry.entry_id in record.entries
    }
    free = [entry for entry in entries if entry.entry_id not in record.entries]
    for wanted in file.entries:
        if wanted.id in by_id:
            continue
        same = [
            entry
            for entry in free
            if entry.data[CONF_KIND] == wanted.kind and wanted.name in (None, entry.title)
        ]
        if len(same) == 1:
            by_id[wanted.id] = same[0]
            free.remove(same[0])
    return {wanted.id: by_id[wanted.id] for wanted in file.entries if wanted.id in by_id}


def _entry_step(
    hass: HomeAssistant,
    wanted: SiteEntry,
    entry: ConfigEntry[Any] | None,
    kind: WrittenKind,
    record: Record,
    secrets: Mapping[str, str],
) -> EntryStep:
    if entry is None:
        return EntryStep(
            step=Step.ADD,
            id=wanted.id,
            kind=wanted.kind,
            title=wanted.name or wanted.id,
            wanted=wanted,
            entry_id=None,
            subentries=tuple(_new(each, kind) for each in wanted.subentries),
            asks=tuple(key for key, value in wanted.fields.items() if isinstance(value, Ask)),
            opens=kind.entry.opens
            or any(wanted.fields.get(key) for key in kind.entry.opening_fields)
            or any(kind.subentries[each.type].opens for each in wanted.subentries),
        )
    remembered = record.entries.get(entry.entry_id)
    present = known(hass, entry, kind)
    settings = _changes(hass, kind.entry, wanted.fields, present, _own(remembered, "file"))
    drifted = [] if remembered is None else _drift(remembered.written, present)
    settings += [line for line in drifted if line not in settings]
    if wanted.name is not None and wanted.name != entry.title:
        settings.append(f"{KEY_NAME}: {entry.title} → {wanted.name}")
    settings += [
        f"{key}: !secret {value.name}"
        for key, value in wanted.fields.items()
        if isinstance(value, SecretName)
        and key in entry.data
        and entry.data[key] != secrets[value.name]
    ]
    subentries = _subentry_steps(hass, wanted, entry, kind, remembered)
    changes = bool(settings) or any(each.step is not Step.KEEP for each in subentries)
    return EntryStep(
        step=Step.CHANGE if changes else Step.KEEP,
        id=wanted.id,
        kind=wanted.kind,
        title=entry.title,
        wanted=wanted,
        entry_id=entry.entry_id,
        settings=tuple(settings),
        subentries=tuple(subentries),
        opens=bool(settings and kind.entry.opens)
        or any(line.split(":")[0] in kind.entry.opening_fields for line in settings)
        or any(each.opens for each in subentries),
    )


def _new(wanted: SiteSubentry, kind: WrittenKind) -> SubentryStep:
    return SubentryStep(
        step=Step.ADD,
        wanted=wanted,
        subentry_id=None,
        title=wanted.name or " ".join(_identity(kind.subentries[wanted.type], wanted.fields)),
        opens=kind.subentries[wanted.type].opens,
    )


def _own(remembered: EntryRecord | None, which: str) -> Known | None:
    return None if remembered is None else getattr(remembered, which)


def _identity(written: Written, fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a subentry is known by, as texts."""
    return tuple(
        value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key in written.identity
        if (value := fields.get(key)) is not None
    )


def _normal(hass: HomeAssistant, written: Written, fields: Mapping[str, Any]) -> Fields:
    """Return fields that can be compared: entities by their ids, as far as they are there."""

    def found(resolve: Any) -> Any:
        def of(reference: Any) -> Any:
            try:
                return resolve(hass, reference)
            except UnresolvedError:
                return reference

        return of

    try:
        return map_references(
            written, fields, found(entity_id_of_reference), found(device_id_of_reference)
        )
    except KeyError:  # what is stored is of another choice
        return dict(fields)


def _changes(
    hass: HomeAssistant,
    written: Written,
    wanted: Fields,
    present: Known,
    file_before: Known | None,
) -> list[str]:
    """Return what of the fields changes.

    What the file said before tells what it changes; without that, what is there.
    """
    after = _normal(hass, written, kept(wanted))
    if file_before is not None:
        before = _normal(hass, written, file_before)
        keys = [key for key in {**after, **before} if key not in _HEAD]
    else:
        before = _normal(hass, written, present)
        keys = [key for key in after if not isinstance(wanted.get(key), Ask | SecretName)]
    return [
        line
        for key in keys
        if before.get(key) != after.get(key)
        for line in _difference(key, before.get(key), after.get(key))
    ]


def _drift(written: Known, present: Known) -> list[str]:
    """Return what of the fields is not as the file's application left it."""
    return [
        line
        for key in {**written, **present}
        if key not in _HEAD and written.get(key) != present.get(key)
        for line in _difference(key, present.get(key), written.get(key))
    ]


def _difference(key: str, before: Any, after: Any) -> list[str]:
    """Return a line for each value that differs."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [
            (f"{key}[{number + 1}]", *each)
            for number, each in enumerate(zip(before, after, strict=True))
        ]
    elif isinstance(before, Mapping) and isinstance(after, Mapping) and before and after:
        pairs = [
            (f"{key}.{name}", before.get(name), after.get(name)) for name in {**before, **after}
        ]
    elif isinstance(before, list) and isinstance(after, list):
        return [
            *(f"{key}: - {_shown(each)}" for each in before if each not in after),
            *(f"{key}: + {_shown(each)}" for each in after if each not in before),
        ] or [f"{key}: {len(before)} → {len(after)}"]
    else:
        return [f"{key}: {_shown(before)} → {_shown(after)}"]
    return [line for name, old, new in pairs if old != new for line in _difference(name, old, new)]


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _subentry_steps(
    hass: HomeAssistant,
    wanted: SiteEntry,
    entry: ConfigEntry[Any],
    kind: WrittenKind,
    remembered: EntryRecord | None,
) -> list[SubentryStep]:
    """Return what becomes of the subentries of an entry."""

    def key(subentry_type: str, fields: Mapping[str, Any]) -> tuple[str, ...]:
        written = kind.subentries[subentry_type]
        return (subentry_type, *_identity(written, _normal(hass, written, fields)))

    def remembered_by_key(which: str) -> dict[tuple[str, ...], Known]:
        own = _own(remembered, which) or {}
        return {key(each[KEY_TYPE], each): each for each in own.get(KEY_SUBENTRIES, ())}

    present: dict[tuple[str, ...], tuple[ConfigSubentry, Known]] = {}
    for subentry in entry.subentries.values():
        if (written := kind.subentries.get(subentry.subentry_type)) is not None:
            fields = kept(exported_fields(hass, written, subentry.data))
            # A title may be what a subentry is known by.
            fields.setdefault(KEY_NAME, subentry.title)
            present[key(subentry.subentry_type, fields)] = subentry, fields
    before, left = remembered_by_key("file"), remembered_by_key("written")
    steps: list[SubentryStep] = []
    for each in wanted.subentries:
        fields = {KEY_NAME: each.name, **kept(each.fields)}
        own_key = key(each.type, fields)
        written = kind.subentries[each.type]
        if own_key not in present:
            steps.append(_new(each, kind))
            continue
        subentry, there = present.pop(own_key)
        changes = _changes(hass, written, each.fields, there, before.get(own_key))
        if own_key in left:
            changes += [line for line in _drift(left[own_key], there) if line not in changes]
        if each.name is not None and each.name != subentry.title:
            changes.append(f"{KEY_NAME}: {subentry.title} → {each.name}")
        steps.append(
            SubentryStep(
                step=Step.CHANGE if changes else Step.KEEP,
                wanted=each,
                subentry_id=subentry.subentry_id,
                title=subentry.title,
                changes=tuple(changes),
                opens=bool(changes and written.opens),
            )
        )
    if wanted.owned:
        steps += [
            SubentryStep(
                step=Step.REMOVE,
                wanted=None,
                subentry_id=subentry.subentry_id,
                title=subentry.title,
            )
            for subentry, _ in present.values()
        ]
    return steps


def as_known(wanted: SiteEntry) -> Known:
    """Return what a file says of an entry, as it is remembered."""
    result: Known = kept({KEY_KIND: wanted.kind, KEY_NAME: wanted.name, **wanted.fields})
    if wanted.subentries:
        result[KEY_SUBENTRIES] = [
            kept({KEY_TYPE: each.type, KEY_NAME: each.name, **each.fields})
            for each in wanted.subentries
        ]
    return result


def wanted_of(
    remembered: EntryRecord, kind: WrittenKind, own_secrets: Mapping[str, str]
) -> SiteEntry:
    """Return what a file said of an entry, as it was remembered."""

    def fields(known_as: Known, written: Written) -> Fields:
        secrets = written.secrets(known_as)
        return {
            key: _secret(value) if key in secrets else value
            for key, value in known_as.items()
            if key not in _HEAD
        }

    file = remembered.file
    return SiteEntry(
        id=remembered.id,
        kind=file[KEY_KIND],
        name=file[KEY_NAME],
        owned=remembered.owned,
        fields=fields(file, kind.entry),
        subentries=tuple(
            SiteSubentry(
                type=each[KEY_TYPE],
                name=each[KEY_NAME],
                fields=fields(each, kind.subentries[each[KEY_TYPE]]),
            )
            for each in file.get(KEY_SUBENTRIES, ())
        ),
        secrets=own_secrets if remembered.pulled else None,
    )


def _secret(kept_as: str) -> Ask | SecretName:
    name = kept_as.removeprefix("!secret ")
    return ASK if name == kept_as else SecretName(name)


def with_secrets(
    fields: Fields,
    secrets: Mapping[str, str],
    given: Mapping[str, str],
    stored: Mapping[str, Any],
) -> Fields:
    """Return the fields with their secrets: by name, as given, or as they are stored."""
    result: Fields = {}
    for key, value in fields.items():
        if isinstance(value, SecretName):
            result[key] = secrets[value.name]
        elif value != ASK:
            result[key] = value
        elif key in given:
            result[key] = given[key]
        elif key in stored:
            result[key] = stored[key]
    return result
