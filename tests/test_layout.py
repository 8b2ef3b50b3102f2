"""The rules that keep the house readable, held against every module of the integration."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "custom_components" / "grid_telemetry"
LINKS = PACKAGE / "links"
WITHOUT_HOME_ASSISTANT = [
    *sorted((PACKAGE / "vocabulary").rglob("*.py")),
    *sorted((PACKAGE / "protocols").rglob("*.py")),
    *sorted(LINKS.glob("*/payload.py")),
]


def _imports(module: Path) -> Iterator[str]:
    """Yield what a module imports, relative names made absolute below the package."""
    package = module.parent.relative_to(PACKAGE).parts
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                yield node.module or ""
                continue
            base = package[: len(package) - node.level + 1]
            inside = ".".join((*base, node.module)) if node.module else ".".join(base)
            yield from (f"grid_telemetry.{inside}.{alias.name}" for alias in node.names)


def _named(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("module", sorted(LINKS.glob("*/**/*.py")), ids=_named)
def test_a_link_never_imports_another_link(module: Path) -> None:
    """What two links need lies a floor below them."""
    own = module.relative_to(LINKS).parts[0]
    others = {folder.name for folder in LINKS.iterdir() if folder.is_dir()} - {own}
    imported = {
        name.split(".")[2] for name in _imports(module) if name.startswith("grid_telemetry.links.")
    }
    assert not imported & others


def _module_of(name: str) -> Path | None:
    """Return the file of the package that an imported name is in, None for what is not ours."""
    first, *parts = name.split(".")
    if first != "grid_telemetry":
        return None
    while parts:
        path = PACKAGE.joinpath(*parts)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.exists():
                return file
        parts.pop()
    return PACKAGE / "__init__.py"


def _ways_to_home_assistant(module: Path) -> Iterator[str]:
    """Yield each import of Home Assistant that a module reaches, and through which modules."""
    waiting, seen = [(module, (_named(module),))], {module}
    while waiting:
        current, way = waiting.pop()
        for name in _imports(current):
            if name.split(".")[0] == "homeassistant":
                yield " → ".join((*way, name))
            elif (inner := _module_of(name)) is not None and inner not in seen:
                seen.add(inner)
                waiting.append((inner, (*way, _named(inner))))


@pytest.mark.parametrize("module", WITHOUT_HOME_ASSISTANT, ids=_named)
def test_a_codec_needs_no_home_assistant(module: Path) -> None:
    """What translates bytes is tested, and used, without Home Assistant, also through others."""
    assert not list(_ways_to_home_assistant(module))


def test_only_the_registry_and_the_menus_know_every_link() -> None:
    """A new platform is a folder, its lines in these, and its strings."""
    kinds = {folder.name for folder in LINKS.iterdir() if folder.is_dir()}
    knowing = {
        module.name
        for module in PACKAGE.glob("*.py")
        for name in _imports(module)
        if name.startswith("grid_telemetry.links.") and name.split(".")[2] in kinds
    }
    assert knowing <= {"config_flow.py", "services.py", "trigger.py", "condition.py"}
