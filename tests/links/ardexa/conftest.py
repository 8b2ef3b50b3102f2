"""A cloud of our own, and an entry that connects to it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import device_registry as dr
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from simulators.ardexa import Ardexa

WITHIN_S = 20
GATEWAY = "666170e2-d3b2-49b7-88fc-542e1a2c9732"
OTHER = "3dcf4324-3c0a-40bc-8d13-5d5bbbcf229e"
META: dict[str, Any] = {
    "run": [
        {
            "table": "data",
            "source": "cpu_usage",
            "expect": "decimal",
            "frequency": 30,
            "meta": {"units": "percentage", "comment": "measures cpu usage"},
        }
    ],
    "tail": [
        {"table": "solar", "source": "inverter-01", "expect": "csv", "fields": "inverter_fields"}
    ],
    "inverter_fields": [
        {"name": "AC Power", "expect": "decimal", "meta": {"units": "W"}},
        {"name": "Energy", "expect": "decimal", "meta": {"units": "kWh"}},
        {"name": "Running", "expect": "bool"},
        {"name": "Note", "expect": "keyword"},
    ],
}
FIELDS: list[dict[str, Any]] = [
    {"name": "AC Power", "expect": "decimal", "unit": "W"},
    {"name": "Energy", "expect": "decimal", "unit": "kWh"},
    {"name": "Running", "expect": "bool", "unit": None},
    {"name": "Note", "expect": "keyword", "unit": None},
]
ROW = {"AC Power": 66920, "Energy": 12.5, "Running": True, "Note": "ok"}

type AddEntry = Callable[..., MockConfigEntry]


@pytest.fixture
async def cloud(socket_enabled: None, request: pytest.FixtureRequest) -> AsyncGenerator[Ardexa]:
    """Run a cloud with two devices; the parameter is how often it pings."""
    ping_s: float = getattr(request, "param", 25.0)
    async with Ardexa(ping_interval_s=ping_s, ping_timeout_s=ping_s) as running:
        running.add_device(GATEWAY, "Gateway", META)
        running.add_device(OTHER, "Other", online=False)
        yield running


def feed(*fields: dict[str, Any], **changes: Any) -> ConfigSubentryData:
    data = {
        "device": GATEWAY,
        "table": "solar",
        "source": "inverter-01",
        "fields": list(fields or FIELDS),
        "stale_after_s": 300,
        **changes,
    }
    title = changes.pop("title", "Inverter")
    return ConfigSubentryData(
        subentry_type="feed",
        title=title,
        unique_id="/".join((data["device"], data["table"], data["source"], data.get("field", ""))),
        data=data,
    )


def power_feed(**changes: Any) -> ConfigSubentryData:
    return feed(FIELDS[0], field="AC Power", **changes)


@pytest.fixture
def add_entry(hass: HomeAssistant, cloud: Ardexa) -> AddEntry:
    """Return a function that adds an entry for the cloud."""

    def add(*subentries: ConfigSubentryData, **changes: Any) -> MockConfigEntry:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Ardexa dev",
            unique_id=f"ardexa/{cloud.url.removeprefix('http://')}/dev",
            data={
                CONF_KIND: "ardexa",
                "url": cloud.url,
                "workgroup": "dev",
                "token": cloud.token,
                "allow_operations": True,
                **changes,
            },
            subentries_data=subentries,
        )
        entry.add_to_hass(hass)
        return entry

    return add


@pytest.fixture(autouse=True)
def soon() -> Any:
    """Let nothing wait for long that waits for something to settle."""
    package = "custom_components.grid_telemetry.links.ardexa.link"
    with (
        patch(f"{package}.GATHER_S", 0.01),
        patch(f"{package}.LAST_RETRY_S", 0.2),
        patch(f"{package}.UNAVAILABLE_AFTER_S", 0.5),
    ):
        yield


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.01)


async def shown(hass: HomeAssistant, entity_id: str, condition: Callable[[State], object]) -> State:
    """Wait until an entity shows something, and return its state."""

    def found() -> bool:
        state = hass.states.get(entity_id)
        return state is not None and bool(condition(state))

    await until(found)
    state = hass.states.get(entity_id)
    assert state is not None
    return state


async def is_shown(hass: HomeAssistant, entity_id: str, text: str) -> State:
    return await shown(hass, entity_id, lambda state: state.state == text)


async def start(hass: HomeAssistant, cloud: Ardexa, entry: MockConfigEntry) -> None:
    """Set the entry up and wait until it is connected and its feeds run."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await until(lambda: entry.runtime_data.session)
    feeds = entry.runtime_data.feeds.all
    await until(lambda: all(feed.feed_id or feed.error for feed in feeds))
    await hass.async_block_till_done()


def device_of(hass: HomeAssistant, entry: MockConfigEntry, device_id: str = GATEWAY) -> str:
    """Return Home Assistant's id of a device."""
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, f"{entry.entry_id}_{device_id}"), entry.entry_id
    )
    assert device is not None
    return device.id
