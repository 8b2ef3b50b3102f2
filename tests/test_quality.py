"""What can be checked by machine of Home Assistant's quality scale, of hassfest and of HACS.

Nothing here names a link: what there is comes from the registry, the code and the files. Forms,
issues and entities are checked where tests bring them about, see `texts.py`.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
import json
from pathlib import Path
import re
from string import Formatter
from typing import Any

from homeassistant.config_entries import SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.helpers.condition import async_get_all_descriptions as condition_descriptions
from homeassistant.helpers.trigger import async_get_all_descriptions as trigger_descriptions
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict
import pytest

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.link import Direction
from custom_components.grid_telemetry.links.registry import LINKS
from custom_components.grid_telemetry.vocabulary.quantities import QUANTITIES

from .texts import ICONS, INTEGRATION, MENU_TEXTS, TEXTS, placeholders

ROOT = INTEGRATION.parent.parent
MANIFEST = json.loads((INTEGRATION / "manifest.json").read_text(encoding="utf-8"))
LANGUAGES = sorted((INTEGRATION / "translations").glob("*.json"))

# What hassfest takes in the manifest of a custom integration that is set up in the frontend.
MANIFEST_REQUIRED = {
    "domain",
    "name",
    "codeowners",
    "config_flow",
    "documentation",
    "integration_type",
    "iot_class",
    "issue_tracker",
    "requirements",
    "version",
}
MANIFEST_OPTIONAL = {"after_dependencies", "dependencies", "dhcp", "loggers", "zeroconf"}
HACS_KEYS = {
    "content_in_root",
    "filename",
    "hide_default_branch",
    "homeassistant",
    "name",
    "persistent_directory",
    "zip_release",
}
# The keys of a translation file that are Home Assistant's, not ours.
TRANSLATION_SHAPE = {
    *("step", "error", "abort", "progress", "initiate_flow", "entry_type", "flow_title"),
    *("title", "name", "description", "message", "unit_of_measurement"),
    *("data", "data_description", "sections", "menu_options", "menu_option_descriptions"),
    *("fields", "options", "state", "state_attributes", "fix_flow"),
}
# Home Assistant itself ends flows with these.
HOME_ASSISTANTS_REASONS = {
    "already_configured",
    "already_in_progress",
    "reauth_successful",
    "reconfigure_successful",
}


def leaves(texts: Mapping[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Return every text with its path."""
    for key, value in texts.items():
        if isinstance(value, Mapping):
            yield from leaves(value, *path, key)
        else:
            yield (*path, key), value


def flows() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return the texts of every flow with where they stand."""
    yield "config", TEXTS["config"]
    for kind, texts in TEXTS["config_subentries"].items():
        yield f"config_subentries.{kind}", texts


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in INTEGRATION.rglob("*.py")}


def nodes[N: ast.AST](kind: type[N]) -> Iterator[N]:
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, kind):
                yield node


class Literals:
    """The texts in the code, and those that f-strings can make of them."""

    def __init__(self) -> None:
        self.known = {node.value for node in nodes(ast.Constant) if isinstance(node.value, str)}
        self.known |= HOME_ASSISTANTS_REASONS | QUANTITIES.keys() | _constants()
        # Paths of texts that the code looks up itself.
        self.known |= {
            key for text in self.known if text.startswith(".") for key in text.strip(".").split(".")
        }
        for path in INTEGRATION.glob("*.yaml"):
            self.known |= set(re.findall(r"[\w-]+", path.read_text(encoding="utf-8")))
        self.patterns = {
            re.compile(pattern)
            for node in nodes(ast.JoinedStr)
            if re.search(r"[a-z]", pattern := _pattern(node).replace("(.+)", ""))
            and (pattern := _pattern(node))
        }

    def __contains__(self, text: str) -> bool:
        return text in self.known or any(
            match is not None and self.known.issuperset(match.groups())
            for match in (pattern.fullmatch(text) for pattern in self.patterns)
        )


def _constants() -> set[str]:
    """Return the texts of Home Assistant's constants that are used."""
    imported = (
        getattr(import_module(node.module), name.name, None)
        for node in nodes(ast.ImportFrom)
        if node.module == "homeassistant.const"
        for name in node.names
    )
    return {value for value in imported if isinstance(value, str)}


