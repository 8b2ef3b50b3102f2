"""Register maps: where each meter family keeps its quantities, one YAML file a family.

A map names addresses as they are on the wire (from 0). docs/register-maps.md tells how to write
one; an error names the file, the line and the key that it is about.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
import difflib
from functools import cache
import math
from pathlib import Path
from typing import Any, Literal

import voluptuous as vol
import yaml

from ..quantities import QUANTITIES

type RegisterSpace = Literal["input", "holding"]
type WordOrder = Literal["big", "little"]

# Registers that a value of each type takes; text and versions say it themselves (`length`).
TYPES: Mapping[str, int] = {
    "int16": 1,
    "uint16": 1,
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
}
TEXT_TYPES = ("string", "version")

# Direct meters of a house stay far below; one behind large current transformers tells its own.
DEFAULT_RATED_POWER_W = 100_000.0

_ADDRESSES = 0x10000


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """Where one value is kept: `value = raw * scale`, raw words in `nan` mean "not available"."""

    address: int
    type: str
    count: int
    space: RegisterSpace
    word_order: WordOrder
    scale: Decimal = Decimal(1)
    nan: frozenset[int] = frozenset()

    @property
    def end(self) -> int:
        """Return the address after the last register."""
        return self.address + self.count


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisterMap:
    """The register map of one meter family; `key` is the name of its file."""

    key: str
    manufacturer: str
    models: tuple[str, ...]
    source: str
    # Read from a real meter by somebody, and not only from its documents.
    verified: bool
    # The most registers that the meter serves in one request.
    max_span: int
    # Registers without a quantity that one request may read along.
    max_gap: int
    # What the meter can measure at most; a counter that grows faster is not believed at once.
    rated_power_w: float
    serial_number: Register | None
    firmware: Register | None
    quantities: Mapping[str, Register]

    @property
    def model(self) -> str:
        """Return the models as one text."""
        return ", ".join(self.models)

    @property
    def label(self) -> str:
        """Return the name to choose the map by."""
        return f"{self.manufacturer} {self.model}"


class RegisterMapError(ValueError):
    """A register map cannot be used; the text names file, line and key of every fault."""


@dataclass(frozen=True, kw_only=True)
class RegisterMaps:
    """The maps that could be read, and what is wrong with the files that could not."""

    maps: Mapping[str, RegisterMap]
    errors: Mapping[str, str]


def load_register_maps(user_folder: Path) -> RegisterMaps:
    """Read the shipped maps and the user's own; a user's map replaces a shipped one by name.

    Blocking: it reads files.
    """
    maps = dict(_shipped_maps())
    errors: dict[str, str] = {}
    for path in sorted(user_folder.glob("*.yaml")):
        try:
            maps[path.stem] = read_register_map(path)
        except RegisterMapError as err:
            errors[path.name] = str(err)
    return RegisterMaps(maps=maps, errors=errors)


@cache
def _shipped_maps() -> Mapping[str, RegisterMap]:
    return {
        path.stem: read_register_map(path) for path in sorted(Path(__file__).parent.glob("*.yaml"))
    }


def read_register_map(path: Path) -> RegisterMap:
    """Read one map.

    Raises `RegisterMapError` for a file that cannot be read, is no YAML or does not fit.
    """
    try:
        node, document = _parse(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise RegisterMapError(f"{path.name}{line}: {err.problem}") from err
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as err:
        raise RegisterMapError(f"{path.name}: {err}") from err
    try:
        return _register_map(path.stem, _MAP(document))
    except vol.MultipleInvalid as err:
        raise RegisterMapError(
            "\n".join(
                f"{path.name}, line {_line(node, error.path)}: "
                + (f"{'.'.join(map(str, error.path))}: " if error.path else "")
                + error.error_message
                for error in sorted(err.errors, key=lambda error: _line(node, error.path))
            )
        ) from err


def _parse(text: str) -> tuple[yaml.Node | None, Any]:
    """Return the document with the nodes that know its lines."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, None
        _refuse_duplicates(node)
        return node, loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_duplicates(root: yaml.Node) -> None:
    """Raise for a key that is written twice; YAML would let the last one win in silence."""
    # An alias can lead back to a node above it, so every node is looked at once.
    waiting, known = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        below: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"{key.value}: written twice", problem_mark=key.start_mark
                    )
                seen.add(str(key.value))
                below.append(value)
        elif isinstance(node, yaml.SequenceNode):
            below += node.value
        waiting += [node for node in below if id(node) not in known]
        known.update(map(id, below))


def _line(node: yaml.Node | None, path: list[Any]) -> int:
    """Return the line of the key that a path leads to, or of the nearest one above it."""
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next((item for item in node.value if item[0].value == str(part)), None)
            if found is None:
                break
            key, node = found
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


# --- schema


def _integer(low: int, high: int) -> Callable[[Any], Any]:
    def integer(value: Any) -> int:
        # YAML's `yes` is a bool, and to Python a bool is an int.
        if type(value) is not int:
            raise vol.Invalid(f"expected an integer, got {value!r}")
        return value

    return vol.All(integer, vol.Range(min=low, max=high))


