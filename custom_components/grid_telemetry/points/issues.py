"""Repair issues for points that stay without a value."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
import json
import time
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_DEVICE_CLASS
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, State, callback
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.event import async_track_time_interval

from ..connection.issues import clear_issues
from ..const import DOMAIN
from .point import Point, Refusal, entity_id_of, evaluate, unit_in

CHECK_INTERVAL: Final = timedelta(minutes=5)
UNAVAILABLE_AFTER_S: Final = 24 * 3600
"""So long an entity may be without a value before it is reported."""
UNUSABLE_AFTER_S: Final = 15 * 60
"""So long a state may be no number, or in a unit that does not fit, before it is reported."""

ENTITIES_REMOVED: Final = "entities_removed"
"""The issue of entities that are gone from the registry."""
ENTITIES_UNAVAILABLE: Final = "entities_unavailable"
_FIXABLE: Final = (ENTITIES_REMOVED, ENTITIES_UNAVAILABLE)
_MAX_LISTED: Final = 50

_UNAVAILABLE: Final = (ENTITIES_UNAVAILABLE, UNAVAILABLE_AFTER_S)
_NOT_NUMERIC: Final = ("entities_not_numeric", UNUSABLE_AFTER_S)
_ISSUES: Final[Mapping[Refusal, tuple[str, float]]] = {
    Refusal.MISSING: _UNAVAILABLE,
    Refusal.UNAVAILABLE: _UNAVAILABLE,
    Refusal.UNKNOWN: _UNAVAILABLE,
    Refusal.NOT_NUMERIC: _NOT_NUMERIC,
    Refusal.NOT_FINITE: _NOT_NUMERIC,
    Refusal.WRONG_UNIT: ("entities_wrong_unit", UNUSABLE_AFTER_S),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Faulty:
    """A point that has been without a value for long enough to be told."""

    point: Point
    key: str
    """The translation key of its issue."""
    entity_id: str
    state: State | None

    def line(self) -> str:
        """Return what the list of the issue says of it."""
        text = f"- {self.point.name}: `{self.entity_id}`"
        if self.state is None or self.key == ENTITIES_UNAVAILABLE:
            return text
        unit = unit_in(self.state) or "-"
        if self.key == "entities_wrong_unit":
            return f"{text}: {unit} → {self.point.unit or '-'}"
        return f"{text}: {self.state.state[:80]}"


class PointIssues:
    """Looks at the points now and then; one issue stands for all of a device with the same fault.

    An entity whose registry entry is gone is reported at once. For how long one has been
    unavailable its state tells, whose time begins anew with Home Assistant: nothing is reported
    right after a restart.
    """

    def __init__(
        self, hass: HomeAssistant, entry: ConfigEntry[Any], points: Sequence[Point]
    ) -> None:
        """Prepare; `start` does the first check."""
        self._hass = hass
        self._entry = entry
        self._points = tuple(points)
        self._refused: dict[Point, tuple[str, float]] = {}  # translation key, since when
        self._last: dict[str, dict[str, str | float | None]] = {}
        """By entity as points refer to it, what is good to know of one once it is gone."""
        self._devices: dict[str, str] = {}
        """The device of each entity, which the registry does not remember once it is gone."""
        self._device_names: dict[str, str] = {}
        self._raised: set[str] = set()
        self._entity_ids: set[str] = set()
        self._unlisten: list[CALLBACK_TYPE] = []

    @callback
    def start(self) -> None:
        """Check at once, now and then, and when an entity is removed or comes back."""
        self._unlisten = [
            async_track_time_interval(self._hass, self._check, CHECK_INTERVAL),
            self._hass.bus.async_listen(
                er.EVENT_ENTITY_REGISTRY_UPDATED, self._check, self._concerns_us
            ),
        ]
        self._check()

    @callback
    def stop(self) -> None:
        """End and clear the issues; those that stand are raised again by the next start."""
        while self._unlisten:
            self._unlisten.pop()()
        clear_issues(self._hass, self._raised)
        self._raised.clear()
        self._refused.clear()

    @callback
    def _concerns_us(self, event_data: er.EventEntityRegistryUpdatedData) -> bool:
        """Return whether an entity of ours was removed, or one came that we may be missing."""
        if event_data["action"] == "remove":
            return event_data["entity_id"] in self._entity_ids
        return event_data["action"] == "create" and any(
            key == ENTITIES_REMOVED for key, _ in self._refused.values()
        )

    @callback
    def _check(self, _: object = None) -> None:
        self._entity_ids.clear()
        by_issue: dict[str, list[_Faulty]] = {}
        for point in self._points:
            if (faulty := self._look(point)) is not None:
                issue_id = f"{faulty.key}_{self._entry.entry_id}_{self._source(point)}"
                by_issue.setdefault(issue_id, []).append(faulty)
        for issue_id in self._raised - by_issue.keys():
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)
        self._raised = set(by_issue)
        for issue_id, faults in by_issue.items():
            self._raise(issue_id, faults)

    def _look(self, point: Point) -> _Faulty | None:
        """Return a point that has been without a value for long enough to be told."""
        entity_id = entity_id_of(self._hass, point)
        if entity_id is None:
            self._refused[point] = (ENTITIES_REMOVED, 0.0)
            last = last_entity_id(self._hass, point)
            return _Faulty(point=point, key=ENTITIES_REMOVED, entity_id=last, state=None)
        self._entity_ids.add(entity_id)
        self._remember_device(point)
        state = self._hass.states.get(entity_id)
        if not isinstance(refusal := evaluate(state, point), Refusal):
            if state is not None:
                self._remember(point, state)
            self._refused.pop(point, None)
            return None
        issue = key, after_s = _ISSUES[refusal]
        now = time.time()
        known_key, since = self._refused.get(point, (key, now))
        if known_key != key:
            since = now
        if issue is _UNAVAILABLE and state is not None:
            since = state.last_changed_timestamp
        self._refused[point] = (key, since)
        if now - since < after_s:
            return None
        return _Faulty(point=point, key=key, entity_id=entity_id, state=state)

    def _remember_device(self, point: Point) -> None:
        entry = er.async_get(self._hass).entities.get_entry(point.entity)
        if entry is None or entry.device_id is None:
            self._devices.pop(point.entity, None)
            return
        self._devices[point.entity] = entry.device_id
        device = dr.async_get(self._hass).async_get(entry.device_id)
        if device is not None:
            name = device.name_by_user or device.name or ""
            self._device_names[entry.device_id] = name

    def _source(self, point: Point) -> str:
        """Return what a point's issue is shared by: its device, as far as it is known."""
        if (device_id := self._devices.get(point.entity)) is not None:
            return device_id
        removed = removed_entity(self._hass, point.entity)
        # Who had it is all that is known of one that was removed before Home Assistant started.
        return point.entity if removed is None else f"{removed.platform}_{removed.config_entry_id}"

    def _remember(self, point: Point, state: State) -> None:
        """Take note of a state that is a number, as the entity itself shows it."""
        self._last[point.entity] = {
            "last_value": float(state.state),
            "unit": unit_in(state),
            "device_class": state.attributes.get(ATTR_DEVICE_CLASS),
        }

    def _raise(self, issue_id: str, faults: Sequence[_Faulty]) -> None:
        """Raise, or bring up to date, the issue of the points of one device."""
        key = faults[0].key
        entity_ids = {faulty.entity_id for faulty in faults}
        device = self._device_names.get(self._devices.get(faults[0].point.entity, ""), "")
        source = ", ".join(sorted(entity_ids)) if len(entity_ids) == 1 else device
        is_fixable = key in _FIXABLE
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id,
            data=(
                fix_data(
                    self._entry,
                    [
                        gone_data(
                            faulty.point, faulty.entity_id, self._last.get(faulty.point.entity)
                        )
                        for faulty in faults
                    ],
                )
                if is_fixable
                else None
            ),
            is_fixable=is_fixable,
            severity=ir.IssueSeverity.WARNING,
            translation_key=key,
            translation_placeholders={
                "source": source or f"{min(entity_ids)}, …",
                "title": self._entry.title,
                "points": listed(faulty.line() for faulty in faults),
            },
        )


