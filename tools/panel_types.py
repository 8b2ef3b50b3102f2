"""The types of the panel's TypeScript, made of the one description in `panel_api.py`.

Run as a program it writes them; a test tells when they have to be written anew.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from custom_components.grid_telemetry import panel_api
from custom_components.grid_telemetry.panel_api import COMMANDS
from simulators.home_assistant import CHECKOUT

TYPES: Final = CHECKOUT / "panel" / "src" / "api.ts"
_HEAD: Final = """\
// Written by tools/panel_types.py from panel_api.py of the integration: change that, and run
// python -m tools.panel_types
"""
_PLAIN: Final[dict[object, str]] = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
    Any: "unknown",
}


def typescript() -> str:
    """Return the file."""
    shapes = [shape for shape in vars(panel_api).values() if _is_shape(shape)]
    comments = _comments()
    lines = [_HEAD]
    for shape in shapes:
        lines += _interface(shape, comments.get(shape.__name__, {}))
    for name, streams in (("Answers", False), ("Streams", True)):
        lines.append(f"export interface {name} {{")
        lines += [
            f'  "{command.type}": [request: {command.request.__name__},'
            f" item: {command.answer.__name__}];"
            for command in COMMANDS
            if command.streams is streams
        ]
        lines += ["}", ""]
    return "\n".join(lines)


def _is_shape(value: object) -> bool:
    return isinstance(value, type) and hasattr(value, "__required_keys__")


def _interface(shape: type, comments: dict[str, str]) -> Iterator[str]:
    required: frozenset[str] = getattr(shape, "__required_keys__", frozenset())
    yield f"/** {comments['']} */"
    yield f"export interface {shape.__name__} {{"
    for name, hint in get_type_hints(shape).items():
        if name in comments:
            yield f"  /** {comments[name]} */"
        yield f"  {name}{'' if name in required else '?'}: {_type(hint)};"
    yield "}"
    yield ""


def _type(hint: Any) -> str:
    arguments = get_args(hint)
    match get_origin(hint):
        case origin if origin is list:
            inner = _type(arguments[0])
            return f"({inner})[]" if "|" in inner else f"{inner}[]"
        case origin if origin is dict:
            return f"Record<{_type(arguments[0])}, {_type(arguments[1])}>"
        case origin if origin is Literal:
            return " | ".join(f'"{value}"' for value in arguments)
        case origin if origin is Union:
            return " | ".join(map(_type, arguments))
    return _PLAIN.get(hint) or str(hint.__name__)


def _comments() -> dict[str, dict[str, str]]:
    """Return the docstrings of the shapes, and the texts below their fields."""
    tree = ast.parse(Path(panel_api.__file__).read_text(encoding="utf-8"))
    found: dict[str, dict[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            comments = found[node.name] = {"": _flat(ast.get_docstring(node) or "")}
            for before, after in zip(node.body, node.body[1:], strict=False):
                if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
                    match after:
                        case ast.Expr(value=ast.Constant(value=str(text))):
                            comments[before.target.id] = _flat(text)
                        case _:
                            pass
    return found


def _flat(text: str) -> str:
    return " ".join(text.split())


def main() -> None:
    """Write the file."""
    TYPES.write_text(typescript(), encoding="utf-8")


if __name__ == "__main__":
    main()
