"""The schema of a register map: from the document that YAML gives to a `RegisterMap`."""

from collections.abc import Callable
from decimal import Decimal
import difflib
import math
import re
import struct
from typing import Any

import voluptuous as vol

from ..vocabulary.quantities import QUANTITIES
from .model import (
    ADDRESSES,
    DEFAULT_RATED_POWER_W,
    OBJECTS,
    TEXT_TYPES,
    TYPES,
    AsMeter,
    Check,
    Constant,
    ObjectCheck,
    Register,
    RegisterMap,
    Source,
    Span,
    WhenOld,
)
from .words import encode, encode_text


def _integer(low: int, high: int) -> Callable[[Any], Any]:
    def integer(value: Any) -> int:
        # YAML's `yes` is a bool, and to Python a bool is an int.
        if type(value) is not int:
            raise vol.Invalid(f"expected an integer, got {value!r:.40}")
        return value

    return vol.All(integer, vol.Range(min=low, max=high))


def _float(value: Any) -> float:
    # `vol.Coerce` lets what is too large for a float through where voluptuous is not the one that
    # Home Assistant puts in its place.
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as err:
        raise vol.Invalid("expected float") from err


def _scale(value: Any) -> Decimal:
    if type(value) not in (int, float) or not math.isfinite(value) or value == 0:
        raise vol.Invalid(f"expected a number other than 0, got {value!r:.40}")
    return Decimal(repr(value))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise vol.Invalid(f"expected a text, got {value!r:.40}")
    return value


def _known_quantities(value: Any) -> Any:
    """Raise for names that are no quantity, with the nearest one that is."""
    if not isinstance(value, dict) or not value:
        raise vol.Invalid("expected at least one quantity")
    errors = []
    for key in value:
        # The states of an enumeration are numbered otherwise by each meter.
        if key not in QUANTITIES or QUANTITIES[key].options:
            near = difflib.get_close_matches(str(key), QUANTITIES, n=1)
            hint = f", did you mean {near[0]}?" if near else ""
            errors.append(vol.Invalid(f"there is no such quantity{hint}", path=[key]))
    if errors:
        raise vol.MultipleInvalid(errors)
    return value


_REGISTER = {
    vol.Required("address"): _integer(0, ADDRESSES - 1),
    vol.Optional("type"): vol.In([*TYPES, *TEXT_TYPES]),
    vol.Optional("length"): _integer(1, 32),
    vol.Optional("scale"): _scale,
    vol.Optional("register_space"): vol.In(["input", "holding"]),
    vol.Optional("word_order"): vol.In(["big", "little"]),
    vol.Optional("nan"): vol.Any(
        "largest", _integer(0, 2**64 - 1), vol.All([_integer(0, 2**64 - 1)], vol.Length(min=1))
    ),
}


def _ascending(value: list[float]) -> list[float]:
    if value[0] > value[1]:
        raise vol.Invalid("the lower end comes first")
    return value


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


_TEXTS = vol.All(_listed, [_text], vol.Length(min=1))

_CHECK = _REGISTER | {
    vol.Optional("equals"): vol.All(_listed, [vol.Any(int, float, str)], vol.Length(min=1)),
    vol.Optional("between"): vol.All([_float], vol.Length(min=2, max=2), _ascending),
    vol.Optional("starts_with"): _TEXTS,
}

_OBJECT_CHECK = {
    vol.Required("object"): vol.In(list(OBJECTS)),
    vol.Optional("equals"): _TEXTS,
    vol.Optional("starts_with"): _TEXTS,
}


def _identify(value: Any) -> Any:
    """Check one entry of `identify`: it is about a register, or about an object."""
    is_object = isinstance(value, dict) and "object" in value
    return vol.Schema(_OBJECT_CHECK if is_object else _CHECK)(value)


_SOURCE = {
    vol.Required("name"): _text,
    vol.Optional("confirms"): vol.Any("all", vol.All([str], vol.Length(min=1))),
}


_CONSTANT = _REGISTER | {
    vol.Required("value"): vol.Any(int, float, str),
    vol.Optional("writable", default=False): bool,
}

_ALSO = _REGISTER | {vol.Required("quantity"): str}

_BLOCK = {
    vol.Required("first"): _integer(0, ADDRESSES - 1),
    vol.Required("last"): _integer(0, ADDRESSES - 1),
    vol.Optional("register_space"): vol.In(["input", "holding"]),
}


def _profile_key(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9_]+", value):
        raise vol.Invalid("a key has small letters, digits and _ only")
    return value


_AS_METER = {
    vol.Required("name"): _text,
    vol.Optional("both_spaces", default=False): bool,
    vol.Optional("constants", default=list): [_CONSTANT],
    vol.Optional("also", default=list): [_ALSO],
    vol.Required("blocks"): vol.All([_BLOCK], vol.Length(min=1)),
    vol.Optional("max_span"): _integer(1, 125),
    vol.Optional("max_age_s"): _integer(1, 86_400),
    vol.Optional("when_old", default=WhenOld.EXCEPTION): vol.All(
        vol.In([str(each) for each in WhenOld]), WhenOld
    ),
    vol.Optional("timeout_ms", default=150): _integer(50, 10_000),
    vol.Optional("positive_power", default="import"): vol.In(["import", "export"]),
    vol.Optional("unscaled", default=False): bool,
}


