"""Whether what users are shown has its text: checked in every test, of every link there is.

The forms, errors, endings, issues and entities that a test brings about are held against
`translations/en.json` and `icons.json`. As all flows are walked by tests, all of their forms are.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import json
from pathlib import Path
from string import Formatter
from typing import Any
from unittest.mock import patch

from homeassistant.config_entries import ConfigEntriesFlowManager, ConfigSubentryFlowManager
from homeassistant.data_entry_flow import FlowHandler, FlowManager, FlowResultType, section
from homeassistant.helpers.entity_registry import EntityRegistry
from homeassistant.helpers.issue_registry import IssueRegistry
from homeassistant.helpers.selector import Selector, TextSelectorType
import voluptuous as vol

from custom_components.grid_telemetry.const import DOMAIN
from custom_components.grid_telemetry.diagnostics import SECRETS
from custom_components.grid_telemetry.link import Direction
from custom_components.grid_telemetry.links.registry import LINKS

INTEGRATION = Path(__file__).parent.parent / "custom_components" / DOMAIN
TEXTS: dict[str, Any] = json.loads(
    (INTEGRATION / "translations" / "en.json").read_text(encoding="utf-8")
)
ICONS: dict[str, Any] = json.loads((INTEGRATION / "icons.json").read_text(encoding="utf-8"))
MENU_TEXTS = {
    texts: {
        kind: text
        for step in ("user", *Direction)
        for kind, text in TEXTS["config"]["step"][step][texts].items()
        if kind not in set(Direction)
    }
    for texts in ("menu_options", "menu_option_descriptions")
}
"""The names and the descriptions of all kinds, of the menus that they stand in."""


def placeholders(text: str) -> set[str]:
    """Return the names in braces."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


class Problems(list[str]):
    """What is shown and has no text."""

    def look_up(
        self, texts: Mapping[str, Any], path: str, given: Mapping[str, Any] | None = None
    ) -> Any:
        """Return what stands at a path; if it is a text, all of its placeholders are given."""
        found: Any = texts
        for key in path.split("."):
            if not isinstance(found, Mapping) or not found.get(key):
                self.append(f"{path} is missing")
                return {}
            found = found[key]
        if isinstance(found, str) and (lacking := placeholders(found) - set(given or {})):
            self.append(f"{path} needs {sorted(lacking)}")
        return found

    def check_result(self, where: str, result: Mapping[str, Any]) -> None:
        """Check what a step of a flow answered; the texts of the flow stand at `where`."""
        given = result.get("description_placeholders")
        match result["type"]:
            case FlowResultType.ABORT:
                self.look_up(TEXTS, f"{where}.abort.{result['reason']}", given)
                return
            case FlowResultType.FORM:
                for error in (result["errors"] or {}).values():
                    self.look_up(TEXTS, f"{where}.error.{error}", given)
                step = f"{where}.step.{result['step_id']}"
                self.look_up(TEXTS, f"{step}.description", given)
                if result["data_schema"] is not None:
                    self.check_form(step, result["data_schema"])
            case FlowResultType.MENU:
                step = f"{where}.step.{result['step_id']}"
                for key in ("menu_options", "menu_option_descriptions"):
                    shown, known = set(result["menu_options"]), set(self.look_up(TEXTS, step)[key])
                    if shown != known:
                        self.append(f"{step}.{key} has {sorted(shown ^ known)} on one side only")
            case _:
                return
        self.look_up(TEXTS, f"{step}.title", given)

    def check_form(self, step: str, schema: vol.Schema) -> None:
        """Check that each field has its name, its description, and its choices theirs."""
        for key, value in schema.schema.items():
            if isinstance(value, section):
                self.look_up(TEXTS, f"{step}.sections.{key}.name")
                self.check_form(f"{step}.sections.{key}", value.schema)
                continue
            for texts in ("data", "data_description"):
                self.look_up(TEXTS, f"{step}.{texts}.{key}")
            for selector in selectors_in(value):
                self.check_selector(selector)
                if selector.config.get("type") == TextSelectorType.PASSWORD:
                    self.check_secret(str(key))

    def check_selector(self, selector: Selector[Any]) -> None:
        """Check the texts of a selector that has some."""
        config: Mapping[str, Any] = selector.config
        if (key := config.get("translation_key")) is None:
            return
        for kind in ("options", "fields"):
            for name in config.get(kind, ()):
                self.look_up(TEXTS, f"selector.{key}.{kind}.{name}")

    def check_secret(self, key: str) -> None:
        """Check that diagnostics do not show what is typed unseen."""
        if key not in SECRETS.union(*(module.secrets for module in LINKS.values())):
            self.append(f"{key} is not redacted in diagnostics")

    def check_issue(
        self,
        *,
        translation_key: str,
        translation_placeholders: Mapping[str, str] | None,
        is_fixable: bool,
        **_: Any,
    ) -> None:
        """Check the texts of an issue; one that can be fixed has those of its flow."""
        for text in ("title", "fix_flow.step.init.title" if is_fixable else "description"):
            self.look_up(TEXTS, f"issues.{translation_key}.{text}", translation_placeholders)

    def check_entity(self, platform: str, known: Mapping[str, Any]) -> None:
        """Check that an entity has a name, and an icon of its own where its class has none."""
        if (key := known.get("translation_key")) is None:
            if not known.get("original_name"):
                self.append(f"{platform} entity {known} has no name")
            return
        self.look_up(TEXTS, f"entity.{platform}.{key}.name")
        if not known.get("original_device_class"):
            self.look_up(ICONS, f"entity.{platform}.{key}.default")


