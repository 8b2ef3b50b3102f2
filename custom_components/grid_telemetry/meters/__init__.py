"""Register maps: where each meter family keeps its quantities, one YAML file a family.

A map names addresses as they are on the wire (from 0). docs/register-maps.md tells how to write
one; an error names the file, the line and the key that it is about.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, override

import voluptuous as vol
import yaml

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
        node, document = _parse(text)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise RegisterMapError(f"{file}{line}: {err.problem}") from err
    except yaml.YAMLError as err:
        raise RegisterMapError(f"{file}: {err}") from err
    try:
        return register_map(Path(file).stem, document)
    except vol.MultipleInvalid as err:
        raise RegisterMapError(
            "\n".join(
                f"{file}, line {_line(node, error.path)}: "
                + (f"{'.'.join(map(str, error.path))}: " if error.path else "")
                + error.error_message
                for error in sorted(err.errors, key=lambda error: _line(node, error.path))[
                    :_MAX_FAULTS
                ]
            )
        ) from err


class _Loader(yaml.SafeLoader):
    """Tells the line of a scalar that looks like a number or a date and is none.

    It refuses aliases and merges, by which a few lines stand for gigabytes.
    """

    @override
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem="aliases (*) are not taken", problem_mark=alias.start_mark
            )
        node = super().compose_node(parent, index)
        if node is not None and node.tag == "tag:yaml.org,2002:merge":
            raise yaml.MarkedYAMLError(
                problem="merges (<<) are not taken", problem_mark=node.start_mark
            )
        return node

    @override
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError) as err:
            # PyYAML lets through what fails below it, also for a tag that does not fit its text.
            raise yaml.MarkedYAMLError(
                problem=f"cannot read {node.value!r:.40}", problem_mark=node.start_mark
            ) from err


def _parse(text: str) -> tuple[yaml.Node | None, Any]:
    """Return the document with the nodes that know its lines."""
    loader = _Loader(text)
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
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"{key.value:.40}: written twice", problem_mark=key.start_mark
                    )
                seen.add(str(key.value))
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


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
