"""The text of a site file: YAML with variables, templates and secrets, and the lines of it all.

A template is a file of its own, with a version; what uses it names both, so that nothing changes
that nobody changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
import difflib
import re
from typing import Any, Final

import yaml

from ..forms.written import ASK
from ..strict_yaml import parse, problem_of

MAX_BYTES: Final = 1024 * 1024
# So many faults are told; who has more begins with these.
_MAX_FAULTS: Final = 20
_MAX_DEPTH: Final = 4

KEY_USE: Final = "use"
KEY_VARIABLES: Final = "variables"
_USE_KEYS: Final = ("template", "version", "with")
_TEMPLATE_KEYS: Final = ("template", "version", "description", "variables", "content")
_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_WHOLE: Final = re.compile(r"\$\{(\w+)\}\Z")


@dataclass(frozen=True)
class SecretName:
    """A secret by its name in Home Assistant's `secrets.yaml`."""

    name: str


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """Where something is written."""

    file: str
    line: int


class Map(dict[str, Any]):
    """A mapping that knows where it and each of its keys are written."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: dict[str, Place] = {}

    def put(self, key: str, value: Any, place: Place) -> None:
        """Take over a value with its place."""
        self[key] = value
        self.places[key] = place


class Items(list[Any]):
    """A list that knows where it and each of its items are written."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: list[Place] = []

    def put(self, value: Any, place: Place) -> None:
        """Take over an item with its place."""
        self.append(value)
        self.places.append(place)

    def and_then(self, more: Items) -> Items:
        """Return the items of this list and those of another one."""
        both = Items(self.place)
        both.extend((*self, *more))
        both.places = [*self.places, *more.places]
        return both


class SiteFileError(ValueError):
    """A site file cannot be used; the text names file, line and key of every fault."""


