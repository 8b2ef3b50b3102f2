"""Alarms: the changes of a binary sensor as events of the platform."""

from collections.abc import Callable, Mapping
import json
import time
from typing import Any, Final

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import (
    async_track_entity_registry_updated_event,
    async_track_state_change_event,
)

from ...connection.issues import Issues
from ...link import GridTelemetryConfigEntry
from ...outbox.store import Mark, Outbox, Record
from ...points.issues import ENTITIES_REMOVED, fix_data, gone_data, last_entity_id
from ...points.point import Point, entity_id_of, moves_an_entity
from ...points.table import CONF_ENTITY
from .const import (
    CONF_CUSTOM_NAME,
    CONF_EVENT_TYPE,
    CONF_GATEWAY_DEVICE_ID,
    CONF_INDEX,
    SUBENTRY_ALARM,
)
from .payload import NO_INDEX, EventStatus, event_record

_STATUS: Final = {STATE_ON: EventStatus.ON, STATE_OFF: EventStatus.OFF}
# An alarm that is changed in one of these is another one to the platform; its sensor is not.
_KNOWN_BY: Final = (CONF_GATEWAY_DEVICE_ID, CONF_EVENT_TYPE, CONF_CUSTOM_NAME)


class AlarmWatch:
    """Report one binary sensor; unknown and unavailable say nothing of the condition."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        subentry: ConfigSubentry,
        issues: Issues,
        report: Callable[[Record], None],
    ) -> None:
        """Prepare to report an event at each change."""
        self.is_on = False
        """Whether the platform knows, or will know, that the condition began and did not end."""
        self.subentry_id = subentry.subentry_id
        self.mark_key = f"alarm/{subentry.subentry_id}"
        self._known_by = {key: subentry.data.get(key) for key in _KNOWN_BY}
        if (index := subentry.data.get(CONF_INDEX)) is not None:
            self._known_by[CONF_INDEX] = index
        self._hass = hass
        self._entry = entry
        self._data: Mapping[str, Any] = subentry.data
        self._issues = issues
        self._report_record = report
        name = self._data.get(CONF_CUSTOM_NAME) or self._data[CONF_EVENT_TYPE]
        self._point = Point(entity=self._data[CONF_ENTITY], name=name)
        self._untrack: list[CALLBACK_TYPE] = []

    def mark_value(self, status: EventStatus) -> str:
        """Return what the platform knows of the alarm once an event is delivered."""
        return json.dumps({"status": status, **self._known_by}, sort_keys=True)

    @callback
    def start(self) -> None:
        """Watch; a condition that began or ended since the last report is reported too.

        While the entity is gone, which is an issue, wait for it to come back.
        """
        entity_id = entity_id_of(self._hass, self._point)
        last = entity_id or last_entity_id(self._hass, self._point)
        self._issues.set(
            entity_id is None,
            ENTITIES_REMOVED,
            self.subentry_id,
            fixable=True,
            data=fix_data(self._entry, [gone_data(self._point, last)]),
            source=last,
            points=f"- {self._point.name}: `{last}`",
        )
        if entity_id is None:
            self._untrack = [
                self._hass.bus.async_listen(
                    er.EVENT_ENTITY_REGISTRY_UPDATED, self._async_look_again, _is_new
                )
            ]
            return
        self._untrack = [
            async_track_state_change_event(self._hass, entity_id, self._async_changed),
            async_track_entity_registry_updated_event(self._hass, entity_id, self._async_renamed),
        ]
        self.look()

    @callback
    def look(self) -> None:
        """Report the present state, if the platform does not know it."""
        entity_id = entity_id_of(self._hass, self._point)
        if entity_id is not None and (state := self._hass.states.get(entity_id)):
            self._report(_STATUS.get(state.state), time.time())

    @callback
    def stop(self) -> None:
        """Watch no longer; may be called again."""
        for untrack in self._untrack:
            untrack()
        self._untrack = []

    @callback
    def _async_look_again(self, _: Event[er.EventEntityRegistryUpdatedData]) -> None:
        self.stop()
        self.start()

    @callback
    def _async_renamed(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        if moves_an_entity(event.data):
            self._async_look_again(event)

    @callback
    def _async_changed(self, event: Event[EventStateChangedData]) -> None:
        if (state := event.data["new_state"]) is not None:
            self._report(_STATUS.get(state.state), state.last_changed_timestamp)

    def _report(self, status: EventStatus | None, at: float) -> None:
        """Report when the condition began or ended; one that never was does not end."""
        if status is None or (status is EventStatus.ON) == self.is_on:
            return
        self.is_on = not self.is_on
        custom_name = self._data.get(CONF_CUSTOM_NAME)
        self._report_record(
            event_record(
                self._data[CONF_GATEWAY_DEVICE_ID],
                round(at * 1000),
                event_type=self._data[CONF_EVENT_TYPE],
                status=status,
                index=self._data.get(CONF_INDEX) or NO_INDEX,
                info={"EVENT_CUSTOM_NAME": custom_name} if custom_name else None,
                mark=Mark(self.mark_key, self.mark_value(status)),
            )
        )


@callback
def _is_new(event_data: er.EventEntityRegistryUpdatedData) -> bool:
    return event_data["action"] == "create"


class Alarms:
    """The alarms of an entry.

    What the platform knows of them is in the outbox: the marks of the events that it confirmed,
    and behind them those of the events that wait. An event that is dropped is so missed at once,
    and the alarm reported anew.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        issues: Issues,
        outbox: Outbox,
        queue: Callable[[Record], None],
    ) -> None:
        """Prepare to put an event into the queue at each change."""
        self._outbox = outbox
        self._queue = queue
        self._reports = 0
        self._watches = [
            AlarmWatch(hass, entry, subentry, issues, self._report)
            for subentry in entry.get_subentries_of_type(SUBENTRY_ALARM)
        ]

    async def async_load(self) -> None:
        """Learn what the platform knows, or will know when all that waits is delivered."""
        if not self._watches:
            return
        reports = -1
        known: Mapping[str, str] = {}
        while reports != self._reports:  # else something was reported while the file was read
            reports = self._reports
            awaited = await self._outbox.awaited_marks()
            known = {**self._outbox.marks, **awaited}
        for watch in self._watches:
            watch.is_on = known.get(watch.mark_key) == watch.mark_value(EventStatus.ON)

    async def async_reconcile(self) -> None:
        """Report anew what the platform will not come to know, as events were dropped."""
        await self.async_load()
        for watch in self._watches:
            watch.look()

    @callback
    def start(self) -> None:
        """Watch the sensors."""
        for watch in self._watches:
            watch.start()

    @callback
    def stop(self) -> None:
        """Watch no longer. May be called again."""
        for watch in self._watches:
            watch.stop()

    @callback
    def _report(self, record: Record) -> None:
        self._reports += 1
        self._queue(record)