def selectors_in(value: Any) -> Iterator[Selector[Any]]:
    """Return the selectors that a field's validator consists of."""
    if isinstance(value, Selector):
        yield value
    for inner in getattr(value, "validators", ()):
        yield from selectors_in(inner)


def _place_of(manager: FlowManager[Any, Any, Any], flow: FlowHandler[Any, Any, Any]) -> str | None:
    """Return where the texts of one of our flows stand."""
    match manager:
        case ConfigEntriesFlowManager() if flow.handler == DOMAIN:
            return "config"
        case ConfigSubentryFlowManager():
            entry_id, kind = flow.handler
            entry = manager.hass.config_entries.async_get_known_entry(entry_id)
            return f"config_subentries.{kind}" if entry.domain == DOMAIN else None
    return None


@contextmanager
def shown_texts() -> Iterator[Problems]:
    """Watch what is shown, and return what of it has no text."""
    problems = Problems()
    handle_step = FlowManager._async_handle_step
    create_issue = IssueRegistry.async_get_or_create
    create_entity = EntityRegistry.async_get_or_create

    async def handle_step_watched(self: Any, flow: Any, *arguments: Any) -> Any:
        result = await handle_step(self, flow, *arguments)
        if (where := _place_of(self, flow)) is not None:
            problems.check_result(where, result)
        return result

    def create_issue_watched(self: Any, domain: str, issue_id: str, **known: Any) -> Any:
        if domain == DOMAIN:
            problems.check_issue(**known)
        return create_issue(self, domain, issue_id, **known)

    def create_entity_watched(
        self: Any, domain: str, platform: str, unique_id: str, **known: Any
    ) -> Any:
        # Tests register entities too, without what a platform would say of them.
        if platform == DOMAIN and known.get("has_entity_name"):
            problems.check_entity(domain, known)
        return create_entity(self, domain, platform, unique_id, **known)

    with (
        patch.object(FlowManager, "_async_handle_step", handle_step_watched),
        patch.object(IssueRegistry, "async_get_or_create", create_issue_watched),
        patch.object(EntityRegistry, "async_get_or_create", create_entity_watched),
    ):
        yield problems
