"""SunSpec: the models of meters, inverters and batteries, placed where a device has them.

Offsets count from the first register of a model, its number. They, the types and what stands for
"not available" come from the model definitions of the SunSpec Alliance (sunspec/models, Apache-2.0)
and its information model specification.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from ..vocabulary.quantities import QUANTITIES
from . import DEFAULT_RATED_POWER_W, Check, Register, RegisterMap, Source
from .adjust import with_power_turned

# The addresses where a device may begin its list of models, the usual one first.
BASES = (40000, 50000, 0)
COMMON_MODEL = 1

# Registers of each type, its type in a register map, and the raw values for "not available". A
# counter that reads 0 has not counted: the standard does not tell that from one that is not there.
_TYPES: Mapping[str, tuple[int, str, frozenset[int]]] = {
    "int16": (1, "int16", frozenset({0x8000})),
    "uint16": (1, "uint16", frozenset({0xFFFF})),
    "enum16": (1, "uint16", frozenset({0xFFFF})),
    "uint32": (2, "uint32", frozenset({0xFFFF_FFFF})),
    "int32": (2, "int32", frozenset({0x8000_0000})),
    # Some say "not available" as for an int32.
    "acc32": (2, "uint32", frozenset({0, 0x8000_0000})),
    "uint64": (4, "uint64", frozenset({0xFFFF_FFFF_FFFF_FFFF})),
    "float32": (2, "float32", frozenset()),
}
# Registers of a model that nobody asks for but that a request may read across: all can be read.
_MAX_GAP = 48

_KILO = Decimal("0.001")
_TENTH = Decimal("0.1")
_HUNDREDTH = Decimal("0.01")


class _Point(NamedTuple):
    offset: int
    type: str
    # Where its scale factor is.
    factor: int | None
    scale: Decimal
    codes: Mapping[int, int] | None


type _Points = dict[str, _Point]


def _run(
    offset: int,
    kind: str,
    keys: str,
    *,
    factor: int | None = None,
    scale: Decimal = Decimal(1),
    codes: Mapping[int, int] | None = None,
) -> _Points:
    """Return points that lie one after the other; `-` is one that has no quantity."""
    size = _TYPES[kind][0]
    return {
        key: _Point(offset + index * size, kind, factor, scale, codes)
        for index, key in enumerate(keys.split())
        if key != "-"
    }


def _phases(key: str) -> str:
    return f"{key} {key}_l1 {key}_l2 {key}_l3"


def _codes(key: str, names: Mapping[int, str]) -> Mapping[int, int]:
    """Return the numbers of a quantity's options by the code that a model has for them."""
    options = QUANTITIES[key].options
    return {code: options.index(name) for code, name in names.items()}


_OPERATION = ("off", "sleeping", "starting", "running", "throttled", "shutting_down", "fault")
_INVERTER_STATES = _codes("operating_state", dict(enumerate((*_OPERATION, "standby"), 1)))
_DER_STATES = _codes("operating_state", dict(enumerate((*_OPERATION, "standby"))))
_BATTERY_STATES = _codes(
    "operating_state",
    {
        1: "disconnected",
        2: "starting",
        3: "connected",
        4: "standby",
        5: "charge_protection",
        6: "shutting_down",
        99: "fault",
    },
)
_CHARGE_STATES = _codes("charge_state", dict(enumerate(QUANTITIES["charge_state"].options, 1)))

_AVERAGE_AND_PHASES = "voltage_ln_average voltage_l1 voltage_l2 voltage_l3"
_LINES = "voltage_l1_l2 voltage_l2_l3 voltage_l3_l1"
_ENERGIES = f"{_phases('energy_export')} {_phases('energy_import')}"
_QUADRANTS = " - - - ".join(f"reactive_energy_q{quadrant}" for quadrant in (1, 2, 3, 4))
_TEMPERATURES = " ".join(
    f"temperature_{place}" for place in ("cabinet", "heat_sink", "transformer", "other")
)
_DER_TEMPERATURES = " ".join(
    f"temperature_{place}"
    for place in ("ambient", "cabinet", "heat_sink", "transformer", "switch", "other")
)

_METER: _Points = {
    **_run(2, "int16", _phases("current"), factor=6),
    **_run(7, "int16", f"{_AVERAGE_AND_PHASES} voltage_ll_average {_LINES}", factor=15),
    **_run(16, "int16", "frequency", factor=17),
    **_run(18, "int16", _phases("power"), factor=22),
    **_run(23, "int16", _phases("apparent_power"), factor=27),
    **_run(28, "int16", _phases("reactive_power"), factor=32),
    **_run(33, "int16", _phases("power_factor"), factor=37),
    **_run(38, "acc32", _ENERGIES, factor=54, scale=_KILO),
    **_run(72, "acc32", _QUADRANTS, factor=104, scale=_KILO),
}

