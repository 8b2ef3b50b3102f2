"""Metrics that hosts may write: each stands for an action of Home Assistant that the user chose.

Nothing else can be called. A command is a setup command with the destination `/device/metric`, and
tells its event; the answer is the new value of the metric.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from homeassistant.const import (
    ATTR_ENTITY_ID,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event

from ...commands.command import Command
from ...commands.own import own_command
from ...commands.registry import Registration
from ...const import DOMAIN
from ...points.point import Point, entity_id_of, moves_an_entity
from ...points.table import CONF_ENTITY
from ...protocols.sparkplug import (
    DataType,
    MetricDefinition,
    Quality,
    Reading,
    Value,
    as_type,
)
from .const import CONF_ACTION, CONF_DEVICE_ID, CONF_TIME_LIMIT_S
from .mapping import DATA_TYPES, definition_of

ORIGIN: Final = "sparkplug"
"""Of the commands, in their event."""

_ARG: Final = "{{ arg }}"
_ON_OR_OFF: Final = "turn_{{ 'on' if arg == 'true' else 'off' }}"
_NUMBERS: Final = frozenset({DataType.DOUBLE, DataType.FLOAT, DataType.INT32, DataType.INT64})
_BOOLEAN: Final = frozenset({DataType.BOOLEAN})
_TEXT: Final = frozenset({DataType.STRING})
# What writing does to an entity of a domain, with which data, and what may be written.
_ACTIONS: Final[dict[str, tuple[str, dict[str, str], frozenset[DataType]]]] = {
    "number": ("set_value", {"value": _ARG}, _NUMBERS),
    "input_number": ("set_value", {"value": _ARG}, _NUMBERS),
    "switch": (_ON_OR_OFF, {}, _BOOLEAN),
    "input_boolean": (_ON_OR_OFF, {}, _BOOLEAN),
    "select": ("select_option", {"option": _ARG}, _TEXT),
    "input_select": ("select_option", {"option": _ARG}, _TEXT),
    "text": ("set_value", {"value": _ARG}, _TEXT),
    "input_text": ("set_value", {"value": _ARG}, _TEXT),
    "script": ("turn_on", {}, _BOOLEAN),
    "button": ("press", {}, _BOOLEAN),
    "input_button": ("press", {}, _BOOLEAN),
}
_MOMENTARY: Final = frozenset({"script", "button", "input_button"})
"""Writing true starts them; there is nothing that false could do."""
DOMAINS: Final = tuple(_ACTIONS)

type Stored = Mapping[str, Any]
type Told = Callable[[str, str, Reading], None]


def takes(entity_id: str, data_type: str) -> bool:
    """Return whether writing a type has a meaning for an entity, without an action of its own."""
    known = _ACTIONS.get(entity_id.partition(".")[0])
    return known is not None and DATA_TYPES[data_type] in known[2]


def _text_of(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def reading_of(state: State | None, data_type: DataType, now_ms: int) -> Reading:
    """Return what the state of an entity is worth as a metric of a type."""
    nothing = Reading(value=None, timestamp_ms=now_ms, quality=Quality.BAD)
    if state is None or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN):
        return nothing
    value: Value | None = None
    if state.domain in _MOMENTARY:
        value = state.state == STATE_ON if state.domain == "script" else False
    elif data_type is DataType.STRING:
        value = state.state
    elif state.state in (STATE_ON, STATE_OFF):
        value = as_type(data_type, state.state == STATE_ON)
    else:
        try:
            value = as_type(data_type, float(state.state))
        except ValueError:
            return nothing
    if value is None:
        return nothing
    return Reading(value=value, timestamp_ms=round(state.last_reported_timestamp * 1000))


class Writable:
    """One metric that hosts may write."""

    def __init__(self, hass: HomeAssistant, stored: Stored) -> None:
        """Take it as its subentry has it."""
        self.device_id: str = stored[CONF_DEVICE_ID]
        self.definition: MetricDefinition = definition_of(dict(stored), None, writable=True)
        self._hass = hass
        self._action: Mapping[str, Any] | None = stored.get(CONF_ACTION)
        self._time_limit_s: float = stored[CONF_TIME_LIMIT_S]
        entity = stored.get(CONF_ENTITY)
        self._point = None if entity is None else Point(entity=entity, name=self.definition.name)
        self._written: Value | None = None

    @property
    def destination(self) -> str:
        """What its setup commands are for."""
        return f"/{self.device_id}/{self.definition.name}"

    def entity_id(self) -> str | None:
        """Return the present name of its entity; None where it has none, or none any more."""
        return None if self._point is None else entity_id_of(self._hass, self._point)

    def reading(self, now_ms: int) -> Reading:
        """Return what it is worth: the state of its entity, or else what was written last."""
        if self._point is not None:
            entity_id = self.entity_id()
            state = None if entity_id is None else self._hass.states.get(entity_id)
            return reading_of(state, self.definition.data_type, now_ms)
        quality = Quality.BAD if self._written is None else Quality.GOOD
        return Reading(value=self._written, timestamp_ms=now_ms, quality=quality)

    def command(self, value: Value) -> Command:
        """Return the setup command that writing a value is."""
        return Command(
            destination=self.destination,
            headers={
                "device": self.device_id,
                "metric": self.definition.name,
                "data_type": self.definition.data_type.name.lower(),
            },
            arg=_text_of(value),
            origin=ORIGIN,
        )

    def note_written(self, value: Value) -> None:
        """Note that an action took a value."""
        self._written = value

    def registration(self) -> Registration:
        """Return what answers its commands."""

        async def run(command: Command) -> Any:
            return await own_command(
                self._hass, self.destination, self._step(command), self._time_limit_s
            ).handler(command)

        return Registration(pattern=self.destination, handler=run, time_limit_s=self._time_limit_s)

    def _step(self, command: Command) -> Mapping[str, Any]:
        """Return the action to call; raises `ServiceValidationError`."""
        if self._action is not None:
            return self._action
        entity_id = self.entity_id()
        if entity_id is None:
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="sparkplug_entity_gone"
            )
        domain, _, name = entity_id.partition(".")
        if domain in _MOMENTARY and command.arg != "true":
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="sparkplug_only_true"
            )
        if domain == "script":
            return {"action": f"script.{name}"}  # by its name it waits for the end
        action, data, _ = _ACTIONS[domain]
        return {
            "action": f"{domain}.{action}",
            "data": data,
            "target": {ATTR_ENTITY_ID: entity_id},
        }


class WritableStates:
    """Tells of the states of all entities that hosts may write, also under new names."""

    def __init__(
        self,
        hass: HomeAssistant,
        writables: Mapping[tuple[str, str], Writable],
        on_state: Callable[[Writable], None],
    ) -> None:
        """Prepare; `on_state` hears of each metric whose entity has a new state."""
        self._hass = hass
        self._writables = writables
        self._on_state = on_state
        self._unlisten: list[Callable[[], None]] = []

    @callback
    def start(self) -> None:
        """Follow the states and the registry."""
        by_entity: dict[str, list[Writable]] = {}
        for writable in self._writables.values():
            if (entity_id := writable.entity_id()) is not None:
                by_entity.setdefault(entity_id, []).append(writable)

        @callback
        def changed(event: Event[EventStateChangedData]) -> None:
            for writable in by_entity.get(event.data["entity_id"], ()):
                self._on_state(writable)

        @callback
        def moved(_: Event[er.EventEntityRegistryUpdatedData]) -> None:
            self.stop()
            self.start()

        self._unlisten = [
            async_track_state_change_event(self._hass, list(by_entity), changed),
            self._hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, moved, moves_an_entity),
        ]

    @callback
    def stop(self) -> None:
        """End; may be called again."""
        for unlisten in self._unlisten:
            unlisten()
        self._unlisten = []
