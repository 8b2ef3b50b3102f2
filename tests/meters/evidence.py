"""What independent sources say of the registers, one CSV file a map in the folder `evidence`.

The rows were written down from the sources that they name and not from our maps: of each map that
was made from one source, what the others have of it. docs/register-maps.md tells the columns.
"""

from collections.abc import Mapping
from pathlib import Path

from custom_components.grid_telemetry.meters import load_register_maps
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES
from tools.compare_maps import Table, read_tables

from .listing import Codec, Place

_FOLDER = Path(__file__).parent / "evidence"
_CODECS: Mapping[str, Codec] = {
    "uint16": "u16",
    "int16": "i16",
    "uint32": "u32",
    "int32": "i32",
    "uint64": "u64",
    "int64": "i64",
    "float32": "f32",
    "float64": "f64",
}


def tables() -> dict[str, list[Table]]:
    """Return the tables of each map that has any."""
    maps = load_register_maps(Path("/none")).maps
    return {path.stem: list(read_tables(path, maps)) for path in sorted(_FOLDER.glob("*.csv"))}


def places(found: list[Table]) -> list[Place]:
    """Return where the tables of one map have its quantities, each quantity once."""
    return list(
        {
            claim.quantity: Place(
                quantity=claim.quantity,
                unit=QUANTITIES[claim.quantity].unit,
                space="input" if claim.register_space == "input" else "holding",
                address=claim.address,
                codec=_CODECS[claim.type],
                divisor=float(1 / claim.scale),
                word_order="little" if claim.word_order == "little" else "big",
            )
            for table in found
            for claim in table.claims
        }.values()
    )
