"""The JSON Schema of site files, made of the forms, so that editors complete and check them.

python -m tools.site_schema > docs/site.schema.json
"""

from collections.abc import Mapping
from importlib import import_module
import json
from typing import Any, Final

from homeassistant.helpers.selector import (
    BooleanSelector,
    DeviceSelector,
    EntitySelector,
    NumberSelector,
    ObjectSelector,
    Selector,
    SelectSelector,
)
import voluptuous as vol

from custom_components.grid_telemetry.configuration.references import (
    DEVICE_KEYS,
    METER_KEYS,
    PLACE_KEYS,
)
from custom_components.grid_telemetry.configuration.site_file import FORMAT
from custom_components.grid_telemetry.forms.written import (
    Written,
    columns_of,
    fields_in,
    is_secret,
    options_of,
    selector_of,
    written_of,
)
from custom_components.grid_telemetry.links.registry import LINKS

type Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_REFERENCES: Final[Json] = {
    "variable": {"type": "string", "pattern": r"\$\{\w+\}"},
    "secret": {"description": "!secret and a name, or !ask"},
    "use": {
        "type": "object",
        "description": "Takes in a template, by its name and version",
        "properties": {
            "template": _TEXT,
            "version": {"type": "integer", "minimum": 1},
            "with": {"type": "object"},
        },
        "required": ["template", "version"],
        "additionalProperties": False,
    },
    "entity": {
        "anyOf": [
            {"type": "string", "description": "An entity id"},
            {
                "type": "object",
                "properties": dict.fromkeys(METER_KEYS, _TEXT),
                "required": list(METER_KEYS),
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": dict.fromkeys(PLACE_KEYS, _TEXT),
                "minProperties": 1,
                "additionalProperties": False,
            },
        ]
    },
    "device": {
        "anyOf": [
            {"type": "string", "description": "A device id"},
            {
                "type": "object",
                "properties": dict.fromkeys(DEVICE_KEYS, _TEXT),
                "required": list(DEVICE_KEYS),
                "additionalProperties": False,
            },
        ]
    },
}


def _or_variable(schema: Json) -> Json:
    return {"anyOf": [schema, {"$ref": "#/$defs/variable"}]}


def _closed(properties: Mapping[str, Json]) -> Json:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}


def _selected(found: Selector[Any]) -> Json:
    """Return what a selector takes."""
    config = found.config
    match found:
        case EntitySelector():
            return {"$ref": "#/$defs/entity"}
        case DeviceSelector():
            return {"$ref": "#/$defs/device"}
        case BooleanSelector():
            return _or_variable({"type": "boolean"})
        case NumberSelector():
            limits = {"minimum": config.get("min"), "maximum": config.get("max")}
            number: Json = {"type": "number"}
            return _or_variable(
                number | {key: limit for key, limit in limits.items() if limit is not None}
            )
        case ObjectSelector():
            row = _closed({name: _selected(each) for name, each in columns_of(found).items()})
            return {"type": "array", "items": row}
        case SelectSelector() if not config.get("custom_value") and options_of(found):
            one = {"enum": options_of(found)}
            if config.get("multiple"):
                return {"type": "array", "items": one}
            # The choices of a form are texts; a number in the file is taken as well.
            return _or_variable({"enum": [*options_of(found), *_numbers(options_of(found))]})
        case _ if config.get("multiple"):
            return {"type": "array", "items": _TEXT}
        case _ if found.selector_type == "action":
            return {}
        case _:
            return _TEXT


def _numbers(options: list[str]) -> list[int]:
    return [int(option) for option in options if option.isdecimal()]


def _field(value: Any) -> Json:
    if is_secret(value):
        return {"$ref": "#/$defs/secret"}
    if (found := selector_of(value)) is not None:
        return _selected(found)
    return _or_variable({"type": "boolean"})


def _variant(written: Written, schema: vol.Schema) -> dict[str, Json]:
    return {
        str(marker): _field(value)
        for marker, value in fields_in(schema).items()
        if str(marker) != written.name_field
    }


def _properties(written: Written) -> dict[str, Json]:
    """Return the fields of all variants; where they differ, any of them."""
    found: dict[str, list[Json]] = {}
    for schema in written.schemas.values():
        for key, each in _variant(written, schema).items():
            known = found.setdefault(key, [])
            if each not in known:
                known.append(each)
    result = {key: each[0] if len(each) == 1 else {"anyOf": each} for key, each in found.items()}
    if written.choice is not None:
        choice = _or_variable({"enum": [str(value) for value in written.schemas]})
        result = {written.choice: choice, **result}
    return result


def _entry(kind: str, written: Written, subentries: Mapping[str, type]) -> Json:
    properties: dict[str, Json] = {
        "id": {"anyOf": [{"type": "string", "pattern": "^[a-z0-9_]{1,64}$"}, _variable()]},
        "kind": {"const": kind},
        "name": _TEXT,
        "owned": {"type": "boolean"},
        "use": {"$ref": "#/$defs/use"},
        **_properties(written),
    }
    parts = {name: each for name, sub in subentries.items() if (each := written_of(sub))}
    if parts:
        items = [
            _closed(
                {
                    "type": {"const": name},
                    "name": _TEXT,
                    "use": {"$ref": "#/$defs/use"},
                    **_properties(each),
                }
            )
            for name, each in parts.items()
        ]
        properties["subentries"] = {"type": "array", "items": {"anyOf": items}}
    return _closed(properties) | {"required": ["kind"]}


def _variable() -> Json:
    return {"$ref": "#/$defs/variable"}


def site_schema() -> Json:
    """Return the schema of a site file."""
    kinds: dict[str, Json] = {}
    for kind, module in LINKS.items():
        flows = import_module(f"{module.package}.flow")
        if (written := written_of(flows.FLOW)) is not None:
            kinds[kind] = _entry(kind, written, flows.SUBENTRY_FLOWS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Site file of Grid Telemetry",
        **_closed(
            {
                "site_file": {"const": FORMAT},
                "owned": {"type": "boolean"},
                "variables": {"type": "object"},
                "use": {"$ref": "#/$defs/use"},
                "entries": {
                    "type": "array",
                    "items": {
                        "anyOf": [
                            *({"$ref": f"#/$defs/{kind}"} for kind in kinds),
                            _closed({"use": {"$ref": "#/$defs/use"}}) | {"required": ["use"]},
                        ]
                    },
                },
            }
        ),
        "required": ["site_file"],
        "$defs": {**_REFERENCES, **kinds},
    }


def as_text() -> str:
    """Return the schema as the file has it."""
    return json.dumps(site_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(as_text(), end="")
