"""What a plan says, done: by the forms of each kind, and all of an entry or nothing of it."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
import logging
from types import MappingProxyType
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from ..const import DOMAIN
from ..forms.written import Fields, Written
from .export import known
from .fields import map_references
from .form_driver import (
    FormRefusedError,
    async_add_entry,
    async_add_subentry,
    async_change_entry,
    async_change_subentry,
)
from .plan import EntryStep, Plan, Step, as_known, async_secrets, make_plan, with_secrets
from .record import EntryRecord, Record, async_record
from .references import UnresolvedError, device_id_of_reference, entity_id_of_reference
from .site_file import SiteEntry, SiteFile, SiteSubentry, WrittenKind, async_written_kinds

_LOGGER = logging.getLogger(__name__)

APPEARS_WITHIN_S: Final = 15.0
"""How long what an entry refers to may take to appear, after the entry that brings it."""


class Result(StrEnum):
    """What became of an entry."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    UNCHANGED = "unchanged"
    WAITING = "waiting"
    """For a secret, or for a person to agree."""
    FAILED = "failed"


_RESULTS: Final = {
    Step.ADD: Result.ADDED,
    Step.CHANGE: Result.CHANGED,
    Step.REMOVE: Result.REMOVED,
    Step.KEEP: Result.UNCHANGED,
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of an entry, and why."""

    id: str
    title: str
    result: Result
    changes: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    error: str | None = None


@dataclass(kw_only=True)
class _Application:
    """One application of a file."""

    hass: HomeAssistant
    kinds: Mapping[str, WrittenKind]
    record: Record
    secrets: Mapping[str, str]
    given: Mapping[str, str]
    """The secrets that a person gave, for an entry that waited for them."""
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    async def async_run(self, plan: Plan, *, unattended: bool) -> None:
        """Do what a plan says; an entry waits for the entities that another one brings."""
        waiting: list[EntryStep] = []
        for step in plan.steps:
            asks = tuple(key for key in step.asks if key not in self.given)
            if asks or (unattended and step.opens):
                self._note(step, Result.WAITING, asks=asks)
            elif step.step is Step.KEEP:
                await self._async_keep(step)
            elif step.step is Step.REMOVE:
                await self._async_remove(step)
            else:
                waiting.append(step)
        while waiting:
            ready = [step for step in waiting if not self._missing(step)]
            if not ready and not await self._async_anything_appears(waiting):
                ready = waiting
            for step in ready:
                await self._async_do(step)
            waiting = [step for step in waiting if step not in ready]

    async def _async_do(self, step: EntryStep) -> None:
        wanted, kind = step.wanted, self.kinds[step.kind]
        if wanted is None:
            return
        entry = None if step.entry_id is None else self._entry(step.entry_id)
        before = None if entry is None else _Snapshot.of(entry)
        try:
            if entry is None:
                entry = await async_add_entry(
                    self.hass, wanted.kind, kind.entry, self._fields(kind.entry, wanted, {})
                )
            await self._async_bring(entry, step, wanted, kind)
        except (FormRefusedError, UnresolvedError) as err:
            if entry is not None:
                await self._async_undo(entry, before)
            self._note(step, Result.FAILED, error=str(err))
            return
        except BaseException:
            if entry is not None:
                await self._async_undo(entry, before)
            raise
        await self._async_settled(entry)
        self._remember(entry, wanted, kind)
        self._note(step, _RESULTS[step.step])

    async def _async_bring(
        self, entry: ConfigEntry[Any], step: EntryStep, wanted: SiteEntry, kind: WrittenKind
    ) -> None:
        """Make an entry what the file says."""
        hass = self.hass
        if step.step is Step.CHANGE and any(
            not line.startswith("name: ") for line in step.settings
        ):
            await async_change_entry(
                hass, entry, kind.entry, self._fields(kind.entry, wanted, entry.data)
            )
        if wanted.name is not None and wanted.name != entry.title:
            hass.config_entries.async_update_entry(entry, title=wanted.name)
        # What makes room comes first.
        for each in sorted(step.subentries, key=lambda each: each.step is not Step.REMOVE):
            if each.step is Step.REMOVE and each.subentry_id is not None:
                hass.config_entries.async_remove_subentry(entry, each.subentry_id)
            elif each.wanted is not None and each.step is not Step.KEEP:
                await self._async_settled(entry)
                await self._async_bring_subentry(
                    entry, each.subentry_id, each.wanted, kind.subentries[each.wanted.type]
                )

    async def _async_bring_subentry(
        self,
        entry: ConfigEntry[Any],
        subentry_id: str | None,
        wanted: SiteSubentry,
        written: Written,
    ) -> None:
        fields = self._fields(written, wanted, {})
        if wanted.name is not None and written.name_field is not None:
            fields[written.name_field] = wanted.name
        if subentry_id is None:
            subentry_id = await async_add_subentry(self.hass, entry, wanted.type, written, fields)
        else:
            await async_change_subentry(self.hass, entry, subentry_id, written, fields)
        subentry = entry.subentries[subentry_id]
        if wanted.name is not None and wanted.name != subentry.title:
            self.hass.config_entries.async_update_subentry(entry, subentry, title=wanted.name)

    def _fields(
        self, written: Written, wanted: SiteEntry | SiteSubentry, stored: Mapping[str, Any]
    ) -> Fields:
        """Return what the forms are answered with. Raises `UnresolvedError`."""
        fields = with_secrets(wanted.fields, self.secrets, self.given, stored)
        return map_references(
            written,
            fields,
            partial(entity_id_of_reference, self.hass),
            partial(device_id_of_reference, self.hass),
        )

    def _missing(self, step: EntryStep) -> bool:
        """Return whether an entry refers to what is not there."""
        try:
            return any(self.hass.states.get(each) is None for each in self._entities(step))
        except UnresolvedError:
            return True

    def _entities(self, step: EntryStep) -> Iterator[str]:
        wanted, kind = step.wanted, self.kinds[step.kind]
        if wanted is None:
            return
        found: list[str] = []

        def entity(reference: Any) -> str:
            entity_id = entity_id_of_reference(self.hass, reference)
            found.append(entity_id)
            return entity_id

        on_device = partial(device_id_of_reference, self.hass)
        map_references(kind.entry, wanted.fields, entity, on_device)
        for each in step.subentries:
            if each.wanted is not None and each.step is not Step.KEEP:
                written = kind.subentries[each.wanted.type]
                map_references(written, each.wanted.fields, entity, on_device)
        yield from found

    async def _async_anything_appears(self, waiting: list[EntryStep]) -> bool:
        """Wait until one of the entries can be made; False if nothing comes any more."""
        appeared = asyncio.Event()

        @callback
        def look(_: Event[EventStateChangedData]) -> None:
            if any(not self._missing(step) for step in waiting):
                appeared.set()

        stop = self.hass.bus.async_listen(EVENT_STATE_CHANGED, look)
        try:
            async with asyncio.timeout(APPEARS_WITHIN_S):
                await appeared.wait()
        except TimeoutError:
            return False
        finally:
            stop()
        return True

    async def _async_keep(self, step: EntryStep) -> None:
        if step.wanted is not None and step.entry_id is not None:
            entry = self._entry(step.entry_id)
            self._remember(entry, step.wanted, self.kinds[step.kind])
        self._note(step, Result.UNCHANGED)

    async def _async_remove(self, step: EntryStep) -> None:
        if step.entry_id is not None:
            await self.hass.config_entries.async_remove(step.entry_id)
            self.record.entries.pop(step.entry_id, None)
        self._note(step, Result.REMOVED)

    async def _async_undo(self, entry: ConfigEntry[Any], before: _Snapshot | None) -> None:
        """Take back what was made or changed of an entry."""
        if before is None:
            await self.hass.config_entries.async_remove(entry.entry_id)
            return
        before.restore(self.hass, entry)
        await self._async_settled(entry)

    async def _async_settled(self, entry: ConfigEntry[Any]) -> None:
        """Wait until an entry is not on its way up or down."""
        # A change is heard in a task, which gives way once before it reloads.
        for _ in range(3):
            await asyncio.sleep(0)
        async with entry.setup_lock:
            pass

    def _entry(self, entry_id: str) -> ConfigEntry[Any]:
        return self.hass.config_entries.async_get_known_entry(entry_id)

    def _remember(self, entry: ConfigEntry[Any], wanted: SiteEntry, kind: WrittenKind) -> None:
        self.record.entries[entry.entry_id] = EntryRecord(
            id=wanted.id,
            owned=wanted.owned,
            file=as_known(wanted),
            written=known(self.hass, entry, kind),
            pulled=wanted.secrets is not None,
        )
        ir.async_delete_issue(self.hass, DOMAIN, drift_issue_id(entry.entry_id))

    def _note(
        self,
        step: EntryStep,
        result: Result,
        *,
        asks: tuple[str, ...] = (),
        error: str | None = None,
    ) -> None:
        self.outcomes[step.id] = Outcome(
            id=step.id,
            title=step.title,
            result=result,
            changes=tuple(step.lines()),
            asks=asks,
            error=error,
        )
        if asks and step.wanted is not None:
            self.record.wanted[step.id] = step.wanted
            self._ask(step, asks)
        elif result in (Result.ADDED, Result.CHANGED, Result.UNCHANGED):
            self.record.wanted.pop(step.id, None)
            ir.async_delete_issue(self.hass, DOMAIN, secrets_issue_id(step.id))

    def _ask(self, step: EntryStep, asks: tuple[str, ...]) -> None:
        ir.async_create_issue(
            self.hass,
            DOMAIN,
            secrets_issue_id(step.id),
            data={"site_entry": step.id, "asks": ",".join(asks)},
            is_fixable=True,
            severity=ir.IssueSeverity.WARNING,
            translation_key="secrets_wanted",
            translation_placeholders={"title": step.title},
        )


def secrets_issue_id(site_id: str) -> str:
    """Return the id of the issue that asks for the secrets of an entry."""
    return f"secrets_wanted_{site_id}"


def drift_issue_id(entry_id: str) -> str:
    """Return the id of the issue that tells of a change by hand."""
    return f"configuration_drift_{entry_id}"


@dataclass(frozen=True, kw_only=True)
class _Snapshot:
    """An entry as it was."""

    data: Mapping[str, Any]
    title: str
    unique_id: str | None
    subentries: Mapping[str, ConfigSubentry]

    @classmethod
    def of(cls, entry: ConfigEntry[Any]) -> _Snapshot:
        """Return an entry as it is."""
        return cls(
            data=entry.data,
            title=entry.title,
            unique_id=entry.unique_id,
            subentries=MappingProxyType(
                {
                    key: ConfigSubentry(
                        data=each.data,
                        subentry_id=each.subentry_id,
                        subentry_type=each.subentry_type,
                        title=each.title,
                        unique_id=each.unique_id,
                    )
                    for key, each in entry.subentries.items()
                }
            ),
        )

    def restore(self, hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
        """Make an entry what it was."""
        entries = hass.config_entries
        entries.async_update_entry(
            entry, data=self.data, title=self.title, unique_id=self.unique_id
        )
        for key in [key for key in entry.subentries if key not in self.subentries]:
            entries.async_remove_subentry(entry, key)
        for key, subentry in self.subentries.items():
            if (present := entry.subentries.get(key)) is None:
                entries.async_add_subentry(entry, subentry)
            else:
                entries.async_update_subentry(
                    entry,
                    present,
                    data=subentry.data,
                    title=subentry.title,
                    unique_id=subentry.unique_id,
                )


async def async_plan(hass: HomeAssistant, file: SiteFile) -> Plan:
    """Return what a file would change. Raises `SiteFileError`."""
    kinds = await async_written_kinds(hass)
    record = await async_record(hass)
    secrets = await async_secrets(hass, file)
    return make_plan(hass, file, kinds, record, secrets)


async def async_apply(
    hass: HomeAssistant, file: SiteFile, *, unattended: bool = False
) -> list[Outcome]:
    """Do what a file says, and return what became of each entry. Raises `SiteFileError`.

    Unattended, what lets others in, or lets them do something, waits for a person.
    """
    record = await async_record(hass)
    async with record.lock:
        return await _async_apply(hass, file, record, {}, unattended=unattended, whole=True)


async def async_apply_entry(
    hass: HomeAssistant, wanted: SiteEntry, given: Mapping[str, str]
) -> Outcome:
    """Do what a file says of one entry, with secrets that a person gave for it.

    Raises `SiteFileError`.
    """
    record = await async_record(hass)
    async with record.lock:
        file = SiteFile(entries=(wanted,))
        (outcome,) = await _async_apply(hass, file, record, given, unattended=False, whole=False)
        return outcome


async def _async_apply(
    hass: HomeAssistant,
    file: SiteFile,
    record: Record,
    given: Mapping[str, str],
    *,
    unattended: bool,
    whole: bool,
) -> list[Outcome]:
    kinds = await async_written_kinds(hass)
    secrets = await async_secrets(hass, file)
    plan = make_plan(hass, file, kinds, record, secrets)
    if not whole:  # What the others are is no matter of one entry.
        plan = Plan(steps=tuple(step for step in plan.steps if step.step is not Step.REMOVE))
    application = _Application(hass=hass, kinds=kinds, record=record, secrets=secrets, given=given)
    try:
        await application.async_run(plan, unattended=unattended)
    finally:
        await record.async_save()
    for outcome in application.outcomes.values():
        if outcome.error is not None:
            _LOGGER.warning("%s of the site file: %s", outcome.id, outcome.error)
    return [application.outcomes[step.id] for step in plan.steps]
