"""Register maps: where each meter family keeps its quantities, one YAML file a family.

A map names addresses as they are on the wire (from 0). docs/register-maps.md tells how to write
one; an error names the file, the line and the key that it is about.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import voluptuous as vol
import yaml

from ..strict_yaml import line_of, parse, problem_of
from .model import (
    DEFAULT_RATED_POWER_W,
    AsMeter,
    Check,
    Constant,
    ObjectCheck,
    Register,
    RegisterMap,
    RegisterSpace,
    Source,
    Span,
    WhenOld,
)
from .schema import register_map

__all__ = [
    "DEFAULT_RATED_POWER_W",
    "MAX_BYTES",
    "AsMeter",
    "Check",
    "Constant",
    "ObjectCheck",
    "Register",
    "RegisterMap",
    "RegisterMapError",
    "RegisterMaps",
    "RegisterSpace",
    "Source",
    "Span",
    "WhenOld",
    "load_register_maps",
    "parse_register_map",
    "read_register_map",
]


MAX_BYTES: Final = 64 * 1024
"""A larger map is refused, whichever way it comes in; the largest one shipped has 9 KiB."""
# libyaml's, where PyYAML was built with it. It tells no line, and follows any depth until the stack
# of the process is used up: what a user wrote is read by `_Loader`.
_FastLoader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# So many faults are told; who has more begins with these.
_MAX_FAULTS: Final = 20


class RegisterMapError(ValueError):
    """A register map cannot be used; the text names file, line and key of every fault."""


@dataclass(frozen=True, kw_only=True)
class RegisterMaps:
    """The maps that could be read, and what is wrong with the files that could not."""

    maps: Mapping[str, RegisterMap]
    errors: Mapping[str, str]


def load_register_maps(user_folder: Path, shipped: Collection[str] | None = None) -> RegisterMaps:
    """Read the user's maps and the shipped ones, or those of the shipped ones that are named.

    A user's map replaces a shipped one by name. One with a mistake does so too: there is no map
    of that name then. Blocking: it reads files, and to parse all that is shipped takes a second.
    """
    maps = {
        name: _shipped_map(path)
        for name, path in _shipped_files().items()
        if shipped is None or name in shipped
    }
    errors: dict[str, str] = {}
    for path in sorted(user_folder.glob("*.yaml")):
        try:
            maps[path.stem] = read_register_map(path)
        except RegisterMapError as err:
            errors[path.name] = str(err)
            # The user's meters are not what the shipped map of that name is about.
            maps.pop(path.stem, None)
    return RegisterMaps(maps=maps, errors=errors)


@cache
def _shipped_files() -> Mapping[str, Path]:
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}


@cache
def _shipped_map(path: Path) -> RegisterMap:
    """Return a map whose faults the tests would have found, eight times as fast as a user's."""
    return register_map(path.stem, _FastLoader(path.read_bytes()).get_single_data())


def read_register_map(path: Path) -> RegisterMap:
    """Read one map; its key is the name of the file.

    Blocking. Raises `RegisterMapError` for a file that cannot be read, is no YAML or does not fit.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as err:
        raise RegisterMapError(f"{path.name}: {err}") from err
    return parse_register_map(path.name, text)


def parse_register_map(file: str, text: str) -> RegisterMap:
    """Return the map that the text of a file describes. Blocking: it may take a second.

    Raises `RegisterMapError` for what is no YAML or does not fit.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise RegisterMapError(f"{file}: larger than {MAX_BYTES // 1024} KiB")
    try:
        return _checked(file, text)
    except RegisterMapError:
        raise
    except (ValueError, ArithmeticError, RecursionError) as err:
        # Numbers too large for what they are used for, and nesting too deep to follow.
        raise RegisterMapError(f"{file}: {err}") from err


def _checked(file: str, text: str) -> RegisterMap:
    try:
        node, document = parse(text)
    except yaml.YAMLError as err:
        raise RegisterMapError(problem_of(file, err)) from err
    try:
        return register_map(Path(file).stem, document)
    except vol.MultipleInvalid as err:
        raise RegisterMapError(
            "\n".join(
                f"{file}, line {line_of(node, error.path)}: "
                + (f"{'.'.join(map(str, error.path))}: " if error.path else "")
                + error.error_message
                for error in sorted(err.errors, key=lambda error: line_of(node, error.path))[
                    :_MAX_FAULTS
                ]
            )
        ) from err
