"""Where the registers of each meter family are, from their sources and not from our maps.

The listing of volkszaehler/mbmd (BSD-3-Clause) names each measurement its own way and divides the
raw value; addresses are those of the wire. Circutor's come from its manuals. These are facts to
check the maps against: whatever is changed in a map has to be changed here too, from its source.
"""

from dataclasses import dataclass, replace
from typing import Literal

type Codec = Literal["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "kilo"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one quantity is: `value = raw / divisor`."""

    quantity: str
    unit: str | None
    space: Literal["input", "holding"]
    address: int
    codec: Codec
    divisor: float
    word_order: Literal["big", "little"]


@dataclass(frozen=True)
class Listing:
    """The registers of a family; a row is codec, divisor and `name=address` of each."""

    space: Literal["input", "holding"]
    rows: list[tuple[Codec, float, str]]
    word_order: Literal["big", "little"] = "big"


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Where a map differs from the listing on purpose; `reason` tells why."""

    reason: str
    quantity: str | None = None
    address: int | None = None
    divisor: float | None = None
    codec: Codec | None = None
    left_out: bool = False


# Our names of mbmd's measurements, with the unit that the quantity must have.
NAMES = {
    "Voltage": ("voltage", "V"),
    "Current": ("current", "A"),
    "Power": ("power", "W"),
    "ImportPower": ("power_import", "W"),
    "ExportPower": ("power_export", "W"),
    "ReactivePower": ("reactive_power", "var"),
    "ApparentPower": ("apparent_power", "VA"),
    "Cosphi": ("power_factor", None),
    "Frequency": ("frequency", "Hz"),
    "PhaseAngle": ("phase_angle", "°"),
    "THD": ("thd_voltage", "%"),
    "Sum": ("energy_sum", "kWh"),
    "Import": ("energy_import", "kWh"),
    "Export": ("energy_export", "kWh"),
    "ReactiveSum": ("reactive_energy_sum", "kvarh"),
    "ReactiveImport": ("reactive_energy_import", "kvarh"),
    "ReactiveExport": ("reactive_energy_export", "kvarh"),
}

# The map of each type that mbmd has for Modbus RTU.
MBMD_TYPES = {
    "ABB": "abb_ab_series",
    "CGEM24": "carlo_gavazzi_em24",
    "CGEM24_E1": "carlo_gavazzi_em24_e1",
    "CGEX3X0": "carlo_gavazzi_em24_e1",
    "DDM": "ddm18sd",
    "DMG610": "lovato_dmg610",
    "DS100": "bg_etech_ds100",
    "DTSU666": "chint_dtsu666",
    "DZG": "dzg_dvh4013",
    "ELTAKODSZ15": "eltako_dsz15_dsz16",
    "ELTAKODSZ16": "eltako_dsz15_dsz16",
    "FIND7M24": "finder_7m24",
    "FIND7M38": "finder_7m38",
    "IEM3000": "schneider_iem3000",
    "INEPRO": "inepro_pro380",
    "JANITZA": "janitza_b_series",
    "MPM": "bernecker_mpm3pm",
    "ORNO1p": "orno_we514_we515",
    "ORNO1P504": "orno_we504",
    "ORNO1p525": "orno_we525_we526",
    "ORNO3p": "orno_we516_we517",
    "PAC2200": "siemens_pac2200",
    "SBC": "saia_burgess_ale3",
    "SDM": "eastron_sdm630",
    "SDM120": "eastron_sdm120",
    "SDM220": "eastron_sdm230",
    "SDM230": "eastron_sdm230",
    "SDM54": "eastron_sdm54",
    "SDM72": "eastron_sdm72",
    "SDM72V2": "eastron_sdm72_v2",
    "SEMTR": "solaredge_se_mtr_3y",
    "WAGO87930": "wago_879_30xx",
    "WS100": "bg_etech_ws100",
    "X961A": "eastron_smart_x96",
}

_NOT_A_TARIFF = Correction(reason="a counter that cannot be reset, no tariff", left_out=True)
_IN_10_W = Correction(reason="the manual has kW with two decimals, mbmd hands kW on", divisor=0.1)
_IN_10_VAR = replace(_IN_10_W, codec="i16")


def _net(measurement: str, address: int | None = None) -> Correction:
    reason = "the maker's list says that it is net, and that phase L1 of the reactive is at 0x464"
    return Correction(
        reason=reason, quantity=_quantity(measurement).replace("_sum", "_net"), address=address
    )


def _quantity(measurement: str) -> str:
    base, phase = (measurement[:-2], f"_{measurement[-2:].lower()}")
    return NAMES[base][0] + phase if base in NAMES else NAMES[measurement][0]


_FINDER = {
    "Frequency": Correction(reason="three other readers have it at 2498", address=2498),
    "Export": Correction(
        reason="Tasmota's reader has it at 2754; the four counters go in this order", address=2754
    ),
    "ReactiveImport": Correction(
        reason="the third of the four counters, as in the integers of the same meter", address=2756
    ),
}

CORRECTIONS: dict[str, dict[str, Correction]] = {
    "FIND7M24": _FINDER,
    "FIND7M38": _FINDER,
    "CGEM24": {
        "Import": Correction(
            reason="0x42 can be reset; dbus-cgwacs and esp32-firmware read 0x3E", address=0x3E
        ),
    },
    "DS100": {
        "Export": Correction(reason="evcc reads 0x0118, as on the WS100", address=0x0118),
        "Voltage": Correction(
            reason="lamaPLC's table: it is the average", quantity="voltage_ln_average"
        ),
    },
    "PAC2200": {
        "Frequency": Correction(
            reason="46 lies inside a value; esp32-firmware and the manual have 55", address=55
        ),
    },
    "IEM3000": {
        "Voltage": Correction(
            reason="the manual says it is the average", quantity="voltage_ln_average"
        ),
        "Current": Correction(
            reason="the manual says it is the average", quantity="current_average"
        ),
    },
    "ORNO3p": {
        "ReactiveSumT3": Correction(reason="0x15E stands twice; 0x14E is free", address=0x14E),
    },
    "SBC": {
        name: correction
        for kind, correction in (("Power", _IN_10_W), ("ReactivePower", _IN_10_VAR))
        for name in (kind, *(f"{kind}L{phase}" for phase in (1, 2, 3)))
    }
    | {
        "Export": Correction(
            reason="the data sheet of the one-way type: the second tariff",
            quantity="energy_import_t2",
        )
    },
    "SEMTR": dict.fromkeys(("SumT1", "ImportT1", "ExportT1"), _NOT_A_TARIFF)
    | {name: _net(name) for name in ("Sum", "SumL1", "SumL2", "SumL3")}
    | {name: _net(name) for name in ("ReactiveSum", "ReactiveSumL1")}
    | {
        "ReactiveSumL2": _net("ReactiveSumL2", 0x466),
        "ReactiveSumL3": _net("ReactiveSumL3", 0x468),
    },
}
# mbmd reads the address before the one it lists.
OFFSETS = {"SBC": -1}

MBMD: dict[str, Listing] = {
    "ABB": Listing(
        "holding",
        rows=[
            ("u32", 10, "VoltageL1=0x5B00 VoltageL2=0x5B02 VoltageL3=0x5B04"),
            ("u32", 100, "CurrentL1=0x5B0C CurrentL2=0x5B0E CurrentL3=0x5B10"),
            ("i16", 1000, "Cosphi=0x5B3A CosphiL1=0x5B3B CosphiL2=0x5B3C CosphiL3=0x5B3D"),
            ("u16", 100, "Frequency=0x5B2C"),
            ("i32", 100, "Power=0x5B14 PowerL1=0x5B16 PowerL2=0x5B18 PowerL3=0x5B1A"),
            (
                "u64",
                100,
                (
                    "Import=0x5000 ImportL1=0x5460 ImportL2=0x5464 ImportL3=0x5468 Export=0x5004 "
                    "ExportL1=0x546C ExportL2=0x5470 ExportL3=0x5474"
                ),
            ),
        ],
    ),
    "CGEM24": Listing(
        "input",
        word_order="little",
        rows=[
            (
                "i32",
                10,
                (
                    "VoltageL1=0x00 VoltageL2=0x02 VoltageL3=0x04 Power=0x28 PowerL1=0x12 "
                    "PowerL2=0x14 PowerL3=0x16 Import=0x42 ImportL1=0x46 ImportL2=0x48 "
                    "ImportL3=0x4A Export=0x5C"
                ),
            ),
            ("i32", 1000, "CurrentL1=0x0C CurrentL2=0x0E CurrentL3=0x10"),
            ("i16", 1000, "Cosphi=0x35 CosphiL1=0x32 CosphiL2=0x33 CosphiL3=0x34"),
            ("i16", 10, "Frequency=0x37"),
        ],
    ),
    "CGEM24_E1": Listing(
        "input",
        word_order="little",
        rows=[
            (
                "i32",
                10,
                (
                    "VoltageL1=0x00 VoltageL2=0x02 VoltageL3=0x04 Power=0x28 PowerL1=0x12 "
                    "PowerL2=0x14 PowerL3=0x16 Import=0x34 ImportL1=0x40 ImportL2=0x42 "
                    "ImportL3=0x44 Export=0x4E"
                ),
            ),
            ("i32", 1000, "CurrentL1=0x0C CurrentL2=0x0E CurrentL3=0x10"),
            ("i16", 1000, "Cosphi=0x31 CosphiL1=0x2E CosphiL2=0x2F CosphiL3=0x30"),
            ("i16", 10, "Frequency=0x33"),
        ],
    ),
    "CGEX3X0": Listing(
        "input",
        word_order="little",
        rows=[
            (
                "i32",
                10,
                (
                    "VoltageL1=0x00 VoltageL2=0x02 VoltageL3=0x04 Power=0x28 PowerL1=0x12 "
                    "PowerL2=0x14 PowerL3=0x16 Import=0x34 ImportL1=0x40 ImportL2=0x42 "
                    "ImportL3=0x44 Export=0x4E"
                ),
            ),
            ("i32", 1000, "CurrentL1=0x0C CurrentL2=0x0E CurrentL3=0x10"),
            ("i16", 1000, "Cosphi=0x31 CosphiL1=0x2E CosphiL2=0x2F CosphiL3=0x30"),
            ("i16", 10, "Frequency=0x33"),
        ],
    ),
    "DDM": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "Voltage=0x0000 Current=0x0008 Power=0x0012 ReactivePower=0x001A "
                    "Cosphi=0x002A Frequency=0x0036 Sum=0x0100 ReactiveSum=0x0400"
                ),
            ),
        ],
    ),
    "DMG610": Listing(
        "input",
        rows=[
            ("u32", 1000, "Frequency=0x0031"),
            ("u32", 10000, "CurrentL1=0x0007 CurrentL2=0x0009 CurrentL3=0x000B"),
            (
                "u32",
                100,
                (
                    "VoltageL1=0x0001 VoltageL2=0x0003 VoltageL3=0x0005 ApparentPowerL1=0x001F "
                    "ApparentPowerL2=0x0021 ApparentPowerL3=0x0023 ApparentPower=0x003D "
                    "THDL1=0x0053 THDL2=0x0055 THDL3=0x0057"
                ),
            ),
            (
                "i32",
                100,
                (
                    "PowerL1=0x0013 PowerL2=0x0015 PowerL3=0x0017 ReactivePowerL1=0x0019 "
                    "ReactivePowerL2=0x001B ReactivePowerL3=0x001D Power=0x0039 "
                    "ReactivePower=0x003B"
                ),
            ),
            (
                "u64",
                100,
                (
                    "Import=0x1B1F ImportL1=0x1E1F ImportL2=0x1E47 ImportL3=0x1E6F Export=0x1B23 "
                    "ExportL1=0x1E23 ExportL2=0x1E4B ExportL3=0x1E73 ReactiveImport=0x1B27 "
                    "ReactiveExport=0x1B2B"
                ),
            ),
        ],
    ),
    "DS100": Listing(
        "holding",
        rows=[
            ("u32", 1000, "VoltageL1=0x0400 VoltageL2=0x0402 VoltageL3=0x0404 Voltage=0x040C"),
            ("i32", 1000, "CurrentL1=0x0410 CurrentL2=0x0412 CurrentL3=0x0414 Current=0x0418"),
            (
                "i32",
                1,
                (
                    "PowerL1=0x041A PowerL2=0x041C PowerL3=0x041E Power=0x0420 "
                    "ReactivePowerL1=0x042A ReactivePowerL2=0x042C ReactivePowerL3=0x042E "
                    "ReactivePower=0x0430"
                ),
            ),
            (
                "u32",
                1,
                (
                    "ApparentPowerL1=0x0422 ApparentPowerL2=0x0424 ApparentPowerL3=0x0426 "
                    "ApparentPower=0x0428"
                ),
            ),
            (
                "u32",
                100,
                (
                    "ImportL1=0x050A ImportL2=0x056E ImportL3=0x05D2 Import=0x010E "
                    "ExportL1=0x0514 ExportL2=0x0578 ExportL3=0x05DC Export=0x118A SumL1=0x0500 "
                    "SumL2=0x0564 SumL3=0x05C8 Sum=0x0122"
                ),
            ),
            ("u16", 10, "Frequency=0x0435"),
            ("i16", 1000, "CosphiL1=0x0436 CosphiL2=0x0437 CosphiL3=0x0438 Cosphi=0x0439"),
        ],
    ),
    "DTSU666": Listing(
        "holding",
        rows=[
            (
                "f32",
                10,
                (
                    "VoltageL1=0x2006 VoltageL2=0x2008 VoltageL3=0x200A Power=0x2012 "
                    "PowerL1=0x2014 PowerL2=0x2016 PowerL3=0x2018 ReactivePower=0x201A "
                    "ReactivePowerL1=0x201C ReactivePowerL2=0x201E ReactivePowerL3=0x2020"
                ),
            ),
            (
                "f32",
                1000,
                (
                    "CurrentL1=0x200C CurrentL2=0x200E CurrentL3=0x2010 Cosphi=0x202A "
                    "CosphiL1=0x202C CosphiL2=0x202E CosphiL3=0x2030"
                ),
            ),
            ("f32", 100, "Frequency=0x2044"),
            (
                "f32",
                1,
                (
                    "Import=0x101E ImportL1=0x1020 ImportL2=0x1022 ImportL3=0x1024 Export=0x1028 "
                    "ExportL1=0x102A ExportL2=0x102C ExportL3=0x102E"
                ),
            ),
        ],
    ),
    "DZG": Listing(
        "holding",
        rows=[
            ("u32", 100, "VoltageL1=0x0004 VoltageL2=0x0006 VoltageL3=0x0008"),
            (
                "u32",
                1000,
                (
                    "CurrentL1=0x000A CurrentL2=0x000C CurrentL3=0x000E Cosphi=0x0010 "
                    "Frequency=0x0012 Import=0x4000 ImportL1=0x4020 ImportL2=0x4040 "
                    "ImportL3=0x4060 Export=0x4100 ExportL1=0x4120 ExportL2=0x4140 "
                    "ExportL3=0x4160"
                ),
            ),
            ("u32", 10, "ImportPower=0x0000 ExportPower=0x0002"),
        ],
    ),
    "ELTAKODSZ15": Listing(
        "input",
        rows=[
            (
                "u32",
                100,
                (
                    "VoltageL1=0x0000 VoltageL2=0x0002 VoltageL3=0x0004 CurrentL1=0x0006 "
                    "CurrentL2=0x0008 CurrentL3=0x000A Import=0x0048 Export=0x004A"
                ),
            ),
            ("i32", 1000, "CosphiL1=0x001E CosphiL2=0x0020 CosphiL3=0x0022 Cosphi=0x003E"),
            ("i32", 1, "PowerL1=0x000C PowerL2=0x000E PowerL3=0x0010 Power=0x0034"),
        ],
    ),
    "ELTAKODSZ16": Listing(
        "input",
        rows=[
            (
                "u32",
                100,
                (
                    "VoltageL1=0x0000 VoltageL2=0x0002 VoltageL3=0x0004 CurrentL1=0x0006 "
                    "CurrentL2=0x0008 CurrentL3=0x000A Import=0x0048 Export=0x004A"
                ),
            ),
            ("i32", 1000, "CosphiL1=0x001E CosphiL2=0x0020 CosphiL3=0x0022 Cosphi=0x003E"),
            ("i32", 1, "PowerL1=0x000C PowerL2=0x000E PowerL3=0x0010 Power=0x0034"),
        ],
    ),
    "FIND7M24": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "Voltage=2500 Current=2516 Power=2536 ReactivePower=2544 ApparentPower=2552 "
                    "Cosphi=2560 Frequency=2584 PhaseAngle=2576 THD=2594"
                ),
            ),
            ("f32", 1000, "Import=2752 Export=2756 ReactiveImport=2754 ReactiveExport=2758"),
        ],
    ),
    "FIND7M38": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "VoltageL1=2500 VoltageL2=2502 VoltageL3=2504 CurrentL1=2516 CurrentL2=2518 "
                    "CurrentL3=2520 PowerL1=2530 PowerL2=2532 PowerL3=2534 Power=2536 "
                    "ReactivePowerL1=2538 ReactivePowerL2=2540 ReactivePowerL3=2542 "
                    "ReactivePower=2544 ApparentPowerL1=2546 ApparentPowerL2=2548 "
                    "ApparentPowerL3=2550 ApparentPower=2552 CosphiL1=2554 CosphiL2=2556 "
                    "CosphiL3=2558 Cosphi=2560 PhaseAngle=2576 Frequency=2584 THDL1=2594 "
                    "THDL2=2596 THDL3=2598"
                ),
            ),
            ("f32", 1000, "Import=2752 Export=2756 ReactiveImport=2754 ReactiveExport=2758"),
        ],
    ),
    "IEM3000": Listing(
        "holding",
        rows=[
            (
                "f32",
                1,
                (
                    "VoltageL1=0x0BD3 VoltageL2=0x0BD5 VoltageL3=0x0BD7 Voltage=0x0BDB "
                    "CurrentL1=0x0BB7 CurrentL2=0x0BB9 CurrentL3=0x0BBB Current=0x0BC1 "
                    "Frequency=0x0C25"
                ),
            ),
            (
                "f32",
                0.001,
                (
                    "PowerL1=0x0BED PowerL2=0x0BEF PowerL3=0x0BF1 Power=0x0BF3 "
                    "ReactivePower=0x0BFB ApparentPower=0x0C03"
                ),
            ),
            (
                "i64",
                1000,
                (
                    "Import=0x0C83 ImportL1=0x0DBD ImportL2=0x0DC1 ImportL3=0x0DC5 Export=0x0C87 "
                    "ReactiveImport=0x0C93 ReactiveExport=0x0C97"
                ),
            ),
        ],
    ),
    "INEPRO": Listing(
        "holding",
        rows=[
            (
                "f32",
                1,
                (
                    "Voltage=0x5000 VoltageL1=0x5002 VoltageL2=0x5004 VoltageL3=0x5006 "
                    "Frequency=0x5008 Current=0x500A CurrentL1=0x500C CurrentL2=0x500E "
                    "CurrentL3=0x5010 Cosphi=0x502A CosphiL1=0x502C CosphiL2=0x502E "
                    "CosphiL3=0x5030 Sum=0x6000 SumT1=0x6002 SumT2=0x6004 SumL1=0x6006 "
                    "SumL2=0x6008 SumL3=0x600A Import=0x600C ImportT1=0x600E ImportT2=0x6010 "
                    "ImportL1=0x6012 ImportL2=0x6014 ImportL3=0x6016 Export=0x6018 "
                    "ExportT1=0x601A ExportT2=0x601C ExportL1=0x601E ExportL2=0x6020 "
                    "ExportL3=0x6022 ReactiveSum=0x6024 ReactiveSumT1=0x6026 ReactiveSumT2=0x6028 "
                    "ReactiveSumL1=0x602A ReactiveSumL2=0x602C ReactiveSumL3=0x602E "
                    "ReactiveImport=0x6030 ReactiveImportT1=0x6032 ReactiveImportT2=0x6034 "
                    "ReactiveImportL1=0x6036 ReactiveImportL2=0x6038 ReactiveImportL3=0x603A "
                    "ReactiveExport=0x603C ReactiveExportT1=0x603E ReactiveExportT2=0x6040 "
                    "ReactiveExportL1=0x6042 ReactiveExportL2=0x6044 ReactiveExportL3=0x6046"
                ),
            ),
            (
                "f32",
                0.001,
                (
                    "Power=0x5012 PowerL1=0x5014 PowerL2=0x5016 PowerL3=0x5018 "
                    "ReactivePower=0x501A ReactivePowerL1=0x501C ReactivePowerL2=0x501E "
                    "ReactivePowerL3=0x5020 ApparentPower=0x5022 ApparentPowerL1=0x5024 "
                    "ApparentPowerL2=0x5026 ApparentPowerL3=0x5028"
                ),
            ),
        ],
    ),
    "JANITZA": Listing(
        "holding",
        rows=[
            (
                "f32",
                1,
                (
                    "VoltageL1=0x4A38 VoltageL2=0x4A3A VoltageL3=0x4A3C CurrentL1=0x4A44 "
                    "CurrentL2=0x4A46 CurrentL3=0x4A48 PowerL1=0x4A4C PowerL2=0x4A4E "
                    "PowerL3=0x4A50 Power=0x4A52 CosphiL1=0x4A64 CosphiL2=0x4A66 CosphiL3=0x4A68 "
                    "Frequency=0x4A6A"
                ),
            ),
            (
                "f32",
                1000,
                (
                    "ImportL1=0x4A76 ImportL2=0x4A78 ImportL3=0x4A7A Import=0x4A7C "
                    "ExportL1=0x4A7E ExportL2=0x4A80 ExportL3=0x4A82 Export=0x4A84"
                ),
            ),
        ],
    ),
    "MPM": Listing(
        "holding",
        rows=[
            ("u32", 10, "VoltageL1=0x08 VoltageL2=0x0A VoltageL3=0x0C"),
            (
                "u32",
                100,
                (
                    "CurrentL1=0x0E CurrentL2=0x10 CurrentL3=0x12 Import=0x02 Export=0x04 "
                    "ReactiveSum=0x06 Frequency=0x2C"
                ),
            ),
            (
                "i32",
                100,
                (
                    "Sum=0x00 Power=0x26 PowerL1=0x14 PowerL2=0x16 PowerL3=0x18 "
                    "ReactivePower=0x28 ReactivePowerL1=0x1A ReactivePowerL2=0x1C "
                    "ReactivePowerL3=0x1E"
                ),
            ),
            ("u32", 1000, "Cosphi=0x2A CosphiL1=0x20 CosphiL2=0x22 CosphiL3=0x24"),
        ],
    ),
    "ORNO1p": Listing(
        "holding",
        rows=[
            ("u16", 100, "Voltage=0x131 Frequency=0x130"),
            ("u32", 1000, "Current=0x139"),
            ("u32", 1, "Power=0x140 ReactivePower=0x148 ApparentPower=0x150"),
            ("u16", 1000, "Cosphi=0x158"),
            (
                "u32",
                100,
                (
                    "Sum=0xA000 ReactiveSum=0xA01E SumT1=0xA002 SumT2=0xA004 ReactiveSumT1=0xA020 "
                    "ReactiveSumT2=0xA022"
                ),
            ),
        ],
    ),
    "ORNO1P504": Listing(
        "holding",
        rows=[
            ("u16", 1, "Power=0x03 ReactivePower=0x04 ApparentPower=0x05"),
            ("u16", 10, "Frequency=0x02 Voltage=0x00 Current=0x01"),
            ("u16", 1000, "Cosphi=0x06"),
            ("u32", 1000, "ReactiveSum=0x09 Sum=0x07"),
        ],
    ),
    "ORNO1p525": Listing(
        "input",
        rows=[
            ("i16", 10, "Frequency=0x10A"),
            ("i32", 1000, "Current=0x102 Voltage=0x100"),
            ("i32", 1, "Power=0x104 ReactivePower=0x108 ApparentPower=0x106"),
            ("i16", 1000, "Cosphi=0x10B"),
            (
                "i32",
                100,
                (
                    "Sum=0x0122 Import=0x010E Export=0x0118 ReactiveSum=0x0140 "
                    "ReactiveImport=0x012C ReactiveExport=0x0136 SumT1=0x0124 ImportT1=0x0110 "
                    "ExportT1=0x011A ReactiveSumT1=0x0142 ReactiveImportT1=0x012E "
                    "ReactiveExportT1=0x0138 SumT2=0x0126 ImportT2=0x0112 ExportT2=0x011C "
                    "ReactiveSumT2=0x0144 ReactiveImportT2=0x0130 ReactiveExportT2=0x013A"
                ),
            ),
        ],
    ),
    "ORNO3p": Listing(
        "holding",
        rows=[
            (
                "f32",
                1,
                (
                    "Frequency=0x0014 VoltageL1=0x000E CurrentL1=0x0016 CosphiL1=0x0036 "
                    "VoltageL2=0x0010 CurrentL2=0x0018 CosphiL2=0x0038 VoltageL3=0x0012 "
                    "CurrentL3=0x001A CosphiL3=0x003A Cosphi=0x0034 Sum=0x0100 SumL1=0x0102 "
                    "SumL2=0x0104 SumL3=0x0106 Import=0x0108 ImportL1=0x010A ImportL2=0x010C "
                    "ImportL3=0x010E Export=0x0110 ExportL1=0x0112 ExportL2=0x0114 "
                    "ExportL3=0x0116 ReactiveSum=0x0118 ReactiveSumL1=0x011A ReactiveSumL2=0x011C "
                    "ReactiveSumL3=0x011E ReactiveImport=0x0120 ReactiveImportL1=0x0122 "
                    "ReactiveImportL2=0x0124 ReactiveImportL3=0x0126 ReactiveExport=0x0128 "
                    "ReactiveExportL1=0x012A ReactiveExportL2=0x012C ReactiveExportL3=0x012E "
                    "SumT1=0x0130 ImportT1=0x0132 ExportT1=0x0134 ReactiveSumT1=0x0136 "
                    "ReactiveImportT1=0x0138 ReactiveExportT1=0x013A SumT2=0x013C ImportT2=0x013E "
                    "ExportT2=0x0140 ReactiveSumT2=0x0142 ReactiveImportT2=0x0144 "
                    "ReactiveExportT2=0x0146 SumT3=0x0148 ImportT3=0x014A ExportT3=0x014C "
                    "ReactiveSumT3=0x015E SumT4=0x0154 ImportT4=0x0156 ExportT4=0x0158 "
                    "ReactiveSumT4=0x015A"
                ),
            ),
            (
                "f32",
                0.001,
                (
                    "PowerL1=0x001E ReactivePowerL1=0x0026 ApparentPowerL1=0x002E PowerL2=0x0020 "
                    "ReactivePowerL2=0x0028 ApparentPowerL2=0x0030 PowerL3=0x0022 "
                    "ReactivePowerL3=0x002A ApparentPowerL3=0x0032 Power=0x001C "
                    "ReactivePower=0x0024 ApparentPower=0x002C"
                ),
            ),
        ],
    ),
    "PAC2200": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "VoltageL1=1 VoltageL2=3 VoltageL3=5 CurrentL1=13 CurrentL2=15 CurrentL3=17 "
                    "PowerL1=25 PowerL2=27 PowerL3=29 Power=65 ApparentPower=63 ReactivePower=67 "
                    "CosphiL1=37 CosphiL2=39 CosphiL3=41 Cosphi=69 Frequency=46"
                ),
            ),
            ("f64", 1000, "Import=801 Export=809"),
        ],
    ),
    "SBC": Listing(
        "holding",
        rows=[
            ("u16", 1, "VoltageL1=36 VoltageL2=41 VoltageL3=46"),
            ("u16", 10, "CurrentL1=37 CurrentL2=42 CurrentL3=47"),
            (
                "u16",
                100,
                (
                    "PowerL1=38 PowerL2=43 PowerL3=48 CosphiL1=40 CosphiL2=45 CosphiL3=50 "
                    "ReactivePowerL1=39 ReactivePowerL2=44 ReactivePowerL3=49 Power=51 "
                    "ReactivePower=52"
                ),
            ),
            ("u32", 100, "Import=28 Export=32"),
        ],
    ),
    "SDM": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "VoltageL1=0x0000 VoltageL2=0x0002 VoltageL3=0x0004 CurrentL1=0x0006 "
                    "CurrentL2=0x0008 CurrentL3=0x000A PowerL1=0x000C PowerL2=0x000E "
                    "PowerL3=0x0010 ApparentPowerL1=0x0012 ApparentPowerL2=0x0014 "
                    "ApparentPowerL3=0x0016 ReactivePowerL1=0x0018 ReactivePowerL2=0x001A "
                    "ReactivePowerL3=0x001C CosphiL1=0x001E CosphiL2=0x0020 CosphiL3=0x0022 "
                    "Power=0x0034 ApparentPower=0x0038 ReactivePower=0x003C Cosphi=0x003E "
                    "PhaseAngle=0x0042 Frequency=0x0046 Import=0x0048 Export=0x004A "
                    "ReactiveImport=0x004C ReactiveExport=0x004E THDL1=0x00EA THDL2=0x00EC "
                    "THDL3=0x00EE THD=0x00F8 Sum=0x0156 ReactiveSum=0x0158 ImportL1=0x015A "
                    "ImportL2=0x015C ImportL3=0x015E ExportL1=0x0160 ExportL2=0x0162 "
                    "ExportL3=0x0164 SumL1=0x0166 SumL2=0x0168 SumL3=0x016A "
                    "ReactiveImportL1=0x016C ReactiveImportL2=0x016E ReactiveImportL3=0x0170 "
                    "ReactiveExportL1=0x0172 ReactiveExportL2=0x0174 ReactiveExportL3=0x0176 "
                    "ReactiveSumL1=0x0178 ReactiveSumL2=0x017A ReactiveSumL3=0x017C"
                ),
            ),
        ],
    ),
    "SDM120": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "Voltage=0x0000 Current=0x0006 Power=0x000C ApparentPower=0x0012 "
                    "ReactivePower=0x0018 Cosphi=0x001E Frequency=0x0046 Import=0x0048 "
                    "Export=0x004A ReactiveImport=0x004C ReactiveExport=0x004E Sum=0x0156 "
                    "ReactiveSum=0x0158"
                ),
            ),
        ],
    ),
    "SDM220": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "Voltage=0x0000 Current=0x0006 Power=0x000C ApparentPower=0x0012 "
                    "ReactivePower=0x0018 Cosphi=0x001E PhaseAngle=0x0024 Frequency=0x0046 "
                    "Import=0x0048 Export=0x004A ReactiveImport=0x004C ReactiveExport=0x004E "
                    "Sum=0x0156 ReactiveSum=0x0158"
                ),
            ),
        ],
    ),
    "SDM230": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "Voltage=0x0000 Current=0x0006 Power=0x000C ApparentPower=0x0012 "
                    "ReactivePower=0x0018 Cosphi=0x001E PhaseAngle=0x0024 Frequency=0x0046 "
                    "Import=0x0048 Export=0x004A ReactiveImport=0x004C ReactiveExport=0x004E "
                    "Sum=0x0156 ReactiveSum=0x0158"
                ),
            ),
        ],
    ),
    "SDM54": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "VoltageL1=0x0000 VoltageL2=0x0002 VoltageL3=0x0004 CurrentL1=0x0006 "
                    "CurrentL2=0x0008 CurrentL3=0x000A PowerL1=0x000C PowerL2=0x000E "
                    "PowerL3=0x0010 ApparentPowerL1=0x0012 ApparentPowerL2=0x0014 "
                    "ApparentPowerL3=0x0016 ReactivePowerL1=0x0018 ReactivePowerL2=0x001A "
                    "ReactivePowerL3=0x001C CosphiL1=0x001E CosphiL2=0x0020 CosphiL3=0x0022 "
                    "Power=0x0034 ApparentPower=0x0038 ReactivePower=0x003C Cosphi=0x003E "
                    "PhaseAngle=0x0042 Frequency=0x0046 Import=0x0048 Export=0x004A THDL1=0x00EA "
                    "THDL2=0x00EC THDL3=0x00EE THD=0x00F8 Sum=0x0156 ReactiveSum=0x0158 "
                    "ImportL1=0x015A ImportL2=0x015C ImportL3=0x015E ExportL1=0x0160 "
                    "ExportL2=0x0162 ExportL3=0x0164 SumL1=0x0166 SumL2=0x0168 SumL3=0x016A "
                    "SumT1=0x130C SumT2=0x130E ImportT1=0x1314 ImportT2=0x1316 ExportT1=0x131C "
                    "ExportT2=0x131E ReactiveSumT1=0x1324 ReactiveSumT2=0x1326 "
                    "ReactiveImportT1=0x132C ReactiveImportT2=0x132E ReactiveExportT1=0x1334 "
                    "ReactiveExportT2=0x1336"
                ),
            ),
        ],
    ),
    "SDM72": Listing(
        "input",
        rows=[
            ("f32", 1, "Power=0x0034 Import=0x0048 Export=0x004A Sum=0x0156"),
        ],
    ),
    "SDM72V2": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "VoltageL1=0x0000 VoltageL2=0x0002 VoltageL3=0x0004 CurrentL1=0x0006 "
                    "CurrentL2=0x0008 CurrentL3=0x000A PowerL1=0x000C PowerL2=0x000E "
                    "PowerL3=0x0010 ApparentPowerL1=0x0012 ApparentPowerL2=0x0014 "
                    "ApparentPowerL3=0x0016 ReactivePowerL1=0x0018 ReactivePowerL2=0x001A "
                    "ReactivePowerL3=0x001C CosphiL1=0x001E CosphiL2=0x0020 CosphiL3=0x0022 "
                    "Power=0x0034 ApparentPower=0x0038 ReactivePower=0x003C Cosphi=0x003E "
                    "Frequency=0x0046 Import=0x0048 Export=0x004A Sum=0x0156 ReactiveSum=0x0158"
                ),
            ),
        ],
    ),
    "SEMTR": Listing(
        "input",
        word_order="little",
        rows=[
            (
                "f32",
                1,
                (
                    "Sum=0x03E8 Import=0x03EA SumT1=0x03EC ImportT1=0x03EE Power=0x03F0 "
                    "PowerL1=0x03F2 PowerL2=0x03F4 PowerL3=0x03F6 VoltageL1=0x03FA "
                    "VoltageL2=0x03FC VoltageL3=0x03FE VoltageL12=0x0402 VoltageL23=0x0404 "
                    "VoltageL31=0x0406 Frequency=0x0408 SumL1=0x044C SumL2=0x044E SumL3=0x0450 "
                    "ImportL1=0x0452 ImportL2=0x0454 ImportL3=0x0456 Export=0x0458 "
                    "ExportT1=0x045A ExportL1=0x045C ExportL2=0x045E ExportL3=0x0460 "
                    "ReactiveSum=0x0462 ReactiveSumL1=0x0464 ReactiveSumL2=0x0468 "
                    "ReactiveSumL3=0x046A Cosphi=0x0472 CosphiL1=0x0474 CosphiL2=0x0476 "
                    "CosphiL3=0x0478 ReactivePower=0x047A ReactivePowerL1=0x047C "
                    "ReactivePowerL2=0x047E ReactivePowerL3=0x0480 ApparentPower=0x0482 "
                    "ApparentPowerL1=0x0484 ApparentPowerL2=0x0486 ApparentPowerL3=0x0488 "
                    "CurrentL1=0x048A CurrentL2=0x048C CurrentL3=0x048E"
                ),
            ),
        ],
    ),
    "WAGO87930": Listing(
        "holding",
        rows=[
            (
                "f32",
                1,
                (
                    "Voltage=0x5000 VoltageL1=0x5002 VoltageL2=0x5004 VoltageL3=0x5006 "
                    "Frequency=0x5008 Current=0x500A CurrentL1=0x500C CurrentL2=0x500E "
                    "CurrentL3=0x5010 Import=0x600C ImportL1=0x6012 ImportL2=0x6014 "
                    "ImportL3=0x6016 Export=0x6018 ExportL1=0x601E ExportL2=0x6020 "
                    "ExportL3=0x6022 CosphiL1=0x502C CosphiL2=0x502E CosphiL3=0x5030 "
                    "Cosphi=0x502A"
                ),
            ),
            (
                "f32",
                0.001,
                (
                    "Power=0x5012 PowerL1=0x5014 PowerL2=0x5016 PowerL3=0x5018 "
                    "ReactivePower=0x501A ReactivePowerL1=0x501C ReactivePowerL2=0x501E "
                    "ReactivePowerL3=0x5020 ApparentPower=0x5022 ApparentPowerL1=0x5024 "
                    "ApparentPowerL2=0x5026 ApparentPowerL3=0x5028"
                ),
            ),
        ],
    ),
    "WS100": Listing(
        "holding",
        rows=[
            ("u32", 1000, "Voltage=0x0100"),
            ("i32", 1000, "Current=0x0102"),
            ("i32", 1, "Power=0x0104 ReactivePower=0x0108"),
            ("u32", 1, "ApparentPower=0x0106"),
            ("u32", 100, "Import=0x010E Export=0x0118 Sum=0x0122"),
            ("u16", 10, "Frequency=0x010A"),
            ("i16", 1000, "Cosphi=0x010B"),
        ],
    ),
    "X961A": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "VoltageL1=0x0000 VoltageL2=0x0002 VoltageL3=0x0004 CurrentL1=0x0006 "
                    "CurrentL2=0x0008 CurrentL3=0x000A PowerL1=0x000C PowerL2=0x000E "
                    "PowerL3=0x0010 ApparentPowerL1=0x0012 ApparentPowerL2=0x0014 "
                    "ApparentPowerL3=0x0016 ReactivePowerL1=0x0018 ReactivePowerL2=0x001A "
                    "ReactivePowerL3=0x001C CosphiL1=0x001E CosphiL2=0x0020 CosphiL3=0x0022 "
                    "Power=0x0034 ApparentPower=0x0038 ReactivePower=0x003C Cosphi=0x003E "
                    "PhaseAngle=0x0042 Frequency=0x0046 Import=0x0048 Export=0x004A "
                    "ReactiveImport=0x004C ReactiveExport=0x004E THDL1=0x00EA THDL2=0x00EC "
                    "THDL3=0x00EE THD=0x00F8 Sum=0x0156 ReactiveSum=0x0158 ImportL1=0x015A "
                    "ImportL2=0x015C ImportL3=0x015E ExportL1=0x0160 ExportL2=0x0162 "
                    "ExportL3=0x0164 SumL1=0x0166 SumL2=0x0168 SumL3=0x016A "
                    "ReactiveImportL1=0x016C ReactiveImportL2=0x016E ReactiveImportL3=0x0170 "
                    "ReactiveExportL1=0x0172 ReactiveExportL2=0x0174 ReactiveExportL3=0x0176 "
                    "ReactiveSumL1=0x0178 ReactiveSumL2=0x017A ReactiveSumL3=0x017C"
                ),
            ),
        ],
    ),
}

# What the makers' documents have beyond mbmd's listing, by our names.
BEYOND: dict[str, Listing] = {
    "carlo_gavazzi_em24_e1": Listing(
        "input",
        word_order="little",
        rows=[
            (
                "i32",
                10,
                (
                    "voltage_l1_l2=0x06 voltage_l2_l3=0x08 voltage_l3_l1=0x0A "
                    "voltage_ln_average=0x24 voltage_ll_average=0x26 apparent_power_l1=0x18 "
                    "apparent_power_l2=0x1A apparent_power_l3=0x1C reactive_power_l1=0x1E "
                    "reactive_power_l2=0x20 reactive_power_l3=0x22 apparent_power=0x2A "
                    "reactive_power=0x2C reactive_energy_import=0x36 reactive_energy_export=0x50"
                ),
            ),
        ],
    ),
    "eastron_sdm630": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "voltage_ln_average=0x2A current_average=0x2E current_sum=0x30 "
                    "apparent_energy=0x50 voltage_l1_l2=0xC8 voltage_l2_l3=0xCA "
                    "voltage_l3_l1=0xCC voltage_ll_average=0xCE current_n=0xE0 "
                    "thd_current_l1=0xF0 thd_current_l2=0xF2 thd_current_l3=0xF4 thd_current=0xFA"
                ),
            ),
        ],
    ),
    "orno_we516_we517": Listing(
        "holding",
        rows=[
            (
                "f32",
                1,
                (
                    "reactive_energy_import_t3=0x150 reactive_energy_export_t3=0x152 "
                    "reactive_energy_import_t4=0x15C reactive_energy_export_t4=0x15E"
                ),
            ),
        ],
    ),
}

_CVM_MINI_PHASES: list[tuple[Codec, float, str]] = [
    (
        "i32",
        10,
        "voltage_l1=0x00 voltage_l2=0x0A voltage_l3=0x14",
    ),
    ("i32", 1000, "current_l1=0x02 current_l2=0x0C current_l3=0x16"),
    (
        "i32",
        1,
        (
            "power_l1=0x04 power_l2=0x0E power_l3=0x18 reactive_power_l1=0x06 "
            "reactive_power_l2=0x10 reactive_power_l3=0x1A"
        ),
    ),
    ("i32", 100, "power_factor_l1=0x08 power_factor_l2=0x12 power_factor_l3=0x1C"),
]
_CVM_MINI_APPARENT: tuple[Codec, float, str] = (
    "i32",
    1,
    "apparent_power_l1=0x4A apparent_power_l2=0x4C apparent_power_l3=0x4E",
)
_CVM144_TOTALS: list[tuple[Codec, float, str]] = [
    ("i32", 1, "power=30 reactive_power_inductive=32 reactive_power_capacitive=34"),
    ("i32", 100, "power_factor=38"),
    ("i32", 10, "frequency=40 voltage_l1_l2=42 voltage_l2_l3=44 voltage_l3_l1=46"),
    ("u32", 1000, "energy_import=60"),
]
_CVM_C10: list[tuple[Codec, float, str]] = [
    (
        "i32",
        10,
        (
            "voltage_l1=0 voltage_l2=16 voltage_l3=32 voltage_l1_l2=62 voltage_l2_l3=64 "
            "voltage_l3_l1=66"
        ),
    ),
    ("i32", 1000, "current_l1=2 current_l2=18 current_l3=34"),
    (
        "i32",
        1,
        (
            "power_l1=4 power_l2=20 power_l3=36 reactive_power_inductive_l1=6 "
            "reactive_power_inductive_l2=22 reactive_power_inductive_l3=38 "
            "reactive_power_capacitive_l1=8 reactive_power_capacitive_l2=24 "
            "reactive_power_capacitive_l3=40 apparent_power_l1=10 apparent_power_l2=26 "
            "apparent_power_l3=42 power=48 reactive_power_inductive=50 "
            "reactive_power_capacitive=52 apparent_power=54"
        ),
    ),
    (
        "i32",
        100,
        "power_factor_l1=12 power_factor_l2=28 power_factor_l3=44 power_factor=56 frequency=60",
    ),
]

# Families that mbmd does not have, by our names.
CIRCUTOR: dict[str, Listing] = {
    "circutor_cem_c12": Listing(
        "holding",
        rows=[
            ("i32", 10, "voltage=0x00"),
            ("i32", 100, "current=0x02 power_factor=0x0E"),
            ("i32", 0.1, "power=0x04 reactive_power=0x06 apparent_power=0x0C"),
            ("u16", 100, "frequency=0x5A"),
            (
                "u32",
                100,
                (
                    "energy_import=0x12 reactive_energy_import=0x18 energy_export=0x22 "
                    "reactive_energy_export=0x28"
                ),
            ),
        ],
    ),
    "circutor_line_cvm_d32": Listing(
        "input",
        rows=[
            (
                "f32",
                1,
                (
                    "voltage_l1=0x00 current_l1=0x02 power_l1=0x04 "
                    "reactive_power_inductive_l1=0x06 reactive_power_capacitive_l1=0x08 "
                    "apparent_power_l1=0x0A power_factor_l1=0x0C "
                    "voltage_l2=0x10 current_l2=0x12 power_l2=0x14 "
                    "reactive_power_inductive_l2=0x16 reactive_power_capacitive_l2=0x18 "
                    "apparent_power_l2=0x1A power_factor_l2=0x1C "
                    "voltage_l3=0x20 current_l3=0x22 power_l3=0x24 "
                    "reactive_power_inductive_l3=0x26 reactive_power_capacitive_l3=0x28 "
                    "apparent_power_l3=0x2A power_factor_l3=0x2C "
                    "frequency=0x34 voltage_l1_l2=0x36 voltage_l2_l3=0x38 voltage_l3_l1=0x3A "
                    "voltage_ll_average=0x3C voltage_ln_average=0x3E current_average=0x40 "
                    "power=0x42 reactive_power_inductive=0x44 reactive_power_capacitive=0x46 "
                    "apparent_power=0x48"
                ),
            ),
            (
                "u64",
                1000,
                (
                    "energy_import_l1=0x514 energy_import_l2=0x518 energy_import_l3=0x51C "
                    "energy_import=0x520 reactive_energy_inductive=0x530"
                ),
            ),
        ],
    ),
    "circutor_cem_c31": Listing(
        "holding",
        rows=[
            ("i32", 10, "voltage_l1=0x732 voltage_l2=0x734 voltage_l3=0x736"),
            (
                "i32",
                100,
                (
                    "current_l1=0x738 current_l2=0x73A current_l3=0x73C power_factor_l1=0x73E "
                    "power_factor_l2=0x740 power_factor_l3=0x742"
                ),
            ),
            (
                "i32",
                1,
                (
                    "power_l1=0x746 power_l2=0x748 power_l3=0x74A power=0x74C "
                    "reactive_power_l1=0x74E reactive_power_l2=0x750 reactive_power_l3=0x752 "
                    "reactive_power=0x754 apparent_power_l1=0x756 apparent_power_l2=0x758 "
                    "apparent_power_l3=0x75A apparent_power=0x75C"
                ),
            ),
            (
                "u32",
                1000,
                (
                    "energy_import=0x00 energy_export=0x02 reactive_energy_q1=0x04 "
                    "reactive_energy_q2=0x06 reactive_energy_q3=0x08 reactive_energy_q4=0x0A "
                    "energy_import_t1=0x100 energy_export_t1=0x102 energy_import_t2=0x10C "
                    "energy_export_t2=0x10E"
                ),
            ),
        ],
    ),
    "circutor_cvm_c10": Listing("input", rows=_CVM_C10),
    "circutor_cvm_c11": Listing(
        "input",
        rows=[
            *_CVM_C10,
            (
                "kilo",
                1000,
                (
                    "energy_import=0xDC reactive_energy_inductive=0xE0 apparent_energy=0xE8 "
                    "energy_export=0xF0"
                ),
            ),
        ],
    ),
    "circutor_cvm_mini": Listing(
        "input", rows=[*_CVM_MINI_PHASES, _CVM_MINI_APPARENT, *_CVM144_TOTALS]
    ),
    "circutor_cvm_e3_mini": Listing(
        "input",
        rows=[
            *_CVM_MINI_PHASES,
            _CVM_MINI_APPARENT,
            *_CVM144_TOTALS,
            (
                "i32",
                1,
                (
                    "reactive_power_inductive_l1=0x12C reactive_power_capacitive_l1=0x12E "
                    "reactive_power_inductive_l2=0x132 reactive_power_capacitive_l2=0x134 "
                    "reactive_power_inductive_l3=0x138 reactive_power_capacitive_l3=0x13A"
                ),
            ),
        ],
    ),
    "circutor_cvm144": Listing(
        "holding",
        rows=[
            *_CVM_MINI_PHASES,
            *_CVM144_TOTALS,
            (
                "i32",
                10,
                (
                    "thd_voltage_l1=48 thd_voltage_l2=50 thd_voltage_l3=52 thd_current_l1=54 "
                    "thd_current_l2=56 thd_current_l3=58"
                ),
            ),
            ("u32", 1000, "reactive_energy_inductive=62 reactive_energy_capacitive=64"),
            ("i32", 1, "apparent_power=66"),
            ("i32", 1000, "current_average=70 current_n=72"),
        ],
    ),
    "circutor_cvm_c5": Listing(
        "input",
        rows=[
            ("i32", 1000, "current_average=0x46"),
            ("i32", 10, "voltage_ll_average=0x56 voltage_ln_average=0x58"),
            (
                "u32",
                1000,
                (
                    "energy_import=0x3C reactive_energy_inductive=0x3E "
                    "reactive_energy_capacitive=0x40 energy_export=0x60 "
                    "reactive_energy_inductive_export=0x62 reactive_energy_capacitive_export=0x64"
                ),
            ),
        ],
    ),
    "circutor_cvm_bd": Listing(
        "input",
        rows=[
            (
                "i32",
                1,
                (
                    "voltage_l1=0x02 power_l1=0x06 reactive_power_inductive_l1=0x08 "
                    "reactive_power_capacitive_l1=0x0A voltage_l2=0x0E power_l2=0x12 "
                    "reactive_power_inductive_l2=0x14 reactive_power_capacitive_l2=0x16 "
                    "voltage_l3=0x1A power_l3=0x1E reactive_power_inductive_l3=0x20 "
                    "reactive_power_capacitive_l3=0x22 voltage_ln_average=0x26 power=0x2A "
                    "reactive_power_inductive=0x2C reactive_power_capacitive=0x2E "
                    "apparent_power=0x34 voltage_l1_l2=0x36 voltage_l2_l3=0x38 "
                    "voltage_l3_l1=0x3A voltage_ll_average=0x3C"
                ),
            ),
            ("i32", 1000, "current_l1=0x04 current_l2=0x10 current_l3=0x1C current_average=0x28"),
            (
                "i32",
                100,
                "power_factor_l1=0x0C power_factor_l2=0x18 power_factor_l3=0x24 power_factor=0x30",
            ),
            ("i32", 10, "frequency=0x32"),
            (
                "i32",
                1000,
                (
                    "energy_import=0x3E reactive_energy_inductive=0x40 "
                    "reactive_energy_capacitive=0x42 energy_export=0x46 "
                    "reactive_energy_inductive_export=0x48 reactive_energy_capacitive_export=0x4A"
                ),
            ),
        ],
    ),
}

_UNITS = {
    "voltage": "V",
    "current": "A",
    "power": "W",
    "reactive_power": "var",
    "apparent_power": "VA",
    "power_factor": None,
    "frequency": "Hz",
    "phase_angle": "°",
    "operating_time": "h",
    "thd": "%",
    "energy": "kWh",
    "reactive_energy": "kvarh",
    "apparent_energy": "kVAh",
    "state_of": "%",
    "temperature": "°C",
}


def _unit(quantity: str) -> str | None:
    """Return the unit of one of our names, by its longest known beginning."""
    return _UNITS[max((name for name in _UNITS if quantity.startswith(name)), key=len)]


def _split(listing: Listing) -> list[tuple[Codec, float, str, int]]:
    return [
        (codec, divisor, name, int(address, 0))
        for codec, divisor, pairs in listing.rows
        for name, address in (pair.split("=") for pair in pairs.split())
    ]


def mbmd_places(type_name: str) -> list[Place]:
    """Return where mbmd has the quantities of one of its types, put right where it errs."""
    listing = MBMD[type_name]
    places = []
    for codec, divisor, measurement, address in _split(listing):
        correction = CORRECTIONS.get(type_name, {}).get(measurement) or Correction(reason="")
        if correction.left_out:
            continue
        if measurement[-2] in "LT" and measurement[-1].isdigit():
            base, part = measurement[:-2], f"_{measurement[-2:].lower()}"
        elif (lines := measurement.removeprefix("VoltageL")).isdigit():
            base, part = "Voltage", f"_l{lines[0]}_l{lines[1]}"
        else:
            base, part = measurement, ""
        name, unit = NAMES[base]
        places.append(
            Place(
                quantity=correction.quantity or f"{name}{part}",
                unit=unit,
                space=listing.space,
                address=(
                    address + OFFSETS.get(type_name, 0)
                    if correction.address is None
                    else correction.address
                ),
                codec=correction.codec or codec,
                divisor=correction.divisor or divisor,
                word_order=listing.word_order,
            )
        )
    return places


def own_places(*listings: Listing) -> list[Place]:
    """Return where listings by our names have their quantities."""
    return [
        Place(
            quantity=quantity,
            unit=_unit(quantity),
            space=listing.space,
            address=address,
            codec=codec,
            divisor=divisor,
            word_order=listing.word_order,
        )
        for listing in listings
        for codec, divisor, quantity, address in _split(listing)
    ]
