"""YAML without its traps, and with the lines of what it says: of register maps and site files.

Aliases and merges are refused, by which a few lines stand for gigabytes, and so is a key that is
written twice.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, override

import yaml

type Tags = Mapping[str, Callable[[str], Any]]
"""What a text behind a tag of one's own becomes, by the tag."""


class _Loader(yaml.SafeLoader):
    """Tells the line of a scalar that looks like a number or a date and is none."""

    tags: Tags

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
        if isinstance(node, yaml.ScalarNode) and node.tag in self.tags:
            return self.tags[node.tag](node.value)
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, LookupError, AttributeError) as err:
            # PyYAML lets through what fails below it, also for a tag that does not fit its text.
            raise yaml.MarkedYAMLError(
                problem=f"cannot read {node.value!r:.40}", problem_mark=node.start_mark
            ) from err


_NO_TAGS: Final[Tags] = {}


def parse(text: str, tags: Tags = _NO_TAGS) -> tuple[yaml.Node | None, Any]:
    """Return the document of a text with the nodes that know its lines.

    Raises `yaml.YAMLError`, and ValueError or RecursionError for numbers that are too large and
    nesting that is too deep.
    """
    loader = _Loader(text)
    loader.tags = tags
    try:
        node = loader.get_single_node()
        if node is None:
            return None, None
        _refuse_duplicates(node)
        return node, loader.construct_document(node)
    finally:
        loader.dispose()


def problem_of(file: str, err: yaml.YAMLError) -> str:
    """Return what is wrong with a file that is no YAML, with its name and, if known, the line."""
    if not isinstance(err, yaml.MarkedYAMLError):
        return f"{file}: {err}"
    mark = err.problem_mark or err.context_mark
    line = f", line {mark.line + 1}" if mark else ""
    return f"{file}{line}: {err.problem}"


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


def line_of(node: yaml.Node | None, path: Sequence[Any]) -> int:
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
