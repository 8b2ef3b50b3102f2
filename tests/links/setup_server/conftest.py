"""An entry with its server, and clients of it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.const import CONF_HOST, CONF_PORT
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from simulators.programs import free_port
from tests.protocols.stomp.setup_client import LOGIN, PASSWORD_HASH, SetupClient

type AddEntry = Callable[..., MockConfigEntry]
type LogIn = Callable[..., Awaitable[SetupClient]]


def command(destination: str, action: str, time_limit_s: int = 10, **more: Any) -> Any:
    return ConfigSubentryData(
        subentry_type="command",
        title=destination,
        unique_id=None,
        data={
            "destination": destination,
            "action": {"action": action, **more},
            "time_limit_s": time_limit_s,
        },
    )


@pytest.fixture
def add_entry(hass: HomeAssistant, socket_enabled: None) -> AddEntry:
    """Return a function that adds an entry on a free port, with subentries."""

    def add(*subentries: Any, **changes: Any) -> MockConfigEntry:
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Setup",
            data={
                CONF_KIND: "setup_server",
                CONF_HOST: "127.0.0.1",
                CONF_PORT: free_port(),
                "allowed_networks": ["127.0.0.0/8"],
                "login": LOGIN,
                "password_hash": PASSWORD_HASH,
                "allow_restart": False,
                "allow_reboot": False,
                "max_connections": 32,
                "max_body_bytes": 4096,
                "sources": [],
                **changes,
            },
            subentries_data=subentries,
        )
        entry.add_to_hass(hass)
        return entry

    return add


@pytest.fixture
async def log_in(hass: HomeAssistant) -> AsyncGenerator[LogIn]:
    """Return a function that sets an entry up, if need be, and logs a client in."""
    clients: list[SetupClient] = []

    async def start(entry: MockConfigEntry, **how: Any) -> SetupClient:
        if not hasattr(entry, "runtime_data"):
            assert await hass.config_entries.async_setup(entry.entry_id)
        clients.append(await SetupClient.log_in(entry.data[CONF_PORT], **how))
        return clients[-1]

    yield start
    for client in clients:
        await client.close()
