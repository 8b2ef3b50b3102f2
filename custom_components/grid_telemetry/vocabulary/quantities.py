"""What can be measured, and what each quantity is called on every platform.

This table is the only place where units, classes and platform names of quantities are written.
A name of a platform stands here only where that platform documents it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .classes import DeviceClass, StateClass
from .unit import (
    DEGREE,
    UnitOfApparentEnergy,
    UnitOfApparentPower,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfFrequency,
    UnitOfIrradiance,
    UnitOfPower,
    UnitOfPressure,
    UnitOfRatio,
    UnitOfReactiveEnergy,
    UnitOfReactivePower,
    UnitOfSpeed,
    UnitOfTemperature,
    UnitOfTime,
)

# Each phase, with the letter that Scout and SolarNode give it.
_PHASES = {"l1": "a", "l2": "b", "l3": "c"}
_LINES = {"l1_l2": "ab", "l2_l3": "bc", "l3_l1": "ca"}
_TARIFFS = ("t1", "t2", "t3", "t4")
_QUADRANTS = ("q1", "q2", "q3", "q4")
_REACTIVE_KINDS = ("inductive", "capacitive")
# Inputs of an inverter that are measured each on their own.
_DC_INPUTS = range(1, 17)
# Most inverters have no more; what others have as well is disabled at first.
_USUAL_DC_INPUTS = 4


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One measurable quantity; `key` is also the translation key of its sensor."""

    key: str
    unit: str | None
    device_class: DeviceClass | None
    state_class: StateClass | None
    precision: int
    # Polled in the fast group (power-like) or in the slow one (energy-like).
    fast: bool
    enabled_default: bool = True
    # Disabled at first, so that it costs the database nothing; enabled where it is mapped.
    on_demand: bool = False
    # Metric code of Circutor Scout.
    scout: str | None = None
    # Property of a SolarNode datum.
    solarnode: str | None = None
    # Signal kind of STTP (IEEE 2664).
    sttp: str = "ALOG"
    # Whether the sum over several meters is the quantity of them all; a highest value is none.
    adds_up: bool = True
    # What an enumeration can be; its values are the numbers of these.
    options: tuple[str, ...] = ()

    @property
    def counter(self) -> bool:
        """Return whether the value only grows, until the meter is reset."""
        return self.state_class is StateClass.TOTAL_INCREASING


@dataclass(frozen=True, kw_only=True)
class _Measurement:
    """What the measurements of one family share; calling it makes one of them."""

    unit: str | None
    device_class: DeviceClass | None
    precision: int
    fast: bool = True
    sttp: str = "ALOG"
    adds_up: bool = True

    def __call__(
        self,
        key: str,
        *,
        enabled: bool = True,
        on_demand: bool = False,
        scout: str | None = None,
        solarnode: str | None = None,
        sttp: str | None = None,
    ) -> Quantity:
        return Quantity(
            key=key,
            unit=self.unit,
            device_class=self.device_class,
            state_class=StateClass.MEASUREMENT,
            precision=self.precision,
            fast=self.fast,
            enabled_default=enabled and not on_demand,
            on_demand=on_demand,
            scout=scout,
            solarnode=solarnode,
            sttp=sttp or self.sttp,
            adds_up=self.adds_up,
        )

    def with_phases(
        self,
        key: str,
        *,
        enabled: bool = True,
        phases_on_demand: bool = False,
        solarnode: str | None = None,
    ) -> Iterator[Quantity]:
        """Make the quantity of the whole circuit, and that of each phase, disabled at first."""
        yield self(key, enabled=enabled, solarnode=solarnode)
        for phase in _PHASES:
            yield self(f"{key}_{phase}", enabled=False, on_demand=phases_on_demand)


