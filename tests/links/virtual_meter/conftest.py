"""An entry that serves meters, and clients of another Modbus stack that read them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
import os
import pty
import tty
from typing import Any

from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from simulators.programs import free_port

type AddEntry = Callable[..., MockConfigEntry]
type Connect = Callable[..., Awaitable[AsyncModbusTcpClient]]


def point(entity: str, name: str, **more: Any) -> dict[str, Any]:
    return {"entity": entity, "name": name, "unit": None, "factor": 1.0, **more}


def meter(
    *points: dict[str, Any],
    profile: str = "eastron_sdm630",
    unit: int = 1,
    max_age_s: int | None = 300,
    **more: Any,
) -> ConfigSubentryData:
    return ConfigSubentryData(
        subentry_type="virtual_meter",
        title=f"{profile} ({unit})",
        unique_id=None,
        data={
            "unit_id": str(unit),
            "profile": profile,
            **({} if max_age_s is None else {"max_age_s": max_age_s}),
            "points": list(points),
            **more,
        },
    )


@pytest.fixture
def add_entry(hass: HomeAssistant, socket_enabled: None) -> AddEntry:
    """Return a function that adds an entry on a free port, with meters."""

    def add(*meters: ConfigSubentryData, **changes: Any) -> MockConfigEntry:
        data = {
            "transport": "tcp",
            "host": "127.0.0.1",
            "port": free_port(),
            "allowed_networks": ["127.0.0.0/8"],
            "max_clients": 8,
        }
        entry = MockConfigEntry(
            domain=DOMAIN,
            title="Virtual meter",
            data={CONF_KIND: "virtual_meter", **data, **changes},
            subentries_data=meters,
        )
        entry.add_to_hass(hass)
        return entry

    return add


@pytest.fixture
async def connect(socket_enabled: None) -> AsyncGenerator[Connect]:
    """Connect to an entry's port."""
    async with AsyncExitStack() as stack:

        async def start(entry: MockConfigEntry, **settings: Any) -> AsyncModbusTcpClient:
            rtu = entry.data["transport"] == "rtu_over_tcp"
            client = AsyncModbusTcpClient(
                "127.0.0.1",
                port=entry.data["port"],
                framer=FramerType.RTU if rtu else FramerType.SOCKET,
                # What came while a busy machine stood still is not answered, and asked again.
                **{"timeout": 3, "retries": 3, "reconnect_delay": 0, **settings},
            )
            assert await client.connect()
            stack.callback(client.close)
            return client

        yield start


@dataclass(frozen=True)
class Line:
    """A serial line: the port that is served, and the one of the client."""

    served: str
    client: str


@pytest.fixture
async def line() -> AsyncGenerator[Line]:
    """Wire two serial ports to each other."""
    ends = [pty.openpty() for _ in range(2)]
    (ours, served), (theirs, client) = ends
    loop = asyncio.get_running_loop()
    for master, other in ((ours, theirs), (theirs, ours)):
        tty.setraw(master)
        loop.add_reader(master, lambda master=master, other=other: pass_on(master, other))
    yield Line(os.ttyname(served), os.ttyname(client))
    for master, slave in ends:
        loop.remove_reader(master)
        os.close(master)
        os.close(slave)


def pass_on(master: int, other: int) -> None:
    os.write(other, os.read(master, 1024))