def _registers(document: dict[str, Any]) -> dict[str, Any]:
    """Replace every register of a document by a `Register`, with the defaults of the map."""
    errors = _unknown_keys(document)

    def made[Part](
        make: Callable[[dict[str, Any], dict[str, Any]], Part],
        raw: dict[str, Any],
        *path: str | int,
    ) -> Part | None:
        try:
            return make(document, raw)
        except vol.Invalid as err:
            err.prepend(list(path))
            errors.append(err)
            return None

    for keys, make in (
        ({"serial_number", "firmware"}, _text_or_number),
        ({"current_ratio", "voltage_ratio"}, _number),
    ):
        for key in keys & document.keys():
            document[key] = made(make, document[key], key)
    for part in ("identify", "recognise"):
        document[part] = [
            made(_check, raw, part, index) for index, raw in enumerate(document[part])
        ]
    document["quantities"] = {
        key: made(_number, raw, "quantities", key) for key, raw in document["quantities"].items()
    }
    for key, raw in document["as_meter"].items():
        raw["constants"] = [
            made(_constant, constant, "as_meter", key, "constants", index)
            for index, constant in enumerate(raw["constants"])
        ]
        raw["also"] = [
            made(_also, also, "as_meter", key, "also", index)
            for index, also in enumerate(raw["also"])
        ]
        raw["blocks"] = [
            made(_span, block, "as_meter", key, "blocks", index)
            for index, block in enumerate(raw["blocks"])
        ]
    if errors:
        raise vol.MultipleInvalid(errors)
    return document


def _check(document: dict[str, Any], raw: dict[str, Any]) -> Check | ObjectCheck:
    if len(raw.keys() & {"equals", "between", "starts_with"}) != 1:
        raise vol.Invalid("exactly one of equals, between and starts_with")
    equals, starts_with = (tuple(raw.get(key, ())) for key in ("equals", "starts_with"))
    if "object" in raw:
        return ObjectCheck(object_id=OBJECTS[raw["object"]], equals=equals, starts_with=starts_with)
    return Check(
        register=_text_or_number(document, raw),
        equals=equals,
        between=tuple(raw["between"]) if "between" in raw else None,
        starts_with=starts_with,
    )


def _unknown_keys(document: dict[str, Any]) -> list[vol.Invalid]:
    """Return an error for each quantity that the map names beside its registers but has not."""
    named: list[tuple[str, list[str | int]]] = []
    if document["secondary"] != "all":
        named += [(key, ["secondary"]) for key in document["secondary"]]
    for index, source in enumerate(document.get("sources", ())):
        if source.get("confirms", "all") != "all":
            named += [(key, ["sources", index, "confirms"]) for key in source["confirms"]]
    return [
        vol.Invalid(f"the map has no quantity {key}", path=path)
        for key, path in named
        if key not in document["quantities"]
    ]


def _one_of_both(document: dict[str, Any]) -> dict[str, Any]:
    if ("source" in document) == ("sources" in document):
        raise vol.Invalid("either source or sources")
    return document


def _number(document: dict[str, Any], raw: dict[str, Any]) -> Register:
    if (kind := raw.get("type")) in TEXT_TYPES:
        raise vol.Invalid(f"a quantity is a number, not a {kind}", path=["type"])
    return _text_or_number(document, raw)


def _text_or_number(document: dict[str, Any], raw: dict[str, Any]) -> Register:
    kind: str | None = raw.get("type", document.get("type"))
    if kind is None:
        raise vol.Invalid("the type is missing, here and at the top of the map", path=["type"])
    if (kind in TEXT_TYPES) != ("length" in raw):
        raise vol.Invalid("goes with type string or version, and only with them", path=["length"])
    if raw.get("nan") == "largest" and "int" not in kind:
        raise vol.Invalid("only an integer has a largest value", path=["nan"])
    register = Register(
        address=raw["address"],
        type=kind,
        count=raw.get("length") or TYPES[kind],
        space=raw.get("register_space", document["register_space"]),
        word_order=raw.get("word_order", document["word_order"]),
        scale=raw.get("scale", Decimal(1)),
        nan=_not_available(kind, raw.get("nan", document.get("nan"))),
    )
    if register.end > ADDRESSES:
        raise vol.Invalid("the value reaches beyond the last address", path=["address"])
    if register.count > document["max_span"]:
        raise vol.Invalid("the value is wider than max_span", path=["type"])
    return register