_VOLTAGE = _Measurement(
    unit=UnitOfElectricPotential.VOLT,
    device_class=DeviceClass.VOLTAGE,
    precision=1,
    sttp="VPHM",
)
_CURRENT = _Measurement(
    unit=UnitOfElectricCurrent.AMPERE,
    device_class=DeviceClass.CURRENT,
    precision=2,
    sttp="IPHM",
)
_POWER = _Measurement(unit=UnitOfPower.WATT, device_class=DeviceClass.POWER, precision=1)
_REACTIVE_POWER = _Measurement(
    unit=UnitOfReactivePower.VOLT_AMPERE_REACTIVE,
    device_class=DeviceClass.REACTIVE_POWER,
    precision=1,
)
_APPARENT_POWER = _Measurement(
    unit=UnitOfApparentPower.VOLT_AMPERE,
    device_class=DeviceClass.APPARENT_POWER,
    precision=1,
)
_POWER_FACTOR = _Measurement(unit=None, device_class=DeviceClass.POWER_FACTOR, precision=3)
_FREQUENCY = _Measurement(
    unit=UnitOfFrequency.HERTZ,
    device_class=DeviceClass.FREQUENCY,
    precision=2,
    sttp="FREQ",
)
_ANGLE = _Measurement(unit=DEGREE, device_class=None, precision=1)
# Distortion changes with the loads of a day, not within seconds.
_DISTORTION = _Measurement(unit=UnitOfRatio.PERCENTAGE, device_class=None, precision=1, fast=False)
_TEMPERATURE = _Measurement(
    unit=UnitOfTemperature.CELSIUS,
    device_class=DeviceClass.TEMPERATURE,
    precision=1,
    fast=False,
)
# The mean over some minutes, and the highest that there was of it; each meter has its own period.
_POWER_DEMAND = replace(_POWER, fast=False, adds_up=False)
_REACTIVE_DEMAND = replace(_REACTIVE_POWER, fast=False, adds_up=False)
_APPARENT_DEMAND = replace(_APPARENT_POWER, fast=False, adds_up=False)
_CURRENT_DEMAND = replace(_CURRENT, fast=False, sttp="ALOG")
_IRRADIANCE = _Measurement(
    unit=UnitOfIrradiance.WATTS_PER_SQUARE_METER,
    device_class=DeviceClass.IRRADIANCE,
    precision=0,
)
_CHARGE = _Measurement(unit=UnitOfRatio.PERCENTAGE, device_class=DeviceClass.BATTERY, precision=1)
_HEALTH = _Measurement(unit=UnitOfRatio.PERCENTAGE, device_class=None, precision=1, fast=False)
_STORED = _Measurement(
    unit=UnitOfEnergy.KILO_WATT_HOUR,
    device_class=DeviceClass.ENERGY_STORAGE,
    precision=2,
    fast=False,
)


def _voltages() -> Iterator[Quantity]:
    yield _VOLTAGE("voltage", scout="V_PP", solarnode="voltage")
    for phase, letter in _PHASES.items():
        yield _VOLTAGE(
            f"voltage_{phase}", scout=f"V_{letter.upper()}N", solarnode=f"voltage_{letter}"
        )
    yield _VOLTAGE("voltage_ln_average", enabled=False, sttp="ALOG")
    for line, letters in _LINES.items():
        yield _VOLTAGE(
            f"voltage_{line}",
            enabled=False,
            scout=f"V_{letters.upper()}",
            solarnode=f"voltage_{letters}",
        )
    yield _VOLTAGE("voltage_ll_average", enabled=False, solarnode="lineVoltage", sttp="ALOG")


def _currents() -> Iterator[Quantity]:
    yield _CURRENT("current", solarnode="current")
    for phase, letter in _PHASES.items():
        yield _CURRENT(f"current_{phase}", on_demand=True, solarnode=f"current_{letter}")
    yield _CURRENT("current_n", enabled=False, solarnode="neutralCurrent")
    yield _CURRENT("current_average", enabled=False, sttp="ALOG")
    yield _CURRENT("current_sum", enabled=False, sttp="ALOG")


def _powers() -> Iterator[Quantity]:
    yield from _POWER.with_phases("power", phases_on_demand=True, solarnode="watts")
    # Some meters keep both directions apart, each as a positive number.
    yield _POWER("power_import")
    yield _POWER("power_export")
    yield from _REACTIVE_POWER.with_phases("reactive_power", solarnode="reactivePower")
    # Some meters keep the two kinds apart, each as a positive number.
    for kind in _REACTIVE_KINDS:
        yield from _REACTIVE_POWER.with_phases(f"reactive_power_{kind}", enabled=False)
    yield from _APPARENT_POWER.with_phases("apparent_power", solarnode="apparentPower")
    yield from _POWER_FACTOR.with_phases("power_factor", solarnode="powerFactor")


def _quality() -> Iterator[Quantity]:
    yield _FREQUENCY("frequency", solarnode="frequency")
    yield _ANGLE("phase_angle", enabled=False)
    for key in ("thd_voltage", "thd_current"):
        yield from _DISTORTION.with_phases(key, enabled=False)
    for line in _LINES:
        yield _DISTORTION(f"thd_voltage_{line}", enabled=False)
    yield _DISTORTION("thd_current_n", enabled=False)
    yield _DISTORTION("voltage_unbalance", enabled=False)
    yield _DISTORTION("current_unbalance", enabled=False)


