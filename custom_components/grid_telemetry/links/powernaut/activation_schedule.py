"""The activations of an entry's resources: kept over restarts, begun and ended on time."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
import logging
from typing import Any, Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.util import dt as dt_util

from ...const import DOMAIN
from ...entry_store import EntryStore, async_remove_store, entry_store
from .activations import (
    Activation,
    ActivationRefused,
    Activations,
    apply,
    in_force,
    next_change,
    not_past,
    parse_activation,
)
from .payload import as_text

_LOGGER = logging.getLogger(__name__)

EVENT_ACTIVATION: Final = "activation"
EVENT_CANCELLATION: Final = "cancellation"
EVENT_REFUSED: Final = "refused"
EVENT_TYPES: Final = [EVENT_ACTIVATION, EVENT_CANCELLATION, EVENT_REFUSED]

type ReceivedListener = Callable[[str, dict[str, Any]], None]
"""Takes the type of an event and its attributes."""
type StoredActivations = dict[str, list[dict[str, Any]]]

_STORAGE_VERSION: Final = 1
_LOOK_AGAIN: Final = timedelta(minutes=1)
"""Timers run by a clock that is never set; after the wall clock was, it is looked at again."""


def _store_key(entry_id: str) -> str:
    return f"{DOMAIN}.activations_{entry_id}"


async def async_remove_activations(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the activations of an entry."""
    await async_remove_store(hass, _STORAGE_VERSION, _store_key(entry_id))


class ResourceSchedule:
    """What one resource has been told to do."""

    def __init__(self, name: str) -> None:
        """Begin with the baseline."""
        self.name = name
        self.activations: Activations = ()
        self.present: Activation | None = None
        self._on_change: list[CALLBACK_TYPE] = []
        self._on_received: list[ReceivedListener] = []

    @callback
    def listen(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Have a callback called when another setpoint is in force; returns what ends that."""
        self._on_change.append(listener)
        return lambda: self._on_change.remove(listener)

    @callback
    def listen_received(self, listener: ReceivedListener) -> CALLBACK_TYPE:
        """Have a callback called for each activation that comes; returns what ends that."""
        self._on_received.append(listener)
        return lambda: self._on_received.remove(listener)

    @callback
    def update(self, now: datetime) -> None:
        """Let go of what is past, and tell the listeners if something else is in force now."""
        self.activations = not_past(self.activations, now)
        if (present := in_force(self.activations, now)) != self.present:
            self.present = present
            for listener in self._on_change:
                self._call(listener)

    @callback
    def receive(self, payload: bytes, now: datetime) -> None:
        """Act on an activation, or refuse it with a line in the log; both are events."""
        try:
            activation = parse_activation(payload, now)
            self.activations = apply(self.activations, activation)
        except ActivationRefused as err:
            text = as_text(payload)
            _LOGGER.warning("%s: activation refused, %s: %s", self.name, err, text)
            self._tell(EVENT_REFUSED, {"reason": err.reason, "detail": err.detail, "command": text})
            return
        self.update(now)
        self._tell(
            EVENT_CANCELLATION if activation.watts is None else EVENT_ACTIVATION,
            {
                "start": activation.start.isoformat(),
                "end": activation.end.isoformat(),
                "setpoint": activation.watts,
            },
        )

    def _tell(self, event_type: str, attributes: dict[str, Any]) -> None:
        for listener in self._on_received:
            self._call(listener, event_type, attributes)

    def _call[*Ts](self, listener: Callable[[*Ts], None], *arguments: *Ts) -> None:
        """Call a listener; one that fails keeps nobody else from being told."""
        try:
            listener(*arguments)
        except Exception:
            _LOGGER.exception("%s: a listener failed", self.name)


class ActivationSchedule:
    """The activations of every resource of an entry that can be activated."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry_id: str,
        resources: Iterable[tuple[str, str]],
    ) -> None:
        """Prepare; `resources` are their ids and names."""
        self.resources = {resource_id: ResourceSchedule(name) for resource_id, name in resources}
        self._hass = hass
        self._store: EntryStore[StoredActivations] = entry_store(
            hass, _STORAGE_VERSION, _store_key(entry_id)
        )
        self._unsaved = False
        self._cancel_timer: CALLBACK_TYPE | None = None

    async def async_load(self) -> None:
        """Take up what was in force or to come before the restart."""
        stored = await self._store.async_load() or {}
        now = dt_util.utcnow()
        for resource_id, activations in stored.items():
            if schedule := self.resources.get(resource_id):
                schedule.activations = tuple(map(Activation.from_dict, activations))
                schedule.update(now)

    @callback
    def start(self) -> None:
        """Begin and end activations from now on."""
        self._update()

    async def async_stop(self) -> None:
        """End; returns when what is to come is in the storage. May be called again."""
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None
        await self.async_save()

    @callback
    def receive(self, resource_id: str, payload: bytes) -> None:
        """Act on an activation of a resource of the entry; `async_save` then keeps it."""
        self.resources[resource_id].receive(payload, dt_util.utcnow())
        self._unsaved = True
        self._update()

    async def async_save(self) -> None:
        """Return when everything that was received is in the storage."""
        if self._unsaved:
            self._unsaved = False
            await self._store.async_save(self._as_stored)

    def as_dict(self) -> dict[str, Any]:
        """Return what is in force or to come, for diagnostics."""
        return {
            schedule.name: [one.as_dict() for one in schedule.activations]
            for schedule in self.resources.values()
        }

    def _as_stored(self) -> StoredActivations:
        return {
            resource_id: [one.as_dict() for one in schedule.activations]
            for resource_id, schedule in self.resources.items()
            if schedule.activations
        }

    @callback
    def _update(self, _: datetime | None = None) -> None:
        """Do what is due, and wait for what comes next; the timer first, come what may."""
        now = dt_util.utcnow()
        if self._cancel_timer is not None:
            self._cancel_timer()
        changes = [
            change
            for schedule in self.resources.values()
            if (change := next_change(schedule.activations, now)) is not None
        ]
        self._cancel_timer = async_track_point_in_utc_time(
            self._hass, self._update, min([now + _LOOK_AGAIN, *changes])
        )
        for schedule in self.resources.values():
            schedule.update(now)