@dataclass(kw_only=True)
class Faults:
    """What is wrong with a file, collected so that all of it is told at once."""

    found: list[tuple[Place, str]] = field(default_factory=list)

    def add(self, place: Place, key: str, text: str) -> None:
        """Note one fault of what is written at a place."""
        self.found.append((place, f"{key}: {text}" if key else text))

    def unknown(self, place: Place, key: str, what: str, known: Any) -> None:
        """Note a name that there is not, with the nearest one that there is."""
        near = difflib.get_close_matches(key, list(known), n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        self.add(place, key, f"there is no such {what}{hint}")

    def check_keys(self, mapping: Map, known: Any, path: str = "") -> None:
        """Note each key that is none of those that are known."""
        for key in mapping:
            if key not in known:
                near = difflib.get_close_matches(key, list(known), n=1)
                hint = f", did you mean {near[0]}?" if near else ""
                self.add(mapping.places[key], f"{path}{key}", f"there is no such key{hint}")

    def end(self) -> None:
        """Raise `SiteFileError` if there are any."""
        if self.found:
            lines = [
                f"{place.file}, line {place.line}: {text}"
                for place, text in sorted(self.found)[:_MAX_FAULTS]
            ]
            raise SiteFileError("\n".join(dict.fromkeys(lines)))


def place_of(root: Any, *path: str | int) -> Place:
    """Return where the value at a path is written, or the nearest one above it."""
    place: Place = root.place
    for part in path:
        if isinstance(root, Map) and part in root.places:
            place = root.places[str(part)]
            root = root[str(part)]
        elif isinstance(root, Items) and isinstance(part, int) and part < len(root):
            place = root.places[part]
            root = root[part]
        else:
            break
    return place


def read_text(file: str, text: str) -> Any:
    """Return the document of a text, as `Map` and `Items`. Raises `SiteFileError`."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise SiteFileError(f"{file}: larger than {MAX_BYTES // 1024} KiB")
    try:
        node, document = parse(text, {"!secret": SecretName, "!ask": lambda _: ASK})
        return _located(file, node, document)
    except yaml.YAMLError as err:
        raise SiteFileError(problem_of(file, err)) from err
    except (ValueError, ArithmeticError, RecursionError) as err:
        # Numbers too large for what they are used for, and nesting too deep to follow.
        raise SiteFileError(f"{file}: {err}") from err


def _located(file: str, node: yaml.Node | None, value: Any) -> Any:
    """Return a value with the places of its parts."""

    def place(at: yaml.Node) -> Place:
        return Place(file=file, line=at.start_mark.line + 1)

    if isinstance(node, yaml.MappingNode) and isinstance(value, dict):
        result = Map(place(node))
        for (key_node, value_node), (key, each) in zip(node.value, value.items(), strict=True):
            result.put(str(key), _located(file, value_node, each), place(key_node))
        return result
    if isinstance(node, yaml.SequenceNode) and isinstance(value, list):
        items = Items(place(node))
        for item_node, each in zip(node.value, value, strict=True):
            items.put(_located(file, item_node, each), place(item_node))
        return items
    return value


type ReadTemplate = Callable[[str], str]
"""Returns the text of a template by its name; raises `KeyError` with the names that there are."""


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """What fills in variables and templates."""

    read_template: ReadTemplate
    faults: Faults

    def expand(self, value: Any, variables: Mapping[str, Any], place: Place, depth: int = 0) -> Any:
        """Return a value with its variables filled in and its templates taken in."""
        if isinstance(value, str):
            return self._fill(value, variables, place)
        if isinstance(value, Items):
            items = Items(value.place)
            for each, at in zip(value, value.places, strict=True):
                items.put(self.expand(each, variables, at, depth), at)
            return items
        if not isinstance(value, Map):
            return value
        result = Map(value.place)
        for key, each in value.items():
            at = value.places[key]
            result.put(key, self.expand(each, variables, at, depth), at)
        if KEY_USE not in result:
            return result
        return self._use(result, depth)

    def _fill(self, text: str, variables: Mapping[str, Any], place: Place) -> Any:
        def known(name: str) -> bool:
            if name in variables:
                return True
            self.faults.unknown(place, name, "variable", variables)
            return False

        if (whole := _WHOLE.match(text)) is not None:
            name = whole.group(1)
            return variables[name] if known(name) else text
        return _VARIABLE.sub(
            lambda match: str(variables[match[1]]) if known(match[1]) else match[0], text
        )

    def _use(self, user: Map, depth: int) -> Map:
        """Return a mapping with what a template has for it; its own values come first."""
        use = user.pop(KEY_USE)
        place = user.places.pop(KEY_USE)
        content = self._content(use, place, depth)
        if content is None:
            return user
        merged = Map(user.place)
        for key, each in content.items():
            merged.put(key, each, content.places[key])
        for key, each in user.items():
            present = merged.get(key)
            merged.put(
                key,
                present.and_then(each)
                if isinstance(each, Items) and isinstance(present, Items)
                else each,
                user.places[key],
            )
        return merged

    def _content(self, use: Any, place: Place, depth: int) -> Map | None:
        if not isinstance(use, Map) or not isinstance(use.get("template"), str):
            self.faults.add(place, KEY_USE, "expected template, version and perhaps with")
            return None
        self.faults.check_keys(use, _USE_KEYS, f"{KEY_USE}.")
        name = use["template"]
        if depth >= _MAX_DEPTH:
            self.faults.add(place, name, f"templates within templates, more than {_MAX_DEPTH} deep")
            return None
        try:
            text = self.read_template(name)
        except KeyError as err:
            self.faults.unknown(use.places["template"], name, "template", err.args[0])
            return None
        file = f"templates/{name}.yaml"
        template = read_text(file, text)
        if not isinstance(template, Map) or not isinstance(template.get("content"), Map):
            self.faults.add(Place(file=file, line=1), "content", "expected a template's content")
            return None
        self.faults.check_keys(template, _TEMPLATE_KEYS)
        if (version := template.get("version")) != use.get("version"):
            self.faults.add(
                place_of(use, "version"),
                "version",
                f"the template {name} is version {version}, not {use.get('version')}",
            )
            return None
        variables = self._variables(template, use, place)
        content = self.expand(template["content"], variables, template.place, depth + 1)
        return content if isinstance(content, Map) else None

    def _variables(self, template: Map, use: Map, place: Place) -> dict[str, Any]:
        """Return the variables of a template: what is given, else its default."""
        declared = template.get(KEY_VARIABLES) or Map(template.place)
        given = use.get("with") or Map(place)
        if not isinstance(declared, Map) or not isinstance(given, Map):
            self.faults.add(place, "with", "expected names with values")
            return {}
        for name in given:
            if name not in declared:
                self.faults.unknown(given.places[name], name, "variable of the template", declared)
        for name, default in declared.items():
            if default is None and name not in given:
                self.faults.add(place, name, "the template wants a value for this variable")
        return {**declared, **given}