def _demands() -> Iterator[Quantity]:
    for key, demand in (
        ("power_demand", _POWER_DEMAND),
        ("power_demand_import", _POWER_DEMAND),
        ("power_demand_export", _POWER_DEMAND),
        ("reactive_power_demand", _REACTIVE_DEMAND),
        ("apparent_power_demand", _APPARENT_DEMAND),
        ("current_demand", _CURRENT_DEMAND),
        *((f"current_demand_{conductor}", _CURRENT_DEMAND) for conductor in (*_PHASES, "n")),
    ):
        yield demand(key, enabled=False)
        yield demand(f"{key}_max", enabled=False)


def _direct_current() -> Iterator[Quantity]:
    """Make what inverters and batteries measure on their direct current side."""
    # The phasors that STTP's kinds of voltage and current stand for exist on the other side only.
    yield _VOLTAGE("voltage_dc", solarnode="dcVoltage", sttp="ALOG")
    yield _CURRENT("current_dc", solarnode="dcCurrent", sttp="ALOG")
    yield _POWER("power_dc", solarnode="dcPower")
    for number in _DC_INPUTS:
        yield _VOLTAGE(f"voltage_dc_{number}", enabled=False, sttp="ALOG")
        yield _CURRENT(f"current_dc_{number}", enabled=False, sttp="ALOG")
        yield _POWER(f"power_dc_{number}", enabled=number <= _USUAL_DC_INPUTS)
    yield _VOLTAGE("cell_voltage_max", enabled=False, sttp="ALOG")
    yield _VOLTAGE("cell_voltage_min", enabled=False, sttp="ALOG")


def _temperatures() -> Iterator[Quantity]:
    yield _TEMPERATURE("temperature_cabinet", solarnode="temp")
    yield _TEMPERATURE("temperature_heat_sink", enabled=False, solarnode="temp_heatSink")
    for place in ("transformer", "switch", "ambient", "other"):
        yield _TEMPERATURE(f"temperature_{place}", enabled=False)


def _hybrid() -> Iterator[Quantity]:
    """Make what an inverter measures at the grid, at the loads and at its battery.

    Power from the grid and out of the battery is positive.
    """
    yield from _POWER.with_phases("power_grid")
    yield from _POWER.with_phases("power_load")
    yield _POWER("power_battery")
    # Some keep both directions apart, each as a positive number.
    yield _POWER("power_battery_charge")
    yield _POWER("power_battery_discharge")
    yield _VOLTAGE("voltage_battery", enabled=False, sttp="ALOG")
    yield _CURRENT("current_battery", enabled=False, sttp="ALOG")
    yield _TEMPERATURE("temperature_battery", enabled=False)


def _weather() -> Iterator[Quantity]:
    yield _IRRADIANCE("irradiance", solarnode="irradiance")
    for plane in ("module", "diffuse", "direct"):
        yield _IRRADIANCE(f"irradiance_{plane}")
    yield _TEMPERATURE("temperature_module")
    for key, unit, device_class, precision in (
        ("humidity", UnitOfRatio.PERCENTAGE, DeviceClass.HUMIDITY, 0),
        ("air_pressure", UnitOfPressure.HPA, DeviceClass.ATMOSPHERIC_PRESSURE, 0),
        ("wind_speed", UnitOfSpeed.METERS_PER_SECOND, DeviceClass.WIND_SPEED, 1),
    ):
        yield _Measurement(unit=unit, device_class=device_class, precision=precision, fast=False)(
            key
        )
    yield _Measurement(unit=DEGREE, device_class=None, precision=0, fast=False)("wind_bearing")
    for axis in ("x", "y", "z"):
        yield _Measurement(unit=DEGREE, device_class=None, precision=2, fast=False)(
            f"inclination_{axis}", enabled=False
        )


def _storage() -> Iterator[Quantity]:
    yield _CHARGE("state_of_charge")
    yield _HEALTH("state_of_health", enabled=False)
    yield _STORED("energy_stored")
    yield _STORED("energy_capacity", enabled=False)


def _states() -> Iterator[Quantity]:
    for key, options in (
        (
            "operating_state",
            (
                *("off", "sleeping", "starting", "running", "throttled", "shutting_down"),
                *("fault", "standby", "disconnected", "connected", "charge_protection"),
            ),
        ),
        (
            "charge_state",
            ("off", "empty", "discharging", "charging", "full", "holding", "testing"),
        ),
    ):
        yield Quantity(
            key=key,
            unit=None,
            device_class=DeviceClass.ENUM,
            state_class=None,
            precision=0,
            fast=False,
            options=options,
        )


def _counter(
    key: str,
    unit: str,
    device_class: DeviceClass | None,
    *,
    enabled: bool = False,
    scout: str | None = None,
    solarnode: str | None = None,
    state_class: StateClass = StateClass.TOTAL_INCREASING,
) -> Quantity:
    return Quantity(
        key=key,
        unit=unit,
        device_class=device_class,
        state_class=state_class,
        precision=2,
        fast=False,
        enabled_default=enabled,
        scout=scout,
        solarnode=solarnode,
    )


