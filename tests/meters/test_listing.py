"""Every shipped map against a meter whose registers are filled after an independent listing."""

from collections.abc import Sequence
import math
from pathlib import Path
import struct

from modbus_connection import ModbusTcpParams
from modbus_connection.tmodbus import ModbusConnection
import pytest

from custom_components.grid_telemetry.links.modbus.register_reader import RegisterReader
from custom_components.grid_telemetry.meters import load_register_maps
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES
from simulators.meters import MeterServer, RawMeter

from .evidence import places as evident_places, tables
from .listing import BEYOND, CIRCUTOR, MBMD, MBMD_TYPES, Place, mbmd_places, own_places
from .listing_more import FIRST_SOURCE, TWO_SOURCES
from .other_readers import OTHER_READERS
from .table import PAGE, page

MAPS = load_register_maps(Path("/none")).maps
FORMATS = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "u64": ">Q", "i64": ">q"} | {
    "f32": ">f",
    "f64": ">d",
}
# Each family once by each listing that has it.
FAMILIES = {type_name: (key, mbmd_places(type_name)) for type_name, key in MBMD_TYPES.items()} | {
    key: (key, own_places(listing)) for key, listing in (BEYOND | CIRCUTOR).items()
}
FAMILIES |= {
    f"{key}, other readers": (key, own_places(*listings)) for key, listings in OTHER_READERS.items()
}
FAMILIES |= {
    key: (key, own_places(*TWO_SOURCES.get(key, []), *FIRST_SOURCE.get(key, [])))
    for key in (TWO_SOURCES | FIRST_SOURCE)
}
# Maps that are in no listing were made from one source and are held against the others.
EVIDENCE = {
    key: evident_places(found)
    for key, found in tables().items()
    if key not in {key for key, _ in FAMILIES.values()}
}
FAMILIES |= {f"{key}, by its other sources": (key, found) for key, found in EVIDENCE.items()}


def words(place: Place, raw: float) -> list[int]:
    """Encode a raw value as the meter would, with the standard library only."""
    if place.codec == "kilo":
        packed = struct.pack(">II", *divmod(int(raw), 1000))
    else:
        packed = struct.pack(FORMATS[place.codec], raw)
    found = list(struct.unpack(f">{len(packed) // 2}H", packed))
    return found[::-1] if place.word_order == "little" else found


def raw_values(places: Sequence[Place]) -> dict[str, float]:
    """Return another raw value for each quantity; powers are negative where they can be."""
    values: dict[str, float] = {}
    for index, place in enumerate(places):
        raw = 1000 + 7 * index if place.codec.endswith("16") else 1_000_000 + 70_001 * index
        sign = -1 if place.codec[0] in "if" and "power" in place.quantity else 1
        values[place.quantity] = sign * raw + (0.5 if place.codec.startswith("f") else 0)
    return values


def test_no_type_of_mbmd_is_missing() -> None:
    assert len(MBMD) == 34
    assert MBMD.keys() == MBMD_TYPES.keys()
    assert set(MBMD_TYPES.values()) <= MAPS.keys()


def test_every_quantity_of_every_map_is_in_a_listing() -> None:
    listed: dict[str, set[str]] = {}
    for key, places in FAMILIES.values():
        listed.setdefault(key, set()).update(place.quantity for place in places)

    # What only one source has can be held against no other.
    once = {
        key: {quantity for quantity in found.quantities if found.confirmations(quantity) < 2}
        if key in EVIDENCE or key not in listed
        else set()
        for key, found in MAPS.items()
    }
    assert {key: set(found.quantities) - once[key] for key, found in MAPS.items()} == {
        key: listed.get(key, set()) - once[key] for key in MAPS
    }


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_map_reads_the_values_of_its_meter(family: str, socket_enabled: None) -> None:
    key, places = FAMILIES[family]
    raw = raw_values(places)
    meter = RawMeter(5)
    for place in places:
        for offset, word in enumerate(words(place, raw[place.quantity])):
            assert meter.words[place.space].setdefault(place.address + offset, word) == word
    async with MeterServer([meter]) as server:
        connection = ModbusConnection(ModbusTcpParams(host="127.0.0.1", port=server.port))
        try:
            reader = RegisterReader(connection.for_unit(5), MAPS[key])
            values = await reader.read([place.quantity for place in places])
        finally:
            await connection.close()

    expected = {
        place.quantity: (raw[place.quantity] / place.divisor, place.unit) for place in places
    }
    read = {quantity: (value, QUANTITIES[quantity].unit) for quantity, value in values.items()}
    assert read.keys() == expected.keys()
    for quantity, (value, unit) in expected.items():
        assert read[quantity][1] == unit, quantity
        assert math.isclose(read[quantity][0], value, rel_tol=1e-6), quantity


def test_circutor_meters_are_read_40_registers_at_a_time() -> None:
    circutor = [
        key for key, register_map in MAPS.items() if register_map.manufacturer == "Circutor"
    ]

    assert len(circutor) == len(CIRCUTOR)
    assert {MAPS[key].max_span for key in circutor} == {40}


def test_the_documentation_has_the_table_of_the_maps() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert text == page(text), "write it with: python -m tests.meters.table"


def test_every_shipped_map_names_its_sources_one_by_one() -> None:
    assert not [
        key
        for key, register_map in MAPS.items()
        if any("mbmd" in source.name and not source.confirms for source in register_map.sources)
        or any("; " in source.name for source in register_map.sources)
    ]


def test_no_map_claims_to_be_verified() -> None:
    assert not [key for key, register_map in MAPS.items() if register_map.verified]
