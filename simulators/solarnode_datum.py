"""What a SolarNode in the simulated house measures, in the shape of its datum."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
import time
from typing import Any

from .house import House

type Datum = dict[str, Any]


def created(epoch_s: float) -> str:
    """Return a time as SolarNode writes it: a space, and no zeros at the end of the fraction."""
    at = datetime.fromtimestamp(int(epoch_s * 1000) / 1000, UTC)
    fraction = f".{at.microsecond // 1000:03}".rstrip("0").rstrip(".")
    return f"{at:%Y-%m-%d %H:%M:%S}{fraction}Z"


@dataclass(kw_only=True)
class HouseDatum:
    """The latest datum of a node in a house with solar panels: two meters and a sensor."""

    house: House = field(default_factory=House)
    clock: Callable[[], float] = time.time

    def __call__(self) -> list[Datum]:
        """Return them as they are now."""
        at = created(self.clock())
        grid, solar = self.house.grid(), self.house.solar()
        meter: Datum = {
            "created": at,
            "sourceId": "/house/meter/1",
            "i": {
                "watts": round(grid["power"]),
                "frequency": round(grid["frequency"], 3),
                "powerFactor": round(grid["power_factor"], 3),
                "reactivePower": round(grid["reactive_power"]),
                "apparentPower": round(grid["apparent_power"]),
                "lineVoltage": round(grid["voltage_ll_average"], 2),
                "neutralCurrent": round(grid["current_n"], 3),
            },
            "a": {
                "wattHours": round(grid["energy_import"] * 1000),
                "wattHoursReverse": round(grid["energy_export"] * 1000),
            },
            "s": {"phase": "Total"},
        }
        for phase, letter in (("l1", "a"), ("l2", "b"), ("l3", "c")):
            meter["i"][f"voltage_{letter}"] = round(grid[f"voltage_{phase}"], 2)
            meter["i"][f"current_{letter}"] = round(grid[f"current_{phase}"], 3)
        inverter: Datum = {
            "created": at,
            "sourceId": "/house/inverter/1",
            "i": {
                "watts": round(-solar["power"]),
                "voltage": round(solar["voltage"], 2),
                "current": round(solar["current"], 3),
                "frequency": round(solar["frequency"], 3),
                "dcVoltage": 612.4,
                "dcPower": round(-solar["power"] * 1.03),
                "temp_heatSink": 41.5,
            },
            "a": {"wattHours": round(solar["energy_export"] * 1000)},
            "s": {"opState": 1},
            "t": ["pv"],
        }
        weather: Datum = {
            "created": at,
            "sourceId": "Weather",
            "i": {"temp": 18.3, "irradiance": 512.0},
            "s": {"sky": "Scattered clouds: fair"},
        }
        return [meter, inverter, weather]