def _scale(value: Any) -> Decimal:
    if type(value) not in (int, float) or not math.isfinite(value) or value == 0:
        raise vol.Invalid(f"expected a number other than 0, got {value!r}")
    return Decimal(repr(value))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise vol.Invalid(f"expected a text, got {value!r}")
    return value


def _known_quantities(value: Any) -> Any:
    """Raise for names that are no quantity, with the nearest one that is."""
    if not isinstance(value, dict) or not value:
        raise vol.Invalid("expected at least one quantity")
    errors = []
    for key in value:
        if key not in QUANTITIES:
            near = difflib.get_close_matches(str(key), QUANTITIES, n=1)
            hint = f", did you mean {near[0]}?" if near else ""
            errors.append(vol.Invalid(f"there is no such quantity{hint}", path=[key]))
    if errors:
        raise vol.MultipleInvalid(errors)
    return value


_REGISTER = {
    vol.Required("address"): _integer(0, _ADDRESSES - 1),
    vol.Optional("type"): vol.In([*TYPES, *TEXT_TYPES]),
    vol.Optional("length"): _integer(1, 32),
    vol.Optional("scale"): _scale,
    vol.Optional("register_space"): vol.In(["input", "holding"]),
    vol.Optional("word_order"): vol.In(["big", "little"]),
    vol.Optional("nan"): vol.Any(_integer(0, 2**64 - 1), [_integer(0, 2**64 - 1)]),
}


def _registers(document: dict[str, Any]) -> dict[str, Any]:
    """Replace every register of a document by a `Register`, with the defaults of the map."""
    errors: list[vol.Invalid] = []

    def register(raw: dict[str, Any], *path: str, text: bool) -> Register | None:
        try:
            return _register(document, raw, text=text)
        except vol.Invalid as err:
            err.prepend(list(path))
            errors.append(err)
            return None

    for key in ("serial_number", "firmware"):
        if key in document:
            document[key] = register(document[key], key, text=True)
    document["quantities"] = {
        key: register(raw, "quantities", key, text=False)
        for key, raw in document["quantities"].items()
    }
    if errors:
        raise vol.MultipleInvalid(errors)
    return document


def _register(document: dict[str, Any], raw: dict[str, Any], *, text: bool) -> Register:
    kind = raw.get("type", document.get("type"))
    if kind is None:
        raise vol.Invalid("the type is missing, here and at the top of the map", path=["type"])
    if kind in TEXT_TYPES and not text:
        raise vol.Invalid(f"a quantity is a number, not a {kind}", path=["type"])
    if (kind in TEXT_TYPES) != ("length" in raw):
        raise vol.Invalid("goes with type string or version, and only with them", path=["length"])
    nan = raw.get("nan", [])
    register = Register(
        address=raw["address"],
        type=kind,
        count=raw.get("length") or TYPES[kind],
        space=raw.get("register_space", document["register_space"]),
        word_order=raw.get("word_order", document["word_order"]),
        scale=raw.get("scale", Decimal(1)),
        nan=frozenset(nan if isinstance(nan, list) else [nan]),
    )
    if register.end > _ADDRESSES:
        raise vol.Invalid("the value reaches beyond the last address", path=["address"])
    if register.count > document["max_span"]:
        raise vol.Invalid("the value is wider than max_span", path=["type"])
    return register


_MAP = vol.Schema(
    vol.All(
        {
            vol.Required("manufacturer"): _text,
            vol.Required("models"): vol.All([_text], vol.Length(min=1)),
            vol.Required("source"): _text,
            vol.Optional("verified", default=False): bool,
            vol.Required("register_space"): vol.In(["input", "holding"]),
            vol.Optional("word_order", default="big"): vol.In(["big", "little"]),
            vol.Optional("type"): vol.In(list(TYPES)),
            # 125 is the most that one Modbus answer holds.
            vol.Optional("max_span", default=125): _integer(1, 125),
            vol.Optional("max_gap", default=16): _integer(0, 124),
            vol.Optional("rated_power_w", default=DEFAULT_RATED_POWER_W): vol.All(
                vol.Coerce(float), vol.Range(min=1, max=1e12)
            ),
            vol.Optional("serial_number"): _REGISTER,
            vol.Optional("firmware"): _REGISTER,
            vol.Required("quantities"): vol.All(_known_quantities, {str: _REGISTER}),
        },
        _registers,
    )
)


def _register_map(key: str, document: dict[str, Any]) -> RegisterMap:
    return RegisterMap(
        key=key,
        manufacturer=document["manufacturer"],
        models=tuple(document["models"]),
        source=document["source"],
        verified=document["verified"],
        max_span=document["max_span"],
        max_gap=document["max_gap"],
        rated_power_w=document["rated_power_w"],
        serial_number=document.get("serial_number"),
        firmware=document.get("firmware"),
        quantities=document["quantities"],
    )
