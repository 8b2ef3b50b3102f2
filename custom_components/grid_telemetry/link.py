"""What a link is, and how a kind of links says what it offers.

One config entry is one link: one connection to one outside system. A new platform is one folder
below `links/`, one line in `links/registry.py`, its texts and its documentation.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, cast, runtime_checkable

from homeassistant.config_entries import ConfigEntry, ConfigFlow, ConfigSubentryFlow
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
from homeassistant.helpers.condition import Condition
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.importlib import async_import_module
from homeassistant.helpers.trigger import Trigger

from .action import Action


class Link(Protocol):
    """What one config entry runs; the thin platforms ask it for their entities."""

    platforms: Sequence[Platform]

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return the entities of one platform by subentry id; None is the entry itself."""

    async def async_start(self) -> None:
        """Begin the traffic; called once the platforms have their entities."""

    async def async_stop(self) -> None:
        """End the traffic; nothing that was accepted may be lost. May be called again."""

    def diagnostics(self) -> dict[str, Any]:
        """Return what helps to find a fault; secrets are redacted by the caller."""


@runtime_checkable
class LinkWithDynamicDevices(Link, Protocol):
    """A link whose devices and entities come and go while it runs."""

    def add_entities_with(self, platform: Platform, add: AddConfigEntryEntitiesCallback) -> None:
        """Take what adds entities to a platform from now on."""

    def is_gone(self, device: DeviceEntry) -> bool:
        """Return whether nothing is known of a device any more, so that it can be removed."""


@runtime_checkable
class LinkWithLiveChanges(Link, Protocol):
    """A link that takes a change of its entry over while it runs."""

    async def async_apply_changes(self) -> bool:
        """Take the change over; False asks for a reload instead."""


@dataclass(frozen=True, kw_only=True)
class MeterFigures:
    """How a meter that is read fares."""

    unit_id: int
    model: str
    answering: bool
    answer_s: float | None
    """How long its last answer took; None before the first."""
    next_attempt_s: int
    """In so many seconds a silent meter is asked again."""
    last_error: str | None
    requests: Mapping[str, int]
    """So many the last reads took, by what was read."""
    refused: Sequence[str]
    """The quantities whose registers it refuses."""


@dataclass(frozen=True, kw_only=True)
class KnownRegister:
    """Where a quantity of a meter is."""

    quantity: str
    address: int
    count: int
    type: str
    word_order: str


@dataclass(frozen=True, kw_only=True)
class Registers:
    """Registers as they were read."""

    words: Sequence[int]
    known: Sequence[KnownRegister]
    """Those of the meter's map that begin among them."""


class RegistersRefusedError(Exception):
    """Registers could not be read; the text is that of the meter, or of its line."""


@runtime_checkable
class LinkWithMeters(Link, Protocol):
    """A link that reads meters by their registers."""

    def meter_figures(self) -> Mapping[str, MeterFigures]:
        """Return how each meter fares, by the id of its subentry."""

    async def async_read_registers(
        self, subentry_id: str, space: str, address: int, count: int
    ) -> Registers:
        """Read "input" or "holding" registers of a meter, in turn with its polls.

        Raises `RegistersRefusedError`.
        """


type GridTelemetryConfigEntry = ConfigEntry[Link]


class RuntimeModule(Protocol):
    """The module `link` of a kind."""

    async def async_setup_link(self, hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> Link:
        """Return the link of an entry, or raise a `ConfigEntryError` or its kin."""


@runtime_checkable
class StoringRuntimeModule(RuntimeModule, Protocol):
    """The module `link` of a kind that stores something outside the entry."""

    async def async_remove_link(self, hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
        """Delete what was stored, as the entry is removed."""


@runtime_checkable
class MigratingRuntimeModule(RuntimeModule, Protocol):
    """The module `link` of a kind whose entries were once kept in another way."""

    async def async_migrate_link(
        self, hass: HomeAssistant, entry: GridTelemetryConfigEntry
    ) -> None:
        """Bring an entry of an earlier minor version up to date."""


class FlowModule(Protocol):
    """The module `flow` of a kind."""

    FLOW: type[ConfigFlow]
    """Its steps are named `async_step_<kind>` and `async_step_<kind>_<step>`, of which
    `reconfigure` and `reauth_confirm` are where those begin."""
    SUBENTRY_FLOWS: Mapping[str, type[ConfigSubentryFlow]]
    """The flows of what can be added below an entry, by the type of the subentry."""


class Direction(StrEnum):
    """What a kind of links is there for: the group of the menu that it stands in."""

    READ = "read"
    """Its values become sensors."""
    SEND = "send"
    """It sends states of sensors to a platform."""
    SERVE = "serve"
    """Others come and read states, or call actions."""


@dataclass(frozen=True, kw_only=True)
class LinkModule:
    """All that a kind of links offers; light, so that it can be known without an entry.

    What runs an entry, its forms and the handlers of its actions are modules of the kind's
    package with a fixed name, imported in the executor when they are first needed.
    """

    kind: str
    package: str
    """The name of its package."""
    direction: Direction | None = Direction.SEND
    """The menu that it stands in; None is the first one, beside the others."""
    forwards: bool = False
    """Whether its entries send or serve points."""
    first_subentry: str | None = None
    """The subentry that an entry is of no use without: its flow goes on with adding one."""
    discovery: frozenset[str] = frozenset()
    """The sources of discovery that its flow has a step for."""
    actions: Sequence[Action] = ()
    """Their handlers are in the module `handlers`."""
    triggers: Mapping[str, type[Trigger]] = field(default_factory=dict)
    conditions: Mapping[str, type[Condition]] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    """The keys of its data that diagnostics leave out."""

    async def async_runtime(self, hass: HomeAssistant) -> RuntimeModule:
        """Return the module that runs its entries."""
        return cast("RuntimeModule", await async_import_module(hass, f"{self.package}.link"))

    async def async_flows(self, hass: HomeAssistant) -> FlowModule:
        """Return the module with its forms."""
        return cast("FlowModule", await async_import_module(hass, f"{self.package}.flow"))

    async def async_handler(
        self, hass: HomeAssistant, action: Action
    ) -> Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]:
        """Return the function that answers the calls of one of its actions."""
        module = await async_import_module(hass, f"{self.package}.handlers")
        return cast(
            "Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]",
            getattr(module, action.handler),
        )
