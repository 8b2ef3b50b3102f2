"""Powernaut link: power and state of charge out every 4 seconds, activations in."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
import logging
from typing import Any, NoReturn

from homeassistant.const import Platform
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryNotReady
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity
from homeassistant.util import dt as dt_util

from ...connection.concurrent import until_first_ends
from ...connection.errors import SLOW_RETRY_S, ConnectionFailed, LinkError
from ...connection.health import Health, LinkWithHealth, health_entities
from ...connection.issues import Issues
from ...connection.kept import KeptConnection
from ...connection.traffic import Direction, traffic_of
from ...const import DOMAIN
from ...entities.link_entities import link_device_info
from ...link import GridTelemetryConfigEntry, Link
from ...points.reader import LinkWithTrial, PresentPoint, TriedPoint, tried
from ...points.sampler import Sample, Sampler
from ...protocols.mqtt import Message, MqttSession
from .activation_schedule import ActivationSchedule, async_remove_activations
from .api import PowernautApi
from .baselines import Baseline, Baselines
from .bid_desk import BidDesk, async_remove_bids
from .bidding import Bounds
from .client import Login, PowernautSession, open_session
from .connection import async_connections
from .const import (
    CONF_QOS,
    CONF_RESOURCE_ID,
    CONF_RESOURCE_TYPE,
    CONF_SITE_ID,
    INTERVAL_S,
    SUBENTRY_BASELINE,
    SUBENTRY_RESOURCE,
    SUBENTRY_SITE,
    SUBENTRY_STANDING_BID,
    ResourceType,
)
from .coordinator import PlatformView
from .entities import (
    ActivationBinarySensor,
    ActivationEvent,
    BaselineUntilSensor,
    LastSeenSensor,
    OpenBidsSensor,
    ReportEvent,
    SetpointSensor,
    StandingStatusSensor,
    StandingSwitch,
)
from .payload import Skip, activation_topic, resource_of_activation
from .repairs import SilentEntities, judge_clock, not_seen
from .session_takeover import TAKEN_OVER, QuickEnds
from .sources import Source, slot_of, source_of
from .standing import Standing
from .standing_bids import StandingBid, StandingBids
from .stream import Stream

_LOGGER = logging.getLogger(__name__)

MODEL = "Powernaut"
LAST_RETRY_S = 10.0
"""What waits here is worthless after a minute, so the connection is tried again soon."""
_TRIED_WITHIN_S = 10
WORK_EVERY_S = 60.0
"""So often bids and baselines are compared with the platform."""
UNDISTURBED_S = 600
"""After so long a connection nobody else uses our name any more."""


class PowernautLink(LinkWithHealth, LinkWithTrial, Link):
    """One site on the platform."""

    platforms: Sequence[Platform] = (
        Platform.BINARY_SENSOR,
        Platform.EVENT,
        Platform.SENSOR,
        Platform.SWITCH,
    )

    def __init__(
        self, hass: HomeAssistant, entry: GridTelemetryConfigEntry, api: PowernautApi, login: Login
    ) -> None:
        self.api = api
        self.site_id: str = entry.data[CONF_SITE_ID]
        self.health = Health()
        self.skipped: Counter[Skip] = Counter()
        self._hass = hass
        self._entry = entry
        self._login = login
        self._resources = {
            subentry.data[CONF_RESOURCE_ID]: subentry
            for subentry in entry.get_subentries_of_type(SUBENTRY_RESOURCE)
        }
        subentries = [*entry.get_subentries_of_type(SUBENTRY_SITE), *self._resources.values()]
        self._source_of_subentry = {
            subentry.subentry_id: source_of(subentry, self.site_id) for subentry in subentries
        }
        self._sources = list(self._source_of_subentry.values())
        self._source_of_topic: dict[str, Source] = {
            source.topic: source for source in self._sources
        }
        self.view = PlatformView(hass, entry, api, self.site_id)
        self.schedule = ActivationSchedule(
            hass,
            entry.entry_id,
            (
                (resource_id, subentry.title)
                for resource_id, subentry in self._resources.items()
                if subentry.data[CONF_RESOURCE_TYPE] != ResourceType.METER  # never activated
            ),
        )
        self._issues = Issues(hass, entry)
        self._traffic = traffic_of(hass, entry.entry_id)
        self._stream = Stream(entry.title, self.health, self._judge_refusal, self._traffic)
        self._silent = SilentEntities(hass, self._issues)
        self._sampler = Sampler(
            hass,
            entry,
            [
                point
                for source in self._sources
                for point in (source.power, source.soc)
                if point is not None
            ],
            INTERVAL_S,
            self._async_take,
            health=self.health,
        )
        self.desk = BidDesk(
            hass,
            entry.entry_id,
            api,
            {
                resource_id: Bounds.from_dict(subentry.data)
                for resource_id, subentry in self._resources.items()
            },
        )
        self.standing_bids = StandingBids(
            hass,
            api,
            self.desk,
            self._issues,
            entry.get_subentries_of_type(SUBENTRY_STANDING_BID),
            {source.platform_id: source for source in self._sources},
        )
        self.baselines = Baselines(
            hass,
            api,
            self.desk,
            self._issues,
            self.site_id,
            entry.get_subentries_of_type(SUBENTRY_BASELINE),
        )
        self._working: asyncio.Task[None] | None = None
        self._work_now = asyncio.Event()
        self._quick_ends = QuickEnds()
        self._mqtt_session = MqttSession()
        self._over_capacity: set[str] = set()
        self._gone: set[str] = set()
        self._gone_changed = asyncio.Event()
        self._connection = KeptConnection(
            hass,
            entry,
            health=self.health,
            connect=self._open_session,
            run=self._run,
            last_retry_s=LAST_RETRY_S,
        )
        self._unlisten: CALLBACK_TYPE | None = None

    @property
    def resource_ids(self) -> list[str]:
        """The resources that are set up, as the platform names them."""
        return list(self._resources)

    def entities(self, platform: Platform) -> Mapping[str | None, Sequence[Entity]]:
        """Return the health of the entry, and what each resource was told and is known of."""
        device = link_device_info(self._entry, MODEL)
        entities: dict[str | None, list[Entity]] = {
            None: health_entities(self._entry, device, self.health).get(platform, [])
        }
        if platform is Platform.SENSOR:
            entities[None].append(
                LastSeenSensor(self.view, device, self._entry.entry_id, self.site_id)
            )
        for resource_id, subentry in self._resources.items():
            unique_id = subentry.subentry_id
            device = DeviceInfo(
                identifiers={(DOMAIN, unique_id)},
                manufacturer=MODEL,
                model=subentry.data[CONF_RESOURCE_TYPE].replace("_", " ").capitalize(),
                name=subentry.title,
            )
            own: list[Entity] = []
            schedule = self.schedule.resources.get(resource_id)
            match platform:
                case Platform.SENSOR:
                    own.append(LastSeenSensor(self.view, device, unique_id, resource_id))
                    if schedule is not None:
                        own.append(SetpointSensor(device, unique_id, schedule))
                case Platform.BINARY_SENSOR if schedule is not None:
                    own.append(ActivationBinarySensor(device, unique_id, schedule))
                case Platform.EVENT if schedule is not None:
                    own.append(ActivationEvent(device, unique_id, schedule))
                    own.append(ReportEvent(device, unique_id, resource_id))
            entities[subentry.subentry_id] = own
        for bid in self.standing_bids.bids.values():
            entities[bid.subentry_id] = self._standing_entities(platform, bid, "Standing bid")
        for baseline in self.baselines.baselines.values():
            entities[baseline.subentry_id] = self._standing_entities(platform, baseline, "Baseline")
        return entities

    def present_points(self) -> Mapping[str, Sequence[PresentPoint]]:
        """Return what would be sent of the site and each resource now."""
        return {
            subentry_id: [
                self._sampler.present(point)
                for point in (source.power, source.soc)
                if point is not None
            ]
            for subentry_id, source in self._source_of_subentry.items()
        }

    async def async_try_points(self) -> Mapping[str, Sequence[TriedPoint]]:
        """Wait for the next slot, of which there is one every few seconds, and its answers."""
        present = self.present_points()
        topics = {key: source.topic for key, source in self._source_of_subentry.items()}
        end = self._traffic.watch()
        try:
            answers = await self._answers_to(set(topics.values()))
        finally:
            end()
        waiting = set(topics.values()) - answers.keys()
        refused = {topic: words for topic, words in answers.items() if words is not None}
        return {
            subentry_id: [
                tried(each, topics[subentry_id], waiting=waiting, refused=refused)
                for each in points
            ]
            for subentry_id, points in present.items()
        }

    async def _answers_to(self, topics: set[str]) -> dict[str, str | None]:
        """Return what the broker says to the next message on each topic, None where it took it."""
        known = self._traffic.messages.keys()
        answers: dict[str, str | None] = {}
        for _ in range(_TRIED_WITHIN_S):
            answers = {
                message.kind: message.refused
                for number, message in self._traffic.messages.items()
                if number not in known
                and message.direction is Direction.OUT
                and (message.refused is not None or message.confirmed_s is not None)
            }
            if topics <= answers.keys():
                break
            await asyncio.sleep(1)
        return answers

    def _standing_entities(
        self, platform: Platform, standing: StandingBid | Baseline, model: str
    ) -> list[Entity]:
        """Return the entities of what works by itself, which has a device of its own."""
        device = DeviceInfo(
            identifiers={(DOMAIN, standing.subentry_id)},
            manufacturer=MODEL,
            model=model,
            name=standing.name,
            entry_type=DeviceEntryType.SERVICE,
        )
        bids = isinstance(standing, StandingBid)
        if platform is Platform.SWITCH:
            key = "powernaut_bid_enabled" if bids else "powernaut_baseline_enabled"
            return [StandingSwitch(device, standing, key, self._async_enable)]
        if platform is not Platform.SENSOR:
            return []
        status = StandingStatusSensor(device, standing)
        if isinstance(standing, StandingBid):
            return [status, OpenBidsSensor(device, standing)]
        return [status, BaselineUntilSensor(device, standing)]

    async def _async_enable(self, standing: Standing, enabled: bool) -> None:
        """Turn a standing bid or a baseline on or off, over restarts."""
        standing.turn(enabled)
        if enabled:
            self.desk.enabled.add(standing.subentry_id)
        else:
            self.desk.enabled.discard(standing.subentry_id)
        if isinstance(standing, StandingBid):
            self.standing_bids.enable(standing)
        elif isinstance(standing, Baseline):
            self.baselines.enable(standing)
        await self.desk.async_save()
        self._work_now.set()

    async def _work(self) -> NoReturn:
        """Bid and send baselines, every minute and when there is a reason to."""
        while True:
            self._work_now.clear()
            for update in (self.baselines.async_update, self.standing_bids.async_update):
                try:
                    await update()
                except Exception:
                    # Whatever it is, what stands on the platform is looked after again.
                    _LOGGER.exception("%s: unexpected error", self._entry.title)
            with suppress(TimeoutError):
                async with asyncio.timeout(WORK_EVERY_S):
                    await self._work_now.wait()

    async def async_start(self) -> None:
        """Sample, connect, follow the activations and ask the platform now and then."""
        self.schedule.start()
        self._sampler.start()
        self._unlisten = self.view.async_add_listener(self._judge)
        self._entry.async_create_background_task(
            self._hass, self.view.async_refresh(), f"{self._entry.title} first view"
        )
        self._connection.start()
        self._working = self._entry.async_create_background_task(
            self._hass, self._work(), f"{self._entry.title} bids and baselines"
        )

    async def async_stop(self) -> None:
        """End; what waits is lost, for it would be too old when we are back."""
        self._sampler.stop()
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait({self._working})
            self._working = None
        await self._connection.stop()
        if self._unlisten is not None:
            self._unlisten()
            self._unlisten = None
        await self.schedule.async_stop()
        self._issues.clear()

    def diagnostics(self) -> dict[str, Any]:
        """Return health, counters, activations and the platform's view."""
        return {
            "health": self.health.as_dict(),
            "sampler": self._sampler.as_dict(),
            "skipped": {str(reason): count for reason, count in self.skipped.items()},
            "refused": dict(self._stream.refused),
            "activations": self.schedule.as_dict(),
            "bids": self.desk.as_dict(),
            "unknown_on_platform": sorted(self._gone),
            "last_seen": {
                source.name: seen.isoformat()
                for source in self._sources
                if (seen := self.view.last_seen(source.platform_id)) is not None
            },
        }

    async def _async_take(self, at: float, samples: Sequence[Sample]) -> None:
        """Send the readings of one slot."""
        sources = [source for source in self._sources if source.platform_id not in self._gone]
        slot = slot_of(sources, at, samples, self.skipped)
        self._stream.take(slot.readings)
        # Of every source: what is gone from the platform has nothing to be told of either.
        self._silent.update(self._sources, slot.outdated, at)
        if slot.over_capacity == self._over_capacity:
            return
        self._over_capacity = slot.over_capacity
        for source in self._sources:
            self._issues.set(
                source.platform_id in slot.over_capacity,
                "powernaut_soc",
                source.platform_id,
                name=source.name,
                capacity="-" if source.capacity_wh is None else f"{source.capacity_wh:g}",
            )

    @callback
    def _judge_refusal(self, topic: str, reason: str | None) -> None:
        """Tell the user that the broker does not take what is measured, or takes it again."""
        source = self._source_of_topic[topic]
        self._issues.set(
            reason is not None,
            "powernaut_data_refused",
            source.platform_id,
            name=source.name,
            reason=reason or "",
        )

    def _open_session(self) -> AbstractAsyncContextManager[PowernautSession]:
        """Return a connection under the name of this entry, which it keeps for good.

        The end of the entry id is its random part. A broker has to take 23 letters and digits.
        """
        return open_session(
            self._login,
            f"gt{self._entry.entry_id[-20:]}",
            self._entry.data[CONF_QOS],
            self._mqtt_session,
        )

    async def _run(self, session: PowernautSession) -> None:
        """Send and listen over one connection until its end."""
        loop = self._hass.loop
        began = loop.time()
        undisturbed = loop.call_later(UNDISTURBED_S, self._settle)
        received: asyncio.Queue[Message] = asyncio.Queue()
        try:
            await until_first_ends(
                self._stream.run(session),
                self._listen(session, received),
                self._acknowledge(session, received),
                self._subscribe(session),
            )
        except LinkError as err:
            if err.reason == TAKEN_OVER:
                self._issues.set(True, "powernaut_taken_over")
            if self._quick_ends.is_one_too_many(err, loop.time() - began):
                self._issues.set(True, "powernaut_quick_ends")
            raise
        finally:
            undisturbed.cancel()

    @callback
    def _settle(self) -> None:
        """Take it that nobody else uses our name any more."""
        for key in ("powernaut_taken_over", "powernaut_quick_ends"):
            self._issues.set(False, key)

    async def _subscribe(self, session: PowernautSession) -> NoReturn:
        """Ask for the activations, also of what comes back to the platform, until the end.

        One resource that is refused is no reason to leave the others; it is asked for again.
        """
        asked: set[str] = set()
        while True:
            self._gone_changed.clear()
            present = {each for each in self.schedule.resources if each not in self._gone}
            asked &= present
            wanted = [each for each in self.schedule.resources if each in present - asked]
            topics = [activation_topic(each) for each in wanted]
            refused = {
                resource_of_activation(answer.topic): answer.reason
                for answer in await session.subscribe(topics)
            }
            for resource_id in wanted:
                self._judge_subscription(resource_id, refused.get(resource_id))
            asked = present - refused.keys()
            with suppress(TimeoutError):
                async with asyncio.timeout(SLOW_RETRY_S if refused else None):
                    await self._gone_changed.wait()

    def _judge_subscription(self, resource_id: str, reason: str | None) -> None:
        """Tell the user that no activations of a resource come, or that they do again."""
        name = self.schedule.resources[resource_id].name
        self._issues.set(
            reason is not None,
            "powernaut_activations_refused",
            resource_id,
            name=name,
            reason=reason or "",
        )
        if reason is not None:
            _LOGGER.warning(
                "%s: the broker refuses the activations of %s: %s", self._entry.title, name, reason
            )
            self.health.last_error = "subscription_refused"
            self.health.last_error_detail = f"{name}: {reason}"
            self.health.notify()

    async def _listen(self, session: PowernautSession, received: asyncio.Queue[Message]) -> None:
        """Act on the activations until the end of the connection."""
        async for message in session.messages():
            resource_id = resource_of_activation(message.topic)
            self._traffic.note(Direction.IN, message.topic, resource_id or "", message.payload)
            if resource_id in self.schedule.resources:
                self.schedule.receive(resource_id, message.payload)
                self._work_now.set()  # an acceptance cancels the site's other bids
                received.put_nowait(message)
            else:
                _LOGGER.debug("%s: nobody waits for %s", self._entry.title, message.topic)
                session.acknowledge(message)
                await session.unsubscribe(message.topic)

    async def _acknowledge(
        self, session: PowernautSession, received: asyncio.Queue[Message]
    ) -> NoReturn:
        """Have the broker forget what was acted on, once it is stored; else it sends it again."""
        while True:
            messages = [await received.get()]
            while not received.empty():
                messages.append(received.get_nowait())
            await self.schedule.async_save()
            for message in messages:
                session.acknowledge(message)

    @callback
    def _judge(self) -> None:
        """Compare the platform's view with ours, after each poll."""
        if not self.view.last_update_success:
            return
        view, now = self.view.data, dt_util.utcnow()
        judge_clock(self._issues, view)
        gone_before = self._gone.copy()
        self._gone.clear()
        for source in self._sources:
            about = source.platform_id
            gone = about not in view.last_seen
            if gone:
                self._gone.add(about)
                self._stream.forget(source.topic)
            self._issues.set(gone, "powernaut_gone", about, name=source.name)
            self._issues.set(
                not gone
                and not_seen(view.last_seen[about], self._stream.sent.get(source.topic), now),
                "powernaut_not_seen",
                about,
                name=source.name,
            )
        if self._gone != gone_before:
            self._gone_changed.set()


async def async_setup_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> PowernautLink:
    """Return the link of an entry, with the activations that it knew before."""
    try:
        api, login = await async_connections(hass, entry.data)
    except ConnectionFailed as err:
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="powernaut_ca_file",
            translation_placeholders={"error": err.detail},
        ) from err
    link = PowernautLink(hass, entry, api, login)
    await link.schedule.async_load()
    await link.desk.async_load()
    link.standing_bids.load()
    link.baselines.load()
    return link


async def async_remove_link(hass: HomeAssistant, entry: GridTelemetryConfigEntry) -> None:
    """Delete the activations and the book of bids."""
    try:
        await async_remove_activations(hass, entry.entry_id)
    finally:
        await async_remove_bids(hass, entry.entry_id)