def _constant(document: dict[str, Any], raw: dict[str, Any]) -> Constant:
    register = _text_or_number(document, raw)
    value = raw["value"]
    if (register.type in TEXT_TYPES) != isinstance(value, str):
        raise vol.Invalid("a text goes with type string, a number with the others", path=["value"])
    try:
        words = (
            encode_text(value, register.count)
            if isinstance(value, str)
            else encode(register, value / float(register.scale))
        )
    except (ValueError, OverflowError, struct.error) as err:
        raise vol.Invalid(f"the register cannot hold it: {err}", path=["value"]) from err
    return Constant(register=register, words=tuple(words), writable=raw["writable"])


def _also(document: dict[str, Any], raw: dict[str, Any]) -> tuple[str, Register]:
    if raw["quantity"] not in document["quantities"]:
        raise vol.Invalid(f"the map has no quantity {raw['quantity']}", path=["quantity"])
    return raw["quantity"], _number(document, raw)


def _span(document: dict[str, Any], raw: dict[str, Any]) -> Span:
    if raw["first"] > raw["last"]:
        raise vol.Invalid("the first register comes first", path=["last"])
    space = raw.get("register_space", document["register_space"])
    return Span(first=raw["first"], last=raw["last"], space=space)


def _as_meter(key: str, document: dict[str, Any], raw: dict[str, Any]) -> AsMeter:
    return AsMeter(
        key=key,
        name=raw["name"],
        both_spaces=raw["both_spaces"],
        constants=tuple(raw["constants"]),
        also=tuple(raw["also"]),
        blocks=tuple(raw["blocks"]),
        max_span=raw.get("max_span", document["max_span"]),
        max_age_s=raw.get("max_age_s"),
        when_old=raw["when_old"],
        timeout_ms=raw["timeout_ms"],
        export_positive=raw["positive_power"] == "export",
        unscaled=raw["unscaled"],
    )


def _not_available(kind: str, nan: Any) -> frozenset[int]:
    """Return the raw words that mean "not available", as an unsigned number."""
    if nan == "largest":
        if "int" not in kind:
            return frozenset()
        bits = 16 * TYPES[kind] - (0 if kind.startswith("uint") else 1)
        return frozenset({2**bits - 1})
    return frozenset([] if nan is None else nan if isinstance(nan, list) else [nan])


_MAP = vol.Schema(
    vol.All(
        {
            vol.Required("manufacturer"): _text,
            vol.Required("models"): vol.All([_text], vol.Length(min=1)),
            # One text is enough for a user's own map.
            vol.Optional("source"): _text,
            vol.Optional("sources"): vol.All([_SOURCE], vol.Length(min=1)),
            vol.Optional("verified", default=False): bool,
            vol.Required("register_space"): vol.In(["input", "holding"]),
            vol.Optional("word_order", default="big"): vol.In(["big", "little"]),
            vol.Optional("type"): vol.In(list(TYPES)),
            vol.Optional("nan"): "largest",
            # 125 is the most that one Modbus answer holds.
            vol.Optional("max_span", default=125): _integer(1, 125),
            vol.Optional("max_gap", default=16): _integer(0, 124),
            vol.Optional("rated_power_w", default=DEFAULT_RATED_POWER_W): vol.All(
                _float, vol.Range(min=1, max=1e12)
            ),
            vol.Optional("serial_number"): _REGISTER,
            vol.Optional("firmware"): _REGISTER,
            vol.Optional("current_ratio"): _REGISTER,
            vol.Optional("voltage_ratio"): _REGISTER,
            vol.Optional("secondary", default=list): vol.Any("all", [str]),
            vol.Optional("identify", default=list): [_identify],
            vol.Optional("recognise", default=list): [_CHECK],
            vol.Required("quantities"): vol.All(_known_quantities, {str: _REGISTER}),
            vol.Optional("as_meter", default=dict): {_profile_key: _AS_METER},
        },
        _one_of_both,
        _registers,
    )
)


def register_map(key: str, document: Any) -> RegisterMap:
    """Return the map of a document.

    Raises `vol.MultipleInvalid` with the path of every fault.
    """
    document = _MAP(document)
    quantities: dict[str, Register] = document["quantities"]

    def keys(value: Any) -> frozenset[str]:
        return frozenset(quantities if value == "all" else value)

    return RegisterMap(
        key=key,
        manufacturer=document["manufacturer"],
        models=tuple(document["models"]),
        sources=tuple(
            Source(name=source["name"], confirms=keys(source.get("confirms", ())))
            for source in document.get("sources") or [{"name": document["source"]}]
        ),
        verified=document["verified"],
        max_span=document["max_span"],
        max_gap=document["max_gap"],
        rated_power_w=document["rated_power_w"],
        serial_number=document.get("serial_number"),
        firmware=document.get("firmware"),
        identify=tuple(document["identify"]),
        recognise=tuple(document["recognise"]),
        quantities=quantities,
        current_ratio=document.get("current_ratio"),
        voltage_ratio=document.get("voltage_ratio"),
        secondary=keys(document["secondary"]),
        as_meter={key: _as_meter(key, document, raw) for key, raw in document["as_meter"].items()},
    )
