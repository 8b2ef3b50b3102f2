"""What masters ask of a meter, in their order, and what they take from the answers.

Written down from captures, and from the programs of masters, not from our maps. Addresses are as on
the wire. Import is positive.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import struct
from typing import Any, Final

HOUSE: Final[Mapping[str, float]] = {
    "voltage_l1": 230.1,
    "voltage_l2": 231.2,
    "voltage_l3": 229.9,
    "voltage_ln_average": 230.4,
    "voltage_l1_l2": 399.1,
    "voltage_l2_l3": 400.2,
    "voltage_l3_l1": 398.3,
    "voltage_ll_average": 399.2,
    "current_l1": 6.25,
    "current_l2": 3.5,
    "current_l3": 1.75,
    "power": -1234.5,
    "power_l1": -900.5,
    "power_l2": -500.25,
    "power_l3": 166.25,
    "reactive_power": 120.5,
    "reactive_power_l1": 40.5,
    "apparent_power": 1300.5,
    "power_factor": 0.95,
    "frequency": 50.02,
    "energy_import": 8123.4,
    "energy_export": 412.7,
    "energy_import_l1": 4000.1,
    # Of meters with one phase.
    "voltage": 230.1,
    "current": 6.25,
}
"""The states of the sensors, in the units of the quantities."""

KINDS: Final[Mapping[str, tuple[str, int]]] = {
    "f32": (">f", 2),
    "i16": (">h", 1),
    "u16": (">H", 1),
    "i32": (">i", 2),
    "u32": (">I", 2),
    "u64": (">Q", 4),
}
"""How each kind of number is unpacked, and its registers; `lo` behind it: the low word first."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number in an answer: of the register at a place in it, divided."""

    at: int
    kind: str
    means: float
    per: float = 1

    def of(self, words: list[int]) -> float:
        """Return the number that an answer has."""
        code, count = KINDS[self.kind.removesuffix("lo")]
        taken = words[self.at : self.at + count]
        if self.kind.endswith("lo"):
            taken.reverse()
        number: float = struct.unpack(code, struct.pack(f">{count}H", *taken))[0]
        return number / self.per


