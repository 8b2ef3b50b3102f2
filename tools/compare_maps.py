"""Hold the register maps against tables that others have: `python -m tools.compare_maps FOLDER`.

Reads what lies in the folder, which the project neither has nor needs: meter templates of evcc,
configurations of ESPHome (`modbus_controller` sensors), and CSV files with the columns of
`COLUMNS`. Prints for each file the map that it is about, what it confirms and where the map says
something else. A file is about the map that its name begins with (`eastron_sdm630.mine.yaml`),
otherwise about the one, of the makers that it names, which it confirms most.

Ends with 1 if a map differs from a file, with 2 if a file cannot be read or there is none.
"""

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
import csv
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
import re
import sys
from typing import Any

import yaml

from custom_components.grid_telemetry.meters import RegisterMap, load_register_maps
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES

# What a CSV file has in its first line. The last four may be missing or empty: 1, big and holding
# are meant then, and the file itself is the source.
COLUMNS = (
    *("quantity", "address", "type"),
    *("scale", "word_order", "register_space", "source"),
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a table says of one register: `value = raw * scale`, in the unit of the quantity."""

    quantity: str
    address: int
    type: str
    scale: Decimal = Decimal(1)
    word_order: str = "big"
    register_space: str = "holding"


@dataclass(frozen=True, kw_only=True)
class Table:
    """All that one source says of one meter, with the map or the makers that it names, if any."""

    source: str
    claims: tuple[Claim, ...]
    map_key: str | None = None
    makers: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a table confirms of a map, where the two differ, and what the map does not have."""

    table: Table
    register_map: RegisterMap
    confirmed: tuple[str, ...]
    # Quantity, then what differs of it: `address 0x0034, here 0x0042`.
    differing: Mapping[str, str]
    missing: tuple[str, ...]


# --- comparing


def compare(table: Table, register_map: RegisterMap) -> Comparison:
    """Hold one table against one map."""
    claims: dict[str, list[Claim]] = {}
    for claim in table.claims:
        claims.setdefault(claim.quantity, []).append(claim)
    ours = {key: found for key, found in claims.items() if key in register_map.quantities}
    differences = {
        key: [_difference(claim, register_map) for claim in found] for key, found in ours.items()
    }
    return Comparison(
        table=table,
        register_map=register_map,
        # A meter can have a value in two forms, integer and float; one of them is enough.
        confirmed=tuple(key for key, found in differences.items() if "" in found),
        differing={key: found[0] for key, found in differences.items() if "" not in found},
        missing=tuple(key for key in claims if key not in ours),
    )


def _difference(claim: Claim, register_map: RegisterMap) -> str:
    register = register_map.quantities[claim.quantity]
    pairs = [
        ("address", f"0x{claim.address:04X}", f"0x{register.address:04X}"),
        ("type", _kind(claim.type, claim.quantity), _kind(register.type, claim.quantity)),
        ("scale", f"{claim.scale.normalize():f}", f"{register.scale.normalize():f}"),
        ("register space", claim.register_space, register.space),
    ]
    if register.count > 1:
        pairs.append(("word order", claim.word_order, register.word_order))
    return ", ".join(
        f"{what} {theirs}, here {here}" for what, theirs, here in pairs if theirs != here
    )


# What cannot be negative reads the same with and without a sign.
_SIGNED = re.compile(r"(re)?active_power|power|phase_angle|temperature|energy_net|current_battery")


def _kind(name: str, quantity: str) -> str:
    return name if _SIGNED.match(quantity) else name.removeprefix("u")


def best_match(table: Table, maps: Mapping[str, RegisterMap]) -> RegisterMap | None:
    """Return the map that a table is about, or None where it fits none well enough to say."""
    if table.map_key is not None:
        return maps[table.map_key]
    comparisons = [
        compare(table, found)
        for found in maps.values()
        if not table.makers or found.manufacturer in table.makers
    ]
    best = max(comparisons, key=lambda found: len(found.confirmed), default=None)
    # A single number in common says nothing.
    if best is None or len(best.confirmed) < max(2, len(best.differing)):
        return None
    return best.register_map


# --- reading


def read_tables(path: Path, maps: Iterable[str]) -> Iterator[Table]:
    """Read the tables of a file; one that is no table has none.

    `maps` are the names that the file's own name can begin with. Raises `ValueError` for a file
    that looks like a table and cannot be read as one; the text names it.
    """
    keys = sorted(maps, key=len, reverse=True)
    key = next((key for key in keys if path.name.startswith(f"{key}.")), None)
    try:
        if path.suffix == ".csv":
            yield from _csv_tables(path, key)
        elif path.suffix in (".yaml", ".yml"):
            yield from _yaml_tables(path, key)
    except (LookupError, ValueError, TypeError, InvalidOperation, yaml.YAMLError) as err:
        raise ValueError(f"{path.name}: {type(err).__name__}: {err}") from err


def _yaml_tables(path: Path, key: str | None) -> Iterator[Table]:
    text = path.read_text(encoding="utf-8")
    makers: frozenset[str] = frozenset()
    claims: tuple[Claim, ...] = ()
    if re.search(r"^render: \|", text, re.MULTILINE) and "source: modbus" in text:
        template = yaml.safe_load(text)
        makers = frozenset(product.get("brand", "") for product in template["products"])
        claims = tuple(_evcc_claims(template))
    elif "platform: modbus_controller" in text:
        claims = tuple(_esphome_claims(yaml.load(text, Loader=_AnyTag)))  # noqa: S506
    if claims:
        yield Table(source=path.name, map_key=key, makers=makers, claims=claims)


def _csv_tables(path: Path, key: str | None) -> Iterator[Table]:
    """Read a CSV file: one table for each source that it names."""
    claims: dict[str, list[Claim]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if unknown := row.keys() - set(COLUMNS):
                raise ValueError(f"no such column: {', '.join(map(str, unknown))}")
            if row["quantity"] not in QUANTITIES:
                raise ValueError(f"no such quantity: {row['quantity']}")
            claims.setdefault(row.get("source") or path.name, []).append(
                Claim(
                    quantity=row["quantity"],
                    address=int(row["address"], 0),
                    type=row["type"],
                    scale=Decimal(row.get("scale") or 1),
                    word_order=row.get("word_order") or "big",
                    register_space=row.get("register_space") or "holding",
                )
            )
    for source, found in claims.items():
        yield Table(source=source, map_key=key, claims=tuple(found))


# --- evcc

_EVCC_QUANTITIES = {
    "power": "power",
    "energy": "energy_import",
    "returnenergy": "energy_export",
    "currents": "current",
    "voltages": "voltage",
    "powers": "power",
}


def _evcc_claims(template: Mapping[str, Any]) -> Iterator[Claim]:
    usages: Sequence[str] = next(
        (item["choice"] for item in template.get("params", []) if item.get("name") == "usage"), []
    )
    # What a template does with the sign of solar power is not the meter's.
    usage = "grid" if "grid" in usages else "charge"
    body = yaml.safe_load("\n".join(_rendered(template["render"].splitlines(), usage))) or {}
    for key, quantity in _EVCC_QUANTITIES.items():
        part = body.get(key)
        places = part if isinstance(part, list) else [part]
        for number, place in enumerate(places, start=1):
            if isinstance(place, dict) and _is_place(place.get("register")):
                yield _evcc_claim(place, f"{quantity}_l{number}" if key[-1] == "s" else quantity)


def _is_place(register: Any) -> bool:
    """Return whether a register is one to read, at an address that does not depend on settings."""
    return (
        isinstance(register, dict)
        and type(register.get("address")) is int
        and register.keys() >= {"decode", "type"}
    )


def _evcc_claim(place: Mapping[str, Any], quantity: str) -> Claim:
    register = place["register"]
    decode = register["decode"].removesuffix("nan").removesuffix("nans")
    return Claim(
        quantity=quantity,
        address=register["address"],
        type=decode.removesuffix("s"),
        scale=Decimal(str(place.get("scale", 1))),
        word_order="little" if register["decode"].endswith("s") else "big",
        register_space=register["type"],
    )


def _rendered(lines: Iterable[str], usage: str) -> Iterator[str]:
    """Return the lines that a template has for one usage; of other conditions the first branch."""
    taken: list[tuple[bool, bool]] = []  # of each open condition: this branch, any so far
    for line in lines:
        text = re.sub(
            r"\{\{-?\s*if (.*?)\s*-?\}\}(.*?)(?:\{\{-?\s*else\s*-?\}\}(.*?))?\{\{-?\s*end\s*-?\}\}",
            lambda found: found[2] if _holds(found[1], usage) else found[3] or "",
            line,
        )
        directive = re.fullmatch(r"\s*\{\{-?\s*(if|else if|else|end|\S+)(?:\s+(.*?))?-?\}\}", text)
        match directive and directive[1]:
            case "if":
                holds = _holds(directive[2], usage) if directive else False
                taken.append((holds, holds))
            case "else" | "else if" if taken:
                before = taken[-1][1]
                condition = directive[2] if directive and directive[1] == "else if" else ""
                holds = not before and _holds(condition or "", usage)
                taken[-1] = (holds, before or holds)
            case "end" if taken:
                taken.pop()
            case _:
                if all(now for now, _ in taken):
                    yield re.sub(r"\{\{.*?\}\}", "x" if text.strip()[0] != "{" else "", text)


def _holds(condition: str, usage: str) -> bool:
    found = re.search(r'(eq|ne) \.usage "(\w+)"', condition)
    return found is None or (found[2] == usage) == (found[1] == "eq")


# --- ESPHome

_VALUE_TYPES: Mapping[str, tuple[str, str]] = {
    f"{name}{suffix}": (kind, order)
    for name, kind in {
        "U_WORD": "uint16",
        "S_WORD": "int16",
        "U_DWORD": "uint32",
        "S_DWORD": "int32",
        "U_QWORD": "uint64",
        "S_QWORD": "int64",
        "FP32": "float32",
    }.items()
    for suffix, order in (("", "big"), ("_R", "little"))
}
# What a unit says of the quantity, and what the value is to be multiplied by for ours.
_UNITS: Mapping[str, tuple[str, str]] = {
    "v": ("voltage", "1"),
    "a": ("current", "1"),
    "w": ("power", "1"),
    "kw": ("power", "1000"),
    "var": ("reactive_power", "1"),
    "kvar": ("reactive_power", "1000"),
    "va": ("apparent_power", "1"),
    "kva": ("apparent_power", "1000"),
    "hz": ("frequency", "1"),
    "wh": ("energy", "0.001"),
    "kwh": ("energy", "1"),
    "varh": ("reactive_energy", "0.001"),
    "kvarh": ("reactive_energy", "1"),
}
_DIRECTIONS = {
    "import": r"import|forward|positive|consum|purchas|\bin\b|from grid",
    "export": r"export|reverse|negative|return|generat|inject|\bout\b|to grid|sold",
}
_FULL_PHASES = {"a": "1", "b": "2", "c": "3"}


class _AnyTag(yaml.SafeLoader):
    """Takes tags such as `!lambda` and `!secret` for the text behind them."""


def _text_of(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> str:
    return str(loader.construct_scalar(node)) if isinstance(node, yaml.ScalarNode) else ""


_AnyTag.add_multi_constructor("!", _text_of)


def _esphome_claims(document: Mapping[str, Any]) -> Iterator[Claim]:
    for sensor in document.get("sensor") or ():
        if sensor.get("platform") != "modbus_controller":
            continue
        kind = _VALUE_TYPES.get(sensor.get("value_type", "U_WORD"))
        named = _esphome_quantity(sensor)
        scale = _esphome_scale(sensor.get("filters") or ())
        if kind and named and scale is not None:
            yield Claim(
                quantity=named[0],
                address=int(str(sensor["address"]), 0),
                type=kind[0],
                scale=scale * named[1],
                word_order=kind[1],
                register_space="input" if sensor["register_type"] == "read" else "holding",
            )


def _esphome_scale(filters: Sequence[Any]) -> Decimal | None:
    """Return what the filters multiply by; None where they do what a map cannot."""
    scale = Decimal(1)
    for step in filters:
        match step:
            case {"multiply": factor}:
                scale *= Decimal(str(factor))
            case {"lambda": _}:
                return None
            case _:
                # The others thin values out or smooth them.
                pass
    return scale


def _esphome_quantity(sensor: Mapping[str, Any]) -> tuple[str, Decimal] | None:
    """Return the quantity that name and unit of a sensor tell, and the factor to our unit."""
    name = re.sub(r"[_\s]+", " ", str(sensor.get("name", sensor.get("id", "")))).lower()
    base, factor = _UNITS.get(str(sensor.get("unit_of_measurement", "")).lower(), ("", "1"))
    if not base and "power factor" in name:
        base = "power_factor"
    if "energy" in base:
        found = [key for key, words in _DIRECTIONS.items() if re.search(words, name)]
        base += f"_{found[0]}" if len(found) == 1 else "_sum"
    phases = re.findall(r"\b(?:phase |ph|l)([1-3abc])\b", name.replace("-", " "))
    for phase in phases:
        base += f"_l{_FULL_PHASES.get(phase, phase)}"
    return (base, Decimal(factor)) if base in QUANTITIES else None


# --- telling


def report(comparison: Comparison) -> Iterator[str]:
    """Return the lines that tell what a comparison found."""
    found = comparison
    yield f"{found.table.source}: {found.register_map.key}"
    if found.confirmed:
        yield f"  confirms {len(found.confirmed)}: {', '.join(found.confirmed)}"
    for key, text in found.differing.items():
        yield f"  differs in {key}: {text}"
    if found.missing:
        yield f"  beyond the map: {', '.join(found.missing)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare what the command line names and print it; return the exit status."""
    parser = argparse.ArgumentParser(description="Hold the register maps against other tables.")
    parser.add_argument("folder", type=Path, help="evcc templates, ESPHome YAML and CSV files")
    parser.add_argument(
        "--maps", type=Path, default=Path("/none"), help="a folder with maps of your own"
    )
    options = parser.parse_args(arguments)
    maps = load_register_maps(options.maps).maps
    tables: list[Table] = []
    unread = 0
    for path in sorted(options.folder.rglob("*")):
        try:
            tables += read_tables(path, maps)
        except ValueError as err:
            unread += 1
            print(err, file=sys.stderr)
    matches = [(table, best_match(table, maps)) for table in tables]
    comparisons = [compare(table, found) for table, found in matches if found is not None]
    for comparison in comparisons:
        print("\n".join(report(comparison)))
    for table, found in matches:
        if found is None:
            print(f"{table.source}: no map")
    differing = sum(bool(comparison.differing) for comparison in comparisons)
    print(
        f"{len(tables)} tables, {len(comparisons)} with a map, {differing} that differ from it, "
        f"{unread} files that cannot be read"
    )
    return 2 if unread or not tables else int(bool(differing))


if __name__ == "__main__":
    sys.exit(main())
