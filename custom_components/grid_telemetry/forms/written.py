"""How an entry or a subentry is written in a file, so that its own forms can be answered from it.

The schemas are the very ones that the forms show: a file has their fields, flat, under their
names, and what is wrong with a value is said by the form.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol, runtime_checkable

from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    ObjectSelector,
    Selector,
    SelectSelector,
    TextSelectorType,
    selector,
)
import voluptuous as vol

type Fields = dict[str, Any]
"""What a file says of one entry or subentry; references to entities are resolved already."""


@dataclass(frozen=True)
class Ask:
    """In place of a secret: whoever applies the file is asked for it, once."""


ASK: Final = Ask()


@dataclass(frozen=True)
class OneOf:
    """Answers to a choice, the best first; the first that the form offers is taken."""

    answers: Sequence[str]


def _as_it_is(fields: Mapping[str, Any]) -> Fields:
    return dict(fields)


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a file may say of a kind of entry or subentry."""

    schemas: Mapping[str, vol.Schema]
    """The fields of all forms together, by the value of `choice`; by "" where there is none."""
    choice: str | None = None
    """The field that says which form follows; a menu's options are named `<step>_<value>`."""
    menus: Mapping[str, str] = MappingProxyType({})
    """The option to take in a menu that no field decides on, by its step."""
    identity: Sequence[str] = ()
    """Of a subentry: the fields by which it is known again; without, there is one of them."""
    name_field: str | None = None
    """The field of the form that asks for the title."""
    asks: frozenset[str] = frozenset()
    """Secrets that the form would make up, which then nobody could see."""
    opens: bool = False
    """Whether it lets others in, or lets them do something: a person agrees to each change."""
    opening_fields: frozenset[str] = frozenset()
    """The fields that let others do something, where the rest of them does not."""
    fields: Callable[[Mapping[str, Any]], Fields] = _as_it_is
    """Returns the fields of what is stored, where they are not stored under their own names."""
    answers: Callable[[Fields], Fields] = _as_it_is
    """Returns what the forms are answered with, where that is more than the fields."""

    def variant(self, fields: Mapping[str, Any]) -> str:
        """Return the value of the choice, which may be one that there is not."""
        return "" if self.choice is None else str(fields.get(self.choice, ""))

    def schema(self, fields: Mapping[str, Any]) -> vol.Schema:
        """Return the fields that go with a choice. Raises KeyError if there is no such choice."""
        return self.schemas[self.variant(fields)]

    def secrets(self, fields: Mapping[str, Any]) -> frozenset[str]:
        """Return the names of the fields whose values a form never shows."""
        return frozenset(
            str(key) for key, value in fields_in(self.schema(fields)).items() if is_secret(value)
        )

    def needed_secrets(self, fields: Mapping[str, Any]) -> list[str]:
        """Return the secrets without which nothing can be made."""
        schema = fields_in(self.schema(fields))
        required = {str(marker) for marker in schema if isinstance(marker, vol.Required)}
        return [
            str(marker)
            for marker, value in schema.items()
            if is_secret(value) and str(marker) in required | self.asks
        ]

    def written(self, stored: Mapping[str, Any]) -> Fields:
        """Return the fields of what is stored, in the order of the forms, without secrets."""
        known = plain(self.fields(stored))
        if self.choice is not None and self.choice in stored:
            known[self.choice] = str(stored[self.choice])
        result: Fields = {}
        if self.choice is not None:
            result[self.choice] = known[self.choice]
        for marker, value in fields_in(self.schema(known)).items():
            key = str(marker)
            if key == self.name_field:
                continue
            if is_secret(value):
                if key in stored or key in self.asks:
                    result[key] = ASK
            elif known.get(key) is not None:
                result[key] = known[key]
        return result


@runtime_checkable
class WrittenFlow(Protocol):
    """A flow whose entries or subentries can be written in a file; a class method of it."""

    def written(self) -> Written:
        """Return what a file may say."""


def written_of(flow: type) -> Written | None:
    """Return what a file may say of what a flow makes; None if it cannot be written in one."""
    # The class is asked, not an object of it.
    return flow.written() if isinstance(flow, WrittenFlow) else None


def one_form(schema: vol.Schema | Mapping[vol.Marker, Any]) -> dict[str, vol.Schema]:
    """Return the `schemas` of what has no choice."""
    return {"": schema if isinstance(schema, vol.Schema) else vol.Schema(dict(schema))}


def fields_in(schema: vol.Schema) -> dict[vol.Marker, Any]:
    """Return the fields of a form, those of its sections too."""
    result: dict[vol.Marker, Any] = {}
    for marker, value in schema.schema.items():
        if isinstance(value, section):
            result |= fields_in(value.schema)
        else:
            result[marker] = value
    return result


def selector_of(value: Any) -> Selector[Any] | None:
    """Return the selector that a field is chosen with, None for a plain type."""
    return next(_selectors(value), None)


def _selectors(value: Any) -> Iterator[Selector[Any]]:
    if isinstance(value, Selector):
        yield value
    for inner in getattr(value, "validators", ()):
        yield from _selectors(inner)


def is_secret(value: Any) -> bool:
    """Return whether what is typed into a field is not shown."""
    found = selector_of(value)
    return found is not None and found.config.get("type") == TextSelectorType.PASSWORD


def columns_of(value: Any) -> dict[str, Selector[Any]]:
    """Return the columns of a table by their names; none of what is no table."""
    found = selector_of(value)
    if not isinstance(found, ObjectSelector):
        return {}
    return {
        name: each if isinstance(each := column["selector"], Selector) else selector(each)
        for name, column in found.config.get("fields", {}).items()
    }


def required_columns(value: Any) -> set[str]:
    """Return the columns that each row of a table has to have."""
    found = selector_of(value)
    if not isinstance(found, ObjectSelector):
        return set()
    columns = found.config.get("fields", {})
    return {name for name, column in columns.items() if column.get("required")}


def options_of(found: Selector[Any] | None) -> list[str]:
    """Return the choices of a field; none if any text can be typed."""
    if not isinstance(found, SelectSelector):
        return []
    return [
        option if isinstance(option, str) else option["value"] for option in found.config["options"]
    ]


def filled(schema: vol.Schema, answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input of a form: those of the answers that it asks for."""
    result: dict[str, Any] = {}
    for marker, value in schema.schema.items():
        key = str(marker)
        if isinstance(value, section):
            result[key] = filled(value.schema, answers)
        elif key in answers:
            result[key] = _fitting(answers[key], value)
    return result


def _fitting(answer: Any, value: Any) -> Any:
    """Return an answer as the field wants it: the choices of a form are texts."""
    options = options_of(selector_of(value))
    if isinstance(answer, list) and any(isinstance(each, OneOf) for each in answer):
        return [_fitting(each, value) for each in answer]
    if isinstance(answer, OneOf):
        return next((each for each in answer.answers if each in options), answer.answers[-1])
    return str(answer) if options and type(answer) in (int, float) else answer


def plain(value: Any) -> Any:
    """Return data of Python's own types only, as YAML and JSON have them."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value) if isinstance(value, str) else value
