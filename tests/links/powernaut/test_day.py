"""A day of a site, of the whole link: what was bid, asked for, delivered and missed."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from aiohttp.test_utils import TestServer
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.grid_telemetry.connection.errors import ConnectionFailed
from custom_components.grid_telemetry.links.powernaut.api import PowernautApi
from custom_components.grid_telemetry.links.powernaut.connection import Endpoints
from simulators.powernaut_api import Api, Book, resource

from .conftest import PACKAGE, AddEntry, FakeBroker, FakeSession, battery_subentry
from .samples import BATTERY_ID, SITE_ID
from .test_link import ACTIVATION, COMMANDS, SETPOINT, settle
from .test_standing_bids import BOUNDS, Deaf, offer

pytestmark = pytest.mark.usefixtures("socket_enabled")

STEP_S = 4
BATTERY_TOPIC = f"resource/{BATTERY_ID}/data"
BEGIN = datetime(2026, 3, 2, 5, 54, tzinfo=UTC)
END = datetime(2026, 3, 2, 7, 1, tzinfo=UTC)
OUTAGE = (datetime(2026, 3, 2, 6, 20, tzinfo=UTC), datetime(2026, 3, 2, 6, 40, tzinfo=UTC))
RESTART = datetime(2026, 3, 2, 6, 50, tzinfo=UTC)
# The platform takes these, each five minutes ahead: one that goes well, one into the outage, one
# whose activation comes during the outage and that Home Assistant is restarted in.
WANTED = ("06:00", "06:15", "06:45")


@dataclass
class Quarter:
    """What became of a quarter-hour, in watt-hours."""

    asked: float = 0
    delivered: float = 0
    readings: dict[int, float] = field(default_factory=dict)
    """What the platform saw: watts by time, of the stream."""

    @property
    def seen(self) -> float:
        return sum(self.readings.values()) * STEP_S / 3600


class Site:
    """The platform and a home whose battery does what it is asked to."""

    def __init__(self, hass: HomeAssistant, broker: FakeBroker, book: Book) -> None:
        self.hass, self.broker, self.book = hass, broker, book
        self.watts = 0.0
        self.quarters: dict[str, Quarter] = {}
        self.requests = 0
        self.bid: set[str] = set()
        self.lost: FakeSession | None = None
        """The session that ended; what is sent meanwhile waits at the broker."""
        self._commands: list[Any] = []
        self._taken = 0
        async_track_state_change_event(hass, [SETPOINT], self._follow)

    @callback
    def _follow(self, event: Event[EventStateChangedData]) -> None:
        """Do what the automation of the blueprint does."""
        new = event.data["new_state"]
        if new is not None and new.state != "unavailable":
            self.watts = 0.0 if new.state == "unknown" else float(new.state)

    def quarter(self, epoch_s: float) -> Quarter:
        start = datetime.fromtimestamp(epoch_s // 900 * 900, UTC)
        return self.quarters.setdefault(f"{start:%H:%M}", Quarter())

    def accept(self, start: str) -> None:
        """Accept the bid for a quarter-hour and send its activation."""
        [bid] = [bid for bid in self.book.bids.values() if bid["timing"]["start"][11:16] == start]
        self.book.accept(bid["id"])
        watts = float(bid["curve"][0]["value"]) * 1000
        self.quarters.setdefault(start, Quarter()).asked = watts / 4
        self._commands.append({"timing": bid["timing"], "value": int(watts)})

    def exchange(self, now: datetime) -> None:
        """Send what waits at the broker, and take what came."""
        self.hass.states.async_set(
            "sensor.battery", str(self.watts), {"unit_of_measurement": "W"}, force_update=True
        )
        self.hass.states.async_set("sensor.charge", "60", {"unit_of_measurement": "%"})
        self.quarter(now.timestamp()).delivered += self.watts * STEP_S / 3600
        if self.broker.sessions and self.broker.session is not self.lost:
            while self._commands:
                self.broker.session.receive(COMMANDS, self._commands.pop(0))
        sent = [body for session in self.broker.sessions for body in session.of(BATTERY_TOPIC)]
        for body in sent[self._taken :]:
            for reading in body if isinstance(body, list) else [body]:
                self.quarter(reading["time"]).readings[reading["time"]] = reading["value"]
        self._taken = len(sent)
        self.bid |= {
            bid["timing"]["start"][11:16]
            for bid in self.book.bids.values()
            if bid["status"] == "open"
        }


@pytest.fixture
async def site(
    hass: HomeAssistant, broker: FakeBroker, freezer: FrozenDateTimeFactory
) -> AsyncIterator[Site]:
    await hass.config.async_set_time_zone("UTC")
    freezer.move_to(BEGIN)
    book = Book(site_id=SITE_ID, site_name="Home", key="key", secret="secret")
    book.resources[BATTERY_ID] = resource(SITE_ID, BATTERY_ID, "static_battery", "Battery", "10.0")
    server = TestServer(Api(book, Deaf()).application())
    await server.start_server(access_log=None)
    home = Site(hass, broker, book)
    ask = PowernautApi._request

    async def counted(*arguments: Any, **named: Any) -> Any:
        home.requests += 1
        try:
            return await ask(*arguments, **named)
        finally:
            home.requests -= 1

    here = Endpoints(api_url=str(server.make_url("/")), broker_host="broker", broker_port=8883)
    with (
        patch(f"{PACKAGE}.connection.endpoints_of", return_value=here),
        patch.object(PowernautApi, "_request", counted),
    ):
        yield home
    await server.close()


async def live(site: Site, freezer: FrozenDateTimeFactory, now: datetime) -> None:
    """Let a slot pass, every timer on its time, and every request of it be answered."""
    site.exchange(now)
    for second in range(1, STEP_S + 1):
        freezer.move_to(now + timedelta(seconds=second))
        async_fire_time_changed(site.hass)
        await site.hass.async_block_till_done()
        while site.requests:
            await settle(site.hass)


async def test_what_was_bid_delivered_and_missed(
    hass: HomeAssistant,
    site: Site,
    broker: FakeBroker,
    add_entry: AddEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Acceptances, an outage of 20 minutes, a restart in mid-window and a refused bid."""
    entry: MockConfigEntry = add_entry(
        battery_subentry(**BOUNDS), offer(start_time="06:00:00", end_time="07:15:00")
    )
    site.book.refused_starts = {"2026-03-02T06:30:00Z"}
    assert await hass.config_entries.async_setup(entry.entry_id)
    await settle(hass)
    await hass.services.async_call(
        "switch", "turn_on", {"entity_id": "switch.mornings_bid"}, blocking=True
    )
    now = BEGIN
    while now < END:
        away = OUTAGE[0] <= now < OUTAGE[1]
        if away and broker.error is None:
            broker.error = ConnectionFailed("cannot_connect")
            site.lost = broker.session
            broker.session.end(ConnectionFailed("connection_lost"))
        elif not away:
            broker.error = None
        site.book.fails = away
        ahead = now + timedelta(minutes=5)
        if f"{ahead:%H:%M}" in WANTED and ahead.second == 0:
            site.accept(f"{ahead:%H:%M}")
        if now == RESTART:
            assert await hass.config_entries.async_unload(entry.entry_id)
            await settle(hass)
        elif now == RESTART + timedelta(seconds=2 * STEP_S):
            assert await hass.config_entries.async_setup(entry.entry_id)
            await settle(hass)
        site.book.expire()
        await live(site, freezer, now)
        now += timedelta(seconds=STEP_S)

    assert site.bid == {"06:00", "06:15", "06:45", "07:00"}
    table = {
        start: (quarter.asked, round(quarter.delivered), round(quarter.seen), len(quarter.readings))
        for start, quarter in site.quarters.items()
        if quarter.asked
    }
    # A quarter-hour has 225 readings. In the outage the battery went on; the platform saw the first
    # five minutes. The restart took two readings and did not interrupt the battery.
    assert table == {
        "06:00": (-625, -625, -625, 225),
        "06:15": (-625, -625, -208, 75),
        "06:45": (-625, -625, -619, 223),
    }
    # What was measured in the last 55 seconds of the outage was sent after it.
    assert 40 <= OUTAGE[1].timestamp() - min(site.quarters["06:30"].readings) <= 55
    assert hass.states.get(ACTIVATION).state == "off"  # type: ignore[union-attr]