_METER_FLOAT: _Points = {
    **_run(2, "float32", _phases("current")),
    **_run(10, "float32", f"{_AVERAGE_AND_PHASES} voltage_ll_average {_LINES}"),
    **_run(26, "float32", f"frequency {_phases('power')} {_phases('apparent_power')}"),
    **_run(44, "float32", f"{_phases('reactive_power')} {_phases('power_factor')}"),
    **_run(60, "float32", _ENERGIES, scale=_KILO),
    **_run(92, "float32", _QUADRANTS, scale=_KILO),
}

_INVERTER: _Points = {
    **_run(2, "uint16", _phases("current"), factor=6),
    **_run(7, "uint16", f"{_LINES} voltage_l1 voltage_l2 voltage_l3", factor=13),
    **_run(14, "int16", "power", factor=15),
    **_run(16, "uint16", "frequency", factor=17),
    **_run(18, "int16", "apparent_power", factor=19),
    **_run(20, "int16", "reactive_power", factor=21),
    **_run(22, "int16", "power_factor", factor=23),
    **_run(24, "acc32", "energy_produced", factor=26, scale=_KILO),
    **_run(27, "uint16", "current_dc", factor=28),
    **_run(29, "uint16", "voltage_dc", factor=30),
    **_run(31, "int16", "power_dc", factor=32),
    **_run(33, "int16", _TEMPERATURES, factor=37),
    **_run(38, "enum16", "operating_state", codes=_INVERTER_STATES),
}

_INVERTER_FLOAT: _Points = {
    **_run(2, "float32", f"{_phases('current')} {_LINES} voltage_l1 voltage_l2 voltage_l3"),
    **_run(22, "float32", "power frequency apparent_power reactive_power"),
    **_run(30, "float32", "power_factor"),
    **_run(32, "float32", "energy_produced", scale=_KILO),
    **_run(34, "float32", f"current_dc voltage_dc power_dc {_TEMPERATURES}"),
    **_run(48, "enum16", "operating_state", codes=_INVERTER_STATES),
}

_STORAGE: _Points = {
    **_run(8, "uint16", "state_of_charge", factor=22),
    **_run(10, "uint16", "voltage_dc", factor=24),
    **_run(11, "enum16", "charge_state", codes=_CHARGE_STATES),
}

_BATTERY: _Points = {
    **_run(3, "uint16", "energy_capacity", factor=53, scale=_KILO),
    **_run(11, "uint16", "state_of_charge", factor=56),
    **_run(13, "uint16", "state_of_health", factor=58),
    **_run(16, "enum16", "charge_state", codes=_CHARGE_STATES),
    **_run(22, "enum16", "operating_state", codes=_BATTERY_STATES),
    **_run(34, "uint16", "voltage_dc", factor=59),
    **_run(37, "uint16", "cell_voltage_max", factor=60),
    **_run(40, "uint16", "cell_voltage_min", factor=60),
    **_run(44, "int16", "current_dc", factor=61),
    **_run(47, "int16", "power_dc", factor=63),
}

_DER_AC: _Points = {
    **_run(4, "enum16", "operating_state", codes=_DER_STATES),
    **_run(10, "int16", "power", factor=116),
    **_run(11, "int16", "apparent_power", factor=118),
    **_run(12, "int16", "reactive_power", factor=119),
    **_run(13, "int16", "power_factor", factor=117),
    **_run(14, "int16", "current", factor=113),
    **_run(15, "uint16", "voltage_ll_average voltage_ln_average", factor=114),
    **_run(17, "uint32", "frequency", factor=115),
    **_run(19, "uint64", "energy_produced energy_import", factor=120, scale=_KILO),
    **_run(
        *(27, "uint64", "reactive_energy_export reactive_energy_import"),
        factor=121,
        scale=_KILO,
    ),
    **_run(35, "int16", _DER_TEMPERATURES, factor=122),
}
for _index, (_phase, _line) in enumerate((("l1", "l1_l2"), ("l2", "l2_l3"), ("l3", "l3_l1"))):
    _at = 41 + 23 * _index
    _DER_AC |= {
        **_run(_at, "int16", f"power_{_phase}", factor=116),
        **_run(_at + 1, "int16", f"apparent_power_{_phase}", factor=118),
        **_run(_at + 2, "int16", f"reactive_power_{_phase}", factor=119),
        **_run(_at + 3, "int16", f"power_factor_{_phase}", factor=117),
        **_run(_at + 4, "int16", f"current_{_phase}", factor=113),
        **_run(_at + 5, "uint16", f"voltage_{_line} voltage_{_phase}", factor=114),
    }

