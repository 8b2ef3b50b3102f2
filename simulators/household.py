"""A house with ten meters of ten families, on two network lines and a serial one."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from .home_assistant import Json
from .house import House
from .meters import MeterServer, SimulatedMeter

SERIAL_SETTINGS = {"baudrate": "9600", "bytesize": "8", "parity": "none", "stopbits": "1"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line that is served: the step and the fields of the flow that reach it, and its meters."""

    step: str
    connection: Json
    # By the name that each gets in Home Assistant.
    meters: Mapping[str, SimulatedMeter]


def _meters(day_s: float) -> Sequence[Mapping[str, SimulatedMeter]]:
    """Return the meters of each line; what they measure adds up to what the house draws."""

    def part(l1: float, l2: float = 0.0, l3: float = 0.0) -> House:
        return House(
            day_s=day_s,
            load_w={"l1": l1, "l2": l2, "l3": l3},
            evening_w=0.0,
            solar_peak_w=0.0,
        )

    flat = part(180.0, 160.0, 170.0)
    office = part(90.0, 120.0, 60.0)
    charger = part(1380.0, 1380.0, 1380.0)
    workshop = part(40.0, 50.0, 45.0)
    heat_pump = part(700.0, 690.0, 710.0)
    kitchen = part(150.0, 220.0, 130.0)
    garden = part(35.0)
    pool = part(410.0)
    parts = (flat, office, charger, workshop, heat_pump, kitchen, garden, pool)
    house = House(day_s=day_s, parts=parts)
    return (
        {
            "House": SimulatedMeter(1, "eastron_sdm630", house.grid),
            "Solar": SimulatedMeter(2, "eastron_sdm120", house.solar, serial_number="19070815"),
            "Flat": SimulatedMeter(3, "abb_ab_series", flat.grid, serial_number="41803"),
            "Office": SimulatedMeter(4, "schneider_iem3000", office.grid, serial_number="21094417"),
        },
        {
            "Charger": SimulatedMeter(
                1, "carlo_gavazzi_em24_e1", charger.grid, serial_number="KS1234567A"
            ),
            "Workshop": SimulatedMeter(2, "siemens_pac2200", workshop.grid),
            "Heat pump": SimulatedMeter(3, "janitza_b_series", heat_pump.grid),
        },
        {
            "Kitchen": SimulatedMeter(1, "lovato_dmg610", kitchen.grid),
            "Garden": SimulatedMeter(2, "orno_we514_we515", garden.first_phase),
            "Pool": SimulatedMeter(3, "finder_7m24", pool.first_phase),
        },
    )


@asynccontextmanager
async def household(day_s: float) -> AsyncIterator[Sequence[Line]]:
    """Serve the meters of the house; the first line has the meters of the grid and of the sun."""
    cellar, garage, serial = _meters(day_s)
    async with AsyncExitStack() as stack:
        lines = []
        for meters in (cellar, garage):
            server = await stack.enter_async_context(MeterServer(meters.values()))
            lines.append(
                Line(
                    step="modbus_tcp",
                    connection={"host": "127.0.0.1", "port": server.port},
                    meters=meters,
                )
            )
        server = await stack.enter_async_context(MeterServer(serial.values(), transport="serial"))
        lines.append(
            Line(
                step="modbus_serial",
                connection={"device": server.device, **SERIAL_SETTINGS},
                meters=serial,
            )
        )
        yield lines
