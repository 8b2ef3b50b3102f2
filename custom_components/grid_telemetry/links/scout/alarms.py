"""Alarms: the changes of a binary sensor as events of the platform."""

from collections.abc import Callable, Mapping
import time
from typing import Any

from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import CALLBACK_TYPE, Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import (
    async_track_entity_registry_updated_event,
    async_track_state_change_event,
)

from ...forwarding.outbox import Record
from ...forwarding.point import Point, entity_id_of
from ...forwarding.points_table import CONF_ENTITY
from .const import CONF_CUSTOM_NAME, CONF_EVENT_TYPE, CONF_GATEWAY_DEVICE_ID
from .payload import EventStatus, event_record

_STATUS = {STATE_ON: EventStatus.ON, STATE_OFF: EventStatus.OFF}


class AlarmWatch:
    """Report one binary sensor; unknown and unavailable say nothing of the condition."""

    def __init__(
        self, hass: HomeAssistant, data: Mapping[str, Any], queue: Callable[[Record], None]
    ) -> None:
        """Prepare to put an event into the queue at each change."""
        self._hass = hass
        self._data = data
        self._queue = queue
        self._point = Point(entity=data[CONF_ENTITY], name=data[CONF_EVENT_TYPE])
        self._last: EventStatus | None = None
        self._untrack: list[CALLBACK_TYPE] = []

    @callback
    def start(self) -> None:
        """Watch; a condition that is there already is reported too."""
        if (entity_id := entity_id_of(self._hass, self._point)) is None:
            return  # the entity is gone; adding the alarm anew is the user's to do
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
    def _async_renamed(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        if event.data["action"] != "update" or "old_entity_id" in event.data:
            self.stop()
            self.start()

    @callback
    def _async_changed(self, event: Event[EventStateChangedData]) -> None:
        if (state := event.data["new_state"]) is not None:
            self._report(_STATUS.get(state.state), state.last_changed_timestamp)

    def _report(self, status: EventStatus | None, at: float) -> None:
        """Queue an event when the condition began or ended; one that never was does not end."""
        if status is None or status is self._last:
            return
        began_or_ended = status is EventStatus.ON or self._last is not None
        self._last = status
        if not began_or_ended:
            return
        custom_name = self._data.get(CONF_CUSTOM_NAME)
        self._queue(
            event_record(
                self._data[CONF_GATEWAY_DEVICE_ID],
                round(at * 1000),
                event_type=self._data[CONF_EVENT_TYPE],
                status=status,
                info={"EVENT_CUSTOM_NAME": custom_name} if custom_name else None,
            )
        )
