"""A restart in the middle of a control loop: an inverter that controls by what we serve."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
import struct
import time

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.grid_telemetry.links.virtual_meter.store import async_remove_served
from tests.clock import Ahead, clocks_ahead

from .conftest import AddEntry, Connect, meter, point

LIMIT_S = 10
STEP_S = 2.0


@dataclass
class Grid:
    """The connection to the grid, and the meter of the utility that nobody can fool."""

    load_w: float = 800.0
    solar_w: float = 0.0
    bought_kwh: float = 8123.4
    sold_kwh: float = 412.7

    @property
    def power_w(self) -> float:
        return self.load_w - self.solar_w

    def run(self, seconds: float) -> None:
        energy_kwh = self.power_w * seconds / 3_600_000
        self.bought_kwh += max(0.0, energy_kwh)
        self.sold_kwh += max(0.0, -energy_kwh)


@dataclass
class Inverter:
    """Controls the power at the grid to zero, and books what the meter counts.

    As inverters do, it books what a counter has advanced by, takes a fall for another meter, and
    turns off when the meter is lost for some seconds.
    """

    grid: Grid
    meter: Meter
    booked_kwh: dict[str, float] = field(default_factory=lambda: {"bought": 0.0, "sold": 0.0})
    falls: list[tuple[str, float]] = field(default_factory=list)
    lost_for_s: float = 0.0
    _counted: dict[str, float] = field(default_factory=dict)

    async def step(self, client: AsyncModbusTcpClient, true_w: Mapping[float, float]) -> None:
        words = await self._read(client)
        if words is None:
            self.lost_for_s += STEP_S
            if self.lost_for_s > 5:
                self.grid.solar_w = 0.0
            return
        self.lost_for_s = 0.0
        power, bought, sold = words
        # It is what the meter showed within the limit.
        assert any(abs(power - was) < 0.1 for was in true_w.values())
        for name, kwh in (("bought", bought), ("sold", sold)):
            before = self._counted.get(name)
            if before is not None:
                self.booked_kwh[name] += kwh - before
                if kwh < before:
                    self.falls.append((name, kwh - before))
            self._counted[name] = kwh
        self.grid.solar_w = max(0.0, self.grid.solar_w + 0.5 * power)

    async def _read(self, client: AsyncModbusTcpClient) -> tuple[float, float, float] | None:
        try:
            if not client.connected and not await client.connect():
                return None
            answer = await self.meter.ask(client)
        except ModbusException:
            return None
        if answer.isError():
            return None
        words = struct.pack(f">{len(answer.registers)}H", *answer.registers)
        power, bought, sold = (
            struct.unpack_from(">f", words, 2 * at)[0]
            for at in (0, self.meter.bought, self.meter.sold)
        )
        return power, bought / self.meter.per_kwh, sold / self.meter.per_kwh


@dataclass(frozen=True, kw_only=True)
class Meter:
    """What the inverter takes for its meter, from the register of the power on."""

    profile: str
    function: str
    address: int
    count: int
    bought: int
    sold: int
    per_kwh: float = 1

    async def ask(self, client: AsyncModbusTcpClient) -> ModbusPDU:
        answer: ModbusPDU = await getattr(client, self.function)(
            self.address, count=self.count, device_id=1
        )
        return answer


EASTRON = Meter(
    profile="eastron_sdm630",
    function="read_input_registers",
    address=0x34,
    count=0x18,
    bought=0x14,
    sold=0x16,
)
SUNSPEC = Meter(
    profile="fronius_213",
    function="read_holding_registers",
    address=40097,
    count=42,
    bought=40,
    sold=32,
    per_kwh=1000,
)


@dataclass
class House:
    """Home Assistant between the meter of the utility and the inverter."""

    hass: HomeAssistant
    inverter: Inverter
    ahead: Ahead
    connect: Callable[[], Awaitable[AsyncModbusTcpClient]]
    served: int = 0
    _recent_w: dict[float, float] = field(default_factory=dict)

    def report(self) -> None:
        grid = self.inverter.grid
        for name, value, unit in (
            ("grid_power", grid.power_w, "W"),
            ("bought", grid.bought_kwh, "kWh"),
            ("sold", grid.sold_kwh, "kWh"),
        ):
            self.hass.states.async_set(
                f"sensor.{name}",
                str(value),
                {"unit_of_measurement": unit},
                timestamp=time.time() + self.ahead.seconds,
            )
        self._recent_w[self.ahead.seconds] = grid.power_w

    def forget(self) -> None:
        """Show the sensors as Home Assistant does before their integration is up."""
        for name in ("grid_power", "bought", "sold"):
            self.hass.states.async_set(f"sensor.{name}", "unknown")

    async def run(self, seconds: float, *, reporting: bool) -> None:
        client = await self.connect()
        end = self.ahead.seconds + seconds
        while self.ahead.seconds < end:
            self.ahead.seconds += STEP_S
            self.inverter.grid.run(STEP_S)
            if reporting:
                self.report()
            oldest = self.ahead.seconds - LIMIT_S
            self._recent_w = {at: w for at, w in self._recent_w.items() if at >= oldest}
            await self.inverter.step(client, self._recent_w)
            self.served += self.inverter.lost_for_s == 0


@pytest.mark.parametrize("played", [EASTRON, SUNSPEC], ids=lambda played: played.profile)
async def test_a_restart_in_a_control_loop_books_nothing_and_serves_nothing_old(
    hass: HomeAssistant, add_entry: AddEntry, connect: Connect, played: Meter
) -> None:
    grid = Grid()
    inverter = Inverter(grid, played)
    entry = add_entry(
        meter(
            point("sensor.grid_power", "power", unit="W"),
            point("sensor.bought", "energy_import", unit="kWh"),
            point("sensor.sold", "energy_export", unit="kWh"),
            profile=played.profile,
            max_age_s=LIMIT_S,
            when_old="exception",
        )
    )
    with clocks_ahead() as ahead:
        house = House(hass, inverter, ahead, partial(connect, entry, timeout=1))
        house.report()
        assert await hass.config_entries.async_setup(entry.entry_id)
        await house.run(60, reporting=True)
        # The loop has settled, with the house covered.
        assert house.served == 30
        assert abs(grid.power_w) < 10
        # The sensor falls silent while the house takes more: the inverter is told, and turns off.
        grid.load_w = 3000.0
        await house.run(30, reporting=False)
        assert grid.solar_w == 0
        grid.load_w = 800.0
        await house.run(60, reporting=True)

        await restart(hass, entry, house)
        await house.run(20, reporting=False)
        assert inverter.lost_for_s == 20
        await house.run(60, reporting=True)
        assert inverter.lost_for_s == 0

        # Killed: nothing is known of what was served.
        assert await hass.config_entries.async_unload(entry.entry_id)
        await async_remove_served(hass, entry)
        await restart(hass, entry, house)
        await house.run(20, reporting=False)
        assert inverter.lost_for_s == 20
        await house.run(60, reporting=True)

    assert inverter.falls == []
    for name, begun, now in (
        ("bought", 8123.4, grid.bought_kwh),
        ("sold", 412.7, grid.sold_kwh),
    ):
        # To the steps of a float of seven digits.
        assert inverter.booked_kwh[name] == pytest.approx(now - begun, abs=0.0015), name


async def restart(hass: HomeAssistant, entry: MockConfigEntry, house: House) -> None:
    """Restart; the integrations of the sensors are not up yet."""
    if entry.state is ConfigEntryState.LOADED:
        assert await hass.config_entries.async_unload(entry.entry_id)
    house.forget()
    assert await hass.config_entries.async_setup(entry.entry_id)
