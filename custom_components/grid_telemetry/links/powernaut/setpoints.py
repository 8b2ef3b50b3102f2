"""The activations of an entry's resources: kept over restarts, begun and ended on time."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
import logging
from typing import Any, Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.helpers.storage import Store
from homeassistant.util import dt as dt_util

from ...const import DOMAIN
from ...link import GridTelemetryConfigEntry
from .activations import (
    Activation,
    CommandRefused,
    Windows,
    apply,
    in_force,
    next_change,
    not_past,
    parse_command,
)
from .payload import as_json

_LOGGER = logging.getLogger(__name__)

EVENT_ACTIVATION: Final = "activation"
EVENT_CANCELLATION: Final = "cancellation"
EVENT_REFUSED: Final = "refused"
EVENT_TYPES: Final = [EVENT_ACTIVATION, EVENT_CANCELLATION, EVENT_REFUSED]

type CommandListener = Callable[[str, dict[str, Any]], None]
"""Takes the type of an event and its attributes."""
type StoredWindows = dict[str, list[dict[str, Any]]]

_STORAGE_VERSION: Final = 1
_SAVE_DELAY_S: Final = 0.5
"""Commands come in bursts, one for each resource."""
_LOOK_AGAIN: Final = timedelta(minutes=1)
"""Timers run by a clock that is never set; after the wall clock was, it is looked at again."""


def activation_store(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> Store[StoredWindows]:
    """Return where the activations of an entry are kept."""
    return Store(hass, _STORAGE_VERSION, f"{DOMAIN}.activations_{entry.entry_id}")


class ResourceSetpoint:
    """What one resource has been told to do."""

    def __init__(self, name: str) -> None:
        """Begin with the baseline."""
        self.name = name
        self.windows: Windows = ()
        self.present: Activation | None = None
        self._on_change: list[CALLBACK_TYPE] = []
        self._on_command: list[CommandListener] = []

    @callback
    def listen(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Have a callback called when another setpoint is in force; returns what ends that."""
        self._on_change.append(listener)
        return lambda: self._on_change.remove(listener)

    @callback
    def listen_commands(self, listener: CommandListener) -> CALLBACK_TYPE:
        """Have a callback called for each command; returns what ends that."""
        self._on_command.append(listener)
        return lambda: self._on_command.remove(listener)

    @callback
    def look(self, now: datetime) -> None:
        """Let go of what is past, and tell the listeners if something else is in force now."""
        self.windows = not_past(self.windows, now)
        if (present := in_force(self.windows, now)) != self.present:
            self.present = present
            for listener in self._on_change:
                listener()

    @callback
    def command(self, payload: bytes, now: datetime) -> None:
        """Act on a command, or refuse it with a line in the log; either way there is an event."""
        try:
            command = parse_command(payload, now)
            self.windows = apply(self.windows, command)
        except CommandRefused as err:
            text = as_json(payload)
            _LOGGER.warning("%s: command refused, %s: %s", self.name, err, text)
            self._tell(EVENT_REFUSED, {"reason": err.reason, "detail": err.detail, "command": text})
            return
        self.look(now)
        self._tell(
            EVENT_CANCELLATION if command.watts is None else EVENT_ACTIVATION,
            {
                "start": command.start.isoformat(),
                "end": command.end.isoformat(),
                "setpoint": command.watts,
            },
        )

    def _tell(self, event_type: str, attributes: dict[str, Any]) -> None:
        for listener in self._on_command:
            listener(event_type, attributes)


class Setpoints:
    """The setpoints of every resource of an entry."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        resources: Iterable[tuple[str, str]],
    ) -> None:
        """Prepare; `resources` are their ids and names."""
        self.resources = {resource_id: ResourceSetpoint(name) for resource_id, name in resources}
        self._hass = hass
        self._store = activation_store(hass, entry)
        self._unsaved = False
        self._cancel_timer: CALLBACK_TYPE | None = None

    async def async_load(self) -> None:
        """Take up what was in force or to come before the restart."""
        stored = await self._store.async_load() or {}
        now = dt_util.utcnow()
        for resource_id, windows in stored.items():
            if setpoint := self.resources.get(resource_id):
                setpoint.windows = tuple(map(Activation.from_dict, windows))
                setpoint.look(now)

    @callback
    def start(self) -> None:
        """Begin and end windows from now on."""
        self._look()

    async def async_stop(self) -> None:
        """End; what is to come is in the storage. May be called again."""
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None
        if self._unsaved:
            await self._store.async_save(self._as_stored())

    @callback
    def command(self, resource_id: str, payload: bytes) -> None:
        """Act on a command for a resource of the entry."""
        self.resources[resource_id].command(payload, dt_util.utcnow())
        self._unsaved = True
        self._store.async_delay_save(self._as_stored, _SAVE_DELAY_S)
        self._look()

    def as_dict(self) -> dict[str, Any]:
        """Return what is in force or to come, for diagnostics."""
        return {
            setpoint.name: [window.as_dict() for window in setpoint.windows]
            for setpoint in self.resources.values()
        }

    def _as_stored(self) -> StoredWindows:
        self._unsaved = False
        return {
            resource_id: [window.as_dict() for window in setpoint.windows]
            for resource_id, setpoint in self.resources.items()
            if setpoint.windows
        }

    @callback
    def _look(self, _: datetime | None = None) -> None:
        """Do what is due, and wait for what comes next."""
        now = dt_util.utcnow()
        if self._cancel_timer is not None:
            self._cancel_timer()
        changes = [now + _LOOK_AGAIN]
        for setpoint in self.resources.values():
            setpoint.look(now)
            if (change := next_change(setpoint.windows, now)) is not None:
                changes.append(change)
        self._cancel_timer = async_track_point_in_utc_time(self._hass, self._look, min(changes))