def _pattern(node: ast.JoinedStr) -> str:
    return "".join(
        re.escape(str(part.value)) if isinstance(part, ast.Constant) else "(.+)"
        for part in node.values
    )


@cache
def literals() -> Literals:
    return Literals()


def argument(call: ast.Call, name: str) -> ast.expr | None:
    return next((word.value for word in call.keywords if word.arg == name), None)


def test_the_manifest_is_as_hassfest_wants_it() -> None:
    keys = list(MANIFEST)
    assert keys == ["domain", "name", *sorted(keys[2:])]
    assert set(keys) >= MANIFEST_REQUIRED
    assert set(keys) <= MANIFEST_REQUIRED | MANIFEST_OPTIONAL
    assert MANIFEST["domain"] == DOMAIN == INTEGRATION.name
    assert re.fullmatch(r"\d+\.\d+\.\d+", MANIFEST["version"])
    assert MANIFEST["documentation"].startswith("https://")


def test_what_is_imported_of_home_assistant_is_a_dependency() -> None:
    platforms = {path.stem for path in INTEGRATION.glob("*.py")}
    always_there = {"automation", "frontend", "homeassistant", "script", "system_health"}
    imported = {
        node.module.split(".")[2]
        for node in nodes(ast.ImportFrom)
        if node.module is not None and node.module.startswith("homeassistant.components.")
    }
    declared = {*MANIFEST["dependencies"], *MANIFEST["after_dependencies"]}
    assert imported <= platforms | always_there | declared


def test_hacs_knows_what_is_asked_of_it() -> None:
    hacs = json.loads((ROOT / "hacs.json").read_text(encoding="utf-8"))
    assert hacs.keys() <= HACS_KEYS
    assert hacs["name"] == MANIFEST["name"]
    assert (INTEGRATION / "brand" / "icon.png").exists()


def test_the_quality_scale_is_complete_and_shows_its_evidence() -> None:
    """Check each rule's status, and that the files which its row names exist."""
    scale = load_yaml_dict(str(INTEGRATION / "quality_scale.yaml"))["rules"]
    page = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", page, flags=re.MULTILINE))
    assert len(scale) == 54
    assert rows.keys() == scale.keys()
    for rule, status in scale.items():
        if status != "done":
            assert status["status"] == "exempt"
            assert status["comment"]
        files = re.findall(r"\]\(([^)#]+)", rows[rule])
        assert files, rule
        for file in files:
            assert (ROOT / "docs" / file).exists(), file


@pytest.mark.parametrize("kind", LINKS)
def test_each_link_is_in_the_menu_and_can_be_changed(kind: str) -> None:
    module = LINKS[kind]
    flows = import_module(f"{module.package}.flow")
    assert kind in MENU_TEXTS["menu_options"]
    assert hasattr(flows.FLOW, f"async_step_{kind}")
    assert hasattr(flows.FLOW, f"async_step_{kind}_reconfigure")
    assert all(hasattr(flows.FLOW, f"async_step_{source}") for source in module.discovery)
    assert module.first_subentry is None or module.first_subentry in flows.SUBENTRY_FLOWS
    for subentry, flow in flows.SUBENTRY_FLOWS.items():
        assert hasattr(flow, "async_step_reconfigure")
        texts = TEXTS["config_subentries"][subentry]
        assert texts["entry_type"]
        assert texts["initiate_flow"].keys() == {"user", "reconfigure"}


