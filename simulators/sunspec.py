"""Simulated SunSpec devices, written from the model definitions: points in their order.

Addresses follow from the sizes of the points, so that the integration's table of offsets is checked
by another one. A point without a value reads as "not available". `SunSpecDevice` is served by
`meters.MeterServer` like any other meter.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
import math
import re
import struct

from pymodbus.constants import ExcCodes

from .house import PHASES, House

type Words = list[int]
type Values = Mapping[str, float | str]

# How each type is packed, and what it says when it has no value.
_TYPES: Mapping[str, tuple[str, int | float]] = {
    "int16": (">h", -0x8000),
    "uint16": (">H", 0xFFFF),
    "enum16": (">H", 0xFFFF),
    "sunssf": (">h", -0x8000),
    "pad": (">H", 0x8000),
    "uint32": (">I", 0xFFFFFFFF),
    "int32": (">i", -0x80000000),
    "bitfield32": (">I", 0xFFFFFFFF),
    "acc32": (">I", 0),
    "uint64": (">Q", 0xFFFFFFFFFFFFFFFF),
    "float32": (">f", math.nan),
}


def _with_phases(names: str, kind: str) -> str:
    """Return points that stand for the whole and then for each phase."""
    return " ".join(
        f"{name}:{kind} {name}phA:{kind} {name}phB:{kind} {name}phC:{kind}"
        for name in names.split()
    )


def _meter(number: str, counter: str, factors: bool) -> str:
    def factor(name: str) -> str:
        return f"{name}_SF:sunssf" if factors else ""

    def scaled(kind: str, name: str) -> str:
        return f"{kind}*{name}_SF" if factors else kind

    amps, volts = scaled(number, "A"), scaled(number, "V")
    reactive = " ".join(
        _with_phases(name, scaled(counter, "TotVArh"))
        for name in ("TotVArhImpQ1", "TotVArhImpQ2", "TotVArhExpQ3", "TotVArhExpQ4")
    )
    return f"""
        A:{amps} AphA:{amps} AphB:{amps} AphC:{amps} {factor("A")}
        PhV:{volts} PhVphA:{volts} PhVphB:{volts} PhVphC:{volts}
        PPV:{volts} PPVphAB:{volts} PPVphBC:{volts} PPVphCA:{volts} {factor("V")}
        Hz:{scaled(number, "Hz")} {factor("Hz")}
        {_with_phases("W", scaled(number, "W"))} {factor("W")}
        {_with_phases("VA", scaled(number, "VA"))} {factor("VA")}
        {_with_phases("VAR", scaled(number, "VAR"))} {factor("VAR")}
        {_with_phases("PF", scaled(number, "PF"))} {factor("PF")}
        {_with_phases("TotWhExp TotWhImp", scaled(counter, "TotWh"))} {factor("TotWh")}
        {_with_phases("TotVAhExp TotVAhImp", scaled(counter, "TotVAh"))} {factor("TotVAh")}
        {reactive} {factor("TotVArh")} Evt:bitfield32"""


_EVENTS = "Evt1:bitfield32 Evt2:bitfield32 " + " ".join(
    f"EvtVnd{number}:bitfield32" for number in (1, 2, 3, 4)
)
_INVERTER = f"""
    A:uint16*A_SF AphA:uint16*A_SF AphB:uint16*A_SF AphC:uint16*A_SF A_SF:sunssf
    PPVphAB:uint16*V_SF PPVphBC:uint16*V_SF PPVphCA:uint16*V_SF
    PhVphA:uint16*V_SF PhVphB:uint16*V_SF PhVphC:uint16*V_SF V_SF:sunssf
    W:int16*W_SF W_SF:sunssf Hz:uint16*Hz_SF Hz_SF:sunssf VA:int16*VA_SF VA_SF:sunssf
    VAr:int16*VAr_SF VAr_SF:sunssf PF:int16*PF_SF PF_SF:sunssf WH:acc32*WH_SF WH_SF:sunssf
    DCA:uint16*DCA_SF DCA_SF:sunssf DCV:uint16*DCV_SF DCV_SF:sunssf DCW:int16*DCW_SF DCW_SF:sunssf
    TmpCab:int16*Tmp_SF TmpSnk:int16*Tmp_SF TmpTrns:int16*Tmp_SF TmpOt:int16*Tmp_SF Tmp_SF:sunssf
    St:enum16 StVnd:enum16 {_EVENTS}"""
_INVERTER_POINTS = """
    A AphA AphB AphC PPVphAB PPVphBC PPVphCA PhVphA PhVphB PhVphC W Hz VA VAr PF WH DCA DCV DCW
    TmpCab TmpSnk TmpTrns TmpOt"""
_INVERTER_FLOAT = (
    " ".join(f"{name}:float32" for name in _INVERTER_POINTS.split())
    + f" St:enum16 StVnd:enum16 {_EVENTS}"
)
_BATTERY = """
    AHRtg:uint16*AHRtg_SF WHRtg:uint16*WHRtg_SF
    WChaRteMax:uint16*WChaDisChaMax_SF WDisChaRteMax:uint16*WChaDisChaMax_SF
    DisChaRte:uint16*DisChaRte_SF SoCMax:uint16*SoC_SF SoCMin:uint16*SoC_SF
    SocRsvMax:uint16*SoC_SF SoCRsvMin:uint16*SoC_SF SoC:uint16*SoC_SF DoD:uint16*DoD_SF
    SoH:uint16*SoH_SF NCyc:uint32 ChaSt:enum16 LocRemCtl:enum16 Hb:uint16 CtrlHb:uint16
    AlmRst:uint16 Typ:enum16 State:enum16 StateVnd:enum16 WarrDt:uint32 Evt1:bitfield32
    Evt2:bitfield32 EvtVnd1:bitfield32 EvtVnd2:bitfield32 V:uint16*V_SF VMax:uint16*V_SF
    VMin:uint16*V_SF CellVMax:uint16*CellV_SF CellVMaxStr:uint16 CellVMaxMod:uint16
    CellVMin:uint16*CellV_SF CellVMinStr:uint16 CellVMinMod:uint16 CellVAvg:uint16*CellV_SF
    A:int16*A_SF AChaMax:uint16*AMax_SF ADisChaMax:uint16*AMax_SF W:int16*W_SF ReqInvState:enum16
    ReqW:int16*W_SF SetOp:enum16 SetInvState:enum16 AHRtg_SF:sunssf WHRtg_SF:sunssf
    WChaDisChaMax_SF:sunssf DisChaRte_SF:sunssf SoC_SF:sunssf DoD_SF:sunssf SoH_SF:sunssf
    V_SF:sunssf CellV_SF:sunssf A_SF:sunssf AMax_SF:sunssf W_SF:sunssf"""
_STORAGE = """
    WChaMax:uint16*WChaMax_SF WChaGra:uint16*WChaDisChaGra_SF WDisChaGra:uint16*WChaDisChaGra_SF
    StorCtl_Mod:uint16 VAChaMax:uint16*VAChaMax_SF MinRsvPct:uint16*MinRsvPct_SF
    ChaState:uint16*ChaState_SF StorAval:uint16*StorAval_SF InBatV:uint16*InBatV_SF ChaSt:enum16
    OutWRte:int16*InOutWRte_SF InWRte:int16*InOutWRte_SF InOutWRte_WinTms:uint16
    InOutWRte_RvrtTms:uint16 InOutWRte_RmpTms:uint16 ChaGriSet:enum16 WChaMax_SF:sunssf
    WChaDisChaGra_SF:sunssf VAChaMax_SF:sunssf MinRsvPct_SF:sunssf ChaState_SF:sunssf
    StorAval_SF:sunssf InBatV_SF:sunssf InOutWRte_SF:sunssf"""


def _der_phase(one: str, line: str) -> str:
    return f"""
        W{one}:int16*W_SF VA{one}:int16*VA_SF Var{one}:int16*Var_SF PF{one}:int16*PF_SF
        A{one}:int16*A_SF V{line}:uint16*V_SF V{one}:uint16*V_SF
        TotWhInj{one}:uint64*TotWh_SF TotWhAbs{one}:uint64*TotWh_SF
        TotVarhInj{one}:uint64*TotVarh_SF TotVarhAbs{one}:uint64*TotVarh_SF"""


_DER_AC = f"""
    ACType:enum16 St:enum16 InvSt:enum16 ConnSt:enum16 Alrm:bitfield32 DERMode:bitfield32
    W:int16*W_SF VA:int16*VA_SF Var:int16*Var_SF PF:int16*PF_SF A:int16*A_SF
    LLV:uint16*V_SF LNV:uint16*V_SF Hz:uint32*Hz_SF TotWhInj:uint64*TotWh_SF
    TotWhAbs:uint64*TotWh_SF TotVarhInj:uint64*TotVarh_SF TotVarhAbs:uint64*TotVarh_SF
    TmpAmb:int16*Tmp_SF TmpCab:int16*Tmp_SF TmpSnk:int16*Tmp_SF TmpTrns:int16*Tmp_SF
    TmpSw:int16*Tmp_SF TmpOt:int16*Tmp_SF
    {_der_phase("L1", "L1L2")} {_der_phase("L2", "L2L3")} {_der_phase("L3", "L3L1")}
    ThrotPct:uint16 ThrotSrc:bitfield32 A_SF:sunssf V_SF:sunssf Hz_SF:sunssf W_SF:sunssf
    PF_SF:sunssf VA_SF:sunssf Var_SF:sunssf TotWh_SF:sunssf TotVarh_SF:sunssf Tmp_SF:sunssf
    MnAlrmInfo:string32"""
_DER_DC = """
    PrtAlrms:bitfield32 NPrt:uint16 DCA:int16*DCA_SF DCW:int16*DCW_SF DCWhInj:uint64*DCWH_SF
    DCWhAbs:uint64*DCWH_SF DCA_SF:sunssf DCV_SF:sunssf DCW_SF:sunssf DCWH_SF:sunssf Tmp_SF:sunssf
    """ + " ".join(
    f"""
    PrtTyp{port}:enum16 ID{port}:uint16 IDStr{port}:string8 DCA{port}:int16*DCA_SF
    DCV{port}:uint16*DCV_SF DCW{port}:int16*DCW_SF DCWhInj{port}:uint64*DCWH_SF
    DCWhAbs{port}:uint64*DCWH_SF Tmp{port}:int16*Tmp_SF DCSta{port}:enum16 DCAlrm{port}:bitfield32
    """
    for port in (1, 2)
)

_STRINGS = (
    "DCA_SF:sunssf DCV_SF:sunssf DCW_SF:sunssf DCWH_SF:sunssf Evt:bitfield32 "
    "N:uint16 TmsPer:uint16 "
    + " ".join(
        f"ID{number}:uint16 IDStr{number}:string8 DCA{number}:uint16*DCA_SF "
        f"DCV{number}:uint16*DCV_SF DCW{number}:uint16*DCW_SF DCWH{number}:acc32*DCWH_SF "
        f"Tms{number}:uint32 Tmp{number}:int16 DCSt{number}:enum16 DCEvt{number}:bitfield32"
        for number in (1, 2, 3, 4)
    )
)
_COMBINER_ADVANCED = (
    "DCA_SF:sunssf DCAhr_SF:sunssf DCV_SF:sunssf DCW_SF:sunssf DCWh_SF:sunssf DCAMax:uint16 "
    "N:uint16 Evt:bitfield32 EvtVnd:bitfield32 DCA:int16*DCA_SF DCAhr:uint32*DCAhr_SF "
    "DCV:uint16*DCV_SF Tmp:int16 DCW:int16*DCW_SF DCPR:uint16 DCWh:uint32*DCWh_SF "
    + " ".join(
        f"InID{number}:uint16 InEvt{number}:bitfield32 EvtVnd{number}:bitfield32 "
        f"InDCA{number}:int16*DCA_SF InDCAhr{number}:uint32*DCAhr_SF InDCV{number}:uint16*DCV_SF "
        f"InDCW{number}:int16 InDCWh{number}:uint32 InDCPR{number}:uint16 InN{number}:uint16"
        for number in (1, 2)
    )
)
_COMBINER = (
    "DCA_SF:sunssf DCAhr_SF:sunssf DCV_SF:sunssf DCAMax:uint16*DCA_SF N:uint16 Evt:bitfield32 "
    "EvtVnd:bitfield32 DCA:int16*DCA_SF DCAhr:acc32*DCAhr_SF DCV:int16*DCV_SF Tmp:int16 "
    "InDCA_SF:sunssf InDCAhr_SF:sunssf "
    + " ".join(
        f"InID{number}:uint16 InEvt{number}:bitfield32 InEvtVnd{number}:bitfield32 "
        f"InDCA{number}:int16*InDCA_SF InDCAhr{number}:acc32*InDCAhr_SF"
        for number in (1, 2)
    )
)

_MODELS: Mapping[int, str] = {
    1: "Mn:string16 Md:string16 Opt:string8 Vr:string8 SN:string16 DA:uint16 Pad:pad",
    2: "AID:uint16 N:uint16 UN:uint16 St:enum16 StVnd:enum16 Evt:bitfield32 EvtVnd:bitfield32 "
    "Ctl:enum16 CtlVnd:uint32 CtlVl:uint32",
    **dict.fromkeys((101, 102, 103), _INVERTER),
    **dict.fromkeys((111, 112, 113), _INVERTER_FLOAT),
    124: _STORAGE,
    160: _STRINGS,
    **dict.fromkeys((201, 202, 203, 204), _meter("int16", "acc32", factors=True)),
    **dict.fromkeys((211, 212, 213, 214), _meter("float32", "float32", factors=False)),
    302: "GHI:uint16 POAI:uint16 DFI:uint16 DNI:uint16 OTI:uint16",
    303: "TmpBOM:int16",
    304: "Inclx:int32 Incly:int32 Inclz:int32",
    306: "GHI:uint16 A:uint16 V:uint16 Tmp:uint16",
    307: "TmpAmb:int16 RH:int16 Pres:int16 WndSpd:int16 WndDir:int16 Rain:int16 Snw:int16 "
    "PPT:int16 "
    "ElecFld:int16 SurWet:int16 SoilWet:int16",
    308: "GHI:uint16 TmpBOM:int16 TmpAmb:int16 WndSpd:uint16",
    402: _COMBINER_ADVANCED,
    403: _COMBINER,
    701: _DER_AC,
    713: "WHRtg:uint16*WH_SF WHAvail:uint16*WH_SF SoC:uint16*Pct_SF SoH:uint16*Pct_SF Sta:enum16 "
    "WH_SF:sunssf Pct_SF:sunssf",
    714: _DER_DC,
    802: _BATTERY,
    # One that nobody measures with: immediate controls, as far as this device has it.
    123: " ".join(f"Control{number}:uint16" for number in range(24)),
}

_POINT = re.compile(r"(\w+):([a-z]+)(\d*)(?:\*(\w+))?")


def _points(model: int) -> Iterator[tuple[str, str, int, str | None]]:
    """Yield name, type, length of a text, and scale factor of each point of a model."""
    for name, kind, digits, factor in _POINT.findall(_MODELS[model]):
        if kind == "string":
            yield name, kind, int(digits), None
        else:
            yield name, f"{kind}{digits}", 0, factor or None


def encode_model(model: int, values: Values) -> Words:
    """Return a model with its header; values are in the units of the definition.

    Raises `KeyError` for a value that the model has no point for.
    """
    known = {name for name, *_ in _points(model)}
    if unknown := values.keys() - known:
        raise KeyError(f"model {model} has no {', '.join(sorted(unknown))}")
    data = b"".join(
        _encode(kind, length, values.get(name), values.get(factor or "", 0))
        for name, kind, length, factor in _points(model)
    )
    words = list(struct.unpack(f">{len(data) // 2}H", data))
    return [model, len(words), *words]


def _encode(kind: str, length: int, value: float | str | None, factor: float | str) -> bytes:
    if kind == "string":
        return str(value or "").encode().ljust(2 * length, b"\0")
    form, missing = _TYPES[kind]
    if value is None:
        return struct.pack(form, missing)
    if kind == "float32":
        return struct.pack(form, float(value))
    return struct.pack(form, round(float(value) / 10 ** int(factor)))


@dataclass
class SunSpecDevice:
    """One device with its models; `models` gives the number of each with what has its values."""

    unit: int
    models: Sequence[tuple[int, Callable[[], Values]]]
    manufacturer: str = "Example"
    product: str = "SunSpec One"
    serial_number: str = "SN-0001"
    base: int = 40000
    # Answers nothing, as if it were unplugged.
    silent: bool = False
    # Models that come before all others, as after an update of the device.
    inserted: list[int] = field(default_factory=list)

    def words(self) -> Words:
        """Return all registers from the base on."""
        common: Values = {
            "Mn": self.manufacturer,
            "Md": self.product,
            "Vr": "2.4.1",
            "SN": self.serial_number,
            "DA": self.unit,
        }
        words = [0x5375, 0x6E53, *encode_model(1, common)]
        for model in self.inserted:
            words += encode_model(model, {})
        for model, values in self.models:
            words += encode_model(model, values())
        return [*words, 0xFFFF, 0]

    def answer(self, function: int, address: int, count: int) -> Words | ExcCodes:
        """Return the registers of a request, or the exception that the device answers with."""
        if function != 3:
            return ExcCodes.ILLEGAL_FUNCTION
        if count > 125:
            return ExcCodes.ILLEGAL_VALUE
        words = self.words()
        first = address - self.base
        if first < 0 or first + count > len(words):
            return ExcCodes.ILLEGAL_ADDRESS
        return words[first : first + count]


def meter_points(quantities: Mapping[str, float], *, floats: bool = False) -> Values:
    """Return the points of a three-phase meter, from quantities of a house."""
    letters = dict(zip(PHASES, "ABC", strict=True))
    points: dict[str, float | str] = {
        "A": quantities["current_sum"],
        "PhV": quantities["voltage_ln_average"],
        "PPV": quantities["voltage_ll_average"],
        "PPVphAB": quantities["voltage_l1_l2"],
        "PPVphBC": quantities["voltage_l2_l3"],
        "PPVphCA": quantities["voltage_l3_l1"],
        "Hz": quantities["frequency"],
        "TotWhExp": 1000 * quantities["energy_export"],
        "TotWhImp": 1000 * quantities["energy_import"],
    }
    percent = 1 if floats else 100
    for name, key, factor in (
        ("W", "power", 1),
        ("VA", "apparent_power", 1),
        ("VAR", "reactive_power", 1),
        ("PF", "power_factor", percent),
    ):
        points[name] = factor * quantities[key]
        for phase, letter in letters.items():
            points[f"{name}ph{letter}"] = factor * quantities[f"{key}_{phase}"]
    for phase, letter in letters.items():
        points[f"Aph{letter}"] = quantities[f"current_{phase}"]
        points[f"PhVph{letter}"] = quantities[f"voltage_{phase}"]
    if not floats:
        points |= {"A_SF": -2, "V_SF": -1, "Hz_SF": -2, "W_SF": 0, "VA_SF": 0, "VAR_SF": 0}
        points |= {"PF_SF": -1, "TotWh_SF": 0}
    return points


def inverter_points(quantities: Mapping[str, float]) -> Values:
    """Return the points of an inverter, from what a meter beside it sees of it."""
    power = -quantities["power"]
    return {
        "A": quantities["current"],
        "AphA": quantities["current"],
        "PhVphA": quantities["voltage"],
        "W": power,
        "Hz": quantities["frequency"],
        "VA": quantities["apparent_power"],
        "WH": 1000 * quantities["energy_export"],
        "DCV": 620.0 if power else 0.0,
        "DCW": power / 0.97,
        "TmpCab": 38.5,
        "St": 4 if power else 2,
        "A_SF": -2,
        "V_SF": -1,
        "W_SF": 0,
        "Hz_SF": -2,
        "VA_SF": 0,
        "WH_SF": 0,
        "DCV_SF": -1,
        "DCW_SF": 0,
        "Tmp_SF": -1,
    }


def battery_points() -> Values:
    """Return the points of a battery that is being charged."""
    return {
        "WHRtg": 10_000,
        "WHRtg_SF": 2,
        "SoC": 63.5,
        "SoC_SF": -1,
        "SoH": 98,
        "SoH_SF": 0,
        "ChaSt": 4,
        "State": 3,
        "V": 51.8,
        "V_SF": -1,
        "A": -20.5,
        "A_SF": -1,
        "CellVMax": 3.312,
        "CellVMin": 3.301,
        "CellV_SF": -3,
        "W": -1062,
        "W_SF": 0,
    }


def solar_device(unit: int, house: House) -> SunSpecDevice:
    """Return an inverter with a meter at the grid connection and a battery."""
    return SunSpecDevice(
        unit,
        [
            (103, lambda: inverter_points(house.solar())),
            (203, lambda: meter_points(house.grid())),
            (802, battery_points),
        ],
    )
