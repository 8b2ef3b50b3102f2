"""A broker with a strict host behind it, and an entry that sends to it."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from custom_components.grid_telemetry.links.sparkplug.const import (
    SUBENTRY_COMMAND,
    SUBENTRY_DEVICE,
)
from simulators.sparkplug import GROUP, NODE, NODE_PASSWORD, NODE_USER, Sparkplug

type AddEntry = Callable[..., MockConfigEntry]


@pytest.fixture
async def scada(socket_enabled: None, tmp_path: Path) -> AsyncGenerator[Sparkplug]:
    """Run the stand-in, its host online."""
    folder = tmp_path / "broker"
    folder.mkdir()
    async with Sparkplug(folder) as running:
        await running.host.go_online()
        yield running
    assert running.ledger.refused == []


def point(entity: str, name: str, data_type: str = "double", **more: Any) -> dict[str, Any]:
    return {"entity": entity, "name": name, "unit": None, "factor": 1.0, **more} | {
        "data_type": data_type
    }


def device(device_id: str, *points: dict[str, Any], **more: Any) -> ConfigSubentryData:
    return ConfigSubentryData(
        subentry_type=SUBENTRY_DEVICE,
        title=device_id,
        unique_id=None,
        data={"device_id": device_id, "points": list(points), **more},
    )


def command(device_id: str, name: str, data_type: str, **more: Any) -> ConfigSubentryData:
    return ConfigSubentryData(
        subentry_type=SUBENTRY_COMMAND,
        title=name,
        unique_id=None,
        data={
            "device_id": device_id,
            "metric": name,
            "data_type": data_type,
            "time_limit_s": 5,
            **more,
        },
    )


def entry_data(scada: Sparkplug) -> dict[str, Any]:
    return {
        CONF_KIND: "sparkplug",
        "host": "127.0.0.1",
        "port": scada.broker.plain_port,
        "transport": "tcp",
        "mqtt_version": "5",
        "path": "/mqtt",
        "username": NODE_USER,
        "password": NODE_PASSWORD,
        "group_id": GROUP,
        "node_id": NODE,
        "interval_s": 1,
        "max_age_days": 30,
        "max_samples": 1_000_000,
    }


@pytest.fixture
def add_entry(hass: HomeAssistant, scada: Sparkplug, tmp_path: Path) -> AddEntry:
    """Return a function that adds an entry for the stand-in, with subentries."""
    hass.config.config_dir = str(tmp_path)

    def add(*subentries: ConfigSubentryData, **changes: Any) -> MockConfigEntry:
        data = {**entry_data(scada), **changes}
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Sparkplug",
            data={key: value for key, value in data.items() if value is not None},
            subentries_data=subentries,
        )
        entry.add_to_hass(hass)
        return entry

    return add