def test_each_platform_says_how_much_it_does_at_once() -> None:
    for path, tree in trees().items():
        if path.parent == INTEGRATION and any(
            isinstance(node, ast.AsyncFunctionDef)
            and node.name == "async_setup_entry"
            and path.name != "__init__.py"
            for node in tree.body
        ):
            assert "PARALLEL_UPDATES = " in path.read_text(encoding="utf-8"), path.name


def test_each_form_has_a_title_and_explains_its_fields() -> None:
    for where, texts in flows():
        for step, form in texts["step"].items():
            assert form.get("title"), f"{where}.{step}"
            # The options of a menu are described each.
            assert form.get("description") or "menu_options" in form, f"{where}.{step}"
            for part in (form, *form.get("sections", {}).values()):
                fields, explained = part.get("data", {}), part.get("data_description", {})
                assert list(fields) == list(explained), f"{where}.{step}"
                options = part.get("menu_options", {})
                assert list(options) == list(part.get("menu_option_descriptions", {}))


def _fix_steps(issue: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the texts of the steps that repair an issue."""
    steps: Mapping[str, Any] = issue.get("fix_flow", {}).get("step", {})
    return steps


def test_each_step_that_the_code_shows_has_texts_and_no_other() -> None:
    steps = {step for _, texts in flows() for step in texts["step"]}
    steps |= {step for texts in TEXTS["issues"].values() for step in _fix_steps(texts)}
    patterns = set()
    for call in nodes(ast.Call):
        if getattr(call.func, "attr", None) in {"async_show_form", "async_show_menu"}:
            match argument(call, "step_id"):
                case ast.Constant(value=str(step)):
                    patterns.add(re.escape(step))
                case ast.JoinedStr() as made:
                    patterns.add(_pattern(made))
                case ast.Name() | ast.Attribute() | None:
                    # The name of a step that is handed on stands in the code as well.
                    patterns |= {re.escape(step) for step in steps if step in literals()}
    shown = {step for step in steps if any(re.fullmatch(each, step) for each in patterns)}
    assert shown == steps
    missing = {each for each in patterns if not any(re.fullmatch(each, step) for step in steps)}
    assert not missing


def test_each_exception_has_its_text_and_what_the_text_names() -> None:
    texts = TEXTS["exceptions"]
    raised = set()
    for call in nodes(ast.Call):
        if not isinstance(argument(call, "translation_domain"), ast.Name):
            continue
        match argument(call, "translation_key"):
            case ast.Constant(value=str(key)):
                raised.add(key)
                assert key in texts, key
                given = argument(call, "translation_placeholders")
                if isinstance(given, ast.Dict):
                    names = {name.value for name in given.keys if isinstance(name, ast.Constant)}
                    assert names >= placeholders(texts[key]["message"]), key
                elif given is None:
                    assert not placeholders(texts[key]["message"]), key
    assert raised


async def test_each_action_is_described(hass: HomeAssistant, actions: set[str]) -> None:
    described = load_yaml_dict(str(INTEGRATION / "services.yaml"))
    assert actions == described.keys() == TEXTS["services"].keys() == ICONS["services"].keys()
    for name, description in described.items():
        texts = TEXTS["services"][name]
        assert texts["name"]
        assert texts["description"]
        fields = set((description or {}).get("fields", {}))
        assert fields == texts.get("fields", {}).keys(), name
        assert all(
            text["name"] and text["description"] for text in texts.get("fields", {}).values()
        )
        schema = hass.services.async_services_for_domain(DOMAIN)[name].schema
        assert schema is not None
        assert fields == {str(key) for key in schema.schema}, name
        for field in (description or {}).get("fields", {}).values():
            for config in field["selector"].values():
                if config and (key := config.get("translation_key")):
                    assert set(config["options"]) == TEXTS["selector"][key]["options"].keys()


@pytest.fixture
async def actions(hass: HomeAssistant, enable_custom_integrations: None) -> set[str]:
    assert await async_setup_component(hass, DOMAIN, {})
    return set(hass.services.async_services_for_domain(DOMAIN))


@pytest.mark.parametrize(
    ("kind", "descriptions"),
    [("trigger", trigger_descriptions), ("condition", condition_descriptions)],
)
@pytest.mark.usefixtures("actions")
async def test_each_trigger_and_condition_is_described(
    hass: HomeAssistant, kind: str, descriptions: Any
) -> None:
    assert await async_setup_component(hass, "automation", {})
    texts = TEXTS[f"{kind}s"]
    ours = {
        key.removeprefix(f"{DOMAIN}."): description
        for key, description in (await descriptions(hass)).items()
        if key.startswith(DOMAIN)
    }
    assert ours.keys() == texts.keys() == ICONS[f"{kind}s"].keys()
    for key, description in ours.items():
        assert texts[key]["name"]
        assert texts[key]["description"]
        assert description["fields"].keys() == texts[key].get("fields", {}).keys()


def test_no_icon_is_for_nothing() -> None:
    for platform, icons in ICONS["entity"].items():
        assert icons.keys() <= TEXTS["entity"][platform].keys()


def test_no_text_is_for_nothing() -> None:
    sections = ("config", "config_subentries", "entity", "exceptions", "issues", "selector")
    unused = {
        ".".join(path)
        for section in sections
        for path, _ in leaves(TEXTS[section])
        for key in path
        if key not in TRANSLATION_SHAPE and key not in literals()
    }
    assert not unused


@pytest.mark.parametrize("file", LANGUAGES, ids=lambda path: path.stem)
def test_each_language_is_complete_and_can_be_shown(file: Path) -> None:
    translated = dict(leaves(json.loads(file.read_text(encoding="utf-8"))))
    english = dict(leaves(TEXTS))
    assert translated.keys() == english.keys()
    for path, text in translated.items():
        where = ".".join(path)
        assert text, where
        assert text == text.strip(), where
        assert not re.search(r"<[a-z/]|'\{\w+\}'|https?://\w+\.\w", text), where
        assert placeholders(text) == placeholders(english[path]), where
        assert all(not spec for *_, spec, _ in Formatter().parse(text)), where


def test_the_documentation_holds_together() -> None:
    """Check that links lead somewhere, that every page is linked, and every kind is listed."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    linked = set()
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            linked.add((page.parent / target).resolve())
    assert {path for path in linked if not path.exists()} == set()
    assert set(pages[1:]) <= linked
    assert set((ROOT / "docs" / "images").iterdir()) <= linked
    listed = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    for name in MENU_TEXTS["menu_options"].values():
        assert name in listed, name


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda path: path.stem)
def test_each_column_of_a_table_is_explained(language: Path) -> None:
    """Check what hassfest wants of the fields of an object selector."""
    texts = json.loads(language.read_text(encoding="utf-8"))
    for selector in texts["selector"].values():
        for field in selector.get("fields", {}).values():
            assert field.keys() == {"name", "description"}


async def test_each_kind_stands_in_one_of_three_menus(
    hass: HomeAssistant, enable_custom_integrations: None
) -> None:
    flows = hass.config_entries.flow
    shown: list[str] = [kind for kind, module in LINKS.items() if module.direction is None]
    for direction in Direction:
        menu = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})
        assert menu["menu_options"] == [*Direction, *shown[:1]]
        menu = await flows.async_configure(menu["flow_id"], {"next_step_id": direction})
        shown += menu["menu_options"]
    assert sorted(shown) == sorted(LINKS)


@pytest.mark.parametrize("kind", LINKS)
def test_an_entry_goes_on_with_what_it_is_of_no_use_without(kind: str) -> None:
    flows = import_module(f"{LINKS[kind].package}.flow")
    # A setup server answers without commands of the user's own.
    if flows.SUBENTRY_FLOWS and kind != "setup_server":
        assert LINKS[kind].first_subentry
