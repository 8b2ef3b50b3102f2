"""Alarms: the changes of a binary sensor as events of the platform."""

from collections.abc import Callable, Mapping
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
from homeassistant.helpers.storage import Store

from ...connection.issues import Issues
from ...const import DOMAIN
from ...link import GridTelemetryConfigEntry
from ...outbox.store import Record
from ...points.issues import ENTITY_REMOVED, last_entity_id
from ...points.point import Point, entity_id_of, moves_an_entity
from ...points.table import CONF_ENTITY
from .const import CONF_CUSTOM_NAME, CONF_EVENT_TYPE, CONF_GATEWAY_DEVICE_ID, SUBENTRY_ALARM
from .payload import EventStatus, event_record

type StoredAlarms = dict[str, dict[str, Any]]
"""What the platform was told of each alarm that is on, by subentry id."""

_STORAGE_VERSION: Final = 1
_SAVE_DELAY_S: Final = 1.0
_STATUS: Final = {STATE_ON: EventStatus.ON, STATE_OFF: EventStatus.OFF}
# An alarm that is changed in one of these is another one to the platform; its sensor is not.
_TOLD: Final = (CONF_GATEWAY_DEVICE_ID, CONF_EVENT_TYPE, CONF_CUSTOM_NAME)


def alarm_store(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> Store[StoredAlarms]:
    """Return where the alarms of an entry that are on are kept."""
    return Store(hass, _STORAGE_VERSION, f"{DOMAIN}.alarms_{entry.entry_id}")


class AlarmWatch:
    """Report one binary sensor; unknown and unavailable say nothing of the condition."""

    def __init__(
        self,
        hass: HomeAssistant,
        subentry: ConfigSubentry,
        issues: Issues,
        report: Callable[[Record], None],
    ) -> None:
        """Prepare to report an event at each change."""
        self.is_on = False
        """Whether the platform was told that the condition began, and not yet that it ended."""
        self.subentry_id = subentry.subentry_id
        self.told: dict[str, Any] = {key: subentry.data.get(key) for key in _TOLD}
        """What the platform knows the alarm by."""
        self._hass = hass
        self._data: Mapping[str, Any] = subentry.data
        self._issues = issues
        self._report_record = report
        name = self._data.get(CONF_CUSTOM_NAME) or self._data[CONF_EVENT_TYPE]
        self._point = Point(entity=self._data[CONF_ENTITY], name=name)
        self._untrack: list[CALLBACK_TYPE] = []

    @callback
    def start(self) -> None:
        """Watch; a condition that began or ended since the last report is reported too.

        While the entity is gone, which is an issue, wait for it to come back.
        """
        entity_id = entity_id_of(self._hass, self._point)
        self._issues.set(
            entity_id is None,
            ENTITY_REMOVED,
            self.subentry_id,
            name=self._point.name,
            entity=entity_id or last_entity_id(self._hass, self._point),
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
        if state := self._hass.states.get(entity_id):
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
                info={"EVENT_CUSTOM_NAME": custom_name} if custom_name else None,
            )
        )


@callback
def _is_new(event_data: er.EventEntityRegistryUpdatedData) -> bool:
    return event_data["action"] == "create"


class Alarms:
    """The alarms of an entry; which of them are on is known over reloads and restarts."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        issues: Issues,
        queue: Callable[[Record], None],
    ) -> None:
        """Prepare to put an event into the queue at each change."""
        self._queue = queue
        self._store = alarm_store(hass, entry)
        self._unsaved = False
        self._watches = [
            AlarmWatch(hass, subentry, issues, self._take)
            for subentry in entry.get_subentries_of_type(SUBENTRY_ALARM)
        ]

    async def async_load(self) -> None:
        """Take up what the platform was told before the restart."""
        stored = await self._store.async_load() or {}
        for watch in self._watches:
            watch.is_on = stored.get(watch.subentry_id) == watch.told

    @callback
    def start(self) -> None:
        """Watch the sensors."""
        for watch in self._watches:
            watch.start()

    async def async_stop(self) -> None:
        """Watch no longer, and keep which are on. May be called again."""
        for watch in self._watches:
            watch.stop()
        if self._unsaved:
            await self._store.async_save(self._as_stored())

    @callback
    def _take(self, record: Record) -> None:
        self._queue(record)
        self._unsaved = True
        self._store.async_delay_save(self._as_stored, _SAVE_DELAY_S)

    def _as_stored(self) -> StoredAlarms:
        self._unsaved = False
        return {watch.subentry_id: watch.told for watch in self._watches if watch.is_on}
