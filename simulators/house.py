"""A house with solar panels, as its meters see it: consistent in power, phase angle and energy."""

from collections.abc import Callable, Mapping, Sequence
import math
import time

PHASES = ("l1", "l2", "l3")

_NOON_S = 12 * 3600.0
_DAY_S = 24 * 3600.0
# A single-phase inverter on L1.
_SOLAR_PEAK_W = 4200.0
_LOAD_W = {"l1": 620.0, "l2": 410.0, "l3": 350.0}
# The loads' reactive power for each watt; the inverter makes active power only.
_LOAD_VAR_PER_W = {"l1": 0.28, "l2": 0.35, "l3": 0.22}
_EVENING_W = 1500.0
_KILO_HOUR = 3_600_000.0


class House:
    """Loads on three phases and an inverter on the first; counters run with real time.

    `day_s` is how long its day takes, so that a demo sees morning and night. It begins at
    `starts_at_s`, seconds after its midnight. Parts of it have meters of their own; what they draw
    is drawn by the house as well.
    """

    def __init__(
        self,
        *,
        day_s: float = _DAY_S,
        starts_at_s: float = 10 * 3600.0,
        load_w: Mapping[str, float] = _LOAD_W,
        evening_w: float = _EVENING_W,
        solar_peak_w: float = _SOLAR_PEAK_W,
        parts: Sequence[House] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._load_w = load_w
        self._evening_w = evening_w
        self._solar_peak_w = solar_peak_w
        self._parts = parts
        self._speed = _DAY_S / day_s
        self._starts_at_s = starts_at_s
        self._began = self._counted = clock()
        # kWh and kvarh, by what is counted and phase; a meter that has been in use for a while.
        self._counters = {
            f"{kind}_{phase}": start + 100.0 * index
            for kind, start in {
                "import": 2600.0,
                "export": 1400.0,
                "reactive_import": 700.0,
                "reactive_export": 30.0,
            }.items()
            for index, phase in enumerate(PHASES)
        }
        self._apparent_kvah = 12_000.0
        self._solar_kwh = 9_000.0

    def grid(self) -> Mapping[str, float]:
        """Return every quantity of a three-phase meter at the grid connection."""
        self._count()
        active, reactive = self.powers(self._clock())
        voltages = self._voltages(self._clock())
        values: dict[str, float] = {}
        currents: dict[str, complex] = {}
        for index, phase in enumerate(PHASES):
            apparent = math.hypot(active[phase], reactive[phase])
            values[f"voltage_{phase}"] = voltages[phase]
            values[f"current_{phase}"] = apparent / voltages[phase]
            values[f"power_{phase}"] = active[phase]
            values[f"reactive_power_{phase}"] = reactive[phase]
            values[f"apparent_power_{phase}"] = apparent
            values[f"power_factor_{phase}"] = active[phase] / apparent if apparent else 1.0
            values[f"thd_voltage_{phase}"] = 1.8 + 0.2 * index
            values[f"thd_current_{phase}"] = 11.0 + 2.0 * index
            turn = complex(math.cos(index * math.tau / 3), -math.sin(index * math.tau / 3))
            currents[phase] = complex(active[phase], -reactive[phase]) / voltages[phase] * turn
        values |= self._totals(values, currents)
        return values | self._energies()

    def solar(self) -> Mapping[str, float]:
        """Return the quantities of a single-phase meter between inverter and house."""
        self._count()
        power = self._solar_w(self._clock())
        voltage = self._voltages(self._clock())["l1"]
        return {
            "voltage": voltage,
            "current": power / voltage,
            "power": -power,
            "apparent_power": power,
            "reactive_power": 0.0,
            "power_factor": -1.0 if power else 1.0,
            "frequency": self._frequency(),
            "energy_import": 12.5,
            "energy_export": self._solar_kwh,
            "energy_sum": 12.5 + self._solar_kwh,
            "reactive_energy_import": 0.0,
            "reactive_energy_export": 0.0,
            "reactive_energy_sum": 0.0,
        }

    def first_phase(self) -> Mapping[str, float]:
        """Return the quantities of a single-phase meter on the first phase."""
        values = self.grid()
        return {
            key.removesuffix("_l1"): value for key, value in values.items() if key.endswith("_l1")
        } | {"frequency": values["frequency"]}

    # --- physics

    def _time_of_day(self, now: float) -> float:
        return (self._starts_at_s + (now - self._began) * self._speed) % _DAY_S

    def _solar_w(self, now: float) -> float:
        """Return what the inverter makes: a bell around noon, with passing clouds."""
        daylight = math.cos((self._time_of_day(now) - _NOON_S) / _DAY_S * math.tau)
        clouds = 0.93 + 0.05 * math.sin(now / 37.0) + 0.02 * math.sin(now / 5.3)
        return self._solar_peak_w * max(0.0, daylight) * clouds

    def powers(self, now: float) -> tuple[dict[str, float], dict[str, float]]:
        """Return active and reactive power by phase; power into the grid is negative."""
        evening = math.exp(-(((self._time_of_day(now) - 19 * 3600.0) / 7200.0) ** 2))
        active: dict[str, float] = {}
        reactive: dict[str, float] = {}
        for index, phase in enumerate(PHASES):
            ripple = 1 + 0.08 * math.sin(now / (11.0 + 4 * index)) + 0.03 * math.sin(now / 2.9)
            load = self._load_w[phase] * ripple + evening * self._evening_w / (1 + index)
            active[phase] = load
            reactive[phase] = load * _LOAD_VAR_PER_W[phase]
        active["l1"] -= self._solar_w(now)
        for part in self._parts:
            for phases, drawn in zip((active, reactive), part.powers(now), strict=True):
                for phase in PHASES:
                    phases[phase] += drawn[phase]
        return active, reactive

    @staticmethod
    def _voltages(now: float) -> dict[str, float]:
        return {
            phase: 231.0 + 1.5 * math.sin(now / 23.0 + index * 2.1)
            for index, phase in enumerate(PHASES)
        }

    def _frequency(self) -> float:
        return 50.0 + 0.03 * math.sin(self._clock() / 13.0)

    def _totals(
        self, phases: Mapping[str, float], currents: Mapping[str, complex]
    ) -> dict[str, float]:
        def total(name: str) -> float:
            return sum(phases[f"{name}_{phase}"] for phase in PHASES)

        power, reactive = total("power"), total("reactive_power")
        apparent = math.hypot(power, reactive)
        volts = [phases[f"voltage_{phase}"] for phase in PHASES]
        line = {
            f"voltage_{name}": math.sqrt(volts[a] ** 2 + volts[b] ** 2 + volts[a] * volts[b])
            for name, a, b in (("l1_l2", 0, 1), ("l2_l3", 1, 2), ("l3_l1", 2, 0))
        }
        return {
            **line,
            "voltage_ln_average": sum(volts) / 3,
            "voltage_ll_average": sum(line.values()) / 3,
            "current_average": total("current") / 3,
            "current_sum": total("current"),
            "current_n": abs(sum(currents.values())),
            "power": power,
            "reactive_power": reactive,
            "apparent_power": apparent,
            "power_factor": power / apparent if apparent else 1.0,
            "phase_angle": math.degrees(math.atan2(reactive, power)),
            "frequency": self._frequency(),
            "thd_voltage": total("thd_voltage") / 3,
            "thd_current": total("thd_current") / 3,
        }

    # --- counters

    def _count(self) -> None:
        """Let the counters run until now, in steps short enough for the loads to change."""
        now = self._clock()
        elapsed = now - self._counted
        steps = min(1000, math.ceil(elapsed / 2.0))
        for step in range(steps):
            middle = self._counted + elapsed * (step + 0.5) / steps
            kilo_hours = elapsed / steps / _KILO_HOUR
            active, reactive = self.powers(middle)
            for phase in PHASES:
                way = "import" if active[phase] >= 0 else "export"
                self._counters[f"{way}_{phase}"] += abs(active[phase]) * kilo_hours
                way = "import" if reactive[phase] >= 0 else "export"
                self._counters[f"reactive_{way}_{phase}"] += abs(reactive[phase]) * kilo_hours
                self._apparent_kvah += math.hypot(active[phase], reactive[phase]) * kilo_hours
            self._solar_kwh += self._solar_w(middle) * kilo_hours
        self._counted = now

    def _energies(self) -> dict[str, float]:
        values: dict[str, float] = {"apparent_energy": self._apparent_kvah}
        for prefix, kind in (("energy", ""), ("reactive_energy", "reactive_")):
            for phase in ("", *(f"_{phase}" for phase in PHASES)):
                phases = [phase] if phase else [f"_{phase}" for phase in PHASES]
                for way in ("import", "export"):
                    values[f"{prefix}_{way}{phase}"] = sum(
                        self._counters[f"{kind}{way}{one}"] for one in phases
                    )
                values[f"{prefix}_sum{phase}"] = (
                    values[f"{prefix}_import{phase}"] + values[f"{prefix}_export{phase}"]
                )
        return values
