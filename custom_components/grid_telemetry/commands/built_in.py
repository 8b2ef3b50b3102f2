"""The setup commands that SolarNode has itself, answered by Home Assistant."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
import json
from typing import Final

from homeassistant.components import network
from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import (
    ATTR_DEVICE_CLASS,
    STATE_OFF,
    STATE_UNAVAILABLE,
    __version__,
)
from homeassistant.core import DOMAIN as HOMEASSISTANT_DOMAIN, HomeAssistant, State as EntityState
from homeassistant.helpers import entity_registry as er

from ..const import DOMAIN
from ..protocols.stomp import sns
from ..protocols.stomp.patterns import matches
from ..protocols.stomp.reply import Json, Reply, Status
from ..protocols.stomp.server.live_datum import DESTINATION as LIVE
from ..vocabulary.datum import Datum
from .command import Command
from .registry import Registration

LATEST: Final = "/setup/datum/latest"
IDENTITY: Final = "/setup/identity"
PING: Final = "/setup/network/ping"
WIFI: Final = "/setup/network/wifi"
RESTART: Final = "/system/restart"
REBOOT: Final = "/system/reboot"
RESET: Final = "/system/reset"
RESERVED: Final = frozenset(
    {LATEST, LIVE, IDENTITY, PING, WIFI, RESTART, REBOOT, RESET, sns.AUTHENTICATE}
)
"""Destinations that are not there for commands of the user's own."""

_RESTART: Final = (HOMEASSISTANT_DOMAIN, "restart")
_HOST_REBOOT: Final = ("hassio", "host_reboot")
_MAX_PATTERNS: Final = 100
_WIFI_PARAMETERS: Final = ("country", "ssid", "password")
# The kernel and systemd both name wireless interfaces so.
_WIRELESS: Final = "wl"


@dataclass(frozen=True, kw_only=True)
class BuiltIn:
    """The commands that are always there."""

    hass: HomeAssistant
    latest: Callable[[Callable[[str], bool]], Iterable[Datum]]
    """Returns the latest datum of each source whose id passes."""
    node_id: int | None = None
    """What the identity says, for clients that ask which node this is."""
    allow_restart: bool
    allow_reboot: bool

    def registrations(self) -> list[Registration]:
        """Return each with its destination."""
        return [
            Registration(pattern=pattern, handler=handler)
            for pattern, handler in (
                (LATEST, self._latest),
                (IDENTITY, self._identity),
                (PING, self._ping),
                (f"{PING}/*", self._ping),
                (WIFI, self._wifi),
                (RESTART, self._restart),
                (REBOOT, self._reboot),
                (RESET, self._reset),
            )
        ]

    async def _latest(self, command: Command) -> Reply:
        # Of sources the case does not count, as it does of destinations.
        patterns = [pattern.casefold() for pattern in _patterns(command.arg)]
        if len(patterns) > _MAX_PATTERNS:
            return _declined(f"More than {_MAX_PATTERNS} sources.")

        def wanted(source_id: str) -> bool:
            name = source_id.casefold()
            return not patterns or any(matches(pattern, name) for pattern in patterns)

        return Reply(result=[datum.as_dict() for datum in self.latest(wanted)])

    async def _identity(self, _: Command) -> Reply:
        node = {} if self.node_id is None else {"nodeId": self.node_id}
        return Reply(
            result={**node, "name": self.hass.config.location_name, "version": __version__}
        )

    async def _ping(self, command: Command) -> Reply | None:
        """Answer whether the links work, or the one whose entry id ends the destination."""
        entry_id = command.destination.removeprefix(PING).removeprefix("/")
        entries = [
            entry
            for entry in self.hass.config_entries.async_entries(
                DOMAIN, include_ignore=False, include_disabled=False
            )
            if entry_id in ("", entry.entry_id)
        ]
        if entry_id and not entries:
            return None
        faulty = [entry.title for entry in entries if not _works(self.hass, entry)]
        if faulty:
            return Reply(message=f"Not working: {', '.join(faulty)}.", result=-1)
        return Reply(message=f"{len(entries)} of {len(entries)} connections work.")

    async def _wifi(self, command: Command) -> Reply:
        if any(name in command.headers for name in _WIFI_PARAMETERS):
            return _declined("The network is configured in Home Assistant.")
        addresses: list[Json] = [
            address["address"]
            for adapter in await network.async_get_adapters(self.hass)
            if adapter["name"].startswith(_WIRELESS)
            for address in (*adapter["ipv4"], *adapter["ipv6"])
        ]
        return Reply(result={"active": bool(addresses), "addresses": addresses})

    async def _restart(self, _: Command) -> Reply:
        if not self.allow_restart:
            return _declined("Restarting is not allowed.")
        await self.hass.services.async_call(*_RESTART)
        return Reply()

    async def _reboot(self, _: Command) -> Reply:
        if not self.allow_reboot:
            return _declined("Rebooting is not allowed.")
        if not self.hass.services.has_service(*_HOST_REBOOT):
            return _declined("Home Assistant cannot reboot this machine.")
        await self.hass.services.async_call(*_HOST_REBOOT)
        return Reply()

    async def _reset(self, _: Command) -> Reply:
        return _declined("There is no reset.")


def _declined(why: str) -> Reply:
    return Reply(status=Status.DECLINED, message=why)


def _patterns(arg: str | None) -> list[str]:
    """Return the patterns of a body: a JSON array of texts, else a list with commas."""
    text = (arg or "").strip()
    patterns: list[str] = text.split(",")
    if text.startswith("["):
        with suppress(ValueError, RecursionError):
            patterns = list(map(str, json.loads(text)))
    return [stripped for pattern in patterns if (stripped := pattern.strip())]


def _works(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Return whether a link is set up, says that it is connected and has values, if it has any."""
    if entry.state is not ConfigEntryState.LOADED:
        return False
    states = [
        state
        for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
        if (state := hass.states.get(entity.entity_id)) is not None
    ]
    if any(_is_disconnected(state) for state in states):
        return False
    return not states or any(state.state != STATE_UNAVAILABLE for state in states)


def _is_disconnected(state: EntityState) -> bool:
    return (
        state.attributes.get(ATTR_DEVICE_CLASS) == BinarySensorDeviceClass.CONNECTIVITY
        and state.state == STATE_OFF
    )
