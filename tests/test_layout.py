"""The rules that keep the house readable, held against every module of the integration."""

import ast
from collections.abc import Iterator
from importlib import import_module
from inspect import iscoroutinefunction
from pathlib import Path
from subprocess import run
import sys
from sys import executable

from homeassistant.config_entries import ConfigFlow, ConfigSubentryFlow
import pytest

from custom_components.grid_telemetry.links.registry import LINKS as REGISTERED

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


@pytest.mark.parametrize("module", sorted((PACKAGE / "protocols").rglob("*.py")), ids=_named)
def test_a_protocol_could_be_a_library(module: Path) -> None:
    """A protocol imports itself and the listener that the servers share, and names no product."""
    own = module.relative_to(PACKAGE / "protocols").parts[0].removesuffix(".py")
    inside = {name for name in _imports(module) if name.startswith("grid_telemetry.")}
    floors = {tuple(name.split(".")[1:3]) for name in inside}
    assert floors <= {("protocols", own), ("protocols", "listener")}


@pytest.mark.parametrize("module", sorted((PACKAGE / "outbox" / "store").glob("*.py")), ids=_named)
def test_the_store_of_the_outbox_could_be_a_library(module: Path) -> None:
    """It imports the standard library and itself."""
    for name in _imports(module):
        first = name.split(".")[0]
        assert first in sys.stdlib_module_names or name.startswith("grid_telemetry.outbox.store")


KINDS = sorted(folder.name for folder in LINKS.iterdir() if (folder / "__init__.py").exists())


def test_every_folder_of_a_link_is_in_the_registry() -> None:
    assert sorted(REGISTERED) == KINDS


@pytest.mark.parametrize(
    "module", [*PACKAGE.glob("*.py"), *PACKAGE.glob("[!l]*/**/*.py")], ids=_named
)
def test_nothing_outside_its_folder_knows_a_link(module: Path) -> None:
    """What a kind offers is in its `LinkModule`; only the registry names the kinds."""
    assert not {
        name
        for name in _imports(module)
        if name.startswith("grid_telemetry.links.") and name.split(".")[2] in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_offers_what_it_says(kind: str) -> None:
    """What is imported when it is first needed is there."""
    module = REGISTERED[kind]
    assert module.kind == kind
    runtime = import_module(f"{module.package}.link")
    assert iscoroutinefunction(runtime.async_setup_link)
    flows = import_module(f"{module.package}.flow")
    assert issubclass(flows.FLOW, ConfigFlow)
    assert all(issubclass(flow, ConfigSubentryFlow) for flow in flows.SUBENTRY_FLOWS.values())
    for action in module.actions:
        handlers = import_module(f"{module.package}.handlers")
        assert iscoroutinefunction(getattr(handlers, action.handler))


def test_the_name_of_no_kind_begins_that_of_another() -> None:
    """Check what the config flow tells the kinds' steps apart by."""
    assert not [(one, other) for one in KINDS for other in KINDS if other.startswith(f"{one}_")]


@pytest.mark.parametrize(
    ("kinds", "absent"),
    [
        ([], ["socketio", "engineio", "aiomqtt", "paho", "comtrade", "pymodbus"]),
        (["modbus"], ["socketio", "engineio", "aiomqtt", "paho", "comtrade"]),
        (["scout"], ["socketio", "engineio", "aiomqtt", "paho", "comtrade"]),
        (["ardexa"], ["aiomqtt", "paho", "comtrade"]),
        (["powernaut"], ["socketio", "engineio", "comtrade"]),
        (["sparkplug"], ["socketio", "engineio", "aiomqtt", "paho", "comtrade", "google"]),
    ],
    ids=str,
)
def test_what_is_not_used_is_not_imported(kinds: list[str], absent: list[str]) -> None:
    """Import what a home with these kinds imports, in an interpreter of its own."""
    name = "custom_components.grid_telemetry"
    modules = [name, f"{name}.config_flow", f"{name}.diagnostics", f"{name}.trigger"]
    modules += [f"{name}.links.{kind}.{part}" for kind in kinds for part in ("link", "flow")]
    code = f"import {', '.join(modules)}, sys; print(*sys.modules)"
    loaded = run([executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {module.split(".")[0] for module in loaded.split()} & set(absent)