_DER_STORAGE: _Points = {
    **_run(2, "uint16", "energy_capacity energy_stored", factor=7, scale=_KILO),
    **_run(4, "uint16", "state_of_charge state_of_health", factor=8),
}

_DER_DC: _Points = {
    **_run(5, "int16", "current_dc", factor=15),
    **_run(6, "int16", "power_dc", factor=17),
    **_run(7, "uint64", "energy_dc_produced energy_dc_consumed", factor=18, scale=_KILO),
}
for _number in (1, 2, 3, 4):
    _at = 20 + 25 * (_number - 1)
    _DER_DC |= {
        **_run(_at + 10, "int16", f"current_dc_{_number}", factor=15),
        **_run(_at + 11, "uint16", f"voltage_dc_{_number}", factor=16),
        **_run(_at + 12, "int16", f"power_dc_{_number}", factor=17),
    }

# The voltage, current, power and energy of each input; of some devices a battery is among them.
_STRINGS: _Points = {}
_COMBINER: _Points = {
    **_run(11, "int16", "current_dc", factor=2),
    **_run(14, "int16", "voltage_dc", factor=4),
    **_run(15, "int16", "temperature_cabinet"),
}
_COMBINER_ADVANCED: _Points = {
    **_run(13, "int16", "current_dc", factor=2),
    **_run(16, "uint16", "voltage_dc", factor=4),
    **_run(17, "int16", "temperature_cabinet"),
    **_run(18, "int16", "power_dc", factor=5),
    **_run(20, "uint32", "energy_dc_produced", factor=6, scale=_KILO),
}
for _number in range(1, 17):
    _at = 10 + 20 * (_number - 1)
    _STRINGS |= {
        **_run(_at + 9, "uint16", f"current_dc_{_number}", factor=2),
        **_run(_at + 10, "uint16", f"voltage_dc_{_number}", factor=3),
        **_run(_at + 11, "uint16", f"power_dc_{_number}", factor=4),
        **_run(_at + 12, "acc32", f"energy_dc_produced_{_number}", factor=5, scale=_KILO),
    }
    _COMBINER |= _run(23 + 8 * (_number - 1), "int16", f"current_dc_{_number}", factor=16)
    _at = 22 + 14 * (_number - 1)
    _COMBINER_ADVANCED |= {
        **_run(_at + 5, "int16", f"current_dc_{_number}", factor=2),
        **_run(_at + 8, "uint16", f"voltage_dc_{_number}", factor=4),
    }

_IRRADIANCES = "irradiance irradiance_module irradiance_diffuse irradiance_direct"
_WEATHER: Mapping[int, _Points] = {
    302: _run(2, "uint16", _IRRADIANCES),
    303: _run(2, "int16", "temperature_module", scale=_TENTH),
    304: _run(2, "int32", "inclination_x inclination_y inclination_z", scale=_HUNDREDTH),
    306: _run(2, "uint16", "irradiance current_dc voltage_dc temperature_module"),
    307: {
        **_run(2, "int16", "temperature_ambient", scale=_TENTH),
        **_run(3, "int16", "humidity air_pressure wind_speed wind_bearing"),
    },
    308: {
        **_run(2, "uint16", "irradiance"),
        **_run(3, "int16", "temperature_module temperature_ambient", scale=_TENTH),
        **_run(5, "uint16", "wind_speed"),
    },
}

_AGGREGATOR: _Points = _run(
    5,
    "enum16",
    "operating_state",
    codes=_codes("operating_state", {1: "off", 2: "running", 3: "running", 4: "fault"}),
)