_ACTIVE_ENERGY = (UnitOfEnergy.KILO_WATT_HOUR, DeviceClass.ENERGY)
_REACTIVE_ENERGY = (
    UnitOfReactiveEnergy.KILO_VOLT_AMPERE_REACTIVE_HOUR,
    DeviceClass.REACTIVE_ENERGY,
)


def _energies() -> Iterator[Quantity]:
    active, reactive = _ACTIVE_ENERGY, _REACTIVE_ENERGY
    parts = (*_PHASES, *_TARIFFS)
    for key, scout, solarnode in (
        ("energy_import", "P_CON_TOT_ENERGY", "wattHours"),
        ("energy_export", "P_GEN_TOT_ENERGY", "wattHoursReverse"),
        ("energy_sum", None, None),
    ):
        yield _counter(key, *active, enabled=True, scout=scout, solarnode=solarnode)
        for part in parts:
            yield _counter(f"{key}_{part}", *active)
    for key in ("reactive_energy_import", "reactive_energy_export", "reactive_energy_sum"):
        yield _counter(key, *reactive, enabled=not key.endswith("sum"))
        for part in parts:
            yield _counter(f"{key}_{part}", *reactive)
    for quadrant in _QUADRANTS:
        yield _counter(
            f"reactive_energy_{quadrant}",
            *reactive,
            enabled=True,
            scout=f"Q_{quadrant.upper()}_TOT_ENERGY",
        )
    for kind in _REACTIVE_KINDS:
        yield _counter(f"reactive_energy_{kind}", *reactive, enabled=True)
        yield _counter(f"reactive_energy_{kind}_export", *reactive)
        for part in parts:
            yield _counter(f"reactive_energy_{kind}_{part}", *reactive)
    yield _counter(
        "apparent_energy", UnitOfApparentEnergy.KILO_VOLT_AMPERE_HOUR, None, scout="S_TOT_ENERGY"
    )
    for part in (*parts, "import", "export"):
        yield _counter(f"apparent_energy_{part}", UnitOfApparentEnergy.KILO_VOLT_AMPERE_HOUR, None)


def _net_and_resettable() -> Iterator[Quantity]:
    # What was imported less what was exported, which falls as well.
    for key, kind in (
        ("energy_net", _ACTIVE_ENERGY),
        ("reactive_energy_net", _REACTIVE_ENERGY),
    ):
        for name in (key, *(f"{key}_{phase}" for phase in _PHASES)):
            yield _counter(name, *kind, enabled=name == "energy_net", state_class=StateClass.TOTAL)
    # What a user can set back to 0, beside the counters that nobody can.
    for direction in ("import", "export", "sum"):
        yield _counter(f"energy_{direction}_resettable", *_ACTIVE_ENERGY)
        yield _counter(f"reactive_energy_{direction}_resettable", *_REACTIVE_ENERGY)


def _inverter_energies() -> Iterator[Quantity]:
    # What an inverter has made, which SolarNode counts as the energy of its datum.
    yield _counter("energy_produced", *_ACTIVE_ENERGY, enabled=True, solarnode="wattHours")
    yield _counter("energy_dc_produced", *_ACTIVE_ENERGY)
    yield _counter("energy_dc_consumed", *_ACTIVE_ENERGY)
    for number in _DC_INPUTS:
        yield _counter(f"energy_dc_produced_{number}", *_ACTIVE_ENERGY)
    # What an inverter counts beside it; those of a day begin with 0 at midnight.
    yield _counter("energy_battery_charged", *_ACTIVE_ENERGY, enabled=True)
    yield _counter("energy_battery_discharged", *_ACTIVE_ENERGY, enabled=True)
    yield _counter("energy_load", *_ACTIVE_ENERGY, enabled=True)
    for key in (
        *("energy_import", "energy_export", "energy_produced", "energy_load"),
        *("energy_battery_charged", "energy_battery_discharged"),
    ):
        yield _counter(f"{key}_today", *_ACTIVE_ENERGY)


def _running_times() -> Iterator[Quantity]:
    for key in ("operating_time", "load_time"):
        yield _counter(key, UnitOfTime.HOURS, DeviceClass.DURATION)


QUANTITIES: dict[str, Quantity] = {
    quantity.key: quantity
    for family in (
        *(_voltages, _currents, _powers, _demands, _quality),
        *(_energies, _net_and_resettable, _inverter_energies, _running_times),
        *(_direct_current, _hybrid, _temperatures, _weather, _storage, _states),
    )
    for quantity in family()
}
