"""The stand-in for Scout, and an entry that sends to it."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.scout.const import SUBENTRY_ALARM, SUBENTRY_DEVICE
from simulators.scout import ScoutServer

type AddEntry = Callable[..., MockConfigEntry]


@pytest.fixture
async def server(socket_enabled: None) -> AsyncGenerator[ScoutServer]:
    """Run the stand-in."""
    async with ScoutServer() as running:
        yield running


def device(device_id: str, *points: dict[str, Any]) -> ConfigSubentryData:
    return ConfigSubentryData(
        subentry_type=SUBENTRY_DEVICE,
        title=device_id,
        unique_id=None,
        data={"gateway_device_id": device_id, "points": list(points)},
    )


def alarm(entity: str, **more: str) -> ConfigSubentryData:
    return ConfigSubentryData(
        subentry_type=SUBENTRY_ALARM,
        title=entity,
        unique_id=None,
        data={
            "entity": entity,
            "event_type": "ALARM_DEVICE",
            "gateway_device_id": "MAIN",
            **more,
        },
    )


def entry_data(server: ScoutServer) -> dict[str, Any]:
    return {
        CONF_KIND: "scout",
        "url": server.url,
        "host": server.host,
        "claim_id": server.claim_id,
        "token": server.token,
        "allow_plain": True,
        "serial_number": "HA-1",
        "gateway_type": "HOME_ASSISTANT",
        "hardware_version": "1.0",
        "interval_s": 1,
        "max_age_days": 30,
        "max_samples": 1_000_000,
    }


@pytest.fixture
def add_entry(hass: HomeAssistant, server: ScoutServer, tmp_path: object) -> AddEntry:
    """Return a function that adds an entry for the stand-in, with subentries."""
    hass.config.config_dir = str(tmp_path)

    def add(*subentries: ConfigSubentryData, **changes: Any) -> MockConfigEntry:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Scout",
            data={**entry_data(server), **changes},
            subentries_data=subentries,
        )
        entry.add_to_hass(hass)
        return entry

    return add