# What each model is about, and its points.
_MODELS: Mapping[int, tuple[str, _Points]] = {
    2: ("aggregator", _AGGREGATOR),
    **dict.fromkeys((101, 102, 103), ("inverter", _INVERTER)),
    **dict.fromkeys((111, 112, 113), ("inverter", _INVERTER_FLOAT)),
    124: ("storage", _STORAGE),
    160: ("strings", _STRINGS),
    **dict.fromkeys((201, 202, 203, 204), ("meter", _METER)),
    **dict.fromkeys((211, 212, 213, 214), ("meter", _METER_FLOAT)),
    **{model: ("weather", points) for model, points in _WEATHER.items()},
    402: ("string combiner", _COMBINER_ADVANCED),
    403: ("string combiner", _COMBINER),
    701: ("AC side", _DER_AC),
    713: ("storage", _DER_STORAGE),
    714: ("DC side", _DER_DC),
    802: ("battery", _BATTERY),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SunSpecPlace:
    """Where a device has a model, and what the device says of itself."""

    model: int
    # Which of the models of this number in the device, counted from 0.
    instance: int
    address: int
    length: int
    # The common block that stands before it; None in a device that breaks the standard.
    common: int | None
    manufacturer: str
    product: str
    # What the first common block of the device says of manufacturer and product.
    device: str = ""
    # Where the list of models begins, if the user had to say so.
    base: int | None = None
    # Which inputs of model 160 are the battery while it is charged and discharged; 0 for none.
    charge_input: int = 0
    discharge_input: int = 0


# Models whose meaning is the same, with integers and with floats.
_TWINS = {111: 101, 112: 102, 113: 103, 211: 201, 212: 202, 213: 203, 214: 204}
_STORAGE_MODELS = (124, 713, 802)
STRINGS_MODEL = 160


def is_twin(one: SunSpecPlace, other: SunSpecPlace) -> bool:
    """Return whether two models are the same part of a device, once with floats."""
    return (
        one.common == other.common
        and one.instance == other.instance
        and _TWINS.get(one.model, one.model) == _TWINS.get(other.model, other.model)
    )


def is_empty_storage(place: SunSpecPlace, values: Mapping[str, float]) -> bool:
    """Return whether a model for a battery says nothing but states: there is no battery."""
    return place.model in _STORAGE_MODELS and all(QUANTITIES[key].options for key in values)


def string_name(place: SunSpecPlace, number: int) -> int | None:
    """Return where model 160 has the name of an input, 8 registers; None if it has none such."""
    offset = 11 + 20 * (number - 1)
    return None if offset + 8 > place.length + 2 else place.address + offset


def measures(model: int) -> bool:
    """Return whether a model has quantities that are known here."""
    return model in _MODELS


def sunspec_map(place: SunSpecPlace) -> RegisterMap:
    """Return the registers of a model that was found in a device."""
    about, points = _MODELS[place.model]
    register_map = RegisterMap(
        key=f"sunspec_{place.model}",
        manufacturer=place.manufacturer,
        models=(f"{place.product} ({about})",),
        sources=(Source(name=f"SunSpec model {place.model}"),),
        verified=True,
        max_span=125,
        max_gap=_MAX_GAP,
        rated_power_w=DEFAULT_RATED_POWER_W,
        serial_number=_text(place.common, 50, 16),
        firmware=_text(place.common, 42, 8),
        recognise=(),
        quantities=_quantities(place, points),
        anchor=Check(
            register=Register(
                address=place.address, type="uint32", count=2, space="holding", word_order="big"
            ),
            equals=(place.model << 16 | place.length,),
        ),
    )
    return with_power_turned(register_map) if _exports_positive(place) else register_map


def _quantities(place: SunSpecPlace, points: _Points) -> dict[str, Register]:
    present = {
        key: point
        for key, point in points.items()
        # A device may keep less of a model than its definition has.
        if max(point.offset + _TYPES[point.type][0], (point.factor or 0) + 1) <= place.length + 2
    }
    for number, names in (
        (place.charge_input, ("power_battery_charge", "energy_battery_charged")),
        (place.discharge_input, ("power_battery_discharge", "energy_battery_discharged")),
    ):
        for source, name in zip(("power_dc", "energy_dc_produced"), names, strict=True):
            if (point := present.pop(f"{source}_{number}", None)) is not None:
                present[name] = point
        present.pop(f"current_dc_{number}", None)
        if (point := present.pop(f"voltage_dc_{number}", None)) is not None:
            present["voltage_battery"] = point
    return {key: _register(place, key, point) for key, point in present.items()}


def _exports_positive(place: SunSpecPlace) -> bool:
    """Return whether a meter has the power that it feeds in as positive, against its counters.

    So SolarEdge: reads of its meters have +1087 W while the counter of what is exported rises.
    """
    return 200 < place.model < 215 and any(
        name.startswith("SolarEdge") for name in (place.manufacturer, place.device)
    )


def _text(common: int | None, offset: int, count: int) -> Register | None:
    if common is None:
        return None
    return Register(
        address=common + offset, type="string", count=count, space="holding", word_order="big"
    )


def _register(place: SunSpecPlace, key: str, point: _Point) -> Register:
    count, kind, nan = _TYPES[point.type]
    # Kostal's smart meter keeps what it exported as a negative number.
    negative = point.type == "acc32" and place.manufacturer.upper().startswith("KOSTAL")
    if negative:
        kind = "int32"
    return Register(
        address=place.address + point.offset,
        type=kind,
        count=count,
        space="holding",
        word_order="big",
        scale=point.scale,
        nan=nan,
        scale_address=None if point.factor is None else place.address + point.factor,
        magnitude=negative,
        ratio_or_percent=key.startswith("power_factor"),
        codes=point.codes,
    )
