"""Setup server link: setup commands from outside, by STOMP as SolarNode's clients speak it."""

from collections.abc import Mapping, Sequence
import ssl
import time
from typing import Any, Final

from homeassistant.const import CONF_HOST, CONF_PORT, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.json import json_bytes
from homeassistant.util.hass_dict import HassKey

from ...commands.actions import LinkWithCommands
from ...commands.built_in import BuiltIn
from ...commands.command import Command
from ...commands.event import fires
from ...commands.own import own_command
from ...commands.registry import Registry
from ...connection.traffic import Direction, traffic_of
from ...const import DOMAIN
from ...entities.diagnostic import DiagnosticSensor
from ...entities.link_entities import link_device_info
from ...entry_store import EntryStore, async_remove_store, entry_store
from ...forms.listener import allowed_networks, cannot_listen
from ...forms.tls import server_context_of, unreadable_file
from ...link import GridTelemetryConfigEntry, LinkWithLiveChanges
from ...protocols.listener import share_of
from ...protocols.stomp.reply import Json, Reply
from ...protocols.stomp.server import Credentials, Guard, Limits, StompServer
from ...vocabulary.datum import Datum
from .const import (
    CONF_ACTION,
    CONF_ALLOW_REBOOT,
    CONF_ALLOW_RESTART,
    CONF_DESTINATION,
    CONF_LOGIN,
    CONF_MAX_BODY_BYTES,
    CONF_MAX_CONNECTIONS,
    CONF_NODE_ID,
    CONF_PASSWORD_HASH,
    CONF_SOURCES,
    CONF_TIME_LIMIT_S,
    SUBENTRY_COMMAND,
)
from .entities import diagnostic_sensors
from .sources import Sources

MODEL: Final = "Setup server"
ORIGIN: Final = "setup_server"

type Seen = dict[str, tuple[float, float]]

_STORE_VERSION: Final = 1
_GUARDS: HassKey[dict[str, Guard]] = HassKey(f"{DOMAIN}_setup_guards")
"""By entry: what is remembered of log-ins outlives a reload, and by its file a restart."""


class SetupServerLink(LinkWithCommands, LinkWithLiveChanges):
    """One server, and the commands it takes."""

    platforms: Sequence[Platform] = (Platform.SENSOR,)

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        tls: ssl.SSLContext | None,
        guard: Guard,
    ) -> None:
        data = entry.data
        self.registry = Registry(fires(hass, entry.entry_id))
        self._hass = hass
        self._entry = entry
        self._set_up_with = (entry.title, dict(data))
        self._sources = Sources(hass, data[CONF_SOURCES])
        self._server = StompServer(
            host=data[CONF_HOST],
            port=data[CONF_PORT],
            allowed_networks=allowed_networks(data),
            credentials=Credentials(login=data[CONF_LOGIN], password_hash=data[CONF_PASSWORD_HASH]),
            services=self,
            guard=guard,
            tls=tls,
            limits=Limits(
                connections=data[CONF_MAX_CONNECTIONS],
                connections_per_address=share_of(data[CONF_MAX_CONNECTIONS]),
                body_bytes=data[CONF_MAX_BODY_BYTES],
            ),
        )

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return the health of the server."""
        device = link_device_info(self._entry, MODEL)
        return {
            None: [
                DiagnosticSensor(self._entry, device, description)
                for description in diagnostic_sensors(self._server)
            ]
        }

    async def async_setup(self) -> None:
        """Listen; raises OSError where the port cannot be had."""
        self._define()
        self._sources.start()
        await self._server.start()

    async def async_start(self) -> None:
        """Listen already."""

    async def async_stop(self) -> None:
        """End; the port is free when this returns."""
        self._sources.stop()
        await self._server.stop()

    async def async_apply_changes(self) -> bool:
        """Take over changed commands without disturbing clients."""
        if self._set_up_with != (self._entry.title, dict(self._entry.data)):
            return False
        self._define()
        return True

    def diagnostics(self) -> dict[str, Any]:
        """Return health and sources."""
        health = self._server.health
        return {
            "connections": self._server.clients,
            "commands": health.commands,
            "refused": health.refused,
            "last_refusal": health.last_refusal,
            "live_streams": self._server.streams(),
            "sources": self._sources.ids,
        }

    async def command(
        self, destination: str, parameters: Mapping[str, str], body: str | None
    ) -> Reply:
        """Answer a command of a client."""
        traffic = traffic_of(self._hass, self._entry.entry_id)
        told = "".join(f"{name}:{value}\n" for name, value in parameters.items())
        message = traffic.note(Direction.IN, destination, "", f"{told}\n{body or ''}")
        began = time.monotonic()
        reply = await self.registry.run(
            Command(destination=destination, headers=parameters, arg=body, origin=ORIGIN)
        )
        message.confirmed_s = time.monotonic() - began
        traffic.note(Direction.OUT, destination, str(int(reply.status)), reply.message or "")
        return reply

    def encode(self, result: Json) -> bytes:
        """Return a result as JSON; actions answer with times and the like too."""
        return json_bytes(result)

    def latest(self, source_id: str) -> Datum | None:
        """Return the latest datum of a source."""
        return self._sources.latest_of(source_id)

    def _define(self) -> None:
        data = self._entry.data
        built_in = BuiltIn(
            hass=self._hass,
            latest=self._sources.latest,
            node_id=data.get(CONF_NODE_ID),
            allow_restart=data[CONF_ALLOW_RESTART],
            allow_reboot=data[CONF_ALLOW_REBOOT],
        )
        own = [
            own_command(
                self._hass,
                subentry.data[CONF_DESTINATION],
                subentry.data[CONF_ACTION],
                subentry.data[CONF_TIME_LIMIT_S],
            )
            for subentry in self._entry.get_subentries_of_type(SUBENTRY_COMMAND)
        ]
        self.registry.define([*built_in.registrations(), *own])


async def async_setup_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> SetupServerLink:
    """Return the link of an entry, listening."""
    try:
        tls = await hass.async_add_executor_job(server_context_of, entry.data)
    except OSError as err:
        raise unreadable_file(err) from err
    link = SetupServerLink(hass, entry, tls, await _async_guard(hass, entry.entry_id))
    # Gives the port back wherever the setup ends.
    entry.async_on_unload(link.async_stop)
    try:
        await link.async_setup()
    except OSError as err:
        raise cannot_listen(entry.data, err) from err
    return link


async def async_remove_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Forget the log-ins, those that are being saved too."""
    hass.data.get(_GUARDS, {}).pop(entry.entry_id, None)
    await async_remove_store(hass, _STORE_VERSION, _store_key(entry.entry_id))


def _store_key(entry_id: str) -> str:
    return f"{DOMAIN}.setup_logins_{entry_id}"


async def _async_guard(hass: HomeAssistant, entry_id: str) -> Guard:
    """Return what is remembered of the log-ins of an entry, over its reloads."""
    guards = hass.data.setdefault(_GUARDS, {})
    if entry_id not in guards:
        store: EntryStore[Seen] = entry_store(hass, _STORE_VERSION, _store_key(entry_id))

        @callback
        def save() -> None:
            hass.async_create_task(store.async_save(guard.seen), "log-ins of clients")

        guard = Guard(save)
        guard.remember(await store.async_load() or {})
        guards[entry_id] = guard
    return guards[entry_id]
