"""The table of docs/meters.md, made from the maps: `python -m tests.meters.table` writes it."""

from collections.abc import Collection
from pathlib import Path
import re

from custom_components.grid_telemetry.meters import RegisterMap, load_register_maps

from .listing import MBMD_TYPES

PAGE = Path(__file__).parents[2] / "docs" / "meters.md"
_BEGIN = "<!-- table -->\n"
_END = "<!-- end of the table -->\n"


def table() -> str:
    """Return a row for each shipped map, in the order of the makers."""
    maps = load_register_maps(Path("/none")).maps.values()
    rows = [
        f"| {found.manufacturer} | {', '.join(found.models)} | `{found.key}` "
        f"| {_mbmd(found.key)} | {_quantities(found)} | {found.source} | {_twice([found])} "
        f"| {'yes' if found.verified else 'no'} |"
        for found in sorted(maps, key=lambda found: found.label.casefold())
    ]
    return "\n".join(
        (
            (
                f"{len(maps)} maps of {len({found.manufacturer for found in maps})} makers with "
                f"{sum(len(found.models) for found in maps)} models or series. Of their registers, "
                f"{_twice(maps)} have two independent sources or more."
            ),
            "",
            "| maker | models | register map | mbmd | quantities | sources | by two | verified |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
        )
    )


def _twice(maps: Collection[RegisterMap]) -> str:
    """Return the share of the registers that two sources confirm, in per cent."""
    confirmations = [
        found.confirmations(quantity) for found in maps for quantity in found.quantities
    ]
    return f"{sum(count > 1 for count in confirmations) * 100 // len(confirmations)} %"


def _mbmd(key: str) -> str:
    return ", ".join(name for name, map_key in MBMD_TYPES.items() if map_key == key)


def _quantities(register_map: RegisterMap) -> str:
    """Return the names without phases and tariffs, marked where those are there."""
    marks: dict[str, set[str]] = {}
    for key in register_map.quantities:
        found = re.fullmatch(r"(.*?)(?:_([lt])\d(?:_l\d)?)?", key)
        assert found is not None
        name, part = found.groups(default="")
        marks.setdefault(name, set()).add({"": "", "l": "³", "t": "ᵗ"}[part])
    return ", ".join(name + "".join(sorted(parts, reverse=True)) for name, parts in marks.items())


def page(text: str) -> str:
    """Return the page with the table as it has to be."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{table()}{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
