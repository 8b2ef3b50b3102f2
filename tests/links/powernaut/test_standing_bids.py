"""Standing bids against the stand-in's API: a day of it, and what stops them."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
import ssl
from typing import Any
from unittest.mock import patch

from aiohttp.test_utils import TestServer
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.storage import Store
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.connection.issues import Issues
from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.powernaut.api import PowernautApi
from custom_components.grid_telemetry.links.powernaut.bid_desk import BidDesk
from custom_components.grid_telemetry.links.powernaut.bidding import Bounds
from custom_components.grid_telemetry.links.powernaut.sources import source_of
from custom_components.grid_telemetry.links.powernaut.standing import StandingStatus
from custom_components.grid_telemetry.links.powernaut.standing_bids import (
    StandingBid,
    StandingBids,
)
from simulators.powernaut_api import Api, Book, resource

from .conftest import AddEntry, FakeApi, FakeBroker, battery_subentry
from .samples import BATTERY_ID, SITE_ID
from .schemas import BID

pytestmark = pytest.mark.usefixtures("socket_enabled")

BOUNDS = {
    "bid_min_power_w": -3000,
    "bid_max_power_w": 3000,
    "bid_min_price": 0.1,
    "bids_per_day": 40,
}


def offer(**changes: Any) -> ConfigSubentryData:
    data = {
        "resource_id": BATTERY_ID,
        "curve": [{"watts": -2500, "price": 0.3}],
        "start_time": "06:00:00",
        "end_time": "12:00:00",
        "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "horizon_h": 2,
        **changes,
    }
    return ConfigSubentryData(
        subentry_type="standing_bid", title="Mornings", unique_id=None, data=data
    )


class Deaf:
    def last_seen(self, platform_id: str) -> float | None:
        return None


class Home:
    """One standing bid of an entry, and the platform."""

    def __init__(
        self, hass: HomeAssistant, entry: MockConfigEntry, book: Book, api: PowernautApi
    ) -> None:
        self.hass, self.entry, self.book, self.api = hass, entry, book, api
        self.requests: list[str] = []

    async def start(self) -> None:
        """Begin as after a restart."""
        [battery] = self.entry.get_subentries_of_type("resource")
        self.desk = BidDesk(
            self.hass,
            self.entry.entry_id,
            self.api,
            {BATTERY_ID: Bounds.from_dict(battery.data)},
        )
        await self.desk.async_load()
        self.bids = StandingBids(
            self.hass,
            self.api,
            self.desk,
            Issues(self.hass, self.entry),
            self.entry.get_subentries_of_type("standing_bid"),
            {BATTERY_ID: source_of(battery, SITE_ID)},
        )
        self.bids.load()

    async def enable(self, enabled: bool) -> None:
        """Do what the switch does."""
        self.bid.enabled = enabled
        change = self.desk.enabled.add if enabled else self.desk.enabled.discard
        change(self.bid.subentry_id)
        self.bids.enable(self.bid)
        await self.desk.async_save()

    @property
    def bid(self) -> StandingBid:
        [bid] = self.bids.bids.values()
        return bid

    def open(self) -> list[str]:
        """Return the local starts that stand open on the platform."""
        return sorted(
            bid["timing"]["start"][11:16]
            for bid in self.book.bids.values()
            if bid["status"] == "open"
        )


type MakeHome = Callable[..., Any]


@pytest.fixture
async def make_home(
    hass: HomeAssistant, add_entry: AddEntry, freezer: FrozenDateTimeFactory
) -> AsyncIterator[MakeHome]:
    await hass.config.async_set_time_zone("UTC")
    freezer.move_to("2026-03-02T05:00:00Z")
    book = Book(site_id=SITE_ID, site_name="Home", key="key", secret="secret")
    book.resources[BATTERY_ID] = resource(SITE_ID, BATTERY_ID, "static_battery", "Battery", "10.0")
    platform = Api(book, Deaf())
    server = TestServer(platform.application())
    await server.start_server(access_log=None)
    try:

        async def make(*, bounds: dict[str, Any] | None = None, **changes: Any) -> Home:
            entry = add_entry(
                battery_subentry(**(BOUNDS if bounds is None else bounds)), offer(**changes)
            )
            api = PowernautApi(
                async_get_clientsession(hass),
                str(server.make_url("/")),
                key="key",
                secret="secret",
                context=ssl.create_default_context(),
            )
            home = Home(hass, entry, book, api)
            home.requests = platform.requests
            await home.start()
            return home

        yield make
    finally:
        await server.close()


def issues(hass: HomeAssistant) -> set[str | None]:
    return {issue.translation_key for issue in ir.async_get(hass).issues.values() if issue.active}


async def test_nothing_is_placed_before_it_is_turned_on(make_home: MakeHome) -> None:
    home = await make_home()
    await home.bids.async_update()
    assert (home.requests, home.bid.status) == ([], StandingStatus.OFF)


async def test_a_day_of_bids(make_home: MakeHome, freezer: FrozenDateTimeFactory) -> None:
    """Acceptances, an outage of 20 minutes, a restart in mid-window and a refused bid."""
    home = await make_home()
    await home.enable(True)
    begin = datetime(2026, 3, 2, 5, tzinfo=UTC)
    home.book.refused_starts = {"2026-03-02T08:00:00Z"}
    accepted: list[str] = []
    open_at: dict[str, list[str]] = {}
    ever_open: set[str] = set()
    for minute in range(8 * 60):
        now = begin + timedelta(minutes=minute)
        freezer.move_to(now)
        home.book.expire()
        home.book.fails = (
            datetime(2026, 3, 2, 7, 30, tzinfo=UTC) <= now < datetime(2026, 3, 2, 7, 50, tzinfo=UTC)
        )
        if not home.book.fails and now.minute % 30 == 10 and (standing := home.open()):
            # The platform accepts what comes next, and cancels all the others.
            bid_id = next(
                bid["id"]
                for bid in home.book.bids.values()
                if bid["status"] == "open" and bid["timing"]["start"][11:16] == standing[0]
            )
            home.book.accept(bid_id)
            accepted.append(standing[0])
        if now.strftime("%H:%M") == "09:07":
            await home.start()  # Home Assistant was restarted
        await home.bids.async_update()
        open_at[now.strftime("%H:%M")] = home.open()
        ever_open |= set(home.open())
    for bid in home.book.bids.values():
        BID(bid)
    # What was offered two hours ahead of the schedule, and not what the platform refuses.
    assert open_at["05:01"] == ["06:00", "06:15", "06:30", "06:45", "07:00"]
    day = [f"{hour:02}:{quarter:02}" for hour in range(6, 12) for quarter in (0, 15, 30, 45)]
    assert sorted(ever_open) == [start for start in day if start != "08:00"]
    # An acceptance cancels the others; they are back within the same minute.
    assert accepted[:3] == ["06:00", "06:15", "06:30"]
    assert open_at["06:10"] == ["06:45", "07:00", "07:15", "07:30", "07:45"]
    # The outage begins with bids for two hours, which stand; what it held back comes after it.
    assert open_at["07:49"][-1] == "09:15"
    assert open_at["07:50"][-1] == "09:45"
    # The restart forgets nothing: what is its own is renewed and withdrawn as before.
    assert open_at["09:07"] == open_at["09:06"]
    assert open_at["12:00"] == []
    assert home.desk.own == {}
    # Nothing outside the bounds, and each quarter-hour counted once.
    assert {point["value"] for bid in home.book.bids.values() for point in bid["curve"]} == {"-2.5"}
    assert len(home.desk.as_dict()["quarters"][BATTERY_ID]) == len(day)


async def test_the_quarter_hours_of_a_day_are_bounded(
    make_home: MakeHome, freezer: FrozenDateTimeFactory
) -> None:
    home = await make_home(bounds={"bids_per_day": 3})
    await home.enable(True)
    for _ in range(3):
        await home.bids.async_update()
    assert home.open() == ["06:00", "06:15", "06:30"]
    assert (home.bid.status, home.bid.detail) == (StandingStatus.OUT_OF_BOUNDS, "count")
    freezer.move_to("2026-03-02T06:40:00Z")
    await home.start()
    await home.bids.async_update()
    assert len(home.desk.as_dict()["quarters"][BATTERY_ID]) == 3
    freezer.move_to("2026-03-03T05:00:00Z")
    home.book.expire()
    await home.bids.async_update()
    assert home.open() == ["06:00", "06:15", "06:30"]


async def test_what_stands_is_withdrawn_when_it_is_turned_off(make_home: MakeHome) -> None:
    home = await make_home()
    await home.enable(True)
    await home.bids.async_update()
    assert (home.bid.status, len(home.bid.open)) == (StandingStatus.BIDDING, 4)
    await home.enable(False)
    await home.bids.async_update()
    assert (home.open(), home.bid.status) == ([], StandingStatus.OFF)
    count = len(home.requests)
    await home.bids.async_update()
    assert len(home.requests) == count


async def test_a_bid_that_is_placed_is_stored_with_the_next_one(
    hass: HomeAssistant, make_home: MakeHome, hass_storage: dict[str, Any]
) -> None:
    """Two files a bid wear out a card; one is enough for each to be found again."""
    home = await make_home()
    await home.enable(True)
    stored: list[set[str]] = []
    save = Store.async_save

    async def note(self: Store[Any], data: Any) -> None:
        stored.append(set(data["own"]))
        await save(self, data)

    with patch.object(Store, "async_save", note):
        await home.bids.async_update()
    assert len(home.book.bids) == 4
    assert [len(own) for own in stored] == [0, 1, 2, 3, 4]


async def test_what_was_accepted_is_listed_only_when_a_bid_is_no_longer_open(
    make_home: MakeHome, freezer: FrozenDateTimeFactory
) -> None:
    """The list has all that was ever accepted, and grows for years."""
    home = await make_home()
    await home.enable(True)
    lists: list[list[str]] = []

    async def update(minute: int) -> None:
        freezer.move_to(datetime(2026, 3, 2, 5, tzinfo=UTC) + timedelta(minutes=minute))
        before = len(home.requests)
        await home.bids.async_update()
        made = home.requests[before:]
        lists.append([request for request in made if request.startswith("GET")])

    await update(0)
    await update(1)
    home.book.accept(next(iter(home.book.bids)))
    await update(2)
    await update(3)
    assert [len(made) for made in lists] == [2, 1, 2, 1]
    # What was accepted is not offered again; what was cancelled with it is.
    assert home.open() == ["06:15", "06:30", "06:45", "07:00"]


async def test_a_removed_standing_bid_leaves_nothing_standing(
    hass: HomeAssistant, make_home: MakeHome
) -> None:
    home = await make_home()
    await home.enable(True)
    await home.bids.async_update()
    hass.config_entries.async_remove_subentry(home.entry, home.bid.subentry_id)
    await home.start()
    await home.bids.async_update()
    assert home.open() == []


async def test_the_bids_of_others_are_left_alone(
    make_home: MakeHome, freezer: FrozenDateTimeFactory
) -> None:
    home = await make_home()
    start = datetime(2026, 3, 2, 6, tzinfo=UTC)
    await home.desk.place(BATTERY_ID, start, [(1000, 0.5)])
    await home.enable(True)
    await home.bids.async_update()
    await home.enable(False)
    await home.bids.async_update()
    assert home.open() == ["06:00"]


async def test_another_curve_replaces_what_stands(hass: HomeAssistant, make_home: MakeHome) -> None:
    home = await make_home()
    await home.enable(True)
    await home.bids.async_update()
    [subentry] = home.entry.get_subentries_of_type("standing_bid")
    hass.config_entries.async_update_subentry(
        home.entry, subentry, data={**subentry.data, "curve": [{"watts": 1000, "price": 0.2}]}
    )
    await home.start()
    await home.bids.async_update()
    assert {bid["curve"][0]["value"] for bid in home.book.bids.values()} == {"1.0"}
    assert len(home.book.bids) == 4


async def test_a_clock_that_is_wrong_stops_all_bids(
    hass: HomeAssistant, make_home: MakeHome
) -> None:
    home = await make_home()
    await home.enable(True)
    await home.bids.async_update()
    home.book.clock_ahead_s = 90
    await home.bids.async_update()  # which finds out
    await home.bids.async_update()
    assert (home.open(), home.bid.status) == ([], StandingStatus.CLOCK_OFF)
    with pytest.raises(ServiceValidationError) as error:
        await home.desk.place(BATTERY_ID, datetime(2026, 3, 2, 7, tzinfo=UTC), [(0, 1)])
    assert error.value.translation_key == "powernaut_clock_off"
    home.book.clock_ahead_s = 0
    await home.api.sites()
    await home.bids.async_update()
    assert home.bid.status is StandingStatus.BIDDING


@pytest.mark.parametrize("percent", ["19", "95"])
async def test_a_battery_beyond_its_limits_is_not_offered(
    hass: HomeAssistant, make_home: MakeHome, percent: str
) -> None:
    home = await make_home(min_soc=20, max_soc=90)
    hass.states.async_set("sensor.charge", "50", {"unit_of_measurement": "%"})
    await home.enable(True)
    await home.bids.async_update()
    assert len(home.open()) == 4
    hass.states.async_set("sensor.charge", percent, {"unit_of_measurement": "%"})
    await home.bids.async_update()
    assert (home.open(), home.bid.status) == ([], StandingStatus.IDLE)


@pytest.mark.parametrize(
    ("template", "starts"),
    [
        ("{{ start.minute == 0 }}", ["06:00"]),
        ("{{ states('input_boolean.offer') == 'on' }}", []),
        ("{{ end.hour == 7 }}", ["06:45"]),
        ("{{ [start.hour] }}", []),
    ],
)
async def test_a_template_says_which_quarter_hours(
    make_home: MakeHome, template: str, starts: list[str]
) -> None:
    home = await make_home(template=template)
    await home.enable(True)
    await home.bids.async_update()
    assert home.open() == starts


@pytest.mark.parametrize(
    "changes",
    [
        {"min_soc": 20},
        {"template": "{{ states('sensor.charge') }}"},
        {"template": "{{ 1 / 0 }}"},
        {"template": "{{ unheard_of }}"},
    ],
)
async def test_without_its_input_nothing_stands_and_a_repair_tells(
    hass: HomeAssistant, make_home: MakeHome, changes: dict[str, Any]
) -> None:
    home = await make_home(**changes)
    await home.desk.place(
        BATTERY_ID,
        datetime(2026, 3, 2, 6, tzinfo=UTC),
        [(-2500, 0.3)],
        standing=home.bid.subentry_id,
    )
    hass.states.async_set("sensor.charge", "unavailable")
    await home.enable(True)
    await home.bids.async_update()
    assert (home.open(), home.bid.status) == ([], StandingStatus.INPUT_MISSING)
    assert issues(hass) == {"powernaut_bid_input"}
    await home.enable(False)
    await home.bids.async_update()
    assert issues(hass) == set()


async def test_an_automation_keeps_the_bounds_too(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    entry = add_entry(battery_subentry(**BOUNDS), offer())
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=False)
    count = len(api.requests)
    for curve, key in (
        ([{"watts": 3001, "price": 1}], "powernaut_bound_power"),
        ([{"watts": 0, "price": 0.05}], "powernaut_bound_price"),
        ([{"watts": 0}], "powernaut_bound_price"),
    ):
        with pytest.raises(ServiceValidationError) as error:
            await hass.services.async_call(
                DOMAIN,
                "powernaut_place_bid",
                {"start": "2030-03-01 14:00:00", "curve": curve},
                blocking=True,
            )
        assert error.value.translation_key == key
    assert len(api.requests) == count


async def test_the_switch_is_off_at_first_and_kept_over_a_reload(
    hass: HomeAssistant, api: FakeApi, broker: FakeBroker, add_entry: AddEntry
) -> None:
    api.answer("GET", "bids", {"total": 0, "items": []})
    entry = add_entry(battery_subentry(), offer(start_time="03:00:00", end_time="03:15:00"))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=False)

    def shown() -> tuple[str, ...]:
        states = (
            hass.states.get(entity_id)
            for entity_id in (
                "switch.mornings_bid",
                "sensor.mornings_status",
                "sensor.mornings_open_bids",
            )
        )
        return tuple(state.state if state else "-" for state in states)

    assert shown() == ("off", "off", "0")
    target = {"entity_id": "switch.mornings_bid"}
    await hass.services.async_call("switch", "turn_on", target, blocking=True)
    assert shown()[0] == "on"
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=False)
    assert shown()[0] == "on"
    await hass.services.async_call("switch", "turn_off", target, blocking=True)
    assert shown() == ("off", "off", "0")
    assert entry.runtime_data.diagnostics()["bids"] == {"placed": [], "quarters": {}, "own": 0}
    await hass.config_entries.async_remove(entry.entry_id)
