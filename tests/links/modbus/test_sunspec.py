"""SunSpec: models are found, read with their scale factors, and followed when they move."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
import re
from typing import Any
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigSubentryData
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from modbus_connection import (
    GatewayTargetError,
    IllegalDataAddressError,
    ModbusConnectionError,
    ModbusError,
    ModbusProtocolError,
    ModbusTimeoutError,
    ServerDeviceBusyError,
    ServerDeviceFailureError,
)
from modbus_connection.mock import MockModbusConnection, MockModbusUnit
import pytest

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.links.modbus.client import Meter
from custom_components.grid_telemetry.links.modbus.detection import search_sunspec
from custom_components.grid_telemetry.links.modbus.register_reader import RegisterReader, read_once
from custom_components.grid_telemetry.links.modbus.sunspec import find_models
from custom_components.grid_telemetry.meters.sunspec import SunSpecPlace, sunspec_map
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES
from simulators.house import House
from simulators.sunspec import SunSpecDevice, Values, meter_points, solar_device

from .conftest import after, link_entry, start, state


def table(text: str) -> dict[str, Any]:
    """Return what a text lists as name=value, numbers as numbers."""
    return {
        name: float(value) if re.fullmatch(r"[-\d.]+", value) else value
        for name, value in (item.split("=") for item in text.split())
    }


# One value for each point that the models of its kind have, with scale factors.
METER: Values = table(
    """
    A=6.1 AphA=1.5 AphB=2.25 AphC=-2.35 A_SF=-2 PhV=230.4 PhVphA=230.1 PhVphB=230.5 PhVphC=230.6
    PPV=399.1 PPVphAB=398.9 PPVphBC=399.2 PPVphCA=399.3 V_SF=-1 Hz=49.98 Hz_SF=-2 W=-1230 WphA=-500
    WphB=-400 WphC=-330 W_SF=1 VA=1300 VAphA=510 VAphB=420 VAphC=370 VA_SF=1 VAR=210 VARphA=70
    VARphB=80 VARphC=60 VAR_SF=0 PF=-94.6 PFphA=-98 PFphB=95.2 PFphC=-89.1 PF_SF=-1 TotWhExp=1234500
    TotWhImp=9876500 TotWh_SF=2 TotWhExpphA=400000 TotWhImpphC=3000100 TotVArhImpQ1=12000
    TotVArhImpQ2=13000 TotVArhExpQ3=14000 TotVArhExpQ4=15000 TotVArh_SF=3
    """
)
METER_READ = table(
    """
    current=6.1 current_l1=1.5 current_l2=2.25 current_l3=-2.35 voltage_ln_average=230.4
    voltage_l1=230.1 voltage_l2=230.5 voltage_l3=230.6 voltage_ll_average=399.1 voltage_l1_l2=398.9
    voltage_l2_l3=399.2 voltage_l3_l1=399.3 frequency=49.98 power=-1230 power_l1=-500 power_l2=-400
    power_l3=-330 apparent_power=1300 apparent_power_l1=510 apparent_power_l2=420
    apparent_power_l3=370 reactive_power=210 reactive_power_l1=70 reactive_power_l2=80
    reactive_power_l3=60 power_factor=-0.946 power_factor_l1=-0.98 power_factor_l2=0.952
    power_factor_l3=-0.891 energy_export=1234.5 energy_import=9876.5 energy_export_l1=400
    energy_import_l3=3000.1 reactive_energy_q1=12 reactive_energy_q2=13 reactive_energy_q3=14
    reactive_energy_q4=15
    """
)
INVERTER: Values = table(
    """
    A=21.33 AphA=7.11 AphB=7.12 AphC=7.1 A_SF=-2 PPVphAB=401.1 PPVphBC=402.2 PPVphCA=403.3
    PhVphA=231.1 PhVphB=231.2 PhVphC=231.3 V_SF=-1 W=4900 W_SF=2 Hz=50.01 Hz_SF=-2 VA=4910 VA_SF=1
    VAr=-120 VAr_SF=0 PF=99.8 PF_SF=-1 WH=12345678 WH_SF=0 DCA=8.25 DCA_SF=-2 DCV=612.5 DCV_SF=-1
    DCW=5050 DCW_SF=0 TmpCab=41.5 TmpSnk=52.5 TmpTrns=-3.5 TmpOt=20 Tmp_SF=-1 St=5
    """
)
INVERTER_READ = table(
    """
    current=21.33 current_l1=7.11 current_l2=7.12 current_l3=7.1 voltage_l1_l2=401.1
    voltage_l2_l3=402.2 voltage_l3_l1=403.3 voltage_l1=231.1 voltage_l2=231.2 voltage_l3=231.3
    power=4900 frequency=50.01 apparent_power=4910 reactive_power=-120 power_factor=0.998
    energy_produced=12345.678 current_dc=8.25 voltage_dc=612.5 power_dc=5050
    temperature_cabinet=41.5 temperature_heat_sink=52.5 temperature_transformer=-3.5
    temperature_other=20 operating_state=throttled
    """
)


def floats(values: Values, **others: float) -> Values:
    """Return the points of the same model with floats, which has no scale factors."""
    return {key: value for key, value in values.items() if not key.endswith("_SF")} | others


DER: Values = table(
    """
    InvSt=3 W=5000 W_SF=0 VA=5010 VA_SF=0 Var=100 Var_SF=0 PF=0.998 PF_SF=-3 A=7.3 A_SF=-1 LLV=400.1
    LNV=231 V_SF=-1 Hz=50.012 Hz_SF=-3 TotWhInj=1099511627776 TotWhAbs=5000 TotWh_SF=0
    TotVarhInj=7000 TotVarhAbs=8000 TotVarh_SF=1 TmpAmb=21 TmpCab=33 TmpSnk=44 TmpTrns=55 TmpSw=66
    TmpOt=12 Tmp_SF=0 WL1=1000 WL2=2000 WL3=2001 VAL1=1001 VarL2=50 PFL3=-0.5 AL1=4.5 AL2=4.6
    AL3=4.7 VL1=231.1 VL2=231.2 VL3=231.3 VL1L2=400.2 VL2L3=400.3 VL3L1=400.4
    """
)
DER_READ = table(
    """
    operating_state=running power=5000 apparent_power=5010 reactive_power=100 power_factor=0.998
    current=7.3 voltage_ll_average=400.1 voltage_ln_average=231 frequency=50.012
    energy_produced=1099511627.776 energy_import=5 reactive_energy_export=7 reactive_energy_import=8
    temperature_ambient=21 temperature_cabinet=33 temperature_heat_sink=44
    temperature_transformer=55 temperature_switch=66 temperature_other=12 power_l1=1000
    power_l2=2000 power_l3=2001 apparent_power_l1=1001 reactive_power_l2=50 power_factor_l3=-0.5
    current_l1=4.5 current_l2=4.6 current_l3=4.7 voltage_l1=231.1 voltage_l2=231.2 voltage_l3=231.3
    voltage_l1_l2=400.2 voltage_l2_l3=400.3 voltage_l3_l1=400.4
    """
)

MODELS: dict[int, tuple[Values, dict[str, float | str]]] = {
    **dict.fromkeys((201, 202, 203, 204), (METER, METER_READ)),
    **dict.fromkeys(
        (211, 212, 213, 214),
        (floats(METER, PF=-0.946, PFphA=-0.98, PFphB=0.952, PFphC=-0.891), METER_READ),
    ),
    **dict.fromkeys((101, 102, 103), (INVERTER, INVERTER_READ)),
    **dict.fromkeys((111, 112, 113), (floats(INVERTER), INVERTER_READ)),
    124: (
        {"ChaState": 71.5, "ChaState_SF": -1, "InBatV": 48.2, "InBatV_SF": -1, "ChaSt": 3},
        {"state_of_charge": 71.5, "voltage_dc": 48.2, "charge_state": "discharging"},
    ),
    802: (
        table(
            """
            WHRtg=10000 WHRtg_SF=2 SoC=63.5 SoC_SF=-1 SoH=98 SoH_SF=0 ChaSt=4 State=99 V=51.8
            V_SF=-1 A=-20.5 A_SF=-1 CellVMax=3.312 CellVMin=3.301 CellV_SF=-3 W=-1062 W_SF=0
            """
        ),
        table(
            """
            energy_capacity=10 state_of_charge=63.5 state_of_health=98 charge_state=charging
            operating_state=fault voltage_dc=51.8 current_dc=-20.5 cell_voltage_max=3.312
            cell_voltage_min=3.301 power_dc=-1062
            """
        ),
    ),
    2: ({"St": 4}, {"operating_state": "fault"}),
    160: (
        table(
            """
            DCA_SF=-2 DCV_SF=-1 DCW_SF=0 DCWH_SF=0 N=2 DCA1=8.15 DCV1=380.5 DCW1=3100 DCWH1=1234567
            DCA2=7.05 DCV2=370.5 DCW2=2600 DCWH2=2000
            """
        ),
        table(
            """
            current_dc_1=8.15 voltage_dc_1=380.5 power_dc_1=3100 energy_dc_produced_1=1234.567
            current_dc_2=7.05 voltage_dc_2=370.5 power_dc_2=2600 energy_dc_produced_2=2
            """
        ),
    ),
    302: (
        table("GHI=801 POAI=902 DFI=103 DNI=704"),
        table(
            """
            irradiance=801 irradiance_module=902 irradiance_diffuse=103 irradiance_direct=704
            """
        ),
    ),
    303: ({"TmpBOM": 415}, {"temperature_module": 41.5}),
    304: (
        table("Inclx=-1234 Incly=50 Inclz=9000"),
        table("inclination_x=-12.34 inclination_y=0.5 inclination_z=90"),
    ),
    306: (
        table("GHI=800 A=9 V=610 Tmp=40"),
        table("irradiance=800 current_dc=9 voltage_dc=610 temperature_module=40"),
    ),
    307: (
        table("TmpAmb=-55 RH=71 Pres=1013 WndSpd=4 WndDir=270"),
        table(
            """
            temperature_ambient=-5.5 humidity=71 air_pressure=1013 wind_speed=4 wind_bearing=270
            """
        ),
    ),
    308: (
        table("GHI=650 TmpBOM=401 TmpAmb=253 WndSpd=3"),
        table("irradiance=650 temperature_module=40.1 temperature_ambient=25.3 wind_speed=3"),
    ),
    402: (
        table(
            """
            DCA_SF=-1 DCV_SF=-1 DCW_SF=1 DCWh_SF=3 N=2 DCA=16.5 DCV=612.5 Tmp=35 DCW=10100
            DCWh=7000000 InDCA1=8.5 InDCV1=612.1 InDCA2=8 InDCV2=612.2
            """
        ),
        table(
            """
            current_dc=16.5 voltage_dc=612.5 temperature_cabinet=35 power_dc=10100
            energy_dc_produced=7000 current_dc_1=8.5 voltage_dc_1=612.1 current_dc_2=8
            voltage_dc_2=612.2
            """
        ),
    ),
    403: (
        table(
            """
            DCA_SF=-1 DCV_SF=-1 N=2 DCA=16.5 DCV=612.5 Tmp=35 InDCA_SF=-2 InDCA1=8.51 InDCA2=7.99
            """
        ),
        table(
            """
            current_dc=16.5 voltage_dc=612.5 temperature_cabinet=35 current_dc_1=8.51
            current_dc_2=7.99
            """
        ),
    ),
    701: (DER, DER_READ),
    713: (
        {"WHRtg": 10_000, "WHAvail": 6400, "WH_SF": 1, "SoC": 64, "SoH": 97.5, "Pct_SF": -1},
        table(
            """
            energy_capacity=10 energy_stored=6.4 state_of_charge=64 state_of_health=97.5
            """
        ),
    ),
    714: (
        table(
            """
            NPrt=2 DCA=16 DCA_SF=-1 DCW=6000 DCW_SF=0 DCV_SF=-1 DCWhInj=5000000 DCWhAbs=100
            DCWH_SF=0 DCA1=8.1 DCV1=380.5 DCW1=3082 DCA2=7.9 DCV2=370.5 DCW2=2918
            """
        ),
        table(
            """
            current_dc=16 power_dc=6000 energy_dc_produced=5000 energy_dc_consumed=0.1
            current_dc_1=8.1 voltage_dc_1=380.5 power_dc_1=3082 current_dc_2=7.9 voltage_dc_2=370.5
            power_dc_2=2918
            """
        ),
    ),
}


@pytest.fixture
def unit(line: MockModbusConnection) -> MockModbusUnit:
    """Return unit 1, which has no registers yet."""
    return line.for_unit(1)


def load(unit: MockModbusUnit, device: SunSpecDevice) -> None:
    """Put the registers of a device into a unit."""
    unit.holding.clear()
    unit.holding[device.base] = device.words()


def shown(values: Mapping[str, float]) -> dict[str, float | str]:
    """Return values with the names of states in place of their numbers."""
    return {
        key: options[int(value)] if (options := QUANTITIES[key].options) else value
        for key, value in values.items()
    }


# --- the models


@pytest.mark.parametrize("model", MODELS)
async def test_every_value_of_a_model_is_read(unit: MockModbusUnit, model: int) -> None:
    points, expected = MODELS[model]
    load(unit, SunSpecDevice(1, [(model, lambda: points)]))

    (place,) = await find_models(unit)
    register_map = sunspec_map(place)
    identity, values = await read_once(unit, register_map, register_map.quantities)

    assert shown(values) == pytest.approx(expected)
    assert (identity.serial_number, identity.firmware) == ("SN-0001", "2.4.1")
    assert register_map.manufacturer == "Example"
    assert register_map.model.startswith("SunSpec One (")


@pytest.mark.parametrize("model", MODELS)
async def test_a_model_without_values_has_none(unit: MockModbusUnit, model: int) -> None:
    load(unit, SunSpecDevice(1, [(model, dict)]))

    (place,) = await find_models(unit)
    register_map = sunspec_map(place)
    _, values = await read_once(unit, register_map, register_map.quantities)

    assert values == {}


async def test_a_scale_factor_beyond_the_standard_is_no_value(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, [(103, lambda: {"W": 0, "W_SF": -32, "Hz": 50, "Hz_SF": -2})]))

    (place,) = await find_models(unit)
    register_map = sunspec_map(place)
    _, values = await read_once(unit, register_map, register_map.quantities)

    assert values == {"frequency": 50}


async def test_an_unknown_state_is_no_value(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, [(103, lambda: {"St": 4711})]))

    (place,) = await find_models(unit)
    register_map = sunspec_map(place)

    assert (await read_once(unit, register_map, ["operating_state"]))[1] == {}


async def test_a_model_that_is_shorter_than_its_definition_is_read_as_far_as_it_goes() -> None:
    place = SunSpecPlace(
        model=103, instance=0, address=2, length=24, common=None, manufacturer="A", product="B"
    )
    register_map = sunspec_map(place)

    assert "energy_produced" not in register_map.quantities
    assert "power_factor" in register_map.quantities
    assert register_map.serial_number is None


# --- finding them


@pytest.mark.parametrize("base", [40000, 50000, 0])
async def test_the_list_of_models_is_found_where_it_may_be(unit: MockModbusUnit, base: int) -> None:
    load(unit, SunSpecDevice(1, [(203, lambda: METER)], base=base))

    (place,) = await find_models(unit)

    assert place.address == base + 70


async def test_each_instance_of_a_model_is_found(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, [(103, dict), (123, dict), (203, dict), (203, dict), (802, dict)]))

    assert [(place.model, place.instance) for place in await find_models(unit)] == [
        (103, 0),
        (203, 0),
        (203, 1),
        (802, 0),
    ]


async def test_a_meter_has_the_name_of_the_common_block_before_it(unit: MockModbusUnit) -> None:
    inverter = SunSpecDevice(1, [(103, dict)], product="Inverter").words()[:-2]
    meter = SunSpecDevice(1, [(203, dict)], product="Meter", serial_number="M7").words()[2:]
    unit.holding[40000] = [*inverter, *meter]

    places = await find_models(unit)

    assert [place.product for place in places] == ["Inverter", "Meter"]
    identity, _ = await read_once(unit, sunspec_map(places[1]), ["power"])
    assert identity.serial_number == "M7"


async def test_a_device_without_a_name_is_called_by_its_standard(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, [(203, dict)], manufacturer="", product=""))

    assert sunspec_map((await find_models(unit))[0]).label == "SunSpec device (meter)"


async def test_a_device_without_common_block_is_read_nonetheless(unit: MockModbusUnit) -> None:
    words = SunSpecDevice(1, [(203, lambda: METER)]).words()
    unit.holding[40000] = words[:2] + words[70:]

    (place,) = await find_models(unit)
    identity, values = await read_once(unit, sunspec_map(place), ["power"])

    assert values == {"power": -1230}
    assert identity.serial_number is None


async def test_a_device_that_ignores_other_addresses_is_found(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, [(203, dict)], base=0))
    unit.fail_read(40000, ModbusTimeoutError())
    unit.fail_read(50000, IllegalDataAddressError())

    assert len(await find_models(unit)) == 1


async def test_a_meter_without_sunspec_has_no_models(unit: MockModbusUnit) -> None:
    assert await find_models(unit) == []


async def test_a_silent_device_is_told_from_one_without_models(unit: MockModbusUnit) -> None:
    unit.fail_requests(ModbusTimeoutError())

    with pytest.raises(ModbusTimeoutError):
        await find_models(unit)


# --- what makers do otherwise


async def read_all(unit: MockModbusUnit, index: int = 0) -> dict[str, float]:
    """Return what a model of a device says, by its place in the list."""
    register_map = sunspec_map((await find_models(unit))[index])
    return (await read_once(unit, register_map, register_map.quantities))[1]


GRID: Values = table(
    """
    W=1087 WphA=400 WphB=387 WphC=300 W_SF=0 VAR=20 VAR_SF=0 TotWhExp=5000 TotWhImp=7000 TotWh_SF=0
    """
)


async def test_the_meter_of_a_solaredge_has_feeding_in_as_positive_power(
    unit: MockModbusUnit,
) -> None:
    inverter = SunSpecDevice(1, [(103, dict)], manufacturer="SolarEdge ").words()[:-2]
    meter = SunSpecDevice(1, [(203, lambda: GRID)], manufacturer="WattNode").words()[2:]
    unit.holding[40000] = [*inverter, *meter]

    values = await read_all(unit, 1)

    assert values == {
        "power": -1087,
        "power_l1": -400,
        "power_l2": -387,
        "power_l3": -300,
        "reactive_power": -20,
        "energy_export": 5,
        "energy_import": 7,
    }


async def test_the_inverter_of_a_solaredge_has_its_sign(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, [(103, lambda: INVERTER)], manufacturer="SolarEdge"))

    assert (await read_all(unit))["power"] == 4900


@pytest.mark.parametrize(
    ("points", "factor"),
    [
        ({"PF": -0.998, "PF_SF": -3}, -0.998),  # SMA
        ({"PF": 0.9925, "PF_SF": -4}, 0.9925),  # Veris
        ({"PF": 1, "PF_SF": 0}, 1),
        ({"PF": 1.01, "PF_SF": -2}, 1.01),
        ({"PF": -94.6, "PF_SF": -1}, -0.946),
    ],
)
async def test_a_power_factor_is_a_ratio_unless_it_can_only_be_a_percentage(
    unit: MockModbusUnit, points: Values, factor: float
) -> None:
    load(unit, SunSpecDevice(1, [(203, lambda: points)]))

    assert await read_all(unit) == {"power_factor": factor}


async def test_a_device_that_was_seen_to_give_percentages_goes_on_to(unit: MockModbusUnit) -> None:
    points = {"PF": 100.0, "PF_SF": -1}
    device = SunSpecDevice(1, [(203, lambda: points)])
    load(unit, device)
    register_map = sunspec_map((await find_models(unit))[0])
    reader = RegisterReader(unit, register_map)
    first = await reader.read(["power_factor"])
    points["PF"] = 0.9
    load(unit, device)

    assert (first, await reader.read(["power_factor"])) == (
        {"power_factor": 1},
        {"power_factor": 0.009},
    )


async def test_the_meter_of_a_kostal_counts_its_export_downwards(unit: MockModbusUnit) -> None:
    load(
        unit,
        SunSpecDevice(
            1,
            [(203, lambda: {"TotWhExp": 1, "TotWhImp": 7000, "TotWh_SF": 0})],
            manufacturer="KOSTAL",
        ),
    )
    place = (await find_models(unit))[0]
    exported, not_available = -4_793_900 & 0xFFFFFFFF, [0x8000, 0]
    unit.holding[place.address + 38] = [exported >> 16, exported & 0xFFFF, *not_available]

    assert await read_all(unit) == {"energy_export": 4793.9, "energy_import": 7}


async def test_a_counter_may_say_not_available_as_other_types_do(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, [(203, lambda: {"TotWhImp": 7000, "TotWh_SF": 0})]))
    place = (await find_models(unit))[0]
    unit.holding[place.address + 38] = [0x8000, 0]

    assert await read_all(unit) == {"energy_import": 7}


async def test_a_gen24_keeps_its_battery_among_the_strings(unit: MockModbusUnit) -> None:
    points = table(
        """
        DCA_SF=-2 DCV_SF=-1 DCW_SF=0 DCWH_SF=0 N=4 DCA1=8 DCV1=380 DCW1=3100 DCWH1=1000 DCA3=2
        DCV3=210.5 DCW3=500 DCWH3=4000 DCA4=0 DCV4=210.5 DCW4=0 DCWH4=3000
        """
    ) | {"IDStr1": "String 1", "IDStr2": "String 2", "IDStr3": "StCha 3", "IDStr4": "StDisCha 4"}
    load(unit, SunSpecDevice(1, [(160, lambda: points)], manufacturer="Fronius"))

    assert await read_all(unit) == {
        "current_dc_1": 8,
        "voltage_dc_1": 380,
        "power_dc_1": 3100,
        "energy_dc_produced_1": 1,
        "voltage_battery": 210.5,
        "power_battery_charge": 500,
        "power_battery_discharge": 0,
        "energy_battery_charged": 4,
        "energy_battery_discharged": 3,
    }


async def test_an_inverter_with_integers_and_floats_is_one(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, [(103, dict), (113, dict), (203, dict), (213, dict), (203, dict)]))

    assert [(place.model, place.instance) for place in await find_models(unit)] == [
        (103, 0),
        (203, 0),
        (203, 1),
    ]


@pytest.mark.parametrize("model", [124, 713, 802])
async def test_a_storage_model_without_a_battery_is_not_offered(
    unit: MockModbusUnit, model: int
) -> None:
    state_only = {} if model == 713 else {"ChaSt": 1}
    load(unit, SunSpecDevice(1, [(103, lambda: INVERTER), (model, lambda: state_only)]))

    found = await search_sunspec(unit, 1, known=())

    assert [meter.map.key for meter in found] == ["sunspec_103"]


# --- walking the list

TWO: list[tuple[int, Callable[[], Values]]] = [(103, lambda: INVERTER), (203, lambda: METER)]


@pytest.mark.parametrize(
    "error",
    [
        ModbusTimeoutError(),
        ModbusProtocolError("crc"),
        ServerDeviceFailureError(),
        ServerDeviceBusyError(),
        GatewayTargetError(),
    ],
)
@pytest.mark.parametrize("lost", [1, 2])
async def test_a_lost_answer_inside_the_list_is_asked_for_again(
    unit: MockModbusUnit, error: ModbusError, lost: int
) -> None:
    load(unit, SunSpecDevice(1, TWO))
    read = unit.read_holding_registers
    left = {40002: lost, 40070: lost, 40004: lost}

    async def flaky(address: int, count: int) -> list[int]:
        if left.get(address):
            left[address] -= 1
            raise error
        return await read(address, count)

    with patch.object(unit, "read_holding_registers", flaky):
        places = await find_models(unit)

    assert [(place.model, place.product) for place in places] == [
        (103, "SunSpec One"),
        (203, "SunSpec One"),
    ]


@pytest.mark.parametrize("error", [ModbusTimeoutError(), IllegalDataAddressError()])
async def test_what_was_found_is_kept_where_the_rest_is_not_answered(
    unit: MockModbusUnit, error: ModbusError
) -> None:
    load(unit, SunSpecDevice(1, TWO))
    unit.fail_read(40122, error)

    assert [place.model for place in await find_models(unit)] == [103]


async def test_a_list_that_ends_with_a_single_zero_is_read(unit: MockModbusUnit) -> None:
    words = SunSpecDevice(1, TWO).words()[:-2]
    unit.holding[40000] = [*words, 0]
    unit.fail_read(40000 + len(words) + 1, IllegalDataAddressError())

    assert [place.model for place in await find_models(unit)] == [103, 203]


async def test_a_line_that_drops_inside_the_list_is_no_end_of_it(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, TWO))
    unit.fail_read(40122, ModbusConnectionError("gone"))

    with pytest.raises(ModbusConnectionError):
        await find_models(unit)


async def test_a_device_that_does_not_tell_its_name_is_found(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, TWO))
    unit.fail_read(40004, IllegalDataAddressError())

    assert [place.product for place in await find_models(unit)] == ["device", "device"]


async def test_a_device_of_which_no_model_can_be_read_is_told(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, [(103, lambda: INVERTER)]))
    (place,) = await find_models(unit)
    read = unit.read_holding_registers

    async def answer(address: int, count: int) -> list[int]:
        if address >= place.address and count > 2:
            raise ServerDeviceBusyError
        return await read(address, count)

    with (
        patch.object(unit, "read_holding_registers", answer),
        pytest.raises(ServerDeviceBusyError),
    ):
        await search_sunspec(unit, 1, known=())


async def test_a_model_that_cannot_be_read_does_not_hide_the_others(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, TWO))
    places = await find_models(unit)
    unit.fail_read(places[1].address, ServerDeviceBusyError())

    assert [meter.map.key for meter in await search_sunspec(unit, 1, known=())] == ["sunspec_103"]


# --- as a meter of a link


def sunspec_meter(place: SunSpecPlace, **data: Any) -> ConfigSubentryData:
    """Return a SunSpec model as a meter below an entry; its id is `meter_1`."""
    return ConfigSubentryData(
        subentry_id="meter_1",
        subentry_type="meter",
        title="Solar",
        unique_id=f"1_{place.model}_{place.instance}",
        data={
            "unit_id": 1,
            "register_map": f"sunspec_{place.model}",
            "sunspec": asdict(place),
            "identity": "meter_1",
            "fast_interval_s": 4,
            "slow_interval_s": 30,
            **data,
        },
    )


async def test_a_model_is_polled_like_any_meter(
    hass: HomeAssistant, unit: MockModbusUnit, device_registry: dr.DeviceRegistry
) -> None:
    load(unit, SunSpecDevice(1, [(103, lambda: INVERTER)]))
    entry = link_entry(sunspec_meter((await find_models(unit))[0]))
    await start(hass, entry)

    assert state(hass, "power") == "4900"
    assert state(hass, "energy_produced") == "12345.678"
    assert state(hass, "operating_state") == "throttled"
    device = device_registry.async_get_device_by_identifier((DOMAIN, "meter_1"), entry.entry_id)
    assert device is not None
    assert (device.manufacturer, device.model) == ("Example", "SunSpec One (inverter)")
    assert (device.serial_number, device.sw_version) == ("SN-0001", "2.4.1")
    assert entry.runtime_data.diagnostics()["meters"][0]["register_map"] == "sunspec_103"


async def test_everything_enabled_takes_one_request_each(
    hass: HomeAssistant, unit: MockModbusUnit, every_sensor_enabled: None
) -> None:
    load(unit, SunSpecDevice(1, [(203, lambda: METER)]))
    entry = link_entry(sunspec_meter((await find_models(unit))[0]))
    await start(hass, entry)

    assert entry.runtime_data.diagnostics()["meters"][0]["requests"] == {"fast": 1, "slow": 1}


async def test_what_the_device_does_not_fill_in_is_disabled(
    hass: HomeAssistant, unit: MockModbusUnit, entity_registry: er.EntityRegistry
) -> None:
    load(unit, SunSpecDevice(1, [(103, lambda: {"W": 1, "W_SF": 0})]))
    place = (await find_models(unit))[0]
    await start(hass, link_entry(sunspec_meter(place, absent=["power_dc"])))

    entity_id = entity_registry.async_get_entity_id("sensor", DOMAIN, "meter_1_power_dc")
    assert entity_id is not None
    sensor = entity_registry.async_get(entity_id)
    assert sensor is not None
    assert sensor.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert state(hass, "power") == "1"


async def test_a_model_is_followed_when_the_device_moves_it(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    device = SunSpecDevice(1, [(103, lambda: INVERTER)])
    load(unit, device)
    await start(hass, link_entry(sunspec_meter((await find_models(unit))[0])))
    device.inserted.append(123)
    load(unit, device)
    await after(hass, freezer, 5)

    assert state(hass, "power") == "4900"
    assert caplog.text.count("Solar has changed its registers; they were found anew") == 1
    await after(hass, freezer, 5)
    assert state(hass, "power") == "4900"


@pytest.mark.parametrize("refused", [range(40000, 40400), range(40086, 40400)])
async def test_a_model_is_followed_when_its_old_registers_are_refused(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory, refused: range
) -> None:
    device = SunSpecDevice(1, [(103, lambda: INVERTER)])
    load(unit, device)
    entry = link_entry(sunspec_meter((await find_models(unit))[0]))
    await start(hass, entry)
    device.base = 50000
    load(unit, device)
    for address in refused:
        unit.fail_read(address, IllegalDataAddressError())
    await after(hass, freezer, 5)
    assert state(hass, "power") == "4900"

    # What the entry knows of is still the old place.
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state(hass, "power") == "4900"
    assert state(hass, "energy_produced") == "12345.678"


async def test_a_model_that_refuses_a_part_of_itself_stays_where_it_is(
    hass: HomeAssistant, unit: MockModbusUnit, caplog: pytest.LogCaptureFixture
) -> None:
    load(unit, SunSpecDevice(1, [(103, lambda: INVERTER)]))
    place = (await find_models(unit))[0]
    unit.fail_read(place.address + 14, IllegalDataAddressError())  # the active power
    await start(hass, link_entry(sunspec_meter(place)))

    assert state(hass, "power") == STATE_UNAVAILABLE
    assert state(hass, "frequency") == "50.01"
    assert "has changed its registers" not in caplog.text


async def test_a_device_that_gets_busy_at_a_refusal_has_not_moved(unit: MockModbusUnit) -> None:
    load(unit, SunSpecDevice(1, [(103, lambda: INVERTER)]))
    place = (await find_models(unit))[0]
    unit.fail_read(place.address + 14, IllegalDataAddressError())
    register_map = sunspec_map(place)
    read = unit.read_holding_registers

    async def busy_with_the_header(address: int, count: int) -> list[int]:
        if (address, count) == (place.address, 2):
            raise ServerDeviceBusyError
        return await read(address, count)

    with (
        patch.object(unit, "read_holding_registers", busy_with_the_header),
        pytest.raises(ServerDeviceBusyError),
    ):
        await read_once(unit, register_map, register_map.quantities)


async def test_a_model_that_is_shorter_now_is_read_as_far_as_it_goes(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
    every_sensor_enabled: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    points = MODELS[714][0]
    device = SunSpecDevice(1, [(714, lambda: points)])
    load(unit, device)
    place = (await find_models(unit))[0]
    await start(hass, link_entry(sunspec_meter(place)))
    assert state(hass, "power_dc_2") == "2918"

    # One input in place of two.
    words = device.words()
    unit.holding.clear()
    at = place.address - device.base
    unit.holding[device.base] = [*words[:at], 714, 43, *words[at + 2 : at + 45], 0xFFFF, 0]
    for _ in range(2):
        await after(hass, freezer, 5)
        assert state(hass, "power_dc") == "6000"
        assert state(hass, "power_dc_1") == "3082"
        assert state(hass, "power_dc_2") == STATE_UNAVAILABLE
    assert "KeyError" not in caplog.text


async def test_a_group_of_which_nothing_is_left_says_nothing_of_the_line(
    unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    load(unit, SunSpecDevice(1, [(713, lambda: MODELS[713][0])]))
    register_map = sunspec_map((await find_models(unit))[0])
    meter = Meter(unit, register_map, name="Battery", first_pause_s=4)
    unit.fail_requests(ModbusTimeoutError())
    with pytest.raises(ModbusTimeoutError):
        await meter.read(["state_of_charge"])
    freezer.tick(5)

    assert await meter.read(["power_dc"]) == {}
    assert not meter.answering


async def test_a_model_that_is_gone_makes_its_sensors_unavailable(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    load(unit, SunSpecDevice(1, [(103, lambda: INVERTER)]))
    entry = link_entry(sunspec_meter((await find_models(unit))[0]))
    await start(hass, entry)
    load(unit, SunSpecDevice(1, [(203, lambda: METER)]))
    await after(hass, freezer, 5)

    assert state(hass, "power") == STATE_UNAVAILABLE
    assert "no SunSpec model 103" in entry.runtime_data.diagnostics()["meters"][0]["last_error"]

    load(unit, SunSpecDevice(1, [(103, lambda: INVERTER)]))
    await after(hass, freezer, 10)
    assert state(hass, "power") == "4900"


async def test_one_garbled_header_is_not_taken_for_a_move(
    hass: HomeAssistant,
    unit: MockModbusUnit,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    device = SunSpecDevice(1, [(103, lambda: INVERTER)])
    load(unit, device)
    place = (await find_models(unit))[0]
    await start(hass, link_entry(sunspec_meter(place)))
    reads = iter([0])
    unit.holding[place.address] = lambda: next(reads, 103)
    await after(hass, freezer, 5)

    assert state(hass, "power") == "4900"
    assert "has changed its registers" not in caplog.text


async def test_a_broken_frame_is_asked_for_again(
    hass: HomeAssistant, unit: MockModbusUnit, freezer: FrozenDateTimeFactory
) -> None:
    load(unit, solar_device(1, House()))
    places = await find_models(unit)
    await start(hass, link_entry(sunspec_meter(places[1])))
    unit.fail_read(places[1].address, ModbusProtocolError("crc"))
    await after(hass, freezer, 5)
    assert state(hass, "power") == STATE_UNAVAILABLE

    unit.fail_read(places[1].address, None)
    await after(hass, freezer, 10)
    assert state(hass, "power") != STATE_UNAVAILABLE


def test_the_simulated_house_says_the_same_in_both_forms_of_a_meter() -> None:
    quantities = House(clock=lambda: 0.0).grid()

    assert meter_points(quantities)["W"] == meter_points(quantities, floats=True)["W"]
