"""A year of twelve meters: what totals, a check meter, Scout and a Modbus master make of it.

Held against what the simulation truly counted: nothing may be lost, and nothing invented. Scout
cannot be reached until the last day, and then takes the whole year from the outbox; the virtual
meter is read over its socket each month.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
import math
from pathlib import Path
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.core import HomeAssistant
from pymodbus.client import AsyncModbusTcpClient
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.grid_telemetry.const import CONF_KIND, DOMAIN
from simulators.programs import free_port
from simulators.scout import ScoutServer

from .links.group.conftest import group, member
from .links.scout.conftest import device, entry_data
from .links.virtual_meter.conftest import meter as virtual_meter, point
from .links.virtual_meter.test_link import floats

HOUR_S = 3600
HOURS = 365 * 24
EVERY_H = 2
"""So often a meter is reported."""
ROLLS_OVER_AT = 2**32 / 1000
"""A register of 32 bits in Wh, in kWh."""
ATTRIBUTES = {"unit_of_measurement": "kWh", "state_class": "total_increasing"}


@dataclass
class Meter:
    """One meter, and what happens to it."""

    name: str
    shows: float
    true: float = 0.0
    replaced: dict[int, float] = field(default_factory=dict)
    """Hour → what the meter in its place shows at first."""
    zeros: Sequence[range] = ()
    outages: Sequence[range] = ()

    @property
    def entity_id(self) -> str:
        """The sensor of whatever integration reads it."""
        return f"sensor.{self.name}"

    def count(self, hour: int) -> None:
        """Count an hour: more by day than by night, and more in winter than in summer."""
        day = 1 + math.sin(2 * math.pi * (hour % 24 - 6) / 24)
        year = 1.2 + math.cos(2 * math.pi * hour / HOURS)
        kwh = round(0.4 * day * year * (1 + len(self.name) % 3), 3)
        self.true += kwh
        self.shows = (self.shows + kwh) % ROLLS_OVER_AT

    def state(self, hour: int) -> str:
        """Return what the sensor shows."""
        if any(hour in outage for outage in self.outages):
            return "unavailable"
        if any(hour in zero for zero in self.zeros):
            return "0"
        return str(round(self.shows, 3))


def meters() -> list[Meter]:
    return [
        Meter("main", 12_000.0),
        Meter("cellar", 300.0, replaced={2000: 0.0}),
        Meter("ground", 5000.0, replaced={5000: 8123.4}),
        # For a read, for some hours, and for half a day at once.
        Meter("first", 9000.0, zeros=(range(700, 701), range(3000, 3004), range(6000, 6012))),
        Meter("second", ROLLS_OVER_AT - 1500),
        Meter("third", 800.0, outages=(range(4000, 4072),)),
        *(Meter(f"flat_{number}", 1000.0 * number) for number in range(1, 7)),
    ]


def set_states(hass: HomeAssistant, house: Sequence[Meter], hour: int) -> None:
    for meter in house:
        hass.states.async_set(meter.entity_id, meter.state(hour), ATTRIBUTES)


async def set_up(
    hass: HomeAssistant, title: str, data: dict[str, Any], *subentries: ConfigSubentryData
) -> MockConfigEntry:
    entry = MockConfigEntry(domain=DOMAIN, title=title, data=data, subentries_data=subentries)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


async def read_once(port: int) -> float:
    """Return the imported energy that a Modbus master reads."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=HOUR_S)
    assert await client.connect()
    try:
        return await floats(client, 0x48)
    finally:
        client.close()


async def while_time_passes[T](
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, work: Coroutine[Any, Any, T]
) -> T:
    """Do what needs a clock that runs: a server takes one that leaps for a loop that stalled."""
    task = asyncio.create_task(work)
    while not task.done():
        freezer.tick(0.1)
        async_fire_time_changed(hass)
        await asyncio.sleep(0)
    return await task


@pytest.mark.long
async def test_a_year_loses_nothing_and_invents_nothing(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    socket_enabled: None,
    enable_custom_integrations: None,
    tmp_path: Path,
) -> None:
    await hass.config.async_set_time_zone("Europe/Madrid")
    hass.config.config_dir = str(tmp_path)
    freezer.move_to("2026-01-01T00:00:00+00:00")
    house = meters()
    set_states(hass, house, 0)
    before = {meter.name: meter.shows for meter in house}
    flats = [meter for meter in house if meter.name != "main"]
    without_rollover = [meter for meter in house if meter.name != "second"]
    await set_up(
        hass,
        "Meter groups",
        {CONF_KIND: "group"},
        group(*(member(meter.entity_id, "energy_import") for meter in house), name="All"),
        group(
            *(member(meter.entity_id, "energy_import") for meter in without_rollover), name="Most"
        ),
        group(
            member("sensor.main", "energy_import"),
            *(member(meter.entity_id, "energy_import", -1.0) for meter in flats),
            kind="difference",
            name="Rest",
        ),
    )
    server = ScoutServer()
    await server.start()
    await server.stop()
    total_of_all = {"entity": "sensor.all_imported_energy", "name": "TOT_ENERGY", "unit": "Wh"}
    scout = await set_up(
        hass,
        "Scout",
        {**entry_data(server), "interval_s": EVERY_H * HOUR_S, "max_age_days": 400},
        device("MAIN", total_of_all),
    )
    port = free_port()
    await set_up(
        hass,
        "Virtual meter",
        {
            CONF_KIND: "virtual_meter",
            "transport": "tcp",
            "host": "127.0.0.1",
            "port": port,
            "allowed_networks": ["127.0.0.0/8"],
            "max_clients": 8,
        },
        virtual_meter(point("sensor.most_imported_energy", "energy_import", unit="kWh")),
    )
    served: list[float] = []

    def report(hour: int) -> None:
        """Have every meter count, be read, and perhaps be replaced."""
        for meter in house:
            for counted in range(hour - EVERY_H, hour):
                meter.count(counted)
        set_states(hass, house, hour)
        others = [meter for meter in house if hour in meter.replaced]
        for meter in others:
            meter.shows = meter.replaced[hour]
        set_states(hass, others, hour)

    for hour in range(EVERY_H, HOURS + 1, EVERY_H):
        freezer.tick(EVERY_H * HOUR_S)
        report(hour)
        async_fire_time_changed(hass)
        if hour % 24 == 0:
            await hass.async_block_till_done()
        if hour % (30 * 24) == 0 or hour == HOURS:
            served.append(await while_time_passes(hass, freezer, read_once(port)))
    await hass.async_block_till_done()
    await server.start()
    await while_time_passes(
        hass, freezer, server.wait_for(lambda: len(server.metrics) >= HOURS // EVERY_H - 1, HOUR_S)
    )
    await while_time_passes(hass, freezer, hass.config_entries.async_unload(scout.entry_id))
    await server.stop()
    sent = [metric.value for metric in server.metrics]

    def shown(name: str) -> float:
        state = hass.states.get(f"sensor.{name}_imported_energy")
        assert state is not None
        return float(state.state)

    truth = {meter.name: before[meter.name] + meter.true for meter in house}
    total = sum(truth.values())
    assert shown("all") == pytest.approx(total, abs=1e-3)
    assert shown("rest") == pytest.approx(2 * truth["main"] - total, abs=1e-3)
    assert sent[-1] == pytest.approx(1000 * total, abs=1)
    assert served[-1] == pytest.approx(total - truth["second"], abs=0.01)
    assert sent == sorted(sent)
    assert served == sorted(served)
    assert sum(meter.true for meter in house) > 10_000
