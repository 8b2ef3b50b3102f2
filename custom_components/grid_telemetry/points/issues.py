"""Repair issues for points that stay without a value."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
import time
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_DEVICE_CLASS
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, State, callback
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.helpers.event import async_track_time_interval

from ..connection.issues import clear_issues
from ..const import DOMAIN
from .point import Point, Refusal, entity_id_of, evaluate, unit_in

CHECK_INTERVAL: Final = timedelta(minutes=5)
UNAVAILABLE_AFTER_S: Final = 24 * 3600
"""So long an entity may be without a value before it is reported."""
UNUSABLE_AFTER_S: Final = 15 * 60
"""So long a state may be no number, or in a unit that does not fit, before it is reported."""

ENTITY_REMOVED: Final = "entity_removed"
"""The issue of an entity that is gone from the registry."""

_UNAVAILABLE: Final = ("entity_unavailable", UNAVAILABLE_AFTER_S)
_NOT_NUMERIC: Final = ("entity_not_numeric", UNUSABLE_AFTER_S)
_ISSUES: Final[Mapping[Refusal, tuple[str, float]]] = {
    Refusal.MISSING: _UNAVAILABLE,
    Refusal.UNAVAILABLE: _UNAVAILABLE,
    Refusal.UNKNOWN: _UNAVAILABLE,
    Refusal.NOT_NUMERIC: _NOT_NUMERIC,
    Refusal.NOT_FINITE: _NOT_NUMERIC,
    Refusal.WRONG_UNIT: ("entity_wrong_unit", UNUSABLE_AFTER_S),
}


class PointIssues:
    """Looks at the points now and then, and raises or clears the issue of each.

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
        self._points = {
            f"point_{entry.entry_id}_{point.name}_{point.entity}": point for point in points
        }
        self._refused: dict[str, tuple[str, float]] = {}  # issue id → translation key, since when
        self._last: dict[str, dict[str, str | float | None]] = {}
        """By issue id, what is good to know of an entity once it is gone."""
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
        clear_issues(self._hass, self._refused)
        self._refused.clear()

    @callback
    def _concerns_us(self, event_data: er.EventEntityRegistryUpdatedData) -> bool:
        """Return whether an entity of ours was removed, or one came that we may be missing."""
        if event_data["action"] == "remove":
            return event_data["entity_id"] in self._entity_ids
        return event_data["action"] == "create" and any(
            key == ENTITY_REMOVED for key, _ in self._refused.values()
        )

    @callback
    def _check(self, _: object = None) -> None:
        self._entity_ids.clear()
        for issue_id, point in self._points.items():
            if (entity_id := entity_id_of(self._hass, point)) is None:
                self._refuse(
                    issue_id, point, (ENTITY_REMOVED, 0), last_entity_id(self._hass, point)
                )
                continue
            self._entity_ids.add(entity_id)
            state = self._hass.states.get(entity_id)
            if isinstance(refusal := evaluate(state, point), Refusal):
                self._refuse(issue_id, point, _ISSUES[refusal], entity_id, state)
                continue
            if state is not None:
                self._remember(issue_id, state)
            if self._refused.pop(issue_id, None):
                ir.async_delete_issue(self._hass, DOMAIN, issue_id)

    def _remember(self, issue_id: str, state: State) -> None:
        """Take note of a state that is a number, as the entity itself shows it."""
        self._last[issue_id] = {
            "last_value": float(state.state),
            "unit": unit_in(state),
            "device_class": state.attributes.get(ATTR_DEVICE_CLASS),
        }

    def _refuse(
        self,
        issue_id: str,
        point: Point,
        issue: tuple[str, float],
        entity_id: str,
        state: State | None = None,
    ) -> None:
        """Take note of a point without a value, and raise its issue when it has been so long."""
        key, after_s = issue
        now = time.time()
        known_key, since = self._refused.get(issue_id, (key, now))
        if known_key != key:
            since = now
            ir.async_delete_issue(self._hass, DOMAIN, issue_id)
        if issue is _UNAVAILABLE and state is not None:
            since = state.last_changed_timestamp
        self._refused[issue_id] = (key, since)
        if now - since < after_s:
            return
        is_gone = key == ENTITY_REMOVED
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id,
            data=(
                gone_data(self._entry, point, entity_id, self._last.get(issue_id))
                if is_gone
                else None
            ),
            is_fixable=is_gone,
            severity=ir.IssueSeverity.WARNING,
            translation_key=key,
            translation_placeholders={
                "name": point.name,
                "entity": entity_id,
                "title": self._entry.title,
                "state": "" if state is None else state.state[:80],
                "unit": _unit(state) or "-",
                "wanted_unit": point.unit or "-",
            },
        )


def gone_data(
    entry: ConfigEntry[Any],
    point: Point,
    entity_id: str,
    last: Mapping[str, str | float | None] | None = None,
) -> dict[str, str | int | float | None]:
    """Return what the repair of an entity that is gone needs (`repairs.py`)."""
    return {
        "unit": point.unit,
        **({} if last is None else last),
        "entry_id": entry.entry_id,
        "entity": point.entity,
        "entity_id": entity_id,
        "name": point.name,
    }


def _unit(state: State | None) -> str | None:
    return None if state is None else unit_in(state)


def removed_entity(hass: HomeAssistant, entity: str) -> er.DeletedRegistryEntry | None:
    """Return what the registry remembers of an entity that a point refers to."""
    removed = er.async_get(hass).deleted_entities.values()
    return next((entry for entry in removed if entry.id == entity), None)


def last_entity_id(hass: HomeAssistant, point: Point) -> str:
    """Return the name that a removed entity had, while the registry remembers it."""
    known = removed_entity(hass, point.entity)
    return point.entity if known is None else known.entity_id
