"""Units: how they are written, and what others write for them.

Home Assistant converts most units (`points/point.py` uses its converters). It has none for apparent
energy, and no mega for the other alternating current families, so those are converted here.
"""

from enum import StrEnum
from typing import Final

DEGREE: Final = "°"


class UnitOfApparentEnergy(StrEnum):
    """Units that Home Assistant has not."""

    VOLT_AMPERE_HOUR = "VAh"
    KILO_VOLT_AMPERE_HOUR = "kVAh"
    MEGA_VOLT_AMPERE_HOUR = "MVAh"


class UnitOfApparentPower(StrEnum):
    """Units of apparent power."""

    VOLT_AMPERE = "VA"


class UnitOfElectricCurrent(StrEnum):
    """Units of current."""

    AMPERE = "A"


class UnitOfElectricPotential(StrEnum):
    """Units of voltage."""

    VOLT = "V"


class UnitOfEnergy(StrEnum):
    """Units of active energy."""

    WATT_HOUR = "Wh"
    KILO_WATT_HOUR = "kWh"


class UnitOfFrequency(StrEnum):
    """Units of frequency."""

    HERTZ = "Hz"


class UnitOfIrradiance(StrEnum):
    """Units of irradiance."""

    WATTS_PER_SQUARE_METER = "W/m²"


class UnitOfPower(StrEnum):
    """Units of active power."""

    WATT = "W"


class UnitOfPressure(StrEnum):
    """Units of pressure."""

    HPA = "hPa"


class UnitOfRatio(StrEnum):
    """Units of a ratio."""

    PERCENTAGE = "%"


class UnitOfReactiveEnergy(StrEnum):
    """Units of reactive energy."""

    VOLT_AMPERE_REACTIVE_HOUR = "varh"
    KILO_VOLT_AMPERE_REACTIVE_HOUR = "kvarh"


class UnitOfReactivePower(StrEnum):
    """Units of reactive power."""

    VOLT_AMPERE_REACTIVE = "var"


class UnitOfSpeed(StrEnum):
    """Units of speed."""

    METERS_PER_SECOND = "m/s"


class UnitOfTemperature(StrEnum):
    """Units of temperature."""

    CELSIUS = "°C"


class UnitOfTime(StrEnum):
    """Units of time."""

    HOURS = "h"


def _spellings(unit: str, *others: str) -> dict[str, str]:
    return dict.fromkeys(others, unit)


# Letter by letter: mW and MW differ by nothing but a capital, so capitals are never passed over.
_ALIASES: Final[dict[str, str]] = {
    **_spellings("W", "w", "watt", "Watt", "watts", "Watts"),
    **_spellings("kW", "KW", "Kw", "kw"),
    **_spellings("MW", "Mw"),
    **_spellings("Wh", "WH", "wh", "W·h", "W.h", "W h"),
    **_spellings("kWh", "KWH", "KWh", "Kwh", "kWH", "kwh", "kW·h", "kW.h", "kW h", "KW·h", "KW h"),
    **_spellings("MWh", "MWH", "Mwh", "MW·h", "MW h"),
    **_spellings("var", "VAr", "VAR", "Var", "vAr", "var.", "VA r"),
    **_spellings("kvar", "kVAr", "kVAR", "kVar", "KVAr", "KVAR", "KVar", "Kvar"),
    **_spellings("Mvar", "MVAr", "MVAR", "MVar"),
    **_spellings(
        "varh", "VArh", "VARh", "VARH", "Varh", "varH", "VAr·h", "var·h", "VAr h", "var h"
    ),
    **_spellings("kvarh", "kVArh", "kVARh", "kVARH", "kVarh", "KVArh", "KVARh", "KVARH", "Kvarh"),
    **_spellings("kvarh", "kvarH", "kVAr·h", "kvar·h", "kVAr h", "kvar h"),
    **_spellings("Mvarh", "MVArh", "MVARh", "MVARH", "MVarh", "MVAr·h", "Mvar·h"),
    **_spellings("VA", "va", "Va", "V·A", "V.A"),
    **_spellings("kVA", "KVA", "Kva", "kva", "kV·A"),
    **_spellings("MVA", "Mva", "MV·A"),
    **_spellings("VAh", "VAH", "Vah", "vah", "VA·h", "V·A·h", "VA h"),
    **_spellings("kVAh", "kVAH", "KVAh", "KVAH", "Kvah", "kvah", "kVA·h", "kVA h"),
    **_spellings("MVAh", "MVAH", "Mvah", "MVA·h"),
    **_spellings("V", "v", "volt", "Volt", "volts", "Volts"),
    **_spellings("kV", "KV", "Kv", "kv"),
    **_spellings("A", "a", "amp", "Amp", "amps", "Amps", "ampere", "Ampere"),
    **_spellings("Hz", "HZ", "hz", "hertz", "Hertz"),
    **_spellings("kHz", "KHz", "KHZ", "khz"),
    **_spellings("°C", "℃", "ºC", "degC", "deg C", "° C", "°c", "celsius", "Celsius"),
    **_spellings("°F", "℉", "ºF", "degF", "deg F", "° F", "°f", "fahrenheit", "Fahrenheit"),
    **_spellings("°", "º", "deg", "degree", "degrees"),
    **_spellings("%", "\uff05", "percent", "Percent", "pct"),
    **_spellings("W/m²", "W/m2", "W/m^2", "w/m2"),
    **_spellings("m³", "m3", "m^3"),
    **_spellings("m³/h", "m3/h", "m^3/h"),
    **_spellings("L", "l"),
    **_spellings("h", "hour", "hours", "hr", "hrs"),
}
# Two characters look like the small letter mu; Home Assistant writes the Greek letter.
_MICRO_SIGN: Final = "\u00b5"
_MU: Final = "\u03bc"

_FAMILIES: Final[tuple[dict[str, float], ...]] = (
    {"VAh": 1.0, "kVAh": 1e3, "MVAh": 1e6},
    {"mVA": 1e-3, "VA": 1.0, "kVA": 1e3, "MVA": 1e6},
    {"mvar": 1e-3, "var": 1.0, "kvar": 1e3, "Mvar": 1e6},
    {"varh": 1.0, "kvarh": 1e3, "Mvarh": 1e6},
)


def canonical(unit: str | None) -> str | None:
    """Return a unit as Home Assistant writes it, or as it came where nothing is known of it."""
    if unit is None or not (written := unit.strip()):
        return None
    written = written.replace(_MICRO_SIGN, _MU)
    return _ALIASES.get(written, written)


def factor_between(from_unit: str | None, to_unit: str | None) -> float | None:
    """Return what a value in one unit is multiplied by to be in another.

    Knows the families of alternating current that Home Assistant converts in part or not at all;
    None for any other pair. Both units as `canonical` returns them.
    """
    for family in _FAMILIES:
        if from_unit in family and to_unit in family:
            return family[from_unit] / family[to_unit]
    return None
