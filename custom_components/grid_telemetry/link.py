"""Links: one config entry is one connection to one outside system.

A new platform on the grid is one new folder here, one line in `registry.py`, and its strings.
A link never imports another link; what two need goes down a floor.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback


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
class LinkThatGrows(Link, Protocol):
    """A link whose entities come and go while it runs."""

    def grow_by(self, platform: Platform, add: AddConfigEntryEntitiesCallback) -> None:
        """Take what adds entities to a platform from now on."""

    def is_gone(self, device: DeviceEntry) -> bool:
        """Return whether nothing is known of a device any more, so that it can be removed."""


@runtime_checkable
class LinkThatAdapts(Link, Protocol):
    """A link that takes a change of its entry over while it runs."""

    async def async_adapt(self) -> bool:
        """Take the change over; False asks for a reload instead."""


type GridTelemetryConfigEntry = ConfigEntry[Link]


class LinkModule(Protocol):
    """What the package of a link offers."""

    async def async_setup_link(self, hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> Link:
        """Return the link of an entry, or raise a `ConfigEntryError` or its kin."""


@runtime_checkable
class LinkModuleThatKeeps(LinkModule, Protocol):
    """The package of a link that keeps something outside the entry."""

    async def async_remove_link(self, hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
        """Delete what was kept, as the entry is removed."""