def number(at: int, kind: str, key: str, per: float = 1) -> Number:
    """Return where the state of a sensor of the house is in an answer."""
    return Number(at=at, kind=kind, means=HOUSE[key], per=per)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request, and what has to be in its answer."""

    pdu: bytes
    numbers: tuple[Number, ...] = ()
    words: Mapping[int, int] | None = None
    """By their places in the answer."""
    text: str | None = None
    code: int | None = None
    """Of the exception."""
    unit: int | None = None
    """Another one, which is not there: over RTU nobody answers."""


def read(
    function: int,
    address: int,
    count: int,
    *numbers: Number,
    words: Mapping[int, int] | None = None,
    **more: Any,
) -> Ask:
    """Return a request for registers."""
    pdu = struct.pack(">BHH", function, address, count)
    return Ask(pdu=pdu, numbers=numbers, words=words, **more)


def write(address: int, value: int, **more: Any) -> Ask:
    """Return a request that writes a register."""
    return Ask(pdu=struct.pack(">BHH", 6, address, value), **more)


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """What a master asks; `noise` goes over its line between the requests."""

    profile: str
    asks: tuple[Ask, ...]
    unit: int = 1
    noise: bytes = b""


def _text(text: str, count: int) -> Mapping[int, int]:
    words = struct.unpack(f">{count}H", text.encode().ljust(2 * count, b"\0"))
    return dict(enumerate(words))


_SUNS: Final = {0: 0x5375, 1: 0x6E53}
_SERIAL_CG: Final = read(3, 0x5000, 7)
_ET340_ROUND: Final = (
    read(3, 0x0028, 2, number(0, "i32lo", "power", 10)),
    read(
        *(3, 0x0012, 6),
        number(0, "i32lo", "power_l1", 10),
        number(2, "i32lo", "power_l2", 10),
        number(4, "i32lo", "power_l3", 10),
    ),
    read(3, 0x0024, 4, number(0, "i32lo", "voltage_ln_average", 10)),
    read(3, 0x0000, 8, number(0, "i32lo", "voltage_l1", 10)),
    read(3, 0x000C, 8, number(0, "i32lo", "current_l1", 1000)),
    read(3, 0x0034, 4, number(0, "i32lo", "energy_import", 10)),
    read(3, 0x0040, 8, number(0, "i32lo", "energy_import_l1", 10)),
    read(3, 0x004E, 4, number(0, "i32lo", "energy_export", 10)),
)

DIALOGUES: Final[Mapping[str, Dialogue]] = {
    # GEN24 from 1.28 on; it looks for the meters of other makers first.
    "Fronius over TCP, floats": Dialogue(
        profile="fronius_213",
        unit=240,
        asks=(
            read(3, 768, 1, code=2),
            read(3, 1706, 1, code=2),
            read(3, 40000, 2, words=_SUNS),
            read(3, 40002, 2, words={0: 1, 1: 65}),
            read(3, 40004, 16, words=_text("Fronius", 16)),
            read(3, 40020, 16, words=_text("Smart Meter TS 65A-3", 16)),
            read(3, 40069, 2, words={0: 213, 1: 124}),
            read(
                *(3, 40071, 124),
                number(2, "f32", "current_l1"),
                number(10, "f32", "voltage_l1"),
                number(16, "f32", "voltage_ll_average"),
                number(24, "f32", "frequency"),
                number(26, "f32", "power"),
                number(28, "f32", "power_l1"),
                number(58, "f32", "energy_export", 1000),
                number(66, "f32", "energy_import", 1000),
            ),
            read(3, 40097, 2, number(0, "f32", "power")),
            read(3, 40129, 2, number(0, "f32", "energy_export", 1000)),
            read(3, 40193, 2),
            read(3, 40195, 2, words={0: 0xFFFF, 1: 0}),
            read(3, 50000, 2, code=2),
        ),
    ),
    "Fronius over TCP, integers": Dialogue(
        profile="fronius_203",
        asks=(
            read(3, 40000, 2, words=_SUNS),
            read(3, 40069, 2, words={0: 203, 1: 105}),
            read(3, 40087, 1, Number(at=0, kind="i16", means=-1234)),
            read(3, 40091, 1, words={0: 0}),
            read(3, 40107, 2, number(0, "u32", "energy_export", 1000)),
            read(3, 40115, 2, number(0, "u32", "energy_import", 1000)),
            read(3, 40176, 2, words={0: 0xFFFF, 1: 0}),
        ),
    ),
    "Fronius over RS-485": Dialogue(
        profile="fronius_ts_rtu",
        asks=(
            read(
                *(3, 258, 16),
                number(0, "i32lo", "voltage_ln_average", 10),
                number(2, "i32lo", "voltage_ll_average", 10),
                number(4, "i32lo", "power", 10),
                number(6, "i32lo", "apparent_power", 10),
                number(8, "i32lo", "reactive_power", 10),
                number(10, "i32lo", "power_factor", 1000),
                Number(at=14, kind="i32lo", means=50.0, per=10),
            ),
            read(
                *(3, 286, 42),
                number(0, "i32lo", "voltage_l1_l2", 10),
                number(2, "i32lo", "voltage_l1", 10),
                number(4, "i32lo", "current_l1", 1000),
                number(6, "i32lo", "power_l1", 10),
                number(30, "i32lo", "voltage_l3", 10),
                number(34, "i32lo", "power_l3", 10),
            ),
            read(
                *(3, 1024, 16),
                Number(at=0, kind="u32lo", means=8123),
                Number(at=2, kind="u32lo", means=400),
                Number(at=8, kind="u32lo", means=412),
                Number(at=10, kind="u32lo", means=700),
            ),
        ),
    ),
    "Victron over TCP": Dialogue(
        profile="carlo_gavazzi_em24_ethernet",
        asks=(
            read(3, 0x000B, 1, words={0: 1648}),
            read(3, 0xA000, 1, words={0: 7}),
            read(3, 0x0302, 1),
            read(3, 0x0304, 1),
            read(3, 0x1002, 1, words={0: 0}),
            _SERIAL_CG,
            read(
                *(3, 0x0000, 0x50),
                number(0x00, "i32lo", "voltage_l1", 10),
                number(0x04, "i32lo", "voltage_l3", 10),
                # And not what the meter is, which is at the same address.
                number(0x0A, "i32lo", "voltage_l3_l1", 10),
                number(0x0C, "i32lo", "current_l1", 1000),
                number(0x12, "i32lo", "power_l1", 10),
                number(0x28, "i32lo", "power", 10),
                number(0x34, "i32lo", "energy_import", 10),
                number(0x40, "i32lo", "energy_import_l1", 10),
                number(0x4E, "i32lo", "energy_export", 10),
                Number(at=0x33, kind="u16", means=50.0, per=10),
            ),
            read(3, 0xA100, 1),
            write(0xA000, 3),
            read(3, 0xA000, 1, words={0: 3}),
            write(0xA000, 7),
            read(3, 0xA000, 1, words={0: 7}),
            write(0x0000, 1, code=2),
        ),
    ),
    "Victron over RS-485, ET340": Dialogue(
        profile="carlo_gavazzi_et340",
        asks=(
            read(3, 0x000B, 1, words={0: 340}),
            read(3, 0x0060, 2),
            _SERIAL_CG,
            read(3, 0x0302, 1),
            read(3, 0x0032, 1, words={0: 0}),
            read(3, 0x1103, 1, words={0: 1}),
            read(3, 0x1002, 1, words={0: 0}),
            *_ET340_ROUND,
            read(3, 0x0060, 8),
            write(0x1103, 0),
            read(3, 0x1103, 1, words={0: 0}),
            write(0x1103, 1),
        ),
    ),
    "Victron over RS-485, EM540": Dialogue(
        profile="carlo_gavazzi_em540",
        asks=(
            read(3, 0x000B, 1, words={0: 1744}),
            _SERIAL_CG,
            read(3, 0x0302, 1),
            read(3, 0x010E, 1, words={0: 0}),
            read(3, 0x1103, 1, words={0: 2}),
            read(3, 0x1002, 1, words={0: 0}),
            *_ET340_ROUND,
            read(3, 0x053C, 2, number(0, "i32lo", "frequency", 1000)),
        ),
    ),
    # It asks unit 1 and unit 2 in turn, until one of them says that it is a meter.
    "SolaX, SDM230": Dialogue(
        profile="eastron_sdm230",
        asks=(
            read(3, 0x000B, 1, unit=2),
            read(3, 0x000B, 1, words={0: 0xA8}),
            read(4, 0x000C, 2, number(0, "f32", "power")),
            read(3, 0x000B, 1, unit=2),
            read(4, 0x0048, 2, number(0, "f32", "energy_import")),
            read(4, 0x004A, 2, number(0, "f32", "energy_export")),
        ),
    ),
    "SolaX X1, SDM120": Dialogue(
        profile="eastron_sdm120",
        asks=(
            read(3, 0x000B, 1, words={0: 0}),
            read(4, 0x000C, 2, number(0, "f32", "power")),
        ),
    ),
    "SolaX, DTSU666": Dialogue(
        profile="chint_dtsu666",
        asks=(
            read(3, 0x000B, 1, words={0: 0xA7}),
            read(3, 0x2012, 8, number(0, "f32", "power", 10), number(2, "f32", "power_l1", 10)),
        ),
    ),
    "SolaX, DDSU666": Dialogue(
        profile="chint_ddsu666",
        asks=(
            read(3, 0x000B, 1, words={0: 0xA6}),
            read(3, 0x2004, 2, number(0, "f32", "power", 0.001)),
        ),
    ),
    "SolaX, EM24": Dialogue(
        profile="carlo_gavazzi_em24",
        asks=(
            read(3, 0x000B, 1, words={0: 0x47}),
            read(3, 0x0028, 2, number(0, "i32lo", "power", 10)),
            read(3, 0x003E, 2, number(0, "i32lo", "energy_import", 10)),
            read(3, 0x005C, 2, number(0, "i32lo", "energy_export", 10)),
        ),
    ),
    # Its scan at the start, in which one request is for no registers.
    "Growatt MOD TL3-XH": Dialogue(
        profile="chint_dtsu666_growatt",
        unit=4,
        asks=(
            read(4, 0x0000, 0x12, unit=2),
            read(4, 0x0000, 0x0E, unit=1),
            read(4, 0x0046, 0x0A, unit=1),
            read(4, 0x0156, 0x04, unit=1),
            read(4, 0x0034, 0x0C, unit=2),
            read(3, 0x0000, 0x00, unit=3),
            read(3, 0x2000, 0x10, unit=3),
            read(
                *(3, 0x2000, 0x12),
                number(0, "f32", "voltage_l1_l2"),
                number(6, "f32", "voltage_l1"),
                number(12, "f32", "current_l1"),
            ),
            read(3, 0x2012, 0x10, number(0, "f32", "power"), number(8, "f32", "reactive_power")),
            read(3, 0x202A, 0x1C, number(0, "f32", "power_factor"), number(26, "f32", "frequency")),
            read(3, 0x0006, 2, words={0: 10, 1: 1}),
            read(
                *(3, 0x101E, 0x0C),
                number(0, "f32", "energy_import"),
                number(10, "f32", "energy_export"),
            ),
        ),
    ),
    "Growatt MIC": Dialogue(
        profile="eastron_sdm630",
        unit=2,
        asks=(
            read(4, 0x0000, 0x12, number(0, "f32", "voltage_l1")),
            read(4, 0x0034, 2, number(0, "f32", "power")),
        ),
    ),
    "Growatt, DDSU666": Dialogue(
        profile="chint_ddsu666",
        unit=3,
        asks=(
            read(
                *(3, 0x2000, 0x10),
                number(0, "f32", "voltage"),
                number(2, "f32", "current"),
                number(4, "f32", "power", 0.001),
                number(14, "f32", "frequency"),
            ),
            read(
                *(3, 0x4000, 0x0C),
                number(0, "f32", "energy_import"),
                number(10, "f32", "energy_export"),
            ),
        ),
    ),
    "Chint's DTSU666 by its manual": Dialogue(
        profile="chint_dtsu666",
        unit=0x9F,
        asks=(
            read(3, 0x0000, 2, words={0: 204, 1: 701}),
            read(3, 0x0006, 2, words={0: 1, 1: 10}),
            read(
                *(3, 0x2000, 0x46),
                number(0x00, "f32", "voltage_l1_l2", 10),
                number(0x06, "f32", "voltage_l1", 10),
                number(0x0C, "f32", "current_l1", 1000),
                number(0x12, "f32", "power", 10),
                number(0x1A, "f32", "reactive_power", 10),
                number(0x2A, "f32", "power_factor", 1000),
                number(0x44, "f32", "frequency", 100),
            ),
            read(3, 0x101E, 2, number(0, "f32", "energy_import")),
            read(3, 0x1028, 2, number(0, "f32", "energy_export")),
        ),
    ),
    "FoxESS H3": Dialogue(
        profile="chint_dtsu666_foxess",
        asks=(
            read(
                *(3, 0x1510, 0x40),
                number(0, "f32", "voltage_l1"),
                number(6, "f32", "current_l1"),
                number(12, "f32", "power", 0.001),
                number(14, "f32", "power_l1", 0.001),
                number(20, "f32", "reactive_power", 0.001),
                number(28, "f32", "apparent_power", 0.001),
                number(36, "f32", "power_factor"),
                number(62, "f32", "frequency"),
            ),
            read(3, 0x151E, 0x0E, number(0, "f32", "power_l1", 0.001)),
            read(
                *(3, 0x181E, 0x14),
                number(0, "f32", "energy_import"),
                number(10, "f32", "energy_export"),
            ),
        ),
    ),
    "Huawei SUN2000": Dialogue(
        profile="huawei_dtsu666_h",
        unit=11,
        asks=(
            read(3, 2001, 1, words={0: 0x3B11}),
            read(3, 3, 1),
            read(
                *(3, 2102, 80),
                number(0, "f32", "current_l1"),
                number(6, "f32", "voltage_ln_average"),
                number(8, "f32", "voltage_l1"),
                number(14, "f32", "voltage_ll_average"),
                number(22, "f32", "frequency"),
                number(24, "f32", "power"),
                number(26, "f32", "power_l1"),
                number(32, "f32", "reactive_power"),
                number(40, "f32", "apparent_power"),
                number(48, "f32", "power_factor"),
                number(64, "f32", "energy_import"),
                number(72, "f32", "energy_export"),
            ),
            read(3, 2214, 10, words={4: 1, 5: 1, 6: 3, 7: 11}),
        ),
    ),
    "Sungrow": Dialogue(
        profile="sungrow_dtsu666_20",
        unit=0xFE,
        noise=bytes.fromhex("20 73 00 00 00 01"),
        asks=(
            read(3, 0x003F, 1),
            read(3, 0x5000, 1, words={0: 0x20D5}),
            read(3, 10, 2, number(0, "u32", "energy_import", 100)),
            read(3, 20, 2, number(0, "u32", "energy_export", 100)),
            read(
                *(3, 356, 8),
                Number(at=0, kind="i32", means=-900),
                Number(at=6, kind="i32", means=-1234),
            ),
        ),
    ),
    "SolarEdge": Dialogue(
        profile="solaredge_se_mtr_3y",
        unit=2,
        asks=(
            read(3, 1600, 23, words={2: 100, 3: 100}),
            read(3, 1650, 6, words={1: 2, 2: 4}),
            read(3, 1700, 8, words={6: 202, 7: 31}),
            read(
                *(3, 1000, 34),
                number(2, "f32lo", "energy_import"),
                number(6, "f32lo", "energy_import"),
                number(8, "f32lo", "power"),
                number(10, "f32lo", "power_l1"),
                number(18, "f32lo", "voltage_l1"),
                number(32, "f32lo", "frequency"),
            ),
            read(
                *(3, 1100, 68),
                number(12, "f32lo", "energy_export"),
                number(38, "f32lo", "power_factor"),
                number(46, "f32lo", "reactive_power"),
                number(62, "f32lo", "current_l1"),
            ),
            read(3, 2127, 1),
            *[read(3, 1010, 6, number(0, "f32lo", "power_l1"))] * 8,
        ),
    ),
    "a master of ABB's B23": Dialogue(
        profile="abb_b23",
        asks=(
            read(3, 0x8960, 2, words={0: 0x4232, 1: 0x3320}),
            read(3, 0x8900, 2),
            read(3, 0x8908, 8),
            read(
                *(3, 0x5B00, 0x18),
                number(0, "u32", "voltage_l1", 10),
                number(0x0C, "u32", "current_l1", 100),
                number(0x14, "i32", "power", 100),
                number(0x16, "i32", "power_l1", 100),
            ),
            read(3, 0x5B2C, 1, number(0, "u16", "frequency", 100)),
            read(
                *(3, 0x5000, 8),
                number(0, "u64", "energy_import", 100),
                number(4, "u64", "energy_export", 100),
            ),
        ),
    ),
    "Alfen": Dialogue(
        profile="socomec_countis_e34",
        asks=(
            read(3, 0xC560, 8, number(0, "u32", "current_l1", 1000)),
            read(3, 0xC570, 6, Number(at=0, kind="i32", means=-900, per=0.1)),
        ),
    ),
    "evcc looks for SunSpec": Dialogue(
        profile="sunspec_213",
        asks=(
            read(3, 40000, 2, words=_SUNS),
            read(3, 50000, 2, code=2),
            read(3, 0, 2, code=2),
            read(3, 40002, 67, words={0: 1, 1: 65}),
            read(3, 40069, 124, number(28, "f32", "power")),
        ),
    ),
    "Solis, SDM630": Dialogue(
        profile="eastron_sdm630",
        asks=(
            read(4, 0, 76, number(52, "f32", "power"), number(72, "f32", "energy_import")),
            read(4, 200, 6, number(0, "f32", "voltage_l1_l2")),
            read(4, 342, 2),
        ),
    ),
    "cFos, SDM630 with function 03": Dialogue(
        profile="eastron_sdm630_both",
        asks=(
            read(3, 0x0034, 2, number(0, "f32", "power")),
            read(4, 0x0034, 2, number(0, "f32", "power")),
            read(3, 0x0048, 4, number(0, "f32", "energy_import")),
        ),
    ),
}