def listed(lines: Iterable[str]) -> str:
    """Return lines as a text that is not longer than anybody reads."""
    every = list(lines)
    more = len(every) - _MAX_LISTED
    return "\n".join([*every[:_MAX_LISTED], *([f"- … (+{more})"] if more > 0 else [])])


type GoneData = dict[str, str | float | None]


def gone_data(
    point: Point, entity_id: str, last: Mapping[str, str | float | None] | None = None
) -> GoneData:
    """Return what the repair of a point without its entity needs (`repairs.py`)."""
    return {
        "unit": point.unit,
        **({} if last is None else last),
        "entity": point.entity,
        "entity_id": entity_id,
        "name": point.name,
    }


def fix_data(
    entry: ConfigEntry[Any], points: Sequence[GoneData]
) -> dict[str, str | int | float | None]:
    """Return the data of an issue about points, which may hold plain values only."""
    return {"entry_id": entry.entry_id, "points": json.dumps(points)}


def removed_entity(hass: HomeAssistant, entity: str) -> er.DeletedRegistryEntry | None:
    """Return what the registry remembers of an entity that a point refers to."""
    removed = er.async_get(hass).deleted_entities.values()
    return next((entry for entry in removed if entry.id == entity), None)


def last_entity_id(hass: HomeAssistant, point: Point) -> str:
    """Return the name that a removed entity had, while the registry remembers it."""
    known = removed_entity(hass, point.entity)
    return point.entity if known is None else known.entity_id
