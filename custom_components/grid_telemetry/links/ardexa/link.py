"""Ardexa link: the live feeds of a workgroup as sensors, its remote operations as actions."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
import logging
import time
from typing import Any, Final, NoReturn

from homeassistant.components.sensor import SensorStateClass
from homeassistant.const import Platform
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, ConfigEntryNotReady
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util import dt as dt_util

from ...connection.errors import CredentialsRefused, LinkError
from ...connection.health import Health, LinkWithHealth, health_entities
from ...connection.issues import Issues
from ...connection.kept import KeptConnection
from ...const import DOMAIN
from ...entities.diagnostic import DiagnosticSensor, DiagnosticSensorDescription, Rate
from ...entities.link_entities import link_device_info
from ...link import GridTelemetryConfigEntry, LinkWithDynamicDevices, LinkWithLiveChanges
from .api import Api, api_of
from .client import Session, open_session
from .const import CONF_ALLOW_OPERATIONS, CONF_DEVICE, CONF_FIELDS, CONF_TOKEN, SUBENTRY_FEED
from .feed_sensors import FeedColumns, changed_fields
from .feeds import Feed, Feeds
from .payload import Device, Json, ShapeError, device_id_of, device_of
from .tokens import lifetime_of
from .workgroup import Workgroup

_LOGGER = logging.getLogger(__name__)

MODEL: Final = "Ardexa"
LAST_RETRY_S: Final = 60.0
UNAVAILABLE_AFTER_S: Final = 10.0
"""A connection that is back so soon leaves no gap in the states."""
RENEWAL_INTERVAL: Final = timedelta(hours=1)
GATHER_S: Final = 0.5
"""Devices are asked for once for all that changes in so long."""


class ArdexaLink(LinkWithHealth, LinkWithDynamicDevices, LinkWithLiveChanges):
    """One workgroup."""

    platforms: Sequence[Platform] = (Platform.BINARY_SENSOR, Platform.EVENT, Platform.SENSOR)

    def __init__(
        self,
        hass: HomeAssistant,
        entry: GridTelemetryConfigEntry,
        api: Api,
        devices: Mapping[str, Device],
    ) -> None:
        """Take the devices that there are, and the feeds from the entry."""
        self.health = Health()
        self.session: Session | None = None
        """The connection while there is one."""
        self.title = entry.title
        self.allows_operations: bool = entry.data[CONF_ALLOW_OPERATIONS]
        self._hass = hass
        self._entry = entry
        self._api = api
        self._set_up_with = self._settings()
        self._link_device = link_device_info(entry, MODEL)
        self.workgroup = Workgroup(hass, entry, self._link_device, devices)
        registry = dr.async_get(hass)
        self._columns = [
            FeedColumns(
                hass,
                subentry,
                registry.async_get_device_by_identifier(
                    (DOMAIN, self.workgroup.identifier(subentry.data[CONF_DEVICE])),
                    entry.entry_id,
                ),
            )
            for subentry in entry.get_subentries_of_type(SUBENTRY_FEED)
        ]
        self.feeds = Feeds([columns.feed for columns in self._columns], self._judge_feed)
        self._issues = Issues(hass, entry)
        self._devices_changed = asyncio.Event()
        # The push that tells of a device has no name, and entity ids are made of it: they wait for
        # the list.
        self._announced: dict[str, Device] = {}
        self._connection = KeptConnection(
            hass,
            entry,
            health=self.health,
            connect=self._open_session,
            run=self._run,
            last_retry_s=LAST_RETRY_S,
        )
        self._grace: asyncio.TimerHandle | None = None
        self._unlisten: CALLBACK_TYPE | None = None

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return the devices' entities and the link's health, and below them the feeds'."""
        health = health_entities(self._entry, self._link_device, self.health, queues=False)
        entities: dict[str | None, list[Entity]] = {
            None: [*health.get(platform, []), *self.workgroup.entities(platform)]
        }
        if platform is Platform.SENSOR:
            rate = Rate(lambda: self.feeds.messages, self._hass.loop.time)
            entities[None] += [
                DiagnosticSensor(self._entry, self._link_device, description)
                for description in (
                    DiagnosticSensorDescription(
                        key="ardexa_live_feeds",
                        state_class=SensorStateClass.MEASUREMENT,
                        value_fn=lambda: sum(feed.live for feed in self.feeds.all),
                    ),
                    DiagnosticSensorDescription(
                        key="ardexa_rate",
                        native_unit_of_measurement="1/s",
                        state_class=SensorStateClass.MEASUREMENT,
                        suggested_display_precision=1,
                        value_fn=rate,
                    ),
                )
            ]
            for columns in self._columns:
                entities[columns.subentry.subentry_id] = [*columns.sensors]
        return entities

    def add_entities_with(self, platform: Platform, add: AddConfigEntryEntitiesCallback) -> None:
        """Take what adds the entities of new devices, and of columns that nobody told before."""
        self.workgroup.add_entities_with(platform, add)
        if platform is Platform.SENSOR:
            for columns in self._columns:
                columns.add = add

    def is_gone(self, device: DeviceEntry) -> bool:
        """Return whether a device is neither in the workgroup nor the one of a feed."""
        known = {self._entry.entry_id, *self._entry.subentries}
        return not any(
            identifier in known or not self.workgroup.is_gone(identifier)
            for _, identifier in device.identifiers
        )

    def device_id_of(self, identifiers: Iterable[tuple[str, str]]) -> str | None:
        """Return Ardexa's id of a device, or of the one that feeds it; None is not ours."""
        for _, identifier in identifiers:
            if (subentry := self._entry.subentries.get(identifier)) is not None:
                identifier = self.workgroup.identifier(subentry.data[CONF_DEVICE])  # noqa: PLW2901
            for device_id in self.workgroup.devices:
                if identifier == self.workgroup.identifier(device_id):
                    return device_id
        return None

    async def async_start(self) -> None:
        """Connect, and show what comes."""
        self._unlisten = async_track_time_interval(
            self._hass, self._async_renew_token, RENEWAL_INTERVAL
        )
        self._connection.start()

    async def async_stop(self) -> None:
        """Stop the feeds and end the connection."""
        await self.feeds.stop()
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None
        await self._connection.stop()
        if self._grace is not None:
            self._grace.cancel()
            self._grace = None
        self._issues.clear()

    async def async_apply_changes(self) -> bool:
        """Take a renewed token over without a reload."""
        return (
            self._settings() == self._set_up_with
            and self._entry.data[CONF_TOKEN] == self._api.token
        )

    def diagnostics(self) -> dict[str, Any]:
        """Return health, the token's end, the devices and the feeds."""
        lifetime = lifetime_of(self._api.token)
        return {
            "health": self.health.as_dict(),
            "token_expires": (
                None
                if lifetime is None
                else dt_util.utc_from_timestamp(lifetime.expires_at).isoformat()
            ),
            "messages": self.feeds.messages,
            "malformed": 0 if self.session is None else self.session.malformed,
            "devices": [
                {
                    "id": entities.device.id,
                    "online": entities.device.online,
                    "agent": entities.device.agent_version,
                    "scenarios": [scenario.name for scenario in entities.device.scenarios],
                }
                for entities in self.workgroup.devices.values()
            ],
            "feeds": [
                {
                    **feed.request,
                    "live": feed.live,
                    "error": feed.error,
                    "malformed": feed.malformed,
                    "last_event_time": feed.last_event_time,
                }
                for feed in self.feeds.all
            ],
        }

    # --- what the session tells

    @callback
    def take_data(self, data: Json) -> None:
        """Take the data of a feed."""
        self.feeds.take(data)

    @callback
    def take_push(self, event: str, data: Json) -> None:
        """Take news of a device; what nobody knows is passed over."""
        try:
            match event, data:
                case "device:stateChange", {"online": bool(online)}:
                    self._take_state(device_id_of(data.get("cn")), online=online)
                case "device:new", _:
                    device = device_of(data)
                    self._announced[device.id] = device
                    self._devices_changed.set()  # the list has its name
                case "device:metaChange", {"id": str(device_id)}:
                    self.workgroup.take_meta_change(device_id)
                    self._devices_changed.set()
                case _:
                    _LOGGER.debug("%s: nobody waits for %s", self._entry.title, event)
        except ShapeError as err:
            _LOGGER.debug("%s: %s: %s", self._entry.title, event, err)

    def _take_state(self, device_id: str | None, *, online: bool) -> None:
        if device_id is not None and (device := self._announced.get(device_id)) is not None:
            self._announced[device_id] = replace(device, online=online)
        if device_id is None or not self.workgroup.take_state(device_id, online=online):
            self._devices_changed.set()
        elif online:
            self.feeds.ask_of(device_id)
        else:
            self.feeds.leave(device_id)

    # --- the connection

    @asynccontextmanager
    async def _open_session(self) -> AsyncIterator[Session]:
        """Ask for the devices, which tells what is wrong with the token, then connect."""
        await self._async_renew_token()
        devices, announced = await self._ask_for_devices()
        try:
            async with open_session(self._api, self) as session:
                self._issues.set(False, "ardexa_no_privilege")
                self._update(devices, announced)
                if self._grace is not None:
                    self._grace.cancel()
                    self._grace = None
                self.workgroup.set_connected(True)
                self.session = session
                yield session
        except LinkError as err:
            if err.reason == "ardexa_no_privilege":
                self._issues.set(True, "ardexa_no_privilege", error=err.detail)
            raise
        finally:
            if self.session is not None:
                self.session = None
                self._grace = self._hass.loop.call_later(UNAVAILABLE_AFTER_S, self._leave)

    @callback
    def _leave(self) -> None:
        """Have everything be unavailable: the connection is not back."""
        self._grace = None
        self.workgroup.set_connected(False)
        self.feeds.leave()

    async def _run(self, session: Session) -> None:
        """Follow feeds and devices until the end of the connection."""
        tasks = [
            asyncio.create_task(work)
            for work in (session.closed(), self.feeds.run(session), self._follow_devices())
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _follow_devices(self) -> NoReturn:
        """Ask for the devices after each change."""
        while True:
            await self._devices_changed.wait()
            await asyncio.sleep(GATHER_S)
            self._update(*await self._ask_for_devices())

    async def _ask_for_devices(self) -> tuple[Mapping[str, Device], Iterable[str]]:
        """Return the list of devices, and the ids of those that were announced before it."""
        # What changes from here on, also before the feeds are followed, is asked for again.
        self._devices_changed.clear()
        announced = tuple(self._announced)
        return await self._api.devices(), announced

    def _update(self, devices: Mapping[str, Device], announced: Iterable[str]) -> None:
        """Take the list of devices over, and what it says of the fields that are fed."""
        new = {device_id: self._announced.pop(device_id) for device_id in announced}
        for device_id, told in new.items():
            if (listed := devices.get(device_id)) is not None:
                online = told.online if listed.online is None else listed.online
                new[device_id] = replace(listed, online=online)
        # One that the list does not have yet is called what the push calls it.
        self.workgroup.update({**devices, **new})
        for told in new.values():
            self.workgroup.tell_new(told)
        for columns in self._columns:
            data = columns.subentry.data
            device = devices.get(data[CONF_DEVICE])
            if device is not None and (fields := changed_fields(data, device)) is not None:
                self._hass.config_entries.async_update_subentry(
                    self._entry, columns.subentry, data={**data, CONF_FIELDS: fields}
                )

    async def _async_renew_token(self, _: datetime | None = None) -> None:
        """Renew the token when it is about to end; what connects next uses the new one."""
        now = time.time()
        lifetime = lifetime_of(self._api.token)
        if lifetime is None or lifetime.is_over(now) or not lifetime.is_ending(now):
            return
        try:
            token = await self._api.renew()
        except CredentialsRefused as err:
            _LOGGER.debug("%s: the token cannot be renewed: %s", self._entry.title, err)
            self._entry.async_start_reauth(self._hass)
        except LinkError as err:
            _LOGGER.debug("%s: the token is not renewed yet: %s", self._entry.title, err)
        else:
            self._api.token = token
            self._hass.config_entries.async_update_entry(
                self._entry, data={**self._entry.data, CONF_TOKEN: token}
            )

    # --- what the user is told

    @callback
    def _judge_feed(self, feed: Feed) -> None:
        """Tell of a feed that is refused though its device is there."""
        [subentry_id] = [
            columns.subentry.subentry_id for columns in self._columns if columns.feed is feed
        ]
        entities = self.workgroup.devices.get(feed.device_id)
        offline = entities is not None and entities.device.online is False
        self._issues.set(
            feed.error is not None and not offline,
            "ardexa_feed_refused",
            subentry_id,
            feed=feed.title,
            error=feed.error or "",
        )

    def _settings(self) -> Json:
        """Return everything that the link was made of but the token."""
        return {
            "title": self._entry.title,
            "data": {key: value for key, value in self._entry.data.items() if key != CONF_TOKEN},
            "feeds": {
                subentry.subentry_id: (subentry.title, dict(subentry.data))
                for subentry in self._entry.get_subentries_of_type(SUBENTRY_FEED)
            },
        }


async def async_setup_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> ArdexaLink:
    """Return the link of an entry, with the devices that there are now."""
    api = api_of(hass, entry.data)
    try:
        devices = await api.devices()
    except CredentialsRefused as err:
        raise ConfigEntryAuthFailed(
            translation_domain=DOMAIN, translation_key="ardexa_token_refused"
        ) from err
    except LinkError as err:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="ardexa_unreachable",
            translation_placeholders={"error": str(err)},
        ) from err
    return ArdexaLink(hass, entry, api, devices)
